#pragma once

#include <postroad/smtp/advice.hpp>

#include <postroad/message/utf8.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <system_error>

namespace postroad::smtp {
namespace detail {

enum class tls_first : unsigned char { any, yes, no };

struct advice_row {
    errc error;
    std::string_view words;  // within explanation or reply, lower case; empty: any
    std::string_view text;
    std::optional<phase> where = {};
    tls_first first = tls_first::any;
};

inline constexpr std::string_view is_it_mail =
    "Is this a mail server? If it expects TLS from the first octet, use smtps://.";

inline constexpr advice_row advice_table[] = {
    {errc::timed_out, "",
     "A firewall may drop what goes to this port; many networks do so with port 25: use 587 or 465.", phase::connect},
    {errc::timed_out, "", "The server may expect TLS from the first octet: use smtps:// for this port.",
     phase::greeting, tls_first::no},
    {errc::timed_out, "", "The server is too slow or stuck: try later, and look at its log."},
    {errc::connection_closed, "",
     "The server hangs up at once: it may refuse this address, or have too many connections.", phase::greeting},
    {errc::connection_closed, "",
     "The server hangs up instead of an answer to AUTH: it may have banned this address after wrong tries; wait, and "
     "look at its log.",
     phase::auth},
    {errc::tls_broken, "",
     "The server hangs up instead of an answer to AUTH: it may have banned this address after wrong tries; wait, and "
     "look at its log.",
     phase::auth},
    {errc::resolve_failed, "", "Is the name spelled right? If so, look at DNS: host, or getent hosts."},
    {errc::proxy_failed, "", "Look at the proxy: name, port, user and what it lets through."},
    {errc::malformed_reply, "got \"+ok", "This is a POP3 server, for reading mail: sending is port 587 or 465."},
    {errc::malformed_reply, "got \"* ", "This is an IMAP server, for reading mail: sending is port 587 or 465."},
    {errc::malformed_reply, "got \"http/", "This is a web server: sending is port 587 or 465."},
    {errc::malformed_reply, "got \"ssh-", "This is an SSH server: sending is port 587 or 465."},
    {errc::malformed_reply, "without crlf",
     "The server ends its lines with LF alone, which SMTP forbids, since messages can be smuggled so: its software "
     "must "
     "be mended."},
    {errc::malformed_reply, "", is_it_mail},
    {errc::reply_too_long, "", is_it_mail},
    {errc::greeting_refused, "", "Its words say why: often too many connections, or this address on a block list."},
    {errc::service_closing, "", "Its words say why: often too many connections, or this address on a block list."},
    {errc::hello_refused, "",
     "Give the name of this machine: ?helo=NAME, or client_name. If EHLO is not known at all, a firewall between may "
     "change SMTP: turn its inspection off."},
    {errc::tls_not_offered, "",
     "Use the scheme that fits the port: smtps:// for 465, smtp:// for 587. If both are right, a firewall between may "
     "hide STARTTLS: turn its inspection of SMTP off."},
    {errc::tls_refused, "", "The server offers STARTTLS and cannot do it: look at its certificate and log."},
    {errc::tls_injection, "", "Somebody on the way may be tampering, or the server is broken: do not go on."},
    {errc::tls_handshake, "wants a client certificate", "Give the client's certificate: ?certificate=FILE&key=FILE."},
    {errc::tls_handshake, "our certificate", "The server does not know this client's certificate: ask who runs it."},
    {errc::tls_handshake, "answered in the clear", "If the port is 587 or 25, use smtp://."},
    {errc::tls_handshake,
     "",
     "If the port is 587 or 25, use smtp://; else the server may lack TLS 1.2.",
     {},
     tls_first::yes},
    {errc::tls_handshake, "", "The server may lack TLS 1.2, or a cipher suite in common."},
    {errc::tls_certificate, "expired on", "The server's certificate must be renewed; is the clock here right?"},
    {errc::tls_certificate, "not valid before", "Is the clock here right? If so, the certificate was made for later."},
    {errc::tls_certificate, "too weak",
     "The server needs a new certificate, with RSA of 2048 bits or more, or an elliptic curve, and SHA-256."},
    {errc::tls_certificate, "does not count",
     "The server needs a certificate that names it in its subjectAltName; or use a name that is there."},
    {errc::tls_certificate, "key pin", "Look at what the server has now, and change the pin if that is right."},
    {errc::tls_certificate, "may not speak for",
     "The server's CA is not meant for this name: the server needs a certificate of another CA."},
    {errc::tls_certificate, "expected ", "Use the name that is in the certificate."},
    {errc::tls_certificate, "is self-signed", "If that is meant so, trust this certificate: ?ca=FILE."},
    {errc::tls_certificate, "unknown ca",
     "If the CA is your own, give it: ?ca=FILE. If it is a public one, the server does not send the intermediate "
     "certificate: whoever runs it must add that."},
    {errc::tls_certificate, "not meant for servers", "The server needs a certificate for servers (serverAuth)."},
    {errc::tls_certificate, "", "The server needs another certificate: its explanation says why."},
    {errc::authentication_not_offered, "",
     "Leave user and password out if this is a relay, or use the submission port, 587 or 465."},
    {errc::no_common_mechanism, "",
     "Name one of the server's mechanisms: ?auth=NAME; OAuth needs a token instead of a password."},
    {errc::authentication_rejected, "auth=", "Name another mechanism, as the text says, or check user and password."},
    {errc::authentication_rejected, "application-specific", "This provider wants an app password instead of yours."},
    {errc::authentication_rejected, "is disabled", "Passwords are turned off there: use OAuth, with a token."},
    {errc::authentication_rejected, "",
     "Check user and password; some providers want an app password, or a token, and lock after many tries."},
    {errc::authentication_deferred, "", "The server cannot look passwords up at the moment: try later."},
    {errc::authentication_failed, "before it proved",
     "The server may not be who it says it is: do not send a password."},
    {errc::authentication_failed, "", "The server's part of AUTH is broken: name another mechanism, ?auth=NAME."},
    {errc::insecure_authentication, "", "Use smtp:// or smtps://, which have TLS."},
};

struct refusal_row {
    std::string_view words;  // within the reply, lower case; empty: any
    std::uint16_t code;      // 0: any
    int subject;             // of the enhanced code, -1: any
    int detail;              // likewise
    std::string_view text;
    std::optional<phase> where = {};
    bool for_good = false;  // 5yz only
};

inline constexpr std::string_view say_hello = "Give the name of this machine: ?helo=NAME, or client_name.";
inline constexpr std::string_view give_credentials = "The server wants credentials first, or TLS.";
inline constexpr std::string_view own_sender =
    "The server does not take mail from this sender: use an address of your account.";
inline constexpr std::string_view no_relay =
    "The server does not relay for you: give credentials, or use the server of the recipient's domain.";
inline constexpr std::string_view check_address = "Check the address; the server's words say more.";
inline constexpr std::string_view too_large = "The message, or one of its kind, is too large for the server.";
inline constexpr std::string_view policy = "A rule of the server refuses it; its words say which.";

inline constexpr refusal_row refusal_table[] = {
    {"", 530, -1, -1, give_credentials},
    {"authentication required", 0, -1, -1, give_credentials},
    {"helo", 0, -1, -1, say_hello},
    {"ehlo", 0, -1, -1, say_hello},
    {"", 0, 7, 8, give_credentials},
    {"", 0, 7, 9, give_credentials},
    {"", 0, 7, 57, give_credentials},
    {"", 0, 7, 60, own_sender},
    {"", 0, 7, 25, "The server wants this address to have a name in DNS (PTR) that leads back to it."},
    {"", 0, 7, 23, "SPF of the sender's domain does not allow this server: mend its record, or use its own server."},
    {"", 0, 7, 26, "The message needs SPF and DKIM of the sender's domain, one at least: sign it, mend the record."},
    {"", 0, 1, 7, own_sender},
    {"", 0, 1, 8, "The domain of the sender does not exist, or cannot be looked up."},
    {"", 0, 2, 1, "The mailbox exists and takes nothing at present."},
    {"", 0, 2, 2, "The mailbox is full."},
    {"", 0, 2, 3, too_large},
    {"", 0, 3, 4, too_large},
    {"blocked", 0, 7, 1,
     "This address is blocked there: look whether it is on a block list, and ask who runs the server."},
    {"block list", 0, -1, -1, "This address is on a block list: look which, and have it taken off."},
    {"blacklist", 0, -1, -1, "This address is on a block list: look which, and have it taken off."},
    {"blocklist", 0, -1, -1, "This address is on a block list: look which, and have it taken off."},
    {"spamhaus", 0, -1, -1, "This address is on a block list: look which, and have it taken off."},
    {"sender address rejected", 0, -1, -1, own_sender},
    {"relay", 0, -1, -1, no_relay},
    {"greylist", 0, -1, -1, "Not now: a server that greylists refuses the first time; try again in some minutes."},
    {"", 0, 1, 1, "Nobody has this address there: check it."},
    {"", 0, 1, 2, "The domain of this address does not exist, or takes no mail: check it."},
    {"", 0, 1, 3, "The server cannot read the address: check how it is written."},
    {"", 552, -1, -1, too_large, phase::mail},
    {"", 553, -1, -1, own_sender, phase::mail},
    {"", 551, -1, -1, no_relay},
    {"", 0, 7, 1, own_sender, phase::mail, true},
    {"", 0, 7, 1, no_relay, phase::rcpt, true},
    {"", 0, 7, -1, policy, {}, true},
    {"", 554, -1, -1, no_relay, phase::rcpt, true},
};

inline std::string lower(std::string_view text) {
    std::string result(text);
    for (char& c : result) c = postroad::detail::to_lower(c);
    return result;
}

// Without addresses, which may be made of any word.
inline std::string words_of(std::string_view text) {
    std::string result = " ";
    while (!text.empty()) {
        const auto word = text.substr(0, text.find_first_of(" \n"));
        text.remove_prefix(std::min(word.size() + 1, text.size()));
        if (word.find('@') == std::string_view::npos) result += lower(word) + ' ';
    }
    return result;
}

// At the beginning of a word.
inline bool has_words(std::string_view text, std::string_view words) noexcept {
    if (words.empty()) return true;
    for (auto at = text.find(words); at != std::string_view::npos; at = text.find(words, at + 1))
        if (at > 0 && !(text[at - 1] >= 'a' && text[at - 1] <= 'z')) return true;
    return false;
}

}  // namespace detail

POSTROAD_DECL std::string_view advice(error_code ec, phase where, security how, std::string_view explanation,
                                      std::string_view reply) {
    if (ec == std::errc::connection_refused)
        return "Nothing listens at this port: submission is 587 (smtp://) or 465 (smtps://), a relay is 25.";
    if (ec == std::errc::network_unreachable || ec == std::errc::host_unreachable)
        return "There is no way to that address from here: look at the network, and at a firewall between.";
    const auto text = detail::lower(explanation) + '\n' + detail::lower(reply);
    for (const auto& row : detail::advice_table) {
        if (ec != row.error || text.find(row.words) == std::string::npos) continue;
        if (row.where && *row.where != where) continue;
        if (row.first != detail::tls_first::any && (row.first == detail::tls_first::yes) != (how == security::implicit))
            continue;
        return row.text;
    }
    return {};
}

POSTROAD_DECL std::string_view advice_on_refusal(const reply& r, phase where) {
    const auto text = detail::words_of(r.text);
    for (const auto& row : detail::refusal_table) {
        if (row.code != 0 && row.code != r.code) continue;
        if (row.subject >= 0 && (!r.enhanced || r.enhanced.subject != row.subject)) continue;
        if (row.detail >= 0 && r.enhanced.detail != row.detail) continue;
        if ((row.where && *row.where != where) || !detail::has_words(text, row.words)) continue;
        if (row.for_good && !r.permanent()) continue;
        return row.text;
    }
    if (r.transient()) return "Not now: try again in some minutes; a server that greylists does so at the first time.";
    return where == phase::mail ? detail::own_sender : detail::check_address;
}

POSTROAD_DECL bool is_masked(const reply& r) noexcept {
    return r.text.find("****") != std::string::npos || r.text.find("\nXXXX") != std::string::npos;
}

}  // namespace postroad::smtp
