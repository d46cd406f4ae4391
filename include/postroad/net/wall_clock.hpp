#pragma once
// The calendar, for the Date field of what is sent; everything else goes by core/clock.hpp.

#include <chrono>

namespace postroad::net {

inline std::chrono::system_clock::time_point wall_clock_now() noexcept { return std::chrono::system_clock::now(); }

}  // namespace postroad::net
