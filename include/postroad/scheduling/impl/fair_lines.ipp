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

POSTROAD_DECL index names::find(const std::string& name) const {
    const auto found = numbers_.find(name);
    return found == numbers_.end() ? none : found->second;
}

POSTROAD_DECL void fair_lines::admit(const job& j, place to, std::uint8_t g) {
    const auto i = flow_of(j, to, g);
    auto& f = flows_[i];
    const auto number = line_number(i, is_again(j));
    if (jobs_.push_back(line(number), number, j.id)) {
        ++lines_of(f.tenant).jobs;
        if (f.at_site.in_line && f.why != may_go::tenant_waits) ++sites_.at(f.to.site).live;
    }
    if (f.empty()) return drop(i);  // the job waits elsewhere already
    enter(i);
}

POSTROAD_DECL void fair_lines::withdraw(job_id id, host_id site) {
    const auto number = jobs_.line_of(id);
    if (!number || flows_[*number / 2].to.site != site) return;
    auto& f = flows_[*number / 2];
    jobs_.erase(line(*number), id);
    --tenant_lines_[f.tenant].jobs;
    if (f.at_site.in_line && f.why != may_go::tenant_waits) --sites_.at(f.to.site).live;
    if (f.empty()) drop(*number / 2);
}

POSTROAD_DECL std::vector<job_id> fair_lines::list(const selection& what) const {
    std::vector<job_id> all;
    const auto number = number_of(what);
    if (number == none) return all;
    for (const auto& [k, i] : by_kind_) {
        const auto own = what.by == selection::kind::destination ? k.site
                         : what.by == selection::kind::tenant    ? k.tenant
                                                                 : k.tag;
        if (own != number) continue;
        for (const auto* const jobs : {&flows_[i].fresh, &flows_[i].again})
            jobs_.for_each(*jobs, [&](job_id id) { all.push_back(id); });
    }
    return all;
}

POSTROAD_DECL void fair_lines::turned(host_id site) {
    const auto i = std::exchange(offered_, none);
    if (i == none || flows_[i].to.site != site) return;
    leave_turns(i);
    if (flows_[i].why == may_go::provider_waits) release(i);
    enter_turns(i);
}

POSTROAD_DECL std::optional<job_id> fair_lines::shed(host_id site) {
    const auto found = sites_.find(site);
    if (found == sites_.end()) return std::nullopt;
    const auto from = [this](chain<&flow::at_site>& line) -> std::optional<job_id> {
        while (!line.empty()) {
            if (!pause_of(flows_[line.first])) return take(line.first);
            hold(line.first, may_go::paused);
        }
        return std::nullopt;
    };
    for (auto& l : found->second.lanes)
        if (const auto id = from(l.flows)) return id;
    return from(found->second.for_tenants);
}

POSTROAD_DECL void fair_lines::resume_site(host_id site) {
    const auto found = sites_.find(site);
    if (found == sites_.end()) return;
    while (!found->second.aside.empty()) {
        const auto i = found->second.aside.first;
        release(i);
        enter(i);
    }
}

POSTROAD_DECL std::optional<host_id> fair_lines::resume_provider(host_id provider) {
    const auto found = providers_.find(provider);
    if (found == providers_.end()) return std::nullopt;
    for (const auto& [who, line] : found->second)
        if (!flows_[line.first].in_turns.in_line) enter_turns(line.first);
    return flows_[found->second.begin()->second.first].to.site;
}

POSTROAD_DECL std::vector<host_id> fair_lines::resume_tenant(index tenant) {
    std::vector<host_id> changed;
    if (tenant >= tenant_lines_.size()) return changed;
    auto& waiting = tenant_lines_[tenant].waiting;
    while (!waiting.empty()) {
        const auto i = waiting.first;
        changed.push_back(flows_[i].to.site);
        release(i);
        enter(i);
    }
    return changed;
}

POSTROAD_DECL void fair_lines::pause(const selection& what) {
    if (const auto known = number_of(what); known != none && pauses_.contains(pause_key(what.by, known))) return;
    // Its number stays with the name until resume().
    const auto number = what.by == selection::kind::destination ? what.host
                        : what.by == selection::kind::tenant    ? tenants.use(what.name)
                                                                : tags.use(what.name);
    (void)pauses_[pause_key(what.by, number)];
}

POSTROAD_DECL std::vector<host_id> fair_lines::resume(const selection& what) {
    std::vector<host_id> changed;
    const auto number = number_of(what);
    if (number == none) return changed;
    const auto found = pauses_.find(pause_key(what.by, number));
    if (found == pauses_.end()) return changed;
    std::vector<index> flows;
    while (!found->second.empty()) {
        flows.push_back(found->second.first);
        release(flows.back());
    }
    pauses_.erase(found);
    for (const auto i : flows) {
        changed.push_back(flows_[i].to.site);
        enter(i);
    }
    if (what.by == selection::kind::tenant) leave_tenant(number);
    if (what.by == selection::kind::tag) (void)tags.leave(number);
    return changed;
}

