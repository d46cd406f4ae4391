// From the greeting until the session is open: opportunistic TLS, credentials that are asked for, channel binding.
#include <doctest/doctest.h>
#include <postroad/core/base64.hpp>
#include <postroad/smtp/session.hpp>

#include <array>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace std::string_literals;
using postroad::base64_encode;
using postroad::condition;
using postroad::errc;
using postroad::secret;
using postroad::security;
namespace smtp = postroad::smtp;

namespace {

class talk {
public:
    explicit talk(smtp::session_options o) : session(std::move(o)) {
        session.started(now);
        server("220 mx.example ESMTP");
    }

    /// The server says it, line end added; what the client wrote so far is dropped.
    void server(std::string_view line) { session.received(std::string(line) + "\r\n", now); }
    /// What the client wrote since the last call.
    std::string client() {
        std::array<std::string_view, 4> parts;
        std::string all;
        while (const auto n = session.output(parts)) {
            std::string bytes;
            for (std::size_t i = 0; i < n; ++i) bytes += parts[i];
            session.consumed(bytes.size(), now);
            all += bytes;
        }
        events();
        return all;
    }
    /// Greets, and offers `extensions`, a reply line each.
    void hello(const std::vector<std::string>& extensions) {
        CHECK(client() == "EHLO client.example\r\n");
        std::string text = "250-mx.example\r\n";
        for (const auto& e : extensions) text += "250-" + e + "\r\n";
        server(text + "250 HELP");
    }
    void tls() {
        CHECK(client() == "STARTTLS\r\n");
        server("220 go");
        REQUIRE(session.wants_tls());
        session.secured(now);
    }
    void events() {
        while (auto e = session.poll()) {
            if (const auto* r = std::get_if<smtp::ready>(&*e)) ready = true, habits = r->auth;
            if (const auto* w = std::get_if<smtp::credentials_wanted>(&*e)) wanted.push_back(w->refused_token);
            if (auto* c = std::get_if<smtp::closed>(&*e)) over = std::move(*c);
        }
    }
    postroad::error_code error() {
        events();
        return over ? over->error : postroad::error_code();
    }
    smtp::lesson lesson() {
        events();
        return over ? over->lesson : smtp::lesson::none;
    }
    std::string all_text() {
        events();
        return over ? over->details.explanation + over->details.reply : "";
    }

    postroad::time_point now = postroad::time_point(std::chrono::hours(1));
    smtp::session session;
    bool ready = false;
    smtp::auth_habits habits;
    std::vector<secret> wanted;
    std::optional<smtp::closed> over;
};

smtp::session_options options(security how) {
    smtp::session_options o{.server = {"mx.example", 587, how}, .client_name = "client.example"};
    o.nonce = "rOprNGfwEbeRWgbNEkqO";
    return o;
}

smtp::session_options asking() {
    auto o = options(security::implicit);
    o.ask_credentials = true;
    return o;
}

smtp::credentials password() { return {.user = "tim", .password = secret("tanstaaf"), .mechanisms = {"PLAIN"}}; }
smtp::credentials token(const std::string& value) { return {.user = "tim@example.com", .token = secret(value)}; }

std::string bearer(const std::string& value) {
    return "AUTH OAUTHBEARER " +
           base64_encode("n,a=tim@example.com,\x01host=mx.example\x01port=587\x01" + ("auth=Bearer " + value) +
                         "\x01\x01") +
           "\r\n";
}

// How an opening breaks, and what that teaches.
struct break_off {
    const char* name;
    void (*break_it)(talk&);
    postroad::error_code error;
    smtp::lesson lesson;
};

}  // namespace

TEST_CASE("opportunistic TLS is used where it is offered, and pre-TLS EHLO is not trusted after TLS") {
    talk t(options(security::opportunistic));
    t.hello({"STARTTLS", "SIZE 1000"});
    t.tls();
    t.hello({"STARTTLS"});  // a second offer is not taken
    CHECK(t.client() == "");
    CHECK(t.ready);
    CHECK_FALSE(t.session.server().size);
}

TEST_CASE("opportunistic TLS that is not offered is done without") {
    talk t(options(security::opportunistic));
    t.hello({"SIZE 1000"});
    CHECK(t.client() == "");
    CHECK(t.ready);
}

