#pragma once
// What a domain demands of the TLS of its servers by MTA-STS (RFC 8461): its record and its policy, read strictly.

#include <postroad/core/config.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::net {

/// Octets of a policy that are read (RFC 8461 section 3.3 suggests this limit).
inline constexpr std::size_t max_sts_policy = 64 * 1024;
/// The longest that a policy may be kept (RFC 8461 section 3.2).
inline constexpr auto max_sts_age = std::chrono::seconds(31'557'600);

enum class sts_mode : unsigned char {
    none,     ///< there was a policy, and is none any more
    testing,  ///< what fails is reported, and sent all the same
    enforce,  ///< only to servers that it names, with a certificate that is verified
};

/// A policy (RFC 8461 section 3.2).
struct sts_policy {
    sts_mode mode = sts_mode::none;
    std::chrono::seconds max_age = {};
    /// Names of servers, lower case; "*." stands for one label.
    std::vector<std::string> mx = {};
    friend bool operator==(const sts_policy&, const sts_policy&) = default;

    /// Whether a server of that name, in lower case, is one of them (RFC 8461 section 4.1).
    POSTROAD_DECL bool names(std::string_view host) const noexcept;
};

/// The `id` of the one record of "_mta-sts.DOMAIN" among `texts`, its TXT records (RFC 8461 section 3.1). None: the
/// domain has no policy; so, too, where there are two, or it is malformed.
POSTROAD_DECL std::optional<std::string> read_sts_record(const std::vector<std::string>& texts);

/// The policy in the body of https://mta-sts.DOMAIN/.well-known/mta-sts.txt. Lines end with LF or CRLF, the last one
/// need not; of a field that comes twice the first counts; fields that are not known are skipped. None: malformed,
/// which is as if there were none; `why` tells people.
POSTROAD_DECL std::optional<sts_policy> read_sts_policy(std::string_view body, std::string* why = nullptr);

/// What the record of a domain says.
struct sts_record {
    bool known = false;   ///< false: it could not be looked up
    std::string id = {};  ///< empty, where it is known: there is none
};

/// Why a policy could not be had though the domain says that there is one (RFC 8460 section 4.3.2.2).
enum class sts_failure : unsigned char {
    none,
    fetch_error,        ///< its server cannot be reached, or does not answer as it should
    invalid,            ///< what it answers is no policy
    certificate_error,  ///< its certificate is not by a CA for its name, or not in force
};

/// What became of the search for a policy.
struct sts_finding {
    std::optional<sts_policy> policy = {};  ///< in force: also an earlier one, where a new one could not be had
    sts_failure failure = sts_failure::none;
    std::string why = {};  ///< for people

    sts_finding() = default;
    sts_finding(std::nullopt_t) {}                                      // NOLINT(google-explicit-constructor)
    sts_finding(sts_policy p) : policy(std::move(p)) {}                 // NOLINT(google-explicit-constructor)
    sts_finding(std::optional<sts_policy> p) : policy(std::move(p)) {}  // NOLINT(google-explicit-constructor)
    sts_finding(std::optional<sts_policy> p, sts_failure f, std::string w)
        : policy(std::move(p)), failure(f), why(std::move(w)) {}
};

/// Finds the policy of a domain: from a cache, or from the domain (RFC 8461 section 3.3 and 5.1). Calls the handler
/// once, on any thread, also from within, and in 60 s at most; without a policy where there is none that is in force.
using sts_handler = std::function<void(sts_finding)>;
using sts_source = std::function<void(const std::string& domain, const sts_record& record, sts_handler done)>;

}  // namespace postroad::net

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/net/impl/mta_sts.ipp>
#endif
