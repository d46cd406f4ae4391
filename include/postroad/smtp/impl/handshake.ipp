#pragma once
// From the greeting until the session is open: EHLO, STARTTLS, AUTH.

#include <postroad/core/algorithm.hpp>
#include <postroad/core/base64.hpp>
#include <postroad/smtp/session.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

namespace postroad::smtp {
namespace detail {

// RFC 4954 section 4: the command itself is held to the limit of all commands; what follows may have 12288 octets.
inline constexpr std::size_t max_auth_command = 512;

// Whether it comes from the server or the way to it. What else keeps TLS from coming about is wrong with our settings
// or our machine, and another connection in the clear would only hide it.
inline bool is_of_the_peer(error_code ec) noexcept {
    // Of the system: those of a socket.
    if (ec.category() != error_category())
        return ec != std::errc::not_enough_memory && ec != std::errc::too_many_files_open &&
               ec != std::errc::too_many_files_open_in_system && ec != std::errc::no_buffer_space &&
               ec != postroad::condition::cancelled;
    return ec == errc::tls_handshake || ec == errc::tls_certificate || ec == errc::tls_broken ||
           ec == errc::tls_refused || ec == errc::malformed_reply || ec == errc::reply_too_long ||
           ec == errc::service_closing || ec == errc::connection_closed || ec == errc::timed_out;
}

}  // namespace detail

POSTROAD_DECL void session::say_hello() {
    state_ = state::awaiting_hello;
    command(phase::hello, (lmtp() ? "LHLO " : "EHLO ") + options_.client_name + "\r\n");
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
    const bool needs_extensions = (options_.server.security == security::starttls && !secured_) ||
                                  !options_.credentials.empty() || options_.ask_credentials;
    if (state_ == state::awaiting_hello && unknown && !needs_extensions && !lmtp()) {
        state_ = state::awaiting_helo;
        return command(phase::hello, "HELO " + options_.client_name + "\r\n");
    }
    part(r.positive() ? errc::unexpected_reply : errc::hello_refused, phase::hello,
         lmtp() ? "expected 250 to LHLO" : "expected 250 to EHLO", r);
}

POSTROAD_DECL void session::after_hello() {
    if (takes_tls()) {
        state_ = state::awaiting_starttls;
        return command(phase::starttls, "STARTTLS\r\n");
    }
    if (options_.server.security == security::starttls && !secured_)
        return part(errc::tls_not_offered, phase::hello, "TLS is required and the server does not offer STARTTLS");
    if (observer_ && options_.server.security == security::opportunistic && !secured_ && !tls_refused_)
        note_decision(phase::hello, "the server does not offer STARTTLS: going on in the clear");
    if (!options_.credentials.empty() || options_.ask_credentials) return begin_auth();
    become_open();
}

POSTROAD_DECL bool session::takes_tls() const noexcept {
    const auto how = options_.server.security;
    return capabilities_.starttls && !secured_ && !tls_refused_ &&
           (how == security::starttls || how == security::opportunistic);
}

POSTROAD_DECL void session::on_starttls(const reply& r) {
    if (r.code == 220) {
        state_ = state::awaiting_tls;
        return;
    }
    if (options_.server.security != security::opportunistic || r.positive())
        return part(errc::tls_refused, phase::starttls, "expected 220 to STARTTLS", r);
    tls_refused_ = true;
    if (observer_) note_decision(phase::starttls, "the server refuses STARTTLS: going on in the clear");
    after_hello();
}

// What fails once STARTTLS is asked for leaves the connection without use; the next one does without TLS. Octets in the
// clear behind the 220 are no such failure: they are somebody's work.
POSTROAD_DECL void session::learn_about_tls(error_code ec) {
    const bool asked = state_ == state::awaiting_starttls || wants_tls();
    if (!asked || options_.server.security != security::opportunistic || !detail::is_of_the_peer(ec)) return;
    learn(lesson::no_tls, wants_tls() ? phase::tls : phase::starttls,
          "the server offers STARTTLS and TLS does not come about: the next connection goes in the clear");
}

POSTROAD_DECL void session::channel_binding(std::string name, std::string data) {
    binding_name_ = std::move(name);
    binding_data_ = std::move(data);
}

POSTROAD_DECL void session::begin_auth() {
    if (capabilities_.auth.empty())
        return part(errc::authentication_not_offered, phase::auth,
                    capabilities_.auth_listed ? "credentials are given and the server offers AUTH without a mechanism"
                                              : "credentials are given and the server does not offer AUTH");
    unsuited_ = options_.auth.beyond;
    remembered_ = unsuited_.size();
    no_initial_ = options_.auth.no_initial_response;
    if (options_.ask_credentials) return want_credentials({});
    authenticate();
}

POSTROAD_DECL void session::want_credentials(secret refused_token) {
    state_ = state::awaiting_credentials;
    if (observer_ && !refused_token.empty()) note_decision(phase::auth, "the token was refused: another is asked for");
    events_.push_back(credentials_wanted{std::move(refused_token)});
}

POSTROAD_DECL void session::credentials(smtp::credentials c, time_point now) {
    if (state_ != state::awaiting_credentials) return;
    now_ = now;
    if (c.empty())
        return part(errc::invalid_credentials, phase::auth, "credentials were asked for, and those given are empty");
    if (c.mechanisms.empty()) c.mechanisms = options_.credentials.mechanisms;
    try {
        smtp::check(c);
    } catch (const error& e) {
        return part(e.code(), phase::auth, e.details().explanation);
    }
    // What was refused will be refused again, and may lock the account.
    if (token_refused_ && c.token == options_.credentials.token)
        return part(errc::authentication_rejected, phase::auth,
                    "the server refused the token, and the same one was given again");
    options_.credentials = std::move(c);
    authenticate();
    arm(now);
}

POSTROAD_DECL void session::no_credentials(error_code ec, std::string explanation, time_point now) {
    if (state_ != state::awaiting_credentials) return;
    now_ = now;
    part(ec ? ec : make_error_code(errc::credentials_unavailable), phase::auth, std::move(explanation));
}

POSTROAD_DECL void session::authenticate() {
    state_ = state::authenticating;
    error_code ec;
    std::string why;
    authenticator_ = next_exchange(ec, why);
    if (ec && remembered_ > 0) {  // nothing else is left
        unsuited_.erase(unsuited_.begin(), unsuited_.begin() + static_cast<std::ptrdiff_t>(remembered_));
        remembered_ = 0;
        authenticator_ = next_exchange(ec, why);
    }
    if (ec) return part(ec, phase::auth, std::move(why));
    begin_exchange();
}

// By the first mechanism that is not known to be beyond this server.
POSTROAD_DECL std::optional<authenticator> session::next_exchange(error_code& ec, std::string& why) const {
    // Opportunistic TLS may be with anybody, unless the certificate says more.
    const bool opportunistic = options_.server.security == security::opportunistic;
    const sasl_channel channel{.encrypted = secured_ && (!opportunistic || verified()),
                               .insecure_allowed = options_.insecure_authentication && (!opportunistic || secured_),
                               .binding_name = binding_name_,
                               .binding_data = binding_data_,
                               .host = options_.server.name,
                               .port = options_.server.port};
    auto c = options_.credentials;
    auto nonce = options_.nonce;
    if (!unsuited_.empty()) {
        c.mechanisms = mechanisms_for(c);
        std::erase_if(c.mechanisms, [&](const auto& m) { return postroad::detail::contains(unsuited_, m); });
        if (c.mechanisms.empty()) {
            ec = errc::no_common_mechanism;
            why = "the server can do none of the mechanisms";
            return {};
        }
    }
    // fresh for each exchange
    if (const auto before = unsuited_.size() + (no_initial_ ? 1 : 0)) nonce += std::to_string(before);
    authenticator a(c, capabilities_.auth, channel, std::move(nonce), ec);
    if (ec) {
        why = a.explanation();
        return {};
    }
    return a;
}

POSTROAD_DECL void session::begin_exchange() {
    hidden_.hide(authenticator_->hidden());
    std::string line = "AUTH " + std::string(authenticator_->mechanism());
    initial_response_.reset();
    if (authenticator_->client_first()) {
        error_code ec;
        const auto initial = authenticator_->respond({}, ec);
        if (ec) return part(ec, phase::auth, authenticator_->explanation());
        hidden_.hide(authenticator_->hidden());
        initial_response_.emplace(base64_encode(initial));
        const auto shown = initial.empty() ? std::string_view("=") : initial_response_->reveal();
        // Too long for a command line: the server asks for it with an empty challenge.
        initial_sent_ = !no_initial_ && line.size() + shown.size() + 3 <= detail::max_auth_command;
        if (initial_sent_) line.append(" ").append(shown);
    }
    command(phase::auth, line + "\r\n");
}

POSTROAD_DECL void session::on_auth(const reply& r) {
    if (r.code == 235) {
        if (!authenticator_->satisfied())
            return part(errc::authentication_failed, phase::auth,
                        authenticator_->reads_challenges()
                            ? "the server reported success before it proved that it knows the password"
                            : "the server reported success before it had asked for the user and the password");
        return become_open();
    }
    if (r.code == 334) return on_challenge(r);
    if (r.positive()) return fail(errc::unexpected_reply, phase::auth, "expected 235 or 334 to AUTH", r);
    on_auth_refused(r);
}

POSTROAD_DECL void session::on_challenge(const reply& r) {
    // With an empty challenge, or in words, some servers ask for what they did not take from the command. Behind a
    // token that was sent it says why it is refused.
    const bool asks = r.text.empty() || !(authenticator_->reads_challenges() || authenticator_->uses_token());
    if (const auto initial = std::exchange(initial_response_, {}); initial && (!initial_sent_ || asks))
        return command(phase::auth, std::string(initial->reveal()) + "\r\n");
    std::string challenge;
    if (!base64_decode(r.text, challenge)) {
        if (authenticator_->reads_challenges())
            return part(errc::authentication_failed, phase::auth, "the server's challenge is not base64", r);
        challenge = authenticator_->uses_token() ? r.text : std::string();
    }
    error_code ec;
    const auto response = authenticator_->respond(challenge, ec);
    if (ec) return part(ec, phase::auth, authenticator_->explanation(), r);
    hidden_.hide(authenticator_->hidden());
    command(phase::auth, base64_encode(response) + "\r\n");
}

POSTROAD_DECL void session::on_auth_refused(const reply& r) {
    // A token may have expired; a password that is tried again may lock the account.
    const bool token_refused = authenticator_->uses_token() && (r.code == 535 || authenticator_->refused());
    if (token_refused && r.permanent() && options_.ask_credentials && !token_refused_) {
        token_refused_ = true;
        authenticator_.reset();
        return want_credentials(options_.credentials.token);
    }
    if (try_another(r)) return;
    if (r.transient() || authenticator_->refusal() == scram_refusal::for_now)
        return part(errc::authentication_deferred, phase::auth,
                    "the server cannot authenticate now by " + rejected_by(), r);
    part(errc::authentication_rejected, phase::auth, "the server rejected the credentials by " + rejected_by(), r);
}

// Some servers take no initial response, though they must (RFC 4954 section 4): to them it is a syntax error, and
// nothing was said about the secret.
POSTROAD_DECL bool session::try_without_initial(const reply& r) {
    const bool syntax = r.code == 500 || r.code == 501 || r.code == 555;
    if (!syntax || no_initial_ || !initial_sent_ || !initial_response_) return false;
    no_initial_ = true;
    error_code ec;
    std::string why;
    authenticator_ = next_exchange(ec, why);
    if (ec) return false;
    if (observer_)
        note_decision(phase::auth, "the server takes no initial response: " + std::string(authenticator_->mechanism()) +
                                       " is tried without");
    begin_exchange();
    return true;
}

// Listed, and beyond the server (RFC 4954 section 6): too weak, not known, or nothing of SCRAM is stored for this user,
// which some say by 535. A secret that was refused is not tried again.
POSTROAD_DECL bool session::try_another(const reply& r) {
    if (try_without_initial(r)) return true;
    const bool syntax = r.code == 500 || r.code == 501 || r.code == 555;
    const bool beyond =
        r.code == 502 || r.code == 504 || r.code == 534 || ((syntax || r.code == 535) && !authenticator_->proved());
    if (!beyond) return false;
    unsuited_.emplace_back(authenticator_->mechanism());
    error_code ec;
    std::string why;
    auto next = next_exchange(ec, why);
    if (ec) return false;
    if (observer_)
        note_decision(phase::auth, "the server offers " + unsuited_.back() +
                                       " and refuses it: " + std::string(next->mechanism()) + " is tried");
    authenticator_ = std::move(next);
    begin_exchange();
    return true;
}

// The mechanisms, why, and another one to name where the refusal may be about the mechanism.
POSTROAD_DECL std::string session::rejected_by() const {
    const auto last = authenticator_->mechanism();
    std::string text;
    for (auto i = remembered_; i < unsuited_.size(); ++i)
        if (unsuited_[i] != last) text += unsuited_[i] + ", ";
    text += last;
    auto why = authenticator_->explanation();
    if (why.starts_with(last)) why.erase(0, last.size() + 2);  // it is named already
    if (!why.empty()) text += ": " + why;
    const bool plus = last.ends_with("-PLUS");
    const bool scram = last.starts_with("SCRAM-");
    const auto said = authenticator_->refusal();
    if (said == scram_refusal::password || said == scram_refusal::for_now) return text;
    if (plus) text += " (bound by " + binding_name_ + ')';
    const auto is_unsuited = [&](std::string_view m) { return postroad::detail::contains(unsuited_, m); };
    if (!scram && !is_unsuited(last)) return text;
    const auto other = std::ranges::find_if(capabilities_.auth, [&](const std::string& m) {
        const auto* info = detail::find_mechanism(m);
        return info && info->needs == detail::find_mechanism(last)->needs && !info->binds_channel && m != last &&
               !is_unsuited(m) && (!scram || plus || !m.starts_with("SCRAM-"));
    });
    if (other != capabilities_.auth.end())
        text +=
            "; if the password is right, " + std::string(last) + " is beyond the server: name another, auth=" + *other;
    return text;
}

// A server that did as it should is told that nothing follows (RFC 5321 section 4.1.1.10). Its answer would change
// nothing and is not awaited. Within an exchange QUIT would be a response, so that is cancelled first (RFC 4954 section
// 4).
POSTROAD_DECL void session::part(error_code ec, phase where, std::string explanation, const reply& r) {
    const bool within_exchange = state_ == state::authenticating && r.code == 334;
    fail(ec, where, std::move(explanation), r);
    commands_ = within_exchange ? "*\r\nQUIT\r\n" : "QUIT\r\n";
    segments_.push_back({false, commands_.size()});
}

POSTROAD_DECL void session::forget_credentials() noexcept {
    authenticator_.reset();
    initial_response_.reset();
    options_.credentials = {};
}

POSTROAD_DECL void session::become_open() {
    state_ = state::open;
    forget_credentials();
    capabilities_.chunking = capabilities_.chunking && options_.chunking && (!family_ || family_->drops_refused_chunks);
    const bool automatic = options_.pipelining == pipelining::automatic;
    const auto wanted = automatic ? pipelining::window : options_.pipelining;
    const auto offered = capabilities_.chunking ? pipelining::window : pipelining::across;
    limit_ = capabilities_.pipelining ? std::min(wanted, offered) : pipelining::lockstep;
    mode_ = automatic ? std::min(limit_, pipelining::envelope) : limit_;
    window_now_ = std::min(options_.window, first_window);
    if (observer_) note_pipelining();
    const bool taught = unsuited_.size() > remembered_ || no_initial_ != options_.auth.no_initial_response;
    events_.push_back(ready{automatic, family_, taught ? auth_habits{unsuited_, no_initial_} : auth_habits{}});
}

}  // namespace postroad::smtp
