// What people are told to do: each row of the tables, by what a server really says.
#include <postroad/smtp/advice.hpp>
#include <postroad/smtp/reply.hpp>

#include <doctest/doctest.h>

#include <ostream>
#include <string>
#include <string_view>
#include <system_error>

using namespace postroad;
using smtp::advice;
using smtp::advice_on_refusal;

namespace {

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

reply reply_of(std::string text) {
    smtp::reply_reader reader;
    error_code ec;
    text += "\r\n";
    std::string_view input = text;
    const auto* r = reader.next(input, ec);
    REQUIRE(r);
    return *r;
}

}  // namespace

TEST_CASE("advice fits what was found, not only its code") {
    const struct {
        error_code error;
        phase where;
        security how;
        std::string_view explanation;
        std::string_view reply;
        std::string_view part;      // of the advice
        std::string_view not_part;  // what would mislead
    } rows[] = {
        {make_error_code(std::errc::connection_refused), phase::connect, security::starttls, "", "", "Nothing listens",
         ""},
        {make_error_code(std::errc::host_unreachable), phase::connect, security::starttls, "", "", "no way", ""},
        {errc::timed_out, phase::connect, security::starttls, "", "", "firewall", ""},
        {errc::timed_out, phase::greeting, security::starttls, "", "", "smtps://", ""},
        {errc::timed_out, phase::greeting, security::implicit, "", "", "too slow", "smtps"},
        {errc::timed_out, phase::rcpt, security::starttls, "", "", "too slow", ""},
        {errc::connection_closed, phase::greeting, security::starttls, "", "", "hangs up at once", ""},
        {errc::connection_closed, phase::auth, security::starttls, "", "", "banned", "at once"},
        {errc::tls_broken, phase::auth, security::starttls,
         "the connection ended without close_notify: something may be cut off", "", "banned", "close_notify"},
        {errc::resolve_failed, phase::resolve, security::starttls, "", "", "DNS", ""},
        {errc::proxy_failed, phase::connect, security::starttls, "", "", "proxy", ""},
        {errc::malformed_reply, phase::greeting, security::starttls,
         "expected a reply such as \"250 ok\", got \"+OK Dovecot ready.\"", "", "POP3", "smtps"},
        {errc::malformed_reply, phase::greeting, security::implicit,
         "expected a reply such as \"250 ok\", got \"* OK [CAPABILITY IMAP4rev1] ready\"", "", "IMAP", "smtps"},
        {errc::malformed_reply, phase::greeting, security::starttls,
         "expected a reply such as \"250 ok\", got \"HTTP/1.1 400 Bad Request\"", "", "web server", ""},
        {errc::malformed_reply, phase::greeting, security::starttls,
         "expected a reply such as \"250 ok\", got \"SSH-2.0-OpenSSH_9.2\"", "", "SSH", ""},
        {errc::malformed_reply, phase::greeting, security::starttls,
         "a line of the reply ends without CRLF: \"220 mx\"", "", "LF alone", "mail server?"},
        {errc::malformed_reply, phase::greeting, security::starttls,
         "expected a reply such as \"250 ok\", got \"\\x16\"", "", "mail server?", ""},
        {errc::reply_too_long, phase::greeting, security::starttls, "", "", "mail server?", ""},
        {errc::greeting_refused, phase::greeting, security::starttls, "", "554 no", "block list", ""},
        {errc::service_closing, phase::idle, security::starttls, "", "421 4.3.2 too busy", "too many connections", ""},
        {errc::hello_refused, phase::hello, security::starttls, "", "500 what?", "firewall", ""},
        {errc::hello_refused, phase::hello, security::starttls, "", "550 bad name", "?helo=NAME", ""},
        {errc::tls_not_offered, phase::hello, security::starttls, "", "", "hide STARTTLS", ""},
        {errc::tls_refused, phase::starttls, security::starttls, "", "", "certificate and log", ""},
        {errc::tls_injection, phase::starttls, security::starttls, "", "", "tampering", ""},
        {errc::tls_handshake, phase::tls, security::starttls,
         "TLS handshake with mx failed: x; perhaps the server wants a client certificate, which certificate_file names",
         "", "?certificate=FILE", "TLS 1."},
        {errc::tls_handshake, phase::tls, security::implicit,
         "TLS handshake with mx failed: x; perhaps the server does not accept our certificate", "", "ask who runs it",
         "TLS 1."},
        {errc::tls_handshake, phase::tls, security::implicit, "the server answered in the clear, \"220 mx\": ...", "",
         "smtp://", "TLS 1.2"},
        {errc::tls_handshake, phase::tls, security::implicit, "x", "", "587 or 25", ""},
        {errc::tls_handshake, phase::tls, security::starttls, "x", "", "cipher suite", "587"},
        {errc::tls_certificate, phase::tls, security::starttls, "certificate of mx expired on 2024-01-01", "",
         "renewed", "?ca"},
        {errc::tls_certificate, phase::tls, security::starttls, "certificate of mx is not valid before 2034-01-01", "",
         "clock", "?ca"},
        {errc::tls_certificate, phase::tls, security::starttls,
         "certificate of mx has a key or a signature that is too weak", "", "new certificate", "Use the name"},
        {errc::tls_certificate, phase::tls, security::starttls,
         "certificate of 127.0.0.1 has the address as a DNS name, which does not count: it must be an iPAddress; "
         "expected 127.0.0.1",
         "", "subjectAltName", "?ca"},
        {errc::tls_certificate, phase::tls, security::starttls, "certificate of mx is for a.example; expected mx", "",
         "Use the name", "?ca"},
        {errc::tls_certificate, phase::tls, security::starttls, "certificate of mx is self-signed; give ca_file if ...",
         "", "?ca=FILE", "Use the name"},
        {errc::tls_certificate, phase::tls, security::starttls,
         "certificate of mx is signed by an unknown CA \"CN=R3\"; give ca_file if it is your own", "", "intermediate",
         "Use the name"},
        {errc::tls_certificate, phase::tls, security::starttls,
         "certificate of mx is not meant for servers (its key usage says so)", "", "serverAuth", "?ca"},
        {errc::tls_certificate, phase::tls, security::starttls,
         "certificate of mx has the key pin AAAA (its CAs: BBBB); expected CCCC", "", "pin", "?ca"},
        {errc::tls_certificate, phase::tls, security::starttls,
         "certificate of mx comes with a CA that may not speak for mx", "", "another CA", "?ca"},
        {errc::tls_certificate, phase::tls, security::starttls, "certificate of mx was refused: x", "", "explanation",
         "?ca"},
        {errc::authentication_not_offered, phase::auth, security::starttls, "", "", "587", ""},
        {errc::no_common_mechanism, phase::auth, security::starttls, "", "", "?auth=NAME", ""},
        {errc::authentication_rejected, phase::auth, security::starttls,
         "the server rejected the credentials by SCRAM-SHA-256; ...: name another, auth=PLAIN", "535 no",
         "another mechanism", ""},
        {errc::authentication_rejected, phase::auth, security::starttls, "by PLAIN",
         "534 5.7.9 Application-specific password required", "app password", ""},
        {errc::authentication_rejected, phase::auth, security::starttls, "by LOGIN",
         "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant", "OAuth", ""},
        {errc::authentication_rejected, phase::auth, security::starttls, "by PLAIN", "535 5.7.8 no", "password", ""},
        {errc::authentication_deferred, phase::auth, security::starttls, "", "454 later", "try later", ""},
        {errc::authentication_failed, phase::auth, security::starttls,
         "the server reported success before it proved that it knows the password", "", "who it says", ""},
        {errc::authentication_failed, phase::auth, security::starttls, "the server's challenge is not base64", "334 x",
         "?auth=NAME", "who it says"},
        {errc::insecure_authentication, phase::auth, security::insecure_none, "", "", "have TLS", ""},
    };
    for (const auto& row : rows) {
        CAPTURE(row.explanation);
        const auto text = advice(row.error, row.where, row.how, row.explanation, row.reply);
        CHECK(has(text, row.part));
        if (!row.not_part.empty()) CHECK_FALSE(has(text, row.not_part));
    }
    CHECK(advice(errc::message_too_large, phase::mail, security::starttls, "").empty());
}

