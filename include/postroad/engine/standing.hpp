#pragma once
// What attempts and openings say about servers and sites: which of them is passed over, what the policies hear, and
// what becomes of those that wait there. No I/O and no clock.

#include <postroad/core/algorithm.hpp>
#include <postroad/core/clock.hpp>
#include <postroad/engine/departures.hpp>
#include <postroad/engine/ledger.hpp>
#include <postroad/engine/matchmaker.hpp>
#include <postroad/engine/readings.hpp>
#include <postroad/engine/verdict.hpp>
#include <postroad/pooling/traits.hpp>
#include <postroad/scheduling/traits.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace postroad::engine {

/// A delivery that was on so many connections that ended before the server answered to its MAIL is judged: it may be
/// what ends them.
inline constexpr unsigned max_returns = 3;

/// `Owner` has quit(connection), and the matchmaker match_.
template <class Owner, class Pooling, class Queueing, class Scheduling>
class standing {
    using pooling_traits = pooling::pooling_traits<Pooling>;
    using scheduling_traits = scheduling::scheduling_traits<Scheduling>;
    static constexpr bool lasts = queueing::queueing_traits<Queueing>::lasts;

public:
    standing(Owner& owner, ledger& book, departures<Queueing, Scheduling>& out, Pooling& pooling,
             Scheduling& scheduling)
        : owner_(owner), book_(book), out_(out), pooling_(pooling), scheduling_(scheduling) {}

    /// What the end of a transaction says of going ahead there.
    static void keep_pace(const connection& c, const delivery& d, const smtp::finished& f, bool first_failure,
                          time_point now) {
        if (!c.automatic) return;
        auto& pace = c.at->servers[c.server].pace;
        const bool others = d.behind || !c.is_idle();
        const bool taken =
            postroad::detail::any_of(f.recipients, [](const auto& r) { return r.status == status::accepted; });
        const bool parting = postroad::detail::any_of(f.recipients, says_goodbye);
        if ((first_failure || parting) && others) pace.broke(now);
        if (taken && !f.error) pace.took(others ? d.ahead : smtp::pipelining::envelope);
    }
    /// What a ruling means for this delivery, after what happened to it before.
    ruling in_view_of(const connection& c, delivery& d, const smtp::finished& f, ruling r, time_point now) {
        site& at = *c.at;
        if (is_lack(f.error) && !f.answered) return in_view_of_lack(c, d, r, now);
        // A login that nobody else needs there.
        if (r == ruling::setting && !f.error && at.servers[c.server].worked) r = ruling::refused;
        const auto sender = [&] { return d.what->mail->envelope.reverse_path.str(); };
        if (took_mail(f) && !at.refused.all.empty()) book_.sites.sender_accepted(at, sender());
        if (r == ruling::refused) r = lasts ? book_.sites.sender_refused(at, sender()) : ruling::settled;
        // A refusal of MAIL that may be about this connection is heard once.
        if (r == ruling::again && !f.error && std::exchange(d.again, true)) r = ruling::later;
        const bool unheard = (r == ruling::again && f.error) || r == ruling::outage;
        if (unheard) return ++d.what->returns >= max_returns ? ruling::later : r;
        // What broke under it at one server is tried at the others within the same attempt.
        const bool elsewhere = r == ruling::later && breaks_connection(f.error) && ++d.failovers < at.servers.size();
        return elsewhere ? ruling::again : r;
    }

    /// What the end of a transaction says: `said` is the ruling, `r` what it means in view of the delivery. Returns
    /// whether each server of the site has failed what waits there.
    bool note_end(connection& c, const delivery& d, const smtp::finished& f, ruling r, ruling said, bool first_failure,
                  time_point now) {
        c.carried = c.carried || took_mail(f);
        c.drains = c.room == 0 && r == ruling::ours;
        // Out of order, though it was sent alone: a session that took others before is at its end.
        if (f.error == errc::out_of_sequence && f.lesson == smtp::lesson::none && c.carried) c.full = true;
        if (r == ruling::again && said == ruling::again && first_failure) {
            pooling_traits::found_dead(pooling_, c.id, now, c.jobs.size());
            // Whatever else is idle there has waited as long, or longer.
            quit_idle(*c.at);
        } else if (r == ruling::again && said == ruling::later && f.error) {
            c.replied = true;
            (void)fail_server(c, closed_by(f, c), ruling::outage, 1, now);
        } else if (r == ruling::again && !f.error) {
            if (says_enough(f)) pooling_traits::hung_up(pooling_, c.id, now, c.jobs.size());
            c.full = true;
        } else if (r == ruling::setting || (said == ruling::outage && !breaks_connection(f.error))) {
            c.full = c.replied = true;
            return fail_server(c, closed_by(f, c), r == ruling::setting ? r : said, 1, now);
        } else if (f.answered && said != ruling::ours && said != ruling::outage) {
            return note_answer(c, d, f, r, now);
        }
        return false;
    }
    /// What a refusal of MAIL or RCPT says of the server.
    static smtp::closed closed_by(const smtp::finished& f, const connection& c) {
        if (f.error || f.recipients.empty()) return {f.error, f.details};
        const auto parting = std::ranges::find_if(f.recipients, says_goodbye);
        const auto& r = parting == f.recipients.end() ? f.recipients.front() : *parting;
        return {code_of(r.reply),
                {.where = r.where, .host = to_string(c.at->servers[c.server].at), .reply = to_string(r.reply)}};
    }

