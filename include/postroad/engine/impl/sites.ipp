#pragma once

#include <postroad/engine/sites.hpp>

#include <postroad/core/algorithm.hpp>
#include <postroad/core/random.hpp>

#include <algorithm>
#include <unordered_map>

namespace postroad::engine {

POSTROAD_DECL site* sites::named(std::string_view name) {
    const auto known = by_name_.find(name);
    return known == by_name_.end() ? nullptr : &sites_.at(known->second);
}

POSTROAD_DECL site* sites::place(transport::location&& where, time_point now, site* before) {
    if (site* const known = before && before->name == where.site ? before : named(where.site)) {
        auto& s = *known;
        if (!same_servers(s, where.servers)) {
            if (!s.connections.empty()) return nullptr;
            s.servers.clear();
            for (auto& e : where.servers) s.servers.push_back({.at = std::move(e)});
        }
        for (auto& v : s.servers)
            for (auto& e : where.servers)
                if (v.at == e) v.at.addresses = std::move(e.addresses);
        s.group->limits = where.limits;
        if (s.stream) s.stream->pace = where.stream_pace;
        return &s;
    }
    const auto id = ++last_id_;
    auto& s = sites_[id];
    s.id = s.alone.id = id;
    s.group = &s.alone;
    s.name = std::move(where.site);
    if (!where.provider.empty()) {
        s.provider_name = std::move(where.provider);
        s.group = &providers_[s.provider_name];
        if (s.group->sites++ == 0) s.group->id = ++last_id_;
    }
    s.group->limits = where.limits;
    if (!where.stream.empty()) {
        s.stream_name = std::move(where.stream);
        s.stream = &streams_[s.stream_name];
        if (s.stream->sites++ == 0) s.stream->id = ++last_id_;
        s.stream->pace = where.stream_pace;
    }
    for (auto& e : where.servers) s.servers.push_back({.at = std::move(e)});
    by_name_.emplace(s.name, id);
    rest(s, now);
    return &s;
}

POSTROAD_DECL site* sites::without(const site& s, std::size_t server, time_point now) {
    transport::location rest{.site = s.name + " without " + to_string(s.servers[server].at),
                             .provider = s.provider_name,
                             .limits = s.group->limits,
                             .stream = s.stream_name,
                             .stream_pace = s.stream ? s.stream->pace : rate{}};
    for (std::size_t i = 0; i < s.servers.size(); ++i)
        if (i != server) rest.servers.push_back(s.servers[i].at);
    return rest.servers.empty() ? nullptr : place(std::move(rest), now);
}

POSTROAD_DECL bool sites::same_servers(const site& s, const std::vector<endpoint>& servers) {
    return std::ranges::is_permutation(
        s.servers, servers, [](const endpoint& a, const endpoint& b) { return a == b; },
        [](const server& known) { return known.at; });
}

POSTROAD_DECL std::optional<std::size_t> sites::may_open(site& s, time_point now) {
    if (const auto until = std::max(s.login_rests_until, s.group->rest.until); until > now) {
        ring(s, until);
        return std::nullopt;
    }
    auto next = never;
    const bool works = s.works();
    // After failures the first connection is on trial: the next one waits for what comes of it.
    const bool failed = postroad::detail::any_of(s.servers, [](const server& v) { return v.failures > 0; });
    if (!works && failed && s.open > 0) return std::nullopt;
    // One that is new is alone with the first opening, unless nothing is heard from it.
    const auto is_opening = [](const server& v) { return v.is_cold() && v.opening > 0; };
    if (!works)
        for (const auto& v : s.servers)
            if (is_opening(v) && now < after(v.opening_since, silence))
                next = std::min(next, after(v.opening_since, silence));
    if (next != never) {
        if (s.servers.size() > 1) ring(s, next);
        return std::nullopt;
    }
    std::vector<bool> usable(s.servers.size());
    bool any = false;
    for (std::size_t i = 0; i < s.servers.size(); ++i) {
        const auto& v = s.servers[i];
        if (is_opening(v)) continue;
        auto at = v.rests_until;
        if (v.failures > 0 && works && !v.worked) at = std::max(at, after(v.failed_at, pause_after_failure));
        usable[i] = at <= now;
        any = any || usable[i];
        if (!usable[i]) next = std::min(next, at);
    }
    if (any) return choose(s, usable);
    if (next != never) ring(s, next);
    return std::nullopt;
}

// Of those that are usable the lowest preference, by weight within it.
POSTROAD_DECL std::size_t sites::choose(site& s, const std::vector<bool>& usable) {
    unsigned preference = unsigned(-1);
    for (std::size_t i = 0; i < usable.size(); ++i)
        if (usable[i]) preference = std::min<unsigned>(preference, s.servers[i].at.preference);
    long total = 0;
    auto best = usable.size();
    for (std::size_t i = 0; i < usable.size(); ++i) {
        auto& v = s.servers[i];
        if (!usable[i] || v.at.preference != preference) continue;
        const long weight = std::max<long>(v.at.weight, 1);
        v.credit += weight;
        total += weight;
        if (best == usable.size() || v.credit > s.servers[best].credit) best = i;
    }
    s.servers[best].credit -= total;
    return best;
}

POSTROAD_DECL bool sites::is_silent(const site& s, time_point now) const noexcept {
    return s.opening > 0 && s.servers.size() > 1 && !s.works() &&
           postroad::detail::all_of(
               s.servers, [&](const server& v) { return v.opening == 0 || after(v.opening_since, silence) <= now; });
}

POSTROAD_DECL void sites::opening(site& s, std::size_t server, time_point now) {
    auto& v = s.servers[server];
    if (v.opening++ == 0) v.opening_since = now;
    if (v.is_cold() && s.servers.size() > 1) ring(s, after(now, silence));
}

POSTROAD_DECL void sites::worked(site& s, std::size_t server) noexcept {
    auto& v = s.servers[server];
    v.failures = 0;
    v.gave_up = false;
    v.worked = true;
    v.rests_until = time_point::min();
    if (!s.in_trouble()) return;
    s.trouble = {};
    s.since = never;
    s.what = ruling::settled;
    s.sent_back = 0;
    s.login_rests_until = time_point::min();
    s.logins_refused = 0;
}

POSTROAD_DECL bool sites::failed(site& s, std::size_t server, const smtp::closed& why, ruling what, bool others,
                                 unsigned enough, time_point now) {
    auto& v = s.servers[server];
    ++v.failures;
    v.failed_at = now;
    v.rests_until = after(now, rest_after(v.failures, s.id * 64 + server));
    const bool asks_for_time = what == ruling::outage && why.details.reply.starts_with('4');
    v.is_busy = asks_for_time && (v.worked || v.is_busy);
    // It wants fewer connections; those that it has go on.
    if (others) return false;
    v.worked = false;
    v.gave_up = v.gave_up || v.failures >= (v.is_busy ? std::max(enough, enough_failures) : enough);
    if (!s.in_trouble()) {
        s.since = now;
        ring(s, after(now, longest_stay));
    }
    s.trouble = why;
    s.what = what;
    if (!is_refused_login(why.error)) return std::ranges::all_of(s.servers, &server::gave_up);
    auto wait = first_login_rest;
    for (unsigned i = 0; i < s.logins_refused && wait < longest_rest; ++i) wait *= 2;
    ++s.logins_refused;
    s.login_rests_until = after(now, std::min(wait, longest_rest));
    return true;
}

POSTROAD_DECL bool sites::broke(site& s, std::size_t server, const smtp::closed& why, carried_job by,
                                time_point ready_at, time_point now) {
    auto& v = s.servers[server];
    // What was open when another broke fails too, and is no news.
    if (v.failures > 0 && ready_at <= v.failed_at) return false;
    // Another try of the message that broke the last one says nothing more of the server.
    const auto last = std::exchange(v.broken_by, by);
    if (v.failures > 0 && last.id == by.id && last.attempt != by.attempt) --v.failures;
    const bool for_long = s.in_trouble() && after(s.since, patience_with_breaks) <= now;
    return failed(s, server, why, ruling::outage, false, for_long ? enough_failures : unsigned(-1), now);
}

POSTROAD_DECL void sites::told(site& s) noexcept {
    for (auto& v : s.servers) v.gave_up = false;
}

// Up to a quarter longer, so that what failed together does not come back together.
POSTROAD_DECL duration sites::rest_after(unsigned failures, std::uint64_t salt) const noexcept {
    const auto longest = lasts_ ? longest_rest : longest_rest_of_direct;
    auto wait = first_rest;
    for (unsigned i = 1; i < failures && wait < longest; ++i) wait *= 2;
    wait = std::min(wait, longest);
    const auto share = static_cast<duration::rep>(postroad::detail::scrambled(salt << 16 ^ failures) % 256);
    return std::min(wait + wait / 1024 * share, longest);
}

POSTROAD_DECL time_point sites::rests_until(const site& s) const noexcept {
    auto at = never;
    for (const auto& v : s.servers) at = std::min(at, v.rests_until);
    return std::max({at, s.login_rests_until, s.group->rest.until});
}

POSTROAD_DECL bool sites::is_stuck(const site& s, time_point now) const noexcept {
    const auto until = rests_until(s);
    if ((!s.in_trouble() && !s.rests(now)) || s.open > 0 || until <= now) return false;
    return after(s.since, longest_stay) <= now || until > after(now, longest_stay);
}

POSTROAD_DECL void sites::end_rests() {
    for (auto& [id, s] : sites_) {
        if (s.group->rest.until != time_point::min()) ring(s, time_point::min());
        if (!s.in_trouble()) continue;
        for (auto& v : s.servers) v.rests_until = time_point::min();
        s.login_rests_until = time_point::min();
        ring(s, time_point::min());
    }
    for (auto& [id, s] : sites_) {
        s.group->rest = {};
        s.group->tenants.clear();
    }
}

POSTROAD_DECL bool sites::rest_provider(site& s, const smtp::closed& why, time_point until, time_point now) {
    auto& p = *s.group;
    const bool is_new = p.rest.until <= now;
    if (is_new) p.rests_since = now;
    p.rest = {std::max(p.rest.until, until), why};
    return is_new;
}

POSTROAD_DECL bool sites::rest_tenant(site& s, const std::string& tenant, const smtp::closed& why, time_point until,
                                      time_point now) {
    constexpr std::size_t most = 10'000;
    auto& all = s.group->tenants;
    if (all.size() >= most) std::erase_if(all, [&](const auto& t) { return t.second.until <= now; });
    if (all.size() >= most && !all.contains(tenant)) return false;
    auto& rest = all[tenant];
    const bool is_new = rest.until <= now;
    rest = {std::max(rest.until, until), why};
    return is_new;
}

POSTROAD_DECL const asked_rest& sites::rest_of(const site& s, const std::string& tenant) noexcept {
    const auto found = s.group->tenants.find(tenant);
    const bool own = found != s.group->tenants.end() && found->second.until > s.group->rest.until;
    return own ? found->second : s.group->rest;
}

POSTROAD_DECL ruling sites::sender_refused(site& s, const std::string& sender) {
    // No text says whether "550 5.7.1" is about the sender or about us; that others are accepted, or nobody is, does.
    constexpr std::size_t most = 64;
    constexpr std::ptrdiff_t enough = 3;
    auto& all = s.refused.all;
    if (const auto known = all.find(sender); known != all.end() && known->second) return ruling::settled;
    if (all.size() < most) all.emplace(sender, false);
    const auto alone = std::ranges::count_if(all, [](const auto& entry) { return !entry.second; });
    return alone >= enough ? ruling::setting : ruling::later;
}

POSTROAD_DECL void sites::sender_accepted(site& s, const std::string& sender) {
    auto& all = s.refused.all;
    if (all.empty()) return;
    all.erase(sender);
    for (auto& entry : all) entry.second = true;
}

namespace detail {

inline std::size_t number_of(smtp::lesson l) noexcept { return static_cast<std::size_t>(l) - 1; }

}  // namespace detail

POSTROAD_DECL void sites::learn(site& s, std::size_t server, smtp::lesson l, time_point now) noexcept {
    if (l == smtp::lesson::none) return;
    auto& v = s.servers[server];
    if (l == smtp::lesson::no_overlap || l == smtp::lesson::no_pipelining) v.pace.broke(now);
    auto& until = v.taught[detail::number_of(l)];
    auto& times = v.times[detail::number_of(l)];
    // What several connections say at a time was taught once.
    if (until <= now) ++times;
    auto lasts = l == smtp::lesson::no_tls ? tls_lesson : other_lesson;
    for (unsigned i = 1; i < times && lasts < longest_lesson; ++i) lasts *= 2;
    until = after(now, std::min(lasts, longest_lesson));
}

POSTROAD_DECL void sites::learn(site& s, std::size_t server, const smtp::auth_habits& a, time_point now) {
    if (a == smtp::auth_habits{}) return;
    s.servers[server].auth = a;
    s.servers[server].auth_until = after(now, other_lesson);
}

POSTROAD_DECL bool sites::overlaps(const site& s, std::size_t server, time_point now) const noexcept {
    const auto& taught = s.servers[server].taught;
    return taught[detail::number_of(smtp::lesson::no_overlap)] <= now &&
           taught[detail::number_of(smtp::lesson::no_pipelining)] <= now;
}

POSTROAD_DECL transport::lessons sites::lessons(const site& s, std::size_t server, time_point now) const {
    const auto& v = s.servers[server];
    const auto& taught = v.taught;
    const auto knows = [&](smtp::lesson l) { return taught[detail::number_of(l)] > now; };
    return {.no_overlap = knows(smtp::lesson::no_overlap),
            .no_chunking = knows(smtp::lesson::no_chunking),
            .no_pipelining = knows(smtp::lesson::no_pipelining),
            .no_tls = knows(smtp::lesson::no_tls),
            .auth = v.auth_until > now ? v.auth : smtp::auth_habits{}};
}

POSTROAD_DECL void sites::ring(site& s, time_point at) {
    if (at >= s.rings_at) return;
    if (s.rings_at != never) rings_.erase({s.rings_at, s.id});
    s.rings_at = at;
    rings_.emplace(at, s.id);
}

POSTROAD_DECL site* sites::rung(time_point now) {
    if (rings_.empty() || rings_.begin()->first > now) return nullptr;
    auto& s = sites_.at(rings_.begin()->second);
    rings_.erase(rings_.begin());
    s.rings_at = never;
    if (s.in_trouble() && after(s.since, longest_stay) > now) ring(s, after(s.since, longest_stay));
    return &s;
}

POSTROAD_DECL void sites::rest(site& s, time_point now) {
    s.rested_at = now;
    if (!s.listed) list(s, after(now, forget_after));
}

POSTROAD_DECL void sites::list(site& s, time_point at) {
    s.listed = true;
    idle_.emplace(at, s.id);
}

// Whoever was used meanwhile is listed again when it comes to rest.
POSTROAD_DECL site* sites::next_idle(time_point now) {
    while (!idle_.empty() && idle_.begin()->first <= now) {
        auto& s = sites_.at(idle_.begin()->second);
        idle_.erase(idle_.begin());
        s.listed = false;
        const bool idle = s.held == 0 && s.connections.empty() && s.coming == 0 && s.domains == 0;
        if (idle && after(s.rested_at, forget_after) <= now) return &s;
        if (idle) list(s, after(s.rested_at, forget_after));
    }
    return nullptr;
}

POSTROAD_DECL time_point sites::lesson_ends(const site& s) const noexcept {
    auto at = s.in_trouble() ? rests_until(s) : s.group->rest.until;
    for (const auto& [tenant, rest] : s.group->tenants) at = std::max(at, rest.until);
    for (const auto& v : s.servers) at = std::max({at, v.auth_until, *std::ranges::max_element(v.taught)});
    return at;
}

POSTROAD_DECL void sites::erase(site& s) {
    if (s.rings_at != never) rings_.erase({s.rings_at, s.id});
    by_name_.erase(s.name);
    if (const auto p = providers_.find(s.provider_name); p != providers_.end() && --p->second.sites == 0)
        providers_.erase(p);
    if (s.stream && --s.stream->sites == 0) streams_.erase(s.stream_name);
    sites_.erase(s.id);
}

POSTROAD_DECL void sites::had_time(site& s) noexcept {
    if (std::exchange(s.group->put_off_since, never) != never) s.group->put_off = {};
}

POSTROAD_DECL void sites::put_off(site& s, smtp::closed&& why, time_point now) {
    s.group->put_off = std::move(why);
    s.group->put_off_since = std::min(s.group->put_off_since, now);
}

namespace detail {

// All sites of a provider share it.
struct left_alone {
    time_point until, since;
    const smtp::closed* why;
};

inline std::optional<left_alone> why_left_alone(const site& s, time_point rests_until,
                                                const std::function<time_point(pooling::place)>& until,
                                                time_point now) {
    const auto& p = *s.group;
    if (s.rests(now)) return left_alone{p.rest.until, p.rests_since, &p.rest.why};
    if (p.put_off_since == never) return std::nullopt;
    const auto at = until(s.place());
    if (at == time_point::min() || (s.in_trouble() && at <= rests_until)) return std::nullopt;
    return left_alone{at, p.put_off_since, &p.put_off};
}

}  // namespace detail

POSTROAD_DECL void sites::add_troubles(std::vector<queueing::trouble>& to, time_point now,
                                       const std::function<time_point(pooling::place)>& left_alone_until) const {
    // A provider that is left alone is one trouble, however many sites it has.
    std::unordered_map<const provider*, std::size_t> alone;
    for (const auto& [id, s] : sites_) {
        const auto why = detail::why_left_alone(s, rests_until(s), left_alone_until, now);
        if (!why && !s.in_trouble()) continue;
        const auto waiting = s.held + s.sent_back;
        if (why)
            if (const auto [known, is_new] = alone.try_emplace(s.group, to.size()); !is_new) {
                to[known->second].waiting += waiting;
                continue;
            }
        const auto at = why ? why->until : rests_until(s);
        const auto& trouble = why ? *why->why : s.trouble;
        to.push_back({.name = why && !s.provider_name.empty() ? s.provider_name : s.name,
                      .error = trouble.error,
                      .why = describe(trouble.error, trouble.details),
                      .since = now - (why ? why->since : s.since),
                      .next_try = at > now ? at - now : duration::zero(),
                      .waiting = waiting});
    }
}

}  // namespace postroad::engine
