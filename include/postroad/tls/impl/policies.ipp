#pragma once

#include <postroad/tls/policies.hpp>

namespace postroad::tls {

POSTROAD_DECL start automatic::starts(const endpoint& to) const {
    switch (to.security) {
        case security::starttls:
        case security::opportunistic: return start::by_starttls;
        case security::implicit: return start::immediately;
        case security::insecure_none: return start::never;
    }
    return start::by_starttls;
}

POSTROAD_DECL start required::starts(const endpoint& to) const {
    if (to.security != security::starttls) detail::throw_contradiction("tls::required", to, "smtp://");
    return start::by_starttls;
}

POSTROAD_DECL start implicit::starts(const endpoint& to) const {
    if (to.security != security::implicit) detail::throw_contradiction("tls::implicit", to, "smtps://");
    return start::immediately;
}

}  // namespace postroad::tls
