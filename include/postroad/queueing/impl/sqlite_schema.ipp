#pragma once

#include <postroad/queueing/impl/sqlite_rows.ipp>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::queueing::detail {

// A sender remembers in memory what it has leased; the file knows only of what may be with a server, which is
// `state` 1.
inline constexpr std::array sqlite_migrations = {R"(
CREATE TABLE state(epoch INTEGER NOT NULL, jobs INTEGER NOT NULL, place INTEGER NOT NULL, part INTEGER NOT NULL);
INSERT INTO state VALUES(0, 0, 0, 1);
CREATE TABLE jobs(
  place INTEGER PRIMARY KEY,
  state INTEGER NOT NULL,      -- 0 to be sent, 1 being sent, 2 held, 3 in doubt
  due INTEGER,                 -- times are nanoseconds since 1970
  class INTEGER NOT NULL,
  id INTEGER NOT NULL,
  submitted INTEGER NOT NULL,
  deadline INTEGER,
  submitter INTEGER NOT NULL,  -- the queue object that wants to know the outcome; 0: none
  part INTEGER NOT NULL,       -- the first of its content
  size INTEGER NOT NULL,
  facts INTEGER NOT NULL,      -- of the content: flags, and from bit 4 on its longest line
  tenant TEXT,
  tag TEXT,
  key TEXT,
  envelope TEXT NOT NULL,
  progress TEXT);
CREATE INDEX delayed ON jobs(class, due) WHERE due IS NOT NULL;
CREATE INDEX ids ON jobs(id);
CREATE TABLE parts(part INTEGER PRIMARY KEY, octets BLOB NOT NULL);
CREATE TABLE keys(key TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE outcomes(id INTEGER PRIMARY KEY, submitter INTEGER NOT NULL, at INTEGER NOT NULL, envelope TEXT NOT NULL,
  progress TEXT NOT NULL);
)",
                                                 R"(
-- Under another name, so that an older version that has the file open stops, and does not write beside this one.
CREATE TABLE counters(epoch INTEGER NOT NULL, jobs INTEGER NOT NULL, failed INTEGER NOT NULL, place INTEGER NOT NULL,
  part INTEGER NOT NULL);
INSERT INTO counters SELECT epoch, jobs, 0, place, part FROM state;
DROP TABLE state;
-- A state more: 4 failed.
ALTER TABLE jobs ADD COLUMN whole INTEGER;   -- of a part: the id of the message
ALTER TABLE jobs ADD COLUMN domain TEXT;     -- of the first recipient, in lower case
ALTER TABLE jobs ADD COLUMN failed INTEGER;  -- when
ALTER TABLE jobs ADD COLUMN sum INTEGER;     -- of what never changes; NULL: not known
ALTER TABLE parts ADD COLUMN sum INTEGER;
)",
                                                 R"(
CREATE TABLE numbers(epoch INTEGER NOT NULL, jobs INTEGER NOT NULL, failed INTEGER NOT NULL, place INTEGER NOT NULL,
  part INTEGER NOT NULL, entry INTEGER NOT NULL);
INSERT INTO numbers SELECT epoch, jobs, failed, place, part, 0 FROM counters;
DROP TABLE counters;
ALTER TABLE jobs ADD COLUMN tried INTEGER;    -- when its first transaction began
ALTER TABLE jobs ADD COLUMN subject TEXT;     -- as it is written, for the journal
ALTER TABLE jobs ADD COLUMN message_id TEXT;  -- likewise
ALTER TABLE jobs ADD COLUMN cut INTEGER;      -- 1: its content is not whole any more
CREATE TABLE journal(
  entry INTEGER PRIMARY KEY,   -- without gaps, in the order of `settled`
  id INTEGER NOT NULL,
  settled INTEGER NOT NULL,
  submitted INTEGER NOT NULL,
  tried INTEGER,
  class INTEGER NOT NULL,
  size INTEGER NOT NULL,
  tenant TEXT,
  tag TEXT,
  subject TEXT,
  message_id TEXT,
  envelope TEXT NOT NULL,
  progress TEXT,
  sum INTEGER NOT NULL,
  keys BLOB NOT NULL);         -- what it is found by, eight octets each
