#pragma once

#include <postroad/net/wall_clock.hpp>
#include <postroad/queueing/impl/sqlite_database.ipp>
#include <postroad/queueing/inspection.hpp>
#include <postroad/queueing/stored_job.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::queueing::detail {

// Places: the traffic class, then the order of arrival, so that those of a class lie together, oldest first. A fresh
// job has no due time and costs no index entry; what waits for a time has one. A sender remembers in memory what it has
// leased; the file knows only of what may be with a server, which is `state` 1.
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
)"};
// What other versions do without.
inline constexpr std::array sqlite_indexes = {
    "CREATE INDEX IF NOT EXISTS keys_until ON keys(until)",
    "CREATE INDEX IF NOT EXISTS outcomes_of ON outcomes(submitter)",
    "CREATE INDEX IF NOT EXISTS outcomes_at ON outcomes(at)",
};
inline constexpr std::array<std::pair<std::string_view, std::string_view>, 5> sqlite_tables = {{
    {"state", "epoch jobs place part"},
    {"jobs", "place state due class id submitted deadline submitter part size facts tenant tag key envelope progress"},
    {"parts", "part octets"},
    {"keys", "key until"},
    {"outcomes", "id submitter at envelope progress"},
}};
inline constexpr std::int64_t sqlite_application = 0x706f7374;  // "post"
inline constexpr std::size_t sqlite_part = std::size_t{1} << 20;
inline constexpr std::int64_t most_octets = std::int64_t{1} << 50;  // of a content

inline std::int64_t first_place(unsigned of) noexcept { return static_cast<std::int64_t>(of) << 54; }
inline std::uint8_t class_at(std::int64_t place) noexcept { return static_cast<std::uint8_t>(place >> 54); }
inline std::int64_t parts_of(std::int64_t size) noexcept {
    return (size + static_cast<std::int64_t>(sqlite_part) - 1) / static_cast<std::int64_t>(sqlite_part);
}

/// Steady time as nanoseconds since 1970, and back. The offset is kept while the clocks agree, so that a time comes
/// back exactly as it was.
class calendar {
public:
    void look() noexcept {
        const auto found = now() - nanoseconds(clock::now().time_since_epoch());
        const auto had = offset_.load();
        if (found > had + tolerance || found < had - tolerance) offset_.store(found);
    }
    std::int64_t stored(time_point t) const noexcept {
        return after(t, std::chrono::nanoseconds(offset_)).time_since_epoch().count();
    }
    time_point steady(std::int64_t stored) const noexcept {
        if (stored == last) return never;
        return time_point(
            between(time_point(std::chrono::nanoseconds(offset_)), time_point(std::chrono::nanoseconds(stored))));
    }
    std::int64_t now() const noexcept { return nanoseconds(net::wall_clock_now().time_since_epoch()); }

private:
    static constexpr std::int64_t tolerance = 20'000'000;
    static constexpr std::int64_t last = std::numeric_limits<std::int64_t>::max();
    static std::int64_t nanoseconds(auto d) noexcept {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(d).count();
    }
    std::atomic<std::int64_t> offset_ = 0;
};

/// Reads contents while they are sent. Outlives the queue with them.
class stored_parts {
public:
    explicit stored_parts(std::string path) : path_(std::move(path)) {}

    std::string read(std::int64_t part) {
        const std::scoped_lock lock(mutex_);
        if (!read_) {
            file_.emplace(path_, SQLITE_OPEN_READONLY);
            read_.emplace(*file_, "SELECT octets FROM parts WHERE part = ?");
        }
        std::optional<std::string> found;
        read_->each(
            [&] {
                found = read_->text(0);
                return false;
            },
            part);
        if (!found) throw error(errc::changed_file, "a stored message was dropped while it was sent");
        return *std::move(found);
    }

