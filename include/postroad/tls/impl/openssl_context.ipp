#pragma once

#include <postroad/tls/detail/material.hpp>
#include <postroad/tls/impl/openssl_certificate.ipp>
#include <postroad/tls/openssl_engine.hpp>
#include <postroad/tls/sessions.hpp>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include <openssl/pem.h>

namespace postroad::tls {

struct openssl_context::parts {
    SSL_CTX* context = nullptr;
    bool client = true;
    verification verify = verification::full;
    resumption resume = resumption::allowed;
    std::string server_name;
    std::vector<std::string> pins;
    session_store sessions;
    std::size_t trusted = 0, skipped = 0;

    explicit parts(bool for_client)
        : context(SSL_CTX_new(for_client ? TLS_client_method() : TLS_server_method())), client(for_client) {
        detail::require_openssl(context != nullptr, "TLS cannot be configured");
    }
    parts(const parts&) = delete;
    parts& operator=(const parts&) = delete;
    ~parts() { SSL_CTX_free(context); }

    void configure(protocol oldest, protocol newest) {
        const auto number = [](protocol p) { return p == protocol::tls_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION; };
        detail::require_openssl(SSL_CTX_set_min_proto_version(context, number(oldest)) == 1 &&
                                    SSL_CTX_set_max_proto_version(context, number(newest)) == 1,
                                "TLS cannot be configured");
        SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
        SSL_CTX_set_mode(
            context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
        if (resume == resumption::never) {
            SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
            SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
            SSL_CTX_set_num_tickets(context, 0);
        }
    }

    void configure_client(const settings& options) {
        verify = options.verify;
        resume = options.resume;
        server_name = plain_host(options.server_name);
        pins = options.pins;
        configure(options.oldest, options.newest);
        if (resume == resumption::allowed)
            SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(context, &openssl_engine::session_made);
        SSL_CTX_set_cert_verify_callback(context, &openssl_engine::verify, nullptr);
        if (const auto id = detail::find_identity(options); !id.empty()) take_identity(id, options.key_passphrase);
        SSL_CTX_set_verify(context, verify == verification::full ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
        if (verify != verification::full) return;
        trust(detail::find_cas(options));
        if (const auto lists = detail::find_crls(options); !lists.text.empty()) revoke(lists);
        SSL_CTX_set_tlsext_status_cb(context, &openssl_engine::status_came);
    }

    void configure_server(const server_settings& options) {
        resume = options.resume;
        configure(protocol::tls_1_2, options.newest);
        take_identity({.certificate = options.certificate_pem,
                       .key = secret(options.key_pem),
                       .certificate_from = "the server",
                       .key_from = "the server"},
                      {});
        static constexpr unsigned char id[] = "postroad";
        SSL_CTX_set_session_id_context(context, id, sizeof id - 1);
        if (options.client_ca_pem.empty()) return;
        trust({options.client_ca_pem, "client_ca_pem"});
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    }

    void trust(const detail::pem_source& source) {
        auto* store = SSL_CTX_get_cert_store(context);
        // What the user trusts is trusted, be it a CA below another one or a server's own certificate.
        X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
        const detail::bundle found(source.text, [&](const std::string& one) {
            const detail::openssl_ptr<X509> certificate(
                PEM_read_bio_X509(detail::reader_of(one).get(), nullptr, nullptr, nullptr));
            return certificate && X509_STORE_add_cert(store, certificate.get()) == 1;
        });
        ERR_clear_error();
        trusted = found.trusted;
        skipped = found.skipped;
        detail::require_cas(found, source.where);
    }

    void revoke(const detail::pem_source& lists) {
        auto* store = SSL_CTX_get_cert_store(context);
        detail::load_crls(lists, [&](const std::string& one) {
            const detail::openssl_ptr<X509_CRL> list(
                PEM_read_bio_X509_CRL(detail::reader_of(one).get(), nullptr, nullptr, nullptr));
            return list && X509_STORE_add_crl(store, list.get()) == 1;
        });
        // Not of the store: it verifies who signs answers of OCSP, too.
        X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    }

    static int give_passphrase(char* to, int size, int, void* passphrase) {
        const auto text = static_cast<const secret*>(passphrase)->reveal();
        if (text.size() > static_cast<std::size_t>(size)) return -1;
        std::memcpy(to, text.data(), text.size());
        return static_cast<int>(text.size());
    }

    void take_identity(const detail::identity& id, const secret& passphrase) {
        const auto chain = detail::reader_of(id.certificate);
        const detail::openssl_ptr<X509> own(PEM_read_bio_X509_AUX(chain.get(), nullptr, nullptr, nullptr));
        detail::require_openssl(own && SSL_CTX_use_certificate(context, own.get()) == 1,
                                "the certificate of " + id.certificate_from + " cannot be read");
        while (detail::openssl_ptr<X509> next{PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr)})
            SSL_CTX_add1_chain_cert(context, next.get());
        ERR_clear_error();

        const detail::openssl_ptr<EVP_PKEY> key(PEM_read_bio_PrivateKey(
            detail::reader_of(id.key.reveal()).get(), nullptr, &give_passphrase, const_cast<secret*>(&passphrase)));
        if (!key && id.key_is_encrypted()) {
            ERR_clear_error();
            throw error(errc::tls_configuration, "key_passphrase is not that of the key of " + id.key_from);
        }
        detail::require_openssl(key != nullptr, "the key of " + id.key_from + " cannot be read");
        if (X509_check_private_key(own.get(), key.get()) != 1) {
            ERR_clear_error();
            throw error(errc::tls_configuration,
                        "the key of " + id.key_from + " does not belong to the certificate of " + id.certificate_from);
        }
        detail::require_openssl(SSL_CTX_use_PrivateKey(context, key.get()) == 1,
                                "the key of " + id.key_from + " cannot be used");
    }
};

inline openssl_context::openssl_context(std::unique_ptr<parts> p) : parts_(std::move(p)) {}
inline openssl_context::~openssl_context() = default;

inline openssl_context::openssl_context(const settings& options) : parts_(std::make_unique<parts>(true)) {
    detail::check_settings(options, true, "OpenSSL");
    parts_->configure_client(options);
}

inline std::shared_ptr<const openssl_context> openssl_context::server(const server_settings& options) {
    auto p = std::make_unique<parts>(false);
    p->configure_server(options);
    return std::shared_ptr<const openssl_context>(new openssl_context(std::move(p)));
}

inline std::size_t openssl_context::trusted() const noexcept { return parts_->trusted; }
inline std::size_t openssl_context::skipped() const noexcept { return parts_->skipped; }
inline std::size_t openssl_context::resumable() const { return parts_->sessions.size(); }

}  // namespace postroad::tls
