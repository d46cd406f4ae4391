#pragma once
// The mailer: five policies composed into one type. See docs/mailer.md and docs/policies.md.

#include <postroad/core/axis.hpp>
#include <postroad/core/error.hpp>
#include <postroad/core/outcome.hpp>
#include <postroad/engine/runtime.hpp>
#include <postroad/engine/ticket.hpp>
#include <postroad/message/mail_object.hpp>
#include <postroad/message/message.hpp>
#include <postroad/net/handler.hpp>
#include <postroad/net/wall_clock.hpp>
#include <postroad/pooling/keep_alive.hpp>
#include <postroad/queueing/memory.hpp>
#include <postroad/scheduling/fifo.hpp>
#include <postroad/smtp/parameters.hpp>
#include <postroad/tls/policies.hpp>
#include <postroad/transport/smtp.hpp>

#include <asio/async_result.hpp>
#include <asio/cancellation_type.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <concepts>
#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

namespace postroad {

namespace detail {

template <class Axis, class Default, class... Ps>
struct pick {
    using type = Default;
    static constexpr int count = 0;
};
template <class Axis, class Default, class P, class... Ps>
struct pick<Axis, Default, P, Ps...> {
    using rest = pick<Axis, Default, Ps...>;
    static constexpr bool here = requires { requires std::is_same_v<typename P::axis, Axis>; };
    using type = std::conditional_t<here, P, typename rest::type>;
    static constexpr int count = rest::count + here;
};

template <class Transport, class Tls, class Pooling, class Queueing, class Scheduling>
concept complete_set =
    transport::transport_policy<Transport> && tls::tls_policy<Tls> && pooling::pooling_policy<Pooling> &&
    queueing::queueing_policy<Queueing> && scheduling::scheduling_policy<Scheduling>;

// Stands in for the engine when a policy is wrong, so that the one error is ours.
struct no_runtime {
    no_runtime(auto&&...) {}
    void start() {}
    asio::any_io_executor executor() const { return {}; }
    void stop() {}
};
template <bool complete, class... Five>
struct runtime_of {
    using type = no_runtime;
};
template <class... Five>
struct runtime_of<true, Five...> {
    using type = engine::runtime<Five...>;
};

// The context is shared with its thread: the last thing that the thread does may be to destroy what owns this.
struct own_thread {
    std::shared_ptr<asio::io_context> context = std::make_shared<asio::io_context>(1);
    asio::executor_work_guard<asio::io_context::executor_type> work{context->get_executor()};
    std::thread thread{[c = context] { c->run(); }};

    own_thread() = default;
    own_thread(const own_thread&) = delete;
    own_thread& operator=(const own_thread&) = delete;
    ~own_thread() {
        work.reset();
        if (thread.get_id() == std::this_thread::get_id())
            thread.detach();
        else
            thread.join();
    }
};

inline mail_ptr prepare(mail_ptr mail) {
    if (!mail) throw error(errc::invalid_message, "there is no message");
    if (mail->envelope.recipients.empty()) throw error(errc::no_recipients, "the envelope names no recipient");
    for (const auto& r : mail->envelope.recipients)
        if (r.null()) throw error(errc::invalid_address, "a recipient is the null address <>");
    smtp::check(mail->envelope);
    return mail;
}
inline mail_ptr prepare(mail_object mail) { return prepare(std::make_shared<const mail_object>(std::move(mail))); }
inline mail_ptr prepare(const message& m) { return prepare(m.freeze(net::wall_clock_now())); }

struct lone_executor : asio::io_context::executor_type {
    explicit lone_executor(asio::io_context& context) : asio::io_context::executor_type(context.get_executor()) {}
};

}  // namespace detail

/// The executor of a context that one thread runs, never two at a time: a mailer on it needs no strand, which is up to
/// a tenth of the CPU time of a message.
inline asio::any_io_executor one_thread(asio::io_context& context) { return detail::lone_executor(context); }

/// Sends mail by five policies. Every member function may be called on any thread at any time, except move and
/// destruction. Work runs on a thread of its own, or on the executor that was given.
///
/// Destruction cancels what is under way (its outcome comes with errc::shut_down) and closes connections; call
/// shutdown() first to let it finish.
template <class Transport, class Tls, class Pooling, class Queueing, class Scheduling>
class basic_mailer {
    static_assert(transport::transport_policy<Transport>,
                  "postroad: the transport policy lacks something (docs/transport.md)");
    static_assert(tls::tls_policy<Tls>, "postroad: the TLS policy lacks something (docs/tls.md)");
    static_assert(pooling::pooling_policy<Pooling>, "postroad: the pooling policy lacks something (docs/pooling.md)");
    static_assert(queueing::queueing_policy<Queueing>,
                  "postroad: the queueing policy lacks something (docs/queueing.md)");
    static_assert(scheduling::scheduling_policy<Scheduling>,
                  "postroad: the scheduling policy lacks something (docs/scheduling.md)");

