#pragma once
// As much of DER (X.690) as certificates need.

#include <cstddef>
#include <string>
#include <string_view>

namespace postroad::tls::detail {

struct der_value {
    unsigned char tag = 0;  ///< 0: there is none
    std::string_view content = {};
    std::string_view whole = {};  ///< with tag and length
};

namespace der {
inline constexpr unsigned char integer = 0x02, bit_string = 0x03, octet_string = 0x04, oid = 0x06, sequence = 0x30;
/// [n] of a constructed and of a primitive value.
constexpr unsigned char constructed(int n) { return static_cast<unsigned char>(0xa0 | n); }
constexpr unsigned char primitive(int n) { return static_cast<unsigned char>(0x80 | n); }
}  // namespace der

/// Takes the first value off `from`. What is malformed (also an indefinite length, or a tag of several octets) is no
/// value, and leaves `from` empty.
inline der_value next_value(std::string_view& from) noexcept {
    const auto all = from;
    from = {};
    if (all.size() < 2) return {};
    const auto octet = [&](std::size_t i) { return static_cast<unsigned char>(all[i]); };
    std::size_t size = octet(1), head = 2;
    if ((octet(0) & 0x1f) == 0x1f) return {};
    if (size >= 0x80) {
        const std::size_t count = size & 0x7f;
        if (count == 0 || count > 4 || all.size() < 2 + count) return {};
        size = 0;
        for (; head < 2 + count; ++head) size = size << 8 | octet(head);
    }
    if (size > all.size() - head) return {};
    from = all.substr(head + size);
    return {octet(0), all.substr(head, size), all.substr(0, head + size)};
}

/// The content of the first value of `from` when it has this tag, else nothing.
inline std::string_view next_content(std::string_view& from, unsigned char tag) noexcept {
    const auto value = next_value(from);
    return value.tag == tag ? value.content : std::string_view();
}

/// The parts of a Certificate (RFC 5280 section 4.1) that are looked at here; empty where it is malformed.
struct certificate_parts {
    std::string_view public_key = {};  ///< SubjectPublicKeyInfo, whole
    std::string_view extensions = {};  ///< the Extension values, one after another
    std::string_view signature_oid = {};
    std::string_view signature_parameters = {};
};

inline certificate_parts parts_of(std::string_view certificate) noexcept {
    certificate_parts parts;
    auto outer = next_content(certificate, der::sequence);
    auto signed_part = next_content(outer, der::sequence);
    auto algorithm = next_content(outer, der::sequence);
    parts.signature_oid = next_content(algorithm, der::oid);
    parts.signature_parameters = algorithm;

    auto value = next_value(signed_part);
    if (value.tag == der::constructed(0)) value = next_value(signed_part);  // the version; then the serial number
    // signature, issuer, validity, subject
    for (int i = 0; i < 4; ++i) value = next_value(signed_part);
    value = next_value(signed_part);
    if (value.tag == der::sequence) parts.public_key = value.whole;
    while ((value = next_value(signed_part)).tag != 0)
        if (value.tag == der::constructed(3)) parts.extensions = next_content(value.content, der::sequence);
    return parts;
}

/// What the extension of this OID holds; empty when there is none.
inline std::string_view find_extension(std::string_view extensions, std::string_view oid) noexcept {
    while (!extensions.empty()) {
        auto extension = next_content(extensions, der::sequence);
        if (next_content(extension, der::oid) != oid) continue;
        auto value = next_value(extension);
        if (value.tag == 0x01) value = next_value(extension);  // critical
        return value.tag == der::octet_string ? value.content : std::string_view();
    }
    return {};
}

/// The OID of the hash within the signature algorithm of RSASSA-PSS (RFC 4055 section 3.1); empty for its default,
/// SHA-1.
inline std::string_view pss_hash_oid(std::string_view parameters) noexcept {
    auto list = next_content(parameters, der::sequence);
    auto hash = next_content(list, der::constructed(0));
    auto algorithm = next_content(hash, der::sequence);
    return next_content(algorithm, der::oid);
}

inline constexpr std::string_view oid_rsassa_pss("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a", 9);
inline constexpr std::string_view oid_name_constraints("\x55\x1d\x1e", 3);

}  // namespace postroad::tls::detail
