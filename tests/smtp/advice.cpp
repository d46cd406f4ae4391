// What people are told to do: each row of the table, by what a server or the library really says.
#include <postroad/queueing/suppression.hpp>
#include <postroad/smtp/advice.hpp>
#include <postroad/smtp/impl/advice_table.ipp>
#include <postroad/smtp/reply.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

using namespace postroad;
using smtp::advise;
using smtp::detail::advice_table;
using smtp::detail::subject;

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

struct example {
    error_code error;
    phase where;
    std::optional<security> how;
    std::string explanation;
    std::string said;
    std::string_view part;           // of the advice; empty: there is none
    std::string_view not_part = {};  // what would mislead
};

smtp::situation situation_of(const example& e, smtp::whose_server whose = smtp::whose_server::ours) {
    return {.error = e.error,
            .where = e.where,
            .how = e.how,
            .explanation = e.explanation,
            .said = e.said.empty() ? reply{} : reply_of(e.said),
            .whose = whose};
}

// What only users of a server can do, or who runs it.
std::string_view of_users_only(std::string_view advice) {
    static const std::string text_of_static_life[] = {"smtp://",
                                                      "smtps://",
                                                      "?ca=",
                                                      "?helo=",
                                                      "?auth=",
                                                      "?certificate=",
                                                      "log in",
                                                      "login",
                                                      "password",
                                                      "account",
                                                      "587",
                                                      "its log",
                                                      "a token",
                                                      "name that is in the certificate",
                                                      "submission port"};
    auto text = std::string(advice);
    for (auto& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    for (const auto& words : text_of_static_life)
        if (has(text, words)) return words;
    return {};
}

constexpr auto by_starttls = security::starttls;
constexpr auto implicit = security::implicit;

const std::vector<example>& failures() {
    static const std::string expected = "expected a reply such as \"250 ok\", got ";
    static const std::vector<example> all = {
        {make_error_code(std::errc::connection_refused), phase::connect, by_starttls, "", "", "Nothing listens"},
        {make_error_code(std::errc::network_unreachable), phase::connect, by_starttls, "", "", "no way"},
        {make_error_code(std::errc::host_unreachable), phase::connect, by_starttls, "", "", "no way"},
        {errc::timed_out, phase::connect, by_starttls, "cannot look up mx:587: no answer in time", "", "name servers",
         "firewall"},
        {errc::timed_out, phase::connect, by_starttls, "the proxy did not open a way to the server in time", "",
         "Look at the proxy", "firewall"},
        {errc::timed_out, phase::connect, implicit, "the TLS handshake was not finished in time", "",
         "does not speak TLS", "firewall"},
        {errc::timed_out, phase::tls, by_starttls, "no reply in time in phase tls", "", "does not go on", "smtp:"},
        {make_error_code(std::errc::connection_refused), phase::connect, by_starttls,
         "cannot connect to mx:587 through the proxy p:1080: Connection refused", "", "Look at the proxy", "587"},
        {errc::timed_out, phase::connect, by_starttls, "cannot connect to mx:587 through the proxy p:1080: timed out",
         "", "Look at the proxy", "587"},
        {errc::resolve_failed, phase::resolve, by_starttls, "cannot look up mx:587 through the proxy p:1080: no", "",
         "Look at the proxy", "DNS"},
        {errc::resolve_failed, phase::resolve, by_starttls,
         "cannot connect to mx:587: no address of a family that may be used", "", "of the family", "spelled"},
        {errc::timed_out, phase::connect, by_starttls, "cannot connect to mx:25: timed out", "", "firewall"},
        {errc::timed_out, phase::greeting, by_starttls, "", "", "smtps://"},
        {errc::timed_out, phase::greeting, implicit, "", "", "too slow", "smtps"},
        {errc::timed_out, phase::greeting, {}, "", "", "too slow", "smtps"},
        {errc::timed_out,
         phase::queued,
         {},
         "it was given up: its time was over while it waited. cannot look up mx",
         "",
         "you gave it",
         "DNS"},
        {errc::timed_out,
         phase::rcpt,
         {},
         "it was given up: its time was over before the server had answered",
         "",
         "you gave it",
         "too slow"},
        {errc::timed_out, phase::resolve, {}, "no answer yet to where mx is", "", "name servers", "too slow"},
        {errc::timed_out, phase::rcpt, by_starttls, "", "", "too slow"},
        {errc::resolve_failed, phase::resolve, by_starttls, "", "", "DNS"},
        {errc::proxy_failed, phase::connect, by_starttls, "", "", "proxy"},
        {errc::malformed_reply, phase::greeting, by_starttls, expected + "\"+OK Dovecot ready.\"", "", "POP3",
         "smtps: "},
        {errc::malformed_reply, phase::greeting, implicit, expected + "\"* OK [CAPABILITY IMAP4rev1] ready\"", "",
         "IMAP"},
        {errc::malformed_reply, phase::greeting, by_starttls, expected + "\"HTTP/1.1 400 Bad Request\"", "",
         "web server"},
        {errc::malformed_reply, phase::greeting, by_starttls, expected + "\"SSH-2.0-OpenSSH_9.2\"", "", "SSH"},
        {errc::malformed_reply, phase::greeting, by_starttls, "a line of the reply ends without CRLF: \"220 mx\"", "",
         "LF alone", "no mail server"},
        {errc::malformed_reply, phase::greeting, by_starttls,
         "the lines of one reply have two codes, 220 and 421: \"421 busy\"", "", "breaks the rules", "no mail server"},
        {errc::malformed_reply, phase::greeting, by_starttls, expected + "\"\\x16\"", "", "smtps://"},
        {errc::malformed_reply, phase::greeting, implicit, expected + "\"\\x16\"", "", "no mail server", "first octet"},
        {errc::reply_too_long, phase::greeting, by_starttls, "", "", "no mail server"},
        {errc::malformed_reply, phase::rcpt, by_starttls, expected + "\"what\"", "", "began with SMTP", "smtps"},
        {errc::reply_too_long, phase::content, by_starttls, "", "", "began with SMTP", "587"},
        {errc::connection_closed, phase::greeting, by_starttls, "", "", "hangs up at once"},
        {errc::connection_closed, phase::greeting, implicit, "", "", "hangs up at once", "smtps"},
        {errc::connection_closed, phase::auth, by_starttls, "", "", "banned", "at once"},
        {errc::connection_closed, phase::rcpt, by_starttls, "", "", ""},
        {errc::tls_broken, phase::auth, by_starttls,
         "the connection ended without close_notify: something may be cut off", "", "banned", "close_notify"},
        {errc::tls_broken, phase::content, by_starttls, "", "", ""},
        {errc::greeting_refused, phase::greeting, by_starttls, "", "554 no", "block list"},
        {errc::greeting_refused, phase::greeting, by_starttls, "",
         "554 5.7.1 mx.example rejects; 192.0.2.1 listed at zen.spamhaus.org", "on a block list", "too many"},
        {errc::service_closing, phase::idle, by_starttls, "", "421 4.3.2 too busy", "Try later"},
        {errc::service_closing, phase::greeting, by_starttls, "",
         "421 4.7.0 mx.example Error: too many connections from 192.0.2.1", "fewer at a time"},
        {errc::service_closing, phase::mail, by_starttls, "",
         "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints",
         "Yahoo"},
        {errc::hello_refused, phase::hello, by_starttls, "", "500 what?", "inspection"},
        {errc::hello_refused, phase::hello, by_starttls, "", "550 bad name", "?helo=NAME"},
        {errc::hello_refused, phase::hello, by_starttls, "", "502 unknown", "knows no EHLO", "?helo=NAME"},
        {errc::hello_refused, phase::hello, by_starttls, "", "530 Please login with USER and PASS.", "FTP server",
         "?helo=NAME"},
        {errc::hello_refused, phase::hello, by_starttls, "expected 250 to LHLO", "502 not implemented",
         "not speak LMTP", "?helo"},
        {errc::hello_refused, phase::hello, by_starttls, "expected 250 to EHLO", "500 Error: use LHLO", "lmtp://",
         "?helo"},
        {errc::tls_not_offered, phase::hello, by_starttls, "", "250 mx.example Hello", "hides STARTTLS", "insecure"},
        {errc::tls_refused, phase::starttls, by_starttls, "", "454 4.7.0 TLS not available", "certificate and log"},
        {errc::tls_injection, phase::starttls, by_starttls, "", "", "tampering"},
        {errc::tls_handshake, phase::tls, by_starttls,
         "x; perhaps the server wants a client certificate, which certificate_file names", "", "?certificate=FILE",
         "TLS 1."},
        {errc::tls_handshake, phase::tls, implicit, "x; perhaps the server does not accept our certificate", "",
         "Ask who runs it", "TLS 1."},
        {errc::tls_handshake, phase::tls, implicit, "x: the server sent the alert unrecognized_name", "",
         "no certificate for this name", "TLS 1."},
        {errc::tls_handshake, phase::tls, implicit, "x: the server sent the alert protocol_version", "",
         "none of the versions", "587"},
        {errc::tls_handshake, phase::tls, implicit,
         "x: -0x6e80; the server wants a version of TLS older than is allowed", "", "TLS 1.2 at least", "587"},
        {errc::tls_handshake, phase::tls, implicit, "the server answered in the clear, \"HTTP/1.1 400 Bad\"", "",
         "web server"},
        {errc::tls_handshake, phase::tls, implicit, "the server answered in the clear, \"* OK ready\"", "", "IMAP"},
        {errc::tls_handshake, phase::tls, implicit, "the server answered in the clear, \"220 mx\": ...", "", "smtp://",
         "TLS 1.2"},
        {errc::tls_handshake, phase::tls, by_starttls,
         "the server agreed to STARTTLS and answered in the clear, \"500 what?\"", "", "cannot do it", "587"},
        {errc::tls_handshake, phase::tls, implicit,
         "x: it sent the alert protocol_version; this build of mbedTLS speaks TLS 1.2 only, perhaps the server wants "
         "TLS "
         "1.3",
         "", "mbedTLS 3.6", "It must learn TLS 1.2 at least"},
        {errc::tls_certificate, phase::tls, by_starttls, "certificate of mx was revoked by its CA", "", "do not go on"},
        {errc::tls_certificate, phase::tls, by_starttls,
         "certificate of mx cannot be looked up: the CRL of its CA is out of date, or not signed by it; fetch a newer "
         "one",
         "", "newer list", "another certificate"},
        {errc::tls_handshake, phase::tls, implicit, "x", "", "587 or 25"},
        {errc::tls_handshake, phase::tls, by_starttls, "x", "", "cipher suite", "587"},
        {errc::tls_certificate, phase::tls, by_starttls, "certificate of mx expired on 2024-01-01", "", "renewed",
         "?ca"},
        {errc::tls_certificate, phase::tls, by_starttls,
         "certificate of mx comes with a CA \"CN=R3\" that expired on 2024-01-01", "", "chain of today", "renewed"},
        {errc::tls_certificate, phase::tls, by_starttls, "certificate of mx is not valid before 2034-01-01", "",
         "clock", "?ca"},
        {errc::tls_certificate, phase::tls, by_starttls, "certificate of mx has a key or a signature that is too weak",
         "", "new certificate", "Use the name"},
        {errc::tls_certificate, phase::tls, by_starttls, "certificate of mx has an Ed25519 key, which ...", "", "P-256",
         "?ca"},
        {errc::tls_certificate, phase::tls, by_starttls,
         "certificate of mx comes with more than 8 certificates above it", "", "no others", "?ca"},
        {errc::tls_certificate, phase::tls, by_starttls,
         "certificate of mx comes with a CA whose name constraints are critical, which ...", "", "OpenSSL", "?ca"},
        {errc::tls_certificate, phase::tls, by_starttls,
         "certificate of 127.0.0.1 has the address as a DNS name, which does not count: it must be an iPAddress; "
         "expected 127.0.0.1",
         "", "subjectAltName", "?ca"},
        {errc::tls_certificate, phase::tls, by_starttls, "certificate of mx is for a.example; expected mx", "",
         "Use the name", "?ca"},
        {errc::tls_certificate, phase::tls, by_starttls, "certificate of mx is self-signed; give ca_file if ...", "",
         "?ca=FILE", "Use the name"},
        {errc::tls_certificate, phase::tls, by_starttls,
         "certificate of mx is signed by an unknown CA \"CN=R3\"; give ca_file if it is your own", "", "intermediate",
         "Use the name"},
        {errc::tls_certificate, phase::tls, by_starttls,
         "certificate of mx is not meant for servers (its key usage says so)", "", "serverAuth", "?ca"},
        {errc::tls_certificate, phase::tls, by_starttls,
         "certificate of mx has the key pin AAAA (its CAs: BBBB); expected CCCC", "", "pin", "?ca"},
        {errc::tls_certificate, phase::tls, by_starttls, "certificate of mx comes with a CA that may not speak for mx",
         "", "another CA", "?ca"},
        {errc::tls_certificate, phase::tls, by_starttls, "certificate of mx was refused: x", "", "explanation", "?ca"},
        {errc::authentication_not_offered, phase::auth, by_starttls, "", "250 mx.example", "587"},
        {errc::authentication_not_offered, phase::auth, security::insecure_none,
         "credentials are given and the server offers AUTH without a mechanism", "", "which have TLS", "relay"},
        {errc::no_common_mechanism, phase::auth, by_starttls,
         "no mechanism in common: the server offers PLAIN, LOGIN; usable with these credentials: OAUTHBEARER, XOAUTH2",
         "", "Give a password", "?auth"},
        {errc::authentication_failed, phase::auth, by_starttls,
         "the server reported success before it had asked for the user and the password", "", "want no login",
         "who it says"},
        {errc::no_common_mechanism, phase::auth, by_starttls, "", "", "?auth=NAME"},
        {errc::unexpected_reply, phase::auth, by_starttls, "expected 235 or 334 to AUTH", "250 ok", "?auth=NAME"},
        {errc::unexpected_reply, phase::mail, by_starttls, "expected 250 to MAIL", "354 go", ""},
        {errc::no_common_mechanism, phase::auth, by_starttls,
         "no mechanism in common: the server offers NTLM, GSSAPI, none of which postroad has; usable with these "
         "credentials: PLAIN",
         "", "Ask who runs the server", "?auth"},
        {errc::insecure_authentication, phase::auth, security::insecure_none, "", "", "have TLS", "insecure"},
        {errc::authentication_failed, phase::auth, by_starttls,
         "the server reported success before it proved that it knows the password", "", "who it says"},
        {errc::authentication_failed, phase::auth, by_starttls, "the server's challenge is not base64", "334 x",
         "?auth=NAME", "who it says"},
        {errc::internationalised_unsupported, phase::mail, by_starttls, "the local part is not ASCII", "", "SMTPUTF8"},
        {errc::message_too_large, phase::mail, by_starttls, "the message has 9 octets, the server takes 8", "", ""},
        {errc::cancelled, phase::queued, {}, "the operation was cancelled", "", ""},
    };
    return all;
}

const std::vector<example>& logins() {
    static const std::string by_plain = "the server rejected the credentials by PLAIN";
    static const auto at = [](const char* said, std::string_view part, std::string_view not_part = {}) {
        return example{said[0] == '4' ? errc::authentication_deferred : errc::authentication_rejected,
                       phase::auth,
                       by_starttls,
                       by_plain,
                       said,
                       part,
                       not_part};
    };
    static const auto by_scram = [](errc ec, std::string_view word, std::string_view part,
                                    std::string_view not_part = {}) {
        return example{
            ec,   phase::auth, by_starttls, "by SCRAM-SHA-256: the server reports " + std::string(word), "535 5.7.8 no",
            part, not_part};
    };
    static const std::vector<example> all = {
        at("534 5.7.9 Application-specific password required. Learn more at https://support.google.com/mail/?p=x",
           "app password"),
        at("534-5.7.14 <https://accounts.google.com/signin/continue?sarp=1>\r\n534 5.7.14 Please log in - gsmtp",
           "browser"),
        at("535-5.7.8 Username and Password not accepted. For more information, go to\r\n535 5.7.8  "
           "https://support.google.com/mail/?p=BadCredentials x - gsmtp",
           "Google does not accept"),
        at("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit "
           "https://aka.ms/smtp_auth_disabled for more information.",
           "SMTP AUTH"),
        at("535 5.7.139 Authentication unsuccessful, basic authentication is disabled.", "OAuth"),
        at("535 5.7.3 Authentication unsuccessful [FR0P281CA0001.DEUP281.PROD.OUTLOOK.COM]", "Microsoft"),
        at("535 5.7.0 (#AUTH005) Too many bad auth attempts.", "too many wrong logins", "yahoo does not accept"),
        at("535 5.7.0 (#MBR1212) Incorrect username or password.", "Yahoo does not accept"),
        at("535 Authentication Credentials Invalid", "SES"),
        at("535 Authentication failed: Bad username / password", "apikey"),
        at("535 Authentication failed: The provided authorization grant is invalid, expired, or revoked", "API key"),
        at("535 Login Fail. Please enter your authorization code to login. More information in "
           "http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=28&&no=1001256",
           "authorization code"),
        at("535 Login fail. Account is abnormal, service is not open, password is incorrect, login frequency limited, "
           "or system is busy. More information at https://help.mail.qq.com/detail/108/1023",
           "QQ Mail"),
        at("454 Authentication failed, please open smtp flag first!", "Turn SMTP on"),
        at("550 User has no permission", "SMTP is turned off"),
        at("535 5.7.8 Error: authentication failed: This user does not have access rights to this service",
           "Access by mail programs"),
        at("454 4.7.0 Too many login attempts, please try again later. x - gsmtp", "too many logins"),
        at("451 Requested mail action not taken: too much fail authentication", "too many logins"),
        at("451 Authentication failed: Maximum credits exceeded", "no messages left", "passwords"),
        at("535 Authentication failed: Maximum credits exceeded", "no messages left", "Check both"),
        at("538 5.7.11 Encryption required for requested authentication mechanism", "have TLS"),
        at("535 5.7.13 User account disabled", "account is disabled", "Check both"),
        at("534 5.7.12 A password transition is needed", "another mechanism"),
        at("535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6", "Check both"),
        at("535 5.7.1 Authentication failed", "Check both"),
        at("454 4.7.0 Temporary authentication failure", "Try later"),
        at("432 4.7.12 A password transition is needed", "another mechanism", "Try later"),
        at("450 4.7.1 Too many connections from your IP", "fewer at a time", "password"),
        at("454 4.7.0 Too many failed logins from 192.0.2.1", "too many logins", "Try later"),
        // What is refused is AUTH, and nothing was said of user and password.
        at("530 5.7.0 Must issue a STARTTLS command first", "TLS first", "Check both"),
        at("503 5.5.1 Error: authentication not enabled", "out of order", "Check both"),
        at("554 5.7.1 Client host [192.0.2.1] blocked using bl.example", "block list", "Check both"),
        at("554 5.7.1 Too many failed logins from your IP", "too many logins", "Check both"),
        at("550 5.7.1 Not from this network", "refuses AUTH itself", "Check both"),
        at("554 5.7.8 Not you", "not those of an account", "AUTH itself"),
        // So some say that they are wrong.
        at("554 5.7.8 Error: authentication failed", "Check both"),
        at("550 Login failed", "Check both"),
        at("526 Authentication failure[0]", "Check both"),
        at("550 5.7.1 username or password invalid", "Check both"),
        {errc::out_of_sequence, phase::rcpt, by_starttls, "the server takes the command for one out of order",
         "503 5.5.1 Send EHLO first", "out of order", "?helo"},
        {errc::out_of_sequence, phase::rcpt, by_starttls, "the server takes the command for one out of order",
         "503 This server: authentication required", "login first"},
        {errc::authentication_rejected, phase::auth, by_starttls,
         by_plain + "; if the password is right, SCRAM-SHA-256 is beyond the server: name another, auth=PLAIN",
         "535 no", "another mechanism"},
        by_scram(errc::authentication_rejected, "invalid-proof", "not that of this user", "?auth="),
        by_scram(errc::authentication_rejected, "unknown-user", "nothing for SCRAM"),
        by_scram(errc::authentication_rejected, "invalid-username-encoding", "nothing for SCRAM"),
        by_scram(errc::authentication_rejected, "other-error", "does not say why"),
        by_scram(errc::authentication_rejected, "invalid-encoding", "another mechanism", "password"),
        by_scram(errc::authentication_rejected, "extensions-not-supported", "another mechanism", "password"),
        by_scram(errc::authentication_rejected, "channel-binding-not-supported", "another mechanism", "password"),
        by_scram(errc::authentication_rejected, "unsupported-channel-binding-type", "another mechanism", "password"),
        by_scram(errc::authentication_failed, "channel-bindings-dont-match", "no password there", "?auth="),
        by_scram(errc::authentication_failed, "server-does-support-channel-binding", "no password there", "?auth="),
        by_scram(errc::authentication_deferred, "no-resources", "Try later", "password"),
        by_scram(errc::authentication_deferred, "other-error", "Try later", "password"),
        {errc::authentication_rejected, phase::auth, by_starttls,
         "the server refused the token, and the same one was given again", "", "Get a new one", "its code"},
        {errc::authentication_rejected, phase::auth, by_starttls,
         "the server rejected the credentials by XOAUTH2: the server refuses the token: 401", "554 no", "Get a new one",
         "AUTH itself"},
    };
    return all;
}

const std::vector<example>& refusals() {
    static const auto at = [](phase where, const char* said, std::string_view part, std::string_view not_part = {}) {
        return example{{}, where, by_starttls, "", said, part, not_part};
    };
    static constexpr auto mail = phase::mail, rcpt = phase::rcpt, content = phase::content;
    static const std::vector<example> all = {
        // Microsoft 365
        at(mail, "535 5.7.139 Authentication unsuccessful", "SMTP AUTH"),
        at(mail, "530 5.7.57 Client not authenticated to send mail. [FR0P281CA0001.DEUP281.PROD.OUTLOOK.COM]",
           "login before mail"),
        at(content, "550 5.7.60 SMTP; Client does not have permissions to send as this sender", "may not send as"),
        at(content, "554 5.2.252 SendAsDenied; ann@x.example not allowed to send as bob@x.example", "may not send as"),
        at(rcpt, "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient bob@y.example not found by SMTP address lookup",
           "Nobody has this address", "takes no mail"),
        at(content, "550 5.1.8 Access denied, bad outbound sender AS(42004)", "account is blocked", "domain"),
        at(rcpt, "550 5.4.1 Recipient address rejected: Access denied. [x.prod.protection.outlook.com]",
           "Nobody has this address", "relay"),
        at(rcpt, "550 5.7.64 TenantAttribution; Relay Access Denied", "connector"),
        at(content, "550 5.7.509 Access denied, sending domain x.example does not pass DMARC verification", "DMARC"),
        at(content,
           "550 5.7.515 Access denied, sending domain x.example does not meet the required authentication level",
           "lacks SPF"),
        at(rcpt, "550 5.7.705 Access denied, tenant has exceeded threshold", "organisation has sent"),
        at(content, "550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP",
           "no mail from"),
        at(content, "550 5.7.750 Service unavailable. Client blocked from sending from unregistered domain",
           "not registered"),
        at(content,
           "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; submission quota exceeded",
           "more than it may"),
        at(content, "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", "more than it may"),
        at(rcpt, "550 5.7.606 Access denied, banned sending IP [192.0.2.1]. To request removal from this list", "list"),
        at(rcpt,
           "550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required; Delivery restriction "
           "check "
           "failed because the sender was not authenticated when sending to this group",
           "their own organisation", "login"),
        at(rcpt, "550 5.7.134 RESOLVER.RST.SenderNotAuthenticatedForMailbox; authentication required",
           "their own organisation", "login"),
        // Gmail
        at(content, "550 5.4.5 Daily user sending limit exceeded. x - gsmtp", "for today"),
        at(content, "550 5.7.1 Daily sending quota exceeded. x - gsmtp", "for today"),
        at(mail, "421 4.7.0 Our system has detected an unusual rate of unsolicited mail originating from your IP",
           "sends spam"),
        at(rcpt, "450 4.2.1 The user you are trying to contact is receiving mail too quickly. x - gsmtp", "at once",
           "nothing at present"),
        at(content,
           "552 5.7.0 This message was blocked because its content presents a potential security issue. x - gsmtp",
           "attached", "too large"),
        at(rcpt, "550 5.7.1 Invalid credentials for relay [192.0.2.1]. x - gsmtp", "Google relays"),
        at(content,
           "550-5.7.26 Your email has been blocked because the sender is unauthenticated.\r\n550 5.7.26 Gmail "
           "requires all senders to authenticate with either SPF or DKIM. x - gsmtp",
           "DKIM", "login"),
        at(content, "550 5.7.27 SPF check for x.example did not pass. x - gsmtp", "SPF of the sender's domain",
           "no mail"),
        at(content, "550 5.7.30 This mail has been blocked: DKIM did not pass. x - gsmtp", "DKIM signature"),
        at(content,
           "550-5.7.1 Unauthenticated email from x.example is not accepted due to domain's\r\n550 5.7.1 DMARC policy. "
           "Please contact the administrator of x.example domain. x - gsmtp",
           "SPF record", "rule"),
        at(mail, "530 5.7.0 Must issue a STARTTLS command first. x - gsmtp", "TLS first"),
        at(mail, "530 5.5.1 Authentication Required. For more information, go to https://support.google.com/x - gsmtp",
           "login first"),
        // Null MX (RFC 7505)
        at(mail, "550 5.7.27 Sender address has null MX", "takes no mail", "SPF"),
        at(rcpt, "556 5.1.10 Recipient address has null MX", "takes no mail", "Nobody"),
        // Yahoo
        at(mail, "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume", "Yahoo"),
        at(mail, "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.1", "Spamhaus", "sender's address"),
        at(mail, "553 5.7.2 [TSS09] All messages from 192.0.2.1 will be permanently deferred", "people complain"),
        at(rcpt, "554 delivery error: dd This user doesn't have a yahoo.com account (bob@yahoo.com) [0]", "Nobody"),
        at(content,
           "554 5.7.9 Message not accepted for policy reasons. See https://senders.yahooinc.com/smtp-error-codes",
           "rule", "login"),
        // iCloud
        at(content, "550 5.7.1 [CS01] Message rejected due to local policy. https://support.apple.com/en-us/HT204137",
           "filter"),
        at(content, "554 5.7.1 [HME1] This message was blocked. https://support.apple.com/en-us/HT204137",
           "neither SPF"),
        at(rcpt, "421 4.7.1 Messages to b@icloud.com deferred due to excessive volume. Try again later", "at once"),
        // Amazon SES
        at(content,
           "554 Message rejected: Email address is not verified. The following identities failed the check in "
           "region EU-WEST-1: ann@x.example",
           "Verify"),
        at(content, "554 Access denied: User `arn:aws:iam::1:user/x' is not authorized to perform `ses:SendRawEmail'",
           "IAM"),
        at(content, "454 Throttling failure: Daily message quota exceeded", "for today"),
        at(content, "454 Throttling failure: Maximum sending rate exceeded", "a second"),
        // SendGrid, Mailgun, OVH
        at(mail, "451 Authentication failed: Maximum credits exceeded", "no messages left"),
        at(content, "550 The from address does not match a verified Sender Identity. Mail cannot be sent",
           "not verified"),
        at(rcpt,
           "421 Domain sandbox1.mailgun.org is not allowed to send: Sandbox subdomains are for test purposes only.",
           "authorised"),
        at(rcpt, "554 5.7.1 Your account is blocked for spam. See https://www.ovh.com/x", "Unblock"),
        // QQ, 163, Yandex
        at(mail, "501 Mail from address must be same as authorization user.", "account that logged in"),
        at(mail, "553 Mail from must equal authorized user", "account that logged in"),
        at(mail, "550 Ip frequency limited. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000725",
           "at once"),
        at(content, "550 Mail content denied. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022", "spam"),
        at(content, "550 SPF check failed. https://service.mail.qq.com/detail/122/72", "does not stand for", "relay"),
        at(mail, "550 Suspected spam ip. https://service.mail.qq.com/detail/122/66", "asked for"),
        at(rcpt, "550 Mail is rejected by recipients. https://service.mail.qq.com/detail/122/92", "has blocked"),
        at(rcpt, "550 Mailbox not found. https://service.mail.qq.com/detail/122/169", "Nobody has"),
        at(content, "552 Message too large. https://service.mail.qq.com/detail/122/168", "too large", "mailbox"),
        at(content, "554 MI:STC 163 smtp1,x http://mail.163.com/help/help_spam_16.htm?ip=192.0.2.1", "for today"),
        at(content, "554 DT:SPM 163 smtp1,x http://mail.163.com/help/help_spam_16.htm?ip=192.0.2.1", "spam"),
        at(mail, "421 HL:REP 163 mx1,x http://mail.163.com/help/help_spam_16.htm?ip=192.0.2.1", "do not exist",
           "Send less"),
        at(mail, "421 HL:ICC 163 mx1,x http://mail.163.com/help/help_spam_16.htm?ip=192.0.2.1", "?connections=N"),
        at(mail, "421 HL:IFC 163 mx1,x http://mail.163.com/help/help_spam_16.htm?ip=192.0.2.1", "at once"),
        at(mail, "421 HL:MEP 163 mx1,x http://mail.163.com/help/help_spam_16.htm?ip=192.0.2.1", "your own",
           "Send less"),
        at(mail, "450 DT:RBL 163 mx1,x http://mail.163.com/help/help_spam_16.htm?ip=192.0.2.1", "block list"),
        at(mail, "451 MI:SFQ 163 mx1,x http://mail.163.com/help/help_spam_16.htm?ip=192.0.2.1", "at once"),
        at(content, "554 5.7.1 [1] Message rejected under suspicion of SPAM; https://ya.cc/1IrBc x", "for spam"),
        at(mail, "553 5.7.1 Sender address rejected: not owned by auth user.", "may not send as", "relay"),
        // Any server, by its enhanced code
        at(mail, "530 5.7.0 Must issue a STARTTLS command first", "TLS first"),
        at(mail, "530 no", "login first"),
        at(rcpt, "503 This server: authentication required", "login first"),
        at(rcpt, "503 5.5.1 Error: need MAIL command", "out of order"),
        at(rcpt, "503 5.5.1 Send EHLO first", "out of order", "?helo"),
        at(rcpt, "504 5.5.2 <host>: Helo command rejected: need fully-qualified hostname", "?helo=NAME", "Check"),
        at(rcpt, "550 5.7.1 Bad EHLO name", "?helo=NAME", "relay"),
        at(mail, "550 5.7.25 no PTR", "PTR", "account"),
        at(rcpt, "550 5.7.23 SPF", "SPF", "relay"),
        at(rcpt, "451 4.7.24 SPF validation error", "cannot be read"),
        at(content, "550 5.7.20 No passing DKIM signature found", "DKIM signature that is right"),
        at(content, "550 5.7.21 No acceptable DKIM signature found", "the server accepts"),
        at(content, "550 5.7.22 No valid author-matched DKIM signature found", "author's domain"),
        at(content, "550 5.7.26 Multiple authentication checks failed", "DKIM"),
        at(content, "451 4.4.3 Temporary DNS error during SPF lookup", "may succeed later", "SPF record"),
        at(rcpt, "450 4.7.1 Greylisted (SPF: none)", "greylists", "SPF record"),
        at(content, "554 5.7.1 blacklisted; DKIM-reputation", "block list", "SPF record"),
        at(mail, "421 4.7.28 too much", "at once"),
        at(mail, "550 5.7.8 Authentication failed", "user and password"),
        at(mail, "550 5.1.0 Address rejected", "sender's address"),
        at(rcpt, "550 5.1.7 bad sender", "how it is written"),
        at(mail, "553 5.1.8 domain of sender does not exist", "domain of the sender", "account"),
        at(rcpt, "450 4.1.8 sender domain not found", "domain of the sender", "greylists"),
        at(rcpt, "550 5.2.1 disabled", "takes nothing"),
        at(rcpt, "552 5.2.2 over quota", "full"),
        at(rcpt, "452 4.2.2 over quota", "full", "greylists"),
        at(content, "552 5.2.3 too large", "too large"),
        at(mail, "552 5.3.4 too large", "too large", "account"),
        at(mail, "452 4.3.1 Insufficient system storage", "disk is full", "mailbox"),
        at(rcpt, "452 4.5.3 Too many recipients", "in parts"),
        at(rcpt, "550 5.1.1 <michelo@y.example> unknown", "Nobody", "helo"),
        at(rcpt, "550 5.1.1 <relay@y.example> unknown", "Nobody", "relay"),
        at(rcpt, "550 5.1.1 relay.example does not know <bob@y.example>", "Nobody", "relay"),
        at(rcpt, "550 5.1.2 bad domain", "domain", "relay"),
        at(rcpt, "501 5.1.3 syntax", "how it is written"),
        at(rcpt, "551 5.1.6 moved", "has moved"),
        at(rcpt, "553 5.6.7 SMTPUTF8 required", "ASCII", "how it is written"),
        // For now is not for good.
        at(rcpt,
           "450 4.1.1 <b@y.example>: Recipient address rejected: unverified address: Address verification in progress",
           "later", "Nobody"),
        at(rcpt, "450 4.1.2 <b@y.example>: Recipient address rejected: Domain not found", "later", "does not exist"),
        at(rcpt, "450 4.1.3 later", "later", "written"),
        at(rcpt, "450 4.1.6 later", "later", "moved"),
        at(rcpt, "450 4.1.10 later", "later", "no mail"),
        at(rcpt, "450 4.4.1 relay timed out", "later", "Log in"),
        // By words
        at(rcpt, "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", "block list",
           "relay"),
        at(rcpt, "554 5.7.1 192.0.2.1 is in bl.spamcop.net", "block list", "relay"),
        at(mail, "550 5.7.1 Service unavailable; client host [192.0.2.1] blocked", "refuses this address", "account"),
        at(rcpt, "450 4.7.1 Client host rejected: cannot find your reverse hostname, [192.0.2.1]", "PTR", "block list"),
        at(mail, "553 5.7.1 <a@x.example>: Sender address rejected: not owned by user ann", "may not send as", "relay"),
        at(mail, "550 5.7.1 <a@x.example>: Sender address rejected: Access denied", "sender's address", "relay"),
        at(rcpt, "450 4.7.1 Greylisted", "some minutes"),
        at(rcpt, "554 5.7.1 <b@y.example>: Relay access denied", "relay"),
        at(rcpt, "550 relaying denied", "relay"),
        at(rcpt, "454 4.7.1 <b@y.example>: Relay access denied", "relay", "later"),
        at(mail, "554 5.7.1 Sorry, your domain is on our blacklist", "or a domain"),
        at(rcpt, "552 Too many recipients", "in parts"),
        at(content, "550 5.7.1 The sender must authenticate by SPF or DKIM", "SPF record", "login"),
        // By code alone
        at(mail, "552 message size exceeds", "too large", "account"),
        at(mail, "553 sorry", "sender's address"),
        at(rcpt, "553 sorry", "recipient's address"),
        at(rcpt, "551 user not local", "another server", "log in"),
        at(content, "552 no", "too large"),
        at(content, "552 5.7.0 Our system detected an illegal attachment on your message", "rule", "too large"),
        at(mail, "550 5.7.1 no", "rule", "account"),
        at(rcpt, "550 5.7.1 no", "rule", "relay"),
        at(content, "550 5.7.510 content", "rule"),
        at(mail, "450 no", "later"),
        at(mail, "451 no", "later", "greylists"),
        at(mail, "452 no", "later"),
        at(mail, "421 no", "later"),
        // Where nothing is known nothing is invented.
        at(mail, "550 no", ""),
        at(rcpt, "550 no", ""),
        at(rcpt, "554 no", ""),
        at(content, "554 no", ""),
        at(rcpt, "550 no such user helo@y.example", ""),
        at(content, "550 5.6.0 https://spam.example/blocklist-or-relay", ""),
        at(content, "450 4.7.1 later", "later", "relay"),
    };
    return all;
}

// What senders to strangers are told, who have no account there and no say.
const std::vector<example>& of_strangers() {
    static const std::string expected = "expected a reply such as \"250 ok\", got ";
    constexpr auto maybe = security::opportunistic;
    using enum phase;
    static const std::vector<example> all = {
        {make_error_code(std::errc::connection_refused), connect, maybe, "", "", "Nothing listens"},
        {errc::timed_out, connect, maybe, "the TLS handshake was not finished in time", "", "stuck in the TLS"},
        {errc::timed_out, connect, maybe, "cannot connect to mx:25: timed out", "", "port 25"},
        {errc::timed_out, tls, maybe, "no reply in time in phase tls", "", "stuck in the TLS"},
        {errc::timed_out, greeting, maybe, "", "", "tried again"},
        {errc::malformed_reply, greeting, maybe, expected + "\"+OK ready\"", "", "no mail server"},
        {errc::reply_too_long, greeting, maybe, "", "", "no mail server"},
        {errc::malformed_reply, rcpt, maybe, expected + "\"what\"", "", "began with SMTP"},
        {errc::reply_too_long, rcpt, maybe, "", "", "began with SMTP"},
        {errc::connection_closed, greeting, maybe, "", "", "hangs up at once"},
        {errc::tls_not_offered, hello, by_starttls, "", "250 mx.example Hello", "TLS is demanded"},
        {errc::tls_refused, starttls, by_starttls, "", "454 4.7.0 TLS not available", "cannot do it"},
        {errc::tls_handshake, tls, by_starttls, "x: the server sent the alert unrecognized_name", "",
         "no certificate for this name"},
        {errc::tls_handshake, tls, by_starttls, "the server answered in the clear, \"220 mx\"", "", "cannot do it"},
        {errc::tls_certificate, tls, by_starttls, "its common name does not count", "", "subjectAltName"},
        {errc::tls_certificate, tls, by_starttls, "is for a.example; expected b.example", "", "MX record"},
        {errc::tls_certificate, tls, by_starttls, "the certificate is self-signed", "", "by a CA is demanded"},
        {errc::tls_certificate, tls, by_starttls, "it was made by an unknown CA", "", "intermediate"},
        {errc::hello_refused, hello, maybe, "", "550 bad name", "client_name"},
        {{}, mail, maybe, "", "530 5.7.0 Must issue a STARTTLS command first", "wants TLS"},
        {{}, mail, maybe, "", "530 5.7.1 no", "its own users"},
        {{}, rcpt, maybe, "", "550 5.7.1 Authentication required", "its own users"},
        {{}, mail, maybe, "", "503 5.5.1 no", "out of order"},
        {{}, rcpt, maybe, "", "450 4.7.1 Helo command rejected: Host not found", "client_name"},
        {{}, mail, maybe, "", "550 5.7.1 <a@x.example>: Sender address rejected: Access denied", "sender's address"},
        {{}, rcpt, maybe, "", "554 5.7.1 <b@y.example>: Relay access denied", "MX records"},
        {{}, mail, maybe, "", "553 sorry", "sender's address"},
        {{}, rcpt, maybe, "", "550 5.1.1 unknown", "Nobody"},
        {{}, rcpt, maybe, "", "550 no", ""},
    };
    return all;
}

std::vector<example> everything() {
    auto all = failures();
    for (const auto* more : {&logins(), &refusals()}) all.insert(all.end(), more->begin(), more->end());
    return all;
}

}  // namespace