    using runtime = typename detail::runtime_of<detail::complete_set<Transport, Tls, Pooling, Queueing, Scheduling>,
                                                Transport, Tls, Pooling, Queueing, Scheduling>::type;

public:
    using executor_type = asio::any_io_executor;

    /// Works on a thread of its own.
    basic_mailer(Transport t, Tls s, Pooling p, Queueing q, Scheduling c)
        : thread_(std::make_unique<detail::own_thread>()), base_(thread_->context->get_executor()) {
        start(base_, std::move(t), std::move(s), std::move(p), std::move(q), std::move(c));
    }
    /// Works on `executor`, which somebody else runs: in a strand of its own, unless it is a strand or one_thread.
    basic_mailer(asio::any_io_executor executor, Transport t, Tls s, Pooling p, Queueing q, Scheduling c)
        : base_(std::move(executor)) {
        start(in_strand(base_), std::move(t), std::move(s), std::move(p), std::move(q), std::move(c));
    }
    basic_mailer(basic_mailer&&) noexcept = default;
    basic_mailer& operator=(basic_mailer&& other) noexcept {
        if (this != &other) {
            stop();
            runtime_ = std::move(other.runtime_);
            thread_ = std::move(other.thread_);
            base_ = std::move(other.base_);
        }
        return *this;
    }
    ~basic_mailer() { stop(); }

    executor_type get_executor() const { return runtime_->executor(); }

    /// Sends `mail` (a message, a mail_object or a mail_ptr) and waits for its outcome. Throws `send_error` when there
    /// is none to be had from a server: bad input, no connection, TLS, authentication, time-out, a full queue,
    /// shutdown. A refusal by the server is an outcome, not an exception. `options`: class, delay, deadline.
    template <class Mail>
    outcome send(const Mail& mail, const send_options& options = {}) {
        error_code ec;
        auto o = send(mail, options, ec);
        if (ec) throw send_error(ec, std::move(o));
        return o;
    }
    /// As above, with the error in `ec`. errc::would_deadlock on a thread that runs the mailer.
    template <class Mail>
    outcome send(const Mail& mail, const send_options& options, error_code& ec) {
        ec = {};
        if (runs_on(base_)) {
            ec = errc::would_deadlock;
            return {};
        }
        return post(mail, options, {}).wait(ec);
    }
    template <class Mail>
    outcome send(const Mail& mail, error_code& ec) {
        return send(mail, {}, ec);
    }

    /// Sends `mail` and completes with (error_code, outcome). Errors as with send(). Cancellation: `total` while the
    /// message waits; `partial` and `terminal` also within its transaction, where the connection is drained or closed,
    /// and what had left whole is `in_doubt`; the code is errc::cancelled.
    template <class Mail, asio::completion_token_for<void(error_code, outcome)> Token>
    auto async_send(Mail mail, Token&& token) {
        return async_send(std::move(mail), send_options{}, std::forward<Token>(token));
    }
    template <class Mail, asio::completion_token_for<void(error_code, outcome)> Token>
    auto async_send(Mail mail, send_options options, Token&& token) {
        return asio::async_initiate<Token, void(error_code, outcome)>(initiation{runtime_}, token, std::move(mail),
                                                                      std::move(options));
    }

