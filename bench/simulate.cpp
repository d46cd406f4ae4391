// Sends the published campaign (docs/simulator.md) with each scheduler and prints how it went: a table, then JSON.
//
//   bench_simulate [--messages N] [--hosts N] [--domains N] [--seed N] [--only NAME] [--json]

#include <postroad/pooling/keep_alive.hpp>
#include <postroad/scheduling/fair.hpp>
#include <postroad/scheduling/fifo.hpp>
#include <postroad/testing/simulator.hpp>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace postroad;
using namespace std::chrono_literals;
using scheduling::host_id;

/// The oldest message goes next, to wherever it goes: what a program does that has one queue and a set of connections.
struct strict_fifo {
    using axis = postroad::axis::scheduling;

    scheduling::retry_rules retry = {};

    void admit(const job& j, host_id h, time_point) { line.push_back({j.id, h}); }
    void withdraw(job_id id, host_id) {
        for (std::size_t i = 0; i < line.size(); ++i)
            if (line[i].first == id) line[i].first = 0;
    }
    verdict judge(const job& j, time_point now) const { return retry.judge(j, now); }
    time_point wakeup() const { return never; }

    std::optional<host_id> turn(time_point) {
        // What no connection can be had for makes all others wait, unless it is put at the end.
        for (auto left = line.size(); left > 0; --left) {
            const auto [id, h] = line.front();
            if (id != 0 && !is_held(h)) return h;
            auto first = line.pop_front();
            if (id != 0) line.push_back(std::move(first));
        }
        return std::nullopt;
    }
    void begin(host_id h, time_point) {
        if (given.size() <= h) given.resize(h + 1);
        given[h].push_back(line.pop_front().first);
    }
    void end(host_id h, time_point) {
        // Its connection could not be had.
        while (h < given.size() && !given[h].empty()) line.push_back({given[h].pop_front(), h});
    }
    void hold(host_id h) {
        if (held.size() <= h) held.resize(h + 1);
        held[h] = true;
    }
    void unhold(host_id h) {
        if (h < held.size()) held[h] = false;
    }
    std::optional<job_id> next(host_id h, time_point) {
        if (h >= given.size() || given[h].empty()) return std::nullopt;
        return given[h].pop_front();
    }
    std::size_t waiting(host_id h, time_point) const { return h < given.size() ? given[h].size() : 0; }
    bool is_held(host_id h) const { return h < held.size() && held[h]; }

    ring<std::pair<job_id, host_id>> line = {};
    std::vector<ring<job_id>> given = {};
    std::vector<bool> held = {};
};

}  // namespace

int main(int argc, char** argv) {
    testing::campaign c;
    std::string only;
    bool json = false;
    for (int i = 1; i < argc; ++i) {
        const std::string_view name = argv[i];
        const char* value = i + 1 < argc ? argv[i + 1] : "";
        if (name == "--json") json = true;
        if (name == "--messages") c.bulk = std::strtoull(value, nullptr, 10) * 99 / 100, c.transactional = c.bulk / 99;
        if (name == "--hosts") c.hosts = std::strtoull(value, nullptr, 10);
        if (name == "--domains") c.domains = std::strtoull(value, nullptr, 10);
        if (name == "--seed") c.seed = std::strtoull(value, nullptr, 10);
        if (name == "--only") only = value;
    }
    const pooling::keep_alive pool{.max_connections = 400, .per_destination = 50, .first = 50};
    const testing::simulation_rules rules{.connections = 400, .per_destination = 50};
    std::vector<std::pair<std::string, testing::simulation_report>> reports;
    const auto add = [&](const std::string& name, auto scheduler) {
        if (!only.empty() && only != name) return;
        const auto begin = std::clock();
        reports.emplace_back(name, testing::simulate(testing::make_workload(c), pool, std::move(scheduler), rules));
        const auto took = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
        std::fprintf(stderr, "%s: simulated in %.1f s of CPU\n", name.c_str(), took);
    };
    add("one line", strict_fifo{});
    add("fifo", scheduling::fifo{.retry = {.attempts = 100, .first_wait = std::chrono::minutes(5)}});
    add("round robin",
        scheduling::fair{.weights = {1}, .burst = 1, .per_destination = 50, .concurrency = {.first = 50}});
    add("fair, burst 16", scheduling::fair{.burst = 16, .per_destination = 50});
    add("fair, burst 64", scheduling::fair{.burst = 64, .per_destination = 50});
    std::fputs(testing::to_table(reports).c_str(), stdout);
    if (json)
        for (const auto& [name, r] : reports) std::printf("{\"%s\": %s}\n", name.c_str(), testing::to_json(r).c_str());
    for (const auto& entry : reports)
        if (!entry.second.broken.empty()) return 1;
}
