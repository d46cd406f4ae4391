#pragma once
// Joins the axes, without I/O: jobs, events of sessions, answers and `now` go in; actions and a deadline come out.
// Connections pull: one that has room asks the scheduler for the next delivery of its site. See docs/sans_io.md.

#include <postroad/core/clock.hpp>
#include <postroad/core/observer.hpp>
#include <postroad/engine/arrivals.hpp>
#include <postroad/engine/departures.hpp>
#include <postroad/engine/ledger.hpp>
#include <postroad/engine/marks.hpp>
#include <postroad/engine/matchmaker.hpp>
#include <postroad/engine/standing.hpp>
#include <postroad/engine/verdict.hpp>
#include <postroad/queueing/traits.hpp>
#include <postroad/transport/traits.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

namespace postroad::engine {

/// Single-threaded; reads no clock. The policies belong to the owner and outlive it.
///
/// What a policy throws when it is asked ends that question, and what it was about, with errc::policy_failed. What it
/// throws when it is told leaves here: the owner must stop.
template <transport::transport_policy Transport, pooling::pooling_policy Pooling, queueing::queueing_policy Queueing,
          scheduling::scheduling_policy Scheduling>
class dispatcher {
    using queueing_traits = queueing::queueing_traits<Queueing>;
    using scheduling_traits = scheduling::scheduling_traits<Scheduling>;
    using pooling_traits = pooling::pooling_traits<Pooling>;
    static constexpr bool lasts = queueing_traits::lasts;

public:
    dispatcher(const Transport& transport, Pooling& pooling, Queueing& queueing, Scheduling& scheduling)
        : pooling_(pooling),
          queueing_(queueing),
          scheduling_(scheduling),
          out_(book_, queueing, scheduling),
          in_(book_, out_, transport, queueing, scheduling),
          marks_(book_, queueing),
          match_(*this, book_.sites, book_.connections, pooling, scheduling),
          standing_(*this, book_, out_, pooling, scheduling) {}
    dispatcher(const dispatcher&) = delete;
    dispatcher& operator=(const dispatcher&) = delete;

    /// `to` is told of decisions; it outlives the dispatcher, or is taken away. Null: nobody is.
    void observe(observer* to) noexcept { book_.watcher = to; }

    /// The queue may have jobs that are due.
    void wake(time_point now) {
        collect_marks(now);
        close_idle();
        forget_idle(now);
        in_.lease(now);
        match_.feed_changed(now);
    }

    /// Opens up to `n` connections to a place before there is a message for it.
    void warm_up(std::string_view name, std::size_t n, time_point now) {
        site* const s = in_.locate(name, now);
        if (!s) return;
        s->warm = n;
        if (n > 0 && pooling_.acquire(s->place(), now).what == pooling::advice::open)
            if (const auto server = book_.sites.may_open(*s, now)) open(*s, *server, now);
    }

    /// The message is given up at `when`, wherever it is by then.
    void give_up_at(job_id id, time_point when) { book_.deliveries.give_up_at(id, when); }

    /// deadline() has passed.
    void tick(time_point now) {
        give_up_due(now);
        in_.tick(now);
        const bool pool_due = pooling_.wakeup() <= now;
        while (const auto id = pooling_.expire(now))
            if (connection* const c = book_.connections.find(*id)) quit(*c);
        if (pool_due) match_.unlimit();
        while (site* const s = book_.sites.rung(now)) {
            if (book_.sites.is_stuck(*s, now)) standing_.send_back(*s, now);
            book_.sites.change(*s);
        }
        match_.go_on(now);
        if (scheduling_.wakeup() <= now) match_.ripen(now);
        wake(now);
        if (pool_due) match_.feed_hungry(now);
    }

    time_point deadline() const {
        return std::min({in_.wakeup(), book_.deliveries.deadline(), match_.wakeup(), book_.sites.wakeup()});
    }

