#pragma once
// Joins the axes, without I/O: jobs, events of sessions, answers and `now` go in; actions and a deadline come out.
// Connections pull: one that has room asks the scheduler for the next delivery of its site. See docs/sans_io.md.

#include <postroad/core/clock.hpp>
#include <postroad/core/observer.hpp>
#include <postroad/core/ring.hpp>
#include <postroad/engine/connections.hpp>
#include <postroad/engine/deliveries.hpp>
#include <postroad/engine/domains.hpp>
#include <postroad/engine/matchmaker.hpp>
#include <postroad/engine/sites.hpp>
#include <postroad/engine/verdict.hpp>
#include <postroad/queueing/division.hpp>
#include <postroad/queueing/traits.hpp>
#include <postroad/transport/traits.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace postroad::engine {

/// Open a connection to `to`; its session's events come back under `id`.
struct open_connection {
    connection_id id = 0;
    endpoint to = {};
    transport::lessons known = {};
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
/// Ask the transport where a domain is; the answer comes back under `id`.
struct ask_location {
    question_id id = 0;
    std::string domain = {};
};
/// Tell who waits for it: this job is over.
struct complete {
    std::unique_ptr<job> what = {};
};

using action = std::variant<open_connection, transmit, interrupt, quit_connection, ask_location, complete>;

/// How far a cancellation may go.
enum class cancel_kind : unsigned char {
    if_waiting,  ///< only while nothing of it has been given to a connection
    at_once,     ///< also within a transaction; what had left whole is then in doubt
};

/// A delivery that was on so many connections that ended before the server answered to its MAIL is judged: it may be
/// what ends them.
inline constexpr unsigned max_returns = 3;
/// When all that was leased went straight back, the next lease comes so much later.
inline constexpr duration pause_of_leases = std::chrono::seconds(1);

/// Single-threaded; reads no clock. The policies belong to the owner and outlive it.
///
/// What a policy throws when it is asked ends that question, and what it was about, with errc::policy_failed. What it
/// throws when it is told leaves here: the owner must stop.
template <transport::transport_policy Transport, pooling::pooling_policy Pooling, queueing::queueing_policy Queueing,
          scheduling::scheduling_policy Scheduling>
class dispatcher {
    using transport_traits = transport::transport_traits<Transport>;
    using queueing_traits = queueing::queueing_traits<Queueing>;
    using scheduling_traits = scheduling::scheduling_traits<Scheduling>;
    using pooling_traits = pooling::pooling_traits<Pooling>;
    static_assert(!transport_traits::divides || queueing_traits::divides,
                  "postroad: this transport routes each recipient, and the queue cannot divide messages "
                  "(docs/queueing.md)");
    static constexpr bool lasts = queueing_traits::lasts;

public:
    dispatcher(const Transport& transport, Pooling& pooling, Queueing& queueing, Scheduling& scheduling)
        : transport_(transport), pooling_(pooling), queueing_(queueing), scheduling_(scheduling) {}
    dispatcher(const dispatcher&) = delete;
    dispatcher& operator=(const dispatcher&) = delete;

    /// `to` is told of decisions; it outlives the dispatcher, or is taken away. Null: nobody is.
    void observe(observer* to) noexcept { observer_ = to; }

    /// The queue may have jobs that are due.
    void wake(time_point now) {
        collect_marks(now);
        collect_lost(now);
        close_idle();
        forget_idle(now);
        do lease(now);
        while (std::exchange(divided_, false));
        ask_questions(now);
        match_.feed_changed(now);
    }

    /// Opens up to `n` connections to a place before there is a message for it.
    void warm_up(std::string_view name, std::size_t n, time_point now) {
        auto& d = domains_.of(name);
        if constexpr (transport::has_hosts<Transport>)
            if (auto servers = transport_.hosts(d.name); !d.at && !servers.empty())
                found(d, {.site = d.name, .servers = std::move(servers)}, now);
        domains_.rest(d, now);
        if (!d.at) return;
        d.at->warm = n;
        if (n > 0 && pooling_.acquire(d.at->place(), now).what == pooling::advice::open)
            if (const auto server = sites_.may_open(*d.at, now)) open(*d.at, *server, now);
    }

    /// The message is given up at `when`, wherever it is by then.
    void give_up_at(job_id id, time_point when) { deliveries_.give_up_at(id, when); }

    /// deadline() has passed.
    void tick(time_point now) {
        while (const auto id = deliveries_.due(now)) cancel(*id, cancel_kind::at_once, errc::timed_out, now);
        while (domain* const d = domains_.unanswered(now))
            not_located(*d, {.error = errc::timed_out, .why = "no answer came to where " + d->name + " is"}, now);
        const bool pool_due = pooling_.wakeup() <= now;
        while (const auto id = pooling_.expire(now))
            if (connection* const c = connections_.find(*id)) quit(*c);
        if (pool_due) match_.unlimit();
        while (site* const s = sites_.rung(now)) {
            if (sites_.is_stuck(*s, now)) send_back(*s, now);
            match_.change(*s);
        }
        match_.go_on(now);
        if (scheduling_.wakeup() <= now) match_.ripen(now);
        wake(now);
        if (pool_due) match_.feed_hungry(now);
    }

    time_point deadline() const {
        const auto due = has_room() ? std::max(queueing_.next_due(), lease_at_) : never;
        return std::min({due, deliveries_.deadline(), match_.wakeup(), sites_.wakeup(), domains_.wakeup()});
    }

