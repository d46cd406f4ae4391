#pragma once

#include <postroad/tls/detail/material.hpp>
#include <postroad/tls/impl/mbedtls_certificate.ipp>
#include <postroad/tls/mbedtls_engine.hpp>
#include <postroad/tls/sessions.hpp>

#include <memory>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crl.h>
#if MBEDTLS_VERSION_MAJOR >= 3
#include <psa/crypto.h>
#endif

namespace postroad::tls {
namespace detail {

// Mbed-TLS/mbedtls pull request 10672: these take a TLS 1.2 server's RSA-PSS signature for a wrong one.
inline constexpr bool has_pss_bug = MBEDTLS_VERSION_NUMBER >= 0x03060000 && MBEDTLS_VERSION_NUMBER < 0x03060700;

#if MBEDTLS_VERSION_MAJOR >= 3 && defined(MBEDTLS_SSL_PROTO_TLS1_3)
inline constexpr bool mbedtls_has_tls_1_3 = true;
#else
inline constexpr bool mbedtls_has_tls_1_3 = false;
#endif

}  // namespace detail

struct mbedtls_context::parts {
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    std::mutex random_lock;  // mbedTLS may be built without threads of its own
    mbedtls_ssl_config config;
    mbedtls_ssl_config lenient;  // looks at certificates and goes on
    mbedtls_x509_crt cas, own;
    mbedtls_x509_crl crls;
    mbedtls_pk_context key;
    mbedtls_ssl_ticket_context tickets;
    bool client = true;
    verification verify = verification::full;
    resumption resume = resumption::allowed;
    std::string server_name;
    std::vector<std::string> pins;
    session_store sessions;
    std::size_t trusted = 0, skipped = 0;

    explicit parts(bool for_client) : client(for_client) {
        mbedtls_entropy_init(&entropy);
        mbedtls_ctr_drbg_init(&random);
        mbedtls_ssl_config_init(&config);
        mbedtls_ssl_config_init(&lenient);
        mbedtls_x509_crt_init(&cas);
        mbedtls_x509_crt_init(&own);
        mbedtls_x509_crl_init(&crls);
        mbedtls_pk_init(&key);
        mbedtls_ssl_ticket_init(&tickets);
    }
    parts(const parts&) = delete;
    parts& operator=(const parts&) = delete;
    ~parts() {
        mbedtls_ssl_ticket_free(&tickets);
        mbedtls_pk_free(&key);
        mbedtls_x509_crl_free(&crls);
        mbedtls_x509_crt_free(&own);
        mbedtls_x509_crt_free(&cas);
        mbedtls_ssl_config_free(&lenient);
        mbedtls_ssl_config_free(&config);
        mbedtls_ctr_drbg_free(&random);
        mbedtls_entropy_free(&entropy);
    }

    static int draw(void* self, unsigned char* to, std::size_t size) {
        auto& p = *static_cast<parts*>(self);
        const std::lock_guard lock(p.random_lock);
        return mbedtls_ctr_drbg_random(&p.random, to, size);
    }

    void seed() {
#if MBEDTLS_VERSION_MAJOR >= 3
        static const auto ready = psa_crypto_init();
        if (ready != PSA_SUCCESS) throw error(errc::tls_configuration, "psa_crypto_init failed");
#endif
        detail::require_tls(mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, nullptr, 0),
                            "no random numbers for TLS");
    }

