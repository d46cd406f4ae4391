// Messages whose recipients go to several places, and places that are found out later: divided, located, forgotten.
#include <postroad/scheduling/fair.hpp>

#include <doctest/doctest.h>

#include "rig.hpp"

#include <algorithm>
#include <cstdlib>
#include <memory>

using namespace engine_test;
using pooling::keep_alive;
using queueing::memory;
using scheduling::fifo;
using transport::location;

namespace {

/// Each recipient goes to where its domain is, which the test says.
struct by_recipient {
    using axis = postroad::axis::transport;
    using session_type = transport::discard::session_type;
    static constexpr bool needs_wire = false;

    std::string_view route(const envelope&, const address& to) const {
        if (to.domain() == "throws.example") throw std::runtime_error("no table");
        return to.domain();
    }
    void locate(const std::string&, const transport::locate_handler&) const {}
    net::dialing dialing() const { return {}; }
    session_type make_session(const endpoint&, const std::string&) const { return {}; }
};
static_assert(transport::transport_policy<by_recipient>);

struct told final : waiter {
    explicit told(std::vector<std::pair<error_code, outcome>>& to) : all(to) {}
    void complete(error_code ec, outcome&& o) noexcept override { all.emplace_back(ec, std::move(o)); }
    std::vector<std::pair<error_code, outcome>>& all;
};

struct narrow : fifo {
    std::size_t look_ahead = 2;
};

template <class Queueing = memory, class Scheduling = fifo>
struct world {
    by_recipient transport = {};
    keep_alive pool = {};
    Queueing queue = {};
    Scheduling scheduler = {};
    engine::dispatcher<by_recipient, keep_alive, Queueing, Scheduling> d{transport, pool, queue, scheduler};
    time_point now = time_point{} + 1h;
    job_id last = 0;
    std::vector<std::pair<error_code, outcome>> outcomes = {};
    std::map<std::pair<connection_id, job_id>, std::size_t> given = {};
    std::map<connection_id, std::string> servers = {};
    std::vector<std::pair<engine::question_id, std::string>> asked = {};

    job_id add(const std::vector<std::string>& recipients, duration give_up = duration::max()) {
        auto m = std::make_shared<mail_object>();
        m->envelope.reverse_path = address("ann@client.example");
        for (const auto& r : recipients) m->envelope.recipients.push_back(address(r));
        auto j = make_job(++last, std::move(m));
        j.waiter = std::make_unique<told>(outcomes);
        if (give_up != duration::max()) {
            j.deadline = now + give_up;
            d.give_up_at(j.id, j.deadline);
        }
        REQUIRE_FALSE(queue.enqueue(j));
        d.wake(now);
        return last;
    }
    std::string did() {
        std::string all;
        const auto say = [&](const std::string& s) { all += (all.empty() ? "" : ", ") + s; };
        if constexpr (queueing::durable<Queueing>) {
            queue.store_marks();
            d.wake(now);
        }
        while (auto a = d.poll()) {
            if (auto* o = std::get_if<engine::open_connection>(&*a)) {
                servers[o->id] = o->to.name;
                say("open " + std::to_string(o->id) + " " + o->to.name);
            } else if (auto* t = std::get_if<engine::transmit>(&*a)) {
                given[{t->id, t->what.id}] = t->what.size();
                std::string to;
                for (const auto& r : t->what.mail->envelope.recipients) to += " " + r.str();
                say("give " + std::to_string(t->id) + to);
            } else if (auto* q = std::get_if<engine::ask_location>(&*a)) {
                asked.emplace_back(q->id, q->domain);
                say("ask " + q->domain);
            } else if (auto* quit = std::get_if<engine::quit_connection>(&*a)) {
                say("quit " + std::to_string(quit->id));
            } else if (auto* c = std::get_if<engine::complete>(&*a)) {
                if (c->what->waiter) c->what->waiter->complete(c->what->error, std::move(c->what->result));
            }
        }
        return all;
    }
    engine::question_id question(const std::string& domain) const {
        const auto q =
            std::find_if(asked.rbegin(), asked.rend(), [&](const auto& each) { return each.second == domain; });
        REQUIRE(q != asked.rend());
        return q->first;
    }
    void answer(const std::string& domain, location where) {
        d.located(question(domain), {.where = std::move(where), .error = {}, .why = {}}, now);
    }
    void answer(const std::string& domain, errc e, std::string why) {
        d.located(question(domain), {.where = {}, .error = e, .why = std::move(why)}, now);
    }
    static location at(const std::string& site, time_point until = never) {
        return {.site = site, .provider = {}, .servers = {{.name = "mx." + site}}, .valid_until = until};
    }
    // Everything that a connection was given is accepted.
    void accept(connection_id id, std::size_t room = 1) {
        for (const auto& [what, n] : std::map(given))
            if (what.first == id) {
                given.erase(what);
                d.finished(id,
                           {.id = what.second,
                            .error = {},
                            .details = {},
                            .recipients = all(n, status::accepted),
                            .answered = true},
                           room, now);
            }
    }
    void pass(duration time) {
        now += time;
        d.tick(now);
    }
};

}  // namespace

