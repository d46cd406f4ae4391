// libunbound behind the concept, without a network: zones of its own, and servers that never answer.
#include <postroad/net/asio.hpp>
#include <postroad/net/unbound.hpp>

#include <asio/ip/udp.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <vector>

using namespace postroad;
using namespace std::chrono_literals;
using net::dns_status;
using net::record_type;

namespace {

net::unbound_options zone() {
    return {.validate = false,
            .more = {{"local-zone", "example. static"},
                     {"local-data", "d.example. 600 IN MX 10 MX1.d.example."},
                     {"local-data", "d.example. 600 IN MX 20 mx2.d.example."},
                     {"local-data", "mx1.d.example. 600 IN A 192.0.2.1"},
                     {"local-data", "mx1.d.example. 600 IN AAAA 2001:db8::1"},
                     {"local-data", "d.example. 600 IN TXT \"one \" \"text\""}}};
}

net::dns_answer answer(net::unbound& dns, const std::string& name, record_type type) {
    std::promise<net::dns_answer> p;
    dns.ask(name, type, [&](net::dns_answer a) { p.set_value(std::move(a)); });
    return p.get_future().get();
}

// A server of the DNS that says nothing.
struct silent_server {
    asio::io_context context;
    asio::ip::udp::socket socket{context, {asio::ip::address_v4::loopback(), 0}};

    net::unbound_options stub(duration timeout) const {
        return {.stubs = {{"silent.example", "127.0.0.1@" + std::to_string(socket.local_endpoint().port())}},
                .validate = false,
                .more = {{"local-zone", "example. transparent"}},
                .timeout = timeout};
    }
};

}  // namespace

TEST_CASE("records of each type, and that there are none") {
    net::unbound dns(zone());
    CHECK_FALSE(dns.validates());
    const auto mx = answer(dns, "d.example", record_type::mx);
    REQUIRE(mx.status == dns_status::found);
    REQUIRE(mx.records.size() == 2);
    CHECK(mx.trust == net::dns_trust::insecure);
    std::vector<std::string> hosts;
    for (const auto& r : mx.records) hosts.push_back(net::read_mx(r)->host);
    std::sort(hosts.begin(), hosts.end());
    CHECK(hosts == std::vector<std::string>{"mx1.d.example", "mx2.d.example"});
    CHECK(mx.valid_until > clock::now() + 5min);
    CHECK(mx.valid_until <= clock::now() + 10min);
    CHECK(net::read_address(answer(dns, "mx1.d.example", record_type::a).records.at(0)) == "192.0.2.1");
    CHECK(net::read_address(answer(dns, "mx1.d.example", record_type::aaaa).records.at(0)) == "2001:db8::1");
    CHECK(net::read_txt(answer(dns, "d.example", record_type::txt).records.at(0)) == "one text");
    CHECK(answer(dns, "mx1.d.example", record_type::mx).status == dns_status::no_data);
    CHECK(answer(dns, "gone.example", record_type::mx).status == dns_status::no_name);
    CHECK(answer(dns, std::string(300, 'a'), record_type::mx).status == dns_status::failed);
}

TEST_CASE("nothing is kept of a question that is answered, or that libunbound does not take") {
    net::unbound dns(zone());
    CHECK(answer(dns, "d.example", record_type::mx).status == dns_status::found);
    CHECK(dns.under_way() == 0);
    for (int i = 0; i < 10; ++i)
        CHECK(answer(dns, std::string(300, 'a'), record_type::mx).status == dns_status::failed);
    CHECK(dns.under_way() == 0);
}

TEST_CASE("many questions at a time, from many threads, also from within an answer") {
    net::unbound dns(zone());
    std::atomic<int> left = 400;
    std::promise<void> done;
    const auto ask = [&] {
        for (int i = 0; i < 100; ++i)
            dns.ask("d.example", record_type::mx, [&](const net::dns_answer&) {
                dns.ask("mx1.d.example", record_type::a, [&](const net::dns_answer& a) {
                    CHECK(a.status == dns_status::found);
                    if (--left == 0) done.set_value();
                });
            });
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back(ask);
    for (auto& t : threads) t.join();
    done.get_future().get();
}

TEST_CASE("a server that says nothing is an answer that failed, in time") {
    const silent_server server;
    net::unbound dns(server.stub(50ms));
    const auto a = answer(dns, "x.silent.example", record_type::mx);
    CHECK(a.status == dns_status::failed);
    CHECK(a.why == "no answer in time");
}

TEST_CASE("it may go while questions are under way, also from within an answer") {
    const silent_server server;
    SUBCASE("from outside") {
        const auto held = std::make_shared<int>();
        {
            net::unbound dns(server.stub(1h));
            dns.ask("x.silent.example", record_type::mx, [held](const net::dns_answer&) { CHECK(false); });
        }
        CHECK(held.use_count() == 1);
    }
    SUBCASE("the last one who holds it is an answer") {
        auto dns = std::make_shared<net::unbound>(zone());
        std::promise<void> asked;
        std::promise<void> gone;
        const std::weak_ptr<net::unbound> weak = dns;
        auto& resolver = *dns;
        resolver.ask("d.example", record_type::mx,
                     [held = std::move(dns), &asked, &gone](const net::dns_answer&) mutable {
                         asked.get_future().wait();
                         held.reset();
                         gone.set_value();
                     });
        asked.set_value();
        gone.get_future().get();
        CHECK(weak.expired());
    }
}

TEST_CASE("a resolver on this machine is asked") {
    asio::io_context context;
    asio::ip::udp::socket local(context, {asio::ip::address_v4::loopback(), 0});
    net::unbound dns({.forward_to = {"127.0.0.1@" + std::to_string(local.local_endpoint().port())}, .validate = false});
    dns.ask("d.example", record_type::mx, [](const net::dns_answer&) {});
    char query[512];
    CHECK(local.receive(asio::buffer(query)) > 12);
}

TEST_CASE("what libunbound does not take is an error that says so") {
    const auto refused = [](net::unbound_options o) {
        try {
            net::unbound made(std::move(o));
        } catch (const error& e) {
            return e.code();
        }
        return error_code{};
    };
    CHECK(refused({.forward_to = {"no address"}}) == errc::invalid_option);
    CHECK(refused({.stubs = {{"a.example", "no address"}}}) == errc::invalid_option);
    CHECK(refused({.anchors_file = "/nonexistent"}) == errc::invalid_option);
    CHECK(refused({.more = {{"no-such-option", "1"}}}) == errc::invalid_option);
}
