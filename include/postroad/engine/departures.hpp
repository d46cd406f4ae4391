#pragma once
// How deliveries leave what is held: over, back to the queue, kept there for somebody, or into line for another
// connection. No I/O and no clock.

#include <postroad/core/clock.hpp>
#include <postroad/core/thrown.hpp>
#include <postroad/engine/ledger.hpp>
#include <postroad/engine/verdict.hpp>
#include <postroad/queueing/failed.hpp>
#include <postroad/queueing/traits.hpp>
#include <postroad/scheduling/traits.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace postroad::engine {

template <class Queueing, class Scheduling>
class departures {
    using queueing_traits = queueing::queueing_traits<Queueing>;
    static constexpr bool lasts = queueing_traits::lasts;

public:
    departures(ledger& book, Queueing& queueing, Scheduling& scheduling)
        : book_(book), queueing_(queueing), scheduling_(scheduling) {}

    /// Deliveries that went back to wait for the end of a rest, in all.
    std::size_t went_back() const noexcept { return went_back_; }

    /// What becomes of it behind an attempt: over, into line again, or judged.
    void conclude(delivery& d, ruling r, time_point now) {
        auto& j = *d.what;
        if (d.lost) {
            book_.deliveries.forget_deadline(j);
            return release(d, now);
        }
        if (d.cancelled) {
            if (j.error == errc::cancelled) j.error = *d.cancelled;
            if (j.error == errc::timed_out && *d.cancelled == errc::timed_out) j.result.details.explanation = given_up;
            const bool stays = lasts && *d.cancelled == errc::shut_down && !all_settled(j.result);
            if (!stays) return finish(d, now);
            tell_waiter(j, errc::shut_down);
            if (!j.result.any_are(status::in_doubt)) return release(d, now);
            d.cancelled.reset();
            r = ruling::doubt;
        }
        if (all_settled(j.result) || r == ruling::over) return finish(d, now);
        const bool at_once =
            r == ruling::again || r == ruling::elsewhere || r == ruling::outage || r == ruling::setting;
        if (at_once || !d.attempt.rest.empty()) {
            if (book_.watcher && at_once)
                book_.decided(now, 0, j.id, "goes again at once: " + describe(j.error, j.result.details));
            return line_up_again(d, now);
        }
        d.again = false;
        judge(d, now);
    }

    /// No server of its site can be had, or nobody says where that is.
    void judge_waiting(delivery& d, const smtp::closed& why, ruling r, time_point rests_until, time_point now) {
        auto& j = *d.what;
        name_recipients(j);
        // One that has had a part of its recipients asked is half an attempt.
        ++(std::exchange(d.attempt, {}).split ? j.result.attempts : j.waits);
        for (auto& recipient : j.result.recipients)
            if (recipient.status == status::not_attempted) recipient.where = why.details.where;
        j.blame = blame_of(r);
        j.error = why.error;
        j.result.details = why.details;
        if (!lasts) return r == ruling::setting ? finish(d, now) : judge(d, now);
        // Only its age ends it: what is wrong is no matter of the message.
        try {
            const auto v = scheduling_.judge(j, now);
            if (v.what == verdict::kind::done && !j.result.any_are(status::in_doubt)) return finish(d, now);
            j.due =
                std::min(std::clamp(rests_until, after(now, first_domain_rest), after(now, longest_rest)), j.deadline);
            if (is_late(v, j.due, now)) report(j, delivery_action::delayed, now);
        } catch (...) {
            return policy_failed(d, text_of_exception(), now);
        }
        ++(d.at ? d.at->sent_back : d.to->sent_back);
        ++went_back_;
        put_back(d, now);
    }

    /// It may not go before: it waits in the queue. No attempt.
    void put_off(delivery& d, time_point until, time_point now) {
        d.what->due = std::min(until, d.what->deadline);
        put_back(d, now);
    }

