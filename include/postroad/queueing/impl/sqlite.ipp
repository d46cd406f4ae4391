#pragma once

#include <postroad/core/random.hpp>
#include <postroad/queueing/division.hpp>
#include <postroad/queueing/impl/sqlite_file.ipp>
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
#include <map>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <thread>
#include <unordered_map>
#include <unordered_set>

namespace postroad::queueing {
namespace detail {

/// Everything behind a queueing::sqlite. One thread of its own does all that waits for the disk; what the mailer's
/// executor calls touches memory only, but for what looks after the queue.
class sqlite_store final : keeps_open {
public:
    explicit sqlite_store(sqlite_options o)
        : options_(checked(std::move(o))),
          file_(options_.path, {.keys = options_.keys_kept,
                                .failed = options_.kept,
                                .most_failed = static_cast<std::int64_t>(std::min(options_.capacity, most_kept))}),
          view_(options_.path, file_.clocks, file_.contents()),
          lock_(options_.path + "-lock") {
        const auto no_fork = fork_register::get().hold();
        if (!options_.submit_only) lock_.open();
        held_ = static_cast<std::size_t>(file_.left().jobs);
        seen_version_ = file_.version_seen();
        self_ = static_cast<std::int64_t>(postroad::detail::random_number()) + 1;
        thread_ = std::thread([this] { run(); });
        fork_register::get().add(*this);
    }
    sqlite_store(const sqlite_store&) = delete;
    sqlite_store& operator=(const sqlite_store&) = delete;
    ~sqlite_store() {
        stop();
        fork_register::get().remove(*this);
    }
    /// Whether it is of a process that this one was forked from: then there is no thread to be joined, and what waits
    /// for one would wait for ever.
    bool is_parents() const noexcept { return forked_; }

    const sqlite_options& options() const noexcept { return options_; }

    error_code enqueue(job& j) {
        {
            const std::scoped_lock lock(mutex_);
            if (stopping_) return errc::shut_down;
            if (damaged_) return errc::storage_damaged;
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
        pending over{.what = change_of::settle, .failed = has_failed(j), .progress = written_progress(j)};
        if (!change(j.id, std::move(over)) || j.whole) return;
        const std::scoped_lock lock(mutex_);
        leave(1);
    }
    void divide(job&& whole, std::vector<job>&& parts) {
        const std::scoped_lock lock(mutex_);
        const auto found = known_.find(whole.id);
        if (found == known_.end() || found->second.where != location::leased) return;
        auto& known = found->second;
        // Who waits for a part is found by its message.
        if (!whole.whole) known.waiter = std::move(whole.waiter);
        known.recipients = whole.mail->envelope.recipients.size();
        for (auto& p : parts) p.whole = whole.whole ? whole.whole : whole.id;
        change(found, {.what = change_of::divide, .at = known.at, .parts = std::move(parts)});
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
            if (!thread_.joinable() || forked_) return;
            stopping_ = true;
            changed_.notify_one();
        }
        thread_.join();
        wake_ = {};
        gatherings_.end(errc::shut_down);
        for (auto& j : std::exchange(abandoned_, {})) tell_waiter(std::move(j), errc::shut_down);
    }

