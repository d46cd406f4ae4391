#pragma once
// The scheduling axis: what goes next, how fast, and when again? See docs/scheduling.md.

#include <postroad/core/axis.hpp>
#include <postroad/pooling/policy.hpp>
#include <postroad/queueing/job.hpp>

#include <concepts>
#include <cstddef>
#include <optional>

namespace postroad::scheduling {

using pooling::host_id;

/// A policy of the scheduling axis. It knows jobs by their id and decides; `now` comes in, no clock is read.
template <class S>
concept scheduling_policy = std::movable<S> &&
    requires(S s, const S c, const job& j, job_id id, host_id h, time_point now) {
    // A job for `h` has come from the queue.
    { s.admit(j, h, now) } -> std::same_as<void>;
    // The job that a connection to `h` takes now; it is no longer waiting.
    { s.next(h, now) } -> std::same_as<std::optional<job_id>>;
    // How many jobs for `h` next() would give now, one after the other.
    { c.waiting(h, now) } -> std::same_as<std::size_t>;
    // A waiting job is cancelled.
    { s.withdraw(id, h) } -> std::same_as<void>;
    // What an attempt means: its result and error are in the job.
    { s.judge(j, now) } -> std::same_as<verdict>;
    // When waiting() grows though nothing happened; `never` if so.
    { c.wakeup() } -> std::same_as<time_point>;
} && std::same_as<typename S::axis, axis::scheduling>;

}  // namespace postroad::scheduling
