#pragma once
// Certificates as testing::authority does not make them, for the tables of this directory.

#include "pair.hpp"

#ifdef TLS_TEST_OPENSSL

#include <ctime>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

namespace tls_test {

/// Values of extensions are in OpenSSL's form, with "critical," in front if they are; "-": the extension is missing.
struct wish {
    std::string subject = "mail.example.com";
    std::string names = {};  // of subjectAltName; a CA has none
    std::string constraints = {};
    std::string key = "P-256";  // or another curve, ED25519, ED448, RSA-PSS, or a number of bits of RSA
    const char* digest = "SHA256";
    std::size_t padding = 0;  // octets of an extension that says nothing
    std::string basic = {};   // empty: what a CA or a server has
    std::string usage = {};
    std::string purpose = {};
    std::vector<std::pair<const char*, std::string>> others = {};  // by OID
    std::string from = "20200101000000Z", until = "20991231235959Z";
    int issuer = -1;             // in the list, maybe itself; -1: the one before
    std::string owner = {};      // whose key it has; empty: the subject's
    std::string signed_by = {};  // whose key of P-256 signs in place of the issuer's
    int version = 3;
    std::string serial = {};  // hexadecimal
    bool pss = false;         // the padding of the signature

    bool is_ca() const { return names.empty(); }
};

using certificate_ptr = std::shared_ptr<X509>;
using key_ptr = std::shared_ptr<EVP_PKEY>;

inline std::string text_of(BIO* from) {
    char* text = nullptr;
    const auto size = BIO_get_mem_data(from, &text);
    std::string result(text, static_cast<std::size_t>(size));
    BIO_free(from);
    return result;
}

struct made {
    certificate_ptr certificate;
    key_ptr key;

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
};

inline EVP_PKEY* new_key(const std::string& kind) {
    if (kind == "ED25519" || kind == "ED448") return EVP_PKEY_Q_keygen(nullptr, nullptr, kind.c_str());
    if (kind == "RSA-PSS") {
        auto* context = EVP_PKEY_CTX_new_from_name(nullptr, "RSA-PSS", nullptr);
        EVP_PKEY* key = nullptr;
        EVP_PKEY_keygen_init(context);
        EVP_PKEY_keygen(context, &key);
        EVP_PKEY_CTX_free(context);
        return key;
    }
    if (kind.find_first_not_of("0123456789") != kind.npos)
        return EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", kind.c_str());
    return EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", static_cast<std::size_t>(std::stoul(kind)));
}

/// Made once for each owner: those of RSA take long.
inline key_ptr key_of(const std::string& owner, const std::string& kind) {
    static std::map<std::string, key_ptr> all;
    auto& key = all[owner + ' ' + kind];
    if (!key) key = key_ptr(new_key(kind), EVP_PKEY_free);
    REQUIRE(key);
    return key;
}

/// "YYYYMMDDhhmmssZ" of some seconds from now.
inline std::string in_seconds(int seconds) {
    const auto then = std::time(nullptr) + seconds;
    std::tm utc{};
    gmtime_r(&then, &utc);
    char text[20];
    std::strftime(text, sizeof text, "%Y%m%d%H%M%SZ", &utc);
    return text;
}

inline void extend(X509* x, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, x, nullptr, nullptr, 0);
    X509V3_set_ctx_nodb(&context);
    auto* e = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
    CAPTURE(value);
    REQUIRE(e);
    X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
}

inline void sign(const wish& w, X509* x, EVP_PKEY* signer) {
    auto* context = EVP_MD_CTX_new();
    EVP_PKEY_CTX* padding = nullptr;
    const auto kind = EVP_PKEY_get_base_id(signer);
    const bool hashes = kind != EVP_PKEY_ED25519 && kind != EVP_PKEY_ED448;
    REQUIRE(EVP_DigestSignInit(context, &padding, hashes ? EVP_get_digestbyname(w.digest) : nullptr, nullptr, signer) ==
            1);
    if (w.pss) EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PSS_PADDING);
    REQUIRE(X509_sign_ctx(x, context) > 0);
    EVP_MD_CTX_free(context);
}

inline made make(const wish& w, const made* issuer = nullptr) {
    static long serial = 0x4000;
    made m{{X509_new(), X509_free}, key_of(w.owner.empty() ? w.subject : w.owner, w.key)};
    auto* x = m.certificate.get();
    X509_set_version(x, w.version - 1);
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
    if (!w.serial.empty()) {
        BIGNUM* number = nullptr;
        BN_hex2bn(&number, w.serial.c_str());
        BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x));
        BN_free(number);
    }
    ASN1_TIME_set_string_X509(X509_getm_notBefore(x), w.from.c_str());
    ASN1_TIME_set_string_X509(X509_getm_notAfter(x), w.until.c_str());
    if (w.subject != "-")
        X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                                   reinterpret_cast<const unsigned char*>(w.subject.c_str()), -1, -1, 0);
    auto* above = issuer ? issuer->certificate.get() : x;
    X509_set_issuer_name(x, X509_get_subject_name(above));
    X509_set_pubkey(x, m.key.get());
    const auto add = [&](int nid, const std::string& value, const char* usual = "-") {
        const auto& said = value.empty() ? std::string(usual) : value;
        if (said != "-" && w.version == 3) extend(x, above, nid, said);
    };
    add(NID_basic_constraints, w.basic, w.is_ca() ? "critical,CA:TRUE" : "CA:FALSE");
    add(NID_key_usage, w.usage, w.is_ca() ? "critical,keyCertSign" : "-");
    add(NID_ext_key_usage, w.purpose, w.is_ca() ? "-" : "serverAuth");
    add(NID_subject_alt_name, w.names);
    add(NID_name_constraints, w.constraints);
    if (w.padding > 0) add(NID_netscape_comment, std::string(w.padding, 'x'));
    for (const auto& [oid, value] : w.others) {
        int nid = OBJ_txt2nid(oid);
        if (nid == NID_undef) nid = OBJ_create(oid, oid, oid);
        add(nid, value);
    }
    const auto signer = !w.signed_by.empty() ? key_of(w.signed_by, "P-256") : issuer ? issuer->key : m.key;
    sign(w, x, signer.get());
    return m;
}

struct chain {
    std::string trusted;  // PEM
    testing::server_identity server;
};

/// From the root down; the last one is the server's. Who is trusted, and what the server sends, by number: the first
/// one, and all others from the last one up.
inline chain chain_of(const std::vector<wish>& wishes, const std::vector<std::size_t>& trusted = {0},
                      std::vector<std::size_t> sent = {}) {
    chain c;
    std::vector<made> all;
    all.reserve(wishes.size());
    for (const auto& w : wishes) {
        const auto above = w.issuer < 0 ? all.size() - 1 : static_cast<std::size_t>(w.issuer);
        all.push_back(make(w, above < all.size() ? &all[above] : nullptr));
    }
    for (const auto i : trusted) c.trusted += all[i].pem();
    if (sent.empty())
        for (auto i = all.size(); i-- > 1;) sent.push_back(i);
    for (const auto i : sent) c.server.certificate_pem += all[i].pem();
    c.server.key_pem = all[sent.front()].key_pem();
    return c;
}

}  // namespace tls_test

#endif
