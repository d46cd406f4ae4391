#pragma once
// How things are called at the broker, and what we write on messages that move.

#include <postroad/net/wall_clock.hpp>
#include <postroad/queueing/amqp.hpp>
#include <postroad/queueing/amqp_link.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace postroad::queueing::detail {

inline both_clocks amqp_now() { return {clock::now(), net::wall_clock_now()}; }

/// Nothing is told meanwhile that its time is over.
inline amqp_address amqp_broker(const amqp_options& o) {
    static constexpr std::chrono::milliseconds longest_answer{5'000};
    return {
        .url = o.url, .ca_file = o.ca_file, .heartbeat = o.heartbeat, .timeout = std::min(o.patience, longest_answer)};
}

/// The names of a queue's exchanges and queues.
class amqp_names {
public:
    explicit amqp_names(std::string name) : name_(std::move(name)) {}

    const std::string& exchange() const noexcept { return name_; }
    std::string shard(unsigned n) const { return name_ + "." + std::to_string(n); }
    std::string register_of(unsigned n) const { return name_ + ".marked." + std::to_string(n); }
    std::string in() const { return name_ + ".in"; }
    std::string held() const { return name_ + ".held"; }
    std::string in_doubt() const { return name_ + ".in_doubt"; }
    std::string failed() const { return name_ + ".dead"; }
    std::string looking() const { return name_ + ".looking"; }
    std::string waits() const { return name_ + ".wait."; }
    std::string waiting(std::int64_t seconds) const { return waits() + std::to_string(seconds); }
    std::string replies() const { return name_ + ".replies."; }
    /// Those whose messages wait for nobody.
    std::vector<std::string> moving(unsigned shards) const {
        std::vector<std::string> all{in()};
        for (unsigned n = 0; n < shards; ++n) all.push_back(shard(n));
        for (const auto wait : amqp_waits) all.push_back(waiting(wait));
        return all;
    }

private:
    std::string name_;
};

inline std::int64_t amqp_step(const amqp_message& m) {
    const auto found = m.headers.find("postroad_step");
    const auto* n = found == m.headers.end() ? nullptr : std::get_if<std::int64_t>(&found->second);
    // It is counted on.
    static constexpr auto most = std::numeric_limits<std::int64_t>::max() / 2;
    return n && *n >= 0 && *n <= most ? *n : 0;
}
inline void amqp_next_step(amqp_message& m) { m.headers["postroad_step"] = amqp_step(m) + 1; }

/// Takes off what the broker adds when a message has waited, in forms that not all can be shown.
inline void amqp_strip(amqp_message& m) {
    std::erase_if(m.headers, [](const auto& h) { return h.first.starts_with("x-"); });
}

inline std::uint64_t amqp_key_of(const std::string& id, std::int64_t step) {
    return amqp_hash(id + '#' + std::to_string(step));
}

}  // namespace postroad::queueing::detail