CREATE TABLE journal_keys(bucket INTEGER NOT NULL, segment INTEGER NOT NULL, piece INTEGER NOT NULL,
  found BLOB NOT NULL, PRIMARY KEY(bucket, segment, piece)) WITHOUT ROWID;
)",
                                                 R"(
CREATE TABLE totals(epoch INTEGER NOT NULL, jobs INTEGER NOT NULL, failed INTEGER NOT NULL, more INTEGER NOT NULL,
  place INTEGER NOT NULL, part INTEGER NOT NULL, entry INTEGER NOT NULL);
INSERT INTO totals SELECT epoch, jobs, failed, (SELECT count(*) FROM jobs) - jobs - failed, place, part, entry
  FROM numbers;
DROP TABLE numbers;
)"};
inline constexpr std::array sqlite_indexes = {
    "CREATE INDEX IF NOT EXISTS keys_until ON keys(until)",
    "CREATE INDEX IF NOT EXISTS outcomes_of ON outcomes(submitter)",
    "CREATE INDEX IF NOT EXISTS outcomes_at ON outcomes(at)",
    // The order in which they are shown: what is fresh, and what waits for a time, apart.
    "CREATE INDEX IF NOT EXISTS lines ON jobs(state, due IS NOT NULL, submitted, due)",
    "CREATE INDEX IF NOT EXISTS domains ON jobs(domain, submitted)",
    "CREATE INDEX IF NOT EXISTS tenants ON jobs(tenant, submitted) WHERE tenant IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS tags ON jobs(tag, submitted) WHERE tag IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS wholes ON jobs(whole) WHERE whole IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS failures ON jobs(failed) WHERE failed IS NOT NULL",
};
// With the types of keys: one bit in the word PRIMARY, or INTEGER, and a table would have numbers of SQLite's for
// places.
inline constexpr std::array<std::pair<std::string_view, std::string_view>, 7> sqlite_tables = {{
    {"totals", "epoch jobs failed more place part entry"},
    {"jobs",
     "place:INTEGER state due class id submitted deadline submitter part size facts tenant tag key envelope progress "
     "whole domain failed sum tried subject message_id cut"},
    {"parts", "part:INTEGER octets sum"},
    {"keys", "key:TEXT until"},
    {"outcomes", "id:INTEGER submitter at envelope progress"},
    {"journal",
     "entry:INTEGER id settled submitted tried class size tenant tag subject message_id envelope progress sum keys"},
    {"journal_keys", "bucket:INTEGER segment:INTEGER piece:INTEGER found"},
}};
inline constexpr std::int64_t sqlite_application = 0x706f7374;  // "post"

/// The tables of a file: made, or brought to this version.
class sqlite_schema {
public:
    explicit sqlite_schema(database& file) : file_(file) {}

    void prepare() {
        const bool empty = refuse_others();
        if (empty) file_.execute("PRAGMA auto_vacuum = INCREMENTAL");
        if (file_.text("PRAGMA journal_mode = WAL") != "wal")
            file_.refuse(errc::storage_failed, "it cannot have a write-ahead log: put it on a disk of this machine");
        file_.execute(
            "PRAGMA synchronous = FULL; PRAGMA secure_delete = FAST; PRAGMA cache_size = -16000;"
            "PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864;");
        migrate();
    }

private:
    static constexpr auto newest = static_cast<std::int64_t>(sqlite_migrations.size());

