// What is new sends little at first, a source as well as a domain in From: to each provider, also over restarts.
#include <postroad/engine/sites.hpp>
#include <postroad/postroad.hpp>
#include <postroad/testing/scripted_resolver.hpp>
#include <postroad/testing/sink.hpp>
#include <postroad/transport/mx_transport.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace postroad;
using namespace std::chrono_literals;
using testing::scripted_resolver;
using testing::sink;
using transport::mx_sender;
using transport::mx_senders;
using transport::mx_sources;
using transport::warm_up;
using direct = transport::basic_mx<scripted_resolver>;

namespace {

const std::chrono::sys_days first = std::chrono::year(2026) / 11 / 28;
constexpr time_point t0 = time_point{} + 1h;

std::chrono::sys_days today() { return std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now()); }

error_code refused(const std::vector<mx_sender>& all) {
    try {
        const mx_senders made(all);
    } catch (const error& e) {
        return e.code();
    }
    return {};
}

struct world {
    std::shared_ptr<scripted_resolver> dns = std::make_shared<scripted_resolver>();
    transport::mx_options options = {.client_name = "out.sender.example", .private_addresses = true};

    explicit world(std::uint16_t port) {
        options.port = port;
        for (const std::string domain : {"one.example", "two.example"})
            dns->mx(domain, 10, "mx." + domain).address("mx." + domain, "127.0.0.1");
    }
    std::string place(const std::string& from, const transport::sender_facts& who = {}) const {
        const direct d(options, dns);
        envelope e;
        e.reverse_path = address("bounces@sender.example");
        auto facts = who;
        facts.from_domain = from;
        return d.route(e, address("bob@one.example"), facts);
    }
    transport::location location(const std::string& place) const {
        transport::located found;
        const direct d(options, dns);
        d.locate(place, [&](transport::located l) { found = std::move(l); });
        CHECK_FALSE(found.error);
        return found.where;
    }
};

message letter(const std::string& from, const std::string& to = "bob@one.example") {
    return message{}.from(from).to(to).subject("Hello").text("Hello");
}

}  // namespace

TEST_CASE("a day has as many parts as messages, and a process begins with the first that it is there for as a whole") {
    const warm_up table{.since = first, .per_day = {24, 48}};
    const auto begins = [&](std::chrono::sys_days day, duration of_day) {
        return table.pace(day, {day + std::chrono::duration_cast<std::chrono::microseconds>(of_day), t0}).begins;
    };
    CHECK(begins(first, 0h) == t0);
    CHECK(begins(first, 1min) == t0 + 59min);
    CHECK(begins(first, 59min) == t0 + 1min);
    CHECK(begins(first, 23h + 30min) == t0 + 30min);
    CHECK(begins(first + std::chrono::days(1), 50min) == t0 + 10min);
    // On later days it was there from midnight on; behind the table there is no ceiling.
    CHECK(table.pace(first + std::chrono::days(1), {first + 5h, t0}).begins == time_point::min());
    CHECK_FALSE(table.pace(first + std::chrono::days(2), {first + std::chrono::days(2), t0}).limited());
    CHECK(begins(first + std::chrono::days(2), 1min) == time_point::min());
}

TEST_CASE("senders are found by their domain, the others by the star, until their table is over") {
    const mx_senders some({{.domain = "New.Example", .warm_up = {.since = first, .per_day = {10}}},
                           {.domain = "b\xc3\xbc"
                                      "cher.example",
                            .warm_up = {.since = first, .per_day = {20}}}});
    const auto pace = [&](const mx_senders& of, const char* domain, std::chrono::sys_days day) {
        const auto* const w = of.find(domain, day);
        return w ? w->pace(day).messages : 0;
    };
    CHECK(pace(some, "new.example", first) == 10);
    CHECK(pace(some, "xn--bcher-kva.example", first) == 20);
    CHECK(pace(some, "new.example", first + std::chrono::days(1)) == 0);
    CHECK(pace(some, "a.new.example", first) == 0);
    CHECK(pace(some, "", first) == 0);
    const mx_senders all({{.domain = "*", .warm_up = {.since = first, .per_day = {5}}},
                          {.domain = "new.example", .warm_up = {.since = first, .per_day = {10}}}});
    CHECK(pace(all, "new.example", first) == 10);
    CHECK(pace(all, "other.example", first) == 5);
    CHECK(pace(all, "", first) == 0);
    CHECK(refused({{.domain = ""}}) == errc::invalid_option);
    CHECK(refused({{.domain = "a b"}}) == errc::invalid_option);
    CHECK(refused({{.domain = "[192.0.2.1]"}}) == errc::invalid_option);
    CHECK(refused({{.domain = "a.example"}, {.domain = "A.example"}}) == errc::invalid_option);
}

