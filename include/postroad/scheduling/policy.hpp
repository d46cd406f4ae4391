#pragma once
// The scheduling axis: what goes next, how fast, and when again? See docs/scheduling.md.

#include <postroad/core/axis.hpp>
#include <postroad/pooling/policy.hpp>
#include <postroad/queueing/job.hpp>

#include <concepts>
#include <cstddef>
#include <optional>
#include <string>

namespace postroad::scheduling {

using pooling::host_id;

/// Jobs taken from the queue ahead of time, where the scheduler has no look_ahead of its own.
inline constexpr std::size_t default_look_ahead = 4096;
/// As many, where they are in memory anyway and the scheduler leaves it open.
inline constexpr std::size_t look_ahead_in_memory = 1'000'000;

/// A policy of the scheduling axis. It knows jobs by their id and decides; `now` comes in, no clock is read.
template <class S>
concept scheduling_policy = std::movable<S> &&
    requires(S s, const S c, const job& j, job_id id, pooling::place h, time_point now) {
    // A job for `h` has come from the queue.
    { s.admit(j, h, now) } -> std::same_as<void>;
    // The job that a connection to `h` takes now; it is no longer waiting.
    { s.next(h, now) } -> std::same_as<std::optional<job_id>>;
    // At most how many jobs for `h` next() would give now, one after the other; 0 only if it gives none.
    { c.waiting(h, now) } -> std::same_as<std::size_t>;
    // A waiting job is cancelled.
    { s.withdraw(id, h) } -> std::same_as<void>;
    // What an attempt means: its result and error are in the job.
    { s.judge(j, now) } -> std::same_as<verdict>;
    // When waiting() grows though nothing happened; `never` if so.
    { c.wakeup() } -> std::same_as<time_point>;
} && std::same_as<typename S::axis, axis::scheduling>;

/// A scheduler that also says which destination gets the next connection. Where it does not, destinations get one as
/// they ask, in turn. A connection that has a turn calls next() until that gives nothing.
template <class S>
concept gives_turns = scheduling_policy<S> && requires(S s, pooling::place h, time_point now) {
    // Who is next, if anybody. A question only: begin() or hold() answers it.
    { s.turn(now) } -> std::same_as<std::optional<host_id>>;
    // `h` gets a connection.
    { s.begin(h, now) } -> std::same_as<void>;
    // A connection that `h` got has nothing to do, or is gone.
    { s.end(h, now) } -> std::same_as<void>;
    // No connection can be had for `h`: it gets no turn until unhold().
    { s.hold(h) } -> std::same_as<void>;
    { s.unhold(h) } -> std::same_as<void>;
};

/// What pause() and resume() are about, for schedulers that have them.
struct selection {
    enum class kind : unsigned char { destination, tenant, tag };
    kind by = kind::destination;
    /// Of the tenant or tag; of a destination, as the transport names it, where a mailer is asked.
    std::string name = {};
    host_id host = 0;  ///< of a destination, where a scheduler is asked
    friend auto operator<=>(const selection&, const selection&) = default;
};

/// A scheduler that can set traffic aside.
template <class S>
concept pauses = scheduling_policy<S> && requires(S s, const selection& what) {
    // Nothing of it is sent until resume(), not of what comes later either; what is on a connection goes on.
    { s.pause(what) } -> std::same_as<void>;
    { s.resume(what) } -> std::same_as<void>;
};

/// What a destination did, for schedulers that have `signal(h, what, open, now)`.
enum class host_event : unsigned char {
    opened,       ///< a connection is ready
    refused,      ///< one could not be had while others were open or on their way
    unreachable,  ///< one could not be had, and there is no other
    answered,     ///< a message was accepted, or refused for a reason of its own
    put_off,      ///< the server wants less or nothing for now, or the connection broke under a message
};

/// Whether a reply is about the server rather than about the message: it is closing, overloaded or out of order.
inline bool is_busy(const recipient_outcome& r) noexcept {
    const auto& e = r.reply.enhanced;
    return r.status == status::deferred &&
           (r.reply.code == 421 || (e.subject == 3 && e.detail <= 2) || (e.subject == 4 && e.detail == 5));
}

}  // namespace postroad::scheduling
