#pragma once
// The lines that jobs wait in: weighted classes, in them tenants, in them sites. Knows no time: what may go now is
// asked of the caller. Every step is O(1), amortised: what may not go is taken out of the lines by whoever comes upon
// it, and put back when that has changed.

#include <postroad/core/config.hpp>
#include <postroad/core/id_map.hpp>
#include <postroad/core/ring.hpp>
#include <postroad/pooling/policy.hpp>
#include <postroad/queueing/job.hpp>
#include <postroad/scheduling/detail/job_lines.hpp>
#include <postroad/scheduling/policy.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace postroad::scheduling::detail {

struct place {
    host_id site = 0;
    host_id provider = 0;
};

// Numbers for names; a number is given again once its name is not in use.
class names {
public:
    index use(const std::string& name);
    void use(index i) noexcept { ++uses_[i]; }
    /// Whether that was its last use.
    bool leave(index i);
    /// `none` if it is not in use.
    index find(const std::string& name) const;
    const std::string& text(index i) const noexcept { return texts_[i]; }
    std::size_t size() const noexcept { return numbers_.size(); }

private:
    std::unordered_map<std::string, index> numbers_;
    std::vector<std::string> texts_;
    std::vector<std::size_t> uses_;
    std::vector<index> free_;
};

enum class may_go : unsigned char { yes, site_waits, provider_waits, tenant_waits, paused };

// Jobs of one class, tenant and tag to one site, in their order. There is none without jobs.
struct flow {
    index tenant = 0;
    index tag = 0;
    std::uint8_t grade = 0;  // its class
    place to = {};
    job_lines::line fresh = {};
    job_lines::line again = {};  // those that a server was asked about before
    unsigned fresh_in_row = 0;   // that went since one of the others
    link in_turns = {};          // in the line of its tenant
    link at_site = {};           // in a line of its site, unless it is paused
    link held = {};              // in the line of what it waits for:
    may_go why = may_go::yes;    // then not in turns, except the first of those that wait for their provider
    std::uint64_t pause = 0;     // that holds it

    std::size_t size() const noexcept { return fresh.size + again.size; }
    bool empty() const noexcept { return fresh.empty() && again.empty(); }
};

// Classes share as in weighted fair queueing: what goes moves its class on by 1 / weight, and the class goes next that
// would be least far with what it is to send.
struct site_lines {
    struct lane {
        std::uint8_t grade = 0;
        double pass = 0;
        chain<& flow::at_site> flows = {};
    };
    std::vector<lane> lanes = {};
    double pass = 0;                          // of the class that was served last
    chain<& flow::at_site> for_tenants = {};  // those that wait for their tenant
    chain<& flow::held> aside = {};           // those in lanes that wait for the site
    std::size_t flows = 0;                    // in all
    std::size_t live = 0;                     // jobs of those in lanes
};

// What waits for a provider, by class and tenant. The first of each is offered again when something changes there; so a
// change costs as much as there are tenants, whatever the number of sites.
using provider_lines = std::map<std::pair<std::uint8_t, index>, chain<&flow::held>>;

// Tenants share by deficit round robin: a turn adds to the credit, and every message takes from it.
struct tenant_lines {
    struct lane {
        long credit = 0;
        bool in_turns = false;
        chain<& flow::in_turns> flows = {};
    };
    std::vector<lane> lanes = {};  // one for each class
    std::size_t jobs = 0;          // in all
    chain<& flow::held> waiting = {};
};

class fair_lines {
public:
    /// Most messages that a tenant is in debt with, in turns: those that went beside its turns.
    static constexpr long max_debt = 4;
    /// In a flow a message that is tried again goes behind so many that are fresh: these wait for one at most, and a
    /// site that put off very much does not keep out what comes now.
    static constexpr unsigned fresh_before_again = 3;

