#pragma once

#include <postroad/core/error.hpp>
#include <postroad/testing/certificates.hpp>
#include <postroad/tls/impl/mbedtls_certificate.ipp>
#include <postroad/tls/names.hpp>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/ecp.h>
#include <mbedtls/entropy.h>
#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#if MBEDTLS_VERSION_MAJOR >= 3
#include <psa/crypto.h>
#endif

namespace postroad::testing {
namespace detail {

using tls::detail::require_tls;

/// Owns what mbedTLS wants initialised and freed.
struct certificate_maker {
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    mbedtls_pk_context key, issuer_key;
    mbedtls_x509_crt issuer;
    mbedtls_x509write_cert draft;

    certificate_maker() {
        mbedtls_entropy_init(&entropy);
        mbedtls_ctr_drbg_init(&random);
        mbedtls_pk_init(&key);
        mbedtls_pk_init(&issuer_key);
        mbedtls_x509_crt_init(&issuer);
        mbedtls_x509write_crt_init(&draft);
    }
    certificate_maker(const certificate_maker&) = delete;
    certificate_maker& operator=(const certificate_maker&) = delete;
    ~certificate_maker() {
        mbedtls_x509write_crt_free(&draft);
        mbedtls_x509_crt_free(&issuer);
        mbedtls_pk_free(&issuer_key);
        mbedtls_pk_free(&key);
        mbedtls_ctr_drbg_free(&random);
        mbedtls_entropy_free(&entropy);
    }

    void make_key() {
#if MBEDTLS_VERSION_MAJOR >= 3
        if (psa_crypto_init() != PSA_SUCCESS) throw error(errc::tls_configuration, "psa_crypto_init failed");
#endif
        require_tls(mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, nullptr, 0), "no random numbers");
        require_tls(mbedtls_pk_setup(&key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)), "no key");
        require_tls(mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(key), mbedtls_ctr_drbg_random, &random),
                    "no key");
    }

    void set_serial() {
        unsigned char serial[8];
        require_tls(mbedtls_ctr_drbg_random(&random, serial, sizeof serial), "no serial number");
        serial[0] = static_cast<unsigned char>((serial[0] & 0x3f) | 0x40);
#if MBEDTLS_VERSION_NUMBER >= 0x03040000
        require_tls(mbedtls_x509write_crt_set_serial_raw(&draft, serial, sizeof serial), "no serial number");
#else
        mbedtls_mpi number;
        mbedtls_mpi_init(&number);
        int rc = mbedtls_mpi_read_binary(&number, serial, sizeof serial);
        if (rc == 0) rc = mbedtls_x509write_crt_set_serial(&draft, &number);
        mbedtls_mpi_free(&number);
        require_tls(rc, "no serial number");
#endif
    }

    void add_extension(std::string_view oid, const std::string& value) {
        require_tls(
            mbedtls_x509write_crt_set_extension(&draft, oid.data(), oid.size(), 0,
                                                reinterpret_cast<const unsigned char*>(value.data()), value.size()),
            "an extension");
    }

    void take_issuer(const authority& from) {
        const auto octets = [](const std::string& s) { return reinterpret_cast<const unsigned char*>(s.c_str()); };
        require_tls(mbedtls_x509_crt_parse(&issuer, octets(from.ca_pem), from.ca_pem.size() + 1), "the CA");
#if MBEDTLS_VERSION_MAJOR >= 3
        require_tls(mbedtls_pk_parse_key(&issuer_key, octets(from.key_pem), from.key_pem.size() + 1, nullptr, 0,
                                         mbedtls_ctr_drbg_random, &random),
                    "the CA's key");
#else
        require_tls(mbedtls_pk_parse_key(&issuer_key, octets(from.key_pem), from.key_pem.size() + 1, nullptr, 0),
                    "the CA's key");
#endif
    }
};

inline std::string der(int tag, const std::string& value) {
    std::string result(1, static_cast<char>(tag));
    const auto size = value.size();
    if (size >= 256)
        result += '\x82', result += static_cast<char>(size >> 8);
    else if (size >= 128)
        result += '\x81';
    return result + static_cast<char>(size & 255) + value;
}

inline std::string alternative_names(const certificate_options& options) {
    std::string list;
    for (const auto& name : options.names) list += der(0x82, name);
    for (const auto& literal : options.addresses) {
        const auto octets = tls::address_octets(literal);
        if (octets.empty()) throw error(errc::invalid_option, "\"" + escaped(literal) + "\" is not an address literal");
        list += der(0x87, octets);
    }
    return list.empty() ? list : der(0x30, list);
}

/// NameConstraints (RFC 5280 section 4.2.1.10) with permitted dNSNames.
inline std::string name_constraints(const std::vector<std::string>& permitted) {
    std::string subtrees;
    for (const auto& name : permitted) subtrees += der(0x30, der(0x82, name));
    return der(0x30, der(0xa0, subtrees));
}