    // As it is at one time: another process may make it just now.
    bool refuse_others() {
        const snapshot seen(file_);
        const bool empty = file_.is_empty_or_of(sqlite_application);
        refuse_unknown(version(), empty);
        return empty;
    }
    void migrate() {
        if (version() != newest) make_tables();
        for (const auto& [table, columns] : sqlite_tables)
            if (file_.text(("SELECT group_concat(name || iif(pk > 0, ':' || type, ''), ' ') FROM pragma_table_info('" +
                            std::string(table) + "')")
                               .c_str()) != columns)
                file_.refuse(errc::storage_damaged, "its table `" + std::string(table) +
                                                        "` is not one of a queue: move it away, or name another file");
        for (const auto* sql : sqlite_indexes) file_.execute(sql);
    }
    void make_tables() {
        try {
            bring_to_newest();
        } catch (const error& e) {
            if (e.code() != errc::storage_full) throw;
            sqlite3_exec(file_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
            // Where another process has it open its log would keep the disk full.
            sqlite3_wal_checkpoint_v2(file_.get(), nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
            file_.refuse(errc::storage_full,
                         "there is no room to bring it to this version, and it is as it was: make room on its disk, as "
                         "much as its jobs take without their contents, and in the folder for temporary files "
                         "(SQLITE_TMPDIR)");
        }
    }
    void bring_to_newest() {
        file_.execute("BEGIN IMMEDIATE");
        // Another process may have been faster.
        const auto found = version();
        refuse_unknown(found, file_.number("SELECT count(*) FROM sqlite_master") == 0);
        for (auto v = found; v < newest; ++v) file_.execute(sqlite_migrations[static_cast<std::size_t>(v)]);
        if (found == 1) fill_in();
        for (const auto* sql : sqlite_indexes) file_.execute(sql);
        file_.execute(("PRAGMA application_id = " + std::to_string(sqlite_application)).c_str());
        file_.execute(("PRAGMA user_version = " + std::to_string(newest)).c_str());
        file_.execute("COMMIT");
    }
    std::int64_t version() { return file_.number("PRAGMA user_version"); }
    void refuse_unknown(std::int64_t found, bool empty) {
        if (found > newest)
            file_.refuse(errc::storage_damaged, "it was written by a newer version (schema " + std::to_string(found) +
                                                    ", and this one knows " + std::to_string(newest) +
                                                    "): look after it with that version");
        if (found < 0 || (found == 0) != empty)
            file_.refuse(errc::storage_damaged, "it says that it has schema " + std::to_string(found) +
                                                    ", which none has: move it away, and save what is left by sqlite3");
    }
    // What the rows of version 1 have in their envelopes only.
    void fill_in() {
        statement next(file_, "SELECT place, envelope FROM jobs WHERE place > ? ORDER BY place LIMIT 1000");
        statement set(file_, "UPDATE jobs SET domain = ?, whole = ?, id = coalesce(?, id) WHERE place = ?");
        auto last = std::numeric_limits<std::int64_t>::min();
        std::vector<std::pair<std::int64_t, std::string>> some;
        do {
            some.clear();
            next.each(
                [&] {
                    some.emplace_back(next.number(0), next.text(1));
                    return true;
                },
                last);
            for (const auto& [place, text] : some) {
                fill_in(set, place, text);
                last = place;
            }
        } while (!some.empty());
    }
    static void fill_in(statement& set, std::int64_t place, std::string_view text) {
        try {
            mail_object mail{.envelope = read_envelope(text)};
            const auto domain = domain_of(mail.envelope);
            job j{.mail = std::make_shared<const mail_object>(std::move(mail))};
            read_part(text, j);
            const auto whole = j.whole ? std::optional(static_cast<std::int64_t>(j.whole)) : std::nullopt;
            set.run(domain, whole, whole ? std::optional(part_id(place)) : std::nullopt, place);
        } catch (const error& e) {
            // It makes no sense, and will be held for that.
            if (e.code() != errc::storage_damaged || !e.details().explanation.starts_with("a stored job")) throw;
        }
    }

    database& file_;
};

}  // namespace postroad::queueing::detail
