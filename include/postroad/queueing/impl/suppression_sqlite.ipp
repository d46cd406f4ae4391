#pragma once

#include <postroad/queueing/suppression_sqlite.hpp>

#include <postroad/queueing/impl/sqlite_database.ipp>
#include <postroad/queueing/impl/sqlite_fork.ipp>

#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

namespace postroad::suppression {
namespace detail {

using queueing::detail::database;
using queueing::detail::file_identity;
using queueing::detail::files_beside;
using queueing::detail::statement;

/// The tables of a file: made, or found to be ours.
class sqlite_schema {
public:
    static constexpr std::int64_t application = 0x73757070;  // "supp"
    static constexpr std::int64_t version = 1;
    static constexpr const char* kind = "suppression list";

    sqlite_schema(database& file, local_parts compared) : file_(file), compared_(compared) {}

    void prepare() {
        refuse_others();
        if (file_.text("PRAGMA journal_mode = WAL") != "wal")
            file_.refuse(errc::storage_failed, "it cannot have a write-ahead log: put it on a disk of this machine");
        if (file_.number("PRAGMA user_version") == 0) make_tables();
        refuse_unless(version);
    }
    local_parts compared() {
        return file_.number("SELECT ignoring_case FROM rules") != 0 ? local_parts::ignoring_case
                                                                    : local_parts::as_they_are;
    }

private:
    // As it is at one time: another process may make it just now.
    void refuse_others() {
        const queueing::detail::snapshot seen(file_);
        refuse_unless(file_.is_empty_or_of(application) ? 0 : version);
    }
    void refuse_unless(std::int64_t expected) {
        const auto found = file_.number("PRAGMA user_version");
        if (found != expected)
            file_.refuse(errc::storage_damaged, "it was written by another version (schema " + std::to_string(found) +
                                                    "): use that one, or export and import it");
    }
    void make_tables() {
        file_.execute("BEGIN IMMEDIATE");
        // Another process may have been faster.
        if (file_.number("PRAGMA user_version") == 0) {
            file_.execute(R"(
CREATE TABLE rules(ignoring_case INTEGER NOT NULL);
CREATE TABLE entries(
  key TEXT NOT NULL,        -- of the address, as it is compared
  tenant TEXT NOT NULL,
  list TEXT NOT NULL,
  address TEXT,             -- where it is not the key
  reason INTEGER NOT NULL,
  source TEXT,
  added INTEGER NOT NULL,   -- seconds since 1970
  until INTEGER,
  PRIMARY KEY(key, tenant, list)) WITHOUT ROWID;
CREATE INDEX ends ON entries(until) WHERE until IS NOT NULL;
CREATE TABLE bounces(key TEXT PRIMARY KEY, times INTEGER NOT NULL, last INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX lasts ON bounces(last);
)");
            statement(file_, "INSERT INTO rules VALUES(?)").run(compared_ == local_parts::ignoring_case ? 1 : 0);
            file_.execute(("PRAGMA application_id = " + std::to_string(application)).c_str());
            file_.execute(("PRAGMA user_version = " + std::to_string(version)).c_str());
        }
        file_.execute("COMMIT");
    }

    database& file_;
    local_parts compared_;
};

/// A connection that looks up, and nothing else.
struct sqlite_reader {
    // A reader of a write-ahead log waits for others in rare moments only, such as when one mends it.
    static constexpr int patience_ms = 1000;

