#pragma once
// The queueing axis: what happens to a message between submit and outcome? See docs/queueing.md.

#include <postroad/core/axis.hpp>
#include <postroad/queueing/job.hpp>

#include <concepts>
#include <cstddef>
#include <optional>
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
concept queueing_policy = std::movable<Q> &&
    requires(Q q, const Q c, job& j, job&& gone, job_id id, std::size_t n, time_point now, std::vector<job>& out) {
    // Whether a job can wait here for another attempt; otherwise the first verdict is the last.
    { Q::keeps } -> std::convertible_to<bool>;
    // Takes the job and leaves `j` empty, or leaves it alone and says why: errc::queue_full.
    { q.enqueue(j) } -> std::same_as<error_code>;
    // What becomes of a job that is refused with errc::queue_full.
    { c.full() } -> std::same_as<when_full>;
    // Appends up to `n` jobs that are due, oldest first. They stay counted until settle().
    { q.lease(n, now, out) } -> std::same_as<void>;
    // A leased job is done with; there may be room for another.
    { q.settle(id) } -> std::same_as<void>;
    // A leased job waits until job::due.
    { q.put_back(std::move(gone)) } -> std::same_as<void>;
    // Takes out a job that is not leased, to cancel it.
    { q.take(id) } -> std::same_as<std::optional<job>>;
    // When lease() has something, at the earliest; `never` if it holds nothing that is not leased.
    { c.next_due() } -> std::same_as<time_point>;
    // Jobs it holds, leased ones included.
    { c.size() } -> std::same_as<std::size_t>;
} && std::same_as<typename Q::axis, axis::queueing>;

}  // namespace postroad::queueing
