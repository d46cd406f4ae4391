#pragma once
// Runs a dispatcher: its actions become connections, timers and completions. Lives on one executor.

#include <postroad/core/base64.hpp>
#include <postroad/core/observer.hpp>
#include <postroad/core/random.hpp>
#include <postroad/engine/dispatcher.hpp>
#include <postroad/net/asio.hpp>
#include <postroad/net/connection.hpp>
#include <postroad/smtp/credentials_source.hpp>
#include <postroad/tls/policy.hpp>

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>

namespace postroad::engine {

/// Eighteen random octets in base64.
inline std::string fresh_nonce() {
    std::random_device source;
    std::string octets;
    while (octets.size() < 18) octets += static_cast<char>(source() & 0xff);
    return base64_encode(octets);
}

/// A connection, and the name under which the dispatcher knows it.
template <class Runtime>
struct wired_carrier {
    using session_type = typename Runtime::session_type;
    using wire = net::connection<session_type, typename Runtime::engine_type, wired_carrier>;

    Runtime* owner = nullptr;
    connection_id id = 0;
    std::shared_ptr<wire> connection = {};

    void activity(wire& w, time_point now) { owner->drain(id, w.session(), now); }
    void ended(wire&) { owner->forget(id); }
    bool arrived(wire&) { return owner->go_on_later(id); }
    void found(const std::vector<std::string>& addresses) {
        if (!owner->observer_) return;
        std::string all;
        for (const auto& a : addresses) (all += all.empty() ? "" : ", ") += a;
        owner->note({.what = observed::resolved, .connection = id, .where = phase::resolve, .text = all});
    }
    void reached(const std::string& address) {
        if (owner->observer_)
            owner->note({.what = observed::connected, .connection = id, .where = phase::connect, .text = address});
    }
    session_type& session() { return connection->session(); }
    void pump(time_point now) {
        const auto keep = connection;
        keep->pump(now);
    }
    // What it has in flight gets its outcome; then the socket is closed.
    void abandon() {
        const auto now = clock::now();
        connection->session().closed(errc::shut_down, "the mailer was stopped", now);
        owner->drain(id, connection->session(), now);
        connection->abandon();
    }
};

/// A session that needs no wire: what it is given ends at once.
template <class Runtime>
struct local_carrier {
    using session_type = typename Runtime::session_type;

    Runtime* owner = nullptr;
    connection_id id = 0;
    std::optional<session_type> here = {};

    session_type& session() { return *here; }
    void pump(time_point now) { owner->drain(id, *here, now); }
    void abandon() {}
};

/// The state of a mailer. enqueue(), cancel() and shutdown() may be called on any thread; all else runs on the
/// executor, one at a time. Kept alive by the mailer and by pending operations; stop() lets those end.
template <class Transport, class Tls, class Pooling, class Queueing, class Scheduling>
class runtime : public std::enable_shared_from_this<runtime<Transport, Tls, Pooling, Queueing, Scheduling>> {
public:
    runtime(asio::any_io_executor executor, Transport transport, Tls tls, Pooling pooling, Queueing queueing,
            Scheduling scheduling)
        : executor_(std::move(executor)),
          timer_(executor_),
          shutdown_timer_(executor_),
          transport_(std::move(transport)),
          tls_(std::move(tls)),
          pooling_(std::move(pooling)),
          queueing_(std::move(queueing)),
          scheduling_(std::move(scheduling)),
          dispatcher_(transport_, pooling_, queueing_, scheduling_) {}
    runtime(const runtime&) = delete;
    runtime& operator=(const runtime&) = delete;
    ~runtime() { shut_gate(); }

    const asio::any_io_executor& executor() const noexcept { return executor_; }
    const Transport& transport() const noexcept { return transport_; }
    const Tls& tls() const noexcept { return tls_; }