    static source open(std::shared_ptr<stored_parts> from, std::int64_t first, std::int64_t size) {
        return source::generated(static_cast<std::uint64_t>(size), [from, first, size]() -> source::read_function {
            return [from, next = first, end = first + parts_of(size), octets = std::string(),
                    at = std::size_t{0}](std::span<char> room) mutable {
                if (at == octets.size() && next < end) {
                    octets = from->read(next++);
                    at = 0;
                }
                const auto n = octets.copy(room.data(), room.size(), at);
                at += n;
                return n;
            };
        });
    }

private:
    std::mutex mutex_;
    std::string path_;
    std::optional<database> file_;
    std::optional<statement> read_;
};

/// Where a job is in the file.
struct spot {
    std::int64_t place = 0;
    std::int64_t part = 0;  // the first of its content
    std::int64_t size = 0;
    std::int64_t submitter = 0;
    job_id whole = 0;  // of a part of a divided message
};

/// The ids of the parts of a message: from 2^62 on, where no others are, so that they are found among all. Those of
/// another message may be there, too; the `part` line of each says whose it is.
struct part_ids {
    static constexpr int bits = 20;
    explicit part_ids(job_id whole) noexcept
        : first(std::int64_t{1} << 62 | static_cast<std::int64_t>(whole * 0x9e3779b97f4a7c15u >> (2 + bits) << bits)),
          last(first + (std::int64_t{1} << bits) - 1),
          line("part " + std::to_string(whole) + ' '),
          end("part " + std::to_string(whole) + '!') {}
    std::int64_t first;
    std::int64_t last;
    std::string line;  // what their envelopes begin with
    std::string end;   // what comes behind that, in the order of octets
};

/// The statements of the queue; each is compiled once.
struct sqlite_statements {
    explicit sqlite_statements(database& f) : file(f) {}

    database& file;
    statement begin{file, "BEGIN IMMEDIATE"};
    statement commit{file, "COMMIT"};
    statement data_version{file, "PRAGMA data_version"};
    statement state{file, "SELECT epoch, jobs, place, part FROM state"};
    statement set_state{file, "UPDATE state SET epoch = ?, jobs = ?, place = ?, part = ?"};
    statement insert{
        file,
        "INSERT INTO jobs(place, state, due, class, id, submitted, deadline, submitter, part, size, facts, "
        "tenant, tag, key, envelope, progress) VALUES(?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)"};
    statement divide{
        file,
        "INSERT INTO jobs(place, state, due, class, id, submitted, deadline, submitter, part, size, facts, "
        "tenant, tag, key, envelope, progress) SELECT ?, 0, 0, class, ?, submitted, deadline, submitter, part, size, "
        "facts, tenant, tag, NULL, ?, ? FROM jobs WHERE place = ? AND state < 2"};
    statement last_id{file, "SELECT max(id) FROM jobs WHERE id BETWEEN ? AND ?"};
    statement by_whole{file,
                       "SELECT place FROM jobs WHERE id BETWEEN ? AND ? AND envelope > ? AND envelope < ? ORDER BY id"};
    statement insert_part{file, "INSERT INTO parts VALUES(?, ?)"};
    statement part{file, "SELECT octets FROM parts WHERE part = ?"};
    statement mark{file, "UPDATE jobs SET state = 1 WHERE place = ? AND state < 2"};
    statement back{file,
                   "UPDATE jobs SET state = ?, due = ?, deadline = ?, progress = ? WHERE place = ? AND state < 2"};
    statement erase_job{file, "DELETE FROM jobs WHERE place = ?"};
    statement erase_parts{file, "DELETE FROM parts WHERE part >= ? AND part < ?"};
    statement key_until{file, "SELECT until FROM keys WHERE key = ?"};
    statement set_key{file, "REPLACE INTO keys VALUES(?, ?)"};
    statement expire_keys{file, "DELETE FROM keys WHERE until <= ?"};
    statement tell{file, "REPLACE INTO outcomes SELECT id, submitter, ?, envelope, ? FROM jobs WHERE place = ?"};
    statement told{file, "SELECT id, envelope, progress FROM outcomes WHERE submitter = ?"};
    statement collect{file, "DELETE FROM outcomes WHERE id = ?"};
    statement expire_outcomes{file, "DELETE FROM outcomes WHERE at <= ?"};
    statement next_class{file, "SELECT place FROM jobs WHERE place >= ? ORDER BY place LIMIT 1"};
    statement fresh{
        file, "SELECT place FROM jobs WHERE place > ? AND place < ? AND due IS NULL AND state < 2 ORDER BY place"};
    statement delayed{file, "SELECT place, due FROM jobs WHERE class = ? AND due IS NOT NULL ORDER BY due"};
    statement row{file,
                  "SELECT state, due, class, id, submitted, deadline, submitter, part, size, facts, tenant, tag, key, "
                  "envelope, progress FROM jobs WHERE place = ?"};
    statement by_age{file, "SELECT place FROM jobs ORDER BY submitted, place"};
    statement by_id{file, "SELECT place FROM jobs WHERE id = ?"};
    statement with_id{file, "SELECT count(*) FROM jobs WHERE id = ?"};
    statement octets_in{file, "SELECT total(length(octets)) FROM parts WHERE part >= ? AND part < ?"};
    statement states{file, "SELECT place, state, due, submitted FROM jobs"};
    statement retry{file, "UPDATE jobs SET state = 0, due = 0 WHERE place = ?"};
    statement hold{file, "UPDATE jobs SET state = 2, due = NULL WHERE place = ?"};
};

