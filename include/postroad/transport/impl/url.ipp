#pragma once

#include <postroad/core/algorithm.hpp>
#include <postroad/core/number.hpp>
#include <postroad/transport/url.hpp>

#include <postroad/core/error.hpp>
#include <postroad/core/percent.hpp>
#include <postroad/message/utf8.hpp>
#include <postroad/tls/names.hpp>

#include <algorithm>
#include <numeric>
#include <optional>

namespace postroad::transport {
namespace detail {

[[noreturn]] inline void refuse_url(std::string text) { throw error(errc::invalid_url, std::move(text)); }
[[noreturn]] inline void refuse_option(std::string text) { throw error(errc::invalid_option, std::move(text)); }

struct url_scheme {
    std::string_view prefix;
    std::uint16_t port;  // 0: a path follows
    postroad::security security;
    postroad::protocol protocol = postroad::protocol::smtp;
};

inline constexpr url_scheme url_schemes[] = {
    {"smtp://", 587, security::starttls},
    {"smtps://", 465, security::implicit},
    {"smtp+insecure://", 25, security::insecure_none},
    {"smtp+opportunistic://", 25, security::opportunistic},
    {"lmtp://", 24, security::starttls, protocol::lmtp},
    {"lmtp+insecure://", 24, security::insecure_none, protocol::lmtp},
    {"lmtp+unix://", 0, security::insecure_none, protocol::lmtp},
};

inline endpoint take_scheme(std::string_view& url) {
    for (const auto& s : url_schemes)
        if (postroad::detail::equal_ignoring_case(url.substr(0, s.prefix.size()), s.prefix)) {
            url.remove_prefix(s.prefix.size());
            return {.port = s.port, .security = s.security, .protocol = s.protocol};
        }
    refuse_url(
        "the URL must begin with smtp://, smtps://, smtp+opportunistic://, smtp+insecure://, lmtp://, lmtp+insecure:// "
        "or lmtp+unix://");
}

using postroad::detail::hex_digit;

inline std::string percent_decoded(std::string_view text) {
    if (auto decoded = postroad::detail::percent_decoded(text)) return *std::move(decoded);
    refuse_url("in the URL, % must be followed by two hexadecimal digits (% itself is %25)");
}

// Names that the resolver of the system would read as an address: 127.1, 0x7f000001.
inline bool looks_like_number(std::string_view host) noexcept {
    const auto dot = host.rfind('.');
    const auto last = dot == std::string_view::npos ? host : host.substr(dot + 1);
    const bool hex = last.starts_with("0x");
    return postroad::detail::all_of(hex ? last.substr(2) : last,
                                    [hex](char c) { return hex ? hex_digit(c) >= 0 : c >= '0' && c <= '9'; });
}

inline bool is_url_host(std::string_view host) {
    if (!postroad::tls::address_octets(host).empty()) return host.find(':') == std::string_view::npos;
    return postroad::tls::is_host_name(host) && !looks_like_number(host) && !host.starts_with('-') &&
           !host.ends_with('-') && host.find(".-") == std::string_view::npos &&
           host.find("-.") == std::string_view::npos;
}

// What stands in brackets: an IPv6 address, where it is of a link with "%25" and the zone behind it (RFC 6874 section
// 2).
inline std::string literal_host(std::string_view inside) {
    const auto address = inside.substr(0, inside.find('%'));
    const auto octets = postroad::tls::address_octets(address);
    auto zone = inside.substr(address.size());
    const bool of_a_link = octets.size() == 16 && octets[0] == '\xfe' && (octets[1] & 0xc0) == 0x80;
    if (octets.size() != 16 || !(zone.empty() || (of_a_link && zone.starts_with("%25"))))
        refuse_url(
            "in the URL, brackets must hold an IPv6 address; one of a link (fe80::) may have %25 and a zone behind");
    auto host = postroad::detail::in_lower_case(std::string(address));
    if (zone.empty()) return host;
    host += '%' + percent_decoded(zone.substr(3));
    if (postroad::tls::address_octets(host).empty())
        refuse_url("in the URL, the zone behind %25 must be letters, digits, hyphens, dots, _ or ~");
    return host;
}

inline bool is_bare_ipv6(std::string_view text) noexcept {
    return text.find(':') != text.rfind(':') && text.find_first_not_of("0123456789abcdefABCDEF:.") == text.npos;
}

// Cuts the host off the front of `text`, and leaves ":port" or nothing.
inline std::string take_host(std::string_view& text) {
    if (text.starts_with('[')) {
        const auto end = text.find(']');
        auto host = literal_host(text.substr(1, std::min(end, text.size()) - 1));
        if (end == std::string_view::npos) refuse_url("in the URL, the bracket before the address has no other behind");
        text.remove_prefix(end + 1);
        return host;
    }
    if (is_bare_ipv6(text)) refuse_url("an IPv6 address in the URL stands in brackets, as in smtp://[2001:db8::1]:587");
    const auto name = text.substr(0, text.find(':'));
    text.remove_prefix(name.size());
    if (name.empty()) refuse_url("the URL names no host");
    auto host = postroad::tls::plain_host(percent_decoded(name));
    if (!is_url_host(host))
        refuse_url(
            "the host in the URL must be a domain name (letters, digits, hyphens and dots, or an international one "
            "that IDNA 2008 allows), an IPv4 address, or an IPv6 address in brackets");
    return host;
}

template <class Number>
std::optional<Number> number_within(std::string_view text, Number lowest, Number highest) noexcept {
    const auto value = postroad::detail::whole_number<Number>(text);
    return value >= lowest && value <= highest ? value : std::nullopt;
}

inline std::uint16_t take_port(std::string_view text) {
    const auto port = number_within<std::uint16_t>(text.substr(std::min<std::size_t>(text.size(), 1)), 1, 65535);
    if (!text.starts_with(':') || !port) refuse_url("the port in the URL must be a number from 1 to 65535");
    return *port;
}

// The path of a Unix-domain socket, up to the options.
inline std::string take_path(std::string_view& rest) {
    const auto end = std::min(rest.find('?'), rest.size());
    auto path = percent_decoded(rest.substr(0, end));
    rest.remove_prefix(end);
    if (path.size() < 2 || path.size() > max_socket_path || path.find('\0') != std::string::npos)
        refuse_url(
            "lmtp+unix:// must be followed by the absolute path of a socket, as in lmtp+unix:///run/lmtp, of at "
            "most " +
            std::to_string(max_socket_path) + " octets");
    return path;
}

inline void take_user(std::string_view text, postroad::smtp::credentials& c) {
    const auto colon = text.find(':');
    c.user = percent_decoded(text.substr(0, colon));
    if (c.user.empty()) refuse_url("the user name in the URL is empty");
    if (colon != std::string_view::npos) {
        c.password = secret(percent_decoded(text.substr(colon + 1)));
        if (c.password.empty()) refuse_url("the password in the URL is empty; without one leave out the colon");
    }
    postroad::smtp::check_fields(c);
}

inline std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        auto diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const auto replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
        }
    }
    return row[b.size()];
}