TEST_CASE("advice says what is wrong and what to do, by what was found before what code it has") {
    for (const auto& e : everything()) {
        CAPTURE(e.explanation);
        CAPTURE(e.said);
        const auto text = advise(situation_of(e));
        CAPTURE(text);
        CHECK(text.empty() == e.part.empty());
        CHECK(has(text, e.part));
        if (!e.not_part.empty()) CHECK_FALSE(has(text, e.not_part));
    }
}

TEST_CASE("no reply whose advice is about the sender counts against the recipient") {
    for (const auto& e : refusals()) {
        const auto text = advise(situation_of(e));
        if (!has(text, "sender") || e.said.empty()) continue;
        CAPTURE(e.said);
        const auto r = reply_of(e.said);
        CHECK_FALSE(suppression::is_hard_bounce(
            {.action = delivery_action::failed, .status = r.enhanced, .diagnostic = to_string(r)}));
    }
}

TEST_CASE("each row of the table is shown by an example, and none stands behind one that hides it") {
    std::set<const smtp::advice*> shown;
    for (const auto& e : everything()) shown.insert(smtp::find_advice(situation_of(e)));
    for (const auto& e : of_strangers())
        shown.insert(smtp::find_advice(situation_of(e, smtp::whose_server::strangers)));
    for (const auto& row : advice_table) {
        CAPTURE(std::string(row.what.wrong));
        CAPTURE(std::string(row.what.todo));
        CAPTURE(std::string(row.when.status));
        CAPTURE(std::string(row.when.said));
        CAPTURE(std::string(row.when.found));
        CHECK(shown.count(&row.what) == 1);
    }
}

