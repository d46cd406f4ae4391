#pragma once
// An SMTP server in one line: smtp://user:p%40ss@smtp.example.com:587/?connections=4. See docs/transport.md.

#include <postroad/core/config.hpp>
#include <postroad/core/endpoint.hpp>
#include <postroad/net/dialing.hpp>
#include <postroad/smtp/credentials.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::transport {

/// Octets of a URL.
inline constexpr std::size_t max_url = 4096;
/// Greatest value of the option `connections`.
inline constexpr unsigned max_url_connections = 10000;
/// Greatest value of the option `window`.
inline constexpr unsigned max_url_window = 1000;
/// Greatest value of the option `recipients`.
inline constexpr unsigned max_url_recipients = 100'000;
/// Greatest value of the option `processes`.
inline constexpr unsigned max_url_processes = 1000;
/// Servers in the option `backup`.
inline constexpr std::size_t max_url_backups = 16;
/// Octets of the path of a Unix-domain socket: what fits into sockaddr_un.
inline constexpr std::size_t max_socket_path = 107;

/// The options a URL may carry behind "?":
/// `auth` = mechanisms that may be used, by preference, with commas; `backup` = further servers, host or host:port with
/// commas, each used when those before it fail; `ca` = a file of trusted certificates, or a folder of them with / at
/// its end; `certificate`, `key` = files of the client's own; `connections`, or `pool`, = most connections at a time, 1
/// to max_url_connections; `crl` = a file of lists of revoked certificates; `helo` = the name said in EHLO, a domain or
/// an address literal; `insecure_authentication` = true: credentials may go out without TLS; `local` = address of this
/// machine to connect from; `pin` = base64 of the SHA-256 of the server's public key, more with commas; `pipelining` =
/// automatic, lockstep, envelope, across or window; `proxy` = a URL, socks5:// or http://; `recipients` = most in one
/// transaction; `tls` = auto (by port: 465 is implicit), required, implicit, opportunistic, insecure_none or
/// insecure_no_verify; `window` = transactions in flight, 1 to max_url_window.
inline constexpr std::string_view url_option_names[] = {
    "auth",  "backup", "ca",  "certificate", "connections", "crl",   "helo",       "insecure_authentication",
    "key",   "local",  "pin", "pipelining",  "pool",        "proxy", "recipients", "tls",
    "window"};

/// Name and value, decoded.
using url_options = std::vector<std::pair<std::string, std::string>>;

/// What a URL says.
struct url_parts {
    endpoint server = {};
    postroad::smtp::credentials credentials = {};  ///< empty without user; password empty without ":"
    url_options options = {};                      ///< in the order given, none twice
};

/// Takes a URL apart (RFC 3986). Schemes and their ports: `smtp` 587 with STARTTLS required, `smtps` 465 with TLS from
/// the start, `smtp+opportunistic` 25 with STARTTLS if it is offered, `smtp+insecure` 25 without TLS; `lmtp` 24 with
/// STARTTLS required, `lmtp+insecure` 24 without TLS, and `lmtp+unix` with the path of a socket instead of a host:
/// `lmtp+unix:///run/dovecot/lmtp`. The host is a domain name, which becomes lower case, loses a dot at its end and, if
/// it is international, becomes A-labels (IDNA 2008); an IPv4 address; or an IPv6 address in brackets, with
/// its zone behind `%25` where it is of a link (RFC 6874): `smtp://[fe80::1%25eth0]`. User, password
/// and option values are percent-decoded; they are UTF-8 and hold no control character. Path and fragment are not
/// allowed. Throws `error`: errc::invalid_url, errc::invalid_credentials (user or password), errc::invalid_option (a
/// name not in `known`, or twice). No error quotes anything but the name of an option, since any part may be a password
/// that was not encoded.
POSTROAD_DECL url_parts parse_url(std::string_view url, std::span<const std::string_view> known = url_option_names);

/// Throws `error` (errc::invalid_option), naming option and allowed values, if one of url_option_names has a value that
/// it cannot have. Others are not looked at. Files are not opened.
POSTROAD_DECL void check_options(const url_options& options);

/// The servers in the value of `backup`: like `first` but for name, port and preference. Throws `error`.
POSTROAD_DECL std::vector<endpoint> backup_list(std::string_view value, const endpoint& first);

/// The names in the value of `auth`, upper case. Throws `error` (errc::invalid_option) for one postroad lacks.
POSTROAD_DECL std::vector<std::string> mechanism_list(std::string_view value);

}  // namespace postroad::transport

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/transport/impl/url.ipp>
#endif
