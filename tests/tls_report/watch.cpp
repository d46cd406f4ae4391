// Sessions counted by watching a mailer: by domain and policy, once each, and what they failed for.
#include <postroad/net/tls_watch.hpp>
#include <postroad/postroad.hpp>
#include <postroad/testing/scripted_resolver.hpp>
#include <postroad/testing/sink.hpp>
#include <postroad/transport/mx_transport.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

using namespace postroad;
using namespace postroad::net;

namespace {

constexpr report_day day{std::chrono::year(2026) / 11 / 28};

/// "a.example no-policy-found a.example 2+0, ..."; failures by name.
std::string counted(tls_watch& w) {
    std::string all;
    w.use([&](tls_results& r) {
        for (const auto& [when, domain] : r.ended(day + std::chrono::days(1)))
            for (const auto& [policy, c] : r.find(domain, when)->policies) {
                all += (all.empty() ? "" : ", ") + domain + " " + std::string(to_string(policy.type)) + " " +
                       policy.domain + " " + std::to_string(c.successes) + "+" + std::to_string(c.failures);
                for (const auto& [f, n] : c.details) all += " " + std::string(to_string(f.result));
            }
    });
    return all;
}
std::optional<tls_failure> first_failure(tls_watch& w, const std::string& domain) {
    std::optional<tls_failure> f;
    w.use([&](tls_results& r) { f = r.find(domain, day)->policies.begin()->second.details.begin()->first; });
    return f;
}

struct watched {
    tls_watch w{{.sending_ip = "203.0.113.7", .today = [] { return day; }}};
    std::uint64_t last = 0;

    void see(observation o) {
        o.connection = last;
        w.on(o);
    }
    void dial(std::string_view server) {
        ++last;
        see({.what = observed::dialing, .server = server});
        see({.what = observed::connected, .text = "192.0.2.1"});
        const reply greeting{220, {}, "mx.a.example ESMTP\nready"};
        see({.what = observed::reply, .where = phase::greeting, .answer = &greeting});
    }
    void hello(const char* extensions) {
        const reply r{250, {}, extensions};
        see({.what = observed::reply, .where = phase::hello, .answer = &r});
    }
    void tls(const char* facts = "TLSv1.3, verified") { see({.what = observed::tls_established, .text = facts}); }
    void rcpt(const std::string& to) { see({.what = observed::command, .text = "RCPT TO:<" + to + ">"}); }
    void close(error_code ec = {}, const char* text = "") {
        see({.what = observed::closed, .text = text, .error = ec});
    }
};

const endpoint mx{.name = "mx.a.example", .port = 25, .security = security::opportunistic};

}  // namespace

TEST_CASE("a session counts once for each domain that has mail on it") {
    watched t;
    t.w.located("a.example", {mx}, {});
    t.w.located("b.example", {mx}, {});
    t.dial("mx.a.example:25");
    t.hello("mx\nSTARTTLS");
    t.tls();
    for (const auto* to : {"x@a.example", "y@A.example", "x@b.example", "x@stranger.example", "x@a.example"})
        t.rcpt(to);
    t.close();
    CHECK(counted(t.w) == "a.example no-policy-found a.example 1+0, b.example no-policy-found b.example 1+0");
    t.dial("mx.a.example:25");
    t.tls();
    t.rcpt("x@a.example");
    t.close(errc::connection_closed);
    CHECK(counted(t.w) == "a.example no-policy-found a.example 2+0, b.example no-policy-found b.example 1+0");
}

TEST_CASE("an international domain is told in A-labels, however its recipients are written") {
    watched t;
    t.w.located("xn--exmple-cua.example", {mx}, {});
    t.dial("mx.a.example:25");
    t.tls();
    for (const auto* to : {"x@ex\u00e4mple.example", "y@xn--exmple-cua.example", "z@EX\u00c4MPLE.example"}) t.rcpt(to);
    t.close();
    CHECK(counted(t.w) == "xn--exmple-cua.example no-policy-found xn--exmple-cua.example 1+0");
}

TEST_CASE("domains that mail went to once make room for those of today") {
    auto today = day;
    tls_watch w({.today = [&] { return today; }});
    for (std::size_t i = 0; i < tls_results::max_domains; ++i)
        w.located("d" + std::to_string(i) + ".example", {mx}, {});
    const auto counts = [&](const std::string& domain) {
        w.located(domain, {mx}, {});
        w.on({.what = observed::dialing, .connection = 1, .server = "mx.a.example:25"});
        w.on({.what = observed::tls_established, .connection = 1, .text = "TLSv1.3, verified"});
        w.on({.what = observed::command, .connection = 1, .text = "RCPT TO:<x@" + domain + ">"});
        w.on({.what = observed::closed, .connection = 1});
        bool counted = false;
        w.use([&](tls_results& r) { counted = r.find(domain, today) != nullptr; });
        return counted;
    };
    // All places are taken, by domains of today.
    CHECK_FALSE(counts("new.example"));
    today += std::chrono::days(1);
    w.located("d7.example", {mx}, {});
    CHECK_FALSE(counts("other.example"));
    today += std::chrono::days(1);
    CHECK(counts("new.example"));
    CHECK(counts("d7.example"));
}

