// What certificates may be made of, one table for both engines. Where they differ docs/tls.md says why.
#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "made.hpp"
#include "pair.hpp"

using namespace tls_test;

#ifdef TLS_TEST_OPENSSL

namespace {

std::vector<wish> above(std::size_t count, std::size_t padding = 0) {
    std::vector<wish> all;
    for (std::size_t i = 0; i < count; ++i) all.push_back({.subject = "CA " + std::to_string(i), .padding = padding});
    all.push_back({.names = "DNS:mail.example.com"});
    return all;
}

// What the client says of it; the server is OpenSSL's, which sends anything.
template <class Client, class Server = tls::openssl_engine>
std::string decision(const chain& c, tls::protocol newest = tls::protocol::tls_1_2) {
    pair<Client, Server> p(client_context<Client>({.ca_pem = c.trusted, .newest = newest}),
                           server_context<Server>(c.server));
    const bool done = p.shake() && p.talk();
    CHECK(done == p.client.explanation().empty());
    if (!done) CHECK(p.client.error() == condition::tls);
    return p.client.explanation();
}

}  // namespace

TEST_CASE("both engines decide alike on what certificates are made of, but where it is written") {
    const wish server{.names = "DNS:mail.example.com"};
    const wish wild{.names = "DNS:*.example.com"};
    const wish root{.subject = "root CA"};
    const auto bound = [](const char* constraints) { return wish{.subject = "bound CA", .constraints = constraints}; };
    const std::string refused = "comes with a CA that may not speak for mail.example.com";
    const std::string not_read = "which mbedTLS does not read; the OpenSSL engine does";
    const std::string critical =
        "comes with a CA whose name constraints are critical, which mbedTLS does not read; the OpenSSL engine obeys "
        "them";
    const std::string too_weak = "has a key or a signature that is too weak";
    const struct {
        std::string what;
        std::vector<wish> made;
        std::string mbedtls;  // what is said behind "certificate of mail.example.com "; empty: accepted
        std::string openssl;
    } rows[] = {
        {"plain", {root, server}, "", ""},
        {"constraints that allow it", {root, bound("permitted;DNS:example.com"), server}, "", ""},
        {"constraints that do not", {root, bound("permitted;DNS:example.org"), server}, refused, refused},
        {"excluded", {root, bound("excluded;DNS:mail.example.com"), server}, refused, refused},
        {"a wildcard that reaches what is excluded",
         {root, bound("excluded;DNS:mail.example.com"), wild},
         refused,
         refused},
        {"a wildcard beside what is excluded", {root, bound("excluded;DNS:other.example.com"), wild}, "", ""},
        {"critical, at the root, that allow it", {bound("critical,permitted;DNS:example.com"), server}, "", ""},
        {"critical, at the root, that do not", {bound("critical,permitted;DNS:example.org"), server}, refused, refused},
        {"critical, below, that allow it", {root, bound("critical,permitted;DNS:example.com"), server}, critical, ""},
        {"critical, below, that do not",
         {root, bound("critical,permitted;DNS:example.org"), server},
         critical,
         refused},
        {"a critical extension about policies",
         {root, {.subject = "CA", .others = {{"policyConstraints", "critical,DER:3003810100"}}}, server},
         "comes with a CA that has the critical extension 2.5.29.36, which mbedTLS does not read; the OpenSSL engine "
         "knows more of them",
         ""},
        {"8 CAs", above(8), "", ""},
        {"9 CAs", above(9), "", ""},
        {"12 CAs", above(12), "comes with more than 8 certificates above it; the OpenSSL engine follows more", ""},
        {"an Ed25519 CA below",
         {root, {.subject = "CA", .key = "ED25519"}, server},
         "has an Ed25519 key or signature, " + not_read,
         ""},
        {"RSA of 2048 bits", {root, {.names = "DNS:mail.example.com", .key = "2048"}}, "", ""},
        {"P-384", {root, {.names = "DNS:mail.example.com", .key = "P-384"}}, "", ""},
        {"P-521", {root, {.names = "DNS:mail.example.com", .key = "P-521"}}, "", ""},
        // mbedTLS blames the certificate that the key has signed
        {"a root of 1024 bits",
         {{.subject = "weak CA", .key = "1024"}, server},
         too_weak,
         "comes with a CA \"CN=weak CA\" that " + too_weak},
    };
    for (const auto& row : rows) {
        CAPTURE(row.what);
        const auto c = chain_of(row.made);
        const auto said = [](const std::string& why) {
            return why.empty() ? why : "certificate of mail.example.com " + why;
        };
        CHECK(decision<tls::mbedtls_engine>(c) == said(row.mbedtls));
        for (const auto newest : {tls::protocol::tls_1_2, tls::protocol::tls_1_3})
            CHECK(decision<tls::openssl_engine>(c, newest) == said(row.openssl));
    }
}

