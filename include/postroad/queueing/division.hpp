#pragma once
// A message whose recipients go different ways is divided. What a part is, and how one outcome comes of many.

#include <postroad/core/algorithm.hpp>
#include <postroad/core/id_map.hpp>
#include <postroad/queueing/job.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace postroad::queueing {

/// The part of a job that has the recipients at those places of its envelope, in ascending order, with what became of
/// them so far. It shares the content, and waits for nothing. Its id is the queue's to choose.
inline job part_of(const job& whole, const std::vector<std::uint32_t>& places) {
    const auto& e = whole.mail->envelope;
    mail_object mail{.envelope = {.reverse_path = e.reverse_path, .options = e.options},
                     .content = whole.mail->content};
    job part{.result = {.attempts = whole.result.attempts, .details = whole.result.details},
             .error = whole.error,
             .submitted = whole.submitted,
             .due = whole.submitted,
             .deadline = whole.deadline,
             .traffic_class = whole.traffic_class,
             .tenant = whole.tenant,
             .tag = whole.tag,
             .blame = whole.blame,
             .waits = whole.waits,
             .whole = whole.whole ? whole.whole : whole.id,
             .returns = whole.returns,
             .doubts = whole.doubts};
    for (const auto at : places) {
        mail.envelope.recipients.push_back(e.recipients[at]);
        if (at < e.recipient_options.size()) mail.envelope.recipient_options.push_back(e.recipient_options[at]);
        if (at < whole.result.recipients.size()) part.result.recipients.push_back(whole.result.recipients[at]);
        part.places.push_back(whole.whole ? whole.places[at] : at);
    }
    part.mail = std::make_shared<const mail_object>(std::move(mail));
    return part;
}

/// Who waits for a message that was divided: told when the last recipient has an outcome. On any thread.
class gathering : public std::enable_shared_from_this<gathering> {
public:
    /// `known` has an entry for each recipient of the message.
    gathering(std::unique_ptr<waiter> who, std::vector<recipient_outcome> known)
        : who_(std::move(who)), errors_(known.size()), told_(known.size()), left_(known.size()) {
        result_.recipients = std::move(known);
    }

    /// What became of the recipients at those places; the last word counts, until all are known.
    void add(const std::vector<std::uint32_t>& places, error_code ec, outcome&& o) {
        std::unique_ptr<waiter> who;
        {
            const std::scoped_lock lock(mutex_);
            if (!who_) return;
            const bool named = o.recipients.size() == places.size();
            for (std::size_t i = 0; i < places.size(); ++i) {
                const auto at = places[i];
                if (at >= errors_.size()) continue;
                auto& r = result_.recipients[at];
                if (named) r = std::move(o.recipients[i]);
                if (!r.error && r.reply.code == 0 && r.status != status::accepted) {
                    r.error = ec;
                    r.why = o.details.explanation;
                }
                errors_[at] = ec;
                if (!told_[at]) --left_;
                told_[at] = true;
            }
            result_.attempts = std::max(result_.attempts, o.attempts);
            if (ec) result_.details = std::move(o.details);
            if (left_ == 0) who = std::move(who_);
        }
        if (who) tell(*who);
    }
    /// Nothing more comes.
    void end(error_code ec) {
        std::unique_ptr<waiter> who;
        {
            const std::scoped_lock lock(mutex_);
            if (!who_) return;
            for (std::size_t at = 0; at < errors_.size(); ++at)
                if (!told_[at]) errors_[at] = result_.recipients[at].error = ec;
            who = std::move(who_);
        }
        tell(*who);
    }
    bool over() const {
        const std::scoped_lock lock(mutex_);
        return !who_;
    }

    /// Who waits for the part with those recipients.
    std::unique_ptr<waiter> part(std::vector<std::uint32_t> places) {
        return std::make_unique<part_waiter>(shared_from_this(), std::move(places));
    }

private:
    struct part_waiter final : waiter {
        part_waiter(std::shared_ptr<gathering> g, std::vector<std::uint32_t> p)
            : all(std::move(g)), places(std::move(p)) {}
        void complete(error_code ec, outcome&& o) noexcept override { all->add(places, ec, std::move(o)); }
        std::shared_ptr<gathering> all;
        std::vector<std::uint32_t> places;
    };

    // Nobody else has it any more. The error is one of the whole if all have the same.
    void tell(waiter& who) {
        const auto ec = errors_.empty() ? error_code() : errors_.front();
        const bool same = postroad::detail::all_of(errors_, [&](error_code each) { return each == ec; });
        if (!same || !ec) result_.details = {};
        who.complete(same ? ec : error_code(), std::move(result_));
    }

    mutable std::mutex mutex_;
    std::unique_ptr<waiter> who_;
    outcome result_;
    std::vector<error_code> errors_;  // of the attempt, by recipient
    std::vector<bool> told_;
    std::size_t left_;
};

/// Those who wait for messages that other processes divide, by the id of the message. For one thread at a time.
class gatherings {
public:
    std::shared_ptr<gathering> find(job_id whole) const {
        const auto found = all_.find(whole);
        return found == all_.end() ? nullptr : found->second;
    }
    std::shared_ptr<gathering> add(job_id whole, std::unique_ptr<waiter> who, std::vector<recipient_outcome> known) {
        // Those that are over go when as many have come again.
        if (all_.size() >= sweep_at_) {
            all_.erase_if([](const auto& g) { return g.second->over(); });
            sweep_at_ = 2 * all_.size() + 16;
        }
        return all_[whole] = std::make_shared<gathering>(std::move(who), std::move(known));
    }
    void end(error_code ec) {
        for (auto& g : std::exchange(all_, {})) g.second->end(ec);
    }

private:
    id_map<std::shared_ptr<gathering>> all_;
    std::size_t sweep_at_ = 16;
};

/// Whoever waits for the whole waits for each of its parts instead.
inline void share_waiter(job& whole, std::vector<job>& parts) {
    if (!whole.waiter) return;
    name_recipients(whole);
    const auto all = std::make_shared<gathering>(std::move(whole.waiter), whole.result.recipients);
    for (auto& p : parts) {
        auto places = p.places;
        // Of a part of a part: where they stand in the part that is divided.
        if (whole.whole)
            for (auto& at : places)
                at = static_cast<std::uint32_t>(std::ranges::lower_bound(whole.places, at) - whole.places.begin());
        p.waiter = all->part(std::move(places));
    }
}

}  // namespace postroad::queueing