TEST_CASE("mail of a new domain has sites of its own, and shares the limits of their provider") {
    world w(25);
    w.options.sources = {{.name = "out1", .addresses = {"127.0.0.2"}}};
    w.options.providers = {{.provider = "large", .servers = {".one.example"}, .limits = {.connections = 5}}};
    w.options.senders = {
        {.domain = "new.example", .warm_up = {.since = today(), .per_day = {10, 10}}},
        {.domain = "old.example", .warm_up = {.since = today() - std::chrono::days(9), .per_day = {9}}}};
    CHECK(w.place("old.example") == "one.example from out1");
    CHECK(w.place("") == "one.example from out1");
    CHECK(w.place("new.example") == "one.example from out1 for new.example");
    CHECK(w.place("new.example", {.tls_not_required = true}) ==
          "one.example from out1 for new.example whatever its TLS");
    for (const std::string end : {"", " whatever its TLS"}) {
        const auto at = w.location("one.example from out1 for new.example" + end);
        CHECK(at.site == "mx.one.example from out1 for new.example");
        CHECK(at.provider == "large from out1");
        CHECK(at.limits.connections == 5);
        CHECK(at.servers[0].source == "out1");
        CHECK(at.stream == "large for new.example");
        CHECK(at.stream_pace.messages == 10);
        CHECK(at.stream_pace.per == 24h);
        CHECK(at.stream_pace.begins > time_point::min());
        CHECK(at.valid_until == time_point::min());
    }
    CHECK(w.location("one.example from out1").stream.empty());
    w.options.processes = 5;
    CHECK(w.location("one.example from out1 for new.example").stream_pace.messages == 2);
    w.options.sources.clear();
    CHECK(w.place("new.example") == "one.example for new.example");
    CHECK(w.location("one.example for new.example").stream == "large for new.example");
}

TEST_CASE("sites of one stream have one number and one pace, until the last is forgotten") {
    engine::sites all(true);
    const auto at = [&](const std::string& site, const std::string& stream, unsigned n, time_point now) {
        transport::location where{.site = site, .provider = "large", .stream = stream, .stream_pace = {n, 24h}};
        where.servers = {{.name = "mx.example"}};
        return all.place(std::move(where), now);
    };
    auto* const a = at("a", "s", 10, t0);
    auto* const b = at("b", "s", 20, t0);
    auto* const c = at("c", "t", 30, t0);
    auto* const d = at("d", "", 0, t0);
    CHECK(a->place().stream == b->place().stream);
    CHECK(a->place().stream != c->place().stream);
    CHECK(a->place().stream != 0);
    CHECK(d->place().stream == 0);
    CHECK(a->place().stream_pace == rate{20, 24h});
    CHECK(a->place().provider == c->place().provider);
    (void)at("a", "s", 40, t0);
    CHECK(b->place().stream_pace.messages == 40);
    b->servers.push_back({.at = {.name = "mx2.example"}});
    CHECK(all.without(*b, 0, t0)->place().stream == a->place().stream);
    const auto number = a->place().stream;
    all.forget_idle(t0 + 1h, [](const pooling::place&) { return time_point::min(); });
    CHECK(all.size() == 0);
    CHECK(at("a", "s", 10, t0 + 1h)->place().stream != number);
}

TEST_CASE("a new domain in From sends its messages of the day over all sources, and others are not kept") {
    sink server;
    world w(server.port());
    w.options.providers = {{.provider = "large", .servers = {".example"}}};
    for (int i = 1; i <= 4; ++i)
        w.options.sources.push_back(
            {.name = "out" + std::to_string(i), .addresses = {"127.0.0." + std::to_string(i + 1)}});
    w.options.senders = {{.domain = "new.example", .warm_up = {.since = today(), .per_day = {1, 1, 1}}}};
    mailer mail{direct{w.options, w.dns}, scheduling::fair{}};
    CHECK(mail.send(letter("Ann <ann@New.example>")).all_accepted());
    std::vector<ticket> waiting;
    for (int i = 0; i < 8; ++i)
        waiting.push_back(mail.submit(
            letter("ann@new.example", "r" + std::to_string(i) + (i % 2 ? "@one.example" : "@two.example"))));
    CHECK(mail.send(letter("bob@old.example")).all_accepted());
    CHECK(mail.send(letter("bob@old.example", "bob@two.example")).all_accepted());
    CHECK(server.messages().size() == 3);
    for (auto& t : waiting) t.cancel();
}

TEST_CASE("many new domains share the connections that a provider bears, and each sends its first message") {
    sink server;
    world w(server.port());
    w.options.providers = {{.provider = "large", .servers = {".example"}, .limits = {.connections = 2}}};
    w.options.senders = {{.domain = "*", .warm_up = {.since = today(), .per_day = {1, 1}}}};
    mailer mail{direct{w.options, w.dns}, scheduling::fair{}};
    std::vector<ticket> all;
    for (int i = 0; i < 60; ++i)
        all.push_back(mail.submit(
            letter("ann@new" + std::to_string(i) + ".example", i % 2 ? "bob@one.example" : "bob@two.example")));
    for (auto& t : all) CHECK(t.wait().all_accepted());
    CHECK(server.messages().size() == 60);
}
