// The mailers behind Mailer.

#include "mailers.hpp"

#include "direct.hpp"
#include "local.hpp"
#include "settings.hpp"

#include <postroad/engine/runtime.hpp>
#include <postroad/mailer.hpp>
#include <postroad/scheduling/fair.hpp>

#include <pybind11/stl.h>
#include <asio/bind_cancellation_slot.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::python {
namespace {

template <class Transport, class Queueing>
class mailer_with final : public any_mailer {
public:
    using mailer_type = mailer<Transport, tls::automatic, pooling::keep_alive, Queueing, scheduling::fair>;

    mailer_with(Transport t, tls::automatic s, pooling::keep_alive p, Queueing q, scheduling::fair c)
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
    void shutdown(duration patience, std::function<void(error_code)> done) override {
        mailer_.async_shutdown(patience, std::move(done));
    }
    void drain(duration grace, std::function<void(error_code)> done) override {
        mailer_.async_drain(grace, std::move(done));
    }
    void sign_by(dkim_signer signer) override { mailer_.sign_by(std::move(signer)); }
    void observe(std::shared_ptr<observer> to) override { mailer_.observe(std::move(to)); }
    void suppress_by(std::shared_ptr<any_suppression> list) override { mailer_.suppress_by(std::move(list)); }
    void report_failures(report_options options) override { mailer_.report_failures(std::move(options)); }

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

template <class Transport, class Queueing>
std::shared_ptr<any_mailer> composed(Transport t, tls::automatic s, pooling::keep_alive p, Queueing q,
                                     scheduling::fair c) {
    const gil_released released;
    return std::make_shared<mailer_with<Transport, Queueing>>(std::move(t), std::move(s), std::move(p), std::move(q),
                                                              std::move(c));
}

template <class Transport>
std::shared_ptr<any_mailer> in_a_file([[maybe_unused]] const py::dict& options, [[maybe_unused]] Transport t,
                                      [[maybe_unused]] tls::automatic s, [[maybe_unused]] pooling::keep_alive p,
                                      [[maybe_unused]] scheduling::fair c) {
#ifdef POSTROAD_WITH_SQLITE
    auto durable = sqlite_options_of(options, options["queue"].cast<std::string>());
    std::optional<queueing::sqlite> q;
    {
        const gil_released released;  // it opens the file
        q.emplace(std::move(durable));
    }
    return composed(std::move(t), std::move(s), std::move(p), std::move(*q), std::move(c));
#else
    lacks("in a file", "SQLite");
#endif
}

template <class Transport>
std::shared_ptr<any_mailer> at_a_broker([[maybe_unused]] const py::dict& options, [[maybe_unused]] Transport t,
                                        [[maybe_unused]] tls::automatic s, [[maybe_unused]] pooling::keep_alive p,
                                        [[maybe_unused]] scheduling::fair c) {
#ifdef POSTROAD_WITH_AMQP
    auto durable = amqp_options_of(options, options["queue"].cast<std::string>());
    std::optional<queueing::amqp> q;
    {
        const gil_released released;  // it connects
        q.emplace(std::move(durable));
    }
    return composed(std::move(t), std::move(s), std::move(p), std::move(*q), std::move(c));
#else
    lacks("at a broker", "librabbitmq");
#endif
}

struct policies {
    transport::smtp transport;
    tls::automatic security;
    pooling::keep_alive pool;
};

policies policies_of(const py::dict& options) {
    const auto url = options["url"].cast<std::string>();
    const auto parts = transport::parse_url(url);
    refuse_both(options, parts);
    const auto from_url = transport_of(url, options);
    return {transport::smtp(transport_options(from_url, parts, options)), tls_policy(from_url, options),
            pooling_policy(from_url, options)};
}

template <class Transport>
std::shared_ptr<any_mailer> with_queue(const py::dict& options, Transport t, tls::automatic s, pooling::keep_alive p,
                                       scheduling::fair c) {
    if (!given(options, "queue"))
        return composed(std::move(t), std::move(s), std::move(p), bounded(options, queueing::memory{}), std::move(c));
    if (options["at_a_broker"].cast<bool>())
        return at_a_broker(options, std::move(t), std::move(s), std::move(p), std::move(c));
    return in_a_file(options, std::move(t), std::move(s), std::move(p), std::move(c));
}

made_mailer to_a_server(const py::dict& options) {
    auto [transport, security, pool] = policies_of(options);
    const auto server = transport.options().server;
    auto line = scheduling_policy(options, transport.options(), pool);
    return {.mailer = with_queue(options, std::move(transport), std::move(security), std::move(pool), std::move(line)),
            .host = to_string(server)};
}

made_mailer to_strangers([[maybe_unused]] const py::dict& options) {
#ifdef POSTROAD_WITH_MX
    auto p = direct_policies_of(options);
    auto name = "mx://" + p.transport.options().client_name;
    return {.mailer = with_queue(options, std::move(p.transport), std::move(p.security), std::move(p.pool),
                                 std::move(p.line)),
            .host = std::move(name),
            .whose = smtp::whose_server::strangers};
#else
    lacks_mx();
#endif
}

made_mailer to_no_server(const py::dict& options) {
    const auto kind = options["local"].cast<std::string>();
    // What is wrong there is said all the same.
    if (options["captured"].cast<bool>()) is_direct(options) ? (void)direct_url(options) : (void)policies_of(options);
    local transport{.name = kind};
    take<std::string>(options, "maildir", [&](std::string v) { transport.maildir = std::move(v); });
    if (kind == "memory") transport.keeper = std::make_shared<outbox>();
    made_mailer made{.host = kind, .kept = transport.keeper};
    pooling::keep_alive pool;
    take<std::size_t>(options, "connections", [&](std::size_t v) { pool.max_connections = v; });
    auto line = scheduling_policy(options, {}, pool);
    if (given(options, "queue"))
        made.mailer = in_a_file(options, std::move(transport), {}, std::move(pool), std::move(line));
    else
        made.mailer = composed(std::move(transport), tls::automatic{}, std::move(pool),
                               bounded(options, queueing::memory{}), std::move(line));
    return made;
}

}  // namespace

void lacks(std::string_view what, std::string_view library) {
    throw error(errc::invalid_option, "this build of postroad has no queue " + std::string(what) + ": " +
                                          std::string(library) + " was missing");
}

made_mailer make_mailer(const py::dict& options) {
    if (given(options, "local")) return to_no_server(options);
    return is_direct(options) ? to_strangers(options) : to_a_server(options);
}

}  // namespace postroad::python
