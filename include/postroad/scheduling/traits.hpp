#pragma once
// What a scheduling policy may have beyond its concept: the one place with the contract and the default of each.

#include <postroad/scheduling/policy.hpp>

#include <concepts>
#include <cstddef>
#include <optional>

namespace postroad::scheduling {

/// One or more of the five functions of gives_turns.
template <class S>
concept gives_some_turns = requires(S s, time_point now) {
    s.turn(now);
}
|| requires(S s, pooling::place h, time_point now) { s.begin(h, now); }
|| requires(S s, pooling::place h, time_point now) { s.end(h, now); }
|| requires(S s, pooling::place h) { s.hold(h); }
|| requires(S s, pooling::place h) { s.unhold(h); };

/// A member of one of these names that cannot be called so is an error, unless it is overloaded or a template.
template <class S>
struct scheduling_traits {
    static_assert(gives_turns<S> || !gives_some_turns<S>,
                  "postroad: the scheduling policy has some of turn, begin, end, hold and unhold, but not all as "
                  "scheduling::gives_turns asks (docs/scheduling.md)");
    static_assert(
        !requires { &S::ripe; } ||
            requires(S s, time_point now) {
                { s.ripe(now) } -> std::same_as<std::optional<host_id>>;
            },
        "postroad: the scheduling policy's ripe would never be called: std::optional<host_id> ripe(time_point) "
        "(docs/scheduling.md)");
    static_assert(
        !requires { &S::signal; } ||
            requires(S s, pooling::place h, host_event what, std::size_t open, time_point now) {
                { s.signal(h, what, open, now) } -> std::same_as<void>;
            },
        "postroad: the scheduling policy's signal would never be called: void signal(place, host_event, std::size_t, "
        "time_point) (docs/scheduling.md)");
    static_assert(
        !requires { &S::shed; } ||
            requires(S s, pooling::place h) {
                { s.shed(h) } -> std::same_as<std::optional<job_id>>;
            },
        "postroad: the scheduling policy's shed would never be called: std::optional<job_id> shed(place) "
        "(docs/scheduling.md)");
    static_assert(
        !requires { &S::forget; } ||
            requires(S s, pooling::place h, time_point now) {
                { s.forget(h, now) } -> std::same_as<time_point>;
            },
        "postroad: the scheduling policy's forget would never be called: time_point forget(place, time_point) "
        "(docs/scheduling.md)");
    static_assert(
        !requires { &S::look_ahead; } ||
            requires(const S s) {
                { s.look_ahead } -> std::convertible_to<std::size_t>;
            },
        "postroad: the scheduling policy's look_ahead is no number: std::size_t look_ahead (docs/scheduling.md)");

    /// Whether ripe() says which sites became sendable by time alone; otherwise all are looked at.
    static constexpr bool names_ripe = requires(S s, time_point now) { s.ripe(now); };

    /// A site that may have more to send now, by time alone; asked until there is none.
    static std::optional<host_id> ripe(S& s, time_point now) {
        if constexpr (names_ripe)
            return s.ripe(now);
        else
            return std::nullopt;
    }
    /// What happened at `h`, to whose provider `open` connections are ready.
    static void signal(S& s, pooling::place h, host_event what, std::size_t open, time_point now) {
        if constexpr (requires { s.signal(h, what, open, now); }) s.signal(h, what, open, now);
    }
    /// Any job for `h` that is not paused; it is no longer waiting. Where there is none of that name: next().
    static std::optional<job_id> shed(S& s, pooling::place h, time_point now) {
        if constexpr (requires { s.shed(h); })
            return s.shed(h);
        else
            return s.waiting(h, now) > 0 ? s.next(h, now) : std::nullopt;
    }
    /// Most jobs that wait here; those beyond wait in the queue.
    /// Most jobs that wait there at a time; those beyond wait in the queue. `lasts`: the queue does. A member of 0 is
    /// default_look_ahead, or what memory has: there it costs nothing to see all.
    static std::size_t look_ahead(const S& s, bool lasts) {
        if constexpr (requires { s.look_ahead; }) {
            if (s.look_ahead > 0) return s.look_ahead;
            return lasts ? default_look_ahead : look_ahead_in_memory;
        } else {
            return default_look_ahead;
        }
    }
    /// Nothing waits for `h` any more, and it has no connection: time_point::min() if it is forgotten, else when to ask
    /// again; `never`: when it was used again. Of a provider the last of its sites asks.
    static time_point forget(S& s, pooling::place h, time_point now) {
        if constexpr (requires { s.forget(h, now); })
            return s.forget(h, now);
        else
            return time_point::min();
    }
};

}  // namespace postroad::scheduling
