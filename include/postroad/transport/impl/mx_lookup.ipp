#pragma once

#include <postroad/core/random.hpp>
#include <postroad/message/utf8.hpp>
#include <postroad/net/eyeballs.hpp>
#include <postroad/tls/dane.hpp>
#include <postroad/tls/names.hpp>
#include <postroad/transport/mx_lookup.hpp>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <set>

namespace postroad::transport {

POSTROAD_DECL mx_lookup::mx_lookup(std::string domain, const mx_rules& rules, std::uint64_t seed)
    : domain_(std::move(domain)), rules_(&rules), seed_(seed ^ std::hash<std::string>()(domain_)) {
    if (domain_.starts_with('['))
        literal(domain_);
    else if (domain_.empty() || !net::to_labels(domain_))
        fail(errc::domain_unknown, "\"" + escaped(domain_) + "\" is no domain of the DNS (5.1.2)");
    else
        ask(domain_, net::record_type::mx);
    if (rules_->mta_sts && !questions_.empty()) ask("_mta-sts." + domain_, net::record_type::txt);
}

// The mailbox is at that address: there is nothing to look up (RFC 5321 section 4.1.3).
POSTROAD_DECL void mx_lookup::literal(std::string_view text) {
    text.remove_prefix(1);
    if (text.ends_with(']')) text.remove_suffix(1);
    constexpr std::string_view tag = "ipv6:";
    const bool tagged =
        text.size() > tag.size() && postroad::detail::equal_ignoring_case(text.substr(0, tag.size()), tag);
    if (tagged) text.remove_prefix(tag.size());
    host h{.name = std::string(text)};
    net::dns_answer as_found{.status = net::dns_status::found, .valid_until = never};
    const auto octets = postroad::tls::address_octets(text);
    if (octets.size() != (tagged ? 16U : 4U))
        return fail(errc::domain_unknown, escaped(domain_) + " is no address (5.1.2)");
    as_found.records.push_back(octets);
    const auto family = family_for(h);
    if (family != net::address_family::any && tagged != (family == net::address_family::ipv6))
        return fail(errc::resolve_failed, why_family(h));
    h.missing = 1;
    hosts_.push_back(std::move(h));
    address_of(hosts_.front(), as_found);
}

POSTROAD_DECL void mx_lookup::fail(errc e, std::string why) {
    error_ = e;
    why_ = std::move(why);
    questions_.clear();
}

POSTROAD_DECL std::optional<mx_lookup::question> mx_lookup::poll() {
    if (questions_.empty()) return std::nullopt;
    auto q = std::move(questions_.front());
    questions_.pop_front();
    ++asked_;
    return q;
}

POSTROAD_DECL void mx_lookup::answered(const question& q, net::dns_answer a) {
    --asked_;
    if (a.trust == net::dns_trust::bogus) a.status = net::dns_status::failed;
    if (a.status != net::dns_status::failed) until(a.valid_until);
    if (q.type == net::record_type::txt) return policy_record(a);
    if (q.type == net::record_type::mx) return servers(a);
    const auto whose = std::ranges::find(about_, q, &std::pair<question, std::size_t>::first);
    if (whose == about_.end()) return;
    auto& h = hosts_[whose->second];
    about_.erase(whose);
    if (q.type == net::record_type::tlsa) return tlsa_of(h, q, a);
    if (q.type == net::record_type::cname) return alias_of(h, a);
    if (is_other_family(h, q, a)) return;
    address_of(h, a);
}

POSTROAD_DECL void mx_lookup::policy_record(const net::dns_answer& a) {
    sts_.emplace();
    sts_->known = a.status != net::dns_status::failed;
    std::vector<std::string> texts;
    for (const auto& rdata : a.records)
        if (auto text = net::read_txt(rdata)) texts.push_back(*std::move(text));
    if (sts_->known) sts_->id = net::read_sts_record(texts).value_or("");
}

POSTROAD_DECL void mx_lookup::servers(net::dns_answer& a) {
    using net::dns_status;
    if (a.trust == net::dns_trust::bogus) untrusted({}, a.why);
    if (a.status == dns_status::failed)
        return fail(errc::resolve_failed, "the servers of " + domain_ + " cannot be looked up (4.4.3): " +
                                              (a.trust == net::dns_trust::bogus
                                                   ? "its signatures are wrong, or the resolver passes no DNSSEC on: "
                                                   : "") +
                                              a.why);
    if (a.status == dns_status::no_name)
        return fail(errc::domain_unknown, "the domain " + domain_ + " does not exist (5.1.2)");
    const bool is_signed = a.trust == net::dns_trust::secure;
    std::vector<net::mx_record> found;
    if (a.status == dns_status::no_data) {
        // The domain itself is the server (RFC 5321 section 5.1).
        found.push_back({.preference = 0, .host = domain_});
    } else {
        for (const auto& rdata : a.records)
            if (auto r = net::read_mx(rdata)) found.push_back(*std::move(r));
        if (!found.empty() && std::ranges::all_of(found, [](const auto& r) { return r.host.empty(); }))
            return fail(errc::domain_takes_no_mail, "the domain " + domain_ + " takes no mail (5.1.10, RFC 7505)");
        std::erase_if(found, [](const net::mx_record& r) { return r.host.empty(); });
        if (found.empty()) return fail(errc::domain_unknown, "no MX record of " + domain_ + " names a server (5.4.4)");
    }
    // Sorted with the names, so that the order depends on the seed and not on the order of the answer.
    std::ranges::sort(found);
    auto draw = seed_;
    for (auto first = found.begin(); first != found.end();) {
        const auto last =
            std::find_if(first, found.end(), [&](const auto& r) { return r.preference != first->preference; });
        for (auto n = last - first; n > 1; --n) {
            draw = postroad::detail::scrambled(draw);
            std::iter_swap(first + n - 1, first + static_cast<std::ptrdiff_t>(draw % static_cast<std::uint64_t>(n)));
        }
        first = last;
    }
    std::set<std::string_view> seen;
    for (auto& r : found)
        if (seen.insert(r.host).second)
            hosts_.push_back({.name = r.host, .preference = r.preference, .secure = is_signed, .own = is_own(r.host)});
    stop_at_own();
    if (hosts_.empty()) return;
    if (hosts_.size() > max_servers) hosts_.resize(max_servers);
    for (auto& h : hosts_) {
        const auto want = [&](net::record_type type) {
            ask(h, h.name, type);
            ++h.missing;
        };
        const auto family = family_for(h);
        if (family != net::address_family::ipv4) want(net::record_type::aaaa);
        if (family != net::address_family::ipv6) want(net::record_type::a);
    }
}

// Who is no better than we are would send the mail back to us.
POSTROAD_DECL void mx_lookup::stop_at_own() {
    const auto own = std::ranges::find_if(hosts_, &host::own);
    if (own == hosts_.end()) return;
    const auto name = own->name;
    const auto preference = own->preference;
    std::erase_if(hosts_, [&](const host& h) { return h.preference >= preference; });
    if (hosts_.empty())
        fail(errc::mail_loop, "mail for " + domain_ + " loops: " + name + ", its best server, is this host (5.4.6)");
}

POSTROAD_DECL void mx_lookup::ask(host& h, std::string name, net::record_type type) {
    ask(std::move(name), type);
    about_.emplace_back(questions_.back(), static_cast<std::size_t>(&h - hosts_.data()));
}

// What all mail leaves by goes before what the provider's rule says.
POSTROAD_DECL net::address_family mx_lookup::family_for(const host& h) const {
    if (rules_->family != net::address_family::any) return rules_->family;
    const auto* const rule = rule_for(rules_->providers, h.name);
    return rule ? rule->family : net::address_family::any;
}

POSTROAD_DECL std::string mx_lookup::why_family(const host& h) const {
    const auto* const rule = rule_for(rules_->providers, h.name);
    return h.name + " has no address of " + (family_for(h) == net::address_family::ipv4 ? "IPv4" : "IPv6") +
           ", by which mail " +
           (rules_->family != net::address_family::any ? "leaves here"
            : rule->provider == "*"                    ? "goes there by the rule for all others"
                                                       : "goes there by the rule for " + escaped(rule->provider, 60)) +
           " (4.4.4)";
}

// Who has addresses of the other family only cannot be reached from here, which is our fault and not the domain's.
POSTROAD_DECL bool mx_lookup::is_other_family(host& h, const question& q, const net::dns_answer& a) {
    using net::record_type;
    const auto family = family_for(h);
    if (family == net::address_family::any) return false;
    const bool by_four = family == net::address_family::ipv4;
    if (q.type == (by_four ? record_type::a : record_type::aaaa)) {
        if (a.status != net::dns_status::no_data) return false;
        ask(h, h.name, by_four ? record_type::aaaa : record_type::a);
        return true;
    }
    --h.missing;
    h.other_family = a.status == net::dns_status::found;
    h.unknown = a.status == net::dns_status::failed;
    h.why = h.unknown ? "the addresses of " + h.name + " cannot be looked up (4.4.3): " + a.why : why_family(h);
    return true;
}

POSTROAD_DECL void mx_lookup::address_of(host& h, net::dns_answer& a) {
    --h.missing;
    take_addresses(h, a);
    if (!a.canonical.empty() && a.canonical != h.name) {
        h.alias = true;
        h.own = h.own || is_own(a.canonical);
        if (a.trust == net::dns_trust::secure) h.canonical = std::move(a.canonical);
    }
    if (h.missing == 0 && rules_->dane && h.secure) find_tlsa(h);
}

// All that leads to its addresses is signed, or at least its own name, where that is an alias (RFC 7672 section 2.2.2).
POSTROAD_DECL void mx_lookup::find_tlsa(host& h) {
    if (!h.signed_ones.empty()) return ask_tlsa(h, h.canonical.empty() ? h.name : h.canonical);
    if (h.alias && !h.addresses.empty()) ask(h, h.name, net::record_type::cname);
}

POSTROAD_DECL void mx_lookup::alias_of(host& h, const net::dns_answer& a) {
    if (a.status == net::dns_status::failed) {
        untrusted(h.name, a.why);
        h.unknown = true;
        h.addresses.clear();
        h.why = "what " + h.name + " stands for cannot be looked up (4.7.5): " + a.why;
    } else if (a.status == net::dns_status::found && a.trust == net::dns_trust::secure) {
        h.signed_ones = h.addresses;
        ask_tlsa(h, h.name);
    }
}

POSTROAD_DECL void mx_lookup::take_addresses(host& h, const net::dns_answer& a) {
    const bool is_signed = a.trust == net::dns_trust::secure;
    if (a.status == net::dns_status::failed) {
        if (a.trust == net::dns_trust::bogus) untrusted(h.name, a.why);
        h.unknown = true;
        h.why = "the addresses of " + h.name + " cannot be looked up (4.4.3): " + a.why;
    }
    if (a.status == net::dns_status::found)
        for (const auto& rdata : a.records) {
            auto address = net::read_address(rdata);
            if (!address) continue;
            if (is_own(*address)) {
                h.own = true;
            } else if (!rules_->private_addresses && !net::is_public(*address)) {
                h.not_public = true;
                h.why = h.name + " is at " + *address + ", which is no public address";
            } else {
                if (is_signed) h.signed_ones.push_back(*address);
                h.addresses.push_back(*std::move(address));
            }
        }
}

POSTROAD_DECL std::string mx_lookup::tlsa_name(const std::string& base) const {
    return "_" + std::to_string(rules_->port) + "._tcp." + base;
}

POSTROAD_DECL void mx_lookup::tlsa_of(host& h, const question& q, net::dns_answer& a) {
    using net::dns_status;
    if (a.status == dns_status::failed) {
        untrusted(h.name, a.why);
        // Whoever can make it fail must not be able to take the demand away (RFC 7672 section 2.1.2).
        h.unknown = true;
        h.addresses.clear();
        h.why = "the TLSA records of " + h.name + " cannot be looked up (4.7.5): " + a.why;
        return;
    }
    if (a.status == dns_status::found && a.trust == net::dns_trust::secure) {
        h.described = q.name == tlsa_name(h.name) ? h.name : h.canonical;
        h.tlsa = std::move(a.records);
        std::ranges::sort(h.tlsa);
        if (postroad::tls::usable_tlsa(h.tlsa).empty())
            failures_.push_back({.result = net::tls_result::tlsa_invalid,
                                 .mx_host = h.described,
                                 .reason = "none of the TLSA records can be used"});
        h.addresses = h.signed_ones;
    } else if (q.name != tlsa_name(h.name)) {
        // An alias: first by the name it stands for, then by its own (RFC 7672 section 2.2.2).
        ask_tlsa(h, h.name);
    }
}

POSTROAD_DECL located mx_lookup::result() {
    if (!why_.empty()) return {.where = {}, .error = error_, .why = std::move(why_)};
    stop_at_own();
    if (!why_.empty()) return {.where = {}, .error = error_, .why = std::move(why_)};
    obey_policy();
    if (!why_.empty()) return {.where = {}, .error = error_, .why = std::move(why_)};
    // The name that has the records is the one that the server is asked for (RFC 7672 section 2.2.3). Policies and CAs
    // know it by that of its MX record (RFC 8461 section 4.1).
    for (auto& h : hosts_)
        if (!h.tlsa.empty()) h.name = h.described;
    const auto all = hosts_;
    std::erase_if(hosts_, [](const host& h) { return h.addresses.empty(); });
    if (hosts_.empty()) {
        hosts_ = all;
        nothing_left();
        return {.where = {}, .error = error_, .why = std::move(why_)};
    }
    choose();
    // A policy that could not be had may be there: it is looked for again with the next mail.
    if (sts_ && !policy_ && (!sts_->known || !sts_->id.empty())) until(time_point::min());
    location where{.site = site_name(), .servers = {}, .valid_until = valid_until_};
    limit(where);
    for (auto& h : hosts_)
        where.servers.push_back(
            {.name = std::move(h.name),
             .port = rules_->port,
             .security = h.tlsa.empty() && !h.verified ? security::opportunistic : security::starttls,
             .preference = h.preference,
             .tlsa = std::move(h.tlsa),
             .addresses = {std::move(h.addresses)}});
    return {.where = std::move(where), .error = {}, .why = {}};
}

// Whoever the policy does not name is none of ours. TLSA records go before the CAs (RFC 8461 section 2).
POSTROAD_DECL void mx_lookup::obey_policy() {
    if (rules_->floor == security::starttls) demand_certificates();
    if (!policy_ || policy_->mode != net::sts_mode::enforce) return;
    std::string names;
    for (const auto& h : hosts_) names += (names.empty() ? "" : ", ") + h.name;
    std::erase_if(hosts_, [&](const host& h) {
        if (policy_->names(h.name)) return false;
        (not_named_ += not_named_.empty() ? "" : ", ") += h.name;
        return true;
    });
    demand_certificates();
    if (hosts_.empty())
        failures_.push_back({.result = net::tls_result::validation_failure,
                             .reason = "the policy names none of the servers: " + names});
    if (hosts_.empty())
        fail(errc::resolve_failed,
             "the policy of " + domain_ + " (MTA-STS) names none of its servers (4.7.5): " + names);
}

// Records that nobody can use prove nothing: whoever wants a proof goes by the CAs.
POSTROAD_DECL void mx_lookup::demand_certificates() {
    for (auto& h : hosts_) {
        if (postroad::tls::usable_tlsa(h.tlsa).empty()) h.tlsa.clear();
        h.verified = h.tlsa.empty();
    }
}

// No more addresses than are worth trying: one for each server, the best first, then another. Of a server both families
// in turn, so that many of one do not hide the other.
POSTROAD_DECL void mx_lookup::share_addresses() {
    std::vector<std::size_t> kept(hosts_.size());
    auto left = max_addresses;
    for (bool more = true; std::exchange(more, false);)
        for (std::size_t i = 0; i < hosts_.size() && left > 0; ++i)
            if (kept[i] < hosts_[i].addresses.size()) {
                ++kept[i];
                --left;
                more = true;
            }
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
        auto& all = hosts_[i].addresses;
        if (all.size() == kept[i]) continue;
        std::vector<std::string> families[2];
        for (auto& a : all) families[net::is_ipv6(a) == net::is_ipv6(all.front()) ? 0 : 1].push_back(a);
        std::vector<std::string> some;
        for (std::size_t n = 0; some.size() < kept[i]; ++n)
            for (auto& family : families)
                if (n < family.size() && some.size() < kept[i]) some.push_back(std::move(family[n]));
        all = std::move(some);
    }
}

