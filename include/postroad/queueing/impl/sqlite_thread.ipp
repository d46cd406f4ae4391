#pragma once
// The thread of a queue in a file: what comes to it, who sends, and how it comes through a fork.

#include <postroad/queueing/impl/sqlite.ipp>

namespace postroad::queueing::detail {

inline void sqlite_store::run() {
    std::unique_lock lock(mutex_);
    for (bool last = false; !last;) {
        const auto has_work = [this] { return stopping_ || poll_ || !inbox_.empty() || !tasks_.empty() || owes(); };
        if (!has_work() && !changed_.wait_for(lock, poll_interval, has_work)) poll_ = true;

        auto jobs = std::exchange(reports_, {});
        const auto kept = jobs.size();
        for (; !inbox_.empty() && jobs.size() < kept + batch; inbox_.pop_front())
            jobs.push_back(std::move(inbox_.front()));
        taken_ += jobs.size() - kept;
        auto changes = take_changes();
        std::vector<task> tasks;
        for (; !tasks_.empty() && tasks_.front().behind <= taken_; tasks_.pop_front())
            tasks.push_back(std::move(tasks_.front()));
        last = stopping_ && inbox_.empty() && tasks_.empty();
        const bool poll = std::exchange(poll_, false);
        quiet_ = poll && jobs.empty() && changes.empty() && tasks.empty() ? quiet_ + 1 : 0;
        busy_ = true;
        lock.unlock();

        {
            const std::scoped_lock work(working_);
            if (file_.clocks.look()) expect_other_times();
            if (poll && !last) look_around();
            write(jobs, changes);
            for (const auto& t : tasks) t.what();
            if (!last) collect_outcomes();
            if (!last) check_some();
            if (!last && quiet_ > quiet_polls) give_back_some();
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

// But what failed waits for the report about it, which came before.
inline std::vector<sqlite_store::pending> sqlite_store::take_changes() {
    auto all = std::exchange(changes_, {});
    if (inbox_.empty()) return all;
    const auto may_go = [this](const pending& c) { return !c.failed || c.behind <= taken_; };
    const auto others = std::stable_partition(all.begin(), all.end(), may_go);
    std::move(others, all.end(), std::back_inserter(changes_));
    all.erase(others, all.end());
    return all;
}

// Whoever is called may do what he likes, and wait for what forks.
inline void sqlite_store::say() {
    for (auto& f : std::exchange(said_, {})) f();
}

inline bool sqlite_store::wants_more() const { return sends_ && shelf_.any_hungry(); }

// What is long ends its transaction then, and goes on behind what waits.
inline bool sqlite_store::somebody_waits() const {
    const std::scoped_lock lock(mutex_);
    return !inbox_.empty() || !tasks_.empty();
}

// Runs `f` on the thread, behind all that was asked for before, and waits for it.
template <class F>
void sqlite_store::ask(F f) {
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
void sqlite_store::transaction(F f) {
    file_.transaction([&] {
        notice_others();
        f();
    });
}

// What other processes wrote since the last look.
inline void sqlite_store::notice_others() {
    const std::scoped_lock lock(mutex_);
    const auto& now = file_.now();
    const auto& left = file_.left();
    held_ += now.jobs - left.jobs;
    if (now.place != left.place) expect_more();
    if (sends_ && now.epoch != epoch_) resign();
    file_.noticed();
}

// Somebody else sends: what is leased here is theirs.
inline void sqlite_store::resign() {
    sends_ = false;
    file_.end_sending();
    unchecked_.reset();
    lock_.give_back();
    shelf_.leave_all_in_file();
}

inline void sqlite_store::expect_more() {
    discover_ = load_ = true;
    shelf_.expect_more();
}

// What waits for a time may be due now.
inline void sqlite_store::expect_other_times() {
    const std::scoped_lock lock(mutex_);
    load_ = true;
}

// What others may have done: they ended, or wrote to the file.
inline void sqlite_store::look_around() {
    {
        auto why = file_.gone();
        const std::scoped_lock lock(mutex_);
        tell_ = tell_ || why != gone_;
        gone_ = std::move(why);
    }
    try {
        const bool begins = wants_to_send() && lock_.take();
        if (begins) become_sender();
        const auto version = file_.version_seen();
        const bool changed = std::exchange(seen_version_, version) != version;
        if (changed) {
            file_.look();
            notice_others();
            untold_ = true;
        }
        static constexpr int often = 4;
        for (int i = 0; i < often && sends() && file_.any_over() && (i == 0 || !somebody_waits()); ++i)
            transaction([&] { file_.expire(); });
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

// Room in the file that nobody needs goes back to the disk while there is nothing else to do, a little at a time.
inline void sqlite_store::give_back_some() {
    try {
        if (!sends() || !file_.has_much_free()) return;
        transaction([&] { file_.shrink(); });
        if (!file_.has_much_free()) file_.make_room();
    } catch (const error& e) {
        met(e);
    }
}

inline bool sqlite_store::wants_to_send() const {
    const std::scoped_lock lock(mutex_);
    return wake_ && !options_.submit_only && !sends_;
}

inline void sqlite_store::become_sender() {
    file_.begin_sending();
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
    unchecked_.emplace();
    epoch_ = file_.left().epoch;
    sends_ = begins_ = true;
    shelf_.lanes().clear();
    expect_more();
}

// A sender looks once whether each job will be found, some at a time, beside its work.
inline void sqlite_store::check_some() {
    static constexpr std::size_t some = 50;
    auto from = unchecked_;
    if (!from) return;
    try {
        if (!file_.backlog().well_kept(from, some))
            throw error(errc::storage_damaged, "a job is in the file, and not where it is looked for");
    } catch (const error& e) {
        met(e);
        from.reset();
    }
    const std::scoped_lock lock(mutex_);
    unchecked_ = from;
}

// Another process has kept what became of jobs of this one: some of that, and none that was collected and is not erased
// yet.
inline void sqlite_store::collect_outcomes() {
    if (!untold_ || uncollected_ > 0) return;
    std::vector<job> some;
    try {
        some = file_.told(self_, slice);
    } catch (const error& e) {
        return met(e);
    }
    untold_ = some.size() == slice;
    uncollected_ = some.size();
    for (auto& j : some) {
        std::shared_ptr<gathering> all;
        {
            const std::scoped_lock lock(mutex_);
            changes_.push_back({.what = change_of::collect, .id = j.id});
            if (auto* const known = shelf_.find(j.id)) {
                j.waiter = std::move(known->waiter);
                // What is leased here is still to come back, or to be over.
                if (known->where == sqlite_shelf::location::file) shelf_.forget(j.id);
            } else if (j.whole) {
                all = shelf_.gathering_of(j.whole);
            }
        }
        if (!j.waiter && !all) continue;
        name_recipients(j);
        said_.push_back([what = std::make_shared<job>(std::move(j)), all] {
            if (what->waiter)
                what->waiter->complete(what->error, std::move(what->result));
            else
                all->add(what->places, what->error, std::move(what->result));
        });
    }
}

// It was not sent here.
inline void sqlite_store::tell_waiter(job&& j, error_code why) {
    if (!j.waiter) return;
    name_recipients(j);
    j.result.details.where = phase::queued;
    j.waiter->complete(why, std::move(j.result));
}

inline void sqlite_store::tell_later(job&& j, error_code why) {
    if (!j.waiter) return;
    said_.push_back([what = std::make_shared<job>(std::move(j)), why] { tell_waiter(std::move(*what), why); });
}

inline void sqlite_store::close_for_fork() {
    mutex_.lock();
    view_.close();
    file_.close();
    // The next connection counts anew.
    seen_version_ = none_seen;
}

inline void sqlite_store::forked_in_parent() {
    view_.open();
    mutex_.unlock();
    working_.unlock();
}

// The lock on -lock is the parent's alone, whatever becomes of this process.
inline void sqlite_store::forked_in_child() {
    lock_.give_back();
    forked_ = stopping_ = true;
    sends_ = false;
    forked_in_parent();
}

}  // namespace postroad::queueing::detail