TEST_CASE("opportunistic TLS that is refused is done without, on the same connection") {
    for (const auto* refusal : {"454 4.7.0 TLS not available", "501 no parameters", "502 no", "554 5.7.0 no"}) {
        CAPTURE(refusal);
        talk t(options(security::opportunistic));
        t.hello({"STARTTLS", "SIZE 1000"});
        CHECK(t.client() == "STARTTLS\r\n");
        t.server(refusal);
        CHECK(t.client() == "");
        CHECK(t.ready);
        CHECK(t.session.reusable());
        CHECK(t.session.server().size == 1000);
    }
}

TEST_CASE("pre-TLS EHLO: AUTH that is offered before TLS only does not count") {
    auto o = options(security::starttls);
    o.credentials = password();
    talk t(std::move(o));
    t.hello({"STARTTLS", "AUTH PLAIN"});
    t.tls();
    t.hello({});
    CHECK(t.client() == "QUIT\r\n");
    CHECK(t.error() == errc::authentication_not_offered);
}

TEST_CASE("a positive reply other than 220 to STARTTLS ends the session, also with opportunistic TLS") {
    for (const auto* reply : {"250 ok", "334 ", "221 bye"}) {
        talk t(options(security::opportunistic));
        t.hello({"STARTTLS"});
        CHECK(t.client() == "STARTTLS\r\n");
        t.server(reply);
        CHECK(t.error() == errc::tls_refused);
        CHECK(t.client() == "QUIT\r\n");
    }
}

TEST_CASE("attack 17: whatever comes with the 220 to STARTTLS, be it one octet of a line, ends the session") {
    for (const auto how : {security::starttls, security::opportunistic})
        for (const std::string_view more :
             {"2", "\r", "\n", " ", "250-mx.example\r\n250 AUTH PLAIN\r\n", "\x16\x03\x03"}) {
            CAPTURE(more);
            talk t(options(how));
            t.hello({"STARTTLS"});
            CHECK(t.client() == "STARTTLS\r\n");
            t.session.received("220 go\r\n" + std::string(more), t.now);
            CHECK(t.error() == errc::tls_injection);
            CHECK(t.lesson() == smtp::lesson::none);
            CHECK_FALSE(t.session.wants_tls());
            CHECK(t.client().empty());
        }
}

TEST_CASE("an opportunistic handshake that fails teaches to go without TLS next time") {
    const break_off rows[] = {
        {"failed", [](talk& t) { t.session.closed(errc::tls_handshake, "no common cipher", t.now); },
         errc::tls_handshake, smtp::lesson::no_tls},
        {"hung up", [](talk& t) { t.session.closed(errc::connection_closed, "gone", t.now); }, errc::connection_closed,
         smtp::lesson::no_tls},
        {"silent",
         [](talk& t) {
             t.now = t.session.deadline();
             t.session.tick(t.now);
         },
         errc::timed_out, smtp::lesson::no_tls},
        {"reset", [](talk& t) { t.session.closed(make_error_code(std::errc::connection_reset), "reset", t.now); },
         make_error_code(std::errc::connection_reset), smtp::lesson::no_tls},
        {"stopped", [](talk& t) { t.session.closed(errc::shut_down, "stopped", t.now); }, errc::shut_down,
         smtp::lesson::none},
        // What is wrong on our side says nothing of the server, and must not open the mail to everybody.
        {"no CA file", [](talk& t) { t.session.closed(errc::tls_configuration, "it cannot be read", t.now); },
         errc::tls_configuration, smtp::lesson::none},
        {"out of memory", [](talk& t) { t.session.closed(errc::policy_failed, "std::bad_alloc", t.now); },
         errc::policy_failed, smtp::lesson::none},
        {"no file at all", [](talk& t) { t.session.closed(errc::unreadable_file, "no file", t.now); },
         errc::unreadable_file, smtp::lesson::none},
        {"injected", [](talk& t) { t.server("250 I am here already"); }, errc::tls_injection, smtp::lesson::none},
    };
    for (const auto& r : rows) {
        CAPTURE(r.name);
        for (const auto how : {security::opportunistic, security::starttls}) {
            talk t(options(how));
            t.hello({"STARTTLS"});
            CHECK(t.client() == "STARTTLS\r\n");
            t.server("220 go");
            REQUIRE(t.session.wants_tls());
            r.break_it(t);
            CHECK(t.error() == r.error);
            CHECK(t.lesson() == (how == security::opportunistic ? r.lesson : smtp::lesson::none));
        }
    }
}

