#pragma once

#include <postroad/core/algorithm.hpp>
#include <postroad/tls/constraints.hpp>
#include <postroad/tls/dane.hpp>
#include <postroad/tls/detail/der.hpp>
#include <postroad/tls/impl/mbedtls_certificate.ipp>

#include <algorithm>

namespace postroad::tls {
namespace detail {

inline constexpr unsigned dane_ta = 2, dane_ee = 3;

inline bool is_usable(const tlsa& t) noexcept {
    constexpr std::size_t sizes[] = {0, 32, 64};
    return (t.usage == dane_ta || t.usage == dane_ee) && t.selector <= 1 && t.matching <= 2 &&
           (t.matching == 0 ? !t.data.empty() : t.data.size() == sizes[t.matching]);
}

inline bool matches(const tlsa& t, std::string_view certificate) {
    const auto what = t.selector == 0 ? certificate : parts_of(certificate).public_key;
    if (what.empty()) return false;
    if (t.matching == 0) return what == t.data;
    return digest_of(t.matching == 1 ? MBEDTLS_MD_SHA256 : MBEDTLS_MD_SHA512, what) == t.data;
}

class certificate_list {
public:
    certificate_list() { mbedtls_x509_crt_init(&first_); }
    ~certificate_list() { mbedtls_x509_crt_free(&first_); }
    certificate_list(const certificate_list&) = delete;
    certificate_list& operator=(const certificate_list&) = delete;

    bool add(std::string_view der) {
        return mbedtls_x509_crt_parse_der(&first_, reinterpret_cast<const unsigned char*>(der.data()), der.size()) == 0;
    }
    mbedtls_x509_crt* get() noexcept { return &first_; }

private:
    mbedtls_x509_crt first_;
};

// What the chain that was found says of names, and why it is none.
struct chain_findings {
    std::vector<std::string> constraints = {};
    std::string why = {};
};

inline int look_at(void* to, mbedtls_x509_crt* certificate, int depth, std::uint32_t* flags) {
    auto& found = *static_cast<chain_findings*>(to);
    // Names are compared apart.
    *flags &= ~static_cast<std::uint32_t>(MBEDTLS_X509_BADCERT_CN_MISMATCH);
    if (depth > 0) {
        const auto parts = parts_of(text_of(certificate->raw));
        if (const auto c = find_extension(parts.extensions, oid_name_constraints); !c.empty())
            found.constraints.emplace_back(c);
    }
    if (*flags != 0 && found.why.empty()) found.why = reasons(*certificate, depth, *flags, {}, {});
    return 0;
}

// Whether `ca` vouches for the first of the chain, by name.
inline std::string ca_violation(std::string_view ca, const std::vector<std::string>& chain, std::string_view name) {
    certificate_list trusted;
    certificate_list sent;
    if (!trusted.add(ca)) return "has a CA that cannot be read";
    for (const auto& der : chain)
        if (!sent.add(der)) return "comes with one that cannot be read";
    chain_findings found;
    std::uint32_t flags = 0;
    if (mbedtls_x509_crt_verify(sent.get(), trusted.get(), nullptr, nullptr, &flags, &look_at, &found) != 0)
        return found.why.empty() ? usage_reason(flags) : found.why;
    if (mbedtls_x509_crt_check_extended_key_usage(sent.get(), MBEDTLS_OID_SERVER_AUTH,
                                                  MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)) != 0)
        return usage_reason(MBEDTLS_X509_BADCERT_EXT_KEY_USAGE);
    const auto names = names_of(*sent.get());
    const std::string expected(name);
    if (!names_match(names, expected)) return names_reason(names, expected);
    for (const auto& c : found.constraints)
        if (auto why = constraint_violation(c, names, expected); !why.empty()) return "comes with a CA that " + why;
    return {};
}

}  // namespace detail

POSTROAD_DECL std::vector<tlsa> usable_tlsa(const std::vector<std::string>& rdata) {
    std::vector<tlsa> all;
    for (const std::string_view r : rdata) {
        if (r.size() < 3) continue;
        const auto number = [&](std::size_t at) { return unsigned{static_cast<unsigned char>(r[at])}; };
        const tlsa t{.usage = number(0), .selector = number(1), .matching = number(2), .data = r.substr(3)};
        if (detail::is_usable(t)) all.push_back(t);
    }
    const auto is_outdone = [&](const tlsa& t) {
        return t.matching == 1 && postroad::detail::any_of(all, [&](const tlsa& other) {
                   return other.usage == t.usage && other.selector == t.selector && other.matching == 2;
               });
    };
    std::vector<tlsa> best;
    std::ranges::copy_if(all, std::back_inserter(best), [&](const tlsa& t) { return !is_outdone(t); });
    return best;
}

POSTROAD_DECL std::string to_string(const tlsa& t) {
    constexpr std::size_t shown = 8;
    static constexpr char digits[] = "0123456789abcdef";
    auto text = std::to_string(t.usage) + ' ' + std::to_string(t.selector) + ' ' + std::to_string(t.matching) + ' ';
    for (const char c : t.data.substr(0, shown)) {
        const auto octet = static_cast<unsigned char>(c);
        text += {digits[octet >> 4], digits[octet & 15]};
    }
    return t.data.size() > shown ? text + "..." : text;
}

POSTROAD_DECL dane_result check_dane(const std::vector<tlsa>& records, const std::vector<std::string>& chain,
                                     std::string_view name) {
    if (chain.empty()) return {.why = "is missing: the server sent none"};
    std::string why;
    for (const auto& t : records) {
        if (t.usage == detail::dane_ee) {
            if (detail::matches(t, chain.front())) return {.by = &t};
            continue;
        }
        std::vector<std::string_view> cas;
        for (std::size_t i = 1; i < chain.size(); ++i)
            if (detail::matches(t, chain[i])) cas.push_back(chain[i]);
        // The CA itself is in the record; the server need not send it.
        if (t.selector == 0 && t.matching == 0) cas.push_back(t.data);
        for (const auto ca : cas) {
            auto violation = detail::ca_violation(ca, chain, name);
            if (violation.empty()) return {.by = &t};
            why = std::move(violation);
        }
    }
    return {.why = why.empty() ? "matches none of the TLSA records of " + std::string(name) : why};
}

}  // namespace postroad::tls
