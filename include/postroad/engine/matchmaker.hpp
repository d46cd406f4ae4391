#pragma once
// Pool and scheduler together: which site gets a connection, which connection the next delivery. No I/O and no clock.

#include <postroad/core/clock.hpp>
#include <postroad/core/error.hpp>
#include <postroad/core/id_map.hpp>
#include <postroad/core/ring.hpp>
#include <postroad/core/thrown.hpp>
#include <postroad/engine/ledger.hpp>
#include <postroad/pooling/traits.hpp>
#include <postroad/scheduling/traits.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

namespace postroad::engine {

/// `Owner` has open(site, server, now) -> connection&, waits_at(site, job id) -> delivery* (null: it does not),
/// give(connection, delivery, now), quit(connection), and policy_failed(text, now) for what a policy threw. An answer
/// that makes no sense, such as a connection that nobody knows, is as if it had thrown.
template <class Owner, class Pooling, class Scheduling>
class matchmaker {
public:
    using pooling_traits = pooling::pooling_traits<Pooling>;
    using scheduling_traits = scheduling::scheduling_traits<Scheduling>;
    // Whether the scheduler says which site gets the next connection; otherwise they get one as they ask.
    static constexpr bool takes_turns = scheduling::gives_turns<Scheduling>;

    /// `lasts`: the queue does.
    matchmaker(Owner& owner, sites& all, connections& open, Pooling& pooling, Scheduling& scheduling, bool lasts)
        : owner_(owner),
          sites_(all),
          connections_(open),
          pooling_(pooling),
          scheduling_(scheduling),
          most_in_doubt_(scheduling_traits::most_in_doubt(scheduling, lasts)) {}

    /// Sites for which more became sendable by time alone; a scheduler that cannot name them has all looked at.
    void ripen(time_point now) {
        if (now < paused_until_) return;
        if constexpr (scheduling_traits::names_ripe) {
            const auto ask = [&] { return scheduling_traits::ripe(scheduling_, now); };
            while (const auto h = asked(now, std::optional<host_id>(), ask))
                if (site* const s = sites_.find(*h)) sites_.change(*s);
        } else {
            sites_.each([this](site& s) { sites_.change(s); });
        }
    }
    /// Ends idle connections whose time is over; a pool says so of each once, and then that there is none.
    void quit_expired(time_point now) {
        for (auto left = connections_.size() + 1; left > 0; --left) {
            const auto id = asked(now, std::optional<connection_id>(), [&] { return pooling_.expire(now); });
            if (!id) return;
            if (connection* const c = connections_.find(*id)) owner_.quit(*c);
        }
    }
    /// Any job that waits for a site which nobody can connect to.
    std::optional<job_id> shed(const site& s, time_point now) {
        return asked(now, std::optional<job_id>(),
                     [&] { return scheduling_traits::shed(scheduling_, s.place(), now); });
    }
    /// A limit of the pool may have ended.
    void unlimit() {
        for (auto& [provider, line] : std::exchange(limited_, {}))
            while (!line.empty())
                if (site* const s = sites_.find(line.pop_front())) {
                    s->limited = false;
                    sites_.change(*s);
                }
    }
    void feed_changed(time_point now) {
        while (site* const s = sites_.next_changed()) feed(*s, now);
    }
    /// Those that wait for the pool's limit over all sites, in turn, until one finds it reached again.
    void feed_hungry(time_point now) {
        if constexpr (takes_turns)
            take_turns(now);
        else
            feed_line(hungry_, &site::hungry, now);
    }

    /// The opening of a connection has come to an end: those that wait to be tried, in turn, until one finds that too
    /// many are silent still.
    void try_others(time_point now) { feed_line(untried_, &site::untried, now); }

    /// The first of those that are opened before there is a message is ready: the others follow.
    void warm(connection& c, time_point now) {
        for (auto n = std::exchange(c.at->warm, 0); n > 1; --n) {
            const auto d = acquire(*c.at, now);
            if (d.what == pooling::advice::reuse || d.what == pooling::advice::evict)
                (void)pooling_.released(d.which, now);
            if (d.what != pooling::advice::open) return;
            owner_.open(*c.at, c.server, now);
        }
    }

    /// Finds connections for what waits: idle ones, new ones, then room behind what is under way.
    void feed(site& s, time_point now) {
        if constexpr (takes_turns) {
            const auto at = s.place();
            scheduling_.unhold(at);
            scheduling_traits::unlimit(scheduling_, at);
            take_turns(now);
        } else {
            find_connections(s, now);
        }
        if (sites_.is_silent(s, now)) open_beside(s, now);
        for (std::size_t i = 0; i < s.connections.size(); ++i) {
            auto& c = connections_.at(s.connections[i]);
            if (c.is_idle() || c.room == 0) continue;
            if (waiting(s, now) == 0) break;
            pull(c, now);
        }
    }

