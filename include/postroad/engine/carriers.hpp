#pragma once
// The connections of a mailer, and the turn: in rounds, what their sessions say goes to the dispatcher, what it wants
// goes to the sessions, and what they have to write is written. See docs/sans_io.md.

#include <postroad/core/algorithm.hpp>
#include <postroad/core/clock.hpp>
#include <postroad/core/config.hpp>
#include <postroad/core/id_map.hpp>
#include <postroad/core/observer.hpp>
#include <postroad/core/thrown.hpp>
#include <postroad/engine/careful_observer.hpp>
#include <postroad/engine/carrier.hpp>
#include <postroad/engine/dispatcher.hpp>
#include <postroad/engine/gate.hpp>
#include <postroad/net/asio.hpp>
#include <postroad/smtp/credentials_source.hpp>
#include <postroad/tls/policy.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace postroad::engine {

/// Eighteen random octets in base64.
POSTROAD_DECL std::string fresh_nonce();

/// Lives on the mailer's executor, and in its runtime. What a session throws ends its connection; what a policy throws
/// when it opens one is a failed opening; all else that is thrown goes through.
template <class Transport, class Tls, class Dispatcher>
class carriers {
public:
    using session_type = typename Transport::session_type;
    using engine_type = typename Tls::engine_type;
    using traits = transport::transport_traits<Transport>;
    using session_traits = transport::session_traits<session_type>;
    static constexpr bool wired = Transport::needs_wire;
    using carrier = std::conditional_t<wired, wired_carrier<carriers>, local_carrier<carriers>>;

    /// Rounds of one turn; what is left then waits for the next, since others want the executor, too.
    static constexpr int max_rounds = 64;

    /// `wants_turn` is called when a connection is touched outside of a turn.
    carriers(std::shared_ptr<engine::gate> gate, Transport& transport, const Tls& tls, Dispatcher& dispatcher,
             std::function<void()> wants_turn)
        : gate_(std::move(gate)),
          transport_(transport),
          tls_(tls),
          dispatcher_(dispatcher),
          wants_turn_(std::move(wants_turn)) {}
    carriers(const carriers&) = delete;
    carriers& operator=(const carriers&) = delete;

    /// Once, before anything else: what it belongs to.
    void belong_to(std::weak_ptr<const void> owner) { alive_ = std::move(owner); }

    std::size_t size() const noexcept { return all_.size(); }

    void observe(std::shared_ptr<careful_observer> to) {
        observer_.swap(to);
        dispatcher_.observe(observer_.get());
        for (auto& entry : all_) watch(*entry.second);
    }
    bool is_observed() const noexcept { return observer_ != nullptr; }
    void note(observation o) const {
        o.time = clock::now();
        observer_->on(o);
    }

    /// Goes on until nobody is touched, or for max_rounds. `act(now)` carries out what the dispatcher wants. Returns
    /// whether it is done.
    template <class F>
    bool turn(time_point now, F act) {
        const mark during(in_turn_);
        int rounds = 0;
        do {
            if (rounds++ > 0) now = clock::now();
            if (!located_.empty())
                for (auto& [question, answer] : std::exchange(located_, {}))
                    dispatcher_.located(question, std::move(answer), now);
            round_.clear();
            round_.swap(touched_);
            for (auto* c : round_) {
                begin(*c);
                take_events(*c, now);
            }
            act(now);
            flush_all(now);
        } while (!touched_.empty() && rounds < max_rounds);
        // All have written before anybody reads again: a server that wakes up finds more to do, and the first of its
        // answers may be there by then. A seventh of the CPU time, with ten connections to a server on this machine.
        for (std::size_t i = 0; i < went_.size(); ++i) {
            went_[i]->went = false;
            went_[i]->go_on();
        }
        went_.clear();
        const bool done = touched_.empty();
        forget_gone();
        return done;
    }

