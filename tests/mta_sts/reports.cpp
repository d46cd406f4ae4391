// Reports on TLS to a server of HTTPS in this process.
#include <postroad/core/error.hpp>
#include <postroad/net/tls_report_https.hpp>

#include "https_server.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <string>

using namespace postroad;
using namespace std::chrono_literals;
using net::https_report_options;
using net::post_tls_report;

namespace {

const std::string report = std::string("\x1f\x8b\0\r\n\r\n", 8) + "octets, and no text";

https_report_options options_for(const https_server& web) {
    return {.ca_file = web.ca_file(), .private_addresses = true, .addresses = {web.address()}};
}
std::string url_of(const https_server& web) {
    return "https://reports.d.example:" + std::to_string(web.port()) + "/v1/tls?a=b";
}

}  // namespace

TEST_CASE("a report is posted as it is, with its type, and the status says what became of it") {
    https_server web(http_reply("", "201 Created"), "reports.d.example");
    const auto a = post_tls_report(report, url_of(web), options_for(web));
    CHECK(a.status == 201);
    CHECK(a.is_taken());
    CHECK_FALSE(a.is_refused());
    CHECK(web.request().starts_with("POST /v1/tls?a=b HTTP/1.1\r\nHost: reports.d.example:"));
    CHECK(web.request().find("\r\nContent-Type: application/tlsrpt+gzip\r\n") != std::string::npos);
    CHECK(web.request().find("\r\nExpect:") == std::string::npos);
    CHECK(web.request().ends_with("\r\n\r\n" + report));
    web.answer(http_reply(std::string(2 * net::max_report_answer, 'x')));
    CHECK(post_tls_report(report, url_of(web), options_for(web)).is_taken());
}

TEST_CASE("what is refused is so for good, or not") {
    struct row {
        const char* status;
        bool for_good;
    };
    for (const auto& row :
         {row{"301 Moved", true}, row{"400 Bad", true}, row{"403 Forbidden", true}, row{"408 Timeout", false},
          row{"429 Slowly", false}, row{"500 Broken", false}, row{"503 Later", false}}) {
        CAPTURE(row.status);
        https_server web("HTTP/1.1 " + std::string(row.status) +
                             "\r\nLocation: https://reports.d.example/\r\nContent-Length: 0\r\n\r\n",
                         "reports.d.example");
        const auto a = post_tls_report(report, url_of(web), options_for(web));
        CHECK_FALSE(a.is_taken());
        CHECK(a.is_refused() == row.for_good);
        CHECK(web.requests() == 1);
    }
}

TEST_CASE("a report goes only where it is sure to arrive") {
    https_server web(http_reply(""), "reports.d.example");
    auto options = options_for(web);
    const auto why = [&] {
        const auto a = post_tls_report(report, url_of(web), options);
        CHECK(a.status == 0);
        CHECK_FALSE(a.is_refused());
        CHECK(web.requests() == 0);
        return a.why;
    };
    SUBCASE("not to a CA that is not known") {
        options.ca_file.clear();
        CHECK_FALSE(why().empty());
    }
    SUBCASE("not to this machine because a stranger says so") {
        options.private_addresses = false;
        CHECK_FALSE(why().empty());
    }
    SUBCASE("not to another name") {
        options.addresses = {"other.example:" + std::to_string(web.port()) + ":127.0.0.1"};
        const auto a = post_tls_report(report, "https://other.example:" + std::to_string(web.port()), options);
        CHECK_FALSE(a.why.empty());
    }
    SUBCASE("not in the clear") {
        for (const auto* url : {"http://reports.d.example", "file:///etc/passwd", "", "https:/reports.d.example"})
            CHECK_THROWS_AS(post_tls_report(report, url, options), error);
    }
}

TEST_CASE("a server that says nothing has an end") {
    asio::io_context context;
    asio::ip::tcp::acceptor silent(context, {asio::ip::address_v4::loopback(), 0});
    const auto port = std::to_string(silent.local_endpoint().port());
    const auto a = post_tls_report(
        report, "https://reports.d.example:" + port,
        {.timeout = 50ms, .private_addresses = true, .addresses = {"reports.d.example:" + port + ":127.0.0.1"}});
    CHECK(a.status == 0);
    CHECK_FALSE(a.why.empty());
}
