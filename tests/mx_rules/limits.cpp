// What a provider is said to bear: kept by pool and scheduler at every step, whatever else they allow or learn.
#include <postroad/postroad.hpp>
#include <postroad/testing/scripted_resolver.hpp>
#include <postroad/testing/simulator.hpp>
#include <postroad/testing/sink.hpp>
#include <postroad/transport/mx_transport.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace postroad;
using namespace postroad::testing;
using namespace std::chrono_literals;
using pooling::keep_alive;
using scheduling::fair;

namespace {

std::string broken(const simulation_report& r) {
    std::string text;
    for (const auto& rule : r.broken) text += rule + "\n";
    return text;
}

/// `n` messages at once to each of three hosts of one provider and one of another, 40 domains each.
workload two_providers(const limits& said, std::size_t n, std::uint64_t seed = 1) {
    workload w{.hosts = {{.provider = "large", .limits = said},
                         {.provider = "large", .limits = said},
                         {.provider = "large", .limits = said},
                         {.limits = said}},
               .seed = seed};
    for (std::uint32_t i = 0; i < 160; ++i) w.domains.push_back({.host = i % 4});
    w.next = [left = 4 * n]() mutable -> std::optional<arrival> {
        if (left == 0) return std::nullopt;
        --left;
        return arrival{.domain = static_cast<std::uint32_t>(left % 160)};
    };
    return w;
}

error_code refused(transport::provider_rule rule) {
    try {
        transport::check({std::move(rule)});
    } catch (const error& e) {
        return e.code();
    }
    return {};
}

message to(const std::string& recipients) {
    return message{}.from("ann@sender.example").to(recipients).subject("Hello").text("Hello");
}

}  // namespace

TEST_CASE("connections, messages a connection and pace of a provider are never exceeded") {
    const limits said{.connections = 3, .messages_per_connection = 5, .pace = {20, 1s}};
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        CAPTURE(seed);
        const auto r = simulate(two_providers(said, 200, seed), keep_alive{.max_connections = 50}, fair{});
        CHECK(broken(r) == "");
        CHECK(r.accepted == 800);
        // 600 messages of one provider, 20 a second.
        CHECK(r.all > 29s);
        CHECK(r.all < 90s);
    }
}

TEST_CASE("the pool alone keeps connections and messages a connection, whatever schedules") {
    const limits said{.connections = 2, .messages_per_connection = 7};
    const auto r = simulate(two_providers(said, 100), keep_alive{.max_connections = 50}, scheduling::fifo{});
    CHECK(broken(r) == "");
    CHECK(r.accepted == 400);
}

TEST_CASE("own limits stay below what a provider bears") {
    const limits said{.connections = 8, .messages_per_connection = 50, .pace = {100, 1s}};
    const simulation_rules rules{.per_destination = 2, .pace = {10, 1s}};
    const auto r = simulate(two_providers(said, 50),
                            keep_alive{.max_connections = 50, .per_destination = 2, .messages_per_connection = 4},
                            fair{.per_destination = 2, .pace = {10, 1s}}, rules);
    CHECK(broken(r) == "");
    CHECK(r.connections >= 200 / 4);
}

TEST_CASE("what a provider is said to bear leaves the others alone") {
    auto w = two_providers({}, 100);
    for (std::size_t i = 0; i < 3; ++i) w.hosts[i].limits = {.connections = 1, .pace = {1, 1s}};
    w.next = [left = 100]() mutable -> std::optional<arrival> {
        if (left == 0) return std::nullopt;
        --left;
        return arrival{.domain = static_cast<std::uint32_t>(left % 10 == 0 ? 0 : 3)};
    };
    const auto r = simulate(std::move(w), keep_alive{.max_connections = 50}, fair{});
    CHECK(broken(r) == "");
    CHECK(r.half < 4s);
    CHECK(r.all >= 9s);
}

TEST_CASE("the simulator finds who exceeds what a provider bears") {
    struct deaf : keep_alive {
        pooling::decision acquire(pooling::place h, time_point now) {
            return keep_alive::acquire({h.site, h.provider}, now);
        }
        void opening(pooling::connection_id id, pooling::place h) { keep_alive::opening(id, {h.site, h.provider}); }
    };
    const auto run = [](const limits& said) {
        return broken(simulate(two_providers(said, 50), deaf{{.max_connections = 8}}, scheduling::fifo{}));
    };
    CHECK(run({.connections = 2}) == "connections stay within what a provider bears\n");
    CHECK(run({.messages_per_connection = 3}) == "no connection carries more messages than a provider bears\n");
    CHECK(run({.pace = {1, 1s}}) == "no host is sent more than its pace\n");
}