    /// It is over. The delivery is gone after this, as after all that follows.
    void finish(delivery& d, time_point now) {
        name_recipients(*d.what);
        book_.deliveries.forget_deadline(*d.what);
        // A file has it before the message is over there: after a crash between the two the message is tried anew, and
        // the key refuses the second. Where all is lost with the process, or there is no room, the message makes it.
        bool tried = false;
        if constexpr (lasts) tried = try_report(*d.what, delivery_action::failed, now) != errc::queue_full;
        queueing_.settle(*d.what);
        if (!tried) report(*d.what, delivery_action::failed, now);
        if (d.to) d.to->waiting.erase(d.what->id);
        over(taken_out(d, now));
    }
    /// Refused for good for all its recipients, without a reply.
    void reject(delivery& d, const smtp::closed& why, time_point now) {
        name_recipients(*d.what);
        for (auto& r : d.what->result.recipients) {
            if (!is_unsettled(r)) continue;
            r.status = status::rejected;
            r.where = why.details.where;
            r.error = why.error;
            r.why = why.details.explanation;
        }
        refuse(d, why.error, why.details, now);
    }
    void refuse(delivery& d, error_code ec, const diagnostics& why, time_point now) {
        d.what->error = ec;
        d.what->result.details = why;
        d.what->blame = blame::message;
        finish(d, now);
    }
    /// Where it lasts it waits for somebody who mends the policy.
    void policy_failed(delivery& d, const std::string& text, time_point now) {
        d.what->error = errc::policy_failed;
        d.what->blame = blame::ours;
        d.what->result.details = {.where = phase::policy, .explanation = "a policy of the mailer failed: " + text};
        if (book_.watcher) book_.decided(now, 0, d.what->id, d.what->result.details.explanation);
        if (d.to) d.to->waiting.erase(d.what->id);
        if (!lasts) return finish(d, now);
        tell_waiter(*d.what, d.what->error);
        keep(d, queueing::job_state::held, now);
    }
    void keep(delivery& d, queueing::job_state state, time_point now) {
        if constexpr (queueing::operable<Queueing>) queueing_.keep(std::move(*taken_out(d, now)), state);
    }
    void cancel(delivery& d, errc why, time_point now) {
        if (d.connection) {
            if (d.cancelled) return;
            d.cancelled = why;
            if (!d.marking) book_.actions.push_back(interrupt{*d.connection, d.what->id});
            return;
        }
        leave_line(d);
        give_up(d, why, now);
    }
    /// The same for one that is in no line.
    void give_up(delivery& d, errc why, time_point now) {
        d.what->error = why;
        d.what->blame = blame::ours;
        if (why == errc::timed_out) d.what->result.details = {.where = phase::queued, .explanation = why_it_waited(d)};
        if (!lasts || why != errc::shut_down) return finish(d, now);
        tell_waiter(*d.what, why);
        release(d, now);
    }
    /// Reports about jobs that the queue gives up next: behind that nobody may be left to report it. Their ids.
    std::set<job_id> report_overdue(std::vector<job> all, time_point now) {
        std::set<job_id> reported;
        for (auto& j : all) {
            time_out(j);
            if (try_report(j, delivery_action::failed, now) != errc::queue_full) reported.insert(j.id);
        }
        return reported;
    }
    /// The same for a job that the queue has just given up.
    void cancelled(job&& j, errc why, time_point now, const std::set<job_id>& reported = {}) {
        book_.deliveries.forget_deadline(j);
        j.error = why;
        if (why == errc::timed_out) {
            time_out(j);
            if (!reported.contains(j.id)) report(j, delivery_action::failed, now);
        }
        over(std::make_unique<job>(std::move(j)));
    }
    /// Whoever waits for it is told.
    void over(std::unique_ptr<job> j) {
        name_recipients(*j);
        book_.actions.emplace_back(complete{std::move(j)});
    }

    void line_up_again(delivery& d, time_point now) {
        if (book_.draining) return give_up(d, errc::shut_down, now);
        if (book_.is_paused(*d.to)) return set_aside(d, now);  // while it was on a connection
        scheduling_.admit(*d.what, d.at->place(), now);
        book_.sites.change(*d.at);
    }
    /// It is on its way to that site from now on.
    void move(delivery& d, site& to, time_point now) {
        leave_site(d, now);
        d.at = &to;
        ++to.held;
        ++to.group->held;
    }
    void leave_line(delivery& d) {
        if (d.to) d.to->waiting.erase(d.what->id);
        if (d.at) scheduling_.withdraw(d.what->id, d.at->place());
    }
    /// It waits for resume() of its place.
    void set_aside(delivery& d, time_point now) {
        leave_site(d, now);
        d.to->waiting.insert(d.what->id, true);
    }

private:
    void leave_site(delivery& d, time_point now) {
        site& s = *std::exchange(d.at, nullptr);
        --s.group->held;
        if (--s.held == 0 && s.connections.empty()) book_.sites.rest(s, now);
    }