TEST_CASE("a server without TLS is a failure, one whose handshake broke is not counted again") {
    watched t;
    t.w.located("a.example", {mx}, {});
    t.dial("mx.a.example:25");
    t.hello("mx\nPIPELINING");
    t.rcpt("x@a.example");
    t.close();
    CHECK(counted(t.w) == "a.example no-policy-found a.example 0+1 starttls-not-supported");
    CHECK(*first_failure(t.w, "a.example") == tls_failure{.result = tls_result::starttls_not_supported,
                                                          .sending_ip = "203.0.113.7",
                                                          .mx_host = "mx.a.example",
                                                          .mx_helo = "mx.a.example",
                                                          .receiving_ip = "192.0.2.1"});
    t.dial("mx.a.example:25");
    t.hello("mx\nSTARTTLS");
    t.close(errc::tls_handshake, "it sent the alert handshake_failure");
    t.dial("mx.a.example:25");
    t.hello("mx\nSTARTTLS");
    t.rcpt("x@a.example");
    t.close();
    CHECK(counted(t.w) == "a.example no-policy-found a.example 0+2 starttls-not-supported validation-failure");
}

TEST_CASE("what fails before there is mail counts for each domain at that server, by what it demands") {
    watched t;
    auto dane = mx;
    dane.tlsa = {std::string("\3\1\1\xab\xcd", 5)};
    t.w.located("a.example", {dane, {.name = "mx2.a.example", .port = 25}}, {});
    t.w.located("b.example", {mx},
                sts_policy{.mode = sts_mode::enforce, .max_age = std::chrono::seconds(86400), .mx = {"*.a.example"}});
    t.w.located("c.example", {mx}, sts_policy{.mode = sts_mode::testing, .mx = {"*.a.example"}});
    t.w.located("d.example", {{.name = "mx.d.example", .port = 25}}, {});
    const auto fail = [&](errc e, const char* text) {
        t.dial("mx.a.example:25");
        t.close(e, text);
    };
    fail(errc::tls_certificate, "certificate of mx.a.example expired on 2020-02-01");
    CHECK(counted(t.w) ==
          "a.example tlsa mx.a.example 0+1 certificate-expired, b.example sts b.example 0+1 certificate-expired, "
          "c.example sts c.example 0+1 certificate-expired");
    t.w.use([](tls_results& r) {
        CHECK(r.find("a.example", day)->policies.begin()->first.text == std::vector<std::string>{"3 1 1 ABCD"});
        CHECK(r.find("b.example", day)->policies.begin()->first.text ==
              std::vector<std::string>{"version: STSv1", "mode: enforce", "mx: *.a.example", "max_age: 86400"});
    });
    // A domain that has moved is not at its old servers.
    t.w.located("a.example", {{.name = "mx.d.example", .port = 25}}, {});
    t.w.located("c.example", {{.name = "mx.d.example", .port = 25}}, {});
    fail(errc::tls_certificate, "certificate of mx.a.example is for b.example; expected mx.a.example");
    fail(errc::tls_certificate, "certificate of mx.a.example is self-signed; give ca_file if it is your own");
    fail(errc::tls_certificate, "anything else");
    fail(errc::tls_not_offered, "");
    fail(errc::timed_out, "no TLS in this");
    fail(errc::greeting_refused, "");
    const auto all = counted(t.w);
    CHECK(all.find("b.example sts b.example 0+5 starttls-not-supported certificate-host-mismatch certificate-expired "
                   "certificate-not-trusted validation-failure") != std::string::npos);
    CHECK(all.find("a.example tlsa mx.a.example 0+1") == 0);
    CHECK(all.find("d.example") == std::string::npos);
}