    void carry_out(open_connection& o, time_point now) {
        const auto server = observer_ ? to_string(o.to) : std::string();
        if (observer_) note({.what = observed::dialing, .connection = o.id, .server = server, .where = phase::connect});
        auto& entry = all_[o.id];
        entry = std::make_unique<carrier>();
        auto& c = *entry;
        c.id = o.id;
        try {
            if constexpr (wired) {
                const auto start = tls_.starts(o.to);
                o.to.security = start == tls::start::never         ? security::insecure_none
                                : start == tls::start::immediately ? security::implicit
                                : start == tls::start::if_offered  ? security::opportunistic
                                                                   : security::starttls;
                auto session = traits::make_session(transport_, o.to, fresh_nonce(), o.known);
                using wire = typename carrier::wire;
                c.owner = this;
                c.connection = std::make_shared<wire>(
                    gate_->executor(), typename wire::link_type(std::move(session), start, engine_maker(o.to)), c);
                if (observer_) watch(c);
                if (session_traits::is_here(c.session())) return touch(c);
                const auto keep = c.connection;
                keep->dial(o.to, o.to.addresses.all, transport::transport_traits<Transport>::dialing(transport_, o.to));
            } else {
                c.here.emplace(traits::make_session(transport_, o.to, fresh_nonce(), o.known));
                session_traits::on_wake(*c.here, waker(o.id));
                touch(c);
            }
        } catch (...) {
            const auto t = thrown();
            if (observer_)
                note({.what = observed::closed,
                      .connection = o.id,
                      .server = server,
                      .where = t.details.where,
                      .text = t.details.explanation,
                      .error = t.code});
            c.drop();
            close(c, {t.code, t.details}, now);
            remove(c);
        }
    }
    void carry_out(transmit& t, time_point now) {
        auto* c = find(t.id);
        if (!c || c->over) return;
        const auto id = t.what.id;
        const auto recipients = t.what.size();
        touch(*c);
        ++c->came;
        try {
            c->submit(std::move(t.what), now);
        } catch (...) {
            const auto why = thrown();
            c->settled(id);
            smtp::finished f{.id = id, .error = why.code, .details = why.details, .recipients = {}};
            f.recipients.resize(recipients);
            dispatcher_.finished(c->id, std::move(f), 0, now);
            end(*c, why, now);
        }
    }
    // The answer comes when it comes and on any thread.
    void carry_out(ask_location& q, time_point) {
        if constexpr (transport::locates<Transport>) {
            const auto answer = [this, gate = gate_, alive = alive_, id = q.id](transport::located a) {
                gate->post([this, alive, id, a = std::move(a)]() mutable {
                    const auto held = alive.lock();
                    if (!held) return;
                    located_.emplace_back(id, std::move(a));
                    wants_turn_();
                });
            };
            try {
                transport_.locate(q.domain, answer);
            } catch (...) {
                auto t = thrown();
                answer({.where = {}, .error = t.code, .why = std::move(t.details.explanation)});
            }
        }
    }
    void carry_out(interrupt& i, time_point now) {
        with_session(i.id, now, [&](session_type& s) { s.cancel(i.job, now); });
    }
    // It leaves at once, before another is opened: a server that counts them never sees one too many.
    void carry_out(quit_connection& q, time_point now) {
        with_session(q.id, now, [&](session_type& s) { s.quit(now); });
        if (auto* const c = find(q.id); c && !c->over) (void)c->flush(now);
    }

    /// What is under way ends; what becomes of it is for the next turn.
    void end_all(const failure& why, time_point now) {
        std::vector<carrier*> open;
        for (auto& entry : all_) open.push_back(entry.second.get());
        for (auto* c : open) end(*c, why, now);
    }
    /// Closes everything at once, also in the middle of a turn that failed.
    void drop_all() {
        for (auto& entry : all_) entry.second->drop();
        all_.clear();
        touched_.clear();
        round_.clear();
        given_.clear();
        went_.clear();
        gone_.clear();
    }

private:
    friend wired_carrier<carriers>;

    // Set while it lives, also when something throws.
    struct mark {
        bool& set;
        explicit mark(bool& b) : set(b) { set = true; }
        ~mark() { set = false; }
        mark(const mark&) = delete;
        mark& operator=(const mark&) = delete;
    };

    // It takes part in this turn, and reads on at its end.
    void begin(carrier& c) {
        c.waits = false;
        if (!std::exchange(c.went, true)) went_.push_back(&c);
    }
    // Transactions given together leave in one write. What comes of it is for the next round.
    void flush_all(time_point now) {
        given_.clear();
        given_.swap(touched_);
        for (auto* c : round_)
            if (!c->waits && c->flush(now) && take_events(*c, now)) touch(*c);
        for (auto* c : given_) {
            begin(*c);
            c->flush(now);
            if (take_events(*c, now)) touch(*c);
        }
    }

    void forget_gone() {
        if (gone_.empty()) return;
        std::erase_if(touched_, [&](const carrier* c) {
            return postroad::detail::any_of(gone_, [&](const auto& g) { return g.get() == c; });
        });
        gone_.clear();
    }

    carrier* find(connection_id id) {
        const auto found = all_.find(id);
        return found == all_.end() ? nullptr : found->second.get();
    }
    // It lives on to the end of the turn: it may be what is calling.
    void remove(carrier& c) {
        const auto found = all_.find(c.id);
        if (found == all_.end()) return;
        gone_.push_back(std::move(found->second));
        all_.erase(found);
    }
    void touch(carrier& c) {
        if (!std::exchange(c.waits, true)) touched_.push_back(&c);
    }
    void touched(carrier& c, time_point) {
        touch(c);
        if (!in_turn_) wants_turn_();
    }
    void watch(carrier& c) { session_traits::observe(c.session(), observer_.get(), c.id); }

