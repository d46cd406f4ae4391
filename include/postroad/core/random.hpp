#pragma once
// Numbers that no other process has, and numbers that only look like that.

#include <cstdint>
#include <random>

namespace postroad::detail {

/// 32 bits that nobody can guess. Each thread keeps its source: to make one costs more than to write a message.
inline std::uint32_t random_bits() {
    thread_local std::random_device source;
    return source();
}

/// 62 of them: many may be counted on from there, and each fits into a signed number.
inline std::uint64_t random_number() { return (std::uint64_t{random_bits()} << 32 | random_bits()) >> 2; }

/// Splitmix64: a number that depends on its input in no visible way.
constexpr std::uint64_t scrambled(std::uint64_t x) noexcept {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

}  // namespace postroad::detail
