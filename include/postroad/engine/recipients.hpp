#pragma once
// Which recipients of a message a transaction asks about. Lists are of places in the envelope; an empty one means all.

#include <postroad/core/outcome.hpp>
#include <postroad/message/mail_object.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::engine {

using places = std::vector<std::uint32_t>;

/// How many recipients one transaction of a connection may have.
struct recipient_limits {
    std::size_t recipients = std::size_t(-1);
    std::size_t domains = std::size_t(-1);  ///< different ones among them (RFC 9422, RCPTDOMAINMAX)
};

inline bool is_unsettled(const recipient_outcome& r) noexcept {
    return r.status == status::not_attempted || r.status == status::deferred;
}
inline bool any_unsettled(const std::vector<recipient_outcome>& all) { return std::ranges::any_of(all, is_unsettled); }
/// Whether each is accepted or rejected.
inline bool all_settled(const outcome& o) { return !any_unsettled(o.recipients) && !o.any_are(status::in_doubt); }

/// Those to ask about: the unsettled ones; if there are none, those in doubt.
inline places to_ask(const outcome& o) {
    const auto wanted = [doubtful = !any_unsettled(o.recipients)](const recipient_outcome& r) {
        return doubtful ? r.status == status::in_doubt : is_unsettled(r);
    };
    places result;
    if (std::ranges::all_of(o.recipients, wanted)) return result;
    for (std::uint32_t i = 0; i < o.recipients.size(); ++i)
        if (wanted(o.recipients[i])) result.push_back(i);
    return result;
}

/// Divides `wanted` into what one transaction takes, and the rest.
inline std::pair<places, places> divide(const envelope& e, const places& wanted, const recipient_limits& limits) {
    const bool whole = wanted.empty();
    const auto size = whole ? e.recipients.size() : wanted.size();
    if (size <= limits.recipients && size <= limits.domains) return {wanted, {}};
    places taken;
    places rest;
    std::set<std::string_view> domains;
    for (std::uint32_t i = 0; i < size; ++i) {
        const auto r = whole ? i : wanted[i];
        const auto domain = e.recipients[r].domain();
        const bool fits =
            taken.size() < limits.recipients && (domains.contains(domain) || domains.size() < limits.domains);
        if (fits) domains.insert(domain);
        (fits ? taken : rest).push_back(r);
    }
    if (rest.empty()) return {wanted, {}};
    return {std::move(taken), std::move(rest)};
}

/// Whether it was refused for being beyond what the server takes at a time (RFC 5321 section 4.5.3.1.10).
inline bool too_many(const recipient_outcome& r) noexcept {
    const bool code = r.reply.code == 452 || r.reply.code == 552;
    return r.where == phase::rcpt && code && (!r.reply.enhanced || r.reply.enhanced.subject == 5);
}

}  // namespace postroad::engine