    void list(const job_filter& which, std::size_t limit, time_point now, std::vector<job_info>& out) {
        if (out.size() >= limit) return;
        const auto leased = leased_places();
        view_.each(
            which, now, [&](std::int64_t place) { return leased.contains(place); },
            [&](job_info&& info) {
                out.push_back(std::move(info));
                return out.size() < limit;
            });
    }
    void count(time_point now, queue_counts& counts) { view_.count(now, leased_places(), counts); }
    std::size_t retry_now(const job_filter& which, time_point now) {
        auto states = meant_by(which);
        states.reset(bit_of(job_state::waiting)).reset(bit_of(job_state::sending));
        return change_matching(which, states, now, [&](const filed_job& f) {
            return f.at.failed ? file_.begin_anew(f) : file_.retry(f.at.place);
        });
    }
    std::size_t hold(const job_filter& which, time_point now) {
        state_set states;
        states.set(bit_of(job_state::waiting)).set(bit_of(job_state::delayed));
        return change_matching(which, states & meant_by(which), now,
                               [&](const filed_job& f) { return file_.hold(f.at.place); });
    }
    std::vector<job> drop(const job_filter& which, time_point now) { return drop(which, meant_by(which), now); }
    std::vector<job> take_parts(job_id whole) {
        try {
            return drop({.whole = whole}, not_over(), time_point{});
        } catch (const error&) {
            return {};  // they stay where they are
        }
    }
    std::vector<job> take_all(const std::vector<job_id>& ids) {
        try {
            (void)leased_places();
            return drop(view_.places(ids), {}, not_over(), time_point{});
        } catch (const error&) {
            return {};  // they stay where they are
        }
    }
    std::optional<job> take(job_id id) {
        {
            const std::scoped_lock lock(mutex_);
            const auto found = known_.find(id);
            if (found != known_.end() && found->second.where == location::leased) return {};
        }
        try {
            auto found = drop({.id = id}, not_over(), time_point{});
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
    static constexpr std::size_t most_kept = std::size_t{1} << 40;
    static constexpr std::size_t slice = 256;               // jobs that are looked after in one transaction
    static constexpr std::int64_t read_at_once = 64 << 10;  // larger contents are read while they are sent
    static constexpr auto poll_interval = std::chrono::milliseconds(200);

    enum class location : unsigned char { file, ready, leased, leaving };
    /// What is remembered of a job: of those in memory, and of those that this process waits for.
    struct entry {
        spot at = {};
        location where = location::file;
        mail_ptr mail = {};      // of those in the file, if it is cached
        std::size_t cached = 0;  // what its mail takes of the cache
        std::unique_ptr<postroad::waiter> waiter = {};
        std::size_t recipients = 0;  // of those that are waited for
    };
    using entries = std::unordered_map<job_id, entry>;
    /// The jobs of one class of traffic.
    struct lane {
        std::deque<job> ready = {};
        std::int64_t cursor = 0;      // fresh jobs up to here were read
        bool more = true;             // there may be fresh ones behind it in the file
        time_point earliest = never;  // of those that wait for a time and are not in memory
    };
    enum class change_of : unsigned char { mark, settle, back, divide, collect };
    /// What is to be written of a leased job.
    struct pending {
        change_of what = change_of::mark;
        job_id id = 0;
        spot at = {};
        bool failed = false;  // of what is settled
        std::int64_t state = filed_job::waiting;
        std::optional<std::int64_t> due = {};
        std::optional<std::int64_t> deadline = {};
        std::string progress = {};
        std::vector<job> parts = {};
        bool took = false;  // once written: whether the job was there
        bool gone = false;  // a part was the last of its message; or what was to be divided was not there
    };
    struct task {
        std::uint64_t behind = 0;  // as many jobs as had arrived
        std::function<void()> what = {};
    };

    static sqlite_options checked(sqlite_options o) {
        if (o.path.empty()) throw error(errc::invalid_option, "sqlite: expected the path of a file");
        if (o.capacity == 0) throw error(errc::invalid_option, "sqlite: expected a capacity of more than 0");
        // It is opened again later, whatever the working directory is then; and SQLite takes some names for more.
        o.path = sqlite_schema::made(std::filesystem::absolute(o.path).string());
        return o;
    }

    // Not all got it, and nobody wanted it so.
    static bool has_failed(const job& j) {
        if (j.result.all_accepted() || j.error == errc::cancelled || j.error == errc::shut_down) return false;
        return j.error || !j.result.recipients.empty();
    }
    static state_set not_over() { return state_set().set().reset(bit_of(job_state::failed)); }

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

            {
                const std::scoped_lock work(working_);
                if (file_.clocks.look()) expect_other_times();
                if (poll && !last) look_around();
                write(jobs, changes);
                for (const auto& t : tasks) t.what();
                if (!last) check_some();
            }
            say();
            if (!last) {
                const std::scoped_lock work(working_);
                load();
            }

            lock.lock();
            busy_ = false;
            changes_.insert(changes_.begin(), std::make_move_iterator(changes.begin()),
                            std::make_move_iterator(changes.end()));
            const bool awaited = std::exchange(awaited_, false);
            if ((std::exchange(tell_, false) || awaited) && wake_) {
                lock.unlock();
                wake_();
                lock.lock();
            }
        }
        lock.unlock();
        const std::scoped_lock work(working_);
        abandon();
        lock_.give_back();
    }
    // Whoever is called may do what he likes, and wait for what forks.
    void say() {
        for (auto& f : std::exchange(said_, {})) f();
    }
    // After a failure it tries again with each poll.
    bool owes() const { return !failing_ && (!changes_.empty() || (sends_ && load_) || wants_more() || unchecked_); }
    bool wants_more() const {
        return sends_ && std::ranges::any_of(lanes_, [](const auto& l) { return hungry(l.second); });
    }
    static bool hungry(const lane& l) { return l.more && l.ready.size() < low_water; }
    bool any_ready() const {
        return std::ranges::any_of(lanes_, [](const auto& l) { return !l.second.ready.empty(); });
    }
    time_point earliest() const {
        auto first = never;
        for (const auto& [of, l] : lanes_) first = std::min(first, l.earliest);
        return first;
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

    template <class F>
    void transaction(F f) {
        file_.transaction([&] {
            notice_others();
            f();
        });
    }
    // What other processes wrote since the last transaction.
    void notice_others() {
        const std::scoped_lock lock(mutex_);
        const auto& now = file_.now();
        const auto& left = file_.left();
        if (now.jobs < left.jobs)
            leave(static_cast<std::size_t>(left.jobs - now.jobs));
        else
            held_ += static_cast<std::size_t>(now.jobs - left.jobs);
        if (now.place != left.place) expect_more();
        if (sends_ && now.epoch != epoch_) resign();
        file_.noticed();
    }
    // Somebody else sends: what is leased here is theirs.
    void resign() {
        sends_ = false;
        unchecked_.reset();
        lock_.give_back();
        for (auto& [of, l] : lanes_)
            for (auto& j : std::exchange(l.ready, {})) leave_in_file(std::move(j));
    }
    // It is in the file only; here is known who waits for it.
    void leave_in_file(job&& j) {
        auto& known = known_.at(j.id);
        in_memory_.erase(known.at.place);
        known.where = location::file;
        known.waiter = std::move(j.waiter);
        if (known.cached > 0) known.mail = std::move(j.mail);
    }
    void expect_more() {
        discover_ = load_ = true;
        for (auto& [of, l] : lanes_) l.more = true;
    }
    // What waits for a time may be due now.
    void expect_other_times() {
        const std::scoped_lock lock(mutex_);
        load_ = true;
    }
    void leave(std::size_t n) { held_ -= std::min(held_, n); }

    // What others may have done: they ended, or wrote to the file.
    void look_around() {
        try {
            const bool begins = wants_to_send() && lock_.take();
            if (begins) become_sender();
            const auto version = file_.version_seen();
            const bool changed = std::exchange(seen_version_, version) != version;
            if (changed) collect_outcomes();
            if (sends() && file_.any_over()) transaction([&] { file_.expire(); });
            const std::scoped_lock lock(mutex_);
            if (changed) expect_more();
            // Room may have come for those who wait for it.
            tell_ = tell_ || changed || begins;
            looked_ = looked_ || wake_;
        } catch (const error& e) {
            // Whoever wants something of the file is told.
            met(e);
        }
    }
    bool wants_to_send() const {
        const std::scoped_lock lock(mutex_);
        return wake_ && !options_.submit_only && !sends_;
    }

    void become_sender() {
        try {
            transaction([&] {
                ++file_.now().epoch;
                file_.expire();
            });
        } catch (...) {
            lock_.give_back();
            throw;
        }
        const std::scoped_lock lock(mutex_);
        unchecked_ = std::numeric_limits<std::int64_t>::min();
        epoch_ = file_.left().epoch;
        sends_ = true;
        lanes_.clear();
        expect_more();
    }

    // A sender looks once whether each job will be found, some at a time, beside its work.
    void check_some() {
        static constexpr std::size_t some = 200;
        auto place = unchecked_;
        if (!place) return;
        try {
            if (!file_.well_kept(place, some))
                throw error(errc::storage_damaged, "a job is in the file, and not where it is looked for");
        } catch (const error& e) {
            met(e);
            place.reset();
        }
        const std::scoped_lock lock(mutex_);
        unchecked_ = place;
    }
    // Who waits here for a message of which there are parts.
    std::shared_ptr<gathering> gathering_of(job_id whole) {
        if (auto found = gatherings_.find(whole)) return found;
        const auto known = known_.find(whole);
        if (known == known_.end() || !known->second.waiter) return {};
        job named{.mail = std::move(known->second.mail)};
        name_recipients(named);
        named.result.recipients.resize(known->second.recipients);
        auto made = gatherings_.add(whole, std::move(known->second.waiter), std::move(named.result.recipients));
        forget(known);
        return made;
    }
    // The sender of another process has kept what became of jobs of this one.
    void collect_outcomes() {
        for (auto& j : file_.told(self_)) {
            std::shared_ptr<gathering> all;
            {
                const std::scoped_lock lock(mutex_);
                changes_.push_back({.what = change_of::collect, .id = j.id});
                if (const auto found = known_.find(j.id); found != known_.end()) {
                    j.waiter = std::move(found->second.waiter);
                    forget(found);
                } else if (j.whole) {
                    all = gathering_of(j.whole);
                }
            }
            if (!j.waiter && !all) continue;
            said_.push_back([what = std::make_shared<job>(std::move(j)), all] {
                if (what->waiter)
                    what->waiter->complete(what->error, std::move(what->result));
                else
                    all->add(what->places, what->error, std::move(what->result));
            });
        }
    }
    // It was not sent here.
    static void tell_waiter(job&& j, error_code why) {
        if (!j.waiter) return;
        name_recipients(j);
        j.result.details.where = phase::queued;
        j.waiter->complete(why, std::move(j.result));
    }

    void tell_later(job&& j, error_code why) {
        if (!j.waiter) return;
        said_.push_back([what = std::make_shared<job>(std::move(j)), why] { tell_waiter(std::move(*what), why); });
    }

    // ---- when the process forks

    void rest() override { working_.lock(); }
    void close_for_fork() override {
        mutex_.lock();
        view_.close();
        file_.close();
    }
    void forked_in_parent() override {
        view_.open();
        mutex_.unlock();
        working_.unlock();
    }
    // The lock on -lock is the parent's alone, whatever becomes of this process.
    void forked_in_child() override {
        lock_.give_back();
        forked_ = stopping_ = true;
        sends_ = false;
        forked_in_parent();
    }

    // ---- writing

    void write(std::vector<job>& jobs, std::vector<pending>& changes) {
        std::vector<spot> spots(jobs.size());
        std::vector<error_code> refused(jobs.size());
        const auto attempt = [&](std::span<job> some, std::span<pending> others) -> error_code {
            if (some.empty() && others.empty()) return {};
            try {
                transaction([&] {
                    for (auto& c : others) write_change(c);
                    for (std::size_t i = 0; i < some.size(); ++i)
                        refused[i] = file_.insert(some[i], some[i].waiter ? self_ : 0, spots[i]);
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
            // What ends jobs may fit where a message does not.
            changes_ec = attempt({}, changes);
            ec = attempt(jobs, {});
        }
        if (ec || changes_ec) file_.make_room();
        {
            const std::scoped_lock lock(mutex_);
            failing_ = static_cast<bool>(changes_ec);
        }
        if (!changes_ec) written(changes);
        written(jobs, spots, refused, ec);
    }

    void write_change(pending& c) {
        if (c.what == change_of::collect) return file_.collected(c.id);
        // A sender that is none any more changes nothing.
        c.took = sends();
        if (!c.took) return;
        const auto place = c.at.place;
        if (c.what == change_of::mark) {
            c.took = file_.mark(place);
            return;
        }
        if (c.what == change_of::divide) {
            c.took = file_.divide(c.at, c.parts);
            c.gone = !c.took;
            return;
        }
        const bool over = c.what == change_of::settle;
        const bool awaited_elsewhere = c.at.submitter != 0 && c.at.submitter != self_;
        if (awaited_elsewhere && (over || c.state == filed_job::in_doubt)) file_.tell(place, c.progress);
        if (over)
            c.gone = (c.failed ? file_.fail(c.at, c.progress) : file_.erase(c.at)) && c.at.whole != 0;
        else
            c.took = file_.bring_back(place, c.state, c.due, c.deadline, c.progress);
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
                leave(1);
                failed.emplace_back(std::move(j), why);
            }
        }
        for (auto& [j, why] : failed) tell_later(std::move(j), why);
        for (auto& [stored, why] : answers) said_.push_back([f = std::move(stored), ec = why] { f(ec); });
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
            if (known.cached == 0) j.mail = file_.read_later(j.mail->envelope, j.mail->content.known(), at);
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
        known.recipients = j.mail->envelope.recipients.size();
        if (known.cached > 0) known.mail = std::move(j.mail);
        known.waiter = std::move(j.waiter);
        known_.insert_or_assign(j.id, std::move(known));
    }

    void written(std::vector<pending>& changes) {
        std::vector<job> cancelled;
        written(changes, cancelled);
        for (auto& j : cancelled) tell_later(std::move(j), errc::cancelled);
    }
    void written(std::vector<pending>& changes, std::vector<job>& cancelled) {
        const std::scoped_lock lock(mutex_);
        for (auto& c : changes) {
            if (c.what == change_of::collect) continue;
            if (c.what == change_of::divide) {
                divided(c, cancelled);
                continue;
            }
            if (c.gone) {
                leave(1);
                tell_ = true;
            }
            tell_ = tell_ || c.what == change_of::mark || c.due;
            if (c.due) expect(c);
            if (c.what == change_of::mark) (c.took ? marked_ : revoked_).push_back(c.id);
            if (c.what == change_of::mark && c.took) continue;
            in_memory_.erase(c.at.place);
            const auto found = known_.find(c.id);
            if (found == known_.end()) continue;
            auto& known = found->second;
            if (c.what == change_of::back && (known.waiter || known.mail))
                known.where = location::file;
            else
                forget(found);
        }
        changes.clear();
    }
    // Its parts come by load(); who waits for it here is remembered.
    void divided(pending& c, std::vector<job>& cancelled) {
        in_memory_.erase(c.at.place);
        load_ = tell_ = true;
        const auto found = known_.find(c.id);
        if (found == known_.end()) return;
        auto& known = found->second;
        known.where = location::file;
        if (c.gone) {
            // Somebody else dropped it, or holds it.
            if (known.waiter) {
                auto& j = cancelled.emplace_back();
                j.result.recipients.resize(known.recipients);
                for (const auto& p : c.parts)
                    for (std::size_t i = 0; i < p.places.size(); ++i)
                        j.result.recipients[p.places[i]].address = p.mail->envelope.recipients[i].str();
                j.waiter = std::move(known.waiter);
            }
        } else if (c.took && known.cached > 0) {
            const auto each = known.cached / c.parts.size() + 1;
            for (auto& p : c.parts) {
                cached_ += each;
                known_.insert_or_assign(p.id, entry{.mail = std::move(p.mail), .cached = each});
            }
        }
        // Inserting may have moved the others.
        if (const auto whole = known_.find(c.id); !whole->second.waiter) forget(whole);
    }
    void forget(entries::iterator found) {
        cached_ -= found->second.cached;
        known_.erase(found);
    }

    // ---- what the executor asks for

    // Whether it is a leased job, which alone can be changed.
    bool change(job_id id, pending c) {
        const std::scoped_lock lock(mutex_);
        const auto found = known_.find(id);
        if (found == known_.end() || found->second.where != location::leased) return false;
        c.at = found->second.at;
        change(found, std::move(c));
        return true;
    }
    void change(entries::iterator found, pending c) {
        c.id = found->first;
        if (c.what != change_of::mark) found->second.where = location::leaving;
        changes_.push_back(std::move(c));
        changed_.notify_one();
    }
    void bring_back(job&& j, std::int64_t state, std::optional<std::int64_t> due) {
        pending c{.what = change_of::back,
                  .state = state,
                  .due = due,
                  .deadline = file_.deadline_of(j),
                  .progress = written_progress(j)};
        const std::scoped_lock lock(mutex_);
        const auto found = known_.find(j.id);
        if (found == known_.end() || found->second.where != location::leased) return;
        auto& known = found->second;
        known.waiter = std::move(j.waiter);
        if (known.cached > 0) known.mail = std::move(j.mail);
        c.at = known.at;
        if (c.due) expect(c);
        change(found, std::move(c));
    }
    void expect(const pending& c) {
        const auto l = lanes_.find(class_at(c.at.place));
        if (l != lanes_.end()) l->second.earliest = std::min(l->second.earliest, file_.clocks.steady(*c.due));
    }
    void hand_out(std::vector<job_id>& from, std::vector<job_id>& out) {
        const std::scoped_lock lock(mutex_);
        out.insert(out.end(), from.begin(), from.end());
        from.clear();
    }

    // ---- looking after the queue

    bool is_leased(std::int64_t place) const {
        const std::scoped_lock lock(mutex_);
        const auto found = in_memory_.find(place);
        return found != in_memory_.end() && known_.at(found->second).where != location::ready;
    }
    // Of jobs for which the dispatcher answers. All that was asked for before is in the file.
    std::unordered_set<std::int64_t> leased_places() {
        std::unique_lock lock(mutex_);
        if (stopping_) throw error(errc::shut_down, "the queue was stopped");
        if (busy_ || !inbox_.empty() || !changes_.empty()) {
            lock.unlock();
            ask([] {});
            lock.lock();
        }
        std::unordered_set<std::int64_t> places;
        for (const auto& [place, id] : in_memory_)
            if (known_.at(id).where != location::ready) places.insert(place);
        return places;
    }

    // Calls `act` for those of the places that are in these states, match and are not leased. Some at a time, so that
    // others get their turn; `done`, for how many it was true, grows with each time, whatever comes of the next.
    template <class F>
    void change_places(const std::vector<std::int64_t>& places, const job_filter& which, state_set states,
                       time_point now, F act, std::size_t& done) {
        for (std::size_t at = 0; at < places.size(); at += slice) {
            const auto some = std::span(places).subspan(at, std::min(slice, places.size() - at));
            ask([&] { done += change_slice(some, which, states, now, act); });
        }
    }
    template <class F>
    std::size_t change_matching(const job_filter& which, state_set states, time_point now, F act) {
        std::size_t done = 0;
        (void)leased_places();
        change_places(view_.places(which, states, now), which, states, now, std::move(act), done);
        return done;
    }
    template <class F>
    std::size_t change_slice(std::span<const std::int64_t> places, const job_filter& which, state_set states,
                             time_point now, F& act) {
        std::unordered_set<std::int64_t> changed;
        std::int64_t more = 0;
        auto aside = set_aside();
        try {
            transaction([&] {
                const auto had = file_.now().jobs;
                for (const auto place : places) {
                    if (is_leased(place)) continue;
                    auto found = file_.read(place);
                    if (!found) continue;
                    const auto info = file_.info(*found, now);
                    if (info.state == job_state::sending || !states.test(bit_of(info.state))) continue;
                    if (which.matches(info) && act(*found)) changed.insert(place);
                }
                more = file_.now().jobs - had;
            });
        } catch (...) {
            set_back(std::move(aside), {});
            throw;
        }
        set_back(std::move(aside), changed);
        const std::scoped_lock lock(mutex_);
        more < 0 ? leave(static_cast<std::size_t>(-more)) : void(held_ += static_cast<std::size_t>(more));
        return changed.size();
    }
    std::vector<job> drop(const job_filter& which, state_set states, time_point now) {
        (void)leased_places();
        return drop(view_.places(which, states, now), which, states, now);
    }
    std::vector<job> drop(const std::vector<std::int64_t>& places, const job_filter& which, state_set states,
                          time_point now) {
        std::vector<job> dropped;
        std::size_t done = 0;
        const auto erase = [&](filed_job& f) {
            (void)file_.erase(f.at);
            dropped.push_back(std::move(f.what));
            return true;
        };
        try {
            change_places(places, which, states, now, erase, done);
        } catch (const error&) {
            // Those of the slices before are gone, and somebody may wait for them.
            if (done == 0) throw;
            dropped.erase(dropped.begin() + static_cast<std::ptrdiff_t>(done), dropped.end());
        }
        const std::scoped_lock lock(mutex_);
        for (auto& j : dropped) {
            const auto found = known_.find(j.id);
            // One that makes no sense may have the id of another.
            if (found == known_.end() || found->second.where != location::file) continue;
            j.waiter = std::move(found->second.waiter);
            if (found->second.mail) j.mail = std::move(found->second.mail);
            forget(found);
        }
        return dropped;
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
            if (!changed.contains(known_.at(j.id).at.place))
                lanes_[j.traffic_class].ready.push_back(std::move(j));
            else
                leave_in_file(std::move(j));
        }
        loading_ = false;
        load_ = tell_ = true;
    }

    // ---- reading

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
                load_fresh(of, l);
            }
        } catch (const error& e) {
            failed = true;
            met(e);
        }
        const std::scoped_lock lock(mutex_);
        loading_ = false;
        tell_ = true;
        if (failed) load_ = failing_ = true;
    }
    // The lanes of what is there. Only this thread adds some.
    void discover() {
        for (unsigned of = 0; of < 256; ++of) {
            const auto next = file_.next(first_place(of));
            if (!next) break;
            of = class_at(*next);
            const std::scoped_lock lock(mutex_);
            const auto [found, is_new] = lanes_.try_emplace(class_at(*next));
            if (is_new) found->second.cursor = first_place(of) - 1;
        }
        discover_ = false;
    }
    bool is_in_memory(job_id id) const {
        const std::scoped_lock lock(mutex_);
        const auto found = known_.find(id);
        return found != known_.end() && found->second.where != location::file;
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
        // What is due at once has 0, and comes before what is fresh also when nobody has asked yet.
        const auto until = std::max(file_.clocks.stored(horizon), std::int64_t{0});
        auto earliest = never;
        std::vector<std::int64_t> due;
        file_.each_delayed(of, [&](std::int64_t place, std::int64_t when) {
            if (in_memory(place)) return true;
            if (when > until || due.size() == room) {
                earliest = file_.clocks.steady(when);
                return false;
            }
            due.push_back(place);
            return true;
        });
        for (const auto place : due) load_if_readable(place);
        const std::scoped_lock lock(mutex_);
        l.earliest = earliest;
        for (const auto& c : changes_)
            if (c.due && class_at(c.at.place) == of) expect(c);
    }
    void load_fresh(std::uint8_t of, lane& l) {
        const auto room = room_in(l);
        {
            const std::scoped_lock lock(mutex_);
            if (!hungry(l)) return;
        }
        const auto last = file_.left().place;
        const auto found = file_.fresh(of, l.cursor, room);
        for (const auto place : found) {
            load_if_readable(place);
            // Should the next one fail, this one does not come again.
            const std::scoped_lock lock(mutex_);
            l.cursor = place;
        }
        const std::scoped_lock lock(mutex_);
        l.more = found.size() == room;
        // What is held or over in front of those to come is not walked past again.
        if (!l.more) l.cursor = std::max(l.cursor, first_place(of) + last);
    }
    // What cannot be read does not stop the others, and nobody is told that all is well.
    void load_if_readable(std::int64_t place) {
        try {
            if (!in_memory(place)) load_one(place);
        } catch (const error& e) {
            if (e.code() != errc::storage_damaged) throw;
            met(e);
        }
    }
    void met(const error& e) {
        const std::scoped_lock lock(mutex_);
        if (e.code() == errc::storage_damaged) damaged_ = tell_ = true;
    }
    void load_one(std::int64_t place) {
        auto found = file_.read(place);
        if (!found) return;
        // What makes no sense is put where somebody will see it.
        if (!found->damage.empty()) return transaction([&] { file_.hold(place); });
        auto& j = found->what;
        // Another has its id, since it was stored from memory.
        if (is_in_memory(j.id)) return transaction([&] { file_.hold(place); });
        if (found->state == filed_job::sending) interrupt(j);
        const auto size = static_cast<std::size_t>(found->at.size);
        entry known{.at = found->at, .where = location::ready};
        bool to_cache = false;
        {
            const std::scoped_lock lock(mutex_);
            if (const auto remembered = known_.find(j.id); remembered != known_.end()) {
                j.waiter = std::move(remembered->second.waiter);
                known.cached = remembered->second.cached;
                if (remembered->second.mail) j.mail = std::move(remembered->second.mail);
            }
            if (j.whole && !j.waiter)
                if (const auto all = gathering_of(j.whole)) j.waiter = all->part(j.places);
            to_cache = known.cached == 0 && found->at.size <= read_at_once && cached_ + size <= cache;
            if (to_cache) cached_ += known.cached = size;
        }
        if (to_cache) {
            try {
                j.mail = std::make_shared<const mail_object>(mail_object{
                    j.mail->envelope, content::restored(found->facts, source::memory(file_.octets(found->at)))});
            } catch (const error& e) {
                if (e.code() != errc::storage_damaged) throw;
                transaction([&] { file_.hold(place); });
                throw;
            }
        }
        const std::scoped_lock lock(mutex_);
        known_.insert_or_assign(j.id, std::move(known));
        in_memory_.emplace(place, j.id);
        // What waited for a time goes before what is fresh.
        auto& ready = lanes_[j.traffic_class].ready;
        const auto waited = [](const job& other) { return other.due != time_point::min(); };
        const auto at = waited(j) ? std::ranges::partition_point(ready, waited) : ready.end();
        ready.insert(at, std::move(j));
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
        const std::scoped_lock lock(mutex_);
        for (auto& [of, l] : lanes_)
            for (auto& j : l.ready)
                if (j.waiter) abandoned_.push_back(std::move(j));
        for (auto& [id, known] : known_) {
            if (!known.waiter) continue;
            job j{.id = id, .mail = known.mail};
            try {
                if (auto found = file_.read(known.at.place)) j = std::move(found->what);
            } catch (const error&) {
                // Then its recipients may not be named.
            }
            j.waiter = std::move(known.waiter);
            abandoned_.push_back(std::move(j));
        }
        lanes_.clear();
        known_.clear();
        sends_ = false;
    }

