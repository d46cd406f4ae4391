#pragma once
// Sends mail that does not exist to hosts that do not exist, on a clock of its own: the dispatcher, pool, queue and
// scheduler as shipped. See docs/simulator.md.

#include <postroad/core/config.hpp>
#include <postroad/queueing/memory.hpp>
#include <postroad/scheduling/pacer.hpp>
#include <postroad/testing/detail/simulation.hpp>
#include <postroad/testing/simulated_hosts.hpp>

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace postroad::testing {

/// In memory, for simulate(): what it says to the engine is what a queue in a file says. So the scheduler sees as many
/// messages as of one, and what cannot be had goes back and waits as it would there. Storing takes no time.
struct as_in_a_file : queueing::memory {
    static constexpr bool is_durable = true;

    void start(std::function<void()> wake) { wake_ = std::move(wake); }
    void mark(job_id id) {
        marks_.push_back(id);
        wake_();
    }
    void marked(std::vector<job_id>& out) {
        out.insert(out.end(), marks_.begin(), marks_.end());
        marks_.clear();
    }
    void release(job&& j) { put_back(std::move(j)); }
    bool drained(time_point now) const { return next_due() > now; }
    void stop() {}

    std::function<void()> wake_ = {};  ///< internal
    std::vector<job_id> marks_ = {};   ///< internal: to be told
};

static_assert(queueing::durable<as_in_a_file>);

/// Runs `w` to its end and says how it went. `rules` are checked at every step; what was broken is in the report. Equal
/// arguments make equal reports.
template <class Pooling, class Scheduling, class Queueing = queueing::memory>
simulation_report simulate(workload w, Pooling pool, Scheduling scheduler, simulation_rules rules = {},
                           Queueing queue = {.capacity = std::size_t(-1)}) {
    detail::simulation<Pooling, Scheduling, Queueing> s(std::move(w), std::move(pool), std::move(scheduler),
                                                        std::move(queue), rules);
    return s.run();
}

}  // namespace postroad::testing