    void configure(mbedtls_ssl_config& c, protocol oldest, protocol newest) {
        detail::require_tls(mbedtls_ssl_config_defaults(&c, client ? MBEDTLS_SSL_IS_CLIENT : MBEDTLS_SSL_IS_SERVER,
                                                        MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT),
                            "TLS cannot be configured");
        mbedtls_ssl_conf_rng(&c, &draw, this);
#if defined(MBEDTLS_SSL_RENEGOTIATION)
        mbedtls_ssl_conf_renegotiation(&c, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
#endif
#if MBEDTLS_VERSION_MAJOR >= 3
        mbedtls_ssl_conf_min_tls_version(
            &c, oldest == protocol::tls_1_3 ? MBEDTLS_SSL_VERSION_TLS1_3 : MBEDTLS_SSL_VERSION_TLS1_2);
        if (newest == protocol::tls_1_2) mbedtls_ssl_conf_max_tls_version(&c, MBEDTLS_SSL_VERSION_TLS1_2);
        // A server that follows the client's order then never signs with PSS in TLS 1.2; TLS 1.3 still does.
        static constexpr std::uint16_t pss_last[] = {
            MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256, MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
            MBEDTLS_TLS1_3_SIG_ECDSA_SECP521R1_SHA512, MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,
            MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,       MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,
            MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384,
            MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA512,    MBEDTLS_TLS1_3_SIG_NONE,
        };
        if (client && detail::has_pss_bug) mbedtls_ssl_conf_sig_algs(&c, pss_last);
#else
        static_cast<void>(oldest);
        static_cast<void>(newest);
        mbedtls_ssl_conf_min_version(&c, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
#endif
        if (client) {
            mbedtls_ssl_conf_session_tickets(&c, resume == resumption::allowed ? MBEDTLS_SSL_SESSION_TICKETS_ENABLED
                                                                               : MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
#ifdef MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED
            if (resume == resumption::allowed)
                mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(
                    &c, MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
#endif
        }
    }

    // No key that can be computed, and none that a stolen certificate gives away afterwards.
    static void refuse_weak(mbedtls_ssl_config& c) {
        static const auto suites = strong_suites();
        mbedtls_ssl_conf_ciphersuites(&c, suites.data());
#ifdef MBEDTLS_DHM_C
        mbedtls_ssl_conf_dhm_min_bitlen(&c, 2048);
#endif
#if MBEDTLS_VERSION_MAJOR >= 3
        static constexpr std::uint16_t groups[] = {
            MBEDTLS_SSL_IANA_TLS_GROUP_X25519,    MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
            MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, MBEDTLS_SSL_IANA_TLS_GROUP_X448,
            MBEDTLS_SSL_IANA_TLS_GROUP_SECP521R1, MBEDTLS_SSL_IANA_TLS_GROUP_BP256R1,
            MBEDTLS_SSL_IANA_TLS_GROUP_BP384R1,   MBEDTLS_SSL_IANA_TLS_GROUP_BP512R1,
            MBEDTLS_SSL_IANA_TLS_GROUP_NONE,
        };
        mbedtls_ssl_conf_groups(&c, groups);
#else
        static constexpr mbedtls_ecp_group_id groups[] = {
            MBEDTLS_ECP_DP_CURVE25519, MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_SECP384R1, MBEDTLS_ECP_DP_SECP521R1,
            MBEDTLS_ECP_DP_BP256R1,    MBEDTLS_ECP_DP_BP384R1,   MBEDTLS_ECP_DP_BP512R1,   MBEDTLS_ECP_DP_NONE,
        };
        mbedtls_ssl_conf_curves(&c, groups);
#endif
    }

    // In the order of mbedTLS, ended by 0.
    static std::vector<int> strong_suites() {
        std::vector<int> all;
        for (const int* id = mbedtls_ssl_list_ciphersuites(); *id != 0; ++id) {
            const std::string_view name = mbedtls_ssl_get_ciphersuite_name(*id);
            const auto has = [&](std::string_view part) { return name.find(part) != std::string_view::npos; };
            const bool forward = has("TLS1-3-") || has("-ECDHE-ECDSA-") || has("-ECDHE-RSA-") || has("-DHE-RSA-");
            if (forward && (has("-AES-") || has("-CHACHA20-")) && !has("CCM-8")) all.push_back(*id);
        }
        all.push_back(0);
        return all;
    }

    void configure_client(const settings& options) {
        verify = options.verify;
        resume = options.resume;
        server_name = plain_host(options.server_name);
        pins = options.pins;
        configure(config, options.oldest, options.newest);
        configure(lenient, options.oldest, options.newest);
        refuse_weak(config);  // where it is that or the clear, weak is better (RFC 7435)
        if (const auto id = detail::find_identity(options); !id.empty()) {
            take_identity(id.certificate, id.key.reveal(), options.key_passphrase.reveal(), id.certificate_from,
                          id.key_from);
            for (auto* c : {&config, &lenient})
                detail::require_tls(mbedtls_ssl_conf_own_cert(c, &own, &key), "our certificate and key");
        }
        mbedtls_ssl_conf_authmode(&lenient, MBEDTLS_SSL_VERIFY_OPTIONAL);
        if (verify == verification::insecure_none) {
            mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_NONE);
            mbedtls_ssl_conf_authmode(&lenient, MBEDTLS_SSL_VERIFY_NONE);
            return;
        }
        const auto source = detail::find_cas(options);
        trust(source);
        const auto lists = detail::find_crls(options);
        if (!lists.text.empty()) revoke(lists);
        for (auto* c : {&config, &lenient}) mbedtls_ssl_conf_ca_chain(c, &cas, lists.text.empty() ? nullptr : &crls);
        mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_REQUIRED);
    }

    void configure_server(const server_settings& options) {
        resume = options.resume;
        configure(config, protocol::tls_1_2, options.newest);
        take_identity(options.certificate_pem, options.key_pem, {}, "the server", "the server");
        detail::require_tls(mbedtls_ssl_conf_own_cert(&config, &own, &key), "the server's certificate and key");
        if (resume == resumption::allowed) {
            static constexpr std::uint32_t lifetime = 24 * 60 * 60;
            detail::require_tls(mbedtls_ssl_ticket_setup(&tickets, &draw, this, MBEDTLS_CIPHER_AES_256_GCM, lifetime),
                                "no keys for session tickets");
            mbedtls_ssl_conf_session_tickets_cb(&config, mbedtls_ssl_ticket_write, mbedtls_ssl_ticket_parse, &tickets);
        }
        if (options.client_ca_pem.empty()) return;
        trust({options.client_ca_pem, "client_ca_pem"});
        mbedtls_ssl_conf_ca_chain(&config, &cas, nullptr);
        mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_REQUIRED);
    }

    void trust(const detail::pem_source& source) {
        const detail::bundle found(source.text, [this](const std::string& one) {
            return mbedtls_x509_crt_parse(&cas, reinterpret_cast<const unsigned char*>(one.c_str()), one.size() + 1) ==
                       0 ||
                   take_constrained(one);
        });
        trusted = found.trusted;
        skipped = found.skipped;
        detail::require_cas(found, source.where);
    }

    void revoke(const detail::pem_source& lists) {
        detail::load_crls(lists, [this](const std::string& one) {
            return mbedtls_x509_crl_parse(&crls, reinterpret_cast<const unsigned char*>(one.c_str()), one.size() + 1) ==
                   0;
        });
    }

    // mbedTLS knows no critical name constraints; the engine sees to them.
    bool take_constrained(const std::string& pem) {
        std::string der;
        if (!base64_decode(detail::pem_content(pem), der)) return false;
        const auto allow = [](void*, const mbedtls_x509_crt*, const mbedtls_x509_buf* oid, int, const unsigned char*,
                              const unsigned char*) {
            return detail::text_of(*oid) == detail::oid_name_constraints ? 0 : MBEDTLS_ERR_X509_UNKNOWN_OID;
        };
        return mbedtls_x509_crt_parse_der_with_ext_cb(&cas, reinterpret_cast<const unsigned char*>(der.data()),
                                                      der.size(), 1, +allow, nullptr) == 0;
    }

    // `pem` must be followed by a NUL, which mbedTLS counts.
    void take_identity(const std::string& certificate, std::string_view key_pem, std::string_view passphrase,
                       const std::string& certificate_from, const std::string& key_from) {
        const auto octets = [](std::string_view s) { return reinterpret_cast<const unsigned char*>(s.data()); };
        detail::require_tls(mbedtls_x509_crt_parse(&own, octets(certificate), certificate.size() + 1),
                            "the certificate of " + certificate_from + " cannot be read");
#if MBEDTLS_VERSION_MAJOR >= 3
        const int rc =
            mbedtls_pk_parse_key(&key, octets(key_pem), key_pem.size() + 1,
                                 passphrase.empty() ? nullptr : octets(passphrase), passphrase.size(), &draw, this);
#else
        const int rc = mbedtls_pk_parse_key(&key, octets(key_pem), key_pem.size() + 1,
                                            passphrase.empty() ? nullptr : octets(passphrase), passphrase.size());
#endif
        // With a wrong one of an old form, one in some hundred decrypts to what looks whole and is no key.
        const bool guessed = rc != 0 && !passphrase.empty() && key_pem.find("ENCRYPTED") != std::string_view::npos;
        if (guessed || rc == MBEDTLS_ERR_PK_PASSWORD_MISMATCH || rc == MBEDTLS_ERR_PEM_PASSWORD_MISMATCH)
            throw error(errc::tls_configuration, "key_passphrase is not that of the key of " + key_from);
        detail::require_tls(rc, "the key of " + key_from + " cannot be read");
#if MBEDTLS_VERSION_MAJOR >= 3
        const int pair = mbedtls_pk_check_pair(&own.pk, &key, &draw, this);
#else
        const int pair = mbedtls_pk_check_pair(&own.pk, &key);
#endif
        if (pair != 0)
            throw error(errc::tls_configuration,
                        "the key of " + key_from + " does not belong to the certificate of " + certificate_from);
    }
};

POSTROAD_DECL mbedtls_context::mbedtls_context(std::unique_ptr<parts> p) : parts_(std::move(p)) {}
POSTROAD_DECL mbedtls_context::~mbedtls_context() = default;

POSTROAD_DECL mbedtls_context::mbedtls_context(const settings& options) : parts_(std::make_unique<parts>(true)) {
    detail::check_settings(options, detail::mbedtls_has_tls_1_3, "mbedTLS");
    parts_->seed();
    parts_->configure_client(options);
}

POSTROAD_DECL std::shared_ptr<const mbedtls_context> mbedtls_context::server(const server_settings& options) {
    auto p = std::make_unique<parts>(false);
    p->seed();
    p->configure_server(options);
    return std::shared_ptr<const mbedtls_context>(new mbedtls_context(std::move(p)));
}

POSTROAD_DECL std::size_t mbedtls_context::trusted() const noexcept { return parts_->trusted; }
POSTROAD_DECL std::size_t mbedtls_context::skipped() const noexcept { return parts_->skipped; }
POSTROAD_DECL std::size_t mbedtls_context::resumable() const { return parts_->sessions.size(); }

}  // namespace postroad::tls
