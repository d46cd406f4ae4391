#pragma once
// When to try again: a part of schedulers. See docs/scheduling.md.

#include <postroad/queueing/job.hpp>
#include <postroad/scheduling/retry_rules.hpp>

#include <algorithm>
#include <chrono>

namespace postroad::scheduling {

/// Tries again what was deferred or not attempted, after growing waits. What was rejected, accepted or is in doubt is
/// never tried again: the first two are settled, and the third could be sent twice.
struct retry {
    /// Attempts in all. With 1 a deferred message is the caller's to send again.
    unsigned attempts = 1;
    /// Before the second attempt (RFC 5321 section 4.5.4.1).
    duration first_wait = std::chrono::minutes(30);
    /// Instead, if it is shorter, where greylisting keeps a recipient out: that passes.
    duration greylisted = std::chrono::minutes(5);
    /// Each wait is this many times the one before, up to `longest_wait`.
    unsigned growth = 2;
    duration longest_wait = std::chrono::hours(3);

    verdict judge(const job& j, time_point now) const {
        if (j.result.attempts >= attempts) return {};
        const bool unsettled = j.result.any_are(status::deferred) || j.result.any_are(status::not_attempted);
        const bool hopeless =
            j.error == condition::permanent || j.error == condition::bad_input || j.error == condition::cancelled;
        if (!unsettled || hopeless) return {};
        const auto& all = j.result.recipients;
        const bool grey = std::ranges::any_of(all, [](const recipient_outcome& r) {
            return r.status == status::deferred && classify(r) == refusal::greylisted;
        });
        auto wait = grey ? std::min(greylisted, first_wait) : first_wait;
        const auto factor = std::max(growth, 1u);
        for (unsigned i = 1; i < j.result.attempts && wait < longest_wait && factor > 1; ++i)
            wait = wait > longest_wait / factor ? longest_wait : wait * factor;
        return {verdict::kind::retry, after(now, std::min(wait, longest_wait))};
    }
};

}  // namespace postroad::scheduling
