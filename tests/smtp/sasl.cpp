#include <doctest/doctest.h>
#include <postroad/core/base64.hpp>
#include <postroad/smtp/sasl.hpp>

#include <algorithm>
#include <cctype>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

using namespace std::string_literals;
using postroad::base64_encode;
using postroad::errc;
using postroad::error_code;
using postroad::secret;
using postroad::smtp::authenticator;
using postroad::smtp::credentials;
using postroad::smtp::sasl_channel;

namespace {

using names = std::vector<std::string>;

const auto nonce = "0123456789abcdefghijklmn"s;
const sasl_channel in_tls{.encrypted = true};
const sasl_channel in_bound_tls{.encrypted = true, .binding_name = "tls-exporter", .binding_data = "0123456789abcdef"};

credentials with_password() { return {.user = "tim", .password = secret("tanstaaf")}; }
credentials with_token() {
    return {.user = "user@example.com", .token = secret("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==")};
}

credentials only(credentials c, const char* mechanism) {
    c.mechanisms = {mechanism};
    return c;
}

struct choice {
    std::string mechanism;
    error_code ec;
    std::string explanation;
};

choice choose(const credentials& c, const names& offered, const sasl_channel& channel = in_tls) {
    error_code ec;
    const authenticator a(c, offered, channel, nonce, ec);
    return {std::string(a.mechanism()), ec, a.explanation()};
}

authenticator make(const credentials& c, const sasl_channel& channel = in_tls) {
    error_code ec;
    authenticator a(c, c.mechanisms, channel, nonce, ec);
    REQUIRE_FALSE(ec);
    return a;
}

std::string respond(authenticator& a, std::string_view challenge) {
    error_code ec;
    auto response = a.respond(challenge, ec);
    CHECK_FALSE(ec);
    return response;
}

bool refuses(authenticator& a, std::string_view challenge) {
    error_code ec;
    const auto response = a.respond(challenge, ec);
    return ec == errc::authentication_failed && response.empty() && !a.satisfied() && !a.explanation().empty();
}

}  // namespace

