#pragma once

#include <postroad/message/content.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

namespace postroad {
namespace detail {

// Whether every line end is CRLF and the last line has one: the common case, which needs no copy.
inline bool has_only_crlf(std::string_view text) noexcept {
    if (!text.empty() && !text.ends_with("\r\n")) return false;
    std::size_t at = 0;
    std::size_t crs = 0;
    while (at < text.size()) {
        const void* found = std::memchr(text.data() + at, '\n', text.size() - at);
        if (!found) break;
        const auto lf = static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
        if (lf == 0 || text[lf - 1] != '\r') return false;
        ++crs;
        at = lf + 1;
    }
    return static_cast<std::size_t>(std::ranges::count(text, '\r')) == crs;
}

inline std::string with_crlf(std::string_view text) {
    std::string result;
    result.reserve(text.size() + text.size() / 32 + 2);
    std::size_t at = 0;
    while (at < text.size()) {
        const auto end = std::min(text.find_first_of("\r\n", at), text.size());
        result.append(text.substr(at, end - at));
        result += "\r\n";
        if (end == text.size()) return result;
        at = end + (text.substr(end, 2) == "\r\n" ? 2 : 1);
    }
    return result;
}

}  // namespace detail

POSTROAD_DECL content content::from_text(std::string text) {
    if (const auto nul = text.find('\0'); nul != std::string::npos)
        throw error(errc::invalid_message, "the message holds a NUL at octet " + std::to_string(nul));
    auto s = std::make_shared<shared>();
    s->text = detail::has_only_crlf(text) ? std::move(text) : detail::with_crlf(text);
    const std::string_view all = s->text;
    bool in_header = true;
    for (std::size_t at = 0; at < all.size();) {
        const auto end = all.find('\n', at);
        const auto line = all.substr(at, end - 1 - at);
        s->longest_line = std::max<std::uint64_t>(s->longest_line, line.size());
        if (line.empty()) in_header = false;
        if (line.starts_with('.')) s->leading_dots = true;
        if (!s->eight_bit || (in_header && !s->eight_bit_header)) {
            const bool high = std::ranges::any_of(line, [](char c) { return static_cast<unsigned char>(c) > 127; });
            s->eight_bit = s->eight_bit || high;
            s->eight_bit_header = s->eight_bit_header || (high && in_header);
        }
        at = end + 1;
    }
    content result;
    result.shared_ = std::move(s);
    return result;
}

}  // namespace postroad
