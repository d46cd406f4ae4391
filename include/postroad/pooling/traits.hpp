#pragma once
// What a pooling policy may have beyond its concept: the one place with the contract and the default of each.

#include <postroad/pooling/policy.hpp>

#include <concepts>
#include <cstddef>

namespace postroad::pooling {
namespace detail {

template <class P>
concept hears_found_dead = requires(P p, connection_id id, time_point now) {
    { p.found_dead(id, now) } -> std::same_as<void>;
}
|| requires(P p, connection_id id, time_point now, std::size_t behind) {
    { p.found_dead(id, now, behind) } -> std::same_as<void>;
};

template <class P>
concept hears_hung_up = requires(P p, connection_id id, time_point now) {
    { p.hung_up(id, now) } -> std::same_as<void>;
}
|| requires(P p, connection_id id, time_point now, std::size_t behind) {
    { p.hung_up(id, now, behind) } -> std::same_as<void>;
};

}  // namespace detail

/// A member of one of these names that cannot be called so is an error, unless it is overloaded or a template.
template <class P>
struct pooling_traits {
    static_assert(
        !requires { &P::found_dead; } || detail::hears_found_dead<P>,
        "postroad: the pooling policy's found_dead would never be called: void found_dead(connection_id, time_point) "
        "(docs/pooling.md)");
    static_assert(
        !requires { &P::hung_up; } || detail::hears_hung_up<P>,
        "postroad: the pooling policy's hung_up would never be called: void hung_up(connection_id, time_point) "
        "(docs/pooling.md)");
    static_assert(
        !requires { &P::draining; } ||
            requires(P p, connection_id id) {
                { p.draining(id) } -> std::same_as<void>;
            },
        "postroad: the pooling policy's draining would never be called: void draining(connection_id) "
        "(docs/pooling.md)");
    static_assert(
        !requires { &P::forget; } ||
            requires(P p, place h, time_point now) {
                { p.forget(h, now) } -> std::same_as<time_point>;
            },
        "postroad: the pooling policy's forget would never be called: time_point forget(place, time_point) "
        "(docs/pooling.md)");
    static_assert(
        !requires { &P::warm; } ||
            requires(const P p) {
                { p.warm } -> std::convertible_to<std::size_t>;
            },
        "postroad: the pooling policy's warm is no number: std::size_t warm (docs/pooling.md)");

    /// `id` broke when it was used again, before the server said anything. `behind`: messages that were given to it
    /// behind the one that found it so; told to who takes it.
    static void found_dead(P& p, connection_id id, time_point now, std::size_t behind) {
        if constexpr (requires { p.found_dead(id, now, behind); })
            p.found_dead(id, now, behind);
        else if constexpr (requires { p.found_dead(id, now); })
            p.found_dead(id, now);
    }
    /// The server ends `id`, which was idle, or by 421 in place of the next message, or wants no other on it. `behind`
    /// as above.
    static void hung_up(P& p, connection_id id, time_point now, std::size_t behind) {
        if constexpr (requires { p.hung_up(id, now, behind); })
            p.hung_up(id, now, behind);
        else if constexpr (requires { p.hung_up(id, now); })
            p.hung_up(id, now);
    }
    /// `id` was asked to quit, or waits for the end of a message that was given up: it keeps no other from being
    /// opened. closed() comes all the same.
    static void draining(P& p, connection_id id) {
        if constexpr (requires { p.draining(id); }) p.draining(id);
    }
    /// Nothing waits for `h` any more, and it has no connection: time_point::min() if it is forgotten, else when to ask
    /// again; `never`: when it was used again. Of a provider the last of its sites asks.
    static time_point forget(P& p, place h, time_point now) {
        if constexpr (requires { p.forget(h, now); })
            return p.forget(h, now);
        else
            return time_point::min();
    }
    /// How many connections are opened before there is a message.
    static std::size_t warm(const P& p) {
        if constexpr (requires { p.warm; })
            return p.warm;
        else
            return 0;
    }
};

}  // namespace postroad::pooling
