#pragma once
// Runs a dispatcher: its actions become connections, timers and completions. Lives on one executor.

#include <postroad/core/observer.hpp>
#include <postroad/core/thrown.hpp>
#include <postroad/engine/any_runtime.hpp>
#include <postroad/engine/carriers.hpp>
#include <postroad/engine/dispatcher.hpp>
#include <postroad/engine/entrance.hpp>
#include <postroad/tls/policy.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

namespace postroad::engine {

/// The state of a mailer.
template <class Transport, class Tls, class Pooling, class Queueing, class Scheduling>
class runtime final : public any_runtime {
public:
    runtime(asio::any_io_executor executor, std::function<bool()> inside, Transport transport, Tls tls, Pooling pooling,
            Queueing queueing, Scheduling scheduling)
        : any_runtime(std::move(executor), std::move(inside)),
          transport_(std::move(transport)),
          tls_(std::move(tls)),
          pooling_(std::move(pooling)),
          queueing_(std::move(queueing)),
          scheduling_(std::move(scheduling)),
          entrance_(queueing_),
          dispatcher_(transport_, pooling_, queueing_, scheduling_),
          carriers_(gate(), transport_, tls_, dispatcher_, [this] { touched(); }) {}
    ~runtime() override { gate()->shut(); }

    job_id next_id() noexcept override { return entrance_.next_id(); }

    void start() override {
        carriers_.belong_to(weak_from_this());
        if constexpr (requires { pooling_.warm, transport_.options().server.name; })
            if (pooling_.warm > 0)
                use([this](time_point now) {
                    dispatcher_.warm_up(transport_.options().server.name, pooling_.warm, now);
                });
        if constexpr (is_durable)
            on_executor([this](time_point now) {
                queueing_.start(waker());
                look(now);
            });
    }

    void enqueue(job&& j, const send_options& options, std::function<void(error_code)> queued) override {
        j.traffic_class = options.traffic_class;
        if (!options.tenant.empty()) j.tenant = options.tenant;
        if (!options.tag.empty()) j.tag = options.tag;
        if (!options.idempotency_key.empty()) j.idempotency_key = options.idempotency_key;
        j.submitted = clock::now();
        if (options.delay > duration::zero()) j.due = after(j.submitted, options.delay);
        if (options.give_up_after != duration::max()) j.deadline = after(j.submitted, options.give_up_after);
        if (j.deadline != never) {
            on_executor([this, id = j.id, at = j.deadline](time_point) {
                dispatcher_.give_up_at(id, at);
                arm_for_next();
            });
            j.waiter = std::make_unique<until_over>(std::move(j.waiter), forgetter(j.id, j.deadline));
        }
        if (entrance_.enqueue(std::move(j), std::move(queued))) wake();
    }

    void report_by(report_writer write) override {
        on_executor([this, write = std::move(write)](time_point) {
            dispatcher_.report_by([this, write](const job& about, delivery_action what, time_point now) {
                return report_of(about, what, write(about, what, now), now);
            });
        });
    }

    void conclude_outside(job&& j) override {
        on_executor([this, over = std::make_shared<job>(std::move(j))](time_point) { tell(*over); });
    }

private:
    friend engine_of<basic_mailer<Transport, Tls, Pooling, Queueing, Scheduling>>;

    static constexpr bool is_durable = queueing::durable<Queueing>;
    static constexpr bool is_operable = queueing::operable<Queueing>;

    // The dispatcher forgets the deadline of what ends here. Of what does not, since it was refused or sent by another
    // process, only the end is heard.
    class until_over final : public waiter {
    public:
        until_over(std::unique_ptr<waiter> to, std::function<void()> forget)
            : to_(std::move(to)), forget_(std::move(forget)) {}
        void complete(error_code ec, outcome&& o) noexcept override {
            // It is held, and given up in time all the same.
            if (ec != errc::policy_failed && (ec || is_durable)) try_forget();
            if (to_) to_->complete(ec, std::move(o));
        }

    private:
        void try_forget() noexcept {
            try {
                forget_();
            } catch (...) {
                // Then it is forgotten at its time.
            }
        }
        std::unique_ptr<waiter> to_;
        std::function<void()> forget_;
    };
    std::function<void()> forgetter(job_id id, time_point at) {
        return [gate = gate(), weak = this->weak_from_this(), id, at] {
            gate->post([weak, id, at] {
                if (const auto self = weak.lock()) static_cast<runtime&>(*self).dispatcher_.forget_deadline(id, at);
            });
        };
    }