    /// Lets a durable queue give out its jobs, and opens the connections that the pool wants from the start. Once,
    /// before anything else.
    void start() {
        if constexpr (requires { pooling_.warm, transport_.options().server.name; })
            if (pooling_.warm > 0)
                use([self = this->shared_from_this()](auto& d, time_point now) {
                    d.warm_up(self->transport_.options().server.name, self->pooling_.warm, now);
                });
        if constexpr (is_durable)
            asio::post(executor_, [self = this->shared_from_this()] {
                if (self->stopped_) return;
                self->queueing_.start([gate = self->gate_, weak = self->weak_from_this(), to = self->executor_] {
                    if (gate->woken.exchange(true)) return;
                    const std::scoped_lock lock(gate->mutex);
                    if (!gate->open) return;
                    // What is locked here could be the last that holds it, and it ends the thread that this is.
                    asio::post(to, [gate, weak] {
                        gate->woken.store(false);
                        if (const auto r = weak.lock()) r->look();
                    });
                });
                self->look();
            });
    }

    job_id next_id() noexcept { return ids_.fetch_add(1, std::memory_order_relaxed); }

    /// `to` is told what happens from now on; null: nobody is. Whom it replaces is let go.
    void observe(std::shared_ptr<observer> to) {
        asio::post(executor_, [self = this->shared_from_this(), to = std::move(to)]() mutable {
            self->observer_.swap(to);
            self->dispatcher_.observe(self->observer_.get());
            for (auto& entry : self->connections_) self->watch(*entry.second);
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
            asio::post(executor_, [self = this->shared_from_this(), id = j.id, at = j.deadline] {
                self->dispatcher_.give_up_at(id, at);
                self->arm();
            });
        auto ec = take(j, queued);
        if (ec == errc::queue_full && queueing_.full() == queueing::when_full::wait) {
            const std::scoped_lock lock(parked_mutex_);
            parked_.push_back({std::move(j), std::move(queued)});
            parked_any_.store(true);
            return wake();
        }
        if (ec)
            refuse(j, ec);
        else if (!is_durable)
            wake();
        if (queued) queued(ec);
    }

    /// Calls `f(dispatcher, now)` on the executor and carries out what follows from it.
    template <class F>
    void use(F f) {
        asio::post(executor_, [self = this->shared_from_this(), f = std::move(f)]() mutable {
            const auto now = clock::now();
            f(self->dispatcher_, now);
            self->run(now);
        });
    }

    void cancel(job_id id, cancel_kind kind) {
        asio::post(executor_, [self = this->shared_from_this(), id, kind] {
            self->unpark(id);
            const auto now = clock::now();
            self->dispatcher_.cancel(id, kind, errc::cancelled, now);
            self->run(now);
        });
    }

    /// Takes no more jobs, lets those that are held finish, and ends the connections. After `patience` what is left is
    /// cancelled with errc::shut_down. `done` is called on the executor.
    void shutdown(duration patience, std::function<void()> done) {
        closing_.store(true);
        asio::post(executor_, [self = this->shared_from_this(), patience, done = std::move(done)]() mutable {
            if (self->stopped_) return done();
            self->when_shut_.push_back(std::move(done));
            const auto now = clock::now();
            self->shutdown_timer_.expires_at(after(now, patience));
            self->shutdown_timer_.async_wait([self](error_code ec) {
                if (!ec) self->stop();
            });
            self->run(now);
        });
    }

    /// Closes every connection at once and completes every job with errc::shut_down. On the executor.
    void stop() {
        closing_.store(true);
        if (std::exchange(stopped_, true)) return;
        const auto now = clock::now();
        admit_parked();
        dispatcher_.cancel_all(errc::shut_down, now);
        run(now);
        auto open = std::exchange(connections_, {});
        for (auto& entry : open) entry.second->abandon();
        run(now);
        if constexpr (is_durable) queueing_.stop();
        timer_.cancel();
        shutdown_timer_.cancel();
        for (auto& done : std::exchange(when_shut_, {})) done();
        shut_gate();
    }

    using dispatcher_type = dispatcher<Transport, Pooling, Queueing, Scheduling>;
    using session_type = typename Transport::session_type;
    using engine_type = typename Tls::engine_type;

private:
    static constexpr bool wired = Transport::needs_wire;
    static constexpr bool is_durable = queueing::durable<Queueing>;
    using carrier = std::conditional_t<wired, wired_carrier<runtime>, local_carrier<runtime>>;
    friend wired_carrier<runtime>;
    friend local_carrier<runtime>;

    void note(observation o) const {
        o.time = clock::now();
        observer_->on(o);
    }
    void watch(carrier& c) {
        if constexpr (requires { c.session().observe(observer_.get(), c.id); })
            c.session().observe(observer_.get(), c.id);
    }
    void note_outcome(const job& j) const {
        for (const auto& r : j.result.recipients)
            note({.what = observed::outcome,
                  .message = j.id,
                  .server = j.result.details.host,
                  .where = r.where,
                  .text = r.address,
                  .answer = r.reply.code == 0 ? nullptr : &r.reply,
                  .result = r.status,
                  .error = j.error});
    }

    // Set while it lives, also when a policy throws.
    struct mark {
        bool& set;
        explicit mark(bool& b) : set(b) { set = true; }
        ~mark() { set = false; }
        mark(const mark&) = delete;
        mark& operator=(const mark&) = delete;
    };
    // Whether the executor may still be used from elsewhere; outlives the runtime.
    struct gate {
        std::mutex mutex;
        bool open = true;                 // guarded by mutex
        std::atomic<bool> woken = false;  // look() is on its way
    };
    void shut_gate() {
        const std::scoped_lock lock(gate_->mutex);
        gate_->open = false;
    }

    struct parked {
        job what = {};
        std::function<void(error_code)> queued = {};
    };

    // Into the queue, unless it says why not. A durable one calls `queued` itself, once the job is stored; then it is
    // empty here.
    error_code take(job& j, std::function<void(error_code)>& queued) {
        if (closing_.load()) return errc::shut_down;
        if constexpr (is_durable) {
            j.stored = std::move(queued);
            queued = {};
            const auto ec = queueing_.enqueue(j);
            if (ec) queued = std::move(j.stored);
            return ec;
        } else {
            if (!j.idempotency_key.empty()) return errc::invalid_option;
            return queueing_.enqueue(j);
        }
    }

    static void refuse(job& j, error_code ec) {
        name_recipients(j);
        j.result.details.where = phase::queued;
        if (j.waiter) j.waiter->complete(ec, std::move(j.result));
    }

    // Many jobs that arrive together make one entry into the executor.
    void wake() {
        if (gate_->woken.exchange(true)) return;
        net::post(executor_, [self = this->shared_from_this()] {
            self->gate_->woken.store(false);
            self->look();
        });
    }

    void look() {
        if (stopped_) return stop_again();
        admit_parked();
        const auto now = clock::now();
        dispatcher_.wake(now);
        run(now);
    }

    // A job that slipped into the queue while it was being stopped.
    void stop_again() {
        admit_parked();
        const auto now = clock::now();
        dispatcher_.cancel_all(errc::shut_down, now);
        run(now);
    }

    void admit_parked() {
        if (!parked_any_.load()) return;
        const std::scoped_lock lock(parked_mutex_);
        while (!parked_.empty()) {
            auto& p = parked_.front();
            const auto ec = take(p.what, p.queued);
            if (ec == errc::queue_full) return;
            if (ec) refuse(p.what, ec);
            if (p.queued) p.queued(ec);
            parked_.pop_front();
        }
        parked_any_.store(false);
    }

    void unpark(job_id id) {
        const std::scoped_lock lock(parked_mutex_);
        const auto found = std::ranges::find(parked_, id, [](const parked& p) { return p.what.id; });
        if (found == parked_.end()) return;
        refuse(found->what, errc::cancelled);
        if (found->queued) found->queued(errc::cancelled);
        parked_.erase(found);
    }

    void drain(connection_id id, session_type& session, time_point now) {
        auto e = session.poll();
        if (!e && !dispatcher_.has_actions()) return;
        for (; e; e = session.poll()) {
            if (std::holds_alternative<smtp::ready>(*e)) {
                recipient_limits limits;
                if constexpr (requires { session.max_recipients(); }) limits.recipients = session.max_recipients();
                if constexpr (requires { session.max_domains(); }) limits.domains = session.max_domains();
                dispatcher_.ready(id, session.room(), now, limits);
            } else if (auto* f = std::get_if<smtp::finished>(&*e)) {
                dispatcher_.finished(id, std::move(*f), session.room(), now);
            } else if (const auto* w = std::get_if<smtp::credentials_wanted>(&*e)) {
                ask_credentials(id, session, *w);
            } else {
                const auto& over = std::get<smtp::closed>(*e);
                if constexpr (requires { transport_.learn(endpoint{}, over.lesson); })
                    if (over.lesson != smtp::lesson::none) transport_.learn(session.peer(), over.lesson);
                dispatcher_.closed(id, over, now);
                if constexpr (!wired) forget(id);
                break;
            }
        }
        run(now);
    }

    // The answer comes when it comes and on any thread: by then the connection, or the mailer, may be gone.
    void ask_credentials(connection_id id, session_type& session, const smtp::credentials_wanted& w) {
        if constexpr (requires(smtp::credentials_handler h) { transport_.provide_credentials({}, h); }) {
            transport_.provide_credentials(
                {.server = session.peer(), .refused_before = w.refused_before},
                [gate = gate_, weak = this->weak_from_this(), id](smtp::credentials_answer a) {
                    const auto self = weak.lock();
                    const std::scoped_lock lock(gate->mutex);
                    if (!self || !gate->open) return;
                    asio::post(self->executor_, [self, id, a = std::move(a)]() mutable {
                        self->with(id, [&](carrier& c) {
                            const auto now = clock::now();
                            if (a.error)
                                c.session().no_credentials(a.error, std::move(a.explanation), now);
                            else
                                c.session().credentials(std::move(a.credentials), now);
                            c.pump(now);
                        });
                    });
                });
        } else if constexpr (requires { session.no_credentials(error_code{}, std::string{}, clock::now()); }) {
            session.no_credentials({}, "the transport has no source of credentials", clock::now());
        }
    }

    // Carries actions out until there are none. An action may cause more, also by way of another connection: the
    // outermost call does them all.
    void run(time_point now) {
        if (running_) return;
        carry_out_all(now);
        if (closing_.load() && !stopped_) finish_shutdown(now);
        arm();
    }

    void carry_out_all(time_point now) {
        const mark running(running_);
        for (;;) {
            while (auto a = dispatcher_.poll()) std::visit([&](auto& what) { this->carry_out(what, now); }, *a);
            pump_given(now);
            if (parked_any_.load()) {
                admit_parked();
                dispatcher_.wake(now);
            }
            if (!dispatcher_.has_actions()) break;
            now = clock::now();
        }
    }

    void carry_out(open_connection& o, time_point now) {
        const auto server = observer_ ? to_string(o.to) : std::string();
        if (observer_) note({.what = observed::dialing, .connection = o.id, .server = server, .where = phase::connect});
        auto& c = connections_[o.id];
        c = std::make_unique<carrier>();
        c->owner = this;
        c->id = o.id;
        try {
            if constexpr (wired) {
                const auto start = tls_.starts(o.to);
                o.to.security = start == tls::start::never         ? security::insecure_none
                                : start == tls::start::immediately ? security::implicit
                                : start == tls::start::if_offered  ? security::opportunistic
                                                                   : security::starttls;
                auto session = transport_.make_session(o.to, fresh_nonce());
                using wire = typename carrier::wire;
                c->connection = std::make_shared<wire>(
                    executor_, typename wire::link_type(std::move(session), start, engine_maker(o.to)), *c);
                if (observer_) watch(*c);
                const auto keep = c->connection;
                keep->dial(o.to, transport_.dialing());
            } else {
                c->here.emplace(transport_.make_session(o.to, {}));
                c->pump(now);
            }
        } catch (const error& e) {
            if (observer_)
                note({.what = observed::closed,
                      .connection = o.id,
                      .server = server,
                      .where = e.details().where,
                      .text = e.details().explanation,
                      .error = e.code()});
            forget(o.id);
            dispatcher_.closed(o.id, {e.code(), e.details()}, now);
        }
    }

    std::function<std::unique_ptr<typename Tls::engine_type>()> engine_maker(const endpoint& to) {
        return [weak = this->weak_from_this(), to]() {
            const auto self = weak.lock();
            if (!self) throw error(errc::shut_down, "the mailer is gone");
            if (!self->tls_context_) self->tls_context_ = self->tls_.make_context();
            return std::make_unique<typename Tls::engine_type>(self->tls_context_, to);
        };
    }

    template <class F>
    void with(connection_id id, F&& f) {
        if (const auto found = connections_.find(id); found != connections_.end()) f(*found->second);
    }

    // What several connections have read is looked at first, then all of them write, then they read again: a server
    // that wakes up finds more to do, and the first of its answers may be there by then. A seventh of the CPU time,
    // with ten connections to a server on the same machine.
    bool go_on_later(connection_id id) {
        if (connections_.size() == 1) return false;
        arrived_.push_back(id);
        if (arrived_.size() == 1) net::post(executor_, [self = this->shared_from_this()] { self->go_on(); });
        return true;
    }
    void go_on() {
        const auto now = clock::now();
        going_on_.clear();
        going_on_.swap(arrived_);
        for (const auto id : going_on_) with(id, [&](carrier& c) { c.pump(now); });
        for (const auto id : going_on_) with(id, [](carrier& c) { c.connection->read_on(); });
    }

    // Transactions given to a connection together leave in one write.
    void carry_out(transmit& t, time_point now) {
        with(t.id, [&](carrier& c) {
            c.session().submit(std::move(t.what), now);
            if (given_.empty() || given_.back() != t.id) given_.push_back(t.id);
        });
    }
    void pump_given(time_point now) {
        for (const auto id : given_) with(id, [&](carrier& c) { c.pump(now); });
        given_.clear();
    }
    void carry_out(interrupt& i, time_point now) {
        with(i.id, [&](carrier& c) {
            c.session().cancel(i.job, now);
            c.pump(now);
        });
    }
    void carry_out(quit_connection& q, time_point now) {
        with(q.id, [&](carrier& c) {
            c.session().quit(now);
            c.pump(now);
        });
    }
    void carry_out(complete& c, time_point) {
        if (observer_) note_outcome(*c.what);
        if (c.what->waiter) c.what->waiter->complete(c.what->error, std::move(c.what->result));
    }

    void forget(connection_id id) {
        const auto found = connections_.find(id);
        if (found == connections_.end()) return;
        // The carrier may be what is calling.
        gone_.push_back(std::move(found->second));
        connections_.erase(found);
        asio::post(executor_, [self = this->shared_from_this()] { self->gone_.clear(); });
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
            const auto now = clock::now();
            self->dispatcher_.tick(now);
            self->run(now);
        });
    }

