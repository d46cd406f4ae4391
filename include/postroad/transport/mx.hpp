#pragma once
// Sends mail straight to the servers of each recipient's domain, which libunbound finds. See docs/direct.md. Not among
// what postroad/postroad.hpp includes: needs the component postroad::mx.

#include <postroad/net/unbound.hpp>
#include <postroad/transport/mx_transport.hpp>
#include <postroad/transport/mx_url.hpp>

#include <memory>

namespace postroad::transport {

using mx = basic_mx<net::unbound>;
static_assert(transport_policy<mx>);

/// Who looks names up as the URL says: for `mx(u.options, resolver_of(u))`. Throws, as net::unbound does.
inline std::shared_ptr<net::unbound> resolver_of(const mx_url& u) {
    return std::make_shared<net::unbound>(
        net::unbound_options{.forward_to = u.resolvers, .validate = u.validate, .anchors_file = u.anchors_file});
}

}  // namespace postroad::transport
