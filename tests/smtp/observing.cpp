// What a session tells its observer.
#include <doctest/doctest.h>
#include <postroad/core/base64.hpp>
#include <postroad/core/transcript.hpp>
#include <postroad/smtp/session.hpp>

#include <array>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

using namespace std::string_literals;
using namespace std::chrono_literals;
using postroad::base64_encode;
using postroad::errc;
using postroad::secret;
using postroad::security;
namespace smtp = postroad::smtp;

namespace {

struct facts {
    std::string version = "TLSv1.3";
    std::string cipher = "AES";
    std::string peer_subject = "CN=mx.example";
    std::string peer_issuer = "CN=ca";
    std::string peer_expires = "2030-01-31";
    bool resumed = false;
    bool verified = true;
    std::string doubt = {};
    std::string proof = {};
};

struct watched {
    explicit watched(smtp::session_options o) : session(std::move(o)) { session.observe(&seen, 1); }

    void server(std::string_view lines) { session.received(lines, now); }
    void client() {
        std::array<std::string_view, 4> parts;
        while (const auto n = session.output(parts)) {
            std::size_t size = 0;
            for (std::size_t i = 0; i < n; ++i) size += parts[i].size();
            session.consumed(size, now);
        }
        now += 10ms;
    }

    postroad::time_point now = postroad::time_point(1h);
    postroad::transcript seen;
    smtp::session session;
};

smtp::session_options options(security how) {
    smtp::session_options o{.server = {"mx.example", 587, how}, .client_name = "client.example"};
    o.nonce = "rOprNGfwEbeRWgbNEkqO";
    return o;
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a conversation is seen whole, with TLS, content, decision and end") {
    watched w(options(security::starttls));
    w.session.started(w.now);
    w.server("220 mx.example\r\n");
    w.client();
    w.server("250-mx.example\r\n250 STARTTLS\r\n");
    w.client();
    w.server("220 go\r\n");
    w.session.tls_facts(facts{});
    w.session.secured(w.now);
    w.client();
    w.server("250 mx.example\r\n");
    auto mail = std::make_shared<postroad::mail_object>();
    mail->envelope.reverse_path = postroad::address("ann@example.com");
    mail->envelope.recipients.emplace_back("bob@example.org");
    mail->content = postroad::content::from_text("hello\n");
    w.session.submit({.id = 5, .mail = mail}, w.now);
    for (const auto* line : {"250 ok\r\n", "250 2.1.5 ok\r\n", "354 go\r\n", "250 queued\r\n"}) {
        w.client();
        w.server(line);
    }
    w.session.closed(errc::connection_closed, "cut", w.now);
    CHECK(w.seen.text() ==
          "    0.000 [1] S: 220 mx.example\n"
          "    0.000 [1] C: EHLO client.example\n"
          "    0.010 [1] S: 250-mx.example\n"
          "    0.010 [1] S: 250 STARTTLS\n"
          "    0.010 [1] C: STARTTLS\n"
          "    0.020 [1] S: 220 go\n"
          "    0.020 [1] -- TLS: TLSv1.3 AES, certificate of CN=mx.example by CN=ca until 2030-01-31, verified\n"
          "    0.020 [1] C: EHLO client.example\n"
          "    0.030 [1] S: 250 mx.example\n"
          "    0.030 [1] -- decision: no pipelining: the server does not offer PIPELINING, each command waits\n"
          "    0.030 [1] C: MAIL FROM:<ann@example.com>\n"
          "    0.040 [1] S: 250 ok\n"
          "    0.040 [1] C: RCPT TO:<bob@example.org>\n"
          "    0.050 [1] S: 250 2.1.5 ok\n"
          "    0.050 [1] C: DATA\n"
          "    0.060 [1] S: 354 go\n"
          "    0.060 [1] C: (7 octets of content)\n"
          "    0.070 [1] S: 250 queued\n"
          "    0.070 [1] -- closed: cut (the server closed the connection)\n");
}

TEST_CASE("the TLSA record that describes a server is named") {
    watched w(options(security::starttls));
    w.session.started(w.now);
    w.server("220 mx.example\r\n");
    w.client();
    w.server("250-mx.example\r\n250 STARTTLS\r\n");
    w.client();
    w.server("220 go\r\n");
    w.session.tls_facts(facts{.proof = "3 1 1 8755cd52..."});
    w.session.secured(w.now);
    CHECK(has(w.seen.text(), " until 2030-01-31, verified by TLSA 3 1 1 8755cd52...\n"));
}

TEST_CASE("exposure: no observation holds a secret, whichever mechanism it is and whatever the server echoes") {
    const auto password = "pencil-and-paper"s;
    const auto token = "tok-en-of-tim"s;
    for (const std::string mechanism : {"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER"}) {
        CAPTURE(mechanism);
        auto o = options(security::implicit);
        o.credentials = {
            .user = "user", .password = secret(password), .token = secret(token), .mechanisms = {mechanism}};
        watched w(std::move(o));
        w.session.started(w.now);
        w.server("220 mx.example\r\n");
        w.client();
        w.server("250-mx.example\r\n250 AUTH " + mechanism + "\r\n");
        std::array<std::string_view, 1> part;
        REQUIRE(w.session.output(part) == 1);
        const auto said = std::string(part[0].substr(0, part[0].size() - 2));
        w.client();
        w.server("334 " + base64_encode(password + token) + "\r\n");
        w.client();
        w.server("535 bad: " + said + ' ' + password + ' ' + token + ' ' + base64_encode(password) + ' ' +
                 base64_encode(token) + "\r\n");
        const auto seen = w.seen.text();
        CAPTURE(seen);
        CHECK(has(seen, "C: AUTH " + mechanism));
        CHECK_FALSE(has(seen, password));
        CHECK_FALSE(has(seen, token));
        CHECK_FALSE(has(seen, base64_encode(password)));
        CHECK_FALSE(has(seen, base64_encode(token)));
        if (said.size() > mechanism.size() + 6) CHECK_FALSE(has(seen, said.substr(mechanism.size() + 6)));
        CHECK(has(seen, "octets]"));
    }
}

TEST_CASE("what opportunistic TLS comes to is a decision that is told") {
    SUBCASE("not offered") {
        watched w(options(security::opportunistic));
        w.session.started(w.now);
        w.server("220 mx.example\r\n");
        w.client();
        w.server("250 mx.example\r\n");
        CHECK(has(w.seen.text(), "decision: the server does not offer STARTTLS: going on in the clear"));
    }
    SUBCASE("refused, and broken") {
        for (const bool broken : {false, true}) {
            watched w(options(security::opportunistic));
            w.session.started(w.now);
            w.server("220 mx.example\r\n");
            w.client();
            w.server("250-mx.example\r\n250 STARTTLS\r\n");
            w.client();
            w.server(broken ? "220 go\r\n" : "454 no\r\n");
            if (broken) w.session.closed(errc::tls_handshake, "no common cipher", w.now);
            CHECK(has(w.seen.text(), broken ? "the next connection goes in the clear"
                                            : "decision: the server refuses STARTTLS: going on in the clear"));
            CHECK(has(w.seen.text(), "not offer STARTTLS") == false);
        }
    }
}

TEST_CASE("credentials in clear: opportunistic TLS with an unverified peer gets no password") {
    for (const bool verified : {true, false}) {
        auto o = options(security::opportunistic);
        o.credentials = {.user = "tim", .password = secret("tanstaaf")};
        watched w(std::move(o));
        w.session.started(w.now);
        w.server("220 mx.example\r\n");
        w.client();
        w.server("250-mx.example\r\n250 STARTTLS\r\n");
        w.client();
        w.server("220 go\r\n");
        w.session.tls_facts(facts{.verified = verified});
        w.session.secured(w.now);
        w.client();
        w.server("250-mx.example\r\n250 AUTH PLAIN\r\n");
        CHECK(has(w.seen.text(), "C: AUTH PLAIN [redacted 20 octets]") == verified);
        CHECK(has(w.seen.text(), "without verified TLS") != verified);
    }
}

TEST_CASE("a dry run asks about the envelope and sends no content, in any mode") {
    struct row {
        smtp::pipelining mode;
        const char* extensions;
        const char* replies;
        std::vector<int> codes;
    };
    const row rows[] = {
        {smtp::pipelining::lockstep, "250 HELP\r\n", "250 ok\r\n|250 ok\r\n|550 no\r\n", {250, 550}},
        {smtp::pipelining::envelope, "250 PIPELINING\r\n", "250 ok\r\n250 ok\r\n550 no\r\n", {250, 550}},
        {smtp::pipelining::window, "250-CHUNKING\r\n250 PIPELINING\r\n", "250 ok\r\n250 ok\r\n550 no\r\n", {250, 550}},
        {smtp::pipelining::lockstep, "250 HELP\r\n", "550 no\r\n", {550, 550}},
    };
    for (const auto& row : rows) {
        auto o = options(security::insecure_none);
        o.pipelining = row.mode;
        watched w(std::move(o));
        w.session.started(w.now);
        w.server("220 mx.example\r\n");
        w.client();
        w.server("250-mx.example\r\n"s + row.extensions);
        w.client();
        CHECK(std::holds_alternative<smtp::ready>(*w.session.poll()));
        auto mail = std::make_shared<postroad::mail_object>();
        mail->envelope.recipients.emplace_back("bob@example.org");
        mail->envelope.recipients.emplace_back("eve@example.org");
        w.session.submit({.id = 5, .mail = mail, .dry_run = true}, w.now);
        std::string replies = row.replies;
        while (!replies.empty()) {
            w.client();
            const auto end = std::min(replies.find('|'), replies.size());
            w.server(replies.substr(0, end));
            replies.erase(0, end + 1);
        }
        w.client();
        const auto e = w.session.poll();
        REQUIRE(e);
        const auto& f = std::get<smtp::finished>(*e);
        CHECK_FALSE(f.error);
        for (std::size_t i = 0; i < 2; ++i) {
            CHECK(f.recipients.at(i).reply.code == row.codes[i]);
            CHECK((f.recipients[i].status == postroad::status::not_attempted) == (row.codes[i] == 250));
        }
        CHECK_FALSE(has(w.seen.text(), "DATA"));
        CHECK_FALSE(has(w.seen.text(), "BDAT"));
        CHECK(w.session.reusable());
        w.session.quit(w.now);
        CHECK(has(w.seen.text(), "C: QUIT"));
    }
}