// Preferences by rank: 10 and 20 say the same as 1 and 5.
POSTROAD_DECL void mx_lookup::choose() {
    share_addresses();
    std::uint16_t rank = 0;
    auto of_rank = hosts_.front().preference;
    for (auto& h : hosts_) {
        if (h.preference != of_rank) ++rank;
        of_rank = std::exchange(h.preference, rank);
    }
}

POSTROAD_DECL void mx_lookup::nothing_left() {
    const auto first = [&](auto is) { return std::ranges::find_if(hosts_, is); };
    if (const auto h = first(&host::unknown); h != hosts_.end()) return fail(errc::resolve_failed, h->why);
    if (const auto h = first(&host::other_family); h != hosts_.end()) return fail(errc::resolve_failed, h->why);
    std::string names;
    for (const auto& h : hosts_) names += (names.empty() ? "" : ", ") + h.name;
    if (!not_named_.empty())
        return fail(errc::resolve_failed, "of the servers of " + domain_ +
                                              " that its policy (MTA-STS) names none can be used (4.7.5): " + names +
                                              "; it does not name " + not_named_);
    if (const auto h = first(&host::not_public); h != hosts_.end())
        return fail(errc::private_address, h->why + " (5.4.4); private_addresses allows it");
    fail(errc::domain_unknown, "no server of " + domain_ + " has an address (5.4.4): " + names);
}

