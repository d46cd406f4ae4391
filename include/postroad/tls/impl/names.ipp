#pragma once

#include <postroad/core/error.hpp>
#include <postroad/message/address.hpp>
#include <postroad/message/utf8.hpp>
#include <postroad/tls/names.hpp>

#include <algorithm>

namespace postroad::tls {
namespace detail {

using postroad::detail::to_lower;

// Exactly four decimal numbers: "127.1" and "0177.0.0.1" mean different hosts to different programs.
inline std::string ipv4_octets(std::string_view text) {
    std::string octets;
    while (true) {
        const auto part = text.substr(0, text.find('.'));
        if (part.empty() || part.size() > 3 || (part.size() > 1 && part[0] == '0')) return {};
        int value = 0;
        for (const char c : part) {
            if (c < '0' || c > '9') return {};
            value = value * 10 + (c - '0');
        }
        if (value > 255) return {};
        octets += static_cast<char>(value);
        if (part.size() == text.size()) return octets.size() == 4 ? octets : std::string();
        if (octets.size() == 4) return {};
        text.remove_prefix(part.size() + 1);
    }
}

inline int hex_value(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    c = to_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Groups of one side of "::". False when `text` is not a list of groups.
inline bool ipv6_groups(std::string_view text, std::string& octets) {
    while (!text.empty()) {
        const auto part = text.substr(0, text.find(':'));
        const bool last = part.size() == text.size();
        if (last && part.find('.') != std::string_view::npos) {
            const auto tail = ipv4_octets(part);
            octets += tail;
            return !tail.empty();
        }
        if (part.empty() || part.size() > 4) return false;
        int value = 0;
        for (const char c : part) {
            if (hex_value(c) < 0) return false;
            value = value * 16 + hex_value(c);
        }
        octets += static_cast<char>(value >> 8);
        octets += static_cast<char>(value & 255);
        if (last) return true;
        text.remove_prefix(part.size() + 1);
        if (text.empty()) return false;
    }
    return true;
}

// RFC 6874 section 2, without its escapes.
inline bool is_zone(std::string_view text) noexcept {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        const char l = to_lower(c);
        return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    });
}

inline std::string ipv6_octets(std::string_view text) {
    if (const auto percent = text.find('%'); percent != std::string_view::npos) {
        if (!is_zone(text.substr(percent + 1))) return {};
        text = text.substr(0, percent);
    }
    std::string head, tail;
    const auto gap = text.find("::");
    if (gap == std::string_view::npos) return ipv6_groups(text, head) && head.size() == 16 ? head : std::string();
    const auto left = text.substr(0, gap);
    if (left.find('.') != std::string_view::npos) return {};
    if (!ipv6_groups(left, head) || !ipv6_groups(text.substr(gap + 2), tail)) return {};
    if (head.size() + tail.size() > 14) return {};
    return head + std::string(16 - head.size() - tail.size(), '\0') + tail;
}

inline bool dns_name_matches(std::string_view presented, std::string_view expected) noexcept {
    if (!presented.starts_with("*."))
        return is_host_name(presented) && postroad::detail::equal_ignoring_case(presented, expected);
    presented.remove_prefix(2);
    const auto dot = expected.find('.');
    // "*.com" would let one certificate speak for a whole registry.
    return presented.find('.') != std::string_view::npos && dot != std::string_view::npos &&
           postroad::detail::equal_ignoring_case(presented, expected.substr(dot + 1));
}

inline std::string address_text(std::string_view octets) {
    static constexpr char hex[] = "0123456789abcdef";
    std::string text;
    for (std::size_t i = 0; i < octets.size(); ++i) {
        const auto u = static_cast<unsigned char>(octets[i]);
        if (octets.size() == 4) {
            text += (i ? "." : "") + std::to_string(u);
        } else {
            if (i && i % 2 == 0) text += ':';
            text += {hex[u >> 4], hex[u & 15]};
        }
    }
    return text;
}

}  // namespace detail

POSTROAD_DECL bool is_host_name(std::string_view text) noexcept {
    if (text.empty() || text.size() > 253) return false;
    std::size_t label = 0;
    for (const char c : text) {
        if (c == '.') {
            if (label == 0) return false;
            label = 0;
            continue;
        }
        const char l = detail::to_lower(c);
        if (!((l >= 'a' && l <= 'z') || (l >= '0' && l <= '9') || l == '-' || l == '_') || ++label > 63) return false;
    }
    return label != 0;
}

POSTROAD_DECL std::string address_octets(std::string_view text) {
    return text.find(':') == std::string_view::npos ? detail::ipv4_octets(text) : detail::ipv6_octets(text);
}

POSTROAD_DECL std::string plain_host(std::string_view host) {
    // The zone of an address of a link names an interface, which may differ from another by case alone.
    if (const auto zone = host.find('%'); zone != std::string_view::npos)
        return postroad::detail::in_lower_case(std::string(host.substr(0, zone))).append(host.substr(zone));
    if (host.ends_with('.')) host.remove_suffix(1);
    auto plain = postroad::detail::in_lower_case(std::string(host));
    if (postroad::detail::is_ascii(plain)) return plain;
    error_code ec;
    const auto as_address = address::parse("x@" + plain, ec);
    return ec ? plain : as_address.ascii_domain();
}

POSTROAD_DECL bool names_match(const certificate_names& presented, std::string_view expected) {
    if (const auto octets = address_octets(expected); !octets.empty())
        return std::find(presented.addresses.begin(), presented.addresses.end(), octets) != presented.addresses.end();
    if (expected.ends_with('.')) expected.remove_suffix(1);
    if (!is_host_name(expected)) return false;
    return std::any_of(presented.dns.begin(), presented.dns.end(),
                       [&](const std::string& name) { return detail::dns_name_matches(name, expected); });
}

POSTROAD_DECL std::string to_string(const certificate_names& names, std::size_t most) {
    std::string text;
    std::size_t count = 0;
    const auto add = [&](const std::string& name) {
        if (count++ < most) text += (text.empty() ? "" : ", ") + escaped(name, 80);
    };
    for (const auto& name : names.dns) add(name);
    for (const auto& octets : names.addresses) add(detail::address_text(octets));
    if (count > most) text += " and " + std::to_string(count - most) + " more";
    return text;
}

POSTROAD_DECL std::string names_reason(const certificate_names& presented, std::string_view expected) {
    const auto wanted = "; expected " + std::string(expected);
    if (presented.dns.empty() && presented.addresses.empty())
        return "names no host (no subjectAltName does, and a common name does not count)" + wanted;
    const auto octets = address_octets(expected);
    const bool as_name = !octets.empty() && std::any_of(presented.dns.begin(), presented.dns.end(),
                                                        [&](const auto& d) { return address_octets(d) == octets; });
    if (as_name) return "has the address as a DNS name, which does not count: it must be an iPAddress" + wanted;
    return "is for " + to_string(presented) + wanted;
}

}  // namespace postroad::tls