TEST_CASE("the first rule that fits the server decides") {
    const transport::provider_rules all = {{.provider = "one", .servers = {".a.example", "mx.b.example"}},
                                           {.provider = "two", .servers = {"b.example"}},
                                           {.provider = "rest", .servers = {".example"}}};
    const auto name = [&](std::string_view server) {
        const auto* rule = transport::rule_for(all, server);
        return rule ? rule->provider : "";
    };
    CHECK(name("x.a.example") == "one");
    CHECK(name("a.example") == "rest");
    CHECK(name("mx.b.example") == "one");
    CHECK(name("mx2.b.example") == "two");
    CHECK(name("mx.example.org") == "");
}

TEST_CASE("a rule that could not be meant is refused") {
    CHECK_FALSE(refused({.provider = "a", .servers = {".a.example"}}));
    CHECK(refused({.provider = "", .servers = {".a.example"}}) == errc::invalid_option);
    CHECK(refused({.provider = "a"}) == errc::invalid_option);
    for (const auto* end : {"", ".", "A.example", "a.example.", "a example", "*.a.example"}) {
        CAPTURE(end);
        CHECK(refused({.provider = "a", .servers = {end}}) == errc::invalid_option);
    }
    CHECK(refused({.provider = "a", .servers = {".a.example"}, .limits = {.pace = {5, 0s}}}) == errc::invalid_option);
    transport::check(transport::known_providers());
}

TEST_CASE("a session keeps to the rule of its server") {
    sink server;
    auto dns = std::make_shared<scripted_resolver>();
    for (const auto* domain : {"one.example", "two.example", "other.example"})
        dns->mx(domain, 10, std::string("mx.") + domain).address(std::string("mx.") + domain, "127.0.0.1");
    transport::mx_options options{.client_name = "out.sender.example",
                                  .providers = {{.provider = "small",
                                                 .servers = {".one.example", ".two.example"},
                                                 .limits = {.messages_per_connection = 2},
                                                 .recipients = 1}},
                                  .port = server.port(),
                                  .private_addresses = true};
    mailer mail{transport::basic_mx<scripted_resolver>{options, dns}};
    CHECK(mail.send(to("a@one.example, b@one.example, c@one.example")).all_accepted());
    CHECK(server.messages().size() == 3);
    CHECK(server.state().counts().connections_ever == 2);
    CHECK(mail.send(to("a@other.example, b@other.example, c@other.example")).all_accepted());
    CHECK(server.messages().size() == 4);
    CHECK(server.state().counts().connections_ever == 3);
}

TEST_CASE("of several processes each takes its part of a limit, and one connection at least") {
    const limits all{.connections = 10, .messages_per_connection = 20, .pace = {50, 1s}};
    CHECK(part_of(all, 1) == all);
    CHECK(part_of(all, 4) == limits{.connections = 2, .messages_per_connection = 20, .pace = {50, 4s}});
    CHECK(part_of(all, 100).connections == 1);
    CHECK(part_of({}, 4).connections == 0);
    CHECK_FALSE(part_of({}, 4).pace.limited());
    CHECK(part_of({.pace = {1, duration::max() / 2}}, 4).pace == rate{1, duration::max()});
}

TEST_CASE(
    "where several processes send, a place has its part of what its provider bears and of what a new source sends") {
    auto dns = std::make_shared<scripted_resolver>();
    dns->mx("one.example", 10, "mx.one.example").address("mx.one.example", "127.0.0.2");
    const auto today = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
    transport::mx_options options{
        .client_name = "out.sender.example",
        .providers = {{.provider = "small", .servers = {".one.example"}, .limits = {.connections = 8}}},
        .processes = 4,
        .private_addresses = true,
        .sources = {{.name = "new",
                     .addresses = {"127.0.0.1"},
                     .warm_up = transport::warm_up{.since = today - std::chrono::days(1), .per_day = {40, 40, 40}}}}};
    const auto limits_with = [&](const transport::mx_options& o) {
        const transport::basic_mx<scripted_resolver> first(o, dns);
        const transport::basic_mx<scripted_resolver> mx(first.options(), dns);
        limits found;
        mx.locate("one.example from new", [&](transport::located l) { found = l.where.limits; });
        found.pace.begins = time_point::min();
        return found;
    };
    CHECK(limits_with(options) == limits{.connections = 2, .pace = {10, 24h}});
    options.processes = 0;
    CHECK_THROWS_AS(limits_with(options), error);
}
