#pragma once
// Runs a dispatcher: its actions become connections, timers and completions. Lives on one executor.

#include <postroad/core/observer.hpp>
#include <postroad/core/thrown.hpp>
#include <postroad/engine/carriers.hpp>
#include <postroad/engine/dispatcher.hpp>
#include <postroad/engine/entrance.hpp>
#include <postroad/net/asio.hpp>
#include <postroad/tls/policy.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

namespace postroad::engine {

/// How long connections that have nothing more to do may take to end, at shutdown.
inline constexpr duration farewell = std::chrono::seconds(1);

/// The state of a mailer. enqueue(), cancel() and shutdown() may be called on any thread; all else runs on the
/// executor, one at a time. Kept alive by the mailer and by pending operations; stop() lets those end.
template <class Transport, class Tls, class Pooling, class Queueing, class Scheduling>
class runtime : public std::enable_shared_from_this<runtime<Transport, Tls, Pooling, Queueing, Scheduling>> {
public:
    using dispatcher_type = dispatcher<Transport, Pooling, Queueing, Scheduling>;
    using session_type = typename Transport::session_type;
    using engine_type = typename Tls::engine_type;

    /// `inside` says whether the calling thread is one that runs `executor`.
    runtime(asio::any_io_executor executor, std::function<bool()> inside, Transport transport, Tls tls, Pooling pooling,
            Queueing queueing, Scheduling scheduling)
        : executor_(std::move(executor)),
          gate_(std::make_shared<engine::gate>(executor_, std::move(inside))),
          timer_(executor_),
          shutdown_timer_(executor_),
          transport_(std::move(transport)),
          tls_(std::move(tls)),
          pooling_(std::move(pooling)),
          queueing_(std::move(queueing)),
          scheduling_(std::move(scheduling)),
          entrance_(queueing_),
          dispatcher_(transport_, pooling_, queueing_, scheduling_),
          carriers_(gate_, transport_, tls_, dispatcher_, [this] { touched(); }) {}
    runtime(const runtime&) = delete;
    runtime& operator=(const runtime&) = delete;
    ~runtime() { gate_->shut(); }

    const asio::any_io_executor& executor() const noexcept { return executor_; }
    const std::shared_ptr<engine::gate>& gate() const noexcept { return gate_; }
    const Transport& transport() const noexcept { return transport_; }
    const Tls& tls() const noexcept { return tls_; }
    job_id next_id() noexcept { return entrance_.next_id(); }

    /// Lets a durable queue give out its jobs, and opens the connections that the pool wants from the start. Once,
    /// before anything else.
    void start() {
        carriers_.belong_to(this->weak_from_this());
        if constexpr (requires { pooling_.warm, transport_.options().server.name; })
            if (pooling_.warm > 0)
                use([self = this->shared_from_this()](auto& d, time_point now) {
                    d.warm_up(self->transport_.options().server.name, self->pooling_.warm, now);
                });
        if constexpr (is_durable)
            on_executor([](runtime& r, time_point now) {
                r.queueing_.start([gate = r.gate_, woken = r.woken_, weak = r.weak_from_this()] {
                    if (woken->exchange(true)) return;
                    gate->post([woken, weak] {
                        woken->store(false);
                        if (const auto self = weak.lock()) self->look();
                    });
                });
                r.wake_up(now);
            });
    }

    /// `to` is told what happens from now on; null: nobody is. Whom it replaces is let go.
    void observe(std::shared_ptr<observer> to) {
        auto careful = to ? std::make_shared<careful_observer>(std::move(to)) : nullptr;
        asio::post(executor_, [self = this->shared_from_this(), careful = std::move(careful)]() mutable {
            self->carriers_.observe(std::move(careful));
        });
    }

    /// Queues a job. `queued`, if there is one, is told whether it was taken, perhaps later and on the executor; a job
    /// that was not is completed with the reason.
    void enqueue(job&& j, const send_options& options, std::function<void(error_code)> queued) {
        j.traffic_class = options.traffic_class;
        j.tenant = options.tenant;
        j.tag = options.tag;
        j.idempotency_key = options.idempotency_key;
        j.submitted = clock::now();
        if (options.delay > duration::zero()) j.due = after(j.submitted, options.delay);
        if (options.give_up_after != duration::max()) j.deadline = after(j.submitted, options.give_up_after);
        if (j.deadline != never)
            on_executor([id = j.id, at = j.deadline](runtime& r, time_point) {
                r.dispatcher_.give_up_at(id, at);
                r.arm();
            });
        if (entrance_.enqueue(std::move(j), std::move(queued))) wake();
    }

    /// Calls `f(dispatcher, now)` on the executor and carries out what follows from it.
    template <class F>
    void use(F f) {
        on_executor([f = std::move(f)](runtime& r, time_point now) mutable {
            f(r.dispatcher_, now);
            r.turn(now);
        });
    }

    /// Ends a job early, once this is called on the executor: see gate().
    void cancel(job_id id, cancel_kind kind) {
        guarded([&](time_point now) {
            entrance_.unpark(id);
            dispatcher_.cancel(id, kind, errc::cancelled, now);
            turn(now);
        });
    }