    void finish_shutdown(time_point now) {
        if (when_shut_.empty() || !dispatcher_.idle(now)) return;
        if (dispatcher_.connections() > 0) {
            if (!std::exchange(quitting_, true)) {
                dispatcher_.quit_all();
                run(now);
            }
            return;
        }
        stop();
    }

    asio::any_io_executor executor_;
    asio::steady_timer timer_;
    asio::steady_timer shutdown_timer_;
    Transport transport_;
    [[no_unique_address]] Tls tls_;
    [[no_unique_address]] Pooling pooling_;
    [[no_unique_address]] Queueing queueing_;
    [[no_unique_address]] Scheduling scheduling_;
    dispatcher_type dispatcher_;
    std::shared_ptr<const typename Tls::context_type> tls_context_;
    std::shared_ptr<observer> observer_;
    std::unordered_map<connection_id, std::unique_ptr<carrier>> connections_;
    std::vector<std::unique_ptr<carrier>> gone_;
    std::vector<connection_id> given_;     // have transactions that may be written
    std::vector<connection_id> arrived_;   // have read something
    std::vector<connection_id> going_on_;  // those that arrived_ held
    std::vector<std::function<void()>> when_shut_;
    std::shared_ptr<gate> gate_ = std::make_shared<gate>();
    std::mutex parked_mutex_;  // guards parked_
    std::deque<parked> parked_;
    std::atomic<bool> parked_any_ = false;
    std::atomic<bool> closing_ = false;
    // Jobs of a durable queue stand beside those of other processes.
    std::atomic<job_id> ids_ = is_durable ? postroad::detail::random_number() : 1;
    time_point rings_at_ = never;
    bool running_ = false;
    bool quitting_ = false;
    bool stopped_ = false;
};

}  // namespace postroad::engine
