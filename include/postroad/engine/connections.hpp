#pragma once
// The connections of a mailer, as its decisions know them: at which site, in which state, with what on them.

#include <postroad/core/clock.hpp>
#include <postroad/core/id_map.hpp>
#include <postroad/engine/attempt.hpp>
#include <postroad/engine/sites.hpp>
#include <postroad/queueing/job.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace postroad::engine {

struct connection {
    enum class state : unsigned char { opening, open, quitting };

    connection_id id = 0;
    site* at = nullptr;
    std::size_t server = 0;  // index into site::servers
    state now = state::opening;
    std::size_t room = 0;
    std::size_t given = 0;          // transactions, in all
    std::size_t told_room = 0;      // the room that its session said last,
    std::size_t told_at = 0;        // when so many transactions had come to it
    std::vector<job_id> jobs = {};  // in flight
    recipient_limits limits = {};
    smtp::pipelining ahead = smtp::pipelining::envelope;  // of what was given last
    time_point ready_at = never;
    bool used = false;       // something was given to it
    bool carried = false;    // it took a MAIL, or rested so long before its first that it may have gone stale
    bool replied = false;    // the server answered to a MAIL, and not by a word about itself
    bool automatic = false;  // its session goes ahead as it is told; otherwise as far as it has room
    bool bulk = false;       // what was given last may wait
    bool full = false;       // it is to be closed after what it carries
    bool failed = false;
    bool drains = false;                    // what was given up is not over at the server yet
    bool turn = false;                      // given by the scheduler, until it is idle
    std::optional<host_id> successor = {};  // it was evicted for this site

    bool is_open() const noexcept { return now == state::open; }
    bool is_idle() const noexcept { return jobs.empty(); }
};

/// Keeps the counts of sites.
class connections {
public:
    connection* find(connection_id id) noexcept {
        const auto found = all_.find(id);
        return found == all_.end() ? nullptr : &found->second;
    }
    connection& at(connection_id id) { return all_.at(id); }
    std::size_t size() const noexcept { return all_.size(); }
    template <class F>
    void each(F&& f) {
        for (auto& entry : all_) f(entry.second);
    }

    connection& open(site& at, std::size_t server) {
        const auto id = ++last_;
        auto& c = all_.emplace(id, connection{.id = id, .at = &at, .server = server}).first->second;
        count(c, 1);
        at.connections.push_back(id);
        return c;
    }
    /// What it was.
    connection close(connection& c) {
        count(c, std::size_t(-1));
        std::erase(c.at->connections, c.id);
        auto gone = std::move(c);
        all_.erase(gone.id);
        return gone;
    }
    /// Changes what it counts as.
    template <class F>
    void shift(connection& c, F&& f) {
        count(c, std::size_t(-1));
        f();
        count(c, 1);
    }

private:
    static void count(const connection& c, std::size_t by) noexcept {
        if (c.now == connection::state::opening) c.at->opening += by;
        if (c.is_open()) c.at->open += by;
        if (c.is_open()) c.at->group->open += by;
        if (c.is_open() && c.is_idle()) c.at->idle += by;
    }

    id_map<connection> all_;
    connection_id last_ = 0;
};

}  // namespace postroad::engine