    void close() override { entrance_.close(); }
    void end_early(job_id id, cancel_kind kind, time_point now) override {
        entrance_.unpark(id, errc::cancelled);
        dispatcher_.cancel(id, kind, errc::cancelled, now);
    }
    void drain(time_point now) override {
        entrance_.admit();
        dispatcher_.drain(now);
    }
    std::string storage_lost() const override {
        return broken_ ? std::string() : queueing::queueing_traits<Queueing>::storage_lost(queueing_);
    }
    void show_to(std::shared_ptr<careful_observer> to) override { carriers_.observe(std::move(to)); }
    void rung(time_point now) override {
        entrance_.give_up(now);
        dispatcher_.tick(now);
    }

    void end() override {
        if (!broken_)
            guarded([this](time_point now) {
                entrance_.admit();
                dispatcher_.cancel_all(errc::shut_down, now);
                turn(now);
                // What is in flight gets its outcome.
                carriers_.end_all({errc::shut_down, {.explanation = "the mailer was stopped"}}, now);
                turn(now);
            });
        carriers_.drop_all();
        if constexpr (is_durable) guarded([this](time_point) { queueing_.stop(); });
    }

    // Its own counts are unknown, so nothing more is asked of the policy. What the dispatcher holds ends; in a queue
    // that lasts it stays.
    void fail(failure why) override {
        if (broken_) return;
        auto& d = why.details;
        d.explanation = "a policy failed: " + (d.explanation.empty() ? why.code.message() : d.explanation);
        d.where = phase::policy;
        broken_ = d;
        entrance_.close({errc::policy_failed, d});
        while (auto a = dispatcher_.poll())
            if (auto* c = std::get_if<complete>(&*a)) tell(*c->what);
        for (auto& j : dispatcher_.surrender()) conclude(*j);
        sweep();
        carriers_.drop_all();
        stop();
    }
    // What is in the queue, or slips into it still.
    void sweep() {
        try {
            entrance_.admit();
            if constexpr (is_durable) return;
            std::vector<job> waiting;
            queueing_.lease(std::size_t(-1), never, waiting);
            for (auto& j : waiting) conclude(j);
        } catch (...) {
            // It keeps them: who waits is told when the mailer is gone.
        }
    }
    void conclude(job& j) {
        name_recipients(j);
        j.error = errc::policy_failed;
        j.result.details = *broken_;
        tell(j);
    }

    void look(time_point now) override {
        if (broken_) return sweep();
        entrance_.give_up(now);  // its time may have come before it did
        entrance_.admit();
        // A job may slip into the queue while it is being stopped.
        if (stopped())
            dispatcher_.cancel_all(errc::shut_down, now);
        else
            dispatcher_.wake(now);
        turn(now);
    }

    // From a connection: the first that has something posts the turn, so that all that have read by then go together.
    // One alone need not wait.
    void touched() {
        if (carriers_.size() > 1) return turn_later();
        guarded([&](time_point now) { turn(now); });
    }
    void turn(time_point now) override {
        go_round(now);
        if (entrance_.closed() && !stopped()) finish_shutdown(now);
        arm_for_next();
    }
    void arm_for_next() { arm(stopped() ? never : dispatcher_.deadline()); }
    void go_round(time_point now) {
        if (!carriers_.turn(now, [this](time_point then) { act(then); })) turn_later();
    }
    void act(time_point now) {
        do {
            dispatcher_.act([&](action& a) { std::visit([&](auto& what) { this->carry_out(what, now); }, a); });
            if (entrance_.admit()) dispatcher_.wake(now);
        } while (dispatcher_.has_actions());
    }
    void carry_out(complete& c, time_point) { tell(*c.what); }
    void carry_out(auto& other, time_point now) { carriers_.carry_out(other, now); }

    void tell(job& j) {
        if (carriers_.is_observed()) note_outcome(j);
        if (j.waiter) j.waiter->complete(j.error, std::move(j.result));
    }

    void note_outcome(const job& j) const {
        for (const auto& r : j.result.recipients)
            carriers_.note({.what = observed::outcome,
                            .message = j.id,
                            .server = j.result.details.host,
                            .where = r.where,
                            .text = r.address,
                            .answer = r.reply.code == 0 ? nullptr : &r.reply,
                            .result = r.status,
                            .error = j.error ? j.error : r.error});
    }

    std::optional<job> report_of(const job& about, delivery_action what, std::optional<mail_object> mail,
                                 time_point now) {
        if (!mail) return {};
        job r{.id = next_id(), .mail = finished(std::make_shared<const mail_object>(*std::move(mail)))};
        r.submitted = now;
        r.tenant = about.tenant;
        r.reports = what == delivery_action::failed;  // what is only late stays, and leaves no room
        if constexpr (is_durable) r.idempotency_key = report_key(about, what);
        return r;
    }

