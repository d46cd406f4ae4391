// The module postroad._plan: the library's simulator. A module of its own, so that who only sends does not load it.

#include "errors.hpp"
#include "options.hpp"

#include <postroad/pooling/keep_alive.hpp>
#include <postroad/scheduling/fair.hpp>
#include <postroad/testing/simulator.hpp>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace postroad::python {
namespace {

// share, round_trip, work, connections, messages_a_connection, accepts a minute, greylisting, outage from and until
using host_parts = std::tuple<double, double, double, std::size_t, std::size_t, std::size_t, double, double, double>;

testing::host_model host_of(const host_parts& p) {
    const auto& [share, round_trip, work, connections, messages, accepts, greylisting, from, until] = p;
    testing::host_model h{.round_trip = seconds(round_trip),
                          .work = seconds(work),
                          .connections = connections,
                          .messages_a_connection = messages,
                          .greylisting = seconds(greylisting)};
    if (accepts > 0) h.accepts = {.messages = static_cast<unsigned>(accepts), .per = std::chrono::minutes(1)};
    if (until > from) h.outages.push_back({seconds(from), seconds(until)});
    return h;
}

/// Messages by share, evenly over the time given.
testing::workload workload_of(const std::vector<host_parts>& hosts, std::size_t messages, duration over,
                              std::uint64_t seed) {
    testing::workload w{.seed = seed};
    struct source {
        std::vector<double> sums = {};
        testing::detail::dice d;
        std::size_t messages = 0;
        duration over = {};
        std::size_t given = 0;
    };
    const auto s =
        std::make_shared<source>(source{.d = testing::detail::dice(seed + 1), .messages = messages, .over = over});
    double sum = 0;
    for (const auto& h : hosts) {
        w.hosts.push_back(host_of(h));
        s->sums.push_back(sum += std::get<0>(h));
    }
    w.next = [s]() -> std::optional<testing::arrival> {
        if (s->given == s->messages) return std::nullopt;
        const auto at = seconds(std::chrono::duration<double>(s->over).count() * static_cast<double>(s->given++) /
                                static_cast<double>(s->messages));
        const auto drawn = static_cast<double>(s->d.below(1u << 30)) / (1u << 30) * s->sums.back();
        const auto host = std::ranges::upper_bound(s->sums, drawn) - s->sums.begin();
        return testing::arrival{.at = at,
                                .domain = static_cast<std::uint32_t>(std::min(host, std::ssize(s->sums) - 1)),
                                .traffic_class = 1};
    };
    return w;
}

testing::workload planned(const py::dict& d) {
    const auto number = [&](const char* name) { return d[name].cast<std::size_t>(); };
    const auto hosts = d["hosts"].cast<std::vector<host_parts>>();
    if (!hosts.empty())
        return workload_of(hosts, number("messages"), seconds(d["over"].cast<double>()), number("seed"));
    return testing::make_workload({.hosts = number("sites"),
                                   .domains = number("domains"),
                                   .bulk = number("messages"),
                                   .transactional = 0,
                                   .seed = number("seed")});
}

std::string simulate(const py::dict& d, const py::function& progress) {
    auto w = planned(d);
    w.progress = [&progress](std::size_t over) {
        const py::gil_scoped_acquire held;
        progress(over);
    };
    const auto connections = d["connections"].cast<std::size_t>();
    const auto each = d["per_destination"].cast<std::size_t>();
    scheduling::rate pace;
    take<double>(d, "pace", [&](double n) { pace = {.messages = 1, .per = seconds(1 / n)}; });
    const bool queued = d["queued"].cast<bool>();
    const gil_released released;
    const auto simulated = [&](auto queue) {
        queue.capacity = std::size_t(-1);
        return to_json(testing::simulate(
            std::move(w), pooling::keep_alive{.max_connections = connections, .per_destination = each, .first = each},
            scheduling::fair{.per_destination = each, .mailer_pace = pace},
            {.connections = connections, .per_destination = each}, std::move(queue)));
    };
    return queued ? simulated(testing::as_in_a_file()) : simulated(queueing::memory());
}

}  // namespace
}  // namespace postroad::python

PYBIND11_MODULE(_plan, m) {
    using namespace postroad::python;
    translate_errors();
    m.def("simulate", &simulate, py::arg("plan"), py::arg("progress"));
}
