// What servers of a domain say and do, one after the other, and what becomes of the mail. All of them are one sink,
// which misbehaves for the first connection, or for each.
#include <postroad/postroad.hpp>
#include <postroad/testing/scripted_resolver.hpp>
#include <postroad/testing/sink.hpp>
#include <postroad/transport/mx_transport.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

using namespace postroad;
using testing::scripted_resolver;
using testing::sink;
using direct = transport::basic_mx<scripted_resolver>;

namespace {

struct world {
    std::shared_ptr<scripted_resolver> dns = std::make_shared<scripted_resolver>();
    transport::mx_options options = {.client_name = "out.sender.example", .private_addresses = true};

    // Servers of a domain, by preference.
    void servers(const std::string& domain, const std::vector<std::string>& names) {
        for (std::uint16_t i = 0; i < names.size(); ++i) dns->mx(domain, i, names[i]).address(names[i], "127.0.0.1");
    }
    mailer<direct, tls::automatic> mail(const sink& s) {
        options.port = s.port();
        return mailer<direct, tls::automatic>{direct{options, dns}, tls::automatic{{.ca_pem = s.ca_pem()}}};
    }
};

outcome send(mailer<direct, tls::automatic>& mail, const std::string& to, error_code expected = {}) {
    error_code ec;
    auto o = mail.send(message{}.from("ann@sender.example").to(to).subject("Hello").text("Hello"), ec);
    if (expected) CHECK(ec == expected);
    return o;
}

net::sts_source enforced(std::vector<std::string> mx) {
    return [mx](const std::string& domain, const net::sts_record&, const net::sts_handler& done) {
        if (domain != "sts.example") return done(std::nullopt);
        done(net::sts_policy{.mode = net::sts_mode::enforce, .max_age = std::chrono::hours(1), .mx = mx});
    };
}

}  // namespace

TEST_CASE("who is not ready is followed by the next server at once; who answers has answered for all") {
    struct row {
        std::string fault;
        status becomes;
        std::uint64_t connections;
    };
    for (const auto& row : std::vector<row>{
             {"greeting:1:554 5.7.1 no service for you", status::accepted, 2},
             {"greeting:1:521 5.3.2 this host takes no mail", status::accepted, 2},
             {"greeting:1:421 4.7.0 too many connections", status::accepted, 2},
             {"greeting:1:451 please try another server", status::accepted, 2},
             {"greeting:1:IPTS04", status::accepted, 2},
             {"greeting:1:591 a code of their own", status::accepted, 2},
             {"greeting:1:|drop", status::accepted, 2},
             {"hello:1:421 4.3.2 shutting down", status::accepted, 2},
             {"hello:1:|drop", status::accepted, 2},
             {"mail:1:421 4.3.2 shutting down", status::accepted, 2},
             {"mail:1:|drop", status::accepted, 2},
             {"greeting:0:554 5.7.1 no service for you", status::not_attempted, 2},
             {"greeting:0:421 4.7.0 too many connections", status::not_attempted, 2},
             {"rcpt:1:550 5.1.1 no such user", status::rejected, 1},
             {"rcpt:1:556 5.1.10 takes no mail", status::rejected, 1},
             {"rcpt:1:421 4.7.32 another digit", status::deferred, 1},
             {"rcpt:1:550 4.2.2 another digit", status::rejected, 1},
             {"rcpt:1:451 4.7.1 greylisted, try in 300 seconds", status::deferred, 1},
             {"rcpt:1:450-4.2.1 first\\r\\n450 4.2.1 second\\r\\n", status::deferred, 1},
             {"data:1:451 4.3.0 not now", status::deferred, 1},
             {"content:1:554 5.6.0 not such a message", status::rejected, 1},
             {"content:1:451 4.3.0 not now", status::deferred, 1},
             {"content:1:|drop", status::in_doubt, 1},
         }) {
        CAPTURE(row.fault);
        sink s({.faults = {testing::parse_fault(row.fault)}});
        world w;
        w.servers("d.example", {"a.example", "b.example"});
        {
            auto mail = w.mail(s);
            const auto o = send(mail, "bob@d.example");
            CHECK(o.recipients.at(0).status == row.becomes);
            CHECK(o.attempts <= 1);
        }
        CHECK(s.state().counts().connections_ever == row.connections);
        CHECK(s.messages().size() == (row.becomes == status::accepted ? 1 : 0));
    }
}

