// Policies of MTA-STS from a server of HTTPS in this process.
#include <postroad/net/asio.hpp>
#include <postroad/net/https_policies.hpp>

#include "https_server.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <optional>
#include <string>

using namespace postroad;
using namespace std::chrono_literals;
using asio::ip::tcp;
using net::https_policies;
using net::sts_mode;

namespace {

const std::string good = "version: STSv1\r\nmode: enforce\r\nmx: mx.example\r\nmax_age: 86400\r\n";

// Of policies of a domain.
class web_server : public https_server {
public:
    explicit web_server(std::string answer, const std::string& domain = "d.example",
                        const std::string& not_after = "20991231235959")
        : https_server(std::move(answer), "mta-sts." + domain, not_after) {}
    net::https_policies_options options() const {
        return {.ca_file = ca_file(), .port = port(), .private_addresses = true, .addresses = {address()}};
    }
    std::string file() const { return file_named("policies"); }
};

net::sts_finding look(const https_policies& policies, const net::sts_record& record,
                      const std::string& domain = "d.example") {
    std::promise<net::sts_finding> p;
    policies(domain, record, [&](auto found) { p.set_value(std::move(found)); });
    return p.get_future().get();
}
std::optional<net::sts_policy> ask(const https_policies& policies, const net::sts_record& record,
                                   const std::string& domain = "d.example") {
    return look(policies, record, domain).policy;
}

const net::sts_record one{.known = true, .id = "1"}, two{.known = true, .id = "2"}, gone{.known = true};

}  // namespace

TEST_CASE("a policy is fetched once, and again when its id is new") {
    web_server web(http_reply(good));
    const https_policies policies(web.options());
    for (int i = 0; i < 3; ++i) CHECK(ask(policies, one)->mx == std::vector<std::string>{"mx.example"});
    CHECK(web.requests() == 1);
    CHECK(web.request().starts_with("GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.d.example:"));
    web.answer(http_reply("version: STSv1\nmode: none\nmax_age: 86400\n"));
    CHECK(ask(policies, two)->mode == sts_mode::none);
    CHECK(web.requests() == 2);
    CHECK(ask(policies, gone)->mode == sts_mode::none);
    CHECK_FALSE(ask(policies, gone, "e.example"));
    CHECK(web.requests() == 2);
}

