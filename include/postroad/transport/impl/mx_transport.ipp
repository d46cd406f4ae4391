#pragma once

#include <postroad/core/percent.hpp>
#include <postroad/message/utf8.hpp>
#include <postroad/tls/names.hpp>
#include <postroad/transport/mx_transport.hpp>

#include <algorithm>

namespace postroad::transport::detail {

inline constexpr std::string_view maildir_scheme = "maildir://";

// The path in such a URL.
inline std::string maildir_of(std::string_view url) {
    auto path = postroad::detail::percent_decoded(url.substr(maildir_scheme.size()));
    if (!path || !path->starts_with('/') || path->size() < 2 || url.find_first_of("?#") != std::string_view::npos ||
        path->find('\0') != std::string::npos)
        throw error(errc::invalid_url,
                    "a route into a Maildir is written maildir:///path, with % as %25, ? as %3F and # as %23");
    return *std::move(path);
}

inline bool covers(std::string_view pattern, std::string_view domain) noexcept {
    if (pattern == "*") return true;
    if (!pattern.starts_with("*.")) return pattern == domain;
    return domain.size() > pattern.size() - 1 && domain.ends_with(pattern.substr(1));
}

// As domain_of() gives it; empty: it is none.
inline std::string looked_up_name(std::string_view name) {
    if (name.ends_with('.')) name.remove_suffix(1);
    error_code ec;
    const auto a = address::parse("x@" + std::string(name), ec);
    return ec ? std::string() : postroad::detail::in_lower_case(a.ascii_domain());
}

// Names and addresses as the DNS gives them: an IPv6 address has many forms. Empty: it is neither.
inline std::string own_name(std::string own) {
    own = postroad::detail::in_lower_case(std::move(own));
    std::string_view address = own;
    if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
    if (address.starts_with("ipv6:")) address.remove_prefix(5);
    if (auto canonical = net::read_address(postroad::tls::address_octets(address))) return *std::move(canonical);
    return looked_up_name(own);
}

inline std::string route_pattern(const std::string& domain) {
    if (domain == "*") return domain;
    const std::string_view below = domain.starts_with("*.") ? "*." : "";
    const auto name = looked_up_name(std::string_view(domain).substr(below.size()));
    if (name.empty())
        throw error(errc::invalid_option, "a route is for example.com, *.example.com or *, and \"" +
                                              escaped(domain, 60) + "\" is nothing of these");
    return std::string(below) + name;
}

POSTROAD_DECL std::optional<net::policy_failure> reported(const net::sts_finding& f) {
    using net::tls_result;
    switch (f.failure) {
        case net::sts_failure::none: break;
        case net::sts_failure::fetch_error: return net::policy_failure{tls_result::sts_policy_fetch_error, {}, f.why};
        case net::sts_failure::invalid: return net::policy_failure{tls_result::sts_policy_invalid, {}, f.why};
        case net::sts_failure::certificate_error: return net::policy_failure{tls_result::sts_webpki_invalid, {}, f.why};
    }
    return std::nullopt;
}

POSTROAD_DECL mx_table::mx_table(mx_options o) : options(std::move(o)), seed(postroad::detail::random_number()) {
    postroad::smtp::check_client_name(options.client_name);
    net::check(options.dialing);
    check(options.providers);
    for (const auto& p : options.providers)
        if (options.dialing.family != p.family && options.dialing.family != net::address_family::any &&
            p.family != net::address_family::any)
            throw error(errc::contradiction, "by the rule for " + escaped(p.provider, 60) +
                                                 " mail goes there by the family that dialing.family leaves out");
    if (options.processes == 0) throw error(errc::invalid_option, "at least one process sends, this one");
    // What options() gives is as it was given: whoever makes another transport of it would divide it again.
    auto own_part = options.sources;
    for (auto& s : own_part)
        if (s.warm_up)
            for (auto& n : s.warm_up->per_day) n /= options.processes;
    sources = mx_sources(std::move(own_part), options.bindings, options.providers);
    auto new_senders = options.senders;
    for (auto& s : new_senders)
        for (auto& n : s.warm_up.per_day) n /= options.processes;
    senders = mx_senders(new_senders);
    for (const auto& s : sources.all())
        net::check(net::dialing{.family = options.dialing.family, .local_addresses = s.addresses});
    if (!sources.empty() && !options.dialing.local_addresses.empty())
        throw error(errc::invalid_option, "either sources or dialing.local_addresses say where mail leaves from");
    if (options.port == 0) throw error(errc::invalid_option, "the servers of a domain have no port 0; it is 25");
    if (options.floor != security::opportunistic && options.floor != security::starttls)
        throw error(errc::invalid_option, "the floor of TLS is opportunistic or starttls");
    if (options.window == 0)
        throw error(errc::invalid_option, "a window of no messages would never send one; the least is 1");
    for (const auto& own : options.own)
        if (own_name(own).empty())
            throw error(errc::invalid_option, '"' + escaped(own, 60) + "\" is no name and no address of this host");
    rules = {.own = options.own,
             .port = options.port,
             .family = options.dialing.family,
             .private_addresses = options.private_addresses,
             .dane = options.dane,
             .mta_sts = static_cast<bool>(options.policies),
             .floor = options.floor,
             .providers = options.providers};
    for (auto& p : rules.providers) p.limits = part_of(p.limits, options.processes);
    // Whoever is asked must not be kept by who waits for the answer.
    options.policies = nullptr;
    rules.own.push_back(options.client_name);
    for (const auto& a : options.dialing.local_addresses) rules.own.push_back(a);
    for (const auto& s : sources.all()) {
        if (!s.client_name.empty()) rules.own.push_back(s.client_name);
        rules.own.insert(rules.own.end(), s.addresses.begin(), s.addresses.end());
    }
    for (auto& own : rules.own)
        if (auto name = own_name(own); !name.empty()) own = std::move(name);
    without_demands = rules;
    without_demands.dane = without_demands.mta_sts = false;
    for (const auto& r : options.routes) {
        auto one = read(r);
        if (one.to) name_account(*one.to);
        routes.push_back(std::move(one));
    }
}

POSTROAD_DECL mx_table::route mx_table::read(const mx_route& r) {
    if (r.domain.empty() || r.url.empty() == r.refusal.empty())
        throw error(errc::invalid_option, "a route names a domain, and either a URL or a refusal");
    route one{.domain = route_pattern(r.domain), .to = {}, .refusal = r.refusal};
    if (r.url.starts_with(maildir_scheme)) {
        one.maildir = maildir_of(r.url);
        one.to = url_parts{.server = {.name = one.maildir, .security = security::insecure_none}};
    } else if (!r.url.empty()) {
        one.to = parse_url(r.url, {});
        postroad::smtp::check_endpoint(one.to->server);
    }
    return one;
}

// Routes to one server share what is open there, unless they log in as different people.
POSTROAD_DECL void mx_table::name_account(url_parts& to) const {
    auto name = "route to " + to_string(to.server);
    if (!to.credentials.user.empty()) name += " as " + escaped(to.credentials.user);
    to.server.account = std::move(name);
    for (const auto& r : routes)
        if (r.to && r.to->server.account == to.server.account &&
            (r.to->server != to.server || r.to->credentials != to.credentials))
            throw error(errc::contradiction, "each " + to.server.account + " must have the same scheme and password");
}

POSTROAD_DECL const mx_table::route* mx_table::route_of(std::string_view domain) const noexcept {
    const auto found = std::ranges::find_if(routes, [&](const route& r) { return covers(r.domain, domain); });
    return found == routes.end() ? nullptr : &*found;
}

POSTROAD_DECL const mx_table::route* mx_table::route_to(const endpoint& host) const noexcept {
    // What came of the DNS is nobody's, whatever its name.
    const auto found = std::ranges::find_if(
        routes, [&](const route& r) { return r.to && !host.account.empty() && r.to->server.account == host.account; });
    return found == routes.end() ? nullptr : &*found;
}

POSTROAD_DECL located mx_table::along(const route& r, const std::string& domain) const {
    if (!r.to)
        return {.where = {}, .error = errc::suppressed, .why = "mail for " + domain + " is refused: " + r.refusal};
    return {.where = {.site = r.to->server.account, .provider = {}, .servers = {r.to->server}}, .error = {}, .why = {}};
}

POSTROAD_DECL std::string mx_table::domain_of(const address& to) const {
    auto domain = to.ascii_domain();
    return postroad::detail::in_lower_case(domain.empty() ? std::string(to.domain()) : std::move(domain));
}

inline std::chrono::sys_days today() { return std::chrono::floor<std::chrono::days>(net::wall_clock_now()); }

POSTROAD_DECL void mx_table::complete(located& found, std::string_view names, std::string_view group,
                                      std::string_view sender) const {
    if (found.error) return;
    const auto day = today();
    if (const auto* const s = sources.pick(names, group, found.where.servers)) {
        if (!mx_sources::reaches(*s, found.where.servers)) {
            found = {.where = {},
                     .error = errc::resolve_failed,
                     .why = "the source " + s->name + " has no address of a family that the servers have (4.4.4)"};
            return;
        }
        mx_sources::leave_from(*s, found.where, day, started);
    }
    if (sender.empty()) return;
    // On its last day it may be known for a little while more.
    const auto* const w = senders.find(sender, day);
    mx_senders::send_for(sender, w ? w->pace(day, started) : rate{}, found.where);
}

POSTROAD_DECL std::string mx_table::place_of(const envelope& e, const address& to, const sender_facts& who) const {
    auto place = domain_of(to);
    if (route_of(place)) return place;
    if (const auto from = sources.names(e, to, who); !from.empty()) (place += mx_sources::from) += from;
    if (senders.find(who.from_domain, today())) (place += mx_senders::behalf) += who.from_domain;
    if (who.tls_not_required && (rules.dane || rules.mta_sts)) place += whatever_its_tls;
    return place;
}

POSTROAD_DECL const std::string& mx_table::client_name_to(const endpoint& host) const noexcept {
    const auto* const source = sources.find(host.source);
    return source && !source->client_name.empty() ? source->client_name : options.client_name;
}

POSTROAD_DECL net::dialing mx_table::dialing_to(const endpoint& host) const {
    auto how = options.dialing;
    if (const auto* const s = sources.find(host.source)) how.local_addresses = mx_sources::addresses_to(*s, host);
    return how;
}

POSTROAD_DECL mx_session mx_table::make_session(const endpoint& host, std::string nonce, const lessons& known) const {
    using postroad::smtp::pipelining;
    auto mode = known.most(options.pipelining);
    const auto* routed = route_to(host);
    const auto* rule = routed ? nullptr : rule_for(options.providers, host.name);
    // The automatic mode begins as envelope, goes as far as a window, and takes no other ceiling.
    if (rule && rule->pipelining && !(mode == pipelining::automatic && *rule->pipelining == pipelining::window))
        mode = std::min(mode == pipelining::automatic ? pipelining::envelope : mode, *rule->pipelining);
    postroad::smtp::session_options how{
        .server = host,
        .client_name = client_name_to(host),
        .credentials = routed ? routed->to->credentials : postroad::smtp::credentials{},
        .pipelining = mode,
        .window = options.window,
        .chunking = !known.no_chunking,
        .starttls = !known.no_tls,
        .down_convert = options.down_convert,
        .relays = true,
        .recipients_per_transaction = least_said(options.recipients_per_transaction, rule ? rule->recipients : 0),
        .timeouts = options.timeouts,
        .nonce = std::move(nonce)};
    return routed && !routed->maildir.empty() ? mx_session(std::move(how), routed->maildir)
                                              : mx_session(std::move(how));
}

}  // namespace postroad::transport::detail

namespace postroad::transport {

POSTROAD_DECL mx_route route_of(std::string domain, std::string_view to) {
    constexpr std::string_view refuse = "refuse:";
    if (to.starts_with(refuse)) return {.domain = std::move(domain), .refusal = std::string(to.substr(refuse.size()))};
    return {.domain = std::move(domain), .url = std::string(to)};
}

POSTROAD_DECL void check(const mx_route& r) { (void)detail::mx_table::read(r); }

}  // namespace postroad::transport