/// A job as it is in the file.
struct filed_job {
    enum state : std::int64_t { waiting, sending, held, in_doubt };

    job what = {};
    spot at = {};
    std::int64_t state = waiting;
    std::optional<std::int64_t> due = {};
    content::facts facts = {};
    std::int64_t traffic_class = 0;
    std::int64_t submitted = 0;
    std::optional<std::int64_t> deadline = {};
    std::string damage = {};  // why it makes no sense, if it does not; then it has no mail
};

/// The file: what is stored, and how. Everything throws `error`: errc::storage_failed and its neighbours. For one
/// thread.
class sqlite_file {
public:
    /// What the file says of itself.
    struct counters {
        std::int64_t epoch = 0;  // of its senders
        std::int64_t jobs = 0;
        std::int64_t place = 0;  // the last that was given
        std::int64_t part = 0;   // the next to be given
        friend bool operator==(const counters&, const counters&) = default;
    };

    explicit sqlite_file(const std::string& path)
        : file_(made(path), SQLITE_OPEN_READWRITE), parts_(std::make_shared<stored_parts>(path)) {
        prepare();
        clocks.look();
        sql_ = std::make_unique<sqlite_statements>(file_);
        left_ = now_ = read_counters();
    }

    calendar clocks;

    /// Within a transaction: as they are. Outside: as they were left.
    counters& now() noexcept { return now_; }
    /// As the last transaction of this process left them.
    const counters& left() const noexcept { return left_; }
    /// What others did is taken note of.
    void noticed() noexcept { left_ = now_; }
    /// Another number than the last time: other processes wrote.
    std::int64_t version_seen() { return sql_->data_version.find().value_or(0); }

