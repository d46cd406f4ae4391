#pragma once

#include <postroad/net/wall_clock.hpp>
#include <postroad/queueing/impl/sqlite_database.ipp>
#include <postroad/queueing/sqlite.hpp>
#include <postroad/queueing/stored_job.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <filesystem>
#include <limits>
#include <map>
#include <mutex>
#include <random>
#include <span>
#include <thread>
#include <unordered_map>
#include <unordered_set>

namespace postroad::queueing {
namespace detail {

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
inline constexpr std::int64_t sqlite_application = 0x706f7374;  // "post"
inline constexpr std::size_t sqlite_part = std::size_t{1} << 20;

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
        const auto at = nanoseconds(t.time_since_epoch());
        return at > last - offset_ ? last : at + offset_;
    }
    time_point steady(std::int64_t stored) const noexcept {
        return stored == last ? never : time_point(std::chrono::nanoseconds(stored - offset_));
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
    statement next_delayed_class{file,
                                 "SELECT class FROM jobs WHERE due IS NOT NULL AND class >= ? ORDER BY class LIMIT 1"};
    statement fresh{
        file, "SELECT place FROM jobs WHERE place > ? AND place < ? AND due IS NULL AND state < 2 ORDER BY place"};
    statement delayed{file, "SELECT place, due FROM jobs WHERE class = ? AND due IS NOT NULL ORDER BY due"};
    statement row{file,
                  "SELECT state, due, class, id, submitted, deadline, submitter, part, size, facts, tenant, tag, key, "
                  "envelope, progress FROM jobs WHERE place = ?"};
    statement by_age{file, "SELECT place FROM jobs ORDER BY submitted, place"};
    statement by_id{file, "SELECT place FROM jobs WHERE id = ?"};
    statement states{file, "SELECT place, state, due, submitted FROM jobs"};
    statement retry{file, "UPDATE jobs SET state = 0, due = 0 WHERE place = ?"};
    statement hold{file, "UPDATE jobs SET state = 2, due = NULL WHERE place = ?"};
};

/// Everything behind a queueing::sqlite. One thread of its own does all that waits for the disk; what the mailer's
/// executor calls touches memory only, but for what looks after the queue.
class sqlite_store {
public:
    explicit sqlite_store(sqlite_options o)
        : options_(checked(std::move(o))),
          file_(made(options_.path), SQLITE_OPEN_READWRITE),
          lock_(options_.path + "-lock"),
          parts_(std::make_shared<stored_parts>(options_.path)) {
        if (!options_.submit_only) lock_.open();
        prepare_file();
        clocks_.look();
        sql_ = std::make_unique<sqlite_statements>(file_);
        last_ = read_state();
        held_ = static_cast<std::size_t>(last_.jobs);
        seen_version_ = sql_->data_version.find();
        std::random_device random;
        self_ = static_cast<std::int64_t>((std::uint64_t{random()} << 31 | random()) >> 2) + 1;
        thread_ = std::thread([this] { run(); });
    }
    sqlite_store(const sqlite_store&) = delete;
    sqlite_store& operator=(const sqlite_store&) = delete;
    ~sqlite_store() { stop(); }

    const sqlite_options& options() const noexcept { return options_; }

    error_code enqueue(job& j) {
        {
            const std::scoped_lock lock(mutex_);
            if (stopping_) return errc::shut_down;
            if (held_ >= options_.capacity) return errc::queue_full;
            ++held_;
        }
        // In the form that each server takes: its octets are the same in every attempt.
        if (j.mail->content.composed()) {
            error_code ec;
            auto frozen = j.mail->content.as(transfer::seven_bit, ec);
            if (!ec) j.mail = std::make_shared<const mail_object>(mail_object{j.mail->envelope, std::move(frozen)});
        }
        const std::scoped_lock lock(mutex_);
        if (stopping_) {
            --held_;
            return errc::shut_down;
        }
        inbox_.push_back(std::move(j));
        j = {};
        ++arrived_;
        changed_.notify_one();
        return {};
    }

    void start(std::function<void()> wake) {
        const std::scoped_lock lock(mutex_);
        wake_ = std::move(wake);
        wants_to_send_ = !options_.submit_only;
        poll_ = true;
        changed_.notify_one();
    }

    void lease(std::size_t n, time_point now, std::vector<job>& out) {
        const std::scoped_lock lock(mutex_);
        horizon_ = std::max(horizon_, now);
        for (auto& [of, l] : lanes_) {
            for (; n > 0 && !l.ready.empty(); --n) {
                auto& j = l.ready.front();
                known_.at(j.id).where = location::leased;
                out.push_back(std::move(j));
                l.ready.pop_front();
            }
            if (l.ready.size() >= low_water) continue;
            if (l.earliest <= now) load_ = true;
            if (l.more || load_) changed_.notify_one();
        }
    }

    void mark(job_id id) { change(id, {.what = change_of::mark}); }
    void settle(const job& j) {
        if (!change(j.id, {.what = change_of::settle, .progress = written_progress(j)})) return;
        const std::scoped_lock lock(mutex_);
        if (held_ > 0) --held_;
    }
    void put_back(job&& j) { bring_back(std::move(j), due_of(j), waiting); }
    void release(job&& j) { bring_back(std::move(j), 0, waiting); }
    void keep(job&& j, job_state s) { bring_back(std::move(j), {}, s == job_state::held ? held : in_doubt); }