/// ExtKeyUsageSyntax (RFC 5280 section 4.2.1.12).
inline std::string extended_usage(const std::vector<certificate_usage>& usages) {
    std::string list;
    for (const auto u : usages)
        list += der(0x06, u == certificate_usage::server ? MBEDTLS_OID_SERVER_AUTH : MBEDTLS_OID_CLIENT_AUTH);
    return der(0x30, list);
}

/// A CA when `permitted` is given, without constraints when that is empty; `usages` are those of a CA.
inline server_identity make_certificate(const certificate_options& options, const authority* issuer,
                                        const std::vector<std::string>* permitted,
                                        const std::vector<certificate_usage>& usages = {}) {
    static constexpr std::string_view usage_oid(MBEDTLS_OID_EXTENDED_KEY_USAGE,
                                                MBEDTLS_OID_SIZE(MBEDTLS_OID_EXTENDED_KEY_USAGE));
    const bool is_ca = permitted != nullptr;
    certificate_maker m;
    m.make_key();
    const auto subject = "CN=" + options.common_name;
    std::string issued_by = subject;
    if (issuer) {
        m.take_issuer(*issuer);
        char text[1024] = "";
        if (mbedtls_x509_dn_gets(text, sizeof text, &m.issuer.subject) > 0) issued_by = text;
    }
    mbedtls_x509write_crt_set_version(&m.draft, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&m.draft, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&m.draft, &m.key);
    mbedtls_x509write_crt_set_issuer_key(&m.draft, issuer ? &m.issuer_key : &m.key);
    m.set_serial();
    require_tls(mbedtls_x509write_crt_set_subject_name(&m.draft, subject.c_str()), "the subject");
    require_tls(mbedtls_x509write_crt_set_issuer_name(&m.draft, issued_by.c_str()), "the issuer");
    require_tls(mbedtls_x509write_crt_set_validity(&m.draft, options.not_before.c_str(), options.not_after.c_str()),
                "the dates");
    require_tls(mbedtls_x509write_crt_set_basic_constraints(&m.draft, is_ca ? 1 : 0, -1), "the constraints");
    // Python 3.13 and others that are strict want them (RFC 5280 sections 4.2.1.1 and 4.2.1.2).
    require_tls(mbedtls_x509write_crt_set_subject_key_identifier(&m.draft), "the identifier of the key");
    require_tls(mbedtls_x509write_crt_set_authority_key_identifier(&m.draft), "the identifier of the issuer's key");
    if (is_ca) {
        require_tls(mbedtls_x509write_crt_set_key_usage(&m.draft, MBEDTLS_X509_KU_KEY_CERT_SIGN), "the key usage");
        static constexpr std::string_view constraints_oid = tls::detail::oid_name_constraints;
        if (!permitted->empty()) m.add_extension(constraints_oid, name_constraints(*permitted));
        if (!usages.empty()) m.add_extension(usage_oid, extended_usage(usages));
    } else {
        static constexpr std::string_view names_oid(MBEDTLS_OID_SUBJECT_ALT_NAME,
                                                    MBEDTLS_OID_SIZE(MBEDTLS_OID_SUBJECT_ALT_NAME));
        m.add_extension(usage_oid, extended_usage({options.usage}));
        if (const auto names = alternative_names(options); !names.empty()) m.add_extension(names_oid, names);
    }
    unsigned char pem[8192];
    server_identity result;
    require_tls(mbedtls_x509write_crt_pem(&m.draft, pem, sizeof pem, mbedtls_ctr_drbg_random, &m.random), "the PEM");
    result.certificate_pem = reinterpret_cast<const char*>(pem);
    require_tls(mbedtls_pk_write_key_pem(&m.key, pem, sizeof pem), "the key's PEM");
    result.key_pem = reinterpret_cast<const char*>(pem);
    return result;
}

}  // namespace detail

POSTROAD_DECL authority authority::create(const std::string& common_name,
                                          const std::vector<certificate_usage>& usages) {
    const std::vector<std::string> all;
    auto made = detail::make_certificate({.common_name = common_name}, nullptr, &all, usages);
    return {.ca_pem = std::move(made.certificate_pem), .key_pem = std::move(made.key_pem)};
}

POSTROAD_DECL authority authority::intermediate(const std::string& common_name,
                                                const std::vector<std::string>& permitted,
                                                const std::vector<certificate_usage>& usages) const {
    auto made = detail::make_certificate({.common_name = common_name}, this, &permitted, usages);
    return {.ca_pem = std::move(made.certificate_pem), .key_pem = std::move(made.key_pem)};
}

POSTROAD_DECL server_identity authority::issue(const certificate_options& options) const {
    return detail::make_certificate(options, this, nullptr);
}

POSTROAD_DECL server_identity self_signed(const certificate_options& options) {
    return detail::make_certificate(options, nullptr, nullptr);
}

}  // namespace postroad::testing
