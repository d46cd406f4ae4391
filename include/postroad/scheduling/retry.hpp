#pragma once
// When to try again: a part of schedulers. See docs/scheduling.md.

#include <postroad/core/algorithm.hpp>
#include <postroad/queueing/job.hpp>
#include <postroad/scheduling/retry_rules.hpp>

#include <algorithm>
#include <chrono>

namespace postroad::scheduling {

/// Tries again what was deferred or not attempted, after growing waits. What was rejected, accepted or is in doubt is
/// never tried again: the first two are settled, and the third could be sent twice.
struct retry {
    /// Attempts in all. With 1 a deferred message is the caller's to send again. 0: 1, or any number where the queue
    /// outlives the process.
    unsigned attempts = 0;
    /// Before the second attempt (RFC 5321 section 4.5.4.1).
    duration first_wait = std::chrono::minutes(30);
    /// Instead, if it is shorter, where greylisting keeps a recipient out: that passes.
    duration greylisted = std::chrono::minutes(5);
    /// Each wait is this many times the one before, up to `longest_wait`.
    unsigned growth = 2;
    duration longest_wait = std::chrono::hours(3);
    /// No attempt is begun so long after the message came (RFC 5321 section 4.5.4.1 asks for 4 to 5 days).
    duration give_up = std::chrono::hours(5 * 24);

    verdict judge(const job& j, time_point now) const {
        const auto made = attempts_made(j);
        if (is_spent(j, attempts > 0 || j.lasts ? attempts : 1)) return {};
        const auto& all = j.result.recipients;
        if (postroad::detail::none_of(all, may_be_tried)) return {};
        const bool grey = !is_kept_waiting(j) && postroad::detail::any_of(all, [](const recipient_outcome& r) {
            return r.status == status::deferred && classify(r) == refusal::greylisted;
        });
        auto wait = grey ? std::min(greylisted, first_wait) : first_wait;
        const auto factor = std::max(growth, 1u);
        for (unsigned i = 1; i < made && wait < longest_wait && factor > 1; ++i)
            wait = wait > longest_wait / factor ? longest_wait : wait * factor;
        const auto at = after(now, std::min(wait, longest_wait));
        if (is_too_old(j, at, give_up)) return {};
        return {verdict::kind::retry, at};
    }
};

}  // namespace postroad::scheduling
