#pragma once
// Joins the axes, without I/O: jobs, events of sessions and `now` go in; actions and a deadline come out. Connections
// pull: one that has room asks the scheduler for the next job of its destination. See docs/sans_io.md.

#include <postroad/core/clock.hpp>
#include <postroad/core/observer.hpp>
#include <postroad/core/ring.hpp>
#include <postroad/engine/recipients.hpp>
#include <postroad/engine/servers.hpp>
#include <postroad/pooling/policy.hpp>
#include <postroad/queueing/policy.hpp>
#include <postroad/scheduling/policy.hpp>
#include <postroad/transport/policy.hpp>

#include <algorithm>
#include <cassert>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
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
    std::unique_ptr<job> what = {};
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

/// How long a server that could not be reached is passed over while its destination has others.
inline constexpr duration pause_after_failure = std::chrono::seconds(60);

/// Single-threaded; reads no clock. The policies belong to the owner and outlive it.
template <transport::transport_policy Transport, pooling::pooling_policy Pooling, queueing::queueing_policy Queueing,
          scheduling::scheduling_policy Scheduling>
class dispatcher {
public:
    dispatcher(const Transport& transport, Pooling& pooling, Queueing& queueing, Scheduling& scheduling)
        : transport_(transport), pooling_(pooling), queueing_(queueing), scheduling_(scheduling) {}

    /// `to` is told of decisions; it outlives the dispatcher, or is taken away. Null: nobody is.
    void observe(observer* to) noexcept { observer_ = to; }

    /// The queue may have jobs that are due.
    void wake(time_point now) {
        collect_marks(now);
        collect_lost(now);
        close_idle();
        bool more = true;
        while (more && jobs_.size() < ahead()) {
            const auto n = ahead() - jobs_.size();
            leased_.clear();
            queueing_.lease(n, now, leased_);
            more = leased_.size() == n;
            for (auto& j : leased_) admit(std::move(j), now);
        }
        feed_changed(now);
    }

    /// Opens up to `n` connections to a destination before there is a message for it.
    void warm_up(std::string_view destination, std::size_t n, time_point now) {
        for (const auto h = host_of(destination); n > 0 && pooling_.acquire(h, now).what == pooling::advice::open;
             --n) {
            open(h, now);
            connections_.at(last_connection_).turn = false;
        }
    }

    /// The job is given up at `when`, wherever it is by then.
    void give_up_at(job_id id, time_point when) { deadlines_.emplace(when, id); }

