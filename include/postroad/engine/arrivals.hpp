#pragma once
// How jobs come in: leased, routed and divided, held by their domain until it is located, and put in line at its site.
// No I/O and no clock.

#include <postroad/core/clock.hpp>
#include <postroad/core/thrown.hpp>
#include <postroad/engine/departures.hpp>
#include <postroad/engine/ledger.hpp>
#include <postroad/message/content.hpp>
#include <postroad/queueing/division.hpp>
#include <postroad/queueing/traits.hpp>
#include <postroad/scheduling/traits.hpp>
#include <postroad/transport/traits.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

namespace postroad::engine {

/// When all that was leased went straight back, the next lease comes so much later.
inline constexpr duration pause_of_leases = std::chrono::seconds(1);

template <class Transport, class Queueing, class Scheduling>
class arrivals {
    using transport_traits = transport::transport_traits<Transport>;
    using queueing_traits = queueing::queueing_traits<Queueing>;
    static_assert(!transport_traits::divides || queueing_traits::divides,
                  "postroad: this transport routes each recipient, and the queue cannot divide messages "
                  "(docs/queueing.md)");
    using scheduling_traits = scheduling::scheduling_traits<Scheduling>;
    static constexpr bool lasts = queueing_traits::lasts;
    // Whether anything may keep others out that could wait in the queue as well.
    static constexpr bool makes_room = lasts && (scheduling_traits::foresees || scheduling::pauses<Scheduling>);

public:
    arrivals(ledger& book, departures<Queueing, Scheduling>& out, const Transport& transport, Queueing& queueing,
             Scheduling& scheduling)
        : book_(book), out_(out), transport_(transport), queueing_(queueing), scheduling_(scheduling) {}

    /// Jobs of the queue that are due, as many as there is room for.
    void lease(time_point now) {
        do lease_some(now);
        while (std::exchange(divided_, false) || make_room(now));
        ask_questions(now);
    }
    /// The same, and nothing is asked about where they go: nothing new begins.
    void lease_last(time_point now) { lease_some(now); }
    time_point wakeup() const { return std::min(book_.draining ? never : leases_at(), book_.domains.wakeup()); }
    /// The next lease need not wait for the end of its pause.
    void end_pause() noexcept { lease_at_ = time_point::min(); }

    /// Questions whose time is over, and what has waited for one for too long.
    void tick(time_point now) {
        while (domain* const d = book_.domains.unanswered(now))
            not_located(*d, {.error = errc::timed_out, .why = "no answer came to where " + d->name + " is"}, now);
        while (domain* const d = book_.domains.overdue(now)) look_up(*d, now);
    }
    /// The answer to a question for a location.
    void located(question_id q, transport::located&& answer, time_point now) {
        domain* const d = book_.domains.answered(q);
        if (!d) return;
        if (answer.error || answer.where.servers.empty())
            not_located(*d, std::move(answer), now);
        else
            found(*d, std::move(answer.where), now);
        ask_questions(now);
    }
    /// Where a name is, if the transport says so at once.
    site* locate(std::string_view name, time_point now) {
        auto& d = book_.domains.of(name);
        if constexpr (transport::has_hosts<Transport>)
            if (auto servers = transport_.hosts(d.name); !d.at && !servers.empty())
                found(d, {.site = d.name, .servers = std::move(servers)}, now);
        book_.domains.rest(d, now);
        return d.at;
    }

    /// Places are paused by name, that of a domain, a site or a provider: what waits there waits on. All else is the
    /// scheduler's.
    void pause(const scheduling::selection& what, time_point now) requires scheduling::pauses<Scheduling> {
        paused_at_ = now;
        if (what.by != scheduling::selection::kind::destination) return scheduling_.pause(what);
        book_.paused.insert(what.name);
        // What others of its names hold was set aside when they were paused.
        book_.deliveries.each([&](delivery& d) {
            if (!d.at || d.connection || !ledger::is_at(*d.to, what.name)) return;
            scheduling_.withdraw(d.what->id, d.at->place());
            out_.set_aside(d, now);
        });
    }
    void resume(const scheduling::selection& what, time_point now) requires scheduling::pauses<Scheduling> {
        if (what.by != scheduling::selection::kind::destination) return scheduling_.resume(what);
        book_.paused.erase(what.name);
        book_.domains.each([&](domain& d) {
            if (ledger::is_at(d, what.name) && !book_.is_paused(d)) look_up(d, now);
        });
    }

private:
    std::size_t look_ahead() const { return scheduling_traits::look_ahead(scheduling_, lasts); }
    bool has_room() const { return book_.deliveries.size() < look_ahead(); }
    time_point leases_at() const {
        if (has_room()) return std::max(queueing_.next_due(), lease_at_);
        return makes_room ? make_room_at_ : never;
    }

