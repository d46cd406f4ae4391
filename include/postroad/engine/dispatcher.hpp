#pragma once
// Joins the axes, without I/O: jobs, events of sessions and `now` go in; actions and a deadline come out. Connections
// pull: one that has room asks the scheduler for the next job of its destination. See docs/sans_io.md.

#include <postroad/core/clock.hpp>
#include <postroad/core/ring.hpp>
#include <postroad/pooling/policy.hpp>
#include <postroad/queueing/policy.hpp>
#include <postroad/scheduling/policy.hpp>
#include <postroad/transport/policy.hpp>

#include <algorithm>
#include <cassert>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace postroad::engine {

using pooling::connection_id;
using pooling::host_id;

/// Open a connection to `to`; its session's events come back under `id`.
struct open_connection {
    connection_id id = 0;
    endpoint to = {};
};
/// Give a transaction to a connection.
struct transmit {
    connection_id id = 0;
    smtp::transaction what = {};
};
/// Cancel a transaction that a connection has.
struct interrupt {
    connection_id id = 0;
    job_id job = 0;
};
/// Let a connection end in good order.
struct quit_connection {
    connection_id id = 0;
};
/// Tell who waits for it: this job is over.
struct complete {
    job what = {};
};

using action = std::variant<open_connection, transmit, interrupt, quit_connection, complete>;

/// How far a cancellation may go.
enum class cancel_kind : unsigned char {
    if_waiting,  ///< only while nothing of it has been given to a connection
    at_once,     ///< also within a transaction; what had left whole is then in doubt
};

/// Jobs taken from the queue ahead of time; the rest stays where it is cheap.
inline constexpr std::size_t look_ahead = 4096;
/// How often a job goes back because its connection ended before the server was asked about it, which costs no attempt.
inline constexpr unsigned max_returns = 8;

/// Single-threaded; reads no clock. The policies belong to the owner and outlive it.
template <transport::transport_policy Transport, pooling::pooling_policy Pooling, queueing::queueing_policy Queueing,
          scheduling::scheduling_policy Scheduling>
class dispatcher {
public:
    dispatcher(const Transport& transport, Pooling& pooling, Queueing& queueing, Scheduling& scheduling)
        : transport_(transport), pooling_(pooling), queueing_(queueing), scheduling_(scheduling) {}

    /// The queue may have jobs that are due.
    void wake(time_point now) {
        while (jobs_.size() < look_ahead) {
            leased_.clear();
            queueing_.lease(look_ahead - jobs_.size(), now, leased_);
            if (leased_.empty()) break;
            for (auto& j : leased_) admit(std::move(j), now);
        }
        feed_all(now);
    }

    /// deadline() has passed.
    void tick(time_point now) {
        while (const auto id = pooling_.expire(now)) quit(*id);
        wake(now);
    }

    time_point deadline() const {
        const auto due = jobs_.size() < look_ahead ? queueing_.next_due() : never;
        return std::min({due, pooling_.wakeup(), scheduling_.wakeup()});
    }

    /// A connection's session is ready and takes `room` transactions.
    void ready(connection_id id, std::size_t room, time_point now) {
        auto& c = connections_.at(id);
        c.state = conn_state::open;
        c.room = room;
        hosts_[c.host].refused = false;
        pull(id, c, now);
        if (starved_) feed_all(now);
    }

    /// A transaction ended; its session now takes `room` more.
    void finished(connection_id id, smtp::finished&& f, std::size_t room, time_point now) {
        auto& c = connections_.at(id);
        c.room = room;
        --c.in_flight;
        // A message that this server cannot take, or a cancelled one, says nothing about the connection.
        const bool broken = f.error && f.error != condition::permanent && f.error != condition::cancelled;
        const bool first_failure = broken && !c.failed;
        c.failed = c.failed || broken;
        bool counts = !goes_back(c, f, first_failure);
        c.fresh = false;
        hosts_[c.host].refused = false;
        if (const auto found = jobs_.find(f.id); found != jobs_.end()) {
            if (!counts) counts = ++found->second.what.returns > max_returns;
            merge(found->second, std::move(f), counts);
            conclude(found, counts, now);
        }
        pull(id, c, now);
        // What became idle here may serve, or make room for, another destination.
        if (starved_ && c.in_flight == 0) feed_all(now);
    }