    void admit(const job& j, place to, std::uint8_t grade);
    void withdraw(job_id id, host_id site);
    std::vector<job_id> list(const selection& what) const;
    bool is_paused(const job& j, host_id site) const {
        if (pauses_.empty()) return false;
        return pause_of({.tenant = tenants.find(j.tenant), .tag = tags.find(j.tag), .to = {.site = site}}).has_value();
    }
    /// In the flow that `j` stands in, or would.
    std::size_t jobs_before(const job& j, host_id site, std::uint8_t g) const;
    /// Of a tenant, wherever they go.
    std::size_t jobs_of(index tenant) const { return tenant < tenant_lines_.size() ? tenant_lines_[tenant].jobs : 0; }

    /// The flow that is next in turn. `may(flow)` is asked of each that is come upon and is not paused.
    template <class May>
    const flow* turn(const std::vector<unsigned>& weights, long quantum, May may);
    /// What turn() said has its turn: the next one of its tenant goes to another of its flows.
    void turned(host_id site);
    /// The job that goes next to a site, and its tenant.
    template <class May>
    std::optional<std::pair<job_id, index>> next(host_id site, const std::vector<unsigned>& weights, long quantum,
                                                 May may);
    /// Any job for a site that is not paused, whatever its turn.
    std::optional<job_id> shed(host_id site);
    /// At most how many jobs next() would give: 0 only if none.
    template <class May>
    std::size_t waiting(host_id site, May may) const;

    /// Puts flows back into line: those that wait for the site, the provider, the tenant.
    void resume_site(host_id site);
    std::optional<host_id> resume_provider(host_id provider);
    std::vector<host_id> resume_tenant(index tenant);
    void pause(const selection& what);
    std::vector<host_id> resume(const selection& what);

    /// Its name is not in use any more by the caller.
    void leave_tenant(index tenant);
    /// False if something waits there, or is to wait.
    bool forget_site(host_id site);

    std::size_t live(host_id site) const {
        const auto found = sites_.find(site);
        return found == sites_.end() ? 0 : found->second.live;
    }
    bool waits_for_site(host_id site) const {
        const auto found = sites_.find(site);
        return found != sites_.end() && !found->second.aside.empty();
    }
    bool waits_for_provider(host_id provider) const { return providers_.contains(provider); }
    std::size_t size() const noexcept { return flows_.size(); }
    /// What it holds for sites and providers, and places for flows.
    std::size_t held() const noexcept {
        return sites_.size() + providers_.size() + by_kind_.size() + flows_.capacity();
    }
    std::uint64_t looks() const noexcept { return flows_.looks() + jobs_.looks(); }

    names tenants = {};
    names tags = {};

private:
    struct kind {
        index tenant = 0;
        index tag = 0;
        host_id site = 0;
        std::uint8_t grade = 0;
        friend bool operator==(const kind&, const kind&) = default;
    };
    struct hash_of_kind {
        std::size_t operator()(const kind& k) const noexcept {
            const auto names = (std::uint64_t(k.tenant) << 32 | k.tag) * 0x9e3779b97f4a7c15u;
            return std::hash<std::uint64_t>()(names ^ names >> 29 ^ (std::uint64_t(k.site) << 8 | k.grade));
        }
    };
    struct grade {
        std::uint8_t number = 0;
        double pass = 0;
        ring<index> tenants = {};
    };

    template <class May>
    std::optional<index> tenant_turn(std::uint8_t g, long quantum, May may);
    template <class May>
    may_go ask(index i, May may) const {
        return pause_of(flows_[i]) ? may_go::paused : may(flows_[i]);
    }
    static double step(const std::vector<unsigned>& weights, std::uint8_t g) noexcept;
    static std::uint64_t pause_key(selection::kind by, index number) noexcept {
        return std::uint64_t(static_cast<unsigned char>(by)) << 32 | number;
    }
    std::optional<std::uint64_t> pause_of(const flow& f) const;
    index number_of(const selection& what) const;
    index flow_of(const job& j, place to, std::uint8_t g);
    void enter(index i);
    double behind() const noexcept;
    void enter_turns(index i);
    void enter_site(index i);
    void leave_turns(index i);
    void leave_site(index i);
    void hold(index i, may_go why);
    void release(index i);
    static bool is_again(const job& j) noexcept { return j.result.attempts > 0; }
    // The lines of a flow, by number.
    static index line_number(index flow, bool again) noexcept { return 2 * flow + (again ? 1 : 0); }
    job_lines::line& line(index number) {
        return number % 2 == 0 ? flows_[number / 2].fresh : flows_[number / 2].again;
    }
    static job_lines::line& next_line(flow& f) noexcept;
    job_id take(index i);
    void charge(const flow& f, const std::vector<unsigned>& weights, long quantum);
    void drop(index i);
    chain<&flow::at_site>& lane_of(const flow& f);
    tenant_lines& lines_of(index tenant) {
        if (tenant_lines_.size() <= tenant) tenant_lines_.resize(tenant + 1u);
        return tenant_lines_[tenant];
    }

