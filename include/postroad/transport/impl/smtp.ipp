#pragma once

#include <postroad/transport/smtp.hpp>

#include <utility>

namespace postroad::transport {

POSTROAD_DECL smtp::smtp(smtp_options options) : options_(std::move(options)) {
    postroad::smtp::check_client_name(options_.client_name);
    postroad::smtp::check(options_.credentials);
    if (options_.server.name.empty() || options_.server.port == 0)
        throw error(errc::invalid_host_name, "the SMTP server has no name or no port");
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
                                                      : pipelining::envelope;
        else if (name == "auth")
            options_.credentials.mechanisms = mechanism_list(value);
        else
            others_.emplace_back(name, value);
    }
    postroad::smtp::check_client_name(options_.client_name);
    postroad::smtp::check(options_.credentials);
}

POSTROAD_DECL smtp::session_type smtp::make_session(const endpoint& host, std::string nonce) const {
    return session_type({.server = host,
                         .client_name = options_.client_name,
                         .credentials = options_.credentials,
                         .pipelining = options_.pipelining,
                         .timeouts = options_.timeouts,
                         .nonce = std::move(nonce)});
}

}  // namespace postroad::transport
