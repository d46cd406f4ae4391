#pragma once
// Keeps connections for the next message, within a hard cap: the default pool. See docs/pooling.md.

#include <postroad/pooling/policy.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <unordered_map>
#include <vector>

namespace postroad::pooling {

struct keep_alive {
    using axis = postroad::axis::pooling;

    /// Most connections at a time, to all destinations together: open, being opened, and being closed.
    std::size_t max_connections = 4;
    /// An idle connection is closed after this. Servers wait 5 minutes (RFC 5321 section 4.5.3.2.7), many of them less.
    duration idle = std::chrono::seconds(30);
    /// A connection is closed after so many messages; many servers allow 100.
    std::size_t messages_per_connection = 100;
    /// How long a destination that refused one connection more is not asked for it again.
    duration pause_after_refusal = std::chrono::seconds(30);

    /// The connection used last is reused first: the others grow old and are closed.
    decision acquire(host_id h, time_point now) {
        for (std::size_t i = idle_.size(); i-- > 0;) {
            if (connections_[idle_[i].id].host != h) continue;
            const auto id = idle_[i].id;
            idle_.erase(idle_.begin() + static_cast<std::ptrdiff_t>(i));
            return {advice::reuse, id};
        }
        if (const auto l = learned_.find(h);
            l != learned_.end() && now < l->second.until && open_to(h) >= l->second.limit)
            return {advice::wait_here};
        if (connections_.size() < max_connections) return {advice::open};
        if (idle_.empty() || evicting_) return {advice::wait};
        const auto oldest = idle_.front().id;
        idle_.erase(idle_.begin());
        evicting_ = oldest;
        return {advice::evict, oldest};
    }

    void opening(connection_id id, host_id h) { connections_.emplace(id, entry{h}); }

    fate carried(connection_id id) {
        const auto c = connections_.find(id);
        return c != connections_.end() && ++c->second.messages < messages_per_connection ? fate::keep : fate::close;
    }

    fate released(connection_id id, time_point now) {
        const auto c = connections_.find(id);
        if (c == connections_.end() || c->second.messages >= messages_per_connection) return fate::close;
        idle_.push_back({id, after(now, idle)});
        return fate::keep;
    }

    void refused(connection_id id, time_point now) {
        const auto c = connections_.find(id);
        if (c == connections_.end()) return;
        const auto h = c->second.host;
        learned_[h] = {std::max<std::size_t>(1, open_to(h) - 1), after(now, pause_after_refusal)};
    }

    void closed(connection_id id) {
        connections_.erase(id);
        std::erase_if(idle_, [id](const parked& p) { return p.id == id; });
        if (evicting_ == id) evicting_.reset();
    }

    std::optional<connection_id> expire(time_point now) {
        std::erase_if(learned_, [now](const auto& l) { return l.second.until <= now; });
        if (idle_.empty() || idle_.front().until > now) return std::nullopt;
        const auto id = idle_.front().id;
        idle_.erase(idle_.begin());
        return id;
    }

    time_point wakeup() const noexcept {
        auto at = idle_.empty() ? never : idle_.front().until;
        for (const auto& l : learned_) at = std::min(at, l.second.until);
        return at;
    }

    struct entry {
        host_id host = 0;
        std::size_t messages = 0;
    };
    struct parked {
        connection_id id = 0;
        time_point until = never;
    };
    struct learned_limit {
        std::size_t limit = 1;
        time_point until = never;
    };
    std::unordered_map<connection_id, entry> connections_ = {};  ///< internal
    std::vector<parked> idle_ = {};                              ///< internal: the oldest first
    std::unordered_map<host_id, learned_limit> learned_ = {};    ///< internal
    std::optional<connection_id> evicting_ = {};                 ///< internal

    /// Internal: connections to `h`, open or on the way.
    std::size_t open_to(host_id h) const noexcept {
        return static_cast<std::size_t>(
            std::ranges::count_if(connections_, [h](const auto& c) { return c.second.host == h; }));
    }
};

static_assert(pooling_policy<keep_alive>);

}  // namespace postroad::pooling
