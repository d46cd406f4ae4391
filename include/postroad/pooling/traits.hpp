#pragma once
// What a pooling policy may have beyond its concept: the one place with the contract and the default of each.

#include <postroad/pooling/policy.hpp>

#include <cstddef>

namespace postroad::pooling {

template <class P>
struct pooling_traits {
    /// `id` broke when it was used again, before the server said anything.
    static void found_dead(P& p, connection_id id, time_point now) {
        if constexpr (requires { p.found_dead(id, now); }) p.found_dead(id, now);
    }
    /// The server ends `id`, which was idle, or by 421 in place of the next message.
    static void hung_up(P& p, connection_id id, time_point now) {
        if constexpr (requires { p.hung_up(id, now); }) p.hung_up(id, now);
    }
    /// Nothing waits for `h` any more, and it has no connection: time_point::min() if it is forgotten, else when to ask
    /// again.
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
