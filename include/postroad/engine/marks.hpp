#pragma once
// Before a message of a queue that lasts is given to a connection the queue stores that it may be with the server from
// now on: its mark. Where the queue does not last there are none. No I/O and no clock.

#include <postroad/engine/ledger.hpp>
#include <postroad/queueing/traits.hpp>

#include <utility>
#include <vector>

namespace postroad::engine {

template <class Queueing>
class marks {
    using queueing_traits = queueing::queueing_traits<Queueing>;

public:
    marks(ledger& book, Queueing& queueing) : book_(book), queueing_(queueing) {}

    /// Gives it to its connection, once it is marked.
    void give(delivery& d) {
        if constexpr (queueing_traits::lasts) {
            d.marking = true;
            queueing_.mark(d.what->id);
        } else {
            transmit_to(d);
        }
    }

    /// What is marked by now goes to its connection. `not_given(delivery)` is told of those that must not any more,
    /// since they were cancelled, here or by another process, or are lost; `taken(delivery)` of the last two where they
    /// have no connection.
    template <class NotGiven, class Taken>
    void collect(NotGiven not_given, Taken taken) {
        if constexpr (queueing_traits::lasts) {
            const auto take = [&](delivery& d) { std::exchange(d.marking, false) ? not_given(d) : taken(d); };
            for (const auto id : told([this](auto& to) { queueing_traits::revoked(queueing_, to); }))
                if (delivery* const d = not_with_a_server(id)) {
                    d->cancelled = errc::cancelled;
                    take(*d);
                }
            for (const auto id : told([this](auto& to) { queueing_.marked(to); })) {
                delivery* const d = book_.deliveries.find(id);
                if (!d || !std::exchange(d->marking, false)) continue;
                d->cancelled ? not_given(*d) : transmit_to(*d);
            }
            for (const auto id : told([this](auto& to) { queueing_traits::lost(queueing_, to); }))
                if (delivery* const d = not_with_a_server(id)) {
                    d->lost = true;
                    take(*d);
                }
        }
    }

private:
    template <class F>
    static std::vector<job_id> told(F ask) {
        std::vector<job_id> ids;
        ask(ids);
        return ids;
    }
    // What is with a server stays until that has answered.
    delivery* not_with_a_server(job_id id) {
        delivery* const d = book_.deliveries.find(id);
        return d && (!d->connection || d->marking) ? d : nullptr;
    }
    void transmit_to(const delivery& d) {
        book_.actions.emplace_back(transmit{
            *d.connection, {.id = d.what->id, .mail = d.what->mail, .recipients = d.attempt.asked, .ahead = d.ahead}});
    }

    ledger& book_;
    Queueing& queueing_;
};

}  // namespace postroad::engine
