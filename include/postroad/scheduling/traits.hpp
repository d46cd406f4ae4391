#pragma once
// What a scheduling policy may have beyond its concept: the one place with the contract and the default of each.

#include <postroad/scheduling/doubt.hpp>
#include <postroad/scheduling/policy.hpp>

#include <concepts>
#include <cstddef>
#include <optional>
#include <variant>

namespace postroad::scheduling {

/// See scheduling_traits::most_in_doubt().
inline constexpr std::size_t usual_in_doubt = 16;

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
        !requires { &S::backlog; } ||
            requires(const S s, pooling::place h) {
                { s.backlog(h) } -> std::same_as<std::size_t>;
            },
        "postroad: the scheduling policy's backlog would never be called: std::size_t backlog(place) const "
        "(docs/scheduling.md)");
    static_assert(
        !requires { &S::limit; } ||
            requires(S s, pooling::place h) {
                { s.limit(h) } -> std::same_as<void>;
                { s.unlimit(h) } -> std::same_as<void>;
            },
        "postroad: the scheduling policy's limit would never be called: void limit(place), with void unlimit(place) "
        "(docs/scheduling.md)");
    static_assert(
        !requires { &S::forget; } ||
            requires(S s, pooling::place h, time_point now) {
                { s.forget(h, now) } -> std::same_as<time_point>;
            },
        "postroad: the scheduling policy's forget would never be called: time_point forget(place, time_point) "
        "(docs/scheduling.md)");
    static_assert(
        !requires { &S::may_go_at; } ||
            requires(const S s, const job& j, pooling::place h, std::size_t held, time_point now) {
                { s.may_go_at(j, h, held, now) } -> std::same_as<time_point>;
            },
        "postroad: the scheduling policy's may_go_at would never be called: time_point may_go_at(const job&, place, "
        "std::size_t, time_point) const (docs/scheduling.md)");
    static_assert(
        !requires { &S::left_alone_until; } ||
            requires(const S s, pooling::place h) {
                { s.left_alone_until(h) } -> std::same_as<time_point>;
            },
        "postroad: the scheduling policy's left_alone_until would never be called: time_point left_alone_until(place) "
        "const (docs/scheduling.md)");
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
    /// Of schedulers that give turns: the limit of its provider keeps `h` from a connection, and with it every other
    /// site of that, until unlimit() of one of them. Where there is none of that name: hold().
    static void limit(S& s, pooling::place h) {
        if constexpr (requires { s.limit(h); })
            s.limit(h);
        else if constexpr (requires { s.hold(h); })
            s.hold(h);
    }
    static void unlimit(S& s, pooling::place h) {
        if constexpr (requires { s.unlimit(h); }) s.unlimit(h);
    }
    /// Any job for `h` that is not paused; it is no longer waiting. Where there is none of that name: next().
    static std::optional<job_id> shed(S& s, pooling::place h, time_point now) {
        if constexpr (requires { s.shed(h); })
            return s.shed(h);
        else
            return s.waiting(h, now) > 0 ? s.next(h, now) : std::nullopt;
    }
    /// How many jobs wait for `h` in all, which says how far messages go ahead; more than next() may give now. Where
    /// there is none of that name: waiting().
    static std::size_t backlog(const S& s, pooling::place h, time_point now) {
        if constexpr (requires { s.backlog(h); })
            return s.backlog(h);
        else
            return s.waiting(h, now);
    }
    /// Whether may_go_at() says when jobs may go.
    static constexpr bool foresees = requires(const S s, const job& j, pooling::place h, std::size_t n, time_point t) {
        s.may_go_at(j, h, n, t);
    };
    /// When a job to `h` may go at the earliest, behind those of its own line and at least `others` to its provider;
    /// `never`: it is paused. Asked where a queue that lasts may keep it so long: when it comes, without others, since
    /// they may be in nobody's way but their own; and with all when there is no room for anybody.
    static time_point may_go_at(const S& s, const job& j, pooling::place h, std::size_t others, time_point now) {
        if constexpr (foresees)
            return s.may_go_at(j, h, others, now);
        else
            return now;
    }
    /// Until when `h` is left alone since it put off what it was given; time_point::min() if it is not.
    static time_point left_alone_until(const S& s, pooling::place h) {
        if constexpr (requires { s.left_alone_until(h); })
            return s.left_alone_until(h);
        else
            return time_point::min();
    }
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
    /// Most messages in flight whose content has left and has no reply, on one connection, where the engine decides
    /// (pipelining::automatic): all of them are in doubt when it breaks. `lasts`: the queue does. A member of 0, or
    /// none, is 1 where each of them would wait for somebody's decision, and usual_in_doubt elsewhere.
    static std::size_t most_in_doubt(const S& s, bool lasts) {
        if constexpr (requires { s.most_in_doubt; })
            if (s.most_in_doubt > 0) return s.most_in_doubt;
        bool parks = lasts;
        if constexpr (requires { std::holds_alternative<park>(s.in_doubt); })
            parks = lasts && std::holds_alternative<park>(s.in_doubt);
        return parks ? 1 : usual_in_doubt;
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
