#pragma once
// The one notion of time. Sessions, pools and schedulers take `now`; only net/ and testing/ read a clock.

#include <chrono>

namespace postroad {

using clock = std::chrono::steady_clock;
using time_point = clock::time_point;
using duration = clock::duration;

/// The deadline of what waits for nothing.
inline constexpr time_point never = time_point::max();

/// `now + wait`, `never` or time_point::min() where it would overflow.
constexpr time_point after(time_point now, duration wait) noexcept {
    if (wait >= duration::zero()) return now > never - wait ? never : now + wait;
    return now < time_point::min() - wait ? time_point::min() : now + wait;
}

/// `to - from`, the longest duration of that sign where it would overflow.
constexpr duration between(time_point from, time_point to) noexcept {
    const auto origin = duration::zero();
    const auto a = from.time_since_epoch();
    const auto b = to.time_since_epoch();
    if (a < origin && b > duration::max() + a) return duration::max();
    if (a > origin && b < duration::min() + a) return duration::min();
    return b - a;
}

}  // namespace postroad