    // Whether there were any; the end of the connection is one.
    bool take_events(carrier& c, time_point now) {
        const bool was_over = c.over;
        bool any = false;
        while (!c.over) {
            auto e = asked(c, now, [&] { return c.session().poll(); });
            if (!e) break;
            any = true;
            const auto room = asked(c, now, [&] { return std::optional(c.session().room()); });
            if (!room) break;
            if (const auto* r = std::get_if<smtp::ready>(&*e)) {
                if (const auto limits = asked(c, now, [&] { return std::optional(limits_of(c.session())); }))
                    dispatcher_.ready(c.id, *room, now, *limits, *r);
            } else if (auto* f = std::get_if<smtp::finished>(&*e)) {
                c.settled(f->id);
                dispatcher_.finished(c.id, std::move(*f), *room, now, c.came);
            } else if (const auto* w = std::get_if<smtp::credentials_wanted>(&*e)) {
                ask_credentials(c, *w);
            } else {
                close(c, std::get<smtp::closed>(*e), now);
            }
        }
        return any || c.over != was_over;
    }
    // Asks a session; one that throws is at its end, and answers nothing.
    template <class F>
    std::invoke_result_t<F> asked(carrier& c, time_point now, F f) {
        try {
            return f();
        } catch (...) {
            end(c, thrown(), now);
            return {};
        }
    }
    static recipient_limits limits_of(session_type& s) {
        recipient_limits limits;
        limits.recipients = session_traits::max_recipients(s, limits.recipients);
        limits.domains = session_traits::max_domains(s, limits.domains);
        return limits;
    }
    void close(carrier& c, const smtp::closed& why, time_point now) {
        c.over = true;
        dispatcher_.closed(c.id, why, now);
        if constexpr (!wired) remove(c);
    }
    // Ends a connection that cannot go on, also one whose session threw.
    void end(carrier& c, const failure& why, time_point now) {
        if (c.over) return;
        if constexpr (wired) {
            if (c.connection) c.end(why, now);
            take_events(c, now);
        }
        if (c.over) return;
        for (auto& f : c.broken(why)) dispatcher_.finished(c.id, std::move(f), 0, now);
        close(c, {why.code, why.details}, now);
        c.drop();
        remove(c);
    }

    // What lets a session say, on any thread and at any time, that it has events.
    std::function<void()> waker(connection_id id) {
        return [this, gate = gate_, alive = alive_, id] {
            gate->post([this, alive, id] {
                const auto held = alive.lock();
                if (auto* c = held ? find(id) : nullptr) touched(*c, clock::now());
            });
        };
    }

    // The answer comes when it comes and on any thread: by then the connection, or the mailer, may be gone.
    void ask_credentials(carrier& c, const smtp::credentials_wanted& w) {
        auto& session = c.session();
        if constexpr (requires(smtp::credentials_handler h) { transport_.provide_credentials({}, h); }) {
            try {
                transport_.provide_credentials(
                    {.server = session.peer(), .refused_token = w.refused_token},
                    [this, gate = gate_, alive = alive_, id = c.id](smtp::credentials_answer a) {
                        gate->post([this, alive, id, a = std::move(a)]() mutable {
                            if (const auto held = alive.lock()) answered(id, std::move(a));
                        });
                    });
            } catch (...) {
                auto t = thrown();
                session.no_credentials(t.code, std::move(t.details.explanation), clock::now());
            }
        } else if constexpr (requires { session.no_credentials(error_code{}, std::string{}, clock::now()); }) {
            session.no_credentials({}, "the transport has no source of credentials", clock::now());
        }
    }
    void answered(connection_id id, smtp::credentials_answer&& a) {
        auto* c = find(id);
        if (!c) return;
        const auto now = clock::now();
        if (a.error)
            c->session().no_credentials(a.error, std::move(a.explanation), now);
        else
            c->session().credentials(std::move(a.credentials), now);
        touched(*c, now);
    }

    std::function<std::unique_ptr<engine_type>()> engine_maker(const endpoint& to) {
        return [this, alive = alive_, to]() {
            const auto held = alive.lock();
            if (!held) throw error(errc::shut_down, "the mailer is gone");
            if (!tls_context_) tls_context_ = tls_.make_context();
            return std::make_unique<engine_type>(tls_context_, to);
        };
    }

    template <class F>
    void with_session(connection_id id, time_point now, F f) {
        auto* c = find(id);
        if (!c || c->over) return;
        touch(*c);
        try {
            f(c->session());
        } catch (...) {
            end(*c, thrown(), now);
        }
    }

    std::shared_ptr<engine::gate> gate_;
    Transport& transport_;
    const Tls& tls_;
    Dispatcher& dispatcher_;
    std::function<void()> wants_turn_;
    std::weak_ptr<const void> alive_;
    std::shared_ptr<const typename Tls::context_type> tls_context_;
    std::shared_ptr<careful_observer> observer_;
    id_map<std::unique_ptr<carrier>> all_;
    std::vector<std::pair<question_id, transport::located>> located_;  // answers that came
    std::vector<carrier*> touched_;
    std::vector<carrier*> round_;                 // those that touched_ held
    std::vector<carrier*> given_;                 // those that it holds once the dispatcher has decided
    std::vector<carrier*> went_;                  // in this turn
    std::vector<std::unique_ptr<carrier>> gone_;  // until the end of the turn
    bool in_turn_ = false;
};

}  // namespace postroad::engine

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/engine/impl/carriers.ipp>
#endif
