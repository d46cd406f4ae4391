#pragma once
// What every policy of an axis must keep, to run over a policy of your own in any test framework: plain functions that
// return the rules that were broken, none when all is well. See docs/testing.md.

#include <postroad/testing/detail/pooling_trial.hpp>
#include <postroad/testing/detail/queueing_trial.hpp>
#include <postroad/testing/detail/scheduling_trial.hpp>
#include <postroad/testing/detail/tls_trial.hpp>
#include <postroad/testing/detail/transport_trial.hpp>

#include <cstddef>
#include <utility>

namespace postroad::testing {

/// Thousands of steps, always the same, over the pool that `make()` returns. `limit`: most connections it may open.
template <class Make>
broken_rules check_pooling(Make make, std::size_t limit = unlimited) {
    static_assert(pooling::pooling_policy<decltype(make())>);
    return detail::pooling_trial<decltype(make())>(make(), limit).run();
}

/// As above, over an empty queue, which is started and stopped if it is durable. `capacity`: how many jobs it takes;
/// best a small one, up to 1000. Starts threads.
template <class Make>
broken_rules check_queueing(Make make, std::size_t capacity = unlimited) {
    static_assert(queueing::queueing_policy<decltype(make())>);
    return detail::queueing_trial<decltype(make())>(make(), capacity).run();
}

/// As above, over a scheduler that holds nothing.
template <class Make>
broken_rules check_scheduling(Make make) {
    static_assert(scheduling::scheduling_policy<decltype(make())>);
    return detail::scheduling_trial<decltype(make())>(make()).run();
}

/// Routing, and one session: a local one is given messages (to recipients at b.example), one over a wire loses it
/// before the greeting. What a protocol says needs tests of its own.
template <class Make>
broken_rules check_transport(Make make) {
    static_assert(transport::transport_policy<decltype(make())>);
    const auto t = make();
    return detail::transport_trial<decltype(make())>(t).run();
}

/// `make(ca)` returns a policy that trusts the CA of that PEM and verifies whom it talks to: handshakes, text, ends,
/// damage and wrong certificates, against a server of mbedTLS in memory. `to`: an endpoint of a scheme that the policy
/// takes. Makes keys. Throws what the policy throws.
template <class Make>
broken_rules check_tls(Make make, endpoint to = {.name = "mail.example.com", .security = security::implicit}) {
    const auto ca = authority::create();
    using policy = decltype(make(ca.ca_pem));
    static_assert(tls::tls_policy<policy>);
    const certificate_options about{.names = {to.name}};
    auto good = ca.issue(about);
    auto strange = authority::create("a CA that nobody knows").issue(about);
    return detail::tls_trial<policy>(make(ca.ca_pem), std::move(to), std::move(good), std::move(strange)).run();
}

}  // namespace postroad::testing