    /// Queues `mail` and returns once it is queued; with queueing::when_full::wait it may block for room. Throws
    /// `send_error`: bad input, errc::queue_full, errc::shut_down.
    template <class Mail>
    ticket submit(const Mail& mail, const send_options& options = {}) {
        if (runs_on(base_))
            throw error(errc::would_deadlock, "submit() blocks; use async_submit() on the mailer's thread");
        // Shared: the mailer's thread may still be inside set_value() when this one has its answer.
        const auto queued = std::make_shared<std::promise<error_code>>();
        auto t = post(mail, options, [queued](error_code ec) { queued->set_value(ec); });
        if (queued->get_future().get()) (void)t.wait();
        return t;
    }

    /// Queues `mail` and completes with (error_code, ticket) once it is queued. Not cancellable.
    template <class Mail, asio::completion_token_for<void(error_code, ticket)> Token>
    auto async_submit(Mail mail, Token&& token) {
        return async_submit(std::move(mail), send_options{}, std::forward<Token>(token));
    }
    template <class Mail, asio::completion_token_for<void(error_code, ticket)> Token>
    auto async_submit(Mail mail, send_options options, Token&& token) {
        return asio::async_initiate<Token, void(error_code, ticket)>(
            [r = runtime_, base = base_](auto&& handler, const Mail& m, const send_options& o) {
                auto h =
                    std::make_shared<net::any_handler<ticket>>(std::forward<decltype(handler)>(handler), r->executor());
                auto box = std::make_shared<engine::mailbox_of_one>();
                const auto t = make_ticket(r, base, box);
                queue(*r, t.id(), m, o, std::make_unique<engine::ticket_waiter>(std::move(box)),
                      [h, t](error_code ec) { (*h)(ec, ticket(t)); });
            },
            token, std::move(mail), std::move(options));
    }

    /// `to` is told what happens from now on: commands, replies, decisions, outcomes. Null: nobody is. The one before
    /// is let go once the mailer's thread has seen this, and the last one when the mailer is gone. See
    /// docs/troubleshooting.md.
    void observe(std::shared_ptr<observer> to) { runtime_->observe(std::move(to)); }

    /// Jobs that match, oldest first. These functions ask the mailer's thread and wait: errc::would_deadlock there.
    std::vector<queueing::job_info> jobs(queueing::job_filter which = {}, std::size_t limit = 1000) {
        return ask([which = std::move(which), limit](auto& d, time_point now) { return d.list(which, limit, now); });
    }
    /// How many jobs are where, and how old the oldest is.
    queueing::queue_counts count() {
        return ask([](auto& d, time_point now) { return d.count(now); });
    }
    /// Jobs that match and are delayed, held or in doubt go now. What is in doubt may reach its recipients twice.
    /// Returns how many.
    std::size_t retry_now(queueing::job_filter which) {
        return ask([which = std::move(which)](auto& d, time_point now) { return d.retry_now(which, now); });
    }
    /// Jobs that match and are not being sent wait for retry_now(). Returns how many.
    std::size_t hold(queueing::job_filter which) {
        return ask([which = std::move(which)](auto& d, time_point now) { return d.hold(which, now); });
    }
    /// Cancels jobs that match and are not being sent: their outcome comes with errc::cancelled. Returns how many.
    std::size_t drop(queueing::job_filter which) {
        return ask([which = std::move(which)](auto& d, time_point now) { return d.drop(which, now); });
    }

    /// Sends nothing of it until resume(), not of what comes later either; what is on a connection goes on. For
    /// schedulers that pause, such as scheduling::fair.
    void pause(scheduling::selection what) requires scheduling::pauses<Scheduling> {
        runtime_->use([what = std::move(what)](auto& d, time_point) { d.pause(what); });
    }
    void resume(scheduling::selection what) requires scheduling::pauses<Scheduling> {
        runtime_->use([what = std::move(what)](auto& d, time_point now) { d.resume(what, now); });
    }

