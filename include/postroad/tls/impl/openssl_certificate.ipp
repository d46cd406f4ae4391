#pragma once
// What OpenSSL says of certificates and errors, in words.

#include <postroad/core/base64.hpp>
#include <postroad/core/error.hpp>
#include <postroad/tls/constraints.hpp>
#include <postroad/tls/detail/der.hpp>
#include <postroad/tls/detail/material.hpp>
#include <postroad/tls/names.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

namespace postroad::tls::detail {

struct openssl_free {
    void operator()(X509* p) const noexcept { X509_free(p); }
    void operator()(X509_CRL* p) const noexcept { X509_CRL_free(p); }
    void operator()(OCSP_RESPONSE* p) const noexcept { OCSP_RESPONSE_free(p); }
    void operator()(OCSP_BASICRESP* p) const noexcept { OCSP_BASICRESP_free(p); }
    void operator()(OCSP_CERTID* p) const noexcept { OCSP_CERTID_free(p); }
    void operator()(BIO* p) const noexcept { BIO_free_all(p); }
    void operator()(EVP_PKEY* p) const noexcept { EVP_PKEY_free(p); }
    void operator()(GENERAL_NAMES* p) const noexcept { GENERAL_NAMES_free(p); }
};
template <class T>
using openssl_ptr = std::unique_ptr<T, openssl_free>;

/// The newest of what OpenSSL has recorded; empties the record.
inline std::string openssl_text() {
    const auto code = ERR_peek_last_error();
    ERR_clear_error();
    const char* reason = ERR_reason_error_string(code);
    char number[24];
    std::snprintf(number, sizeof number, " (%08lx)", code);
    return std::string(reason ? reason : "unknown error") + number;
}

inline void require_openssl(bool good, const std::string& what) {
    if (!good) throw error(errc::tls_configuration, what + ": " + openssl_text());
}

/// A source that reads `text` in place.
inline openssl_ptr<BIO> reader_of(std::string_view text) {
    return openssl_ptr<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

inline openssl_ptr<X509> certificate_of(std::string_view der) {
    const auto* octets = reinterpret_cast<const unsigned char*>(der.data());
    return openssl_ptr<X509>(d2i_X509(nullptr, &octets, static_cast<long>(der.size())));
}

inline std::string der_of(X509* certificate) {
    std::string der;
    if (const int size = i2d_X509(certificate, nullptr); size > 0) {
        der.resize(static_cast<std::size_t>(size));
        auto* octets = reinterpret_cast<unsigned char*>(der.data());
        i2d_X509(certificate, &octets);
    }
    return der;
}

inline std::string name_text(const X509_NAME* name) {
    const openssl_ptr<BIO> to(BIO_new(BIO_s_mem()));
    X509_NAME_print_ex(to.get(), name, 0, XN_FLAG_SEP_CPLUS_SPC | XN_FLAG_FN_SN | ASN1_STRFLGS_ESC_CTRL);
    char* text = nullptr;
    const auto size = BIO_get_mem_data(to.get(), &text);
    return size > 0 ? escaped({text, static_cast<std::size_t>(size)}) : std::string();
}

inline std::string date_text(const ASN1_TIME* t) {
    std::tm date{};
    if (ASN1_TIME_to_tm(t, &date) != 1) return "an unreadable date";
    char text[40];
    std::snprintf(text, sizeof text, "%04d-%02d-%02d", date.tm_year + 1900, date.tm_mon + 1, date.tm_mday);
    return text;
}

/// The earliest end of what is in `chain`.
inline std::chrono::sys_seconds valid_until(const STACK_OF(X509) * chain) {
    using namespace std::chrono;
    auto result = sys_seconds::max();
    for (int depth = 0; depth < sk_X509_num(chain); ++depth) {
        std::tm t{};
        if (ASN1_TIME_to_tm(X509_get0_notAfter(sk_X509_value(chain, depth)), &t) != 1) return sys_seconds::min();
        result = std::min<sys_seconds>(result, sys_days{year{t.tm_year + 1900} / (t.tm_mon + 1) / t.tm_mday} +
                                                   hours{t.tm_hour} + minutes{t.tm_min} + seconds{t.tm_sec});
    }
    return result;
}

inline certificate_names names_of(const X509* certificate) {
    certificate_names names;
    const openssl_ptr<GENERAL_NAMES> list(
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    for (int i = 0; list && i < sk_GENERAL_NAME_num(list.get()); ++i) {
        const auto* name = sk_GENERAL_NAME_value(list.get(), i);
        if (name->type != GEN_DNS && name->type != GEN_IPADD) continue;
        const ASN1_STRING* value = name->type == GEN_DNS ? name->d.dNSName : name->d.iPAddress;
        std::string text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                         static_cast<std::size_t>(ASN1_STRING_length(value)));
        (name->type == GEN_DNS ? names.dns : names.addresses).push_back(std::move(text));
    }
    return names;
}

inline std::string digest_of(const EVP_MD* type, std::string_view octets) {
    unsigned char value[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (!type || EVP_Digest(octets.data(), octets.size(), value, &size, type, nullptr) != 1) return {};
    return {reinterpret_cast<const char*>(value), size};
}

/// RFC 7469 section 2.4.
inline std::string pin_of(X509* certificate) {
    const auto der = der_of(certificate);
    return base64_encode(digest_of(EVP_sha256(), parts_of(der).public_key));
}

/// Of each certificate, the server's first.
inline std::vector<std::string> pins_of(const STACK_OF(X509) * chain) {
    std::vector<std::string> pins(static_cast<std::size_t>(std::max(sk_X509_num(chain), 0)));
    for (std::size_t i = 0; i < pins.size(); ++i) pins[i] = pin_of(sk_X509_value(chain, static_cast<int>(i)));
    return pins;
}

/// The data of tls-server-end-point (RFC 5929 section 4.1): the certificate's digest by the hash of its signature, by
/// SHA-256 in place of MD5 and SHA-1; empty for a signature without a hash of its own (Ed25519).
inline std::string end_point_digest(X509* certificate) {
    int hash = NID_undef;
    if (!certificate || X509_get_signature_info(certificate, &hash, nullptr, nullptr, nullptr) != 1) return {};
    if (hash == NID_md5 || hash == NID_sha1) hash = NID_sha256;
    return digest_of(EVP_get_digestbynid(hash), der_of(certificate));
}

/// Whether this X509_V_ERR_... says that no trusted CA stands behind the certificate.
inline bool means_untrusted(int error) noexcept {
    switch (error) {
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        case X509_V_ERR_CERT_UNTRUSTED: return true;
        default: return false;
    }
}

/// Whether there is a list that names the CA of the certificate that is looked at. Of a CA that gave us none nothing is
/// known, nor of one that is trusted as it is. OpenSSL takes none whose key is another than the CA's.
inline bool has_crl(X509_STORE_CTX* chain) {
    if (X509_STORE_CTX_get_error_depth(chain) + 1 == sk_X509_num(X509_STORE_CTX_get0_chain(chain))) return false;
    auto* lists = X509_STORE_CTX_get1_crls(chain, X509_get_issuer_name(X509_STORE_CTX_get_current_cert(chain)));
    const bool any = sk_X509_CRL_num(lists) > 0;
    sk_X509_CRL_pop_free(lists, X509_CRL_free);
    return any;
}

/// Whether this X509_V_ERR_... says that the CRL of the certificate's CA is of no use.
inline bool is_about_crl(int error) noexcept {
    switch (error) {
        case X509_V_ERR_CRL_HAS_EXPIRED:
        case X509_V_ERR_CRL_NOT_YET_VALID:
        case X509_V_ERR_CRL_SIGNATURE_FAILURE:
        case X509_V_ERR_KEYUSAGE_NO_CRL_SIGN:
        case X509_V_ERR_UNABLE_TO_GET_CRL:
        case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER: return true;
        default: return false;
    }
}

/// Whether `answer`, an OCSP response (RFC 6960), says for the CA at `issuer` that `certificate` is revoked.
inline bool says_revoked(std::string_view answer, X509* certificate, X509* issuer, STACK_OF(X509) * chain,
                         X509_STORE* trusted) {
    const auto* octets = reinterpret_cast<const unsigned char*>(answer.data());
    const openssl_ptr<OCSP_RESPONSE> response(d2i_OCSP_RESPONSE(nullptr, &octets, static_cast<long>(answer.size())));
    const openssl_ptr<OCSP_BASICRESP> basic(response ? OCSP_response_get1_basic(response.get()) : nullptr);
    if (!basic || OCSP_basic_verify(basic.get(), chain, trusted, 0) != 1) return false;
    for (int i = 0; i < OCSP_resp_count(basic.get()); ++i) {
        auto* one = OCSP_resp_get0(basic.get(), i);
        ASN1_OBJECT* hash = nullptr;
        const auto* about = OCSP_SINGLERESP_get0_id(one);
        OCSP_id_get0_info(nullptr, &hash, nullptr, nullptr, const_cast<OCSP_CERTID*>(about));
        const openssl_ptr<OCSP_CERTID> ours(OCSP_cert_to_id(EVP_get_digestbyobj(hash), certificate, issuer));
        if (ours && OCSP_id_cmp(about, ours.get()) == 0 &&
            OCSP_single_get0_status(one, nullptr, nullptr, nullptr, nullptr) == V_OCSP_CERTSTATUS_REVOKED)
            return true;
    }
    return false;
}

inline constexpr const char* beyond_constraints = "names what its CA may not speak for";

/// Why a CA's name constraints forbid it to speak for `expected`; what is not understood of them is left to OpenSSL.
inline std::string constraint_reason(X509* ca, const certificate_names& names, std::string_view expected) {
    const auto der = der_of(ca);
    const auto c = find_extension(parts_of(der).extensions, oid_name_constraints);
    if (c.empty()) return {};
    auto why = constraint_violation(c, names, expected);
    return why == constraints_unreadable ? std::string() : why;
}

/// Why OpenSSL did not accept `certificate`, for one X509_V_ERR_....
inline std::string reason(X509* certificate, int error) {
    if (error == X509_V_ERR_CERT_HAS_EXPIRED) return "expired on " + date_text(X509_get0_notAfter(certificate));
    if (error == X509_V_ERR_CERT_NOT_YET_VALID)
        return "is not valid before " + date_text(X509_get0_notBefore(certificate));
    if (means_untrusted(error)) {
        const auto issuer = name_text(X509_get_issuer_name(certificate));
        const bool self_signed = issuer == name_text(X509_get_subject_name(certificate));
        return (self_signed ? std::string("is self-signed") : "is signed by an unknown CA \"" + issuer + "\"") +
               "; give ca_file if it is your own";
    }
    if (error == X509_V_ERR_INVALID_PURPOSE) return "is not meant for servers (its key usage says so)";
    if (error == X509_V_ERR_EE_KEY_TOO_SMALL || error == X509_V_ERR_CA_KEY_TOO_SMALL ||
        error == X509_V_ERR_CA_MD_TOO_WEAK)
        return "has a key or a signature that is too weak";
    if (error == X509_V_ERR_CERT_REVOKED) return revoked;
    if (is_about_crl(error)) return unusable_crl;
    if (error == X509_V_ERR_DIFFERENT_CRL_SCOPE)
        return "cannot be looked up: the CRL is about another part of its CA's certificates; give all parts";
    if (error == X509_V_ERR_INVALID_CA) return "is not allowed to sign certificates";
    if (error == X509_V_ERR_PERMITTED_VIOLATION || error == X509_V_ERR_EXCLUDED_VIOLATION) return beyond_constraints;
    return std::string("was refused: ") + X509_verify_cert_error_string(error);
}

}  // namespace postroad::tls::detail