TEST_CASE("a message for several domains is divided, and has one outcome in the order of its envelope") {
    world w;
    (void)w.add({"a@one.example", "b@two.example", "c@one.example"});
    CHECK(w.did() == "ask one.example, ask two.example");
    w.answer("one.example", w.at("one"));
    w.answer("two.example", errc::domain_unknown, "there is no such domain");
    CHECK(w.did() == "open 1 mx.one");
    CHECK(w.outcomes.empty());
    w.d.ready(1, 1, w.now);
    CHECK(w.did() == "give 1 a@one.example c@one.example");
    w.accept(1);
    (void)w.did();
    REQUIRE(w.outcomes.size() == 1);
    const auto& [ec, o] = w.outcomes.front();
    CHECK(!ec);
    CHECK(o.recipients[0].status == status::accepted);
    CHECK(o.recipients[1].status == status::rejected);
    CHECK(o.recipients[1].error == errc::domain_unknown);
    CHECK(o.recipients[1].why.find("no such domain") != std::string::npos);
    CHECK(o.recipients[1].address == "b@two.example");
    CHECK(o.recipients[2].status == status::accepted);
    CHECK(o.attempts == 1);
    CHECK(w.d.idle(w.now));
}

TEST_CASE("many domains at one site share its connections, with one question for each") {
    world w;
    for (int i = 0; i < 3; ++i)
        for (const auto* domain : {"one.example", "two.example"}) (void)w.add({std::string("a@") + domain});
    CHECK(w.did() == "ask one.example, ask two.example");
    w.answer("one.example", w.at("shared"));
    w.answer("two.example", w.at("shared"));
    CHECK(w.did() == "open 1 mx.shared");
    w.d.ready(1, 10, w.now);
    (void)w.did();
    w.accept(1, 10);
    (void)w.did();
    CHECK(w.outcomes.size() == 6);
    CHECK(w.d.connections() == 1);
}

TEST_CASE("a site whose servers change keeps what is open to them") {
    world w;
    (void)w.add({"a@one.example"});
    (void)w.did();
    w.answer("one.example", w.at("one"));
    CHECK(w.did() == "open 1 mx.one");
    (void)w.add({"a@two.example"});
    (void)w.did();
    // The same name with other servers, or other demands: refused, and asked again later.
    w.answer("two.example", {.site = "one", .provider = {}, .servers = {{.name = "elsewhere"}}, .valid_until = never});
    (void)w.did();
    REQUIRE(w.outcomes.size() == 1);
    CHECK(w.outcomes.front().first == errc::policy_failed);
}