    /// Takes no more messages, waits until those it holds have their outcome, and ends the connections with QUIT. What
    /// is left after `patience` is cancelled with errc::shut_down.
    void shutdown(duration patience = std::chrono::seconds(30)) {
        if (runs_on(base_)) throw error(errc::would_deadlock, "shutdown() blocks; use async_shutdown()");
        const auto done = std::make_shared<std::promise<void>>();
        runtime_->shutdown(patience, [done] { done->set_value(); });
        done->get_future().wait();
    }
    /// As shutdown(); completes with (error_code), which is never set.
    template <asio::completion_token_for<void(error_code)> Token>
    auto async_shutdown(duration patience, Token&& token) {
        return asio::async_initiate<Token, void(error_code)>(
            [r = runtime_, patience](auto&& handler) {
                auto h = std::make_shared<net::any_handler<>>(std::forward<decltype(handler)>(handler), r->executor());
                r->shutdown(patience, [h] { (*h)(error_code{}); });
            },
            token);
    }

private:
    // What `f(dispatcher, now)` returns on the mailer's executor.
    template <class F>
    auto ask(F f) {
        static_assert(queueing::operable<Queueing>,
                      "postroad: this queueing policy has no operations (docs/queueing.md)");
        if (runs_on(base_))
            throw error(errc::would_deadlock, "this blocks, and may not be called on the mailer's thread");
        using result = decltype(f(std::declval<typename runtime::dispatcher_type&>(), time_point{}));
        const auto answer = std::make_shared<std::promise<result>>();
        runtime_->use([answer, f = std::move(f)](auto& d, time_point now) {
            try {
                answer->set_value(f(d, now));
            } catch (...) {
                answer->set_exception(std::current_exception());
            }
        });
        return answer->get_future().get();
    }

    class send_waiter final : public waiter {
    public:
        explicit send_waiter(net::any_handler<outcome> h) : handler_(std::move(h)) {}
        void complete(error_code ec, outcome&& o) noexcept override { handler_(ec, std::move(o)); }

    private:
        net::any_handler<outcome> handler_;
    };

    // One for all tokens; its executor is what makes asio::cancel_after work.
    struct initiation {
        std::shared_ptr<runtime> to;
        using executor_type = basic_mailer::executor_type;
        executor_type get_executor() const noexcept { return to->executor(); }

        template <class Handler, class Mail>
        void operator()(Handler&& handler, const Mail& mail, const send_options& options) const {
            const auto id = to->next_id();
            if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected())
                slot.assign([weak = std::weak_ptr<runtime>(to), id](asio::cancellation_type type) {
                    const bool at_once =
                        (type & (asio::cancellation_type::terminal | asio::cancellation_type::partial)) !=
                        asio::cancellation_type::none;
                    if (const auto r = weak.lock())
                        r->cancel(id, at_once ? engine::cancel_kind::at_once : engine::cancel_kind::if_waiting);
                });
            queue(*to, id, mail, options,
                  std::make_unique<send_waiter>(
                      net::any_handler<outcome>(std::forward<Handler>(handler), to->executor())),
                  {});
        }
    };

    template <class Mail>
    static void queue(runtime& r, job_id id, const Mail& mail, const send_options& options, std::unique_ptr<waiter> w,
                      std::function<void(error_code)> queued) {
        job j;
        j.id = id;
        j.waiter = std::move(w);
        try {
            j.mail = detail::prepare(mail);
        } catch (const error& e) {
            outcome o;
            o.details = e.details();
            j.waiter->complete(e.code(), std::move(o));
            if (queued) queued(e.code());
            return;
        }
        r.enqueue(std::move(j), options, std::move(queued));
    }

    template <class Mail>
    ticket post(const Mail& mail, const send_options& options, std::function<void(error_code)> queued) {
        auto box = std::make_shared<engine::mailbox_of_one>();
        auto t = make_ticket(runtime_, base_, box);
        queue(*runtime_, t.id(), mail, options, std::make_unique<engine::ticket_waiter>(std::move(box)),
              std::move(queued));
        return t;
    }

    static ticket make_ticket(const std::shared_ptr<runtime>& to, const asio::any_io_executor& base,
                              std::shared_ptr<engine::mailbox_of_one> box) {
        const auto id = to->next_id();
        return {id, std::move(box), to->executor(), [base] { return runs_on(base); },
                [weak = std::weak_ptr<runtime>(to), id] {
                    if (const auto r = weak.lock()) r->cancel(id, engine::cancel_kind::at_once);
                }};
    }

