#pragma once
// What a transport, and a session of one, may have in one form or another: the one place that knows which.

#include <postroad/core/observer.hpp>
#include <postroad/transport/policy.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
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

/// A member of one of these names that cannot be called so is an error, unless it is overloaded or a template. What a
/// session may be told of its wire is in net/link.hpp.
template <class S>
struct session_traits {
    static_assert(
        !requires { &S::on_wake; } ||
            requires(S s, std::function<void()> f) {
                { s.on_wake(f) } -> std::same_as<void>;
            },
        "postroad: the session's on_wake would never be called: void on_wake(std::function<void()>) "
        "(docs/transport.md)");
    static_assert(
        !requires { &S::is_here; } ||
            requires(S s) {
                { s.is_here() } -> std::same_as<bool>;
            },
        "postroad: the session's is_here would never be called: bool is_here() (docs/transport.md)");
    static_assert(
        !requires { &S::observe; } ||
            requires(S s, observer* o, std::uint64_t connection) {
                { s.observe(o, connection) } -> std::same_as<void>;
            },
        "postroad: the session's observe would never be called: void observe(observer*, std::uint64_t connection) "
        "(docs/transport.md)");
    static_assert(
        !requires { &S::max_recipients; } ||
            requires(S s) {
                { s.max_recipients() } -> std::convertible_to<std::size_t>;
            },
        "postroad: the session's max_recipients would never be called: std::size_t max_recipients() "
        "(docs/transport.md)");
    static_assert(
        !requires { &S::max_domains; } ||
            requires(S s) {
                { s.max_domains() } -> std::convertible_to<std::size_t>;
            },
        "postroad: the session's max_domains would never be called: std::size_t max_domains() (docs/transport.md)");

    /// `f` may be called on any thread and at any time: then poll() is asked again. Once, before anything else.
    static void on_wake(S& s, std::function<void()> f) {
        if constexpr (requires { s.on_wake(f); }) s.on_wake(std::move(f));
    }
    /// Of a transport with a wire: it needs none.
    static bool is_here(S& s) {
        if constexpr (requires { s.is_here(); })
            return s.is_here();
        else
            return false;
    }
    static void observe(S& s, observer* to, std::uint64_t connection) {
        if constexpr (requires { s.observe(to, connection); }) s.observe(to, connection);
    }
    /// Of one transaction, once it is ready; `any` where it has no limit.
    static std::size_t max_recipients(S& s, std::size_t any) {
        if constexpr (requires { s.max_recipients(); })
            return s.max_recipients();
        else
            return any;
    }
    static std::size_t max_domains(S& s, std::size_t any) {
        if constexpr (requires { s.max_domains(); })
            return s.max_domains();
        else
            return any;
    }
};

}  // namespace postroad::transport
