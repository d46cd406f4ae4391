#pragma once
// What mbedTLS says of certificates and errors, in words.

#include <postroad/core/base64.hpp>
#include <postroad/core/error.hpp>
#include <postroad/tls/detail/der.hpp>
#include <postroad/tls/detail/material.hpp>
#include <postroad/tls/names.hpp>

#include <chrono>
#include <cstdio>
#include <string>

#include <mbedtls/error.h>
#include <mbedtls/md.h>
#include <mbedtls/oid.h>
#include <mbedtls/x509_crt.h>

namespace postroad::tls::detail {

inline std::string mbedtls_text(int rc) {
    char text[160] = "";
    mbedtls_strerror(rc, text, sizeof text);
    char code[16];
    std::snprintf(code, sizeof code, " (-0x%04x)", static_cast<unsigned>(-rc));
    return std::string(text) + code;
}

inline void require_tls(int rc, const std::string& what) {
    if (rc != 0) throw error(errc::tls_configuration, what + ": " + mbedtls_text(rc));
}

// The high-level codes of X.509 and PEM; a low-level one may be added in the low seven bits.
inline bool is_x509_error(int rc) noexcept { return -rc >= 0x2080 && -rc <= 0x307f; }

inline std::string name_text(const mbedtls_x509_name& name) {
    char text[1024] = "";
    return mbedtls_x509_dn_gets(text, sizeof text, &name) < 0 ? "(a name too long to show)" : escaped(text);
}

inline std::string date_text(const mbedtls_x509_time& t) {
    char text[40];
    std::snprintf(text, sizeof text, "%04d-%02d-%02d", t.year, t.mon, t.day);
    return text;
}

inline std::chrono::sys_seconds to_seconds(const mbedtls_x509_time& t) {
    using namespace std::chrono;
    return sys_days{year{t.year} / t.mon / t.day} + hours{t.hour} + minutes{t.min} + seconds{t.sec};
}

inline certificate_names names_of(const mbedtls_x509_crt& certificate) {
    constexpr int dns_name = MBEDTLS_ASN1_CONTEXT_SPECIFIC | 2;
    constexpr int ip_address = MBEDTLS_ASN1_CONTEXT_SPECIFIC | 7;
    certificate_names names;
    for (const auto* san = &certificate.subject_alt_names; san && san->buf.p; san = san->next) {
        std::string value(reinterpret_cast<const char*>(san->buf.p), san->buf.len);
        if (san->buf.tag == dns_name)
            names.dns.push_back(std::move(value));
        else if (san->buf.tag == ip_address)
            names.addresses.push_back(std::move(value));
    }
    return names;
}

inline std::string_view text_of(const mbedtls_x509_buf& b) noexcept {
    return {reinterpret_cast<const char*>(b.p), b.len};
}

/// Empty when this mbedTLS lacks the digest.
inline std::string digest_of(mbedtls_md_type_t type, std::string_view octets) {
    unsigned char value[MBEDTLS_MD_MAX_SIZE];
    const auto* info = mbedtls_md_info_from_type(type);
    if (!info || mbedtls_md(info, reinterpret_cast<const unsigned char*>(octets.data()), octets.size(), value) != 0)
        return {};
    return {reinterpret_cast<const char*>(value), mbedtls_md_get_size(info)};
}

/// RFC 7469 section 2.4, over a SubjectPublicKeyInfo.
inline std::string pin_of(std::string_view public_key) {
    return base64_encode(digest_of(MBEDTLS_MD_SHA256, public_key));
}

/// The data of tls-server-end-point (RFC 5929 section 4.1): the certificate's digest by the hash of its signature, by
/// SHA-256 in place of MD5 and SHA-1.
inline std::string end_point_digest(std::string_view certificate) {
    const auto parts = parts_of(certificate);
    const auto as_asn1 = [](std::string_view oid) {
        mbedtls_asn1_buf buffer{};
        buffer.tag = der::oid;
        buffer.len = oid.size();
        buffer.p = reinterpret_cast<unsigned char*>(const_cast<char*>(oid.data()));
        return buffer;
    };
    auto hash = MBEDTLS_MD_NONE;
    auto key = MBEDTLS_PK_NONE;
    if (parts.signature_oid == oid_rsassa_pss) {
        const auto oid = as_asn1(pss_hash_oid(parts.signature_parameters));
        if (oid.len == 0 || mbedtls_oid_get_md_alg(&oid, &hash) != 0) hash = MBEDTLS_MD_SHA1;
    } else {
        const auto oid = as_asn1(parts.signature_oid);
        if (mbedtls_oid_get_sig_alg(&oid, &hash, &key) != 0) return {};
    }
    if (hash == MBEDTLS_MD_MD5 || hash == MBEDTLS_MD_SHA1) hash = MBEDTLS_MD_SHA256;
    return digest_of(hash, certificate);
}

inline std::string usage_reason(std::uint32_t flags) {
    if (flags & MBEDTLS_X509_BADCERT_REVOKED) return revoked;
    if (flags & (MBEDTLS_X509_BADCRL_NOT_TRUSTED | MBEDTLS_X509_BADCRL_EXPIRED | MBEDTLS_X509_BADCRL_FUTURE |
                 MBEDTLS_X509_BADCRL_BAD_MD | MBEDTLS_X509_BADCRL_BAD_PK | MBEDTLS_X509_BADCRL_BAD_KEY))
        return unusable_crl;
    if (flags &
        (MBEDTLS_X509_BADCERT_EXT_KEY_USAGE | MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_NS_CERT_TYPE))
        return "is not meant for servers (its key usage says so)";
    if (flags & (MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK | MBEDTLS_X509_BADCERT_BAD_KEY))
        return "has a key or a signature that is too weak";
    if (flags & MBEDTLS_X509_BADCERT_MISSING) return "is missing: the server sent none";
    char text[400] = "";
    mbedtls_x509_crt_verify_info(text, sizeof text, "", flags);
    std::string reason = "was refused: ";
    for (const char* c = text; *c; ++c) reason += *c == '\n' ? ' ' : *c;
    return reason;
}

/// Why `certificate`, the server's at depth 0 or a CA above it, was not accepted.
inline std::string reasons(const mbedtls_x509_crt& certificate, int depth, std::uint32_t flags,
                           const certificate_names& names, const std::string& expected) {
    std::string text;
    const auto add = [&](const std::string& reason) { text += (text.empty() ? "" : ", and ") + reason; };
    if (flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) add(names_reason(names, expected));
    if (flags & MBEDTLS_X509_BADCERT_EXPIRED) add("expired on " + date_text(certificate.valid_to));
    if (flags & MBEDTLS_X509_BADCERT_FUTURE) add("is not valid before " + date_text(certificate.valid_from));
    if (flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) {
        const auto issuer = name_text(certificate.issuer);
        const bool self_signed = issuer == name_text(certificate.subject);
        add((self_signed ? std::string("is self-signed") : "is signed by an unknown CA \"" + issuer + "\"") +
            "; give ca_file if it is your own");
    }
    constexpr std::uint32_t told = MBEDTLS_X509_BADCERT_CN_MISMATCH | MBEDTLS_X509_BADCERT_EXPIRED |
                                   MBEDTLS_X509_BADCERT_FUTURE | MBEDTLS_X509_BADCERT_NOT_TRUSTED;
    if (flags & ~told) add(usage_reason(flags & ~told));
    return depth == 0 ? text : "comes with a CA \"" + name_text(certificate.subject) + "\" that " + text;
}

}  // namespace postroad::tls::detail
