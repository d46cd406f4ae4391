// What is nearly a policy, or nearly given.
// expect OWN_AXIS: is_axis<typename P::axis>
// expect ONLY_NAMED: postroad: a policy that is only named needs a default constructor; give it by value
// expect URL_AND_TRANSPORT: postroad: a URL and a transport policy; give the URL to the policy (docs/mailer.md)
// expect KEEPS: (Q::keeps)
#include <postroad/mailer.hpp>

struct pool : postroad::pooling::keep_alive {
#ifdef OWN_AXIS
    struct axis {};
#endif
};
static_assert(postroad::policy<pool>);

struct named : postroad::pooling::keep_alive {
#ifdef ONLY_NAMED
    explicit named(int) {}
#endif
};
const auto by_name = postroad::detail::by_default<named>("smtp://relay.example.com");

struct place : postroad::scheduling::fifo {
#ifdef URL_AND_TRANSPORT
    using axis = postroad::axis::transport;
#endif
};
const auto behind = postroad::detail::behind_url("smtp://relay.example.com", place{});

struct queue : postroad::queueing::memory {
#ifdef KEEPS
    bool keeps = true;
#endif
};
static_assert(postroad::queueing::queueing_policy<queue>);