TEST_CASE("senders to strangers are told nothing that only users of a server can do") {
    for (const auto& row : advice_table) {
        if (row.when.whose == smtp::whose_server::ours) continue;
        CHECK(of_users_only(row.what.wrong) == "");
        CHECK(of_users_only(row.what.todo) == "");
    }
    for (const auto& e : of_strangers()) {
        CAPTURE(e.explanation);
        CAPTURE(e.said);
        const auto text = advise(situation_of(e, smtp::whose_server::strangers));
        CHECK(text.empty() == e.part.empty());
        CHECK(has(text, e.part));
    }
    // Whatever else comes from them.
    for (const auto& e : everything()) {
        CAPTURE(e.said);
        CHECK(of_users_only(advise(situation_of(e, smtp::whose_server::strangers))) == "");
    }
}

TEST_CASE("a row speaks of the server's words only with their public source, and never advises less safety") {
    for (const auto& row : advice_table) {
        const auto& when = row.when;
        CAPTURE(std::string(row.what.wrong));
        CAPTURE(std::string(row.what.todo));
        CHECK((!row.what.wrong.empty() || !row.what.todo.empty()));
        const bool by_reply = when.code != 0 || !when.status.empty() || !when.said.empty() || !when.link.empty();
        if (by_reply || when.about.what == subject::kind::refusal) CHECK(row.what.source.starts_with("https://"));
        if (when.about.what == subject::kind::anything)
            CHECK((!when.status.empty() || !when.said.empty() || !when.link.empty() || when.code != 0));
        for (const auto text : {row.what.wrong, row.what.todo})
            for (const auto* weak : {"insecure", "opportunistic", "verify=", "PLAIN", "without TLS", "port 25:"})
                CHECK_FALSE(has(text, weak));
        for (const auto text : {when.said, when.link, when.found})
            CHECK(std::ranges::none_of(text, [](char c) { return c >= 'A' && c <= 'Z'; }));
    }
}

