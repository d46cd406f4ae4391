// Certificates that their CA has taken back: by a list of ours in both engines, by what the server staples over
// OpenSSL.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "made.hpp"
#include "pair.hpp"
#include "place.hpp"

#ifdef TLS_TEST_OPENSSL

#include <openssl/ocsp.h>

using namespace tls_test;

namespace {

const wish root_wish{.subject = "root CA", .usage = "critical,keyCertSign,cRLSign"};
const wish ca_wish{
    .subject = "CA", .usage = "critical,keyCertSign,cRLSign", .others = {{"subjectKeyIdentifier", "01:02:03"}}};
const wish leaf_wish{.names = "DNS:mail.example.com"};

struct family {
    made root = make(root_wish);
    made ca = make(ca_wish, &root);
    made leaf = make(leaf_wish, &ca);

    testing::server_identity server() const { return {leaf.pem() + ca.pem(), leaf.key_pem()}; }
};

const family& all() {
    static const family f;
    return f;
}

struct list_wish {
    std::vector<const made*> revoked = {};
    int from = -3600, until = 3600;  // seconds from now
    const made* signer = nullptr;    // in place of the CA
    const made* named = nullptr;     // whose key it says it is, by its identifier
};

std::string list_of(const made& ca, const list_wish& w) {
    const std::shared_ptr<X509_CRL> list(X509_CRL_new(), X509_CRL_free);
    X509_CRL_set_version(list.get(), 1);
    X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(ca.certificate.get()));
    const std::shared_ptr<ASN1_TIME> time(ASN1_TIME_new(), ASN1_TIME_free);
    ASN1_TIME_set_string_X509(time.get(), in_seconds(w.from).c_str());
    X509_CRL_set1_lastUpdate(list.get(), time.get());
    for (const auto* m : w.revoked) {
        auto* one = X509_REVOKED_new();
        X509_REVOKED_set_serialNumber(one, X509_get_serialNumber(m->certificate.get()));
        X509_REVOKED_set_revocationDate(one, time.get());
        X509_CRL_add0_revoked(list.get(), one);
    }
    ASN1_TIME_set_string_X509(time.get(), in_seconds(w.until).c_str());
    X509_CRL_set1_nextUpdate(list.get(), time.get());
    X509_CRL_sort(list.get());
    if (w.named) {
        X509V3_CTX context;
        X509V3_set_ctx(&context, w.named->certificate.get(), nullptr, nullptr, list.get(), 0);
        auto* id = X509V3_EXT_conf_nid(nullptr, &context, NID_authority_key_identifier, "keyid:always");
        REQUIRE(id);
        X509_CRL_add_ext(list.get(), id, -1);
        X509_EXTENSION_free(id);
    }
    REQUIRE(X509_CRL_sign(list.get(), (w.signer ? w.signer : &ca)->key.get(), EVP_sha256()) > 0);
    BIO* to = BIO_new(BIO_s_mem());
    PEM_write_bio_X509_CRL(to, list.get());
    return text_of(to);
}

template <class E>
std::string refusal(const std::string& lists, const testing::server_identity& server = all().server()) {
    pair<E> p(client_context<E>({.ca_pem = all().root.pem(), .crl_pem = lists}), server_context<E>(server));
    const bool done = p.shake() && p.talk();
    CHECK(done == p.client.explanation().empty());
    CHECK(done == p.client.facts().verified);
    return p.client.explanation();
}

const std::string was_revoked = "certificate of mail.example.com was revoked by its CA";
const std::string unusable =
    "certificate of mail.example.com cannot be looked up: the CRL of its CA is out of date, or not signed by it; fetch "
    "a "
    "newer one";

struct answer_wish {
    int status = V_OCSP_CERTSTATUS_REVOKED;
    const made* about = nullptr;   // in place of the server's
    const made* issuer = nullptr;  // of that, in place of the CA
    const made* signer = nullptr;  // in place of the issuer
    unsigned long flags = 0;       // OCSP_NOCERTS: without the signer's certificate
};

