#pragma once

#include <postroad/tls/impl/mbedtls_certificate.ipp>
#include <postroad/tls/mbedtls_engine.hpp>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <utility>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/pk.h>
#include <mbedtls/version.h>
#if MBEDTLS_VERSION_MAJOR >= 3
#include <psa/crypto.h>
#endif

namespace postroad::tls {
namespace detail {

// Mbed-TLS/mbedtls pull request 10672: these take a TLS 1.2 server's RSA-PSS signature for a wrong one.
inline constexpr bool has_pss_bug = MBEDTLS_VERSION_NUMBER >= 0x03060000 && MBEDTLS_VERSION_NUMBER < 0x03060700;

inline bool read_file(const std::string& path, std::string& text) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
    if (!file) return false;
    char part[16384];
    while (const auto size = std::fread(part, 1, sizeof part, file.get())) text.append(part, size);
    return std::ferror(file.get()) == 0;
}

/// PEM text of the CAs and, for people, where it came from.
inline std::pair<std::string, std::string> find_cas(const settings& options) {
    if (!options.ca_file.empty() && !options.ca_pem.empty())
        throw error(errc::contradiction, "ca_file and ca_pem are both given; one of them names the CAs");
    if (!options.ca_pem.empty()) return {options.ca_pem, "ca_pem"};
    std::string text;
    const char* from_environment = std::getenv("SSL_CERT_FILE");
    const bool environment = options.ca_file.empty() && from_environment && *from_environment;
    const auto file = environment ? std::string(from_environment) : options.ca_file;
    if (!file.empty()) {
        const auto where = "\"" + file + "\"" + (environment ? " (SSL_CERT_FILE)" : "");
        if (!read_file(file, text)) throw error(errc::tls_configuration, "the CA file " + where + " cannot be read");
        return {std::move(text), where};
    }
    static constexpr const char* usual_places[] = {
        "/etc/ssl/certs/ca-certificates.crt",                 // Debian, Arch, Alpine
        "/etc/pki/tls/certs/ca-bundle.crt",                   // Fedora, RHEL
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // RHEL
        "/etc/ssl/ca-bundle.pem",                             // openSUSE
        "/etc/ssl/cert.pem",                                  // macOS, OpenBSD
        "/usr/local/share/certs/ca-root-nss.crt",             // FreeBSD
    };
    for (const char* place : usual_places)
        if (read_file(place, text)) return {std::move(text), place};
    throw error(errc::tls_configuration, "no CA certificates are at the usual places; give ca_file");
}

}  // namespace detail

struct mbedtls_context::parts {
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    std::mutex random_lock;  // mbedTLS may be built without threads of its own
    mbedtls_ssl_config config;
    mbedtls_x509_crt cas, own;
    mbedtls_pk_context key;
    bool client = true;
    verification verify = verification::full;
    std::string server_name;
    std::size_t trusted = 0, skipped = 0;

    explicit parts(bool for_client, protocol newest) : client(for_client) {
        mbedtls_entropy_init(&entropy);
        mbedtls_ctr_drbg_init(&random);
        mbedtls_ssl_config_init(&config);
        mbedtls_x509_crt_init(&cas);
        mbedtls_x509_crt_init(&own);
        mbedtls_pk_init(&key);
        try {
            configure(newest);
        } catch (...) {
            release();
            throw;
        }
    }
    parts(const parts&) = delete;
    parts& operator=(const parts&) = delete;
    ~parts() { release(); }

    void release() noexcept {
        mbedtls_pk_free(&key);
        mbedtls_x509_crt_free(&own);
        mbedtls_x509_crt_free(&cas);
        mbedtls_ssl_config_free(&config);
        mbedtls_ctr_drbg_free(&random);
        mbedtls_entropy_free(&entropy);
    }

    static int draw(void* self, unsigned char* to, std::size_t size) {
        auto& p = *static_cast<parts*>(self);
        const std::lock_guard lock(p.random_lock);
        return mbedtls_ctr_drbg_random(&p.random, to, size);
    }

