#pragma once
// Numbers that no other process has.

#include <cstdint>
#include <random>

namespace postroad::detail {

/// 62 random bits: many may be counted on from there, and each fits into a signed number.
inline std::uint64_t random_number() {
    std::random_device source;
    return (std::uint64_t{source()} << 32 | source()) >> 2;
}

}  // namespace postroad::detail