    using plain = net::plain_executor;

    // A strand over the plain type is half the size of one over any_io_executor, and fits where Asio keeps executors.
    static asio::any_io_executor in_strand(const asio::any_io_executor& e) {
        if (const auto* p = net::target<detail::lone_executor>(e)) return plain(*p);
        if (const auto* p = net::target<plain>(e)) return asio::make_strand(*p);
        if (net::target<asio::strand<plain>>(e) || net::target<asio::strand<asio::any_io_executor>>(e)) return e;
        return asio::make_strand(e);
    }

    // Whether the calling thread is one that runs the mailer.
    static bool runs_on(const asio::any_io_executor& base) {
        if (const auto* e = net::target<plain>(base)) return e->running_in_this_thread();
        if (const auto* e = net::target<detail::lone_executor>(base)) return e->running_in_this_thread();
        if (const auto* e = net::target<asio::strand<plain>>(base))
            return e->get_inner_executor().running_in_this_thread();
        return false;
    }

    void start(asio::any_io_executor executor, Transport t, Tls s, Pooling p, Queueing q, Scheduling c) {
        if constexpr (requires { s.starts(t.options().server); })
            for (const auto& server : t.hosts({})) (void)s.starts(server);
        runtime_ = std::make_shared<runtime>(std::move(executor), std::move(t), std::move(s), std::move(p),
                                             std::move(q), std::move(c));
        runtime_->start();
    }

    void stop() {
        if (!runtime_) return;
        auto r = std::exchange(runtime_, nullptr);
        asio::post(r->executor(), [r] { r->stop(); });
        r.reset();
        thread_.reset();
    }

    std::unique_ptr<detail::own_thread> thread_;
    asio::any_io_executor base_;
    std::shared_ptr<runtime> runtime_;
};

namespace detail {

// Options of a URL that belong to the tls axis.
inline constexpr std::string_view tls_option_names[] = {"ca", "certificate", "key", "pin", "tls"};

// A default policy, with what the URL of the transport says about its axis.
template <class Transport>
tls::automatic adjusted(tls::automatic p, const Transport& t) {
    if constexpr (requires { t.other_options(); })
        for (const auto& [name, value] : t.other_options()) {
            if (name == "ca") (value.ends_with('/') ? p.options.ca_path : p.options.ca_file) = value;
            if (name == "certificate") p.options.certificate_file = value;
            if (name == "key") p.options.key_file = value;
            if (name == "tls" && value == "insecure_no_verify") p.options.verify = tls::verification::insecure_none;
            if (name == "pin")
                for (std::size_t from = 0; from <= value.size();) {
                    const auto comma = std::min(value.find(',', from), value.size());
                    p.options.pins.push_back(value.substr(from, comma - from));
                    from = comma + 1;
                }
        }
    return p;
}
template <class Transport>
pooling::keep_alive adjusted(pooling::keep_alive p, const Transport& t) {
    if constexpr (requires { t.other_options(); })
        for (const auto& [name, value] : t.other_options())
            if (name == "connections")
                (void)std::from_chars(value.data(), value.data() + value.size(), p.max_connections);
    return p;
}
template <class P, class Transport>
P adjusted(P p, const Transport&) {
    return p;
}

// An option of the URL and a policy given by value, of one axis: which of them counts would be a guess.
template <class Transport>
void refuse_both(const Transport& t, std::string_view option, bool policy_given) {
    if constexpr (requires { t.other_options(); })
        for (const auto& entry : t.other_options())
            // How TLS starts is in the endpoint; a policy may stand beside that.
            if (policy_given && entry.first == option && (option != "tls" || entry.second == "insecure_no_verify"))
                throw error(errc::contradiction, "the URL's option \"" + std::string(option) +
                                                     "\" and a policy given to the mailer speak of the same thing");
}

// The five policies from those that were given, of any axis and in any order.
template <class... Ps>
struct five {
    template <class Axis, class Default>
    using at = typename pick<Axis, Default, Ps...>::type;
    template <class Axis>
    static constexpr int given = pick<Axis, void, Ps...>::count;