    /// A connection's session is ready and takes `room` transactions, each within `limits`. With no room it is over
    /// again, as where the server ends it with the last reply of its opening: closed() says how, and the opening
    /// failed.
    void ready(connection_id id, std::size_t room, time_point now, recipient_limits limits = {}) {
        if (room == 0) return;
        auto& c = book_.connections.at(id);
        book_.sites.opened(*c.at, c.server);
        book_.connections.shift(c, [&] { c.now = connection::state::open; });
        c.room = room;
        c.ready_at = now;
        c.limits = {std::max<std::size_t>(limits.recipients, 1), std::max<std::size_t>(limits.domains, 1)};
        site& s = *c.at;
        standing_.tell(s, scheduling::host_event::opened, now);
        match_.warm(c, now);
        match_.pull(c, now);
        match_.feed(s, now);
        match_.feed_hungry(now);
    }

    /// A transaction ended; its session now takes `room` more.
    void finished(connection_id id, smtp::finished&& f, std::size_t room, time_point now) {
        auto& c = book_.connections.at(id);
        c.room = room;
        // Whoever has no MAIL has taken it in another way.
        f.answered = f.answered || !f.error;
        book_.connections.shift(c, [&] { std::erase(c.jobs, f.id); });
        book_.sites.learn(*c.at, c.server, f.lesson, now);
        const bool first_failure = breaks_connection(f.error) && !std::exchange(c.failed, true);
        site& s = *c.at;
        if (delivery* const d = book_.deliveries.find(f.id)) {
            const auto said = ruling_of(f, {.carried = c.carried});
            auto r = standing_.in_view_of(s, *d, f, said);
            const bool hopeless = standing_.note_end(c, f, r, said, first_failure, now);
            // A refusal is the answer that somebody waits for, whomever it is about.
            if (!lasts && !f.error && (r == ruling::setting || r == ruling::outage)) r = ruling::settled;
            end_attempt(*d, c, std::move(f), r, now);
            if (hopeless) standing_.fail_waiting(s, now);
        }
        match_.pull(c, now);
        if (match_.takes_turns && c.is_idle()) match_.feed(s, now);
        // What became idle here may serve, or make room for, another site.
        if (c.is_idle()) match_.feed_hungry(now);
        match_.feed_changed(now);
    }

    /// A connection is over, or could not be opened.
    void closed(connection_id id, const smtp::closed& why, time_point now) {
        connection* const known = book_.connections.find(id);
        if (!known) return;
        take_back(*known, why, now);
        const auto c = book_.connections.close(*known);
        site& s = *c.at;
        const bool hopeless = standing_.note_close(c, why, now);
        pooling_.closed(id);
        if (std::erase(leaving_, id) > 0 && leaving_.empty()) queueing_traits::left(queueing_);
        match_.gone(c, now);
        if (hopeless && s.live() == 0) standing_.fail_waiting(s, now);
        if (book_.sites.is_stuck(s, now)) standing_.send_back(s, now);
        match_.feed(s, now);
        match_.feed_changed(now);
        match_.feed_hungry(now);
        if (s.held == 0 && s.connections.empty()) book_.sites.rest(s, now);
    }

    /// The answer to a question for a location.
    void located(question_id q, transport::located&& answer, time_point now) {
        in_.located(q, std::move(answer), now);
        match_.feed_changed(now);
    }

    /// Ends a message early, or all its parts. No effect if there is none of that id.
    void cancel(job_id id, cancel_kind kind, errc why, time_point now) {
        const auto held = book_.deliveries.of(id);
        if (kind == cancel_kind::if_waiting && std::ranges::any_of(held, [this](job_id part) {
                return book_.deliveries.find(part)->connection.has_value();
            }))
            return;
        for (const auto part : held)
            if (delivery* const d = book_.deliveries.find(part)) out_.cancel(*d, why, now);
        if (held.empty()) return cancel_queued({id}, why);
        if (held.front() != id) cancel_queued_parts(id, why);
    }

    /// Cancels everything that it holds. With errc::shut_down a durable queue keeps it, for the next process.
    void cancel_all(errc why, time_point now) {
        cancel_each([](const delivery&) { return true; }, why, now);
        cancel_queued(why);
    }

    /// Begins nothing new: what is on no connection is cancelled with errc::shut_down, and stays in a durable queue;
    /// what is under way goes on to its end, once. Connections end as they become idle.
    void drain(time_point now) {
        book_.draining = true;
        cancel_each([](const delivery& d) { return !d.connection || d.marking; }, errc::shut_down, now);
        cancel_queued(errc::shut_down);
        quit_all();
    }

