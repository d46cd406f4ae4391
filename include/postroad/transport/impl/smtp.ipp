#pragma once

#include <postroad/transport/smtp.hpp>

#include <algorithm>
#include <charconv>
#include <utility>

namespace postroad::transport {

POSTROAD_DECL smtp::smtp(smtp_options options) : options_(std::move(options)) {
    postroad::smtp::check_client_name(options_.client_name);
    postroad::smtp::check(options_.credentials);
    net::check(options_.dialing);
    if (options_.server.name.empty() || options_.server.port == 0)
        throw error(errc::invalid_host_name, "the SMTP server has no name or no port");
    if (options_.window == 0)
        throw error(errc::invalid_option, "a window of no messages would never send one; the least is 1");
    if (options_.credentials_source && !options_.credentials.empty())
        throw error(errc::contradiction,
                    "credentials are given, and a source of credentials as well; give one of them");
}

POSTROAD_DECL smtp::smtp(std::string_view url) {
    using postroad::smtp::pipelining;
    auto parts = parse_url(url);
    check_options(parts.options);
    options_.server = std::move(parts.server);
    options_.credentials = std::move(parts.credentials);
    for (auto& [name, value] : parts.options) {
        if (name == "helo")
            options_.client_name = value;
        else if (name == "pipelining")
            options_.pipelining = value == "lockstep" ? pipelining::lockstep
                                  : value == "across" ? pipelining::across
                                  : value == "window" ? pipelining::window
                                                      : pipelining::envelope;
        else if (name == "window")
            (void)std::from_chars(value.data(), value.data() + value.size(), options_.window);
        else if (name == "auth")
            options_.credentials.mechanisms = mechanism_list(value);
        else
            others_.emplace_back(name, value);
    }
    postroad::smtp::check_client_name(options_.client_name);
    postroad::smtp::check(options_.credentials);
}

POSTROAD_DECL smtp::session_type smtp::make_session(const endpoint& host, std::string nonce) const {
    using postroad::smtp::lesson;
    using postroad::smtp::pipelining;
    auto mode = options_.pipelining;
    if (taught(host, lesson::no_overlap)) mode = std::min(mode, pipelining::envelope);
    if (taught(host, lesson::no_pipelining)) mode = pipelining::lockstep;
    auto server = host;
    if (host.security == security::opportunistic && taught(host, lesson::no_tls))
        server.security = security::insecure_none;
    return session_type({.server = std::move(server),
                         .client_name = options_.client_name,
                         .credentials = options_.credentials,
                         .ask_credentials = static_cast<bool>(options_.credentials_source),
                         .insecure_authentication = options_.insecure_authentication,
                         .pipelining = mode,
                         .window = options_.window,
                         .chunking = !taught(host, lesson::no_chunking),
                         .timeouts = options_.timeouts,
                         .nonce = std::move(nonce)});
}

POSTROAD_DECL void smtp::learn(const endpoint& host, postroad::smtp::lesson l) {
    if (l != postroad::smtp::lesson::none && !taught(host, l)) learned_.emplace_back(host, l);
}

POSTROAD_DECL bool smtp::taught(const endpoint& host, postroad::smtp::lesson l) const {
    return std::ranges::any_of(learned_, [&](const auto& known) {
        return known.first.name == host.name && known.first.port == host.port && known.second == l;
    });
}

}  // namespace postroad::transport