    /// A connection is over, or could not be opened.
    void closed(connection_id id, const smtp::closed& why, time_point now) {
        const auto found = connections_.find(id);
        if (found == connections_.end()) return;
        const auto c = found->second;
        assert(c.in_flight == 0);
        connections_.erase(found);
        const bool unopened = c.state == conn_state::opening && why.error;
        const bool others = has_any(c.host);
        if (unopened) {
            ++hosts_[c.host].next;
            hosts_[c.host].refused = others;
            if (count(c.host, conn_state::open) > 0) pooling_.refused(id, now);
        }
        pooling_.closed(id);
        if (unopened && !others) fail_waiting(c.host, why, now);
        feed_all(now);
    }

    /// Ends a job early. No effect if there is none of that id.
    void cancel(job_id id, cancel_kind kind, errc why, time_point) {
        const auto found = jobs_.find(id);
        if (found == jobs_.end()) {
            auto waiting = queueing_.take(id);
            if (!waiting) return;
            waiting->error = why;
            return actions_.push_back(complete{*std::move(waiting)});
        }
        auto& h = found->second;
        if (h.connection) {
            if (kind == cancel_kind::if_waiting || h.cancelled) return;
            h.cancelled = why;
            return actions_.push_back(interrupt{*h.connection, id});
        }
        scheduling_.withdraw(id, h.host);
        h.what.error = why;
        finish(found);
    }

    /// Cancels everything that it holds.
    void cancel_all(errc why, time_point now) {
        std::vector<job_id> ids;
        for (const auto& entry : jobs_) ids.push_back(entry.first);
        for (const auto id : ids) cancel(id, cancel_kind::at_once, why, now);
        leased_.clear();
        queueing_.lease(std::size_t(-1), never, leased_);
        for (auto& j : leased_) {
            j.error = why;
            queueing_.settle(j.id);
            actions_.push_back(complete{std::move(j)});
        }
    }

    /// Lets every connection end once it has nothing to do, and opens no more for idle ones to come.
    void quit_all() {
        draining_ = true;
        for (auto& entry : connections_)
            if (entry.second.in_flight == 0 && entry.second.state != conn_state::quitting) quit(entry.first);
    }

    std::optional<action> poll() {
        if (actions_.empty()) return std::nullopt;
        return actions_.pop_front();
    }

    bool has_actions() const noexcept { return !actions_.empty(); }
    /// Nothing is held, here or in the queue.
    bool idle() const { return jobs_.empty() && queueing_.size() == 0; }
    std::size_t connections() const noexcept { return connections_.size(); }

private:
    enum class conn_state : unsigned char { opening, open, quitting };
    struct conn {
        host_id host = 0;
        conn_state state = conn_state::opening;
        std::size_t room = 0;
        std::size_t in_flight = 0;
        bool fresh = true;  // carried nothing to its end yet
        bool full = false;  // the pool wants it closed after what it carries
        bool failed = false;
    };
    struct held {
        job what = {};
        host_id host = 0;
        std::optional<connection_id> connection = {};
        std::vector<std::uint32_t> asked = {};  // recipients of the attempt that is under way
        std::optional<errc> cancelled = {};
    };
    struct host {
        std::string destination = {};
        std::vector<endpoint> servers = {};
        std::size_t next = 0;
        bool refused = false;  // a connection; opening more can wait until one of the others moves on
    };
    using jobs = std::unordered_map<job_id, held>;

