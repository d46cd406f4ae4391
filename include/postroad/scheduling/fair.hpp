#pragma once
// Classes, tenants and destinations in turn, each destination as fast as it bears. See docs/scheduling.md.

#include <postroad/scheduling/breaker.hpp>
#include <postroad/scheduling/concurrency.hpp>
#include <postroad/scheduling/detail/fair_lines.hpp>
#include <postroad/scheduling/doubt.hpp>
#include <postroad/scheduling/pacer.hpp>
#include <postroad/scheduling/policy.hpp>
#include <postroad/scheduling/retry_rules.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace postroad::scheduling {

/// Weighted classes; in them tenants, and in them destinations, by deficit round robin. A destination gets a connection
/// for a burst of messages; how many connections it bears is learned, and one that does not work is left alone.
///
/// The parts may be replaced one by one, by models of the concepts beside each.
template <pacer_part Pacer = scheduling::pacer, concurrency_part Concurrency = clamp,
          breaker_part Breaker = scheduling::breaker, retry_part Retry = retry_rules>
struct basic_fair {
    using axis = postroad::axis::scheduling;

    /// Shares of the classes (send_options::traffic_class), of messages while all have some. Class 0 is for what
    /// somebody waits for, class 1 for bulk. A class beyond the last counts as the last.
    std::vector<unsigned> weights = {16, 1};
    /// Messages that a destination gets with its turn; more make fewer connections, less make shorter waits.
    std::size_t burst = 16;
    /// Most connections to a destination, whatever it bears.
    std::size_t per_destination = 20;
    /// To each destination, for each tenant, and of the whole mailer.
    rate pace = {};
    rate tenant_pace = {};
    rate mailer_pace = {};
    /// Messages that wait here in turn; those beyond wait in the queue, in the order they came.
    std::size_t look_ahead = 1'000'000;

    Pacer pacer = {};
    Concurrency concurrency = {};
    Breaker breaker = {};
    Retry retry = {};
    doubt_rule in_doubt = park{};

    void admit(const job& j, host_id h, time_point now) {
        lines_.admit(j, h, static_cast<std::uint8_t>(std::min<std::size_t>(j.traffic_class, last_class())));
        look_at(h, now);
    }
    void withdraw(job_id id, host_id h) { lines_.withdraw(id, h); }
    verdict judge(const job& j, time_point now) const { return judge_with(retry, in_doubt, j, now); }

    std::optional<host_id> turn(time_point now) {
        while (ripe(now)) {
        }
        if (!mailer_may_send(now)) return std::nullopt;
        offered_ = lines_.turn(weights, quantum(), [&](const detail::flow& f) {
            const auto answer = may_go(f, now);
            if (answer != detail::may_go::yes || can_start(f.host, now)) return answer;
            ring_for(f.host, now);
            return detail::may_go::host_waits;
        });
        if (!offered_) return std::nullopt;
        return lines_.at(*offered_).host;
    }

    void begin(host_id h, time_point now) {
        auto& s = state_of(h);
        ++s.busy;
        s.moved = now;
        s.probing = breaker.broken(s.health);
        s.granted += s.probing ? 1 : std::max<std::size_t>(burst, 1);
        if (const auto i = std::exchange(offered_, {})) lines_.turned(*i);
    }

    void end(host_id h, time_point now) {
        auto& s = state_of(h);
        if (s.busy > 0) --s.busy;
        if (s.busy == 0) s.probing = false;
        s.granted = std::min(s.granted, s.busy * std::max<std::size_t>(burst, 1));
        look_at(h, now);
    }

    void hold(host_id h) { state_of(h).held = true; }
    void unhold(host_id h) {
        if (h < states_.size() && std::exchange(states_[h].held, false)) lines_.resume_host(h);
    }

    std::optional<job_id> next(host_id h, time_point now) {
        if (!mailer_may_send(now) || !may_send(h, now)) return std::nullopt;
        const auto found = lines_.next(h, weights, quantum(), [&](const auto& f) { return may_go(f, now); });
        if (!found) return std::nullopt;
        auto& s = states_[h];
        --s.granted;
        s.moved = now;
        pacer.reserve(s.pace, pace, now);
        pacer.reserve(mailer_state_, mailer_pace, now);
        if (tenant_pace.limited()) reserve_for_tenant(found->second, now);
        return found->first;
    }

