// TLSA records against certificates that are made here, alone and through the engines.
#include <postroad/core/base64.hpp>
#include <postroad/tls/dane.hpp>
#include <postroad/tls/detail/der.hpp>
#include <postroad/tls/impl/mbedtls_certificate.ipp>

#include "tls/pair.hpp"

#include <string>
#include <vector>

using namespace tls_test;
using tls::usable_tlsa;

namespace {

// All certificates of a PEM text.
std::vector<std::string> der(const std::string& pem) {
    std::vector<std::string> all;
    const std::string begin = "-----BEGIN CERTIFICATE-----";
    for (auto at = pem.find(begin); at != std::string::npos; at = pem.find(begin, at)) {
        at += begin.size();
        std::string text;
        for (const char c : pem.substr(at, pem.find("-----END", at) - at))
            if (c > ' ') text += c;
        REQUIRE(base64_decode(text, all.emplace_back()));
    }
    return all;
}

std::string rdata(int usage, int selector, int matching, const std::string& certificate) {
    std::string what = selector == 0 ? certificate : std::string(tls::detail::parts_of(certificate).public_key);
    if (matching == 1) what = tls::detail::digest_of(MBEDTLS_MD_SHA256, what);
    if (matching == 2) what = tls::detail::digest_of(MBEDTLS_MD_SHA512, what);
    return std::string{static_cast<char>(usage), static_cast<char>(selector), static_cast<char>(matching)} + what;
}

std::string check(const std::vector<std::string>& records, const std::vector<std::string>& chain,
                  std::string_view name = "mail.example.com") {
    const auto usable = usable_tlsa(records);
    const auto found = tls::check_dane(usable, chain, name);
    CHECK((found.by != nullptr) == found.why.empty());
    return found.why;
}

}  // namespace

TEST_CASE("records that mail does not use are left out") {
    const std::string sha256(32, 'x'), sha512(64, 'x');
    const auto usable = [](const std::string& head, const std::string& data) {
        return usable_tlsa({head + data}).size() == 1;
    };
    using namespace std::string_literals;
    CHECK(usable("\3\1\1"s, sha256));
    CHECK(usable("\3\1\2"s, sha512));
    CHECK(usable("\3\0\0"s, "x"));
    CHECK(usable("\2\0\1"s, sha256));
    CHECK_FALSE(usable("\0\1\1"s, sha256));
    CHECK_FALSE(usable("\1\1\1"s, sha256));
    CHECK_FALSE(usable("\4\1\1"s, sha256));
    CHECK_FALSE(usable("\3\2\1"s, sha256));
    CHECK_FALSE(usable("\3\1\3"s, sha256));
    CHECK_FALSE(usable("\3\1\1"s, sha512));
    CHECK_FALSE(usable("\3\1\2"s, sha256));
    CHECK_FALSE(usable("\3\1\0"s, ""));
    for (std::size_t n = 0; n < 4; ++n) CHECK(usable_tlsa({std::string("\3\1\1x").substr(0, n)}).empty());
    // Of digests the strongest, for each usage and selector; what is no digest stays.
    CHECK(usable_tlsa({"\3\1\1" + sha256, "\3\1\2" + sha512}).size() == 1);
    CHECK(usable_tlsa({"\3\1\1" + sha256, "\2\1\2" + sha512}).size() == 2);
    CHECK(usable_tlsa({"\3\1\1" + sha256, std::string("\3\0\2", 3) + sha512}).size() == 2);
    CHECK(usable_tlsa({std::string("\3\1\0x", 4), "\3\1\2" + sha512}).size() == 2);
}

TEST_CASE("a record as people read it") {
    CHECK(to_string(tls::tlsa{3, 1, 0, "\x87\x05\xcd"}) == "3 1 0 8705cd");
    CHECK(to_string(tls::tlsa{2, 0, 1, "12345678"}) == "2 0 1 3132333435363738");
    CHECK(to_string(tls::tlsa{2, 0, 1, "123456789"}) == "2 0 1 3132333435363738...");
}

TEST_CASE("the server's own certificate or key is enough, whatever else it says") {
    const auto own = der(mail_example().certificate_pem);
    for (const int selector : {0, 1})
        for (const int matching : {0, 1, 2}) {
            CAPTURE(selector);
            CAPTURE(matching);
            CHECK(check({rdata(3, selector, matching, own.front())}, own) == "");
            CHECK(check({rdata(3, selector, matching, own.front())}, own, "other.example") == "");
        }
    const auto old = der(testing::self_signed({.names = {"x.example"}, .not_after = "20210101000000"}).certificate_pem);
    CHECK(check({rdata(3, 1, 1, old.front())}, old) == "");
    CHECK(check({rdata(3, 1, 1, old.front())}, own).find("matches none of the TLSA records") != std::string::npos);
    // One match among several is enough.
    CHECK(check({rdata(3, 1, 1, old.front()), rdata(3, 0, 1, own.front())}, own) == "");
    CHECK(check({rdata(3, 1, 1, own.front())}, {}) != "");
    // Only its own: a CA that was sent is none.
    const auto root = der(ca().ca_pem);
    CHECK(check({rdata(3, 1, 1, root.front())}, {own.front(), root.front()}) != "");
}

