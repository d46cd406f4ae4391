#pragma once

#include <postroad/engine/any_runtime.hpp>

#include <postroad/engine/careful_observer.hpp>

#include <asio/steady_timer.hpp>

#include <chrono>

namespace postroad::engine {

/// How long connections that have nothing more to do may take to end, at shutdown.
inline constexpr duration farewell = std::chrono::seconds(1);

struct alarms {
    asio::steady_timer turn;
    asio::steady_timer shutdown;
};

namespace detail {

// One type for all that is posted, and one for both timers: Asio makes a good deal of code for each.
struct step {
    std::shared_ptr<any_runtime> self;
    void (any_runtime::*what)();
    void operator()() const { ((*self).*what)(); }
};
struct ring_of {
    std::shared_ptr<any_runtime> self;
    void (any_runtime::*what)(time_point);
    time_point due;
    void operator()(error_code ec) const {
        if (!ec) ((*self).*what)(due);
    }
};

inline std::uint64_t next_mailer() noexcept {
    static std::atomic<std::uint64_t> last = 0;
    return ++last;
}

}  // namespace detail

POSTROAD_DECL any_runtime::any_runtime(asio::any_io_executor executor, std::function<bool()> inside)
    : executor_(std::move(executor)),
      gate_(std::make_shared<engine::gate>(executor_, std::move(inside))),
      alarms_(new alarms{asio::steady_timer(executor_), asio::steady_timer(executor_)}),
      number_(detail::next_mailer()) {}

POSTROAD_DECL any_runtime::~any_runtime() = default;

POSTROAD_DECL void any_runtime::on_executor(std::function<void(time_point)> f) {
    net::post_function(executor_, [self = shared_from_this(), f = std::move(f)] { self->guarded(std::cref(f)); });
}

POSTROAD_DECL void any_runtime::use(std::function<void(time_point)> f) {
    on_executor([this, f = std::move(f)](time_point now) {
        f(now);
        turn(now);
    });
}

POSTROAD_DECL void any_runtime::observe(std::shared_ptr<observer> to) {
    auto careful = to ? std::make_shared<careful_observer>(std::move(to), number_) : nullptr;
    net::post_function(executor_,
                       [self = shared_from_this(), careful = std::move(careful)] { self->show_to(careful); });
}

POSTROAD_DECL void any_runtime::shutdown(duration patience, bool drains, std::function<void(const std::string&)> done) {
    close();
    net::post_function(executor_, [self = shared_from_this(), patience, drains, done = std::move(done)] {
        if (self->stopped_) return done({});
        self->when_shut_.push_back(done);
        self->stop_at(after(clock::now(), patience));
        if (drains) self->guarded([&](time_point now) { self->drain(now); });
        self->turn_now();
    });
}

POSTROAD_DECL void any_runtime::finish_by(std::function<mail_ptr(mail_ptr)> f) {
    auto made = std::make_shared<const std::function<mail_ptr(mail_ptr)>>(std::move(f));
    const std::lock_guard lock(finishing_);
    finish_.swap(made);
    hooked_.store(true);
}

POSTROAD_DECL mail_ptr any_runtime::finished(mail_ptr mail) const {
    if (!hooked_.load()) return mail;
    std::shared_ptr<const std::function<mail_ptr(mail_ptr)>> f;
    {
        const std::lock_guard lock(finishing_);
        f = finish_;
    }
    return f ? (*f)(std::move(mail)) : mail;
}

POSTROAD_DECL void any_runtime::suppress_by(suppressor f) {
    auto made = std::make_shared<const suppressor>(std::move(f));
    const std::lock_guard lock(finishing_);
    suppress_.swap(made);
    hooked_.store(true);
}

POSTROAD_DECL std::optional<job> any_runtime::suppressed(job& j, const std::string& tenant) const {
    if (!hooked_.load()) return {};
    std::shared_ptr<const suppressor> f;
    {
        const std::lock_guard lock(finishing_);
        f = suppress_;
    }
    return f ? (*f)(j, tenant) : std::nullopt;
}

POSTROAD_DECL void any_runtime::cancel(job_id id, cancel_kind kind) {
    guarded([&](time_point now) {
        end_early(id, kind, now);
        turn(now);
    });
}

POSTROAD_DECL void any_runtime::stop() {
    close();
    if (std::exchange(stopped_, true)) return;
    const auto why = storage_lost();
    end();
    alarms_->turn.cancel();
    alarms_->shutdown.cancel();
    for (auto& done : std::exchange(when_shut_, {})) done(why);
    gate_->shut();
}

POSTROAD_DECL void any_runtime::wake() {
    if (!woken_->exchange(true)) net::post(executor_, detail::step{shared_from_this(), &any_runtime::look_now});
}

POSTROAD_DECL std::function<void()> any_runtime::waker() {
    return [gate = gate_, woken = woken_, weak = weak_from_this()] {
        if (woken->exchange(true)) return;
        gate->post([woken, weak] {
            woken->store(false);
            if (const auto self = weak.lock()) self->look_now();
        });
    };
}

POSTROAD_DECL void any_runtime::look_now() {
    woken_->store(false);
    guarded([this](time_point now) { look(now); });
}

POSTROAD_DECL void any_runtime::turn_later() {
    if (!std::exchange(turn_posted_, true))
        net::post(executor_, detail::step{shared_from_this(), &any_runtime::turn_now});
}

POSTROAD_DECL void any_runtime::turn_now() {
    turn_posted_ = false;
    guarded([this](time_point now) { turn(now); });
}

POSTROAD_DECL void any_runtime::arm(time_point due) {
    if (due >= rings_at_) return;
    // Something has arrived already: no timer is needed for that.
    if (due == time_point::min()) return wake();
    rings_at_ = due;
    alarms_->turn.expires_at(due);
    alarms_->turn.async_wait(detail::ring_of{shared_from_this(), &any_runtime::ring, due});
}

POSTROAD_DECL void any_runtime::ring(time_point due) {
    if (stopped_ || rings_at_ != due) return;
    rings_at_ = never;
    guarded([this](time_point now) {
        rung(now);
        turn(now);
    });
}

POSTROAD_DECL void any_runtime::stop_at(time_point when) {
    if (when >= stops_at_) return;  // nobody who shuts it down makes others wait longer
    stops_at_ = when;
    alarms_->shutdown.expires_at(when);
    alarms_->shutdown.async_wait(detail::ring_of{shared_from_this(), &any_runtime::stop_rung, when});
}

POSTROAD_DECL void any_runtime::stop_rung(time_point) { stop(); }

POSTROAD_DECL void any_runtime::stop_soon(time_point now) { stop_at(after(now, farewell)); }

}  // namespace postroad::engine
