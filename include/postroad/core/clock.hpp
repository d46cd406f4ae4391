#pragma once
// The one notion of time. Sessions, pools and schedulers take `now`; only net/ and testing/ read a clock.

#include <chrono>

namespace postroad {

using clock = std::chrono::steady_clock;
using time_point = clock::time_point;
using duration = clock::duration;

/// The deadline of what waits for nothing.
inline constexpr time_point never = time_point::max();

/// `now + wait` that stays at `never` instead of overflowing.
constexpr time_point after(time_point now, duration wait) noexcept {
    return wait > duration::zero() && now > never - wait ? never : now + wait;
}

}  // namespace postroad