    std::size_t waiting(host_id h, time_point now) const {
        if (pacer.ready_at(mailer_state_, mailer_pace) > now || !may_send(h, now)) return 0;
        const auto* const lines = lines_.find(h);
        if (!lines) return 0;
        for (const auto& lane : lines->lanes)
            for (std::size_t i = 0; i < lane.flows.size(); ++i) {
                const auto& f = lines_.at(lane.flows[i]);
                if (f.live > 0 && !is_paused(f) && tenant_ready_at(f.tenant) <= now)
                    return std::min(lines->live, states_[h].granted);
            }
        return 0;
    }

    /// Any job for `h` that is not paused: nobody could connect, and all share that attempt.
    std::optional<job_id> shed(host_id h) {
        return lines_.shed(h, [this](const detail::flow& f) { return !is_paused(f); });
    }

    /// What happened at `h`, to which `open` connections are ready.
    void signal(host_id h, host_event what, std::size_t open, time_point now) {
        auto& s = state_of(h);
        switch (what) {
            case host_event::opened: concurrency.opened(s.bears, open, now); break;
            case host_event::refused: concurrency.refused(s.bears, open, now); break;
            case host_event::unreachable:
            case host_event::put_off: breaker.failed(s.health, now); break;
            case host_event::answered: breaker.worked(s.health); break;
        }
        look_at(h, now);
    }

    /// A destination that may have more to send now, by time alone; asked until there is none.
    std::optional<host_id> ripe(time_point now) {
        if (!ripe_.empty()) return ripe_.pop_front();
        if (timers_.empty() || timers_.begin()->at > now) return std::nullopt;
        const auto t = *timers_.begin();
        timers_.erase(timers_.begin());
        if (t.what == timer::kind::destination) {
            states_[t.which].rings_at = never;
            look_at(t.which, now);
            return t.which;
        }
        if (t.what == timer::kind::tenant)
            for (const auto h : lines_.resume_tenant(t.which)) ripe_.push_back(h);
        if (t.what == timer::kind::forget) forget_tenant(t.which, now);
        return ripe_.empty() ? 0 : ripe_.pop_front();
    }
    time_point wakeup() const noexcept {
        return !ripe_.empty() ? time_point::min() : timers_.empty() ? never : timers_.begin()->at;
    }

    /// Nothing of it is sent until resume(), not of what comes later either; what is on a connection goes on.
    void pause(const selection& what) { paused_.insert(what); }
    void resume(const selection& what) {
        if (paused_.erase(what) == 0) return;
        for (const auto h : lines_.resume_paused()) ripe_.push_back(h);
    }
    /// The jobs of it that wait here.
    std::vector<job_id> list(const selection& what) const {
        return lines_.list([&](const detail::flow& f) { return matches(what, f); });
    }

    struct host_state {
        std::size_t busy = 0;                  // connections that have a turn
        std::size_t granted = 0;               // messages that they may still take
        time_point moved = time_point::min();  // when one of them last got something to do
        bool held = false;
        bool probing = false;
        time_point rings_at = never;
        typename Pacer::state pace = {};
        typename Concurrency::state bears = {};
        typename Breaker::state health = {};
    };
    struct tenant_state {
        typename Pacer::state pace = {};
        bool kept = false;  // its name stays in use until the pace is forgotten
    };
    struct timer {
        enum class kind : unsigned char { mailer, destination, tenant, forget };
        time_point at = never;
        kind what = kind::mailer;
        std::uint32_t which = 0;
        friend auto operator<=>(const timer&, const timer&) = default;
    };
    /// A destination whose connections got nothing to do for so long, though messages wait, may get another.
    static constexpr duration hanging = std::chrono::seconds(2);

    detail::fair_lines lines_ = {};              ///< internal
    std::vector<host_state> states_ = {};        ///< internal
    std::vector<tenant_state> tenants_ = {};     ///< internal
    typename Pacer::state mailer_state_ = {};    ///< internal
    std::set<timer> timers_ = {};                ///< internal
    std::set<selection> paused_ = {};            ///< internal
    ring<host_id> ripe_ = {};                    ///< internal
    std::optional<detail::index> offered_ = {};  ///< internal: the flow that turn() spoke of

    /// Internal, as all that follows.
    std::size_t last_class() const noexcept { return std::clamp<std::size_t>(weights.size(), 1, 256) - 1; }
    long quantum() const noexcept { return static_cast<long>(std::clamp<std::size_t>(burst, 1, 1'000'000)); }
    host_state& state_of(host_id h) {
        if (h >= states_.size()) states_.resize(h + 1);
        return states_[h];
    }

