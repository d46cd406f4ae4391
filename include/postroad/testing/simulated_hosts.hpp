#pragma once
// What a simulation is about: hosts, messages, rules, and the report. See docs/simulator.md.

#include <postroad/core/clock.hpp>
#include <postroad/core/config.hpp>
#include <postroad/core/limits.hpp>
#include <postroad/scheduling/pacer.hpp>
#include <postroad/testing/detail/trial.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace postroad::testing {

/// A time of trouble, from the start of the simulation.
struct span_of_time {
    duration from = duration::zero();
    duration until = duration::zero();
    bool holds(duration at) const noexcept { return from <= at && at < until; }
};

/// How a host behaves.
struct host_model {
    duration round_trip = std::chrono::milliseconds(50);
    /// Its time for each message.
    duration work = std::chrono::milliseconds(100);
    unsigned trips_to_connect = 5;  ///< TCP, TLS, greeting and EHLO
    unsigned trips_a_message = 2;
    /// More connections are greeted with 421; 0: any number.
    std::size_t connections = 0;
    /// The next message on a connection is answered with 421; 0: any number.
    std::size_t messages_a_connection = 0;
    /// An idle connection is closed after this.
    duration idle = duration::max();
    /// What comes faster is deferred.
    scheduling::rate accepts = {};
    /// A message is deferred until it is tried again so long after its first attempt.
    duration greylisting = duration::zero();
    /// No connection can be made, and those that are there break.
    std::vector<span_of_time> outages = {};
    /// So many percent of messages are deferred.
    std::vector<std::pair<span_of_time, unsigned>> storms = {};
    /// Hosts of one provider share limits; empty: none but its own.
    std::string provider = {};
    /// Of its provider, as the mailer is told: checked at every step. Equal for all hosts of a provider.
    postroad::limits limits = {};
};

/// Where a domain is, and how the question for it is answered.
struct domain_model {
    std::uint32_t host = 0;  ///< index into workload::hosts
    /// Until the answer comes.
    duration look_up = std::chrono::milliseconds(20);
    /// How long the answer is true.
    duration valid = std::chrono::hours(1);
    /// The answer is that nobody can say, for now.
    std::vector<span_of_time> outages = {};
    /// There is no such domain.
    bool is_unknown = false;
};

/// A message.
struct arrival {
    duration at = duration::zero();  ///< from the start
    std::uint32_t domain = 0;        ///< index into workload::domains
    std::uint8_t traffic_class = 0;
    std::string tenant = {};
};

struct workload {
    std::vector<host_model> hosts = {};
    /// Empty: one for each host, known at once.
    std::vector<domain_model> domains = {};
    /// The next message, in the order of time, or none.
    std::function<std::optional<arrival>()> next = {};
    std::uint64_t seed = 1;  ///< of what hosts do at random
    /// Is told how many messages are over, each time that 10,000 more have come or are. What it throws ends the
    /// simulation.
    std::function<void(std::size_t over)> progress = {};
};

/// What is checked at every step, beside that nothing is lost, sent twice, on two connections at a time or slept
/// through, that every host is let go in the end, and that the queue holds what is not done.
struct simulation_rules {
    std::size_t connections = std::size_t(-1);      ///< at a time, to all hosts
    std::size_t per_destination = std::size_t(-1);  ///< to one, or to all of a provider
    scheduling::rate pace = {};                     ///< messages to one host
    unsigned ahead = 1;                             ///< as pacer::ahead
    duration retry_floor = duration::zero();        ///< from the end of an attempt to the next of the same message
    /// Most messages by which a tenant may be ahead of another of its class while both have had messages waiting; 0:
    /// not checked.
    std::size_t unfairness = 0;
    duration give_up = std::chrono::hours(24 * 30);  ///< everything has ended by then
};

/// How long messages took, from submission to acceptance.
struct wait_times {
    std::size_t messages = 0;
    std::size_t accepted = 0;
    duration half = duration::zero();
    duration p95 = duration::zero();
    duration p99 = duration::zero();
    duration longest = duration::zero();
};

struct simulation_report {
    std::size_t messages = 0;
    std::size_t accepted = 0;
    std::size_t failed = 0;
    std::size_t attempts = 0;     ///< transactions that a host answered
    std::size_t deferrals = 0;    ///< of them, those deferred
    std::size_t connections = 0;  ///< that were opened, or tried
    std::size_t most_connections = 0;
    std::size_t replies_421 = 0;
    std::size_t unreachable = 0;  ///< connections that timed out
    std::size_t questions = 0;    ///< for the location of a domain
    /// From the start until so many of all messages were accepted.
    duration half = duration::zero();
    duration p95 = duration::zero();
    duration all = duration::zero();
    std::map<unsigned, wait_times> classes = {};
    /// Accepted messages of each tenant by the time that half of all were.
    std::map<std::string, std::size_t> tenants_at_half = {};
    /// When each twentieth of all messages had been accepted, for a plot.
    std::vector<duration> course = {};
    std::size_t steps = 0;
    broken_rules broken = {};
};

/// A few lines of text under the heading `name`.
POSTROAD_DECL std::string to_table(const std::vector<std::pair<std::string, simulation_report>>& reports);
/// One object.
POSTROAD_DECL std::string to_json(const simulation_report& r);

/// A campaign: bulk mail that is there at once, and mail that somebody waits for while it goes out. The share of the
/// host of rank r is as 1 / r. Of the hosts, some limit connections or rates, a few greylist, the twentieth is down for
/// five minutes, and the twelfth defers a third of its mail for five minutes.
struct campaign {
    std::size_t hosts = 10'000;
    /// Spread over the hosts by their share, for mail that goes there without a relay: a hundredth does not exist, the
    /// fiftieth cannot be located for five minutes, and the hosts of the first ten are one provider's. Of fewer than
    /// hosts each is at one. 0: one for each host, known at once.
    std::size_t domains = 0;
    std::size_t bulk = 990'000;
    std::size_t transactional = 10'000;
    duration transactional_over = std::chrono::seconds(1000);
    std::uint64_t seed = 1;
};
POSTROAD_DECL workload make_workload(const campaign& c);

}  // namespace postroad::testing

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/testing/impl/simulated_hosts.ipp>
#endif
