#pragma once
// The mailer: five policies composed into one type. See docs/mailer.md and docs/policies.md.

#include <postroad/core/error.hpp>
#include <postroad/engine/composition.hpp>
#include <postroad/engine/mailer_base.hpp>
#include <postroad/tls/policies.hpp>
#include <postroad/transport/smtp.hpp>
#ifdef POSTROAD_HEADER_ONLY
#include <postroad/engine/runtime.hpp>
#endif

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace postroad {

namespace detail {

template <class Transport, class Tls, class Pooling, class Queueing, class Scheduling>
concept complete_set =
    transport::transport_policy<Transport> && tls::tls_policy<Tls> && pooling::pooling_policy<Pooling> &&
    queueing::queueing_policy<Queueing> && scheduling::scheduling_policy<Scheduling>;

}  // namespace detail

/// Sends mail by five policies.
template <class Transport, class Tls, class Pooling, class Queueing, class Scheduling>
class basic_mailer : public mailer_base {
    static_assert(transport::transport_policy<Transport>,
                  "postroad: the transport policy lacks something (docs/transport.md)");
    static_assert(tls::tls_policy<Tls>, "postroad: the TLS policy lacks something (docs/tls.md)");
    static_assert(pooling::pooling_policy<Pooling>, "postroad: the pooling policy lacks something (docs/pooling.md)");
    static_assert(queueing::queueing_policy<Queueing>,
                  "postroad: the queueing policy lacks something (docs/queueing.md)");
    static_assert(scheduling::scheduling_policy<Scheduling>,
                  "postroad: the scheduling policy lacks something (docs/scheduling.md)");

public:
    using composition = basic_mailer;

    /// Works on a thread of its own.
    basic_mailer(Transport t, Tls s, Pooling p, Queueing q, Scheduling c) {
        begin(given(), std::move(t), std::move(s), std::move(p), std::move(q), std::move(c));
    }
    /// Works on `executor`, which somebody else runs: in a strand of its own, unless it is a strand or one_thread.
    basic_mailer(asio::any_io_executor executor, Transport t, Tls s, Pooling p, Queueing q, Scheduling c)
        : mailer_base(std::move(executor)) {
        begin(detail::in_strand(given()), std::move(t), std::move(s), std::move(p), std::move(q), std::move(c));
    }

    /// Jobs that match, oldest first. These functions ask the mailer's thread and wait: errc::would_deadlock there.
    std::vector<queueing::job_info> jobs(queueing::job_filter which = {}, std::size_t limit = 1000) {
        check_operable();
        return ask(&engine::list, std::move(which), limit);
    }
    /// How many jobs are where, and how old the oldest is.
    queueing::queue_counts count() {
        check_operable();
        return ask(&engine::count);
    }
    /// Jobs that match and are delayed, held or in doubt go now. What is in doubt may reach its recipients twice.
    /// Returns how many.
    std::size_t retry_now(queueing::job_filter which) {
        check_operable();
        return ask(&engine::retry_now, std::move(which));
    }
    /// Jobs that match and are not being sent wait for retry_now(). Returns how many.
    std::size_t hold(queueing::job_filter which) {
        check_operable();
        return ask(&engine::hold, std::move(which));
    }
    /// Cancels jobs that match and are not being sent: their outcome comes with errc::cancelled. Returns how many.
    std::size_t drop(queueing::job_filter which) {
        check_operable();
        return ask(&engine::drop, std::move(which));
    }

    /// Sends nothing of it until resume(), not of what comes later either; what is on a connection goes on. For
    /// schedulers that pause, such as scheduling::fair.
    void pause(scheduling::selection what) requires scheduling::pauses<Scheduling> {
        tell(&engine::pause, std::move(what));
    }
    void resume(scheduling::selection what) requires scheduling::pauses<Scheduling> {
        tell(&engine::resume, std::move(what));
    }

private:
    using engine = postroad::engine::engine_of<basic_mailer>;

    static void check_operable() {
        static_assert(queueing::operable<Queueing>,
                      "postroad: this queueing policy has no operations (docs/queueing.md)");
    }
    void begin(asio::any_io_executor on, Transport t, Tls s, Pooling p, Queueing q, Scheduling c) {
        // When a policy is wrong, the one error is ours.
        if constexpr (detail::complete_set<Transport, Tls, Pooling, Queueing, Scheduling>) {
            constexpr bool at_hand = postroad::engine::has_engine<composition>;
            static_assert(
                at_hand,
                "postroad: with POSTROAD_SEPARATE_COMPILATION a mailer of other types than the defaults needs "
                "#include <postroad/engine/runtime.hpp>, or POSTROAD_EXTERN_MAILER (docs/mailer.md)");
            run(engine::start(std::move(on), inside(), std::move(t), std::move(s), std::move(p), std::move(q),
                              std::move(c)));
        }
    }
};

/// A mailer from a URL, from policies in any order, from a URL and policies behind it, or from both types and a URL; an
/// executor may come first. An axis
/// that is not named has its default: transport::smtp, tls::automatic, pooling::keep_alive, queueing::memory,
/// scheduling::fifo.
///
///   mailer mail{"smtp://user:password@smtp.example.com"};
///   mailer two{"smtp://smtp.example.com", pooling::keep_alive{.max_connections = 2}};
///   mailer bulk{scheduling::fifo{.retry = {.attempts = 5}}, transport::smtp{"smtps://relay.example.com"}};
///   mailer<my_queue, tls::required> mine{"smtp://relay.example.com"};
///   mailer shared{context, "smtp://relay.example.com"};
///
/// Throws `error` for a URL that is wrong (errc::invalid_url, invalid_option, invalid_credentials) and for settings
/// that contradict each other (errc::contradiction).
template <class... Ps>
class mailer : public detail::five<Ps...>::base {
    static_assert((policy<Ps> && ...),
                  "postroad: an argument is not a policy; a policy names its axis, an executor and a URL come first "
                  "(docs/policies.md)");
    template <class Axis>
    static constexpr bool single = detail::five<Ps...>::template given<Axis> <= 1;
    static_assert(single<axis::transport>, "postroad: two transport policies; a mailer takes one of each axis");
    static_assert(single<axis::tls>, "postroad: two TLS policies; a mailer takes one of each axis");
    static_assert(single<axis::pooling>, "postroad: two pooling policies; a mailer takes one of each axis");
    static_assert(single<axis::queueing>, "postroad: two queueing policies; a mailer takes one of each axis");
    static_assert(single<axis::scheduling>, "postroad: two scheduling policies; a mailer takes one of each axis");

    using five = detail::five<Ps...>;
    using base = typename five::base;
    static constexpr bool by_url = std::is_same_v<typename five::transport_type, transport::smtp>;

public:
    explicit mailer(Ps... ps) requires(sizeof...(Ps) > 0) : base(five{{std::move(ps)...}}.make()) {}
    explicit mailer(std::string_view url) requires(by_url) : base(detail::by_default<Ps...>(url).make()) {}
    explicit mailer(std::string_view url, Ps... ps) requires(detail::all_policies<Ps...>)
        : base(detail::behind_url(url, std::move(ps)...).make()) {}

    explicit mailer(asio::any_io_executor executor, Ps... ps) requires(sizeof...(Ps) > 0)
        : base(five{{std::move(ps)...}}.make(std::move(executor))) {}
    explicit mailer(asio::any_io_executor executor, std::string_view url) requires(by_url)
        : base(detail::by_default<Ps...>(url).make(std::move(executor))) {}
    explicit mailer(asio::any_io_executor executor, std::string_view url,
                    Ps... ps) requires(detail::all_policies<Ps...>)
        : base(detail::behind_url(url, std::move(ps)...).make(std::move(executor))) {}

    explicit mailer(asio::io_context& context, Ps... ps) requires(sizeof...(Ps) > 0)
        : mailer(net::executor_of(context), std::move(ps)...) {}
    explicit mailer(asio::io_context& context, std::string_view url) requires(by_url)
        : mailer(net::executor_of(context), url) {}
    explicit mailer(asio::io_context& context, std::string_view url, Ps... ps) requires(detail::all_policies<Ps...>)
        : mailer(net::executor_of(context), url, std::move(ps)...) {}
};

/// For a type of mailers that many source files make: its engine is compiled in one of them only, that with
/// POSTROAD_COMPILE_MAILER of the same type. Behind the type, outside of any namespace; in separate compilation those
/// files need mailer.hpp and the headers of the policies, and nothing of the engine.
#define POSTROAD_EXTERN_MAILER(...)                                                              \
    template <>                                                                                  \
    inline constexpr bool postroad::engine::compiled_elsewhere<__VA_ARGS__::composition> = true; \
    extern template struct postroad::engine::engine_of<__VA_ARGS__::composition>
/// In one source file, which includes postroad/engine/runtime.hpp.
#define POSTROAD_COMPILE_MAILER(...) template struct postroad::engine::engine_of<__VA_ARGS__::composition>

namespace detail {
template <class E>
concept executor_in_front = std::convertible_to<E, asio::any_io_executor> && !policy<E>;
}

template <std::convertible_to<std::string_view> Url, class... Ps>
mailer(Url, Ps...) -> mailer<Ps...>;
template <detail::executor_in_front Executor, class... Ps>
mailer(Executor, Ps...) -> mailer<Ps...>;
template <detail::executor_in_front Executor, std::convertible_to<std::string_view> Url, class... Ps>
mailer(Executor, Url, Ps...) -> mailer<Ps...>;
template <std::convertible_to<std::string_view> Url, class... Ps>
mailer(asio::io_context&, Url, Ps...) -> mailer<Ps...>;
template <class... Ps>
mailer(asio::io_context&, Ps...) -> mailer<Ps...>;
template <class... Ps>
mailer(Ps...) -> mailer<Ps...>;

}  // namespace postroad

#ifndef POSTROAD_HEADER_ONLY
// Compiled in impl/mailer.ipp: most programs use no other.
POSTROAD_EXTERN_MAILER(postroad::mailer<>);
#endif