    /// A connection's session is ready and takes `room` transactions, each within `limits`.
    void ready(connection_id id, std::size_t room, time_point now, recipient_limits limits = {}) {
        auto& c = connections_.at(id);
        sites_.opened(*c.at, c.server);
        connections_.shift(c, [&] { c.now = connection::state::open; });
        c.room = room;
        c.ready_at = now;
        c.limits = {std::max<std::size_t>(limits.recipients, 1), std::max<std::size_t>(limits.domains, 1)};
        site& s = *c.at;
        tell(s, scheduling::host_event::opened, now);
        match_.warm(c, now);
        match_.pull(c, now);
        match_.feed(s, now);
        match_.feed_hungry(now);
    }

    /// A transaction ended; its session now takes `room` more.
    void finished(connection_id id, smtp::finished&& f, std::size_t room, time_point now) {
        auto& c = connections_.at(id);
        c.room = room;
        // Whoever has no MAIL has taken it in another way.
        f.answered = f.answered || !f.error;
        connections_.shift(c, [&] { std::erase(c.jobs, f.id); });
        sites_.learn(*c.at, c.server, f.lesson, now);
        const bool breaks = breaks_connection(f.error);
        const bool first_failure = breaks && !c.failed;
        c.failed = c.failed || breaks;
        site& s = *c.at;
        if (delivery* const d = deliveries_.find(f.id)) {
            const auto said = ruling_of(f, {.carried = c.carried});
            auto r = in_view_of(s, *d, f, said);
            const bool hopeless = note_end(c, f, r, said, first_failure, now);
            // A refusal is the answer that somebody waits for, whomever it is about.
            if (!lasts && !f.error && (r == ruling::setting || r == ruling::outage)) r = ruling::settled;
            end_attempt(*d, c, std::move(f), r, now);
            if (hopeless) fail_waiting(s, now);
        }
        match_.pull(c, now);
        if (match_.takes_turns && c.is_idle()) match_.feed(s, now);
        // What became idle here may serve, or make room for, another site.
        if (c.is_idle()) match_.feed_hungry(now);
        match_.feed_changed(now);
    }

    /// A connection is over, or could not be opened.
    void closed(connection_id id, const smtp::closed& why, time_point now) {
        connection* const known = connections_.find(id);
        if (!known) return;
        take_back(*known, why, now);
        const auto c = connections_.close(*known);
        site& s = *c.at;
        const bool unopened = c.now == connection::state::opening;
        if (unopened || (c.now == connection::state::quitting && c.ready_at == never)) sites_.opened(s, c.server);
        // Its TLS does not work and need not: the next connection goes in the clear. Once, in case nobody heeds it.
        const bool clear_next = why.lesson == smtp::lesson::no_tls && !sites_.lessons(s, c.server, now).no_tls;
        sites_.learn(s, c.server, why.lesson, now);
        const bool at_once = !c.used && c.ready_at != never && now < after(c.ready_at, silence);
        const bool in_vain = !c.replied && !c.carried && (unopened || c.used || at_once);
        bool hopeless = false;
        if (why.error && in_vain && c.now != connection::state::quitting && !clear_next) {
            hopeless = fail_server(c, why, ruling_of(why), unopened || why.error == errc::service_closing, now);
            tell(s, s.live() > 0 ? scheduling::host_event::refused : scheduling::host_event::unreachable, now);
        } else if (c.is_open() && !c.failed) {
            pooling_traits::hung_up(pooling_, id, now);
        }
        pooling_.closed(id);
        if (std::erase(leaving_, id) > 0 && leaving_.empty()) queueing_traits::left(queueing_);
        match_.gone(c, now);
        if (hopeless && s.live() == 0) fail_waiting(s, now);
        if (sites_.is_stuck(s, now)) send_back(s, now);
        match_.feed(s, now);
        match_.feed_changed(now);
        match_.feed_hungry(now);
        if (s.held == 0 && s.connections.empty()) sites_.rest(s, now);
    }

    /// The answer to a question for a location.
    void located(question_id q, transport::located&& answer, time_point now) {
        domain* const d = domains_.answered(q);
        if (!d) return;
        if (answer.error || answer.where.servers.empty())
            not_located(*d, std::move(answer), now);
        else
            found(*d, std::move(answer.where), now);
        ask_questions(now);
        match_.feed_changed(now);
    }

    /// Ends a message early, or all its parts. No effect if there is none of that id.
    void cancel(job_id id, cancel_kind kind, errc why, time_point now) {
        const auto held = deliveries_.of(id);
        if (kind == cancel_kind::if_waiting &&
            std::ranges::any_of(held, [this](job_id part) { return deliveries_.find(part)->connection.has_value(); }))
            return;
        for (const auto part : held)
            if (delivery* const d = deliveries_.find(part)) cancel(*d, why, now);
        if (held.size() == 1 && held.front() == id) return;
        if (held.empty())
            if (auto waiting = queueing_.take(id)) return cancelled(*std::move(waiting), why);
        for (auto& part : queueing_traits::take_parts(queueing_, id)) cancelled(std::move(part), why);
    }

