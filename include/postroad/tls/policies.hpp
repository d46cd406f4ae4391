#pragma once
// The policies of the tls axis: automatic (the default), required, implicit; insecure_none has a header of its own.

#include <postroad/tls/insecure_none.hpp>
#include <postroad/tls/mbedtls_engine.hpp>

namespace postroad::tls {

/// What the endpoint's scheme says: `smtp://` starts by STARTTLS, `smtps://` at once, both required and verified;
/// `smtp+insecure://` never.
struct automatic {
    using axis = postroad::axis::tls;
    using engine_type = mbedtls_engine;
    using context_type = mbedtls_context;

    settings options = {};

    start starts(const endpoint& to) const;
    std::shared_ptr<const mbedtls_context> make_context() const { return std::make_shared<mbedtls_context>(options); }
};

/// STARTTLS, required and verified (RFC 3207). Refuses an endpoint whose scheme is not `smtp://`.
struct required {
    using axis = postroad::axis::tls;
    using engine_type = mbedtls_engine;
    using context_type = mbedtls_context;

    settings options = {};

    start starts(const endpoint& to) const;
    std::shared_ptr<const mbedtls_context> make_context() const { return std::make_shared<mbedtls_context>(options); }
};

/// TLS from the first octet, verified (RFC 8314 section 3). Refuses an endpoint whose scheme is not `smtps://`.
struct implicit {
    using axis = postroad::axis::tls;
    using engine_type = mbedtls_engine;
    using context_type = mbedtls_context;

    settings options = {};

    start starts(const endpoint& to) const;
    std::shared_ptr<const mbedtls_context> make_context() const { return std::make_shared<mbedtls_context>(options); }
};

static_assert(tls_policy<automatic>);
static_assert(tls_policy<required>);
static_assert(tls_policy<implicit>);

}  // namespace postroad::tls

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/tls/impl/policies.ipp>
#endif
