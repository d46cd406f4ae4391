#pragma once
// What somebody sees of a queue, and does to it by hand: what is held here and what waits there, together. No I/O and
// no clock.

#include <postroad/core/clock.hpp>
#include <postroad/engine/departures.hpp>
#include <postroad/engine/ledger.hpp>
#include <postroad/queueing/traits.hpp>
#include <postroad/scheduling/traits.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

namespace postroad::engine {

template <class Queueing, class Scheduling>
class operations {
public:
    operations(ledger& book, departures<Queueing, Scheduling>& out, Queueing& queueing, const Scheduling& scheduling)
        : book_(book), out_(out), queueing_(queueing), scheduling_(scheduling) {}

    /// Jobs that match, oldest first, `limit` at most.
    std::vector<queueing::job_info> list(const queueing::job_filter& which, std::size_t limit, time_point now) const {
        std::vector<queueing::job_info> out;
        book_.deliveries.each([&](const delivery& d) {
            if (auto j = info_of(d, now); which.matches(j)) out.push_back(std::move(j));
        });
        queueing_.list(which, std::max(limit, limit + out.size()), now, out);  // any limit, also the largest
        std::ranges::sort(out,
                          [](const auto& a, const auto& b) { return a.age != b.age ? a.age > b.age : a.id < b.id; });
        if (out.size() > limit) out.resize(limit);
        return out;
    }
    queueing::queue_counts count(time_point now) const {
        queueing::queue_counts counts;
        book_.deliveries.each([&](const delivery& d) {
            ++counts.by_state[static_cast<std::size_t>(state_of(d))];
            counts.oldest = std::max(counts.oldest, queueing::age(d.what->submitted, now));
        });
        queueing_.count(now, counts);
        book_.sites.add_troubles(counts.troubles, now, [&](pooling::place h) {
            return scheduling::scheduling_traits<Scheduling>::left_alone_until(scheduling_, h);
        });
        book_.domains.add_troubles(counts.troubles, now);
        std::ranges::stable_sort(counts.troubles, std::greater<>(), &queueing::trouble::waiting);
        if (counts.troubles.size() > queueing::max_troubles) counts.troubles.resize(queueing::max_troubles);
        return counts;
    }
    /// Those that match and are not being sent wait for somebody. Returns how many.
    std::size_t hold(const queueing::job_filter& which, time_point now) {
        const auto ids = waiting(which, now);
        for (const auto id : ids) {
            auto& d = *book_.deliveries.find(id);
            out_.leave_line(d);
            out_.keep(d, queueing::job_state::held, now);
        }
        return ids.size() + queueing_.hold(which, now);
    }
    /// Cancels those that match and are not being sent. Returns how many.
    std::size_t drop(const queueing::job_filter& which, time_point now) {
        const auto ids = waiting(which, now);
        for (const auto id : ids)
            if (delivery* const d = book_.deliveries.find(id)) out_.cancel(*d, errc::cancelled, now);
        auto others = queueing_.drop(which, now);
        for (auto& j : others) out_.cancelled(std::move(j), errc::cancelled, now);
        return ids.size() + others.size();
    }

private:
    static queueing::job_state state_of(const delivery& d) noexcept {
        return d.connection ? queueing::job_state::sending : queueing::job_state::waiting;
    }
    static queueing::job_info info_of(const delivery& d, time_point now) {
        return queueing::describe(*d.what, state_of(d), now);
    }
    // Jobs that match and have no connection.
    std::vector<job_id> waiting(const queueing::job_filter& which, time_point now) const {
        std::vector<job_id> ids;
        book_.deliveries.each([&](const delivery& d) {
            if (!d.connection && which.matches(info_of(d, now))) ids.push_back(d.what->id);
        });
        return ids;
    }

    ledger& book_;
    departures<Queueing, Scheduling>& out_;
    Queueing& queueing_;
    const Scheduling& scheduling_;
};

}  // namespace postroad::engine