    /// Gives out what it holds and asks no policy, for when one of them cannot be relied on any more. What was under
    /// way is in doubt.
    std::vector<std::unique_ptr<job>> surrender() {
        std::vector<std::unique_ptr<job>> all;
        book_.deliveries.each([&](delivery& d) {
            if (!d.what) return;
            name_recipients(*d.what);
            auto& to = d.what->result.recipients;
            const auto& asked = d.attempt.asked;
            for (std::size_t i = 0; d.connection && !d.marking && i < d.attempt.size(d.what->result); ++i)
                if (auto& r = to[asked.empty() ? i : asked[i]]; is_unsettled(r)) r.status = status::in_doubt;
            all.push_back(std::move(d.what));
        });
        book_.deliveries = {};
        book_.connections = {};
        return all;
    }

    /// Jobs that match, oldest first, `limit` at most.
    std::vector<queueing::job_info> list(const queueing::job_filter& which, std::size_t limit, time_point now) const {
        std::vector<queueing::job_info> out;
        book_.deliveries.each([&](const delivery& d) {
            if (auto j = info_of(d, now); which.matches(j)) out.push_back(std::move(j));
        });
        queueing_.list(which, limit + out.size(), now, out);
        std::ranges::sort(out,
                          [](const auto& a, const auto& b) { return a.age != b.age ? a.age > b.age : a.id < b.id; });
        if (out.size() > limit) out.resize(limit);
        return out;
    }
    queueing::queue_counts count(time_point now) const requires queueing::operable<Queueing> {
        queueing::queue_counts counts;
        book_.deliveries.each([&](const delivery& d) {
            ++counts.by_state[static_cast<std::size_t>(state_of(d))];
            counts.oldest = std::max(counts.oldest, queueing::age(d.what->submitted, now));
        });
        queueing_.count(now, counts);
        book_.sites.add_troubles(counts.troubles, now);
        book_.domains.add_troubles(counts.troubles, now);
        std::ranges::stable_sort(counts.troubles, std::greater<>(), &queueing::trouble::waiting);
        if (counts.troubles.size() > queueing::max_troubles) counts.troubles.resize(queueing::max_troubles);
        return counts;
    }
    /// Those that match and wait for a time, or for somebody, go now; all rests end. Returns how many.
    std::size_t retry_now(const queueing::job_filter& which, time_point now) {
        book_.sites.end_rests();
        book_.domains.end_rests();
        const auto n = queueing_.retry_now(which, now);
        in_.end_pause();
        tick(now);
        return n;
    }
    /// Those that match and are not being sent wait for retry_now(). Returns how many.
    std::size_t hold(const queueing::job_filter& which, time_point now) {
        const auto ids = waiting(which, now);
        for (const auto id : ids) {
            auto& d = *book_.deliveries.find(id);
            out_.leave_line(d);
            out_.keep(d, queueing::job_state::held, now);
        }
        return ids.size() + queueing_.hold(which, now);
    }
    /// Cancels those that match and are not being sent. Returns how many.
    std::size_t drop(const queueing::job_filter& which, time_point now) {
        const auto ids = waiting(which, now);
        for (const auto id : ids)
            if (delivery* const d = book_.deliveries.find(id)) out_.cancel(*d, errc::cancelled, now);
        auto others = queueing_.drop(which, now);
        for (auto& j : others) out_.cancelled(std::move(j), errc::cancelled);
        return ids.size() + others.size();
    }

    /// Places are paused by name, that of a domain, a site or a provider; all else is the scheduler's.
    void pause(scheduling::selection what, time_point now) requires scheduling::pauses<Scheduling> {
        if (what.by != scheduling::selection::kind::destination) return scheduling_.pause(what);
        in_.pause(what.name, now);
    }
    void resume(scheduling::selection what, time_point now) requires scheduling::pauses<Scheduling> {
        if (what.by == scheduling::selection::kind::destination)
            in_.resume(what.name, now);
        else
            scheduling_.resume(what);
        tick(now);
    }

