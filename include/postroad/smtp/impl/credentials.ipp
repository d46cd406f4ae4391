#pragma once

#include <postroad/smtp/credentials.hpp>

#include <postroad/core/algorithm.hpp>
#include <postroad/message/utf8.hpp>
#include <postroad/smtp/detail/mechanisms.hpp>

namespace postroad::smtp {
namespace detail {

[[noreturn]] inline void refuse_credentials(std::string_view field, std::string_view problem) {
    throw error(errc::invalid_credentials, std::string(field) + ' ' + std::string(problem));
}

inline void check_field(std::string_view field, std::string_view value, std::size_t limit) {
    if (value.size() > limit) refuse_credentials(field, "is longer than " + std::to_string(limit) + " octets");
    for (std::size_t at = 0; at < value.size();) {
        const auto c = postroad::detail::next_character(value, at);
        if (c == postroad::detail::ill_formed) refuse_credentials(field, "is not valid UTF-8");
        if (postroad::detail::is_control(c)) refuse_credentials(field, "holds a control character");
    }
}

}  // namespace detail

POSTROAD_DECL bool is_known_mechanism(std::string_view name) noexcept {
    return detail::find_mechanism(name) != nullptr;
}

POSTROAD_DECL void check_mechanisms(const credentials& c) {
    for (const auto& name : c.mechanisms) {
        if (is_known_mechanism(name)) continue;
        std::string known;
        for (const auto& m : detail::mechanism_table) (known += known.empty() ? "" : ", ") += m.name;
        throw error(errc::invalid_credentials,
                    "unknown mechanism \"" + escaped(name, 40) + "\"; postroad has " + known);
    }
}

POSTROAD_DECL void check_fields(const credentials& c) {
    detail::check_field("the user name", c.user, credentials::max_field);
    detail::check_field("the password", c.password.reveal(), credentials::max_field);
    detail::check_field("the authorization identity", c.authorization_id, credentials::max_field);
    detail::check_field("the token", c.token.reveal(), credentials::max_token);
    for (const char t : c.token.reveal())
        if (t == ' ' || static_cast<unsigned char>(t) > 127)
            detail::refuse_credentials("the token", "holds a character that bearer tokens do not have");
}

POSTROAD_DECL void check(const credentials& c) {
    check_fields(c);
    check_mechanisms(c);
    if (c.user.empty() && !c.password.empty()) detail::refuse_credentials("the user name", "is empty");
    const bool secretless = postroad::detail::any_of(c.mechanisms, [](const std::string& name) {
        return detail::find_mechanism(name)->needs == detail::needs::nothing;
    });
    if (c.user.empty() && c.token.empty() && c.authorization_id.empty() && !c.mechanisms.empty() && !secretless)
        throw error(errc::invalid_credentials,
                    "mechanisms are named (auth=), and there is neither a password nor a token to use them with");
    if (!c.empty() && c.password.empty() && c.token.empty() && !secretless)
        detail::refuse_credentials("the password", "is empty, and there is no token");
}

}  // namespace postroad::smtp