    void marked(std::vector<job_id>& out) {
        const std::scoped_lock lock(mutex_);
        out.insert(out.end(), marked_.begin(), marked_.end());
        marked_.clear();
    }
    void revoked(std::vector<job_id>& out) {
        const std::scoped_lock lock(mutex_);
        out.insert(out.end(), revoked_.begin(), revoked_.end());
        revoked_.clear();
    }

    time_point next_due() const {
        const std::scoped_lock lock(mutex_);
        if (any_ready()) return time_point::min();
        return sends_ && !load_ && !loading_ ? earliest() : never;
    }
    std::size_t size() const {
        const std::scoped_lock lock(mutex_);
        return held_;
    }
    bool drained(time_point now) const {
        const std::scoped_lock lock(mutex_);
        bool idle = inbox_.empty() && changes_.empty() && !busy_ && looked_;
        if (sends_) idle = idle && !load_ && !wants_more() && !any_ready() && earliest() > now;
        awaited_ = awaited_ || !idle;
        return idle;
    }
    bool sends() const {
        const std::scoped_lock lock(mutex_);
        return sends_;
    }

    void stop() {
        {
            const std::scoped_lock lock(mutex_);
            if (!thread_.joinable()) return;
            stopping_ = true;
            changed_.notify_one();
        }
        thread_.join();
        wake_ = {};
        for (auto& j : std::exchange(abandoned_, {})) tell_waiter(std::move(j), errc::shut_down);
    }

    void list(const job_filter& which, std::size_t limit, time_point now, std::vector<job_info>& out) {
        ask([&] {
            for (const auto place : places(which)) {
                if (out.size() >= limit) return;
                if (is_leased(place)) continue;
                if (auto info = info_at(place, now); info && which.matches(*info)) out.push_back(*std::move(info));
            }
        });
    }
    void count(time_point now, queue_counts& counts) {
        ask([&] {
            auto& row = sql_->states;
            row.each([&] {
                if (is_leased(row.number(0))) return true;
                ++counts.by_state[static_cast<std::size_t>(shown(row.number(1), due_at(row, 2), now))];
                counts.oldest = std::max(counts.oldest, now - clocks_.steady(row.number(3)));
                return true;
            });
        });
    }
    std::size_t retry_now(const job_filter& which, time_point now) {
        return change_matching(which, now, [&](std::int64_t place, const job_info& info) {
            return info.state != job_state::waiting && sql_->retry.run(place) > 0;
        });
    }
    std::size_t hold(const job_filter& which, time_point now) {
        return change_matching(which, now, [&](std::int64_t place, const job_info& info) {
            const bool kept = info.state == job_state::held || info.state == job_state::in_doubt;
            return !kept && sql_->hold.run(place) > 0;
        });
    }
    std::vector<job> drop(const job_filter& which, time_point now) {
        std::vector<job> dropped;
        change_matching(which, now, [&](std::int64_t place, const job_info&) {
            spot at;
            auto found = job_at(place, &at);
            if (!found) return false;
            erase(at);
            dropped.push_back(std::move(found->what));
            return true;
        });
        const std::scoped_lock lock(mutex_);
        for (auto& j : dropped) {
            const auto found = known_.find(j.id);
            if (found == known_.end()) continue;
            j.waiter = std::move(found->second.waiter);
            if (found->second.mail) j.mail = std::move(found->second.mail);
            forget(found);
        }
        held_ -= std::min(held_, dropped.size());
        return dropped;
    }
    std::optional<job> take(job_id id) {
        {
            const std::scoped_lock lock(mutex_);
            const auto found = known_.find(id);
            if (found != known_.end() && found->second.where == location::leased) return {};
        }
        try {
            auto found = drop({.id = id}, time_point{});
            if (!found.empty()) return std::move(found.front());
        } catch (const error&) {
            // It stays where it is.
        }
        return {};
    }

private:
    static constexpr std::size_t low_water = 512;    // fewer jobs of a class in memory: more are read
    static constexpr std::size_t high_water = 2048;  // no more of one class are kept there
    static constexpr std::size_t batch = 512;        // new jobs in one transaction
    static constexpr std::size_t cache = std::size_t{64} << 20;
    static constexpr std::int64_t read_at_once = 64 << 10;  // larger contents are read while they are sent
    static constexpr auto poll_interval = std::chrono::milliseconds(200);
    static constexpr std::int64_t hour = 3'600'000'000'000;
    // As they are stored.
    static constexpr std::int64_t waiting = 0, sending = 1, held = 2, in_doubt = 3;

