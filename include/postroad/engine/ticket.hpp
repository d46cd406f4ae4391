#pragma once
// What submit() returns: the outcome can be waited for, or not.

#include <postroad/core/config.hpp>
#include <postroad/core/error.hpp>
#include <postroad/core/outcome.hpp>
#include <postroad/engine/gate.hpp>
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

    POSTROAD_DECL void set(error_code ec, outcome&& o);
    POSTROAD_DECL outcome wait(error_code& ec) const;
    POSTROAD_DECL void add(handler h);
    POSTROAD_DECL bool done() const;

private:
    mutable std::mutex mutex_;
    mutable std::condition_variable arrived_;
    std::vector<handler> waiting_;
    error_code ec_;
    outcome outcome_;
    bool done_ = false;
};

}  // namespace engine

/// A message that was taken into the queue. Copies refer to the same message; dropping them drops nothing but the news.
/// It may outlive the mailer, and the executor that the mailer was given. Thread-safe.
class ticket {
public:
    /// Internal: made by the mailer.
    ticket(job_id id, std::shared_ptr<engine::mailbox_of_one> box, std::shared_ptr<engine::gate> gate,
           std::function<void()> cancel)
        : id_(id), box_(std::move(box)), gate_(std::move(gate)), cancel_(std::move(cancel)) {}
    /// Of no message: its outcome is never known.
    ticket() = default;

    /// Unique within the mailer.
    job_id id() const noexcept { return id_; }
    /// Whether the outcome is known.
    bool done() const { return box_ && box_->done(); }

    /// Blocks until the outcome is known. Throws `send_error` as mailer::send does.
    POSTROAD_DECL outcome wait() const;
    /// Blocks until the outcome is known. errc::would_deadlock on a thread that runs the mailer, and for no message.
    POSTROAD_DECL outcome wait(error_code& ec) const;

    /// Completes with (error_code, outcome) when it is known; without an executor of its own on the mailer's, or on
    /// asio::system_executor once the mailer is gone. Cancelling the wait is not possible; cancel() ends the message
    /// itself. Not for a ticket of no message.
    template <asio::completion_token_for<void(error_code, outcome)> Token>
    auto async_wait(Token&& token) const {
        return asio::async_initiate<Token, void(error_code, outcome)>(
            [box = box_, gate = gate_](auto&& handler) {
                box->add(gate->template handler<outcome>(std::forward<decltype(handler)>(handler)));
            },
            token);
    }

    /// Ends the message early, as far as it has not left; its outcome comes with errc::cancelled.
    void cancel() const {
        if (cancel_) cancel_();
    }

private:
    job_id id_ = 0;
    std::shared_ptr<engine::mailbox_of_one> box_;
    std::shared_ptr<engine::gate> gate_;
    std::function<void()> cancel_;
};

}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/engine/impl/ticket.ipp>
#endif
