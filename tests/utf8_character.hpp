#pragma once
// For tests that make text of any characters.

#include <cstdint>
#include <string>

/// The octets of a character (RFC 3629 section 3), whatever it is.
inline std::string utf8_of(std::uint32_t c) {
    const auto trail = [c](unsigned shift) { return static_cast<char>(0x80U | (c >> shift & 0x3fU)); };
    if (c < 0x80) return {static_cast<char>(c)};
    if (c < 0x800) return {static_cast<char>(0xc0U | c >> 6), trail(0)};
    if (c < 0x10000) return {static_cast<char>(0xe0U | c >> 12), trail(6), trail(0)};
    return {static_cast<char>(0xf0U | c >> 18), trail(12), trail(6), trail(0)};
}
