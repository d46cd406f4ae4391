#pragma once
// The policies of the tls axis over OpenSSL. Needs the component postroad::openssl.

#include <postroad/tls/openssl_engine.hpp>
#include <postroad/tls/scheme_policy.hpp>

namespace postroad::tls::openssl {

/// As tls::automatic, tls::required, tls::implicit and tls::opportunistic.
using automatic = scheme_policy<rule::automatic, openssl_engine>;
using required = scheme_policy<rule::required, openssl_engine>;
using implicit = scheme_policy<rule::implicit, openssl_engine>;
using opportunistic = scheme_policy<rule::opportunistic, openssl_engine>;

static_assert(tls_policy<automatic>);
static_assert(tls_policy<required>);
static_assert(tls_policy<implicit>);
static_assert(tls_policy<opportunistic>);

}  // namespace postroad::tls::openssl
