#pragma once
// Who the sender says it is, and what proves it.

#include <postroad/core/config.hpp>
#include <postroad/core/error.hpp>
#include <postroad/core/secret.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace postroad::smtp {

/// Credentials of one account. Each field is UTF-8 without control characters. SCRAM prepares what is not ASCII (see
/// saslprep()); the other mechanisms send it as it is given, and preparing is the server's matter.
struct credentials {
    /// Octets of a name or password, and of a token. With them each response stays within the 12288 octets of base64
    /// a server must take (RFC 4954 section 4).
    static constexpr std::size_t max_field = 512;
    static constexpr std::size_t max_token = 8000;

    std::string user = {};
    secret password = {};
    secret token = {};                  ///< OAuth 2.0 bearer token (RFC 6750); then the password is not used
    std::string authorization_id = {};  ///< to act as another identity; empty: as the user
    /// Mechanisms that may be used, in order of preference. Empty means, with a token: OAUTHBEARER, XOAUTH2; else:
    /// SCRAM-SHA-256-PLUS, SCRAM-SHA-1-PLUS, SCRAM-SHA-256, SCRAM-SHA-1, PLAIN, LOGIN. CRAM-MD5, EXTERNAL and
    /// ANONYMOUS are used only when named here.
    std::vector<std::string> mechanisms = {};

    /// Whether there is nothing to authenticate with: then AUTH is not sent.
    bool empty() const noexcept {
        return user.empty() && password.empty() && token.empty() && authorization_id.empty() && mechanisms.empty();
    }
    friend bool operator==(const credentials&, const credentials&) = default;
};

/// Throws `error` (errc::invalid_credentials), naming the field and never its value, for a control character (NUL, CR,
/// LF, \x01 would end or forge a part of the exchange), text that is not UTF-8, a field over its limit, a token with a
/// space or non-ASCII character, an unknown mechanism, and a user or password without the other part. Empty credentials
/// pass.
POSTROAD_DECL void check(const credentials& c);

/// The part of check() that looks at user, password, authorization identity and token each by itself.
POSTROAD_DECL void check_fields(const credentials& c);

/// The part of check() that looks at the names of mechanisms.
POSTROAD_DECL void check_mechanisms(const credentials& c);

/// Whether postroad has the mechanism; upper case.
POSTROAD_DECL bool is_known_mechanism(std::string_view name) noexcept;

}  // namespace postroad::smtp

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/smtp/impl/credentials.ipp>
#endif