    /// A connection takes what it has room for; one that finds nothing goes back to the pool.
    void pull(connection& c, time_point now) {
        while (c.is_open() && c.room > 0 && !c.full && !c.failed && !c.at->rests(now) && takes_another(c, now)) {
            delivery* const next = next_for(c, now);
            if (!next) break;
            --c.room;
            connections_.shift(c, [&] { c.jobs.push_back(next->what->id); });
            c.full = pooling_.carried(c.id) == pooling::fate::close;
            owner_.give(c, *next, now);
        }
        if (!c.is_open() || !c.is_idle() || c.failed) return;
        if (std::exchange(c.turn, false)) end_turn(*c.at, now);
        // One without room still waits for replies to a cancelled job: it holds back no other.
        if (c.drains) pooling_traits::draining(pooling_, c.id);
        if (c.full || c.room == 0 || draining_ || pooling_.released(c.id, now) == pooling::fate::close)
            owner_.quit(c);
        else
            make_room(*c.at, now);
    }

    /// A connection is gone.
    void gone(const connection& c, time_point now) {
        if (c.turn) end_turn(*c.at, now);
        if (c.successor)
            if (site* const s = sites_.find(*c.successor)) succeed(*s, now);
        make_room(*c.at, now);
    }

    /// Opens no more for idle ones to come.
    void drain() noexcept { draining_ = true; }

    std::size_t waiting(const site& s, time_point now) {
        return asked(now, std::size_t(0), [&] { return scheduling_.waiting(s.place(), now); });
    }
    std::size_t look_ahead(bool lasts) const { return scheduling_traits::look_ahead(scheduling_, lasts); }

    time_point wakeup() const {
        if (left_out_) return paused_until_;
        return std::min(pooling_.wakeup(), scheduling_.wakeup());
    }
    /// The pause after a throw is over: whatever was not asked then is asked now.
    void go_on(time_point now) {
        if (!left_out_ || now < paused_until_) return;
        left_out_ = false;
        sites_.each([this](site& s) {
            if (s.held > 0) sites_.change(s);
        });
    }

private:
    // In turn, until one waits again, as `waits` says.
    void feed_line(ring<host_id>& line, bool site::*waits, time_point now) {
        for (auto left = line.size(); left > 0 && !line.empty(); --left) {
            site* const s = sites_.find(line.pop_front());
            if (!s) continue;
            s->*waits = false;
            feed(*s, now);
            if (s->*waits) return;
        }
    }
    // Whether it may get one more ahead of what is under way, and how far that goes.
    bool takes_another(connection& c, time_point now) {
        if (!c.automatic) return true;
        auto& s = *c.at;
        const auto n = waiting(s, now);
        const bool some = n > s.idle || (c.is_idle() && n > 0);
        const auto d = !some ? demand::none : is_bulk(c, now) ? demand::bulk : demand::some;
        c.ahead = sites_.overlaps(s, c.server, now) ? s.servers[c.server].pace.allowed(c.id, d, now)
                                                    : smtp::pipelining::envelope;
        if (c.ahead == smtp::pipelining::window) return c.jobs.size() < most_in_doubt_;
        return c.jobs.size() < (c.ahead == smtp::pipelining::across ? 2 : 1);
    }
    // Whether what goes next may go in a window.
    bool is_bulk(const connection& c, time_point now) {
        if (most_in_doubt_ <= 1) return false;
        if (c.bulk) return true;
        const auto place = c.at->place();
        return asked(now, std::size_t(0), [&] { return scheduling_traits::backlog(scheduling_, place, now); }) >
               bulk_waiting;
    }
    // Asks a policy; what it throws ends no more than the question.
    template <class R, class F>
    R asked(time_point now, R otherwise, F&& f) {
        if (now < paused_until_) {
            left_out_ = true;
            return otherwise;
        }
        try {
            return f();
        } catch (...) {
            paused_until_ = after(now, pause_after_throw);
            left_out_ = true;
            owner_.policy_failed(text_of_exception(), now);
            return otherwise;
        }
    }
    delivery* next_for(const connection& c, time_point now) {
        return asked(now, static_cast<delivery*>(nullptr), [&]() -> delivery* {
            const auto id = scheduling_.next(c.at->place(), now);
            if (!id) return nullptr;
            delivery* const d = owner_.waits_at(*c.at, *id);
            if (!d)
                throw error(errc::policy_failed,
                            "the scheduler gave message " + std::to_string(*id) + ", which does not wait there");
            return d;
        });
    }
    pooling::decision acquire(site& s, time_point now) {
        return asked(now, pooling::decision{pooling::advice::wait}, [&] {
            const auto d = pooling_.acquire(s.place(), now);
            const bool reuses = d.what == pooling::advice::reuse;
            if (!reuses && d.what != pooling::advice::evict) return d;
            const connection* const c = connections_.find(d.which);
            if (!c || (reuses && !c->is_idle()))
                throw error(errc::policy_failed,
                            "the pool gave connection " + std::to_string(d.which) + ", which is not idle");
            return d;
        });
    }
    site* turn(time_point now) {
        return asked(now, static_cast<site*>(nullptr), [&]() -> site* {
            const auto h = scheduling_.turn(now);
            if (!h) return nullptr;
            site* const s = sites_.find(*h);
            if (!s) throw error(errc::policy_failed, "the scheduler gave a turn to a destination that is not there");
            return s;
        });
    }