TEST_CASE("an answer that is over is asked for again when mail comes, not before") {
    world w;
    (void)w.add({"a@one.example"});
    (void)w.did();
    w.answer("one.example", w.at("one", w.now + 5min));
    (void)w.did();
    w.d.ready(1, 1, w.now);
    (void)w.did();
    w.accept(1);
    CHECK(w.did() == "");
    w.pass(4min);
    (void)w.did();
    (void)w.add({"a@one.example"});
    CHECK(w.did().find("ask") == std::string::npos);
    w.pass(2min);
    CHECK(w.did().find("ask") == std::string::npos);
    (void)w.add({"a@one.example"});
    CHECK(w.did().find("ask one.example") != std::string::npos);
}

TEST_CASE("answers that come twice, late, or for nobody are dropped") {
    world w;
    (void)w.add({"a@one.example"});
    (void)w.did();
    const auto q = w.question("one.example");
    w.answer("one.example", w.at("one"));
    CHECK(w.did() == "open 1 mx.one");
    w.d.located(q, {.where = w.at("two"), .error = {}, .why = {}}, w.now);
    w.d.located(99, {.where = w.at("two"), .error = {}, .why = {}}, w.now);
    CHECK(w.did() == "");
}

TEST_CASE("a question without an answer fails after its time, and what waits is told") {
    world w;
    (void)w.add({"a@one.example"});
    (void)w.did();
    CHECK(w.d.deadline() == w.now + engine::question_timeout);
    w.pass(engine::question_timeout);
    (void)w.did();
    REQUIRE(w.outcomes.size() == 1);
    CHECK(w.outcomes.front().first == errc::timed_out);
    w.answer("one.example", w.at("one"));
    CHECK(w.did() == "");
    // Whoever is given up meanwhile is told what for it waited.
    (void)w.add({"a@two.example"}, 5s);
    CHECK(w.did() == "ask two.example");
    w.pass(5s);
    (void)w.did();
    REQUIRE(w.outcomes.size() == 2);
    CHECK(w.outcomes.back().second.details.explanation.find("where two.example is") != std::string::npos);
}

TEST_CASE("in a queue that lasts mail for a domain that cannot be located waits, and nobody else does") {
    world<on_disk> w;
    (void)w.add({"a@dead.example"});
    (void)w.did();
    for (int i = 0; i < 5; ++i) {
        w.answer("dead.example", errc::resolve_failed, "SERVFAIL");
        (void)w.did();
        CHECK(w.queue.size() == 1);
        const auto troubles = w.d.count(w.now).troubles;
        REQUIRE(troubles.size() == 1);
        CHECK(troubles.front().name == "dead.example");
        CHECK(troubles.front().why.find("SERVFAIL") != std::string::npos);
        CHECK(troubles.front().waiting == 1);
        // It rests: 1 s, and twice as long each time.
        w.pass(engine::first_domain_rest * (1 << i) - 1ns);
        CHECK(w.did() == "");
        w.pass(1ns);
        CHECK(w.did() == "ask dead.example");
    }
    (void)w.add({"a@good.example"});
    CHECK(w.did() == "ask good.example");
    w.answer("good.example", w.at("good"));
    CHECK(w.did() == "open 1 mx.good");
    CHECK(w.outcomes.empty());
}

TEST_CASE("what comes new into a trouble counts beside what waits in the queue for its end") {
    world<on_disk> w;
    (void)w.add({"a@dead.example"});
    (void)w.did();
    w.answer("dead.example", errc::resolve_failed, "SERVFAIL");
    for (std::size_t waiting = 2; waiting <= 3; ++waiting) {
        (void)w.add({"b@dead.example"});
        const auto troubles = w.d.count(w.now).troubles;
        REQUIRE(troubles.size() == 1);
        CHECK(troubles.front().waiting == waiting);
    }
}