std::string answer_of(const answer_wish& w) {
    const auto* about = w.about ? w.about : &all().leaf;
    const auto* issuer = w.issuer ? w.issuer : &all().ca;
    const auto* signer = w.signer ? w.signer : issuer;
    const std::shared_ptr<OCSP_BASICRESP> basic(OCSP_BASICRESP_new(), OCSP_BASICRESP_free);
    const std::shared_ptr<OCSP_CERTID> id(
        OCSP_cert_to_id(EVP_sha256(), about->certificate.get(), issuer->certificate.get()), OCSP_CERTID_free);
    const std::shared_ptr<ASN1_TIME> now(X509_gmtime_adj(nullptr, -60), ASN1_TIME_free);
    const bool revoked = w.status == V_OCSP_CERTSTATUS_REVOKED;
    OCSP_basic_add1_status(basic.get(), id.get(), w.status, revoked ? OCSP_REVOKED_STATUS_KEYCOMPROMISE : 0,
                           revoked ? now.get() : nullptr, now.get(), nullptr);
    REQUIRE(OCSP_basic_sign(basic.get(), signer->certificate.get(), signer->key.get(), EVP_sha256(), nullptr,
                            w.flags) == 1);
    const std::shared_ptr<OCSP_RESPONSE> response(OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic.get()),
                                                  OCSP_RESPONSE_free);
    unsigned char* octets = nullptr;
    const int size = i2d_OCSP_RESPONSE(response.get(), &octets);
    std::string text(reinterpret_cast<char*>(octets), static_cast<std::size_t>(size));
    OPENSSL_free(octets);
    return text;
}

int staple(SSL* ssl, void* text) {
    const auto& answer = *static_cast<const std::string*>(text);
    SSL_set_tlsext_status_ocsp_resp(ssl, OPENSSL_memdup(answer.data(), answer.size()),
                                    static_cast<long>(answer.size()));
    return SSL_TLSEXT_ERR_OK;
}

// Shakes hands with a server that has this certificate and staples this.
template <class Client>
void shake(Client& client, std::string answer, const made& leaf) {
    const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
    SSL_CTX_use_certificate(context.get(), leaf.certificate.get());
    SSL_CTX_add1_chain_cert(context.get(), all().ca.certificate.get());
    SSL_CTX_use_PrivateKey(context.get(), leaf.key.get());
    SSL_CTX_set_tlsext_status_cb(context.get(), &staple);
    SSL_CTX_set_tlsext_status_arg(context.get(), &answer);
    const std::shared_ptr<SSL> server(SSL_new(context.get()), SSL_free);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    SSL_set_bio(server.get(), in, out);
    for (int i = 0; i < 10; ++i) {
        static_cast<void>(client.handshake());
        const std::string said(client.output());
        client.consumed(said.size());
        BIO_write(in, said.data(), static_cast<int>(said.size()));
        SSL_accept(server.get());
        std::string answered(BIO_ctrl_pending(out), '\0');
        if (!answered.empty()) BIO_read(out, answered.data(), static_cast<int>(answered.size()));
        client.received(answered);
    }
    ERR_clear_error();
}

struct ending {
    bool done, verified;
    std::string explanation, doubt;
};

struct shaking {
    security how = security::implicit;
    tls::protocol newest = tls::protocol::tls_1_3;
    std::string lists = {};
    const made* leaf = nullptr;  // in place of the usual one
};

ending after(const std::string& answer, const shaking& s = {}) {
    using engine = tls::openssl_engine;
    engine client(client_context<engine>({.ca_pem = all().root.pem(), .crl_pem = s.lists, .newest = s.newest}),
                  {.name = "mail.example.com", .port = 465, .security = s.how});
    shake(client, answer, s.leaf ? *s.leaf : all().leaf);
    const bool done = client.handshake() == tls::progress::done;
    return {done, client.facts().verified, client.explanation(), client.facts().doubt};
}

}  // namespace

TEST_CASE_TEMPLATE("a certificate in the list of its CA is refused, one beside it is not", E, ENGINES) {
    const auto& f = all();
    const auto other = make(leaf_wish, &f.ca);
    CHECK(refusal<E>(list_of(f.ca, {})).empty());
    CHECK(refusal<E>(list_of(f.ca, {.revoked = {&other}})).empty());
    CHECK(refusal<E>(list_of(f.ca, {.revoked = {&f.leaf}})) == was_revoked);
    CHECK(refusal<E>(list_of(f.ca, {.revoked = {&other, &f.leaf}})) == was_revoked);
    // of two lists; a CA without a list is not asked about
    CHECK(refusal<E>(list_of(f.root, {}) + list_of(f.ca, {.revoked = {&f.leaf}})) == was_revoked);
    CHECK(refusal<E>(list_of(f.root, {.revoked = {&other}})).empty());
    CHECK(refusal<E>(list_of(f.root, {.revoked = {&f.ca}})) ==
          "certificate of mail.example.com comes with a CA \"CN=CA\" that was revoked by its CA");
}

