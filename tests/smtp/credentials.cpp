#include <doctest/doctest.h>
#include <postroad/smtp/credentials.hpp>

#include <ostream>
#include <string>

using namespace std::string_literals;
using postroad::errc;
using postroad::secret;
using postroad::smtp::check;
using postroad::smtp::credentials;

namespace {

// What check() says, or nothing.
std::string complaint(const credentials& c) {
    try {
        check(c);
    } catch (const postroad::error& e) {
        CHECK(e.code() == errc::invalid_credentials);
        return e.what();
    }
    return {};
}

credentials good() { return {.user = "tim", .password = secret("pass word")}; }

}  // namespace

TEST_CASE("credentials that mechanisms can carry pass") {
    CHECK(complaint({}) == "");
    CHECK(complaint(good()) == "");
    CHECK(complaint({.user = "t\xc3\xa4m", .password = secret("p\xe2\x82\xac,=:@\"\\")}) == "");
    CHECK(complaint({.token = secret("ya29.a-b_c~d+e/f==")}) == "");
    CHECK(complaint({.mechanisms = {"EXTERNAL"}}) == "");
    CHECK(complaint({.user = "trace", .mechanisms = {"ANONYMOUS"}}) == "");
}

TEST_CASE("text that would end or forge a part of the exchange is refused in every field, by name and without value") {
    for (const auto& bad : {"a\0b"s, "a\rb"s, "a\nb"s, "a\x01"s, "a\x1f"s, "a\x7f"s, "a\xc2\x85"s, "a\xff"s,
                            "a\xc0\x80"s, "a\xed\xa0\x80"s, "a\xe2\x80\xa8"s}) {
        CAPTURE(bad);
        auto c = good();
        c.user = bad;
        CHECK(complaint(c).starts_with("the user name "));
        c = good();
        c.password = secret("sesame" + bad);
        CHECK(complaint(c).starts_with("the password "));
        CHECK(complaint(c).find("sesame") == std::string::npos);
        c = good();
        c.authorization_id = bad;
        CHECK(complaint(c).starts_with("the authorization identity "));
        c = good();
        c.token = secret("sesame" + bad);
        CHECK(complaint(c).starts_with("the token "));
        CHECK(complaint(c).find("sesame") == std::string::npos);
    }
}

TEST_CASE("a token with a space or a non-ASCII character is refused") {
    CHECK(complaint({.token = secret("a b")}) == "the token holds a character that bearer tokens do not have");
    CHECK(complaint({.token = secret("\xc3\xa4")}) == "the token holds a character that bearer tokens do not have");
}

TEST_CASE("each field is taken at its limit and refused one octet beyond") {
    const std::string field(credentials::max_field, 'x');
    CHECK(complaint({.user = field, .password = secret(field), .authorization_id = field}) == "");
    CHECK(complaint({.user = field + 'x', .password = secret("p")}) == "the user name is longer than 512 octets");
    CHECK(complaint({.user = "u", .password = secret(field + 'x')}) == "the password is longer than 512 octets");
    CHECK(complaint({.token = secret(std::string(credentials::max_token, 'x'))}) == "");
    CHECK(complaint({.token = secret(std::string(credentials::max_token + 1, 'x'))}) ==
          "the token is longer than 8000 octets");
}

TEST_CASE("an unknown mechanism is named, and the known ones with it") {
    auto c = good();
    c.mechanisms = {"PLAIN", "SCRAM-SHA-512"};
    CHECK(complaint(c) ==
          "unknown mechanism \"SCRAM-SHA-512\"; postroad has SCRAM-SHA-256-PLUS, SCRAM-SHA-1-PLUS, SCRAM-SHA-256, "
          "SCRAM-SHA-1, PLAIN, LOGIN, OAUTHBEARER, XOAUTH2, CRAM-MD5, EXTERNAL, ANONYMOUS");
    c.mechanisms = {"plain"};
    CHECK_FALSE(complaint(c).empty());
}

TEST_CASE("half of a pair is refused") {
    CHECK(complaint({.user = "tim"}) == "the password is empty, and there is no token");
    CHECK(complaint({.user = "tim", .mechanisms = {"PLAIN"}}) == "the password is empty, and there is no token");
    CHECK(complaint({.password = secret("x")}) == "the user name is empty");
}

TEST_CASE("credentials are empty only when nothing is given") {
    CHECK(credentials{}.empty());
    CHECK_FALSE(good().empty());
    CHECK_FALSE(credentials{.token = secret("x")}.empty());
    CHECK_FALSE(credentials{.mechanisms = {"EXTERNAL"}}.empty());
}
