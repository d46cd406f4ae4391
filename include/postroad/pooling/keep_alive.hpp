#pragma once
// Keeps connections for the next message, within hard caps: the default pool. See docs/pooling.md.

#include <postroad/core/agenda.hpp>
#include <postroad/core/id_map.hpp>
#include <postroad/pooling/policy.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <utility>
#include <vector>

namespace postroad::pooling {

struct keep_alive {
    using axis = postroad::axis::pooling;

    /// Most connections at a time, to all destinations together: open, being opened, and being closed.
    std::size_t max_connections = 16;
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
    /// How long a destination that refused one connection more is not asked for it again; then for one more each time
    /// that so long has passed. Zero: at once, for any number.
    duration pause_after_refusal = std::chrono::seconds(30);
    /// How long it is remembered when a destination closes connections: after which idle time, after how many messages.
    duration memory = std::chrono::hours(1);

    /// The connection used last is reused first: the others grow old and are closed.
    decision acquire(place h, time_point now) {
        if (const auto s = sites_.find(h.site); s != sites_.end() && !s->second.idle.empty()) {
            const auto id = s->second.idle.back();
            auto& c = connections_.at(id);
            unpark(id, c);
            c.rested = now - c.parked;
            c.had = c.messages;
            return {advice::reuse, id};
        }
        const auto found = providers_.find(h.provider);
        const auto p = found == providers_.end() ? provider{} : found->second;
        if (p.opening > 0 && p.opening >= std::max(first, p.count - p.opening)) return {advice::wait_here};
        const auto cap = least_said(most(), h.limits.connections);
        const bool limited = now < p.limited_until && p.count >= p.limit;
        const bool full = limited || p.count >= cap;
        if (full && p.idle == 0) return {advice::wait_here};
        asked_at_ = now;
        // Servers that say nothing leave half of the room to those that work.
        if (!h.works && silent(now) >= std::max<std::size_t>(max_connections / 2, 1)) return {advice::wait_to_try};
        if (!full && connections_.size() < max_connections) return {advice::open};
        const auto oldest = std::ranges::find_if(
            idle_, [&](const auto& i) { return !full || connections_.at(i.second).to.provider == h.provider; });
        if (oldest == idle_.end()) return {advice::wait};
        const auto id = oldest->second;
        unpark(id, connections_.at(id));
        return {advice::evict, id};
    }

    void opening(connection_id id, place h) {
        auto& s = sites_[h.site];
        connections_.emplace(id, entry{.to = h, .number = ++s.opened, .since = asked_at_});
        if (!h.works) tries_.emplace(asked_at_, id);
        ++s.count;
        auto& p = providers_[h.provider];
        ++p.count;
        ++p.opening;
    }

    fate carried(connection_id id) {
        const auto c = connections_.find(id);
        if (c == connections_.end()) return fate::close;
        opened(id, c->second);
        return ++c->second.messages < allowed(c->second) ? fate::keep : fate::close;
    }

    fate released(connection_id id, time_point now) {
        const auto found = connections_.find(id);
        if (found == connections_.end()) return fate::close;
        auto& c = found->second;
        opened(id, c);
        auto& s = sites_.at(c.to.site);
        if (s.taught <= now) unlearn(s);
        if (c.messages >= allowed(c)) return fate::close;
        c.parked = now;
        c.until = after(now, std::min(idle, s.longest));
        c.is_idle = true;
        idle_.emplace(c.until, id);
        s.idle.push_back(id);
        ++providers_.at(c.to.provider).idle;
        return fate::keep;
    }

    void refused(connection_id id, time_point now) {
        const auto c = connections_.find(id);
        if (c == connections_.end()) return;
        auto& p = providers_.at(c->second.to.provider);
        limits_.erase({p.limited_until, c->second.to.provider});
        p.limit = std::max<std::size_t>(1, p.count - 1);
        p.limited_until = after(now, pause_after_refusal);
        limits_.emplace(p.limited_until, c->second.to.provider);
    }

    /// The server closed it, while it was idle or with 421 in place of the next message: it does that after so many
    /// messages, or after so long. `behind`: messages that were given to it behind that one.
    void hung_up(connection_id id, time_point now, std::size_t behind = 0) {
        const auto found = connections_.find(id);
        if (found == connections_.end()) return;
        learn_from(found->second, ending::told, behind, now);
    }

    /// It broke when it was used again, before the server said anything: it had been closed while it was idle, or right
    /// behind the message before.
    void found_dead(connection_id id, time_point now, std::size_t behind = 0) {
        const auto found = connections_.find(id);
        if (found != connections_.end()) learn_from(found->second, ending::silent, behind, now);
    }

    /// It only waits for its end, and keeps no other from being opened: except at a provider that counts it.
    void draining(connection_id id) {
        const auto found = connections_.find(id);
        if (found != connections_.end() && found->second.to.limits.connections == 0) closed(id);
    }

    void closed(connection_id id) {
        const auto found = connections_.find(id);
        if (found == connections_.end()) return;
        auto& c = found->second;
        unpark(id, c);
        opened(id, c);
        const auto h = c.to;
        connections_.erase(found);
        if (const auto s = sites_.find(h.site); --s->second.count == 0 && s->second.taught == time_point::min())
            sites_.erase(s);
        --providers_.at(h.provider).count;
        forget_provider(h.provider);
    }

    std::optional<connection_id> expire(time_point now) {
        while (!limits_.empty() && limits_.begin()->first <= now) {
            const auto h = static_cast<host_id>(limits_.begin()->second);
            limits_.erase(limits_.begin());
            auto& p = providers_.at(h);
            const bool grows = p.count > 0 && ++p.limit < most() && pause_after_refusal > duration::zero();
            p.limited_until = grows ? after(now, pause_after_refusal) : time_point::min();
            if (grows) limits_.emplace(p.limited_until, h);
            forget_provider(h);
        }
        if (idle_.empty() || idle_.begin()->first > now) return std::nullopt;
        const auto id = idle_.begin()->second;
        unpark(id, connections_.at(id));
        return id;
    }

