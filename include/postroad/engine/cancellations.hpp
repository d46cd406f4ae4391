#pragma once
// What is ended early: one message with all its parts, all of them, or those whose time is over. No I/O and no clock.

#include <postroad/core/algorithm.hpp>
#include <postroad/core/clock.hpp>
#include <postroad/engine/actions.hpp>
#include <postroad/engine/departures.hpp>
#include <postroad/engine/ledger.hpp>
#include <postroad/queueing/traits.hpp>

#include <algorithm>
#include <cstddef>
#include <set>
#include <utility>
#include <vector>

namespace postroad::engine {

template <class Queueing, class Scheduling>
class cancellations {
    using queueing_traits = queueing::queueing_traits<Queueing>;

public:
    cancellations(ledger& book, departures<Queueing, Scheduling>& out, Queueing& queueing)
        : book_(book), out_(out), queueing_(queueing) {}

    /// A message, or all its parts. No effect if there is none of that id.
    void cancel(job_id id, cancel_kind kind, errc why, time_point now) {
        const auto held = book_.deliveries.of(id);
        if (kind == cancel_kind::if_waiting && postroad::detail::any_of(held, [this](job_id part) {
                return book_.deliveries.find(part)->connection.has_value();
            }))
            return;
        for (const auto part : held)
            if (delivery* const d = book_.deliveries.find(part)) out_.cancel(*d, why, now);
        if (held.empty()) return cancel_queued({id}, why, now);
        if (held.front() != id) cancel_queued_parts(id, why, now);
    }
    /// Deliveries that are held and `which` says so of, oldest first; then what waits in the queue.
    template <class F>
    void all(F which, errc why, time_point now) {
        std::vector<job_id> ids;
        book_.deliveries.each([&](const delivery& d) {
            if (which(d)) ids.push_back(d.what->id);
        });
        std::ranges::sort(ids);
        for (const auto id : ids)
            if (delivery* const d = book_.deliveries.find(id)) out_.cancel(*d, why, now);
        cancel_queued(why, now);
    }
    /// What waits in the queue is taken out together, some at a time: a queue on a disk stores that once, and others
    /// get their turn between.
    void give_up_due(time_point now) {
        std::vector<job_id> waiting;
        while (const auto id = book_.deliveries.due(now))
            if (book_.deliveries.of(*id).empty())
                waiting.push_back(*id);
            else
                cancel(*id, cancel_kind::at_once, errc::timed_out, now);
        for (auto at = waiting.begin(); at != waiting.end();) {
            const auto end = at + std::min<std::ptrdiff_t>(waiting.end() - at, slice);
            const std::vector<job_id> some(at, end);
            std::set<job_id> reported;
            if (book_.report) reported = out_.report_overdue(queueing_traits::overdue(queueing_, some), now);
            cancel_queued(some, errc::timed_out, now, reported);
            at = end;
        }
    }

private:
    static constexpr std::ptrdiff_t slice = 256;

    // Messages of which nothing is held.
    void cancel_queued(const std::vector<job_id>& ids, errc why, time_point now,
                       const std::set<job_id>& reported = {}) {
        std::set<job_id> taken;
        for (auto& j : queueing_traits::take_all(queueing_, ids)) {
            taken.insert(j.id);
            out_.cancelled(std::move(j), why, now, reported);
        }
        for (const auto id : ids)
            if (!taken.contains(id)) cancel_queued_parts(id, why, now, reported);
    }
    void cancel_queued_parts(job_id whole, errc why, time_point now, const std::set<job_id>& reported = {}) {
        for (auto& part : queueing_traits::take_parts(queueing_, whole))
            out_.cancelled(std::move(part), why, now, reported);
    }
    // Where the queue does not last nobody else takes it out.
    void cancel_queued(errc why, time_point now) {
        if constexpr (queueing_traits::lasts) return;
        std::vector<job> waiting;
        queueing_.lease(std::size_t(-1), never, waiting);
        for (auto& j : waiting) {
            j.error = why;
            queueing_.settle(j);
            out_.cancelled(std::move(j), why, now);
        }
    }

    ledger& book_;
    departures<Queueing, Scheduling>& out_;
    Queueing& queueing_;
};

}  // namespace postroad::engine
