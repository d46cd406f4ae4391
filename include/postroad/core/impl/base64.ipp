#pragma once

#include <postroad/core/base64.hpp>

#include <array>
#include <cstdint>
#include <utility>

namespace postroad {
namespace detail {

inline constexpr std::string_view base64_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
inline constexpr std::uint8_t no_base64_digit = 64;

constexpr auto make_base64_values() noexcept {
    std::array<std::uint8_t, 256> values{};
    values.fill(no_base64_digit);
    for (std::size_t i = 0; i < base64_alphabet.size(); ++i)
        values[static_cast<unsigned char>(base64_alphabet[i])] = static_cast<std::uint8_t>(i);
    return values;
}

inline constexpr auto base64_values = make_base64_values();

}  // namespace detail

POSTROAD_DECL std::string base64_encode(std::string_view octets) {
    const auto octet = [&](std::size_t i) -> std::uint32_t {
        return i < octets.size() ? static_cast<unsigned char>(octets[i]) : 0;
    };
    std::string result;
    result.reserve((octets.size() + 2) / 3 * 4);
    for (std::size_t at = 0; at < octets.size(); at += 3) {
        const std::uint32_t group = octet(at) << 16 | octet(at + 1) << 8 | octet(at + 2);
        const std::size_t digits = octets.size() - at >= 3 ? 4 : octets.size() - at + 1;
        for (std::size_t i = 0; i < 4; ++i)
            result += i < digits ? detail::base64_alphabet[group >> (18 - 6 * i) & 63] : '=';
    }
    return result;
}

POSTROAD_DECL bool base64_decode(std::string_view text, std::string& out) {
    out.clear();
    if (text.size() % 4 != 0) return false;
    const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
    const auto digits = text.substr(0, text.size() - padding);
    std::string result;
    result.reserve(text.size() / 4 * 3);
    std::uint32_t pending = 0;
    unsigned bits = 0;
    for (const char c : digits) {
        const auto value = detail::base64_values[static_cast<unsigned char>(c)];
        if (value == detail::no_base64_digit) return false;
        pending = (pending << 6 | value) & 0xfff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            result += static_cast<char>(pending >> bits & 0xff);
        }
    }
    if ((pending & ((1U << bits) - 1)) != 0) return false;
    out = std::move(result);
    return true;
}

}  // namespace postroad