    /// Cancels everything that it holds. With errc::shut_down a durable queue keeps it, for the next process.
    void cancel_all(errc why, time_point now) {
        std::vector<job_id> ids;
        deliveries_.each([&](const delivery& d) { ids.push_back(d.what->id); });
        for (const auto id : ids)
            if (delivery* const d = deliveries_.find(id)) cancel(*d, why, now);
        if constexpr (lasts) return;
        leased_.clear();
        queueing_.lease(std::size_t(-1), never, leased_);
        for (auto& j : leased_) {
            j.error = why;
            deliveries_.forget_deadline(j);
            queueing_.settle(j);
            over(std::make_unique<job>(std::move(j)));
        }
    }

    /// Gives out what it holds and asks no policy, for when one of them cannot be relied on any more. What was under
    /// way is in doubt.
    std::vector<std::unique_ptr<job>> surrender() {
        std::vector<std::unique_ptr<job>> all;
        deliveries_.each([&](delivery& d) {
            if (!d.what) return;
            name_recipients(*d.what);
            auto& to = d.what->result.recipients;
            const auto& asked = d.attempt.asked;
            for (std::size_t i = 0; d.connection && !d.marking && i < d.attempt.size(d.what->result); ++i)
                if (auto& r = to[asked.empty() ? i : asked[i]]; is_unsettled(r)) r.status = status::in_doubt;
            all.push_back(std::move(d.what));
        });
        deliveries_ = {};
        connections_ = {};
        return all;
    }

