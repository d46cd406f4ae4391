#pragma once
// The mechanisms postroad has, what each needs, and how they write names.

#include <cstddef>
#include <string>
#include <string_view>

namespace postroad::smtp::detail {

enum class mechanism : unsigned char { plain, login, cram_md5, scram, xoauth2, oauthbearer, external, anonymous };
enum class needs : unsigned char { password, token, user_and_token, nothing };
enum class scram_hash : unsigned char { sha1, sha256 };

struct mechanism_info {
    std::string_view name;
    mechanism kind;
    detail::needs needs;
    scram_hash hash = scram_hash::sha256;
    bool binds_channel = false;

    // Whether what is sent lets a listener on the wire use or guess the secret.
    bool needs_tls() const noexcept { return needs != detail::needs::nothing; }
    bool needs_token() const noexcept {
        return needs == detail::needs::token || needs == detail::needs::user_and_token;
    }
    bool client_first() const noexcept { return kind != mechanism::login && kind != mechanism::cram_md5; }
};

// Strongest first, where binding to the channel counts more than the hash: who sits between has nothing to gain by
// taking the one with the better hash out of the server's list. The first `default_passwords` entries are the default
// order with a password, the next `default_tokens` that with a token. The rest has to be asked for.
inline constexpr mechanism_info mechanism_table[] = {
    {"SCRAM-SHA-256-PLUS", mechanism::scram, needs::password, scram_hash::sha256, true},
    {"SCRAM-SHA-1-PLUS", mechanism::scram, needs::password, scram_hash::sha1, true},
    {"SCRAM-SHA-256", mechanism::scram, needs::password, scram_hash::sha256, false},
    {"SCRAM-SHA-1", mechanism::scram, needs::password, scram_hash::sha1, false},
    {"PLAIN", mechanism::plain, needs::password},
    {"LOGIN", mechanism::login, needs::password},
    {"OAUTHBEARER", mechanism::oauthbearer, needs::token},
    {"XOAUTH2", mechanism::xoauth2, needs::user_and_token},
    {"CRAM-MD5", mechanism::cram_md5, needs::password},
    {"EXTERNAL", mechanism::external, needs::nothing},
    {"ANONYMOUS", mechanism::anonymous, needs::nothing},
};
inline constexpr std::size_t default_passwords = 6;
inline constexpr std::size_t default_tokens = 2;

inline const mechanism_info* find_mechanism(std::string_view name) noexcept {
    for (const auto& m : mechanism_table)
        if (m.name == name) return &m;
    return nullptr;
}

// saslname of RFC 5802 section 7: a comma ends an attribute.
inline std::string sasl_name(std::string_view name) {
    std::string result;
    for (const char c : name) {
        if (c == '=')
            result += "=3D";
        else if (c == ',')
            result += "=2C";
        else
            result += c;
    }
    return result;
}

}  // namespace postroad::smtp::detail