    slots<flow> flows_;
    job_lines jobs_;
    std::unordered_map<kind, index, hash_of_kind> by_kind_;
    id_map<site_lines> sites_;
    id_map<provider_lines> providers_;
    id_map<chain<&flow::held>> pauses_;
    std::vector<tenant_lines> tenant_lines_;
    std::vector<grade> grades_;
    double pass_ = 0;       // of the class that was served last
    index offered_ = none;  // what turn() said
};

template <class May>
const flow* fair_lines::turn(const std::vector<unsigned>& weights, long quantum, May may) {
    for (;;) {
        const grade* best = nullptr;
        double least = 0;
        for (const auto& g : grades_) {
            if (g.tenants.empty()) continue;
            const auto end = g.pass + static_cast<double>(quantum) * step(weights, g.number);
            if (best && end >= least) continue;
            best = &g;
            least = end;
        }
        if (!best) return nullptr;
        // Without an answer the class has nobody left that may go.
        if (const auto i = tenant_turn(best->number, quantum, may)) return &flows_[offered_ = *i];
    }
}

template <class May>
std::optional<index> fair_lines::tenant_turn(std::uint8_t g, long quantum, May may) {
    auto& line = grades_[g].tenants;
    while (!line.empty()) {
        auto& lane = tenant_lines_[line.front()].lanes[g];
        while (!lane.flows.empty()) {
            const auto answer = ask(lane.flows.first, may);
            if (answer == may_go::yes) break;
            hold(lane.flows.first, answer);
        }
        if (lane.flows.empty()) {
            lane.in_turns = false;
            line.drop_front();
        } else if (lane.credit > 0) {
            return lane.flows.first;
        } else {
            lane.credit += quantum;
            line.push_back(line.pop_front());
        }
    }
    return std::nullopt;
}

template <class May>
std::optional<std::pair<job_id, index>> fair_lines::next(host_id site, const std::vector<unsigned>& weights,
                                                         long quantum, May may) {
    const auto found = sites_.find(site);
    if (found == sites_.end()) return std::nullopt;
    auto& lines = found->second;
    for (;;) {
        site_lines::lane* best = nullptr;
        double least = 0;
        for (auto& l : lines.lanes) {
            if (l.flows.empty()) continue;
            const auto end = l.pass + step(weights, l.grade);
            if (best && end >= least) continue;
            best = &l;
            least = end;
        }
        if (!best) return std::nullopt;
        const auto i = best->flows.first;
        const auto answer = ask(i, may);
        if (answer != may_go::yes) {
            hold(i, answer);
            continue;
        }
        lines.pass = best->pass;
        charge(flows_[i], weights, quantum);
        const auto tenant = flows_[i].tenant;
        return std::pair(take(i), tenant);
    }
}

template <class May>
std::size_t fair_lines::waiting(host_id site, May may) const {
    const auto found = sites_.find(site);
    if (found == sites_.end()) return 0;
    for (const auto& l : found->second.lanes)
        for (auto i = l.flows.first; i != none; i = l.flows.after(flows_, i))
            if (ask(i, may) == may_go::yes) return found->second.live;
    return 0;
}

}  // namespace postroad::scheduling::detail

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/scheduling/impl/fair_lines.ipp>
#endif
