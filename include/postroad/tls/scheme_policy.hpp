#pragma once
// The policies that follow or demand a URL's scheme, over any engine.

#include <postroad/tls/insecure_none.hpp>
#include <postroad/tls/policy.hpp>

#include <memory>

namespace postroad::tls {

/// What a policy makes of the scheme of an endpoint.
enum class rule : unsigned char {
    automatic,      ///< does what the scheme says
    required,       ///< `smtp://` only
    implicit,       ///< `smtps://` only
    opportunistic,  ///< `smtp+opportunistic://` only
};

namespace detail {
POSTROAD_DECL start start_by(rule r, const endpoint& to);
}

/// One rule over one engine. Its names are tls::automatic, tls::required and so on.
template <rule Rule, engine Engine>
struct scheme_policy {
    using axis = postroad::axis::tls;
    using engine_type = Engine;
    using context_type = typename Engine::context_type;

    settings options = {};

    /// Throws error(errc::contradiction) for a scheme that the rule does not take.
    start starts(const endpoint& to) const { return detail::start_by(Rule, to); }
    std::shared_ptr<const context_type> make_context() const { return std::make_shared<context_type>(options); }
};

}  // namespace postroad::tls

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/tls/impl/policies.ipp>
#endif