TEST_CASE("who says for good that there is no such domain says so to what comes next, too") {
    const auto each = [](auto w) {
        for (std::size_t i = 1; i <= 3; ++i) {
            (void)w.add({"a@nosuch.example"});
            CHECK(w.did() == (i == 1 ? "ask nosuch.example" : ""));
            if (i == 1) w.answer("nosuch.example", errc::domain_unknown, "NXDOMAIN");
            (void)w.did();
            REQUIRE(w.outcomes.size() == i);
            const auto& one = w.outcomes.back().second.recipients.front();
            CHECK(one.status == status::rejected);
            CHECK(one.error == errc::domain_unknown);
            CHECK(one.why == "NXDOMAIN");
            w.now += engine::least_validity / 3;
        }
        // Asked again in time, however often it said so.
        (void)w.add({"a@nosuch.example"});
        CHECK(w.did() == "ask nosuch.example");
        w.answer("nosuch.example", w.at("found"));
        CHECK(w.did() == "open 1 mx.found");
    };
    SUBCASE("in memory") { each(world<>()); }
    SUBCASE("in a queue that lasts") { each(world<on_disk>()); }
}

TEST_CASE("when nobody can be located, all of them are one trouble; who says that there is no domain answers") {
    world<on_disk> w;
    const auto ask = [&](int i, errc e) {
        const auto domain = "d" + std::to_string(i) + ".example";
        (void)w.add({"a@" + domain});
        (void)w.did();
        w.answer(domain, e, "no answer in time");
        (void)w.did();
    };
    const auto troubles = [&] { return w.d.count(w.now).troubles; };
    const int many = engine::many_failures;
    for (int i = 0; i < many - 1; ++i) ask(i, errc::resolve_failed);
    CHECK(troubles().size() == std::min<std::size_t>(many - 1, queueing::max_troubles));
    ask(many, errc::resolve_failed);
    REQUIRE(troubles().size() == 1);
    CHECK(troubles()[0].name == "*");
    CHECK(troubles()[0].error == errc::resolve_failed);
    CHECK(troubles()[0].why.find("no answer in time") != std::string::npos);
    // It answers again.
    ask(many + 1, errc::domain_unknown);
    CHECK(troubles().size() > 1);
    CHECK(troubles()[0].name != "*");
}

TEST_CASE("one domain that cannot be located, however often, is not all of them") {
    world<on_disk> w;
    (void)w.add({"a@one.example"});
    (void)w.did();
    for (unsigned i = 0; i < 2 * engine::many_failures; ++i) {
        w.answer("one.example", errc::resolve_failed, "no answer in time");
        w.pass(i < 10 ? engine::first_domain_rest * (1 << i) : engine::longest_rest);
        CHECK(w.did() == "ask one.example");
    }
    const auto troubles = w.d.count(w.now).troubles;
    REQUIRE(troubles.size() == 1);
    CHECK(troubles[0].name == "one.example");
    CHECK(troubles[0].since > 10 * engine::longest_rest);
    CHECK(troubles[0].why.find("no answer in time") != std::string::npos);
}

TEST_CASE("in a queue that lasts nobody keeps others out for an answer that does not come") {
    world<on_disk, narrow> w;
    (void)w.add({"a@silent.example"});
    (void)w.add({"b@silent.example"});
    (void)w.add({"a@good.example"});
    CHECK(w.did() == "ask silent.example");
    CHECK(w.d.deadline() == w.now + engine::longest_stay);
    w.pass(engine::longest_stay);
    CHECK(w.did() == "ask good.example");
    // What comes while the question is still open goes straight back.
    (void)w.add({"c@silent.example"});
    w.answer("good.example", w.at("good"));
    CHECK(w.did() == "open 1 mx.good");
    CHECK(w.queue.size() == 4);
    CHECK(w.outcomes.empty());
    // The answer is there in time for those that are leased next.
    w.answer("silent.example", w.at("late"));
    CHECK(w.did() == "");
    w.pass(engine::longest_stay);
    CHECK(w.did() == "open 2 mx.late");
    CHECK(w.d.count(w.now).troubles.empty());
}

TEST_CASE("256 questions at a time, the rest in order") {
    world w;
    for (int i = 0; i < 300; ++i) (void)w.add({"a@d" + std::to_string(i) + ".example"});
    (void)w.did();
    CHECK(w.asked.size() == engine::max_questions);
    w.answer("d0.example", w.at("d0"));
    (void)w.did();
    CHECK(w.asked.size() == engine::max_questions + 1);
    CHECK(w.asked.back().second == "d256.example");
}