    /// The end of a connection, with so many messages on their way to it behind one. Returns as note_end() does.
    bool note_close(const connection& c, const smtp::closed& why, std::size_t behind, time_point now) {
        site& s = *c.at;
        const bool unopened = c.now == connection::state::opening;
        if (unopened || (c.now == connection::state::quitting && c.ready_at == never)) book_.sites.opened(s, c.server);
        // Its TLS does not work and need not: the next connection goes in the clear. Once, in case nobody heeds it.
        const bool clear_next = why.lesson == smtp::lesson::no_tls && !book_.sites.lessons(s, c.server, now).no_tls;
        book_.sites.learn(s, c.server, why.lesson, now);
        const bool at_once = !c.used && c.ready_at != never && now < after(c.ready_at, silence);
        const bool in_vain = !c.replied && !c.carried && (unopened || c.used || at_once);
        if (why.error && in_vain && c.now != connection::state::quitting && !clear_next) {
            const bool said = unopened || why.error == errc::service_closing;
            const bool hopeless = fail_server(c, why, ruling_of(why), said ? 1 : enough_failures, now);
            tell(s, s.live() > 0 ? scheduling::host_event::refused : scheduling::host_event::unreachable, now);
            return hopeless;
        }
        if (c.is_open() && !c.failed) pooling_traits::hung_up(pooling_, c.id, now, behind);
        return false;
    }

    /// Every server of the site failed: what waits shares that.
    void fail_waiting(site& s, time_point now) {
        book_.sites.told(s);
        if (!lasts) judge_all(s, time_point::min(), now);
    }
    /// In a queue that lasts it waits there for the end of the rest.
    void send_back(site& s, time_point now) {
        if (lasts && s.live() == 0) judge_all(s, book_.sites.rests_until(s), now);
    }

    /// A reply asked to be left alone: the delivery waits, and with it all that the reply is about.
    void heed(site& s, delivery& d, const readings& read, time_point now) {
        const auto until = after(now, read.means.rest);
        d.rests_until = until;
        const auto about = read.means.about;
        if (about < transport::reply_subject::tenant) return;
        const smtp::closed why{
            errc::recipients_deferred,
            {.where = read.where, .host = read.host, .explanation = read.why(), .reply = read.reply}};
        const bool one = about == transport::reply_subject::tenant;
        const bool is_new = one ? book_.sites.rest_tenant(s, d.what->tenant, why, until, now)
                                : book_.sites.rest_provider(s, why, until, now);
        if (!is_new) return;
        if (book_.watcher) book_.decided(now, 0, d.what->id, why.details.explanation + ": " + read.reply);
        if (until > after(now, longest_stay)) send_away(s, one ? &d.what->tenant : nullptr, why, until, now);
    }

