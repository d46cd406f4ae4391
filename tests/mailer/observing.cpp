// What a mailer tells its observer, over real sockets.
#include <postroad/core/transcript.hpp>
#include <postroad/postroad.hpp>
#include <postroad/testing/sink.hpp>

#include "refusing_port.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

using namespace postroad;
using namespace std::chrono_literals;
using testing::sink;

namespace {

message hello() { return message{}.from("ann@example.com").to("bob@example.org").subject("Hello").text("Hello"); }

// Each must stand behind the one before.
void check_order(const std::string& text, const std::vector<std::string>& parts) {
    CAPTURE(text);
    std::size_t at = 0;
    for (const auto& part : parts) {
        CAPTURE(part);
        const auto found = text.find(part, at);
        REQUIRE(found != std::string::npos);
        at = found + part.size();
    }
}

}  // namespace

TEST_CASE("an observer sees the road of a message") {
    sink s({.security = security::starttls, .users = {{"ann", "top:secret@/"}}, .require_auth = true});
    const auto seen = std::make_shared<transcript>();
    mailer mail{transport::smtp{s.url("ann")}, tls::required{.options = {.ca_pem = s.ca_pem()}}};
    mail.observe(seen);
    mail.send(hello()).require_accepted();
    mail.shutdown();
    const auto text = seen->text();
    check_order(text, {"[1] -- decision: a new connection for localhost: 1 waiting, 0 connections open",
                       "[1] -- dialing localhost:", "[1] -- connected: 127.0.0.1", "[1] S: 220 ", "[1] C: EHLO ",
                       "[1] C: STARTTLS", "[1] -- TLS: TLSv1.", ", verified", "[1] C: EHLO ",
                       "[1] C: AUTH PLAIN [redacted ", "[1] S: 235 ", "[1] C: MAIL FROM:<ann@example.com>",
                       "[1] C: RCPT TO:<bob@example.org>", "[1] C: DATA", "[1] S: 354 ", "octets of content)",
                       "-- outcome accepted bob@example.org", "[1] C: QUIT", "[1] -- closed\n"});
    CHECK(text.find("top:secret") == std::string::npos);
    CHECK(text.find(base64_encode(std::string("\0ann\0top:secret@/", 17))) == std::string::npos);
}

TEST_CASE("an observer sees that nobody is there, and what becomes of the message") {
    const refusing_port nobody;
    const auto seen = std::make_shared<transcript>();
    mailer mail{transport::smtp{"smtp+insecure://" + nobody.at("localhost")},
                scheduling::fifo{.retry = {.attempts = 2, .first_wait = 1ms}}};
    mail.observe(seen);
    error_code ec;
    const auto o = mail.send(hello(), ec);
    CHECK(ec);
    // No server was asked.
    CHECK(o.attempts == 0);
    check_order(seen->text(), {"-- dialing", "-- closed: cannot connect to ", "-- retry in 0.0", "-- dialing",
                               "-- closed: cannot connect to ", "-- outcome not_attempted bob@example.org"});
}

TEST_CASE("an observer can come and go while connections live, and is let go") {
    sink s;
    auto first = std::make_shared<transcript>();
    const auto second = std::make_shared<transcript>();
    mailer mail{s.url()};
    mail.send(hello()).require_accepted();
    mail.observe(first);
    mail.send(hello()).require_accepted();
    mail.observe(second);
    mail.send(hello()).require_accepted();
    mail.observe(nullptr);
    mail.send(hello()).require_accepted();
    CHECK(first.use_count() == 1);
    CHECK(second.use_count() == 1);
    for (const auto* seen : {first.get(), second.get()}) {
        const auto text = seen->text();
        const auto mail_line = text.find("C: MAIL FROM");
        CHECK(mail_line != std::string::npos);
        CHECK(text.find("C: MAIL FROM", mail_line + 1) == std::string::npos);
        CHECK(text.find("dialing") == std::string::npos);
    }
}