    time_point wakeup() const noexcept {
        return std::min(idle_.empty() ? never : idle_.begin()->first, limits_.empty() ? never : limits_.begin()->first);
    }

    /// Nothing waits for `h`, and it has no connection. `never`: it is needed until it was used again.
    time_point forget(place h, time_point now) {
        auto needed = time_point::min();
        if (const auto s = sites_.find(h.site); s != sites_.end()) {
            if (s->second.count > 0) return never;
            needed = s->second.taught;
            if (needed <= now) sites_.erase(s);
        }
        if (const auto p = providers_.find(h.provider); p != providers_.end() && p->second.count == 0)
            needed = std::max(needed, p->second.limited_until);
        return needed > now ? needed : time_point::min();
    }

    /// A server that lets itself be waited for longer, where it is not known to work, may say nothing at all.
    static constexpr duration silence = std::chrono::seconds(5);
    /// Rests that are shorter say nothing about how long a server waits.
    static constexpr duration shortest_rest = std::chrono::seconds(2);

    enum class ending : unsigned char { told, silent };
    struct entry {
        place to = {};
        std::uint64_t number = 0;  // of its site's
        time_point since = time_point::min();
        std::size_t messages = 0;
        time_point parked = time_point::min();
        time_point until = never;            // while idle
        duration rested = duration::zero();  // before it was used last,
        std::size_t had = 0;                 // after so many messages
        bool taught = false;
        bool is_open = false;
        bool is_idle = false;
        bool is_silent = false;
    };
    struct site {
        std::vector<connection_id> idle = {};  // the one used last at the back
        std::size_t count = 0;                 // connections
        std::uint64_t opened = 0;              // ever
        // What it taught, until `taught`.
        time_point taught = time_point::min();
        std::size_t most = 0;  // messages on a connection; 0: unknown
        std::size_t suspected = 0;
        std::uint64_t suspected_at = 0;      // the last connection that was opened by then
        duration longest = duration::max();  // idle
    };
    struct provider {
        std::size_t count = 0;  // connections
        std::size_t opening = 0;
        std::size_t idle = 0;
        std::size_t limit = 1;
        time_point limited_until = time_point::min();
    };
    id_map<entry> connections_ = {};           ///< internal
    id_map<site> sites_ = {};                  ///< internal: that have connections or taught something
    id_map<provider> providers_ = {};          ///< internal: that have connections or a limit
    agenda idle_ = {};                         ///< internal: the one that expires first in front
    agenda limits_ = {};                       ///< internal: until when
    agenda tries_ = {};                        ///< internal: being opened where it may not work
    std::size_t silent_ = 0;                   ///< internal: that were among these for too long
    time_point asked_at_ = time_point::min();  ///< internal: before opening()

    /// Internal, as all that follows.
    std::size_t most() const noexcept { return per_destination > 0 ? per_destination : max_connections; }
    void opened(connection_id id, entry& c) {
        if (std::exchange(c.is_open, true)) return;
        --providers_.at(c.to.provider).opening;
        if (c.is_silent) --silent_;
        tries_.erase({c.since, id});
    }
    std::size_t silent(time_point now) {
        for (; !tries_.empty() && after(tries_.begin()->first, silence) <= now; tries_.erase(tries_.begin())) {
            connections_.at(tries_.begin()->second).is_silent = true;
            ++silent_;
        }
        return silent_;
    }
    std::size_t allowed(const entry& c) const {
        const auto said = least_said(sites_.at(c.to.site).most, c.to.limits.messages_per_connection);
        return said > 0 ? std::min(said, messages_per_connection) : messages_per_connection;
    }
    void learn_from(entry& c, ending how, std::size_t behind, time_point now) {
        // The first that is not taken says it; those behind it say it again.
        if (std::exchange(c.taught, true)) return;
        auto& s = sites_.at(c.to.site);
        const auto done = c.messages - std::min(c.messages, c.is_idle ? 0 : behind + 1);
        const auto rested = c.is_idle ? now - c.parked : done == c.had ? c.rested : duration::zero();
        s.taught = after(now, memory);
        if (rested >= shortest_rest) {
            rested_too_long(s, rested);
        } else if (done > 0) {
            // Once may be chance, and so may all that end together without a word.
            if (s.suspected != done) {
                s.suspected = done;
                s.suspected_at = s.opened;
            } else if (how == ending::told || c.number > s.suspected_at) {
                s.most = done;
            }
        }
    }
    static void rested_too_long(site& s, duration rested) noexcept {
        s.longest = std::max(shortest_rest, rested - rested / 10);
    }
    static void unlearn(site& s) noexcept {
        s.taught = time_point::min();
        s.most = 0;
        s.suspected = 0;
        s.longest = duration::max();
    }
    void unpark(connection_id id, entry& c) {
        if (!std::exchange(c.is_idle, false)) return;
        idle_.erase({c.until, id});
        --providers_.at(c.to.provider).idle;
        auto& line = sites_.at(c.to.site).idle;
        // At one of the ends, unless what was learned changed meanwhile.
        if (line.back() == id)
            line.pop_back();
        else
            line.erase(std::ranges::find(line, id));
    }
    void forget_provider(host_id h) {
        const auto found = providers_.find(h);
        if (found->second.count == 0 && found->second.limited_until == time_point::min()) providers_.erase(found);
    }
};

static_assert(pooling_policy<keep_alive>);

}  // namespace postroad::pooling