    void tell(site& s, scheduling::host_event what, time_point now) {
        scheduling_traits::signal(scheduling_, s.place(), what, s.group->open, now);
    }

private:
    // For those that were not asked about: only what is for good says so.
    static errc code_of(const reply& r) noexcept {
        if (r.code == 421) return errc::service_closing;
        if (is_out_of_order(r)) return errc::out_of_sequence;
        return r.code < 500 ? errc::recipients_deferred : errc::recipients_rejected;
    }
    static bool took_mail(const smtp::finished& f) {
        return f.answered && (f.recipients.empty() || f.recipients.front().where != phase::mail);
    }
    // What one server does not offer the next may, within the same attempt; it is refused when none does.
    ruling in_view_of_lack(const connection& c, delivery& d, ruling r, time_point now) {
        d.may_later = d.may_later || r == ruling::later;
        if (site* const others = book_.sites.without(*c.at, c.server, now)) {
            out_.move(d, *others, now);
            return ruling::elsewhere;
        }
        return d.may_later ? ruling::later : r;
    }
    static bool says_goodbye(const recipient_outcome& r) noexcept { return r.reply.code == 421; }
    // That refused MAIL: the session takes no more. With another reason it may be about the sender; without one, too,
    // and a pool learns of what it sees twice.
    static bool says_enough(const smtp::finished& f) noexcept {
        if (f.recipients.empty()) return false;
        const auto& first = f.recipients.front();
        return scheduling::is_busy(first) || first.reply.enhanced.kind == 0;
    }
    static bool ends_connection(const smtp::finished& f) {
        return breaks_connection(f.error) || postroad::detail::any_of(f.recipients, says_goodbye);
    }
    // Returns as note_end() does.
    bool note_answer(connection& c, const delivery& d, const smtp::finished& f, ruling r, time_point now) {
        const bool first = !std::exchange(c.replied, true);
        const auto taken = [](const recipient_outcome& o) { return o.status == status::accepted; };
        bool hopeless = false;
        if (ends_connection(f) && postroad::detail::none_of(f.recipients, taken)) {
            const carried_job by{d.what->id, d.what->result.attempts};
            if (first) hopeless = book_.sites.broke(*c.at, c.server, closed_by(f, c), by, c.ready_at, now);
        } else if (first || !c.at->servers[c.server].worked) {
            book_.sites.worked(*c.at, c.server);
            book_.sites.change(*c.at);
        }
        const bool broken = f.error && (r == ruling::later || r == ruling::doubt);
        const bool busy = !f.recipients.empty() && postroad::detail::all_of(f.recipients, scheduling::is_busy);
        if (broken || busy)
            sites::put_off(*c.at, closed_by(f, c), now);
        else
            sites::had_time(*c.at);
        tell(*c.at, broken || busy ? scheduling::host_event::put_off : scheduling::host_event::answered, now);
        return hopeless;
    }

    // Whether each server of the site has failed what waits there.
    bool fail_server(const connection& c, const smtp::closed& why, ruling r, unsigned enough, time_point now) {
        site& s = *c.at;
        const bool others = postroad::detail::any_of(s.connections, [&](connection_id id) {
            const auto& o = book_.connections.at(id);
            return id != c.id && o.server == c.server && o.is_open() && !o.failed;
        });
        if (others) pooling_.refused(c.id, now);
        const bool all = book_.sites.failed(s, c.server, why, r, others, enough, now);
        if (book_.watcher && !others && s.servers.size() > 1)
            book_.decided(now, c.id, 0, "passed over for a while: " + to_string(s.servers[c.server].at));
        return all;
    }
    void quit_idle(site& s) {
        for (const auto id : s.connections)
            if (auto& c = book_.connections.at(id); c.is_open() && c.is_idle() && !c.failed) {
                pooling_traits::draining(pooling_, id);
                owner_.quit(c);
            }
    }
    // What waits for the provider of `s` goes back to the queue, or is over where that keeps nothing.
    void send_away(site& s, const std::string* tenant, const smtp::closed& why, time_point until, time_point now) {
        std::vector<job_id> waiting;
        book_.deliveries.each([&](const delivery& d) {
            if (d.at && d.at->group == s.group && !d.connection && (!tenant || d.what->tenant == *tenant))
                waiting.push_back(d.what->id);
        });
        std::ranges::sort(waiting);
        for (const auto id : waiting)
            if (delivery* const d = book_.deliveries.find(id)) {
                out_.leave_line(*d);
                d->rests_until = until;
                out_.judge_waiting(*d, why, ruling::outage, until, now);
            }
    }
    void judge_all(site& s, time_point rests_until, time_point now) {
        std::vector<job_id> waiting;
        while (waiting.size() < s.held) {
            const auto id = owner_.match_.shed(s, now);
            if (!id) break;
            waiting.push_back(*id);
        }
        const bool rests = s.rests(now);
        for (const auto id : waiting)
            if (delivery* const d = book_.deliveries.find(id))
                out_.judge_waiting(*d, rests ? s.group->rest.why : s.trouble, rests ? ruling::outage : s.what,
                                   rests_until, now);
    }

    Owner& owner_;
    ledger& book_;
    departures<Queueing, Scheduling>& out_;
    Pooling& pooling_;
    Scheduling& scheduling_;
};

}  // namespace postroad::engine
