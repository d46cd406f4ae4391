#pragma once
// How many connections a destination bears: a part of schedulers. See docs/scheduling.md.

#include <postroad/core/clock.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>

namespace postroad::scheduling {

/// A part that learns how many connections a destination bears. Its state is for one destination.
template <class C>
concept concurrency_part = std::movable<C> && std::default_initializable<typename C::state> &&
    requires(const C c, typename C::state s, const typename C::state cs, std::size_t n, time_point now) {
    // Most connections at a time, those that are being opened included; at least 1.
    { c.limit(cs, now) } -> std::same_as<std::size_t>;
    // When limit() grows though nothing happened; `never` if so.
    { c.grows_at(cs, now) } -> std::same_as<time_point>;
    // A connection is ready, and `n` are in all.
    { c.opened(s, n, now) } -> std::same_as<void>;
    // One was refused while `n` others were ready.
    { c.refused(s, n, now) } -> std::same_as<void>;
    // From when on it may be forgotten, if nothing happens before.
    { c.forget_at(cs) } -> std::same_as<time_point>;
};

/// Clamp and probe: one connection more than have worked, until one is refused. Then no more than worked, and one more
/// is tried after a wait that doubles with each refusal.
struct clamp {
    /// Connections that are opened at once to a destination that is not known yet; at least 1.
    std::size_t first = 2;
    /// After the first refusal.
    duration probe_after = std::chrono::seconds(30);
    duration longest_wait = std::chrono::hours(1);

    struct state {
        std::size_t worked = 0;
        time_point clamped_until = time_point::min();
        duration wait = duration::zero();
    };

    std::size_t limit(const state& s, time_point now) const noexcept {
        if (now < s.clamped_until) return std::max<std::size_t>(s.worked, 1);
        return s.wait > duration::zero() ? s.worked + 1 : std::max({s.worked + 1, first, std::size_t(1)});
    }
    time_point grows_at(const state& s, time_point now) const noexcept {
        return now < s.clamped_until ? s.clamped_until : never;
    }
    void opened(state& s, std::size_t n, time_point now) const noexcept {
        if (n <= s.worked) return;
        s.worked = n;
        // A probe that works is followed by another at once.
        if (s.clamped_until <= now && s.wait > duration::zero()) s.wait = probe_after;
    }
    void refused(state& s, std::size_t n, time_point now) const noexcept {
        s.worked = std::max<std::size_t>(n, 1);
        // Those that were on their way together are refused together, and are one lesson.
        if (now < s.clamped_until) return;
        s.wait = s.wait == duration::zero() ? probe_after : (s.wait > longest_wait / 2 ? longest_wait : s.wait * 2);
        s.wait = std::min(s.wait, longest_wait);
        s.clamped_until = after(now, s.wait);
    }
    time_point forget_at(const state& s) const noexcept { return s.clamped_until; }
};

static_assert(concurrency_part<clamp>);

}  // namespace postroad::scheduling
