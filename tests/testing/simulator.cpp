// The dispatcher, pool, queue and schedulers as shipped, on virtual time, with rules checked at every step.
#include <doctest/doctest.h>

#include <postroad/pooling/keep_alive.hpp>
#include <postroad/pooling/one_shot.hpp>
#include <postroad/scheduling/fair.hpp>
#include <postroad/scheduling/fifo.hpp>
#include <postroad/testing/simulator.hpp>

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace postroad;
using namespace postroad::testing;
using namespace std::chrono_literals;
using pooling::keep_alive;
using scheduling::fair;
using scheduling::fifo;

namespace {

/// `n` messages at once to each host.
workload all_at_once(std::vector<host_model> hosts, std::size_t n, std::uint64_t seed = 1) {
    workload w{.hosts = std::move(hosts), .seed = seed};
    w.next = [count = w.hosts.size(), left = n * w.hosts.size()]() mutable -> std::optional<arrival> {
        if (left == 0) return std::nullopt;
        --left;
        return arrival{.domain = static_cast<std::uint32_t>(left % count)};
    };
    return w;
}

std::string broken(const simulation_report& r) {
    std::string text;
    for (const auto& rule : r.broken) text += rule + "\n";
    return text;
}

/// Everything that goes wrong, at a few hosts.
std::vector<host_model> troubled_hosts() {
    return {{},
            {.connections = 2},
            {.messages_a_connection = 7},
            {.idle = 3s},
            {.accepts = {2, 1s}},
            {.greylisting = 4min},
            {.outages = {{10s, 200s}, {600s, 700s}}},
            {.storms = {{{0s, 300s}, 50u}}},
            {.connections = 1, .messages_a_connection = 3, .outages = {{0s, 50s}}, .storms = {{{60s, 90s}, 30u}}}};
}

const simulation_rules capped{.connections = 12, .per_destination = 5, .retry_floor = 60s};

keep_alive pool_of_12() { return {.max_connections = 12, .per_destination = 5}; }

campaign small(std::uint64_t seed) {
    return {.hosts = 300, .bulk = 9900, .transactional = 100, .transactional_over = 60s, .seed = seed};
}

}  // namespace

TEST_CASE("a message takes as long as its host says") {
    const host_model h{.round_trip = 100ms, .work = 50ms, .trips_to_connect = 5, .trips_a_message = 2};
    const auto r = simulate(all_at_once({h}, 1), keep_alive{}, fifo{});
    CHECK(broken(r) == "");
    CHECK(r.accepted == 1);
    CHECK(r.all > 600ms);
    CHECK(r.all < 900ms);
    CHECK(r.connections == 1);
}

TEST_CASE("whatever hosts do, no rule is broken and nothing is lost") {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        CAPTURE(seed);
        const auto f = simulate(all_at_once(troubled_hosts(), 60, seed), pool_of_12(), fair{}, capped);
        CHECK(broken(f) == "");
        CHECK(f.accepted == f.messages);
        const auto plain =
            simulate(all_at_once(troubled_hosts(), 60, seed), pool_of_12(), fifo{.retry = {.attempts = 20}}, capped);
        CHECK(broken(plain) == "");
        CHECK(plain.accepted + plain.failed == plain.messages);
        const auto once = simulate(all_at_once(troubled_hosts(), 20, seed), pooling::one_shot{.max_connections = 12},
                                   fair{.burst = 4}, {.connections = 12});
        CHECK(broken(once) == "");
        CHECK(once.accepted == once.messages);
    }
}

TEST_CASE("as from a queue in a file, no rule is broken, and nothing is lost") {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        CAPTURE(seed);
        const auto r = simulate(all_at_once(troubled_hosts(), 60, seed), pool_of_12(),
                                fair{.per_destination = 5, .look_ahead = 32}, capped, as_in_a_file());
        CHECK(broken(r) == "");
        CHECK(r.accepted == 60 * troubled_hosts().size());
    }
}

