#pragma once

#include <postroad/scheduling/detail/fair_lines.hpp>

#include <algorithm>
#include <functional>

namespace postroad::scheduling::detail {

POSTROAD_DECL index names::use(const std::string& name) {
    const auto [at, is_new] = numbers_.try_emplace(name, index(0));
    if (is_new) {
        if (free_.empty()) {
            free_.push_back(static_cast<index>(texts_.size()));
            texts_.emplace_back();
            uses_.push_back(0);
        }
        at->second = free_.back();
        free_.pop_back();
        texts_[at->second] = name;
    }
    ++uses_[at->second];
    return at->second;
}

POSTROAD_DECL bool names::leave(index i) {
    if (--uses_[i] > 0) return false;
    numbers_.erase(texts_[i]);
    texts_[i].clear();
    free_.push_back(i);
    return true;
}

POSTROAD_DECL void fair_lines::admit(const job& j, host_id h, std::uint8_t g) {
    const auto i = flow_of(j, h, g);
    auto& f = flows_[i];
    f.jobs.push_back(j.id);
    count(f, true);
    enter(i);
}

POSTROAD_DECL void fair_lines::withdraw(job_id id, host_id h) {
    if (h >= hosts_.size()) return;
    for (const auto i : hosts_[h].flows) {
        auto& f = flows_[i];
        auto* const found = find(f.jobs, id);
        if (!found) continue;
        *found |= withdrawn;
        count(f, false);
        return settle(i);
    }
}

// Jobs come nearly in the order of their ids: most are found by halving.
POSTROAD_DECL job_id* fair_lines::find(ring<job_id>& line, job_id id) noexcept {
    std::size_t first = 0;
    for (auto n = line.size(); n > 0;) {
        const auto half = n / 2;
        const bool before = (line[first + half] & ~withdrawn) < id;
        if (before) first += half + 1;
        n = before ? n - half - 1 : half;
    }
    if (first < line.size() && line[first] == id) return &line[first];
    for (std::size_t i = 0; i < line.size(); ++i)
        if (line[i] == id) return &line[i];
    return nullptr;
}

POSTROAD_DECL void fair_lines::turned(index i) {
    auto& line = tenant_lines_[flows_[i].tenant].lanes[flows_[i].grade].flows;
    if (!line.empty() && line.front() == i) line.push_back(line.pop_front());
}

POSTROAD_DECL void fair_lines::resume_host(host_id h) {
    for (const auto i : std::exchange(host(h).set_aside, {})) {
        flows_[i].set_aside = false;
        if (flows_[i].live > 0) enter(i);
        settle(i);
    }
}

POSTROAD_DECL std::vector<host_id> fair_lines::resume_tenant(index tenant) {
    std::vector<host_id> changed;
    if (tenant >= tenant_lines_.size()) return changed;
    for (const auto i : std::exchange(tenant_lines_[tenant].waiting, {})) {
        auto& f = flows_[i];
        f.waits = false;
        hosts_[f.host].live += f.live;
        changed.push_back(f.host);
        if (f.live > 0) enter(i);
        settle(i);
    }
    return changed;
}

POSTROAD_DECL std::vector<host_id> fair_lines::resume_paused() {
    std::vector<host_id> changed;
    for (index i = 0; i < flows_.size(); ++i) {
        auto& f = flows_[i];
        if (!std::exchange(f.paused, false)) continue;
        hosts_[f.host].live += f.live;
        changed.push_back(f.host);
        enter(i);
    }
    return changed;
}

POSTROAD_DECL index fair_lines::flow_of(const job& j, host_id h, std::uint8_t g) {
    const auto tenant = tenants.use(j.tenant);
    const auto tag = tags.use(j.tag);
    const auto [known, is_new] = by_kind_.try_emplace({tenant, tag, h, g}, index(0));
    if (!is_new) {
        (void)tenants.leave(tenant);
        (void)tags.leave(tag);
        return known->second;
    }
    if (free_.empty()) {
        free_.push_back(static_cast<index>(flows_.size()));
        flows_.emplace_back();
    }
    const auto i = free_.back();
    free_.pop_back();
    known->second = i;
    auto& of_host = host(h).flows;
    flows_[i] = {.tenant = tenant, .tag = tag, .grade = g, .host = h, .place = of_host.size()};
    of_host.push_back(i);
    return i;
}

POSTROAD_DECL void fair_lines::enter(index i) {
    if (flows_[i].waits || flows_[i].paused) return;
    if (!flows_[i].in_turns && !flows_[i].set_aside) enter_turns(i);
    if (!flows_[i].in_host) enter_host(i);
}

POSTROAD_DECL void fair_lines::enter_turns(index i) {
    auto& f = flows_[i];
    while (grades_.size() <= f.grade) grades_.push_back({.number = static_cast<std::uint8_t>(grades_.size())});
    if (tenant_lines_.size() <= f.tenant) tenant_lines_.resize(f.tenant + 1u);
    auto& lanes = tenant_lines_[f.tenant].lanes;
    if (lanes.size() <= f.grade) lanes.resize(f.grade + 1u);
    lanes[f.grade].flows.push_back(i);
    f.in_turns = true;
    if (std::exchange(lanes[f.grade].in_turns, true)) return;
    auto& g = grades_[f.grade];
    if (g.tenants.empty()) g.pass = std::max(g.pass, behind());
    g.tenants.push_back(f.tenant);
}

// Where a class that was away comes in: level with the one that is behind.
POSTROAD_DECL double fair_lines::behind() const noexcept {
    double least = pass_;
    bool any = false;
    for (const auto& g : grades_) {
        if (g.tenants.empty()) continue;
        least = any ? std::min(least, g.pass) : g.pass;
        any = true;
    }
    return least;
}

POSTROAD_DECL void fair_lines::enter_host(index i) {
    auto& f = flows_[i];
    auto& h = host(f.host);
    auto lane = std::ranges::find(h.lanes, f.grade, &host_lines::lane::grade);
    if (lane == h.lanes.end()) {
        const auto behind = std::ranges::find_if(h.lanes, [&f](const auto& l) { return l.grade > f.grade; });
        lane = h.lanes.insert(behind, {.grade = f.grade});
    }
    if (lane->flows.empty()) lane->pass = std::max(lane->pass, h.pass);
    lane->flows.push_back(i);
    f.in_host = true;
}

// Was taken out of a line. What waits for its destination only stays in the other line.
POSTROAD_DECL void fair_lines::leave(index i, may_go why) {
    auto& f = flows_[i];
    if (f.live == 0 || why == may_go::yes) return settle(i);
    if (why == may_go::host_waits) {
        f.set_aside = true;
        return host(f.host).set_aside.push_back(i);
    }
    if (f.waits || f.paused) return;
    hosts_[f.host].live -= f.live;
    if (why == may_go::paused) {
        f.paused = true;
        return;
    }
    f.waits = true;
    if (tenant_lines_.size() <= f.tenant) tenant_lines_.resize(f.tenant + 1u);
    tenant_lines_[f.tenant].waiting.push_back(i);
}

POSTROAD_DECL void fair_lines::count(flow& f, bool more) noexcept {
    const auto by = more ? std::size_t(1) : std::size_t(-1);
    f.live += by;
    if (!f.waits && !f.paused) hosts_[f.host].live += by;
}

POSTROAD_DECL job_id fair_lines::take(index i) {
    auto& f = flows_[i];
    job_id id = 0;
    do id = f.jobs.pop_front();
    while (id & withdrawn);
    count(f, false);
    if (f.live == 0)
        settle(i);
    else if (!f.in_host && !f.waits && !f.paused)
        enter_host(i);
    return id;
}

POSTROAD_DECL double fair_lines::step(const std::vector<unsigned>& weights, std::uint8_t g) noexcept {
    if (weights.empty()) return 1;
    return 1.0 / std::max(weights[std::min<std::size_t>(g, weights.size() - 1)], 1u);
}

POSTROAD_DECL void fair_lines::charge(const flow& f, const std::vector<unsigned>& weights, long quantum) {
    const auto by = step(weights, f.grade);
    for (auto& l : hosts_[f.host].lanes)
        if (l.grade == f.grade) l.pass += by;
    pass_ = std::max(pass_, grades_[f.grade].pass);
    grades_[f.grade].pass += by;
    auto& credit = tenant_lines_[f.tenant].lanes[f.grade].credit;
    credit = std::max(credit - 1, -max_debt * quantum);
}

// A flow without jobs goes once no line has it.
POSTROAD_DECL void fair_lines::settle(index i) {
    auto& f = flows_[i];
    if (f.live > 0) return;
    f.jobs.clear();
    f.paused = false;
    if (f.in_turns || f.set_aside || f.in_host || f.waits) return;
    auto& of_host = hosts_[f.host].flows;
    of_host[f.place] = of_host.back();
    flows_[of_host[f.place]].place = f.place;
    of_host.pop_back();
    by_kind_.erase({f.tenant, f.tag, f.host, f.grade});
    (void)tags.leave(f.tag);
    if (tenants.leave(f.tenant) && f.tenant < tenant_lines_.size())
        for (auto& lane : tenant_lines_[f.tenant].lanes) lane.credit = 0;
    f = {};
    free_.push_back(i);
}

}  // namespace postroad::scheduling::detail