TEST_CASE("a CA that the domain names must be sent, or be in the record, and vouch for the name") {
    const auto middle = ca().intermediate("middle");
    const auto id = middle.issue({.names = {"mail.example.com"}});
    const auto own = der(id.certificate_pem).front();
    const auto between = der(middle.ca_pem).front();
    const auto root = der(ca().ca_pem).front();
    const std::vector<std::string> whole{own, between, root};
    for (const int selector : {0, 1})
        for (const int matching : {0, 1, 2}) {
            CAPTURE(selector);
            CAPTURE(matching);
            CHECK(check({rdata(2, selector, matching, root)}, whole) == "");
            CHECK(check({rdata(2, selector, matching, between)}, whole) == "");
            CHECK(check({rdata(2, selector, matching, between)}, {own, between}) == "");
        }
    CHECK(check({rdata(2, 0, 1, root)}, {own, between}) != "");  // not sent
    CHECK(check({rdata(2, 0, 0, root)}, {own, between}) == "");  // in the record
    CHECK(check({rdata(2, 0, 1, root)}, {own, root}) != "");     // what is between them is missing
    CHECK(check({rdata(2, 1, 1, root)}, whole, "other.example") != "");
    CHECK(check({rdata(2, 1, 1, own)}, whole) != "");  // no CA
    const auto expired =
        der(middle.issue({.names = {"mail.example.com"}, .not_after = "20210101000000"}).certificate_pem);
    CHECK(check({rdata(2, 1, 1, root)}, {expired.front(), between, root}).find("expired") != std::string::npos);
    const auto client =
        der(middle.issue({.names = {"mail.example.com"}, .usage = testing::certificate_usage::client}).certificate_pem);
    CHECK(check({rdata(2, 1, 1, root)}, {client.front(), between, root}) != "");
    const auto narrow = ca().intermediate("narrow", {"other.example"});
    const auto beyond = der(narrow.issue({.names = {"mail.example.com"}}).certificate_pem).front();
    CHECK(check({rdata(2, 1, 1, root)}, {beyond, der(narrow.ca_pem).front(), root}) != "");
    // A CA that signed something else, put beside a stranger's certificate.
    const auto stranger = der(testing::self_signed({.names = {"mail.example.com"}}).certificate_pem).front();
    CHECK(check({rdata(2, 1, 1, root)}, {stranger, root}) != "");
    CHECK(check({rdata(2, 0, 0, "no certificate")}, whole) != "");
}

TEST_CASE_TEMPLATE("an engine obeys the records of its endpoint, not the CAs", Engine, ENGINES) {
    const auto stranger = testing::self_signed({.names = {"x.example"}});
    const auto own = der(stranger.certificate_pem).front();
    const auto shake = [&](const testing::server_identity& id, std::vector<std::string> tlsa) {
        endpoint to{.name = "mail.example.com", .port = 25};
        to.tlsa = std::move(tlsa);
        auto p = std::make_unique<pair<Engine>>(client_context<Engine>(), server_context<Engine>(id), to);
        p->shake();
        return p;
    };
    SUBCASE("a certificate that no CA knows") {
        const auto record = rdata(3, 1, 1, own);
        auto p = shake(stranger, {rdata(3, 1, 1, der(mail_example().certificate_pem).front()), record});
        CHECK(p->client.handshake() == tls::progress::done);
        CHECK(p->client.facts().verified);
        CHECK(p->client.facts().proof == to_string(usable_tlsa({record}).front()));
        CHECK(p->talk());
    }
    SUBCASE("another one than they say, though a CA vouches for it") {
        auto p = shake(mail_example(), {rdata(3, 1, 1, own)});
        CHECK(p->client.handshake() == tls::progress::failed);
        CHECK(p->client.error() == errc::tls_certificate);
        CHECK(std::string(p->client.explanation()).find("TLSA") != std::string::npos);
    }
    SUBCASE("a CA that is sent") {
        auto id = mail_example();
        id.certificate_pem += ca().ca_pem;
        auto p = shake(id, {rdata(2, 0, 1, der(ca().ca_pem).front())});
        CHECK(p->client.handshake() == tls::progress::done);
        CHECK(p->client.facts().verified);
    }
    SUBCASE("none that can be used: TLS, and nobody is verified") {
        auto p = shake(stranger, {rdata(1, 1, 1, own)});
        CHECK(p->client.handshake() == tls::progress::done);
        CHECK_FALSE(p->client.facts().verified);
        CHECK(p->client.facts().proof.empty());
        CHECK(p->client.facts().doubt.find("TLSA") != std::string::npos);
    }
    SUBCASE("each connection is asked anew: no session is resumed") {
        const auto context = client_context<Engine>();
        const auto server = server_context<Engine>(mail_example());
        const auto known = rdata(3, 1, 1, der(mail_example().certificate_pem).front());
        endpoint to{.name = "mail.example.com", .port = 25};
        for (const auto& record : {known, rdata(3, 1, 1, own)}) {
            to.tlsa = {record};
            pair<Engine> p(context, server, to);
            const bool done = p.shake() && p.talk();
            CHECK(done == (record == known));
        }
        CHECK(context->resumable() == 0);
    }
}
