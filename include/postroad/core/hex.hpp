#pragma once
// Octets as text of two digits each.

#include <string>
#include <string_view>

namespace postroad::detail {

/// In lower case.
inline std::string in_hex(std::string_view octets) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (const char c : octets) {
        const auto octet = static_cast<unsigned char>(c);
        text += digits[octet >> 4];
        text += digits[octet & 15];
    }
    return text;
}

}  // namespace postroad::detail
