// Which of our own addresses mail leaves from: kept through retries, by tenant and class, each with its name and
// limits.
#include <postroad/postroad.hpp>
#include <postroad/testing/scripted_resolver.hpp>
#include <postroad/testing/sink.hpp>
#include <postroad/transport/mx_transport.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/write.hpp>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace postroad;
using namespace std::chrono_literals;
using testing::scripted_resolver;
using testing::sink;
using transport::mx_source;
using transport::mx_sources;
using transport::sender_facts;
using transport::source_binding;
using direct = transport::basic_mx<scripted_resolver>;

namespace {

std::vector<mx_source> numbered(int n) {
    std::vector<mx_source> all;
    for (int i = 1; i <= n; ++i)
        all.push_back({.name = "out" + std::to_string(i), .addresses = {"192.0.2." + std::to_string(i)}});
    return all;
}

std::string chosen(const mx_sources& all, int recipient, const sender_facts& who = {}, std::string_view group = {}) {
    envelope e;
    e.reverse_path = address("ann@sender.example");
    const auto* s = all.choose(e, address("r" + std::to_string(recipient) + "@example.org"), who, group);
    return s ? s->name : "none";
}

error_code refused(std::vector<mx_source> all, std::vector<source_binding> bindings = {},
                   const transport::provider_rules& providers = {}) {
    try {
        const mx_sources made(std::move(all), std::move(bindings), providers);
    } catch (const error& e) {
        return e.code();
    }
    return {};
}

struct world {
    std::shared_ptr<scripted_resolver> dns = std::make_shared<scripted_resolver>();
    transport::mx_options options = {
        .client_name = "out.sender.example",
        .private_addresses = true,
        .sources = {{.name = "bulk", .client_name = "bulk.sender.example", .addresses = {"127.0.0.2"}, .group = "bulk"},
                    {.name = "rest", .client_name = "rest.sender.example", .addresses = {"127.0.0.3"}}},
        .bindings = {{.tenant = "shop", .group = "bulk"}, {.traffic_class = std::uint8_t(1), .group = "bulk"}}};

    explicit world(std::uint16_t port) {
        options.port = port;
        dns->mx("one.example", 10, "mx.one.example").address("mx.one.example", "127.0.0.1");
    }
};

message letter() { return message{}.from("ann@sender.example").to("bob@one.example").subject("Hello").text("Hello"); }

/// Turns everybody away, and notes where they come from.
class doorkeeper {
public:
    doorkeeper()
        : acceptor_(io_, {asio::ip::address_v4::loopback(), 0}),
          port_(acceptor_.local_endpoint().port()),
          thread_([this] { run(); }) {}
    ~doorkeeper() {
        over_ = true;
        error_code ignored;
        asio::ip::tcp::socket last(io_);
        last.connect({asio::ip::address_v4::loopback(), port_}, ignored);
        thread_.join();
    }
    std::uint16_t port() const { return port_; }
    std::set<std::string> seen() {
        const std::scoped_lock lock(mutex_);
        return std::exchange(seen_, {});
    }

private:
    void run() {
        for (;;) {
            asio::ip::tcp::socket s(io_);
            error_code ec;
            acceptor_.accept(s, ec);
            if (over_) return;
            const auto from = s.remote_endpoint(ec).address().to_string();
            {
                const std::scoped_lock lock(mutex_);
                seen_.insert(from);
            }
            asio::write(s, asio::buffer(std::string("554 go away\r\n")), ec);
        }
    }
    asio::io_context io_;
    asio::ip::tcp::acceptor acceptor_;
    std::uint16_t port_;
    std::mutex mutex_;
    std::set<std::string> seen_;
    std::atomic<bool> over_ = false;
    std::thread thread_;
};

}  // namespace

TEST_CASE("a recipient keeps its source, and sources share recipients") {
    const mx_sources four(numbered(4), {});
    const mx_sources five(numbered(5), {});
    const mx_sources again(numbered(4), {});
    std::vector<int> each(6);
    int moved = 0;
    for (int i = 0; i < 1000; ++i) {
        const auto source = chosen(four, i);
        CHECK(chosen(again, i) == source);
        ++each[static_cast<std::size_t>(source.back() - '0')];
        const auto with_more = chosen(five, i);
        if (with_more != source) {
            ++moved;
            CHECK(with_more == "out5");
        }
    }
    for (std::size_t i = 1; i <= 4; ++i) CHECK(each[i] > 200);
    CHECK(moved > 150);
    CHECK(moved < 250);
    // The choice is that of other builds and processes, too.
    CHECK(chosen(four, 1) + chosen(four, 2) + chosen(four, 3) + chosen(four, 4) == "out3out4out3out3");
}

