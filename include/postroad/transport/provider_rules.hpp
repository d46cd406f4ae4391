#pragma once
// What is known of providers: whose servers are theirs, and what these bear. See docs/providers.md.

#include <postroad/core/config.hpp>
#include <postroad/core/limits.hpp>
#include <postroad/core/outcome.hpp>
#include <postroad/net/dialing.hpp>
#include <postroad/smtp/session.hpp>
#include <postroad/transport/policy.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postroad::transport {

/// What a refusal means that looks so. What is not said fits all.
struct reply_rule {
    std::uint16_t code = 0;       ///< 550
    enhanced_code enhanced = {};  ///< 5.7.1
    std::string text = {};        ///< what stands in it, in lower case; lines are joined by spaces
    reading means = {};
    friend bool operator==(const reply_rule&, const reply_rule&) = default;
};

/// Servers that share limits, whichever domain they serve, and what they bear.
struct provider_rule {
    /// "*", without servers: all that no other rule is about, each with the limits; and its replies are looked at for
    /// everybody, behind those of the own rule.
    std::string provider = {};
    /// What the names of its servers end with: ".google.com". Lower case.
    std::vector<std::string> servers = {};
    /// For all its servers together. What the pool and the scheduler allow, and what they learn, stays below.
    postroad::limits limits = {};
    /// Of one transaction; 0: as mx_options says.
    std::size_t recipients = 0;
    /// The most that is sent ahead of replies; nothing: as mx_options says.
    std::optional<postroad::smtp::pipelining> pipelining = {};
    /// The first that fits says what a refusal means.
    std::vector<reply_rule> replies = {};
    /// Of mx_options::sources: what no binding is about leaves for its servers from one of them. Empty: as bindings
    /// say.
    std::string group = {};
    /// Its servers are connected by that one only, whatever addresses they have.
    net::address_family family = net::address_family::any;

    friend bool operator==(const provider_rule&, const provider_rule&) = default;
};

/// The longest that a reply makes others wait.
inline constexpr duration longest_reply_rest = std::chrono::hours(24 * 7);

/// The first that fits decides.
using provider_rules = std::vector<provider_rule>;

/// The rule for a server of that name, in lower case; null: none fits.
POSTROAD_DECL const provider_rule* rule_for(const provider_rules& all, std::string_view server) noexcept;

/// What a refusal by a server of that name means; nothing: what it says.
POSTROAD_DECL std::optional<reading> read_reply(const provider_rules& all, std::string_view server, const reply& r);

/// Throws error(errc::invalid_option) for a rule that could not be meant: without a name or servers, a pace without
/// time, an end of names that is none.
POSTROAD_DECL void check(const provider_rules& all);
POSTROAD_DECL void check(const reply_rule& r);

/// Providers whose customers have servers of different names: without limits.
POSTROAD_DECL const provider_rules& known_providers();

}  // namespace postroad::transport

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/transport/impl/provider_rules.ipp>
#endif
