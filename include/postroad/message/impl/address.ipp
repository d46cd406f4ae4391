#pragma once

#include <postroad/message/address.hpp>
#include <postroad/message/utf8.hpp>

#include <idn2.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace postroad {
namespace detail {

inline constexpr fault no_fault = {};

POSTROAD_DECL fault skip_local(std::string_view text, std::size_t& at) noexcept {
    const bool quoted = text.starts_with('"');
    bool atom_empty = true;
    if (quoted) ++at;
    while (at < text.size()) {
        const auto start = at;
        const char32_t c = next_character(text, at);
        if (c == ill_formed) return {start, "expected well-formed UTF-8"};
        if (is_control(c)) return {start, "a control character is not allowed"};
        if (quoted) {
            if (c == '"') return no_fault;
            if (c != '\\') continue;
            if (at == text.size() || text[at] < 0x20 || text[at] == 0x7f)
                return {at, "expected a printable ASCII character behind the backslash"};
            ++at;
        } else if (c == '.' || c == '@') {
            if (atom_empty) return {start, c == '.' ? "unexpected dot in the local part" : "expected a local part"};
            if (c == '@') {
                at = start;
                return no_fault;
            }
            atom_empty = true;
        } else if (is_atext(c)) {
            atom_empty = false;
        } else {
            return {start, "this character needs quotes around the local part"};
        }
    }
    return {at, quoted ? "expected the closing quote" : "expected @ and a domain"};
}

inline fault label_list_fault(std::string_view text) noexcept {
    std::size_t at = 0;
    std::size_t label = 0;
    char32_t last = 0;
    while (at < text.size()) {
        const auto start = at;
        const char32_t c = next_character(text, at);
        if (c == ill_formed) return {start, "expected well-formed UTF-8"};
        if (is_control(c)) return {start, "a control character is not allowed"};
        // IDNA takes these three for dots; whoever looks only at "." would see another domain
        if (c == 0x3002 || c == 0xff0e || c == 0xff61) return {start, "expected an ASCII dot"};
        if (c == '.') {
            if (label == 0) return {start, "unexpected dot in the domain"};
            if (last == '-') return {start - 1, "a label must not end with a hyphen"};
            label = 0;
        } else if (c == '-' && label == 0) {
            return {start, "a label must not begin with a hyphen"};
        } else if (c > 127 || c == '-' || is_alphanumeric(c)) {
            if (++label > address::max_label) return {start, "a label has at most 63 characters"};
        } else {
            return {start, "expected a letter, a digit, a hyphen or a dot in the domain"};
        }
        last = c;
    }
    if (label == 0) return {at, text.empty() ? "expected a domain" : "the domain must not end with a dot"};
    if (last == '-') return {at - 1, "a label must not end with a hyphen"};
    return no_fault;
}

inline bool is_ipv4(std::string_view text) noexcept {
    for (int part = 0; part < 4; ++part) {
        if (part > 0) {
            if (!text.starts_with('.')) return false;
            text.remove_prefix(1);
        }
        std::size_t digits = 0;
        unsigned value = 0;
        while (digits < text.size() && digits < 3 && text[digits] >= '0' && text[digits] <= '9')
            value = value * 10 + static_cast<unsigned>(text[digits++] - '0');
        // a leading zero reads as octal elsewhere
        if (digits == 0 || value > 255 || (digits > 1 && text[0] == '0')) return false;
        text.remove_prefix(digits);
    }
    return text.empty();
}

inline bool is_ipv6(std::string_view text) noexcept {
    const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (to_lower(c) >= 'a' && to_lower(c) <= 'f'); };
    int groups = 0;
    bool gap = text.starts_with("::");
    if (gap) text.remove_prefix(2);
    while (!text.empty()) {
        std::size_t digits = 0;
        while (digits < text.size() && is_hex(text[digits])) ++digits;
        if (digits < text.size() && text[digits] == '.') {
            if (!is_ipv4(text)) return false;
            groups += 2;
            break;
        }
        if (digits == 0 || digits > 4 || ++groups > 8) return false;
        text.remove_prefix(digits);
        if (text.empty()) break;
        if (text.starts_with("::")) {
            if (std::exchange(gap, true)) return false;
            text.remove_prefix(2);
        } else if (text.starts_with(':') && text.size() > 1) {
            text.remove_prefix(1);
        } else {
            return false;
        }
    }
    return gap ? groups < 8 : groups == 8;
}

POSTROAD_DECL fault domain_fault(std::string_view text) noexcept {
    if (text.size() > address::max_domain) return {address::max_domain, "a domain has at most 255 octets"};
    if (!text.starts_with('[')) return label_list_fault(text);
    if (!text.ends_with(']')) return {text.size(), "expected ] at the end of the address literal"};
    const auto inner = text.substr(1, text.size() - 2);
    const bool v6 = equal_ignoring_case(inner.substr(0, 5), "IPv6:");
    if (v6 ? !is_ipv6(inner.substr(5)) : !is_ipv4(inner)) return {1, "expected an IPv4 address, or IPv6: and one"};
    return no_fault;
}

POSTROAD_DECL fault address_fault(std::string_view text, std::size_t& local_size) noexcept {
    local_size = 0;
    if (text.empty()) return {0, "expected an address"};
    if (const auto f = skip_local(text, local_size); f.what) return f;
    if (local_size > address::max_local) return {address::max_local, "a local part has at most 64 octets"};
    if (local_size == text.size() || text[local_size] != '@') return {local_size, "expected @ behind the local part"};
    if (auto f = domain_fault(text.substr(local_size + 1)); f.what) {
        f.at += local_size + 1;
        return f;
    }
    if (text.size() > address::max_size) return {address::max_size, "an address has at most 254 octets"};
    return no_fault;
}

POSTROAD_DECL std::string explain(const fault& f, std::string_view text) {
    return std::string(f.what) + " at octet " + std::to_string(f.at) + " of '" + escaped(text, 300) + "'";
}

}  // namespace detail

POSTROAD_DECL address address::parse(std::string_view text, error_code& ec, std::string* explanation) {
    ec.clear();
    address result;
    if (detail::equal_ignoring_case(text, "postmaster")) {
        result.text_ = text;
        result.local_size_ = text.size();
        return result;
    }
    std::size_t local_size = 0;
    if (const auto f = detail::address_fault(text, local_size); f.what) {
        ec = errc::invalid_address;
        if (explanation) *explanation = detail::explain(f, text);
        return result;
    }
    result.text_ = text;
    result.local_size_ = local_size;
    return result;
}

POSTROAD_DECL address::address(std::string_view text) {
    error_code ec;
    std::string explanation;
    *this = parse(text, ec, &explanation);
    if (ec) throw error(errc::invalid_address, std::move(explanation));
}

POSTROAD_DECL bool address::ascii() const noexcept { return detail::is_ascii(text_); }

POSTROAD_DECL std::string address::ascii_domain() const {
    std::string name(domain());
    if (detail::is_ascii(name)) return name;
    std::uint8_t* found = nullptr;
    if (idn2_lookup_u8(reinterpret_cast<const std::uint8_t*>(name.c_str()), &found,
                       IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
        return {};
    name = reinterpret_cast<const char*>(found);
    idn2_free(found);
    // mapping makes dots, slashes and spaces of some characters
    if (!detail::is_ascii(name) || detail::domain_fault(name).what) return {};
    return name;
}

}  // namespace postroad