TEST_CASE("cancelling a message that was divided ends all its parts; so does its deadline") {
    world w;
    const auto id = w.add({"a@one.example", "b@two.example", "c@three.example"}, 5min);
    (void)w.did();
    w.answer("one.example", w.at("one"));
    (void)w.did();
    w.d.ready(1, 1, w.now);
    CHECK(w.did() == "give 1 a@one.example");
    SUBCASE("by hand, not while a part is under way") {
        w.d.cancel(id, cancel_kind::if_waiting, errc::cancelled, w.now);
        CHECK(w.did() == "");
        CHECK(w.outcomes.empty());
        w.accept(1);
        (void)w.did();
        w.d.cancel(id, cancel_kind::if_waiting, errc::cancelled, w.now);
    }
    SUBCASE("by its deadline") {
        w.accept(1);
        (void)w.did();
        for (int i = 0; i < 10; ++i) w.pass(30s);
    }
    (void)w.did();
    REQUIRE(w.outcomes.size() == 1);
    const auto& o = w.outcomes.front().second;
    CHECK(o.recipients[0].status == status::accepted);
    CHECK(o.recipients[1].status == status::not_attempted);
    CHECK(o.recipients[2].status == status::not_attempted);
    CHECK(w.queue.size() == 0);
    CHECK(w.d.idle(w.now));
}

TEST_CASE("a pause by name holds what waits, wherever its domain is, and what comes later") {
    // fair has pauses; the dispatcher keeps those of places by itself.
    struct pausing : fifo {
        void pause(const scheduling::selection&) {}
        void resume(const scheduling::selection&) {}
        std::vector<job_id> list(const scheduling::selection&) const { return {}; }
    };
    by_domain transport;
    keep_alive pool;
    memory queue;
    pausing scheduler;
    engine::dispatcher<by_domain, keep_alive, memory, pausing> d(transport, pool, queue, scheduler);
    const auto now = time_point{} + 1h;
    d.pause({.name = "a.example"}, now);
    auto j = make_job(1, mail_to("a.example", 1));
    REQUIRE_FALSE(queue.enqueue(j));
    d.wake(now);
    CHECK_FALSE(d.has_actions());
    // It holds for months, also when the place is forgotten meanwhile.
    d.tick(now + 24h);
    CHECK_FALSE(d.has_actions());
    const auto then = now + 24h;
    d.resume({.name = "a.example"}, then);
    CHECK(d.has_actions());
    // What comes back from a connection waits, too.
    const auto act = [&] {
        std::size_t opened = 0;
        while (const auto a = d.poll()) opened += std::holds_alternative<engine::open_connection>(*a) ? 1 : 0;
        return opened;
    };
    CHECK(act() == 1);
    auto second = make_job(2, mail_to("a.example", 1));
    REQUIRE_FALSE(queue.enqueue(second));
    d.ready(1, 1, then);
    CHECK(act() == 0);
    d.finished(1, {.id = 1, .error = {}, .details = {}, .recipients = all(1, status::accepted)}, 1, then);
    d.wake(then);
    CHECK(act() == 0);
    d.pause({.name = "a.example"}, then);
    d.finished(1,
               {.id = 2,
                .error = errc::connection_closed,
                .details = {},
                .recipients = all(1, status::not_attempted, phase::mail)},
               0, then);
    d.closed(1, {.error = errc::connection_closed, .details = {}}, then);
    CHECK(act() == 0);
    d.tick(then + 24h);
    CHECK(act() == 0);
    d.resume({.name = "a.example"}, then + 24h);
    CHECK(act() == 1);
}