    void find_connections(site& s, time_point now) {
        if (s.rests(now)) return sites_.ring(s, s.group->rest.until);
        while (const auto n = waiting(s, now)) {
            const bool more = n > s.opening + s.coming;
            if (!more && s.idle == 0) break;
            const auto d = acquire(s, now);
            if (d.what == pooling::advice::reuse) {
                auto& c = connections_.at(d.which);
                pull(c, now);
                if (c.is_idle()) break;
            } else if (d.what == pooling::advice::open) {
                if (!more || !open(s, now)) break;
            } else if (d.what == pooling::advice::wait_here) {
                limit(s);
                break;
            } else if (d.what == pooling::advice::wait_to_try) {
                wait_to_try(s);
                break;
            } else if (d.what == pooling::advice::evict) {
                replace(d.which, s);
            } else {
                if (!std::exchange(s.hungry, true)) hungry_.push_back(s.id);
                break;
            }
        }
    }

    // The scheduler says who gets the next connection, until it or the pool has no more.
    void take_turns(time_point now) {
        if constexpr (takes_turns) {
            while (site* const next = turn(now)) {
                site& s = *next;
                if (s.rests(now)) {
                    sites_.ring(s, s.group->rest.until);
                    scheduling_traits::limit(scheduling_, s.place());
                    continue;
                }
                const auto d = acquire(s, now);
                if (d.what == pooling::advice::wait) return;
                if (d.what == pooling::advice::reuse) {
                    auto& c = connections_.at(d.which);
                    c.turn = true;
                    scheduling_.begin(s.place(), now);
                    pull(c, now);
                } else if (d.what == pooling::advice::open && open(s, now)) {
                    scheduling_.begin(s.place(), now);
                } else if (d.what == pooling::advice::evict) {
                    scheduling_.begin(s.place(), now);
                    replace(d.which, s);
                } else if (d.what == pooling::advice::wait_here) {
                    scheduling_traits::limit(scheduling_, s.place());
                    limit(s);
                } else {
                    if (d.what == pooling::advice::wait_to_try) wait_to_try(s);
                    scheduling_.hold(s.place());
                }
            }
        }
    }

    bool open(site& s, time_point now) {
        const auto server = sites_.may_open(s, now);
        if (!server) return false;
        owner_.open(s, *server, now).turn = takes_turns;
        return true;
    }
    // Nothing is heard from the server that is tried.
    void open_beside(site& s, time_point now) {
        if (waiting(s, now) == 0) return;
        const auto d = acquire(s, now);
        if (d.what == pooling::advice::reuse) pull(connections_.at(d.which), now);
        if (d.what == pooling::advice::evict) replace(d.which, s);
        if (d.what != pooling::advice::open) return;
        if (const auto server = sites_.may_open(s, now)) owner_.open(s, *server, now);
    }
    void limit(site& s) {
        if (!std::exchange(s.limited, true)) limited_[s.group->id].push_back(s.id);
    }
    void wait_to_try(site& s) {
        if (!std::exchange(s.untried, true)) untried_.push_back(s.id);
    }
    // A connection is gone or idle: one of those that the limit of its provider keeps waiting may go.
    void make_room(const site& at, time_point now) {
        const auto line = limited_.find(at.group->id);
        if (line == limited_.end()) return;
        while (!line->second.empty()) {
            site* const s = sites_.find(line->second.pop_front());
            if (!s) continue;
            s->limited = false;
            sites_.change(*s);
            // Who takes turns knows of others itself.
            if (takes_turns || waiting(*s, now) > 0) break;
        }
        if (line->second.empty()) limited_.erase(line);
    }
    void end_turn(site& s, time_point now) {
        if constexpr (takes_turns) scheduling_.end(s.place(), now);
    }

    // The end of one connection makes room for one to `s`.
    void replace(connection_id id, site& s) {
        auto& c = connections_.at(id);
        c.successor = s.id;
        ++s.coming;
        owner_.quit(c);
    }
    void succeed(site& s, time_point now) {
        --s.coming;
        const bool more = !draining_ && waiting(s, now) > (takes_turns ? 0 : s.opening);
        // The pool has the last word: what made it evict may have changed.
        const auto d = more ? acquire(s, now) : pooling::decision{};
        if (d.what == pooling::advice::open && open(s, now)) return;
        if (d.what == pooling::advice::evict) return replace(d.which, s);
        if (d.what == pooling::advice::reuse) {
            auto& c = connections_.at(d.which);
            c.turn = takes_turns;
            return pull(c, now);
        }
        end_turn(s, now);
        sites_.change(s);
    }

    Owner& owner_;
    sites& sites_;
    connections& connections_;
    Pooling& pooling_;
    Scheduling& scheduling_;
    ring<host_id> hungry_;
    id_map<ring<host_id>> limited_;  // by provider
    ring<host_id> untried_;
    time_point paused_until_ = time_point::min();
    bool left_out_ = false;  // a question that would have come within the pause
    bool draining_ = false;
    std::size_t most_in_doubt_;  // on one connection that goes ahead as it is told
};

}  // namespace postroad::engine
