#pragma once
// The mailer: five policies composed into one type. See docs/mailer.md and docs/policies.md.

#include <postroad/core/error.hpp>
#include <postroad/core/outcome.hpp>
#include <postroad/engine/composition.hpp>
#include <postroad/engine/executors.hpp>
#include <postroad/engine/runtime.hpp>
#include <postroad/engine/ticket.hpp>
#include <postroad/message/mail_object.hpp>
#include <postroad/message/message.hpp>
#include <postroad/net/handler.hpp>
#include <postroad/net/wall_clock.hpp>
#include <postroad/smtp/parameters.hpp>
#include <postroad/tls/policies.hpp>
#include <postroad/transport/smtp.hpp>

#include <asio/async_result.hpp>
#include <asio/cancellation_type.hpp>

#include <chrono>
#include <concepts>
#include <exception>
#include <future>
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

}  // namespace detail

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
        start(detail::in_strand(base_), std::move(t), std::move(s), std::move(p), std::move(q), std::move(c));
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
        if (detail::runs_on(base_)) {
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
        return asio::async_initiate<Token, void(error_code, outcome)>(initiation(runtime_), token, std::move(mail),
                                                                      std::move(options));
    }

    /// Queues `mail` and returns once it is queued; with queueing::when_full::wait it may block for room. Throws
    /// `send_error`: bad input, errc::queue_full, errc::shut_down.
    template <class Mail>
    ticket submit(const Mail& mail, const send_options& options = {}) {
        if (detail::runs_on(base_))
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
            [weak = std::weak_ptr(runtime_), gate = runtime_->gate()](auto&& handler, const Mail& m,
                                                                      const send_options& o) {
                const auto r = weak.lock();
                auto h = std::make_shared<net::any_handler<ticket>>(
                    gate->template handler<ticket>(std::forward<decltype(handler)>(handler)));
                auto box = std::make_shared<engine::mailbox_of_one>();
                const auto t = make_ticket(weak, gate, r ? r->next_id() : 0, box);
                queue(r.get(), t.id(), m, o, std::make_unique<engine::ticket_waiter>(std::move(box)),
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
        runtime_->use([what = std::move(what)](auto& d, time_point now) { d.pause(what, now); });
    }
    void resume(scheduling::selection what) requires scheduling::pauses<Scheduling> {
        runtime_->use([what = std::move(what)](auto& d, time_point now) { d.resume(what, now); });
    }

    /// Takes no more messages, waits until those it holds have their outcome, and ends the connections with QUIT. What
    /// is left after `patience` is cancelled with errc::shut_down.
    void shutdown(duration patience = std::chrono::seconds(30)) {
        if (detail::runs_on(base_)) throw error(errc::would_deadlock, "shutdown() blocks; use async_shutdown()");
        const auto done = std::make_shared<std::promise<void>>();
        runtime_->shutdown(patience, [done] { done->set_value(); });
        done->get_future().wait();
    }
    /// As shutdown(); completes with (error_code), which is never set.
    template <asio::completion_token_for<void(error_code)> Token>
    auto async_shutdown(duration patience, Token&& token) {
        return asio::async_initiate<Token, void(error_code)>(
            [weak = std::weak_ptr(runtime_), gate = runtime_->gate(), patience](auto&& handler) {
                auto h = std::make_shared<net::any_handler<>>(
                    gate->template handler<>(std::forward<decltype(handler)>(handler)));
                const auto done = [h] { (*h)(error_code{}); };
                if (const auto r = weak.lock())
                    r->shutdown(patience, done);
                else
                    done();
            },
            token);
    }

private:
    // What `f(dispatcher, now)` returns on the mailer's executor.
    template <class F>
    auto ask(F f) {
        static_assert(queueing::operable<Queueing>,
                      "postroad: this queueing policy has no operations (docs/queueing.md)");
        if (detail::runs_on(base_))
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
        // Who waits is told in any case.
        ~send_waiter() override {
            if (handler_) complete(errc::shut_down, {});
        }
        void complete(error_code ec, outcome&& o) noexcept override { handler_(ec, std::move(o)); }

    private:
        net::any_handler<outcome> handler_;
    };

    // Ends a job early, from any thread and at any time.
    static std::function<void(engine::cancel_kind)> canceller(std::weak_ptr<runtime> weak,
                                                              std::shared_ptr<engine::gate> gate, job_id id) {
        return [weak = std::move(weak), gate = std::move(gate), id](engine::cancel_kind kind) {
            gate->post([weak, id, kind] {
                if (const auto r = weak.lock()) r->cancel(id, kind);
            });
        };
    }

    // One for all tokens; its executor is what makes asio::cancel_after work. It may begin when the mailer is gone.
    struct initiation {
        explicit initiation(const std::shared_ptr<runtime>& r) : to(r), gate(r->gate()) {}

        std::weak_ptr<runtime> to;
        std::shared_ptr<engine::gate> gate;
        using executor_type = basic_mailer::executor_type;
        executor_type get_executor() const { return gate->executor(); }

        template <class Handler, class Mail>
        void operator()(Handler&& handler, const Mail& mail, const send_options& options) const {
            const auto r = to.lock();
            const auto id = r ? r->next_id() : 0;
            if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected())
                slot.assign([cancel = canceller(to, gate, id)](asio::cancellation_type type) {
                    const bool at_once =
                        (type & (asio::cancellation_type::terminal | asio::cancellation_type::partial)) !=
                        asio::cancellation_type::none;
                    cancel(at_once ? engine::cancel_kind::at_once : engine::cancel_kind::if_waiting);
                });
            queue(r.get(), id, mail, options,
                  std::make_unique<send_waiter>(gate->template handler<outcome>(std::forward<Handler>(handler))), {});
        }
    };

    // Without a runtime the mailer is gone.
    template <class Mail>
    static void queue(runtime* r, job_id id, const Mail& mail, const send_options& options, std::unique_ptr<waiter> w,
                      std::function<void(error_code)> queued) {
        job j;
        j.id = id;
        j.waiter = std::move(w);
        failure why;
        try {
            j.mail = detail::prepare(mail);
            if (r) return r->enqueue(std::move(j), options, std::move(queued));
            name_recipients(j);
            why.code = errc::shut_down;
        } catch (...) {
            why = thrown();
        }
        j.result.details = std::move(why.details);
        j.waiter->complete(why.code, std::move(j.result));
        if (queued) queued(why.code);
    }

    template <class Mail>
    ticket post(const Mail& mail, const send_options& options, std::function<void(error_code)> queued) {
        auto box = std::make_shared<engine::mailbox_of_one>();
        auto t = make_ticket(runtime_, runtime_->gate(), runtime_->next_id(), box);
        queue(runtime_.get(), t.id(), mail, options, std::make_unique<engine::ticket_waiter>(std::move(box)),
              std::move(queued));
        return t;
    }

    static ticket make_ticket(const std::weak_ptr<runtime>& to, const std::shared_ptr<engine::gate>& gate, job_id id,
                              std::shared_ptr<engine::mailbox_of_one> box) {
        return {id, std::move(box), gate, [cancel = canceller(to, gate, id)] { cancel(engine::cancel_kind::at_once); }};
    }

    void start(asio::any_io_executor executor, Transport t, Tls s, Pooling p, Queueing q, Scheduling c) {
        if constexpr (requires { s.starts(t.options().server); })
            for (const auto& server : t.hosts({})) (void)s.starts(server);
        runtime_ = std::make_shared<runtime>(
            std::move(executor), [base = base_] { return detail::runs_on(base); }, std::move(t), std::move(s),
            std::move(p), std::move(q), std::move(c));
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
    explicit mailer(std::string_view url, Ps... ps) requires(detail::url_beside<Ps...>)
        : base(five{{std::move(ps)...}, transport::smtp(url)}.make()) {}

    explicit mailer(asio::any_io_executor executor, Ps... ps) requires(sizeof...(Ps) > 0)
        : base(five{{std::move(ps)...}}.make(std::move(executor))) {}
    explicit mailer(asio::any_io_executor executor, std::string_view url) requires(by_url)
        : base(five{std::tuple<Ps...>{}, transport::smtp(url)}.make(std::move(executor))) {}
    explicit mailer(asio::any_io_executor executor, std::string_view url, Ps... ps) requires(detail::url_beside<Ps...>)
        : base(five{{std::move(ps)...}, transport::smtp(url)}.make(std::move(executor))) {}

    explicit mailer(asio::io_context& context, Ps... ps) requires(sizeof...(Ps) > 0)
        : mailer(asio::any_io_executor(context.get_executor()), std::move(ps)...) {}
    explicit mailer(asio::io_context& context, std::string_view url) requires(by_url)
        : mailer(asio::any_io_executor(context.get_executor()), url) {}
    explicit mailer(asio::io_context& context, std::string_view url, Ps... ps) requires(detail::url_beside<Ps...>)
        : mailer(asio::any_io_executor(context.get_executor()), url, std::move(ps)...) {}
};

#ifndef POSTROAD_HEADER_ONLY
// Compiled once, in impl/mailer.ipp: most programs use no other.
extern template class engine::runtime<transport::smtp, tls::automatic, pooling::keep_alive, queueing::memory,
                                      scheduling::fifo>;
#endif

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
