#include <doctest/doctest.h>
#include <postroad/core/base64.hpp>
#include <postroad/smtp/sasl.hpp>

#include <ostream>
#include <string>
#include <vector>

using namespace std::string_literals;
using postroad::errc;
using postroad::error_code;
using postroad::secret;
using postroad::smtp::authenticator;
using postroad::smtp::credentials;
using postroad::smtp::sasl_channel;
using postroad::smtp::scram_client;
namespace smtp = postroad::smtp;

namespace {

using names = std::vector<std::string>;

struct conversation {
    std::string mechanism;
    credentials user;
    sasl_channel channel;
    std::string nonce;
    std::string first;
    std::string server_first;
    std::string final;
    std::string server_final;
};

const conversation rfc5802 = {
    .mechanism = "SCRAM-SHA-1",
    .user = {.user = "user", .password = secret("pencil")},
    .channel = {.encrypted = true},
    .nonce = "fyko+d2lbbFgONRv9qkxdawL",
    .first = "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
    .server_first = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
    .final = "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    .server_final = "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
};

const conversation rfc7677 = {
    .mechanism = "SCRAM-SHA-256",
    .user = {.user = "user", .password = secret("pencil")},
    .channel = {.encrypted = true},
    .nonce = "rOprNGfwEbeRWgbNEkqO",
    .first = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
    .server_first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    .final =
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    .server_final = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
};

// The next two were computed with Python's hashlib.
const conversation bound = {
    .mechanism = "SCRAM-SHA-256-PLUS",
    .user = {.user = "a=b,c", .password = secret("p\xc3\xa4ss"), .authorization_id = "x,y"},
    .channel = {.encrypted = true,
                .binding_name = "tls-exporter",
                .binding_data = "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"
                                "\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f"s},
    .nonce = "0123456789abcdefghijklmn",
    .first = "p=tls-exporter,a=x=2Cy,n=a=3Db=2Cc,r=0123456789abcdefghijklmn",
    .server_first = "r=0123456789abcdefghijklmnSERVER,s=c2FsdHkAc2FsdA==,i=5000",
    .final =
        "c=cD10bHMtZXhwb3J0ZXIsYT14PTJDeSwAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHw==,"
        "r=0123456789abcdefghijklmnSERVER,p=EKFJfqyJFEL07MOBXMtVo2ZlM+7E4NDD2K2l+Atxa3M=",
    .server_final = "v=wLOa47wj6ONgKV0M/dAEIOCSh22jNip8UYRPeZGvugQ=",
};

const conversation unbound = {
    .mechanism = "SCRAM-SHA-1",
    .user = {.user = "u", .password = secret("pw")},
    .channel = {.encrypted = true, .binding_name = "tls-exporter", .binding_data = "0123456789abcdef"},
    .nonce = "0123456789abcdefghijklmn",
    .first = "y,,n=u,r=0123456789abcdefghijklmn",
    .server_first = "r=0123456789abcdefghijklmnSERVER,s=cw==,i=4096",
    .final = "c=eSws,r=0123456789abcdefghijklmnSERVER,p=yvqml2FbvLG17kKxullAlB6YDwc=",
    .server_final = "v=r2jmnYJqxr/5JZGMvdVJynY6Dkg=",
};

authenticator start(const conversation& c) {
    error_code ec;
    authenticator a(c.user, names{c.mechanism}, c.channel, c.nonce, ec);
    REQUIRE_FALSE(ec);
    return a;
}

std::string respond(authenticator& a, std::string_view challenge) {
    error_code ec;
    auto response = a.respond(challenge, ec);
    CHECK_FALSE(ec);
    return response;
}

std::string refusal(authenticator& a, std::string_view challenge) {
    error_code ec;
    CHECK(a.respond(challenge, ec).empty());
    CHECK(ec == errc::authentication_failed);
    CHECK_FALSE(a.satisfied());
    return ec ? a.explanation() : "";
}

std::string refusal_of_first(std::string_view server_first) {
    auto a = start(rfc7677);
    respond(a, "");
    return refusal(a, server_first);
}

std::string first_with_iterations(std::string_view count) {
    return "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=" + std::string(count);
}

}  // namespace

