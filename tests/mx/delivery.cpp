// Mail that is really delivered: a mailer that looks domains up in a scripted DNS, and servers in this process.
#include <postroad/postroad.hpp>
#include <postroad/testing/scripted_resolver.hpp>
#include <postroad/testing/sink.hpp>
#include <postroad/transport/mx_transport.hpp>

#include "../scratch_folder.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

using namespace postroad;
using testing::scripted_resolver;
using testing::sink;
using direct = transport::basic_mx<scripted_resolver>;

namespace {

message to(const std::vector<std::string>& recipients) {
    auto m = message{}.from("ann@sender.example").subject("Hello").text("Hello");
    for (const auto& r : recipients) m.to(r);
    return m;
}

struct world {
    std::shared_ptr<scripted_resolver> dns = std::make_shared<scripted_resolver>();
    transport::mx_options options = {.client_name = "out.sender.example", .private_addresses = true};

    direct transport(const sink& s) {
        options.port = s.port();
        return direct(options, dns);
    }
};

std::string codes(const outcome& o) {
    std::string all;
    for (const auto& r : o.recipients)
        all += (all.empty() ? "" : ", ") + std::string(to_string(r.status)) +
               (r.error ? " " + r.error.message() : std::string());
    return all;
}

}  // namespace

TEST_CASE("a message for several domains reaches the servers of each, and who has none is told why") {
    sink s;
    world w;
    w.dns->mx("one.example", 10, "mx.one.example").address("mx.one.example", "127.0.0.1");
    w.dns->address("two.example", "127.0.0.1");
    w.dns->mx("null.example", 0, "");
    mailer mail{w.transport(s)};
    const auto o =
        mail.send(to({"a@one.example", "b@two.example", "c@null.example", "d@gone.example", "e@ONE.example"}));
    CHECK(codes(o) == "accepted, accepted, rejected " + make_error_code(errc::domain_takes_no_mail).message() +
                          ", rejected " + make_error_code(errc::domain_unknown).message() + ", accepted");
    CHECK(o.recipients[2].why.find("5.1.10") != std::string::npos);
    REQUIRE(s.messages().size() == 2);
    CHECK(s.messages()[0].hello == "out.sender.example");
    std::size_t recipients = 0;
    for (const auto& m : s.messages()) recipients += m.recipients.size();
    CHECK(recipients == 3);
}

TEST_CASE("reports are asked for where the server knows of them, and no mail is refused for want of them") {
    const sink knows({.dsn = true});
    const sink lacks({.dsn = false});
    for (const auto* s : {&knows, &lacks}) {
        world w;
        w.dns->address("one.example", "127.0.0.1");
        mailer mail{w.transport(*s)};
        mail_object letter = to({"a@one.example"}).freeze(std::chrono::system_clock::now());
        letter.envelope.options.envelope_id = "7";
        letter.envelope.recipient_options = {{.notify = {.success = true}}};
        CHECK(mail.send(letter).all_accepted());
        CHECK(s->messages().at(0).mail_parameters.empty() == (s == &lacks));
        CHECK(s->messages().at(0).recipient_parameters.at(0).empty() == (s == &lacks));
    }
}

TEST_CASE("the next server is tried within the same attempt") {
    sink s;
    world w;
    // Nobody listens at the first one.
    w.dns->mx("one.example", 10, "dead.example").address("dead.example", "127.0.0.9");
    w.dns->mx("one.example", 20, "mx.example").address("mx.example", "127.0.0.1");
    mailer mail{w.transport(s)};
    const auto o = mail.send(to({"a@one.example"}));
    CHECK(o.all_accepted());
    CHECK(o.attempts == 1);
}

TEST_CASE("nothing goes to this machine because a stranger's DNS says so") {
    sink s;
    world w;
    w.options.private_addresses = false;
    w.dns->mx("one.example", 10, "localhost.example").address("localhost.example", "127.0.0.1");
    mailer mail{w.transport(s)};
    for (const auto* recipient : {"a@one.example", "b@[127.0.0.1]"}) {
        try {
            (void)mail.send(to({recipient}));
            FAIL("nobody can take it");
        } catch (const send_error& e) {
            CHECK(e.code() == errc::private_address);
            CHECK(e.result().all_are(status::rejected));
        }
    }
    CHECK(s.state().counts().connections_ever == 0);
}

