// What a server echoes of secrets, whole or cut, gets into no text.
#include <postroad/core/base64.hpp>
#include <postroad/smtp/redaction.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>

using postroad::secret;
using postroad::smtp::redaction;

namespace {

// The initial response of XOAUTH2, as it stands on the line.
std::string response() {
    return postroad::base64_encode(
        "user=ann@x.example\x01"
        "auth=Bearer ya29.A-token-of-the-usual-length-for-ann\x01\x01");
}

redaction of_response() {
    redaction hidden;
    hidden.hide(response());
    return hidden;
}

}  // namespace

TEST_CASE("a secret is taken out wherever it stands, as often as it does") {
    redaction hidden;
    hidden.hide_encoded_too(secret("s3cr3t"));
    CHECK(hidden.finds("no s3cr3t"));
    CHECK(hidden.of("s3cr3t, s3cr3ts3cr3t and czNjcjN0") == "[redacted], [redacted][redacted] and [redacted]");
    CHECK_FALSE(hidden.finds("s3cr3"));
    CHECK(hidden.of("s3cr3") == "s3cr3");
}

TEST_CASE("what is shorter than four octets is left, since taking it out would tell it") {
    redaction hidden;
    hidden.hide("abc");
    CHECK_FALSE(hidden.finds("abc"));
}

TEST_CASE("the beginning and the end of a longer one are taken out, as servers cut what they quote") {
    const auto line = response();
    const auto hidden = of_response();
    for (auto n = redaction::shortest_part; n <= line.size(); ++n) {
        CAPTURE(n);
        const auto beginning = "500 5.5.2 Line too long: AUTH XOAUTH2 " + line.substr(0, n);
        CHECK(hidden.finds(beginning));
        CHECK(hidden.of(beginning) == "500 5.5.2 Line too long: AUTH XOAUTH2 [redacted]");
        // As sendmail shortens it in the middle.
        const auto both = "AUTH XOAUTH2 " + line.substr(0, n) + "..." + line.substr(line.size() - n) + "\" unknown";
        CHECK(hidden.of(both) == "AUTH XOAUTH2 [redacted]...[redacted]\" unknown");
    }
}

TEST_CASE("fewer octets than that tell nothing, and are left") {
    const auto line = response();
    const auto few = line.substr(0, redaction::shortest_part - 1);
    CHECK_FALSE(of_response().finds(few));
    CHECK(of_response().of(few) == few);
}

TEST_CASE("secrets that begin or end alike are taken out to their ends") {
    const std::string same = "eyJhbGciOiJSUzI1NiJ9.";
    const auto first = same + "the-token-that-was-refused" + "-of-a-tenant";
    const auto second = same + "another-that-followed-it-and-is-longer" + "-of-a-tenant";
    for (const auto& [a, b] : {std::pair(first, second), std::pair(second, first)}) {
        redaction hidden;
        hidden.hide(a);
        hidden.hide(b);
        for (const auto& line : {a, b})
            for (auto n = redaction::shortest_part; n <= line.size(); ++n) {
                CAPTURE(n);
                CHECK(hidden.of("AUTH " + line.substr(0, n)) == "AUTH [redacted]");
                CHECK(hidden.of("cut " + line.substr(line.size() - n) + " unknown") == "cut [redacted] unknown");
            }
    }
}

TEST_CASE("of a password only the whole is taken out: its parts may be words") {
    redaction hidden;
    hidden.hide_password(secret("Authentication-2024!"));
    redaction copied;
    copied.hide(hidden);
    for (const auto& h : {hidden, copied}) {
        CHECK(h.of("535 Authentication failed") == "535 Authentication failed");
        CHECK_FALSE(h.finds("535 Authentication failed"));
        CHECK(h.of("535 Authentication-2024! failed") == "535 [redacted] failed");
        const auto line = postroad::base64_encode("Authentication-2024!");
        CHECK(h.of("500 " + line.substr(0, 20)) == "500 [redacted]");
    }
}