    enum class location : unsigned char { file, ready, leased, leaving };
    /// What is remembered of a job: of those in memory, and of those that this process waits for.
    struct entry {
        spot at = {};
        location where = location::file;
        mail_ptr mail = {};      // of those in the file, if it is cached
        std::size_t cached = 0;  // what its mail takes of the cache
        std::unique_ptr<postroad::waiter> waiter = {};
    };
    using entries = std::unordered_map<job_id, entry>;
    struct lane {
        std::deque<job> ready = {};
        std::int64_t cursor = 0;      // fresh jobs up to here were read
        bool more = true;             // there may be fresh ones behind it in the file
        time_point earliest = never;  // of those that wait for a time and are not in memory
    };
    enum class change_of : unsigned char { mark, settle, back, collect };
    /// What is to be written of a leased job.
    struct change_entry {
        change_of what = change_of::mark;
        job_id id = 0;
        spot at = {};
        std::int64_t state = waiting;
        std::optional<std::int64_t> due = {};
        std::optional<std::int64_t> deadline = {};
        std::string progress = {};
        bool took = false;  // once written: whether the job was there
    };
    struct state_row {
        std::int64_t epoch = 0;
        std::int64_t jobs = 0;
        std::int64_t place = 0;
        std::int64_t part = 0;
        friend bool operator==(const state_row&, const state_row&) = default;
    };
    struct read_job {
        job what = {};
        std::int64_t state = waiting;
        std::optional<std::int64_t> due = {};
        content::facts facts = {};
        std::string damage = {};  // why it makes no sense, if it does not; then it has no mail
    };
    struct task {
        std::uint64_t behind = 0;  // as many jobs as had arrived
        std::function<void()> what = {};
    };

    // ---- the file

