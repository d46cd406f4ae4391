#pragma once

#include <postroad/testing/scripted_resolver.hpp>
#include <postroad/tls/names.hpp>

#include <algorithm>
#include <stdexcept>

namespace postroad::testing {

POSTROAD_DECL scripted_resolver& scripted_resolver::record(const std::string& name, net::record_type type,
                                                           std::string rdata) {
    const std::scoped_lock lock(mutex_);
    names_[name].records[type].push_back(std::move(rdata));
    return *this;
}

POSTROAD_DECL scripted_resolver& scripted_resolver::mx(const std::string& name, std::uint16_t preference,
                                                       std::string_view host) {
    const auto labels = net::to_labels(host);
    if (!labels) throw std::invalid_argument("scripted_resolver: an MX that is no host name; use record()");
    std::string rdata{static_cast<char>(preference >> 8), static_cast<char>(preference & 0xff)};
    return record(name, net::record_type::mx, rdata + *labels);
}

POSTROAD_DECL scripted_resolver& scripted_resolver::address(const std::string& name, std::string_view text) {
    auto octets = tls::address_octets(text);
    if (octets.empty()) throw std::invalid_argument("scripted_resolver: no address");
    const auto type = octets.size() == 4 ? net::record_type::a : net::record_type::aaaa;
    return record(name, type, std::move(octets));
}

POSTROAD_DECL scripted_resolver& scripted_resolver::txt(const std::string& name, std::string_view text) {
    std::string rdata;
    do {
        const auto piece = text.substr(0, 255);
        rdata += static_cast<char>(piece.size());
        rdata += piece;
        text.remove_prefix(piece.size());
    } while (!text.empty());
    return record(name, net::record_type::txt, std::move(rdata));
}

POSTROAD_DECL scripted_resolver& scripted_resolver::tlsa(const std::string& name, unsigned char usage,
                                                         unsigned char selector, unsigned char matching,
                                                         std::string_view data) {
    const std::string rdata{static_cast<char>(usage), static_cast<char>(selector), static_cast<char>(matching)};
    return record(name, net::record_type::tlsa, rdata + std::string(data));
}

POSTROAD_DECL scripted_resolver& scripted_resolver::fail(const std::string& name, net::record_type type) {
    const std::scoped_lock lock(mutex_);
    names_[name].fails[type] = true;
    return *this;
}

POSTROAD_DECL scripted_resolver& scripted_resolver::alias(const std::string& name, const std::string& target) {
    const std::scoped_lock lock(mutex_);
    names_[name].alias = target;
    return *this;
}

POSTROAD_DECL scripted_resolver& scripted_resolver::sign(const std::string& name, net::dns_trust trust) {
    const std::scoped_lock lock(mutex_);
    signed_[name] = trust;
    return *this;
}

POSTROAD_DECL scripted_resolver& scripted_resolver::ttl(std::chrono::seconds time) {
    const std::scoped_lock lock(mutex_);
    ttl_ = time;
    return *this;
}

POSTROAD_DECL scripted_resolver& scripted_resolver::forget(const std::string& name) {
    const std::scoped_lock lock(mutex_);
    names_.erase(name);
    return *this;
}

POSTROAD_DECL std::vector<std::string> scripted_resolver::questions() const {
    const std::scoped_lock lock(mutex_);
    return asked_;
}

// That of the nearest name above.
POSTROAD_DECL net::dns_trust scripted_resolver::trust(std::string_view name) const {
    for (;;) {
        if (const auto found = signed_.find(name); found != signed_.end()) return found->second;
        const auto dot = name.find('.');
        if (dot == std::string_view::npos) return net::dns_trust::insecure;
        name.remove_prefix(dot + 1);
    }
}

POSTROAD_DECL net::dns_answer scripted_resolver::answer(const std::string& name, net::record_type type) const {
    net::dns_answer a{.status = net::dns_status::no_name,
                      .trust = trust(name),
                      .records = {},
                      .canonical = {},
                      .valid_until = after(clock::now(), ttl_),
                      .why = {}};
    auto found = names_.find(name);
    if (type == net::record_type::cname) {
        if (found == names_.end()) return a;
        if (found->second.fails.contains(type)) return {.why = "SERVFAIL"};
        a.status = found->second.alias.empty() ? net::dns_status::no_data : net::dns_status::found;
        if (!found->second.alias.empty()) a.records.push_back(net::to_labels(found->second.alias).value_or(""));
        return a;
    }
    for (int links = 0; found != names_.end() && !found->second.alias.empty(); ++links) {
        a.canonical = found->second.alias;
        a.trust = std::min(a.trust, trust(a.canonical));  // insecure before secure
        if (trust(a.canonical) == net::dns_trust::bogus) a.trust = net::dns_trust::bogus;
        if (links == 8) return {.why = "too many aliases"};
        found = names_.find(a.canonical);
    }
    if (found == names_.end()) return a;
    if (found->second.fails.contains(type)) return {.why = "SERVFAIL"};
    const auto records = found->second.records.find(type);
    a.status = records == found->second.records.end() ? net::dns_status::no_data : net::dns_status::found;
    if (records != found->second.records.end()) a.records = records->second;
    return a;
}

POSTROAD_DECL void scripted_resolver::ask(const std::string& name, net::record_type type, net::dns_handler done) {
    constexpr std::pair<net::record_type, const char*> types[] = {
        {net::record_type::a, "A "},        {net::record_type::aaaa, "AAAA "}, {net::record_type::mx, "MX "},
        {net::record_type::txt, "TXT "},    {net::record_type::srv, "SRV "},   {net::record_type::tlsa, "TLSA "},
        {net::record_type::cname, "CNAME "}};
    net::dns_answer a;
    {
        const std::scoped_lock lock(mutex_);
        for (const auto& t : types)
            if (t.first == type) asked_.push_back(t.second + name);
        a = answer(name, type);
    }
    done(std::move(a));
}

}  // namespace postroad::testing
