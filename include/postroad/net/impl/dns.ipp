#pragma once

#include <postroad/message/utf8.hpp>
#include <postroad/net/asio.hpp>
#include <postroad/net/dns.hpp>

#include <algorithm>
#include <array>

namespace postroad::net {
namespace detail {

constexpr std::size_t max_dns_name = 253;
constexpr std::size_t max_dns_label = 63;

inline unsigned octet(char c) noexcept { return static_cast<unsigned char>(c); }

// Letters, digits, hyphens and, since they exist, underscores; in lower case. 0: anything else.
inline char host_octet(char c) noexcept {
    c = postroad::detail::to_lower(c);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ? c : '\0';
}

inline std::optional<std::string> read_labels(std::string_view labels) {
    std::string name;
    while (!labels.empty()) {
        const std::size_t size = octet(labels.front());
        labels.remove_prefix(1);
        if (size == 0) return labels.empty() && name.size() <= max_dns_name ? std::optional(name) : std::nullopt;
        if (size > max_dns_label || size > labels.size()) return std::nullopt;
        if (!name.empty()) name += '.';
        for (const char c : labels.substr(0, size)) {
            if (host_octet(c) == '\0') return std::nullopt;
            name += host_octet(c);
        }
        labels.remove_prefix(size);
    }
    return std::nullopt;
}

inline bool is_public(const asio::ip::address_v4& a) noexcept {
    struct network {
        std::uint32_t prefix;
        unsigned bits;
    };
    // RFC 6890, RFC 6598: what no stranger's server can have.
    constexpr network others[] = {
        {0x00000000, 8},  // "this network"
        {0x0a000000, 8},  {0x64400000, 10}, {0x7f000000, 8},  {0xa9fe0000, 16}, {0xac100000, 12},
        {0xc0000000, 24}, {0xc0a80000, 16}, {0xc6120000, 15}, {0xe0000000, 3},  // multicast, and what is reserved
    };
    const auto n = a.to_uint();
    return std::ranges::none_of(others, [n](const network& o) { return (n ^ o.prefix) >> (32 - o.bits) == 0; });
}

inline bool is_public(const asio::ip::address_v6& a) noexcept {
    const auto b = a.to_bytes();
    const auto embedded = [&b](std::size_t at) {
        return is_public(asio::ip::address_v4({b[at], b[at + 1], b[at + 2], b[at + 3]}));
    };
    const bool first_ten_null = std::all_of(b.begin(), b.begin() + 10, [](auto o) { return o == 0; });
    if (a.is_v4_mapped()) return embedded(12);
    if (first_ten_null) return false;                      // "::", "::1", and what was once compatible with IPv4
    if (b[0] == 0x20 && b[1] == 0x02) return embedded(2);  // 6to4
    constexpr std::array<unsigned char, 12> nat64 = {0, 0x64, 0xff, 0x9b};
    if (std::equal(nat64.begin(), nat64.end(), b.begin())) return embedded(12);
    const bool unique_local = (b[0] & 0xfe) == 0xfc;
    constexpr std::array<unsigned char, 6> own_nat64 = {0, 0x64, 0xff, 0x9b, 0, 1};  // RFC 8215
    if (std::equal(own_nat64.begin(), own_nat64.end(), b.begin())) return false;
    return !unique_local && !a.is_link_local() && !a.is_site_local() && !a.is_multicast();
}

inline std::uint16_t number_at(std::string_view rdata, std::size_t at) noexcept {
    return static_cast<std::uint16_t>(octet(rdata[at]) << 8 | octet(rdata[at + 1]));
}

}  // namespace detail

POSTROAD_DECL std::optional<mx_record> read_mx(std::string_view rdata) {
    if (rdata.size() < 3) return std::nullopt;
    auto host = detail::read_labels(rdata.substr(2));
    if (!host) return std::nullopt;
    return mx_record{.preference = detail::number_at(rdata, 0), .host = *std::move(host)};
}

POSTROAD_DECL std::optional<srv_record> read_srv(std::string_view rdata) {
    if (rdata.size() < 7) return std::nullopt;
    auto host = detail::read_labels(rdata.substr(6));
    if (!host) return std::nullopt;
    return srv_record{.priority = detail::number_at(rdata, 0),
                      .weight = detail::number_at(rdata, 2),
                      .port = detail::number_at(rdata, 4),
                      .host = *std::move(host)};
}

POSTROAD_DECL std::optional<std::string> read_name(std::string_view rdata) { return detail::read_labels(rdata); }

POSTROAD_DECL std::string reverse_name(std::string_view address) {
    asio::error_code ec;
    const auto a = asio::ip::make_address(address, ec);
    if (ec) return {};
    std::string name;
    if (a.is_v4()) {
        for (const auto octet : a.to_v4().to_bytes()) name.insert(0, std::to_string(octet) + '.');
        return name + "in-addr.arpa";
    }
    constexpr char digits[] = "0123456789abcdef";
    for (const auto octet : a.to_v6().to_bytes())
        name.insert(0, std::string{digits[octet & 15], '.', digits[octet >> 4], '.'});
    return name + "ip6.arpa";
}

POSTROAD_DECL std::optional<std::string> read_address(std::string_view rdata) {
    if (rdata.size() == 4) {
        asio::ip::address_v4::bytes_type octets;
        std::copy(rdata.begin(), rdata.end(), octets.begin());
        return asio::ip::address_v4(octets).to_string();
    }
    if (rdata.size() != 16) return std::nullopt;
    asio::ip::address_v6::bytes_type octets;
    std::copy(rdata.begin(), rdata.end(), octets.begin());
    return asio::ip::address_v6(octets).to_string();
}

POSTROAD_DECL std::optional<std::string> read_txt(std::string_view rdata) {
    std::string text;
    while (!rdata.empty()) {
        const std::size_t size = detail::octet(rdata.front());
        if (size >= rdata.size()) return std::nullopt;
        text += rdata.substr(1, size);
        rdata.remove_prefix(1 + size);
    }
    return text;
}

POSTROAD_DECL std::optional<std::string> to_labels(std::string_view name) {
    if (name.size() > detail::max_dns_name) return std::nullopt;
    std::string labels;
    while (!name.empty()) {
        const auto label = name.substr(0, name.find('.'));
        if (label.empty() || label.size() > detail::max_dns_label) return std::nullopt;
        if (std::ranges::any_of(label, [](char c) { return detail::host_octet(c) == '\0'; })) return std::nullopt;
        labels += static_cast<char>(label.size());
        labels += label;
        if (label.size() + 1 == name.size()) return std::nullopt;  // ends with a dot
        name.remove_prefix(std::min(label.size() + 1, name.size()));
    }
    return labels + '\0';
}

POSTROAD_DECL bool is_public(std::string_view address) {
    std::error_code ec;
    const auto a = asio::ip::make_address(std::string(address), ec);
    if (ec) return false;
    return a.is_v4() ? detail::is_public(a.to_v4()) : detail::is_public(a.to_v6());
}

}  // namespace postroad::net