[[noreturn]] inline void refuse_option_name(const std::string& name, std::span<const std::string_view> known) {
    auto text = "unknown option \"" + name + "\"";
    if (known.empty()) refuse_option(text + "; none are known here");
    const auto nearest =
        *std::ranges::min_element(known, {}, [&](std::string_view k) { return edit_distance(name, k); });
    refuse_option(text + "; did you mean \"" + std::string(nearest) + "\"?");
}

inline bool is_option_name(std::string_view name) noexcept {
    return !name.empty() && name.size() <= 32 && postroad::detail::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    });
}

inline void check_option_text(const std::string& name, std::string_view value) {
    for (std::size_t at = 0; at < value.size();) {
        const auto c = postroad::detail::next_character(value, at);
        if (c == postroad::detail::ill_formed || postroad::detail::is_control(c))
            refuse_option("option \"" + name + "\" is not valid UTF-8 or holds a control character");
    }
}

inline url_options parse_options(std::string_view query, std::span<const std::string_view> known) {
    url_options options;
    while (!query.empty()) {
        const auto piece = query.substr(0, query.find('&'));
        query.remove_prefix(piece.size());
        if (query == "&") refuse_option("the options in the URL end with &");
        if (!query.empty()) query.remove_prefix(1);
        const auto equals = piece.find('=');
        auto name = percent_decoded(piece.substr(0, equals));
        // what is no name is not quoted: it may be the rest of a password with a ? in it
        if (!is_option_name(name) || equals == std::string_view::npos)
            refuse_option("options in the URL must be name=value, with & between them and names in lower case");
        if (!postroad::detail::contains(known, name)) refuse_option_name(name, known);
        if (postroad::detail::any_of(options, [&](const auto& o) { return o.first == name; }))
            refuse_option("option \"" + name + "\" is given twice");
        auto value = percent_decoded(piece.substr(equals + 1));
        check_option_text(name, value);
        options.emplace_back(std::move(name), std::move(value));
    }
    return options;
}

inline void check_url_characters(std::string_view url) {
    if (url.size() > max_url) refuse_url("the URL is longer than " + std::to_string(max_url) + " octets");
    if (postroad::detail::any_of(url, [](char c) { return (c >= 0 && c <= 0x20) || c == 0x7f; }))
        refuse_url("the URL holds a space or control character; write its octets as %XX");
    if (url.find('#') != std::string_view::npos) refuse_url("the URL has a fragment; write # as %23");
}

inline bool is_client_name(std::string_view name) {
    if (!name.starts_with('[') || !name.ends_with(']')) {
        const auto plain = postroad::tls::plain_host(name);
        return is_url_host(plain) && postroad::tls::address_octets(plain).empty();
    }
    const auto inner = name.substr(1, name.size() - 2);
    const bool v6 = postroad::detail::equal_ignoring_case(inner.substr(0, 5), "IPv6:");
    // A zone is of this machine, and nobody else's business.
    return inner.find('%') == std::string_view::npos &&
           postroad::tls::address_octets(v6 ? inner.substr(5) : inner).size() == (v6 ? 16 : 4);
}

}  // namespace detail