    /// Jobs that match, oldest first, `limit` at most.
    std::vector<queueing::job_info> list(const queueing::job_filter& which, std::size_t limit, time_point now) const {
        std::vector<queueing::job_info> out;
        deliveries_.each([&](const delivery& d) {
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
        deliveries_.each([&](const delivery& d) {
            ++counts.by_state[static_cast<std::size_t>(state_of(d))];
            counts.oldest = std::max(counts.oldest, queueing::age(d.what->submitted, now));
        });
        queueing_.count(now, counts);
        sites_.add_troubles(counts.troubles, now);
        domains_.add_troubles(counts.troubles, now);
        std::ranges::stable_sort(counts.troubles, std::greater<>(), &queueing::trouble::waiting);
        if (counts.troubles.size() > queueing::max_troubles) counts.troubles.resize(queueing::max_troubles);
        return counts;
    }
    /// Those that match and wait for a time, or for somebody, go now; all rests end. Returns how many.
    std::size_t retry_now(const queueing::job_filter& which, time_point now) {
        sites_.end_rests();
        domains_.end_rests();
        const auto n = queueing_.retry_now(which, now);
        lease_at_ = time_point::min();
        tick(now);
        return n;
    }
    /// Those that match and are not being sent wait for retry_now(). Returns how many.
    std::size_t hold(const queueing::job_filter& which, time_point now) {
        const auto ids = waiting(which, now);
        for (const auto id : ids) {
            auto& d = *deliveries_.find(id);
            leave_line(d);
            keep(d, queueing::job_state::held, now);
        }
        return ids.size() + queueing_.hold(which, now);
    }
    /// Cancels those that match and are not being sent. Returns how many.
    std::size_t drop(const queueing::job_filter& which, time_point now) {
        const auto ids = waiting(which, now);
        for (const auto id : ids)
            if (delivery* const d = deliveries_.find(id)) cancel(*d, errc::cancelled, now);
        auto others = queueing_.drop(which, now);
        for (auto& j : others) cancelled(std::move(j), errc::cancelled);
        return ids.size() + others.size();
    }

    /// Places are paused by name, that of a domain, a site or a provider; all else is the scheduler's.
    void pause(scheduling::selection what, time_point now) requires scheduling::pauses<Scheduling> {
        if (what.by != scheduling::selection::kind::destination) return scheduling_.pause(what);
        paused_.insert(what.name);
        domains_.each([&](domain& d) {
            if (is_paused(d)) set_aside(d, now);
        });
    }
    void resume(scheduling::selection what, time_point now) requires scheduling::pauses<Scheduling> {
        if (what.by != scheduling::selection::kind::destination) {
            scheduling_.resume(what);
        } else {
            paused_.erase(what.name);
            domains_.each([&](domain& d) {
                if (!is_paused(d)) look_up(d, now);
            });
        }
        tick(now);
    }

    /// Lets every connection end once it has nothing to do, and opens no more for idle ones to come.
    void quit_all() {
        match_.drain();
        connections_.each([&](connection& c) {
            if (c.is_idle()) quit(c);
        });
    }

    std::optional<action> poll() { return actions_.poll(); }
    bool has_actions() const noexcept { return !actions_.empty(); }
    /// Nothing is held, here or in the queue; in a durable one, nothing that is due.
    bool idle(time_point now) const {
        if (!deliveries_.empty()) return false;
        if constexpr (lasts) return queueing_.drained(now);
        return queueing_.size() == 0;
    }
    std::size_t connections() const noexcept { return connections_.size(); }
    /// Sites and domains that are known.
    std::size_t known_places() const noexcept { return sites_.size() + domains_.size(); }

private:
    friend class matchmaker<dispatcher, Pooling, Scheduling>;

    // The matchmaker's verbs.

    connection& open(site& s, std::size_t server, time_point now) {
        auto& c = connections_.open(s, server);
        sites_.opening(s, server, now);
        pooling_.opening(c.id, s.place());
        if (observer_)
            decided(now, c.id, 0,
                    "a new connection for " + s.name + ": " + std::to_string(match_.waiting(s, now)) + " waiting, " +
                        std::to_string(s.open) + " connections open");
        actions_.push_back(open_connection{c.id, s.servers[server].at, sites_.lessons(s, server, now)});
        return c;
    }
    void quit(connection& c) {
        if (c.now == connection::state::quitting) return;
        connections_.shift(c, [&] { c.now = connection::state::quitting; });
        actions_.push_back(quit_connection{c.id});
    }
    void give(connection& c, job_id id, time_point now) {
        auto& d = *deliveries_.find(id);
        d.connection = c.id;
        d.attempt.begin(d.what->mail->envelope, d.what->result, c.limits);
        if (observer_ && !d.attempt.rest.empty())
            decided(
                now, c.id, id,
                "split: the server takes " + std::to_string(d.attempt.asked.size()) + " of these recipients at a time");
        // One that rested before its first message may have gone stale, as others may between two.
        if (!std::exchange(c.used, true)) c.carried = now >= after(c.ready_at, silence);
        mark(d);
    }
    void policy_failed(const std::string& text, time_point now) {
        if (observer_) decided(now, 0, 0, "a policy failed: " + text);
    }

    // Jobs in, one by one.

    bool has_room() const { return deliveries_.size() < match_.look_ahead(lasts); }

    // At most a look-ahead at a time; when all of it went straight back, the next comes later.
    void lease(time_point now) {
        if (!has_room() || now < lease_at_) return;
        lease_at_ = time_point::min();
        const auto n = match_.look_ahead(lasts) - deliveries_.size();
        leased_.clear();
        try {
            queueing_.lease(n, now, leased_);
        } catch (...) {
            lease_at_ = after(now, pause_after_throw);
            policy_failed(text_of_exception(), now);
        }
        const auto before = went_back_;
        for (auto& j : leased_) admit(std::move(j), now);
        if (leased_.size() == n && went_back_ - before == n) lease_at_ = after(now, pause_of_leases);
    }

    void admit(job&& j, time_point now) {
        if (j.submitted == time_point::min()) j.submitted = now;
        name_recipients(j);
        j.lasts = lasts;
        // Of an earlier process; one of this process is known already.
        if ((lasts || j.whole != 0) && j.deadline != never) give_up_at(j.whole != 0 ? j.whole : j.id, j.deadline);
        const auto id = j.id;
        delivery* const d = deliveries_.put(std::move(j));
        if (!d) return refuse_twin(id, now);
        if (std::exchange(d->what->interrupted, false)) {
            ++d->what->result.attempts;
            return conclude(*d, ruling::doubt, now);
        }
        if (all_settled(d->what->result)) return finish(*d, now);
        route(*d, now);
    }
    // Two of one id: the second has nothing that it could be told apart by.
    void refuse_twin(job_id id, time_point now) {
        if (observer_) decided(now, 0, id, "the queue gave out a job of this number twice");
    }

    void route(delivery& d, time_point now) {
        const auto& e = d.what->mail->envelope;
        try {
            if constexpr (transport_traits::divides)
                if (e.recipients.size() > 1)
                    if (const auto groups = groups_of(e); groups.size() > 1) return divide(d, groups);
            d.to = &domains_.of(transport_traits::route(transport_, e, e.recipients.front()));
        } catch (const error& failed) {
            return refuse(d, failed.code(), failed.details(), now);
        } catch (...) {
            return policy_failed(d, text_of_exception(), now);
        }
        ++d.to->held;
        look_up(*d.to, d, now);
    }
    // Settled recipients, too: each part says what became of all of its own.
    std::vector<places> groups_of(const envelope& e) {
        std::vector<places> groups;
        std::unordered_map<std::string, std::size_t> by_name;
        for (std::uint32_t i = 0; i < e.recipients.size(); ++i) {
            const auto name = std::string(transport_traits::route(transport_, e, e.recipients[i]));
            const auto [group, is_new] = by_name.try_emplace(name, by_name.size());
            if (is_new) groups.emplace_back();
            groups[group->second].push_back(i);
        }
        return groups;
    }
    void divide(delivery& d, const std::vector<places>& groups) {
        d.to = nullptr;
        divided_ = true;
        std::vector<job> parts;
        parts.reserve(groups.size());
        for (const auto& group : groups) parts.push_back(queueing::part_of(*d.what, group));
        queueing_traits::divide(queueing_, std::move(*deliveries_.take(d)), std::move(parts));
    }

    // Where the delivery goes is known, or it waits with its domain.
    void look_up(domain& to, delivery& d, time_point now) {
        if constexpr (transport::has_hosts<Transport>)
            if (!to.at && !find_hosts(to, d, now)) return;
        if (!is_paused(to)) {
            if (domains::is_located(to, now)) return line_up(d, *to.at, now);
            if (now < to.rests_until)
                return judge_waiting(d, {to.error, {.where = phase::resolve, .explanation = to.why}}, ruling::outage,
                                     to.rests_until, now);
            domains_.want(to);
        }
        to.waiting.insert(d.what->id);
    }
    void look_up(domain& to, time_point now) {
        for (const auto id : std::exchange(to.waiting, {}))
            if (delivery* const d = deliveries_.find(id)) look_up(to, *d, now);
    }
    // False: the delivery is over.
    bool find_hosts(domain& to, delivery& d, time_point now) {
        try {
            if (auto servers = transport_.hosts(to.name); !servers.empty()) {
                found(to, {.site = to.name, .servers = std::move(servers)}, now);
                return true;
            }
            refuse(d, errc::resolve_failed,
                   {.where = phase::resolve, .explanation = "the transport names no server for this message"}, now);
        } catch (const error& failed) {
            refuse(d, failed.code(), failed.details(), now);
        } catch (...) {
            policy_failed(d, text_of_exception(), now);
        }
        return false;
    }
    void found(domain& d, transport::location&& where, time_point now) {
        const auto name = where.site;
        const auto until = where.valid_until;
        site* const at = sites_.place(std::move(where), now);
        if (!at)
            return not_located(
                d,
                {.error = errc::policy_failed, .why = "the transport gave \"" + name + "\" other servers than before"},
                now);
        domains_.found(d, *at, until, now);
        look_up(d, now);
    }
    void not_located(domain& d, transport::located&& why, time_point now) {
        if (!why.error) why = {.error = errc::resolve_failed, .why = "the location of " + d.name + " has no servers"};
        const smtp::closed failed{.error = why.error,
                                  .details = {.where = phase::resolve, .explanation = std::move(why.why)}};
        domains_.not_found(d, failed.error, describe(failed.error, failed.details), now);
        const bool for_good = failed.error == condition::permanent;
        for (const auto id : std::exchange(d.waiting, {})) {
            delivery* const waiting = deliveries_.find(id);
            if (!waiting) continue;
            if (for_good)
                reject(*waiting, failed, now);
            else
                judge_waiting(*waiting, failed, ruling::outage, d.rests_until, now);
        }
        if (for_good) d.since = never;
    }
    // Of no server, so for good without a reply.
    void reject(delivery& d, const smtp::closed& why, time_point now) {
        for (auto& r : d.what->result.recipients) {
            if (!is_unsettled(r)) continue;
            r.status = status::rejected;
            r.where = why.details.where;
            r.error = why.error;
            r.why = why.details.explanation;
        }
        d.what->error = why.error;
        d.what->result.details = why.details;
        d.what->blame = blame::message;
        finish(d, now);
    }
    void ask_questions(time_point now) {
        if constexpr (transport::locates<Transport>)
            while (domain* const d = domains_.next_question(now))
                actions_.push_back(ask_location{d->question, d->name});
    }

    void line_up(delivery& d, site& at, time_point now) {
        d.at = &at;
        ++at.held;
        if (at.sent_back > 0) --at.sent_back;
        const bool refused = is_refused_login(at.trouble.error) && at.login_rests_until > now;
        if (at.live() == 0 && (lasts ? sites_.is_stuck(at, now) : refused))
            return judge_waiting(d, at.trouble, at.what, sites_.rests_until(at), now);
        scheduling_.admit(*d.what, at.place(), now);
        match_.change(at);
    }
    void line_up_again(delivery& d, time_point now) {
        scheduling_.admit(*d.what, d.at->place(), now);
        match_.change(*d.at);
    }
    void leave_line(delivery& d) {
        if (d.to) d.to->waiting.erase(d.what->id);
        if (d.at) scheduling_.withdraw(d.what->id, d.at->place());
    }

    bool is_paused(const domain& d) const {
        if (paused_.empty()) return false;
        return paused_.contains(d.name) ||
               (d.at && (paused_.contains(d.at->name) || paused_.contains(d.at->provider_name)));
    }
    void set_aside(domain& to, time_point now) {
        deliveries_.each([&](delivery& d) {
            if (d.to != &to || !d.at || d.connection) return;
            scheduling_.withdraw(d.what->id, d.at->place());
            if (--d.at->held == 0) sites_.rest(*d.at, now);
            d.at = nullptr;
            to.waiting.insert(d.what->id);
        });
    }

    // What an attempt came to.

    // What the ruling means for this delivery, after what happened to it before.
    ruling in_view_of(site& at, delivery& d, const smtp::finished& f, ruling r) {
        const auto sender = [&] { return d.what->mail->envelope.reverse_path.str(); };
        if (took_mail(f) && !at.refused.all.empty()) sites_.sender_accepted(at, sender());
        if (r == ruling::refused) r = lasts ? sites_.sender_refused(at, sender()) : ruling::settled;
        // A refusal of MAIL that may be about this connection is heard once.
        if (r == ruling::again && !f.error && std::exchange(d.again, true)) r = ruling::later;
        const bool unheard = (r == ruling::again && f.error) || r == ruling::outage;
        if (unheard) return ++d.what->returns >= max_returns ? ruling::later : r;
        // What broke under it at one server is tried at the others within the same attempt.
        const bool elsewhere = r == ruling::later && breaks_connection(f.error) && ++d.failovers < at.servers.size();
        return elsewhere ? ruling::again : r;
    }
    static bool took_mail(const smtp::finished& f) {
        return f.answered && (f.recipients.empty() || f.recipients.front().where != phase::mail);
    }

    // What the end of a transaction says about its connection and its server. Whether each server of the site has
    // failed what waits there.
    bool note_end(connection& c, const smtp::finished& f, ruling r, ruling said, bool first_failure, time_point now) {
        c.carried = c.carried || took_mail(f);
        c.drains = c.room == 0 && r == ruling::ours;
        if (r == ruling::again && said == ruling::again && first_failure) {
            pooling_traits::found_dead(pooling_, c.id, now);
            // Whatever else is idle there has waited as long, or longer.
            quit_idle(*c.at);
        } else if (r == ruling::again && said == ruling::later && f.error) {
            c.replied = true;
            (void)fail_server(c, closed_by(f, *c.at, c.server), ruling::outage, true, now);
        } else if (r == ruling::again && !f.error) {
            pooling_traits::hung_up(pooling_, c.id, now);
            c.full = true;
        } else if (r == ruling::setting || (r == ruling::outage && !f.error)) {
            c.full = c.replied = true;
            return fail_server(c, closed_by(f, *c.at, c.server), r, true, now);
        } else if (f.answered && said != ruling::ours && said != ruling::outage && said != ruling::setting) {
            if (!std::exchange(c.replied, true)) {
                sites_.worked(*c.at, c.server);
                match_.change(*c.at);
            }
            const bool broken = f.error && (r == ruling::later || r == ruling::doubt);
            const bool busy = !f.recipients.empty() && std::ranges::all_of(f.recipients, scheduling::is_busy);
            tell(*c.at, broken || busy ? scheduling::host_event::put_off : scheduling::host_event::answered, now);
        }
        return false;
    }
    // What a refusal of MAIL or RCPT says of the server.
    static smtp::closed closed_by(const smtp::finished& f, const site& s, std::size_t server) {
        if (f.error || f.recipients.empty()) return {f.error, f.details};
        const auto& r = f.recipients.front();
        return {errc::recipients_rejected,
                {.where = r.where, .host = to_string(s.servers[server].at), .reply = to_string(r.reply)}};
    }

    void end_attempt(delivery& d, connection& c, smtp::finished&& f, ruling r, time_point now) {
        auto& j = *d.what;
        const auto why = r == ruling::setting || r == ruling::outage ? closed_by(f, *c.at, c.server)
                                                                     : smtp::closed{f.error, std::move(f.details)};
        j.blame = blame_of(r);
        j.error = why.error;
        j.result.details = why.details;
        const bool counts = r == ruling::settled || r == ruling::over || r == ruling::later || r == ruling::doubt ||
                            (r == ruling::ours && f.answered);
        if (counts) j.returns = 0;
        if (counts) d.failovers = 0;
        d.attempt.end(j.result, std::move(f), r, c.limits);
        d.connection.reset();
        if (counts && d.attempt.rest.empty()) ++j.result.attempts;
        conclude(d, r, now);
    }
    static blame blame_of(ruling r) noexcept {
        switch (r) {
            case ruling::settled:
            case ruling::again: return blame::none;
            case ruling::over:
            case ruling::later:
            case ruling::refused: return blame::message;
            case ruling::outage: return blame::outage;
            case ruling::setting: return blame::setting;
            case ruling::doubt: return blame::doubt;
            case ruling::ours: return blame::ours;
        }
        return blame::none;
    }
    void conclude(delivery& d, ruling r, time_point now) {
        auto& j = *d.what;
        if (d.lost) {
            deliveries_.forget_deadline(j);
            return release(d, now);
        }
        if (d.cancelled) {
            if (j.error == errc::cancelled) j.error = *d.cancelled;
            if (j.error == errc::timed_out && *d.cancelled == errc::timed_out) j.result.details.explanation = given_up;
            const bool stays = lasts && *d.cancelled == errc::shut_down && !all_settled(j.result);
            if (!stays) return finish(d, now);
            tell_waiter(j, errc::shut_down);
            if (!j.result.any_are(status::in_doubt)) return release(d, now);
            d.cancelled.reset();
            r = ruling::doubt;
        }
        if (all_settled(j.result) || r == ruling::over) return finish(d, now);
        const bool at_once = r == ruling::again || r == ruling::outage || r == ruling::setting;
        if (at_once || !d.attempt.rest.empty()) {
            if (observer_ && at_once)
                decided(now, 0, j.id, "goes again at once: " + describe(j.error, j.result.details));
            return line_up_again(d, now);
        }
        d.again = false;
        judge(d, now);
    }

    // It waits for another attempt, for somebody's decision, or is over.
    void judge(delivery& d, time_point now) {
        auto& j = *d.what;
        verdict v;
        try {
            v = scheduling_.judge(j, now);
        } catch (...) {
            return policy_failed(d, text_of_exception(), now);
        }
        const bool doubtful = j.result.any_are(status::in_doubt);
        const bool too_late = v.what == verdict::kind::retry && v.at >= j.deadline;
        if (lasts && doubtful && (v.what == verdict::kind::park || too_late)) return park(d, now);
        if (v.what != verdict::kind::retry || !Queueing::keeps || too_late) return finish(d, now);
        if (!any_unsettled(j.result.recipients)) ++j.doubts;
        j.due = v.at;
        if (observer_) note_retry(j, v.late ? observed::late : observed::retry, now);
        put_back(d, now);
    }

    // No server of its site can be had, or nobody says where that is.
    void judge_waiting(delivery& d, const smtp::closed& why, ruling r, time_point rests_until, time_point now) {
        auto& j = *d.what;
        // One that has had a part of its recipients asked is half an attempt.
        ++(std::exchange(d.attempt, {}).split ? j.result.attempts : j.waits);
        for (auto& recipient : j.result.recipients)
            if (recipient.status == status::not_attempted) recipient.where = why.details.where;
        j.blame = blame_of(r);
        j.error = why.error;
        j.result.details = why.details;
        if (!lasts) return r == ruling::setting ? finish(d, now) : judge(d, now);
        // Only its age ends it: what is wrong is no matter of the message.
        try {
            if (scheduling_.judge(j, now).what == verdict::kind::done && !j.result.any_are(status::in_doubt))
                return finish(d, now);
        } catch (...) {
            return policy_failed(d, text_of_exception(), now);
        }
        j.due = std::min(std::clamp(rests_until, after(now, first_domain_rest), after(now, longest_rest)), j.deadline);
        if (d.at) ++d.at->sent_back;
        ++went_back_;
        put_back(d, now);
    }

    // Every server of the site failed: what waits shares that.
    void fail_waiting(site& s, time_point now) {
        sites_.told(s);
        if (lasts) return;
        each_waiting(s, now, [&](delivery& d) { this->judge_waiting(d, s.trouble, s.what, time_point::min(), now); });
    }
    // In a queue that lasts it waits there for the end of the rest.
    void send_back(site& s, time_point now) {
        if (!lasts || s.live() > 0) return;
        each_waiting(s, now,
                     [&](delivery& d) { this->judge_waiting(d, s.trouble, s.what, sites_.rests_until(s), now); });
    }
    template <class F>
    void each_waiting(site& s, time_point now, F&& f) {
        std::vector<job_id> waiting;
        while (const auto id = scheduling_traits::shed(scheduling_, s.place(), now)) waiting.push_back(*id);
        for (const auto id : waiting)
            if (delivery* const d = deliveries_.find(id)) f(*d);
    }

    // Whether each server of the site has failed what waits there.
    bool fail_server(const connection& c, const smtp::closed& why, ruling r, bool said, time_point now) {
        site& s = *c.at;
        const bool others = std::ranges::any_of(s.connections, [&](connection_id id) {
            const auto& o = connections_.at(id);
            return id != c.id && o.server == c.server && o.is_open() && !o.failed;
        });
        if (others) pooling_.refused(c.id, now);
        const bool all = sites_.failed(s, c.server, why, r, others, said, now);
        if (observer_ && !others && s.servers.size() > 1)
            decided(now, c.id, 0, "passed over for a while: " + to_string(s.servers[c.server].at));
        return all;
    }
    void quit_idle(site& s) {
        for (const auto id : s.connections)
            if (auto& c = connections_.at(id); c.is_open() && c.is_idle() && !c.failed) {
                pooling_traits::draining(pooling_, id);
                quit(c);
            }
    }
    void tell(site& s, scheduling::host_event what, time_point now) {
        scheduling_traits::signal(scheduling_, s.place(), what, s.group->open, now);
    }

    // What was on its way to a connection that ended before it got it.
    void take_back(connection& c, const smtp::closed& why, time_point now) {
        for (const auto id : std::vector<job_id>(c.jobs)) {
            connections_.shift(c, [&] { std::erase(c.jobs, id); });
            delivery* const d = deliveries_.find(id);
            if (!d) continue;
            d->marking = false;
            smtp::finished f{.id = id, .error = errc::connection_closed, .details = why.details, .recipients = {}};
            f.recipients.resize(d->attempt.size(d->what->result), {.where = why.details.where});
            const auto r = ++d->what->returns >= max_returns ? ruling::later : ruling::again;
            end_attempt(*d, c, std::move(f), r, now);
        }
    }

    // A queue that lasts stores first that the message may be with the server from now on.
    void mark(delivery& d) {
        if constexpr (lasts) {
            d.marking = true;
            queueing_.mark(d.what->id);
        } else {
            actions_.push_back(transmit{*d.connection, {d.what->id, d.what->mail, d.attempt.asked}});
        }
    }
    void collect_marks(time_point now) {
        if constexpr (lasts) {
            marked_.clear();
            queueing_traits::revoked(queueing_, marked_);
            for (const auto id : marked_)
                if (delivery* const d = deliveries_.find(id); d && d->marking) d->cancelled = errc::cancelled;
            marked_.clear();
            queueing_.marked(marked_);
            for (const auto id : std::vector<job_id>(marked_)) {
                delivery* const d = deliveries_.find(id);
                if (!d || !std::exchange(d->marking, false)) continue;
                if (d->cancelled)
                    never_given(*d, now);
                else
                    actions_.push_back(transmit{*d->connection, {id, d->what->mail, d->attempt.asked}});
            }
        }
    }
    void never_given(delivery& d, time_point now) {
        smtp::finished f{.id = d.what->id, .error = errc::cancelled, .details = {}, .recipients = {}};
        f.recipients.resize(d.attempt.size(d.what->result));
        finished(*d.connection, std::move(f), connections_.at(*d.connection).room + 1, now);
    }
    void collect_lost(time_point now) {
        std::vector<job_id> lost;
        queueing_traits::lost(queueing_, lost);
        for (const auto id : lost) {
            delivery* const d = deliveries_.find(id);
            if (!d || (d->connection && !d->marking)) continue;
            d->lost = true;
            if (std::exchange(d->marking, false)) {
                never_given(*d, now);
                continue;
            }
            leave_line(*d);
            conclude(*d, ruling::ours, now);
        }
    }
    // Which of them served the destinations that leave is not known, and what is needed again is opened again.
    void close_idle() {
        if (!queueing_traits::leaves(queueing_)) return;
        leaving_.clear();
        connections_.each([&](connection& c) {
            if (c.is_idle()) leaving_.push_back(c.id);
        });
        for (const auto id : leaving_) quit(connections_.at(id));
        if (leaving_.empty()) queueing_traits::left(queueing_);
    }
    void forget_idle(time_point now) {
        domains_.forget_idle(now, [&](site& s) { sites_.rest(s, now); });
        sites_.forget_idle(now, [&](pooling::place h) {
            return std::max(pooling_traits::forget(pooling_, h, now), scheduling_traits::forget(scheduling_, h, now));
        });
    }

    // Jobs out.

    // The delivery is gone after this.
    std::unique_ptr<job> taken_out(delivery& d, time_point now) {
        if (d.at && --d.at->held == 0 && d.at->connections.empty()) sites_.rest(*d.at, now);
        if (d.to && d.to->held > 0 && --d.to->held == 0) domains_.rest(*d.to, now);
        return deliveries_.take(d);
    }
    void finish(delivery& d, time_point now) {
        deliveries_.forget_deadline(*d.what);
        queueing_.settle(*d.what);
        if (d.to) d.to->waiting.erase(d.what->id);
        over(taken_out(d, now));
    }
    void park(delivery& d, time_point now) {
        auto& j = *d.what;
        if (observer_) decided(now, 0, j.id, "in doubt: it waits in the queue until somebody decides");
        deliveries_.forget_deadline(j);
        j.deadline = never;
        tell_waiter(j, j.error);
        keep(d, queueing::job_state::in_doubt, now);
    }
    void put_back(delivery& d, time_point now) { queueing_.put_back(std::move(*taken_out(d, now))); }
    void keep(delivery& d, queueing::job_state state, time_point now) {
        if constexpr (queueing::operable<Queueing>) queueing_.keep(std::move(*taken_out(d, now)), state);
    }
    void release(delivery& d, time_point now) {
        if constexpr (lasts) queueing_.release(std::move(*taken_out(d, now)));
    }
    void refuse(delivery& d, error_code ec, const diagnostics& why, time_point now) {
        d.what->error = ec;
        d.what->result.details = why;
        d.what->blame = blame::message;
        finish(d, now);
    }
    // Where it lasts it waits for somebody who mends the policy.
    void policy_failed(delivery& d, const std::string& text, time_point now) {
        d.what->error = errc::policy_failed;
        d.what->blame = blame::ours;
        d.what->result.details = {.where = phase::policy, .explanation = "a policy of the mailer failed: " + text};
        if (observer_) decided(now, 0, d.what->id, d.what->result.details.explanation);
        if (d.to) d.to->waiting.erase(d.what->id);
        if (!lasts) return finish(d, now);
        tell_waiter(*d.what, d.what->error);
        keep(d, queueing::job_state::held, now);
    }

    void over(std::unique_ptr<job> j) {
        name_recipients(*j);
        actions_.push_back(complete{std::move(j)});
    }
    // Whoever waits for it learns how it stands, and no more: it stays in the queue.
    void tell_waiter(job& j, error_code why) {
        if (!j.waiter) return;
        auto told = std::make_unique<job>();
        told->id = j.id;
        told->result = j.result;
        told->error = why;
        told->waiter = std::move(j.waiter);
        actions_.push_back(complete{std::move(told)});
    }
    void cancel(delivery& d, errc why, time_point now) {
        if (d.connection) {
            if (d.cancelled) return;
            d.cancelled = why;
            if (!d.marking) actions_.push_back(interrupt{*d.connection, d.what->id});
            return;
        }
        leave_line(d);
        d.what->error = why;
        d.what->blame = blame::ours;
        if (why == errc::timed_out) d.what->result.details = {.where = phase::queued, .explanation = why_it_waited(d)};
        if (!lasts || why != errc::shut_down) return finish(d, now);
        tell_waiter(*d.what, why);
        release(d, now);
    }
    static constexpr const char* given_up = "it was given up: its time was over before the server had answered";
    static std::string why_it_waited(const delivery& d) {
        std::string text = "it was given up: its time was over while it waited";
        if (d.at && d.at->in_trouble()) return text + ". " + describe(d.at->trouble.error, d.at->trouble.details);
        if (d.at && d.at->opening > 0) return text + " for a connection to " + d.at->name;
        return text;
    }
    void cancelled(job&& j, errc why) {
        deliveries_.forget_deadline(j);
        j.error = why;
        over(std::make_unique<job>(std::move(j)));
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
        deliveries_.each([&](const delivery& d) {
            if (!d.connection && which.matches(info_of(d, now))) ids.push_back(d.what->id);
        });
        return ids;
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

    const Transport& transport_;
    Pooling& pooling_;
    Queueing& queueing_;
    Scheduling& scheduling_;
    deliveries deliveries_;
    engine::connections connections_;
    sites sites_{lasts};
    domains domains_;
    matchmaker<dispatcher, Pooling, Scheduling> match_{*this, sites_, connections_, pooling_, scheduling_};
    std::set<std::string, std::less<>> paused_;  // names of places
    ring<action> actions_;
    std::vector<job> leased_;
    std::vector<job_id> marked_;
    std::vector<connection_id> leaving_;  // to be closed before the queue is told that they left
    time_point lease_at_ = time_point::min();
    observer* observer_ = nullptr;
    std::size_t went_back_ = 0;  // deliveries, in all
    bool divided_ = false;
};

}  // namespace postroad::engine