// The server is mbedTLS', which shows weak ones as well.
TEST_CASE_TEMPLATE("weak keys and signatures are refused as OpenSSL does at its security level 2", E, ENGINES) {
    const std::string names = "DNS:mail.example.com";
    const struct {
        wish server;
        bool refused;
    } rows[] = {
        {{.names = names, .key = "1024"}, true},       {{.names = names, .key = "1536"}, true},
        {{.names = names, .key = "2048"}, false},      {{.names = names, .key = "P-192"}, true},
        {{.names = names, .key = "P-256"}, false},     {{.names = names, .digest = "SHA1"}, true},
        {{.names = names, .digest = "SHA384"}, false}, {{.names = names, .digest = "SHA512"}, false},
    };
    for (const auto& row : rows) {
        CAPTURE(row.server.key);
        CAPTURE(std::string(row.server.digest));
        const auto why = decision<E, tls::mbedtls_engine>(chain_of({{.subject = "root CA"}, row.server}));
        CAPTURE(why);
        CHECK(why.empty() != row.refused);
    }
}

TEST_CASE("certificates of more than 16 KiB are read, or named") {
    const auto small = chain_of(above(4, 2000)), large = chain_of(above(6, 3000));
    CHECK(decision<tls::mbedtls_engine>(small).empty());
    CHECK(decision<tls::openssl_engine>(small).empty());
    CHECK(decision<tls::openssl_engine>(large).empty());
    const auto why = decision<tls::mbedtls_engine>(large);
    CHECK(why ==
          "TLS handshake with mail.example.com failed: it sends a message in pieces, mostly certificates of more than "
          "16 KiB, which this mbedTLS does not put together; the OpenSSL engine does");
}

TEST_CASE("a server with nothing but an Ed25519 certificate has no signature that mbedTLS reads") {
    const auto c = chain_of({{.subject = "root CA"}, {.names = "DNS:mail.example.com", .key = "ED25519"}});
    CHECK(decision<tls::openssl_engine>(c).empty());
    CHECK(decision<tls::mbedtls_engine>(c).find("it sent the alert handshake_failure") != std::string::npos);
}

#endif

TEST_CASE("the certificates of a message are found within its bounds") {
    using tls::detail::certificates_of;
    const auto size3 = [](std::size_t n) {
        return std::string{static_cast<char>(n >> 16), static_cast<char>(n >> 8), static_cast<char>(n)};
    };
    const auto field = [&](const std::string& s) { return size3(s.size()) + s; };
    const auto old = "\x0b" + field(field(field("one") + field("two")));
    CHECK(certificates_of(old, false) == std::vector<std::string_view>{"one", "two"});
    const std::string none(2, '\0');
    const auto next = "\x0b" + field(std::string(1, '\0') + field(field("one") + none + field("two") + none));
    CHECK(certificates_of(next, true) == std::vector<std::string_view>{"one", "two"});
    for (std::size_t n = 0; n < old.size(); ++n) CHECK(certificates_of(old.substr(0, n), false).size() <= 2);
    for (std::size_t n = 0; n < next.size(); ++n) CHECK(certificates_of(next.substr(0, n), true).size() <= 2);
    CHECK(certificates_of("\x0c" + old.substr(1), false).empty());
    CHECK(certificates_of("\x0b\xff\xff\xff\xff\xff\xff", false).empty());
}
