// What an engine puts on the wire, and what it does not.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "pair.hpp"

using namespace tls_test;

namespace {

struct hello {
    std::vector<int> extensions;
    bool compression = false;
    int newest = 0;  ///< the newest version that is offered
};

/// Takes a ClientHello apart (RFC 8446 section 4.1.2).
hello read_hello(std::string_view record) {
    const auto number = [&](std::size_t size) {
        int n = 0;
        REQUIRE(record.size() >= size);
        for (std::size_t i = 0; i < size; ++i) n = n << 8 | static_cast<unsigned char>(record[i]);
        record.remove_prefix(size);
        return n;
    };
    const auto skip = [&](int n) {
        REQUIRE(record.size() >= static_cast<std::size_t>(n));
        record.remove_prefix(static_cast<std::size_t>(n));
    };
    hello h;
    REQUIRE(number(1) == 22);  // handshake
    skip(4);
    REQUIRE(number(1) == 1);  // ClientHello
    skip(3);
    h.newest = number(2);
    skip(32);         // random
    skip(number(1));  // session id
    skip(number(2));  // cipher suites
    h.compression = number(1) != 1 || number(1) != 0;
    const int size_of_extensions = number(2);
    REQUIRE(size_of_extensions == static_cast<int>(record.size()));
    while (!record.empty()) {
        const int type = number(2), size = number(2);
        h.extensions.push_back(type);
        auto value = record.substr(0, static_cast<std::size_t>(size));
        skip(size);
        if (type == 43)  // supported_versions
            for (value.remove_prefix(1); value.size() >= 2; value.remove_prefix(2))
                h.newest = std::max(h.newest,
                                    static_cast<unsigned char>(value[0]) << 8 | static_cast<unsigned char>(value[1]));
    }
    return h;
}

bool has(const hello& h, int extension) {
    return std::find(h.extensions.begin(), h.extensions.end(), extension) != h.extensions.end();
}

constexpr int server_name = 0, alpn = 16;

}  // namespace

TEST_CASE_TEMPLATE("a client sends the host name, no ALPN and no compression", E, ENGINES) {
    E named(client_context<E>(), {.name = "mail.example.com."}), numbered(client_context<E>(), {.name = "192.0.2.1"}),
        ipv6(client_context<E>(), {.name = "2001:db8::1"});
    for (auto* engine : {&named, &numbered, &ipv6}) {
        REQUIRE(engine->handshake() == tls::progress::want_input);
        const auto h = read_hello(engine->output());
        CHECK(has(h, server_name) == (engine == &named));
        CHECK_FALSE(has(h, alpn));
        CHECK_FALSE(h.compression);
        CHECK(h.newest == (has_tls_1_3<E> ? 0x304 : 0x303));
    }
    CHECK(named.output().find("mail.example.com.") == std::string_view::npos);
}

TEST_CASE_TEMPLATE("attack 21: the same verification stands behind both ways to start", E, ENGINES) {
    for (const auto how : {security::starttls, security::implicit, security::insecure_none}) {
        pair<E> p(client_context<E>(), server_context<E>(testing::self_signed({.names = {"mail.example.com"}})),
                  {.name = "mail.example.com", .security = how});
        CHECK_FALSE(p.shake());
        CHECK(p.client.error() == errc::tls_certificate);
    }
}

TEST_CASE_TEMPLATE("attack 67: a session ticket is no plaintext", S, SIDES) {
    pair<typename S::client, typename S::server> p(client_context<typename S::client>(),
                                                   server_context<typename S::server>(mail_example()));
    REQUIRE(p.shake());
    static_cast<void>(p.server.write(""));
    carry(p.server, p.client, std::string::npos, [] {});
    tls::read_result last;
    CHECK(read_all(p.client, &last).empty());
    CHECK(last.state == tls::read_state::want_input);
    CHECK(p.talk());
}

