#pragma once

#include <postroad/message/utf8.hpp>
#include <postroad/transport/mx_transport.hpp>

#include <algorithm>

namespace postroad::transport::detail {

inline bool covers(std::string_view pattern, std::string_view domain) noexcept {
    if (pattern == "*") return true;
    if (!pattern.starts_with("*.")) return pattern == domain;
    return domain.size() > pattern.size() - 1 && domain.ends_with(pattern.substr(1));
}

POSTROAD_DECL mx_table::mx_table(mx_options o) : options(std::move(o)), seed(postroad::detail::random_number()) {
    postroad::smtp::check_client_name(options.client_name);
    net::check(options.dialing);
    if (options.port == 0) throw error(errc::invalid_option, "the servers of a domain have no port 0; it is 25");
    if (options.window == 0)
        throw error(errc::invalid_option, "a window of no messages would never send one; the least is 1");
    rules = {.own = options.own,
             .port = options.port,
             .family = options.dialing.family,
             .private_addresses = options.private_addresses,
             .dane = options.dane,
             .mta_sts = static_cast<bool>(options.policies),
             .providers = options.providers};
    // Whoever is asked must not be kept by who waits for the answer.
    options.policies = nullptr;
    rules.own.push_back(options.client_name);
    for (const auto& a : options.dialing.local_addresses) rules.own.push_back(a);
    for (auto& own : rules.own) own = postroad::detail::in_lower_case(std::move(own));
    for (const auto& r : options.routes) {
        if (r.domain.empty() || r.url.empty() == r.refusal.empty())
            throw error(errc::invalid_option, "a route names a domain, and either a URL or a refusal");
        route read{.domain = postroad::detail::in_lower_case(r.domain), .to = {}, .refusal = r.refusal};
        if (!r.url.empty()) {
            read.to = parse_url(r.url, {});
            postroad::smtp::check_endpoint(read.to->server);
        }
        routes.push_back(std::move(read));
    }
}

POSTROAD_DECL const mx_table::route* mx_table::route_of(std::string_view domain) const noexcept {
    const auto found = std::ranges::find_if(routes, [&](const route& r) { return covers(r.domain, domain); });
    return found == routes.end() ? nullptr : &*found;
}

POSTROAD_DECL const mx_table::route* mx_table::route_to(const endpoint& host) const noexcept {
    const auto found = std::ranges::find_if(routes, [&](const route& r) {
        return r.to && r.to->server.name == host.name && r.to->server.port == host.port &&
               r.to->server.protocol == host.protocol;
    });
    return found == routes.end() ? nullptr : &*found;
}

POSTROAD_DECL located mx_table::along(const route& r, const std::string& domain) const {
    if (!r.to)
        return {.where = {}, .error = errc::suppressed, .why = "mail for " + domain + " is refused: " + r.refusal};
    return {.where = {.site = "route to " + to_string(r.to->server), .provider = {}, .servers = {r.to->server}},
            .error = {},
            .why = {}};
}

POSTROAD_DECL std::string mx_table::domain_of(const address& to) const {
    auto domain = to.ascii_domain();
    return postroad::detail::in_lower_case(domain.empty() ? std::string(to.domain()) : std::move(domain));
}

POSTROAD_DECL postroad::smtp::session mx_table::make_session(const endpoint& host, std::string nonce,
                                                             const lessons& known) const {
    using postroad::smtp::pipelining;
    auto mode = options.pipelining;
    if (known.no_overlap) mode = std::min(mode, pipelining::envelope);
    if (known.no_pipelining) mode = pipelining::lockstep;
    auto server = host;
    if (host.security == security::opportunistic && known.no_tls) server.security = security::insecure_none;
    const auto* routed = route_to(host);
    return postroad::smtp::session({.server = std::move(server),
                                    .client_name = options.client_name,
                                    .credentials = routed ? routed->to->credentials : postroad::smtp::credentials{},
                                    .pipelining = mode,
                                    .window = options.window,
                                    .chunking = !known.no_chunking,
                                    .down_convert = options.down_convert,
                                    .recipients_per_transaction = options.recipients_per_transaction,
                                    .timeouts = options.timeouts,
                                    .nonce = std::move(nonce)});
}

}  // namespace postroad::transport::detail
