#pragma once

#include <postroad/smtp/scram.hpp>

#include <postroad/core/algorithm.hpp>
#include <postroad/core/base64.hpp>
#include <postroad/core/number.hpp>
#include <postroad/smtp/detail/hmac.hpp>

#include <algorithm>
#include <utility>

namespace postroad::smtp {
namespace detail {

inline mbedtls_md_type_t md_type(scram_hash h) noexcept {
    return h == scram_hash::sha1 ? MBEDTLS_MD_SHA1 : MBEDTLS_MD_SHA256;
}

inline bool is_nonce_text(std::string_view text) noexcept {
    return postroad::detail::all_of(text, [](char c) { return c > 0x20 && c < 0x7f && c != ','; });
}

// Cuts "name=value," off the front of `message`; false if something else stands there.
inline bool take_attribute(std::string_view& message, char name, std::string_view& value) noexcept {
    if (message.size() < 2 || message[0] != name || message[1] != '=') return false;
    const auto comma = std::min(message.find(','), message.size());
    value = message.substr(2, comma - 2);
    message.remove_prefix(std::min(comma + 1, message.size()));
    return true;
}

struct scram_error {
    std::string_view name;
    scram_refusal means;
};

// Some send `other-error` for anything, and what is not known is treated like it.
inline constexpr scram_error scram_errors[] = {
    {"other-error", scram_refusal::unsaid},
    {"invalid-encoding", scram_refusal::mechanism},
    {"extensions-not-supported", scram_refusal::mechanism},
    {"invalid-proof", scram_refusal::password},
    {"channel-bindings-dont-match", scram_refusal::tampering},
    {"server-does-support-channel-binding", scram_refusal::tampering},
    {"channel-binding-not-supported", scram_refusal::mechanism},
    {"unsupported-channel-binding-type", scram_refusal::mechanism},
    {"unknown-user", scram_refusal::mechanism},
    {"invalid-username-encoding", scram_refusal::mechanism},
    {"no-resources", scram_refusal::for_now},
};

struct server_first_message {
    std::string_view nonce;
    std::string salt;
    std::uint32_t iterations = 0;
};

inline std::string parse_server_first(std::string_view message, std::string_view client_nonce,
                                      server_first_message& out) {
    if (message.starts_with("m=")) return "SCRAM: the server requires an extension that postroad lacks";
    std::string_view salt;
    std::string_view count;
    if (!take_attribute(message, 'r', out.nonce) || !take_attribute(message, 's', salt) ||
        !take_attribute(message, 'i', count))
        return "SCRAM: expected nonce, salt and iteration count in the server's first message";
    if (!out.nonce.starts_with(client_nonce) || out.nonce.size() == client_nonce.size() || !is_nonce_text(out.nonce))
        return "SCRAM: the server's nonce does not extend ours";
    if (!base64_decode(salt, out.salt) || out.salt.empty() || out.salt.size() > scram_client::max_salt)
        return "SCRAM: the server's salt is not base64 of 1 to " + std::to_string(scram_client::max_salt) + " octets";
    out.iterations = postroad::detail::whole_number<decltype(out.iterations)>(count).value_or(0);
    if (count.starts_with('0') || out.iterations < scram_client::min_iterations ||
        out.iterations > scram_client::max_iterations)
        return "SCRAM: the server's iteration count is not within " + std::to_string(scram_client::min_iterations) +
               " to " + std::to_string(scram_client::max_iterations);
    return {};
}

}  // namespace detail

POSTROAD_DECL std::optional<scram_refusal> scram_client::refusal(std::string_view server_message,
                                                                 std::string_view& name) {
    std::string_view value;
    if (!detail::take_attribute(server_message, 'e', value)) return {};
    const auto* found = std::ranges::find(detail::scram_errors, value, &detail::scram_error::name);
    if (found == std::end(detail::scram_errors)) found = detail::scram_errors;
    name = found->name;
    return found->means;
}

POSTROAD_DECL scram_client::scram_client(scram_options options) : options_(std::move(options)) {
    header_ = options_.binding_flag + ',';
    if (!options_.authorization_id.empty()) header_ += "a=" + detail::sasl_name(options_.authorization_id);
    header_ += ',';
    first_bare_ = "n=" + detail::sasl_name(options_.user) + ",r=" + options_.nonce;
}

POSTROAD_DECL bool scram_client::is_nonce(std::string_view nonce) noexcept {
    return nonce.size() >= min_nonce && detail::is_nonce_text(nonce);
}

POSTROAD_DECL std::string scram_client::final(std::string_view server_first, std::string& problem) {
    detail::server_first_message server;
    problem = detail::parse_server_first(server_first, options_.nonce, server);
    if (!problem.empty()) return {};
    const auto binding = options_.binding_flag.starts_with("p=") ? header_ + options_.binding_data : header_;
    const auto without_proof = "c=" + base64_encode(binding) + ",r=" + std::string(server.nonce);
    const auto auth_message = first_bare_ + ',' + std::string(server_first) + ',' + without_proof;
    std::string proof;
    if (!prove(server.salt, server.iterations, auth_message, proof)) {
        problem = "SCRAM: mbedTLS cannot compute the proof";
        return {};
    }
    return without_proof + ",p=" + base64_encode(proof);
}

POSTROAD_DECL bool scram_client::prove(std::string_view salt, std::uint32_t iterations, const std::string& auth_message,
                                       std::string& proof) {
    const auto type = detail::md_type(options_.hash);
    detail::digest salted;
    detail::digest client_key;
    detail::digest stored_key;
    detail::digest client_signature;
    detail::digest server_key;
    detail::digest server_signature;
    if (!detail::salted_password(type, options_.password.reveal(), salt, iterations, salted)) return false;
    detail::hmac keys(type, salted.view());
    if (!keys({"Client Key"}, client_key) || !keys({"Server Key"}, server_key) ||
        !detail::hash(type, client_key.view(), stored_key) ||
        !detail::hmac(type, stored_key.view())({auth_message}, client_signature) ||
        !detail::hmac(type, server_key.view())({auth_message}, server_signature))
        return false;
    client_key ^= client_signature;
    proof = client_key.view();
    server_signature_ = secret(server_signature.view());
    options_.password = secret();
    return true;
}

POSTROAD_DECL bool scram_client::verify(std::string_view server_final, std::string& problem) const {
    std::string_view value;
    std::string signature;
    if (!detail::take_attribute(server_final, 'v', value) || !base64_decode(value, signature)) {
        problem = "SCRAM: expected the server's signature";
    } else if (server_signature_.empty() || !detail::equal_in_constant_time(signature, server_signature_.reveal())) {
        problem = "SCRAM: the server's signature is wrong; it does not know the password";
    } else {
        return true;
    }
    return false;
}

}  // namespace postroad::smtp
