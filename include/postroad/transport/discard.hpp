#pragma once
// Accepts every message and forgets it: the simplest transport, for tests and dry runs. See docs/transport.md.

#include <postroad/transport/local_session.hpp>

namespace postroad::transport {

struct discard {
    using axis = postroad::axis::transport;
    static constexpr bool needs_wire = false;

    class session_type : public local_session {
    public:
        void submit(const postroad::smtp::transaction& t, time_point) {
            finish(t, status::accepted, {.code = 250, .text = "discarded"});
        }
    };

    std::string_view route(const envelope&) const noexcept { return "discard"; }
    std::vector<endpoint> hosts(const std::string&) const { return {{.name = "discard"}}; }
    net::dialing dialing() const { return {}; }
    session_type make_session(const endpoint&, const std::string&) const { return {}; }
};

static_assert(transport_policy<discard>);

}  // namespace postroad::transport