    static sqlite_options checked(sqlite_options o) {
        if (o.path.empty()) throw error(errc::invalid_option, "sqlite: expected the path of a file");
        // It is opened again later, whatever the working directory is then; and SQLite takes some names for more than that.
        o.path = std::filesystem::absolute(o.path).string();
        if (o.capacity == 0) throw error(errc::invalid_option, "sqlite: expected a capacity of more than 0");
        return o;
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

    void prepare_file() {
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
        if (version() == newest) return;
        file_.execute("BEGIN IMMEDIATE");
        // Another process may have been faster.
        const auto found = version();
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

    state_row read_state() {
        state_row s;
        auto& row = sql_->state;
        bool found = false;
        row.each([&] {
            s = {row.number(0), row.number(1), row.number(2), row.number(3)};
            found = true;
            return false;
        });
        if (!found) file_.refuse(errc::storage_damaged, "its table `state` is empty");
        return s;
    }

    // All that `f` does, or nothing.
    template <class F>
    void transaction(F f) {
        try {
            sql_->begin.run();
            state_ = read_state();
            notice_others();
            f();
            if (state_ != last_) sql_->set_state.run(state_.epoch, state_.jobs, state_.place, state_.part);
            sql_->commit.run();
            last_ = state_;
        } catch (...) {
            // Some errors have ended it already.
            if (sqlite3_get_autocommit(file_.get()) == 0)
                sqlite3_exec(file_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
            throw;
        }
    }

    // What other processes wrote since the last transaction.
    void notice_others() {
        const std::scoped_lock lock(mutex_);
        const auto now_held = static_cast<std::int64_t>(held_) + state_.jobs - last_.jobs;
        held_ = static_cast<std::size_t>(std::max<std::int64_t>(0, now_held));
        if (state_.place != last_.place) expect_more();
        if (sends_ && state_.epoch != epoch_) {
            // Somebody else sends: what is leased here is theirs.
            sends_ = false;
            lock_.give_back();
        }
        last_ = state_;
    }
    void expect_more() {
        discover_ = load_ = true;
        for (auto& [of, l] : lanes_) l.more = true;
    }

    // ---- the thread

    void run() {
        std::unique_lock lock(mutex_);
        for (bool last = false; !last;) {
            const auto has_work = [this] { return stopping_ || poll_ || !inbox_.empty() || !tasks_.empty() || owes(); };
            if (!has_work() && !changed_.wait_for(lock, poll_interval, has_work)) poll_ = true;

            std::vector<job> jobs;
            for (; !inbox_.empty() && jobs.size() < batch; inbox_.pop_front())
                jobs.push_back(std::move(inbox_.front()));
            taken_ += jobs.size();
            auto changes = std::exchange(changes_, {});
            std::vector<task> tasks;
            for (; !tasks_.empty() && tasks_.front().behind <= taken_; tasks_.pop_front())
                tasks.push_back(std::move(tasks_.front()));
            last = stopping_ && inbox_.empty() && tasks_.empty();
            const bool poll = std::exchange(poll_, false);
            busy_ = true;
            lock.unlock();

            clocks_.look();
            if (poll && !last) look_around();
            write(jobs, changes);
            for (const auto& t : tasks) t.what();
            if (!last) load();

            lock.lock();
            busy_ = false;
            changes_.insert(changes_.begin(), std::make_move_iterator(changes.begin()),
                            std::make_move_iterator(changes.end()));
            if ((std::exchange(awaited_, false) || std::exchange(tell_, false)) && wake_) {
                lock.unlock();
                wake_();
                lock.lock();
            }
        }
        abandon();
        lock_.give_back();
    }
    // After a failure it tries again with each poll.
    bool owes() const { return !failing_ && (!changes_.empty() || (sends_ && load_) || wants_more()); }
    bool wants_more() const {
        return sends_ && std::ranges::any_of(lanes_, [](const auto& l) { return hungry(l.second); });
    }
    static bool hungry(const lane& l) { return l.more && l.ready.size() < low_water; }
    time_point earliest() const {
        auto first = never;
        for (const auto& [of, l] : lanes_) first = std::min(first, l.earliest);
        return first;
    }
    bool any_ready() const {
        return std::ranges::any_of(lanes_, [](const auto& l) { return !l.second.ready.empty(); });
    }

    // Runs `f` on the thread, behind all that was asked for before, and waits for it.
    template <class F>
    void ask(F f) {
        std::mutex mutex;
        std::condition_variable changed;
        bool done = false;
        std::exception_ptr failed;
        {
            const std::scoped_lock lock(mutex_);
            if (stopping_) throw error(errc::shut_down, "the queue was stopped");
            tasks_.push_back({arrived_, [&] {
                                  try {
                                      f();
                                  } catch (...) {
                                      failed = std::current_exception();
                                  }
                                  const std::scoped_lock finished(mutex);
                                  done = true;
                                  changed.notify_one();
                              }});
            changed_.notify_one();
        }
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return done; });
        if (failed) std::rethrow_exception(failed);
    }

    // What others may have done: they ended, or wrote to the file.
    void look_around() {
        try {
            const bool wants = [this] {
                const std::scoped_lock lock(mutex_);
                return wants_to_send_ && !sends_;
            }();
            if (wants && lock_.take()) become_sender();
            const auto version = sql_->data_version.find();
            const bool changed = version != seen_version_;
            seen_version_ = version;
            if (changed) collect_outcomes();
            const std::scoped_lock lock(mutex_);
            if (changed) expect_more();
            // Room may have come for those who wait for it.
            tell_ = tell_ || changed || (wants && sends_);
            looked_ = looked_ || wake_;
        } catch (const error&) {
            // Whoever wants something of the file is told.
        }
    }

    void become_sender() {
        try {
            transaction([&] {
                const auto now = clocks_.now();
                ++state_.epoch;
                sql_->expire_keys.run(now);
                sql_->expire_outcomes.run(now - hour);
            });
        } catch (...) {
            lock_.give_back();
            throw;
        }
        const std::scoped_lock lock(mutex_);
        epoch_ = state_.epoch;
        sends_ = true;
        lanes_.clear();
        expect_more();
    }

    // The sender of another process has stored what became of jobs of this one.
    void collect_outcomes() {
        std::vector<job> over;
        auto& row = sql_->told;
        row.each(
            [&] {
                job j{.id = static_cast<job_id>(row.number(0))};
                try {
                    j.mail = std::make_shared<const mail_object>(mail_object{.envelope = read_envelope(row.text(1))});
                    read_progress(row.text(2), j);
                } catch (const error& e) {
                    j.error = e.code();
                }
                over.push_back(std::move(j));
                return true;
            },
            self_);
        for (auto& j : over) {
            {
                const std::scoped_lock lock(mutex_);
                changes_.push_back({.what = change_of::collect, .id = j.id});
                const auto found = known_.find(j.id);
                if (found == known_.end()) continue;
                j.waiter = std::move(found->second.waiter);
                forget(found);
            }
            const auto why = j.error;
            tell_waiter(std::move(j), why);
        }
    }
    static void tell_waiter(job&& j, error_code why) {
        if (!j.waiter) return;
        name_recipients(j);
        if (why == condition::limit || !j.error) j.result.details.where = phase::queued;
        j.waiter->complete(why, std::move(j.result));
    }

    // ---- writing

    void write(std::vector<job>& jobs, std::vector<change_entry>& changes) {
        std::vector<spot> spots(jobs.size());
        std::vector<error_code> refused(jobs.size());
        const auto attempt = [&](std::span<job> some, std::span<change_entry> others) -> error_code {
            if (some.empty() && others.empty()) return {};
            try {
                transaction([&] {
                    for (auto& c : others) write_change(c);
                    for (std::size_t i = 0; i < some.size(); ++i) refused[i] = insert(some[i], spots[i]);
                });
                return {};
            } catch (const error& e) {
                return e.code();
            } catch (const std::bad_alloc&) {
                return errc::storage_failed;
            }
        };
        auto ec = attempt(jobs, changes);
        auto changes_ec = ec;
        if (ec && !jobs.empty() && !changes.empty()) {
            // What ends jobs may fit where a message does not, and what is in the way of one may not be in that of
            // both.
            changes_ec = attempt({}, changes);
            ec = attempt(jobs, {});
        }
        if (ec || changes_ec) make_room();
        {
            const std::scoped_lock lock(mutex_);
            failing_ = static_cast<bool>(changes_ec);
        }
        if (!changes_ec) written(changes);
        written(jobs, spots, refused, ec);
    }

    // What the log holds is in the file as well after this, and its room can be used again.
    void make_room() { sqlite3_wal_checkpoint_v2(file_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr); }

    void write_change(change_entry& c) {
        if (c.what == change_of::collect) {
            sql_->collect.run(c.id);
            return;
        }
        // A sender that is none any more changes nothing.
        c.took = sends();
        if (!c.took) return;
        if (c.what == change_of::mark) {
            c.took = sql_->mark.run(c.at.place) > 0;
            return;
        }
        const bool over = c.what == change_of::settle;
        if ((over || c.state == in_doubt) && c.at.submitter != 0 && c.at.submitter != self_)
            sql_->tell.run(clocks_.now(), c.progress, c.at.place);
        if (over)
            erase(c.at);
        else
            c.took = sql_->back.run(c.state, c.due, c.deadline, c.progress, c.at.place) > 0;
    }
    void erase(const spot& at) {
        if (sql_->erase_job.run(at.place) == 0) return;
        sql_->erase_parts.run(at.part, at.part + parts_of(at.size));
        --state_.jobs;
    }

    // Into the file, or why not; what keeps all jobs out is thrown.
    error_code insert(job& j, spot& at) {
        if (!j.idempotency_key.empty()) {
            const auto now = clocks_.now();
            if (sql_->key_until.find(j.idempotency_key).value_or(0) > now) return errc::already_queued;
            const std::int64_t kept = std::chrono::nanoseconds(options_.keys_kept).count();
            sql_->set_key.run(j.idempotency_key, now + kept);
        }
        const auto& content = j.mail->content;
        const auto known = content.known();
        at = {.part = state_.part, .size = static_cast<std::int64_t>(known.size), .submitter = j.waiter ? self_ : 0};
        if (const auto ec = insert_parts(content)) return ec;
        at.place = first_place(j.traffic_class) + ++state_.place;
        const auto facts = std::int64_t{known.eight_bit} | std::int64_t{known.eight_bit_header} << 1 |
                           std::int64_t{known.leading_dots} << 2 | std::int64_t{known.binary} << 3 |
                           static_cast<std::int64_t>(known.longest_line) << 4;
        sql_->insert.run(at.place, due_of(j), j.traffic_class, j.id, clocks_.stored(j.submitted), deadline_of(j),
                         at.submitter, at.part, at.size, facts, j.tenant, j.tag, j.idempotency_key,
                         queueing::written(j.mail->envelope));
        ++state_.jobs;
        return {};
    }
    std::optional<std::int64_t> due_of(const job& j) const {
        return j.due == time_point::min() ? std::nullopt : std::optional(clocks_.stored(j.due));
    }
    std::optional<std::int64_t> deadline_of(const job& j) const {
        return j.deadline == never ? std::nullopt : std::optional(clocks_.stored(j.deadline));
    }

    error_code insert_parts(const content& c) {
        if (!c.streams()) {
            for (auto rest = c.text(); !rest.empty();) {
                const auto part = rest.substr(0, sqlite_part);
                sql_->insert_part.run(state_.part++, blob{part});
                rest.remove_prefix(part.size());
            }
            return {};
        }
        const auto first = state_.part;
        std::string part;
        content::reader from(c);
        for (auto next = from.peek(); !next.empty(); next = from.peek()) {
            const auto n = std::min(next.size(), sqlite_part - part.size());
            part += next.substr(0, n);
            from.consume(n);
            if (part.size() < sqlite_part && !from.peek().empty()) continue;
            sql_->insert_part.run(state_.part++, blob{part});
            part.clear();
        }
        if (from.failed()) sql_->erase_parts.run(first, state_.part);
        return from.failure();
    }

    void written(std::vector<job>& jobs, const std::vector<spot>& spots, const std::vector<error_code>& refused,
                 error_code ec) {
        std::vector<std::pair<std::function<void(error_code)>, error_code>> answers;
        std::vector<std::pair<job, error_code>> failed;
        {
            const std::scoped_lock lock(mutex_);
            for (std::size_t i = 0; i < jobs.size(); ++i) {
                auto& j = jobs[i];
                const auto why = ec ? ec : refused[i];
                if (auto stored = std::exchange(j.stored, {})) answers.emplace_back(std::move(stored), why);
                if (!why) {
                    remember(std::move(j), spots[i]);
                    continue;
                }
                if (held_ > 0) --held_;
                failed.emplace_back(std::move(j), why);
            }
        }
        for (auto& [j, why] : failed) tell_waiter(std::move(j), why);
        for (const auto& [stored, why] : answers) stored(why);
    }

    // The usual road: what was written goes on from memory, without being read.
    void remember(job&& j, const spot& at) {
        const auto [found, is_new] = lanes_.try_emplace(j.traffic_class);
        auto& l = found->second;
        if (is_new) {
            l.more = discover_;
            l.cursor = (l.more ? first_place(j.traffic_class) : at.place) - 1;
        }
        entry known{.at = at};
        if (!j.mail->content.streams() && cached_ + j.mail->content.size() <= cache) {
            known.cached = static_cast<std::size_t>(j.mail->content.size());
            cached_ += known.cached;
        }
        const bool fresh = j.due == time_point::min();
        if (sends_ && fresh && !l.more && l.ready.size() < high_water) {
            l.cursor = at.place;
            if (known.cached == 0) j.mail = read_later(j.mail->envelope, j.mail->content.known(), at);
            known.where = location::ready;
            in_memory_.emplace(at.place, j.id);
            known_.insert_or_assign(j.id, std::move(known));
            l.ready.push_back(std::move(j));
            tell_ = true;
            return;
        }
        if (fresh)
            l.more = true;
        else
            l.earliest = std::min(l.earliest, j.due);
        tell_ = tell_ || !fresh;
        if (!j.waiter && known.cached == 0) return;
        if (known.cached > 0) known.mail = std::move(j.mail);
        known.waiter = std::move(j.waiter);
        known_.insert_or_assign(j.id, std::move(known));
    }
    mail_ptr read_later(envelope e, const content::facts& facts, const spot& at) const {
        return std::make_shared<const mail_object>(
            mail_object{std::move(e), content::restored(facts, stored_parts::open(parts_, at.part, at.size))});
    }

    void written(std::vector<change_entry>& changes) {
        const std::scoped_lock lock(mutex_);
        for (const auto& c : changes) {
            if (c.what == change_of::collect) continue;
            tell_ = tell_ || c.what == change_of::mark || c.due;
            if (c.due) expect(c);
            if (c.what == change_of::mark) (c.took ? marked_ : revoked_).push_back(c.id);
            if (c.what == change_of::mark && c.took) continue;
            in_memory_.erase(c.at.place);
            const auto found = known_.find(c.id);
            if (found == known_.end()) continue;
            auto& known = found->second;
            if (c.what == change_of::back && c.took && (known.waiter || known.mail))
                known.where = location::file;
            else
                forget(found);
        }
        changes.clear();
    }
    void forget(entries::iterator found) {
        cached_ -= found->second.cached;
        known_.erase(found);
    }

    // ---- what the executor asks for

    // Whether it is a leased job, which alone can be changed.
    bool change(job_id id, change_entry c) {
        const std::scoped_lock lock(mutex_);
        const auto found = known_.find(id);
        if (found == known_.end() || found->second.where != location::leased) return false;
        change(found, std::move(c));
        return true;
    }
    void change(entries::iterator found, change_entry c) {
        c.id = found->first;
        c.at = found->second.at;
        if (c.what != change_of::mark) found->second.where = location::leaving;
        changes_.push_back(std::move(c));
        changed_.notify_one();
    }
    void expect(const change_entry& c) {
        auto& first = lanes_[class_at(c.at.place)].earliest;
        first = std::min(first, clocks_.steady(*c.due));
    }
    void bring_back(job&& j, std::optional<std::int64_t> due, std::int64_t state) {
        change_entry c{.what = change_of::back,
                       .state = state,
                       .due = state == waiting ? due.value_or(0) : due,
                       .deadline = deadline_of(j),
                       .progress = written_progress(j)};
        const std::scoped_lock lock(mutex_);
        const auto found = known_.find(j.id);
        if (found == known_.end() || found->second.where != location::leased) return;
        found->second.waiter = std::move(j.waiter);
        if (found->second.cached > 0) found->second.mail = std::move(j.mail);
        c.at = found->second.at;
        if (c.due) expect(c);
        change(found, std::move(c));
    }

    // ---- reading

    static std::optional<std::int64_t> due_at(const statement& row, int column) {
        return row.null(column) ? std::nullopt : std::optional(row.number(column));
    }

    // Nothing if nothing is there.
    std::optional<read_job> job_at(std::int64_t place, spot* where = nullptr) {
        std::optional<read_job> result;
        auto& row = sql_->row;
        row.each(
            [&] {
                const spot at{.place = place, .part = row.number(7), .size = row.number(8), .submitter = row.number(6)};
                if (where) *where = at;
                const auto bits = row.number(9);
                read_job r{.state = row.number(0),
                           .due = due_at(row, 1),
                           .facts = {.size = static_cast<std::uint64_t>(at.size),
                                     .longest_line = static_cast<std::uint64_t>(bits >> 4),
                                     .eight_bit = (bits & 1) != 0,
                                     .eight_bit_header = (bits & 2) != 0,
                                     .leading_dots = (bits & 4) != 0,
                                     .binary = (bits & 8) != 0}};
                auto& j = r.what;
                j.id = static_cast<job_id>(row.number(3));
                j.submitted = clocks_.steady(row.number(4));
                if (r.due) j.due = clocks_.steady(*r.due);
                if (!row.null(5)) j.deadline = clocks_.steady(row.number(5));
                j.traffic_class = static_cast<std::uint8_t>(row.number(2));
                j.tenant = row.text(10);
                j.tag = row.text(11);
                j.idempotency_key = row.text(12);
                try {
                    j.mail = read_later(read_envelope(row.text(13)), r.facts, at);
                    if (!row.null(14)) read_progress(row.text(14), j);
                } catch (const error& e) {
                    j.mail = {};
                    r.damage = e.details().explanation;
                }
                result = std::move(r);
                return false;
            },
            place);
        return result;
    }

    job_state shown(std::int64_t state, std::optional<std::int64_t> due, time_point now) const {
        if (state == sending) return job_state::sending;
        if (state == held) return job_state::held;
        if (state == in_doubt) return job_state::in_doubt;
        return due && clocks_.steady(*due) > now ? job_state::delayed : job_state::waiting;
    }
    std::optional<job_info> info_at(std::int64_t place, time_point now) {
        const auto found = job_at(place);
        if (!found) return {};
        auto info = describe(found->what, shown(found->state, found->due, now), now);
        if (!found->damage.empty()) info.error = found->damage;
        return info;
    }

    // Those that may match, oldest first.
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
        which.id ? read(sql_->by_id, *which.id) : read(sql_->by_age);
        return result;
    }
    bool is_leased(std::int64_t place) const {
        const std::scoped_lock lock(mutex_);
        const auto found = in_memory_.find(place);
        return found != in_memory_.end() && known_.at(found->second).where != location::ready;
    }

