#pragma once
// What a queue shows of itself. See docs/queueing.md.

#include <postroad/core/clock.hpp>
#include <postroad/core/config.hpp>
#include <postroad/queueing/job.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postroad::queueing {

/// Where a job is.
enum class job_state : unsigned char {
    waiting,   ///< due, or taken ahead by the scheduler
    delayed,   ///< until job_info::due
    sending,   ///< on a connection, or about to be
    held,      ///< until somebody releases it
    in_doubt,  ///< parked: its content left, no reply came; until somebody decides
    failed,    ///< over, and not accepted by all: refused for good, or given up; kept to be looked at
};
inline constexpr std::size_t job_states = 6;

POSTROAD_DECL std::string_view to_string(job_state s) noexcept;

/// A job, for people and for programs that look after queues.
struct job_info {
    job_id id = 0;
    job_id whole = 0;  ///< of a part of a message that was divided: the message's id
    job_state state = job_state::waiting;
    duration age = {};     ///< since it was submitted
    duration until = {};   ///< of delayed ones: until it is due
    duration failed = {};  ///< of failed ones: how long ago
    unsigned attempts = 0;
    std::uint64_t octets = 0;  ///< of its content
    std::uint8_t traffic_class = 0;
    std::string tenant = {};
    std::string tag = {};
    std::string sender = {};  ///< the reverse path
    std::vector<recipient_outcome> recipients = {};
    /// What kept the last attempt from being whole, or the first reply that did; escaped, and empty before one.
    std::string error = {};
};

/// Which jobs: those that match each member that says something. Failed ones match where `state`, `id` or `whole` does.
struct job_filter {
    std::optional<job_id> id = {};
    std::optional<job_id> whole = {};
    std::optional<job_state> state = {};
    std::string tenant = {};
    std::string tag = {};
    /// The domain of the first recipient, as it is written in the envelope; case does not matter.
    std::string domain = {};

    POSTROAD_DECL bool matches(const job_info& j) const;
};

/// A site, or a domain, that keeps mail waiting, or the file of a queue that cannot be written.
struct trouble {
    std::string name = {};  ///< "*": all domains, since who locates them answers nobody
    error_code error = {};
    std::string why = {};     ///< one sentence, with the server's words
    duration since = {};      ///< how long ago it began
    duration next_try = {};   ///< until its next try; duration::max(): when it is asked for
    std::size_t waiting = 0;  ///< deliveries that the mailer holds for it
};
/// Most troubles that are named.
inline constexpr std::size_t max_troubles = 16;

/// How many jobs are where.
struct queue_counts {
    std::array<std::size_t, job_states> by_state = {};
    duration oldest = {};                ///< the age of the oldest that is not over
    std::vector<trouble> troubles = {};  ///< those with the most waiting first, max_troubles at most

    std::size_t of(job_state s) const noexcept { return by_state[static_cast<std::size_t>(s)]; }
    /// Of those that are not over: all but failed ones.
    std::size_t total() const noexcept {
        std::size_t sum = 0;
        for (const auto n : by_state) sum += n;
        return sum - of(job_state::failed);
    }
};

/// How long ago a job was submitted; 0 if that is not known.
constexpr duration age(time_point submitted, time_point now) noexcept {
    return submitted == time_point::min() || now < submitted ? duration::zero() : between(submitted, now);
}

/// What of a job can be shown.
POSTROAD_DECL job_info describe(const job& j, job_state s, time_point now);

}  // namespace postroad::queueing

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/queueing/impl/inspection.ipp>
#endif