    using transport_type = at<axis::transport, transport::smtp>;
    using tls_type = at<axis::tls, tls::automatic>;
    using pooling_type = at<axis::pooling, pooling::keep_alive>;
    using queueing_type = at<axis::queueing, queueing::memory>;
    using scheduling_type = at<axis::scheduling, scheduling::fifo>;
    using base = basic_mailer<transport_type, tls_type, pooling_type, queueing_type, scheduling_type>;

    std::tuple<Ps...> policies;
    std::optional<transport_type> from_url = {};

    transport_type transport() {
        if constexpr (given < axis::transport >> 0)
            return std::get<transport_type>(std::move(policies));
        else
            return *std::move(from_url);
    }
    template <class Axis, class P>
    P take(const transport_type& t) {
        if constexpr (given < Axis >> 0)
            return std::get<P>(std::move(policies));
        else
            return adjusted(P{}, t);
    }
    base make(auto&&... executor) {
        auto t = transport();
        for (const auto name : tls_option_names) refuse_both(t, name, given<axis::tls> > 0);
        refuse_both(t, "connections", given<axis::pooling> > 0);
        auto s = take<axis::tls, tls_type>(t);
        auto p = take<axis::pooling, pooling_type>(t);
        return base(std::forward<decltype(executor)>(executor)..., std::move(t), std::move(s), std::move(p),
                    take<axis::queueing, queueing_type>(t), take<axis::scheduling, scheduling_type>(t));
    }
};

}  // namespace detail

/// A mailer from a URL, from policies in any order, or from both types and a URL; an executor may come first. An axis
/// that is not named has its default: transport::smtp, tls::automatic, pooling::keep_alive, queueing::memory,
/// scheduling::fifo.
///
///   mailer mail{"smtp://user:password@smtp.example.com"};
///   mailer bulk{scheduling::fifo{.retry = {.attempts = 5}}, transport::smtp{"smtps://relay.example.com"}};
///   mailer<my_queue, tls::required> mine{"smtp://relay.example.com"};
///   mailer shared{context, "smtp://relay.example.com"};
///
/// Throws `error` for a URL that is wrong (errc::invalid_url, invalid_option, invalid_credentials) and for settings
/// that contradict each other (errc::contradiction).
template <class... Ps>
class mailer : public detail::five<Ps...>::base {
    static_assert((policy<Ps> && ...),
                  "postroad: an argument is not a policy; a policy names its axis (docs/policies.md)");
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
    explicit mailer(std::string_view url) requires(by_url)
        : base(five{std::tuple<Ps...>{}, transport::smtp(url)}.make()) {}

    explicit mailer(asio::any_io_executor executor, Ps... ps) requires(sizeof...(Ps) > 0)
        : base(five{{std::move(ps)...}}.make(std::move(executor))) {}
    explicit mailer(asio::any_io_executor executor, std::string_view url) requires(by_url)
        : base(five{std::tuple<Ps...>{}, transport::smtp(url)}.make(std::move(executor))) {}

    explicit mailer(asio::io_context& context, Ps... ps) requires(sizeof...(Ps) > 0)
        : mailer(asio::any_io_executor(context.get_executor()), std::move(ps)...) {}
    explicit mailer(asio::io_context& context, std::string_view url) requires(by_url)
        : mailer(asio::any_io_executor(context.get_executor()), url) {}
};

#ifndef POSTROAD_HEADER_ONLY
// Compiled once, in impl/mailer.ipp: most programs use no other.
extern template class engine::runtime<transport::smtp, tls::automatic, pooling::keep_alive, queueing::memory,
                                      scheduling::fifo>;
#endif

template <std::convertible_to<std::string_view> Url>
mailer(Url) -> mailer<>;
template <std::convertible_to<std::string_view> Url>
mailer(asio::any_io_executor, Url) -> mailer<>;
template <std::convertible_to<std::string_view> Url>
mailer(asio::io_context&, Url) -> mailer<>;
template <class... Ps>
mailer(asio::any_io_executor, Ps...) -> mailer<Ps...>;
template <class... Ps>
mailer(asio::io_context&, Ps...) -> mailer<Ps...>;
template <class... Ps>
mailer(Ps...) -> mailer<Ps...>;

}  // namespace postroad