POSTROAD_DECL void fair_lines::leave_tenant(index tenant) {
    if (tenants.leave(tenant) && tenant < tenant_lines_.size())
        for (auto& lane : tenant_lines_[tenant].lanes) lane.credit = 0;
}

POSTROAD_DECL bool fair_lines::forget_site(host_id site) {
    if (pauses_.contains(pause_key(selection::kind::destination, site))) return false;
    const auto found = sites_.find(site);
    if (found == sites_.end()) return true;
    if (found->second.flows > 0) return false;
    sites_.erase(found);
    return true;
}

POSTROAD_DECL std::optional<std::uint64_t> fair_lines::pause_of(const flow& f) const {
    if (pauses_.empty()) return std::nullopt;
    for (const auto key : {pause_key(selection::kind::destination, f.to.site),
                           pause_key(selection::kind::tenant, f.tenant), pause_key(selection::kind::tag, f.tag)})
        if (pauses_.contains(key)) return key;
    return std::nullopt;
}

// `none` if nothing can be known of it.
POSTROAD_DECL index fair_lines::number_of(const selection& what) const {
    switch (what.by) {
        case selection::kind::destination: return what.host;
        case selection::kind::tenant: return tenants.find(what.name);
        case selection::kind::tag: return tags.find(what.name);
    }
    return none;
}

POSTROAD_DECL index fair_lines::flow_of(const job& j, place to, std::uint8_t g) {
    const auto tenant = tenants.use(j.tenant);
    const auto tag = tags.use(j.tag);
    const auto [known, is_new] = by_kind_.try_emplace({tenant, tag, to.site, g}, index(0));
    if (!is_new) {
        (void)tenants.leave(tenant);
        (void)tags.leave(tag);
        return known->second;
    }
    known->second = flows_.add({.tenant = tenant, .tag = tag, .grade = g, .to = to});
    ++sites_[to.site].flows;
    return known->second;
}

POSTROAD_DECL void fair_lines::enter(index i) {
    const auto& f = flows_[i];
    if (f.why == may_go::yes && !f.in_turns.in_line) enter_turns(i);
    if (f.why < may_go::tenant_waits && !f.at_site.in_line) enter_site(i);
}

POSTROAD_DECL void fair_lines::enter_turns(index i) {
    const auto tenant = flows_[i].tenant;
    const auto number = flows_[i].grade;
    while (grades_.size() <= number) grades_.push_back({.number = static_cast<std::uint8_t>(grades_.size())});
    auto& lanes = lines_of(tenant).lanes;
    if (lanes.size() <= number) lanes.resize(number + 1u);
    lanes[number].flows.push_back(flows_, i);
    if (std::exchange(lanes[number].in_turns, true)) return;
    auto& g = grades_[number];
    if (g.tenants.empty()) g.pass = std::max(g.pass, behind());
    g.tenants.push_back(tenant);
}