    // What may not go soon takes at most half of the room: with all of it nobody else would come in.
    bool is_half_full() const { return makes_room && book_.deliveries.size() > look_ahead() / 2; }
    // Sends back what took more of it before that was known. Returns whether there is room now.
    bool make_room(time_point now) {
        if (!makes_room || has_room() || book_.draining || now < make_room_at_) return false;
        make_room_at_ = after(now, longest_stay);
        // The oldest of the best class stay.
        std::vector<std::tuple<std::uint8_t, time_point, job_id>> waiting;
        book_.deliveries.each([&](const delivery& d) {
            const job& j = *d.what;
            if (!d.connection && (d.at || book_.is_paused(*d.to)))
                waiting.emplace_back(j.traffic_class, j.submitted, j.id);
        });
        std::ranges::sort(waiting, std::greater<>());
        for (const auto& [grade, submitted, id] : waiting) {
            if (!is_half_full()) break;
            auto& d = *book_.deliveries.find(id);
            const auto at = d.at ? may_go_at(d, *d.at, d.at->group->held, now) : never;
            if (at > after(now, longest_stay)) {
                out_.leave_line(d);
                out_.put_off(d, waits_until(at, now), now);
            }
        }
        return has_room();
    }
    // The longer a pause lasts, the later it is looked for its end.
    time_point waits_until(time_point may_go_at, time_point now) const {
        const auto wait = may_go_at == never ? between(paused_at_, now) : may_go_at - now;
        return after(now, std::clamp(wait, longest_stay, longest_rest));
    }
    time_point may_go_at(const delivery& d, const site& at, std::size_t others, time_point now) {
        try {
            return scheduling_traits::may_go_at(scheduling_, *d.what, at.place(), others, now);
        } catch (...) {
            book_.policy_failed(text_of_exception(), now);
            return now;
        }
    }

    // At most a look-ahead at a time; when all of it went straight back, the next comes later.
    void lease_some(time_point now) {
        if (!has_room() || now < lease_at_ || book_.draining) return;
        lease_at_ = time_point::min();
        const auto n = look_ahead() - book_.deliveries.size();
        leased_.clear();
        try {
            queueing_.lease(n, now, leased_);
        } catch (...) {
            lease_at_ = after(now, pause_after_throw);
            book_.policy_failed(text_of_exception(), now);
        }
        const auto before = out_.went_back();
        for (auto& j : leased_) {
            if constexpr (queueing_traits::leases_pointers)
                admit(std::move(j), now);
            else
                admit(std::make_unique<job>(std::move(j)), now);
        }
        if (leased_.size() == n && out_.went_back() - before == n) lease_at_ = after(now, pause_of_leases);
    }
    void admit(std::unique_ptr<job> leased, time_point now) {
        auto& j = *leased;
        if (j.submitted == time_point::min()) j.submitted = now;
        j.lasts = lasts;
        // Of an earlier process, or one that waited for room when its time was over.
        if (j.deadline != never) book_.deliveries.give_up_at(j.whole != 0 ? j.whole : j.id, j.deadline);
        const auto id = j.id;
        delivery* const d = book_.deliveries.put(std::move(leased));
        if (!d) return refuse_twin(id, now);
        if (std::exchange(d->what->interrupted, false)) {
            name_recipients(*d->what);
            ++d->what->result.attempts;
            return out_.conclude(*d, ruling::doubt, now);
        }
        if (has_nobody_to_ask(*d->what)) return out_.finish(*d, now);
        route(*d, now);
    }
    // Recipients are named from the first attempt on: until then a job that waits takes a fifth less memory.
    static bool has_nobody_to_ask(const job& j) {
        const bool is_fresh = j.result.recipients.empty() && j.mail && !j.mail->envelope.recipients.empty();
        return !is_fresh && all_settled(j.result);
    }
    // Two of one id: the second has nothing that it could be told apart by.
    void refuse_twin(job_id id, time_point now) {
        if (book_.watcher) book_.decided(now, 0, id, "the queue gave out a job of this number twice");
    }

