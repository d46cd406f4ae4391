#pragma once
// A mail object on its way through the mailer.

#include <postroad/core/clock.hpp>
#include <postroad/core/error.hpp>
#include <postroad/core/outcome.hpp>
#include <postroad/message/mail_object.hpp>

#include <cstdint>
#include <memory>

namespace postroad {

using job_id = std::uint64_t;

/// Who wants to know the outcome of a job.
class waiter {
public:
    virtual ~waiter() = default;
    /// The last call. On the mailer's executor; must not block or throw.
    virtual void complete(error_code ec, outcome&& o) noexcept = 0;
};

/// A queue entry: what to send, and what became of it so far. Moves through the queue and back with each attempt.
struct job {
    job_id id = 0;  ///< given before it is queued
    mail_ptr mail = {};
    outcome result = {};  ///< one entry for each recipient of the envelope
    error_code error = {};
    time_point due = time_point::min();  ///< not leased before
    unsigned returns = 0;                ///< attempts that ended before the server was asked, and do not count
    std::unique_ptr<postroad::waiter> waiter = {};
};

/// What the scheduler concludes from an attempt.
struct verdict {
    enum class kind : unsigned char { done, retry };
    kind what = kind::done;
    time_point at = never;  ///< of a retry
    friend bool operator==(const verdict&, const verdict&) = default;
};

}  // namespace postroad