TEST_CASE("routes lead elsewhere, in order, without a look-up") {
    sink s;
    sink relay({.users = {{"ann", "secret"}}, .auth_in_clear = true, .require_auth = false});
    world w;
    w.options.routes = {{.domain = "no.corp.example", .refusal = "closed since May"},
                        {.domain = "*.Corp.example", .url = relay.url()}};
    w.dns->address("other.example", "127.0.0.1");
    mailer mail{w.transport(s)};
    const auto o = mail.send(to({"a@x.corp.example", "b@no.corp.example", "c@other.example"}));
    CHECK(codes(o) == "accepted, rejected " + make_error_code(errc::suppressed).message() + ", accepted");
    CHECK(o.recipients[1].why.find("closed since May") != std::string::npos);
    CHECK(relay.messages().size() == 1);
    CHECK(s.messages().size() == 1);
    CHECK(w.dns->questions() == std::vector<std::string>{"MX other.example", "AAAA other.example", "A other.example"});
}

TEST_CASE("a route leads into a Maildir on this machine, beside servers, and as fast as mail comes") {
    const scratch_folder folder;
    const sink s;
    world w;
    w.options.routes = {{.domain = "here.example", .url = "maildir://" + folder.path.string() + "/in%20box"}};
    w.dns->address("other.example", "127.0.0.1");
    const auto files = [&] {
        const std::filesystem::directory_iterator all(folder.path.string() + "/in box/new");
        return std::distance(begin(all), end(all));
    };
    mailer mail{w.transport(s), pooling::keep_alive{.max_connections = 3}};
    const auto o = mail.send(to({"a@here.example", "b@HERE.example", "c@other.example"}));
    CHECK(codes(o) == "accepted, accepted, accepted");
    CHECK(files() == 1);
    CHECK(std::filesystem::exists(folder.path.string() + "/in box/new/" + o.recipients[0].reply.text));
    CHECK(s.messages().size() == 1);
    std::vector<ticket> all;
    for (int i = 0; i < 100; ++i) all.push_back(mail.submit(to({"a@here.example"})));
    for (auto& t : all) CHECK(t.wait().all_accepted());
    CHECK(files() == 101);
    CHECK(w.dns->questions() == std::vector<std::string>{"MX other.example", "AAAA other.example", "A other.example"});
}

TEST_CASE("a Maildir that cannot be made keeps its own mail back, with the reason, and no other") {
    const scratch_folder folder;
    std::ofstream(folder.path.string() + "/file") << "x";
    const sink s;
    world w;
    w.options.routes = {{.domain = "here.example", .url = "maildir://" + folder.path.string() + "/file/box"}};
    w.dns->address("other.example", "127.0.0.1");
    mailer mail{w.transport(s)};
    error_code ec;
    const auto o = mail.send(to({"a@here.example", "c@other.example"}), ec);
    CHECK(o.recipients[0].status != status::accepted);
    CHECK(o.recipients[0].status != status::rejected);
    CHECK(o.recipients[0].error == errc::storage_failed);
    CHECK(o.recipients[0].why.find("/file/box") != std::string::npos);
    CHECK(o.recipients[1].status == status::accepted);
}

TEST_CASE("credentials of a route go along that route only, whoever else names its server") {
    const sink relay({.security = security::starttls, .users = {{"ann", "secret"}}, .require_auth = false});
    world w;
    w.options.routes = {{.domain = "*.corp.example", .url = relay.url("ann")}};
    SUBCASE("with other demands on TLS") {}
    SUBCASE("with the same") { w.options.floor = security::starttls; }
    // The same name and port, found in the DNS.
    w.dns->mx("other.example", 10, "localhost").address("localhost", "127.0.0.1");
    mailer mail{w.transport(relay), tls::automatic{{.ca_pem = relay.ca_pem()}}};
    CHECK(mail.send(to({"b@other.example"})).all_accepted());
    CHECK(mail.send(to({"a@x.corp.example"})).all_accepted());
    REQUIRE(relay.messages().size() == 2);
    CHECK(relay.messages()[0].tls);
    CHECK(relay.messages()[0].user == "");
    CHECK(relay.messages()[1].user == "ann");
}