TEST_CASE("SCRAM says what the RFCs and an independent computation say") {
    for (const auto* c : {&rfc5802, &rfc7677, &bound, &unbound}) {
        CAPTURE(c->first);
        auto a = start(*c);
        CHECK(a.mechanism() == c->mechanism);
        CHECK(a.client_first());
        CHECK(respond(a, "") == c->first);
        CHECK(respond(a, c->server_first) == c->final);
        CHECK_FALSE(a.satisfied());
        CHECK(respond(a, c->server_final).empty());
        CHECK(a.satisfied());
        CHECK(refusal(a, "") == "SCRAM: the server asks for more");
    }
}

TEST_CASE("a 235 before the server proved itself is not believed") {
    auto a = start(rfc7677);
    CHECK_FALSE(a.satisfied());
    respond(a, "");
    CHECK_FALSE(a.satisfied());
    respond(a, rfc7677.server_first);
    CHECK_FALSE(a.satisfied());
}

TEST_CASE("a wrong, cut or missing server signature fails") {
    for (const auto* final :
         {"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95Gg=",
          "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl9", "v=", "v", "", "x=1",
          "V=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="}) {
        CAPTURE(final);
        auto a = start(rfc7677);
        respond(a, "");
        respond(a, rfc7677.server_first);
        CHECK_FALSE(refusal(a, final).empty());
    }
}

TEST_CASE("extensions after the known attributes are allowed") {
    auto a = start(rfc7677);
    respond(a, "");
    respond(a, rfc7677.server_first + ",x=1");
    auto b = start(rfc7677);
    respond(b, "");
    respond(b, rfc7677.server_first);
    respond(b, rfc7677.server_final + ",x=1");
    CHECK(b.satisfied());
}

TEST_CASE("the iteration count has a lower and an upper limit") {
    for (const auto* count : {"4095", "1000001", "2000000000", "99999999999999999999", "0", "-4096", "+4096", "4096 ",
                              "", "4096x", "0x1000", "04096"}) {
        CAPTURE(count);
        CHECK(refusal_of_first(first_with_iterations(count)) ==
              "SCRAM: the server's iteration count is not within 4096 to 1000000");
    }
    for (const auto* count : {"4096", "4097"}) {
        auto a = start(rfc7677);
        respond(a, "");
        CHECK_FALSE(respond(a, first_with_iterations(count)).empty());
    }
}

TEST_CASE("the upper limit of iterations itself is computed") {
    auto a = start(rfc7677);
    respond(a, "");
    CHECK_FALSE(respond(a, first_with_iterations("1000000")).empty());
}