TEST_CASE("what breaks a policy in mode testing is a failure, though mail goes on") {
    watched t;
    const sts_policy testing{.mode = sts_mode::testing, .max_age = std::chrono::seconds(86400), .mx = {"*.a.example"}};
    auto dane = mx;
    dane.tlsa = {std::string("\3\1\1\xab\xcd", 5)};
    t.w.located("a.example", {mx}, testing);
    t.w.located("b.example", {mx}, {});
    t.w.located("c.example", {mx}, sts_policy{.mode = sts_mode::testing, .mx = {"mx.c.example"}});
    t.w.located("d.example", {dane}, testing);
    t.w.located("e.example", {mx}, sts_policy{.mode = sts_mode::none});
    const auto send = [&](const char* facts) {
        t.dial("mx.a.example:25");
        t.hello("mx\nSTARTTLS");
        t.tls(facts);
        for (const auto* to : {"x@a.example", "x@b.example", "x@c.example", "x@d.example", "x@e.example"}) t.rcpt(to);
        t.close();
    };
    send("TLSv1.3, CN=mx.a.example, verified");
    CHECK(counted(t.w) ==
          "a.example sts a.example 1+0, b.example no-policy-found b.example 1+0, "
          "c.example sts c.example 0+1 validation-failure, d.example tlsa mx.a.example 1+0, "
          "e.example no-policy-found e.example 1+0");
    send("TLSv1.3, CN=x, not verified: is for x.example; expected mx.a.example, resumed");
    send("TLSv1.3, CN=x, not verified: expired on 2020-02-01");
    send("TLSv1.3, CN=x, not verified: is self-signed");
    send("TLSv1.3, not verified");
    CHECK(counted(t.w) ==
          "a.example sts a.example 1+4 certificate-host-mismatch certificate-expired certificate-not-trusted "
          "validation-failure, b.example no-policy-found b.example 5+0, "
          "c.example sts c.example 0+5 validation-failure, d.example tlsa mx.a.example 5+0, "
          "e.example no-policy-found e.example 5+0");
    CHECK(first_failure(t.w, "c.example")->information == "the policy does not name this server");
    t.w.use(
        [](tls_results& r) { CHECK(r.find("a.example", day)->policies.begin()->first.text.at(1) == "mode: testing"); });
}

TEST_CASE("failures count for a hundred domains at a server, and no more") {
    watched t;
    for (std::size_t i = 0; i <= tls_watch::max_domains_at_server; ++i)
        t.w.located("d" + std::to_string(i) + ".example", {mx}, {});
    t.dial("mx.a.example:25");
    t.close(errc::tls_handshake);
    t.w.use([](tls_results& r) { CHECK(r.size() == tls_watch::max_domains_at_server); });
}

TEST_CASE("mailers that share a watch number their connections alike, and are told apart") {
    testing::sink server({.security = security::starttls});
    auto watch = std::make_shared<tls_watch>(tls_watch_options{.today = [] { return day; }});
    auto dns = std::make_shared<testing::scripted_resolver>();
    for (const std::string domain : {"a.example", "b.example"})
        dns->mx(domain, 10, "mx." + domain).address("mx." + domain, "127.0.0.1");
    const transport::mx_options options{
        .client_name = "out.sender.example", .port = server.port(), .private_addresses = true, .tls_reports = watch};
    const auto to = [](const char* who) {
        return message{}.from("ann@sender.example").to(who).subject("Hello").text("Hello");
    };
    mailer first{transport::basic_mx<testing::scripted_resolver>{options, dns}};
    mailer second{transport::basic_mx<testing::scripted_resolver>{options, dns}};
    first.observe(watch);
    second.observe(watch);
    CHECK(first.send(to("bob@a.example")).all_accepted());
    CHECK(second.send(to("bob@b.example")).all_accepted());
    CHECK(first.send(to("bob@a.example")).all_accepted());  // on its connection
    CHECK(counted(*watch) == "a.example no-policy-found a.example 1+0, b.example no-policy-found b.example 1+0");
}

TEST_CASE("a mailer that sends directly is watched") {
    testing::sink secure({.security = security::starttls});
    auto watch = std::make_shared<tls_watch>(tls_watch_options{.today = [] { return day; }});
    auto dns = std::make_shared<testing::scripted_resolver>();
    dns->mx("a.example", 10, "mx.a.example").address("mx.a.example", "127.0.0.1");
    const auto letter = message{}.from("ann@sender.example").to("bob@a.example").subject("Hello").text("Hello");
    transport::mx_options options{
        .client_name = "out.sender.example", .port = secure.port(), .private_addresses = true, .tls_reports = watch};
    {
        mailer mail{transport::basic_mx<testing::scripted_resolver>{options, dns}};
        mail.observe(watch);
        CHECK(mail.send(letter).all_accepted());
        CHECK(mail.send(letter).all_accepted());
    }
    CHECK(counted(*watch) == "a.example no-policy-found a.example 1+0");
    // The certificate of the sink is by nobody's CA: a policy in mode testing is broken, and the mail arrives.
    options.policies = [](const std::string&, const sts_record&, const sts_handler& done) {
        done(sts_policy{.mode = sts_mode::testing, .max_age = std::chrono::seconds(1), .mx = {"mx.a.example"}});
    };
    {
        mailer mail{transport::basic_mx<testing::scripted_resolver>{options, dns}};
        mail.observe(watch);
        CHECK(mail.send(letter).all_accepted());
    }
    const std::string before =
        "a.example sts a.example 0+1 certificate-host-mismatch, a.example no-policy-found a.example ";
    CHECK(counted(*watch) == before + "1+0");
    options.policies = {};
    testing::sink clear;
    options.port = clear.port();
    {
        mailer mail{transport::basic_mx<testing::scripted_resolver>{options, dns}};
        mail.observe(watch);
        CHECK(mail.send(letter).all_accepted());
    }
    CHECK(counted(*watch) == before + "1+1 starttls-not-supported");
}
