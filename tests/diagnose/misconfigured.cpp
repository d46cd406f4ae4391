// What people get wrong, each as a server that shows it: the diagnosis names the cause.
#include <postroad/diagnose.hpp>
#include <postroad/testing/certificates.hpp>
#include <postroad/tls/mbedtls_engine.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "refusing_port.hpp"
#include "villain.hpp"

using namespace postroad_test;

namespace {

// A server that answers by the table; what is empty is answered well.
struct conversation {
    std::string greeting = "220 mx.example ESMTP";
    std::string hello = "250-mx.example\r\n250-STARTTLS\r\n250-SMTPUTF8\r\n250 AUTH PLAIN LOGIN";
    std::string starttls = {};
    std::string auth = "235 2.7.0 welcome";
    std::string mail = "250 2.1.0 ok";
    std::string rcpt = "250 2.1.5 ok";
};

void serve(victim_of& client, const conversation& c) {
    client.say(c.greeting + "\r\n");
    while (!client.gone()) {
        const auto line = client.line();
        const auto verb = line.substr(0, 4);
        const auto& answer = verb == "EHLO" || verb == "HELO" ? c.hello
                             : verb == "STAR"                 ? c.starttls
                             : verb == "AUTH"                 ? c.auth
                             : verb == "MAIL"                 ? c.mail
                                                              : c.rcpt;
        if (verb == "QUIT" || answer.empty()) return client.hang_up();
        client.say(answer + "\r\n");
    }
}

// TLS from the first octet, up to where the client has an opinion about the certificate.
void show(victim_of& client, const testing::server_identity& who) {
    tls::mbedtls_engine engine(
        tls::mbedtls_context::server({.certificate_pem = who.certificate_pem, .key_pem = who.key_pem}));
    while (!client.gone() && engine.handshake() != tls::progress::failed) {
        const auto out = std::string(engine.output());
        engine.consumed(out.size());
        client.say(out);
        engine.received(client.some());
    }
}

using script = std::function<void(victim_of&)>;

script says(conversation c) {
    return [c = std::move(c)](victim_of& v) { serve(v, c); };
}
script says_at_once(std::string octets) {
    return [octets = std::move(octets)](victim_of& v) {
        v.say(octets);
        v.linger();
    };
}
script keeps_silent() {
    return [](victim_of& v) { v.linger(); };
}
script hangs_up() {
    return [](victim_of& v) { v.hang_up(); };
}
script has(testing::server_identity who) {
    return [who = std::move(who)](victim_of& v) { show(v, who); };
}
script refuses_login(std::string reply) { return says({.auth = std::move(reply)}); }
script refuses_sender(std::string reply) { return says({.mail = std::move(reply)}); }
script refuses_recipient(std::string reply) { return says({.rcpt = std::move(reply)}); }

struct misconfiguration {
    const char* name = "";
    script server = {};
    std::string_view scheme = {};  // with user
    phase where = phase::connect;
    std::string_view cause = {};     // in what is found, or in the advice
    std::string_view misleads = {};  // not there
    std::string recipient = "bob@example.org";
    std::string query = {};
};

constexpr std::string_view by_starttls = "smtp://", implicit = "smtps://", clear = "smtp+insecure://",
                           as_ann = "smtp+insecure://ann:top-secret@";

const testing::authority& known_ca() {
    static const auto ca = testing::authority::create("known CA");
    return ca;
}

testing::server_identity certificate(testing::certificate_options o) { return known_ca().issue(o); }

const std::vector<misconfiguration>& of_the_way() {
    static const std::vector<misconfiguration> all = {
        {"the port of POP3", says_at_once("+OK Dovecot ready.\r\n"), by_starttls, phase::greeting, "POP3 server"},
        {"the port of IMAP", says_at_once("* OK [CAPABILITY IMAP4rev1] ready\r\n"), by_starttls, phase::greeting,
         "IMAP server"},
        {"the port of SSH", says_at_once("SSH-2.0-OpenSSH_9.2\r\n"), by_starttls, phase::greeting, "SSH server"},
        {"a captive portal", says_at_once("HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\n\r\n"), by_starttls,
         phase::greeting, "lets people in"},
        {"another protocol", says_at_once("hello\r\n"), by_starttls, phase::greeting, "no mail server"},
        {"smtp:// at a port of TLS that waits", keeps_silent(), by_starttls, phase::greeting, "smtps://"},
        {"smtp:// at a port of TLS that hangs up", hangs_up(), by_starttls, phase::greeting, "smtps://"},
        {"smtps:// at a port without TLS", says({}), implicit, phase::tls, "use smtp://"},
        {"smtps:// at a port that waits for EHLO", keeps_silent(), implicit, phase::connect, "use smtp://", "smtps://"},
        {"an address on a block list",
         says({.greeting = "554 5.7.1 mx.example rejects; 192.0.2.1 listed at zen.spamhaus.org"}), clear,
         phase::greeting, "on a block list"},
        {"too many connections", says({.greeting = "421 4.7.0 Too many connections from 192.0.2.1"}), clear,
         phase::greeting, "Use fewer at a time"},
        {"a firewall that masks the greeting",
         says({.greeting = "220 ****************", .hello = "250-mx.example\r\n250-XXXXXXXA\r\n250 AUTH PLAIN"}),
         by_starttls, phase::greeting, "firewall between changes SMTP"},
        {"a firewall that knows no EHLO", says({.hello = "500 5.5.1 Invalid command"}), clear, phase::hello,
         "firewall between"},
        {"STARTTLS that is missing, or was taken out", says({.hello = "250-mx.example\r\n250 AUTH PLAIN"}), by_starttls,
         phase::hello, "hides STARTTLS"},
        {"STARTTLS that the server cannot do", says({.starttls = "454 4.7.0 TLS not available"}), by_starttls,
         phase::starttls, "offers STARTTLS and cannot do it"},
        {"lines that end with LF", says_at_once("220 mx.example\n"), clear, phase::greeting, "LF alone"},
        {"a name in EHLO that the server refuses", says({.hello = "550 5.7.1 Bad EHLO name"}), clear, phase::hello,
         "?helo=NAME"},
    };
    return all;
}

const std::vector<misconfiguration>& of_tls() {
    static const std::string here = "127.0.0.1";
    static const std::vector<misconfiguration> all = {
        {"a certificate that expired", has(certificate({.addresses = {here}, .not_after = "20240101000000"})), implicit,
         phase::tls, "expired on"},
        {"a clock that is wrong", has(certificate({.addresses = {here}, .not_before = "20900101000000"})), implicit,
         phase::tls, "Is the clock here right?"},
        {"a certificate for another name", has(certificate({.names = {"mail.example.com"}})), implicit, phase::tls,
         "Use the name that is in the certificate"},
        {"a certificate that signed itself", has(testing::self_signed({.addresses = {here}})), implicit, phase::tls,
         "is self-signed", "intermediate"},
        {"an intermediate certificate that is not sent",
         has(known_ca().intermediate("R3").issue({.addresses = {here}})), implicit, phase::tls,
         "does not send the intermediate certificate", "self-signed"},
        {"a server of TLS 1.0 that says so", says_at_once(std::string("\x15\x03\x01\x00\x02\x02\x46", 7)), implicit,
         phase::tls, "none of the versions", "587"},
        {"a server of TLS 1.0 that goes on",
         says_at_once(std::string("\x16\x03\x01\x00\x2a\x02\x00\x00\x26\x03\x01", 11) + std::string(32, 'r') +
                      std::string("\x00\x00\x2f\x00", 4)),
         implicit, phase::tls, "TLS 1.2"},
        {"a server without a suite in common", says_at_once(std::string("\x15\x03\x03\x00\x02\x02\x28", 7)), implicit,
         phase::tls, "cipher suite"},
        {"a server that wants a client certificate", says_at_once(std::string("\x15\x03\x03\x00\x02\x02\x74", 7)),
         implicit, phase::tls, "?certificate=FILE"},
        {"a server that has no such name", says_at_once(std::string("\x15\x03\x03\x00\x02\x02\x70", 7)), implicit,
         phase::tls, "no certificate for this name"},
    };
    return all;
}

const std::vector<misconfiguration>& of_logins() {
    const auto at = [](const char* name, std::string reply, std::string_view cause, std::string_view misleads = {}) {
        return misconfiguration{name,
                                refuses_login(std::move(reply)),
                                as_ann,
                                phase::auth,
                                cause,
                                misleads,
                                "bob@example.org",
                                "?insecure_authentication=true"};
    };
    static const std::vector<misconfiguration> all = {
        at("a wrong password", "535 5.7.8 Error: authentication failed", "User and password"),
        at("Gmail with the account's password",
           "534-5.7.9 Application-specific password required. Learn more at\r\n534 5.7.9  "
           "https://support.google.com/mail/?p=InvalidSecondFactor x - gsmtp",
           "app password"),
        at("Gmail with a wrong password",
           "535-5.7.8 Username and Password not accepted. For more information, go to\r\n535 5.7.8  "
           "https://support.google.com/mail/?p=BadCredentials x - gsmtp",
           "Google does not accept this user"),
        at("Microsoft 365 without SMTP AUTH",
           "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit "
           "https://aka.ms/smtp_auth_disabled for more information.",
           "SMTP AUTH"),
        at("Microsoft 365 with a password",
           "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.", "Passwords are turned off"),
        at("Yahoo with the account's password", "535 5.7.0 (#MBR1212) Incorrect username or password.",
           "Yahoo does not accept"),
        at("SES with keys of another region", "535 Authentication Credentials Invalid", "for this region"),
        at("SendGrid with a user of one's own", "535 Authentication failed: Bad username / password",
           "The user is the word apikey"),
        at("QQ with the account's password",
           "535 Login Fail. Please enter your authorization code to login. More information in "
           "http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=28&&no=1001256",
           "authorization code"),
        at("163 with SMTP off", "550 User has no permission", "SMTP is turned off"),
        at("Yandex with access by programs off",
           "535 5.7.8 Error: authentication failed: This user does not have access rights to this service",
           "Access by mail programs"),
        at("too many logins", "454 4.7.0 Too many login attempts, please try again later. x - gsmtp", "too many logins",
           "User and password"),
        at("banned after wrong tries", "", "may have banned this address"),
    };
    return all;
}

const std::vector<misconfiguration>& of_mechanisms() {
    static const std::string allowed = "?insecure_authentication=true";
    static const std::string nobody = "bob@example.org";
    static const std::vector<misconfiguration> all = {
        {"a login that TLS does not protect", says({}), as_ann, phase::auth, "which have TLS"},
        {"a relay that knows no login",
         says({.hello = "250-mx.example\r\n250 SIZE 100"}),
         as_ann,
         phase::auth,
         "Leave user and password out if this is a relay",
         {},
         nobody,
         allowed},
        {"a server that wants a token",
         says({.hello = "250-mx.example\r\n250 AUTH XOAUTH2"}),
         as_ann,
         phase::auth,
         "OAuth needs a token",
         {},
         nobody,
         allowed},
        {"a mechanism that wants TLS",
         refuses_login("538 5.7.11 Encryption required for requested authentication mechanism"),
         as_ann,
         phase::auth,
         "wants an encrypted connection",
         {},
         nobody,
         allowed},
    };
    return all;
}

const std::vector<misconfiguration>& of_envelopes() {
    static const std::vector<misconfiguration> all = {
        {"no login where one is wanted", refuses_sender("530 5.7.0 Authentication required"), clear, phase::mail,
         "wants a login first"},
        {"no TLS where it is wanted", refuses_sender("530 5.7.0 Must issue a STARTTLS command first"), clear,
         phase::mail, "wants TLS first", "login"},
        {"a relay that does not know us", refuses_recipient("554 5.7.1 <bob@example.org>: Relay access denied"), clear,
         phase::rcpt, "does not relay for you"},
        {"a sender that is not the account's",
         refuses_sender("553 5.7.1 <ann@example.com>: Sender address rejected: not owned by user eve"), clear,
         phase::mail, "may not send as this sender"},
        {"a sender that SendGrid did not verify",
         refuses_sender("550 The from address does not match a verified Sender Identity. Mail cannot be sent"), clear,
         phase::mail, "not verified in the account"},
        {"the sandbox of Mailgun",
         refuses_recipient("421 Domain sandbox1.mailgun.org is not allowed to send: Sandbox subdomains are for test "
                           "purposes only. Please add your own domain or add the address to authorized recipients"),
         clear, phase::rcpt, "authorised recipients only"},
        {"an account that OVH blocked",
         refuses_recipient("554 5.7.1 Your account is blocked for spam. See https://www.ovh.com/x"), clear, phase::rcpt,
         "account is blocked"},
        {"a sender whose domain does not exist",
         refuses_sender("450 4.1.8 <ann@example.com>: Sender address rejected: Domain not found"), clear, phase::mail,
         "domain of the sender"},
        {"greylisting", refuses_recipient("450 4.7.1 <bob@example.org>: Recipient address rejected: Greylisted"), clear,
         phase::rcpt, "greylists"},
        {"nobody of that name", refuses_recipient("550 5.1.1 <bob@example.org>: User unknown"), clear, phase::rcpt,
         "Nobody has this address"},
        {"a full mailbox", refuses_recipient("452 4.2.2 <bob@example.org>: Mailbox full"), clear, phase::rcpt,
         "mailbox is full"},
        {"a limit of size", refuses_sender("552 5.3.4 Message size exceeds fixed limit"), clear, phase::mail,
         "too large for the server"},
        {"a full disk", refuses_sender("452 4.3.1 Insufficient system storage"), clear, phase::mail, "disk is full"},
        {"an address without a name in DNS",
         refuses_recipient("450 4.7.1 Client host rejected: cannot find your reverse hostname, [192.0.2.1]"), clear,
         phase::rcpt, "PTR"},
        {"an address that a list has",
         refuses_recipient("554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org"),
         clear, phase::rcpt, "block list", "relay"},
        {"an account that sent enough", refuses_sender("454 Throttling failure: Daily message quota exceeded"), clear,
         phase::mail, "sent its mail for today"},
        {"an address that needs SMTPUTF8",
         says({.hello = "250 mx.example"}),
         clear,
         phase::mail,
         "SMTPUTF8",
         {},
         "j\xc3\xb6rg@example.org"},
    };
    return all;
}

bool is_named(const diagnosis& d, const misconfiguration& m) {
    return std::ranges::any_of(d.steps, [&](const diagnosis_step& s) {
        const bool fits = s.text.find(m.cause) != std::string::npos || s.advice.find(m.cause) != std::string::npos;
        return s.where == m.where && s.how != grade::good && fits;
    });
}

diagnosis examine(const std::string& url, const misconfiguration& m) {
    diagnosis d;
    // On a busy machine it may be over before the server has said what it has to say.
    for (const duration patience : {duration(500ms), duration(5s), duration(60s)}) {
        d = diagnose(url, {.from = "ann@example.com", .to = {m.recipient}, .patience = patience});
        if (is_named(d, m)) break;
    }
    return d;
}

void check(const diagnosis& d, const misconfiguration& m) {
    const auto text = to_string(d);
    CAPTURE(std::string(m.name));
    CAPTURE(text);
    CHECK_FALSE(d.good());
    CHECK(is_named(d, m));
    if (!m.misleads.empty())
        CHECK(std::ranges::none_of(
            d.steps, [&](const diagnosis_step& s) { return s.advice.find(m.misleads) != std::string::npos; }));
    CHECK(text.find("top-secret") == std::string::npos);
}

void check_all(const std::vector<misconfiguration>& all) {
    for (const auto& m : all) {
        const villain v([&m](victim_of& client, int) { m.server(client); });
        check(examine(std::string(m.scheme) + "127.0.0.1:" + std::to_string(v.port()) + m.query, m), m);
    }
}

}  // namespace

