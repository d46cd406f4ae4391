#pragma once

#include <postroad/transport/mx_sources.hpp>

#include <postroad/core/error.hpp>
#include <postroad/core/random.hpp>
#include <postroad/net/eyeballs.hpp>
#include <postroad/smtp/session.hpp>

#include <algorithm>
#include <functional>
#include <utility>

namespace postroad::transport {
namespace detail {

// Equal in each process and build: a delivery must find its source again.
inline std::uint64_t stable_hash(std::string_view text, std::uint64_t h = 0xcbf29ce484222325u) noexcept {
    for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    return postroad::detail::scrambled(h);
}

inline bool has_family(const mx_source& s, net::address_family family) noexcept {
    return family == net::address_family::any || std::ranges::any_of(s.addresses, [&](const std::string& a) {
               return net::is_ipv6(a) == (family == net::address_family::ipv6);
           });
}

inline bool is_for_all(const source_binding& b) noexcept { return b.tenant.empty() && !b.traffic_class; }

}  // namespace detail

POSTROAD_DECL rate warm_up::pace(std::chrono::sys_days today) const noexcept {
    const auto day = static_cast<std::size_t>(std::max<long>((today - since).count(), 0));
    if (day >= per_day.size()) return {};
    return {std::max(per_day[day], 1u), std::chrono::hours(24)};
}

POSTROAD_DECL rate warm_up::pace(std::chrono::sys_days today, const net::moment& started) const noexcept {
    auto r = pace(today);
    const auto first = std::chrono::floor<std::chrono::days>(started.wall);
    if (!r.limited() || today != first) return r;
    const duration part = r.interval();
    const duration since_midnight = started.wall - first;
    r.begins = after(started.at, (part - since_midnight % part) % part);
    return r;
}

POSTROAD_DECL mx_sources::mx_sources(std::vector<mx_source> all, std::vector<source_binding> bindings,
                                     const provider_rules& providers)
    : all_(std::move(all)), bindings_(std::move(bindings)) {
    const auto refuse = [](const std::string& text) { throw error(errc::invalid_option, text); };
    for (const auto& s : all_) {
        if (s.name.empty() || s.name.find(' ') != std::string::npos) refuse("a source has a name, without spaces");
        if (find(s.name) != &s) refuse("two sources are named " + escaped(s.name, 60));
        if (s.addresses.empty()) refuse("the source " + escaped(s.name, 60) + " has no address");
        net::check(net::dialing{.local_addresses = s.addresses});
        if (!s.client_name.empty()) postroad::smtp::check_client_name(s.client_name);
    }
    const bool left_out = std::ranges::none_of(all_, [](const mx_source& s) { return s.group.empty(); }) &&
                          std::ranges::none_of(bindings_, detail::is_for_all);
    if (!all_.empty() && left_out)
        refuse("no source is for what no binding fits: leave one without a group, or bind all the rest");
    const auto has = [&](const std::string& group) {
        return std::ranges::find(all_, group, &mx_source::group) != all_.end();
    };
    for (const auto& b : bindings_)
        if (!has(b.group))
            refuse("no source is in the group " + escaped(b.group, 60) + ", to which something is bound");
    for (const auto& p : providers) {
        if (p.group.empty()) continue;
        if (!has(p.group))
            refuse("no source is in the group " + escaped(p.group, 60) + ", from which mail to " +
                   escaped(p.provider, 60) + " is to leave");
        if (std::ranges::find(groups_, p.group) == groups_.end()) groups_.push_back(p.group);
    }
}

POSTROAD_DECL const mx_source* mx_sources::find(std::string_view name) const noexcept {
    const auto found = std::ranges::find(all_, name, &mx_source::name);
    return found == all_.end() ? nullptr : &*found;
}

POSTROAD_DECL const mx_source* mx_sources::choose(const envelope& e, const address& to, const sender_facts& who,
                                                  std::string_view group, net::address_family family) const {
    const auto bound = std::ranges::find_if(bindings_, [&](const source_binding& b) {
        return (b.tenant.empty() || b.tenant == who.tenant) &&
               (!b.traffic_class || *b.traffic_class == who.traffic_class);
    });
    if (bound != bindings_.end() && (group.empty() || !detail::is_for_all(*bound))) group = bound->group;
    const auto key = detail::stable_hash(to.str(), detail::stable_hash(e.reverse_path.str()));
    const mx_source* best = nullptr;
    std::uint64_t most = 0;
    for (const auto& s : all_) {
        if (s.group != group || !detail::has_family(s, family)) continue;
        const auto weight = detail::stable_hash(s.name, key);
        if (best && weight <= most) continue;
        best = &s;
        most = weight;
    }
    return best;
}

POSTROAD_DECL std::string mx_sources::names(const envelope& e, const address& to, const sender_facts& who) const {
    std::vector<const mx_source*> all;
    const auto add = [&](const mx_source* s) {
        if (s && std::ranges::find(all, s) == all.end()) all.push_back(s);
    };
    const auto add_group = [&](std::string_view group) {
        const auto* const best = choose(e, to, who, group);
        add(best);
        for (const auto family : {net::address_family::ipv4, net::address_family::ipv6})
            if (!detail::has_family(*best, family)) add(choose(e, to, who, group, family));
    };
    if (all_.empty()) return {};
    add_group({});
    for (const auto& group : groups_) add_group(group);
    std::string text;
    for (const auto* s : all) (text += text.empty() ? std::string_view() : or_) += s->name;
    return text;
}

POSTROAD_DECL const mx_source* mx_sources::pick(std::string_view names, std::string_view group,
                                                const std::vector<endpoint>& servers) const {
    std::vector<const mx_source*> all;
    for (auto end = std::size_t(0); end != std::string_view::npos;) {
        end = names.find(or_);
        if (const auto* const s = find(names.substr(0, end))) all.push_back(s);
        if (end != std::string_view::npos) names.remove_prefix(end + or_.size());
    }
    if (all.empty()) return nullptr;
    // What is bound has no others.
    const auto is_of = [](std::string_view g) { return [g](const mx_source* s) { return s->group == g; }; };
    if (group.empty() || std::ranges::none_of(all, is_of(group))) group = all.front()->group;
    std::erase_if(all, std::not_fn(is_of(group)));
    const auto found = std::ranges::find_if(all, [&](const mx_source* s) { return reaches(*s, servers); });
    return found == all.end() ? all.front() : *found;
}

POSTROAD_DECL bool mx_sources::reaches(const mx_source& s, const std::vector<endpoint>& servers) {
    const auto has = [&](const std::string& theirs) {
        return detail::has_family(s, net::is_ipv6(theirs) ? net::address_family::ipv6 : net::address_family::ipv4);
    };
    return std::ranges::any_of(servers, [&](const endpoint& to) {
        return to.addresses.all.empty() || std::ranges::any_of(to.addresses.all, has);
    });
}

POSTROAD_DECL std::vector<std::string> mx_sources::addresses_to(const mx_source& s, const endpoint& server) {
    for (const auto& own : s.addresses)
        for (const auto& theirs : server.addresses.all)
            if (net::is_ipv6(own) == net::is_ipv6(theirs)) return {own};
    return s.addresses;
}

POSTROAD_DECL void mx_sources::leave_from(const mx_source& s, location& where, std::chrono::sys_days today,
                                          const net::moment& started) {
    (where.site += from) += s.name;
    (where.provider += from) += s.name;
    for (auto& server : where.servers) server.source = s.name;
    if (!s.warm_up) return;
    where.limits.pace = slower(where.limits.pace, s.warm_up->pace(today, started));
    // Asked again each minute, so that a new day has its new ceiling.
    where.valid_until = time_point::min();
}

POSTROAD_DECL mx_senders::mx_senders(const std::vector<mx_sender>& all) {
    for (const auto& s : all) {
        error_code ec;
        const auto a = address::parse("x@" + s.domain, ec);
        if (s.domain != "*" && (ec || s.domain.starts_with('[')))
            throw error(errc::invalid_option, "no mail is from the domain \"" + escaped(s.domain, 60) + '"');
        const auto domain = s.domain == "*" ? s.domain : postroad::detail::in_lower_case(a.ascii_domain());
        if (!all_.emplace(domain, s.warm_up).second)
            throw error(errc::invalid_option, "two senders are of the domain " + escaped(s.domain, 60));
    }
}

POSTROAD_DECL const warm_up* mx_senders::find(std::string_view domain, std::chrono::sys_days today) const noexcept {
    if (domain.empty()) return nullptr;
    auto found = all_.find(domain);
    if (found == all_.end()) found = all_.find("*");
    return found != all_.end() && found->second.pace(today).limited() ? &found->second : nullptr;
}

POSTROAD_DECL void mx_senders::send_for(std::string_view domain, rate pace, location& where) {
    where.stream = where.provider;
    // Of all its sources: who receives counts by the domain.
    where.stream.erase(std::min(where.stream.rfind(mx_sources::from), where.stream.size()));
    (where.stream += behalf) += domain;
    where.stream_pace = pace;
    (where.site += behalf) += domain;
    where.valid_until = time_point::min();
}

}  // namespace postroad::transport