    bool matches(const selection& what, const detail::flow& f) const {
        switch (what.by) {
            case selection::kind::destination: return what.host == f.host;
            case selection::kind::tenant: return what.name == lines_.tenants.text(f.tenant);
            case selection::kind::tag: return what.name == lines_.tags.text(f.tag);
        }
        return false;
    }
    bool is_paused(const detail::flow& f) const {
        return std::ranges::any_of(paused_, [&](const selection& s) { return matches(s, f); });
    }

    bool mailer_may_send(time_point now) {
        const auto at = pacer.ready_at(mailer_state_, mailer_pace);
        if (at > now) timers_.insert({at, timer::kind::mailer, 0});
        return at <= now;
    }
    time_point tenant_ready_at(detail::index tenant) const {
        return tenant < tenants_.size() ? pacer.ready_at(tenants_[tenant].pace, tenant_pace) : time_point::min();
    }
    detail::may_go may_go(const detail::flow& f, time_point now) {
        if (is_paused(f)) return detail::may_go::paused;
        const auto at = tenant_ready_at(f.tenant);
        if (at <= now) return detail::may_go::yes;
        timers_.insert({at, timer::kind::tenant, f.tenant});
        return detail::may_go::tenant_waits;
    }
    void reserve_for_tenant(detail::index tenant, time_point now) {
        if (tenant >= tenants_.size()) tenants_.resize(tenant + 1);
        auto& t = tenants_[tenant];
        pacer.reserve(t.pace, tenant_pace, now);
        if (std::exchange(t.kept, true)) return;
        lines_.tenants.use(tenant);
        timers_.insert({pacer.forget_at(t.pace), timer::kind::forget, tenant});
    }
    void forget_tenant(detail::index tenant, time_point now) {
        const auto at = pacer.forget_at(tenants_[tenant].pace);
        if (at > now) {
            timers_.insert({at, timer::kind::forget, tenant});
            return;
        }
        tenants_[tenant] = {};
        (void)lines_.tenants.leave(tenant);
    }

    // Whether a connection to `h` that has a turn may send.
    bool may_send(host_id h, time_point now) const {
        if (h >= states_.size()) return false;
        const auto& s = states_[h];
        return s.granted > 0 && pacer.ready_at(s.pace, pace) <= now && (s.probing || !breaker.broken(s.health));
    }
    std::size_t connections_for(const host_state& s, time_point now) const {
        return breaker.broken(s.health)
                   ? 1
                   : std::min(std::max<std::size_t>(per_destination, 1), concurrency.limit(s.bears, now));
    }
    // Whether `h` may get a turn: there is more than its connections have been granted, or they hang.
    bool can_start(host_id h, time_point now) {
        const auto& s = state_of(h);
        const auto live = lines_.host(h).live;
        return !s.held && s.busy < connections_for(s, now) && starts_at(s) <= now &&
               (live > s.granted || (live > 0 && hangs_at(s) <= now));
    }
    static time_point hangs_at(const host_state& s) noexcept { return after(s.moved, hanging); }
    time_point starts_at(const host_state& s) const {
        const auto at = pacer.ready_at(s.pace, pace);
        return breaker.broken(s.health) ? std::max(at, breaker.probe_at(s.health)) : at;
    }
    // Something changed at `h`: what was set aside may go again, or will at a time.
    void look_at(host_id h, time_point now) {
        if (lines_.host(h).set_aside.empty()) return;
        if (can_start(h, now))
            lines_.resume_host(h);
        else
            ring_for(h, now);
    }
    void ring_for(host_id h, time_point now) {
        auto& s = state_of(h);
        auto at = starts_at(s);
        if (at <= now) {
            at = concurrency.grows_at(s.bears, now);
            const auto hangs = hangs_at(s);
            if (s.granted > 0 && s.busy < connections_for(s, now) && hangs > now)
                at = at <= now ? hangs : std::min(at, hangs);
        }
        if (at == s.rings_at || at <= now) return;
        if (s.rings_at != never) timers_.erase({s.rings_at, timer::kind::destination, h});
        s.rings_at = at;
        if (at != never) timers_.insert({at, timer::kind::destination, h});
    }
};

using fair = basic_fair<>;

static_assert(gives_turns<fair>);

}  // namespace postroad::scheduling
