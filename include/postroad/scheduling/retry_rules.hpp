#pragma once
// When to try again, by what the server said: a part of schedulers. See docs/scheduling.md.

#include <postroad/core/config.hpp>
#include <postroad/queueing/job.hpp>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <string_view>

namespace postroad::scheduling {

/// What a refusal for now means.
enum class refusal : unsigned char {
    unreachable,  ///< no reply to this message: no connection, or it broke
    greylisted,   ///< the server wants to see whether we come back (RFC 6647)
    busy,         ///< 421, or a system that is overloaded, full or closing
    full,         ///< the mailbox is over its quota
    unknown,      ///< any other 4yz
};

POSTROAD_DECL std::string_view to_string(refusal r) noexcept;

/// What kept a recipient from being accepted. Of use for those that are deferred or not attempted.
POSTROAD_DECL refusal classify(const recipient_outcome& r) noexcept;

/// Whether a recipient can be asked again without being asked twice.
constexpr bool may_be_tried(const recipient_outcome& r) noexcept {
    return r.status == status::deferred || r.status == status::not_attempted;
}
/// Whether its servers keep it waiting, not what they said of it.
inline bool is_kept_waiting(const job& j) noexcept { return j.blame == blame::outage || j.blame == blame::setting; }
/// Attempts that count: where the queue does not outlive the process those that came to no server, too.
inline unsigned attempts_made(const job& j) noexcept { return j.result.attempts + (j.lasts ? 0 : j.waits); }
/// Whether it is not tried again, whatever its recipients got: it ended on our side, or it had its number of attempts,
/// 0 for any. What its servers keep waiting is given up by age alone where the queue outlives the process.
inline bool is_spent(const job& j, unsigned attempts) noexcept {
    if (j.blame == blame::ours) return true;
    return attempts > 0 && attempts_made(j) >= attempts && !(j.lasts && is_kept_waiting(j));
}
/// Whether `at` lies too long after it came.
inline bool is_too_old(const job& j, time_point at, duration give_up) noexcept {
    return j.submitted != time_point::min() && at > after(j.submitted, give_up);
}

/// A part that says when to try again.
template <class R>
concept retry_part = std::movable<R> && requires(const R c, const job& j, time_point now) {
    // As scheduling_policy's judge().
    { c.judge(j, now) } -> std::same_as<verdict>;
};

/// A wait for each kind of refusal, which grows with each attempt. What is said is the least; up to `jitter` of it
/// comes on top, so that what failed together does not come back together. A message with several recipients waits for
/// the one whose wait is shortest. What was rejected, accepted or is in doubt is never tried again.
struct retry_rules {
    duration unreachable = std::chrono::minutes(5);
    duration greylisted = std::chrono::minutes(5);
    duration busy = std::chrono::minutes(5);
    duration full = std::chrono::hours(1);
    duration unknown = std::chrono::minutes(30);
    /// Each wait is this many times the one before, up to `longest_wait`.
    unsigned growth = 2;
    duration longest_wait = std::chrono::hours(3);
    /// Between 0 and 1.
    double jitter = 0.25;
    /// No attempt is begun so long after the message came (RFC 5321 section 4.5.4.1 asks for 4 to 5 days).
    duration give_up = std::chrono::hours(5 * 24);
    /// Attempts in all, whatever the time; 0: any number.
    unsigned attempts = 100;
    /// The verdict is `late`, once, when a message that came so long ago has to wait again; never: duration::max().
    duration late_after = std::chrono::hours(4);
    /// Equal seeds make equal jitter.
    std::uint64_t seed = 0;

    verdict judge(const job& j, time_point now) const;
    /// The least wait before the attempt after `attempts` of them.
    duration floor(refusal r, unsigned attempts) const noexcept;
};

static_assert(retry_part<retry_rules>);

}  // namespace postroad::scheduling

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/scheduling/impl/retry_rules.ipp>
#endif
