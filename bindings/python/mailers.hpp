#pragma once
// The mailers behind Mailer: which one it is depends on where mail goes, and on the queue.

#include "local.hpp"
#include "operation.hpp"
#include "options.hpp"

#include <postroad/core/observer.hpp>
#include <postroad/message/delivery_report.hpp>
#include <postroad/message/dkim.hpp>
#include <postroad/message/mail_object.hpp>
#include <postroad/queueing/inspection.hpp>
#include <postroad/queueing/job.hpp>
#include <postroad/queueing/suppression.hpp>
#include <postroad/scheduling/policy.hpp>
#include <postroad/smtp/advice.hpp>

#include <asio/any_io_executor.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postroad::python {

/// A list of addresses that must not get mail, whichever it is.
class any_suppression {
public:
    any_suppression() = default;
    any_suppression(const any_suppression&) = delete;
    any_suppression& operator=(const any_suppression&) = delete;
    virtual ~any_suppression() = default;

    virtual std::optional<suppression::entry> find(const address& a, const suppression::scope& of,
                                                   suppression::time now) const = 0;
};

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
    /// `done` is told whether the file of its queue is not there any more.
    virtual void shutdown(duration patience, std::function<void(error_code)> done) = 0;
    virtual void drain(duration grace, std::function<void(error_code)> done) = 0;
    virtual void sign_by(dkim_signer signer) = 0;
    virtual void observe(std::shared_ptr<observer> to) = 0;
    virtual void suppress_by(std::shared_ptr<any_suppression> list) = 0;
    virtual void report_failures(report_options options) = 0;

    virtual std::vector<queueing::job_info> jobs(const queueing::job_filter& which, std::size_t limit) = 0;
    virtual queueing::queue_counts count() = 0;
    virtual std::size_t retry_now(const queueing::job_filter& which) = 0;
    virtual std::size_t hold(const queueing::job_filter& which) = 0;
    virtual std::size_t drop(const queueing::job_filter& which) = 0;
    virtual void pause(const scheduling::selection& what) = 0;
    virtual void resume(const scheduling::selection& what) = 0;
};

/// What Mailer is made of.
struct made_mailer {
    std::shared_ptr<any_mailer> mailer = {};
    std::string host = {};  ///< for people
    smtp::whose_server whose = smtp::whose_server::ours;
    std::shared_ptr<outbox> kept = {};  ///< of memory:// only
};

/// Throws `error`. Lets go of the GIL where it may wait.
made_mailer make_mailer(const py::dict& options);

/// Throws: this build has no queue of that kind.
[[noreturn]] void lacks(std::string_view what, std::string_view library);

}  // namespace postroad::python
