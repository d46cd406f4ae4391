#pragma once
// What a transport may have in one form or another: the one place that knows which.

#include <postroad/transport/policy.hpp>

#include <string>
#include <utility>

namespace postroad::transport {

template <class T>
struct transport_traits {
    /// Whether recipients of one message may have to go to several places.
    static constexpr bool divides = routes_recipients<T>;

    /// Where `to` goes, or the whole message.
    static decltype(auto) route(const T& t, const envelope& e, const address& to) {
        if constexpr (divides)
            return t.route(e, to);
        else
            return t.route(e);
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
