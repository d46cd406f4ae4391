#pragma once

#include <postroad/core/number.hpp>
#include <postroad/tls/names.hpp>
#include <postroad/transport/smtp.hpp>

#include <algorithm>
#include <utility>

namespace postroad::transport {

namespace detail {

// What `tls` says about a server whose scheme has said something already.
inline security security_of(std::string_view tls, const endpoint& e) {
    const bool by_starttls = e.security == security::starttls;
    if (tls == "auto") return by_starttls && e.port == 465 ? security::implicit : e.security;
    if (tls == "insecure_no_verify" && e.security != security::insecure_none) return e.security;
    const auto wanted = tls == "required"        ? security::starttls
                        : tls == "implicit"      ? security::implicit
                        : tls == "opportunistic" ? security::opportunistic
                                                 : security::insecure_none;
    if (tls != "insecure_no_verify" && (by_starttls || wanted == e.security)) return wanted;
    throw error(errc::contradiction,
                "the URL's scheme and its option \"tls\" say different things; with smtp:// the "
                "option alone decides");
}

// What a URL does to its host.
inline void make_plain(endpoint& e) {
    if (!e.is_local()) e.name = postroad::tls::plain_host(e.name);
}

inline void make_names_plain(smtp_options& o) {
    make_plain(o.server);
    for (auto& server : o.more_servers) make_plain(server);
    if (!o.client_name.starts_with('[')) o.client_name = postroad::tls::plain_host(o.client_name);
}

}  // namespace detail

POSTROAD_DECL smtp::smtp(smtp_options options) : options_(std::move(options)) {
    detail::make_names_plain(options_);
    check();
}

POSTROAD_DECL smtp::smtp(std::string_view url) { read(url); }

POSTROAD_DECL smtp::smtp(std::string_view url, smtp_options base) : options_(std::move(base)) { read(url); }

POSTROAD_DECL void smtp::read(std::string_view url) {
    auto parts = parse_url(url);
    check_options(parts.options);
    options_.server = std::move(parts.server);
    if (!parts.credentials.empty()) {
        if (!options_.credentials.empty() || options_.credentials_source)
            throw error(errc::contradiction, "the URL holds credentials, and others are given as well");
        options_.credentials = std::move(parts.credentials);
    }
    const auto number = [](const std::string& value, auto& to) {
        to = postroad::detail::whole_number<std::remove_reference_t<decltype(to)>>(value).value_or(to);
    };
    // Before `backup`, whose servers are like the first.
    for (const auto& [name, value] : parts.options)
        if (name == "tls") options_.server.security = detail::security_of(value, options_.server);
    for (auto& [name, value] : parts.options) {
        if (name == "helo")
            options_.client_name = value;
        else if (name == "pipelining")
            options_.pipelining = postroad::smtp::pipelining_named(value);
        else if (name == "window")
            number(value, options_.window);
        else if (name == "recipients")
            number(value, options_.recipients_per_transaction);
        else if (name == "auth")
            options_.credentials.mechanisms = mechanism_list(value);
        else if (name == "insecure_authentication")
            options_.insecure_authentication = true;
        else if (name == "backup")
            options_.more_servers = backup_list(value, options_.server);
        else if (name == "proxy")
            options_.dialing.proxy = net::parse_proxy(value);
        else if (name == "local")
            options_.dialing.local_addresses = {value};
        else
            others_.emplace_back(name == "pool" ? "connections" : name, value);
    }
    detail::make_names_plain(options_);
    check();
}

POSTROAD_DECL void smtp::check() const {
    const auto& o = options_;
    postroad::smtp::check_client_name(o.client_name);
    if (o.credentials_source)
        postroad::smtp::check_mechanisms(o.credentials);
    else
        postroad::smtp::check(o.credentials);
    net::check(o.dialing);
    for (const auto& s : hosts({})) {
        if (s.name.empty() || (s.port == 0 && !s.is_local()))
            throw error(errc::invalid_host_name, "an SMTP server has no name or no port");
        postroad::smtp::check_endpoint(s);
    }
    if (o.window == 0)
        throw error(errc::invalid_option, "a window of no messages would never send one; the least is 1");
    if (const auto& c = o.credentials;
        o.credentials_source && c != postroad::smtp::credentials{.mechanisms = c.mechanisms})
        throw error(errc::contradiction,
                    "credentials are given, and a source of credentials as well; give one of them");
    std::size_t pools = 0;
    for (const auto& other : others_)
        if (other.first == "connections" && ++pools > 1)
            throw error(errc::contradiction, "the options \"connections\" and \"pool\" of the URL are the same");
}

POSTROAD_DECL std::vector<endpoint> smtp::hosts(const std::string&) const {
    std::vector<endpoint> all{options_.server};
    all.insert(all.end(), options_.more_servers.begin(), options_.more_servers.end());
    return all;
}

POSTROAD_DECL smtp::session_type smtp::make_session(const endpoint& host, std::string nonce,
                                                    const lessons& known) const {
    return session_type({.server = host,
                         .client_name = options_.client_name,
                         .credentials = options_.credentials,
                         .ask_credentials = static_cast<bool>(options_.credentials_source),
                         .insecure_authentication = options_.insecure_authentication,
                         .pipelining = known.most(options_.pipelining),
                         .window = options_.window,
                         .chunking = !known.no_chunking,
                         .starttls = !known.no_tls,
                         .auth = known.auth,
                         .down_convert = options_.down_convert,
                         .recipients_per_transaction = options_.recipients_per_transaction,
                         .timeouts = options_.timeouts,
                         .nonce = std::move(nonce)});
}

}  // namespace postroad::transport