TEST_CASE_TEMPLATE("a list that is out of date or somebody else's lets nobody through", E, ENGINES) {
    const auto& f = all();
    CHECK(refusal<E>(list_of(f.ca, {.from = -7200, .until = -3600})) == unusable);
    CHECK(refusal<E>(list_of(f.ca, {.from = 3600, .until = 7200})) == unusable);
    CHECK(refusal<E>(list_of(f.ca, {.signer = &f.root})) == unusable);
    // As real lists are, with the identifier of the key: the CA's, and the one that it had before.
    auto before = ca_wish;
    before.owner = "the key before";
    before.others = {{"subjectKeyIdentifier", "04:05:06"}};
    const auto old = make(before, &f.root);
    CHECK(refusal<E>(list_of(f.ca, {.named = &f.ca})).empty());
    CHECK(refusal<E>(list_of(f.ca, {.revoked = {&f.leaf}, .named = &f.ca})) == was_revoked);
    CHECK(refusal<E>(list_of(f.ca, {.signer = &old, .named = &old})) == unusable);
}

TEST_CASE_TEMPLATE("a revoked certificate is a doubt where TLS is opportunistic", E, ENGINES) {
    const auto lists = list_of(all().ca, {.revoked = {&all().leaf}});
    pair<E> p(client_context<E>({.ca_pem = all().root.pem(), .crl_pem = lists}), server_context<E>(all().server()),
              {.name = "mail.example.com", .port = 25, .security = security::opportunistic});
    REQUIRE(p.shake());
    CHECK_FALSE(p.client.facts().verified);
    CHECK(p.client.facts().doubt == "was revoked by its CA");
}

TEST_CASE_TEMPLATE("lists of revoked certificates that cannot be read are errors of the settings", E, ENGINES) {
    const auto says = [](tls::settings s, const std::string& text) {
        s.ca_pem = all().root.pem();
        CHECK(thrown_for<E>(s) == text);
    };
    const std::string bad = configuration, contradiction = "two settings contradict each other: ";
    const auto good = list_of(all().ca, {});
    const place folder;
    folder.write("good.crl", "a comment\n" + good);
    says({.crl_file = folder.path + "/good.crl"}, "nothing");
    says({.crl_file = "a", .crl_pem = "b"}, contradiction + "crl_file and crl_pem are both given");
    says({.crl_file = "/nonexistent"}, bad + "the CRL file \"/nonexistent\" cannot be read");
    folder.write("empty.crl", "");
    says({.crl_file = folder.path + "/empty.crl"}, bad + "there is no CRL in PEM in \"" + folder.path +
                                                       "/empty.crl\" (openssl crl -inform DER makes PEM of DER)");
    says({.crl_pem = "x"}, bad + "there is no CRL in PEM in crl_pem (openssl crl -inform DER makes PEM of DER)");
    says({.crl_pem = good + good.substr(0, good.size() / 2)}, bad + "CRL number 2 of crl_pem cannot be read");
    says({.crl_pem = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"},
         bad + "CRL number 1 of crl_pem cannot be read");
    says({.crl_pem = good, .verify = tls::verification::insecure_none},
         contradiction + "CRLs are given and verify is insecure_none, which looks at no certificate");
}

TEST_CASE("a server that staples its own revocation is refused by the OpenSSL engine") {
    const auto other = make(leaf_wish, &all().ca);
    const auto stranger = make({.subject = "stranger"});
    for (const auto newest : {tls::protocol::tls_1_2, tls::protocol::tls_1_3}) {
        const auto refused = after(answer_of({}), {.newest = newest});
        CHECK_FALSE(refused.done);
        CHECK(refused.explanation == was_revoked);
        for (const auto& good :
             {answer_of({.status = V_OCSP_CERTSTATUS_GOOD}), answer_of({.status = V_OCSP_CERTSTATUS_UNKNOWN}),
              answer_of({.about = &other}), answer_of({.signer = &stranger}), std::string("no answer")}) {
            const auto taken = after(good, {.newest = newest});
            CHECK(taken.explanation == "");
            CHECK(taken.done);
            CHECK(taken.verified);
        }
        const auto doubted = after(answer_of({}), {.how = security::opportunistic, .newest = newest});
        CHECK(doubted.done);
        CHECK_FALSE(doubted.verified);
        CHECK(doubted.doubt == "was revoked by its CA");
    }
}

TEST_CASE("what is stapled counts beside lists of revoked certificates") {
    CHECK(after(answer_of({}), {.lists = list_of(all().ca, {})}).explanation == was_revoked);
    CHECK(after(answer_of({.status = V_OCSP_CERTSTATUS_GOOD}), {.lists = list_of(all().ca, {})}).done);
}

TEST_CASE("what is stapled may be signed by a trusted CA that nobody sends") {
    const auto leaf = make(leaf_wish, &all().root);
    const auto answer = answer_of({.about = &leaf, .issuer = &all().root, .flags = OCSP_NOCERTS});
    CHECK(after(answer, {.leaf = &leaf}).explanation == was_revoked);
}

#endif
