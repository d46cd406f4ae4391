// What servers are, by their greetings.
#include <doctest/doctest.h>

#include <postroad/smtp/families.hpp>

#include <string>

using namespace postroad;

TEST_CASE("servers are known by the greetings of their default configuration") {
    struct row {
        const char* greeting;
        const char* name;
    };
    const row rows[] = {
        {"mail.example ESMTP Postfix (Debian/GNU)", "Postfix"},
        {"mail.example ESMTP Exim 4.96 Sun, 29 Nov 2026 11:00:00 +0000", "Exim"},
        {"mail.example ESMTP OpenSMTPD", "OpenSMTPD"},
        {"mail.example Dovecot (Debian) ready.", "Dovecot"},
        {"mail.example ESMTP Haraka/3.0.5 ready", "Haraka"},
        {"mail.example ESMTP Service Ready", "go-smtp"},
        {"MAIL01.example Microsoft ESMTP MAIL Service ready at Sun, 29 Nov 2026 11:00:00 +0000", "Exchange"},
        {"mail.example ESMTP Sendmail 8.17.1/8.17.1; Sun, 29 Nov 2026 11:00:00 GMT", "Sendmail"},
        {"mx.google.com ESMTP a1-20020a05600c0a0100b0041c9a8b7c6dsi1234567wmp.12 - gsmtp", "Gmail"},
        {"mail.example ESMTP", ""},
        {"", ""},
    };
    for (const auto& row : rows) {
        CAPTURE(row.greeting);
        const auto* const f = smtp::family_of(row.greeting, protocol::smtp);
        CHECK((f ? std::string(f->name) : "") == row.name);
        CHECK((smtp::family_of(row.greeting, protocol::lmtp) == nullptr) == (!f || f->drops_refused_chunks));
    }
}

TEST_CASE("nobody gets a window before something went across, and each mark finds its own family") {
    for (const auto& f : smtp::families) {
        CAPTURE(f.name);
        CHECK(f.before_across >= 1);
        CHECK(f.before_window >= f.before_across);
        CHECK(smtp::family_of(f.mark, protocol::smtp) == &f);
    }
    CHECK(smtp::family_of("mail.example LMTP Service Ready", protocol::lmtp)->before_window == smtp::family::never);
    CHECK(smtp::unknown_family.before_across == 2);
    CHECK(smtp::unknown_family.before_window == 16);
}
