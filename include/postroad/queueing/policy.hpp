#pragma once
// The queueing axis: what happens to a message between submit and outcome? See docs/queueing.md.

#include <postroad/core/axis.hpp>
#include <postroad/queueing/inspection.hpp>
#include <postroad/queueing/job.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace postroad::queueing {

/// What becomes of a message that finds the queue full.
enum class when_full : unsigned char {
    refuse,  ///< it is refused with errc::queue_full
    wait,    ///< the caller waits until there is room
};

/// A policy of the queueing axis. enqueue() is called on any thread, also at the same time; everything else on the
/// mailer's executor, one at a time.
template <class Q>
concept queueing_policy = std::movable<Q> && requires(Q q, const Q c, job& j, const job& a, job&& gone, job_id id,
                                                      std::size_t n, time_point now, std::vector<job>& out) {
    // Whether a job can wait here for another attempt; otherwise the first verdict is the last.
    typename std::bool_constant<static_cast<bool>(Q::keeps)>;
    // Takes all that the job has, or leaves it alone and says why: errc::queue_full.
    { q.enqueue(j) } -> std::same_as<error_code>;
    // What becomes of a job that is refused with errc::queue_full.
    { c.full() } -> std::same_as<when_full>;
    // Appends up to `n` jobs that are due, oldest first. They stay counted until settle().
    { q.lease(n, now, out) } -> std::same_as<void>;
    // A leased job is over, with the result in it; there may be room for another.
    { q.settle(a) } -> std::same_as<void>;
    // A leased job waits until job::due.
    { q.put_back(std::move(gone)) } -> std::same_as<void>;
    // Takes out a job that is not leased, to cancel it.
    { q.take(id) } -> std::same_as<std::optional<job>>;
    // When lease() has something, at the earliest; `never` if it holds nothing that is not leased.
    { c.next_due() } -> std::same_as<time_point>;
    // Jobs it holds, leased ones included.
    { c.size() } -> std::same_as<std::size_t>;
} && std::same_as<typename Q::axis, axis::queueing>;

/// A queue whose operations can be called by those who look after it: mailer::jobs() and its neighbours. Of jobs that
/// the dispatcher has leased, the dispatcher answers for itself.
template <class Q>
concept operable = queueing_policy<Q> &&
    requires(Q q, const job_filter& which, std::size_t limit, std::vector<job_info>& out, queue_counts& counts,
             job&& gone, time_point now) {
    // Appends what matches and is not leased, oldest first, until `out` has `limit` entries.
    { q.list(which, limit, now, out) } -> std::same_as<void>;
    // Adds those that are not leased.
    { q.count(now, counts) } -> std::same_as<void>;
    // Those that match and are not leased are due now: delayed, held and in doubt ones. Returns how many.
    { q.retry_now(which, now) } -> std::same_as<std::size_t>;
    // Those that match and are not leased wait for retry_now(). Returns how many.
    { q.hold(which, now) } -> std::same_as<std::size_t>;
    // A leased job waits for retry_now(), in that state.
    { q.keep(std::move(gone), job_state::held) } -> std::same_as<void>;
    // Takes out those that match and are not leased; somebody may wait for them.
    { q.drop(which, now) } -> std::same_as<std::vector<job>>;
};

/// A queue that outlives the process. What takes time is answered later: `wake` says when there is something to
/// collect, on any thread.
///
/// enqueue() takes the job at once and tells job::stored when it is on the disk, or with the broker; a job that could
/// not be stored is completed by the queue. Its `waiter` stays with the queue, in this process, and comes back with the
/// job that lease() gives. An id of a job that somebody else queued is the queue's to choose.
template <class Q>
concept durable = operable<Q> && requires(Q q, const Q c, job_id id, std::function<void()> wake,
                                          std::vector<job_id>& out, job&& gone, time_point now) {
    requires Q::is_durable;
    // Begins to give out jobs. Called once, before anything else but enqueue().
    { q.start(std::move(wake)) } -> std::same_as<void>;
    // A leased job is about to be sent: from now on it may be with the server. Collected by marked() once that is
    // stored: should the process die then, the job comes back with its unsettled recipients `in_doubt`.
    { q.mark(id) } -> std::same_as<void>;
    // Appends jobs whose mark is stored since the last call.
    { q.marked(out) } -> std::same_as<void>;
    // (optional) q.revoked(out): appends jobs that another process took out before their mark was stored.
    // A leased job comes back as it was before, for the next process; its mark is taken off. Nobody waits for it here.
    { q.release(std::move(gone)) } -> std::same_as<void>;
    // (optional) q.lost(out): appends leased jobs without a mark that are not this process's any more, such as when the
    // connection to a broker broke. They come to release(), and may be given out again.
    // (optional) q.leaves(): true once when the last job of some destinations went to another process, which is to find
    // no connection of ours there. q.left() answers when those that had nothing to do are closed.
    // Whether nothing waits that is due, and nothing is on its way in or out.
    { c.drained(now) } -> std::same_as<bool>;
    // Stores what is under way and ends. Jobs that are leased still, and not marked, are released.
    { q.stop() } -> std::same_as<void>;
};

}  // namespace postroad::queueing