TEST_CASE("what fails before the session has begun is a matter of the step that failed") {
    for (const auto& [error, where] : {std::pair{errc::resolve_failed, postroad::phase::resolve},
                                       {errc::timed_out, postroad::phase::connect},
                                       {errc::tls_certificate, postroad::phase::tls}}) {
        smtp::session s(options(security::implicit));
        s.closed(error, "no", {});
        CHECK(std::get<smtp::closed>(*s.poll()).details.where == where);
    }
}

TEST_CASE("whatever keeps an opportunistic handshake from beginning teaches to go without TLS next time") {
    const break_off rows[] = {
        {"never answered",
         [](talk& t) {
             t.now = t.session.deadline();
             t.session.tick(t.now);
         },
         errc::timed_out, smtp::lesson::no_tls},
        {"hung up", [](talk& t) { t.session.closed(errc::connection_closed, "gone", t.now); }, errc::connection_closed,
         smtp::lesson::no_tls},
        {"421", [](talk& t) { t.server("421 too many"); }, errc::service_closing, smtp::lesson::no_tls},
        {"250", [](talk& t) { t.server("250 ok"); }, errc::tls_refused, smtp::lesson::no_tls},
        {"334", [](talk& t) { t.server("334 "); }, errc::tls_refused, smtp::lesson::no_tls},
        {"no reply", [](talk& t) { t.server("what?"); }, errc::malformed_reply, smtp::lesson::no_tls},
        {"given up", [](talk& t) { t.session.quit(t.now); }, errc::cancelled, smtp::lesson::none},
        {"stopped", [](talk& t) { t.session.closed(errc::shut_down, "stopped", t.now); }, errc::shut_down,
         smtp::lesson::none},
    };
    for (const auto& r : rows) {
        CAPTURE(r.name);
        for (const auto how : {security::opportunistic, security::starttls}) {
            talk t(options(how));
            t.hello({"STARTTLS"});
            CHECK(t.client() == "STARTTLS\r\n");
            r.break_it(t);
            CHECK(t.error() == r.error);
            CHECK(t.lesson() == (how == security::opportunistic ? r.lesson : smtp::lesson::none));
        }
    }
}

TEST_CASE("what breaks before STARTTLS, or once TLS works, teaches nothing about TLS") {
    talk before(options(security::opportunistic));
    CHECK(before.client() == "EHLO client.example\r\n");
    before.session.closed(errc::connection_closed, "gone", before.now);
    CHECK(before.lesson() == smtp::lesson::none);
    talk behind(options(security::opportunistic));
    behind.hello({"STARTTLS"});
    behind.tls();
    CHECK(behind.client() == "EHLO client.example\r\n");
    behind.session.closed(errc::connection_closed, "gone", behind.now);
    CHECK(behind.lesson() == smtp::lesson::none);
}

TEST_CASE("STARTTLS stripping: with opportunistic TLS credentials never go in the clear, whatever the options say") {
    for (const bool refused : {false, true}) {
        auto o = options(security::opportunistic);
        o.credentials = password();
        o.insecure_authentication = true;
        talk t(std::move(o));
        t.hello(refused ? std::vector{"STARTTLS"s, "AUTH PLAIN"s} : std::vector{"AUTH PLAIN"s});
        if (refused) {
            CHECK(t.client() == "STARTTLS\r\n");
            t.server("454 no");
        }
        CHECK(t.client() == "QUIT\r\n");
        CHECK(t.error() == errc::insecure_authentication);
    }
}

TEST_CASE("STARTTLS stripping: nor do they where a handshake was broken before") {
    auto o = options(security::opportunistic);
    o.credentials = password();
    o.insecure_authentication = true;
    o.starttls = false;
    talk t(std::move(o));
    t.hello({"STARTTLS", "AUTH PLAIN"});
    CHECK(t.client() == "QUIT\r\n");
    CHECK(t.error() == errc::insecure_authentication);
}

TEST_CASE("STARTTLS that is not to be used is done without where TLS is opportunistic, and nowhere else") {
    for (const auto how : {security::opportunistic, security::starttls}) {
        auto o = options(how);
        o.starttls = false;
        talk t(std::move(o));
        t.hello({"STARTTLS"});
        CHECK(t.client() == (how == security::opportunistic ? "" : "STARTTLS\r\n"));
        CHECK(t.ready == (how == security::opportunistic));
    }
}

