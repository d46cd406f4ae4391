#pragma once
// What became of messages that went through a queue in a file; needs the component postroad::sqlite. See
// docs/queueing.md.

#include <postroad/queueing/journal.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace postroad::queueing {

namespace detail {
class journal_view;
}

/// Reads the journal of a queue in a file, while mailers use it or none does, in any process; keeps nobody from
/// writing. Safe on any thread. What a child has inherited is shut down there (errc::shut_down); it may open one of its
/// own.
///
/// Both functions wait for the disk and throw `error`: errc::storage_failed and its
/// neighbours.
class sqlite_journal {
public:
    /// `path`: of a file that exists. One of an older version is brought to this one, as by queueing::sqlite.
    explicit sqlite_journal(const std::string& path);
    sqlite_journal(sqlite_journal&&) noexcept;
    sqlite_journal& operator=(sqlite_journal&&) noexcept;
    ~sqlite_journal();

    /// The last entries that match, at most `limit` of them; with `from`, which is journal_page::next of the page
    /// before, those that come next. Entries that are written meanwhile do not move them.
    journal_page find(const journal_filter& which, std::size_t limit = 100, std::int64_t from = 0) const;

private:
    std::unique_ptr<detail::journal_view> view_;
};

}  // namespace postroad::queueing

// Always inline: the library's one compiled source does not know SQLite.
#include <postroad/queueing/impl/sqlite_journal_view.ipp>
