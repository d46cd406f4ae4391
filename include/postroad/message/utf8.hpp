#pragma once
// UTF-8 as addresses and header fields need it: well-formed or refused (RFC 3629).

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace postroad::detail {

inline constexpr char32_t ill_formed = 0xffffffff;

/// The character at `at`, which moves behind it. Returns ill_formed, and moves nothing, for what RFC 3629 section 4
/// does not allow: overlong forms, surrogates, beyond U+10FFFF, cut off.
inline char32_t next_character(std::string_view text, std::size_t& at) noexcept {
    const auto octet = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned lead = octet(at);
    if (lead < 0x80) {
        ++at;
        return lead;
    }
    const std::size_t length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (length == 0 || text.size() - at < length) return ill_formed;
    char32_t c = lead & (0x7fU >> length);
    for (std::size_t i = 1; i < length; ++i) {
        const unsigned trail = octet(at + i);
        if ((trail & 0xc0U) != 0x80) return ill_formed;
        c = c << 6 | (trail & 0x3fU);
    }
    if ((length == 3 && c < 0x800) || (length == 4 && c < 0x10000) || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return ill_formed;
    at += length;
    return c;
}

/// Where text is no UTF-8 any more; its size if it is all well-formed.
inline std::size_t ill_formed_at(std::string_view text) noexcept {
    std::size_t at = 0;
    while (at < text.size() && next_character(text, at) != ill_formed) {
    }
    return at;
}

/// Controls of ASCII and Latin-1, and the two line ends of Unicode: what must not reach a header field or a command, in
/// any encoding.
constexpr bool is_control(char32_t c) noexcept {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029;
}

/// Appends a character, which is no surrogate.
inline void append_character(std::string& to, char32_t c) {
    const auto tail = [&](int shift) { to += static_cast<char>(0x80 | (c >> shift & 0x3f)); };
    if (c < 0x80) {
        to += static_cast<char>(c);
    } else if (c < 0x800) {
        to += static_cast<char>(0xc0 | c >> 6);
    } else if (c < 0x10000) {
        to += static_cast<char>(0xe0 | c >> 12);
        tail(6);
    } else {
        to += static_cast<char>(0xf0 | c >> 18);
        tail(12);
        tail(6);
    }
    if (c >= 0x80) tail(0);
}

/// Well-formed UTF-8 without controls.
inline bool is_printable(std::string_view text) noexcept {
    for (std::size_t at = 0; at < text.size();) {
        const char32_t c = next_character(text, at);
        if (c == ill_formed || is_control(c)) return false;
    }
    return true;
}

inline bool is_ascii(std::string_view text) noexcept {
    static constexpr std::size_t eight = 8;
    std::uint64_t all = 0;
    const auto add = [&](std::size_t at) {
        std::uint64_t octets = 0;
        std::memcpy(&octets, text.data() + at, eight);
        all |= octets;
    };
    if (text.size() < eight) {
        for (const char c : text) all |= static_cast<unsigned char>(c);
    } else {
        for (std::size_t at = 0; at + eight < text.size(); at += eight) add(at);
        add(text.size() - eight);
    }
    return (all & 0x8080808080808080U) == 0;
}

constexpr bool is_alphanumeric(char32_t c) noexcept {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// Characters that need no quotes in a local part or a display name (RFC 5322 section 3.2.3, RFC 6532 section 3.2).
constexpr bool is_atext(char32_t c) noexcept {
    return is_alphanumeric(c) || c > 127 ||
           (c != 0 && std::u32string_view(U"!#$%&'*+-/=?^_`{|}~").find(c) != std::u32string_view::npos);
}

constexpr char to_lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

/// As far as ASCII has two cases: a locale must not change what a keyword is.
inline std::string in_lower_case(std::string text) {
    for (auto& c : text) c = to_lower(c);
    return text;
}
inline std::string in_upper_case(std::string text) {
    for (auto& c : text)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - ('a' - 'A'));
    return text;
}

constexpr bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i)
        if (to_lower(a[i]) != to_lower(b[i])) return false;
    return true;
}

}  // namespace postroad::detail
