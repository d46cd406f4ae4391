#pragma once

#include <postroad/core/algorithm.hpp>
#include <postroad/core/number.hpp>
#include <postroad/core/percent.hpp>
#include <postroad/net/dialing.hpp>

#include <postroad/core/error.hpp>
#include <postroad/tls/names.hpp>

#include <array>
#include <utility>

namespace postroad::net {
namespace detail {

[[noreturn]] inline void refuse_proxy(std::string text) { throw error(errc::invalid_url, std::move(text)); }
[[noreturn]] inline void refuse_dialing(std::string text) { throw error(errc::invalid_option, std::move(text)); }

inline std::string unescape_proxy_field(std::string_view text) {
    if (auto decoded = postroad::detail::percent_decoded(text)) return *std::move(decoded);
    refuse_proxy("in the proxy's URL, % must be followed by two hexadecimal digits (% itself is %25)");
}

inline proxy take_proxy_scheme(std::string_view& url) {
    struct row {
        std::string_view prefix;
        proxy_kind kind;
        std::uint16_t port;
    };
    static constexpr std::array<row, 3> rows = {{{"socks5://", proxy_kind::socks5, 1080},
                                                 {"socks5h://", proxy_kind::socks5, 1080},
                                                 {"http://", proxy_kind::http_connect, 80}}};
    for (const auto& r : rows)
        if (url.starts_with(r.prefix)) {
            url.remove_prefix(r.prefix.size());
            return {.kind = r.kind, .port = r.port};
        }
    refuse_proxy("the proxy's URL must begin with socks5:// or http://");
}

inline std::uint16_t proxy_port(std::string_view text) {
    const auto port = postroad::detail::whole_number<std::uint16_t>(text).value_or(0);
    if (port == 0) refuse_proxy("the port in the proxy's URL must be a number from 1 to 65535");
    return port;
}

inline bool is_ipv6_literal(std::string_view text) { return text.find(':') != std::string_view::npos; }

inline void check_proxy(const proxy& p) {
    const bool literal = !postroad::tls::address_octets(p.host).empty();
    if (!literal && !postroad::tls::is_host_name(p.host))
        refuse_dialing("the proxy's host is neither a domain name nor an address");
    if (p.port == 0) refuse_dialing("the proxy has no port");
    if (p.user.empty() && !p.password.empty()) refuse_dialing("the proxy has a password and no user");
    const auto password = p.password.reveal();
    if (p.user.size() > proxy::max_field || password.size() > proxy::max_field)
        refuse_dialing("the proxy's user or password is longer than " + std::to_string(proxy::max_field) + " octets");
    const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
    if (postroad::detail::any_of(p.user, control) || postroad::detail::any_of(password, control))
        refuse_dialing("the proxy's user or password holds a control character");
    if (p.kind == proxy_kind::http_connect && p.user.find(':') != std::string::npos)
        refuse_dialing("the user of an HTTP proxy cannot hold a colon");
    if (p.kind == proxy_kind::socks5 && !p.user.empty() && password.empty())
        refuse_dialing("the user of a SOCKS5 proxy needs a password");
}

}  // namespace detail

POSTROAD_DECL proxy parse_proxy(std::string_view url) {
    auto result = detail::take_proxy_scheme(url);
    if (url.ends_with('/')) url.remove_suffix(1);
    if (const auto at = url.rfind('@'); at != std::string_view::npos) {
        const auto login = url.substr(0, at);
        const auto colon = login.find(':');
        result.user = detail::unescape_proxy_field(login.substr(0, colon));
        if (colon != std::string_view::npos)
            result.password = secret(detail::unescape_proxy_field(login.substr(colon + 1)));
        url.remove_prefix(at + 1);
    }
    const bool bracketed = url.starts_with('[');
    const auto end = bracketed ? url.find(']') : url.find(':');
    if (bracketed && end == std::string_view::npos) detail::refuse_proxy("the proxy's URL has a [ without ]");
    result.host = bracketed ? std::string(url.substr(1, end - 1)) : postroad::tls::plain_host(url.substr(0, end));
    const bool in_brackets = detail::is_ipv6_literal(result.host) && result.host.find('%') == std::string::npos &&
                             !postroad::tls::address_octets(result.host).empty();
    if (bracketed ? !in_brackets : detail::is_ipv6_literal(result.host))
        detail::refuse_proxy("in the proxy's URL, brackets must hold an IPv6 address without zone");
    url.remove_prefix(end == std::string_view::npos ? url.size() : end + (bracketed ? 1 : 0));
    if (!url.empty()) {
        if (!url.starts_with(':')) detail::refuse_proxy("in the proxy's URL, only a port may follow the host");
        result.port = detail::proxy_port(url.substr(1));
    }
    detail::check_proxy(result);
    return result;
}

POSTROAD_DECL void check(const dialing& d) {
    if (d.timeout <= duration::zero()) detail::refuse_dialing("the time to connect must be positive");
    if (d.attempt_delay < std::chrono::milliseconds(10))
        detail::refuse_dialing("the delay between two attempts to connect must be at least 10 ms");
    if (d.keep_alive < duration::zero()) detail::refuse_dialing("the time before a keep-alive must not be negative");
    std::array<int, 2> of_family = {};
    for (const auto& a : d.local_addresses) {
        if (postroad::tls::address_octets(a).empty())
            detail::refuse_dialing("the local address \"" + escaped(a, 60) + "\" is no IPv4 or IPv6 address");
        if (++of_family[detail::is_ipv6_literal(a) ? 1 : 0] > 1)
            detail::refuse_dialing("two local addresses of one family; one is used for all connections");
    }
    const bool useless = !d.local_addresses.empty() && ((d.family == address_family::ipv4 && of_family[0] == 0) ||
                                                        (d.family == address_family::ipv6 && of_family[1] == 0));
    if (useless) detail::refuse_dialing("no local address is of the family that is to be used");
    if (d.proxy) detail::check_proxy(*d.proxy);
}

}  // namespace postroad::net