TEST_CASE("what an error or an outcome keeps of a reply is enough for its advice") {
    for (const auto& e : everything()) {
        if (e.how && e.how != by_starttls) continue;
        CAPTURE(e.said);
        auto s = situation_of(e);
        s.how = {};
        diagnostics kept{.where = e.where, .explanation = e.explanation, .reply = to_string(s.said)};
        CHECK(smtp::find_advice(smtp::situation_of(e.error, kept)) == smtp::find_advice(s));
        kept.how = e.how;
        CHECK(smtp::find_advice(smtp::situation_of(e.error, kept)) == smtp::find_advice(situation_of(e)));
        const recipient_outcome r{.where = e.where, .reply = s.said, .error = e.error, .why = e.explanation};
        CHECK(smtp::find_advice(smtp::situation_of(r)) == smtp::find_advice(s));
    }
    for (const char* text : {"", "2", "25", "x50 no", "250 ok"})
        CHECK(advise(smtp::situation_of({}, {.where = phase::rcpt, .reply = text})).empty());
}

TEST_CASE("what a firewall wrote over is seen") {
    CHECK(smtp::is_masked(reply_of("220 ****************************0*2****")));
    CHECK(smtp::is_masked(reply_of("250-mx\r\n250-XXXXXXXA\r\n250 SIZE 1")));
    CHECK_FALSE(smtp::is_masked(reply_of("220 mx.example ESMTP *** welcome")));
    CHECK_FALSE(smtp::is_masked(reply_of("250-mx\r\n250-XCLIENT\r\n250 SIZE 1")));
}
