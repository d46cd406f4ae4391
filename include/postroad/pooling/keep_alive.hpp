#pragma once
// Keeps connections for the next message, within hard caps: the default pool. See docs/pooling.md.

#include <postroad/pooling/policy.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <set>
#include <unordered_map>
#include <utility>

namespace postroad::pooling {

struct keep_alive {
    using axis = postroad::axis::pooling;

    /// Most connections at a time, to all destinations together: open, being opened, and being closed.
    std::size_t max_connections = 4;
    /// Most of them to one destination; 0: as many as there may be in all.
    std::size_t per_destination = 0;
    /// How many are opened at once to a destination that has none; then as many more at a time as work. At least 1.
    std::size_t first = 4;
    /// How many are opened before there is a message, at most `first`: to the server of a transport that has only one
    /// destination.
    std::size_t warm = 0;
    /// An idle connection is closed after this. Servers wait 5 minutes (RFC 5321 section 4.5.3.2.7), many of them less.
    duration idle = std::chrono::seconds(30);
    /// A connection is closed after so many messages; many servers allow 100.
    std::size_t messages_per_connection = 100;
    /// How long a destination that refused one connection more is not asked for it again.
    duration pause_after_refusal = std::chrono::seconds(30);
    /// How long it is remembered when a destination closes connections: after which idle time, after how many messages.
    duration memory = std::chrono::hours(1);

    /// The connection used last is reused first: the others grow old and are closed.
    decision acquire(host_id h, time_point now) {
        auto& d = destinations_[h];
        if (!d.idle.empty()) {
            const auto id = d.idle.back();
            unpark(id, connections_.at(id));
            connections_.at(id).rested = now - connections_.at(id).parked;
            return {advice::reuse, id};
        }
        const auto cap = per_destination > 0 ? per_destination : max_connections;
        const bool growing = d.opening > 0 && d.opening >= std::max(first, d.count - d.opening);
        const bool limited = now < d.limited_until && d.count >= d.limit;
        const bool full = d.count >= cap;
        forget(h);
        if (growing || limited || full) return {advice::wait_here};
        if (connections_.size() < max_connections) return {advice::open};
        if (idle_.empty()) return {advice::wait};
        const auto id = idle_.begin()->second;
        unpark(id, connections_.at(id));
        return {advice::evict, id};
    }

    void opening(connection_id id, host_id h) {
        connections_.emplace(id, entry{.host = h});
        auto& d = destinations_[h];
        ++d.count;
        ++d.opening;
    }

    fate carried(connection_id id) {
        const auto c = connections_.find(id);
        if (c == connections_.end()) return fate::close;
        opened(c->second);
        return ++c->second.messages < allowed(c->second) ? fate::keep : fate::close;
    }

    fate released(connection_id id, time_point now) {
        const auto found = connections_.find(id);
        if (found == connections_.end()) return fate::close;
        auto& c = found->second;
        opened(c);
        auto& d = destinations_[c.host];
        if (d.taught <= now) unlearn(d);
        if (c.messages >= allowed(c)) return fate::close;
        c.parked = now;
        c.until = after(now, std::min(idle, d.longest));
        c.is_idle = true;
        idle_.emplace(c.until, id);
        d.idle.push_back(id);
        return fate::keep;
    }

    void refused(connection_id id, time_point now) {
        const auto c = connections_.find(id);
        if (c == connections_.end()) return;
        auto& d = destinations_[c->second.host];
        limits_.erase({d.limited_until, c->second.host});
        d.limit = std::max<std::size_t>(1, d.count - 1);
        d.limited_until = after(now, pause_after_refusal);
        limits_.emplace(d.limited_until, c->second.host);
    }

    /// The server closed it, while it was idle or with 421 in place of the next message: it does that after so many
    /// messages, or after so long.
    void hung_up(connection_id id, time_point now) {
        const auto found = connections_.find(id);
        if (found == connections_.end()) return;
        const auto& c = found->second;
        auto& d = destinations_[c.host];
        const auto rested = c.is_idle ? now - c.parked : c.rested;
        const auto done = c.messages - (c.is_idle || c.messages == 0 ? 0 : 1);
        d.taught = after(now, memory);
        if (rested >= shortest_rest) {
            rested_too_long(d, rested);
        } else if (done > 0) {
            // Once may be chance.
            if (d.suspected == done) d.most = done;
            d.suspected = done;
        }
    }