TEST_CASE("credentials in clear: without TLS an answered question sends nothing") {
    auto o = options(security::insecure_none);
    o.ask_credentials = true;
    talk t(std::move(o));
    t.hello({"AUTH PLAIN"});
    CHECK(t.client() == "");
    t.session.credentials(password(), t.now);
    CHECK(t.client() == "QUIT\r\n");
    CHECK(t.error() == errc::insecure_authentication);
}

TEST_CASE("credentials are asked for when AUTH is due, and sent once they are here") {
    talk t(asking());
    t.hello({"AUTH PLAIN"});
    CHECK(t.client() == "");
    CHECK(t.wanted == std::vector<secret>{secret()});
    CHECK(t.session.room() == 0);
    CHECK_FALSE(t.ready);
    t.session.credentials(password(), t.now);
    CHECK(t.client() == "AUTH PLAIN " + base64_encode("\0tim\0tanstaaf"s) + "\r\n");
    t.server("235 welcome");
    CHECK(t.client() == "");
    CHECK(t.ready);
}

TEST_CASE("a server that lists AUTH without a mechanism is said to") {
    for (const auto* line : {"AUTH", "AUTH=", "AUTH PL@IN"}) {
        auto o = options(security::implicit);
        o.credentials = password();
        talk t(std::move(o));
        t.hello({line});
        CHECK(t.error() == errc::authentication_not_offered);
        CHECK(t.over->details.explanation == "credentials are given and the server offers AUTH without a mechanism");
    }
}

TEST_CASE("success before a mechanism has asked for all is no matter of who knows the password") {
    auto o = options(security::implicit);
    o.credentials = password();
    o.credentials.mechanisms = {"LOGIN"};
    talk t(std::move(o));
    t.hello({"AUTH LOGIN"});
    CHECK(t.client() == "AUTH LOGIN\r\n");
    t.server("235 welcome");
    CHECK(t.error() == errc::authentication_failed);
    CHECK(t.over->details.explanation ==
          "the server reported success before it had asked for the user and the password");
}

TEST_CASE("credentials are not asked for where AUTH is not offered") {
    talk t(asking());
    t.hello({});
    CHECK(t.error() == errc::authentication_not_offered);
    CHECK(t.wanted.empty());
}

TEST_CASE("a session that asks for credentials does not fall back to HELO") {
    talk t(asking());
    CHECK(t.client() == "EHLO client.example\r\n");
    t.server("502 what?");
    CHECK(t.error() == errc::hello_refused);
}

TEST_CASE("an answer to a question that was not asked changes nothing") {
    talk t(asking());
    t.session.credentials(password(), t.now);
    t.session.no_credentials(errc::cancelled, "no", t.now);
    t.hello({"AUTH PLAIN"});
    t.session.credentials(password(), t.now);
    t.session.credentials(token("late"), t.now);
    t.session.no_credentials(errc::cancelled, "late", t.now);
    CHECK(t.client() == "AUTH PLAIN " + base64_encode("\0tim\0tanstaaf"s) + "\r\n");
    CHECK_FALSE(t.error());
}

TEST_CASE("a source without credentials ends the session with its reason") {
    talk t(asking());
    t.hello({"AUTH PLAIN"});
    CHECK(t.client() == "");
    SUBCASE("with a code of its own") {
        t.session.no_credentials(std::make_error_code(std::errc::host_unreachable), "no identity provider", t.now);
        CHECK(t.error() == std::errc::host_unreachable);
    }
    SUBCASE("without") {
        t.session.no_credentials({}, "no identity provider", t.now);
        CHECK(t.error() == errc::credentials_unavailable);
        CHECK(t.error() == condition::transient);
        CHECK(t.error() == condition::authentication);
    }
    CHECK(t.all_text() == "no identity provider");
    CHECK(t.over->details.where == postroad::phase::auth);
    CHECK(t.client() == "QUIT\r\n");
}

TEST_CASE("credentials that cannot be sent end the session without a word of them") {
    for (const auto& bad :
         {smtp::credentials{}, smtp::credentials{.user = "tim", .password = secret("a\r\nb")}, token("a b")}) {
        talk t(asking());
        t.hello({"AUTH PLAIN XOAUTH2"});
        CHECK(t.client() == "");
        t.session.credentials(bad, t.now);
        CHECK(t.error() == errc::invalid_credentials);
        CHECK(t.client() == "QUIT\r\n");
    }
}

