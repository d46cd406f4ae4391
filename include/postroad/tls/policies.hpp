#pragma once
// The policies of the tls axis over mbedTLS: automatic (the default), required, implicit, opportunistic; insecure_none
// has a header of its own, and tls/openssl.hpp has the same policies over OpenSSL.

#include <postroad/tls/mbedtls_engine.hpp>
#include <postroad/tls/scheme_policy.hpp>

namespace postroad::tls {

/// What the endpoint's scheme says: `smtp://` starts by STARTTLS, `smtps://` at once, both required and verified;
/// `smtp+opportunistic://` where it is offered, whoever answers; `smtp+insecure://` never.
using automatic = scheme_policy<rule::automatic, mbedtls_engine>;

/// STARTTLS, required and verified (RFC 3207). Refuses an endpoint whose scheme is not `smtp://`.
using required = scheme_policy<rule::required, mbedtls_engine>;

/// TLS from the first octet, verified (RFC 8314 section 3). Refuses an endpoint whose scheme is not `smtps://`.
using implicit = scheme_policy<rule::implicit, mbedtls_engine>;

/// STARTTLS where it is offered; the certificate is looked at and taken in any case (RFC 7435). Keeps a listener out,
/// not one who can change what is on the wire; credentials are never sent without TLS. For mail to the open Internet,
/// where requiring more would lose mail. Refuses an endpoint whose scheme is not `smtp+opportunistic://`.
using opportunistic = scheme_policy<rule::opportunistic, mbedtls_engine>;

static_assert(tls_policy<automatic>);
static_assert(tls_policy<required>);
static_assert(tls_policy<implicit>);
static_assert(tls_policy<opportunistic>);

}  // namespace postroad::tls
