#pragma once
// Where a connection goes and how the wire is protected there.

#include <compare>
#include <cstdint>
#include <string>

namespace postroad {

/// How the address of a server says its wire is protected.
enum class security : unsigned char {
    starttls,       ///< `smtp://`: plain at first, TLS required before anything of value is sent (RFC 3207)
    implicit,       ///< `smtps://`: TLS from the first octet (RFC 8314 section 3)
    insecure_none,  ///< `smtp+insecure://`: no TLS at all
};

/// A server: a name to look up (or an address literal without brackets), and a port.
struct endpoint {
    std::string name = {};
    std::uint16_t port = 0;
    postroad::security security = postroad::security::starttls;

    friend auto operator<=>(const endpoint&, const endpoint&) = default;
};

/// "name:port", for people.
inline std::string to_string(const endpoint& e) {
    return (e.name.find(':') == std::string::npos ? e.name : "[" + e.name + "]") + ":" + std::to_string(e.port);
}

}  // namespace postroad