TEST_CASE("a source that is taken away moves its own deliveries and no others, by whatever rule they came to it") {
    auto all = numbered(5);
    for (auto& s : all) s.group = "bulk";
    const std::vector<source_binding> rest = {{.group = "bulk"}};
    const transport::provider_rules rules = {{.provider = "a", .servers = {".a.example"}, .group = "bulk"}};
    const mx_sources five(all, rest, rules);
    all.erase(all.begin() + 2);
    const mx_sources four(all, rest, rules);
    for (int i = 0; i < 500; ++i) {
        const auto before = chosen(five, i, {}, "bulk");
        if (before != "out3") CHECK(chosen(four, i, {}, "bulk") == before);
        CHECK(chosen(five, i) == before);
    }
}

TEST_CASE("a provider's rule names the group for what no binding of a tenant or class is about") {
    auto all = numbered(4);
    all[1].group = "bulk";
    all[2].group = all[3].group = "big";
    const transport::provider_rules rules = {{.provider = "a", .servers = {".a.example"}, .group = "big"},
                                             {.provider = "b", .servers = {".b.example"}, .group = "bulk"},
                                             {.provider = "c", .servers = {".c.example"}}};
    const mx_sources some(all, {{.tenant = "shop", .group = "bulk"}}, rules);
    CHECK(chosen(some, 1) == "out1");
    const auto big = chosen(some, 1, {}, "big");
    CHECK((big == "out3" || big == "out4"));
    CHECK(chosen(some, 1, {.tenant = "shop"}, "big") == "out2");
    // What is bound without a tenant or class is the rest.
    const mx_sources rest(all, {{.group = "bulk"}}, rules);
    CHECK(chosen(rest, 1) == "out2");
    CHECK(chosen(rest, 1, {}, "big") == big);

    // Its place has all that it may be, and the rule of its provider picks one of them.
    envelope e;
    e.reverse_path = address("ann@sender.example");
    const auto names = [&](const mx_sources& of, const sender_facts& who) {
        return of.names(e, address("r1@example.org"), who);
    };
    CHECK(names(some, {}) == "out1 or " + big + " or out2");
    CHECK(names(some, {.tenant = "shop"}) == "out2");
    CHECK(names(rest, {}) == "out2 or " + big);
    CHECK(some.pick("out1 or out3 or out2", "big", {})->name == "out3");
    CHECK(some.pick("out1 or out3 or out2", "bulk", {})->name == "out2");
    CHECK(some.pick("out1 or out3 or out2", "", {})->name == "out1");
    CHECK(some.pick("out2", "big", {})->name == "out2");
    CHECK(some.pick("gone or out3", "big", {})->name == "out3");
    CHECK(some.pick("gone", "big", {}) == nullptr);
    CHECK(some.pick("", "", {}) == nullptr);
    CHECK(names(mx_sources(), {}).empty());
    CHECK(refused(all, {}, {{.provider = "a", .servers = {".a.example"}, .group = "nobody"}}) == errc::invalid_option);
}

TEST_CASE("a source with an address of each family uses the first wherever a server has one of that family") {
    mx_source s{.name = "out1", .addresses = {"192.0.2.1", "2001:db8::1"}};
    const auto to = [&](std::vector<std::string> theirs) {
        return mx_sources::addresses_to(s, {.name = "mx", .addresses = {std::move(theirs)}});
    };
    using list = std::vector<std::string>;
    CHECK(to({"2001:db8::9", "198.51.100.9"}) == list{"192.0.2.1"});
    CHECK(to({"2001:db8::9"}) == list{"2001:db8::1"});
    CHECK(to({"198.51.100.9"}) == list{"192.0.2.1"});
    std::swap(s.addresses[0], s.addresses[1]);
    CHECK(to({"198.51.100.9", "2001:db8::9"}) == list{"2001:db8::1"});
    CHECK(to({}) == s.addresses);
    s.addresses = {"2001:db8::1"};
    CHECK(to({"198.51.100.9"}) == s.addresses);
}