    void route(delivery& d, time_point now) {
        const auto& e = d.what->mail->envelope;
        std::vector<places> groups;
        try {
            if constexpr (transport_traits::divides)
                if (e.recipients.size() > 1) groups = groups_of(e, facts_of(*d.what));
            if (groups.size() <= 1)
                d.to =
                    &book_.domains.of(transport_traits::route(transport_, e, e.recipients.front(), facts_of(*d.what)));
        } catch (const error& failed) {
            return out_.refuse(d, failed.code(), failed.details(), now);
        } catch (...) {
            return out_.policy_failed(d, text_of_exception(), now);
        }
        if (groups.size() > 1) return divide(d, groups);
        ++d.to->held;
        came_back(*d.what, d.to->sent_back);
        look_up(*d.to, d, now);
    }
    // What never waited is not among those that were sent back.
    static void came_back(const job& j, std::size_t& sent_back) noexcept {
        if (j.waits > 0 && sent_back > 0) --sent_back;
    }
    // Settled recipients, too: each part says what became of all of its own.
    transport::sender_facts facts_of(const job& j) const {
        transport::sender_facts facts{.tenant = j.tenant, .traffic_class = j.traffic_class};
        // Who demands TLS on the whole way is not taken at the word of a field.
        if constexpr (transport::routes_senders<Transport>)
            facts.tls_not_required =
                !j.mail->envelope.options.require_tls && postroad::detail::waives_tls(j.mail->content);
        if constexpr (transport::asks_from_domain<Transport>)
            if (transport_.by_from_domain()) facts.from_domain = postroad::detail::from_domain(j.mail->content);
        return facts;
    }
    std::vector<places> groups_of(const envelope& e, const transport::sender_facts& who) {
        std::vector<places> groups;
        std::unordered_map<std::string, std::size_t> by_name;
        for (std::uint32_t i = 0; i < e.recipients.size(); ++i) {
            const auto name = std::string(transport_traits::route(transport_, e, e.recipients[i], who));
            const auto [group, is_new] = by_name.try_emplace(name, by_name.size());
            if (is_new) groups.emplace_back();
            groups[group->second].push_back(i);
        }
        return groups;
    }
    void divide(delivery& d, const std::vector<places>& groups) {
        d.to = nullptr;
        divided_ = true;
        name_recipients(*d.what);
        std::vector<job> parts;
        parts.reserve(groups.size());
        for (const auto& group : groups) parts.push_back(queueing::part_of(*d.what, group));
        queueing_traits::divide(queueing_, std::move(*book_.deliveries.take(d)), std::move(parts));
    }

