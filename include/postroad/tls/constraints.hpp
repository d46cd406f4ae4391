#pragma once
// Name constraints of CAs (RFC 5280 section 4.2.1.10), for a TLS library that does not look at them.

#include <postroad/tls/names.hpp>

#include <string>
#include <string_view>

namespace postroad::tls {

/// What constraint_violation() says of what it does not understand.
inline constexpr std::string_view constraints_unreadable = "has name constraints that are not understood";

/// Why a CA with these name constraints (the extension's value, DER) may not speak for `expected`, presented in a
/// certificate of these `names`; empty when it may. Looks at dNSName and iPAddress; other kinds that bear on a server's
/// certificate (directoryName), and what is malformed, are reasons to refuse. Constraints on mail addresses, URIs and
/// users' names say nothing of servers.
POSTROAD_DECL std::string constraint_violation(std::string_view name_constraints, const certificate_names& names,
                                               std::string_view expected);

}  // namespace postroad::tls

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/tls/impl/constraints.ipp>
#endif