POSTROAD_DECL void fair_lines::leave_turns(index i) {
    const auto& f = flows_[i];
    if (f.in_turns.in_line) tenant_lines_[f.tenant].lanes[f.grade].flows.erase(flows_, i);
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

POSTROAD_DECL void fair_lines::enter_site(index i) {
    const auto& f = flows_[i];
    auto& s = sites_.at(f.to.site);
    auto lane = std::ranges::find(s.lanes, f.grade, &site_lines::lane::grade);
    if (lane == s.lanes.end()) {
        const auto behind = std::ranges::find_if(s.lanes, [&f](const auto& l) { return l.grade > f.grade; });
        lane = s.lanes.insert(behind, {.grade = f.grade});
    }
    if (lane->flows.empty()) lane->pass = std::max(lane->pass, s.pass);
    lane->flows.push_back(flows_, i);
    s.live += f.size();
}

POSTROAD_DECL chain<&flow::at_site>& fair_lines::lane_of(const flow& f) {
    return std::ranges::find(sites_.at(f.to.site).lanes, f.grade, &site_lines::lane::grade)->flows;
}

POSTROAD_DECL void fair_lines::leave_site(index i) {
    const auto& f = flows_[i];
    if (!f.at_site.in_line) return;
    auto& s = sites_.at(f.to.site);
    if (f.why == may_go::tenant_waits) return s.for_tenants.erase(flows_, i);
    s.live -= f.size();
    lane_of(f).erase(flows_, i);
}

// Was come upon and may not go. What waits for its site or provider only stays in line there.
POSTROAD_DECL void fair_lines::hold(index i, may_go why) {
    auto& f = flows_[i];
    leave_turns(i);
    // Offered, and refused again: it stays the first.
    if (why == may_go::provider_waits && f.why == why) return;
    if (why >= may_go::tenant_waits) leave_site(i);
    release(i);
    f.why = why;
    switch (why) {
        case may_go::yes: break;
        case may_go::site_waits: return sites_.at(f.to.site).aside.push_back(flows_, i);
        case may_go::provider_waits: return providers_[f.to.provider][{f.grade, f.tenant}].push_back(flows_, i);
        case may_go::tenant_waits:
            sites_.at(f.to.site).for_tenants.push_back(flows_, i);
            return lines_of(f.tenant).waiting.push_back(flows_, i);
        case may_go::paused: f.pause = pause_of(f).value_or(0); return pauses_.at(f.pause).push_back(flows_, i);
    }
}

// It waits for nothing any more.
POSTROAD_DECL void fair_lines::release(index i) {
    auto& f = flows_[i];
    if (!f.held.in_line) return;
    // What waits for a tenant is in another line of its site.
    if (f.why == may_go::tenant_waits) leave_site(i);
    switch (std::exchange(f.why, may_go::yes)) {
        case may_go::yes: break;
        case may_go::site_waits: return sites_.at(f.to.site).aside.erase(flows_, i);
        case may_go::tenant_waits: return tenant_lines_[f.tenant].waiting.erase(flows_, i);
        case may_go::paused: return pauses_.at(f.pause).erase(flows_, i);
        case may_go::provider_waits: {
            const auto lines = providers_.find(f.to.provider);
            const auto line = lines->second.find({f.grade, f.tenant});
            const bool was_first = line->second.first == i;
            line->second.erase(flows_, i);
            if (line->second.empty()) {
                lines->second.erase(line);
                if (lines->second.empty()) providers_.erase(lines);
            } else if (was_first && !flows_[line->second.first].in_turns.in_line) {
                enter_turns(line->second.first);
            }
        }
    }
}

POSTROAD_DECL std::size_t fair_lines::jobs_before(const job& j, host_id site, std::uint8_t g) const {
    const auto tenant = tenants.find(j.tenant);
    const auto tag = tags.find(j.tag);
    if (tenant == none || tag == none) return 0;
    const auto found = by_kind_.find({tenant, tag, site, g});
    if (found == by_kind_.end()) return 0;
    const auto& f = flows_[found->second];
    if (is_again(j)) return f.again.size + std::min(f.fresh.size, fresh_before_again * (f.again.size + 1));
    return f.fresh.size + std::min(f.again.size, f.fresh.size / fresh_before_again);
}

POSTROAD_DECL job_lines::line& fair_lines::next_line(flow& f) noexcept {
    const bool again = f.fresh.empty() || (!f.again.empty() && f.fresh_in_row >= fresh_before_again);
    f.fresh_in_row = again ? 0 : std::min(f.fresh_in_row + 1, fresh_before_again);
    return again ? f.again : f.fresh;
}

POSTROAD_DECL job_id fair_lines::take(index i) {
    auto& f = flows_[i];
    const auto id = jobs_.pop_front(next_line(f));
    --tenant_lines_[f.tenant].jobs;
    if (f.why != may_go::tenant_waits) {
        --sites_.at(f.to.site).live;
        auto& lane = lane_of(f);
        lane.erase(flows_, i);
        lane.push_back(flows_, i);
    }
    if (f.empty()) drop(i);
    return id;
}

POSTROAD_DECL double fair_lines::step(const std::vector<unsigned>& weights, std::uint8_t g) noexcept {
    if (weights.empty()) return 1;
    return 1.0 / std::max(weights[std::min<std::size_t>(g, weights.size() - 1)], 1u);
}

POSTROAD_DECL void fair_lines::charge(const flow& f, const std::vector<unsigned>& weights, long quantum) {
    const auto by = step(weights, f.grade);
    for (auto& l : sites_.at(f.to.site).lanes)
        if (l.grade == f.grade) l.pass += by;
    pass_ = std::max(pass_, grades_[f.grade].pass);
    grades_[f.grade].pass += by;
    auto& credit = tenant_lines_[f.tenant].lanes[f.grade].credit;
    credit = std::max(credit - 1, -max_debt * quantum);
}

POSTROAD_DECL void fair_lines::drop(index i) {
    leave_turns(i);
    leave_site(i);
    release(i);
    const auto& f = flows_[i];
    --sites_.at(f.to.site).flows;
    by_kind_.erase({f.tenant, f.tag, f.to.site, f.grade});
    (void)tags.leave(f.tag);
    leave_tenant(f.tenant);
    if (offered_ == i) offered_ = none;
    flows_.erase(i);
}

}  // namespace postroad::scheduling::detail
