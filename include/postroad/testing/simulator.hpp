#pragma once
// Sends mail that does not exist to hosts that do not exist, on a clock of its own: the dispatcher, pool, queue and
// scheduler as shipped. See docs/simulator.md.

#include <postroad/core/config.hpp>
#include <postroad/queueing/memory.hpp>
#include <postroad/scheduling/pacer.hpp>
#include <postroad/testing/detail/simulation.hpp>
#include <postroad/testing/simulated_hosts.hpp>

#include <string>
#include <utility>

namespace postroad::testing {

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