TEST_CASE("where its servers have no address of its family, mail leaves from another source of its group") {
    mx_source six{.name = "six", .addresses = {"2001:db8::1"}};
    mx_source four{.name = "four", .addresses = {"192.0.2.1"}};
    mx_source big{.name = "big", .addresses = {"2001:db8::2"}, .group = "big"};
    const mx_sources all({six, four, big}, {}, {{.provider = "a", .servers = {".a.example"}, .group = "big"}});
    const auto at = [](std::vector<std::string> addresses) {
        return std::vector<endpoint>{{.name = "mx", .addresses = {std::move(addresses)}}};
    };
    const auto only_four = at({"198.51.100.9"});
    const auto only_six = at({"2001:db8::9"});
    const auto both = at({"198.51.100.9", "2001:db8::9"});
    int moved = 0;
    for (int i = 0; i < 100; ++i) {
        envelope e;
        e.reverse_path = address("ann@sender.example");
        const auto names = all.names(e, address("r" + std::to_string(i) + "@example.org"), {});
        const auto first = chosen(all, i);
        CHECK(names == first + (first == "six" ? " or four or big" : " or six or big"));
        CHECK(all.pick(names, "", only_four)->name == "four");
        CHECK(all.pick(names, "", only_six)->name == "six");
        CHECK(all.pick(names, "", both)->name == first);
        CHECK(all.pick(names, "big", only_six)->name == "big");
        // Not from another group.
        CHECK(all.pick(names, "big", only_four)->name == "big");
        moved += first == "six";
    }
    CHECK(moved > 20);
    CHECK_FALSE(mx_sources::reaches(six, only_four));
    CHECK(mx_sources::reaches(six, both));
    CHECK(mx_sources::reaches(four, only_four));
    CHECK(mx_sources::reaches(six, {{.name = "not.looked.up"}}));
}

TEST_CASE("tenants and classes are bound to groups, the first that fits") {
    auto all = numbered(4);
    all[1].group = "bulk";
    all[2].group = all[3].group = "shops";
    const mx_sources bound(all, {{.tenant = "a", .traffic_class = std::uint8_t(1), .group = "bulk"},
                                 {.tenant = "a", .group = "shops"},
                                 {.traffic_class = std::uint8_t(1), .group = "bulk"}});
    for (int i = 0; i < 20; ++i) {
        CHECK(chosen(bound, i) == "out1");
        CHECK(chosen(bound, i, {"a", 1}) == "out2");
        CHECK(chosen(bound, i, {"b", 1}) == "out2");
        CHECK(chosen(bound, i, {"b", 0}) == "out1");
        const auto shop = chosen(bound, i, {"a", 0});
        CHECK((shop == "out3" || shop == "out4"));
    }
    CHECK(chosen(mx_sources(), 1) == "none");
}

TEST_CASE("sources that cannot be used are refused") {
    CHECK_FALSE(refused(numbered(2)));
    CHECK_FALSE(refused({}));
    CHECK_FALSE(refused({{.name = "a", .addresses = {"192.0.2.1", "2001:db8::1"}}}));
    CHECK(refused({{.addresses = {"192.0.2.1"}}}) == errc::invalid_option);
    CHECK(refused({{.name = "a b", .addresses = {"192.0.2.1"}}}) == errc::invalid_option);
    CHECK(refused({{.name = "a"}}) == errc::invalid_option);
    CHECK(refused({{.name = "a", .addresses = {"mx.example"}}}) == errc::invalid_option);
    CHECK(refused({{.name = "a", .addresses = {"192.0.2.1", "192.0.2.2"}}}) == errc::invalid_option);
    CHECK(refused({{.name = "a", .client_name = "a b", .addresses = {"192.0.2.1"}}}) == errc::invalid_host_name);
    auto twice = numbered(2);
    twice[1].name = twice[0].name;
    CHECK(refused(twice) == errc::invalid_option);
    CHECK(refused(numbered(1), {{.tenant = "a", .group = "nobody"}}) == errc::invalid_option);
    auto grouped = numbered(1);
    grouped[0].group = "g";
    CHECK(refused(grouped) == errc::invalid_option);
    CHECK(refused(grouped, {{.tenant = "a", .group = "g"}}) == errc::invalid_option);
    CHECK_FALSE(refused(grouped, {{.group = "g"}}));
    world w(25);
    w.options.dialing.local_addresses = {"127.0.0.1"};
    CHECK_THROWS_AS(direct(w.options, w.dns), error);
}

TEST_CASE("a new source sends little to each provider at first, more each day, and then whatever it may") {
    const transport::warm_up table{.since = std::chrono::sys_days(std::chrono::year(2026) / 11 / 28),
                                   .per_day = {10, 20}};
    CHECK(table.pace(table.since - std::chrono::days(400)) == rate{10, 24h});
    CHECK(table.pace(table.since) == rate{10, 24h});
    CHECK(table.pace(table.since + std::chrono::days(1)) == rate{20, 24h});
    CHECK_FALSE(table.pace(table.since + std::chrono::days(2)).limited());
    mx_source s{.name = "out1", .warm_up = table};
    transport::location at{.site = "mx.example", .provider = "google", .limits = {.connections = 5, .pace = {1, 1s}}};
    at.servers = {{.name = "mx.example"}};
    auto first = at;
    mx_sources::leave_from(s, first, table.since, {table.since, time_point{} + 1h});
    CHECK(first.site == "mx.example from out1");
    CHECK(first.provider == "google from out1");
    CHECK(first.servers[0].source == "out1");
    CHECK(first.limits == limits{.connections = 5, .pace = {10, 24h, time_point{} + 1h}});
    CHECK(first.valid_until == time_point::min());
    auto later = at;
    mx_sources::leave_from(s, later, table.since + std::chrono::days(9), {table.since, time_point{} + 1h});
    CHECK(later.limits == at.limits);
}