TEST_CASE("a source that does not answer runs into the deadline of AUTH") {
    auto o = asking();
    o.timeouts.auth = std::chrono::seconds(7);
    talk t(std::move(o));
    t.hello({"AUTH PLAIN"});
    CHECK(t.client() == "");
    CHECK(t.session.deadline() == t.now + std::chrono::seconds(7));
    t.now = t.session.deadline();
    t.session.tick(t.now);
    CHECK(t.error() == errc::credentials_unavailable);  // the server is not to blame
    CHECK(t.all_text() == "the source of credentials did not answer in time");
    CHECK(t.over->details.where == postroad::phase::auth);
    t.session.credentials(password(), t.now);  // too late: no effect
    CHECK(t.client() == "QUIT\r\n");
}

TEST_CASE("what the server says while credentials are awaited is a 421 or out of turn") {
    for (const auto& [line, error] : {std::pair{"421 bye", errc::service_closing},
                                      {"235 welcome", errc::unsolicited_reply},
                                      {"334 ", errc::unsolicited_reply}}) {
        talk t(asking());
        t.hello({"AUTH PLAIN"});
        CHECK(t.client() == "");
        t.server(line);
        CHECK(t.error() == error);
        CHECK(t.over->details.where == postroad::phase::auth);
        CHECK_FALSE(t.ready);
    }
}

TEST_CASE("a session that waits for credentials can be given up") {
    talk t(asking());
    t.hello({"AUTH PLAIN"});
    CHECK(t.client() == "");
    t.session.quit(t.now);
    CHECK(t.error() == errc::cancelled);
}

TEST_CASE("OAuth: a refused token is asked for once more, on the same connection, and never a third time") {
    for (const bool explained : {true, false}) {
        CAPTURE(explained);
        talk t(asking());
        t.hello({"AUTH OAUTHBEARER"});
        CHECK(t.client() == "");
        t.session.credentials(token("stale-token"), t.now);
        CHECK(t.client() == bearer("stale-token"));
        const auto refuse = [&] {
            if (explained) {
                t.server("334 " + base64_encode(R"({"status":"invalid_token"})"));
                CHECK(t.client() == "AQ==\r\n");
                t.server("501 failed");
            } else {
                t.server("535 5.7.8 bad: stale-token fresh-token");
            }
        };
        refuse();
        CHECK(t.client() == "");
        CHECK(t.wanted == std::vector<secret>{secret(), secret("stale-token")});
        t.session.credentials(token("fresh-token"), t.now);
        CHECK(t.client() == bearer("fresh-token"));
        SUBCASE("the second is good") {
            t.server("235 welcome");
            t.events();
            CHECK(t.ready);
        }
        SUBCASE("the second is refused") {
            refuse();
            CHECK(t.error() == errc::authentication_rejected);
            CHECK(t.wanted.size() == 2);
            CHECK(t.client() == "QUIT\r\n");
            CHECK(t.all_text().find("token ") == std::string::npos);
            CHECK(t.all_text().find("stale-token") == std::string::npos);
            CHECK(t.all_text().find("fresh-token") == std::string::npos);
        }
    }
}

TEST_CASE("OAuth: the same token again is not sent") {
    talk t(asking());
    t.hello({"AUTH OAUTHBEARER"});
    CHECK(t.client() == "");
    t.session.credentials(token("stale-token"), t.now);
    CHECK(t.client() == bearer("stale-token"));
    t.server("535 no");
    t.session.credentials(token("stale-token"), t.now);
    CHECK(t.client() == "QUIT\r\n");
    CHECK(t.error() == errc::authentication_rejected);
}

TEST_CASE("OAuth: only a token that was refused for good is asked for again") {
    for (const auto& [line, error] : {std::pair{"454 4.7.0 later", errc::authentication_deferred},
                                      {"432 4.7.12 later", errc::authentication_deferred},
                                      {"500 what?", errc::authentication_rejected}}) {
        talk t(asking());
        t.hello({"AUTH OAUTHBEARER"});
        CHECK(t.client() == "");
        t.session.credentials(token("a-token"), t.now);
        CHECK(t.client() == bearer("a-token"));
        t.server(line);
        // What may be about the initial response is said once more, without.
        if (line == std::string("500 what?")) {
            CHECK(t.client() == "AUTH OAUTHBEARER\r\n");
            t.server(line);
        }
        CHECK(t.error() == error);
        CHECK(t.wanted.size() == 1);
    }
}

