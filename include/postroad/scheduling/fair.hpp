#pragma once
// Classes, tenants and destinations in turn, each destination as fast as it bears. See docs/scheduling.md.

#include <postroad/core/id_map.hpp>
#include <postroad/core/ring.hpp>
#include <postroad/scheduling/breaker.hpp>
#include <postroad/scheduling/concurrency.hpp>
#include <postroad/scheduling/detail/alarms.hpp>
#include <postroad/scheduling/detail/fair_lines.hpp>
#include <postroad/scheduling/detail/fair_site.hpp>
#include <postroad/scheduling/detail/fair_streams.hpp>
#include <postroad/scheduling/doubt.hpp>
#include <postroad/scheduling/pacer.hpp>
#include <postroad/scheduling/policy.hpp>
#include <postroad/scheduling/retry_rules.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
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
    /// 0: default_look_ahead where the queue outlives the process, and a million where all of it is in memory.
    std::size_t look_ahead = 0;

    Pacer pacer = {};
    Concurrency concurrency = {};
    Breaker breaker = {};
    Retry retry = {};
    doubt_rule in_doubt = park{};
    /// See scheduling_traits::most_in_doubt().
    std::size_t most_in_doubt = 0;

    void admit(const job& j, pooling::place h, time_point now) {
        const auto& s = site_of(h);
        // Where nothing outlives the process, none was before it whose messages would count.
        if (!j.lasts) h.limits.pace.begins = h.stream_pace.begins = time_point::min();
        providers_[s.provider].limits = h.limits;
        streams_.set_pace(s.stream, h.stream_pace);
        lines_.admit(j, {h.site, s.provider}, grade_of(j));
        look_at(h.site, now);
    }
    void withdraw(job_id id, host_id h) { lines_.withdraw(id, h); }
    verdict judge(const job& j, time_point now) const { return judge_with(retry, in_doubt, j, now); }

    std::optional<host_id> turn(time_point now) {
        while (ripe(now)) {
        }
        if (!mailer_may_send(now)) return std::nullopt;
        const auto* const f = lines_.turn(weights, quantum(), [&](const detail::flow& flow) {
            const auto answer = may_go(flow, now);
            if (answer != detail::may_go::yes) return answer;
            if (!site_can_start(flow.to.site, now)) {
                ring_for_site(flow.to.site, now);
                return detail::may_go::site_waits;
            }
            auto& p = providers_[flow.to.provider];
            if (can_start(p, now)) return detail::may_go::yes;
            ring_for_provider(flow.to.provider, p, now);
            return detail::may_go::provider_waits;
        });
        if (!f) return std::nullopt;
        return f->to.site;
    }

    void begin(pooling::place h, time_point now) {
        auto& s = site_of(h);
        auto& p = providers_[s.provider];
        if (s.busy == 0) p.turns.push_back(h.site);
        ++p.busy;
        p.probing.reset();
        if (breaker.broken(p.health)) p.probing = h.site;
        s.begin(p.probing ? 1 : std::max<std::size_t>(burst, 1), now);
        lines_.turned(h.site);
    }

    void end(pooling::place h, time_point now) {
        const auto found = sites_.find(h.site);
        if (found == sites_.end() || found->second.busy == 0) return;
        auto& s = found->second;
        auto& p = providers_[s.provider];
        --p.busy;
        s.end(std::max<std::size_t>(burst, 1));
        if (s.busy == 0) {
            std::erase(p.turns, h.site);
            if (p.probing == h.site) p.probing.reset();
        }
        look_at(h.site, now);
    }

    void hold(pooling::place h) { site_of(h).held = true; }
    void unhold(host_id h) {
        const auto found = sites_.find(h);
        if (found != sites_.end() && std::exchange(found->second.held, false)) lines_.resume_site(h);
    }

    /// The same for all sites of its provider, until unlimit() of one of them.
    void limit(pooling::place h) { providers_[site_of(h).provider].limited = true; }
    void unlimit(pooling::place h) {
        const auto found = sites_.find(h.site);
        if (found == sites_.end() || !std::exchange(providers_[found->second.provider].limited, false)) return;
        (void)lines_.resume_provider(found->second.provider);
    }

    std::optional<job_id> next(host_id h, time_point now) {
        if (!mailer_may_send(now) || !may_send(h, now)) return std::nullopt;
        const auto found = lines_.next(h, weights, quantum(), [&](const auto& f) { return may_go(f, now); });
        if (!found) return std::nullopt;
        auto& s = sites_.at(h);
        s.take(now);
        auto& p = providers_[s.provider];
        pacer.reserve(p.pace, pace_of(p), now);
        streams_.reserve(pacer, s.stream, now);
        pacer.reserve(mailer_state_, mailer_pace, now);
        if (tenant_pace.limited()) reserve_for_tenant(found->second, now);
        return found->first;
    }

    std::size_t waiting(host_id h, time_point now) const {
        if (pacer.ready_at(mailer_state_, mailer_pace) > now || !may_send(h, now)) return 0;
        const auto live = lines_.waiting(h, [&](const detail::flow& f) {
            return tenant_ready_at(f.tenant) <= now ? detail::may_go::yes : detail::may_go::tenant_waits;
        });
        return std::min(live, sites_.at(h).granted);
    }

    /// All that wait for `h`, whatever its connections have been granted.
    std::size_t backlog(host_id h) const { return lines_.live(h); }

    /// When `j` may go at the earliest, see scheduling_traits::may_go_at().
    time_point may_go_at(const job& j, pooling::place h, std::size_t others, time_point now) const {
        if (lines_.is_paused(j, h.site)) return never;
        const auto own = lines_.jobs_before(j, h.site, grade_of(j));
        auto at = now;
        if (const auto found = providers_.find(h.provider); found != providers_.end()) {
            const auto& p = found->second;
            at = after(std::max(now, pacer.ready_at(p.pace, pace_of(p))), pace_of(p).time_of(std::max(own, others)));
            if (std::max(own, others) > 0 && breaker.broken(p.health)) at = std::max(at, breaker.probe_at(p.health));
        }
        at = std::max(at, streams_.time_of(pacer, h.stream, own, now));
        const auto tenant = tenant_pace.limited() ? lines_.tenants.find(j.tenant) : detail::none;
        if (tenant == detail::none) return at;
        const auto ready = std::max(now, tenant_ready_at(tenant));
        return std::max(at, after(ready, tenant_pace.time_of(others > 0 ? lines_.jobs_of(tenant) : own)));
    }

    /// Until when its breaker leaves `h` alone; see scheduling_traits::left_alone_until().
    time_point left_alone_until(pooling::place h) const {
        const auto p = providers_.find(h.provider);
        if (p == providers_.end() || !breaker.broken(p->second.health)) return time_point::min();
        return breaker.probe_at(p->second.health);
    }

    /// Any job for `h` that is not paused: nobody could connect, and all share that attempt.
    std::optional<job_id> shed(host_id h) { return lines_.shed(h); }

    /// What happened at `h`, to whose provider `open` connections are ready.
    void signal(pooling::place h, host_event what, std::size_t open, time_point now) {
        auto& s = site_of(h);
        auto& p = providers_[s.provider];
        if (what == host_event::opened) concurrency.opened(p.bears, open, now);
        if (what == host_event::refused) concurrency.refused(p.bears, open, now);
        if (what == host_event::put_off) breaker.failed(p.health, now);
        if (what == host_event::answered) breaker.worked(p.health);
        if (what == host_event::opened || what == host_event::refused || what == host_event::unreachable) s.opened(now);
        look_at(h.site, now);
    }

    /// A destination that may have more to send now, by time alone; asked until there is none.
    std::optional<host_id> ripe(time_point now) {
        for (;;) {
            while (!ripe_.empty())
                if (const auto h = ripe_.pop_front(); sites_.contains(h)) return h;
            const auto rings = alarms_.ring(now);
            if (!rings) return std::nullopt;
            rang(*rings, now);
        }
    }
    time_point wakeup() const noexcept { return ripe_.empty() ? alarms_.first_at() : time_point::min(); }

    /// Nothing of it is sent until resume(), not of what comes later either; what is on a connection goes on.
    void pause(const selection& what) { lines_.pause(what); }
    void resume(const selection& what) {
        for (const auto h : lines_.resume(what)) ripe_.push_back(h);
    }
    /// The jobs of it that wait here.
    std::vector<job_id> list(const selection& what) const { return lines_.list(what); }

    /// Nothing waits for `h`, and it has no connection. `never`: it is needed until it was used again.
    time_point forget(pooling::place h, time_point now) {
        if (const auto s = sites_.find(h.site); s != sites_.end()) {
            if (s->second.busy > 0 || !lines_.forget_site(h.site)) return never;
            h.provider = s->second.provider;
            h.stream = s->second.stream;
            alarms_.cancel({s->second.rings_at, alarm::kind::site, h.site});
            --providers_[h.provider].sites;
            streams_.left(h.stream);
            sites_.erase(s);
        }
        return std::max(forget_provider(h, now), streams_.forget(pacer, h.stream, alarms_, now));
    }

    struct provider_state {
        std::size_t sites = 0;
        std::vector<host_id> turns = {};  // sites with connections that have a turn
        std::size_t busy = 0;             // such connections
        postroad::limits limits = {};
        bool limited = false;  // by the pool
        std::optional<host_id> probing = {};
        time_point rings_at = never;
        typename Pacer::state pace = {};
        typename Concurrency::state bears = {};
        typename Breaker::state health = {};
    };
    struct tenant_state {
        typename Pacer::state pace = {};
        bool kept = false;  // its name stays in use until the pace is forgotten
    };
    using alarm = detail::alarm;

    detail::fair_lines lines_ = {};             ///< internal
    id_map<detail::fair_site> sites_ = {};      ///< internal
    id_map<provider_state> providers_ = {};     ///< internal
    detail::fair_streams<Pacer> streams_ = {};  ///< internal
    std::vector<tenant_state> tenants_ = {};    ///< internal
    typename Pacer::state mailer_state_ = {};   ///< internal
    detail::alarms alarms_ = {};                ///< internal
    ring<host_id> ripe_ = {};                   ///< internal

    /// Internal, as all that follows.
    std::size_t last_class() const noexcept { return std::clamp<std::size_t>(weights.size(), 1, 256) - 1; }
    std::uint8_t grade_of(const job& j) const noexcept {
        return static_cast<std::uint8_t>(std::min<std::size_t>(j.traffic_class, last_class()));
    }
    long quantum() const noexcept { return static_cast<long>(std::clamp<std::size_t>(burst, 1, 1'000'000)); }
    detail::fair_site& site_of(pooling::place h) {
        const auto [at, is_new] = sites_.emplace(h.site, detail::fair_site{.provider = h.provider, .stream = h.stream});
        if (is_new) ++providers_[h.provider].sites;
        if (is_new) streams_.joined(h.stream);
        return at->second;
    }

    bool mailer_may_send(time_point now) {
        const auto at = pacer.ready_at(mailer_state_, mailer_pace);
        if (at > now) alarms_.set({at, alarm::kind::mailer, 0});
        return at <= now;
    }
    time_point tenant_ready_at(detail::index tenant) const {
        return tenant < tenants_.size() ? pacer.ready_at(tenants_[tenant].pace, tenant_pace) : time_point::min();
    }
    detail::may_go may_go(const detail::flow& f, time_point now) {
        const auto at = tenant_ready_at(f.tenant);
        if (at <= now) return detail::may_go::yes;
        alarms_.set({at, alarm::kind::tenant, f.tenant});
        return detail::may_go::tenant_waits;
    }
    // Of one without a site: time_point::min() if it is forgotten, else when to ask again.
    time_point forget_provider(pooling::place h, time_point now) {
        const auto p = providers_.find(h.provider);
        if (p == providers_.end() || p->second.sites > 0) return time_point::min();
        const auto needed = std::max({pacer.forget_at(p->second.pace), concurrency.forget_at(p->second.bears),
                                      breaker.forget_at(p->second.health)});
        if (needed > now) return needed;
        alarms_.cancel({p->second.rings_at, alarm::kind::provider, h.provider});
        providers_.erase(p);
        return time_point::min();
    }
    void reserve_for_tenant(detail::index tenant, time_point now) {
        if (tenant >= tenants_.size()) tenants_.resize(tenant + 1);
        auto& t = tenants_[tenant];
        pacer.reserve(t.pace, tenant_pace, now);
        if (std::exchange(t.kept, true)) return;
        lines_.tenants.use(tenant);
        alarms_.set({pacer.forget_at(t.pace), alarm::kind::forget, tenant});
    }
    void forget_tenant(detail::index tenant, time_point now) {
        const auto at = pacer.forget_at(tenants_[tenant].pace);
        if (at > now) {
            alarms_.set({at, alarm::kind::forget, tenant});
            return;
        }
        tenants_[tenant] = {};
        lines_.leave_tenant(tenant);
    }

    // Whether a connection to `h` that has a turn may send.
    bool may_send(host_id h, time_point now) const {
        const auto s = sites_.find(h);
        if (s == sites_.end() || s->second.granted == 0 || streams_.ready_at(pacer, s->second.stream) > now)
            return false;
        const auto& p = providers_.at(s->second.provider);
        return pacer.ready_at(p.pace, pace_of(p)) <= now && (p.probing == h || !breaker.broken(p.health));
    }
    bool site_can_start(host_id h, time_point now) const {
        const auto& s = sites_.at(h);
        return s.can_start(lines_.live(h), now) && streams_.ready_at(pacer, s.stream) <= now;
    }
    rate pace_of(const provider_state& p) const noexcept { return slower(pace, p.limits.pace); }
    bool can_start(const provider_state& p, time_point now) const {
        const auto cap = least_said(std::max<std::size_t>(per_destination, 1), p.limits.connections);
        const auto most = breaker.broken(p.health) ? 1 : std::min(cap, concurrency.limit(p.bears, now));
        return !p.limited && p.busy < most && starts_at(p) <= now;
    }
    time_point starts_at(const provider_state& p) const {
        const auto at = pacer.ready_at(p.pace, pace_of(p));
        return breaker.broken(p.health) ? std::max(at, breaker.probe_at(p.health)) : at;
    }
    // Something changed at a site: what waits for it or its provider may go again, or will at a time.
    void look_at(host_id h, time_point now) {
        if (lines_.waits_for_site(h)) {
            if (site_can_start(h, now))
                lines_.resume_site(h);
            else
                ring_for_site(h, now);
        }
        (void)look_at_provider(sites_.at(h).provider, now);
    }
    std::optional<host_id> look_at_provider(host_id provider, time_point now) {
        if (!lines_.waits_for_provider(provider)) return std::nullopt;
        auto& p = providers_[provider];
        if (can_start(p, now)) return lines_.resume_provider(provider);
        ring_for_provider(provider, p, now);
        return std::nullopt;
    }
    void ring_for_site(host_id h, time_point now) {
        auto& s = sites_.at(h);
        if (const auto at = streams_.ready_at(pacer, s.stream); at > now)
            streams_.wait(h, s, at, alarms_, now);
        else if (s.granted > 0)
            alarms_.move(s.rings_at, {s.hangs_at(), alarm::kind::site, h}, now);
    }
    // Whether it waited for its stream, and goes on.
    bool go_on(host_id h, time_point now) {
        const auto at = sites_.find(h);
        if (at == sites_.end()) return false;
        at->second.waits_for_stream = false;
        if (!lines_.waits_for_site(h)) return false;
        look_at(h, now);
        ripe_.push_back(h);
        return true;
    }
    void ring_for_provider(host_id h, provider_state& p, time_point now) {
        const auto at = starts_at(p);
        alarms_.move(p.rings_at, {at > now ? at : concurrency.grows_at(p.bears, now), alarm::kind::provider, h}, now);
    }
    void rang(const alarm& a, time_point now) {
        switch (a.what) {
            case alarm::kind::mailer:
                // Whoever it is: the next turn is anybody's.
                if (!sites_.empty()) ripe_.push_back(static_cast<host_id>(sites_.begin()->first));
                return;
            case alarm::kind::site:
                sites_.at(a.which).rings_at = never;
                look_at(a.which, now);
                return ripe_.push_back(a.which);
            case alarm::kind::provider: {
                auto& p = providers_.at(a.which);
                p.rings_at = never;
                for (const auto h : p.turns) ripe_.push_back(h);
                if (const auto h = look_at_provider(a.which, now)) ripe_.push_back(*h);
                return;
            }
            case alarm::kind::stream:
                return streams_.rang(a.which, alarms_, now, [&](host_id h) { return go_on(h, now); });
            case alarm::kind::tenant:
                for (const auto h : lines_.resume_tenant(a.which)) ripe_.push_back(h);
                return;
            case alarm::kind::forget: return forget_tenant(a.which, now);
        }
    }
};

using fair = basic_fair<>;

static_assert(gives_turns<fair>);

}  // namespace postroad::scheduling
