#include <doctest/doctest.h>

#include <string>

#include "pair.hpp"

using namespace tls_test;

namespace {

/// "immediately", "by_starttls", "if_offered", "never", or the text of the contradiction.
template <class Policy>
std::string starts(const Policy& policy, security s) {
    try {
        switch (policy.starts({.name = "mail.example.com", .port = 587, .security = s})) {
            case tls::start::immediately: return "immediately";
            case tls::start::by_starttls: return "by_starttls";
            case tls::start::if_offered: return "if_offered";
            case tls::start::never: return "never";
        }
    } catch (const error& e) {
        return e.code() == errc::contradiction ? e.details().explanation : "wrong code";
    }
    return "nothing";
}

}  // namespace

TEST_CASE("automatic does what the scheme says") {
    CHECK(starts(tls::automatic{}, security::starttls) == "by_starttls");
    CHECK(starts(tls::automatic{}, security::implicit) == "immediately");
    CHECK(starts(tls::automatic{}, security::insecure_none) == "never");
    CHECK(starts(tls::automatic{}, security::opportunistic) == "if_offered");
}

TEST_CASE("the other policies refuse a scheme that says otherwise") {
    CHECK(starts(tls::required{}, security::starttls) == "by_starttls");
    CHECK(starts(tls::required{}, security::implicit) ==
          "tls::required contradicts smtps://mail.example.com:587; write smtp:// there, or compose the mailer with "
          "tls::automatic");
    CHECK(starts(tls::required{}, security::insecure_none) ==
          "tls::required contradicts smtp+insecure://mail.example.com:587; write smtp:// there, or compose the mailer "
          "with tls::automatic");
    CHECK(starts(tls::implicit{}, security::implicit) == "immediately");
    CHECK(starts(tls::implicit{}, security::starttls) ==
          "tls::implicit contradicts smtp://mail.example.com:587; write smtps:// there, or compose the mailer with "
          "tls::automatic");
    CHECK(starts(tls::implicit{}, security::insecure_none).starts_with("tls::implicit contradicts smtp+insecure://"));
    CHECK(starts(tls::opportunistic{}, security::opportunistic) == "if_offered");
    CHECK(starts(tls::opportunistic{}, security::starttls) ==
          "tls::opportunistic contradicts smtp://mail.example.com:587; write smtp+opportunistic:// there, or compose "
          "the mailer with tls::automatic");
    CHECK(starts(tls::required{}, security::opportunistic)
              .starts_with("tls::required contradicts smtp+opportunistic://mail.example.com:587; write smtp:// there"));
    CHECK(starts(tls::insecure_none{}, security::insecure_none) == "never");
    CHECK(starts(tls::insecure_none{}, security::starttls) ==
          "tls::insecure_none contradicts smtp://mail.example.com:587; write smtp+insecure:// there, or compose the "
          "mailer with tls::automatic");
    CHECK(starts(tls::insecure_none{}, security::implicit).starts_with("tls::insecure_none contradicts smtps://"));
}

TEST_CASE_TEMPLATE("a policy's options reach its engines", E, ENGINES) {
    const tls::scheme_policy<tls::rule::required, E> policy{.options = {.ca_pem = ca().ca_pem}};
    CHECK(pair<E>(mail_example(), "mail.example.com", policy.make_context()).shake());
    CHECK_FALSE(
        pair<E>(testing::self_signed({.names = {"mail.example.com"}}), "mail.example.com", policy.make_context())
            .shake());
}