    /// deadline() has passed.
    void tick(time_point now) {
        while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
            const auto id = deadlines_.begin()->second;
            deadlines_.erase(deadlines_.begin());
            cancel(id, cancel_kind::at_once, errc::timed_out, now);
        }
        const bool pool_due = pooling_.wakeup() <= now;
        while (const auto id = pooling_.expire(now)) quit(*id);
        if (pool_due)
            for (const auto h : std::exchange(limited_, {})) {
                hosts_[h].limited = false;
                change(h);
            }
        if (scheduling_.wakeup() <= now) ripen(now);
        wake(now);
        if (pool_due) feed_hungry(now);
    }

    time_point deadline() const {
        const auto due = jobs_.size() < ahead() ? queueing_.next_due() : never;
        const auto given_up = deadlines_.empty() ? never : deadlines_.begin()->first;
        return std::min({due, given_up, pooling_.wakeup(), scheduling_.wakeup()});
    }

    /// A connection's session is ready and takes `room` transactions, each within `limits`.
    void ready(connection_id id, std::size_t room, time_point now, recipient_limits limits = {}) {
        auto& c = connections_.at(id);
        shift(c, [&] { c.state = conn_state::open; });
        c.room = room;
        c.limits = {std::max<std::size_t>(limits.recipients, 1), std::max<std::size_t>(limits.domains, 1)};
        auto& h = hosts_[c.host];
        h.servers[c.server].down_until = time_point::min();
        const bool was_refused = std::exchange(h.refused, false);
        const auto of = c.host;
        tell(of, scheduling::host_event::opened, now);
        pull(id, c, now);
        if (was_refused || takes_turns || hosts_[of].limited) feed(of, now);
        feed_hungry(now);
    }

    /// A transaction ended; its session now takes `room` more.
    void finished(connection_id id, smtp::finished&& f, std::size_t room, time_point now) {
        auto& c = connections_.at(id);
        const auto of = c.host;
        c.room = room;
        shift(c, [&] { --c.in_flight; });
        // A message that this server cannot take, or a cancelled one, says nothing about the connection.
        const bool broken = f.error && f.error != condition::permanent && f.error != condition::cancelled;
        const bool first_failure = broken && !c.failed;
        c.failed = c.failed || broken;
        bool counts = !goes_back(c, f, first_failure);
        if (is_farewell(c, f)) hung_up(id, now);
        if constexpr (requires { pooling_.found_dead(id, now); })
            if (!counts && first_failure && !c.fresh) pooling_.found_dead(id, now);
        if (counts) tell(of, scheduling::event_of(f), now);
        c.fresh = false;
        const bool was_refused = std::exchange(hosts_[of].refused, false);
        if (const auto found = jobs_.find(f.id); found != jobs_.end()) {
            if (!counts) counts = ++found->second.what->returns > max_returns;
            const bool elsewhere = counts && broken && any_unsettled(f.recipients) && fails_over(found->second, c, now);
            counts = counts && !elsewhere;
            merge(found->second, c, std::move(f), counts);
            conclude(found, counts, now);
        }
        pull(id, c, now);
        if (was_refused || (takes_turns && c.in_flight == 0)) feed(of, now);
        // What became idle here may serve, or make room for, another destination.
        if (c.in_flight == 0) feed_hungry(now);
    }

    /// A connection is over, or could not be opened.
    void closed(connection_id id, const smtp::closed& why, time_point now) {
        const auto found = connections_.find(id);
        if (found == connections_.end()) return;
        if (found->second.in_flight > 0) take_back(id, found->second, why, now);
        const auto c = found->second;
        count(c, -1);
        connections_.erase(found);
        auto& h = hosts_[c.host];
        std::erase(h.connections, id);
        // Its TLS does not work and need not: the next connection goes in the clear. Once, in case nobody heeds it.
        const bool clear_next =
            why.lesson == smtp::lesson::no_tls && !std::exchange(h.servers[c.server].in_clear, true);
        const bool unopened = c.state == conn_state::opening && why.error && !clear_next;
        if (unopened) {
            const bool works = std::ranges::any_of(h.connections, [&](connection_id other) {
                const auto& o = connections_.at(other);
                return o.server == c.server && o.state == conn_state::open;
            });
            if (works) pooling_.refused(id, now);
            if (!works) h.servers[c.server].down_until = after(now, pause_after_failure);
            if (observer_ && !works && h.servers.size() > 1)
                decided(now, id, 0, "passed over for a while: " + to_string(h.servers[c.server].at));
            h.refused = works || !any_up(h.servers, now);
            tell(c.host, h.live() > 0 ? scheduling::host_event::refused : scheduling::host_event::unreachable, now);
        } else if (c.state == conn_state::open && !c.failed) {
            hung_up(id, now);
        }
        pooling_.closed(id);
        if constexpr (requires { queueing_.left(); })
            if (std::erase(leaving_, id) > 0 && leaving_.empty()) queueing_.left();
        if (c.turn) end_turn(c.host, now);
        if (c.successor) succeed(*c.successor, now);
        // Refused credentials are not tried elsewhere: many failures lock an account.
        const bool hopeless = why.error == errc::authentication_rejected;
        if (unopened && h.live() == 0 && (hopeless || !any_up(h.servers, now))) {
            for (auto& s : h.servers) s.down_until = time_point::min();
            fail_waiting(c.host, why, now);
        }
        feed(c.host, now);
        feed_changed(now);
        feed_hungry(now);
    }

    /// Ends a job early. No effect if there is none of that id.
    void cancel(job_id id, cancel_kind kind, errc why, time_point) {
        const auto found = jobs_.find(id);
        if (found == jobs_.end()) {
            auto waiting = queueing_.take(id);
            if (!waiting) return;
            forget_deadline(*waiting);
            waiting->error = why;
            return over(*std::move(waiting));
        }
        auto& h = found->second;
        if (h.connection) {
            if (kind == cancel_kind::if_waiting || h.cancelled) return;
            h.cancelled = why;
            if (!h.marking) actions_.push_back(interrupt{*h.connection, id});
            return;
        }
        scheduling_.withdraw(id, h.host);
        h.what->error = why;
        if (!is_durable || why != errc::shut_down) return finish(found);
        tell_waiter(*h.what, why);
        release(found);
    }

    /// Cancels everything that it holds. With errc::shut_down a durable queue keeps it, for the next process.
    void cancel_all(errc why, time_point now) {
        std::vector<job_id> ids;
        for (const auto& entry : jobs_) ids.push_back(entry.first);
        for (const auto id : ids) cancel(id, cancel_kind::at_once, why, now);
        if constexpr (is_durable) return;
        leased_.clear();
        queueing_.lease(std::size_t(-1), never, leased_);
        for (auto& j : leased_) {
            j.error = why;
            forget_deadline(j);
            queueing_.settle(j);
            over(std::move(j));
        }
    }

    /// Gives out what it holds and asks no policy, for when one of them cannot be relied on any more. What was under
    /// way is in doubt.
    std::vector<std::unique_ptr<job>> surrender() {
        std::vector<std::unique_ptr<job>> all;
        for (auto& [id, h] : jobs_) {
            if (!h.what) continue;
            name_recipients(*h.what);
            auto& to = h.what->result.recipients;
            for (std::size_t i = 0; h.connection && !h.marking && i < asked(h); ++i)
                if (auto& r = to[h.asked.empty() ? i : h.asked[i]]; is_unsettled(r)) r.status = status::in_doubt;
            all.push_back(std::move(h.what));
        }
        jobs_.clear();
        connections_.clear();
        return all;
    }

    /// Jobs that match, oldest first, `limit` at most.
    std::vector<queueing::job_info> list(const queueing::job_filter& which, std::size_t limit, time_point now) const {
        std::vector<queueing::job_info> out;
        for (const auto& entry : jobs_)
            if (auto j = info_of(entry.second, now); which.matches(j)) out.push_back(std::move(j));
        queueing_.list(which, limit + out.size(), now, out);
        std::ranges::sort(out,
                          [](const auto& a, const auto& b) { return a.age != b.age ? a.age > b.age : a.id < b.id; });
        if (out.size() > limit) out.resize(limit);
        return out;
    }
    queueing::queue_counts count(time_point now) const {
        queueing::queue_counts counts;
        for (const auto& entry : jobs_) {
            const auto& h = entry.second;
            ++counts.by_state[static_cast<std::size_t>(state_of(h))];
            counts.oldest = std::max(counts.oldest, queueing::age(h.what->submitted, now));
        }
        queueing_.count(now, counts);
        return counts;
    }
    /// Those that match and wait for a time, or for somebody, go now. Returns how many.
    std::size_t retry_now(const queueing::job_filter& which, time_point now) {
        const auto n = queueing_.retry_now(which, now);
        wake(now);
        return n;
    }
    /// Those that match and are not being sent wait for retry_now(). Returns how many.
    std::size_t hold(const queueing::job_filter& which, time_point now) {
        const auto ids = waiting(which, now);
        for (const auto id : ids) {
            const auto found = jobs_.find(id);
            scheduling_.withdraw(id, found->second.host);
            keep(found, queueing::job_state::held);
        }
        return ids.size() + queueing_.hold(which, now);
    }
    /// Cancels those that match and are not being sent. Returns how many.
    std::size_t drop(const queueing::job_filter& which, time_point now) {
        const auto ids = waiting(which, now);
        for (const auto id : ids) cancel(id, cancel_kind::if_waiting, errc::cancelled, now);
        auto others = queueing_.drop(which, now);
        for (auto& j : others) {
            forget_deadline(j);
            j.error = errc::cancelled;
            over(std::move(j));
        }
        return ids.size() + others.size();
    }

    void pause(scheduling::selection what) { scheduling_.pause(resolved(std::move(what))); }
    void resume(scheduling::selection what, time_point now) {
        scheduling_.resume(resolved(std::move(what)));
        tick(now);
    }

    /// Lets every connection end once it has nothing to do, and opens no more for idle ones to come.
    void quit_all() {
        draining_ = true;
        for (auto& entry : connections_)
            if (entry.second.in_flight == 0 && entry.second.state != conn_state::quitting) quit(entry.first);
    }

    std::optional<action> poll() { return actions_.poll(); }
    bool has_actions() const noexcept { return !actions_.empty(); }
    /// Nothing is held, here or in the queue; in a durable one, nothing that is due.
    bool idle(time_point now) const {
        if (!jobs_.empty()) return false;
        if constexpr (is_durable) return queueing_.drained(now);
        return queueing_.size() == 0;
    }
    std::size_t connections() const noexcept { return connections_.size(); }

