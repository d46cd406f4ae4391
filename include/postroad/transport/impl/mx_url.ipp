#pragma once

#include <postroad/core/error.hpp>
#include <postroad/core/number.hpp>
#include <postroad/message/utf8.hpp>
#include <postroad/tls/names.hpp>
#include <postroad/transport/mx_url.hpp>

#include <algorithm>
#include <initializer_list>
#include <utility>

namespace postroad::transport {
namespace detail {

inline constexpr std::string_view mx_scheme = "mx://";

// The place of the value among those that the option may have.
inline std::size_t which_of(const url_options::value_type& option, std::initializer_list<std::string_view> values) {
    std::size_t i = 0;
    std::string all;
    for (const auto v : values) {
        if (option.second == v) return i;
        all.append(i++ == 0 ? "" : ", ").append(v);
    }
    throw error(errc::invalid_option, "option \"" + option.first + "\" must be one of " + all);
}

inline std::vector<std::string> comma_list(const url_options::value_type& option) {
    const std::string_view value = option.second;
    std::vector<std::string> all;
    for (std::size_t from = 0; from <= value.size();) {
        const auto end = std::min(value.find(',', from), value.size());
        if (end > from) all.emplace_back(value.substr(from, end - from));
        from = end + 1;
    }
    if (all.empty()) throw error(errc::invalid_option, "option \"" + option.first + "\" names nothing");
    return all;
}

inline std::size_t as_number(const std::string& value) {
    return postroad::detail::whole_number<std::size_t>(value).value_or(0);
}

// check_options() has looked at numbers, and at the values of those that a server has as well.
inline void apply(mx_url& u, const url_options::value_type& option) {
    using postroad::smtp::pipelining;
    const auto& [name, value] = option;
    const auto on = [&] { return which_of(option, {"off", "on"}) == 1; };
    auto& o = u.options;
    if (name == "anchors") u.anchors_file = value;
    if (name == "cache") u.cache = value;
    if (name == "dane") o.dane = on();
    if (name == "dnssec") u.validate = on();
    if (name == "mta_sts") u.mta_sts = on();
    if (name == "family") {
        constexpr net::address_family families[] = {net::address_family::any, net::address_family::ipv4,
                                                    net::address_family::ipv6};
        o.dialing.family = families[which_of(option, {"any", "ipv4", "ipv6"})];
    }
    if (name == "own") o.own = comma_list(option);
    if (name == "private_addresses") o.private_addresses = which_of(option, {"true"}) == 0;
    if (name == "processes") o.processes = static_cast<unsigned>(as_number(value));
    if (name == "resolver") u.resolvers = comma_list(option);
    if (name == "rules") u.rules = value;
    if (name == "tls")
        o.floor = which_of(option, {"opportunistic", "required"}) == 0 ? security::opportunistic : security::starttls;
    if (name == "local") o.dialing.local_addresses = comma_list(option);
    if (name == "pipelining") o.pipelining = postroad::smtp::pipelining_named(value);
    if (name == "window") o.window = as_number(value);
    if (name == "recipients") o.recipients_per_transaction = as_number(value);
    if (name == "ca" || name == "connections") u.others.push_back(option);
    if (name == "pool") u.others.emplace_back("connections", value);
}

}  // namespace detail

POSTROAD_DECL bool is_mx_url(std::string_view url) noexcept {
    return postroad::detail::equal_ignoring_case(url.substr(0, detail::mx_scheme.size()), detail::mx_scheme);
}

POSTROAD_DECL mx_url parse_mx_url(std::string_view url) {
    if (!is_mx_url(url))
        throw error(errc::invalid_url, "the URL of a sender without a relay must begin with mx://, and name this host");
    const auto parts =
        parse_url("smtp+opportunistic://" + std::string(url.substr(detail::mx_scheme.size())), mx_url_option_names);
    if (!parts.credentials.empty())
        throw error(errc::invalid_url, "mx:// takes no user and no password: servers of strangers want none");
    url_options of_servers;
    for (const auto& o : parts.options) {
        if (o.second.empty()) throw error(errc::invalid_option, "option \"" + o.first + "\" has no value");
        if (o.first != "tls") of_servers.push_back(o);
    }
    check_options(of_servers);
    mx_url u;
    for (const auto& o : parts.options) detail::apply(u, o);
    const auto has = [&](std::string_view name) {
        return std::ranges::any_of(parts.options, [&](const auto& o) { return o.first == name; });
    };
    if (has("connections") && has("pool"))
        throw error(errc::invalid_option, "options \"connections\" and \"pool\" are the same");
    if (has("window") && u.options.pipelining < postroad::smtp::pipelining::window)
        throw error(errc::contradiction, "option \"window\" is of use with pipelining=window and automatic only");
    if (!u.mta_sts && !u.cache.empty())
        throw error(errc::contradiction, "option \"cache\" is for policies of MTA-STS, and mta_sts is off");
    if (parts.server.name.find('%') != std::string::npos)
        throw error(
            errc::invalid_url,
            "the host of mx:// is what EHLO says, and a zone is known to this machine only: leave the zone out, "
            "or better give a name");
    const auto octets = postroad::tls::address_octets(parts.server.name);
    u.options.client_name = octets.empty()       ? parts.server.name
                            : octets.size() == 4 ? '[' + parts.server.name + ']'
                                                 : "[IPv6:" + parts.server.name + ']';
    u.options.port = parts.server.port;
    return u;
}

}  // namespace postroad::transport
