#pragma once
// A mail object on its way through the mailer.

#include <postroad/core/clock.hpp>
#include <postroad/core/error.hpp>
#include <postroad/core/outcome.hpp>
#include <postroad/message/mail_object.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace postroad {

using job_id = std::uint64_t;

/// How a message is to be queued and scheduled; what travels is in the envelope.
struct send_options {
    /// The class of traffic, of those that the scheduler knows; fifo knows one. See docs/scheduling.md.
    std::uint8_t traffic_class = 0;
    /// On whose behalf it is sent: tenants of one class share fairly.
    std::string tenant = {};
    /// What it belongs to, such as a campaign, so that all of it can be paused or dropped.
    std::string tag = {};
    /// It is not sent before this time has passed.
    duration delay = duration::zero();
    /// After this time from its submission it is given up with errc::timed_out, also within a transaction.
    duration give_up_after = duration::max();
    /// A second message of the same key is not queued but refused with errc::already_queued, for as long as the queue
    /// keeps keys. For queues that are durable; others refuse a key with errc::invalid_option.
    std::string idempotency_key = {};
    friend bool operator==(const send_options&, const send_options&) = default;
};

/// Who wants to know the outcome of a job.
class waiter {
public:
    virtual ~waiter() = default;
    /// The last call. On the mailer's executor; must not block or throw.
    virtual void complete(error_code ec, outcome&& o) noexcept = 0;
};

/// Whom the failure of the last attempt is about. Policies decide by this, not by the error.
enum class blame : unsigned char {
    none,     ///< nothing failed as a whole; what the recipients got says the rest
    message,  ///< the message: what it got is said of it, whatever server it is
    outage,   ///< its servers, or the way to them: it passes by itself
    setting,  ///< its servers, until somebody changes something: credentials, certificates, what is asked of TLS
    doubt,    ///< its content left, and no reply came
    ours,     ///< cancelled, shut down, or a policy failed
};

/// A queue entry: what to send, and what became of it so far. Moves through the queue and back with each attempt.
struct job {
    job_id id = 0;  ///< given before it is queued
    mail_ptr mail = {};
    outcome result = {};  ///< from the first attempt on one entry for each recipient of the envelope
    error_code error = {};
    time_point submitted = time_point::min();  ///< unknown until it is leased for the first time
    time_point due = time_point::min();        ///< not leased before
    time_point deadline = never;               ///< given up then
    std::uint8_t traffic_class = 0;
    std::string tenant = {};
    std::string tag = {};
    std::string idempotency_key = {};
    postroad::blame blame = postroad::blame::none;  ///< for the failure of the last attempt
    unsigned waits = 0;  ///< attempts that came to no server, or to none that works; result.attempts has the others
    job_id whole = 0;    ///< of a part of a divided message: the id of the message; else 0
    std::vector<std::uint32_t> places = {};  ///< of a part: where its recipients stand in the envelope of the whole
    unsigned returns = 0;                    ///< connections that ended with it before the server answered to its MAIL
    unsigned doubts = 0;                     ///< attempts that ended in doubt and were made again
    /// It was being sent when the process that did so died: whether it goes again is to be judged first.
    bool interrupted = false;
    bool lasts = false;  ///< its queue outlives the process
    /// It tells a sender what became of another, which leaves next: a queue takes it however full it is, for nobody is
    /// there who could wait for room.
    bool reports = false;
    /// Told once, by a durable queue, on any thread: that the job is stored, or why not.
    std::function<void(error_code)> stored = {};
    std::unique_ptr<postroad::waiter> waiter = {};
};

/// Gives the result its entries, which a job has from its first attempt on.
inline void name_recipients(job& j) {
    auto& all = j.result.recipients;
    if (!all.empty() || !j.mail) return;
    all.reserve(j.mail->envelope.recipients.size());
    for (const auto& to : j.mail->envelope.recipients) all.emplace_back().address = to.str();
}

/// What the scheduler concludes from an attempt.
struct verdict {
    enum class kind : unsigned char {
        done,   ///< it is over
        retry,  ///< it goes again; recipients that are in doubt are asked again too
        park,   ///< it is in doubt and waits for somebody's decision, if the queue is durable; otherwise it is over
    };
    kind what = kind::done;
    time_point at = never;  ///< of a retry
    bool late = false;      ///< of a retry: it is time to tell the sender that it takes long; said once
    /// Instead of `late`: it is where the wait, which may be longer than until `at`, begins before then and ends later.
    time_point late_at = never;
    friend bool operator==(const verdict&, const verdict&) = default;
};

}  // namespace postroad