    // Calls `act` for those that match and are not leased, and returns for how many it was true.
    template <class F>
    std::size_t change_matching(const job_filter& which, time_point now, F act) {
        std::unordered_set<std::int64_t> changed;
        ask([&] {
            auto aside = set_aside();
            try {
                transaction([&] {
                    for (const auto place : places(which)) {
                        if (is_leased(place)) continue;
                        const auto info = info_at(place, now);
                        if (!info || info->state == job_state::sending || !which.matches(*info)) continue;
                        if (act(place, *info)) changed.insert(place);
                    }
                });
            } catch (...) {
                changed.clear();
                set_back(std::move(aside), changed);
                throw;
            }
            set_back(std::move(aside), changed);
        });
        return changed.size();
    }
    // What is in memory and not leased cannot be leased meanwhile.
    std::vector<job> set_aside() {
        const std::scoped_lock lock(mutex_);
        std::vector<job> all;
        for (auto& [of, l] : lanes_) {
            std::ranges::move(l.ready, std::back_inserter(all));
            l.ready.clear();
        }
        loading_ = true;
        return all;
    }
    void set_back(std::vector<job> all, const std::unordered_set<std::int64_t>& changed) {
        const std::scoped_lock lock(mutex_);
        for (auto& j : all) {
            auto& known = known_.at(j.id);
            if (!changed.contains(known.at.place)) {
                lanes_.at(j.traffic_class).ready.push_back(std::move(j));
                continue;
            }
            in_memory_.erase(known.at.place);
            known.where = location::file;
            known.waiter = std::move(j.waiter);
            known.mail = std::move(j.mail);
        }
        loading_ = false;
        load_ = tell_ = true;
    }