TEST_CASE("mail leaves from the source of its tenant or class, with its address and name") {
    sink server;
    world w(server.port());
    mailer mail{direct{w.options, w.dns}};
    CHECK(mail.send(letter()).all_accepted());
    CHECK(mail.send(letter(), {.tenant = "shop"}).all_accepted());
    CHECK(mail.send(letter(), {.traffic_class = 1}).all_accepted());
    const auto all = server.messages();
    REQUIRE(all.size() == 3);
    CHECK(all[0].hello == "rest.sender.example");
    CHECK(all[1].hello == "bulk.sender.example");
    CHECK(all[2].hello == "bulk.sender.example");
    CHECK(all[0].connection != all[1].connection);

    doorkeeper other;
    w.options.port = other.port();
    mailer turned_away{direct{w.options, w.dns}};
    CHECK_THROWS_AS((void)turned_away.send(letter()), send_error);
    CHECK(other.seen() == std::set<std::string>{"127.0.0.3"});
    CHECK_THROWS_AS((void)turned_away.send(letter(), {.tenant = "shop"}), send_error);
    CHECK(other.seen() == std::set<std::string>{"127.0.0.2"});
}

TEST_CASE("mail to a provider leaves from the group of its rule, and that of a bound tenant from its own") {
    sink server;
    world w(server.port());
    w.options.sources.push_back(
        {.name = "big", .client_name = "big.sender.example", .addresses = {"127.0.0.4"}, .group = "large providers"});
    w.options.providers = {{.provider = "one", .servers = {".one.example"}, .group = "large providers"}};
    w.dns->mx("two.example", 10, "mx.two.example").address("mx.two.example", "127.0.0.1");
    w.dns->mx("mixed.example", 10, "mx.one.example").mx("mixed.example", 20, "mx.two.example");
    mailer mail{direct{w.options, w.dns}};
    const auto from = [&](const char* domain, const send_options& how = {}) {
        const auto to = "bob@" + std::string(domain);
        CHECK(
            mail.send(message{}.from("ann@sender.example").to(to).subject("Hello").text("Hello"), how).all_accepted());
        return server.messages().back().hello;
    };
    CHECK(from("one.example") == "big.sender.example");
    CHECK(from("two.example") == "rest.sender.example");
    CHECK(from("mixed.example") == "rest.sender.example");
    CHECK(from("one.example", {.tenant = "shop"}) == "bulk.sender.example");

    doorkeeper other;
    w.options.port = other.port();
    mailer turned_away{direct{w.options, w.dns}};
    CHECK_THROWS_AS((void)turned_away.send(letter()), send_error);
    CHECK(other.seen() == std::set<std::string>{"127.0.0.4"});
}

TEST_CASE("a source whose address this machine does not have sends nothing, and no other is taken in its place") {
    sink server;
    world w(server.port());
    w.options.sources[0].addresses = {"192.0.2.77"};
    mailer mail{direct{w.options, w.dns}};
    CHECK(mail.send(letter()).all_accepted());
    try {
        (void)mail.send(letter(), {.tenant = "shop"});
        FAIL("it has nowhere to leave from");
    } catch (const send_error& e) {
        CHECK(e.result().all_are(status::not_attempted));
        CHECK(std::string(e.what()).find("is the local address one of this machine?") != std::string::npos);
    }
    CHECK(server.messages().size() == 1);
}

TEST_CASE("a source of the other family says so, and connects to nobody") {
    sink server;
    world w(server.port());
    w.options.sources[0].addresses = {"::1"};
    mailer mail{direct{w.options, w.dns}};
    CHECK(mail.send(letter()).all_accepted());
    try {
        (void)mail.send(letter(), {.tenant = "shop"});
        FAIL("it cannot get there");
    } catch (const send_error& e) {
        CHECK(e.code() == errc::resolve_failed);
        CHECK(std::string(e.what()).find("the source bulk has no address of a family that the servers have") !=
              std::string::npos);
    }
}

TEST_CASE("our own sources among the servers of a domain are a loop") {
    sink server;
    world w(server.port());
    w.dns->mx("loop.example", 10, "bulk.sender.example").address("bulk.sender.example", "127.0.0.1");
    mailer mail{direct{w.options, w.dns}};
    try {
        (void)mail.send(message{}.from("ann@sender.example").to("bob@loop.example").subject("Hello").text("Hello"));
        FAIL("it would come back");
    } catch (const send_error& e) {
        CHECK(e.code() == errc::mail_loop);
    }
}