TEST_CASE("places are paused one by one, each at the cost of what waits, and go on one by one") {
    constexpr std::size_t domains = 500;
    constexpr std::size_t each = 20;
    rig<keep_alive, memory, scheduling::fair> r(keep_alive{.max_connections = 1});
    const auto name = [](std::size_t i) { return "d" + std::to_string(i) + ".example"; };
    (void)r.add("busy.example");
    for (std::size_t i = 0; i < domains * each; ++i) (void)r.add(name(i % domains));
    (void)r.did();
    // A walk through what each of them holds, for each that is paused already, would take minutes.
    for (std::size_t i = 0; i < domains; ++i) r.d.pause({.name = name(i)}, r.now);
    r.ready(1);
    CHECK(r.did() == "give 1 #1");
    r.accept(1, 1);
    CHECK(r.did() == "done #1 accepted x1");
    r.d.resume({.name = name(7)}, r.now);
    CHECK(r.did() == "quit 1");
    r.close(1);
    CHECK(r.did() == "open 2 d7.example");
}

TEST_CASE("a policy that throws when it routes holds the message where the queue lasts, else ends it with the text") {
    SUBCASE("in memory") {
        world w;
        (void)w.add({"a@throws.example"});
        (void)w.did();
        REQUIRE(w.outcomes.size() == 1);
        CHECK(w.outcomes.front().first == errc::policy_failed);
        CHECK(w.outcomes.front().second.details.explanation.find("no table") != std::string::npos);
    }
    SUBCASE("in a queue that lasts") {
        world<on_disk> w;
        (void)w.add({"a@throws.example"});
        (void)w.did();
        CHECK(w.d.count(w.now).of(queueing::job_state::held) == 1);
    }
}

TEST_CASE("a pool that throws when it is asked who is idle for too long is asked again") {
    struct pool : keep_alive {
        bool fails = false;
        std::optional<connection_id> expire(time_point now) {
            if (std::exchange(fails, false)) throw std::runtime_error("thrown by the pool");
            return keep_alive::expire(now);
        }
    };
    rig<pool> r;
    (void)r.add();
    (void)r.did();
    r.ready(1);
    (void)r.did();
    r.accept(1, 1);
    (void)r.did();
    r.pool.fails = true;
    r.pass(r.pool.idle);
    CHECK(r.did() == "");
    r.pass(r.d.deadline() - r.now);
    CHECK(r.did() == "quit 1");
}

TEST_CASE("whichever question a pool or a scheduler throws at, every message goes out in the end") {
    struct counted {
        int left = 0;
        void maybe() {
            if (--left == 0) throw std::runtime_error("thrown by the policy");
        }
    };
    const auto each = [](auto made) {
        for (int nth = 1; nth <= 12; ++nth) {
            CAPTURE(nth);
            const auto calls = std::make_shared<counted>(counted{nth});
            auto r = made(calls);
            for (const auto* domain : {"a.example", "b.example", "c.example", "a.example"}) (void)r->add(domain);
            for (int rounds = 0; r->done.size() < 4 && rounds < 100; ++rounds) {
                for (auto did = r->did(); !did.empty(); did = r->did()) {
                    for (std::size_t at = 0; (at = did.find("quit ", at)) != std::string::npos; ++at)
                        r->close(std::stoull(did.substr(at + 5)));
                    for (std::size_t at = 0; (at = did.find("open ", at)) != std::string::npos; ++at)
                        r->ready(std::stoull(did.substr(at + 5)));
                }
                for (const auto& [id, jobs] : std::map(r->asked))
                    for (const auto& [j, n] : jobs) r->accept(id, j);
                // Time passes only as far as the dispatcher asks for it.
                const auto due = r->d.deadline();
                if (r->done.size() < 4 && !r->d.has_actions() && due != never) r->pass(std::max(due, r->now) - r->now);
            }
            CHECK(r->done.size() == 4);
            for (const auto& [id, j] : r->done) CHECK(j.result.all_accepted());
        }
    };
    SUBCASE("acquire") {
        struct pool : keep_alive {
            std::shared_ptr<counted> calls = {};
            pooling::decision acquire(pooling::place h, time_point now) {
                calls->maybe();
                return keep_alive::acquire(h, now);
            }
        };
        each([](auto calls) {
            pool p;
            p.calls = calls;
            return std::make_unique<rig<pool>>(std::move(p));
        });
    }
    SUBCASE("next") {
        struct line : fifo {
            std::shared_ptr<counted> calls = {};
            std::optional<job_id> next(pooling::place h, time_point now) {
                calls->maybe();
                return fifo::next(h, now);
            }
        };
        each([](auto calls) {
            line l;
            l.calls = calls;
            return std::make_unique<rig<keep_alive, memory, line>>(keep_alive{}, memory{}, std::move(l));
        });
    }
    SUBCASE("ripe") {
        struct line : scheduling::fair {
            std::shared_ptr<counted> calls = {};
            std::optional<pooling::host_id> ripe(time_point now) {
                calls->maybe();
                return scheduling::fair::ripe(now);
            }
        };
        each([](auto calls) {
            line l;
            l.pace = {1, 1min};
            l.calls = calls;
            return std::make_unique<rig<keep_alive, memory, line>>(keep_alive{}, memory{}, std::move(l));
        });
    }
    SUBCASE("lease") {
        struct store : memory {
            std::shared_ptr<counted> calls = {};
            void lease(std::size_t n, time_point now, std::vector<job>& out) {
                calls->maybe();
                memory::lease(n, now, out);
            }
        };
        each([](auto calls) {
            store q;
            q.calls = calls;
            return std::make_unique<rig<keep_alive, store>>(keep_alive{}, std::move(q));
        });
    }
}

