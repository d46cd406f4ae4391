#pragma once
// Joins the axes, without I/O: jobs, events of sessions, answers and `now` go in; actions and a deadline come out.
// Connections pull: one that has room asks the scheduler for the next delivery of its site. See docs/sans_io.md.

#include <postroad/core/clock.hpp>
#include <postroad/core/observer.hpp>
#include <postroad/engine/arrivals.hpp>
#include <postroad/engine/cancellations.hpp>
#include <postroad/engine/departures.hpp>
#include <postroad/engine/ledger.hpp>
#include <postroad/engine/marks.hpp>
#include <postroad/engine/matchmaker.hpp>
#include <postroad/engine/operations.hpp>
#include <postroad/engine/readings.hpp>
#include <postroad/engine/standing.hpp>
#include <postroad/engine/verdict.hpp>
#include <postroad/queueing/traits.hpp>
#include <postroad/transport/traits.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
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
        : transport_(transport),
          pooling_(pooling),
          queueing_(queueing),
          scheduling_(scheduling),
          out_(book_, queueing, scheduling),
          in_(book_, out_, transport, queueing, scheduling),
          marks_(book_, queueing),
          cancel_(book_, out_, queueing),
          operations_(book_, out_, queueing, scheduling),
          match_(*this, book_.sites, book_.connections, pooling, scheduling, lasts),
          standing_(*this, book_, out_, pooling, scheduling) {}
    dispatcher(const dispatcher&) = delete;
    dispatcher& operator=(const dispatcher&) = delete;

    /// `to` is told of decisions; it outlives the dispatcher, or is taken away. Null: nobody is.
    void observe(observer* to) noexcept { book_.watcher = to; }

    /// Senders are told by what it makes, from now on; empty: they are not.
    void report_by(reporter r) { book_.report = std::move(r); }

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
    void forget_deadline(job_id id, time_point when) { book_.deliveries.forget_deadline(id, when); }
    std::size_t deadlines() const noexcept { return book_.deliveries.deadlines(); }

    /// deadline() has passed.
    void tick(time_point now) {
        cancel_.give_up_due(now);
        in_.tick(now);
        const bool pool_due = pooling_.wakeup() <= now;
        match_.quit_expired(now);
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
    void ready(connection_id id, std::size_t room, time_point now, recipient_limits limits = {},
               const smtp::ready& said = {}) {
        if (room == 0) return;
        auto& c = book_.connections.at(id);
        book_.sites.opened(*c.at, c.server);
        book_.connections.shift(c, [&] { c.now = connection::state::open; });
        c.room = c.told_room = room;
        c.ready_at = now;
        c.automatic = said.automatic;
        c.at->servers[c.server].pace.met(said.server);
        book_.sites.learn(*c.at, c.server, said.auth, now);
        c.limits = {std::max<std::size_t>(limits.recipients, 1), std::max<std::size_t>(limits.domains, 1)};
        site& s = *c.at;
        standing_.tell(s, scheduling::host_event::opened, now);
        match_.warm(c, now);
        match_.pull(c, now);
        match_.feed(s, now);
        match_.feed_hungry(now);
        match_.try_others(now);
    }

    /// A transaction ended; its session, to which `came` were submitted in all, now takes `room` more. What is on its
    /// way there takes room, too.
    void finished(connection_id id, smtp::finished&& f, std::size_t room, time_point now,
                  std::size_t came = std::size_t(-1)) {
        auto& c = book_.connections.at(id);
        c.told_room = room;
        c.told_at = std::min(c.given, came);
        const auto on_its_way = c.given - c.told_at;
        c.room = room - std::min(room, on_its_way);
        // Whoever has no MAIL has taken it in another way.
        f.answered = f.answered || !f.error;
        book_.connections.shift(c, [&] { std::erase(c.jobs, f.id); });
        book_.sites.learn(*c.at, c.server, f.lesson, now);
        const bool first_failure = breaks_connection(f.error) && !std::exchange(c.failed, true);
        site& s = *c.at;
        if (delivery* const d = book_.deliveries.find(f.id); d && d->connection == id) {
            d->attempt.check(f, d->what->result);
            standing_.keep_pace(c, *d, f, first_failure, now);
            const auto read = read_refusals(transport_, s.servers[c.server].at, f,
                                            [&](const std::string& text) { this->policy_failed(text, now); });
            const auto said = read.all && !f.error ? ruling::settled : ruling_of(f, {.carried = c.carried});
            auto r = standing_.in_view_of(c, *d, f, said, now);
            const bool hopeless = standing_.note_end(c, *d, f, r, said, first_failure, now);
            // A refusal is the answer that somebody waits for, whomever it is about, unless another server or
            // connection may give another.
            const bool goes_on = !book_.draining && ((r == ruling::outage && !hopeless) || r == ruling::again);
            const bool refused = !f.error && (r == ruling::setting || r == ruling::outage || r == ruling::again);
            if (!lasts && refused && !goes_on) r = ruling::settled;
            if (read.any()) standing_.heed(s, *d, read, now);
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
        const auto behind = known->jobs.size() - std::min<std::size_t>(known->jobs.size(), 1);
        take_back(*known, why, now);
        const auto c = book_.connections.close(*known);
        site& s = *c.at;
        s.servers[c.server].pace.gone(c.id);
        const bool hopeless = standing_.note_close(c, why, behind, now);
        pooling_.closed(id);
        if (std::erase(leaving_, id) > 0 && leaving_.empty()) queueing_traits::left(queueing_);
        match_.gone(c, now);
        if (hopeless && s.live() == 0) standing_.fail_waiting(s, now);
        if (book_.sites.is_stuck(s, now)) standing_.send_back(s, now);
        match_.feed(s, now);
        match_.feed_changed(now);
        match_.feed_hungry(now);
        match_.try_others(now);
        if (s.held == 0 && s.connections.empty()) book_.sites.rest(s, now);
    }

    /// The answer to a question for a location.
    void located(question_id q, transport::located&& answer, time_point now) {
        in_.located(q, std::move(answer), now);
        match_.feed_changed(now);
    }

    /// Ends a message early, or all its parts. No effect if there is none of that id.
    void cancel(job_id id, cancel_kind kind, errc why, time_point now) { cancel_.cancel(id, kind, why, now); }

    /// Cancels everything that it holds. With errc::shut_down a durable queue keeps it, for the next process.
    void cancel_all(errc why, time_point now) {
        cancel_.all([](const delivery&) { return true; }, why, now);
    }

    /// Begins nothing new: what is on no connection is cancelled with errc::shut_down, and stays in a durable queue;
    /// what is under way goes on to its end, once. Connections end as they become idle.
    void drain(time_point now) {
        // Whoever waits for what has just come into the queue is told now, and not when all is over.
        in_.lease_last(now);
        book_.draining = true;
        cancel_.all([](const delivery& d) { return !d.is_under_way(); }, errc::shut_down, now);
        quit_all();
    }

    /// Gives out what it holds and asks no policy, for when one of them cannot be relied on any more. What was under
    /// way is in doubt.
    std::vector<std::unique_ptr<job>> surrender() { return book_.surrender(); }

    /// Jobs that match, oldest first, `limit` at most.
    std::vector<queueing::job_info> list(const queueing::job_filter& which, std::size_t limit, time_point now) const {
        return operations_.list(which, limit, now);
    }
    queueing::queue_counts count(time_point now) const requires queueing::operable<Queueing> {
        return operations_.count(now);
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
    std::size_t hold(const queueing::job_filter& which, time_point now) { return operations_.hold(which, now); }
    /// Cancels those that match and are not being sent. Returns how many.
    std::size_t drop(const queueing::job_filter& which, time_point now) { return operations_.drop(which, now); }

    void pause(const scheduling::selection& what, time_point now) requires scheduling::pauses<Scheduling> {
        in_.pause(what, now);
        tick(now);
    }
    void resume(const scheduling::selection& what, time_point now) requires scheduling::pauses<Scheduling> {
        in_.resume(what, now);
        tick(now);
    }

    /// Lets every connection end once it has nothing to do, and opens no more for idle ones to come. What a queue that
    /// lasts has from now on is for the next process.
    void quit_all() {
        book_.draining = book_.draining || lasts;
        match_.drain();
        book_.connections.each([&](connection& c) {
            if (c.is_idle()) quit(c);
        });
    }

    /// The next thing to be done, in order.
    std::optional<action> poll() { return doing_.empty() ? book_.actions.poll() : doing_.poll(); }
    bool has_actions() const noexcept { return !doing_.empty() || !book_.actions.empty(); }
    /// Calls `f(action&)` for each, and for those that come of that, in order. As with poll() one is over if that
    /// throws; but they stay where they are.
    template <class F>
    void act(F&& f) {
        for (;;) {
            if (doing_.empty() && book_.actions.empty()) return;
            if (doing_.empty()) doing_.swap(book_.actions);
            doing_.consume_front(f);
        }
    }
    /// Nothing is held, here or in the queue; in a durable one, nothing that is due.
    bool idle(time_point now) const {
        if (!book_.deliveries.empty()) return false;
        if (book_.draining) return true;
        if constexpr (lasts) return queueing_.drained(now);
        return queueing_.size() == 0;
    }
    bool any_under_way() const {
        bool any = false;
        book_.deliveries.each([&](const delivery& d) { any = any || d.is_under_way(); });
        return any;
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
    delivery* waits_at(const site& s, job_id id) {
        delivery* const d = book_.deliveries.find(id);
        return d && d->at == &s && !d->connection ? d : nullptr;
    }
    void give(connection& c, delivery& d, time_point now) {
        name_recipients(*d.what);
        d.connection = c.id;
        ++c.given;
        d.ahead = c.ahead;
        d.behind = c.jobs.size() > 1;
        c.bulk = d.what->traffic_class > 0;
        d.attempt.begin(d.what->mail->envelope, d.what->result, c.limits);
        if (book_.watcher && !d.attempt.rest.empty())
            book_.decided(
                now, c.id, d.what->id,
                "split: the server takes " + std::to_string(d.attempt.asked.size()) + " of these recipients at a time");
        // One that rested before its first message may have gone stale, as others may between two.
        if (!std::exchange(c.used, true)) c.carried = now >= after(c.ready_at, silence);
        marks_.give(d);
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
        if (counts) {
            d.failovers = j.returns = 0;
            d.may_later = false;
        }
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
                           if (d.cancelled) return out_.cancel(d, *d.cancelled, now);
                           out_.leave_line(d);
                           out_.conclude(d, ruling::ours, now);
                       });
    }
    void never_given(delivery& d, time_point now) {
        smtp::finished f{.id = d.what->id, .error = errc::cancelled, .details = {}, .recipients = {}};
        f.recipients.resize(d.attempt.size(d.what->result));
        auto& c = book_.connections.at(*d.connection);
        --c.given;
        finished(c.id, std::move(f), c.told_room, now, c.told_at);
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

    const Transport& transport_;
    Pooling& pooling_;
    Queueing& queueing_;
    Scheduling& scheduling_;
    ledger book_{lasts};
    ring<action> doing_;  // by act(), before those of the book
    departures<Queueing, Scheduling> out_;
    arrivals<Transport, Queueing, Scheduling> in_;
    marks<Queueing> marks_;
    cancellations<Queueing, Scheduling> cancel_;
    operations<Queueing, Scheduling> operations_;
    matchmaker<dispatcher, Pooling, Scheduling> match_;
    standing<dispatcher, Pooling, Queueing, Scheduling> standing_;
    std::vector<connection_id> leaving_;  // to be closed before the queue is told that they left
};

}  // namespace postroad::engine
