#pragma once
// Replies that say that there is no such mailbox, counted in a store of suppressed addresses. See docs/suppression.md.

#include <postroad/core/observer.hpp>
#include <postroad/message/address.hpp>
#include <postroad/message/delivery_report.hpp>
#include <postroad/net/wall_clock.hpp>
#include <postroad/net/worker.hpp>
#include <postroad/queueing/suppression.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace postroad {

/// An observer of a mailer: each recipient that a server rejects, at RCPT or behind the content, as is_hard_bounce()
/// says is counted by bounced(), for all tenants and lists. The store is written on a thread of its own, so that the
/// mailer never waits for a disk; the destructor waits until all is written. What the store refuses is dropped: the
/// address bounces again.
template <suppression::store S>
class bounce_counter final : public observer {
public:
    /// Bounces that wait for the store; those beyond are dropped.
    static constexpr std::size_t capacity = 10'000;

    explicit bounce_counter(std::shared_ptr<S> to) : to_(std::move(to)), worker_([this] { work(); }) {}
    ~bounce_counter() override {
        const std::lock_guard lock(mutex_);
        over_ = true;
        changed_.notify_all();
    }

    void on(const observation& o) override {
        if (o.what != observed::outcome || o.result != status::rejected || !o.answer) return;
        // what refuses the sender is no word about whom it was for
        if (o.where != phase::rcpt && o.where != phase::content) return;
        const reported_recipient said{.final = std::string(o.text),
                                      .action = delivery_action::failed,
                                      .status = o.answer->enhanced,
                                      .diagnostic = to_string(*o.answer)};
        error_code ec;
        const auto who = address::parse(o.text, ec);
        if (ec || !suppression::is_hard_bounce(said)) return;
        const std::lock_guard lock(mutex_);
        if (waiting_.size() == capacity) return;
        const auto by = o.server.empty() ? std::string() : std::string(o.server) + ": ";
        waiting_.push_back({who, by + said.diagnostic});
        changed_.notify_all();
    }

private:
    struct bounce {
        address of = {};
        std::string said = {};
    };

    void work() {
        std::unique_lock lock(mutex_);
        for (;;) {
            changed_.wait(lock, [this] { return over_ || !waiting_.empty(); });
            if (waiting_.empty()) return;
            const auto next = std::move(waiting_.front());
            waiting_.pop_front();
            lock.unlock();
            try {
                (void)to_->bounced(next.of, next.said, std::chrono::floor<std::chrono::seconds>(net::wall_clock_now()));
            } catch (...) {
            }
            lock.lock();
        }
    }

    std::shared_ptr<S> to_;
    std::mutex mutex_;  // guards the three that follow
    std::condition_variable changed_;
    std::deque<bounce> waiting_;
    bool over_ = false;
    net::worker worker_;  // the last: it uses all of the others
};

}  // namespace postroad