TEST_CASE("routes to one server log in as each says") {
    const sink relay({.security = security::starttls, .users = {{"ann", "secret"}, {"bob", "secret"}}});
    world w;
    w.options.routes = {{.domain = "one.example", .url = relay.url("ann")},
                        {.domain = "two.example", .url = relay.url("bob")},
                        {.domain = "three.example", .url = relay.url("ann")}};
    mailer mail{w.transport(relay), tls::automatic{{.ca_pem = relay.ca_pem()}}};
    CHECK(mail.send(to({"a@one.example"})).all_accepted());
    CHECK(mail.send(to({"b@two.example"})).all_accepted());
    CHECK(mail.send(to({"c@three.example"})).all_accepted());
    std::string users;
    for (const auto& m : relay.messages()) users += m.user + " ";
    CHECK(users == "ann bob ann ");
}

TEST_CASE("our own names and those of routes are known in each form they have") {
    const sink s;
    world w;
    w.options.own = {"MX.M\xc3\xbcnchen.example.", "[IPv6:2001:DB8:0::7]", "192.0.2.7"};
    w.options.routes = {{.domain = "*.B\xc3\xbc"
                                   "cher.example.",
                         .refusal = "closed"}};
    w.dns->mx("one.example", 10, "mx.xn--mnchen-3ya.example").address("mx.xn--mnchen-3ya.example", "127.0.0.1");
    w.dns->mx("two.example", 10, "mx.two.example").address("mx.two.example", "2001:db8::7");
    w.dns->mx("three.example", 10, "mx.three.example").address("mx.three.example", "192.0.2.7");
    w.dns->mx("x.xn--bcher-kva.example", 10, "mx.example").address("mx.example", "127.0.0.1");
    mailer mail{w.transport(s)};
    error_code ec;
    const auto loop = make_error_code(errc::mail_loop).message();
    const auto closed = make_error_code(errc::suppressed).message();
    CHECK(codes(mail.send(to({"a@one.example", "b@two.example", "c@three.example",
                              "d@x.b\xc3\xbc"
                              "cher.example"}),
                          ec)) ==
          "rejected " + loop + ", rejected " + loop + ", rejected " + loop + ", rejected " + closed);
    CHECK(s.messages().empty());
}

TEST_CASE("options that cannot be used are refused at once") {
    const auto refused = [](transport::mx_options o) {
        try {
            direct made(std::move(o));
        } catch (const error& e) {
            return e.code();
        }
        return error_code{};
    };
    CHECK(refused({.client_name = ""}) == errc::invalid_host_name);
    CHECK(refused({.client_name = "a b"}) == errc::invalid_host_name);
    CHECK(refused({.client_name = "a.example", .port = 0}) == errc::invalid_option);
    CHECK(refused({.client_name = "a.example", .window = 0}) == errc::invalid_option);
    CHECK(refused({.client_name = "a.example", .own = {"b.example, c.example"}}) == errc::invalid_option);
    for (const auto* name : {"localhost", "[192.0.2.1]", "[IPv6:2001:db8::1]", "xn--mnchen-3ya.example"})
        CHECK_FALSE(refused({.client_name = name}));
    CHECK(refused({.client_name = "a.example", .routes = {{.domain = "b.example"}}}) == errc::invalid_option);
    CHECK(refused({.client_name = "a.example",
                   .routes = {{.domain = "b.example", .url = "smtp://c.example", .refusal = "both"}}}) ==
          errc::invalid_option);
    CHECK(refused({.client_name = "a.example", .routes = {{.domain = "b.example", .url = "ftp://c.example"}}}) ==
          errc::invalid_url);
    for (const auto* url : {"maildir://x/y", "maildir:///", "maildir://", "maildir:///x?y=1", "maildir:///x#y",
                            "maildir:///x%zz", "maildir:///x%00"})
        CHECK(refused({.client_name = "a.example", .routes = {{.domain = "b.example", .url = url}}}) ==
              errc::invalid_url);
    CHECK(refused({.client_name = "a.example",
                   .routes = {{.domain = "b.example", .url = "smtp://ann:one@c.example"},
                              {.domain = "d.example", .url = "smtp://ann:two@c.example"}}}) == errc::contradiction);
    for (const auto* domain : {"a b", "*.*.example", "x*.example", "a..example"})
        CHECK(refused({.client_name = "a.example", .routes = {{.domain = domain, .refusal = "no"}}}) ==
              errc::invalid_option);
    CHECK_FALSE(refused({.client_name = "a.example"}));
}

