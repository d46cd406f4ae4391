#pragma once

#include <postroad/core/error.hpp>
#include <postroad/tls/constraints.hpp>
#include <postroad/tls/detail/der.hpp>
#include <postroad/tls/impl/names.ipp>

#include <algorithm>
#include <vector>

namespace postroad::tls {
namespace detail {

/// One of the two lists of name constraints. An address stands with its mask behind it.
struct subtrees {
    std::vector<std::string_view> dns = {}, addresses = {};
    bool readable = true;

    explicit subtrees(std::string_view list) {
        while (!list.empty()) {
            auto subtree = next_content(list, der::sequence);
            const auto base = next_value(subtree);
            // minimum and maximum are not to be used (RFC 5280)
            readable = readable && base.tag != 0 && base.tag != der::constructed(4) && subtree.empty();
            if (base.tag == der::primitive(2)) dns.push_back(base.content);
            if (base.tag == der::primitive(7)) {
                addresses.push_back(base.content);
                readable = readable && (base.content.size() == 8 || base.content.size() == 32);
            }
        }
    }

    bool has_dns(std::string_view name) const {
        return std::any_of(dns.begin(), dns.end(), [&](std::string_view root) {
            if (root.empty() || postroad::detail::equal_ignoring_case(root, name)) return true;
            if (root.size() >= name.size()) return false;
            const auto tail = name.substr(name.size() - root.size());
            return postroad::detail::equal_ignoring_case(tail, root) &&
                   (root[0] == '.' || name[name.size() - root.size() - 1] == '.');
        });
    }
    bool has_address(std::string_view octets) const {
        return std::any_of(addresses.begin(), addresses.end(), [&](std::string_view range) {
            if (range.size() != 2 * octets.size()) return false;
            for (std::size_t i = 0; i < octets.size(); ++i)
                if ((octets[i] ^ range[i]) & range[octets.size() + i]) return false;
            return true;
        });
    }
};

}  // namespace detail

POSTROAD_DECL std::string constraint_violation(std::string_view name_constraints, const certificate_names& names,
                                               std::string_view expected) {
    using namespace detail;
    auto lists = next_content(name_constraints, der::sequence);
    std::string_view permitted_list, excluded_list;
    auto value = next_value(lists);
    if (value.tag == der::constructed(0)) {
        permitted_list = value.content;
        value = next_value(lists);
    }
    if (value.tag == der::constructed(1)) {
        excluded_list = value.content;
        value = next_value(lists);
    }
    const subtrees permitted(permitted_list), excluded(excluded_list);
    if (value.tag != 0 || (permitted_list.empty() && excluded_list.empty()) || !permitted.readable ||
        !excluded.readable)
        return std::string(constraints_unreadable);

    const auto refused = [](const std::string& name) { return "may not speak for " + escaped(name, 80); };
    // The name that is meant is looked at as well: a wildcard may reach into what is excluded.
    auto dns = names.dns;
    auto addresses = names.addresses;
    if (auto octets = address_octets(expected); !octets.empty())
        addresses.push_back(std::move(octets));
    else
        dns.emplace_back(expected);
    for (const auto& name : dns) {
        const auto plain = std::string_view(name).substr(name.starts_with("*.") ? 2 : 0);
        if ((!permitted.dns.empty() && !permitted.has_dns(plain)) || excluded.has_dns(plain)) return refused(name);
    }
    for (const auto& octets : addresses)
        if ((!permitted.addresses.empty() && !permitted.has_address(octets)) || excluded.has_address(octets))
            return refused(address_text(octets));
    return {};
}

}  // namespace postroad::tls
