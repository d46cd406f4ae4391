#pragma once
// The tls axis: how is the wire protected? See docs/tls.md.

#include <postroad/core/axis.hpp>
#include <postroad/core/endpoint.hpp>
#include <postroad/tls/engine.hpp>

#include <concepts>
#include <memory>

namespace postroad::tls {

/// A policy of the tls axis.
///
///   engine_type            Models `engine`; made once per connection that uses TLS, from a context and the endpoint,
///                          whose name the certificate must carry. security::opportunistic there: it need not.
///   context_type           What all connections of a mailer share: trusted CAs, random numbers. Any thread.
///   starts(endpoint)       Called before each connection is opened. Throws error(errc::contradiction) when the
///                          endpoint's scheme says otherwise. Must not block.
///   make_context()         Called at most once per mailer, and only when a connection uses TLS. May read files;
///                          throws error(errc::tls_configuration).
template <class P>
concept tls_policy = requires(const P p, const endpoint& to) {
    typename P::engine_type;
    typename P::context_type;
    { p.starts(to) } -> std::same_as<start>;
    { p.make_context() } -> std::same_as<std::shared_ptr<const typename P::context_type>>;
}
&&std::same_as<typename P::axis, postroad::axis::tls>&& engine<typename P::engine_type>&&
    std::constructible_from<typename P::engine_type, std::shared_ptr<const typename P::context_type>, const endpoint&>;

}  // namespace postroad::tls
