#pragma once
// From the greeting until the session is open: EHLO, STARTTLS, AUTH.

#include <postroad/core/base64.hpp>
#include <postroad/smtp/session.hpp>

#include <string>
#include <string_view>
#include <utility>

namespace postroad::smtp {
namespace detail {

// RFC 4954 section 4: servers must take lines of this size in an authentication exchange.
inline constexpr std::size_t max_auth_line = 12288;

}  // namespace detail

POSTROAD_DECL void session::say_hello() {
    state_ = state::awaiting_hello;
    command(phase::hello, "EHLO " + options_.client_name + "\r\n");
}

POSTROAD_DECL void session::on_hello(const reply& r) {
    if (r.code == 250) {
        capabilities_ = {};
        if (state_ == state::awaiting_hello) {
            std::string_view rest = r.text;
            for (auto end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
                rest.remove_prefix(end + 1);
                capabilities_.parse_line(rest.substr(0, rest.find('\n')));
            }
        }
        return after_hello();
    }
    // RFC 5321 section 3.2: a server that does not know EHLO gets HELO, unless something it cannot offer is required.
    const bool unknown = r.code == 500 || r.code == 502 || r.code == 504 || r.code == 550;
    const bool needs_extensions =
        (options_.server.security == security::starttls && !secured_) || !options_.credentials.empty();
    if (state_ == state::awaiting_hello && unknown && !needs_extensions) {
        state_ = state::awaiting_helo;
        return command(phase::hello, "HELO " + options_.client_name + "\r\n");
    }
    fail(r.positive() ? errc::unexpected_reply : errc::hello_refused, phase::hello, "expected 250 to EHLO", r);
}

POSTROAD_DECL void session::after_hello() {
    if (options_.server.security == security::starttls && !secured_) {
        if (!capabilities_.starttls)
            return fail(errc::tls_not_offered, phase::hello,
                        "TLS is required and the server does not offer STARTTLS; use smtps:// if it expects TLS from "
                        "the start, or smtp+insecure:// to send in the clear");
        state_ = state::awaiting_starttls;
        return command(phase::starttls, "STARTTLS\r\n");
    }
    if (!options_.credentials.empty()) return begin_auth();
    become_open();
}

POSTROAD_DECL void session::begin_auth() {
    if (capabilities_.auth.empty())
        return fail(errc::authentication_not_offered, phase::auth,
                    "credentials are given and the server does not offer AUTH");
    state_ = state::authenticating;
    const sasl_channel channel{.encrypted = secured_,
                               .insecure_allowed = options_.insecure_authentication,
                               .host = options_.server.name,
                               .port = options_.server.port};
    error_code ec;
    authenticator_.emplace(options_.credentials, capabilities_.auth, channel, options_.nonce, ec);
    if (ec) return fail(ec, phase::auth, authenticator_->explanation());
    std::string line = "AUTH " + std::string(authenticator_->mechanism());
    if (authenticator_->client_first()) {
        const auto initial = authenticator_->respond({}, ec);
        if (ec) return fail(ec, phase::auth, authenticator_->explanation());
        const auto encoded = initial.empty() ? std::string("=") : base64_encode(initial);
        // Too long for a command line: the server asks for it with an empty challenge.
        if (line.size() + encoded.size() + 3 <= detail::max_auth_line)
            line += ' ' + encoded;
        else
            initial_response_ = encoded;
    }
    command(phase::auth, line + "\r\n");
}

POSTROAD_DECL void session::on_auth(const reply& r) {
    if (r.code == 235) {
        if (!authenticator_->satisfied())
            return fail(errc::authentication_failed, phase::auth,
                        "the server reported success before it proved that it knows the password");
        return become_open();
    }
    if (r.code == 334) {
        if (!initial_response_.empty()) {
            initial_response_ += "\r\n";
            return command(phase::auth, std::exchange(initial_response_, {}));
        }
        std::string challenge;
        if (!base64_decode(r.text, challenge))
            return fail(errc::authentication_failed, phase::auth, "the server's challenge is not base64", r);
        error_code ec;
        const auto response = authenticator_->respond(challenge, ec);
        if (ec) return fail(ec, phase::auth, authenticator_->explanation());
        return command(phase::auth, base64_encode(response) + "\r\n");
    }
    if (r.positive()) return fail(errc::unexpected_reply, phase::auth, "expected 235 or 334 to AUTH", r);
    const auto why = authenticator_->explanation().empty() ? std::string() : ": " + authenticator_->explanation();
    const auto mechanism = std::string(authenticator_->mechanism());
    if (r.transient())
        return fail(errc::authentication_deferred, phase::auth,
                    "the server cannot authenticate now by " + mechanism + why, r);
    fail(errc::authentication_rejected, phase::auth, "the server rejected the credentials by " + mechanism + why, r);
}

POSTROAD_DECL void session::become_open() {
    state_ = state::open;
    authenticator_.reset();
    options_.credentials = {};
    mode_ = capabilities_.pipelining ? options_.pipelining : pipelining::lockstep;
    if (mode_ == pipelining::window && !capabilities_.chunking) mode_ = pipelining::across;
    window_now_ = std::min(options_.window, first_window);
    events_.push_back(ready{});
}

}  // namespace postroad::smtp
