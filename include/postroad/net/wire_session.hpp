#pragma once
// What a protocol session offers to the connection that carries its octets. The client's smtp::session and the test
// server's session are models; neither knows sockets, TLS or clocks.

#include <postroad/core/clock.hpp>
#include <postroad/core/error.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace postroad::net {

template <class S>
concept wire_session = requires(S s, const S c, std::string_view bytes, time_point now, error_code ec, std::string why,
                                std::span<std::string_view> parts, std::size_t n) {
    // (optional) s.channel_binding(name, data), strings: what the -PLUS mechanisms of SASL bind to; called before
    // started() or secured() when TLS is established and has one.
    // (optional) s.tls_facts(tls::facts): for whom it may concern; called when TLS is established.
    // (optional) s.greet_by(time_point): what the peer says first must be whole by then; `never` if that is left to the
    // session. Called just before started().
    // The wire is up; called once, before anything else.
    { s.started(now) } -> std::same_as<void>;
    // Octets arrived. Never called after closed(). While wants_tls() they came in the clear: they must not count.
    { s.received(bytes, now) } -> std::same_as<void>;
    // Nothing more can come or go: end of stream (errc::connection_closed), or what broke. done() is true afterwards.
    { s.closed(ec, why, now) } -> std::same_as<void>;
    // After wants_tls() became true and the handshake succeeded.
    { s.secured(now) } -> std::same_as<void>;
    // deadline() has passed. May be called early; does nothing then.
    { s.tick(now) } -> std::same_as<void>;
    // Fills the list with what to write next; valid until the next non-const call.
    { c.output(parts) } -> std::same_as<std::size_t>;
    // So many octets of it were handed on.
    { s.consumed(n, now) } -> std::same_as<void>;
    // When tick() is due; `never` if nothing is waited for.
    { c.deadline() } -> std::same_as<time_point>;
    // What comes next on the wire, once the output is drained, is a TLS handshake; until secured() or closed().
    { c.wants_tls() } -> std::same_as<bool>;
    // Over: what the socket takes at once is written, then it is closed.
    { c.done() } -> std::same_as<bool>;
};

}  // namespace postroad::net