// Names of one rank in order, ranks apart; then what this domain demands of them.
POSTROAD_DECL std::string mx_lookup::site_name() const {
    auto sorted = hosts_;
    std::ranges::sort(sorted, {}, [](const host& h) { return std::pair(h.preference, std::string_view(h.name)); });
    std::string name;
    std::string demands;
    bool verified = false;
    std::uint16_t rank = 0;
    for (const auto& h : sorted) {
        if (!name.empty()) name += h.preference == rank ? "," : ";";
        rank = h.preference;
        name += h.name;
        verified = verified || h.verified;
        if (h.tlsa.empty()) continue;
        demands += h.name;
        for (const auto& record : h.tlsa) demands += record;
    }
    if (verified) name += " verified";
    if (demands.empty()) return name;
    char digest[32];
    std::snprintf(digest, sizeof digest, " with DANE %08x",
                  static_cast<unsigned>(postroad::detail::scrambled(std::hash<std::string>()(demands)) & 0xffffffffu));
    return name + digest;
}

POSTROAD_DECL void mx_lookup::limit(location& where) {
    const auto* rule = rule_for(rules_->providers, hosts_.front().name);
    // Whoever names another's servers beside his own is not that other, and what he answers is not about that one. No
    // end of names fits the empty one: the rule for all.
    const auto theirs = [&](const host& h) { return rule_for(rules_->providers, h.name) == rule; };
    if (!std::ranges::all_of(hosts_, theirs)) rule = rule_for(rules_->providers, {});
    if (rule) where.limits = rule->limits;
    if (rule) group_ = rule->group;
    where.provider = rule && rule->provider != "*" ? rule->provider : where.site.substr(0, where.site.find(' '));
}

POSTROAD_DECL bool mx_lookup::is_own(std::string_view name_or_address) const {
    return std::ranges::find(rules_->own, name_or_address) != rules_->own.end();
}

}  // namespace postroad::transport
