#pragma once
// What a scheduling policy may have beyond its concept: the one place with the contract and the default of each.

#include <postroad/scheduling/policy.hpp>

#include <cstddef>
#include <optional>

namespace postroad::scheduling {

template <class S>
struct scheduling_traits {
    /// Whether ripe() says which sites became sendable by time alone; otherwise all are looked at.
    static constexpr bool names_ripe = requires(S s, time_point now) { s.ripe(now); };

    /// A site that may have more to send now, by time alone; asked until there is none.
    static std::optional<host_id> ripe(S& s, time_point now) {
        if constexpr (names_ripe)
            return s.ripe(now);
        else
            return std::nullopt;
    }
    /// What happened at `h`, to which `open` connections are ready.
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
    static std::size_t look_ahead(const S& s) {
        if constexpr (requires { s.look_ahead; })
            return s.look_ahead;
        else
            return default_look_ahead;
    }
    /// Nothing waits for `h` any more, and it has no connection: time_point::min() if it is forgotten, else when to ask
    /// again.
    static time_point forget(S& s, pooling::place h, time_point now) {
        if constexpr (requires { s.forget(h, now); })
            return s.forget(h, now);
        else
            return time_point::min();
    }
};

}  // namespace postroad::scheduling