TEST_CASE("international domains are looked up as A-labels") {
    sink s;
    world w;
    w.dns->mx("xn--mnchen-3ya.example", 10, "mx.example").address("mx.example", "127.0.0.1");
    mailer mail{w.transport(s)};
    CHECK(mail.send(to({"a@M\xc3\xbcnchen.example"})).all_accepted());
    CHECK(w.dns->questions().front() == "MX xn--mnchen-3ya.example");
}

TEST_CASE("TLS is used where it is offered, whoever answers; a handshake that breaks goes in the clear at once") {
    world w;
    w.dns->mx("one.example", 10, "mx.example").address("mx.example", "127.0.0.1");
    SUBCASE("a certificate of a CA that nobody knows, for another name") {
        sink s({.security = security::starttls});
        mailer mail{w.transport(s)};
        CHECK(mail.send(to({"a@one.example"})).all_accepted());
        REQUIRE(s.messages().size() == 1);
        CHECK(s.messages()[0].tls);
    }
    SUBCASE("a handshake that breaks") {
        sink s({.security = security::starttls, .faults = {testing::parse_fault("starttls:0:220 go|drop")}});
        mailer mail{w.transport(s)};
        const auto o = mail.send(to({"a@one.example"}));
        CHECK(o.all_accepted());
        CHECK(o.attempts == 1);
        REQUIRE(s.messages().size() == 1);
        CHECK_FALSE(s.messages()[0].tls);
    }
}

TEST_CASE("a CA file that cannot be read keeps mail back, and sends none in the clear") {
    world w;
    w.dns->mx("one.example", 10, "mx.example").address("mx.example", "127.0.0.1");
    const sink s({.security = security::starttls});
    mailer mail{w.transport(s), tls::automatic{{.ca_file = "/nonexistent/ca.pem"}}};
    try {
        (void)mail.send(to({"a@one.example"}));
        FAIL("it must not go");
    } catch (const send_error& e) {
        CHECK(e.code() == errc::tls_configuration);
        CHECK(std::string(e.what()).find("/nonexistent/ca.pem") != std::string::npos);
    }
    CHECK(s.messages().empty());
}

TEST_CASE("what asks for REQUIRETLS waits where a handshake broke, and is not refused for good") {
    world w;
    w.dns->mx("one.example", 10, "mx.example").address("mx.example", "127.0.0.1");
    const sink s({.security = security::starttls, .faults = {testing::parse_fault("starttls:0:220 go|drop")}});
    mailer mail{w.transport(s)};
    mail_object letter = to({"a@one.example"}).freeze(std::chrono::system_clock::now());
    letter.envelope.options.require_tls = true;
    try {
        (void)mail.send(letter);
        FAIL("it needs TLS");
    } catch (const send_error& e) {
        CHECK(e.code() == errc::require_tls_unsupported);
        CHECK(e.result().all_are(status::deferred));
    }
    CHECK(s.messages().empty());
}

