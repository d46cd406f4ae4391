#pragma once

#include <postroad/core/error.hpp>
#include <postroad/message/address.hpp>
#include <postroad/message/utf8.hpp>
#include <postroad/net/dns.hpp>
#include <postroad/services.hpp>
#include <postroad/submission.hpp>

#include <algorithm>
#include <utility>

namespace postroad {
namespace detail {

inline std::string url_of(const endpoint& server) {
    return (server.security == security::implicit ? "smtps://" : "smtp://") + server.name + ':' +
           std::to_string(server.port);
}

inline void find_submission_by(const char* service, security how, const std::string& domain,
                               const transport::dns_lookup& ask, submission_search& found) {
    const auto name = service + ('.' + domain);
    const auto add = [&](const std::string& why) { found.why += (found.why.empty() ? "" : "; ") + why; };
    const auto answer = ask(name, net::record_type::srv);
    if (answer.status == net::dns_status::failed || answer.trust == net::dns_trust::bogus)
        return add(name + " cannot be looked up: " + escaped(answer.why, 200));
    std::vector<net::srv_record> records;
    for (const auto& rdata : answer.records)
        if (auto r = net::read_srv(rdata); r && !r->host.empty() && r->port != 0) records.push_back(*std::move(r));
    if (records.empty()) return add(name + " names no server");
    std::sort(records.begin(), records.end(), [](const auto& a, const auto& b) {
        return std::pair(a.priority, b.weight) < std::pair(b.priority, a.weight);
    });
    // What is beyond is told no more than it is used.
    if (records.size() > max_submission_servers) records.resize(max_submission_servers);
    for (auto& r : records) {
        const endpoint server{.name = r.host, .port = r.port, .security = how};
        if (answer.trust != net::dns_trust::secure && !net::is_within(r.host, domain))
            add(name +
                " names a host elsewhere, and is not signed: whoever answered may have made it up. If it is right, "
                "give " +
                url_of(server));
        else if (found.servers.size() < max_submission_servers)
            found.servers.push_back(server);
    }
}

}  // namespace detail

POSTROAD_DECL submission_search find_submission(const std::string& domain, const transport::dns_lookup& ask) {
    const auto lower = detail::in_lower_case(domain);
    submission_search found;
    detail::find_submission_by("_submissions._tcp", security::implicit, lower, ask, found);
    detail::find_submission_by("_submission._tcp", security::starttls, lower, ask, found);
    if (!found.servers.empty()) found.why.clear();
    return found;
}

POSTROAD_DECL std::string submission_url(std::string_view address_or_url, const transport::dns_lookup& ask) {
    if (auto known = detail::known_submission_url(address_or_url)) return *std::move(known);
    const address user(address_or_url);
    const auto domain = user.ascii_domain();
    if (domain.empty()) throw error(errc::invalid_url, "the domain of " + user.str() + " is no name of the DNS");
    const auto found = find_submission(domain, ask);
    if (found.servers.empty()) throw error(errc::invalid_url, found.why);
    auto url = detail::url_of(found.servers.front());
    // A URL speaks of TLS once.
    const char* before = "/?backup=";
    for (const auto& server : found.servers) {
        if (&server == &found.servers.front() || server.security != found.servers.front().security) continue;
        url += before + server.name + ':' + std::to_string(server.port);
        before = ",";
    }
    return url;
}

}  // namespace postroad
