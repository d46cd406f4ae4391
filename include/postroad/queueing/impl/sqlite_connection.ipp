#pragma once

#include <postroad/queueing/impl/sqlite_journal.ipp>
#include <postroad/queueing/impl/sqlite_rows.ipp>
#include <postroad/queueing/impl/sqlite_schema.ipp>
#include <postroad/queueing/impl/sqlite_statements.ipp>

#include <memory>
#include <string>

namespace postroad::queueing::detail {

/// The file while it is open.
struct sqlite_connection {
    sqlite_connection(const std::string& path, const calendar& clocks, const std::shared_ptr<stored_parts>& parts)
        : file(path, SQLITE_OPEN_READWRITE),
          is_prepared((sqlite_schema(file).prepare(), true)),
          sql(file),
          journal(file),
          rows(file, clocks, parts) {}
    database file;
    bool is_prepared;
    sqlite_statements sql;
    journal_writer journal;
    sqlite_rows rows;
};

}  // namespace postroad::queueing::detail