TEST_CASE("who cannot be reached from here is left alone for now, and the next one gets the mail") {
    sink s;
    world w;
    w.options.dialing.local_addresses = {"127.0.0.2"};
    w.dns->mx("d.example", 0, "six.example").address("six.example", "2001:db8::1");
    auto mail = w.mail(s);
    SUBCASE("there is no other") {
        const auto r = send(mail, "bob@d.example").recipients.at(0);
        CHECK(r.status != status::rejected);
        CHECK(r.status != status::accepted);
    }
    SUBCASE("there is one") {
        w.servers("d.example", {"six.example", "four.example"});
        w.dns->forget("six.example").address("six.example", "2001:db8::1");
        CHECK(send(mail, "bob@d.example").all_accepted());
    }
}

TEST_CASE("a policy wants the certificate of the very server, not of another that it names") {
    sink s({.security = security::starttls}, {.certificate = {.names = {"b.example"}}});
    world w;
    w.servers("sts.example", {"a.example"});
    w.dns->txt("_mta-sts.sts.example", "v=STSv1; id=1;");
    w.options.policies = enforced({"*.example"});
    auto mail = w.mail(s);
    const auto o = send(mail, "bob@sts.example", errc::tls_certificate);
    CHECK(o.recipients.at(0).status != status::rejected);
    CHECK(s.messages().empty());
}

TEST_CASE("what TLSA records refuse a policy does not allow") {
    sink s({.security = security::starttls}, {.certificate = {.names = {"a.example"}}});
    world w;
    w.dns->sign("example");
    w.servers("sts.example", {"a.example"});
    w.dns->txt("_mta-sts.sts.example", "v=STSv1; id=1;");
    w.options.policies = enforced({"a.example"});
    auto mail = w.mail(s);
    SUBCASE("records of another key") {
        w.dns->tlsa("_" + std::to_string(s.port()) + "._tcp.a.example", 3, 1, 1, std::string(32, 'x'));
        CHECK_FALSE(send(mail, "bob@sts.example", errc::tls_certificate).any_are(status::accepted));
        CHECK(s.messages().empty());
    }
    SUBCASE("records that nobody can use: then the policy decides") {
        w.dns->tlsa("_" + std::to_string(s.port()) + "._tcp.a.example", 1, 1, 1, std::string(32, 'x'));
        CHECK(send(mail, "bob@sts.example").all_accepted());
    }
    SUBCASE("none") { CHECK(send(mail, "bob@sts.example").all_accepted()); }
}

TEST_CASE("that TLS broke there once takes no demand away") {
    sink s({.security = security::starttls, .faults = {testing::parse_fault("starttls:1:220 go|drop")}},
           {.certificate = {.names = {"a.example"}}});
    world w;
    w.servers("plain.example", {"a.example"});
    w.servers("sts.example", {"a.example"});
    w.dns->forget("a.example").address("a.example", "127.0.0.1");
    w.dns->txt("_mta-sts.sts.example", "v=STSv1; id=1;");
    w.options.policies = enforced({"a.example"});
    auto mail = w.mail(s);
    CHECK(send(mail, "bob@plain.example").all_accepted());
    CHECK(send(mail, "bob@sts.example").all_accepted());
    REQUIRE(s.messages().size() == 2);
    CHECK_FALSE(s.messages()[0].tls);
    CHECK(s.messages()[1].tls);
}

TEST_CASE("STARTTLS that is refused goes on in the clear, unless more is demanded") {
    sink s({.security = security::starttls, .faults = {testing::parse_fault("starttls:0:454 4.7.0 not now")}},
           {.certificate = {.names = {"a.example"}}});
    world w;
    w.servers("plain.example", {"a.example"});
    w.servers("sts.example", {"a.example"});
    w.dns->forget("a.example").address("a.example", "127.0.0.1");
    w.dns->txt("_mta-sts.sts.example", "v=STSv1; id=1;");
    w.options.policies = enforced({"a.example"});
    auto mail = w.mail(s);
    CHECK(send(mail, "bob@plain.example").all_accepted());
    CHECK(s.state().counts().connections_ever == 1);
    CHECK_FALSE(send(mail, "bob@sts.example", errc::tls_refused).any_are(status::rejected));
    CHECK(s.messages().size() == 1);
}

TEST_CASE("a server whose name has an underscore gets mail, by TLS") {
    const sink s({.security = security::starttls});
    world w;
    w.servers("d.example", {"_mx_1.example"});
    auto mail = w.mail(s);
    CHECK(send(mail, "bob@d.example").all_accepted());
    CHECK(s.messages().at(0).tls);
}