TEST_CASE("the server's nonce must extend ours") {
    for (const auto* nonce : {"rOprNGfwEbeRWgbNEkqO", "rOprNGfwEbeRWgbNEkqP123", "", "x", "rOprNGfwEbeRWgbNEkq",
                              "rOprNGfwEbeRWgbNEkqO x", "rOprNGfwEbeRWgbNEkqO\x7f", "rOprNGfwEbeRWgbNEkqO\xc3\xa4"}) {
        CAPTURE(nonce);
        CHECK(refusal_of_first("r=" + std::string(nonce) + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096") ==
              "SCRAM: the server's nonce does not extend ours");
    }
}

TEST_CASE("the salt is base64 of a bounded number of octets") {
    const auto first = [](const std::string& salt) { return "r=rOprNGfwEbeRWgbNEkqOx,s=" + salt + ",i=4096"; };
    for (const auto& salt : {""s, "?"s, "cw"s, "cw==="s, "=cw="s})
        CHECK(refusal_of_first(first(salt)) == "SCRAM: the server's salt is not base64 of 1 to 1024 octets");
    CHECK_FALSE(refusal_of_first(first(postroad::base64_encode(std::string(scram_client::max_salt + 1, 's')))).empty());
    auto a = start(rfc7677);
    respond(a, "");
    CHECK_FALSE(respond(a, first(postroad::base64_encode(std::string(scram_client::max_salt, 's')))).empty());
}

TEST_CASE("a mandatory extension fails") {
    CHECK(refusal_of_first("m=1," + rfc7677.server_first) ==
          "SCRAM: the server requires an extension that postroad lacks");
}

TEST_CASE("messages with parts missing, doubled or in another order fail") {
    for (const auto* message : {"", ",", "r", "r=", "r=rOprNGfwEbeRWgbNEkqOx",
                                "r=rOprNGfwEbeRWgbNEkqOx,i=4096,s=cw==", "s=cw==,r=rOprNGfwEbeRWgbNEkqOx,i=4096",
                                "r=rOprNGfwEbeRWgbNEkqOx,s=cw==", " r=rOprNGfwEbeRWgbNEkqOx,s=cw==,i=4096",
                                "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="}) {
        CAPTURE(message);
        CHECK_FALSE(refusal_of_first(message).empty());
    }
}

TEST_CASE("a refusal that the server explains is answered, for its reply comes then, and quoted if it is a known one") {
    using smtp::scram_refusal;
    const auto explained = [](std::string_view message, bool behind_proof) {
        auto a = start(rfc7677);
        respond(a, "");
        if (behind_proof) respond(a, rfc7677.server_first);
        CHECK_FALSE(a.refused());
        CHECK(respond(a, message).empty());
        CHECK(a.refused());
        CHECK_FALSE(a.satisfied());
        CHECK(a.proved() == behind_proof);
        CHECK(refusal(a, "") == "SCRAM: the server asks for more");
        return a.refusal();
    };
    for (const bool behind_proof : {false, true}) {
        CHECK(explained("e=invalid-proof,x=1", behind_proof) == scram_refusal::password);
        CHECK(explained("e=no-resources", behind_proof) == scram_refusal::for_now);
        CHECK(explained("e=unknown-user", behind_proof) == scram_refusal::mechanism);
        CHECK(explained("e=other-error", behind_proof) == scram_refusal::unsaid);
        CHECK(explained("e=pencil", behind_proof) == scram_refusal::unsaid);
    }
    for (const auto* word : {"invalid-encoding", "extensions-not-supported", "invalid-proof",
                             "channel-binding-not-supported", "unsupported-channel-binding-type", "unknown-user",
                             "invalid-username-encoding", "no-resources", "other-error"}) {
        auto a = start(rfc7677);
        respond(a, "");
        respond(a, "e="s + word);
        CHECK(a.explanation() == "SCRAM-SHA-256: the server reports "s + word);
    }
}

TEST_CASE("channel binding that does not match ends the exchange without another word") {
    for (const auto* word : {"channel-bindings-dont-match", "server-does-support-channel-binding"}) {
        CHECK(refusal_of_first("e="s + word) == "SCRAM-SHA-256: the server reports "s + word);
        auto a = start(rfc7677);
        respond(a, "");
        respond(a, rfc7677.server_first);
        CHECK(refusal(a, "e="s + word) == "SCRAM-SHA-256: the server reports "s + word);
    }
}

TEST_CASE("mechanism downgrade: the flag y is sent where binding is possible and not offered for the mechanism") {
    const auto first = [](const sasl_channel& channel, const names& offered) {
        error_code ec;
        authenticator a({.user = "u", .password = secret("p"), .mechanisms = {"SCRAM-SHA-256"}}, offered, channel,
                        "0123456789abcdefghijklmn", ec);
        return a.respond("", ec).substr(0, 1);
    };
    const sasl_channel can_bind{.encrypted = true, .binding_name = "tls-exporter", .binding_data = "x"};
    CHECK(first(can_bind, {"SCRAM-SHA-256"}) == "y");
    CHECK(first(can_bind, {"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}) == "n");
    CHECK(first(can_bind, {"SCRAM-SHA-256", "SCRAM-SHA-1-PLUS"}) == "y");
    CHECK(first({.encrypted = true}, {"SCRAM-SHA-256"}) == "n");
}

TEST_CASE("a nonce that is short, or not printable, or holds a comma, is refused before anything is sent") {
    for (const auto& nonce : {""s, "12345678901234567"s, "12345678901234567,"s, "12345678901234567 "s,
                              "12345678901234567\0"s, "12345678901234567\xff"s}) {
        error_code ec;
        authenticator a(rfc7677.user, names{"SCRAM-SHA-256"}, rfc7677.channel, nonce, ec);
        CHECK(ec == errc::authentication_failed);
        CHECK(a.respond("", ec).empty());
        CHECK(ec);
    }
    error_code ec;
    authenticator a(rfc7677.user, names{"SCRAM-SHA-256"}, rfc7677.channel, "123456789012345678", ec);
    CHECK_FALSE(ec);
}

TEST_CASE("no explanation of a failure shows the password") {
    for (const auto* message : {"r=pencil", "m=pencil", "pencil"})
        CHECK(refusal_of_first(message).find("pencil") == std::string::npos);
    auto a = start(rfc7677);
    respond(a, "");
    respond(a, "e=pencil");
    CHECK(a.explanation() == "SCRAM-SHA-256: the server reports other-error");
}
