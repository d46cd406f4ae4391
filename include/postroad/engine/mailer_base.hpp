#pragma once
// What a mailer does, whatever its policies.

#include <postroad/core/clock.hpp>
#include <postroad/core/config.hpp>
#include <postroad/core/error.hpp>
#include <postroad/core/outcome.hpp>
#include <postroad/engine/any_runtime.hpp>
#include <postroad/engine/executors.hpp>
#include <postroad/engine/gate.hpp>
#include <postroad/engine/suppressing.hpp>
#include <postroad/engine/ticket.hpp>
#include <postroad/message/compose_report.hpp>
#include <postroad/message/mail_object.hpp>
#include <postroad/message/message.hpp>
#include <postroad/message/signer.hpp>
#include <postroad/net/executor.hpp>
#include <postroad/net/handler.hpp>
#include <postroad/net/wall_clock.hpp>
#include <postroad/queueing/inspection.hpp>

#include <asio/associated_cancellation_slot.hpp>
#include <asio/async_result.hpp>
#include <asio/cancellation_type.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace postroad {

namespace detail {

POSTROAD_DECL mail_ptr prepare(mail_ptr mail);
POSTROAD_DECL mail_ptr prepare(mail_object mail);
POSTROAD_DECL mail_ptr prepare(const message& m);

// A message of any kind. It refers to what it was made of.
class any_mail {
public:
    template <class Mail>
    explicit any_mail(const Mail& mail)
        : mail_(std::addressof(mail)), prepare_([](const void* m) { return prepare(*static_cast<const Mail*>(m)); }) {}
    /// Checked, and ready to be queued. Throws `error`.
    mail_ptr prepared() const { return prepare_(mail_); }

private:
    const void* mail_;
    mail_ptr (*prepare_)(const void*);
};

// The way of an asynchronous operation to the runtime; it may begin when the mailer is gone.
class entry {
public:
    POSTROAD_DECL explicit entry(const std::shared_ptr<engine::any_runtime>& r);

    POSTROAD_DECL job_id next_id() const;
    // Ends a job early, from any thread and at any time.
    POSTROAD_DECL void cancel(job_id id, asio::cancellation_type how) const;
    POSTROAD_DECL void queue(job_id id, const any_mail& mail, const send_options& options,
                             net::any_handler<outcome> handler) const;
    // Calls `queued` with the reason if it could not be queued, and then the ticket has the outcome.
    POSTROAD_DECL ticket queue(const any_mail& mail, const send_options& options,
                               std::function<void(error_code)> queued) const;
    POSTROAD_DECL void queue(const any_mail& mail, const send_options& options, net::any_handler<ticket> handler) const;
    POSTROAD_DECL void shut_down(duration patience, bool drains, net::any_handler<> handler) const;

    // What makes asio::cancel_after work.
    using executor_type = asio::any_io_executor;
    executor_type get_executor() const { return gate_->executor(); }
    template <class... Results, class Handler>
    net::any_handler<Results...> erased(Handler&& handler) const {
        return gate_->template handler<Results...>(std::forward<Handler>(handler));
    }

private:
    ticket ticket_for(job_id id, std::shared_ptr<engine::mailbox_of_one> box) const;

    std::weak_ptr<engine::any_runtime> to_;
    std::shared_ptr<engine::gate> gate_;
};

// One for all tokens.
struct send_initiation : entry {
    using entry::entry;
    template <class Handler, class Mail>
    void operator()(Handler&& handler, const Mail& mail, const send_options& options) const {
        const auto id = next_id();
        if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected())
            slot.assign([self = entry(*this), id](asio::cancellation_type how) { self.cancel(id, how); });
        queue(id, any_mail(mail), options, erased<outcome>(std::forward<Handler>(handler)));
    }
};
struct submit_initiation : entry {
    using entry::entry;
    template <class Handler, class Mail>
    void operator()(Handler&& handler, const Mail& mail, const send_options& options) const {
        queue(any_mail(mail), options, erased<ticket>(std::forward<Handler>(handler)));
    }
};
struct shutdown_initiation : entry {
    using entry::entry;
    template <class Handler>
    void operator()(Handler&& handler, duration patience, bool drains) const {
        shut_down(patience, drains, erased<>(std::forward<Handler>(handler)));
    }
};

}  // namespace detail