TEST_CASE("what is no policy, or comes in another way, is as none; what was known stays in force") {
    struct row {
        const char* what;
        std::string answer;
        net::sts_failure failure = net::sts_failure::fetch_error;
    };
    constexpr auto invalid = net::sts_failure::invalid;
    for (const auto& row : std::initializer_list<row>{
             {"another status", http_reply(good, "404 Not Found")},
             {"a redirect", "HTTP/1.1 301 Moved\r\nLocation: https://mta-sts.d.example/x\r\nContent-Length: 0\r\n\r\n"},
             {"HTML", http_reply(good, "200 OK", "text/html"), invalid},
             {"a type that only begins so", http_reply(good, "200 OK", "text/plainer"), invalid},
             {"nonsense", http_reply("nonsense"), invalid},
             {"more than 64 KiB", http_reply(good + "x: " + std::string(70'000, 'x')), invalid},
             {"more than 64 KiB of header",
              "HTTP/1.1 200 OK\r\nX: " + std::string(35'000, 'x') + "\r\nX: " + std::string(35'000, 'x') + "\r\n" +
                  http_reply(good).substr(17),
              invalid},
             {"cut off", http_reply(good).substr(0, http_reply(good).size() - 10)},
             {"no HTTP", "220 mail.example ESMTP\r\n"},
         }) {
        CAPTURE(row.what);
        web_server web(row.answer);
        const https_policies policies(web.options());
        const auto found = look(policies, one);
        CHECK_FALSE(found.policy);
        CHECK(found.failure == row.failure);
        CHECK_FALSE(found.why.empty());
        // It is not tried again at once.
        CHECK_FALSE(ask(policies, one));
        CHECK(web.requests() == 1);
    }
    web_server web(http_reply(good));
    const https_policies policies(web.options());
    CHECK(ask(policies, one));
    web.answer(http_reply(good, "500 Broken"));
    const auto kept = look(policies, two);
    CHECK(kept.policy->mode == sts_mode::enforce);
    CHECK(kept.failure == net::sts_failure::fetch_error);
    CHECK(kept.why == "status 500");
    CHECK(web.requests() == 2);
    CHECK(look(policies, two).failure == net::sts_failure::none);  // it was not tried
}

TEST_CASE("the server of policies must show a certificate of its name, at a public address") {
    web_server web(http_reply(good), "other.example");
    auto options = web.options();
    const auto port = std::to_string(options.port);
    SUBCASE("another name") {
        options.addresses = {"mta-sts.d.example:" + port + ":127.0.0.1"};
        const auto found = look(https_policies(options), one);
        CHECK_FALSE(found.policy);
        CHECK(found.failure == net::sts_failure::certificate_error);
    }
    SUBCASE("a CA that is not known") {
        options.ca_file.clear();
        CHECK_FALSE(ask(https_policies(options), one, "other.example"));
    }
    SUBCASE("an address of this machine") {
        options.private_addresses = false;
        CHECK_FALSE(ask(https_policies(options), one, "other.example"));
        CHECK(web.requests() == 0);
    }
}

TEST_CASE("a certificate that is over brings no policy, and takes none away that is in force") {
    web_server expired(http_reply("version: STSv1\nmode: none\nmax_age: 86400\n"), "d.example", "20210101000000");
    const auto without = look(https_policies(expired.options()), one);
    CHECK_FALSE(without.policy);
    CHECK(without.failure == net::sts_failure::certificate_error);
    web_server web(http_reply(good));
    auto options = web.options();
    options.file = web.file();
    CHECK(ask(https_policies(options), one));
    auto later = expired.options();
    later.file = options.file;
    const auto kept = look(https_policies(later), two);
    REQUIRE(kept.policy);
    CHECK(kept.policy->mode == sts_mode::enforce);
    CHECK(kept.failure == net::sts_failure::certificate_error);
}

TEST_CASE("policies outlive the process, in a file") {
    web_server web(http_reply(good));
    auto options = web.options();
    options.file = web.file();
    CHECK(ask(https_policies(options), one));
    CHECK(ask(https_policies(options), gone)->mode == sts_mode::enforce);
    CHECK(web.requests() == 1);
    std::ofstream(options.file, std::ios::app) << "a line that was cut off";
    CHECK(ask(https_policies(options), one)->mode == sts_mode::enforce);
    options.file = "/nonexistent/policies";
    CHECK_THROWS_AS(https_policies{options}, error);
}

TEST_CASE("the file is written anew when it has grown to twice what is in force, and keeps that") {
    std::string servers;
    while (servers.size() < 60'000) servers += "mx: a-server-of-many-of-them.d.example\r\n";
    web_server web(http_reply("version: STSv1\r\nmode: enforce\r\nmax_age: 0\r\n" + servers));
    auto options = web.options();
    options.file = web.file();
    const auto until = std::chrono::ceil<std::chrono::seconds>(std::chrono::system_clock::now() + 12h);
    std::ofstream(options.file) << "kept.example 1 " << until.time_since_epoch().count()
                                << " 86400 enforce mx.example\n";
    const https_policies policies(options);
    // It has ended as soon as it is here, so each question fetches it.
    for (int i = 0; i < 12; ++i) CHECK_FALSE(ask(policies, one));
    CHECK(web.requests() == 12);
    CHECK(std::filesystem::file_size(options.file) < 300'000);
    const auto kept = ask(https_policies(options), gone, "kept.example");
    REQUIRE(kept);
    CHECK(kept->mode == sts_mode::enforce);
}

TEST_CASE("who waits in line for too long goes by what is in force, and was not tried") {
    web_server web(http_reply(good), "e.example");
    // It takes connections, and says nothing.
    asio::io_context context;
    const tcp::acceptor silent(context, {asio::ip::make_address_v4("127.0.0.2"), web.port()});
    const auto port = std::to_string(web.port());
    auto options = web.options();
    options.addresses.push_back("mta-sts.d.example:" + port + ":127.0.0.2");
    // A quarter of it is between the end of the second, who asks a little later, and that of the first.
    options.timeout = 12s;
    options.at_a_time = 1;
    const https_policies policies(options);
    std::promise<std::optional<net::sts_policy>> first;
    policies("d.example", one, [&](auto found) { first.set_value(std::move(found.policy)); });
    CHECK_FALSE(ask(policies, one, "e.example"));
    CHECK_FALSE(first.get_future().get());
    CHECK(web.requests() == 0);
    // What was tried in vain waits five minutes for the next time; this does not.
    CHECK(ask(policies, one, "e.example"));
    CHECK(web.requests() == 1);
}

TEST_CASE("what only grows old is fetched beside what somebody waits for, never before it") {
    web_server web(http_reply(good), "e.example");
    asio::io_context context;
    const tcp::acceptor silent(context, {asio::ip::make_address_v4("127.0.0.2"), web.port()});
    const auto port = std::to_string(web.port());
    auto options = web.options();
    options.file = web.file();
    options.timeout = 1min;
    options.at_a_time = 2;
    const auto until = std::chrono::ceil<std::chrono::seconds>(std::chrono::system_clock::now() + 10min);
    for (const auto* old : {"a.example", "b.example", "c.example"}) {
        std::ofstream(options.file, std::ios::app)
            << old << " 1 " << until.time_since_epoch().count() << " 86400 enforce mx.example\n";
        options.addresses.push_back("mta-sts." + std::string(old) + ":" + port + ":127.0.0.2");
    }
    const https_policies policies(options);
    for (const auto* old : {"a.example", "b.example", "c.example"}) CHECK(ask(policies, one, old));
    CHECK(ask(policies, one, "e.example"));
}

TEST_CASE("nothing at a time is refused") {
    try {
        const https_policies policies({.at_a_time = 0});
        FAIL("nobody would ever get an answer");
    } catch (const error& e) {
        CHECK(e.code() == errc::invalid_option);
    }
}

TEST_CASE("many who ask for one domain share a fetch, and it may go while that is under way") {
    asio::io_context context;
    tcp::acceptor silent(context, {asio::ip::address_v4::loopback(), 0});
    const auto port = std::to_string(silent.local_endpoint().port());
    const auto held = std::make_shared<int>();
    // Stays open until the policies are gone: a connection that ends is an answer.
    tcp::socket first(context);
    {
        const https_policies policies({.port = silent.local_endpoint().port(),
                                       .private_addresses = true,
                                       .addresses = {"mta-sts.d.example:" + port + ":127.0.0.1"}});
        for (int i = 0; i < 3; ++i) policies("d.example", one, [held](auto) { CHECK(false); });
        silent.accept(first);
    }
    CHECK(held.use_count() == 1);
    silent.non_blocking(true);
    std::error_code ec;
    tcp::socket second(context);
    silent.accept(second, ec);
    CHECK(ec == asio::error::would_block);
}