    static void time_out(job& j) {
        j.error = errc::timed_out;
        j.result.details = queueing::given_up_waiting();
        name_recipients(j);
    }

    // What cannot be reported is no reason for it to stay.
    void report(const job& about, delivery_action what, time_point now) {
        if (const auto ec = try_report(about, what, now)) note_unreported(about, ec.message(), now);
    }
    // errc::queue_full, or nothing that another try would change.
    error_code try_report(const job& about, delivery_action what, time_point now) {
        if (!book_.report) return {};
        try {
            auto r = book_.report(about, what, now);
            if (!r) return {};
            auto ec = queueing_.enqueue(*r);
            if (ec == errc::invalid_option && !std::exchange(r->idempotency_key, {}).empty())
                ec = queueing_.enqueue(*r);
            if (ec == errc::queue_full) return ec;
            if (ec && ec != errc::already_queued) note_unreported(about, ec.message(), now);
        } catch (...) {
            note_unreported(about, text_of_exception(), now);
        }
        return {};
    }
    void note_unreported(const job& about, const std::string& why, time_point now) {
        if (book_.watcher) book_.decided(now, 0, about.id, "its sender gets no report: " + why);
    }

    static constexpr const char* given_up = "it was given up: its time was over before the server had answered";

    static bool is_late(const verdict& v, time_point due, time_point now) noexcept {
        return v.late_at == never ? v.late : now < v.late_at && due >= v.late_at;
    }

    // It waits for another attempt, for somebody's decision, or is over.
    void judge(delivery& d, time_point now) {
        auto& j = *d.what;
        verdict v;
        try {
            v = scheduling_.judge(j, now);
        } catch (...) {
            return policy_failed(d, text_of_exception(), now);
        }
        const bool doubtful = j.result.any_are(status::in_doubt);
        v.at = std::max(v.at, d.rests_until);
        const bool too_late = v.what == verdict::kind::retry && v.at >= j.deadline;
        if (lasts && doubtful && (v.what == verdict::kind::park || too_late)) return park(d, now);
        if (v.what != verdict::kind::retry || !Queueing::keeps || too_late) return finish(d, now);
        if (!any_unsettled(j.result.recipients)) ++j.doubts;
        j.due = v.at;
        const bool late = is_late(v, j.due, now);
        if (book_.watcher) book_.note_retry(j, late ? observed::late : observed::retry, now);
        if (late) report(j, delivery_action::delayed, now);
        put_back(d, now);
    }
    void park(delivery& d, time_point now) {
        auto& j = *d.what;
        if (book_.watcher) book_.decided(now, 0, j.id, "in doubt: it waits in the queue until somebody decides");
        book_.deliveries.forget_deadline(j);
        j.deadline = never;
        tell_waiter(j, j.error);
        keep(d, queueing::job_state::in_doubt, now);
    }
    void put_back(delivery& d, time_point now) { queueing_.put_back(std::move(*taken_out(d, now))); }
    void release(delivery& d, time_point now) {
        if constexpr (lasts) queueing_.release(std::move(*taken_out(d, now)));
    }
    std::unique_ptr<job> taken_out(delivery& d, time_point now) {
        name_recipients(*d.what);
        if (d.at) leave_site(d, now);
        if (d.to && d.to->held > 0 && --d.to->held == 0) book_.domains.rest(*d.to, now);
        return book_.deliveries.take(d);
    }
    // Whoever waits for it learns how it stands, and no more: it stays in the queue.
    void tell_waiter(job& j, error_code why) {
        if (!j.waiter) return;
        name_recipients(j);
        auto told = std::make_unique<job>();
        told->id = j.id;
        told->result = j.result;
        told->error = why;
        told->waiter = std::move(j.waiter);
        book_.actions.push_back(complete{std::move(told)});
    }
    static std::string why_it_waited(const delivery& d) {
        auto text = queueing::given_up_waiting().explanation;
        if (d.at && d.at->in_trouble()) return text + ". " + describe(d.at->trouble.error, d.at->trouble.details);
        if (d.at && d.at->opening > 0) return text + " for a connection to " + d.at->name;
        const bool asked = !d.at && d.to && (d.to->question != 0 || d.to->wants_answer);
        if (asked) return text + " for an answer to where " + d.to->name + " is";
        return text;
    }

    ledger& book_;
    Queueing& queueing_;
    Scheduling& scheduling_;
    std::size_t went_back_ = 0;
};

}  // namespace postroad::engine
