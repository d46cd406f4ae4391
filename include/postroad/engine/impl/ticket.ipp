#pragma once

#include <postroad/engine/ticket.hpp>

namespace postroad {
namespace engine {

POSTROAD_DECL void mailbox_of_one::set(error_code ec, outcome&& o) {
    std::vector<handler> waiting;
    {
        const std::scoped_lock lock(mutex_);
        ec_ = ec;
        outcome_ = std::move(o);
        done_ = true;
        waiting.swap(waiting_);
    }
    arrived_.notify_all();
    for (auto& h : waiting) h(ec_, outcome(outcome_));
}
POSTROAD_DECL outcome mailbox_of_one::wait(error_code& ec) const {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [this] { return done_; });
    ec = ec_;
    return outcome_;
}
POSTROAD_DECL void mailbox_of_one::add(handler h) {
    {
        const std::scoped_lock lock(mutex_);
        if (!done_) return waiting_.push_back(std::move(h));
    }
    h(ec_, outcome(outcome_));
}
POSTROAD_DECL bool mailbox_of_one::done() const {
    const std::scoped_lock lock(mutex_);
    return done_;
}

}  // namespace engine

POSTROAD_DECL outcome ticket::wait() const {
    error_code ec;
    auto o = wait(ec);
    if (ec) throw send_error(ec, std::move(o));
    return o;
}
POSTROAD_DECL outcome ticket::wait(error_code& ec) const {
    if (!done() && (!box_ || gate_->inside())) {
        ec = errc::would_deadlock;
        return {};
    }
    return box_->wait(ec);
}

}  // namespace postroad
