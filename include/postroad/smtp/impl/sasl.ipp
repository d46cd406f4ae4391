#pragma once

#include <postroad/smtp/sasl.hpp>

#include <postroad/core/algorithm.hpp>
#include <postroad/core/base64.hpp>
#include <postroad/core/hex.hpp>
#include <postroad/smtp/detail/hmac.hpp>
#include <postroad/smtp/saslprep.hpp>

#include <algorithm>
#include <utility>

namespace postroad::smtp {
namespace detail {

inline std::string joined(std::span<const std::string> names) {
    std::string result;
    for (const auto& name : names) (result += result.empty() ? "" : ", ") += name;
    return escaped(result, 200);
}

inline bool suits(const mechanism_info& m, const credentials& c) noexcept {
    switch (m.needs) {
        case needs::password: return !c.user.empty() && !c.password.empty();
        case needs::token: return !c.token.empty();
        case needs::user_and_token: return !c.user.empty() && !c.token.empty();
        case needs::nothing: return true;
    }
    return false;
}

inline bool has_channel_binding(const sasl_channel& channel) noexcept {
    return channel.encrypted && !channel.binding_name.empty() && !channel.binding_data.empty();
}

// The value of "status" in the server's JSON (RFC 7628 section 3.2.2) if it is one of that RFC's (by way of RFC 6750)
// or a number as the vendors of XOAUTH2 send: anything else might repeat the token.
inline std::string_view token_status(std::string_view json) noexcept {
    static constexpr std::string_view key = "\"status\"";
    const auto at = json.find(key);
    if (at == std::string_view::npos) return {};
    json.remove_prefix(at + key.size());
    json.remove_prefix(std::min(json.find_first_not_of(" \t\r\n:\""), json.size()));
    const auto value = json.substr(0, std::min(json.find_first_of(" \t\r\n,}\""), json.size()));
    for (const std::string_view known : {"invalid_token", "invalid_request", "insufficient_scope"})
        if (value == known) return value;
    const bool number =
        value.size() == 3 && postroad::detail::all_of(value, [](char c) { return c >= '0' && c <= '9'; });
    return number ? value : std::string_view{};
}

inline std::string cram_md5_digest(std::string_view key, std::string_view challenge) {
    digest d;
    if (!hmac(MBEDTLS_MD_MD5, key)({challenge}, d)) return {};
    return postroad::detail::in_hex(d.view());
}

}  // namespace detail

POSTROAD_DECL std::vector<std::string> mechanisms_for(const credentials& c) {
    if (!c.mechanisms.empty()) return c.mechanisms;
    std::vector<std::string> result;
    const auto first = c.token.empty() ? 0 : detail::default_passwords;
    const auto count = c.token.empty() ? detail::default_passwords : detail::default_tokens;
    for (std::size_t i = first; i < first + count; ++i) result.emplace_back(detail::mechanism_table[i].name);
    return result;
}

POSTROAD_DECL authenticator::authenticator(const credentials& c, std::span<const std::string> offered,
                                           const sasl_channel& channel, std::string client_nonce, error_code& ec)
    : credentials_(c), host_(channel.host), port_(channel.port) {
    ec.clear();
    hidden_.hide_password(credentials_.password);
    hidden_.hide_encoded_too(credentials_.token);
    info_ = choose(c, offered, channel, ec);
    if (!info_) {
        state_ = state::failed;
    } else if (info_->kind == detail::mechanism::scram) {
        start_scram(offered, channel, std::move(client_nonce), ec);
    }
}

POSTROAD_DECL const detail::mechanism_info* authenticator::choose(const credentials& c,
                                                                  std::span<const std::string> offered,
                                                                  const sasl_channel& channel, error_code& ec) {
    if (offered.empty()) {
        ec = make_error_code(errc::authentication_not_offered);
        explanation_ = "credentials are given, and the server offers no authentication here";
        return nullptr;
    }
    auto names = mechanisms_for(c);
    std::erase_if(names, [&](const std::string& name) {
        const auto* m = detail::find_mechanism(name);
        return !m || !detail::suits(*m, c);
    });
    bool insecure = false;
    bool unbound = false;
    for (const auto& name : names) {
        const auto* m = detail::find_mechanism(name);
        if (!postroad::detail::contains(offered, name)) continue;
        if (m->needs_tls() && !channel.encrypted && !channel.insecure_allowed) {
            insecure = true;
        } else if (m->binds_channel && !detail::has_channel_binding(channel)) {
            unbound = true;
        } else {
            return m;
        }
    }
    ec = make_error_code(insecure ? errc::insecure_authentication : errc::no_common_mechanism);
    const bool strange = postroad::detail::none_of(offered, detail::find_mechanism);
    explanation_ = (insecure ? "credentials are not sent without verified TLS; the server offers "
                             : "no mechanism in common: the server offers ") +
                   detail::joined(offered) + (strange ? ", none of which postroad has" : "") +
                   "; usable with these credentials: " + (names.empty() ? "none" : detail::joined(names));
    if (unbound) explanation_ += " (-PLUS needs channel binding, which this connection lacks)";
    return nullptr;
}

POSTROAD_DECL void authenticator::start_scram(std::span<const std::string> offered, const sasl_channel& channel,
                                              std::string client_nonce, error_code& ec) {
    if (!scram_client::is_nonce(client_nonce)) {
        fail("SCRAM: the client's nonce is too short or not printable", ec);
        return;
    }
    auto user = prepared("user name", credentials_.user, ec);
    secret password(prepared("password", credentials_.password.reveal(), ec));
    auto identity = prepared("authorization identity", credentials_.authorization_id, ec);
    if (ec) return;
    std::string flag = "n";
    if (info_->binds_channel)
        flag = "p=" + channel.binding_name;
    else if (detail::has_channel_binding(channel) &&
             !postroad::detail::contains(offered, std::string(info_->name) + "-PLUS"))
        flag = "y";  // if the server did offer -PLUS and somebody took it out of the list, it notices
    scram_.emplace(scram_options{.hash = info_->hash,
                                 .user = std::move(user),
                                 .password = std::move(password),
                                 .authorization_id = std::move(identity),
                                 .binding_flag = std::move(flag),
                                 .binding_data = channel.binding_data,
                                 .nonce = std::move(client_nonce)});
}

// RFC 5802 section 5.1
POSTROAD_DECL std::string authenticator::prepared(std::string_view name, std::string_view text, error_code& ec) {
    std::string problem;
    auto result = ec ? std::string() : saslprep(text, problem);
    if (!problem.empty()) fail("SCRAM: the " + std::string(name) + ' ' + problem, ec);
    return result;
}

POSTROAD_DECL std::string authenticator::respond(std::string_view challenge, error_code& ec) {
    ec.clear();
    if (state_ == state::failed) return fail(std::move(explanation_), ec);
    if (challenge.size() > max_challenge) return fail("the server's challenge is too long", ec);
    auto response = answer(challenge, ec);
    // SCRAM's messages reveal nothing
    if (!ec && !response.empty() && !scram_) {
        sent_ = true;
        hidden_.hide(base64_encode(response));
    }
    return response;
}

POSTROAD_DECL std::string authenticator::answer(std::string_view challenge, error_code& ec) {
    switch (info_->kind) {
        case detail::mechanism::plain:
        case detail::mechanism::external:
        case detail::mechanism::anonymous: return only_response(challenge, initial_response(), ec);
        case detail::mechanism::xoauth2:
        case detail::mechanism::oauthbearer: return answer_token(challenge, ec);
        case detail::mechanism::login: return answer_login(challenge, ec);
        case detail::mechanism::cram_md5: return answer_cram_md5(challenge, ec);
        case detail::mechanism::scram: return answer_scram(challenge, ec);
    }
    return {};
}

POSTROAD_DECL std::string authenticator::initial_response() const {
    const auto& c = credentials_;
    switch (info_->kind) {
        case detail::mechanism::plain: {  // RFC 4616 section 2
            std::string text = c.authorization_id + '\0' + c.user + '\0';
            return text.append(c.password.reveal());
        }
        case detail::mechanism::external: return c.authorization_id;  // RFC 4422 appendix A
        case detail::mechanism::anonymous: return c.user;             // RFC 4505: a trace, which may be empty
        case detail::mechanism::xoauth2:
            return "user=" + c.user +
                   "\x01"
                   "auth=Bearer " +
                   std::string(c.token.reveal()) + "\x01\x01";
        case detail::mechanism::oauthbearer: {  // RFC 7628 section 3.1
            const auto& identity = c.authorization_id.empty() ? c.user : c.authorization_id;
            std::string text = identity.empty() ? "n,," : "n,a=" + detail::sasl_name(identity) + ',';
            if (!host_.empty()) text += "\x01host=" + host_;
            if (port_ != 0) text += "\x01port=" + std::to_string(port_);
            return text +
                   "\x01"
                   "auth=Bearer " +
                   std::string(c.token.reveal()) + "\x01\x01";
        }
        case detail::mechanism::scram: return scram_->first();
        case detail::mechanism::login:
        case detail::mechanism::cram_md5: break;
    }
    return {};
}

POSTROAD_DECL std::string authenticator::only_response(std::string_view challenge, std::string response,
                                                       error_code& ec) {
    if (state_ != state::awaiting_start) return fail(std::string(mechanism()) + ": the server asks for more", ec);
    if (!challenge.empty()) return fail(std::string(mechanism()) + ": expected an empty challenge", ec);
    state_ = state::complete;
    return response;
}

POSTROAD_DECL std::string authenticator::answer_token(std::string_view challenge, error_code& ec) {
    if (state_ != state::complete) return only_response(challenge, initial_response(), ec);
    const auto status = detail::token_status(challenge);
    explanation_ = std::string(mechanism()) + ": the server refuses the token";
    if (!status.empty()) explanation_ += ": " + std::string(status);
    state_ = state::refused;
    // the failure itself comes only after an answer: RFC 7628 section 3.2.3; XOAUTH2 wants it empty
    return info_->kind == detail::mechanism::oauthbearer ? "\x01" : "";
}

// The prompts are not compared: servers word them freely, and the order is always the same.
POSTROAD_DECL std::string authenticator::answer_login(std::string_view, error_code& ec) {
    if (state_ == state::awaiting_start) {
        state_ = state::awaiting_challenge;
        return credentials_.user;
    }
    if (state_ != state::awaiting_challenge) return fail("LOGIN: the server asks for more", ec);
    state_ = state::complete;
    return std::string(credentials_.password.reveal());
}

POSTROAD_DECL std::string authenticator::answer_cram_md5(std::string_view challenge, error_code& ec) {
    if (state_ != state::awaiting_start) return fail("CRAM-MD5: the server asks for more", ec);
    if (challenge.empty()) return fail("CRAM-MD5: the challenge is empty", ec);
    const auto digest = detail::cram_md5_digest(credentials_.password.reveal(), challenge);
    if (digest.empty()) return fail("CRAM-MD5: mbedTLS cannot compute the digest", ec);
    state_ = state::complete;
    return credentials_.user + ' ' + digest;
}

POSTROAD_DECL std::string authenticator::answer_scram(std::string_view challenge, error_code& ec) {
    std::string problem;
    std::string_view name;
    if (const auto why = scram_client::refusal(challenge, name);
        why && (state_ == state::awaiting_challenge || state_ == state::awaiting_verification))
        return answer_scram_refusal(*why, name, ec);
    switch (state_) {
        case state::awaiting_start: {
            auto first = only_response(challenge, initial_response(), ec);
            if (!ec) state_ = state::awaiting_challenge;
            return first;
        }
        case state::awaiting_challenge: {
            auto response = scram_->final(challenge, problem);
            if (!problem.empty()) return fail(std::move(problem), ec);
            state_ = state::awaiting_verification;
            sent_ = true;
            return response;
        }
        case state::awaiting_verification:
            if (!scram_->verify(challenge, problem)) return fail(std::move(problem), ec);
            state_ = state::complete;
            return {};
        case state::complete:
        case state::refused:
        case state::failed: break;
    }
    return fail("SCRAM: the server asks for more", ec);
}

// The reply to this says whether it is for good. Behind signs of tampering nothing is said.
POSTROAD_DECL std::string authenticator::answer_scram_refusal(scram_refusal r, std::string_view name, error_code& ec) {
    auto text = std::string(mechanism()) + ": the server reports " + std::string(name);
    if (r == scram_refusal::tampering) return fail(std::move(text), ec);
    refusal_ = r;
    explanation_ = std::move(text);
    state_ = state::refused;
    return {};
}

POSTROAD_DECL std::string authenticator::fail(std::string explanation, error_code& ec) {
    state_ = state::failed;
    explanation_ = std::move(explanation);
    ec = make_error_code(errc::authentication_failed);
    return {};
}

}  // namespace postroad::smtp
