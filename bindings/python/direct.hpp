#pragma once
// Mailer of mx://: no relay, but the servers of each recipient's domain.

#include "settings.hpp"
#include "tls_results.hpp"

#include <postroad/transport/mx_url.hpp>
#ifdef POSTROAD_WITH_MX
#include <postroad/transport/mx.hpp>
#ifdef POSTROAD_WITH_MTA_STS
#include <postroad/net/https_policies.hpp>
#endif
#ifdef POSTROAD_WITH_RULES
#include <postroad/transport/rules_file.hpp>
#endif
#endif

#include <pybind11/stl.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::python {

inline bool is_direct(const py::dict& options) {
    return given(options, "url") && transport::is_mx_url(options["url"].cast<std::string>());
}

/// Throws `error` for arguments that only a server of ours needs, and for what the URL says as well.
inline void refuse_for_strangers(const py::dict& options, const transport::mx_url& url) {
    for (const auto* name : {"user", "password", "token", "credentials", "auth", "insecure_authentication",
                             "key_passphrase", "server_name"})
        if (given(options, name))
            throw error(errc::contradiction,
                        std::string(name) + " is of use with a server of ours only, not with mx://");
    if (given(options, "client_name")) refuse_pair("the name in mx://", "client_name");
    for (const auto& [name, value] : url.others)
        if (const auto* argument = name == "ca" ? "ca_file" : "connections"; given(options, argument))
            refuse_pair("the URL's option \"" + name + '"', argument);
}

/// "default" is the file that comes with the module.
inline void obey_rules(transport::mx_url& u) {
    if (u.rules.empty()) return;
#ifdef POSTROAD_WITH_RULES
    if (u.rules == "default")
        u.rules = py::module_::import("postroad._routes").attr("shipped_rules")().cast<std::string>();
    transport::obey(transport::read_rules(u.rules), u.options);
#else
    throw error(errc::invalid_option, "this build of postroad reads no file of rules: toml++ was missing");
#endif
}

/// The URL and the arguments together.
inline transport::mx_url direct_url(const py::dict& options) {
    const auto text = options["url"].cast<std::string>();
    auto u = transport::parse_mx_url(text);
    refuse_for_strangers(options, u);
    // What the two have in common is read as for a server.
    const transport::smtp relay(transport::smtp_options{.server = {.name = "localhost", .port = 25}});
    const auto o = transport_options(relay, {}, options);
    const auto both = [&](const char* argument, std::string_view in_url, auto& to, const auto& from) {
        if (!given(options, argument)) return;
        if (text.find('?') != std::string::npos && text.find(std::string(in_url) + '=') != std::string::npos)
            refuse_pair("the URL's option \"" + std::string(in_url) + '"', argument);
        to = from;
    };
    both("pipelining", "pipelining", u.options.pipelining, o.pipelining);
    both("window", "window", u.options.window, o.window);
    both("recipients_per_transaction", "recipients", u.options.recipients_per_transaction,
         o.recipients_per_transaction);
    take<std::vector<std::pair<std::string, std::string>>>(options, "routes", [&](const auto& given_ones) {
        for (const auto& [domain, target] : given_ones) u.options.routes.push_back(transport::route_of(domain, target));
    });
    take<std::string>(options, "rules", [&](std::string file) {
        if (!u.rules.empty()) refuse_pair("the URL's option \"rules\"", "rules");
        u.rules = std::move(file);
    });
    obey_rules(u);
    u.options.down_convert = o.down_convert;
    u.options.dialing.timeout = o.dialing.timeout;
    u.options.timeouts = o.timeouts;
    return u;
}

#ifdef POSTROAD_WITH_MX

struct direct_policies {
    transport::mx transport;
    tls::automatic security;
    pooling::keep_alive pool;
    scheduling::fair line;
};

inline void find_policies([[maybe_unused]] transport::mx_url& u) {
#ifdef POSTROAD_WITH_MTA_STS
    if (!u.mta_sts) return;
    net::https_policies_options o;
    if (!u.cache.empty()) {
        std::error_code ec;
        std::filesystem::create_directories(u.cache, ec);
        if (ec) throw error(errc::storage_failed, "the folder " + escaped(u.cache) + ": " + ec.message());
        o.file = u.cache + "/mta-sts-policies";
    }
    u.options.policies = net::https_policies(std::move(o));
#endif
}

inline tls::automatic direct_tls(const py::dict& options, const transport::mx_url& u) {
    tls::automatic p;
    for (const auto& [name, value] : u.others)
        if (name == "ca") (value.ends_with('/') ? p.options.ca_path : p.options.ca_file) = value;
    take<std::string>(options, "ca_file", [&](std::string v) { p.options.ca_file = std::move(v); });
    return p;
}

inline direct_policies direct_policies_of(const py::dict& options) {
    auto u = direct_url(options);
    find_policies(u);
    u.options.tls_reports = watch_of(options);
    direct_policies p{.transport = transport::mx(u.options, transport::resolver_of(u)),
                      .security = direct_tls(options, u),
                      .pool = {.max_connections = 50},
                      .line = {}};
    for (const auto& [name, value] : u.others)
        if (name == "connections") p.pool.max_connections = std::stoul(value);
    p.pool = pooled(options, std::move(p.pool));
    p.line = scheduling_policy(options, {.pipelining = u.options.pipelining, .window = u.options.window}, p.pool);
    // Many destinations share the connections, and what a stranger bears is learned.
    p.line.per_destination = scheduling::fair{}.per_destination;
    take<std::size_t>(options, "connections_per_destination", [&](std::size_t v) { p.line.per_destination = v; });
    p.line.concurrency.first = scheduling::fair{}.concurrency.first;
    return p;
}

#endif

inline void name_mx_libraries([[maybe_unused]] py::dict& versions) {
#ifdef POSTROAD_WITH_MX
    versions["libunbound"] = ub_version();
#ifdef POSTROAD_WITH_MTA_STS
    versions["libcurl"] = curl_version_info(CURLVERSION_NOW)->version;
#endif
#endif
}

[[noreturn]] inline void lacks_mx() {
    throw error(errc::invalid_option,
                "this build of postroad sends through servers of yours only, not by mx://: libunbound was missing");
}

}  // namespace postroad::python