/// A mailer of any policies: what sends mail and need not know them takes a `mailer_base&`. Every member function may
/// be called on any thread at any time, except move and destruction. Work runs on a thread of its own, or on the
/// executor that was given.
///
/// Destruction cancels what is under way (its outcome comes with errc::shut_down) and closes connections; call
/// shutdown() first to let it finish.
class mailer_base {
public:
    using executor_type = asio::any_io_executor;

    POSTROAD_DECL mailer_base(mailer_base&&) noexcept;
    POSTROAD_DECL mailer_base& operator=(mailer_base&& other) noexcept;

    executor_type get_executor() const { return runtime_->executor(); }

    /// Sends `mail` (a message, a mail_object or a mail_ptr) and waits for its outcome. Throws `send_error` when there
    /// is none to be had from a server: bad input, no connection, TLS, authentication, time-out, a full queue,
    /// shutdown. A refusal by the server is an outcome, not an exception. `options`: class, delay, deadline.
    template <class Mail>
    outcome send(const Mail& mail, const send_options& options = {}) {
        return send_and_wait(detail::any_mail(mail), options);
    }
    /// As above, with the error in `ec`. errc::would_deadlock on a thread that runs the mailer.
    template <class Mail>
    outcome send(const Mail& mail, const send_options& options, error_code& ec) {
        return send_and_wait(detail::any_mail(mail), options, ec);
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
        return asio::async_initiate<Token, void(error_code, outcome)>(detail::send_initiation(runtime_), token,
                                                                      std::move(mail), std::move(options));
    }

    /// Queues `mail` and returns once it is queued; with queueing::when_full::wait it may block for room. Throws
    /// `send_error`: bad input, errc::queue_full, errc::shut_down.
    template <class Mail>
    ticket submit(const Mail& mail, const send_options& options = {}) {
        return submit_and_wait(detail::any_mail(mail), options);
    }

    /// Queues `mail` and completes with (error_code, ticket) once it is queued. Not cancellable.
    template <class Mail, asio::completion_token_for<void(error_code, ticket)> Token>
    auto async_submit(Mail mail, Token&& token) {
        return async_submit(std::move(mail), send_options{}, std::forward<Token>(token));
    }
    template <class Mail, asio::completion_token_for<void(error_code, ticket)> Token>
    auto async_submit(Mail mail, send_options options, Token&& token) {
        return asio::async_initiate<Token, void(error_code, ticket)>(detail::submit_initiation(runtime_), token,
                                                                     std::move(mail), std::move(options));
    }

    /// `to` is told what happens from now on: commands, replies, decisions, outcomes. Null: nobody is. The one before
    /// is let go once the mailer's thread has seen this, and the last one when the mailer is gone. See
    /// docs/troubleshooting.md.
    void observe(std::shared_ptr<observer> to) { runtime_->observe(std::move(to)); }

    /// From now on each message is signed before it is queued, by this signer, such as a dkim_signer: on the thread
    /// that sends it, so several at a time. What it throws comes as other errors of the message do. The one before is
    /// let go.
    template <message_signer S>
    void sign_by(S signer) {
        runtime_->finish_by([signer = std::move(signer)](mail_ptr mail) -> mail_ptr {
            return std::make_shared<const mail_object>(sign(*mail, signer, net::wall_clock_now()));
        });
    }

    /// From now on nobody whom this list names is queued for: such a recipient is `rejected` in phase::policy with
    /// errc::suppressed, and the others of the message go. Asked once for each recipient, on the thread that sends, so
    /// several at a time; what it throws refuses the message. Null: nobody is asked. The one before is let go.
    template <suppression::list L>
    void suppress_by(std::shared_ptr<L> list) {
        runtime_->suppress_by([list = std::move(list)](job& j, const std::string& tenant) -> std::optional<job> {
            if (!list) return {};
            const auto now = std::chrono::floor<std::chrono::seconds>(net::wall_clock_now());
            auto gone = engine::suppressed(*list, *j.mail, tenant, now);
            if (gone.empty()) return {};
            return engine::leave_out(j, std::move(gone));
        });
    }