    /// Lets every connection end once it has nothing to do, and opens no more for idle ones to come.
    void quit_all() {
        match_.drain();
        book_.connections.each([&](connection& c) {
            if (c.is_idle()) quit(c);
        });
    }

    std::optional<action> poll() { return book_.actions.poll(); }
    bool has_actions() const noexcept { return !book_.actions.empty(); }
    /// Nothing is held, here or in the queue; in a durable one, nothing that is due.
    bool idle(time_point now) const {
        if (!book_.deliveries.empty()) return false;
        if (book_.draining) return true;
        if constexpr (lasts) return queueing_.drained(now);
        return queueing_.size() == 0;
    }
    std::size_t connections() const noexcept { return book_.connections.size(); }
    /// Sites and domains that are known.
    std::size_t known_places() const noexcept { return book_.sites.size() + book_.domains.size(); }

private:
    friend class matchmaker<dispatcher, Pooling, Scheduling>;
    friend class standing<dispatcher, Pooling, Queueing, Scheduling>;

    // The verbs of its parts.

    connection& open(site& s, std::size_t server, time_point now) {
        auto& c = book_.connections.open(s, server);
        book_.sites.opening(s, server, now);
        pooling_.opening(c.id, s.place());
        if (book_.watcher)
            book_.decided(now, c.id, 0,
                          "a new connection for " + s.name + ": " + std::to_string(match_.waiting(s, now)) +
                              " waiting, " + std::to_string(s.open) + " connections open");
        book_.actions.push_back(open_connection{c.id, s.servers[server].at, book_.sites.lessons(s, server, now)});
        return c;
    }
    void quit(connection& c) {
        if (c.now == connection::state::quitting) return;
        book_.connections.shift(c, [&] { c.now = connection::state::quitting; });
        book_.actions.push_back(quit_connection{c.id});
    }
    void give(connection& c, job_id id, time_point now) {
        auto& d = *book_.deliveries.find(id);
        d.connection = c.id;
        d.attempt.begin(d.what->mail->envelope, d.what->result, c.limits);
        if (book_.watcher && !d.attempt.rest.empty())
            book_.decided(
                now, c.id, id,
                "split: the server takes " + std::to_string(d.attempt.asked.size()) + " of these recipients at a time");
        // One that rested before its first message may have gone stale, as others may between two.
        if (!std::exchange(c.used, true)) c.carried = now >= after(c.ready_at, silence);
        marks_.give(d);
    }
    // What waits in the queue is taken out together: a queue on a disk stores that once.
    void give_up_due(time_point now) {
        std::vector<job_id> waiting;
        while (const auto id = book_.deliveries.due(now))
            if (book_.deliveries.of(*id).empty())
                waiting.push_back(*id);
            else
                cancel(*id, cancel_kind::at_once, errc::timed_out, now);
        if (!waiting.empty()) cancel_queued(waiting, errc::timed_out);
    }
    // Messages of which nothing is held.
    void cancel_queued(const std::vector<job_id>& ids, errc why) {
        std::unordered_set<job_id> taken;
        for (auto& j : queueing_traits::take_all(queueing_, ids)) {
            taken.insert(j.id);
            out_.cancelled(std::move(j), why);
        }
        for (const auto id : ids)
            if (!taken.contains(id)) cancel_queued_parts(id, why);
    }
    void cancel_queued_parts(job_id whole, errc why) {
        for (auto& part : queueing_traits::take_parts(queueing_, whole)) out_.cancelled(std::move(part), why);
    }
    // Deliveries that are held, oldest first.
    template <class F>
    void cancel_each(F which, errc why, time_point now) {
        std::vector<job_id> ids;
        book_.deliveries.each([&](const delivery& d) {
            if (which(d)) ids.push_back(d.what->id);
        });
        std::ranges::sort(ids);
        for (const auto id : ids)
            if (delivery* const d = book_.deliveries.find(id)) out_.cancel(*d, why, now);
    }
    // Where the queue does not last nobody else takes it out.
    void cancel_queued(errc why) {
        if constexpr (lasts) return;
        std::vector<job> waiting;
        queueing_.lease(std::size_t(-1), never, waiting);
        for (auto& j : waiting) {
            j.error = why;
            queueing_.settle(j);
            out_.cancelled(std::move(j), why);
        }
    }
    void policy_failed(const std::string& text, time_point now) { book_.policy_failed(text, now); }

