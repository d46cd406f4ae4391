#pragma once
// Where a connection goes and how the wire is protected there.

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

namespace postroad {

/// How the address of a server says its wire is protected.
enum class security : unsigned char {
    starttls,       ///< `smtp://`: plain at first, TLS required before anything of value is sent (RFC 3207)
    implicit,       ///< `smtps://`: TLS from the first octet (RFC 8314 section 3)
    insecure_none,  ///< `smtp+insecure://`: no TLS at all
    opportunistic,  ///< `smtp+opportunistic://`: TLS if the server offers it, whoever it is (RFC 7435)
};

/// What is spoken there.
enum class protocol : unsigned char {
    smtp,  ///< RFC 5321
    lmtp,  ///< RFC 2033: the last hop into a mail store, with one reply for each recipient; never on port 25
};

/// Addresses of a server whose name was looked up already, as text. Equal to all others: they may change while the
/// server stays the same.
struct known_addresses {
    std::vector<std::string> all = {};
    friend bool operator==(const known_addresses&, const known_addresses&) noexcept { return true; }
    friend std::strong_ordering operator<=>(const known_addresses&, const known_addresses&) noexcept {
        return std::strong_ordering::equal;
    }
};

/// A server: a name to look up (or an address literal without brackets) and a port; or a Unix-domain socket, whose
/// `name` is its absolute path and whose port is 0.
struct endpoint {
    std::string name = {};
    std::uint16_t port = 0;
    postroad::security security = postroad::security::starttls;
    postroad::protocol protocol = postroad::protocol::smtp;
    /// Among the servers of one destination: the lowest goes first, the others when it fails (RFC 5321 section 5.1).
    std::uint16_t preference = 0;
    /// Its share of the connections among those of one preference; at least 1.
    std::uint16_t weight = 1;
    /// RDATA of its TLSA records (RFC 6698 section 2.1), that a validating resolver found. With any of them TLS is
    /// required, and they say which certificates it may show instead of the CAs (RFC 7672 section 2.2).
    std::vector<std::string> tlsa = {};
    /// Where it is connected to, without a look-up; none: `name` is looked up.
    known_addresses addresses = {};
    /// Which of our own addresses it is connected from, as the transport names it; empty: whichever.
    std::string source = {};
    /// Whose credentials are for it, as the transport names them; empty: those of the transport, or none.
    std::string account = {};

    bool is_local() const noexcept { return name.starts_with('/'); }

    friend auto operator<=>(const endpoint&, const endpoint&) = default;
};

/// "name:port", or the path of a Unix-domain socket; for people.
inline std::string to_string(const endpoint& e) {
    if (e.is_local()) return e.name;
    return (e.name.find(':') == std::string::npos ? e.name : "[" + e.name + "]") + ":" + std::to_string(e.port);
}

}  // namespace postroad
