// Diagnosis, over real sockets.
#include <postroad/diagnose.hpp>
#include <postroad/services.hpp>
#include <postroad/testing/sink.hpp>

#include "refusing_port.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <string_view>

using namespace postroad;
using namespace std::chrono_literals;
using testing::fault;
using testing::sink;

namespace {

tls::automatic trusting(const sink& s) { return {.options = {.ca_pem = s.ca_pem()}}; }

const diagnosis_step* find(const diagnosis& d, phase where, grade how) {
    const auto found =
        std::ranges::find_if(d.steps, [&](const auto& step) { return step.where == where && step.how == how; });
    return found == d.steps.end() ? nullptr : &*found;
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a server that works is good at every step, and gets no message") {
    sink s({.security = security::starttls, .users = {{"ann", "top-secret"}}, .require_auth = true});
    const auto seen = std::make_shared<transcript>();
    const auto d = diagnose(transport::smtp{s.url("ann")}, trusting(s),
                            {.from = "ann@example.com", .to = {"bob@example.org", "eve@example.org"}, .also = seen});
    const auto text = to_string(d);
    CAPTURE(text);
    CHECK(d.good());
    for (const auto p : {phase::resolve, phase::connect, phase::greeting, phase::hello, phase::tls, phase::auth,
                         phase::mail, phase::rcpt})
        CHECK(find(d, p, grade::good));
    CHECK(has(text, "  ok      rcpt "));
    CHECK(has(text, "RCPT TO:<eve@example.org>: 250 "));
    CHECK_FALSE(has(text, "BAD"));
    CHECK_FALSE(has(text, "top-secret"));
    CHECK(s.messages().empty());
    CHECK(s.violations().empty());
    CHECK(has(seen->text(), "C: QUIT"));
    CHECK_FALSE(has(seen->text(), "DATA"));
}

TEST_CASE("a diagnosis without recipients ends when the server is ready") {
    sink s;
    const auto d = diagnose(s.url());
    CHECK(d.good());
    CHECK_FALSE(find(d, phase::mail, grade::good));
    const auto* clear = find(d, phase::tls, grade::notice);
    REQUIRE(clear);
    CHECK(clear->text == "everything goes in the clear");
}

TEST_CASE("a wrong password is found at AUTH, with the server's words and what to do") {
    sink s({.security = security::starttls, .users = {{"ann", "top-secret"}}});
    auto o = transport::smtp(s.url("ann")).options();
    o.credentials.password = secret("wrong-secret");
    const auto d = diagnose(transport::smtp{o}, trusting(s));
    CHECK(d.error == errc::authentication_rejected);
    const auto* step = find(d, phase::auth, grade::bad);
    REQUIRE(step);
    CHECK(has(step->text, "it said: 535 "));
    CHECK(has(step->advice, "password"));
    CHECK_FALSE(has(to_string(d), "wrong-secret"));
    CHECK(s.state().counts().auth_attempts == 1);
}

TEST_CASE("a certificate that nobody vouches for is found at TLS") {
    sink s({.security = security::starttls});
    const auto d = diagnose(s.url());
    CHECK(d.error == errc::tls_certificate);
    const auto* step = find(d, phase::tls, grade::bad);
    REQUIRE(step);
    CHECK(has(step->advice, "?ca=FILE"));
}

TEST_CASE("a refused recipient is a step of its own, and the others are asked as well") {
    sink s({.recipient_limit = 1});
    const auto d = diagnose(s.url(), {.to = {"bob@example.org", "eve@example.org"}});
    CHECK(d.error == errc::recipients_deferred);
    CHECK(find(d, phase::rcpt, grade::good));
    const auto* step = find(d, phase::rcpt, grade::bad);
    REQUIRE(step);
    CHECK(has(step->text, "RCPT TO:<eve@example.org>: 452 "));
    CHECK_FALSE(step->advice.empty());
}

TEST_CASE("nobody at the port is found at connect") {
    const refusing_port nobody;
    const auto d = diagnose("smtp+insecure://" + nobody.at("localhost"));
    CHECK(d.error == std::errc::connection_refused);
    const auto* step = find(d, phase::connect, grade::bad);
    REQUIRE(step);
    CHECK(has(step->advice, "587"));
}

TEST_CASE("a server that keeps silent is given up after the patience of the caller") {
    sink s({.faults = {fault::stall(phase::greeting)}});
    auto d = diagnose(s.url(), {.patience = 50ms});
    // On a busy machine it may be over before there is a connection.
    if (!find(d, phase::greeting, grade::bad)) d = diagnose(s.url(), {.patience = 10s});
    CHECK(d.error == errc::timed_out);
    const auto* step = find(d, phase::greeting, grade::bad);
    REQUIRE(step);
    CHECK(has(step->advice, "smtps://"));
}

TEST_CASE("a diagnosis asks a source for credentials") {
    sink s({.security = security::starttls,
            .users = {{"ann@example.com", "fresh-token"}},
            .mechanisms = {"XOAUTH2"},
            .require_auth = true});
    auto o = transport::smtp(s.url()).options();
    o.credentials_source = [](const postroad::smtp::credentials_request& r) {
        return postroad::smtp::credentials{.user = "ann@example.com",
                                           .token = secret(r.refused_token.empty() ? "stale-token" : "fresh-token")};
    };
    const auto d = diagnose(transport::smtp{o}, trusting(s));
    CHECK(d.good());
    CHECK(find(d, phase::auth, grade::notice));
    CHECK_FALSE(has(to_string(d), "no credentials are given"));
}

TEST_CASE("what is wrong with the input is thrown, not diagnosed") {
    CHECK_THROWS_AS((void)diagnose("mail.example.com"), error);
    CHECK_THROWS_AS((void)diagnose("smtp://mail.example.com", {.to = {"bob"}}), error);
}

TEST_CASE("a mail address stands for the server of its provider, a URL for itself") {
    CHECK(submission_url("ann@gmail.com") == "smtps://smtp.gmail.com");
    CHECK(submission_url("ann@GMX.de") == "smtps://mail.gmx.net");
    CHECK(submission_url("ann@me.com") == "smtp://smtp.mail.me.com");
    for (const auto* url : {"smtp://ann:x@gmail.com", "smtps://a@b", "mail.example.com", ""})
        CHECK(submission_url(url) == url);
    for (const auto* unknown :
         {"ann@example.org", "ann@mail.com", "ann@com", "ann@gmail.com.example", "ann@xgmail.com"})
        CHECK_THROWS_AS((void)submission_url(unknown), error);
    CHECK_THROWS_WITH((void)submission_url("ann@example.org"),
                      "no submission server is known for the domain example.org of the address; "
                      "give its URL, such as smtps://smtp.example.com");
}

TEST_CASE("each service is a server that TLS protects, under a name that can be its certificate's") {
    std::string_view before;
    std::set<std::string> domains;
    for (const auto& s : services()) {
        CAPTURE(s.name);
        CHECK(before < s.name);
        before = s.name;
        CHECK_FALSE(s.hint.empty());
        CHECK(s.source.starts_with("https://"));
        const auto& l = s.limits;
        const bool published =
            l.messages_a_day + l.recipients_a_day + l.recipients_a_message + l.megabytes_a_message > 0;
        CHECK(published == l.source.starts_with("https://"));
        CHECK(published == (l.seen.size() == 10));
        const auto server = transport::smtp{s.url()}.hosts({}).front();
        CHECK(server.name == s.host);
        CHECK(server.port == s.port);
        CHECK(server.security == s.security);
        CHECK((s.security == security::implicit || s.security == security::starttls));
        CHECK(tls::is_host_name(s.host));
        std::istringstream all{std::string(s.domains)};
        for (std::string domain; all >> domain;) {
            CHECK(domains.insert(domain).second);
            CHECK(submission_url("ann@" + domain) == s.url());
        }
    }
    CHECK(find_service_of("GMX.at")->name == "gmx");
    CHECK(published_size("SMTP.postmarkapp.com:587").starts_with("postmark takes 10 MB a message"));
    for (const auto* none : {"", "smtp.gmx.net", "smtp.gmail.com:587", "x.smtp.postmarkapp.com"})
        CHECK(published_size(none).empty());
    for (const auto* none : {"", " ", "com", "gmx.net gmx.de", "x.gmx.net"}) CHECK_FALSE(find_service_of(none));
    CHECK(service{.host = "mx.example", .port = 2525}.url() == "smtp://mx.example:2525");
}
