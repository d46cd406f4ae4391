// What certificates may be made of, one table for both engines. Where they differ docs/tls.md says why.
#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "pair.hpp"

#ifdef TLS_TEST_OPENSSL
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#endif

using namespace tls_test;

#ifdef TLS_TEST_OPENSSL

namespace {

// Certificates as testing::authority does not make them.
struct wish {
    std::string subject = "mail.example.com";
    std::string names = {};        // of subjectAltName, in OpenSSL's form; a CA has none
    std::string constraints = {};  // likewise, with "critical," in front if they are
    std::string key = "P-256";     // or ED25519, or a number of bits of RSA
    const char* digest = "SHA256";
    std::size_t padding = 0;  // octets of an extension that says nothing
};

struct made {
    std::shared_ptr<X509> certificate;
    std::shared_ptr<EVP_PKEY> key;

    std::string pem() const {
        BIO* to = BIO_new(BIO_s_mem());
        PEM_write_bio_X509(to, certificate.get());
        return text_of(to);
    }
    std::string key_pem() const {
        BIO* to = BIO_new(BIO_s_mem());
        PEM_write_bio_PrivateKey(to, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
        return text_of(to);
    }
    static std::string text_of(BIO* from) {
        char* text = nullptr;
        const auto size = BIO_get_mem_data(from, &text);
        std::string result(text, static_cast<std::size_t>(size));
        BIO_free(from);
        return result;
    }
};

EVP_PKEY* new_key(const std::string& kind) {
    if (kind == "ED25519") return EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
    if (kind[0] == 'P') return EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", kind.c_str());
    return EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", static_cast<std::size_t>(std::stoul(kind)));
}

made make(const wish& w, const made* issuer = nullptr) {
    static long serial = 0x4000;
    made m{{X509_new(), X509_free}, {new_key(w.key), EVP_PKEY_free}};
    REQUIRE(m.key);
    auto* x = m.certificate.get();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
    ASN1_TIME_set_string_X509(X509_getm_notBefore(x), "20200101000000Z");
    ASN1_TIME_set_string_X509(X509_getm_notAfter(x), "20991231235959Z");
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(w.subject.c_str()), -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer->certificate.get() : x));
    X509_set_pubkey(x, m.key.get());
    const auto add = [&](int nid, const std::string& value) {
        X509V3_CTX context;
        X509V3_set_ctx(&context, issuer ? issuer->certificate.get() : x, x, nullptr, nullptr, 0);
        X509V3_set_ctx_nodb(&context);
        auto* e = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
        REQUIRE(e);
        X509_add_ext(x, e, -1);
        X509_EXTENSION_free(e);
    };
    const bool is_ca = w.names.empty();
    add(NID_basic_constraints, is_ca ? "critical,CA:TRUE" : "CA:FALSE");
    if (is_ca) add(NID_key_usage, "critical,keyCertSign");
    if (!is_ca) add(NID_ext_key_usage, "serverAuth");
    if (!w.names.empty()) add(NID_subject_alt_name, w.names);
    if (!w.constraints.empty()) add(NID_name_constraints, w.constraints);
    if (w.padding > 0) add(NID_netscape_comment, std::string(w.padding, 'x'));
    const auto* signer = issuer ? issuer->key.get() : m.key.get();
    const bool hashes = EVP_PKEY_get_base_id(signer) != EVP_PKEY_ED25519;
    REQUIRE(X509_sign(x, const_cast<EVP_PKEY*>(signer), hashes ? EVP_get_digestbyname(w.digest) : nullptr) > 0);
    return m;
}

struct chain {
    std::string root;  // PEM
    testing::server_identity server;
};

// From the root down; the last one is the server's.
chain chain_of(const std::vector<wish>& wishes) {
    chain c;
    std::vector<made> all;
    for (const auto& w : wishes) all.push_back(make(w, all.empty() ? nullptr : &all.back()));
    c.root = all.front().pem();
    for (auto i = all.size(); i-- > 1;) c.server.certificate_pem += all[i].pem();
    c.server.key_pem = all.back().key_pem();
    return c;
}

std::vector<wish> above(std::size_t count, std::size_t padding = 0) {
    std::vector<wish> all;
    for (std::size_t i = 0; i < count; ++i) all.push_back({.subject = "CA " + std::to_string(i), .padding = padding});
    all.push_back({.names = "DNS:mail.example.com"});
    return all;
}

// What the client says of it; the server is OpenSSL's, which sends anything.
template <class Client, class Server = tls::openssl_engine>
std::string decision(const chain& c, tls::protocol newest = tls::protocol::tls_1_2) {
    pair<Client, Server> p(client_context<Client>({.ca_pem = c.root, .newest = newest}),
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