    // Jobs that are due, from the file into memory, as many as are wanted.
    void load() {
        time_point horizon;
        {
            const std::scoped_lock lock(mutex_);
            if (!sends_ || (!load_ && !wants_more())) return;
            loading_ = true;
            load_ = false;
            horizon = horizon_;
        }
        bool failed = false;
        try {
            if (discover_) discover();
            for (auto& [of, l] : lanes_) {
                load_delayed(of, l, horizon);
                if (hungry(l)) load_fresh(of, l);
            }
        } catch (const error&) {
            failed = true;
        }
        const std::scoped_lock lock(mutex_);
        loading_ = false;
        tell_ = true;
        if (failed) load_ = failing_ = true;
    }
    // The lanes of what is there. Only this thread adds some.
    void discover() {
        for (unsigned of = 0; of < 256; ++of) {
            const auto next = sql_->next_class.find(first_place(of));
            if (!next) break;
            of = static_cast<unsigned>(*next >> 54);
            const std::scoped_lock lock(mutex_);
            const auto [found, is_new] = lanes_.try_emplace(static_cast<std::uint8_t>(of));
            if (is_new) found->second.cursor = first_place(of) - 1;
        }
        discover_ = false;
    }
    bool in_memory(std::int64_t place) const {
        const std::scoped_lock lock(mutex_);
        return in_memory_.contains(place);
    }
    std::size_t room_in(const lane& l) const {
        const std::scoped_lock lock(mutex_);
        return high_water - std::min(high_water, l.ready.size());
    }