    void admit(job&& j, time_point now) {
        if (j.result.recipients.empty())
            for (const auto& r : j.mail->envelope.recipients) j.result.recipients.push_back({.address = r.str()});
        const auto h = host_of(transport_.route(j.mail->envelope));
        const auto id = j.id;
        const auto at = jobs_.emplace(id, held{.what = std::move(j), .host = h}).first;
        scheduling_.admit(at->second.what, h, now);
    }

    host_id host_of(std::string_view destination) {
        for (std::size_t i = 0; i < hosts_.size(); ++i)
            if (hosts_[i].destination == destination) return static_cast<host_id>(i);
        hosts_.push_back({std::string(destination), transport_.hosts(std::string(destination))});
        return static_cast<host_id>(hosts_.size() - 1);
    }

    void feed_all(time_point now) {
        starved_ = false;
        for (host_id h = 0; h < hosts_.size(); ++h) feed(h, now);
    }

    // Finds connections for what waits: idle ones, new ones, then room behind what is under way.
    void feed(host_id h, time_point now) {
        while (const auto waiting = scheduling_.waiting(h, now)) {
            const bool more = waiting > count(h, conn_state::opening);
            if (!more && !has_idle(h)) break;
            const auto d = pooling_.acquire(h, now);
            if (d.what == pooling::advice::reuse) {
                auto& c = connections_.at(d.which);
                pull(d.which, c, now);
                if (c.in_flight == 0) break;
            } else if (d.what == pooling::advice::open && more && !(hosts_[h].refused && has_any(h))) {
                open(h);
            } else {
                starved_ = true;
                if (d.what == pooling::advice::evict) quit(d.which);
                break;
            }
        }
        for (auto& [id, c] : connections_) {
            if (scheduling_.waiting(h, now) == 0) break;
            if (c.host == h && c.in_flight > 0) pull(id, c, now);
        }
    }

    std::size_t count(host_id h, conn_state s) const {
        return static_cast<std::size_t>(std::ranges::count_if(
            connections_, [h, s](const auto& c) { return c.second.host == h && c.second.state == s; }));
    }
    bool has_idle(host_id h) const {
        return std::ranges::any_of(connections_, [h](const auto& c) {
            return c.second.host == h && c.second.state == conn_state::open && c.second.in_flight == 0;
        });
    }
    // Whether there is a connection that is not on its way out.
    bool has_any(host_id h) const {
        return std::ranges::any_of(
            connections_, [h](const auto& c) { return c.second.host == h && c.second.state != conn_state::quitting; });
    }

    void open(host_id h) {
        const auto id = ++last_connection_;
        connections_.emplace(id, conn{.host = h});
        pooling_.opening(id, h);
        const auto& servers = hosts_[h].servers;
        actions_.push_back(open_connection{id, servers[hosts_[h].next % servers.size()]});
    }

    void quit(connection_id id) {
        connections_.at(id).state = conn_state::quitting;
        actions_.push_back(quit_connection{id});
    }

    // A connection takes what it has room for; one that finds nothing goes back to the pool.
    void pull(connection_id id, conn& c, time_point now) {
        while (c.state == conn_state::open && c.room > 0 && !c.full && !c.failed) {
            const auto next = scheduling_.next(c.host, now);
            if (!next) break;
            auto& h = jobs_.at(*next);
            h.connection = id;
            h.asked = unsettled(h.what.result);
            --c.room;
            ++c.in_flight;
            c.full = pooling_.carried(id) == pooling::fate::close;
            actions_.push_back(transmit{id, {*next, h.what.mail, h.asked}});
        }
        if (c.state != conn_state::open || c.in_flight > 0 || c.failed) return;
        // One without room still waits for replies to a cancelled job: nothing would tell when it has room again.
        if (c.full || draining_ || c.room == 0 || pooling_.released(id, now) == pooling::fate::close) quit(id);
    }

