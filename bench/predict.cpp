// Holds the simulator against reality: the same messages go to sinks with rules, in real time, and to modelled hosts.
// Prints when half, 95 % and all of them were accepted, and by how much the prediction is off.
//
//   bench_predict [--messages N] [--hosts N] [--seed N]

#include <postroad/postroad.hpp>
#include <postroad/scheduling/fair.hpp>
#include <postroad/testing/simulator.hpp>
#include <postroad/testing/sink.hpp>

#include <asio/io_context.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace postroad;
using namespace std::chrono_literals;

constexpr auto round_trip = 50ms;
constexpr std::size_t connections = 40;

struct rules {
    std::size_t connections = 0;
    std::size_t messages_a_connection = 0;
};

// A few take many connections, most take few, some close early.
rules rules_of(std::size_t host) {
    return {.connections = host < 4 ? 12u : host % 2 == 0 ? 4u : 2u, .messages_a_connection = host % 5 == 0 ? 30u : 0u};
}

scheduling::fair scheduler() { return {.weights = {16, 1}, .retry = {.unreachable = 2s, .busy = 2s}}; }
pooling::keep_alive pool() { return {.max_connections = connections}; }

/// Mail to h7.example goes to the seventh sink.
class to_sinks : public transport::smtp {
public:
    explicit to_sinks(std::vector<std::uint16_t> ports) : smtp("smtp+insecure://127.0.0.1"), ports_(std::move(ports)) {}
    std::string_view route(const envelope& e) const { return e.recipients.front().domain(); }
    std::vector<endpoint> hosts(const std::string& destination) const {
        auto to = options().server;
        to.port = ports_.at(static_cast<std::size_t>(std::atoi(destination.c_str() + 1)));
        return {to};
    }

private:
    std::vector<std::uint16_t> ports_;
};

struct times {
    duration half = {};
    duration most = {};
    duration all = {};
    std::size_t accepted = 0;
};

std::vector<std::uint32_t> draw(std::size_t messages, std::size_t hosts, std::uint64_t seed) {
    testing::campaign c{.hosts = hosts, .bulk = messages, .transactional = 0, .seed = seed};
    auto w = testing::make_workload(c);
    std::vector<std::uint32_t> result;
    while (const auto a = w.next()) result.push_back(a->domain);
    return result;
}

times predicted(const std::vector<std::uint32_t>& to, std::size_t hosts) {
    testing::workload w;
    for (std::size_t i = 0; i < hosts; ++i) {
        const auto r = rules_of(i);
        // A sink has no TLS here and greets at once: only EHLO makes a round trip.
        w.hosts.push_back({.round_trip = round_trip,
                           .work = 0ms,
                           .trips_to_connect = 1,
                           .connections = r.connections,
                           .messages_a_connection = r.messages_a_connection});
    }
    w.next = [&to, i = std::size_t{0}]() mutable -> std::optional<testing::arrival> {
        if (i == to.size()) return std::nullopt;
        return testing::arrival{.domain = to[i++], .traffic_class = 1};
    };
    const auto r = testing::simulate(std::move(w), pool(), scheduler());
    for (const auto& broken : r.broken) std::fprintf(stderr, "broken: %s\n", broken.c_str());
    return {r.half, r.p95, r.all, r.accepted};
}

times real(const std::vector<std::uint32_t>& to, std::size_t hosts) {
    std::vector<std::unique_ptr<testing::sink>> sinks;
    std::vector<std::uint16_t> ports;
    for (std::size_t i = 0; i < hosts; ++i) {
        const auto r = rules_of(i);
        sinks.push_back(
            std::make_unique<testing::sink>(testing::server_options{.connection_limit = r.connections,
                                                                    .messages_per_connection = r.messages_a_connection,
                                                                    .delay = round_trip,
                                                                    .keep = false}));
        ports.push_back(sinks.back()->port());
    }
    asio::io_context context;
    mailer mail{context, to_sinks(ports), pool(), queueing::memory{.capacity = to.size()}, scheduler()};
    std::vector<duration> accepted;
    const auto start = clock::now();
    const auto content = content::from_text("Subject: s\r\n\r\nHello\r\n");
    std::size_t left = to.size();
    for (const auto host : to) {
        mail_object m{.envelope = {}, .content = content};
        m.envelope.reverse_path = address("ann@client.example");
        m.envelope.recipients.push_back(address("r@h" + std::to_string(host) + ".example"));
        mail.async_send(std::move(m), {.traffic_class = 1}, [&](error_code, const outcome& o) {
            if (o.all_accepted()) accepted.push_back(clock::now() - start);
            if (--left == 0) mail.async_shutdown(10s, [](error_code) {});
        });
    }
    context.run();
    const auto at = [&](std::size_t percent) {
        const auto n = to.size() * percent / 100;
        return n > 0 && n <= accepted.size() ? accepted[n - 1] : duration::max();
    };
    return {at(50), at(95), at(100), accepted.size()};
}

double seconds(duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace

int main(int argc, char** argv) {
    std::map<std::string_view, std::size_t> options{{"--messages", 6000}, {"--hosts", 40}, {"--seed", 1}};
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc || !options.contains(argv[i]) || std::atol(argv[i + 1]) <= 0) {
            std::fprintf(stderr, "usage: bench_predict [--messages N] [--hosts N] [--seed N]\n");
            return 2;
        }
        options[argv[i]] = static_cast<std::size_t>(std::atol(argv[i + 1]));
    }
    const auto hosts = options["--hosts"];
    const auto to = draw(options["--messages"], hosts, options["--seed"]);
    const auto p = predicted(to, hosts);
    const auto r = real(to, hosts);
    std::printf("%-10s %8s %8s %8s %9s\n", "", "50 %, s", "95 %, s", "100 %, s", "accepted");
    std::printf("%-10s %8.2f %8.2f %8.2f %9zu\n", "predicted", seconds(p.half), seconds(p.most), seconds(p.all),
                p.accepted);
    std::printf("%-10s %8.2f %8.2f %8.2f %9zu\n", "real", seconds(r.half), seconds(r.most), seconds(r.all), r.accepted);
    const auto off = [](duration a, duration b) { return 100 * (seconds(a) / seconds(b) - 1); };
    std::printf("%-10s %+7.1f%% %+7.1f%% %+7.1f%%\n", "off by", off(p.half, r.half), off(p.most, r.most),
                off(p.all, r.all));
    return p.accepted == to.size() && r.accepted == to.size() ? 0 : 1;
}
