#pragma once
// What a server seems to be by its greeting, and what to expect of it before it has shown anything. A first guess: what
// it does counts, and a greeting may say anything.

#include <postroad/core/endpoint.hpp>

#include <limits>
#include <string_view>

namespace postroad::smtp {

/// Servers of one make.
struct family {
    /// As many messages as no server will ever have taken.
    static constexpr unsigned never = std::numeric_limits<unsigned>::max();

    std::string_view name = {};
    std::string_view mark = {};  ///< in the text of its greeting
    /// After so many messages taken in good order the next goes across; after so many, in a window.
    unsigned before_across = 2;
    unsigned before_window = 16;
    /// It takes the octets of a BDAT that it refuses (RFC 3030 section 2). One that reads them as commands gets no
    /// BDAT.
    bool drops_refused_chunks = true;
};

/// Of a server that nothing is known of.
inline constexpr family unknown_family = {};

/// The greetings are those of the default configuration. "Seen": our tests send to that server in each mode.
inline constexpr family families[] = {
    // postconf(5), smtpd_banner; BDAT_README. Seen.
    {"Postfix", "ESMTP Postfix", 1, 4},
    // Exim specification, smtp_banner, chunking_advertise_hosts. Seen; at most 8 in a window, as it counts RSET.
    {"Exim", "ESMTP Exim", 1, 4},
    // OpenSMTPD, smtpd/smtp_session.c, "220 %s ESMTP %s": offers neither PIPELINING nor CHUNKING before 7.0. Seen.
    {"OpenSMTPD", "ESMTP OpenSMTPD", 1, 4},
    // Dovecot settings, login_greeting. Seen: its submission server 2.3 crashes over commands for the next message.
    {"Dovecot", "Dovecot", family::never, family::never},
    // Haraka, connection.js, "ESMTP Haraka": refuses MAIL ahead of the reply to a content, "503 5.5.1".
    {"Haraka", "ESMTP Haraka", family::never, family::never},
    // go-smtp, conn.go, "%v %s Service Ready": maddy and other servers in Go. Seen; issue 315 tells of its chunks.
    {"go-smtp", "MTP Service Ready", 2, family::never, false},
    // Microsoft Learn, "Modify the SMTP banner on Receive connectors".
    {"Exchange", "Microsoft ESMTP MAIL"},
    // Sendmail Installation and Operation Guide, SmtpGreetingMessage. It has no CHUNKING.
    {"Sendmail", "ESMTP Sendmail"},
    // The greeting of gmail-smtp-in.l.google.com and smtp.gmail.com ends so.
    {"Gmail", " gsmtp"},
};

/// Null: none of them. Over LMTP only who must get no BDAT is known: what they do there is not what they do over SMTP.
constexpr const family* family_of(std::string_view greeting, protocol p) noexcept {
    for (const auto& f : families)
        if (greeting.find(f.mark) != std::string_view::npos)
            return p == protocol::lmtp && f.drops_refused_chunks ? nullptr : &f;
    return nullptr;
}

}  // namespace postroad::smtp