    /// All that `f` does, or nothing.
    template <class F>
    void transaction(F f) {
        try {
            sql_->begin.run();
            now_ = read_counters();
            const auto found = now_;
            f();
            if (now_ != found) sql_->set_state.run(now_.epoch, now_.jobs, now_.place, now_.part);
            sql_->commit.run();
        } catch (...) {
            // Some errors have ended it already.
            if (sqlite3_get_autocommit(file_.get()) == 0)
                sqlite3_exec(file_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
            now_ = left_;
            throw;
        }
        left_ = now_;
    }
    /// What the log holds is in the file as well after this, and its room can be used again.
    void make_room() noexcept {
        sqlite3_wal_checkpoint_v2(file_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
    }

    // ---- within a transaction

    /// Stores a job, or says why not; what keeps all jobs out is thrown. `submitter` wants to know its outcome.
    error_code insert(const job& j, std::int64_t submitter, std::chrono::seconds keys_kept, spot& at) {
        if (!j.idempotency_key.empty()) {
            if (sql_->key_until.find(j.idempotency_key).value_or(0) > clocks.now()) return errc::already_queued;
        }
        const auto known = j.mail->content.known();
        at = {.part = now_.part, .size = static_cast<std::int64_t>(known.size), .submitter = submitter};
        if (const auto ec = insert_parts(j.mail->content)) return ec;
        at.place = first_place(j.traffic_class) + ++now_.place;
        sql_->insert.run(at.place, due_of(j), j.traffic_class, j.id,
                         j.submitted == time_point::min() ? clocks.now() : clocks.stored(j.submitted), deadline_of(j),
                         at.submitter, at.part, at.size, bits_of(known), j.tenant, j.tag, j.idempotency_key,
                         queueing::written(j.mail->envelope));
        ++now_.jobs;
        // Not of one that is refused.
        if (!j.idempotency_key.empty()) {
            sql_->set_key.run(j.idempotency_key, clocks.stored(after(clock::now(), keys_kept)));
            expire_in_time();
        }
        return {};
    }
    /// Whether its message is over with it; else other parts of it are there, and need the content.
    bool erase(const spot& at) {
        if (sql_->erase_job.run(at.place) == 0) return false;
        if (at.whole != 0 && !parts_of_message(at.whole, 1).empty()) return false;
        sql_->erase_parts.run(at.part, at.part + parts_of(at.size));
        --now_.jobs;
        return true;
    }
    /// In place of the job come parts of it, with new ids; false if it is gone. They share its content, and are one
    /// message.
    bool divide(const spot& at, std::vector<job>& parts) {
        for (auto& p : parts) {
            const part_ids ids(p.whole);
            const auto id = std::max(sql_->last_id.find(ids.first, ids.last).value_or(0), ids.first) + 1;
            if (id > ids.last) file_.refuse(errc::storage_failed, "a message of it has too many parts");
            p.id = static_cast<job_id>(id);
            if (sql_->divide.run(first_place(p.traffic_class) + ++now_.place, id,
                                 written_part(p) + queueing::written(p.mail->envelope), written_progress(p),
                                 at.place) == 0)
                return false;
        }
        sql_->erase_job.run(at.place);
        return true;
    }
    // These say whether the job is there, and may be changed so.
    bool mark(std::int64_t place) { return sql_->mark.run(place) > 0; }
    bool bring_back(std::int64_t place, std::int64_t state, std::optional<std::int64_t> due,
                    std::optional<std::int64_t> deadline, const std::string& progress) {
        return sql_->back.run(state, due, deadline, progress, place) > 0;
    }
    bool retry(std::int64_t place) { return sql_->retry.run(place) > 0; }
    bool hold(std::int64_t place) { return sql_->hold.run(place) > 0; }
    /// Keeps an outcome for the process that wants to know it.
    void tell(std::int64_t place, const std::string& progress) {
        sql_->tell.run(clocks.now(), progress, place);
        expire_in_time();
    }
    void collected(job_id id) { sql_->collect.run(id); }
    /// Forgets keys whose time is over, and outcomes that nobody collected for an hour.
    void expire() {
        static constexpr std::int64_t hour = 3'600'000'000'000;
        sql_->expire_keys.run(clocks.now());
        sql_->expire_outcomes.run(clocks.now() - hour);
    }

    // ---- reading; none of these within another

    /// Outcomes that were kept for `submitter`.
    std::vector<job> told(std::int64_t submitter) {
        std::vector<job> all;
        auto& row = sql_->told;
        row.each(
            [&] {
                job j{.id = static_cast<job_id>(row.number(0))};
                try {
                    j.mail = std::make_shared<const mail_object>(mail_object{.envelope = read_envelope(row.text(1))});
                    read_part(row.text(1), j);
                    read_progress(row.text(2), j);
                } catch (const error& e) {
                    j.error = e.code();
                }
                all.push_back(std::move(j));
                return true;
            },
            submitter);
        return all;
    }
    /// The place of the first job at or behind `place`.
    std::optional<std::int64_t> next(std::int64_t place) { return sql_->next_class.find(place); }
    /// Fresh jobs of a class behind `place`, oldest first.
    std::vector<std::int64_t> fresh(std::uint8_t of, std::int64_t place, std::size_t most) {
        std::vector<std::int64_t> found;
        auto& row = sql_->fresh;
        row.each(
            [&] {
                found.push_back(row.number(0));
                return found.size() < most;
            },
            place, first_place(of + 1u));
        return found;
    }
    /// Calls `f(place, due)` for what waits for a time, the earliest first, until it returns false.
    template <class F>
    void each_delayed(std::uint8_t of, F f) {
        auto& row = sql_->delayed;
        row.each([&] { return f(row.number(0), row.number(1)); }, of);
    }
    /// Calls `f(place, state, due, submitted)` for each job.
    template <class F>
    void each_state(F f) {
        auto& row = sql_->states;
        row.each([&] {
            f(row.number(0), row.number(1), due_at(row, 2), row.number(3));
            return true;
        });
    }
    /// Those that may match, oldest first.
    std::vector<std::int64_t> places(const job_filter& which) {
        std::vector<std::int64_t> result;
        const auto read = [&](statement& s, const auto&... values) {
            s.each(
                [&] {
                    result.push_back(s.number(0));
                    return true;
                },
                values...);
        };
        if (which.whole) return parts_of_message(*which.whole);
        which.id ? read(sql_->by_id, *which.id) : read(sql_->by_age);
        return result;
    }
    std::vector<std::int64_t> parts_of_message(job_id whole, std::size_t most = std::size_t(-1)) {
        std::vector<std::int64_t> found;
        const part_ids ids(whole);
        auto& row = sql_->by_whole;
        row.each(
            [&] {
                found.push_back(row.number(0));
                return found.size() < most;
            },
            ids.first, ids.last, ids.line, ids.end);
        return found;
    }
    /// Nothing if nothing is there. Its content is read while it is sent.
    std::optional<filed_job> read(std::int64_t place) {
        std::optional<filed_job> result;
        auto& row = sql_->row;
        row.each(
            [&] {
                result = read(row, place);
                return false;
            },
            place);
        if (result) check(*result);
        return result;
    }
    /// All of a content.
    std::string octets(const spot& at) {
        std::string all;
        auto& row = sql_->part;
        for (auto part = at.part; part < at.part + parts_of(at.size); ++part)
            row.each(
                [&] {
                    all += row.text(0);
                    return false;
                },
                part);
        return all;
    }
    mail_ptr read_later(envelope e, const content::facts& facts, const spot& at) const {
        return std::make_shared<const mail_object>(
            mail_object{std::move(e), content::restored(facts, stored_parts::open(parts_, at.part, at.size))});
    }

    std::optional<std::int64_t> due_of(const job& j) const {
        return j.due == time_point::min() ? std::nullopt : std::optional(clocks.stored(j.due));
    }
    std::optional<std::int64_t> deadline_of(const job& j) const {
        return j.deadline == never ? std::nullopt : std::optional(clocks.stored(j.deadline));
    }

private:
    // What ends goes as others come: at most so many that are over are left.
    void expire_in_time() {
        static constexpr unsigned often = 1000;
        if (++since_expired_ < often) return;
        since_expired_ = 0;
        expire();
    }

    // Made here, so that it is for this user only from its first moment; SQLite gives -wal and -shm the same mode.
    static const std::string& made(const std::string& path) {
        const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
        if (fd >= 0) {
            ::fchmod(fd, S_IRUSR | S_IWUSR);
            ::close(fd);
        } else if (errno != EEXIST) {
            const auto what = errno == ENOSPC || errno == EDQUOT ? errc::storage_full : errc::storage_failed;
            throw error(what, "the queue '" + escaped(path, 1000) +
                                  "' cannot be made: " + std::generic_category().message(errno));
        }
        return path;
    }

    void prepare() {
        // What belongs to somebody else is not touched.
        const auto belongs_to = file_.number("PRAGMA application_id");
        const bool empty = file_.number("SELECT count(*) FROM sqlite_master") == 0;
        if (belongs_to != sqlite_application && !(empty && belongs_to == 0))
            file_.refuse(errc::storage_damaged, "it is a database of another program: name another file");
        if (file_.text("PRAGMA journal_mode = WAL") != "wal")
            file_.refuse(errc::storage_failed, "it cannot have a write-ahead log: put it on a disk of this machine");
        file_.execute(
            "PRAGMA synchronous = FULL; PRAGMA secure_delete = FAST; PRAGMA cache_size = -16000;"
            "PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864;");
        migrate();
    }

    void migrate() {
        const auto newest = static_cast<std::int64_t>(sqlite_migrations.size());
        if (version() != newest) make_tables(newest);
        for (const auto& [table, columns] : sqlite_tables)
            if (file_.text(
                    ("SELECT group_concat(name, ' ') FROM pragma_table_info('" + std::string(table) + "')").c_str()) !=
                columns)
                file_.refuse(errc::storage_damaged, "its table `" + std::string(table) +
                                                        "` is not one of a queue: move it away, or name another file");
        for (const auto* sql : sqlite_indexes) file_.execute(sql);
    }
    void make_tables(std::int64_t newest) {
        file_.execute("BEGIN IMMEDIATE");
        // Another process may have been faster.
        const auto found = version();
        if (found < 0 || (found == 0 && file_.number("SELECT count(*) FROM sqlite_master") > 0))
            file_.refuse(errc::storage_damaged, "it says that it has schema " + std::to_string(found) +
                                                    ", which none has: move it away, and save what is left by sqlite3");
        if (found > newest)
            file_.refuse(errc::storage_damaged, "it was written by a newer version (schema " + std::to_string(found) +
                                                    ", and this one knows " + std::to_string(newest) +
                                                    "): look after it with that version");
        for (auto v = found; v < newest; ++v) file_.execute(sqlite_migrations[static_cast<std::size_t>(v)]);
        file_.execute(("PRAGMA application_id = " + std::to_string(sqlite_application)).c_str());
        file_.execute(("PRAGMA user_version = " + std::to_string(newest)).c_str());
        file_.execute("COMMIT");
    }
    std::int64_t version() { return file_.number("PRAGMA user_version"); }

    counters read_counters() {
        counters c;
        bool found = false;
        auto& row = sql_->state;
        row.each([&] {
            c = {row.number(0), row.number(1), row.number(2), row.number(3)};
            found = true;
            return false;
        });
        if (!found) file_.refuse(errc::storage_damaged, "its table `state` is empty");
        return c;
    }

    error_code insert_parts(const content& c) {
        if (!c.streams()) {
            for (auto rest = c.text(); !rest.empty();) {
                const auto part = rest.substr(0, sqlite_part);
                sql_->insert_part.run(now_.part++, blob{part});
                rest.remove_prefix(part.size());
            }
            return {};
        }
        const auto first = now_.part;
        std::string part;
        content::reader from(c);
        for (auto next = from.peek(); !next.empty(); next = from.peek()) {
            const auto n = std::min(next.size(), sqlite_part - part.size());
            part += next.substr(0, n);
            from.consume(n);
            if (part.size() < sqlite_part && !from.peek().empty()) continue;
            sql_->insert_part.run(now_.part++, blob{part});
            part.clear();
        }
        if (from.failed()) sql_->erase_parts.run(first, now_.part);
        return from.failure();
    }

    static std::optional<std::int64_t> due_at(const statement& row, int column) {
        return row.null(column) ? std::nullopt : std::optional(row.number(column));
    }
    static std::int64_t bits_of(const content::facts& f) noexcept {
        return std::int64_t{f.eight_bit} | std::int64_t{f.eight_bit_header} << 1 | std::int64_t{f.leading_dots} << 2 |
               std::int64_t{f.binary} << 3 | static_cast<std::int64_t>(f.longest_line) << 4;
    }
    static content::facts facts_of(std::int64_t size, std::int64_t bits) noexcept {
        return {.size = static_cast<std::uint64_t>(size),
                .longest_line = static_cast<std::uint64_t>(bits >> 4),
                .eight_bit = (bits & 1) != 0,
                .eight_bit_header = (bits & 2) != 0,
                // Looked for, whatever the row says: a dot that is not doubled ends a message, and begins commands.
                .leading_dots = true,
                .binary = (bits & 8) != 0};
    }
    // As if a stranger had written it.
    void check(filed_job& r) {
        static constexpr std::int64_t year_2000 = 946'684'800'000'000'000;
        const auto found = [&](bool bad, const char* what) {
            if (!bad || !r.damage.empty()) return;
            r.damage = std::string("a stored job cannot be read: ") + what;
        };
        const auto& of = r.at;
        found(r.state < filed_job::waiting || r.state > filed_job::in_doubt, "its state is none");
        found(of.place < 0 || of.place >> 54 > 255 || r.traffic_class != of.place >> 54,
              "its class is not its place's");
        found(static_cast<std::int64_t>(r.what.id) <= 0, "its id is not positive");
        found(sql_->with_id.find(static_cast<std::int64_t>(r.what.id)) != 1, "another has the same id");
        found(r.submitted < year_2000 || (r.deadline && *r.deadline < year_2000), "its times are none");
        // Absurd ones may reach into the contents of others.
        const bool whole = of.part >= 0 && of.size >= 0 && of.size <= most_octets && of.part <= most_octets &&
                           sql_->octets_in.find(of.part, of.part + parts_of(of.size)) == of.size;
        found(!whole, "its content is not there, or not whole");
        if (!whole) r.at.size = 0;
        found(r.facts.longest_line > r.facts.size, "its longest line is longer than all of it");
        if (!r.damage.empty()) r.what.mail = {};
    }

    filed_job read(const statement& row, std::int64_t place) const {
        filed_job r{.at = {.place = place, .part = row.number(7), .size = row.number(8), .submitter = row.number(6)},
                    .state = row.number(0),
                    .due = due_at(row, 1),
                    .facts = facts_of(row.number(8), row.number(9)),
                    .traffic_class = row.number(2),
                    .submitted = row.number(4),
                    .deadline = due_at(row, 5)};
        auto& j = r.what;
        j.id = static_cast<job_id>(row.number(3));
        j.submitted = clocks.steady(row.number(4));
        if (r.due) j.due = clocks.steady(*r.due);
        if (!row.null(5)) j.deadline = clocks.steady(row.number(5));
        j.traffic_class = static_cast<std::uint8_t>(row.number(2));
        j.tenant = row.text(10);
        j.tag = row.text(11);
        j.idempotency_key = row.text(12);
        try {
            j.mail = read_later(read_envelope(row.text(13)), r.facts, r.at);
            read_part(row.text(13), j);
            r.at.whole = j.whole;
            if (!row.null(14)) read_progress(row.text(14), j);
        } catch (const error& e) {
            j.mail = {};
            r.damage = e.details().explanation;
        }
        return r;
    }

    database file_;
    std::unique_ptr<sqlite_statements> sql_;
    counters now_;
    counters left_;
    unsigned since_expired_ = 0;  // keys and outcomes
    std::shared_ptr<stored_parts> parts_;
};

}  // namespace postroad::queueing::detail
