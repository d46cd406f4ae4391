// Policies of MTA-STS from a server of HTTPS in this process.
#include <postroad/net/asio.hpp>
#include <postroad/net/https_policies.hpp>
#include <postroad/testing/certificates.hpp>
#include <postroad/tls/mbedtls_engine.hpp>

#include <asio/write.hpp>

#include "scratch_folder.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

using namespace postroad;
using namespace std::chrono_literals;
using asio::ip::tcp;
using net::https_policies;
using net::sts_mode;

namespace {

const std::string good = "version: STSv1\r\nmode: enforce\r\nmx: mx.example\r\nmax_age: 86400\r\n";

std::string http_reply(const std::string& body, const std::string& status = "200 OK",
                       const std::string& type = "text/plain; charset=utf-8") {
    return "HTTP/1.1 " + status + "\r\nContent-Type: " + type + "\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\nConnection: close\r\n\r\n" + body;
}

// Answers every request alike, one after the other, as that domain.
class web_server {
public:
    explicit web_server(std::string answer, const std::string& domain = "d.example")
        : authority_(testing::authority::create()),
          id_(authority_.issue({.names = {"mta-sts." + domain}})),
          tls_(tls::mbedtls_context::server({.certificate_pem = id_.certificate_pem, .key_pem = id_.key_pem})),
          answer_(std::move(answer)),
          domain_(domain),
          ca_(folder_.path / "ca.pem"),
          thread_([this] { run(); }) {
        std::ofstream(ca_) << authority_.ca_pem;
    }
    web_server(const web_server&) = delete;
    web_server& operator=(const web_server&) = delete;
    ~web_server() {
        stops_ = true;
        std::error_code ignored;
        tcp::socket wakes(context_);
        wakes.connect(acceptor_.local_endpoint(), ignored);
        wakes.close(ignored);
        thread_.join();
    }

    net::https_policies_options options() const {
        return {.ca_file = ca_.string(),
                .port = acceptor_.local_endpoint().port(),
                .private_addresses = true,
                .addresses = {"mta-sts." + domain_ + ":" + std::to_string(acceptor_.local_endpoint().port()) +
                              ":127.0.0.1"}};
    }
    std::string file() const { return (folder_.path / "policies").string(); }
    int requests() const { return requests_; }
    std::string request() const {
        const std::scoped_lock lock(mutex_);
        return request_;
    }
    void answer(std::string a) {
        const std::scoped_lock lock(mutex_);
        answer_ = std::move(a);
    }

private:
    void run() {
        while (!stops_) {
            std::error_code ec;
            tcp::socket s(context_);
            acceptor_.accept(s, ec);
            if (!ec && !stops_) serve(s);
        }
    }
    void serve(tcp::socket& s) {
        tls::mbedtls_engine engine(tls_);
        std::error_code ec;
        const auto flush = [&] {
            while (!engine.output().empty() && !ec) {
                const auto piece = engine.output();
                engine.consumed(asio::write(s, asio::buffer(piece.data(), piece.size()), ec));
            }
        };
        const auto more = [&] {
            flush();
            char octets[4096];
            const auto n = s.read_some(asio::buffer(octets), ec);
            if (!ec) engine.received({octets, n});
        };
        auto how = engine.handshake();
        while (how == tls::progress::want_input && !ec) {
            more();
            how = engine.handshake();
        }
        if (how != tls::progress::done || ec) return flush();
        std::string text;
        while (text.find("\r\n\r\n") == std::string::npos && !ec) {
            char octets[4096];
            const auto r = engine.read(octets, sizeof octets);
            if (r.state == tls::read_state::data)
                text.append(octets, r.size);
            else if (r.state == tls::read_state::want_input)
                more();
            else
                return;
        }
        std::string answer;
        {
            const std::scoped_lock lock(mutex_);
            request_ = text;
            answer = answer_;
        }
        ++requests_;
        for (std::size_t at = 0; at < answer.size() && !ec; flush())
            at += engine.write(std::string_view(answer).substr(at));
        engine.close();
        flush();
    }

    scratch_folder folder_;
    testing::authority authority_;
    testing::server_identity id_;
    std::shared_ptr<const tls::mbedtls_context> tls_;
    mutable std::mutex mutex_;
    std::string answer_;
    std::string request_;
    std::string domain_;
    std::filesystem::path ca_;
    asio::io_context context_;
    tcp::acceptor acceptor_{context_, {asio::ip::address_v4::loopback(), 0}};
    std::atomic<int> requests_ = 0;
    std::atomic<bool> stops_ = false;
    std::thread thread_;
};

std::optional<net::sts_policy> ask(const https_policies& policies, const net::sts_record& record,
                                   const std::string& domain = "d.example") {
    std::promise<std::optional<net::sts_policy>> p;
    policies(domain, record, [&](auto found) { p.set_value(std::move(found)); });
    return p.get_future().get();
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
    };
    for (const auto& row : std::initializer_list<row>{
             {"another status", http_reply(good, "404 Not Found")},
             {"a redirect", "HTTP/1.1 301 Moved\r\nLocation: https://mta-sts.d.example/x\r\nContent-Length: 0\r\n\r\n"},
             {"HTML", http_reply(good, "200 OK", "text/html")},
             {"a type that only begins so", http_reply(good, "200 OK", "text/plainer")},
             {"nonsense", http_reply("nonsense")},
             {"more than 64 KiB", http_reply(good + "x: " + std::string(70'000, 'x'))},
             {"cut off", http_reply(good).substr(0, http_reply(good).size() - 10)},
             {"no HTTP", "220 mail.example ESMTP\r\n"},
         }) {
        CAPTURE(row.what);
        web_server web(row.answer);
        const https_policies policies(web.options());
        CHECK_FALSE(ask(policies, one));
        // It is not tried again at once.
        CHECK_FALSE(ask(policies, one));
        CHECK(web.requests() == 1);
    }
    web_server web(http_reply(good));
    const https_policies policies(web.options());
    CHECK(ask(policies, one));
    web.answer(http_reply(good, "500 Broken"));
    CHECK(ask(policies, two)->mode == sts_mode::enforce);
    CHECK(web.requests() == 2);
}

TEST_CASE("the server of policies must show a certificate of its name, at a public address") {
    web_server web(http_reply(good), "other.example");
    auto options = web.options();
    const auto port = std::to_string(options.port);
    SUBCASE("another name") {
        options.addresses = {"mta-sts.d.example:" + port + ":127.0.0.1"};
        CHECK_FALSE(ask(https_policies(options), one));
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
