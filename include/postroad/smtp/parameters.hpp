#pragma once
// What an envelope asks for, as parameters of MAIL and RCPT: checked, encoded, and compared with what a server offers.

#include <postroad/core/config.hpp>
#include <postroad/core/error.hpp>
#include <postroad/message/mail_object.hpp>
#include <postroad/smtp/capabilities.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace postroad::smtp {

/// Octets of a value as encoded: ENVID (RFC 3461 section 4.4), ORCPT with its type (section 4.2), AUTH (RFC 4954
/// section 5).
inline constexpr std::size_t max_envelope_id = 100;
inline constexpr std::size_t max_original_recipient = 500;
inline constexpr std::size_t max_submitter = 500;

/// Throws `error` (errc::invalid_option) that names the member of the envelope whose value cannot be said to any
/// server.
POSTROAD_DECL void check(const envelope& e);

/// Printable ASCII but '+' and '=' as it is, every other octet as +XX (RFC 3461 section 4).
POSTROAD_DECL std::string xtext(std::string_view text);

/// Why a message is not sent: what it needs and this server lacks.
struct lack {
    errc code = {};
    std::string explanation = {};
};

/// What the server lacks of what the envelope asks for. `verified` says that the connection has verified TLS.
POSTROAD_DECL std::optional<lack> find_lack(const envelope& e, const capabilities& server, bool verified);

namespace detail {

/// Each parameter with a space before it. Only with an envelope that passed check(), and find_lack() for this server
/// but for DSN; those of recipients only where it is offered.
POSTROAD_DECL void append_parameters(std::string& to, const mail_options& o, const capabilities& server);
POSTROAD_DECL void append_parameters(std::string& to, const recipient_options& o);

}  // namespace detail
}  // namespace postroad::smtp

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/smtp/impl/parameters.ipp>
#endif
