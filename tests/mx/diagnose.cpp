// Diagnosis of mail without a relay: a scripted DNS, servers in this process.
#include <postroad/diagnose_direct.hpp>
#include <postroad/testing/scripted_resolver.hpp>
#include <postroad/testing/sink.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

using namespace postroad;
using testing::scripted_resolver;
using testing::sink;

namespace {

struct world {
    std::shared_ptr<scripted_resolver> dns = std::make_shared<scripted_resolver>();
    transport::mx_options options = {.client_name = "out.sender.example", .private_addresses = true};

    diagnosis look(const sink& s, const std::vector<std::string>& to, const std::string& ca = {}) {
        options.port = s.port();
        return diagnose(options, waiting_for(dns), {.from = "ann@sender.example", .to = to}, {},
                        tls::automatic{.options = {.ca_pem = ca}});
    }
};

const diagnosis_step* find(const diagnosis& d, std::string_view part) {
    const auto found =
        std::ranges::find_if(d.steps, [&](const auto& s) { return s.text.find(part) != std::string::npos; });
    return found == d.steps.end() ? nullptr : &*found;
}

}  // namespace

TEST_CASE("each step of the way is told, and nothing is sent") {
    const sink s({.security = security::starttls});
    world w;
    w.dns->mx("d.example", 20, "b.example").mx("d.example", 10, "a.example");
    w.dns->address("a.example", "127.0.0.1").address("b.example", "127.0.0.1");
    const auto d = w.look(s, {"bob@d.example", "eve@d.example"});
    const auto text = to_string(d);
    CAPTURE(text);
    CHECK(d.good());
    CHECK(find(d, "MX of d.example: 20 b.example, 10 a.example"));
    CHECK(find(d, "A of a.example: 127.0.0.1"));
    CHECK(find(d, "mail goes to a.example first (127.0.0.1): TLS if it offers it"));
    CHECK(find(d, "mail goes to b.example after better ones"));
    CHECK(find(d, "RCPT TO:<eve@d.example>: 250"));
    CHECK(find(d, "PTR: mail comes from 127.0.0.1"));
    // In the order in which mail tries them.
    CHECK(text.find("a.example:") < text.find("b.example:" + std::to_string(s.port())));
    CHECK(s.messages().empty());
    CHECK(s.violations().empty());
}

TEST_CASE("advice for users of a server of theirs is none here") {
    const sink s({.users = {{"ann", "secret"}}, .auth_in_clear = true, .require_auth = false});
    world w;
    w.dns->address("d.example", "127.0.0.1");
    const auto d = w.look(s, {"bob@d.example"});
    CHECK_FALSE(find(d, "credentials"));
    REQUIRE(find(d, "everything goes in the clear"));
    CHECK(find(d, "everything goes in the clear")->advice.find("smtp://") == std::string::npos);
}

TEST_CASE("nor is it where the server of a stranger refuses, or is not there") {
    const sink s({.faults = {testing::parse_fault("rcpt:0:554 5.7.1 <bob@d.example>: Relay access denied")}});
    world w;
    w.dns->mx("d.example", 10, "gone.example").address("gone.example", "127.0.0.9");
    w.dns->mx("d.example", 20, "a.example").address("a.example", "127.0.0.1");
    const auto d = w.look(s, {"bob@d.example"});
    const auto bad = std::ranges::count_if(d.steps, [](const auto& step) { return step.how == grade::bad; });
    CHECK(bad >= 2);
    for (const auto& step : d.steps) {
        CAPTURE(step.text);
        for (const auto* words : {"smtp://", "587", "Log in"}) CHECK(step.advice.find(words) == std::string::npos);
    }
    const auto* refused = find(d, "Relay access denied");
    REQUIRE(refused);
    CHECK(refused->advice.find("MX records") != std::string::npos);
}

TEST_CASE("a domain without a server says so, and the next one is looked at all the same") {
    const sink s;
    world w;
    w.dns->mx("null.example", 0, "").address("d.example", "127.0.0.1");
    const auto d = w.look(s, {"bob@null.example", "bob@gone.example", "bob@d.example"});
    CHECK(d.error == errc::domain_takes_no_mail);
    REQUIRE(find(d, "takes no mail"));
    CHECK(find(d, "takes no mail")->how == grade::bad);
    CHECK(find(d, "does not exist"));
    CHECK(find(d, "RCPT TO:<bob@d.example>: 250"));
}

