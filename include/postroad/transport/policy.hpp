#pragma once
// The transport axis: where does a message go, and in which protocol? See docs/transport.md.

#include <postroad/core/axis.hpp>
#include <postroad/core/clock.hpp>
#include <postroad/core/endpoint.hpp>
#include <postroad/net/dialing.hpp>
#include <postroad/smtp/session.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postroad::transport {

/// What every session offers to the dispatcher, whether or not it needs a wire. The events are those of
/// postroad::smtp::session: `ready` once, `finished` for each transaction, `closed` last.
template <class S>
concept session = requires(S s, const S c, postroad::smtp::transaction t, std::uint64_t id, time_point now) {
    // How many transactions it takes now; 0 before `ready` and after `closed`.
    { c.room() } -> std::same_as<std::size_t>;
    // Begins one. Its end is an event.
    { s.submit(t, now) } -> std::same_as<void>;
    // Ends one early; no effect if there is none of that id.
    { s.cancel(id, now) } -> std::same_as<void>;
    // Ends the session in good order.
    { s.quit(now) } -> std::same_as<void>;
    // (optional, where no wire is needed) s.on_wake(f), a std::function<void()> that may be called on any thread and at
    // any time: then poll() is asked again. Called once, before anything else; see deferred_session.
    // The next event.
    { s.poll() } -> std::same_as<std::optional<postroad::smtp::event>>;
};

/// A policy of the transport axis. Its functions are called on the mailer's executor, one at a time.
template <class T>
concept transport_policy = requires(const T t, const envelope& e, const std::string& destination, const endpoint& host,
                                    std::string nonce) {
    typename T::session_type;
    // Whether a session's octets go over a connection; otherwise it is given transactions at once.
    { T::needs_wire } -> std::convertible_to<bool>;
    // The name of where the message goes; mail objects of one name share connections and limits.
    { t.route(e) } -> std::convertible_to<std::string_view>;
    // The servers of a destination, in order of preference; at least one.
    { t.hosts(destination) } -> std::same_as<std::vector<endpoint>>;
    // How a connection to them is opened; asked before each.
    { t.dialing() } -> std::convertible_to<net::dialing>;
    // (optional) t.learn(host, lesson): what a connection to `host` taught.
    // A session for one connection to `host`. `nonce` is fresh, random and printable.
    { t.make_session(host, nonce) } -> std::same_as<typename T::session_type>;
}
&&session<typename T::session_type>;

}  // namespace postroad::transport
