#pragma once

#include <postroad/diagnose_direct.hpp>
#include <postroad/message/utf8.hpp>
#include <postroad/net/source_address.hpp>
#include <postroad/tls/dane.hpp>
#include <postroad/tls/names.hpp>

#include <algorithm>

namespace postroad::detail {

inline std::string_view name_of(net::record_type t) noexcept {
    switch (t) {
        case net::record_type::a: return "A";
        case net::record_type::cname: return "CNAME";
        case net::record_type::ptr: return "PTR";
        case net::record_type::mx: return "MX";
        case net::record_type::txt: return "TXT";
        case net::record_type::aaaa: return "AAAA";
        case net::record_type::srv: return "SRV";
        case net::record_type::tlsa: return "TLSA";
    }
    return "?";
}

// One record for people, as zone files have it.
inline std::string record_text(net::record_type t, const std::string& rdata) {
    if (t == net::record_type::mx) {
        const auto r = net::read_mx(rdata);
        return r ? std::to_string(r->preference) + ' ' + (r->host.empty() ? "." : r->host) : "(no host name)";
    }
    if (t == net::record_type::cname) return net::read_name(rdata).value_or("(no host name)");
    if (t == net::record_type::txt) return '"' + escaped(net::read_txt(rdata).value_or(""), 200) + '"';
    if (t == net::record_type::tlsa && rdata.size() > 3) {
        const auto number = [&](std::size_t at) { return unsigned{static_cast<unsigned char>(rdata[at])}; };
        return to_string(postroad::tls::tlsa{number(0), number(1), number(2), std::string_view(rdata).substr(3)});
    }
    return net::read_address(rdata).value_or("(no address)");
}

POSTROAD_DECL void domain_examination::step(grade how, std::string text, std::string advice) {
    const auto now = clock::now();
    to_.steps.push_back({phase::resolve, how, now - last_, domain_, std::move(text), std::move(advice)});
    last_ = now;
}

// Then all is bogus, also what lies at the root.
POSTROAD_DECL bool domain_examination::strips_signatures() {
    if (!strips_) strips_ = ask_("a.root-servers.net", net::record_type::a).trust == net::dns_trust::bogus;
    return *strips_;
}

POSTROAD_DECL void domain_examination::told(const transport::mx_lookup::question& q, const net::dns_answer& a) {
    const auto about = std::string(name_of(q.type)) + " of " + escaped(q.name, 260);
    using net::dns_status;
    if (a.status == dns_status::failed || a.trust == net::dns_trust::bogus)
        return step(q.type == net::record_type::txt ? grade::notice : grade::bad,
                    about + " cannot be looked up: " + escaped(a.why, 300),
                    a.trust != net::dns_trust::bogus ? "Look at the resolver, then ask whoever runs the domain."
                    : strips_signatures() ? "The resolver passes no DNSSEC on, as many routers do: name another "
                                            "(resolver=ADDRESS), or turn DNSSEC "
                                            "off (dnssec=off)."
                                          : "Its signatures are wrong: whoever runs the domain must mend its DNSSEC.");
    const std::string sealed = a.trust == net::dns_trust::secure ? "; signed" : "";
    if (a.status == dns_status::no_name) return step(grade::good, about + ": there is no such name" + sealed);
    if (a.status == dns_status::no_data) return step(grade::good, about + ": none" + sealed);
    std::string all;
    std::size_t shown = 0;
    for (const auto& rdata : a.records) {
        if (++shown > transport::mx_lookup::max_servers) {
            all += " and " + std::to_string(a.records.size() - shown + 1) + " more";
            break;
        }
        all += (all.empty() ? "" : ", ") + record_text(q.type, rdata);
    }
    if (!a.canonical.empty()) all += ", as " + a.canonical;
    step(grade::good, about + ": " + all + sealed);
}

POSTROAD_DECL void domain_examination::policy(transport::mx_lookup& lookup) {
    if (!policies_ || !lookup.sts()) return;
    const auto found = std::make_shared<std::promise<net::sts_finding>>();
    policies_(domain_, *lookup.sts(), [found](net::sts_finding f) { found->set_value(std::move(f)); });
    const auto finding = found->get_future().get();
    const auto& p = finding.policy;
    if (!p) {
        if (lookup.sts()->id.empty()) return step(grade::good, "no policy of MTA-STS");
        return step(grade::bad,
                    "the policy of MTA-STS cannot be fetched, and none is in force" +
                        (finding.why.empty() ? std::string() : ": " + escaped(finding.why, 200)),
                    "Whoever runs the domain must serve it at https://mta-sts." + domain_ +
                        "/.well-known/mta-sts.txt; mail goes as if there were none.");
    }
    std::string names;
    for (const auto& m : p->mx) names += (names.empty() ? "" : ", ") + m;
    const std::string mode = p->mode == net::sts_mode::enforce   ? "enforce"
                             : p->mode == net::sts_mode::testing ? "testing"
                                                                 : "none";
    step(grade::good, "the policy of MTA-STS says " + mode + " for " + escaped(names, 300) + ", and holds for " +
                          std::to_string(p->max_age.count()) + " s");
    lookup.enforce(*p);
}

POSTROAD_DECL void domain_examination::chosen(const transport::location& where) {
    for (const auto& s : where.servers) {
        const auto usable = postroad::tls::usable_tlsa(s.tlsa).size();
        const std::string demand = usable > 0        ? "TLS, and a certificate that a TLSA record describes (DANE)"
                                   : !s.tlsa.empty() ? "TLS, verified by nobody: its TLSA records cannot be used"
                                   : s.security == security::starttls ? "TLS, and a certificate by a CA for its name"
                                                                      : "TLS if it offers it, and any certificate";
        auto text = "mail goes to " + s.name + (s.preference == 0 ? " first" : " after better ones") + " (";
        for (const auto& a : s.addresses.all) text.append(text.back() == '(' ? "" : ", ").append(a);
        step(grade::good, text.append("): ").append(demand));
    }
}

POSTROAD_DECL transport::location domain_examination::run(const std::string& domain) {
    domain_ = domain;
    last_ = clock::now();
    if (const auto* route = table_.route_of(domain)) {
        auto l = table_.along(*route, domain);
        step(l.error ? grade::bad : grade::good,
             l.error                  ? l.why
             : route->maildir.empty() ? "a route leads it to " + to_string(l.where.servers.front())
                                      : "a route leads it into the Maildir " + escaped(route->maildir, 200));
        if (l.error && !to_.error) to_.error = l.error;
        return std::move(l.where);
    }
    transport::mx_lookup lookup(domain, table_.rules, table_.seed);
    while (const auto q = lookup.poll()) {
        auto a = ask_(q->name, q->type);
        told(*q, a);
        lookup.answered(*q, std::move(a));
    }
    policy(lookup);
    auto l = lookup.result();
    if (l.error) {
        step(grade::bad, l.why,
             l.error == errc::domain_unknown         ? "Look at the address of the recipient."
             : l.error == errc::domain_takes_no_mail ? "The domain gets no mail by intent: look at the address."
             : l.error == errc::private_address      ? "Its DNS is wrong for the world; private_addresses allows them."
             : l.error == errc::mail_loop            ? "Deliver it here, or give the domain a route."
                                                     : "It is tried again; whoever runs the domain may know.");
        if (!to_.error) to_.error = l.error;
    } else {
        chosen(l.where);
        group_ = lookup.group();
    }
    return std::move(l.where);
}

POSTROAD_DECL transport::smtp as_server(const transport::detail::mx_table& table, const endpoint& server) {
    const auto* const routed = table.route_to(server);
    transport::smtp_options how{.server = server};
    if (routed) how.credentials = routed->to->credentials;
    how.client_name = table.client_name_to(server);
    how.timeouts = table.options.timeouts;
    how.dialing = table.dialing_to(server);
    return transport::smtp(std::move(how));
}

POSTROAD_DECL std::string source_of(const transport::detail::mx_table& table, const diagnose_options& how,
                                    const std::vector<endpoint>& servers, std::string_view group) {
    if (how.to.empty() || table.sources.empty()) return {};
    envelope e;
    if (!how.from.empty()) e.reverse_path = address(how.from);
    const auto& all = table.sources;
    const auto* const source = all.pick(all.names(e, address(how.to.front()), {}), group, servers);
    return source ? source->name : std::string();
}

POSTROAD_DECL diagnose_options only_to(const diagnose_options& how, const std::string& domain,
                                       const transport::detail::mx_table& table) {
    auto some = how;
    std::erase_if(some.to, [&](const std::string& to) { return table.domain_of(address(to)) != domain; });
    return some;
}

POSTROAD_DECL std::vector<std::string> domains_of(const diagnose_options& how,
                                                  const transport::detail::mx_table& table) {
    std::vector<std::string> all;
    for (const auto& to : how.to) {
        auto domain = table.domain_of(address(to));
        if (std::ranges::find(all, domain) == all.end()) all.push_back(std::move(domain));
    }
    return all;
}

POSTROAD_DECL void examine_sender(const transport::detail::mx_table& table, const transport::dns_lookup& ask,
                                  const diagnose_options& how, const direct_mail& mail, const endpoint& server,
                                  diagnosis& to) {
    const auto* const source = table.sources.find(server.source);
    const auto& options = table.options;
    const std::vector<std::string> none;
    transport::examined_sender facts{.client_name = table.client_name_to(server),
                                     .from = mail.from.empty() ? how.from : mail.from,
                                     .reverse_path = how.from,
                                     .signatures = mail.signatures,
                                     .header = mail.header};
    for (const auto* list : {source ? &source->addresses : &none, &options.own, &options.dialing.local_addresses})
        for (const auto& a : *list)
            if (facts.address.empty() && net::is_public(a)) facts.address = a;
    if (facts.address.empty() && !server.addresses.all.empty())
        facts.address = net::source_address(server.addresses.all.front());
    auto last = clock::now();
    for (auto& f : transport::look_at_sender(facts, ask)) {
        const auto now = clock::now();
        to.steps.push_back({phase::policy,
                            f.how == transport::finding_kind::good     ? grade::good
                            : f.how == transport::finding_kind::notice ? grade::notice
                                                                       : grade::bad,
                            now - last, "sender " + facts.client_name, f.about + ": " + f.text, std::move(f.advice)});
        last = now;
    }
}

}  // namespace postroad::detail