    const sqlite_options options_;
    sqlite_file file_;  // its clocks are for all threads, the rest is the thread's
    sqlite_view view_;
    // The thread's.
    process_lock lock_;
    std::int64_t seen_version_ = 0;
    std::int64_t epoch_ = 0;
    std::int64_t self_ = 0;  // who submits, in the file
    bool discover_ = true;   // there may be classes without a lane
    std::vector<job> abandoned_;
    std::vector<std::function<void()>> said_;  // to others, once nothing is under way

    std::mutex working_;  // held while the file is used; before mutex_

    mutable std::mutex mutex_;  // guards the rest
    std::condition_variable changed_;
    std::deque<job> inbox_;
    std::deque<task> tasks_;
    std::vector<pending> changes_;
    std::uint64_t arrived_ = 0;  // jobs that ever were in the inbox
    std::uint64_t taken_ = 0;    // and are not any more
    std::map<std::uint8_t, lane> lanes_;
    entries known_;
    std::unordered_map<std::int64_t, job_id> in_memory_;  // by place: ready, leased, leaving
    gatherings gatherings_;
    std::vector<job_id> marked_;
    std::vector<job_id> revoked_;
    std::function<void()> wake_;
    std::size_t held_ = 0;
    std::size_t cached_ = 0;
    time_point horizon_ = time_point::min();      // up to here it was asked for what is due
    std::optional<std::int64_t> unchecked_ = {};  // behind this one; written by the thread
    bool sends_ = false;
    bool poll_ = false;
    bool load_ = false;
    bool loading_ = false;
    bool failing_ = false;
    bool damaged_ = false;  // something of the file cannot be read
    bool tell_ = false;
    bool looked_ = false;
    bool busy_ = false;
    mutable bool awaited_ = false;
    bool stopping_ = false;
    bool forked_ = false;

    std::thread thread_;
};

}  // namespace detail

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
inline bool sqlite::sends() const { return store_->sends(); }
inline std::optional<job> sqlite::take(job_id id) { return store_->take(id); }
inline std::vector<job> sqlite::take_all(const std::vector<job_id>& ids) { return store_->take_all(ids); }
inline void sqlite::list(const job_filter& which, std::size_t limit, time_point now, std::vector<job_info>& out) const {
    store_->list(which, limit, now, out);
}
inline void sqlite::count(time_point now, queue_counts& counts) const { store_->count(now, counts); }
inline std::size_t sqlite::retry_now(const job_filter& which, time_point now) { return store_->retry_now(which, now); }
inline std::size_t sqlite::hold(const job_filter& which, time_point now) { return store_->hold(which, now); }
inline std::vector<job> sqlite::drop(const job_filter& which, time_point now) { return store_->drop(which, now); }

static_assert(durable<sqlite>);

}  // namespace postroad::queueing
