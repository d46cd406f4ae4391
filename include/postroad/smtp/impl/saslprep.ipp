#pragma once

#include <postroad/smtp/saslprep.hpp>

#include <postroad/core/algorithm.hpp>
#include <postroad/message/utf8.hpp>

#include <mbedtls/platform_util.h>
#include <unictype.h>
#include <uninorm.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iterator>

namespace postroad::smtp {
namespace detail {

struct characters {
    char32_t first;
    char32_t last;
};

// Tables of RFC 3454, in order.
inline constexpr characters other_spaces[] = {{0xa0, 0xa0},     {0x1680, 0x1680}, {0x2000, 0x200b},
                                              {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}};  // C.1.2
inline constexpr characters mapped_to_nothing[] = {{0xad, 0xad},     {0x34f, 0x34f},   {0x1806, 0x1806},
                                                   {0x180b, 0x180d}, {0x200c, 0x200d}, {0x2060, 0x2060},
                                                   {0xfe00, 0xfe0f}, {0xfeff, 0xfeff}};  // B.1
inline constexpr characters prohibited[] = {
    {0x0, 0x1f},        {0x7f, 0xa0},       {0x340, 0x341},     {0x6dd, 0x6dd},      {0x70f, 0x70f},
    {0x1680, 0x1680},   {0x180e, 0x180e},   {0x2000, 0x200f},   {0x2028, 0x202f},    {0x205f, 0x2063},
    {0x206a, 0x206f},   {0x2ff0, 0x2ffb},   {0x3000, 0x3000},   {0xd800, 0xf8ff},    {0xfdd0, 0xfdef},
    {0xfeff, 0xfeff},   {0xfff9, 0xffff},   {0x1d173, 0x1d17a}, {0x1fffe, 0x1ffff},  {0x2fffe, 0x2ffff},
    {0x3fffe, 0x3ffff}, {0x4fffe, 0x4ffff}, {0x5fffe, 0x5ffff}, {0x6fffe, 0x6ffff},  {0x7fffe, 0x7ffff},
    {0x8fffe, 0x8ffff}, {0x9fffe, 0x9ffff}, {0xafffe, 0xaffff}, {0xbfffe, 0xbffff},  {0xcfffe, 0xcffff},
    {0xdfffe, 0xdffff}, {0xe0001, 0xe0001}, {0xe0020, 0xe007f}, {0xefffe, 0x10ffff},
};
// What the search in them needs.
template <class Table>
constexpr bool in_order(const Table& table) {
    return std::ranges::is_sorted(table, {}, &characters::last) &&
           postroad::detail::all_of(table, [](const characters& c) { return c.first <= c.last; });
}
static_assert(in_order(other_spaces) && in_order(mapped_to_nothing) && in_order(prohibited));
// C.1.2 and C.2.1 to C.9

template <std::size_t n>
bool is_one_of(const characters (&table)[n], char32_t c) noexcept {
    const auto* at = std::ranges::lower_bound(table, c, {}, &characters::last);
    return at != std::end(table) && at->first <= c;
}

// Letters that run from right to left: all, or none; and then also the first and the last (RFC 3454 section 6).
inline bool mixes_directions(std::string_view text) noexcept {
    bool any_right = false;
    bool any_left = false;
    bool first_right = false;
    bool last_right = false;
    for (std::size_t at = 0; at < text.size();) {
        const bool is_first = at == 0;
        const int category = uc_bidi_category(postroad::detail::next_character(text, at));
        last_right = category == UC_BIDI_R || category == UC_BIDI_AL;
        if (is_first) first_right = last_right;
        any_right = any_right || last_right;
        any_left = any_left || category == UC_BIDI_L;
    }
    return any_right && (any_left || !first_right || !last_right);
}

// Empty if there is no memory.
inline std::string nfkc(std::string_view text) {
    std::size_t size = 0;
    auto* made =
        u8_normalize(UNINORM_NFKC, reinterpret_cast<const std::uint8_t*>(text.data()), text.size(), nullptr, &size);
    if (!made) return {};
    std::string result(reinterpret_cast<const char*>(made), size);
    mbedtls_platform_zeroize(made, size);
    std::free(made);
    return result;
}

inline void wipe(std::string& text) noexcept {
    mbedtls_platform_zeroize(text.data(), text.size());
    text.clear();
}

}  // namespace detail

POSTROAD_DECL std::string saslprep(std::string_view text, std::string& problem) {
    problem.clear();
    if (postroad::detail::is_ascii(text)) return std::string(text);
    std::string mapped;
    mapped.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        const auto from = at;
        const auto c = postroad::detail::next_character(text, at);
        if (c == postroad::detail::ill_formed) {
            problem = "is not valid UTF-8";
            break;
        }
        if (detail::is_one_of(detail::other_spaces, c))
            mapped += ' ';
        else if (!detail::is_one_of(detail::mapped_to_nothing, c))
            mapped += text.substr(from, at - from);
    }
    auto result = problem.empty() ? detail::nfkc(mapped) : std::string();
    detail::wipe(mapped);
    if (problem.empty() && result.empty()) problem = "holds nothing that counts";
    for (std::size_t at = 0; at < result.size() && problem.empty();)
        if (detail::is_one_of(detail::prohibited, postroad::detail::next_character(result, at)))
            problem = "holds a character that SASLprep prohibits";
    if (problem.empty() && detail::mixes_directions(result)) problem = "mixes letters of both writing directions";
    if (!problem.empty()) detail::wipe(result);
    return result;
}

}  // namespace postroad::smtp