    explicit sqlite_reader(const std::string& path) : file(path, SQLITE_OPEN_READWRITE, sqlite_schema::kind) {
        sqlite3_busy_timeout(file.get(), patience_ms);
    }
    database file;
    files_beside beside = {};
    statement find{file, "SELECT tenant, list, address, reason, source, added, until FROM entries WHERE key = ?"};
};

struct sqlite_writer {
    explicit sqlite_writer(const std::string& path) : file(path, SQLITE_OPEN_READWRITE, sqlite_schema::kind) {
        file.execute("PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864");
    }
    database file;
    files_beside beside = {};
    statement begin{file, "BEGIN IMMEDIATE"};
    statement commit{file, "COMMIT"};
    statement scopes{file, "SELECT tenant, list FROM entries WHERE key = ?"};
    statement put{file, "REPLACE INTO entries VALUES(?, coalesce(?, ''), coalesce(?, ''), ?, ?, ?, ?, ?)"};
    statement remove{file, "DELETE FROM entries WHERE key = ? AND tenant = coalesce(?, '') AND list = coalesce(?, '')"};
    statement bounced{file, "SELECT times FROM bounces WHERE key = ? AND last >= ?"};
    statement count{file, "REPLACE INTO bounces VALUES(?, ?, ?)"};
    statement forgive{file, "DELETE FROM bounces WHERE key = ?"};
    statement forget{file, "DELETE FROM bounces WHERE key IN (SELECT key FROM bounces WHERE last < ? LIMIT 10)"};
    statement end{file,
                  "DELETE FROM entries WHERE (key, tenant, list) IN (SELECT key, tenant, list FROM entries WHERE until "
                  "<= ? LIMIT 10)"};
    statement page{file,
                   "SELECT tenant, list, address, reason, source, added, until, key FROM entries WHERE (key, tenant, "
                   "list) > (coalesce(?, ''), coalesce(?, ''), coalesce(?, '')) ORDER BY key, tenant, list LIMIT 1000"};
    statement size{file, "SELECT count(*) FROM entries"};
};

inline std::int64_t seconds(time t) { return t.time_since_epoch().count(); }

inline entry entry_of(const statement& row, const std::string& key) {
    static constexpr auto reasons = static_cast<std::int64_t>(reason_words.size());
    error_code ec;
    const auto written = row.null(2) ? key : std::string(row.text(2));
    entry e{.address = address::parse(written, ec),
            .of = {std::string(row.text(0)), std::string(row.text(1))},
            .source = std::string(row.text(4)),
            .added = time(std::chrono::seconds(row.number(5)))};
    if (const auto why = row.number(3); why >= 0 && why < reasons) e.why = static_cast<reason>(why);
    if (!row.null(6)) e.until = time(std::chrono::seconds(row.number(6)));
    return e;
}

class sqlite_file final : queueing::detail::keeps_open {
    using fork_register = queueing::detail::fork_register;

public:
    explicit sqlite_file(sqlite_options o) : options_(std::move(o)) {
        const auto no_fork = fork_register::get().hold();
        options_.path = queueing::detail::made_file(options_.path, sqlite_schema::kind);
        is_ = file_identity::of(options_.path);
        database file(options_.path, SQLITE_OPEN_READWRITE, sqlite_schema::kind);
        sqlite_schema schema(file, options_.rules.compared);
        schema.prepare();
        options_.rules.compared = schema.compared();
        fork_register::get().add(*this);
    }
    ~sqlite_file() {
        const auto no_fork = fork_register::get().hold();
        fork_register::get().remove(*this);
        close();
    }

    std::optional<entry> find(const address& a, const scope& of, time now) {
        const auto key = key_of(a, options_.rules.compared);
        std::optional<entry> found;
        const std::lock_guard lock(reading_);
        auto& row = open(reader_).find;
        row.each(
            [&] {
                auto e = entry_of(row, key);
                if (!counts(e, of, now)) return true;
                found = std::move(e);
                return false;
            },
            key);
        return found;
    }

    std::size_t add(std::span<const entry> all, time now) {
        std::size_t added = 0;
        change([&](sqlite_writer& sql) {
            for (const auto& e : all) {
                const auto key = key_of(e.address, options_.rules.compared);
                const auto stored = reduced(e);
                if (!erase(sql, key, stored.of)) ++added;
                put(sql, key, stored, now);
            }
            sql.end.run(seconds(now));
        });
        return added;
    }

    bool remove(const address& a, const scope& given) {
        const auto key = key_of(a, options_.rules.compared);
        const auto of = reduced(given);
        bool was_there = false;
        change([&](sqlite_writer& sql) {
            if (of == scope{}) sql.forgive.run(key);
            was_there = erase(sql, key, of);
        });
        return was_there;
    }

    bool bounced(const address& a, std::string_view source, time now) {
        const auto& rules = options_.rules;
        const auto key = key_of(a, rules.compared);
        bool suppressed = false;
        change([&](sqlite_writer& sql) {
            const auto oldest = seconds(now - rules.bounces_within);
            const auto times = sql.bounced.find(key, oldest).value_or(0) + 1;
            suppressed = rules.bounces > 0 && times >= static_cast<std::int64_t>(rules.bounces);
            sql.forget.run(oldest);
            if (!suppressed) {
                sql.count.run(key, times, seconds(now));
                return;
            }
            sql.forgive.run(key);
            put(sql, key, {.address = a, .why = reason::hard_bounce, .source = std::string(source)}, now);
        });
        return suppressed;
    }

    void each(const std::function<bool(const entry&)>& f) {
        std::string key;
        scope of;
        for (std::vector<entry> page; next_page(page, key, of); page.clear())
            for (const auto& e : page)
                if (!f(e)) return;
    }