TEST_CASE("what a queue throws when it is told of parts leaves the dispatcher, which is to stop") {
    struct torn : memory {
        void divide(job&&, std::vector<job>&&) { throw std::runtime_error("no memory"); }
    };
    world<torn> w;
    CHECK_THROWS_WITH((void)w.add({"a@one.example", "a@two.example"}), "no memory");
    CHECK(w.d.surrender().empty());
}

TEST_CASE("a refusal that a transport throws at means what it says, and the mailer goes on") {
    struct reads_badly : by_domain {
        std::optional<transport::reading> read_reply(const endpoint&, const recipient_outcome&) const {
            throw std::runtime_error("too complex");
        }
    };
    reads_badly transport;
    keep_alive pool;
    memory queue;
    fifo scheduler;
    engine::dispatcher<reads_badly, keep_alive, memory, fifo> d(transport, pool, queue, scheduler);
    const auto now = time_point{} + 1h;
    auto j = make_job(1, mail_to("a.example", 2));
    REQUIRE_FALSE(queue.enqueue(j));
    d.wake(now);
    while (d.poll()) {
    }
    d.ready(1, 1, now);
    while (d.poll()) {
    }
    auto answers = all(2, status::accepted);
    answers[1] = {.status = status::rejected, .where = phase::rcpt, .reply = {.code = 550}};
    d.finished(1, {.id = 1, .error = {}, .details = {}, .recipients = answers, .answered = true}, 1, now);
    std::optional<engine::action> a = d.poll();
    REQUIRE(a);
    REQUIRE(std::holds_alternative<engine::complete>(*a));
    const auto& over = *std::get<engine::complete>(*a).what;
    CHECK_FALSE(over.error);
    CHECK(over.result.recipients[0].status == status::accepted);
    CHECK(over.result.recipients[1].status == status::rejected);
}

