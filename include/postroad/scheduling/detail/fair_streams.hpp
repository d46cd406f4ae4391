#pragma once
// Parts of the mail with a pace of their own, over sites and providers. A site is in one at most. What waits for a
// stream stands in one line: with each message one site goes on, however many wait.

#include <postroad/core/clock.hpp>
#include <postroad/core/id_map.hpp>
#include <postroad/core/limits.hpp>
#include <postroad/core/ring.hpp>
#include <postroad/pooling/policy.hpp>
#include <postroad/scheduling/detail/alarms.hpp>
#include <postroad/scheduling/detail/fair_site.hpp>

#include <algorithm>
#include <cstddef>
#include <utility>

namespace postroad::scheduling::detail {

template <class Pacer>
class fair_streams {
    using host_id = pooling::host_id;

    struct stream {
        std::size_t sites = 0;
        rate pace = {};
        typename Pacer::state sent = {};
        ring<host_id> waiting = {};  // sites, each once; some may be gone
        time_point rings_at = never;
    };

public:
    bool empty() const noexcept { return all_.empty(); }
    std::size_t size() const noexcept { return all_.size(); }

    // All of these do nothing for what is in no stream, which is 0.
    void joined(host_id id) {
        if (id != 0) ++all_[id].sites;
    }
    void left(host_id id) {
        if (id != 0) --all_.at(id).sites;
    }
    void set_pace(host_id id, rate pace) {
        if (id != 0) all_.at(id).pace = pace;
    }
    time_point ready_at(const Pacer& pacer, host_id id) const {
        if (id == 0) return time_point::min();
        const auto& s = all_.at(id);
        return pacer.ready_at(s.sent, s.pace);
    }
    void reserve(const Pacer& pacer, host_id id, time_point now) {
        if (id == 0) return;
        auto& s = all_.at(id);
        pacer.reserve(s.sent, s.pace, now);
    }
    /// When the last of `n` messages may go from `now` on, behind what was sent.
    time_point time_of(const Pacer& pacer, host_id id, std::size_t n, time_point now) const {
        const auto found = all_.find(id);
        if (found == all_.end()) return now;
        const auto& s = found->second;
        return after(std::max(now, pacer.ready_at(s.sent, s.pace)), s.pace.time_of(n));
    }

    /// A site, which is not ready before `at`.
    void wait(host_id h, fair_site& site, time_point at, alarms& to, time_point now) {
        auto& s = all_.at(site.stream);
        if (!std::exchange(site.waits_for_stream, true)) s.waiting.push_back(h);
        to.move(s.rings_at, {at, alarm::kind::stream, site.stream}, now);
    }
    /// It rang. `go_on(site)` is false for a site that does not wait any more. When there is time for another message
    /// the next one does, whatever became of the first.
    template <class F>
    void rang(host_id id, alarms& to, time_point now, F go_on) {
        auto& s = all_.at(id);
        s.rings_at = never;
        while (!s.waiting.empty())
            if (go_on(s.waiting.pop_front()) && s.pace.limited()) break;
        if (!s.waiting.empty()) to.move(s.rings_at, {after(now, s.pace.interval()), alarm::kind::stream, id}, now);
    }
    /// time_point::min() if it is forgotten, or is needed by others, else when to ask again.
    time_point forget(const Pacer& pacer, host_id id, alarms& of, time_point now) {
        const auto found = all_.find(id);
        if (found == all_.end() || found->second.sites > 0) return time_point::min();
        if (const auto needed = pacer.forget_at(found->second.sent); needed > now) return needed;
        of.cancel({found->second.rings_at, alarm::kind::stream, id});
        all_.erase(found);
        return time_point::min();
    }

private:
    id_map<stream> all_;
};

}  // namespace postroad::scheduling::detail