TEST_CASE("advice on a refusal goes by enhanced code and words before code and phase") {
    const struct {
        const char* reply;
        phase where;
        std::string_view part;
        std::string_view not_part;
    } rows[] = {
        {"530 5.7.0 Must issue a STARTTLS command first", phase::mail, "TLS", ""},
        {"550 5.7.60 SMTP; Client does not have permissions to send as this sender", phase::content, "your account",
         ""},
        {"504 5.5.2 <host>: Helo command rejected: need fully-qualified hostname", phase::rcpt, "?helo=NAME", "Check"},
        {"550 5.7.1 Bad EHLO name", phase::rcpt, "?helo=NAME", "relay"},
        {"550 5.1.1 <michelo@y.example> unknown", phase::rcpt, "Nobody", "helo"},
        {"550 no such user helo@y.example", phase::rcpt, "Check the address", "helo"},
        {"550 5.1.1 <relay@y.example> unknown", phase::rcpt, "Nobody", "relay"},
        {"503 This server: authentication required", phase::rcpt, "credentials", ""},
        {"550 5.7.25 no PTR", phase::mail, "PTR", "your account"},
        {"550 5.7.23 SPF", phase::rcpt, "SPF", "relay"},
        {"550 5.7.26 Unauthenticated email", phase::content, "DKIM", ""},
        {"553 5.7.1 <a@x.example>: Sender address rejected: not owned by user", phase::rcpt, "your account", "relay"},
        {"553 5.1.8 domain of sender does not exist", phase::mail, "domain of the sender", "your account"},
        {"550 5.1.7 bad sender", phase::rcpt, "your account", "Check"},
        {"450 4.1.8 sender domain not found", phase::rcpt, "domain of the sender", "greylists"},
        {"552 5.2.2 over quota", phase::rcpt, "full", ""},
        {"452 4.2.2 over quota", phase::rcpt, "full", "greylists"},
        {"552 5.3.4 too large", phase::mail, "too large", "your account"},
        {"552 message size exceeds", phase::mail, "too large", "your account"},
        {"553 sorry", phase::mail, "your account", ""},
        {"550 5.2.1 disabled", phase::rcpt, "takes nothing", ""},
        {"550 5.7.1 Service unavailable; client host [192.0.2.1] blocked", phase::mail, "block list", "your account"},
        {"554 5.7.1 listed at zen.spamhaus.org", phase::rcpt, "block list", "relay"},
        {"554 5.7.1 <b@y.example>: Relay access denied", phase::rcpt, "relay", ""},
        {"550 relaying denied", phase::rcpt, "relay", ""},
        {"450 4.7.1 Greylisted", phase::rcpt, "greylists", ""},
        {"450 4.7.1 later", phase::rcpt, "some minutes", "relay"},
        {"550 5.1.2 bad domain", phase::rcpt, "domain", "relay"},
        {"501 5.1.3 syntax", phase::rcpt, "how it is written", ""},
        {"551 user not local", phase::rcpt, "relay", ""},
        {"550 5.7.1 no", phase::rcpt, "relay", ""},
        {"550 5.7.1 no", phase::mail, "your account", ""},
        {"550 5.7.510 content", phase::content, "rule", ""},
        {"554 no", phase::rcpt, "relay", ""},
        {"550 no", phase::mail, "your account", ""},
        {"550 no", phase::rcpt, "Check the address", ""},
        {"451 no", phase::mail, "some minutes", ""},
    };
    for (const auto& row : rows) {
        CAPTURE(std::string(row.reply));
        const auto text = advice_on_refusal(reply_of(row.reply), row.where);
        CAPTURE(text);
        CHECK(has(text, row.part));
        if (!row.not_part.empty()) CHECK_FALSE(has(text, row.not_part));
    }
}

TEST_CASE("what a firewall wrote over is seen") {
    CHECK(smtp::is_masked(reply_of("220 ****************************0*2****")));
    CHECK(smtp::is_masked(reply_of("250-mx\r\n250-XXXXXXXA\r\n250 SIZE 1")));
    CHECK_FALSE(smtp::is_masked(reply_of("220 mx.example ESMTP *** welcome")));
    CHECK_FALSE(smtp::is_masked(reply_of("250-mx\r\n250-XCLIENT\r\n250 SIZE 1")));
}
