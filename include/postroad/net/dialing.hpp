#pragma once
// How a connection to a server is opened: time-outs, proxy, local addresses. No I/O here. See docs/transport.md.

#include <postroad/core/clock.hpp>
#include <postroad/core/config.hpp>
#include <postroad/core/secret.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postroad::net {

enum class proxy_kind : unsigned char {
    socks5,        ///< RFC 1928, with user and password (RFC 1929) if there is a user
    http_connect,  ///< RFC 9110 section 9.3.6, with Basic authentication (RFC 7617) if there is a user
};

/// A proxy that every connection over TCP goes through, also one to localhost. It looks the server's name up itself.
/// User and password go to the proxy in the clear; TLS with the server is end to end.
struct proxy {
    /// Octets of user and of password (RFC 1929).
    static constexpr std::size_t max_field = 255;

    proxy_kind kind = proxy_kind::socks5;
    std::string host = {};  ///< a domain name or an address, without brackets
    std::uint16_t port = 1080;
    std::string user = {};
    secret password = {};
};

/// From `socks5://user:password@host:port` (port 1080 if there is none; `socks5h` is the same) or `http://…` (port 80).
/// User and password are percent-decoded. Throws `error` (errc::invalid_url, or as check() does), quoting nothing.
POSTROAD_DECL proxy parse_proxy(std::string_view url);

/// Which addresses of a name are used.
enum class address_family : unsigned char { any, ipv4, ipv6 };

/// What a transport says about getting to its servers.
struct dialing {
    /// For everything until the server has greeted: look-up, attempts, the talk with a proxy, TLS if it comes first,
    /// and the greeting, all together. One that lets callers wait for long (RFC 5321 section 4.5.3.2.1 speaks of 5
    /// minutes) needs more.
    duration timeout = std::chrono::seconds(30);
    /// How long an address may keep silent before the next one is tried beside it (RFC 8305 section 5); at least 10 ms.
    duration attempt_delay = std::chrono::milliseconds(250);
    address_family family = address_family::any;
    /// Addresses of this machine to connect from, one of a family at most. If there are any, a family without one is
    /// not used.
    std::vector<std::string> local_addresses = {};
    /// Unix-domain sockets are never reached through it.
    std::optional<net::proxy> proxy = {};
    /// Silence after which the system asks the peer whether it is there; zero: never. Servers take minutes to answer
    /// the end of a message, and a firewall between must not forget the connection meanwhile.
    duration keep_alive = std::chrono::minutes(1);
};

/// Throws `error` (errc::invalid_option) for what cannot be dialled: names, ports or addresses that are none, times
/// that are not positive, a user or password that the proxy's protocol cannot carry. No text holds either.
POSTROAD_DECL void check(const dialing& d);

}  // namespace postroad::net

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/net/impl/dialing.ipp>
#endif