    /// It broke when it was used again, before the server said anything: it had been closed while it was idle.
    void found_dead(connection_id id, time_point now) {
        const auto found = connections_.find(id);
        if (found == connections_.end() || found->second.rested < shortest_rest) return;
        auto& d = destinations_[found->second.host];
        d.taught = after(now, memory);
        rested_too_long(d, found->second.rested);
    }

    void closed(connection_id id) {
        const auto found = connections_.find(id);
        if (found == connections_.end()) return;
        auto& c = found->second;
        unpark(id, c);
        opened(c);
        const auto h = c.host;
        --destinations_[h].count;
        connections_.erase(found);
        forget(h);
    }

    std::optional<connection_id> expire(time_point now) {
        while (!limits_.empty() && limits_.begin()->first <= now) {
            const auto h = limits_.begin()->second;
            limits_.erase(limits_.begin());
            destinations_[h].limited_until = time_point::min();
            forget(h);
        }
        if (idle_.empty() || idle_.begin()->first > now) return std::nullopt;
        const auto id = idle_.begin()->second;
        unpark(id, connections_.at(id));
        return id;
    }

    time_point wakeup() const noexcept {
        return std::min(idle_.empty() ? never : idle_.begin()->first, limits_.empty() ? never : limits_.begin()->first);
    }

    /// Rests that are shorter say nothing about how long a server waits.
    static constexpr duration shortest_rest = std::chrono::seconds(2);

    struct entry {
        host_id host = 0;
        std::size_t messages = 0;
        time_point parked = time_point::min();
        time_point until = never;            // while idle
        duration rested = duration::zero();  // before it was used last
        bool is_open = false;
        bool is_idle = false;
    };
    struct destination {
        std::deque<connection_id> idle = {};  // the one used last at the back
        std::size_t count = 0;
        std::size_t opening = 0;
        std::size_t limit = 1;
        time_point limited_until = time_point::min();
        // What it taught, until `taught`.
        time_point taught = time_point::min();
        std::size_t most = 0;  // messages on a connection; 0: unknown
        std::size_t suspected = 0;
        duration longest = duration::max();  // idle
    };
    std::unordered_map<connection_id, entry> connections_ = {};  ///< internal
    std::unordered_map<host_id, destination> destinations_ =
        {};                                                     ///< internal: what has connections or taught something
    std::set<std::pair<time_point, connection_id>> idle_ = {};  ///< internal: the one that expires first in front
    std::set<std::pair<time_point, host_id>> limits_ = {};      ///< internal: until when

    /// Internal, as all that follows.
    void opened(entry& c) {
        if (!std::exchange(c.is_open, true)) --destinations_[c.host].opening;
    }
    std::size_t allowed(const entry& c) {
        const auto most = destinations_[c.host].most;
        return most > 0 ? std::min(most, messages_per_connection) : messages_per_connection;
    }
    static void rested_too_long(destination& d, duration rested) noexcept {
        d.longest = std::max(shortest_rest, rested - rested / 10);
    }
    static void unlearn(destination& d) noexcept {
        d.taught = time_point::min();
        d.most = 0;
        d.suspected = 0;
        d.longest = duration::max();
    }
    void unpark(connection_id id, entry& c) {
        if (!std::exchange(c.is_idle, false)) return;
        idle_.erase({c.until, id});
        auto& line = destinations_[c.host].idle;
        // At one of the ends, unless what was learned changed meanwhile.
        if (line.back() == id)
            line.pop_back();
        else
            line.erase(std::ranges::find(line, id));
    }
    void forget(host_id h) {
        const auto found = destinations_.find(h);
        if (found == destinations_.end()) return;
        const auto& d = found->second;
        if (d.count == 0 && d.limited_until == time_point::min() && d.taught == time_point::min())
            destinations_.erase(found);
    }
};

static_assert(pooling_policy<keep_alive>);

}  // namespace postroad::pooling