    void configure(protocol newest) {
#if MBEDTLS_VERSION_MAJOR >= 3
        static const auto ready = psa_crypto_init();
        if (ready != PSA_SUCCESS) throw error(errc::tls_configuration, "psa_crypto_init failed");
#endif
        detail::require_tls(mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, nullptr, 0),
                            "no random numbers for TLS");
        detail::require_tls(mbedtls_ssl_config_defaults(&config, client ? MBEDTLS_SSL_IS_CLIENT : MBEDTLS_SSL_IS_SERVER,
                                                        MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT),
                            "TLS cannot be configured");
        mbedtls_ssl_conf_rng(&config, &draw, this);
#if MBEDTLS_VERSION_MAJOR >= 3
        mbedtls_ssl_conf_min_tls_version(&config, MBEDTLS_SSL_VERSION_TLS1_2);
        if (newest == protocol::tls_1_2) mbedtls_ssl_conf_max_tls_version(&config, MBEDTLS_SSL_VERSION_TLS1_2);
        // A server that follows the client's order then never signs with PSS in TLS 1.2; TLS 1.3 still does.
        static constexpr std::uint16_t pss_last[] = {
            MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256, MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
            MBEDTLS_TLS1_3_SIG_ECDSA_SECP521R1_SHA512, MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,
            MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,       MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,
            MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384,
            MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA512,    MBEDTLS_TLS1_3_SIG_NONE,
        };
        if (client && detail::has_pss_bug) mbedtls_ssl_conf_sig_algs(&config, pss_last);
#else
        static_cast<void>(newest);
        mbedtls_ssl_conf_min_version(&config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
#endif
    }

    // One by one: mbedTLS gives up the rest of a bundle at a certificate whose base64 is broken.
    void trust(std::string_view pem) {
        static constexpr std::string_view begin = "-----BEGIN CERTIFICATE-----", end = "-----END CERTIFICATE-----";
        for (auto from = pem.find(begin); from != pem.npos; from = pem.find(begin, from + begin.size())) {
            const auto to = pem.find(end, from);
            if (to == pem.npos) {
                ++skipped;
                return;
            }
            const std::string one(pem.substr(from, to + end.size() - from));
            const auto* octets = reinterpret_cast<const unsigned char*>(one.c_str());
            ++(mbedtls_x509_crt_parse(&cas, octets, one.size() + 1) == 0 ? trusted : skipped);
        }
    }
};

POSTROAD_DECL mbedtls_context::mbedtls_context(std::unique_ptr<parts> p) : parts_(std::move(p)) {}
POSTROAD_DECL mbedtls_context::~mbedtls_context() = default;

POSTROAD_DECL mbedtls_context::mbedtls_context(const settings& options)
    : parts_(std::make_unique<parts>(true, options.newest)) {
    parts_->server_name = options.server_name;
    parts_->verify = options.verify;
    if (options.verify == verification::insecure_none) {
        mbedtls_ssl_conf_authmode(&parts_->config, MBEDTLS_SSL_VERIFY_NONE);
        return;
    }
    const auto [pem, where] = detail::find_cas(options);
    parts_->trust(pem);
    if (parts_->trusted == 0)
        throw error(errc::tls_configuration, "no CA certificate could be loaded from " + where + " (" +
                                                 std::to_string(parts_->skipped) + " could not be read)");
    mbedtls_ssl_conf_ca_chain(&parts_->config, &parts_->cas, nullptr);
    mbedtls_ssl_conf_authmode(&parts_->config, MBEDTLS_SSL_VERIFY_REQUIRED);
}

POSTROAD_DECL std::shared_ptr<const mbedtls_context> mbedtls_context::server(const std::string& certificate_pem,
                                                                             const std::string& key_pem,
                                                                             protocol newest) {
    auto p = std::make_unique<parts>(false, newest);
    const auto octets = [](const std::string& s) { return reinterpret_cast<const unsigned char*>(s.c_str()); };
    detail::require_tls(mbedtls_x509_crt_parse(&p->own, octets(certificate_pem), certificate_pem.size() + 1),
                        "the server's certificate cannot be read");
#if MBEDTLS_VERSION_MAJOR >= 3
    const int rc =
        mbedtls_pk_parse_key(&p->key, octets(key_pem), key_pem.size() + 1, nullptr, 0, &parts::draw, p.get());
#else
    const int rc = mbedtls_pk_parse_key(&p->key, octets(key_pem), key_pem.size() + 1, nullptr, 0);
#endif
    detail::require_tls(rc, "the server's key cannot be read");
    detail::require_tls(mbedtls_ssl_conf_own_cert(&p->config, &p->own, &p->key), "the server's certificate and key");
    return std::shared_ptr<const mbedtls_context>(new mbedtls_context(std::move(p)));
}

POSTROAD_DECL std::size_t mbedtls_context::trusted() const noexcept { return parts_->trusted; }
POSTROAD_DECL std::size_t mbedtls_context::skipped() const noexcept { return parts_->skipped; }

}  // namespace postroad::tls
