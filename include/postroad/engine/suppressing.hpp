#pragma once
// The door of a mailer for addresses that must not get mail: they are taken out before a message is queued, and their
// outcome is put back in its place.

#include <postroad/core/config.hpp>
#include <postroad/core/outcome.hpp>
#include <postroad/queueing/job.hpp>
#include <postroad/queueing/suppression_list.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::engine {

/// Recipients that get nothing: where each stands in the envelope, in order, and why.
struct left_out {
    std::uint32_t place = 0;
    recipient_outcome why = {};
};

/// The List-Id of a message (RFC 2919), without its brackets; empty if it has none.
POSTROAD_DECL std::string list_id_of(const content& c);

POSTROAD_DECL recipient_outcome suppressed_outcome(const address& a, const suppression::entry& e);

/// One question for each recipient.
template <suppression::list L>
std::vector<left_out> suppressed(const L& l, const mail_object& mail, const std::string& tenant,
                                 suppression::time now) {
    std::vector<left_out> result;
    const suppression::scope of{.tenant = tenant, .list = list_id_of(mail.content)};
    const auto& all = mail.envelope.recipients;
    for (std::uint32_t i = 0; i < all.size(); ++i)
        if (const auto found = l.find(all[i], of, now)) result.push_back({i, suppressed_outcome(all[i], *found)});
    return result;
}

/// Takes them out of a job that is not queued yet; whoever waits for it is told of all, in the order of the envelope.
/// Returns a job of just them, which is over: without a waiter, unless there are no others.
POSTROAD_DECL job leave_out(job& j, std::vector<left_out> gone);

}  // namespace postroad::engine

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/engine/impl/suppressing.ipp>
#endif
