#pragma once

#include <postroad/core/algorithm.hpp>
#include <postroad/message/checks.hpp>
#include <postroad/message/header.hpp>
#include <postroad/message/lines.hpp>
#include <postroad/message/utf8.hpp>

#include <algorithm>

namespace postroad::detail {

POSTROAD_DECL void refuse_field(std::string_view name, const std::string& why) {
    throw error(errc::invalid_header, std::string(name) + ": " + why);
}

POSTROAD_DECL void check_value(std::string_view name, std::string_view value) {
    for (std::size_t at = 0; at < value.size();) {
        const auto start = at;
        const char32_t c = next_character(value, at);
        if (c == ill_formed) refuse_field(name, "expected well-formed UTF-8 at octet " + std::to_string(start));
        if (is_control(c) && c != '\t')
            refuse_field(name, (c == '\r' || c == '\n' ? "a line end" : "a control character") +
                                   std::string(" is not allowed at octet ") + std::to_string(start));
    }
}

inline bool fits_in_angles(char c) noexcept { return c > ' ' && c < 0x7f && c != '<' && c != '>'; }

inline constexpr std::size_t max_message_id = 250;

POSTROAD_DECL void check_id(std::string_view name, std::string_view id) {
    check_value(name, id);
    if (id.empty() || id.size() > max_message_id || !postroad::detail::all_of(id, fits_in_angles))
        refuse_field(name, "expected 1 to 250 printable ASCII characters without space, < and >, got '" +
                               escaped(id, 100) + "'");
}

POSTROAD_DECL void check_message_id(std::string_view name, std::string_view id) {
    check_value(name, id);
    const auto inner = id.size() > 2 ? id.substr(1, id.size() - 2) : std::string_view{};
    const auto at = inner.find('@');
    if (id.size() > max_message_id || !id.starts_with('<') || !id.ends_with('>') ||
        !postroad::detail::all_of(inner, fits_in_angles) || at == 0 || at >= inner.size() - 1 ||
        inner.find('@', at + 1) != std::string_view::npos)
        refuse_field(name,
                     "expected <left@right> in at most 250 printable ASCII characters, got '" + escaped(id, 100) + "'");
}

POSTROAD_DECL bool is_field_name(std::string_view name) noexcept {
    const auto is_ftext = [](char c) { return c > ' ' && c < 0x7f && c != ':'; };
    return !name.empty() && name.size() <= max_field_name && postroad::detail::all_of(name, is_ftext);
}

POSTROAD_DECL void check_stretches(std::string_view name, std::string_view value) {
    if (is_ascii(value) && longest_stretch(value) >= max_line) refuse_field(name, "a word has more than 997 octets");
}

POSTROAD_DECL bool is_token(std::string_view text) noexcept {
    return !text.empty() && postroad::detail::all_of(text, [](char c) {
        return c > ' ' && c < 0x7f && std::string_view("()<>@,;:\\\"/[]?=").find(c) == std::string_view::npos;
    });
}

POSTROAD_DECL void check_text(const char* what, std::string_view body) {
    if (const auto nul = find_octet(body, '\0'); nul != body.size())
        throw error(errc::invalid_message, std::string("the ") + what + " holds a NUL at octet " + std::to_string(nul));
    for (std::size_t at = 0; at < body.size();)
        if (next_character(body, at) == ill_formed)
            throw error(errc::invalid_message,
                        std::string("the ") + what + " is not well-formed UTF-8 at octet " + std::to_string(at));
}

POSTROAD_DECL void check_url(std::string_view name, std::string_view url) {
    check_value(name, url);
    static constexpr std::size_t max_url = 900;  // a line holds 998 octets, and a URL is never folded
    const auto fits = [](char c) { return fits_in_angles(c) && c != ',' && c != '"'; };
    const auto bad = std::ranges::find_if_not(url, fits);
    if (bad != url.end())
        refuse_field(name, "a URL holds printable ASCII without space, comma, quote, < and >; escape octet " +
                               std::to_string(bad - url.begin()) + " as %XX");
    const auto colon = url.find(':');
    if (url.size() > max_url || colon == std::string_view::npos || colon == 0 || colon + 1 == url.size())
        refuse_field(name, "expected an absolute URL of at most 900 octets, got '" + escaped(url, 100) + "'");
}

}  // namespace postroad::detail
