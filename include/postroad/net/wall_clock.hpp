#pragma once
// The calendar, for the Date field of what is sent; everything else goes by core/clock.hpp.

#include <postroad/core/clock.hpp>

#include <chrono>

namespace postroad::net {

inline std::chrono::system_clock::time_point wall_clock_now() noexcept { return std::chrono::system_clock::now(); }

/// The same moment by the calendar and by the clock that everything else goes by.
struct moment {
    std::chrono::system_clock::time_point wall = {};
    time_point at = {};
};
inline moment this_moment() noexcept { return {wall_clock_now(), clock::now()}; }

}  // namespace postroad::net
