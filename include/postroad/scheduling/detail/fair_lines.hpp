#pragma once
// The lines that jobs wait in: weighted classes, in them tenants, in them destinations. Knows no time: what may go now
// is asked of the caller. Every step is O(1), amortised: what may not go is taken out of the lines by whoever comes
// upon it, and put back when that has changed.

#include <postroad/core/config.hpp>
#include <postroad/core/ring.hpp>
#include <postroad/pooling/policy.hpp>
#include <postroad/queueing/job.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace postroad::scheduling::detail {

using pooling::host_id;
using index = std::uint32_t;

// Numbers for names; a number is given again once its name is not in use.
class names {
public:
    index use(const std::string& name);
    void use(index i) noexcept { ++uses_[i]; }
    /// Whether that was its last use.
    bool leave(index i);
    const std::string& text(index i) const noexcept { return texts_[i]; }
    std::size_t size() const noexcept { return numbers_.size(); }

private:
    std::unordered_map<std::string, index> numbers_;
    std::vector<std::string> texts_;
    std::vector<std::size_t> uses_;
    std::vector<index> free_;
};

enum class may_go : unsigned char { yes, host_waits, tenant_waits, paused };

// Jobs of one class, tenant and tag to one destination, in their order.
struct flow {
    index tenant = 0;
    index tag = 0;
    std::uint8_t grade = 0;  // its class
    host_id host = 0;
    ring<job_id> jobs = {};  // those that were withdrawn are marked
    std::size_t live = 0;    // those that are not
    std::size_t place = 0;   // in host_lines::flows
    bool in_turns = false;   // in the line of its tenant
    bool set_aside = false;  // in host_lines::set_aside instead
    bool in_host = false;    // in the line of its destination
    bool waits = false;      // in tenant_lines::waiting, instead of both
    bool paused = false;     // in none
};

// Classes share as in weighted fair queueing: what goes moves its class on by 1 / weight, and the class goes next that
// would be least far with what it is to send.
struct host_lines {
    struct lane {
        std::uint8_t grade = 0;
        double pass = 0;
        ring<index> flows = {};
    };
    std::vector<index> flows = {};
    std::vector<lane> lanes = {};
    double pass = 0;  // of the class that was served last
    std::vector<index> set_aside = {};
    std::size_t live = 0;  // jobs in flows that neither wait nor are paused
};

// Tenants share by deficit round robin: a turn adds to the credit, and every message takes from it.
struct tenant_lines {
    struct lane {
        long credit = 0;
        bool in_turns = false;
        ring<index> flows = {};
    };
    std::vector<lane> lanes = {};  // one for each class
    std::vector<index> waiting = {};
};

class fair_lines {
public:
    /// Most messages that a tenant is in debt with, in turns: those that went beside its turns.
    static constexpr long max_debt = 4;

    void admit(const job& j, host_id h, std::uint8_t grade);
    void withdraw(job_id id, host_id h);
    /// Jobs in all flows, or in those that `of(flow)` picks.
    template <class Of>
    std::vector<job_id> list(Of of) const;

    /// The flow that is next in turn. `may(flow)` is asked of each that is come upon.
    template <class May>
    std::optional<index> turn(const std::vector<unsigned>& weights, long quantum, May may);
    /// The next turn of its tenant goes to another of its flows.
    void turned(index i);
    /// The job that goes next to `h`, and its flow's tenant.
    template <class May>
    std::optional<std::pair<job_id, index>> next(host_id h, const std::vector<unsigned>& weights, long quantum,
                                                 May may);
    /// Any job for `h`, whatever its turn, of a flow that `may(flow)` picks.
    template <class May>
    std::optional<job_id> shed(host_id h, May may);

    /// Puts flows back into line: those set aside for `h`, those that waited for their tenant, those that were paused.
    void resume_host(host_id h);
    std::vector<host_id> resume_tenant(index tenant);
    std::vector<host_id> resume_paused();

    host_lines& host(host_id h) {
        if (h >= hosts_.size()) hosts_.resize(h + 1);
        return hosts_[h];
    }
    const host_lines* find(host_id h) const noexcept { return h < hosts_.size() ? &hosts_[h] : nullptr; }
    const flow& at(index i) const noexcept { return flows_[i]; }
    std::size_t size() const noexcept { return flows_.size() - free_.size(); }

    names tenants = {};
    names tags = {};

private:
    static constexpr job_id withdrawn = job_id(1) << 63;