TEST_CASE("what is wrong on the way to the server is named") { check_all(of_the_way()); }

TEST_CASE("what is wrong with TLS is named") { check_all(of_tls()); }

TEST_CASE("why a provider refuses the login is named") { check_all(of_logins()); }

TEST_CASE("a login that does not fit the server is named") { check_all(of_mechanisms()); }

TEST_CASE("what is wrong with sender or recipient is named") { check_all(of_envelopes()); }

TEST_CASE("a name that DNS does not have, a port where nobody is and a proxy that is away are named") {
    const misconfiguration no_name{.name = "no such name", .where = phase::resolve, .cause = "spelled right"};
    check(examine("smtp://mail.invalid", no_name), no_name);
    const refusing_port closed;
    const auto away = closed.at("127.0.0.1");
    const misconfiguration nobody{.name = "nobody there", .where = phase::connect, .cause = "Nothing listens"};
    check(examine("smtp://" + away, nobody), nobody);
    const misconfiguration no_proxy{.name = "no proxy", .where = phase::connect, .cause = "through the proxy"};
    check(examine("smtp://mail.example?proxy=socks5%3A%2F%2F" + away, no_proxy), no_proxy);
}

TEST_CASE("a proxy that refuses is named, not the server behind it") {
    const misconfiguration m{.name = "a proxy", .where = phase::connect, .cause = "Look at the proxy"};
    const villain v([](victim_of& client, int) {
        client.some();
        client.say("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
        client.linger();
    });
    check(examine("smtp://mail.example?proxy=http%3A%2F%2F127.0.0.1%3A" + std::to_string(v.port()), m), m);
}

TEST_CASE("a port whose octets a firewall drops is named") {
    // A queue that is full takes no further connection, and says nothing.
    asio::io_context io;
    tcp::acceptor full(io);
    full.open(tcp::v4());
    full.bind({asio::ip::address_v4::loopback(), 0});
    full.listen(0);
    std::vector<tcp::socket> waiting;
    for (int i = 0; i < 4; ++i) waiting.emplace_back(io).async_connect(full.local_endpoint(), [](error_code) {});
    const misconfiguration m{.name = "blocked", .where = phase::connect, .cause = "A firewall may drop"};
    check(examine("smtp://127.0.0.1:" + std::to_string(full.local_endpoint().port()), m), m);
}
