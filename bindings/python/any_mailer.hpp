#pragma once
// The mailers behind Mailer: which one it is depends on the queue.

#include "operation.hpp"
#include "settings.hpp"

#include <postroad/mailer.hpp>
#include <postroad/scheduling/fair.hpp>
#ifdef POSTROAD_WITH_SQLITE
#include <postroad/queueing/sqlite.hpp>
#endif

#include <asio/bind_cancellation_slot.hpp>

#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace postroad::python {

class any_mailer {
public:
    any_mailer() = default;
    any_mailer(const any_mailer&) = delete;
    any_mailer& operator=(const any_mailer&) = delete;
    virtual ~any_mailer() = default;

    virtual asio::any_io_executor executor() const = 0;
    /// `op` is told the outcome, and of submit() before that whether it is queued.
    virtual void send(mail_object mail, send_options options, std::shared_ptr<operation> op) = 0;
    virtual void submit(mail_object mail, send_options options, std::shared_ptr<operation> op) = 0;
    virtual void shutdown(duration patience, std::function<void()> done) = 0;
    virtual void observe(std::shared_ptr<observer> to) = 0;

    virtual std::vector<queueing::job_info> jobs(const queueing::job_filter& which, std::size_t limit) = 0;
    virtual queueing::queue_counts count() = 0;
    virtual std::size_t retry_now(const queueing::job_filter& which) = 0;
    virtual std::size_t hold(const queueing::job_filter& which) = 0;
    virtual std::size_t drop(const queueing::job_filter& which) = 0;
    virtual void pause(const scheduling::selection& what) = 0;
    virtual void resume(const scheduling::selection& what) = 0;
};

template <class Queueing>
class mailer_with final : public any_mailer {
public:
    using mailer_type = mailer<transport::smtp, tls::automatic, pooling::keep_alive, Queueing, scheduling::fair>;

    mailer_with(transport::smtp t, tls::automatic s, pooling::keep_alive p, Queueing q, scheduling::fair c)
        : mailer_(std::move(t), std::move(s), std::move(p), std::move(q), std::move(c)) {}

    asio::any_io_executor executor() const override { return mailer_.get_executor(); }
    void send(mail_object mail, send_options options, std::shared_ptr<operation> op) override {
        mailer_.async_send(
            std::move(mail), std::move(options),
            asio::bind_cancellation_slot(op->slot(), [op](error_code ec, outcome o) { op->finish(ec, std::move(o)); }));
    }
    void submit(mail_object mail, send_options options, std::shared_ptr<operation> op) override {
        mailer_.async_submit(std::move(mail), std::move(options),
                             [op](error_code ec, const ticket& t) { op->queued(ec, t); });
    }
    void shutdown(duration patience, std::function<void()> done) override {
        mailer_.async_shutdown(patience, [done = std::move(done)](error_code) { done(); });
    }
    void observe(std::shared_ptr<observer> to) override { mailer_.observe(std::move(to)); }

    std::vector<queueing::job_info> jobs(const queueing::job_filter& which, std::size_t limit) override {
        return mailer_.jobs(which, limit);
    }
    queueing::queue_counts count() override { return mailer_.count(); }
    std::size_t retry_now(const queueing::job_filter& which) override { return mailer_.retry_now(which); }
    std::size_t hold(const queueing::job_filter& which) override { return mailer_.hold(which); }
    std::size_t drop(const queueing::job_filter& which) override { return mailer_.drop(which); }
    void pause(const scheduling::selection& what) override { mailer_.pause(what); }
    void resume(const scheduling::selection& what) override { mailer_.resume(what); }

private:
    mailer_type mailer_;
};

}  // namespace postroad::python