// POSTROAD_DOMAINS=1000000 in the environment shows that memory does not grow with their number.
TEST_CASE("what nobody needs is forgotten: many domains in turn, a thousand at a time") {
    const char* const wanted = std::getenv("POSTROAD_DOMAINS");
    const auto rounds = wanted ? std::atoi(wanted) / 1000 : 15;
    world w;
    w.pool.max_connections = 2000;
    std::size_t most = 0;
    std::size_t done = 0;
    for (int round = 0; round < rounds; ++round) {
        for (int i = 0; i < 1000; ++i) (void)w.add({"a@d" + std::to_string(round * 1000 + i) + ".example"});
        (void)w.did();
        while (!w.asked.empty()) {
            const auto asked = std::exchange(w.asked, {});
            for (const auto& [q, name] : asked) w.d.located(q, {.where = w.at(name), .error = {}, .why = {}}, w.now);
            w.servers.clear();
            (void)w.did();
            for (const auto& [id, name] : std::exchange(w.servers, {})) {
                w.d.ready(id, 1, w.now);
                (void)w.did();
                w.accept(id);
                w.d.closed(id, {.error = {}, .details = {}}, w.now);
            }
            (void)w.did();
        }
        most = std::max(most, w.d.known_places());
        done += std::exchange(w.outcomes, {}).size();
        w.pass(engine::forget_after + 1min);
        w.pass(engine::forget_after + 1min);
    }
    // What servers taught about idle connections is kept for an hour.
    w.pass(1h);
    w.pass(1h);
    CHECK(done == static_cast<std::size_t>(rounds) * 1000);
    CHECK(most <= 4000);
    CHECK(w.d.known_places() <= 2);
    CHECK(w.scheduler.lines_.size() <= 2);
    CHECK(w.pool.sites_.size() <= 2);
}

namespace {

// A list whose members are everywhere, at 300 sites; their servers take everything.
template <class Queueing>
struct spread_list : world<Queueing> {
    std::size_t accepted = 0;

    job_id add_list(std::size_t recipients, std::size_t domains) {
        std::vector<std::string> all;
        for (std::size_t i = 0; i < recipients; ++i)
            all.push_back("r" + std::to_string(i) + "@d" + std::to_string(i % domains) + ".example");
        return this->add(all, 1h);
    }
    /// Until so many deliveries were accepted, or all.
    void run(std::size_t most = 100'000) {
        while (this->queue.size() > 0 && accepted < most) {
            act();
            for (const auto& [q, name] : std::exchange(this->asked, {})) {
                const auto site = "s" + std::to_string(std::stoul(name.substr(1)) % 300);
                this->d.located(q, {.where = this->at(site), .error = {}, .why = {}}, this->now);
            }
            act();
            for (const auto& [id, name] : std::exchange(this->servers, {})) this->d.ready(id, 1, this->now);
            act();
            if (this->given.empty()) this->pass(100ms);  // openings are paced
            std::vector<connection_id> busy;
            for (const auto& [what, n] : this->given) busy.push_back(what.first);
            accepted += busy.size();
            for (const auto id : busy) this->accept(id);
        }
        act();
    }
    void act() {
        while (!this->did().empty()) continue;
    }
};

}  // namespace

TEST_CASE("a message of 10,000 recipients in 9,000 domains has one outcome for each, sent whole or cut short") {
    const auto each = [](auto w, std::size_t before, auto cut_short) {
        w.pool.max_connections = 400;
        const auto id = w.add_list(10'000, 9'000);
        (void)w.add({"other@d0.example"});
        w.run(before);
        cut_short(w, id);
        w.run();
        CHECK(w.queue.size() == 0);
        REQUIRE(w.outcomes.size() == 2);
        const auto whole = std::ranges::find(w.outcomes, 10'000u, [](auto& o) { return o.second.recipients.size(); });
        REQUIRE(whole != w.outcomes.end());
        return std::ranges::count(whole->second.recipients, status::accepted, &recipient_outcome::status);
    };
    CHECK(each(spread_list<memory>{}, 100'000, [](auto&, job_id) {}) == 10'000);
    CHECK(each(spread_list<on_disk>{}, 100'000, [](auto&, job_id) {}) == 10'000);
    const auto part = [&](auto cut_short) {
        for (const auto n :
             {each(spread_list<memory>{}, 3'000, cut_short), each(spread_list<on_disk>{}, 3'000, cut_short)}) {
            CHECK(n >= 2'900);
            CHECK(n <= 5'000);
        }
    };
    part([](auto& w, job_id) { w.pass(1h); });
    part([](auto& w, job_id id) { w.d.cancel(id, cancel_kind::at_once, errc::cancelled, w.now); });
}
