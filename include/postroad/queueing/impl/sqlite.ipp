#pragma once

#include <postroad/core/random.hpp>
#include <postroad/queueing/division.hpp>
#include <postroad/queueing/failed.hpp>
#include <postroad/queueing/impl/sqlite_file.ipp>
#include <postroad/queueing/impl/sqlite_shelf.ipp>
#include <postroad/queueing/impl/sqlite_view.ipp>
#include <postroad/queueing/sqlite.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <filesystem>
#include <limits>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <unordered_set>

namespace postroad::queueing::detail {

/// Everything behind a queueing::sqlite. One thread of its own does all that waits for the disk; what the mailer's
/// executor calls touches memory only, but for what looks after the queue. What is in memory is on the shelf; what is
/// in the file is read and written by the thread.
class sqlite_store final : keeps_open {
public:
    explicit sqlite_store(sqlite_options o)
        : options_(checked(std::move(o))),
          file_(options_.path,
                {.keys = countable(options_.keys_kept),
                 .failed = countable(options_.kept),
                 .most_failed = static_cast<std::int64_t>(std::min(options_.capacity, most_kept)),
                 .content = options_.kept_content,
                 .journal = countable(options_.journal_kept),
                 .most_entries = static_cast<std::int64_t>(std::min(options_.journal_capacity, most_kept))}),
          view_(options_.path, file_.clocks, file_.contents()),
          lock_(options_.path + "-lock") {
        const auto no_fork = fork_register::get().hold();
        file_.open();
        if (!options_.submit_only) lock_.open();
        held_ = file_.left().jobs;
        seen_version_ = file_.version_seen();
        self_ = static_cast<std::int64_t>(postroad::detail::random_number()) + 1;
        thread_ = std::thread([this] { run(); });
        fork_register::get().add(*this);
    }
    sqlite_store(const sqlite_store&) = delete;
    sqlite_store& operator=(const sqlite_store&) = delete;
    ~sqlite_store();
    /// Whether it is of a process that this one was forked from: then there is no thread to be joined, and what waits
    /// for one would wait for ever.
    bool is_parents() const noexcept { return forked_; }

    const sqlite_options& options() const noexcept { return options_; }

