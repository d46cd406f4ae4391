// Credentials that are fetched when a connection needs them, over real sockets.
#include <postroad/postroad.hpp>
#include <postroad/testing/sink.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using namespace postroad;
using namespace std::chrono_literals;
using postroad::smtp::credentials_handler;
using postroad::smtp::credentials_request;
using testing::sink;

namespace {

message hello() { return message{}.from("ann@example.com").to("bob@example.org").subject("Hello").text("Hello"); }

sink token_server() {
    return sink({.security = security::starttls,
                 .users = {{"ann@example.com", "fresh-token"}},
                 .mechanisms = {"XOAUTH2"},
                 .require_auth = true});
}

transport::smtp from(const sink& s, postroad::smtp::credentials_source source) {
    auto o = transport::smtp(s.url()).options();
    o.credentials_source = std::move(source);
    return transport::smtp(std::move(o));
}

postroad::smtp::credentials token(const std::string& value) {
    return {.user = "ann@example.com", .token = secret(value)};
}

}  // namespace

TEST_CASE("a connection authenticates with what its source returns") {
    auto s = token_server();
    mailer mail{from(s, [](const credentials_request&) { return token("fresh-token"); }),
                tls::required{.options = {.ca_pem = s.ca_pem()}}};
    mail.send(hello()).require_accepted();
    CHECK(s.messages().at(0).user == "ann@example.com");
    CHECK(s.violations().empty());
}

TEST_CASE("OAuth: a refused token is fetched anew, and goes over the same connection") {
    auto s = token_server();
    std::vector<secret> asked;
    mailer mail{from(s,
                     [&](const credentials_request& r) {
                         asked.push_back(r.refused_token);
                         return token(r.refused_token.empty() ? "stale-token" : "fresh-token");
                     }),
                tls::required{.options = {.ca_pem = s.ca_pem()}}};
    mail.send(hello()).require_accepted();
    CHECK(asked == std::vector<secret>{secret(), secret("stale-token")});
    CHECK(s.state().counts().auth_attempts == 2);
    CHECK(s.violations().empty());
}

TEST_CASE("a source may answer later, on a thread of its own") {
    auto s = token_server();
    std::vector<std::jthread> threads;
    mailer mail{
        from(s,
             [&](const credentials_request&, credentials_handler done) {
                 threads.emplace_back([done = std::move(done)] { done({.credentials = token("fresh-token")}); });
             }),
        tls::required{.options = {.ca_pem = s.ca_pem()}}};
    mail.send(hello()).require_accepted();
}

TEST_CASE("a source that has none makes the message fail with its reason") {
    auto s = token_server();
    auto t = from(s, [](const credentials_request&) -> postroad::smtp::credentials {
        throw error(errc::credentials_unavailable, "the identity provider is down");
    });
    mailer mail{std::move(t), tls::required{.options = {.ca_pem = s.ca_pem()}}};
    error_code ec;
    const auto o = mail.send(hello(), ec);
    CHECK(ec == errc::credentials_unavailable);
    CHECK(o.details.where == phase::auth);
    CHECK(o.details.explanation == "the identity provider is down");
    CHECK(s.state().counts().auth_attempts == 0);
}

TEST_CASE("a mailer that is destroyed does not wait for its source, and a late answer does no harm") {
    auto s = token_server();
    std::promise<credentials_handler> asked;
    {
        mailer mail{
            from(s, [&](const credentials_request&, credentials_handler done) { asked.set_value(std::move(done)); }),
            tls::required{.options = {.ca_pem = s.ca_pem()}}};
        const auto t = mail.submit(hello());
        const auto done = asked.get_future().get();
        std::promise<credentials_handler>().swap(asked);
        asked.set_value(done);
    }
    asked.get_future().get()({.credentials = token("fresh-token")});
    CHECK(s.messages().empty());
}

TEST_CASE("fixed credentials and a source of credentials contradict each other") {
    transport::smtp_options o{.server = {"mx.example", 587}};
    o.credentials = {.user = "a", .password = secret("b")};
    o.credentials_source = [](const credentials_request&) { return postroad::smtp::credentials{}; };
    try {
        const transport::smtp t(o);
        FAIL("accepted");
    } catch (const error& e) {
        CHECK(e.code() == errc::contradiction);
    }
}
