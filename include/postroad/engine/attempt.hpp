#pragma once
// One attempt: which recipients of a message each of its transactions asks about, and what became of them. Lists are of
// places in the envelope; an empty one means all.

#include <postroad/core/algorithm.hpp>
#include <postroad/core/config.hpp>
#include <postroad/core/outcome.hpp>
#include <postroad/engine/verdict.hpp>
#include <postroad/message/mail_object.hpp>

#include <cstddef>
#include <cstdint>
#include <tuple>
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
inline bool any_unsettled(const std::vector<recipient_outcome>& all) {
    return postroad::detail::any_of(all, is_unsettled);
}
/// Whether each is accepted or rejected.
inline bool all_settled(const outcome& o) { return !any_unsettled(o.recipients) && !o.any_are(status::in_doubt); }

/// Those to ask about: the unsettled ones; if there are none, those in doubt.
POSTROAD_DECL places to_ask(const outcome& o);

/// Divides `wanted` into what one transaction takes, and the rest.
POSTROAD_DECL std::pair<places, places> divide(const envelope& e, places wanted, const recipient_limits& limits);

/// Whether it was refused for being beyond what the server takes at a time (RFC 5321 section 4.5.3.1.10).
inline bool too_many(const recipient_outcome& r) noexcept {
    const bool code = r.reply.code == 452 || r.reply.code == 552;
    return r.where == phase::rcpt && code && (!r.reply.enhanced || r.reply.enhanced.subject == 5);
}

/// The attempt that a delivery is in.
struct attempt {
    places asked = {};   // recipients of the transaction that is under way
    places rest = {};    // recipients for further transactions, if there are any
    bool split = false;  // it takes several

    /// Recipients of the transaction that is under way.
    std::size_t size(const outcome& o) const noexcept { return asked.empty() ? o.recipients.size() : asked.size(); }

    /// The next transaction.
    POSTROAD_DECL void begin(const envelope& e, const outcome& o, const recipient_limits& limits);
    /// What a session says of other recipients than it was asked about says nothing: they are in doubt.
    POSTROAD_DECL void check(smtp::finished& f, const outcome& o) const;
    /// What became of it. `limits` of the connection are lowered where the server took fewer.
    POSTROAD_DECL void end(outcome& o, smtp::finished&& f, ruling r, recipient_limits& limits);
};

}  // namespace postroad::engine

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/engine/impl/attempt.ipp>
#endif
