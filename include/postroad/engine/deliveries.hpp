#pragma once
// What was leased from the queue: by id, by the message that it is a part of, and when it is given up.

#include <postroad/core/agenda.hpp>
#include <postroad/core/clock.hpp>
#include <postroad/core/id_map.hpp>
#include <postroad/core/id_table.hpp>
#include <postroad/engine/attempt.hpp>
#include <postroad/engine/domains.hpp>
#include <postroad/queueing/job.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace postroad::engine {

/// A message, or the part of one that goes to one place.
struct delivery {
    std::unique_ptr<job> what = {};  // by pointer: it goes on to who waits for it
    domain* to = nullptr;            // null until it is routed
    site* at = nullptr;              // null: it has no location, or is paused
    std::optional<connection_id> connection = {};
    engine::attempt attempt = {};
    smtp::pipelining ahead = smtp::pipelining::envelope;
    bool behind = false;        // given to a connection that had others
    bool marking = false;       // it has a connection, and is given to it once its mark is stored
    bool lost = false;          // the queue gives it out again
    std::size_t failovers = 0;  // servers of its site that broke under this attempt
    bool may_later = false;     // a server that cannot take it now may at another time
    bool again = false;         // it went again because MAIL was refused on a connection that had carried others
    std::optional<errc> cancelled = {};
    time_point rests_until = time_point::min();  // a reply said so

    /// The message.
    job_id whole() const noexcept { return what->whole != 0 ? what->whole : what->id; }
    /// A server has some of it, or is about to: not while its mark is still to be stored.
    bool is_under_way() const noexcept { return connection && !marking; }
};

class deliveries {
public:
    delivery* find(job_id id) noexcept {
        const auto* const found = all_.find(id);
        return found ? found->get() : nullptr;
    }
    bool empty() const noexcept { return all_.empty(); }
    std::size_t size() const noexcept { return all_.size(); }
    template <class F>
    void each(F&& f) const {
        all_.each([&](const auto& d) { f(std::as_const(*d)); });
    }

    template <class F>
    void each(F&& f) {
        all_.each([&](const auto& d) { f(*d); });
    }

    /// Null: one of that id is held already.
    delivery* put(std::unique_ptr<job> j) {
        auto made = std::make_unique<delivery>();
        delivery& d = *made;
        if (!all_.insert(j->id, std::move(made))) return nullptr;
        if (j->whole != 0) parts_[j->whole].insert(j->id);
        d.what = std::move(j);
        return &d;
    }
    std::unique_ptr<job> take(delivery& d) {
        auto j = std::move(d.what);
        if (j->whole != 0)
            if (const auto p = parts_.find(j->whole); p != parts_.end() && p->second.erase(j->id) && p->second.empty())
                parts_.erase(p);
        all_.erase(j->id);
        return j;
    }
    /// Of a message: it, or its parts.
    std::vector<job_id> of(job_id whole) const {
        if (all_.find(whole)) return {whole};
        const auto p = parts_.find(whole);
        if (p == parts_.end()) return {};
        return {p->second.begin(), p->second.end()};
    }

    /// The message is given up then.
    void give_up_at(job_id whole, time_point when) { deadlines_.insert({when, whole}); }
    void forget_deadline(job_id whole, time_point when) { deadlines_.erase({when, whole}); }
    std::size_t deadlines() const noexcept { return deadlines_.size(); }
    /// It is over, or goes back; what else there is of a message puts it in again.
    void forget_deadline(const job& j) {
        if (j.deadline == never) return;
        const auto whole = j.whole != 0 ? j.whole : j.id;
        const auto parts = parts_.find(whole);
        if (parts == parts_.end() || parts->second.size() <= 1) deadlines_.erase({j.deadline, whole});
    }
    time_point deadline() const noexcept { return deadlines_.empty() ? never : deadlines_.begin()->first; }
    std::optional<job_id> due(time_point now) {
        if (deadline() > now) return std::nullopt;
        const auto id = deadlines_.begin()->second;
        deadlines_.erase(deadlines_.begin());
        return id;
    }

private:
    id_table<std::unique_ptr<delivery>> all_;  // by pointer: they stay where they are
    id_map<std::set<job_id>> parts_;
    agenda deadlines_;
};

}  // namespace postroad::engine