    /// Takes no more jobs, lets those that are held finish, and ends the connections. After `patience` what is left is
    /// cancelled with errc::shut_down. `done` is called on the executor.
    void shutdown(duration patience, std::function<void()> done) {
        entrance_.close();
        asio::post(executor_, [self = this->shared_from_this(), patience, done = std::move(done)]() mutable {
            if (self->stopped_) return done();
            self->when_shut_.push_back(std::move(done));
            self->stop_at(after(clock::now(), patience));
            self->guarded([&](time_point now) { self->turn(now); });
        });
    }

    /// Closes every connection at once and completes every job with errc::shut_down. On the executor.
    void stop() {
        entrance_.close();
        if (std::exchange(stopped_, true)) return;
        if (!broken_)
            guarded([&](time_point now) {
                entrance_.admit();
                dispatcher_.cancel_all(errc::shut_down, now);
                turn(now);
                // What is in flight gets its outcome.
                carriers_.end_all({errc::shut_down, {.explanation = "the mailer was stopped"}}, now);
                turn(now);
            });
        carriers_.drop_all();
        if constexpr (is_durable) guarded([&](time_point) { queueing_.stop(); });
        timer_.cancel();
        shutdown_timer_.cancel();
        for (auto& done : std::exchange(when_shut_, {})) done();
        gate_->shut();
    }

private:
    static constexpr bool is_durable = queueing::durable<Queueing>;

    // Everything that comes in passes here: what a policy throws that cannot be held against one message or connection
    // stops the mailer.
    template <class F>
    void guarded(F f) {
        try {
            f(clock::now());
        } catch (...) {
            fail(thrown());
        }
    }
    template <class F>
    void on_executor(F f) {
        asio::post(executor_, [self = this->shared_from_this(), f = std::move(f)]() mutable {
            self->guarded([&](time_point now) { f(*self, now); });
        });
    }

    // A policy that was told something threw: its own counts are unknown, so nothing more is asked of it. What the
    // dispatcher holds ends; in a queue that lasts it stays.
    void fail(failure why) {
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

    // Many jobs that arrive together make one entry into the executor.
    void wake() {
        if (woken_->exchange(true)) return;
        net::post(executor_, [self = this->shared_from_this()] {
            self->woken_->store(false);
            self->look();
        });
    }
    void look() {
        guarded([&](time_point now) { wake_up(now); });
    }
    void wake_up(time_point now) {
        if (broken_) return sweep();
        entrance_.admit();
        // A job may slip into the queue while it is being stopped.
        if (stopped_)
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
    void turn_later() {
        if (std::exchange(turn_posted_, true)) return;
        net::post(executor_, [self = this->shared_from_this()] {
            self->turn_posted_ = false;
            self->guarded([&](time_point now) { self->turn(now); });
        });
    }

    void turn(time_point now) {
        go_round(now);
        if (entrance_.closed() && !stopped_) finish_shutdown(now);
        arm();
    }
    void go_round(time_point now) {
        if (!carriers_.turn(now, [this](time_point then) { act(then); })) turn_later();
    }
    void act(time_point now) {
        do {
            while (auto a = dispatcher_.poll()) std::visit([&](auto& what) { this->carry_out(what, now); }, *a);
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
                            .error = j.error});
    }

    void arm() {
        const auto due = stopped_ ? never : dispatcher_.deadline();
        if (due >= rings_at_) return;
        // Something has arrived already: no timer is needed for that.
        if (due == time_point::min()) return wake();
        rings_at_ = due;
        timer_.expires_at(due);
        timer_.async_wait([self = this->shared_from_this(), due](error_code ec) {
            if (ec || self->stopped_ || self->rings_at_ != due) return;
            self->rings_at_ = never;
            self->guarded([&](time_point now) {
                self->dispatcher_.tick(now);
                self->turn(now);
            });
        });
    }

    void stop_at(time_point when) {
        shutdown_timer_.expires_at(when);
        shutdown_timer_.async_wait([self = this->shared_from_this()](error_code ec) {
            if (!ec) self->stop();
        });
    }

    void finish_shutdown(time_point now) {
        if (when_shut_.empty() || !dispatcher_.idle(now)) return;
        if (dispatcher_.connections() > 0 && !std::exchange(quitting_, true)) {
            // All have their outcome: the farewells are worth no more.
            stop_at(std::min(shutdown_timer_.expiry(), after(now, farewell)));
            dispatcher_.quit_all();
            go_round(now);
        }
        if (dispatcher_.connections() == 0) stop();
    }

    asio::any_io_executor executor_;
    std::shared_ptr<engine::gate> gate_;
    asio::steady_timer timer_;
    asio::steady_timer shutdown_timer_;
    Transport transport_;
    [[no_unique_address]] Tls tls_;
    [[no_unique_address]] Pooling pooling_;
    [[no_unique_address]] Queueing queueing_;
    [[no_unique_address]] Scheduling scheduling_;
    engine::entrance<Queueing> entrance_;
    dispatcher_type dispatcher_;
    carriers<Transport, Tls, dispatcher_type> carriers_;
    std::vector<std::function<void()>> when_shut_;
    // look() is on its way. Shared with the queue, which may ask for it when all this is gone.
    std::shared_ptr<std::atomic<bool>> woken_ = std::make_shared<std::atomic<bool>>(false);
    std::optional<diagnostics> broken_;  // a policy failed, and how
    time_point rings_at_ = never;
    bool turn_posted_ = false;
    bool quitting_ = false;
    bool stopped_ = false;
};

}  // namespace postroad::engine
