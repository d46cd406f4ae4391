#pragma once
// Sends mail straight to the servers of each recipient's domain, which libunbound finds. See docs/direct.md. Not among
// what postroad/postroad.hpp includes: needs the component postroad::mx.

#include <postroad/net/unbound.hpp>
#include <postroad/transport/mx_transport.hpp>

namespace postroad::transport {

using mx = basic_mx<net::unbound>;
static_assert(transport_policy<mx>);

}  // namespace postroad::transport
