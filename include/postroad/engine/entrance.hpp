#pragma once
// Where jobs come into the queue of a mailer, on any thread.

#include <postroad/core/agenda.hpp>
#include <postroad/core/clock.hpp>
#include <postroad/core/error.hpp>
#include <postroad/core/id_map.hpp>
#include <postroad/core/random.hpp>
#include <postroad/core/thrown.hpp>
#include <postroad/queueing/policy.hpp>

#include <atomic>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <utility>

namespace postroad::engine {

/// Tells who waits for `j` that it never came into the queue.
inline void refuse(job& j, error_code ec, std::string why = {}) {
    name_recipients(j);
    j.result.details.where = phase::queued;
    j.result.details.explanation = std::move(why);
    if (j.waiter) j.waiter->complete(ec, std::move(j.result));
}

/// Where jobs come in. Thread-safe; admit() and unpark() are for the executor.
template <queueing::queueing_policy Queueing>
class entrance {
public:
    /// Told once whether a job was taken, perhaps later and on the executor.
    using answer = std::function<void(error_code)>;

    explicit entrance(Queueing& queueing) : queueing_(queueing) {}

    job_id next_id() noexcept { return ids_.fetch_add(1, std::memory_order_relaxed); }

    /// Queues a job, or completes it with the reason why not. Returns whether the mailer must look.
    bool enqueue(job&& j, answer queued) {
        auto [ec, why] = take(j, queued);
        if (ec == errc::queue_full && queueing_.full() == queueing::when_full::wait) {
            const std::scoped_lock lock(mutex_);
            const auto last = parked_.insert(parked_.end(), {std::move(j), std::move(queued)});
            by_id_[last->id] = last;
            if (last->deadline != never) deadlines_.emplace(last->deadline, last->id);
            parked_any_.store(true);
            return true;
        }
        if (ec) refuse(j, ec, std::move(why.explanation));
        if (queued) queued(ec);
        return !ec && !is_durable;
    }

    /// Lets in those who wait for room. Returns whether there were any.
    bool admit() {
        if (!parked_any_.load()) return false;
        const std::scoped_lock lock(mutex_);
        bool any = false;
        while (!parked_.empty()) {
            auto& p = parked_.front();
            auto [ec, why] = take(p.what, p.queued);
            if (ec == errc::queue_full) return any;
            any = true;
            if (ec) refuse(p.what, ec, std::move(why.explanation));
            if (p.queued) p.queued(ec);
            erase(parked_.begin());
        }
        parked_any_.store(false);
        return any;
    }

    /// Ends one that waits for room.
    void unpark(job_id id, errc why) {
        if (!parked_any_.load()) return;
        const std::scoped_lock lock(mutex_);
        if (const auto found = by_id_.find(id); found != by_id_.end()) end(found->second, why);
    }
    /// Ends those that wait for room, and whose time is over.
    void give_up(time_point now) {
        if (!parked_any_.load()) return;
        const std::scoped_lock lock(mutex_);
        while (!deadlines_.empty() && deadlines_.begin()->first <= now)
            end(by_id_.at(deadlines_.begin()->second), errc::timed_out,
                "it was given up: its time was over while it waited for room in the queue");
    }

    /// From now on nothing is taken, for this reason; that of a failure stays.
    void close(failure why = {errc::shut_down}) {
        const std::scoped_lock lock(why_mutex_);
        if (!why_.code || why.code != errc::shut_down) why_ = std::move(why);
        closed_.store(true);
    }
    bool closed() const noexcept { return closed_.load(); }

private:
    static constexpr bool is_durable = queueing::durable<Queueing>;

    struct parked {
        job what = {};
        answer queued = {};
        job_id id = what.id;  // also when the queue has taken the job
        time_point deadline = what.deadline;
    };
    using line = std::list<parked>;

    void end(typename line::iterator p, errc why, std::string text = {}) {
        refuse(p->what, why, std::move(text));
        if (p->queued) p->queued(why);
        erase(p);
    }
    void erase(typename line::iterator p) {
        by_id_.erase(p->id);
        deadlines_.erase({p->deadline, p->id});
        parked_.erase(p);
    }

    // Into the queue, unless it says why not. A durable one calls `queued` itself, once the job is stored; then it is
    // empty here.
    failure take(job& j, answer& queued) {
        if (closed()) {
            const std::scoped_lock lock(why_mutex_);
            return why_;
        }
        if constexpr (is_durable)
            return store(j, queued);
        else
            return j.idempotency_key.empty() ? ask(j) : keeps_no_keys();
    }
    failure store(job& j, answer& queued) {
        j.stored = std::move(queued);
        queued = {};
        auto refused = ask(j);
        if (refused.code) queued = std::move(j.stored);
        const bool no_keys = refused.code == errc::invalid_option && refused.details.explanation.empty();
        return no_keys && !j.idempotency_key.empty() ? keeps_no_keys() : refused;
    }
    static failure keeps_no_keys() {
        return {errc::invalid_option,
                {.explanation = "idempotency_key needs a queue in a file; this one keeps no keys"}};
    }
    failure ask(job& j) {
        try {
            return {queueing_.enqueue(j)};
        } catch (...) {
            return thrown();
        }
    }

    Queueing& queueing_;
    std::mutex mutex_;  // guards the three that follow
    line parked_;
    id_map<typename line::iterator> by_id_;
    agenda deadlines_;
    std::atomic<bool> parked_any_ = false;
    std::atomic<bool> closed_ = false;
    std::mutex why_mutex_;  // guards why_
    failure why_;
    // Jobs of a durable queue stand beside those of other processes.
    std::atomic<job_id> ids_ = is_durable ? postroad::detail::random_number() : 1;
};

}  // namespace postroad::engine