POSTROAD_DECL url_parts parse_url(std::string_view url, std::span<const std::string_view> known) {
    detail::check_url_characters(url);
    url_parts parts;
    parts.server = detail::take_scheme(url);
    auto authority = url.substr(0, std::min(url.find_first_of("/?"), url.size()));
    auto rest = url.substr(authority.size());
    const auto at = authority.find('@');
    if (rest.find('@') != std::string_view::npos ||
        (at != std::string_view::npos && authority.find('@', at + 1) != std::string_view::npos))
        detail::refuse_url("in the user name, password and options of a URL, write @ as %40, / as %2F and ? as %3F");
    const auto user = authority.substr(0, at == std::string_view::npos ? 0 : at);
    if (!postroad::detail::is_ascii(user) || !postroad::detail::is_ascii(rest))
        detail::refuse_url(
            "only the host in the URL may have non-ASCII characters; elsewhere write their octets as %XX");
    if (at != std::string_view::npos) {
        detail::take_user(authority.substr(0, at), parts.credentials);
        authority.remove_prefix(at + 1);
    }
    if (parts.server.port == 0) {
        if (!authority.empty() || !parts.credentials.empty())
            detail::refuse_url("lmtp+unix:// takes no user and no host, only a path");
        parts.server.name = detail::take_path(rest);
    } else {
        parts.server.name = detail::take_host(authority);
        if (!authority.empty()) parts.server.port = detail::take_port(authority);
        if (rest.starts_with('/')) rest.remove_prefix(1);
    }
    if (!rest.empty() && rest[0] != '?') detail::refuse_url("the URL must not have a path");
    if (!rest.empty()) parts.options = detail::parse_options(rest.substr(1), known);
    return parts;
}

POSTROAD_DECL void check_options(const url_options& options) {
    const auto number = [](const auto& o, unsigned highest) {
        if (!detail::number_within<unsigned>(o.second, 1, highest))
            detail::refuse_option("option \"" + o.first + "\" must be a number from 1 to " + std::to_string(highest));
    };
    const auto one_of = [](const auto& o, std::initializer_list<std::string_view> values) {
        if (postroad::detail::contains(values, o.second)) return;
        std::string text;
        for (const auto v : values) text.append(text.empty() ? "" : ", ").append(v);
        detail::refuse_option("option \"" + o.first + "\" must be one of " + text);
    };
    for (const auto& o : options) {
        const auto& [name, value] = o;
        if (value.empty()) detail::refuse_option("option \"" + name + "\" has no value");
        if (name == "helo" && !detail::is_client_name(value))
            detail::refuse_option("option \"helo\" must be a domain name or an address literal such as [192.0.2.1]");
        if (name == "pipelining") one_of(o, {"automatic", "lockstep", "envelope", "across", "window"});
        if (name == "tls")
            one_of(o, {"auto", "required", "implicit", "opportunistic", "insecure_none", "insecure_no_verify"});
        if (name == "insecure_authentication") one_of(o, {"true"});
        if (name == "window") number(o, max_url_window);
        if (name == "connections" || name == "pool") number(o, max_url_connections);
        if (name == "recipients") number(o, max_url_recipients);
        if (name == "processes") number(o, max_url_processes);
        if (name == "auth") mechanism_list(value);
        if (name == "backup") backup_list(value, {});
        if (name == "proxy") (void)net::parse_proxy(value);
    }
}

POSTROAD_DECL std::vector<endpoint> backup_list(std::string_view value, const endpoint& first) {
    std::vector<endpoint> result;
    while (true) {
        const auto comma = value.find(',');
        auto one = value.substr(0, comma);
        auto e = first;
        e.name = detail::take_host(one);
        if (!one.empty()) e.port = detail::take_port(one);
        e.preference = static_cast<std::uint16_t>(first.preference + 1 + result.size());
        result.push_back(std::move(e));
        if (result.size() > max_url_backups)
            detail::refuse_option("option \"backup\" names more than " + std::to_string(max_url_backups) + " servers");
        if (comma == std::string_view::npos) return result;
        value.remove_prefix(comma + 1);
    }
}

POSTROAD_DECL std::vector<std::string> mechanism_list(std::string_view value) {
    std::vector<std::string> result;
    while (true) {
        const auto comma = value.find(',');
        auto name = postroad::detail::in_upper_case(std::string(value.substr(0, comma)));
        if (!postroad::smtp::is_known_mechanism(name))
            detail::refuse_option("option \"auth\": unknown mechanism \"" + escaped(name, 40) + "\"");
        if (!postroad::detail::contains(result, name)) result.push_back(std::move(name));
        if (comma == std::string_view::npos) return result;
        value.remove_prefix(comma + 1);
    }
}

}  // namespace postroad::transport
