#pragma once
// When a destination is left alone: a part of schedulers. See docs/scheduling.md.

#include <postroad/core/clock.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>

namespace postroad::scheduling {

/// A part that leaves a destination alone that does not work. Its state is for one destination.
template <class B>
concept breaker_part = std::movable<B> && std::default_initializable<typename B::state> &&
    requires(const B c, typename B::state s, const typename B::state cs, time_point now) {
    // Whether it is left alone or probed: if so, one message goes at `probe_at`, and no other until it has ended.
    { c.broken(cs) } -> std::same_as<bool>;
    { c.probe_at(cs) } -> std::same_as<time_point>;
    // It could not be reached, or put a message off; it answered.
    { c.failed(s, now) } -> std::same_as<void>;
    { c.worked(s) } -> std::same_as<void>;
    // From when on it may be forgotten, if nothing happens before.
    { c.forget_at(cs) } -> std::same_as<time_point>;
};

/// Opens after a number of failures in a row, and lets one message through after a wait that doubles with each failure.
struct breaker {
    /// Failures in a row; 0: never opens.
    unsigned failures = 5;
    duration first_wait = std::chrono::seconds(30);
    duration longest_wait = std::chrono::minutes(5);

    struct state {
        unsigned failed = 0;
        duration wait = duration::zero();
        time_point probe_at = time_point::min();
    };

    bool broken(const state& s) const noexcept { return failures > 0 && s.failed >= failures; }
    time_point probe_at(const state& s) const noexcept { return s.probe_at; }
    void failed(state& s, time_point now) const noexcept {
        const bool was_open = broken(s);
        // What was under way when it opened fails too, and is no news.
        if (was_open && now < s.probe_at) return;
        if (!was_open) ++s.failed;
        if (!broken(s)) return;
        const auto longer = s.wait > longest_wait / 2 ? longest_wait : s.wait * 2;
        s.wait = std::min(was_open ? longer : first_wait, longest_wait);
        s.probe_at = after(now, s.wait);
    }
    void worked(state& s) const noexcept { s = {}; }
    time_point forget_at(const state& s) const noexcept { return s.probe_at; }
};

static_assert(breaker_part<breaker>);

}  // namespace postroad::scheduling
