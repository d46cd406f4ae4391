#pragma once
// What a transport may have in one form or another: the one place that knows which.

#include <postroad/transport/policy.hpp>

#include <optional>
#include <string>
#include <utility>

namespace postroad::transport {

template <class T>
struct transport_traits {
    static_assert(
        !requires { &T::read_reply; } || reads_replies<T>,
        "postroad: the transport's read_reply would never be called: std::optional<transport::reading> "
        "read_reply(const endpoint&, const recipient_outcome&) const (docs/transport.md)");

    /// Whether recipients of one message may have to go to several places.
    static constexpr bool divides = routes_recipients<T>;

    /// Where `to` goes, or the whole message.
    static decltype(auto) route(const T& t, const envelope& e, const address& to, const sender_facts& who = {}) {
        if constexpr (routes_senders<T>)
            return t.route(e, to, who);
        else if constexpr (divides)
            return t.route(e, to);
        else
            return t.route(e);
    }
    static std::optional<reading> read_reply(const T& t, const endpoint& host, const recipient_outcome& refused) {
        if constexpr (reads_replies<T>)
            return t.read_reply(host, refused);
        else
            return std::nullopt;
    }
    static net::dialing dialing(const T& t, const endpoint& to) {
        if constexpr (dials_by_server<T>)
            return t.dialing(to);
        else
            return t.dialing();
    }
    static typename T::session_type make_session(const T& t, const endpoint& host, std::string nonce,
                                                 const lessons& known) {
        if constexpr (heeds_lessons<T>)
            return t.make_session(host, std::move(nonce), known);
        else
            return t.make_session(host, std::move(nonce));
    }
};

}  // namespace postroad::transport
