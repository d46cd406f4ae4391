#pragma once

#include <postroad/tls/scheme_policy.hpp>

namespace postroad::tls::detail {

POSTROAD_DECL start start_by(rule r, const endpoint& to) {
    const auto demand = [&](security s, const char* policy, const char* scheme) {
        if (to.security != s) throw_contradiction(policy, to, scheme);
    };
    switch (r) {
        case rule::required: demand(security::starttls, "tls::required", "smtp://"); break;
        case rule::implicit: demand(security::implicit, "tls::implicit", "smtps://"); break;
        case rule::opportunistic: demand(security::opportunistic, "tls::opportunistic", "smtp+opportunistic://"); break;
        case rule::automatic: break;
    }
    switch (to.security) {
        case security::starttls: return start::by_starttls;
        case security::implicit: return start::immediately;
        case security::insecure_none: return start::never;
        case security::opportunistic: return start::if_offered;
    }
    return start::by_starttls;
}

}  // namespace postroad::tls::detail