    std::size_t size() {
        const std::lock_guard lock(writing_);
        return static_cast<std::size_t>(open(writer_).size.find().value_or(0));
    }

private:
    static void put(sqlite_writer& sql, const std::string& key, const entry& e, time now) {
        std::optional<std::int64_t> until;
        if (e.until) until = seconds(*e.until);
        const auto& text = e.address.str();
        sql.put.run(key, e.of.tenant, e.of.list, text == key ? std::string_view() : std::string_view(text),
                    static_cast<std::int64_t>(e.why), e.source, seconds(e.added == time{} ? now : e.added), until);
    }

    // Older versions stored lists as they were given.
    static bool erase(sqlite_writer& sql, const std::string& key, const scope& of) {
        std::vector<scope> same;
        sql.scopes.each(
            [&] {
                scope stored{std::string(sql.scopes.text(0)), std::string(sql.scopes.text(1))};
                if (reduced(stored) == of) same.push_back(std::move(stored));
                return true;
            },
            key);
        for (const auto& stored : same) sql.remove.run(key, stored.tenant, stored.list);
        return !same.empty();
    }

    bool next_page(std::vector<entry>& page, std::string& key, scope& of) {
        const std::lock_guard lock(writing_);
        auto& row = open(writer_).page;
        std::string last;
        row.each(
            [&] {
                last = row.text(7);
                page.push_back(entry_of(row, last));
                return true;
            },
            key, of.tenant, of.list);
        if (!page.empty()) {
            key = last;
            of = page.back().of;
        }
        return !page.empty();
    }

    /// All that `f` does, or nothing.
    template <class F>
    void change(F f) {
        const std::lock_guard lock(writing_);
        auto& sql = open(writer_);
        try {
            sql.begin.run();
            refuse_if_moved(sql);
            f(sql);
            sql.commit.run();
            refuse_if_moved(sql);
        } catch (...) {
            // Some errors have ended it already.
            if (sqlite3_get_autocommit(sql.file.get()) == 0)
                sqlite3_exec(sql.file.get(), "ROLLBACK", nullptr, nullptr, nullptr);
            throw;
        }
    }

    template <class Connection>
    Connection& open(std::unique_ptr<Connection>& c) {
        if (!c) {
            if (file_identity::of(options_.path) != is_) refuse_moved();
            c = std::make_unique<Connection>(options_.path);
            c->beside = files_beside::of(options_.path);
        }
        refuse_if_moved(*c);
        return *c;
    }
    // What is written then is written into nothing, and what is read is what was.
    template <class Connection>
    void refuse_if_moved(const Connection& c) const {
        if (file_identity::of(options_.path) != is_ || files_beside::of(options_.path) != c.beside) refuse_moved();
    }
    [[noreturn]] void refuse_moved() const {
        throw error(errc::storage_failed,
                    "the suppression list '" + escaped(options_.path, 1000) +
                        "', its -wal or its -shm was moved, deleted or replaced while it is open: put it "
                        "back, or end the processes that have it open");
    }
    void close() {
        reader_.reset();
        writer_.reset();
    }
    void close_for_fork() override {
        reading_.lock();
        writing_.lock();
        close();
    }
    void forked_in_parent() override {
        writing_.unlock();
        reading_.unlock();
    }
    void forked_in_child() override { forked_in_parent(); }
    bool stays_in_child() const noexcept override { return true; }

    sqlite_options options_;
    std::optional<file_identity> is_;
    std::mutex reading_ = {};  // guards reader_
    std::mutex writing_ = {};  // guards writer_
    // Opened when they are needed.
    std::unique_ptr<sqlite_reader> reader_ = {};
    std::unique_ptr<sqlite_writer> writer_ = {};
};

inline void sqlite_closer::operator()(sqlite_file* f) const noexcept { delete f; }

}  // namespace detail

inline sqlite::sqlite(sqlite_options o) : file_(new detail::sqlite_file(std::move(o))) {}
inline sqlite::sqlite(sqlite&&) noexcept = default;
inline sqlite& sqlite::operator=(sqlite&&) noexcept = default;
inline sqlite::~sqlite() = default;

inline std::optional<entry> sqlite::find(const address& a, const scope& of, time now) const {
    return file_->find(a, of, now);
}
inline std::size_t sqlite::add(std::span<const entry> all, time now) { return file_->add(all, now); }
inline bool sqlite::remove(const address& a, const scope& of) { return file_->remove(a, of); }
inline bool sqlite::bounced(const address& a, std::string_view source, time now) {
    return file_->bounced(a, source, now);
}
inline void sqlite::each(const std::function<bool(const entry&)>& f) const { file_->each(f); }
inline std::size_t sqlite::size() const { return file_->size(); }

}  // namespace postroad::suppression
