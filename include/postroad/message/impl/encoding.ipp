#pragma once

#include <postroad/message/encoding.hpp>
#include <postroad/message/lines.hpp>

#include <array>
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

inline constexpr char hex_digits[] = "0123456789ABCDEF";

// Octets that quoted-printable shows as they are wherever they stand; spaces only within a line.
constexpr bool is_plain_in_qp(char c) noexcept { return c > ' ' && c < 0x7f && c != '='; }

constexpr auto make_qp_plain() noexcept {
    std::array<bool, 256> plain{};
    for (unsigned i = 0; i < 128; ++i) plain[i] = is_plain_in_qp(static_cast<char>(i)) || i == ' ' || i == '\t';
    return plain;
}

inline constexpr auto qp_plain = make_qp_plain();

// One line without its line end.
inline void append_qp_line(std::string& to, std::string_view line) {
    std::size_t column = 0;
    for (std::size_t at = 0; at < line.size();) {
        // a run of what stays as it is, as long as it fits before a soft break
        const auto room = max_encoded_line - 1 - column;
        std::size_t run = 0;
        while (run < room && at + run < line.size() && qp_plain[static_cast<unsigned char>(line[at + run])]) ++run;
        if (at + run == line.size() && run > 0 && !is_plain_in_qp(line.back())) --run;  // a space that ends the line
        to += line.substr(at, run);
        at += run;
        column += run;
        if (at == line.size()) return;
        const bool last = at + 1 == line.size();
        const char c = line[at];
        const std::size_t cost = is_plain_in_qp(c) || (qp_plain[static_cast<unsigned char>(c)] && !last) ? 1 : 3;
        // the last octet of a line needs no room for the = of a soft break
        if (column + cost + (last ? 0 : 1) > max_encoded_line) {
            to += "=\r\n";
            column = 0;
            continue;
        }
        if (cost == 1) {
            to += c;
        } else {
            const auto u = static_cast<unsigned char>(c);
            const char escape[] = {'=', hex_digits[u >> 4], hex_digits[u & 15]};
            to.append(escape, 3);
        }
        column += cost;
        ++at;
    }
}

POSTROAD_DECL std::string quoted_printable(std::string_view text) {
    std::string result;
    result.reserve(text.size() + text.size() / 4);
    for (std::size_t at = 0; at < text.size();) {
        const auto lf = find_octet(text, '\n', at);
        auto line = text.substr(at, lf - at);
        const auto cr = find_octet(line, '\r');
        line = line.substr(0, cr);
        append_qp_line(result, line);
        at += line.size();
        if (at == text.size()) break;
        result += "\r\n";
        at += text.substr(at, 2) == "\r\n" ? 2 : 1;
    }
    return result;
}

POSTROAD_DECL bool prefers_quoted_printable(std::string_view text) noexcept {
    std::size_t escaped = 0;
    for (const char c : text)
        escaped += qp_plain[static_cast<unsigned char>(c)] || c == '\r' || c == '\n' ? std::size_t{0} : std::size_t{1};
    return escaped * 6 <= text.size();
}

}  // namespace postroad::detail