    // Where the delivery goes is known, or it waits with its domain.
    void look_up(domain& to, delivery& d, time_point now) {
        if constexpr (transport::has_hosts<Transport>)
            if (!to.at && !find_hosts(to, d, now)) return;
        if (!book_.is_paused(to)) {
            if (domains::is_located(to, now)) return line_up(d, *to.at, now);
            if (now < to.rests_until && to.error == condition::permanent)
                return out_.reject(d, {to.error, {.where = phase::resolve, .explanation = to.why}}, now);
            if (now < to.rests_until)
                return out_.judge_waiting(d, {to.error, {.where = phase::resolve, .explanation = to.why}},
                                          ruling::outage, to.rests_until, now);
            book_.domains.want(to, now);
            // It waits in the queue, and makes room for others.
            if (to.overdue) return out_.judge_waiting(d, unanswered(to), ruling::outage, after(now, longest_stay), now);
        } else if (is_half_full()) {
            return out_.put_off(d, waits_until(never, now), now);
        }
        to.waiting.insert(d.what->id, true);
    }
    void look_up(domain& to, time_point now) {
        for (const auto id : std::exchange(to.waiting, {}).ids())
            if (delivery* const d = book_.deliveries.find(id)) look_up(to, *d, now);
    }
    static smtp::closed unanswered(const domain& to) {
        return {errc::timed_out, {.where = phase::resolve, .explanation = "no answer yet to where " + to.name + " is"}};
    }
    // False: the delivery is over.
    bool find_hosts(domain& to, delivery& d, time_point now) {
        try {
            if (auto servers = transport_.hosts(to.name); !servers.empty()) {
                found(to, {.site = to.name, .servers = std::move(servers)}, now);
                return true;
            }
            out_.refuse(d, errc::resolve_failed,
                        {.where = phase::resolve, .explanation = "the transport names no server for this message"},
                        now);
        } catch (const error& failed) {
            out_.refuse(d, failed.code(), failed.details(), now);
        } catch (...) {
            out_.policy_failed(d, text_of_exception(), now);
        }
        return false;
    }
    void found(domain& d, transport::location&& where, time_point now) {
        const auto name = where.site;
        const auto until = where.valid_until;
        site* const at = book_.sites.place(std::move(where), now, d.at);
        if (!at)
            return not_located(
                d,
                {.error = errc::policy_failed, .why = "the transport gave \"" + name + "\" other servers than before"},
                now);
        book_.domains.found(d, *at, until, now);
        look_up(d, now);
    }
    void not_located(domain& d, transport::located&& why, time_point now) {
        if (!why.error) why = {.error = errc::resolve_failed, .why = "the location of " + d.name + " has no servers"};
        const smtp::closed failed{.error = why.error,
                                  .details = {.where = phase::resolve, .explanation = std::move(why.why)}};
        const bool for_good = failed.error == condition::permanent;
        book_.domains.not_found(d, failed.error,
                                for_good ? failed.details.explanation : describe(failed.error, failed.details), now);
        for (const auto id : std::exchange(d.waiting, {}).ids()) {
            delivery* const waiting = book_.deliveries.find(id);
            if (!waiting) continue;
            if (for_good)
                out_.reject(*waiting, failed, now);
            else
                out_.judge_waiting(*waiting, failed, ruling::outage, d.rests_until, now);
        }
    }
    void ask_questions(time_point now) {
        if constexpr (transport::locates<Transport>)
            while (domain* const d = book_.domains.next_question(now))
                book_.actions.push_back(ask_location{d->question, d->name});
    }

    void line_up(delivery& d, site& at, time_point now) {
        if (is_half_full())
            if (const auto then = may_go_at(d, at, 0, now); then > after(now, longest_stay))
                return out_.put_off(d, waits_until(then, now), now);
        d.at = &at;
        ++at.held;
        ++at.group->held;
        came_back(*d.what, at.sent_back);
        const auto& asked = sites::rest_of(at, d.what->tenant);
        if (asked.until > after(now, longest_stay)) {
            d.rests_until = asked.until;
            return out_.judge_waiting(d, asked.why, ruling::outage, asked.until, now);
        }
        const bool refused = is_refused_login(at.trouble.error) && at.login_rests_until > now;
        if (at.live() == 0 && (lasts ? book_.sites.is_stuck(at, now) : refused))
            return out_.judge_waiting(d, at.trouble, at.what, book_.sites.rests_until(at), now);
        out_.line_up_again(d, now);
    }

    ledger& book_;
    departures<Queueing, Scheduling>& out_;
    const Transport& transport_;
    Queueing& queueing_;
    Scheduling& scheduling_;
    std::conditional_t<queueing_traits::leases_pointers, std::vector<std::unique_ptr<job>>, std::vector<job>> leased_;
    time_point lease_at_ = time_point::min();
    time_point make_room_at_ = time_point::min();
    time_point paused_at_ = time_point::min();  // the last time
    bool divided_ = false;
};

}  // namespace postroad::engine