    /// From now on the sender of a message gets a report (RFC 3464) by this mailer when it is given up or refused for
    /// some of its recipients, and when it is late (retry_rules::late_after): to its reverse path, from the null one,
    /// as compose_report() writes it. Throws `error` (errc::invalid_option) if `reporting_mta` is not the name of a
    /// host.
    POSTROAD_DECL void report_failures(report_options options);

    /// Takes no more messages, waits until those it holds have their outcome, and ends the connections with QUIT. What
    /// is left after `patience` is cancelled with errc::shut_down; where several shut it down or drain it, what ends
    /// first counts. Throws `error` (errc::storage_failed) where the file of its queue is not there any more: then it
    /// waits only for what a server has, and the file, should it come back, knows nothing of that.
    POSTROAD_DECL void shutdown(duration patience = std::chrono::seconds(30));
    /// As shutdown(); completes with (error_code).
    template <asio::completion_token_for<void(error_code)> Token>
    auto async_shutdown(duration patience, Token&& token) {
        return asio::async_initiate<Token, void(error_code)>(detail::shutdown_initiation(runtime_), token, patience,
                                                             false);
    }
    /// As shutdown(), but begins nothing new: what waits ends with errc::shut_down at once, and stays in a durable
    /// queue; what a server has gets its reply, for which it may take `grace`. For SIGTERM. Throws as shutdown().
    POSTROAD_DECL void drain(duration grace = std::chrono::seconds(10));
    /// As drain(); completes with (error_code).
    template <asio::completion_token_for<void(error_code)> Token>
    auto async_drain(duration grace, Token&& token) {
        return asio::async_initiate<Token, void(error_code)>(detail::shutdown_initiation(runtime_), token, grace, true);
    }

protected:
    /// On a thread of its own.
    POSTROAD_DECL mailer_base();
    /// On `executor`, which somebody else runs: in a strand of its own, unless it is a strand or one_thread.
    POSTROAD_DECL explicit mailer_base(asio::any_io_executor executor);
    POSTROAD_DECL ~mailer_base();

    // What its runtime is made with, once.
    const asio::any_io_executor& given() const noexcept { return base_; }
    POSTROAD_DECL std::function<bool()> inside() const;
    void run(std::shared_ptr<engine::any_runtime> r) { runtime_ = std::move(r); }

    // What is asked of the runtime on its executor.
    using lister = std::vector<queueing::job_info>(engine::any_runtime&, const queueing::job_filter&, std::size_t,
                                                   time_point);
    using counter = queueing::queue_counts(engine::any_runtime&, time_point);
    using changer = std::size_t(engine::any_runtime&, const queueing::job_filter&, time_point);
    using selector = void(engine::any_runtime&, const scheduling::selection&, time_point);
    POSTROAD_DECL std::vector<queueing::job_info> ask(lister* f, queueing::job_filter which, std::size_t limit) const;
    POSTROAD_DECL queueing::queue_counts ask(counter* f) const;
    POSTROAD_DECL std::size_t ask(changer* f, queueing::job_filter which) const;
    POSTROAD_DECL void tell(selector* f, scheduling::selection what) const;

private:
    POSTROAD_DECL outcome send_and_wait(const detail::any_mail& mail, const send_options& options) const;
    POSTROAD_DECL outcome send_and_wait(const detail::any_mail& mail, const send_options& options,
                                        error_code& ec) const;
    POSTROAD_DECL ticket submit_and_wait(const detail::any_mail& mail, const send_options& options) const;
    POSTROAD_DECL void shut_and_wait(duration patience, bool drains);
    POSTROAD_DECL void check_outside() const;
    POSTROAD_DECL void stop() noexcept;

    std::shared_ptr<detail::own_thread> thread_;
    asio::any_io_executor base_;
    std::shared_ptr<engine::any_runtime> runtime_;
};

}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/engine/impl/mailer_base.ipp>
#endif