private:
    static constexpr bool is_durable = queueing::durable<Queueing>;
    // Whether the scheduler says which destination gets the next connection; otherwise they get one as they ask.
    static constexpr bool takes_turns = scheduling::gives_turns<Scheduling>;

    enum class conn_state : unsigned char { opening, open, quitting };
    struct conn {
        host_id host = 0;
        std::size_t server = 0;  // index into host::servers
        conn_state state = conn_state::opening;
        std::size_t room = 0;
        std::size_t in_flight = 0;
        recipient_limits limits = {};
        bool fresh = true;  // carried nothing to its end yet
        bool full = false;  // the pool wants it closed after what it carries
        bool failed = false;
        bool turn = false;                      // given by the scheduler, until it is idle
        std::optional<host_id> successor = {};  // it was evicted for this destination
    };
    struct held {
        std::unique_ptr<job> what = {};  // by pointer: it goes on to who waits for it
        host_id host = 0;
        std::optional<connection_id> connection = {};
        places asked = {};     // recipients of the transaction that is under way
        places rest = {};      // recipients of this attempt for further transactions, if there are any
        bool split = false;    // this attempt takes several transactions
        bool marking = false;  // it has a connection, and is given to it once its mark is stored
        bool lost = false;     // the queue gives it out again
        std::size_t failovers = 0;
        std::optional<errc> cancelled = {};
    };
    struct host {
        std::string destination = {};
        std::vector<server> servers = {};
        std::vector<connection_id> connections = {};
        std::size_t opening = 0;
        std::size_t coming = 0;  // once an evicted connection of another destination is gone
        std::size_t open = 0;
        std::size_t idle = 0;  // of those that are open
        bool refused = false;  // a connection; opening more can wait until one of the others moves on
        bool hungry = false;   // in hungry_
        bool limited = false;  // in limited_
        bool changed = false;  // in changed_

        // Connections that are not on their way out.
        std::size_t live() const noexcept { return opening + open; }
    };
    struct hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view s) const noexcept { return std::hash<std::string_view>()(s); }
    };
    using jobs = std::unordered_map<job_id, held>;

    void admit(job&& j, time_point now) {
        if (j.submitted == time_point::min()) j.submitted = now;
        name_recipients(j);
        // Of an earlier process; one of this process is known already.
        if (is_durable && j.deadline != never) give_up_at(j.id, j.deadline);
        host_id h = 0;
        try {
            h = host_of(transport_.route(j.mail->envelope));
        } catch (const error& e) {
            return refuse(std::move(j), e.code(), e.details());
        }
        if (hosts_[h].servers.empty())
            return refuse(std::move(j), errc::resolve_failed,
                          {.where = phase::resolve, .explanation = "the transport names no server for this message"});
        auto& entry = jobs_[j.id];
        entry.what = std::make_unique<job>(std::move(j));
        entry.host = h;
        if (std::exchange(entry.what->interrupted, false)) {
            ++entry.what->result.attempts;
            return conclude(jobs_.find(entry.what->id), true, now);
        }
        scheduling_.admit(*entry.what, h, now);
        change(h);
    }

    void refuse(job&& j, error_code ec, const diagnostics& d) {
        j.error = ec;
        j.result.details = d;
        forget_deadline(j);
        queueing_.settle(j);
        over(std::move(j));
    }

    void over(job&& j) { over(std::make_unique<job>(std::move(j))); }
    void over(std::unique_ptr<job> j) {
        name_recipients(*j);
        actions_.push_back(complete{std::move(j)});
    }
    // Whoever waits for it learns how it stands, and no more: it stays in the queue.
    void tell_waiter(job& j, error_code why) {
        if (!j.waiter) return;
        over({.id = j.id, .result = j.result, .error = why, .waiter = std::move(j.waiter)});
    }

    static queueing::job_state state_of(const held& h) noexcept {
        return h.connection ? queueing::job_state::sending : queueing::job_state::waiting;
    }
    static queueing::job_info info_of(const held& h, time_point now) {
        return queueing::describe(*h.what, state_of(h), now);
    }
    // Jobs that match and have no connection.
    std::vector<job_id> waiting(const queueing::job_filter& which, time_point now) const {
        std::vector<job_id> ids;
        for (const auto& [id, h] : jobs_)
            if (!h.connection && which.matches(info_of(h, now))) ids.push_back(id);
        return ids;
    }
    // The scheduler knows destinations by number.
    scheduling::selection resolved(scheduling::selection what) {
        if (what.by == scheduling::selection::kind::destination) what.host = host_of(std::exchange(what.name, {}));
        return what;
    }

    host_id host_of(std::string_view destination) {
        if (const auto known = by_name_.find(destination); known != by_name_.end()) return known->second;
        host made{.destination = std::string(destination)};
        for (auto& e : transport_.hosts(made.destination)) made.servers.push_back({.at = std::move(e)});
        const auto h = static_cast<host_id>(hosts_.size());
        by_name_.emplace(made.destination, h);
        hosts_.push_back(std::move(made));
        return h;
    }

    void change(host_id h) {
        if (!std::exchange(hosts_[h].changed, true)) changed_.push_back(h);
    }

    // Destinations for which more became sendable by time alone; a scheduler that cannot name them has all looked at.
    void ripen(time_point now) {
        if constexpr (requires { scheduling_.ripe(now); }) {
            while (const auto h = scheduling_.ripe(now)) change(*h);
        } else {
            for (host_id h = 0; h < hosts_.size(); ++h) change(h);
        }
    }

    // Those for which something arrived.
    void feed_changed(time_point now) {
        while (!changed_.empty()) {
            const auto h = changed_.pop_front();
            hosts_[h].changed = false;
            feed(h, now);
        }
    }

    // Those that wait for the pool's limit over all destinations, in turn, until one finds it reached again.
    void feed_hungry(time_point now) {
        if constexpr (takes_turns) return take_turns(now);
        for (auto left = hungry_.size(); left > 0 && !hungry_.empty(); --left) {
            const auto h = hungry_.pop_front();
            hosts_[h].hungry = false;
            feed(h, now);
            if (hosts_[h].hungry) return;
        }
    }

    // Finds connections for what waits: idle ones, new ones, then room behind what is under way.
    void feed(host_id h, time_point now) {
        if constexpr (takes_turns) {
            scheduling_.unhold(h);
            take_turns(now);
        } else {
            find_connections(h, now);
        }
        for (std::size_t i = 0; i < hosts_[h].connections.size(); ++i) {
            const auto id = hosts_[h].connections[i];
            auto& c = connections_.at(id);
            if (c.in_flight == 0 || c.room == 0) continue;
            if (scheduling_.waiting(h, now) == 0) break;
            pull(id, c, now);
        }
    }

    void find_connections(host_id h, time_point now) {
        while (const auto waiting = scheduling_.waiting(h, now)) {
            const bool more = waiting > hosts_[h].opening + hosts_[h].coming;
            if (!more && hosts_[h].idle == 0) break;
            const auto d = pooling_.acquire(h, now);
            if (d.what == pooling::advice::reuse) {
                auto& c = connections_.at(d.which);
                pull(d.which, c, now);
                if (c.in_flight == 0) break;
            } else if (d.what == pooling::advice::open) {
                if (!more || (hosts_[h].refused && hosts_[h].live() > 0)) break;
                open(h, now);
            } else if (d.what == pooling::advice::wait_here) {
                if (!std::exchange(hosts_[h].limited, true)) limited_.push_back(h);
                break;
            } else if (d.what == pooling::advice::evict) {
                replace(d.which, h);
            } else {
                if (!std::exchange(hosts_[h].hungry, true)) hungry_.push_back(h);
                break;
            }
        }
    }

    // The scheduler says who gets the next connection, until it or the pool has no more.
    void take_turns(time_point now) {
        if constexpr (takes_turns) {
            while (const auto h = scheduling_.turn(now)) {
                const auto d = pooling_.acquire(*h, now);
                if (d.what == pooling::advice::wait) return;
                if (d.what == pooling::advice::reuse) {
                    auto& c = connections_.at(d.which);
                    c.turn = true;
                    scheduling_.begin(*h, now);
                    pull(d.which, c, now);
                } else if (d.what == pooling::advice::open && !(hosts_[*h].refused && hosts_[*h].live() > 0)) {
                    scheduling_.begin(*h, now);
                    open(*h, now);
                } else if (d.what == pooling::advice::evict) {
                    scheduling_.begin(*h, now);
                    replace(d.which, *h);
                } else {
                    scheduling_.hold(*h);
                    if (d.what == pooling::advice::wait_here && !std::exchange(hosts_[*h].limited, true))
                        limited_.push_back(*h);
                }
            }
        }
    }

    void end_turn(host_id h, time_point now) {
        if constexpr (takes_turns) scheduling_.end(h, now);
    }
    void tell(host_id h, scheduling::host_event what, time_point now) {
        if constexpr (requires { scheduling_.signal(h, what, hosts_[h].open, now); })
            scheduling_.signal(h, what, hosts_[h].open, now);
    }
    // The server ended it though we would have gone on.
    void hung_up(connection_id id, time_point now) {
        if constexpr (requires { pooling_.hung_up(id, now); }) pooling_.hung_up(id, now);
    }
    std::size_t ahead() const {
        if constexpr (requires { scheduling_.look_ahead; }) return scheduling_.look_ahead;
        return look_ahead;
    }

    // The end of one connection makes room for one to `h`.
    void replace(connection_id id, host_id h) {
        connections_.at(id).successor = h;
        ++hosts_[h].coming;
        quit(id);
    }
    void succeed(host_id h, time_point now) {
        --hosts_[h].coming;
        const bool refused = hosts_[h].refused && hosts_[h].live() > 0;
        const bool more = scheduling_.waiting(h, now) > (takes_turns ? 0 : hosts_[h].opening);
        // The pool has the last word: what made it evict may have changed.
        const auto d = draining_ || refused || !more ? pooling::decision{} : pooling_.acquire(h, now);
        if (d.what == pooling::advice::open) return open(h, now);
        if (d.what == pooling::advice::evict) return replace(d.which, h);
        if (d.what == pooling::advice::reuse) {
            auto& c = connections_.at(d.which);
            c.turn = takes_turns;
            return pull(d.which, c, now);
        }
        end_turn(h, now);
        change(h);
    }

    void count(const conn& c, int by) {
        auto& h = hosts_[c.host];
        const auto n = static_cast<std::size_t>(by);
        if (c.state == conn_state::opening) h.opening += n;
        if (c.state == conn_state::open) h.open += n;
        if (c.state == conn_state::open && c.in_flight == 0) h.idle += n;
    }

    // Changes what a connection counts as.
    template <class F>
    void shift(conn& c, F&& f) {
        count(c, -1);
        f();
        count(c, 1);
    }

    void open(host_id h, time_point now) {
        const auto id = ++last_connection_;
        const auto which = choose(hosts_[h].servers, now);
        const auto& c = connections_.emplace(id, conn{.host = h, .server = which, .turn = takes_turns}).first->second;
        count(c, 1);
        hosts_[h].connections.push_back(id);
        pooling_.opening(id, h);
        if (observer_)
            decided(now, id, 0,
                    "a new connection for " + hosts_[h].destination + ": " +
                        std::to_string(scheduling_.waiting(h, now)) + " waiting, " + std::to_string(hosts_[h].open) +
                        " connections open");
        actions_.push_back(open_connection{id, hosts_[h].servers[which].at});
    }

    void quit(connection_id id) {
        auto& c = connections_.at(id);
        shift(c, [&] { c.state = conn_state::quitting; });
        actions_.push_back(quit_connection{id});
    }

    // A connection takes what it has room for; one that finds nothing goes back to the pool.
    void pull(connection_id id, conn& c, time_point now) {
        while (c.state == conn_state::open && c.room > 0 && !c.full && !c.failed) {
            const auto next = scheduling_.next(c.host, now);
            if (!next) break;
            auto& h = jobs_.at(*next);
            h.connection = id;
            std::tie(h.asked, h.rest) =
                divide(h.what->mail->envelope, h.rest.empty() ? to_ask(h.what->result) : h.rest, c.limits);
            h.split = h.split || !h.rest.empty();
            if (observer_ && !h.rest.empty())
                decided(now, id, *next,
                        "split: the server takes " + std::to_string(h.asked.size()) + " of these recipients at a time");
            --c.room;
            shift(c, [&] { ++c.in_flight; });
            c.full = pooling_.carried(id) == pooling::fate::close;
            give(id, *next, h);
        }
        if (c.state != conn_state::open || c.in_flight > 0 || c.failed) return;
        if (std::exchange(c.turn, false)) end_turn(c.host, now);
        // One without room still waits for replies to a cancelled job: nothing would tell when it has room again.
        if (c.full || draining_ || c.room == 0 || pooling_.released(id, now) == pooling::fate::close) quit(id);
    }

    // A durable queue stores first that the message may be with the server from now on.
    void give(connection_id to, job_id id, held& h) {
        if constexpr (is_durable) {
            h.marking = true;
            queueing_.mark(id);
        } else {
            actions_.push_back(transmit{to, {id, h.what->mail, h.asked}});
        }
    }
    void collect_marks(time_point now) {
        if constexpr (is_durable) {
            marked_.clear();
            if constexpr (requires { queueing_.revoked(marked_); }) {
                queueing_.revoked(marked_);
                for (const auto id : marked_)
                    if (const auto found = jobs_.find(id); found != jobs_.end() && found->second.marking)
                        found->second.cancelled = errc::cancelled;
            }
            queueing_.marked(marked_);
            for (const auto id : marked_) {
                const auto found = jobs_.find(id);
                if (found == jobs_.end() || !std::exchange(found->second.marking, false)) continue;
                auto& h = found->second;
                if (h.cancelled)
                    never_given(id, h, now);
                else
                    actions_.push_back(transmit{*h.connection, {id, h.what->mail, h.asked}});
            }
        }
    }
    void never_given(job_id id, const held& h, time_point now) {
        smtp::finished f{.id = id, .error = errc::cancelled, .details = {}, .recipients = {}};
        f.recipients.resize(asked(h));
        finished(*h.connection, std::move(f), connections_.at(*h.connection).room + 1, now);
    }
    void collect_lost(time_point now) {
        if constexpr (requires { queueing_.lost(marked_); }) {
            std::vector<job_id> lost;
            queueing_.lost(lost);
            for (const auto id : lost) {
                const auto found = jobs_.find(id);
                if (found == jobs_.end()) continue;
                auto& h = found->second;
                if (h.connection && !h.marking) continue;
                h.lost = true;
                if (std::exchange(h.marking, false)) {
                    never_given(id, h, now);
                    continue;
                }
                scheduling_.withdraw(id, h.host);
                conclude(found, false, now);
            }
        }
    }
    // Which of them served the destinations that leave is not known, and what is needed again is opened again.
    void close_idle() {
        if constexpr (requires { queueing_.leaves(); }) {
            if (!queueing_.leaves()) return;
            leaving_.clear();
            for (const auto& [id, c] : connections_)
                if (c.in_flight == 0) leaving_.push_back(id);
            for (const auto id : leaving_)
                if (connections_.at(id).state != conn_state::quitting) quit(id);
            if (leaving_.empty()) queueing_.left();
        }
    }
    static std::size_t asked(const held& h) {
        return h.asked.empty() ? h.what->result.recipients.size() : h.asked.size();
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

    // Whether an attempt that failed with its connection is made again at once, at another server.
    bool fails_over(held& h, const conn& c, time_point now) {
        auto& servers = hosts_[c.host].servers;
        if (servers.size() < 2) return false;
        servers[c.server].down_until = after(now, pause_after_failure);
        return any_up(servers, now) && ++h.failovers < servers.size();
    }

    static void merge(held& h, conn& c, smtp::finished&& f, bool counts) {
        auto& all = h.what->result.recipients;
        const auto index = [&](std::size_t i) { return h.asked.empty() ? i : h.asked[i]; };
        assert(f.recipients.size() == asked(h));
        std::size_t accepted = 0;
        for (std::size_t i = 0; i < f.recipients.size(); ++i) {
            auto& r = all[index(i)];
            // It was not asked again: it is in doubt as before.
            if (r.status == status::in_doubt && f.recipients[i].status == status::not_attempted) continue;
            r.status = f.recipients[i].status;
            r.where = f.recipients[i].where;
            r.reply = std::move(f.recipients[i].reply);
            if (r.status == status::accepted) ++accepted;
        }
        const bool went = !f.error || f.error == condition::permanent;
        if (!counts) {
            // The same recipients again; unless it was split they are those that are unsettled anyway.
            if (h.split) std::erase_if(h.asked, [&](auto r) { return !is_unsettled(all[r]); });
            if (h.split) h.rest.insert(h.rest.begin(), h.asked.begin(), h.asked.end());
        } else if (!went) {
            h.rest.clear();
        } else if (accepted > 0) {
            // RFC 5321 section 4.5.3.1.10: those beyond what the server takes at a time come at once, by themselves.
            places again;
            for (std::size_t i = 0; i < f.recipients.size(); ++i) {
                auto& r = all[index(i)];
                if (!too_many(r)) continue;
                r = {.address = std::move(r.address)};
                again.push_back(static_cast<std::uint32_t>(index(i)));
            }
            if (!again.empty()) c.limits.recipients = std::min(c.limits.recipients, accepted);
            h.rest.insert(h.rest.begin(), again.begin(), again.end());
        }
        if (!h.rest.empty()) h.split = true;
        if (counts && h.rest.empty()) {
            h.split = false;
            ++h.what->result.attempts;
        }
        h.what->error = f.error;
        h.what->result.details = std::move(f.details);
        h.connection.reset();
    }

    void conclude(typename jobs::iterator found, bool counts, time_point now) {
        auto& h = found->second;
        if (h.lost) {
            forget_deadline(*h.what);
            return release(found);
        }
        if (h.cancelled) {
            if (h.what->error == errc::cancelled) h.what->error = *h.cancelled;
            const bool stays = is_durable && *h.cancelled == errc::shut_down && !all_settled(h.what->result);
            if (!stays) return finish(found);
            tell_waiter(*h.what, errc::shut_down);
            if (!h.what->result.any_are(status::in_doubt)) return release(found);
            h.cancelled.reset();
            counts = true;
        }
        if (all_settled(h.what->result)) return finish(found);
        if (!counts || !h.rest.empty()) {
            if (observer_ && !counts)
                decided(now, 0, h.what->id, "goes again at once, elsewhere: " + h.what->result.details.explanation);
            change(h.host);
            return scheduling_.admit(*h.what, h.host, now);
        }
        const auto v = scheduling_.judge(*h.what, now);
        const bool doubtful = h.what->result.any_are(status::in_doubt);
        const bool too_late = v.what == verdict::kind::retry && v.at >= h.what->deadline;
        if (is_durable && doubtful && (v.what == verdict::kind::park || too_late)) return park(found, now);
        if (v.what != verdict::kind::retry || !Queueing::keeps || too_late) return finish(found);
        if (!any_unsettled(h.what->result.recipients)) ++h.what->doubts;
        h.what->due = v.at;
        if (observer_) note_retry(*h.what, v.late ? observed::late : observed::retry, now);
        queueing_.put_back(taken_out(found));
    }

    void park(typename jobs::iterator found, time_point now) {
        if constexpr (is_durable) {
            auto& j = *found->second.what;
            if (observer_) decided(now, 0, j.id, "in doubt: it waits in the queue until somebody decides");
            forget_deadline(j);
            j.deadline = never;
            tell_waiter(j, j.error);
            keep(found, queueing::job_state::in_doubt);
        }
    }
    void keep(typename jobs::iterator found, queueing::job_state state) {
        if constexpr (queueing::operable<Queueing>) queueing_.keep(taken_out(found), state);
    }
    void release(typename jobs::iterator found) {
        if constexpr (is_durable) queueing_.release(taken_out(found));
    }
    job taken_out(typename jobs::iterator found) {
        auto j = std::move(*found->second.what);
        jobs_.erase(found);
        return j;
    }

    void decided(time_point now, connection_id connection, job_id message, std::string_view text) const {
        observer_->on({.what = observed::decision,
                       .time = now,
                       .connection = connection,
                       .message = message,
                       .where = phase::queued,
                       .text = text});
    }
    void note_retry(const job& j, observed what, time_point now) const {
        auto why = j.error ? describe(j.error, j.result.details) : std::string();
        const auto& all = j.result.recipients;
        const auto r = std::ranges::find_if(all, is_unsettled);
        if (why.empty() && r != all.end()) why = to_string(r->reply);
        observer_->on({.what = what,
                       .time = now,
                       .message = j.id,
                       .server = j.result.details.host,
                       .where = phase::queued,
                       .text = why,
                       .took = j.due - now,
                       .error = j.error});
    }

    void finish(typename jobs::iterator found) {
        forget_deadline(*found->second.what);
        queueing_.settle(*found->second.what);
        over(std::move(found->second.what));
        jobs_.erase(found);
    }

    void forget_deadline(const job& j) {
        if (j.deadline != never) deadlines_.erase({j.deadline, j.id});
    }

    // What was on its way to a connection that ended before it got it.
    void take_back(connection_id id, conn& c, const smtp::closed& why, time_point now) {
        std::vector<job_id> lost;
        for (const auto& [job, h] : jobs_)
            if (h.connection == id) lost.push_back(job);
        for (const auto job : lost) {
            const auto found = jobs_.find(job);
            auto& h = found->second;
            const auto n = asked(h);
            h.marking = false;
            shift(c, [&] { --c.in_flight; });
            const bool counts = ++h.what->returns > max_returns;
            smtp::finished f{.id = job, .error = errc::connection_closed, .details = why.details, .recipients = {}};
            f.recipients.resize(n, {.where = why.details.where});
            merge(h, c, std::move(f), counts);
            conclude(found, counts, now);
        }
    }

    // Nobody could connect: every message that waits for this destination shares the attempt.
    void fail_waiting(host_id h, const smtp::closed& why, time_point now) {
        std::vector<job_id> waiting;
        if constexpr (requires { scheduling_.shed(h); }) {
            while (const auto id = scheduling_.shed(h)) waiting.push_back(*id);
        } else {
            for (auto left = scheduling_.waiting(h, now); left > 0; --left)
                if (const auto id = scheduling_.next(h, now)) waiting.push_back(*id);
        }
        for (const auto id : waiting) {
            const auto found = jobs_.find(id);
            found->second.rest.clear();
            found->second.split = false;
            auto& j = *found->second.what;
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
    std::unordered_map<std::string, host_id, hash, std::equal_to<>> by_name_;
    std::set<std::pair<time_point, job_id>> deadlines_;
    ring<host_id> changed_;         // have new jobs
    ring<host_id> hungry_;          // wait for the pool's limit over all destinations
    std::vector<host_id> limited_;  // wait for a limit of their own
    ring<action> actions_;
    std::vector<job> leased_;
    std::vector<job_id> marked_;
    std::vector<connection_id> leaving_;  // to be closed before the queue is told that they left
    observer* observer_ = nullptr;
    connection_id last_connection_ = 0;
    bool draining_ = false;
};

}  // namespace postroad::engine