TEST_CASE("after 535 a password is never tried again, nor asked for") {
    talk t(asking());
    t.hello({"AUTH PLAIN LOGIN"});
    CHECK(t.client() == "");
    t.session.credentials(password(), t.now);
    CHECK(t.client().starts_with("AUTH PLAIN "));
    t.server("535 no");
    CHECK(t.client() == "QUIT\r\n");
    CHECK(t.error() == errc::authentication_rejected);
    CHECK(t.wanted.size() == 1);
}

TEST_CASE("what logging in taught about a server's mechanisms is told, and heeded while another one is left") {
    auto o = options(security::implicit);
    o.credentials = {.user = "tim", .password = secret("tanstaaf")};
    const auto plain = "AUTH PLAIN " + base64_encode("\0tim\0tanstaaf"s) + "\r\n";
    const auto scram = "AUTH SCRAM-SHA-1 " + base64_encode("n,,n=tim,r=rOprNGfwEbeRWgbNEkqO") + "\r\n";
    const smtp::auth_habits no_scram{.beyond = {"SCRAM-SHA-1"}};

    talk first(o);
    first.hello({"AUTH SCRAM-SHA-1 PLAIN"});
    CHECK(first.client() == scram);
    first.server("535 5.7.8 no");
    CHECK(first.client() == plain);
    first.server("235 welcome");
    first.events();
    REQUIRE(first.ready);
    CHECK(first.habits == no_scram);

    o.auth = no_scram;
    talk second(o);
    second.hello({"AUTH SCRAM-SHA-1 PLAIN"});
    CHECK(second.client() == plain);
    second.server("235 welcome");
    second.events();
    REQUIRE(second.ready);
    CHECK(second.habits == smtp::auth_habits{});  // it is told once

    talk refused(o);
    refused.hello({"AUTH SCRAM-SHA-1 PLAIN"});
    CHECK(refused.client() == plain);
    refused.server("535 5.7.8 no");
    CHECK(refused.error() == errc::authentication_rejected);
    CHECK(refused.all_text().find("SCRAM") == std::string::npos);

    talk nothing_else(o);
    nothing_else.hello({"AUTH SCRAM-SHA-1"});
    CHECK(nothing_else.client() == scram);
}

TEST_CASE("a refused login teaches nothing about mechanisms") {
    auto o = options(security::implicit);
    o.credentials = {.user = "tim", .password = secret("tanstaaf")};
    talk t(o);
    t.hello({"AUTH SCRAM-SHA-1 PLAIN"});
    (void)t.client();
    t.server("535 5.7.8 no");
    (void)t.client();
    t.server("535 5.7.8 no");
    CHECK(t.error() == errc::authentication_rejected);
    CHECK_FALSE(t.ready);
}

TEST_CASE("a server that takes no initial response is not given one again") {
    auto o = options(security::implicit);
    o.credentials = password();
    talk t(o);
    t.hello({"AUTH PLAIN"});
    (void)t.client();
    t.server("501 5.5.4 Syntax error");
    CHECK(t.client() == "AUTH PLAIN\r\n");
    t.server("334 ");
    (void)t.client();
    t.server("235 welcome");
    t.events();
    CHECK(t.habits == smtp::auth_habits{.no_initial_response = true});
    o.auth = t.habits;
    talk next(o);
    next.hello({"AUTH PLAIN"});
    CHECK(next.client() == "AUTH PLAIN\r\n");
}

TEST_CASE("a fixed token that was refused is not asked for") {
    auto o = options(security::implicit);
    o.credentials = token("a-token");
    talk t(std::move(o));
    t.hello({"AUTH OAUTHBEARER"});
    CHECK(t.client() == bearer("a-token"));
    t.server("535 no");
    CHECK(t.error() == errc::authentication_rejected);
    CHECK(t.wanted.empty());
}

TEST_CASE("a channel binding selects -PLUS and goes into the exchange") {
    for (const bool bound : {true, false}) {
        auto o = options(security::starttls);
        o.credentials = {.user = "user", .password = secret("pencil")};
        talk t(std::move(o));
        t.hello({"STARTTLS"});
        CHECK(t.client() == "STARTTLS\r\n");
        t.server("220 go");
        if (bound) t.session.channel_binding("tls-exporter", "0123456789abcdef0123456789abcdef");
        t.session.secured(t.now);
        t.hello({"AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN"});
        const auto first = base64_encode((bound ? "p=tls-exporter"s : "n"s) + ",,n=user,r=rOprNGfwEbeRWgbNEkqO");
        CHECK(t.client() == (bound ? "AUTH SCRAM-SHA-256-PLUS " : "AUTH SCRAM-SHA-256 ") + first + "\r\n");
    }
}

