#pragma once
// As much of DER (X.690) as certificates need.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace postroad::tls::detail {

struct der_value {
    unsigned char tag = 0;  ///< 0: there is none
    std::string_view content = {};
    std::string_view whole = {};  ///< with tag and length
};

namespace der {
inline constexpr unsigned char boolean = 0x01, integer = 0x02, bit_string = 0x03, octet_string = 0x04, oid = 0x06,
                               sequence = 0x30;
/// [n] of a constructed and of a primitive value.
constexpr unsigned char constructed(int n) { return static_cast<unsigned char>(0xa0 | n); }
constexpr unsigned char primitive(int n) { return static_cast<unsigned char>(0x80 | n); }
}  // namespace der

inline constexpr std::string_view oid_purposes("\x55\x1d\x25", 3);
inline constexpr std::string_view oid_server("\x2b\x06\x01\x05\x05\x07\x03\x01", 8);
inline constexpr std::string_view oid_netscape_type("\x60\x86\x48\x01\x86\xf8\x42\x01\x01", 9);

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
    std::string_view key_oid = {};     ///< of its algorithm
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
    if (value.tag == der::sequence) {
        parts.public_key = value.whole;
        auto key_algorithm = next_content(value.content, der::sequence);
        parts.key_oid = next_content(key_algorithm, der::oid);
    }
    while ((value = next_value(signed_part)).tag != 0)
        if (value.tag == der::constructed(3)) parts.extensions = next_content(value.content, der::sequence);
    return parts;
}

struct extension {
    std::string_view oid = {};
    std::string_view value = {};
    bool critical = false;
};

/// Takes the first extension off `from`; what is malformed has no OID.
inline extension next_extension(std::string_view& from) noexcept {
    auto rest = next_content(from, der::sequence);
    extension result{.oid = next_content(rest, der::oid)};
    auto value = next_value(rest);
    if (value.tag == der::boolean) {
        result.critical = !value.content.empty() && value.content[0] != 0;
        value = next_value(rest);
    }
    if (value.tag == der::octet_string) result.value = value.content;
    return result;
}

/// What the extension of this OID holds; empty when there is none.
inline std::string_view find_extension(std::string_view extensions, std::string_view oid) noexcept {
    while (!extensions.empty())
        if (const auto e = next_extension(extensions); e.oid == oid) return e.value;
    return {};
}

/// The certificates of a Certificate message (RFC 5246 section 7.4.2; with TLS 1.3 RFC 8446 section 4.4.2), the
/// server's first; none if it is another message, or malformed.
inline std::vector<std::string_view> certificates_of(std::string_view message, bool tls_1_3) {
    static constexpr char certificate = 11;
    const auto take = [](std::string_view& from, std::size_t width) {
        std::size_t size = 0;
        for (std::size_t i = 0; i < width && i < from.size(); ++i)
            size = size << 8 | static_cast<unsigned char>(from[i]);
        if (from.size() < width || size > from.size() - width) return from = {};
        const auto taken = from.substr(width, size);
        from.remove_prefix(width + size);
        return taken;
    };
    std::vector<std::string_view> all;
    if (message.empty() || message[0] != certificate) return all;
    message.remove_prefix(1);
    auto body = take(message, 3);
    if (tls_1_3) take(body, 1);
    auto list = take(body, 3);
    while (!list.empty()) {
        if (const auto one = take(list, 3); !one.empty()) all.push_back(one);
        if (tls_1_3) take(list, 2);
    }
    return all;
}

/// The OID of the hash within the signature algorithm of RSASSA-PSS (RFC 4055 section 3.1); empty for its default,
/// SHA-1.
inline std::string_view pss_hash_oid(std::string_view parameters) noexcept {
    auto list = next_content(parameters, der::sequence);
    auto hash = next_content(list, der::constructed(0));
    auto algorithm = next_content(hash, der::sequence);
    return next_content(algorithm, der::oid);
}

/// "2.5.29.36"; empty for what is none.
inline std::string oid_text(std::string_view oid) {
    std::string text;
    std::uint64_t number = 0;
    for (const char c : oid) {
        const auto octet = static_cast<unsigned char>(c);
        if (number >> 56 != 0) return {};
        number = number << 7 | (octet & 0x7f);
        if (octet & 0x80) continue;
        if (text.empty()) {
            const auto first = std::min<std::uint64_t>(number / 40, 2);
            text = std::to_string(first);
            number -= first * 40;
        }
        text += '.' + std::to_string(number);
        number = 0;
    }
    return text;
}

/// Whether the purposes (RFC 5280 section 4.2.1.12) that these extensions name, if any, have this one.
inline bool has_purpose(std::string_view extensions, std::string_view oid) noexcept {
    auto value = find_extension(extensions, oid_purposes);
    if (value.empty()) return true;
    for (auto all = next_content(value, der::sequence); !all.empty();)
        if (next_content(all, der::oid) == oid) return true;
    return false;
}

/// Whether Netscape's type of a certificate, if there is one, has the bit of servers.
inline bool may_be_server(std::string_view extensions) noexcept {
    auto value = find_extension(extensions, oid_netscape_type);
    const auto bits = next_content(value, der::bit_string);
    return bits.empty() || (bits.size() > 1 && (bits[1] & 0x40) != 0);
}

inline constexpr std::string_view oid_rsassa_pss("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a", 9);
inline constexpr std::string_view oid_name_constraints("\x55\x1d\x1e", 3);
inline constexpr std::string_view oid_ed25519("\x2b\x65\x70", 3);
inline constexpr std::string_view oid_ed448("\x2b\x65\x71", 3);

}  // namespace postroad::tls::detail
