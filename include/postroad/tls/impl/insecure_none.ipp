#pragma once

#include <postroad/tls/insecure_none.hpp>

namespace postroad::tls {
namespace detail {

POSTROAD_DECL std::string scheme_of(const endpoint& to) {
    switch (to.security) {
        case security::starttls: return "smtp://";
        case security::implicit: return "smtps://";
        case security::insecure_none: return "smtp+insecure://";
        case security::opportunistic: return "smtp+opportunistic://";
    }
    return {};
}

[[noreturn]] POSTROAD_DECL void throw_contradiction(const char* policy, const endpoint& to, const char* instead) {
    throw error(errc::contradiction, std::string(policy) + " contradicts " + scheme_of(to) + to_string(to) +
                                         "; write " + instead + " there, or compose the mailer with tls::automatic");
}

}  // namespace detail

POSTROAD_DECL start insecure_none::starts(const endpoint& to) const {
    if (to.security != security::insecure_none)
        detail::throw_contradiction("tls::insecure_none", to, "smtp+insecure://");
    return start::never;
}

}  // namespace postroad::tls
