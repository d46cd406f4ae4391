#pragma once

#include <postroad/engine/mailer_base.hpp>

#include <postroad/core/thrown.hpp>
#include <postroad/engine/actions.hpp>
#include <postroad/net/wall_clock.hpp>
#include <postroad/scheduling/policy.hpp>
#include <postroad/smtp/parameters.hpp>

#include <exception>
#include <future>

namespace postroad {

namespace engine {

// Tells whoever waits, in any case.
class handler_waiter final : public waiter {
public:
    explicit handler_waiter(net::any_handler<outcome> h) : handler_(std::move(h)) {}
    ~handler_waiter() override {
        if (handler_) complete(errc::shut_down, {});
    }
    void complete(error_code ec, outcome&& o) noexcept override { handler_(ec, std::move(o)); }

private:
    net::any_handler<outcome> handler_;
};

// Puts an outcome where a ticket finds it, in any case.
class ticket_waiter final : public waiter {
public:
    explicit ticket_waiter(std::shared_ptr<mailbox_of_one> to) : to_(std::move(to)) {}
    ~ticket_waiter() override {
        if (to_) complete(errc::shut_down, {});
    }
    void complete(error_code ec, outcome&& o) noexcept override { std::exchange(to_, nullptr)->set(ec, std::move(o)); }

private:
    std::shared_ptr<mailbox_of_one> to_;
};

}  // namespace engine

namespace detail {

// With SMTPUTF8 it could be said to a server, and nobody could look it up.
inline void check_domain(const address& a) {
    if (!a.ascii() && a.ascii_domain().empty())
        throw error(errc::invalid_address, "the domain of '" + escaped(a.str(), 300) +
                                               "' has no form in ASCII (RFC 5891), so it is no domain");
}

POSTROAD_DECL mail_ptr prepare(mail_ptr mail) {
    if (!mail) throw error(errc::invalid_message, "there is no message");
    if (mail->envelope.recipients.empty()) throw error(errc::no_recipients, "the envelope names no recipient");
    check_domain(mail->envelope.reverse_path);
    for (const auto& r : mail->envelope.recipients) {
        if (r.null()) throw error(errc::invalid_address, "a recipient is the null address <>");
        check_domain(r);
    }
    smtp::check(mail->envelope);
    return mail;
}
POSTROAD_DECL mail_ptr prepare(mail_object mail) {
    return prepare(std::make_shared<const mail_object>(std::move(mail)));
}
POSTROAD_DECL mail_ptr prepare(const message& m) { return prepare(m.freeze(net::wall_clock_now())); }

// Whether somebody is left.
inline bool keep_suppressed_out(engine::any_runtime& r, job& j, const std::string& tenant) {
    auto over = r.suppressed(j, tenant);
    if (!over) return true;
    const bool any_left = over->waiter == nullptr;
    r.conclude_outside(*std::move(over));
    return any_left;
}

// Without a runtime the mailer is gone.
inline void enqueue(engine::any_runtime* r, job_id id, const any_mail& mail, const send_options& options,
                    std::unique_ptr<waiter> w, std::function<void(error_code)> queued) {
    job j;
    j.id = id;
    j.waiter = std::move(w);
    failure why;
    try {
        j.mail = mail.prepared();
        if (r && !keep_suppressed_out(*r, j, options.tenant)) {
            if (queued) queued({});
            return;
        }
        if (r) j.mail = r->finished(std::move(j.mail));
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

POSTROAD_DECL entry::entry(const std::shared_ptr<engine::any_runtime>& r) : to_(r), gate_(r->gate()) {}

POSTROAD_DECL job_id entry::next_id() const {
    const auto r = to_.lock();
    return r ? r->next_id() : 0;
}

POSTROAD_DECL void entry::cancel(job_id id, asio::cancellation_type how) const {
    using type = asio::cancellation_type;
    const auto kind = (how & (type::terminal | type::partial)) != type::none ? engine::cancel_kind::at_once
                                                                             : engine::cancel_kind::if_waiting;
    gate_->post([weak = to_, id, kind] {
        if (const auto r = weak.lock()) r->cancel(id, kind);
    });
}

POSTROAD_DECL ticket entry::ticket_for(job_id id, std::shared_ptr<engine::mailbox_of_one> box) const {
    return {id, std::move(box), gate_, [self = *this, id] { self.cancel(id, asio::cancellation_type::terminal); }};
}

POSTROAD_DECL void entry::queue(job_id id, const any_mail& mail, const send_options& options,
                                net::any_handler<outcome> handler) const {
    enqueue(to_.lock().get(), id, mail, options, std::make_unique<engine::handler_waiter>(std::move(handler)), {});
}

POSTROAD_DECL ticket entry::queue(const any_mail& mail, const send_options& options,
                                  std::function<void(error_code)> queued) const {
    auto box = std::make_shared<engine::mailbox_of_one>();
    auto t = ticket_for(next_id(), box);
    enqueue(to_.lock().get(), t.id(), mail, options, std::make_unique<engine::ticket_waiter>(std::move(box)),
            std::move(queued));
    return t;
}

POSTROAD_DECL void entry::queue(const any_mail& mail, const send_options& options,
                                net::any_handler<ticket> handler) const {
    auto h = std::make_shared<net::any_handler<ticket>>(std::move(handler));
    auto box = std::make_shared<engine::mailbox_of_one>();
    const auto t = ticket_for(next_id(), box);
    enqueue(to_.lock().get(), t.id(), mail, options, std::make_unique<engine::ticket_waiter>(std::move(box)),
            [h, t](error_code ec) { (*h)(ec, ticket(t)); });
}

POSTROAD_DECL void entry::shut_down(duration patience, bool drains, net::any_handler<> handler) const {
    const auto done = [h = std::make_shared<net::any_handler<>>(std::move(handler))](const std::string& gone) {
        (*h)(gone.empty() ? error_code() : make_error_code(errc::storage_failed));
    };
    if (const auto r = to_.lock())
        r->shutdown(patience, drains, done);
    else
        done({});
}

// What `f(runtime, now)` returns on the mailer's executor.
template <class Result>
Result ask(engine::any_runtime& r, std::function<Result(engine::any_runtime&, time_point)> f) {
    const auto answer = std::make_shared<std::promise<Result>>();
    r.use([&r, answer, f = std::move(f)](time_point now) {
        try {
            answer->set_value(f(r, now));
        } catch (...) {
            answer->set_exception(std::current_exception());
        }
    });
    return answer->get_future().get();
}

}  // namespace detail

POSTROAD_DECL mailer_base::mailer_base() : thread_(detail::begin_thread()), base_(detail::executor_of(*thread_)) {}
POSTROAD_DECL mailer_base::mailer_base(asio::any_io_executor executor) : base_(std::move(executor)) {}
POSTROAD_DECL mailer_base::mailer_base(mailer_base&&) noexcept = default;
POSTROAD_DECL mailer_base& mailer_base::operator=(mailer_base&& other) noexcept {
    if (this != &other) {
        stop();
        runtime_ = std::move(other.runtime_);
        thread_ = std::move(other.thread_);
        base_ = std::move(other.base_);
    }
    return *this;
}
POSTROAD_DECL mailer_base::~mailer_base() { stop(); }

POSTROAD_DECL std::function<bool()> mailer_base::inside() const {
    return [base = base_] { return detail::runs_on(base); };
}

POSTROAD_DECL void mailer_base::stop() noexcept {
    if (!runtime_) return;
    auto r = std::exchange(runtime_, nullptr);
    net::post_function(r->executor(), [r] { r->stop(); });
    r.reset();
    thread_.reset();
}

POSTROAD_DECL outcome mailer_base::send_and_wait(const detail::any_mail& mail, const send_options& options) const {
    error_code ec;
    auto o = send_and_wait(mail, options, ec);
    if (ec) throw send_error(ec, std::move(o));
    return o;
}
POSTROAD_DECL outcome mailer_base::send_and_wait(const detail::any_mail& mail, const send_options& options,
                                                 error_code& ec) const {
    ec = {};
    if (detail::runs_on(base_)) {
        ec = errc::would_deadlock;
        return {};
    }
    return detail::entry(runtime_).queue(mail, options, std::function<void(error_code)>()).wait(ec);
}

POSTROAD_DECL ticket mailer_base::submit_and_wait(const detail::any_mail& mail, const send_options& options) const {
    if (detail::runs_on(base_))
        throw error(errc::would_deadlock, "submit() blocks; use async_submit() on the mailer's thread");
    // Shared: the mailer's thread may still be inside set_value() when this one has its answer.
    const auto queued = std::make_shared<std::promise<error_code>>();
    auto t = detail::entry(runtime_).queue(
        mail, options, std::function<void(error_code)>([queued](error_code ec) { queued->set_value(ec); }));
    if (queued->get_future().get()) (void)t.wait();
    return t;
}

POSTROAD_DECL void mailer_base::report_failures(report_options options) {
    // One about nothing says what is wrong with the options, before there is a need for one.
    (void)compose_report({}, {}, options, net::wall_clock_now());
    runtime_->report_by([options = std::move(options)](const job& about, delivery_action what, time_point now) {
        return engine::report_about(about, what, options, {now, net::wall_clock_now()});
    });
}

POSTROAD_DECL void mailer_base::shutdown(duration patience) {
    if (detail::runs_on(base_)) throw error(errc::would_deadlock, "shutdown() blocks; use async_shutdown()");
    shut_and_wait(patience, false);
}
POSTROAD_DECL void mailer_base::drain(duration grace) {
    if (detail::runs_on(base_)) throw error(errc::would_deadlock, "drain() blocks; use async_drain()");
    shut_and_wait(grace, true);
}
POSTROAD_DECL void mailer_base::shut_and_wait(duration patience, bool drains) {
    const auto done = std::make_shared<std::promise<std::string>>();
    runtime_->shutdown(patience, drains, [done](const std::string& gone) { done->set_value(gone); });
    if (auto why = done->get_future().get(); !why.empty()) throw error(errc::storage_failed, std::move(why));
}

// Not by the gate, which is shut when the mailer is.
POSTROAD_DECL void mailer_base::check_outside() const {
    if (detail::runs_on(base_))
        throw error(errc::would_deadlock, "this blocks, and may not be called on the mailer's thread");
}
POSTROAD_DECL std::vector<queueing::job_info> mailer_base::ask(lister* f, queueing::job_filter which,
                                                               std::size_t limit) const {
    check_outside();
    return detail::ask<std::vector<queueing::job_info>>(
        *runtime_, [f, which = std::move(which), limit](auto& r, time_point now) { return f(r, which, limit, now); });
}
POSTROAD_DECL queueing::queue_counts mailer_base::ask(counter* f) const {
    check_outside();
    return detail::ask<queueing::queue_counts>(*runtime_, f);
}
POSTROAD_DECL std::size_t mailer_base::ask(changer* f, queueing::job_filter which) const {
    check_outside();
    return detail::ask<std::size_t>(
        *runtime_, [f, which = std::move(which)](auto& r, time_point now) { return f(r, which, now); });
}
POSTROAD_DECL void mailer_base::tell(selector* f, scheduling::selection what) const {
    runtime_->use([r = runtime_.get(), f, what = std::move(what)](time_point now) { f(*r, what, now); });
}

}  // namespace postroad
