#pragma once
// What submit() returns: the outcome can be waited for, or not.

#include <postroad/core/error.hpp>
#include <postroad/core/outcome.hpp>
#include <postroad/net/handler.hpp>
#include <postroad/queueing/job.hpp>

#include <asio/async_result.hpp>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace postroad {

namespace engine {

/// Where the outcome of one job arrives. Thread-safe.
class mailbox_of_one {
public:
    using handler = net::any_handler<outcome>;

    void set(error_code ec, outcome&& o) {
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
    outcome wait(error_code& ec) const {
        std::unique_lock lock(mutex_);
        arrived_.wait(lock, [this] { return done_; });
        ec = ec_;
        return outcome_;
    }
    void add(handler h) {
        {
            const std::scoped_lock lock(mutex_);
            if (!done_) return waiting_.push_back(std::move(h));
        }
        h(ec_, outcome(outcome_));
    }
    bool done() const {
        const std::scoped_lock lock(mutex_);
        return done_;
    }

private:
    mutable std::mutex mutex_;
    mutable std::condition_variable arrived_;
    std::vector<handler> waiting_;
    error_code ec_;
    outcome outcome_;
    bool done_ = false;
};

/// Puts an outcome where a ticket finds it.
class ticket_waiter final : public waiter {
public:
    explicit ticket_waiter(std::shared_ptr<mailbox_of_one> to) : to_(std::move(to)) {}
    void complete(error_code ec, outcome&& o) noexcept override { to_->set(ec, std::move(o)); }

private:
    std::shared_ptr<mailbox_of_one> to_;
};

}  // namespace engine

/// A message that was taken into the queue. Copies refer to the same message; dropping them drops nothing but the news.
/// Thread-safe.
class ticket {
public:
    /// Internal: made by the mailer.
    ticket(job_id id, std::shared_ptr<engine::mailbox_of_one> box, asio::any_io_executor executor,
           std::function<bool()> inside, std::function<void()> cancel)
        : id_(id),
          box_(std::move(box)),
          executor_(std::move(executor)),
          inside_(std::move(inside)),
          cancel_(std::move(cancel)) {}
    ticket() = default;

    /// Unique within the mailer.
    job_id id() const noexcept { return id_; }
    /// Whether the outcome is known.
    bool done() const { return box_->done(); }

    /// Blocks until the outcome is known. Throws `send_error` as mailer::send does.
    outcome wait() const {
        error_code ec;
        auto o = wait(ec);
        if (ec) throw send_error(ec, std::move(o));
        return o;
    }
    /// Blocks until the outcome is known. errc::would_deadlock on a thread that runs the mailer.
    outcome wait(error_code& ec) const {
        if (!box_->done() && inside_()) {
            ec = errc::would_deadlock;
            return {};
        }
        return box_->wait(ec);
    }

    /// Completes with (error_code, outcome) when it is known. Cancelling the wait is not possible; cancel() ends the
    /// message itself.
    template <asio::completion_token_for<void(error_code, outcome)> Token>
    auto async_wait(Token&& token) const {
        return asio::async_initiate<Token, void(error_code, outcome)>(
            [box = box_, executor = executor_](auto&& handler) {
                box->add(engine::mailbox_of_one::handler(std::forward<decltype(handler)>(handler), executor));
            },
            token);
    }

    /// Ends the message early, as far as it has not left; its outcome comes with errc::cancelled.
    void cancel() const { cancel_(); }

private:
    job_id id_ = 0;
    std::shared_ptr<engine::mailbox_of_one> box_;
    asio::any_io_executor executor_;
    std::function<bool()> inside_;
    std::function<void()> cancel_;
};

}  // namespace postroad
