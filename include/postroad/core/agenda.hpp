#pragma once
// What is due, and when.

#include <postroad/core/clock.hpp>

#include <cstdint>
#include <set>
#include <utility>

namespace postroad {

/// By time and number, what is due first in front. Ids of 32 bits are kept as 64, too: one type for the compiler to
/// make.
using agenda = std::set<std::pair<time_point, std::uint64_t>>;

}  // namespace postroad
