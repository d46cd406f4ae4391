#pragma once

#include <postroad/core/algorithm.hpp>
#include <postroad/core/base64.hpp>
#include <postroad/core/percent.hpp>
#include <postroad/message/encoding.hpp>
#include <postroad/message/lines.hpp>
#include <postroad/message/utf8.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

namespace postroad::detail {

// Two digits for each twelve bits: half the look-ups, and 8 KiB that stay in the cache.
constexpr auto make_base64_pairs() noexcept {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::array<std::array<char, 2>, 4096> pairs{};
    for (std::size_t i = 0; i < pairs.size(); ++i) pairs[i] = {digits[i >> 6], digits[i & 63]};
    return pairs;
}

inline constexpr auto base64_pairs = make_base64_pairs();

inline char* put_base64_group(char* to, std::uint32_t group) noexcept {
    std::memcpy(to, base64_pairs[group >> 12].data(), 2);
    std::memcpy(to + 2, base64_pairs[group & 0xfff].data(), 2);
    return to + 4;
}

inline char* put_base64(char* to, std::string_view octets) noexcept {
    const auto octet = [&](std::size_t i) -> std::uint32_t { return static_cast<unsigned char>(octets[i]); };
    std::size_t at = 0;
    for (; octets.size() - at >= 3; at += 3)
        to = put_base64_group(to, octet(at) << 16 | octet(at + 1) << 8 | octet(at + 2));
    if (const auto left = octets.size() - at; left > 0) {
        to = put_base64_group(to, octet(at) << 16 | (left == 2 ? octet(at + 1) << 8 : 0));
        std::memset(to - (3 - left), '=', 3 - left);
    }
    return to;
}

POSTROAD_DECL void append_base64_lines(std::string& to, std::string_view octets) {
    const auto before = to.size();
    to.resize(before + static_cast<std::size_t>(base64_lines_size(octets.size())));
    char* out = to.data() + before;
    while (octets.size() > base64_line_input) {
        out = put_base64(out, octets.substr(0, base64_line_input));
        *out++ = '\r';
        *out++ = '\n';
        octets.remove_prefix(base64_line_input);
    }
    put_base64(out, octets);
}

// Octets that quoted-printable shows as they are wherever they stand; spaces only within a line.
constexpr bool is_plain_in_qp(char c) noexcept { return c > ' ' && c < 0x7f && c != '='; }

constexpr auto make_qp_plain() noexcept {
    std::array<bool, 256> plain{};
    for (unsigned i = 0; i < 128; ++i) plain[i] = is_plain_in_qp(static_cast<char>(i)) || i == ' ' || i == '\t';
    return plain;
}

inline constexpr auto qp_plain = make_qp_plain();

// Marks octets of a word that stand for themselves nowhere: controls, `=`, DEL, above 127. Exact up to the first mark.
constexpr std::uint64_t qp_marks(std::uint64_t word) noexcept {
    constexpr std::uint64_t ones = 0x0101010101010101U;
    constexpr std::uint64_t high = ones * 0x80;
    const auto zeros = [=](std::uint64_t x) { return (x - ones) & ~x; };
    return (word | ((word - ones * 0x20) & ~word) | zeros(word ^ ones * '=') | zeros(word ^ ones * 0x7f)) & high;
}

constexpr auto make_qp_escapes() noexcept {
    constexpr std::string_view hex = "0123456789ABCDEF";
    std::array<std::array<char, 4>, 256> escapes{};
    for (std::size_t i = 0; i < escapes.size(); ++i) escapes[i] = {'=', hex[i >> 4], hex[i & 15], '\0'};
    return escapes;
}

inline constexpr auto qp_escapes = make_qp_escapes();

constexpr bool is_qp_gap(char c) noexcept { return c == ' ' || c == '\t'; }
constexpr bool ends_qp_line(char c) noexcept { return c == '\r' || c == '\n'; }

// Copies what stays as it is, at most `room` octets, and returns how many; may write seven more.
inline std::size_t copy_qp_run(char* to, const char* from, std::size_t room) noexcept {
    std::size_t n = 0;
    if constexpr (std::endian::native == std::endian::little) {
        std::uint64_t word = 0;
        for (; n + sizeof word <= room; n += sizeof word) {
            std::memcpy(&word, from + n, sizeof word);
            std::memcpy(to + n, &word, sizeof word);
            if (const auto marks = qp_marks(word)) {
                n += static_cast<std::size_t>(std::countr_zero(marks)) / 8;
                break;
            }
        }
    }
    for (; n < room && qp_plain[static_cast<unsigned char>(from[n])]; ++n) to[n] = from[n];
    return n;
}

// What a line takes in the buffer: itself, its end, and what is written too much.
inline constexpr std::size_t qp_line_room = max_encoded_line + 16;

POSTROAD_DECL void append_quoted_printable(std::string& to, std::string_view text) {
    static constexpr std::string_view crlf = "\r\n";
    std::array<char, 4096> buffer;
    const char* from = text.data();
    const char* const end = from + text.size();
    char* out = buffer.data();
    std::size_t column = 0;
    while (from != end) {
        if (static_cast<std::size_t>(out - buffer.data()) > buffer.size() - qp_line_room && column == 0) {
            to.append(buffer.data(), static_cast<std::size_t>(out - buffer.data()));
            out = buffer.data();
        }
        if (column < max_encoded_line - 1) {
            const auto left = static_cast<std::size_t>(end - from);
            const auto n = copy_qp_run(out, from, std::min(max_encoded_line - 1 - column, left));
            from += n;
            out += n;
            column += n;
        }
        if (from == end || ends_qp_line(*from)) {
            if (column > 0 && is_qp_gap(out[-1])) {  // it would end the line: it is escaped, below
                --from;
                --out;
                --column;
            } else if (from == end) {
                break;
            } else {
                from += end - from > 1 && from[0] == '\r' && from[1] == '\n' ? 2 : 1;
                out += crlf.copy(out, crlf.size());
                column = 0;
                continue;
            }
        }
        // one octet; the last of a line needs no room for the = of a soft break
        const bool last = end - from == 1 || ends_qp_line(from[1]);
        const auto c = static_cast<unsigned char>(*from);
        const std::size_t cost = qp_plain[c] && !(last && is_qp_gap(*from)) ? 1 : 3;
        if (column + cost + (last ? 0 : 1) > max_encoded_line) {
            *out++ = '=';
            out += crlf.copy(out, crlf.size());
            column = 0;
            continue;
        }
        if (cost == 1)
            *out = *from;
        else
            std::memcpy(out, qp_escapes[c].data(), 4);
        out += cost;
        column += cost;
        ++from;
    }
    to.append(buffer.data(), static_cast<std::size_t>(out - buffer.data()));
}

POSTROAD_DECL std::optional<std::string> decoded_word(std::string_view word) {
    if (word.size() < 6 || !word.starts_with("=?") || !word.ends_with("?=")) return {};
    word = word.substr(2, word.size() - 4);
    const auto first = word.find('?');
    const auto second = word.find('?', first + 1);
    if (first == std::string_view::npos || second != first + 2 || word.find('?', second + 1) != std::string_view::npos)
        return {};
    // a language may stand behind the charset (RFC 2231 section 5)
    const auto charset = word.substr(0, std::min(word.find('*'), first));
    const auto text = word.substr(second + 1);
    const char form = to_lower(word[first + 1]);
    std::string octets;
    if (form == 'b') {
        auto padded = std::string(text);  // which some leave out
        if (!text.ends_with('=')) padded.append((4 - text.size() % 4) % 4, '=');
        if (!base64_decode(padded, octets)) return {};
    } else if (form == 'q') {
        for (std::size_t at = 0; at < text.size(); ++at) {
            if (text[at] != '=') {
                octets += text[at] == '_' ? ' ' : text[at];
                continue;
            }
            const int high = at + 2 < text.size() ? hex_digit(text[at + 1]) : -1;
            const int low = high >= 0 ? hex_digit(text[at + 2]) : -1;
            if (low < 0) return {};
            octets += static_cast<char>(high * 16 + low);
            at += 2;
        }
    } else {
        return {};
    }
    if (equal_ignoring_case(charset, "utf-8") || equal_ignoring_case(charset, "us-ascii")) return octets;
    if (!equal_ignoring_case(charset, "iso-8859-1")) return {};
    std::string result;
    for (const char c : octets) {
        const auto u = static_cast<unsigned char>(c);
        if (u >= 0x80) result += static_cast<char>(0xc0U | u >> 6U);
        result += static_cast<char>(u < 0x80 ? u : 0x80U | (u & 0x3fU));
    }
    return result;
}

POSTROAD_DECL bool is_foreign_word(std::string_view word) noexcept {
    static constexpr std::size_t max_word = 75;
    if (word.size() > max_word || word.size() < 8 || !word.starts_with("=?") || !word.ends_with("?=")) return false;
    word = word.substr(2, word.size() - 4);
    const auto end = word.find('?');
    const auto charset = word.substr(0, end);
    const auto all = [](std::string_view text, std::string_view more) {
        return !text.empty() && postroad::detail::all_of(text, [&](char c) {
            return is_alphanumeric(static_cast<unsigned char>(c)) || (c != '\0' && more.find(c) != more.npos);
        });
    };
    for (const auto* ours : {"utf-8", "utf8", "us-ascii", "iso-8859-1"})
        if (equal_ignoring_case(charset, ours)) return false;
    if (end + 3 > word.size() || word[end + 2] != '?' || !all(charset, "-_.:")) return false;
    const char form = to_lower(word[end + 1]);
    const auto text = word.substr(end + 3);
    return (form == 'q' && all(text, "!*+-/=_")) || (form == 'b' && all(text, "+/="));
}

POSTROAD_DECL bool prefers_quoted_printable(std::string_view text) noexcept {
    std::size_t escaped = 0;
    for (const char c : text)
        escaped += qp_plain[static_cast<unsigned char>(c)] || c == '\r' || c == '\n' ? std::size_t{0} : std::size_t{1};
    return escaped * 6 <= text.size();
}

}  // namespace postroad::detail