TEST_CASE("wrong signatures are the domain's, unless the resolver passes none on at all") {
    const sink s;
    world w;
    w.dns->mx("d.example", 10, "a.example").sign("d.example", net::dns_trust::bogus);
    const auto advice = [&] {
        const auto d = w.look(s, {"bob@d.example"});
        const auto* step = find(d, "MX of d.example cannot be looked up");
        REQUIRE(step);
        return step->advice;
    };
    CHECK(advice().find("whoever runs the domain must mend its DNSSEC") != std::string::npos);
    w.dns->sign("root-servers.net", net::dns_trust::bogus);
    CHECK(advice().find("passes no DNSSEC on") != std::string::npos);
    CHECK(advice().find("whoever runs the domain") == std::string::npos);
}

TEST_CASE("what TLSA records demand is told, and whether the server meets it") {
    const sink s({.security = security::starttls}, {.certificate = {.names = {"a.example"}}});
    world w;
    w.dns->sign("example").mx("d.example", 10, "a.example").address("a.example", "127.0.0.1");
    w.options.port = s.port();
    const auto name = "_" + std::to_string(s.port()) + "._tcp.a.example";
    SUBCASE("it does not") {
        w.dns->tlsa(name, 3, 1, 1, std::string(32, 'x'));
        const auto d = w.look(s, {"bob@d.example"});
        CHECK(d.error == errc::tls_certificate);
        CHECK(find(d, "TLSA of " + name + ": 3 1 1 7878787878787878...; signed"));
        CHECK(find(d, "a certificate that a TLSA record describes (DANE)"));
        CHECK_FALSE(find(d, "RCPT"));
    }
    SUBCASE("they cannot be used") {
        w.dns->tlsa(name, 1, 1, 1, std::string(32, 'x'));
        const auto d = w.look(s, {"bob@d.example"});
        CHECK(d.good());
        CHECK(find(d, "verified by nobody"));
    }
    SUBCASE("they are bogus") {
        w.dns->tlsa(name, 3, 1, 1, std::string(32, 'x')).sign(name, net::dns_trust::bogus);
        const auto d = w.look(s, {"bob@d.example"});
        CHECK(d.error == errc::resolve_failed);
        REQUIRE(find(d, "TLSA of " + name + " cannot be looked up"));
        CHECK(find(d, "TLSA of " + name + " cannot be looked up")->advice.find("DNSSEC") != std::string::npos);
    }
}

TEST_CASE("a policy of MTA-STS is told, and what it demands") {
    const sink s({.security = security::starttls}, {.certificate = {.names = {"a.example"}}});
    world w;
    w.dns->mx("d.example", 10, "a.example").address("a.example", "127.0.0.1");
    w.dns->txt("_mta-sts.d.example", "v=STSv1; id=7;");
    std::optional<net::sts_policy> policy =
        net::sts_policy{.mode = net::sts_mode::enforce, .max_age = std::chrono::hours(24), .mx = {"a.example"}};
    w.options.policies = [&](const std::string&, const net::sts_record&, const net::sts_handler& done) {
        done(policy);
    };
    SUBCASE("met") {
        const auto d = w.look(s, {"bob@d.example"}, s.ca_pem());
        CAPTURE(to_string(d));
        CHECK(d.good());
        CHECK(find(d, "the policy of MTA-STS says enforce for a.example, and holds for 86400 s"));
        CHECK(find(d, "TLS, and a certificate by a CA for its name"));
    }
    SUBCASE("not met") { CHECK(w.look(s, {"bob@d.example"}).error == errc::tls_certificate); }
    SUBCASE("not to be had") {
        policy.reset();
        const auto d = w.look(s, {"bob@d.example"});
        REQUIRE(find(d, "cannot be fetched"));
        CHECK(find(d, "cannot be fetched")->how == grade::bad);
    }
}

TEST_CASE("a route is told, and taken") {
    sink s;
    const sink relay;
    world w;
    w.options.routes = {{.domain = "d.example", .url = relay.url()}, {.domain = "no.example", .refusal = "closed"}};
    const auto d = w.look(s, {"bob@d.example", "bob@no.example"});
    CHECK(find(d, "a route leads it to"));
    CHECK(find(d, "closed"));
    CHECK(d.error == errc::suppressed);
    CHECK(find(d, "RCPT TO:<bob@d.example>: 250"));
    CHECK(s.state().counts().connections_ever == 0);
}

TEST_CASE("a route into a Maildir is told, and nothing is written there") {
    sink s;
    world w;
    w.options.routes = {{.domain = "d.example", .url = "maildir:///nonexistent/box"}};
    const auto d = w.look(s, {"bob@d.example"});
    CHECK(find(d, "a route leads it into the Maildir /nonexistent/box"));
    CHECK_FALSE(d.error);
    CHECK(s.state().counts().connections_ever == 0);
}

TEST_CASE("an address that is wrong is refused") {
    const sink s;
    world w;
    CHECK_THROWS_AS((void)w.look(s, {"no address"}), error);
}