#ifdef TLS_TEST_OPENSSL
namespace {

/// A server over bare OpenSSL, to do what engines do not.
struct bare_server {
    bare_server(int newest, const testing::server_identity& id) : context(SSL_CTX_new(TLS_server_method())) {
        SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
        SSL_CTX_set_max_proto_version(context, newest);
        SSL_CTX_set_security_level(context, 0);
        SSL_CTX_set_cipher_list(context, "ALL:@SECLEVEL=0");
        const tls::detail::openssl_ptr<X509> certificate(
            PEM_read_bio_X509(tls::detail::reader_of(id.certificate_pem).get(), nullptr, nullptr, nullptr));
        const tls::detail::openssl_ptr<EVP_PKEY> key(
            PEM_read_bio_PrivateKey(tls::detail::reader_of(id.key_pem).get(), nullptr, nullptr, nullptr));
        SSL_CTX_use_certificate(context, certificate.get());
        SSL_CTX_use_PrivateKey(context, key.get());
        ssl = SSL_new(context);
        in = BIO_new(BIO_s_mem());
        out = BIO_new(BIO_s_mem());
        SSL_set_bio(ssl, in, out);
        SSL_set_accept_state(ssl);
    }
    bare_server(const bare_server&) = delete;
    bare_server& operator=(const bare_server&) = delete;
    ~bare_server() {
        SSL_free(ssl);
        SSL_CTX_free(context);
    }

    template <class E>
    void exchange(E& client) {
        for (int i = 0; i < 10; ++i) {
            const auto octets = client.output();
            if (!octets.empty()) BIO_write(in, octets.data(), static_cast<int>(octets.size()));
            client.consumed(octets.size());
            SSL_do_handshake(ssl);
            char text[100];
            SSL_read(ssl, text, sizeof text);
            ERR_clear_error();
            std::string back(BIO_ctrl_pending(out), '\0');
            if (!back.empty()) BIO_read(out, back.data(), static_cast<int>(back.size()));
            client.received(back);
            if (client.handshake() == tls::progress::done) static_cast<void>(read_all(client));
        }
    }

    SSL_CTX* context;
    SSL* ssl = nullptr;
    BIO *in = nullptr, *out = nullptr;
};

}  // namespace

TEST_CASE_TEMPLATE("attack 23: a client does not renegotiate", E, ENGINES) {
    bare_server server(TLS1_2_VERSION, mail_example());
    E client(client_context<E>(), {.name = "mail.example.com"});
    static_cast<void>(client.handshake());
    server.exchange(client);
    REQUIRE(client.handshake() == tls::progress::done);
    REQUIRE(SSL_is_init_finished(server.ssl) == 1);
    REQUIRE(SSL_renegotiate(server.ssl) == 1);
    server.exchange(client);
    REQUIRE(SSL_num_renegotiations(server.ssl) == 1);
    CHECK(SSL_CTX_sess_accept_good(server.context) == 1);
}

TEST_CASE_TEMPLATE("attack 23: no version before TLS 1.2 is spoken", E, ENGINES) {
    for (const int newest : {TLS1_VERSION, TLS1_1_VERSION}) {
        bare_server server(newest, mail_example());
        E client(client_context<E>({.verify = tls::verification::insecure_none}), {.name = "mail.example.com"});
        static_cast<void>(client.handshake());
        server.exchange(client);
        CHECK(client.error() == errc::tls_handshake);
        CHECK(SSL_is_init_finished(server.ssl) == 0);
    }
}

TEST_CASE_TEMPLATE("attack 22: a certificate that is for clients only names no server", E, ENGINES) {
    const auto id = ca().issue({.names = {"mail.example.com"}, .usage = testing::certificate_usage::client});
    pair<E, tls::openssl_engine> p(client_context<E>(), server_context<tls::openssl_engine>(id));
    CHECK_FALSE(p.shake());
    CHECK(p.client.error() == errc::tls_certificate);
    CHECK(p.client.explanation() == "certificate of mail.example.com is not meant for servers (its key usage says so)");
    pair<E, tls::openssl_engine> lenient(client_context<E>(), server_context<tls::openssl_engine>(id),
                                         {.name = "mail.example.com", .security = security::opportunistic});
    REQUIRE(lenient.shake());
    CHECK(lenient.talk());
    CHECK(lenient.client.facts().doubt == "is not meant for servers (its key usage says so)");
    CHECK_FALSE(lenient.client.facts().verified);
}
#endif