    void load_delayed(std::uint8_t of, lane& l, time_point horizon) {
        const auto room = room_in(l);
        const auto until = clocks_.stored(horizon);
        auto earliest = never;
        std::vector<std::int64_t> due;
        auto& row = sql_->delayed;
        row.each(
            [&] {
                if (in_memory(row.number(0))) return true;
                if (row.number(1) > until || due.size() == room) {
                    earliest = clocks_.steady(row.number(1));
                    return false;
                }
                due.push_back(row.number(0));
                return true;
            },
            of);
        load_all(due);
        const std::scoped_lock lock(mutex_);
        l.earliest = earliest;
        for (const auto& c : changes_)
            if (c.due && class_at(c.at.place) == of) expect(c);
    }
    void load_fresh(std::uint8_t of, lane& l) {
        const auto room = room_in(l);
        std::vector<std::int64_t> found;
        auto& row = sql_->fresh;
        row.each(
            [&] {
                found.push_back(row.number(0));
                return found.size() < room;
            },
            l.cursor, first_place(of + 1u));
        load_all(found);
        const std::scoped_lock lock(mutex_);
        l.more = found.size() == room;
        if (!found.empty()) l.cursor = found.back();
    }
    void load_all(const std::vector<std::int64_t>& all) {
        for (const auto place : all) load_one(place);
    }
    void load_one(std::int64_t place) {
        spot at;
        auto found = job_at(place, &at);
        if (!found) return;
        // What makes no sense is put where somebody will see it.
        if (!found->damage.empty()) return transaction([&] { sql_->hold.run(place); });
        auto& j = found->what;
        if (found->state == sending) interrupt(j);
        std::unique_lock lock(mutex_);
        auto& known = known_[j.id];
        known.at = at;
        j.waiter = std::move(known.waiter);
        if (known.mail) {
            j.mail = std::move(known.mail);
        } else if (at.size <= read_at_once && cached_ + static_cast<std::size_t>(at.size) <= cache) {
            cached_ += known.cached = static_cast<std::size_t>(at.size);
            lock.unlock();
            j.mail = std::make_shared<const mail_object>(
                mail_object{j.mail->envelope, content::restored(found->facts, source::memory(octets(at)))});
            lock.lock();
        }
        known.where = location::ready;
        in_memory_.emplace(place, j.id);
        lanes_[j.traffic_class].ready.push_back(std::move(j));
    }
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
    // The process that sent it ended before it could say what became of it.
    static void interrupt(job& j) {
        name_recipients(j);
        for (auto& r : j.result.recipients)
            if (r.status != status::accepted && r.status != status::rejected)
                r = {.address = std::move(r.address), .status = status::in_doubt, .where = phase::content};
        j.error = errc::in_doubt;
        j.result.details = {.where = phase::content, .explanation = "the process that sent it ended before the reply"};
        j.interrupted = true;
    }