    void end_attempt(delivery& d, connection& c, smtp::finished&& f, ruling r, time_point now) {
        auto& j = *d.what;
        j.blame = blame_of(r);
        if (r == ruling::setting || r == ruling::outage) {
            auto why = standing_.closed_by(f, c);
            j.error = why.error;
            j.result.details = std::move(why.details);
        } else {
            j.error = f.error;
            j.result.details = std::move(f.details);
        }
        const bool counts = r == ruling::settled || r == ruling::over || r == ruling::later || r == ruling::doubt ||
                            (r == ruling::ours && f.answered);
        if (counts) j.returns = 0;
        if (counts) d.failovers = 0;
        d.attempt.end(j.result, std::move(f), r, c.limits);
        d.connection.reset();
        if (counts && d.attempt.rest.empty()) ++j.result.attempts;
        out_.conclude(d, r, now);
    }
    // What was on its way to a connection that ended before it got it.
    void take_back(connection& c, const smtp::closed& why, time_point now) {
        for (const auto id : std::vector<job_id>(c.jobs)) {
            book_.connections.shift(c, [&] { std::erase(c.jobs, id); });
            delivery* const d = book_.deliveries.find(id);
            if (!d) continue;
            d->marking = false;
            smtp::finished f{.id = id, .error = errc::connection_closed, .details = why.details, .recipients = {}};
            f.recipients.resize(d->attempt.size(d->what->result), {.where = why.details.where});
            const auto r = ++d->what->returns >= max_returns ? ruling::later : ruling::again;
            end_attempt(*d, c, std::move(f), r, now);
        }
    }

    void collect_marks(time_point now) {
        marks_.collect([&](delivery& d) { this->never_given(d, now); },
                       [&](delivery& d) {
                           out_.leave_line(d);
                           out_.conclude(d, ruling::ours, now);
                       });
    }
    void never_given(delivery& d, time_point now) {
        smtp::finished f{.id = d.what->id, .error = errc::cancelled, .details = {}, .recipients = {}};
        f.recipients.resize(d.attempt.size(d.what->result));
        finished(*d.connection, std::move(f), book_.connections.at(*d.connection).room + 1, now);
    }
    // Which of them served the destinations that leave is not known, and what is needed again is opened again.
    void close_idle() {
        if (!queueing_traits::leaves(queueing_)) return;
        leaving_.clear();
        book_.connections.each([&](connection& c) {
            if (c.is_idle()) leaving_.push_back(c.id);
        });
        for (const auto id : leaving_) quit(book_.connections.at(id));
        if (leaving_.empty()) queueing_traits::left(queueing_);
    }
    void forget_idle(time_point now) {
        book_.domains.forget_idle(now, [&](site& s) { book_.sites.rest(s, now); });
        book_.sites.forget_idle(now, [&](pooling::place h) {
            return std::max(pooling_traits::forget(pooling_, h, now), scheduling_traits::forget(scheduling_, h, now));
        });
    }

    static queueing::job_state state_of(const delivery& d) noexcept {
        return d.connection ? queueing::job_state::sending : queueing::job_state::waiting;
    }
    static queueing::job_info info_of(const delivery& d, time_point now) {
        return queueing::describe(*d.what, state_of(d), now);
    }
    // Jobs that match and have no connection.
    std::vector<job_id> waiting(const queueing::job_filter& which, time_point now) const {
        std::vector<job_id> ids;
        book_.deliveries.each([&](const delivery& d) {
            if (!d.connection && which.matches(info_of(d, now))) ids.push_back(d.what->id);
        });
        return ids;
    }

    Pooling& pooling_;
    Queueing& queueing_;
    Scheduling& scheduling_;
    ledger book_{lasts};
    departures<Queueing, Scheduling> out_;
    arrivals<Transport, Queueing, Scheduling> in_;
    marks<Queueing> marks_;
    matchmaker<dispatcher, Pooling, Scheduling> match_;
    standing<dispatcher, Pooling, Queueing, Scheduling> standing_;
    std::vector<connection_id> leaving_;  // to be closed before the queue is told that they left
};

}  // namespace postroad::engine
