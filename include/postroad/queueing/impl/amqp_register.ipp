#pragma once
// The register of a shard: which of its jobs are marked, and which ended lately.

#include <postroad/core/clock.hpp>
#include <postroad/core/number.hpp>
#include <postroad/queueing/job.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace postroad::queueing::detail {

inline std::optional<std::uint64_t> amqp_key(std::string_view text) {
    return postroad::detail::whole_number<std::uint64_t>(text, 16);
}

/// Remembers the last of what it is told, for messages that come twice.
class amqp_memory {
public:
    explicit amqp_memory(std::size_t most) : most_(most) {}
    void add(std::uint64_t key) {
        if (!known_.insert(key).second) return;
        order_.push_back(key);
        if (order_.size() <= most_) return;
        known_.erase(order_.front());
        order_.pop_front();
    }
    bool has(std::uint64_t key) const { return known_.contains(key); }
    const std::deque<std::uint64_t>& all() const noexcept { return order_; }

private:
    std::size_t most_;
    std::unordered_set<std::uint64_t> known_;
    std::deque<std::uint64_t> order_;
};

/// As many that ended are named by the register of a shard: no fewer than a window of what was published twice over a
/// broken connection, which who has the shard next may get.
inline constexpr std::size_t amqp_most_named = 1024;

/// A shard, on the thread that talks to the broker.
struct amqp_shard_state {
    std::string consumer = {};
    bool known = false;   // its register was read: it is ours
    bool unread = false;  // though somebody had it before: what was given out then may have been marked
    bool worn = false;    // something of it was given out too often already to hand it over
    time_point stays_until = time_point::min();
    bool writing = false;
    bool dirty = false;
    time_point writes_at = time_point::min();  // the broker did not take its register
    std::vector<job_id> asked = {};            // that are to be marked
    std::vector<job_id> on_their_way = {};
    std::unordered_set<std::uint64_t> marked = {};     // keys of jobs
    std::unordered_set<std::uint64_t> inherited = {};  // the same of who had the shard before
    // Asked to be marked when the connection broke, and never sent, whatever the register says if it is ours still.
    std::unordered_set<std::uint64_t> never_left = {};
    std::size_t deliveries = 0;
    amqp_memory ended{amqp_most_named};
};

/// What the register of a shard says.
inline std::string amqp_register_text(const amqp_shard_state& s) {
    std::string text = "marked";
    const auto add = [&](std::uint64_t key) {
        char digits[16];
        const auto r = std::to_chars(digits, digits + sizeof digits, key, 16);
        (text += ' ').append(digits, r.ptr);
    };
    for (const auto key : s.marked) add(key);
    for (const auto key : s.inherited) add(key);
    text += "\nended";
    for (const auto key : s.ended.all()) add(key);
    return text += '\n';
}

/// The other way: the keys of jobs that were marked, and of those that had ended. Skips what is no key.
template <class Marked, class Ended>
void amqp_read_register(std::string_view text, Marked marked, Ended ended) {
    bool are_over = false;
    while (!text.empty()) {
        const auto end = text.find_first_of(" \n");
        const auto word = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (word == "ended") are_over = true;
        const auto key = amqp_key(word);
        if (!key || word == "marked" || word == "ended") continue;
        are_over ? ended(*key) : marked(*key);
    }
}

}  // namespace postroad::queueing::detail