TEST_CASE("as from a queue in a file, the scheduler does not see who stands far behind") {
    const auto when_all_is_out = [](auto queue) {
        workload w;
        w.hosts.resize(2);
        w.next = [given = 0u]() mutable -> std::optional<arrival> {
            if (given == 12'000) return std::nullopt;
            return arrival{.domain = given++ / 6'000};
        };
        const auto r = simulate(std::move(w), keep_alive{.max_connections = 40, .per_destination = 20}, fair{},
                                {.connections = 40, .per_destination = 20}, std::move(queue));
        CHECK(broken(r) == "");
        return r.all;
    };
    // The second host waits until all but 4,096 for the first have gone, which is a third of the time.
    const auto at_once = when_all_is_out(queueing::memory());
    CHECK(when_all_is_out(as_in_a_file()) > at_once + at_once / 5);
}

TEST_CASE("many domains at few hosts: look-ups that fail, expire and share limits") {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        CAPTURE(seed);
        workload w{.hosts = troubled_hosts(), .seed = seed};
        w.hosts[0].provider = w.hosts[1].provider = "large.example";
        const auto count = 40 * static_cast<std::uint32_t>(w.hosts.size());
        for (std::uint32_t i = 0; i < count; ++i) {
            domain_model d{.host = i % static_cast<std::uint32_t>(w.hosts.size()), .look_up = 50ms, .valid = 10s};
            if (i % 7 == 0) d.outages = {{0s, 200s}};
            d.is_unknown = i % 11 == 0;
            w.domains.push_back(d);
        }
        w.next = [left = 3 * count, count]() mutable -> std::optional<arrival> {
            if (left == 0) return std::nullopt;
            --left;
            return arrival{.domain = left % count};
        };
        const auto r = simulate(std::move(w), pool_of_12(), fair{}, capped);
        CHECK(broken(r) == "");
        const auto unknown = (count + 10) / 11;
        CHECK(r.failed == 3 * unknown);
        CHECK(r.accepted == r.messages - r.failed);
        CHECK(r.questions > count);
    }
}

TEST_CASE("whoever waits for the connections of another site of its provider goes once these have ended") {
    const auto hosts = [](std::size_t n) { return std::vector<host_model>(n, {.provider = "large.example"}); };
    for (const std::size_t messages : {1u, 7u}) {
        CAPTURE(messages);
        const keep_alive one{.per_destination = 1, .messages_per_connection = messages};
        const auto in_order = simulate(all_at_once(hosts(3), messages), one, fifo{});
        CHECK(broken(in_order) == "");
        CHECK(in_order.accepted == 3 * messages);
        const auto in_turn = simulate(all_at_once(hosts(3), messages), one, fair{});
        CHECK(broken(in_turn) == "");
        CHECK(in_turn.accepted == 3 * messages);
    }
    const auto r = simulate(all_at_once(hosts(3), 200), keep_alive{.per_destination = 3, .messages_per_connection = 5},
                            fair{.per_destination = 3, .pace = {20, 1s}});
    CHECK(broken(r) == "");
    CHECK(r.accepted == 600);
}

TEST_CASE("equal arguments make equal reports, and another seed another") {
    const auto run = [](std::uint64_t seed) {
        return to_json(simulate(make_workload(small(seed)), pool_of_12(), fair{}, capped));
    };
    CHECK(run(1) == run(1));
    CHECK(run(1) != run(2));
}

TEST_CASE("how far it is is told after each ten thousand messages that come, and that are over") {
    auto w = all_at_once(std::vector<host_model>(5), 5000);
    std::vector<std::size_t> told;
    w.progress = [&told](std::size_t over) { told.push_back(over); };
    const auto r = simulate(std::move(w), keep_alive{.max_connections = 100}, fair{});
    CHECK(r.accepted == 25'000);
    CHECK(told == std::vector<std::size_t>{0, 0, 10'000, 20'000});
}

TEST_CASE("of fewer domains than hosts each is at one, and all messages go there") {
    auto w = make_workload({.hosts = 10, .domains = 5, .bulk = 500, .transactional = 50});
    REQUIRE(w.domains.size() == 5);
    std::set<std::uint32_t> used;
    while (const auto a = w.next()) used.insert(a->domain);
    CHECK(used == std::set<std::uint32_t>{0, 1, 2, 3, 4});
}

TEST_CASE("pace is kept at every step, for each destination") {
    const simulation_rules rules{.pace = {5, 1s}, .ahead = 3};
    const auto r =
        simulate(all_at_once({{}, {}, {}}, 100), keep_alive{}, fair{.pace = {5, 1s}, .pacer = {.ahead = 3}}, rules);
    CHECK(broken(r) == "");
    CHECK(r.all > 19s);
    CHECK(r.all < 22s);
}

TEST_CASE("no tenant is far ahead of another that waits") {
    const auto two_tenants = [] {
        workload w{.hosts = std::vector<host_model>(50)};
        w.next = [left = 4000u]() mutable -> std::optional<arrival> {
            if (left == 0) return std::nullopt;
            --left;
            // The one has mail for all hosts, the other for ten.
            if (left >= 1000) return arrival{.domain = left % 50, .tenant = "large"};
            return arrival{.domain = left % 10, .tenant = "small"};
        };
        return w;
    };
    const auto r = simulate(two_tenants(), pool_of_12(), fair{.burst = 8, .concurrency = {.first = 5}},
                            {.unfairness = 2 * 12 * 8});
    CHECK(broken(r) == "");
    CHECK(r.tenants_at_half.at("small") > 900);
    const auto plain = simulate(two_tenants(), pool_of_12(), fifo{}, {.unfairness = 2 * 12 * 8});
    CHECK(broken(plain) == "no tenant is far ahead of another that waits\n");
}

TEST_CASE("the simulator finds what breaks a rule") {
    SUBCASE("more connections than allowed") {
        const auto r = simulate(all_at_once({{}}, 50), keep_alive{.max_connections = 8}, fifo{}, {.connections = 3});
        CHECK(broken(r) == "connections stay within the cap\n");
    }
    SUBCASE("more connections to a host than allowed") {
        const auto r = simulate(all_at_once({{}}, 50), keep_alive{}, fifo{}, {.per_destination = 3});
        CHECK(broken(r) == "connections to a host stay within their cap\n");
    }
    SUBCASE("faster than the pace") {
        const auto r = simulate(all_at_once({{}}, 50), keep_alive{}, fifo{}, {.pace = {1, 1s}});
        CHECK(broken(r) == "no host is sent more than its pace\n");
    }
    SUBCASE("retries before their time") {
        const auto r = simulate(all_at_once({{.greylisting = 4min}}, 5), keep_alive{}, fair{}, {.retry_floor = 1h});
        CHECK(broken(r) == "no message is tried again before its time\n");
    }
    SUBCASE("a wake-up that is lost") {
        struct sleepy : fair {
            time_point wakeup() const noexcept { return never; }
        };
        const auto r = simulate(all_at_once({{}}, 5), keep_alive{.idle = duration::max()}, sleepy{{.pace = {1, 1min}}});
        CHECK(r.accepted < 5);
        CHECK(broken(r).find("something is under way, or a time is set, while messages wait\n") == 0);
    }
    SUBCASE("a job that is lost") {
        struct forgetful : fifo {
            void admit(const job& j, scheduling::host_id h, time_point now) {
                if (j.id != 3) fifo::admit(j, h, now);
            }
        };
        const auto r = simulate(all_at_once({{}}, 5), keep_alive{}, forgetful{});
        CHECK(broken(r).find("no message is lost\n") != std::string::npos);
    }
}

TEST_CASE("the campaign goes out twice as fast as from one line, and what is waited for at once") {
    const campaign c{.hosts = 1000, .bulk = 39'600, .transactional = 400, .transactional_over = 40s};
    const keep_alive pool{.max_connections = 100, .per_destination = 50, .first = 50};
    const auto f = simulate(make_workload(c), pool, fair{.per_destination = 50}, {.connections = 100});
    const auto plain = simulate(make_workload(c), pool, fifo{.retry = {.attempts = 100}}, {.connections = 100});
    CHECK(broken(f) == "");
    CHECK(broken(plain) == "");
    CHECK(f.p95 < plain.p95);
    CHECK(f.classes.at(0).p99 < 5s);
    CHECK(plain.classes.at(0).p99 > 30s);
    CHECK(f.replies_421 < 200);
}

TEST_CASE("fair learns how many connections a host takes, with few refusals") {
    const auto r = simulate(all_at_once({{.connections = 5}, {.connections = 3}}, 2000),
                            keep_alive{.max_connections = 100, .pause_after_refusal = 0s}, fair{.per_destination = 50});
    CHECK(broken(r) == "");
    CHECK(r.replies_421 < 20);
    CHECK(r.most_connections >= 8);
}

TEST_CASE("pool and scheduler together keep to what a host closes connections after") {
    const auto r = simulate(all_at_once({{.messages_a_connection = 20}}, 400), keep_alive{}, fair{});
    CHECK(broken(r) == "");
    CHECK(r.accepted == 400);
    CHECK(r.replies_421 <= 8);
}

TEST_CASE("a host that is down costs few connections while it is") {
    const auto r = simulate(all_at_once({{.outages = {{0s, 20min}}}}, 500), keep_alive{}, fair{});
    CHECK(broken(r) == "");
    CHECK(r.accepted == 500);
    CHECK(r.unreachable < 20);
    CHECK(r.all < 1h);
}

TEST_CASE("a report is a table and an object") {
    const auto r = simulate(make_workload(small(1)), pool_of_12(), fair{}, capped);
    const auto table = to_table({{"fair", r}, {"again", r}});
    CHECK(table.find("fair ") != std::string::npos);
    CHECK(table.find("421s") != std::string::npos);
    const auto json = to_json(r);
    CHECK(json.starts_with("{\"messages\": 10000, \"accepted\": "));
    CHECK(json.find("\"classes\": {\"0\": {\"messages\": 100, ") != std::string::npos);
    CHECK(json.find("\"broken\": []}") != std::string::npos);
    CHECK(r.course.size() == 20);
}
