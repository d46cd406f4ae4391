#pragma once
// Percent-encoding (RFC 3986 section 2.1), as URLs carry what has no place of its own in them.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace postroad::detail {

/// The value of a hexadecimal digit; -1 for anything else.
inline int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// Spaces, control characters and percent signs as %XX; all else, UTF-8 too, stays readable.
inline std::string percent_encoded(std::string_view text) {
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string result;
    result.reserve(text.size());
    for (const char c : text) {
        const auto u = static_cast<unsigned char>(c);
        if (u > 0x20 && u != 0x7f && c != '%') {
            result += c;
        } else {
            result += '%';
            result += digits[u >> 4];
            result += digits[u & 15];
        }
    }
    return result;
}

/// Each %XX as the octet that it stands for; nothing if a % is not followed by two hexadecimal digits.
inline std::optional<std::string> percent_decoded(std::string_view text) {
    std::string result;
    result.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            result += text[i];
            continue;
        }
        const int high = i + 1 < text.size() ? hex_digit(text[i + 1]) : -1;
        const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
        if (high < 0 || low < 0) return {};
        result += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return result;
}

}  // namespace postroad::detail