    error_code enqueue(job& j) {
        {
            const std::scoped_lock lock(mutex_);
            if (stopping_) return errc::shut_down;
            if (damaged_) return errc::storage_damaged;
            const auto most = static_cast<std::int64_t>(std::min(options_.capacity, most_kept));
            if (held_ >= most && !j.reports) return errc::queue_full;
            ++held_;
        }
        // In the form that each server takes: its octets are the same in every attempt.
        if (j.mail->content.composed()) {
            try {
                error_code ec;
                auto frozen = j.mail->content.as(transfer::seven_bit, ec);
                if (!ec) j.mail = std::make_shared<const mail_object>(mail_object{j.mail->envelope, std::move(frozen)});
            } catch (...) {
                const std::scoped_lock lock(mutex_);
                leave(1);
                throw;
            }
        }
        const std::scoped_lock lock(mutex_);
        if (stopping_) {
            leave(1);
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
        poll_ = true;
        changed_.notify_one();
    }

    void lease(std::size_t n, time_point now, std::vector<job>& out) {
        const std::scoped_lock lock(mutex_);
        horizon_ = std::max(horizon_, now);
        shelf_.lease(n, out);
        if (shelf_.any_due(now)) load_ = true;
        if (load_ || shelf_.any_hungry()) changed_.notify_one();
    }

    void mark(job_id id) { change(id, {.what = change_of::mark}); }
    void settle(const job& j) {
        pending over{.what = change_of::settle, .failed = has_failed(j), .progress = written_progress(j)};
        if (file_.keeps_journal()) over.keys = keys_of(j);
        if (!change(j.id, std::move(over)) || j.whole) return;
        const std::scoped_lock lock(mutex_);
        leave(1);
    }
    void divide(job&& whole, std::vector<job>&& parts) {
        const std::scoped_lock lock(mutex_);
        auto* const known = shelf_.leased(whole.id);
        if (!known) return;
        // Who waits for a part is found by its message.
        if (!whole.whole) known->waiter = std::move(whole.waiter);
        known->recipients = whole.mail->envelope.recipients.size();
        for (auto& p : parts) p.whole = whole.whole ? whole.whole : whole.id;
        change(*known, {.what = change_of::divide, .id = whole.id, .parts = std::move(parts)});
    }
    void put_back(job&& j) {
        const auto due = file_.due_of(j).value_or(0);
        bring_back(std::move(j), filed_job::waiting, due);
    }
    void release(job&& j) { bring_back(std::move(j), filed_job::waiting, 0); }
    void keep(job&& j, job_state s) {
        bring_back(std::move(j), s == job_state::held ? filed_job::held : filed_job::in_doubt, {});
    }
    void marked(std::vector<job_id>& out) { hand_out(marked_, out); }
    void revoked(std::vector<job_id>& out) { hand_out(revoked_, out); }

    time_point next_due() const {
        const std::scoped_lock lock(mutex_);
        if (shelf_.any_ready()) return time_point::min();
        return sends_ && !load_ && !loading_ ? shelf_.earliest() : never;
    }
    std::size_t size() const {
        const std::scoped_lock lock(mutex_);
        return static_cast<std::size_t>(std::max(held_, std::int64_t{0}));
    }
    bool drained(time_point now) const {
        const std::scoped_lock lock(mutex_);
        bool idle = inbox_.empty() && reports_.empty() && changes_.empty() && !busy_ && looked_;
        if (sends_) idle = idle && !load_ && !wants_more() && !shelf_.any_ready() && shelf_.earliest() > now;
        awaited_ = awaited_ || !idle;
        return idle;
    }
    bool sends() const {
        const std::scoped_lock lock(mutex_);
        return sends_;
    }
    std::string storage_lost() const {
        {
            const std::scoped_lock lock(mutex_);
            if (!gone_.empty()) return gone_;
        }
        // It may not have been looked for since.
        return file_.is_there() ? std::string() : file_.moved();
    }

    void stop() {
        {
            const std::scoped_lock lock(mutex_);
            if (!thread_.joinable() || forked_) return;
            stopping_ = true;
            changed_.notify_one();
        }
        thread_.join();
        wake_ = {};
        shelf_.end_gatherings(errc::shut_down);
        for (auto& j : std::exchange(abandoned_, {})) tell_waiter(std::move(j), errc::shut_down);
    }

    void list(const job_filter& which, std::size_t limit, time_point now, std::vector<job_info>& out);
    stored_page page(const job_filter& which, std::size_t limit, std::int64_t after, time_point now);
    void count(time_point now, queue_counts& counts) {
        view_.count(now, leased_places(), counts);
        const std::scoped_lock lock(mutex_);
        if (!unwritten_) return;
        auto t = *unwritten_;
        t.since = std::max(now - unwritten_since_, duration::zero());
        t.waiting = static_cast<std::size_t>(std::max(held_, std::int64_t{0}));
        counts.troubles.push_back(std::move(t));
    }
    std::size_t retry_now(const job_filter& which, time_point now);
    std::size_t hold(const job_filter& which, time_point now);
    std::vector<job> drop(const job_filter& which, time_point now);
    std::uint64_t compact();
    std::vector<job> take_parts(job_id whole);
    std::vector<job> take_all(const std::vector<job_id>& ids);
    std::vector<job> overdue(const std::vector<job_id>& ids);
    std::optional<job> take(job_id id);

private:
    static constexpr std::size_t batch = 512;  // new jobs in one transaction
    static constexpr std::size_t most_kept = std::size_t{1} << 40;
    // Jobs that are looked after in one transaction, each on pages of its own in a large file; and those after which
    // one ends where somebody waits.
    static constexpr std::size_t slice = 64;
    static constexpr std::size_t least = 16;
    static constexpr std::int64_t read_at_once = 64 << 10;  // larger contents are read while they are sent
    static constexpr std::int64_t none_seen = -1;
    static constexpr auto poll_interval = std::chrono::milliseconds(200);
    static constexpr int quiet_polls = 5;  // in a row without work, before the file is tidied

    enum class change_of : unsigned char { mark, settle, back, divide, collect };
    /// What is to be written of a leased job.
    struct pending {
        change_of what = change_of::mark;
        job_id id = 0;
        spot at = {};
        std::uint64_t behind = 0;  // as many jobs as had arrived
        bool failed = false;       // of what is settled
        std::int64_t state = filed_job::waiting;
        std::optional<std::int64_t> due = {};
        std::optional<std::int64_t> deadline = {};
        std::string progress = {};
        outcome result = {};                   // the same, of what goes back, for whoever waits for it here
        std::vector<std::uint64_t> keys = {};  // of what is settled, for the journal
        std::vector<job> parts = {};
        bool took = false;     // once written: whether the job was there
        bool dropped = false;  // by somebody else, while it was leased
        bool late = false;     // of what is dropped: it was given up at its deadline
        bool gone = false;     // its message was over with it; or what was to be divided was not there
    };
    // Whose deadline has passed has failed, unless somebody wants it gone.
    enum class wish : unsigned char { of_the_engine, of_somebody };
    struct task {
        std::uint64_t behind = 0;  // as many jobs as had arrived
        std::function<void()> what = {};
    };

    static sqlite_options checked(sqlite_options o) {
        if (o.path.empty()) throw error(errc::invalid_option, "sqlite: expected the path of a file");
        if (o.capacity == 0) throw error(errc::invalid_option, "sqlite: expected a capacity of more than 0");
        // It is opened again later, whatever the working directory is then; and SQLite takes some names for more.
        o.path = made_file(std::filesystem::absolute(o.path).string(), "queue",
                           o.world_writable ? writable_by::anybody : writable_by::some);
        return o;
    }

    // Nobody keeps anything for longer than a hundred years, which nanoseconds can tell.
    static std::chrono::seconds countable(std::chrono::seconds kept) {
        return std::clamp<std::chrono::seconds>(kept, std::chrono::seconds::zero(), std::chrono::hours(24 * 36525));
    }

    static state_set not_over() { return state_set().set().reset(bit_of(job_state::failed)); }

    // ---- the thread

    void run();
    std::vector<pending> take_changes();
    void say();
    // After a failure it tries again with each poll.
    bool owes() const { return !failing_ && (!changes_.empty() || (sends_ && load_) || wants_more() || unchecked_); }
    bool wants_more() const;
    bool somebody_waits() const;

    template <class F>
    void ask(F f);

    template <class F>
    void transaction(F f);
    void notice_others();
    void resign();
    void expect_more();
    void expect_other_times();
    void leave(std::int64_t n) { held_ -= n; }
    void look_around();
    bool wants_to_send() const;
    void give_back_some();
    void become_sender();
    void check_some();
    void collect_outcomes();
    static void tell_waiter(job&& j, error_code why);
    void tell_later(job&& j, error_code why);

    // ---- when the process forks

    void rest() override { working_.lock(); }
    void close_for_fork() override;
    void forked_in_parent() override;
    void forked_in_child() override;

    // ---- writing

    /// New jobs; where they are stored, or why each is not, is written beside them.
    struct arrivals {
        std::span<job> jobs = {};
        std::span<spot> spots = {};
        std::span<error_code> refused = {};
        arrivals first(std::size_t n) const { return {jobs.first(n), spots.first(n), refused.first(n)}; }
        arrivals behind(std::size_t n) const { return {jobs.subspan(n), spots.subspan(n), refused.subspan(n)}; }
    };
    /// What came of a transaction. Less fits no better where it did not begin, since another has the file locked.
    struct attempted {
        error_code ec = {};
        std::string why = {};  // in words, of the file
        bool began = true;
        bool had_too_much() const { return ec && began; }
    };
    struct came_of {
        error_code messages = {};
        error_code changes = {};  // and reports
        std::string why = {};     // of messages
        std::string changes_why = {};
    };
    void write(std::vector<job>& jobs, std::vector<pending>& changes);
    void note_unwritten(error_code ec, const std::string& why);
    came_of write_what_fits(const arrivals& all, std::size_t n, std::vector<pending>& changes);
    void write_unreported(std::vector<pending>& changes);
    attempted attempt(const arrivals& some, std::span<pending> changes);
    bool keep_reports(std::span<job> some);
    void write_change(pending& c);
    void written(std::vector<job>& jobs, const std::vector<spot>& spots, const std::vector<error_code>& refused);
    void remember(job&& j, const spot& at);
    void written(std::vector<pending>& changes);
    void written(std::vector<pending>& changes, std::vector<job>& cancelled);
    void divided(pending& c, std::vector<job>& cancelled);

    // ---- what the executor asks for

    bool change(job_id id, pending c);
    void change(sqlite_shelf::entry& known, pending c);
    void bring_back(job&& j, std::int64_t state, std::optional<std::int64_t> due);
    void expect(const spot& at, std::int64_t due);
    void hand_out(std::vector<job_id>& from, std::vector<job_id>& out);

    // ---- looking after the queue

    bool is_leased(std::int64_t place) const;
    std::unordered_set<std::int64_t> leased_places();

    template <class F>
    void change_places(const std::vector<std::int64_t>& places, const job_filter& which, state_set states,
                       time_point now, F act, std::size_t& done);
    template <class F>
    std::size_t change_matching(const job_filter& which, state_set states, time_point now, F act);
    template <class F>
    std::size_t change_slice(std::span<const std::int64_t>& places, const job_filter& which, state_set states,
                             time_point now, F& act);
    std::vector<job> drop(const job_filter& which, state_set states, time_point now, wish by = wish::of_the_engine);
    void take_out(const filed_job& f, std::int64_t now);
    std::vector<job> drop(const std::vector<std::int64_t>& places, const job_filter& which, state_set states,
                          time_point now, wish by = wish::of_the_engine);
    std::vector<job> set_aside();
    void set_back(std::vector<job> all, const std::unordered_set<std::int64_t>& changed);

    // ---- reading

    void load();
    void discover();
    bool is_in_memory(job_id id);
    bool in_memory(std::int64_t place) const;
    std::size_t room_in(const sqlite_shelf::lane& l) const;
    bool load_delayed(std::uint8_t of, sqlite_shelf::lane& l, time_point horizon);
    bool load_fresh(std::uint8_t of, sqlite_shelf::lane& l);
    std::size_t load_some(const std::vector<std::int64_t>& places, std::int64_t* cursor = nullptr);
    void load_if_readable(std::int64_t place);
    void met(const error& e);
    void load_one(std::int64_t place);
    static void interrupt(job& j);
    void abandon();

    const sqlite_options options_;
    sqlite_file file_;  // its clocks are for all threads, the rest is the thread's
    sqlite_view view_;
    // The thread's.
    process_lock lock_;
    std::int64_t seen_version_ = none_seen;
    std::int64_t epoch_ = 0;
    std::int64_t self_ = 0;        // who submits, in the file
    int quiet_ = 0;                // polls in a row without work
    bool discover_ = true;         // there may be classes without a lane
    bool begins_ = false;          // to send, and has given out nothing yet
    bool untold_ = false;          // others may have kept outcomes for this process
    std::size_t uncollected_ = 0;  // outcomes that are to be erased, since they were told
    std::vector<job> abandoned_;
    std::vector<std::function<void()>> said_;  // to others, once nothing is under way

    std::mutex working_;  // held while the file is used; before mutex_

    mutable std::mutex mutex_;  // guards the rest
    std::condition_variable changed_;
    std::deque<job> inbox_;
    std::vector<job> reports_;  // for which there was no room
    std::deque<task> tasks_;
    std::vector<pending> changes_;
    std::uint64_t arrived_ = 0;  // jobs that ever were in the inbox
    std::uint64_t taken_ = 0;    // and are not any more
    sqlite_shelf shelf_;
    std::vector<job_id> marked_;
    std::vector<job_id> revoked_;
    std::function<void()> wake_;
    std::int64_t held_ = 0;  // less than 0 where what others stored was settled here before it was counted
    time_point horizon_ = time_point::min();                   // up to here it was asked for what is due
    std::optional<sqlite_backlog::looked_at> unchecked_ = {};  // behind this one; written by the thread
    bool sends_ = false;
    bool poll_ = false;
    bool load_ = false;
    bool loading_ = false;
    bool failing_ = false;
    std::optional<trouble> unwritten_ = {};  // nothing is sent until what became of messages can be written
    time_point unwritten_since_ = {};
    bool damaged_ = false;   // something of the file cannot be read
    std::string gone_ = {};  // why, where it is not there
    bool tell_ = false;
    bool looked_ = false;
    bool busy_ = false;
    mutable bool awaited_ = false;
    bool stopping_ = false;
    bool forked_ = false;

    std::thread thread_;
};

}  // namespace postroad::queueing::detail

#include <postroad/queueing/impl/sqlite_operations.ipp>
#include <postroad/queueing/impl/sqlite_reading.ipp>
#include <postroad/queueing/impl/sqlite_thread.ipp>
#include <postroad/queueing/impl/sqlite_writing.ipp>

namespace postroad::queueing {

inline void detail::sqlite_closer::operator()(sqlite_store* s) const noexcept {
    if (!s->is_parents()) delete s;
}
inline sqlite::sqlite(sqlite_options o) : store_(new detail::sqlite_store(std::move(o))) {}
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
inline void sqlite::divide(job&& whole, std::vector<job>&& parts) {
    store_->divide(std::move(whole), std::move(parts));
}
inline std::vector<job> sqlite::take_parts(job_id whole) { return store_->take_parts(whole); }
inline void sqlite::keep(job&& j, job_state s) { store_->keep(std::move(j), s); }
inline void sqlite::release(job&& j) { store_->release(std::move(j)); }
inline time_point sqlite::next_due() const { return store_->next_due(); }
inline std::size_t sqlite::size() const { return store_->size(); }
inline bool sqlite::drained(time_point now) const { return store_->drained(now); }
inline void sqlite::stop() { store_->stop(); }
inline std::string sqlite::storage_lost() const { return store_->storage_lost(); }
inline bool sqlite::sends() const { return store_->sends(); }
inline std::optional<job> sqlite::take(job_id id) { return store_->take(id); }
inline std::vector<job> sqlite::take_all(const std::vector<job_id>& ids) { return store_->take_all(ids); }
inline std::vector<job> sqlite::overdue(const std::vector<job_id>& ids) { return store_->overdue(ids); }
inline void sqlite::list(const job_filter& which, std::size_t limit, time_point now, std::vector<job_info>& out) const {
    store_->list(which, limit, now, out);
}
inline stored_page sqlite::page(const job_filter& which, std::size_t limit, std::int64_t after, time_point now) const {
    return store_->page(which, limit, after, now);
}
inline void sqlite::count(time_point now, queue_counts& counts) const { store_->count(now, counts); }
inline std::size_t sqlite::retry_now(const job_filter& which, time_point now) { return store_->retry_now(which, now); }
inline std::size_t sqlite::hold(const job_filter& which, time_point now) { return store_->hold(which, now); }
inline std::uint64_t sqlite::compact() { return store_->compact(); }
inline std::vector<job> sqlite::drop(const job_filter& which, time_point now) { return store_->drop(which, now); }

static_assert(durable<sqlite>);

}  // namespace postroad::queueing
