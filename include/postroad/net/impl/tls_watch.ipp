#pragma once

#include <postroad/message/address.hpp>
#include <postroad/message/fields.hpp>
#include <postroad/message/utf8.hpp>
#include <postroad/net/tls_watch.hpp>
#include <postroad/net/wall_clock.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

namespace postroad::net {
namespace detail {

// "3 1 1 8755CD..." (RFC 6698 section 2.2).
inline std::string tlsa_text(std::string_view rdata) {
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string text;
    for (std::size_t i = 0; i < rdata.size(); ++i) {
        const auto octet = static_cast<unsigned char>(rdata[i]);
        if (i < 3)
            text += std::to_string(octet) + ' ';
        else
            text += {digits[octet >> 4], digits[octet & 15]};
    }
    return text;
}

inline tls_policy as_reported(const std::string& domain, const sts_policy& p) {
    tls_policy r{.type = tls_policy_type::sts, .domain = domain, .mx_hosts = p.mx};
    const char* const mode = p.mode == sts_mode::enforce ? "enforce" : p.mode == sts_mode::testing ? "testing" : "none";
    r.text = {"version: STSv1", std::string("mode: ") + mode};
    for (const auto& mx : p.mx) r.text.push_back("mx: " + mx);
    r.text.push_back("max_age: " + std::to_string(p.max_age.count()));
    return r;
}

// Nothing: it is not about TLS.
inline std::optional<tls_result> result_of(error_code ec, std::string_view text) {
    const auto says = [&](std::string_view words) { return text.find(words) != std::string_view::npos; };
    if (ec == errc::tls_configuration) return std::nullopt;  // that is ours
    if (ec == errc::tls_not_offered || ec == errc::tls_refused) return tls_result::starttls_not_supported;
    if (ec != errc::tls_certificate) {
        if (ec == condition::tls) return tls_result::validation_failure;
        return std::nullopt;
    }
    if (says(" expired on ")) return tls_result::certificate_expired;
    if (says(" is for ") || says(" names no host")) return tls_result::certificate_host_mismatch;
    if (says("unknown CA") || says("self-signed")) return tls_result::certificate_not_trusted;
    return tls_result::validation_failure;
}

// "TLSv1.3, ..., not verified: is for a.example; expected b.example, resumed": why. Empty: it is verified.
inline std::string_view doubt_in(std::string_view facts) {
    constexpr std::string_view words = ", not verified";
    const auto at = facts.find(words);
    if (at == std::string_view::npos) return {};
    const auto why = facts.substr(at + words.size());
    return why.starts_with(": ") ? why.substr(1) : "it is not verified";
}

// The domain of "RCPT TO:<bob@example.org> ...", as it is looked up; empty: there is none.
inline std::string domain_of_rcpt(std::string_view command) {
    constexpr std::string_view verb = "RCPT TO:<";
    if (!command.starts_with(verb)) return {};
    const auto path = command.substr(verb.size(), command.rfind('>') - verb.size());
    error_code ec;
    const auto to = address::parse(path, ec);
    if (ec) return {};
    auto domain = to.ascii_domain();
    return postroad::detail::in_lower_case(std::move(domain));
}

}  // namespace detail

POSTROAD_DECL report_day tls_watch::today() const {
    return options_.today ? options_.today() : std::chrono::floor<std::chrono::days>(wall_clock_now());
}

POSTROAD_DECL void tls_watch::use(const std::function<void(tls_results&)>& f) {
    const std::scoped_lock lock(mutex_);
    f(results_);
}

POSTROAD_DECL void tls_watch::located(const std::string& domain, const std::vector<endpoint>& servers,
                                      const std::optional<sts_policy>& policy) {
    const std::scoped_lock lock(mutex_);
    const auto day = today();
    if (!places_.contains(domain) && places_.size() >= tls_results::max_domains) make_room(day);
    if (!places_.contains(domain) && places_.size() >= tls_results::max_domains) return;
    leave(domain);
    place p{.seen = day};
    p.policy.domain = domain;
    if (policy && policy->mode != sts_mode::none) p.policy = detail::as_reported(domain, *policy);
    if (policy && policy->mode == sts_mode::testing) p.tested = policy;
    for (const auto& s : servers) {
        const auto name = to_string(s);
        p.servers.push_back(name);
        if (!s.tlsa.empty()) {
            auto& dane = p.by_server[name];
            dane = {.type = tls_policy_type::tlsa, .domain = s.name};
            for (const auto& record : s.tlsa) dane.text.push_back(detail::tlsa_text(record));
        }
        auto& here = at_server_[name];
        if (here.size() < max_domains_at_server) here.insert(domain);
    }
    places_[domain] = std::move(p);
}

POSTROAD_DECL void tls_watch::failed(const std::string& domain, const std::optional<sts_policy>& policy,
                                     const std::vector<policy_failure>& failures) {
    const std::scoped_lock lock(mutex_);
    for (const auto& f : failures) {
        const bool of_dane = f.result == tls_result::dnssec_invalid || f.result == tls_result::tlsa_invalid;
        tls_policy p{.type = of_dane ? tls_policy_type::tlsa : tls_policy_type::sts,
                     .domain = f.mx_host.empty() ? domain : f.mx_host};
        if (!of_dane && policy) p = detail::as_reported(domain, *policy);
        results_.count(domain, p,
                       tls_failure{.result = f.result,
                                   .sending_ip = options_.sending_ip,
                                   .mx_host = f.mx_host,
                                   .reason = escaped(f.reason, 300)},
                       today());
    }
}

// Where mail still goes it is located each day; all are gone through once a day.
POSTROAD_DECL void tls_watch::make_room(report_day day) {
    if (std::exchange(made_room_, day) == day) return;
    for (auto p = places_.begin(); p != places_.end();) {
        const bool old = p->second.seen + std::chrono::days(1) < day;
        if (old) leave(p->first);
        p = old ? places_.erase(p) : std::next(p);
    }
}

POSTROAD_DECL void tls_watch::leave(const std::string& domain) {
    const auto known = places_.find(domain);
    if (known == places_.end()) return;
    for (const auto& server : known->second.servers)
        if (const auto here = at_server_.find(server); here != at_server_.end()) {
            here->second.erase(domain);
            if (here->second.empty()) at_server_.erase(here);
        }
}

POSTROAD_DECL void tls_watch::on(const observation& o) {
    if (o.connection == 0) return;
    const std::scoped_lock lock(mutex_);
    const std::pair key(o.mailer, o.connection);
    if (o.what == observed::dialing) {
        sessions_[key] = {.server = std::string(o.server)};
        return;
    }
    const auto found = sessions_.find(key);
    if (found == sessions_.end()) return;
    auto& s = found->second;
    switch (o.what) {
        case observed::connected: s.address = o.text; break;
        case observed::tls_established:
            s.tls = true;
            s.doubt = detail::doubt_in(o.text);
            break;
        case observed::reply:
            if (o.where == phase::greeting && o.answer)
                s.helo = o.answer->text.substr(0, o.answer->text.find_first_of(" \r\n"));
            if (o.where == phase::hello && o.answer && o.answer->text.find("STARTTLS") != std::string::npos)
                s.offers_tls = true;
            break;
        case observed::command:
            if (const auto domain = detail::domain_of_rcpt(o.text); !domain.empty()) carries(s, domain);
            break;
        case observed::closed:
            // One that had mail was counted as what it was.
            if (const auto why = detail::result_of(o.error, o.text); why && s.counted.empty()) failed(s, *why, o.text);
            sessions_.erase(found);
            break;
        default: break;
    }
}

POSTROAD_DECL void tls_watch::carries(session& s, const std::string& domain) {
    const auto at = places_.find(domain);
    if (at == places_.end() || !s.counted.insert(domain).second) return;
    const auto& [seen, servers, policy, by_server, tested] = at->second;
    if (s.tls)
        count(s, domain, tested && !by_server.contains(s.server) ? broken(*tested, s) : std::nullopt);
    else if (!s.offers_tls)  // else it is the one behind a handshake that failed
        count(s, domain, tls_failure{.result = tls_result::starttls_not_supported});
}

// Why the mail would have waited, were it enforced (RFC 8461 section 5).
POSTROAD_DECL std::optional<tls_failure> tls_watch::broken(const sts_policy& tested, const session& s) {
    if (!tested.names(s.server.substr(0, s.server.rfind(':'))))
        return tls_failure{.result = tls_result::validation_failure,
                           .information = "the policy does not name this server"};
    if (s.doubt.empty()) return {};
    return tls_failure{.result = *detail::result_of(errc::tls_certificate, s.doubt),
                       .reason = escaped(postroad::detail::trimmed(s.doubt))};
}

POSTROAD_DECL void tls_watch::failed(const session& s, tls_result why, std::string_view text) {
    const auto here = at_server_.find(s.server);
    if (here == at_server_.end()) return;
    for (const auto& domain : here->second) count(s, domain, tls_failure{.result = why, .reason = escaped(text)});
}

POSTROAD_DECL void tls_watch::count(const session& s, const std::string& domain, std::optional<tls_failure> f) {
    const auto at = places_.find(domain);
    if (at == places_.end()) return;
    const auto dane = at->second.by_server.find(s.server);
    const auto& policy = dane == at->second.by_server.end() ? at->second.policy : dane->second;
    if (f) {
        f->sending_ip = options_.sending_ip;
        f->mx_host = s.server.substr(0, s.server.rfind(':'));
        f->mx_helo = escaped(s.helo, 255);
        f->receiving_ip = s.address;
    }
    results_.count(domain, policy, f, today());
}

}  // namespace postroad::net