    void finish_shutdown(time_point now) {
        if (!shutting_down()) return;
        if (!storage_lost().empty()) {
            // What has not begun never will, and no mark is stored any more.
            if (!std::exchange(quitting_, true)) {
                drain(now);
                go_round(now);
            }
            if (!dispatcher_.any_under_way()) stop();
            return;
        }
        if (!dispatcher_.idle(now)) return;
        if (dispatcher_.connections() > 0 && !std::exchange(quitting_, true)) {
            stop_soon(now);
            dispatcher_.quit_all();
            go_round(now);
        }
        if (dispatcher_.connections() == 0) stop();
    }

    Transport transport_;
    [[no_unique_address]] Tls tls_;
    [[no_unique_address]] Pooling pooling_;
    [[no_unique_address]] Queueing queueing_;
    [[no_unique_address]] Scheduling scheduling_;
    engine::entrance<Queueing> entrance_;
    dispatcher<Transport, Pooling, Queueing, Scheduling> dispatcher_;
    carriers<Transport, Tls, decltype(dispatcher_)> carriers_;
    std::optional<diagnostics> broken_;  // a policy failed, and how
    bool quitting_ = false;
};

template <class Transport, class Tls, class Pooling, class Queueing, class Scheduling>
std::shared_ptr<any_runtime> engine_of<basic_mailer<Transport, Tls, Pooling, Queueing, Scheduling>>::start(
    asio::any_io_executor executor, std::function<bool()> inside, Transport t, Tls s, Pooling p, Queueing q,
    Scheduling c) {
    if constexpr (requires { s.starts(t.options().server); })
        for (const auto& server : t.hosts({})) (void)s.starts(server);
    auto r = std::make_shared<type>(std::move(executor), std::move(inside), std::move(t), std::move(s), std::move(p),
                                    std::move(q), std::move(c));
    r->start();
    return r;
}

template <class Transport, class Tls, class Pooling, class Queueing, class Scheduling>
std::vector<queueing::job_info> engine_of<basic_mailer<Transport, Tls, Pooling, Queueing, Scheduling>>::list(
    any_runtime& r, const queueing::job_filter& which, std::size_t limit, time_point now) {
    if constexpr (type::is_operable) return static_cast<type&>(r).dispatcher_.list(which, limit, now);
    return {};
}
template <class Transport, class Tls, class Pooling, class Queueing, class Scheduling>
queueing::queue_counts engine_of<basic_mailer<Transport, Tls, Pooling, Queueing, Scheduling>>::count(any_runtime& r,
                                                                                                     time_point now) {
    if constexpr (type::is_operable) return static_cast<type&>(r).dispatcher_.count(now);
    return {};
}
template <class Transport, class Tls, class Pooling, class Queueing, class Scheduling>
std::size_t engine_of<basic_mailer<Transport, Tls, Pooling, Queueing, Scheduling>>::retry_now(
    any_runtime& r, const queueing::job_filter& which, time_point now) {
    if constexpr (type::is_operable) return static_cast<type&>(r).dispatcher_.retry_now(which, now);
    return 0;
}
template <class Transport, class Tls, class Pooling, class Queueing, class Scheduling>
std::size_t engine_of<basic_mailer<Transport, Tls, Pooling, Queueing, Scheduling>>::hold(
    any_runtime& r, const queueing::job_filter& which, time_point now) {
    if constexpr (type::is_operable) return static_cast<type&>(r).dispatcher_.hold(which, now);
    return 0;
}
template <class Transport, class Tls, class Pooling, class Queueing, class Scheduling>
std::size_t engine_of<basic_mailer<Transport, Tls, Pooling, Queueing, Scheduling>>::drop(
    any_runtime& r, const queueing::job_filter& which, time_point now) {
    if constexpr (type::is_operable) return static_cast<type&>(r).dispatcher_.drop(which, now);
    return 0;
}
template <class Transport, class Tls, class Pooling, class Queueing, class Scheduling>
void engine_of<basic_mailer<Transport, Tls, Pooling, Queueing, Scheduling>>::pause(any_runtime& r,
                                                                                   const scheduling::selection& what,
                                                                                   time_point now) {
    if constexpr (scheduling::pauses<Scheduling>) static_cast<type&>(r).dispatcher_.pause(what, now);
}
template <class Transport, class Tls, class Pooling, class Queueing, class Scheduling>
void engine_of<basic_mailer<Transport, Tls, Pooling, Queueing, Scheduling>>::resume(any_runtime& r,
                                                                                    const scheduling::selection& what,
                                                                                    time_point now) {
    if constexpr (scheduling::pauses<Scheduling>) static_cast<type&>(r).dispatcher_.resume(what, now);
}

}  // namespace postroad::engine