    static bool is_unsettled(const recipient_outcome& r) noexcept {
        return r.status == status::not_attempted || r.status == status::deferred;
    }
    static bool any_unsettled(const outcome& o) { return std::ranges::any_of(o.recipients, is_unsettled); }
    // Recipients to ask about; empty means all of them, as it does in a transaction.
    static std::vector<std::uint32_t> unsettled(const outcome& o) {
        std::vector<std::uint32_t> result;
        if (std::ranges::all_of(o.recipients, is_unsettled)) return result;
        for (std::uint32_t i = 0; i < o.recipients.size(); ++i)
            if (is_unsettled(o.recipients[i])) result.push_back(i);
        return result;
    }

    // Whether the attempt ended before this server was asked about this message, for a reason that is not the
    // message's: a kept connection had gone stale, or another message broke it. Trying at once on another connection is
    // safe.
    static bool goes_back(const conn& c, const smtp::finished& f, bool first_failure) {
        if (f.error == errc::chunking_refused) return true;
        if (!is_farewell(c, f) && (!c.failed || (c.fresh && first_failure))) return false;
        if (f.error == condition::permanent || f.error == condition::cancelled) return false;
        return std::ranges::all_of(f.recipients, [](const recipient_outcome& r) {
            return r.status == status::not_attempted ||
                   (r.status == status::deferred && r.reply.code == 421 && r.where == phase::mail);
        });
    }

    // 421 to the first command: the server closes a connection that was idle too long for it.
    static bool is_farewell(const conn& c, const smtp::finished& f) {
        return !c.fresh && !f.recipients.empty() && f.recipients.front().reply.code == 421 &&
               f.recipients.front().where == phase::mail;
    }

    static void merge(held& h, smtp::finished&& f, bool counts) {
        auto& all = h.what.result.recipients;
        assert(f.recipients.size() == (h.asked.empty() ? all.size() : h.asked.size()));
        for (std::size_t i = 0; i < f.recipients.size(); ++i) {
            auto& r = all[h.asked.empty() ? i : h.asked[i]];
            f.recipients[i].address = std::move(r.address);
            r = std::move(f.recipients[i]);
        }
        if (counts) ++h.what.result.attempts;
        h.what.error = f.error;
        h.what.result.details = std::move(f.details);
        h.connection.reset();
    }

    void conclude(typename jobs::iterator found, bool counts, time_point now) {
        auto& h = found->second;
        if (h.cancelled) {
            if (h.what.error == errc::cancelled) h.what.error = *h.cancelled;
            return finish(found);
        }
        if (!any_unsettled(h.what.result)) return finish(found);
        if (!counts) return scheduling_.admit(h.what, h.host, now);
        const auto v = scheduling_.judge(h.what, now);
        if (v.what == verdict::kind::done || !Queueing::keeps) return finish(found);
        h.what.due = v.at;
        auto j = std::move(h.what);
        jobs_.erase(found);
        queueing_.put_back(std::move(j));
    }

    void finish(typename jobs::iterator found) {
        auto j = std::move(found->second.what);
        jobs_.erase(found);
        queueing_.settle(j.id);
        actions_.push_back(complete{std::move(j)});
    }

    // Nobody could connect: every message that waits for this destination shares the attempt.
    void fail_waiting(host_id h, const smtp::closed& why, time_point now) {
        for (auto left = scheduling_.waiting(h, now); left > 0; --left) {
            const auto id = scheduling_.next(h, now);
            if (!id) return;
            const auto found = jobs_.find(*id);
            auto& j = found->second.what;
            for (auto& r : j.result.recipients)
                if (r.status == status::not_attempted) r.where = why.details.where;
            ++j.result.attempts;
            j.error = why.error;
            j.result.details = why.details;
            conclude(found, true, now);
        }
    }

    const Transport& transport_;
    Pooling& pooling_;
    Queueing& queueing_;
    Scheduling& scheduling_;
    jobs jobs_;
    std::unordered_map<connection_id, conn> connections_;
    std::vector<host> hosts_;
    ring<action> actions_;
    std::vector<job> leased_;
    connection_id last_connection_ = 0;
    bool draining_ = false;
    bool starved_ = false;  // a destination waits for a connection
};

}  // namespace postroad::engine