    struct kind {
        index tenant = 0;
        index tag = 0;
        host_id host = 0;
        std::uint8_t grade = 0;
        friend bool operator==(const kind&, const kind&) = default;
    };
    struct hash_of_kind {
        std::size_t operator()(const kind& k) const noexcept {
            const auto names = (std::uint64_t(k.tenant) << 32 | k.tag) * 0x9e3779b97f4a7c15u;
            return std::hash<std::uint64_t>()(names ^ names >> 29 ^ (std::uint64_t(k.host) << 8 | k.grade));
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
    bool front_may_go(ring<index>& line, May may);
    static double step(const std::vector<unsigned>& weights, std::uint8_t g) noexcept;
    static job_id* find(ring<job_id>& line, job_id id) noexcept;
    index flow_of(const job& j, host_id h, std::uint8_t g);
    void enter(index i);
    double behind() const noexcept;
    void enter_turns(index i);
    void enter_host(index i);
    void leave(index i, may_go why);
    void count(flow& f, bool more) noexcept;
    job_id take(index i);
    void charge(const flow& f, const std::vector<unsigned>& weights, long quantum);
    void settle(index i);

    std::vector<flow> flows_;
    std::vector<index> free_;
    std::unordered_map<kind, index, hash_of_kind> by_kind_;
    std::vector<host_lines> hosts_;
    std::vector<tenant_lines> tenant_lines_;
    std::vector<grade> grades_;
    double pass_ = 0;  // of the class that was served last
};

template <class Of>
std::vector<job_id> fair_lines::list(Of of) const {
    std::vector<job_id> all;
    for (const auto& f : flows_)
        if (f.live > 0 && of(f))
            for (std::size_t i = 0; i < f.jobs.size(); ++i)
                if (!(f.jobs[i] & withdrawn)) all.push_back(f.jobs[i]);
    return all;
}

template <class May>
std::optional<index> fair_lines::turn(const std::vector<unsigned>& weights, long quantum, May may) {
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
        if (!best) return std::nullopt;
        // Without an answer the class has nobody left that may go.
        if (const auto i = tenant_turn(best->number, quantum, may)) return i;
    }
}

template <class May>
std::optional<index> fair_lines::tenant_turn(std::uint8_t g, long quantum, May may) {
    auto& line = grades_[g].tenants;
    while (!line.empty()) {
        auto& lane = tenant_lines_[line.front()].lanes[g];
        if (!front_may_go(lane.flows, may)) {
            lane.in_turns = false;
            line.pop_front();
        } else if (lane.credit > 0) {
            return lane.flows.front();
        } else {
            lane.credit += quantum;
            line.push_back(line.pop_front());
        }
    }
    return std::nullopt;
}

template <class May>
bool fair_lines::front_may_go(ring<index>& line, May may) {
    while (!line.empty()) {
        const auto i = line.front();
        const auto answer = flows_[i].live == 0 ? may_go::yes : may(flows_[i]);
        if (flows_[i].live > 0 && answer == may_go::yes) return true;
        line.pop_front();
        flows_[i].in_turns = false;
        leave(i, answer);
    }
    return false;
}

template <class May>
std::optional<std::pair<job_id, index>> fair_lines::next(host_id h, const std::vector<unsigned>& weights, long quantum,
                                                         May may) {
    auto& lines = host(h);
    for (;;) {
        host_lines::lane* best = nullptr;
        double least = 0;
        for (auto& l : lines.lanes) {
            if (l.flows.empty()) continue;
            const auto end = l.pass + step(weights, l.grade);
            if (best && end >= least) continue;
            best = &l;
            least = end;
        }
        if (!best) return std::nullopt;
        const auto i = best->flows.pop_front();
        flows_[i].in_host = false;
        const auto answer = flows_[i].live == 0 ? may_go::yes : may(flows_[i]);
        if (flows_[i].live == 0 || answer != may_go::yes) {
            leave(i, answer);
            continue;
        }
        lines.pass = best->pass;
        charge(flows_[i], weights, quantum);
        const auto tenant = flows_[i].tenant;
        return std::pair(take(i), tenant);
    }
}

template <class May>
std::optional<job_id> fair_lines::shed(host_id h, May may) {
    for (const auto i : host(h).flows)
        if (flows_[i].live > 0 && may(flows_[i])) return take(i);
    return std::nullopt;
}

}  // namespace postroad::scheduling::detail

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/scheduling/impl/fair_lines.ipp>
#endif