TEST_CASE("the strongest mechanism that both sides have is used") {
    names offered = {"ANONYMOUS",   "LOGIN",         "CRAM-MD5",          "EXTERNAL",
                     "PLAIN",       "SCRAM-SHA-1",   "SCRAM-SHA-1-PLUS",  "XOAUTH2",
                     "OAUTHBEARER", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"};
    for (const auto* expected :
         {"SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN"}) {
        CHECK(choose(with_password(), offered, in_bound_tls).mechanism == expected);
        std::erase(offered, expected);
    }
    CHECK(choose(with_password(), offered, in_bound_tls).ec == errc::no_common_mechanism);
}

TEST_CASE("a token is used with OAUTHBEARER, then XOAUTH2, and never beside a password mechanism") {
    auto c = with_token();
    c.password = secret("tanstaaf");
    CHECK(choose(c, {"PLAIN", "XOAUTH2", "OAUTHBEARER"}).mechanism == "OAUTHBEARER");
    CHECK(choose(c, {"PLAIN", "XOAUTH2"}).mechanism == "XOAUTH2");
    CHECK(choose(c, {"PLAIN"}).ec == errc::no_common_mechanism);
}

TEST_CASE("XOAUTH2 needs a user name and OAUTHBEARER does not") {
    auto c = with_token();
    c.user.clear();
    CHECK(choose(c, {"XOAUTH2"}).ec == errc::no_common_mechanism);
    CHECK(choose(c, {"OAUTHBEARER"}).mechanism == "OAUTHBEARER");
}

TEST_CASE("named mechanisms are the only ones used, in the order named") {
    auto c = with_password();
    c.mechanisms = {"LOGIN", "PLAIN"};
    CHECK(choose(c, {"SCRAM-SHA-256", "PLAIN", "LOGIN"}).mechanism == "LOGIN");
    CHECK(choose(c, {"SCRAM-SHA-256", "PLAIN"}).mechanism == "PLAIN");
}

TEST_CASE("a server that hides the allowed mechanism gets no weaker one") {
    const auto chosen = choose(only(with_password(), "SCRAM-SHA-256"), {"PLAIN", "LOGIN"});
    CHECK(chosen.ec == errc::no_common_mechanism);
    CHECK(chosen.mechanism.empty());
    CHECK(chosen.explanation ==
          "no mechanism in common: the server offers PLAIN, LOGIN; usable with these credentials: SCRAM-SHA-256");
}

TEST_CASE("only what suits the credentials is called usable with them") {
    auto c = with_password();
    c.mechanisms = {"XOAUTH2", "SCRAM-SHA-256"};
    CHECK(choose(c, {"PLAIN"}).explanation ==
          "no mechanism in common: the server offers PLAIN; usable with these credentials: SCRAM-SHA-256");
    CHECK(choose(only(with_password(), "XOAUTH2"), {"PLAIN", "XOAUTH2"}).explanation ==
          "no mechanism in common: the server offers PLAIN, XOAUTH2; usable with these credentials: none");
}

TEST_CASE("no offer at all is not anonymous delivery") {
    CHECK(choose(with_password(), {}).ec == errc::authentication_not_offered);
}

TEST_CASE("-PLUS is used only with a channel binding") {
    CHECK(choose(with_password(), {"SCRAM-SHA-256-PLUS", "PLAIN"}).mechanism == "PLAIN");
    const auto chosen = choose(with_password(), {"SCRAM-SHA-256-PLUS"});
    CHECK(chosen.ec == errc::no_common_mechanism);
    CHECK(chosen.explanation.find("channel binding") != std::string::npos);
}

TEST_CASE("without TLS no secret is used unless that is allowed by name") {
    const struct {
        const char* mechanism;
        bool leaks;
    } rows[] = {{"PLAIN", true},       {"LOGIN", true},         {"CRAM-MD5", true},
                {"SCRAM-SHA-1", true}, {"SCRAM-SHA-256", true}, {"XOAUTH2", true},
                {"OAUTHBEARER", true}, {"EXTERNAL", false},     {"ANONYMOUS", false}};
    for (const auto& row : rows) {
        CAPTURE(row.mechanism);
        auto c = only(with_token(), row.mechanism);
        c.password = secret("tanstaaf");
        const auto chosen = choose(c, {row.mechanism}, {});
        CHECK((chosen.ec == errc::insecure_authentication) == row.leaks);
        CHECK(chosen.mechanism.empty() == row.leaks);
        CHECK(choose(c, {row.mechanism}, {.insecure_allowed = true}).mechanism == row.mechanism);
    }
}

TEST_CASE("an authenticator without mechanism answers nothing") {
    error_code ec;
    authenticator a(with_password(), names{"X"}, in_tls, nonce, ec);
    CHECK(refuses(a, ""));
    CHECK_FALSE(a.client_first());
}

TEST_CASE("PLAIN sends both identities and the password in one response") {
    auto c = only({.user = "tim", .password = secret("tanstaaftanstaaf")}, "PLAIN");
    auto a = make(c);
    CHECK(a.client_first());
    CHECK_FALSE(a.satisfied());
    CHECK(respond(a, "") == "\0tim\0tanstaaftanstaaf"s);
    CHECK(a.satisfied());
    c = {.user = "Kurt", .password = secret("xipj3plmq"), .authorization_id = "Ursel", .mechanisms = {"PLAIN"}};
    auto b = make(c);
    CHECK(respond(b, "") == "Ursel\0Kurt\0xipj3plmq"s);
}

TEST_CASE("LOGIN answers user, then password, whatever the prompts say") {
    for (const auto& [first, second] : {std::pair{"Username:", "Password:"}, std::pair{"", ""}, std::pair{"x", "y"}}) {
        auto a = make(only(with_password(), "LOGIN"));
        CHECK_FALSE(a.client_first());
        CHECK(respond(a, first) == "tim");
        CHECK_FALSE(a.satisfied());
        CHECK(respond(a, second) == "tanstaaf");
        CHECK(a.satisfied());
        CHECK(refuses(a, "Password:"));
    }
}

TEST_CASE("CRAM-MD5 answers as RFC 2195 shows") {
    auto a = make(only({.user = "tim", .password = secret("tanstaaftanstaaf")}, "CRAM-MD5"));
    CHECK_FALSE(a.client_first());
    CHECK(respond(a, "<1896.697170952@postoffice.reston.mci.net>") == "tim b913a602c7eda7a495b4e6e7334d3890");
    CHECK(a.satisfied());
    CHECK(refuses(a, "<again>"));
}

TEST_CASE("CRAM-MD5 refuses an empty challenge") {
    auto a = make(only(with_password(), "CRAM-MD5"));
    CHECK(refuses(a, ""));
}

TEST_CASE("OAUTHBEARER sends what RFC 7628 shows") {
    auto a = make(only(with_token(), "OAUTHBEARER"), {.encrypted = true, .host = "server.example.com", .port = 143});
    CHECK(respond(a, "") ==
          "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01"
          "auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01");
    CHECK(a.satisfied());
}

TEST_CASE("OAUTHBEARER without a name has an empty one, and a name is escaped") {
    auto c = only({.token = secret("t0")}, "OAUTHBEARER");
    auto a = make(c);
    CHECK(respond(a, "") ==
          "n,,\x01"
          "auth=Bearer t0\x01\x01");
    c.user = "a=b,c";
    auto b = make(c);
    CHECK(respond(b, "") ==
          "n,a=a=3Db=2Cc,\x01"
          "auth=Bearer t0\x01\x01");
}

TEST_CASE("XOAUTH2 sends user and token") {
    auto a = make(only({.user = "someuser@example.com", .token = secret("ya29.vF9dft4")}, "XOAUTH2"));
    CHECK(respond(a, "") ==
          "user=someuser@example.com\x01"
          "auth=Bearer ya29.vF9dft4\x01\x01");
    CHECK(a.satisfied());
}

TEST_CASE("a refused token is answered once so that the refusal can follow") {
    const struct {
        const char* mechanism;
        const char* answer;
    } rows[] = {{"XOAUTH2", ""}, {"OAUTHBEARER", "\x01"}};
    for (const auto& row : rows) {
        CAPTURE(row.mechanism);
        auto a = make(only(with_token(), row.mechanism));
        respond(a, "");
        CHECK(respond(a, R"({"status":"invalid_token","scope":"mail"})") == row.answer);
        CHECK_FALSE(a.satisfied());
        CHECK(a.explanation() == std::string(row.mechanism) + ": the server refuses the token: invalid_token");
        CHECK(refuses(a, R"({"status":"invalid_token"})"));
    }
}

TEST_CASE("of the server's words about a token only known ones are quoted") {
    const struct {
        const char* json;
        const char* quoted;
    } rows[] = {
        {R"({"status":"401","schemes":"bearer"})", ": 401"},
        {R"({ "status" : 400 })", ": 400"},
        {R"({"status":"insufficient_scope"})", ": insufficient_scope"},
        {R"({"status":"vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="})", ""},
        {R"({"status":"4011"})", ""},
        {R"({"status":)", ""},
        {R"({"status")", ""},
        {"<html>", ""},
    };
    for (const auto& row : rows) {
        CAPTURE(row.json);
        auto a = make(only(with_token(), "XOAUTH2"));
        respond(a, "");
        respond(a, row.json);
        CHECK(a.explanation() == "XOAUTH2: the server refuses the token"s + row.quoted);
    }
}

TEST_CASE("EXTERNAL and ANONYMOUS send a name, which may be empty") {
    auto a = make({.mechanisms = {"EXTERNAL"}});
    CHECK(a.client_first());
    CHECK(respond(a, "").empty());
    CHECK(a.satisfied());
    auto b = make({.authorization_id = "alice", .mechanisms = {"EXTERNAL"}});
    CHECK(respond(b, "") == "alice");
    auto c = make({.user = "sirhc", .mechanisms = {"ANONYMOUS"}});
    CHECK(respond(c, "") == "sirhc");
}

TEST_CASE("a challenge where an empty one is due ends a mechanism in which the client is first") {
    for (const auto* mechanism : {"PLAIN", "XOAUTH2", "OAUTHBEARER", "EXTERNAL", "ANONYMOUS", "SCRAM-SHA-1"}) {
        CAPTURE(mechanism);
        auto c = only(with_token(), mechanism);
        c.password = secret("tanstaaf");
        auto a = make(c);
        CHECK(refuses(a, "r=x"));
        CHECK(refuses(a, ""));
    }
}

TEST_CASE("endless challenges end within three rounds, and the failure stays") {
    for (const auto* mechanism : {"PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2", "OAUTHBEARER", "EXTERNAL", "SCRAM-SHA-256"})
        for (const auto* challenge : {"", "x"}) {
            CAPTURE(mechanism);
            CAPTURE(challenge);
            auto c = only(with_token(), mechanism);
            c.password = secret("tanstaaf");
            auto a = make(c);
            error_code ec;
            int answered = 0;
            while (answered < 10 && (a.respond(challenge, ec), !ec)) ++answered;
            CHECK(answered < 3);
            CHECK(refuses(a, challenge));
        }
}

TEST_CASE("a challenge at the limit is answered and one octet more is not") {
    auto a = make(only(with_password(), "CRAM-MD5"));
    respond(a, std::string(authenticator::max_challenge, 'x'));
    auto b = make(only(with_password(), "CRAM-MD5"));
    CHECK(refuses(b, std::string(authenticator::max_challenge + 1, 'x')));
}

TEST_CASE("an authenticator can be moved between its steps") {
    auto a = make(only(with_password(), "LOGIN"));
    respond(a, "");
    auto b = std::move(a);
    CHECK(respond(b, "") == "tanstaaf");
}

TEST_CASE("what the server echoes of the secrets is taken out of its text") {
    auto a = make(only(with_password(), "PLAIN"));
    const auto sent = base64_encode(respond(a, ""));
    CHECK(a.redacted("bad: " + sent + "!") == "bad: [redacted]!");
    CHECK(a.redacted("tanstaaf, " + base64_encode("tanstaaf") + ", tanstaaf") == "[redacted], [redacted], [redacted]");
    CHECK(a.redacted("user tim is locked") == "user tim is locked");

    auto t = make(only(with_token(), "XOAUTH2"));
    CHECK(t.redacted("Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==") == "Bearer [redacted]");

    auto l = make(only(with_password(), "LOGIN"));
    respond(l, "");
    respond(l, "");
    CHECK(l.redacted(base64_encode("tanstaaf")) == "[redacted]");
}

TEST_CASE("a secret too short to hide in a text is left there") {
    auto a = make(only({.user = "tim", .password = secret("not")}, "LOGIN"));
    CHECK(a.redacted("not now") == "not now");
}