TEST_CASE("mechanism downgrade: a client that could bind says so where -PLUS is not offered") {
    auto o = options(security::implicit);
    o.credentials = {.user = "user", .password = secret("pencil")};
    smtp::session s(std::move(o));
    talk t(asking());  // for its helpers only
    t.session = std::move(s);
    t.session.channel_binding("tls-exporter", "0123456789abcdef0123456789abcdef");
    t.session.started(t.now);
    t.server("220 mx.example");
    t.hello({"AUTH SCRAM-SHA-256"});
    CHECK(t.client() == "AUTH SCRAM-SHA-256 " + base64_encode("y,,n=user,r=rOprNGfwEbeRWgbNEkqO") + "\r\n");
}

TEST_CASE("a refusal of -PLUS says what it was bound by") {
    auto o = options(security::starttls);
    o.credentials = {.user = "user", .password = secret("pencil")};
    talk t(std::move(o));
    t.hello({"STARTTLS"});
    CHECK(t.client() == "STARTTLS\r\n");
    t.server("220 go");
    t.session.channel_binding("tls-server-end-point", "0123456789abcdef0123456789abcdef");
    t.session.secured(t.now);
    t.hello({"AUTH SCRAM-SHA-1-PLUS SCRAM-SHA-256-PLUS CRAM-MD5"});
    CHECK(t.client().starts_with("AUTH SCRAM-SHA-256-PLUS "));
    t.server("535 no");
    CHECK(t.client().starts_with("AUTH SCRAM-SHA-1-PLUS "));
    t.server("535 no");
    CHECK(t.error() == errc::authentication_rejected);
    CHECK(t.all_text().find("bound by tls-server-end-point") != std::string::npos);
    CHECK(t.all_text().find("name another, auth=CRAM-MD5") != std::string::npos);
}

TEST_CASE("SCRAM: a 235 without the server's proof is not believed, at any step") {
    const auto server_first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"s;
    for (const bool early : {true, false}) {
        CAPTURE(early);
        auto o = options(security::implicit);
        o.credentials = {.user = "user", .password = secret("pencil")};
        talk t(std::move(o));
        t.hello({"AUTH SCRAM-SHA-256"});
        CHECK(t.client().starts_with("AUTH SCRAM-SHA-256 "));
        if (!early) {
            t.server("334 " + base64_encode(server_first));
            CHECK(t.client().ends_with("\r\n"));
        }
        t.server("235 welcome");
        CHECK(t.error() == errc::authentication_failed);
        CHECK(t.client() == "QUIT\r\n");
        CHECK_FALSE(t.ready);
    }
}

TEST_CASE("334 loops and hostile challenges end every mechanism within few lines, and repeat nothing of the secret") {
    for (const std::string mechanism : {"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "XOAUTH2",
                                        "OAUTHBEARER", "EXTERNAL", "ANONYMOUS"}) {
        for (const auto& challenge :
             {""s, "not base64"s, base64_encode("\0\r\nQUIT\r\n"s), base64_encode("r=,s=,i=-1"),
              base64_encode("{\"status\":\"a-token pencil-and-paper\"}"), std::string(4000, 'A')}) {
            CAPTURE(mechanism);
            CAPTURE(challenge);
            auto o = options(security::implicit);
            o.credentials = {.user = "user",
                             .password = secret("pencil-and-paper"),
                             .token = secret("a-token"),
                             .mechanisms = {mechanism}};
            talk t(std::move(o));
            t.hello({"AUTH " + mechanism});
            int rounds = 0;
            for (; rounds < 6 && !t.error(); ++rounds) {
                const auto said = t.client();
                CHECK(said.find('\n') == said.size() - 1);
                t.server("334 " + challenge);
            }
            CHECK(rounds < 6);
            CHECK(t.error() == errc::authentication_failed);
            CHECK(t.all_text().find("pencil-and") == std::string::npos);
            CHECK(t.all_text().find("a-token") == std::string::npos);
            CHECK_FALSE(t.ready);
        }
    }
}