    // Those who wait here are told that this process does not send it.
    void abandon() {
        for (auto& [of, l] : lanes_)
            for (auto& j : l.ready)
                if (j.waiter) abandoned_.push_back(std::move(j));
        for (auto& [id, known] : known_) {
            if (!known.waiter) continue;
            job j{.id = id, .mail = known.mail, .waiter = std::move(known.waiter)};
            try {
                if (auto found = job_at(known.at.place)) {
                    found->what.waiter = std::move(j.waiter);
                    j = std::move(found->what);
                }
            } catch (const error&) {
                // Then its recipients are not named.
            }
            abandoned_.push_back(std::move(j));
        }
        lanes_.clear();
        known_.clear();
        sends_ = false;
    }

    const sqlite_options options_;
    // The thread's, from its start on.
    database file_;
    process_lock lock_;
    std::unique_ptr<sqlite_statements> sql_;
    state_row state_;  // within a transaction
    state_row last_;   // at the end of the last one
    std::optional<std::int64_t> seen_version_;
    std::int64_t epoch_ = 0;
    bool discover_ = true;  // there may be classes without a line
    std::vector<job> abandoned_;

    const std::shared_ptr<stored_parts> parts_;
    calendar clocks_;
    std::int64_t self_ = 0;

    mutable std::mutex mutex_;  // guards the rest
    std::condition_variable changed_;
    std::deque<job> inbox_;
    std::deque<task> tasks_;
    std::vector<change_entry> changes_;
    std::uint64_t arrived_ = 0;  // jobs that ever were in the inbox
    std::uint64_t taken_ = 0;    // and are not any more
    std::map<std::uint8_t, lane> lanes_;
    entries known_;
    std::unordered_map<std::int64_t, job_id> in_memory_;  // by place: ready, leased, leaving
    std::vector<job_id> marked_;
    std::vector<job_id> revoked_;
    std::function<void()> wake_;
    std::size_t held_ = 0;
    std::size_t cached_ = 0;
    time_point horizon_ = time_point::min();  // up to here it was asked for what is due
    bool wants_to_send_ = false;
    bool sends_ = false;
    bool poll_ = false;
    bool load_ = false;
    bool loading_ = false;
    bool failing_ = false;
    bool tell_ = false;
    bool looked_ = false;
    bool busy_ = false;
    mutable bool awaited_ = false;
    bool stopping_ = false;

    std::thread thread_;
};

}  // namespace detail

inline sqlite::sqlite(sqlite_options o) : store_(std::make_unique<detail::sqlite_store>(std::move(o))) {}
inline sqlite::sqlite(sqlite&&) noexcept = default;
inline sqlite& sqlite::operator=(sqlite&&) noexcept = default;
inline sqlite::~sqlite() = default;
inline error_code sqlite::enqueue(job& j) { return store_->enqueue(j); }
inline queueing::when_full sqlite::full() const noexcept { return store_->options().when_full; }
inline void sqlite::start(std::function<void()> wake) { store_->start(std::move(wake)); }
inline void sqlite::lease(std::size_t n, time_point now, std::vector<job>& out) { store_->lease(n, now, out); }
inline void sqlite::mark(job_id id) { store_->mark(id); }
inline void sqlite::marked(std::vector<job_id>& out) { store_->marked(out); }
inline void sqlite::revoked(std::vector<job_id>& out) { store_->revoked(out); }
inline void sqlite::settle(const job& j) { store_->settle(j); }
inline void sqlite::put_back(job&& j) { store_->put_back(std::move(j)); }
inline void sqlite::keep(job&& j, job_state s) { store_->keep(std::move(j), s); }
inline void sqlite::release(job&& j) { store_->release(std::move(j)); }
inline time_point sqlite::next_due() const { return store_->next_due(); }
inline std::size_t sqlite::size() const { return store_->size(); }
inline bool sqlite::drained(time_point now) const { return store_->drained(now); }
inline void sqlite::stop() { store_->stop(); }
inline bool sqlite::sends() const { return store_->sends(); }
inline std::optional<job> sqlite::take(job_id id) { return store_->take(id); }
inline void sqlite::list(const job_filter& which, std::size_t limit, time_point now, std::vector<job_info>& out) const {
    store_->list(which, limit, now, out);
}
inline void sqlite::count(time_point now, queue_counts& counts) const { store_->count(now, counts); }
inline std::size_t sqlite::retry_now(const job_filter& which, time_point now) { return store_->retry_now(which, now); }
inline std::size_t sqlite::hold(const job_filter& which, time_point now) { return store_->hold(which, now); }
inline std::vector<job> sqlite::drop(const job_filter& which, time_point now) { return store_->drop(which, now); }

static_assert(durable<sqlite>);

}  // namespace postroad::queueing