TEST_CASE("TLSA records that the server does not meet, or no TLS at all, keep the mail back") {
    world w;
    w.dns->sign("example");
    w.dns->mx("one.example", 10, "mx.example").address("mx.example", "127.0.0.1");
    const auto why = [&](sink& s) -> std::string {
        w.dns->tlsa("_" + std::to_string(s.port()) + "._tcp.mx.example", 3, 1, 1, std::string(32, 'x'));
        mailer mail{w.transport(s)};
        try {
            (void)mail.send(to({"a@one.example"}));
        } catch (const send_error& e) {
            CHECK_FALSE(e.result().any_are(status::accepted));
            return e.what();
        }
        return {};
    };
    SUBCASE("another certificate") {
        sink s({.security = security::starttls});
        CHECK(why(s).find("TLSA") != std::string::npos);
        CHECK(s.messages().empty());
    }
    SUBCASE("STARTTLS is not offered") {
        sink s;
        CHECK(why(s).find("STARTTLS") != std::string::npos);
        CHECK(s.messages().empty());
    }
}

TEST_CASE("mail that says TLS-Required: No goes by TLS as it is, whatever its domain wants; all other mail does not") {
    const sink s({.security = security::starttls});
    world w;
    w.dns->sign("example");
    w.dns->mx("one.example", 10, "mx.example").address("mx.example", "127.0.0.1");
    SUBCASE("records of another certificate") {
        w.dns->tlsa("_" + std::to_string(s.port()) + "._tcp.mx.example", 3, 1, 1, std::string(32, 'x'));
    }
    SUBCASE("a policy of MTA-STS") {
        w.dns->txt("_mta-sts.one.example", "v=STSv1; id=1;");
        w.options.policies = [](const std::string&, const net::sts_record&, const net::sts_handler& done) {
            done(net::sts_policy{
                .mode = net::sts_mode::enforce, .max_age = std::chrono::hours(1), .mx = {"other.example"}});
        };
    }
    mailer mail{w.transport(s)};
    CHECK_THROWS_AS((void)mail.send(to({"a@one.example"})), send_error);
    CHECK(mail.send(to({"a@one.example"}).tls_not_required()).all_accepted());
    REQUIRE(s.messages().size() == 1);
    CHECK(s.messages()[0].tls);
    mail_object both = to({"a@one.example"}).tls_not_required().freeze(std::chrono::system_clock::now());
    both.envelope.options.require_tls = true;
    CHECK_THROWS_AS((void)mail.send(both), send_error);
    CHECK(s.messages().size() == 1);
}

TEST_CASE("a policy of MTA-STS is asked for once a look-up, and keeps mail from whoever is not verified") {
    sink s({.security = security::starttls});
    world w;
    w.dns->mx("one.example", 10, "mx.example").address("mx.example", "127.0.0.1");
    w.dns->txt("_mta-sts.one.example", "v=STSv1; id=1;");
    int asked = 0;
    net::sts_policy policy{.mode = net::sts_mode::enforce, .max_age = std::chrono::hours(1), .mx = {"mx.example"}};
    w.options.policies = [&](const std::string& domain, const net::sts_record& record, const net::sts_handler& done) {
        CHECK(domain == "one.example");
        CHECK(record.id == "1");
        ++asked;
        done(policy);
    };
    SUBCASE("no CA that is known") {
        mailer mail{w.transport(s)};
        CHECK_THROWS_AS((void)mail.send(to({"a@one.example"})), send_error);
        CHECK(s.messages().empty());
    }
    SUBCASE("in testing mode it goes out") {
        policy.mode = net::sts_mode::testing;
        mailer mail{w.transport(s)};
        CHECK(mail.send(to({"a@one.example"})).all_accepted());
    }
    SUBCASE("a certificate of its name and a CA") {
        sink known({.security = security::starttls}, {.certificate = {.names = {"mx.example"}}});
        mailer mail{w.transport(known), tls::automatic{{.ca_pem = known.ca_pem()}}};
        CHECK(mail.send(to({"a@one.example"})).all_accepted());
        CHECK(known.messages().at(0).tls);
    }
    CHECK(asked == 1);
}
