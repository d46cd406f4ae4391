// What refusals mean by rules: whether it goes again, whom they are about, and for how long those are left alone.
#include <postroad/scheduling/fair.hpp>
#include <postroad/scheduling/fifo.hpp>
#include <postroad/transport/provider_rules.hpp>

#include <doctest/doctest.h>

#include "engine/rig.hpp"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

using namespace engine_test;
using transport::provider_rules;
using transport::reading;
using transport::reply_rule;
using transport::reply_subject;
using term = reading::term;

namespace {

/// Domains at servers of their name; "a.big.example" and "b.big.example" are two sites of one provider.
struct ruled : by_domain {
    provider_rules rules = {};

    std::vector<endpoint> hosts(const std::string&) const = delete;
    void locate(const std::string& domain, const transport::locate_handler& done) const {
        done({.where = {.site = domain,
                        .provider = domain.ends_with(".big.example") ? "big" : "",
                        .servers = {{.name = domain}}},
              .error = {},
              .why = {}});
    }
    std::optional<reading> read_reply(const endpoint& host, const recipient_outcome& r) const {
        return transport::read_reply(rules, host.name, r.reply);
    }
};
static_assert(transport::reads_replies<ruled>);

provider_rules with(reply_rule r) {
    return {{.provider = "big", .servers = {".big.example"}, .replies = {std::move(r)}}};
}

template <class Queueing, class Scheduling = scheduling::fair>
struct world {
    ruled transport;
    pooling::keep_alive pool = {.max_connections = 4};
    Queueing queue = {};
    Scheduling scheduler = {};
    engine::dispatcher<ruled, pooling::keep_alive, Queueing, Scheduling> d{transport, pool, queue, scheduler};
    time_point now = time_point{} + 1h;
    job_id last = 0;
    std::vector<std::string> done = {};
    std::vector<std::string> why = {};  // of what is over
    std::vector<connection_id> open = {};
    std::vector<std::pair<connection_id, job_id>> given = {};

    explicit world(provider_rules rules) : transport{{}, std::move(rules)} {
        scheduler.retry.attempts = 100;
        if constexpr (requires { scheduler.retry.jitter; }) scheduler.retry.jitter = 0;
    }

    void add(const std::string& domain, const std::string& tenant = "", std::size_t recipients = 1) {
        auto j = make_job(++last, mail_to(domain, recipients));
        j.tenant = tenant;
        CHECK_FALSE(queue.enqueue(j));
        d.wake(now);
        run();
    }
    void pass(duration time) {
        now += time;
        d.tick(now);
        run();
    }
    /// Opens what is wanted; what is given waits in `given`.
    void run() {
        for (;;) {
            if constexpr (requires { queue.store_marks(); }) {
                queue.store_marks();
                d.wake(now);
            }
            auto a = d.poll();
            if (!a) return;
            if (auto* o = std::get_if<engine::open_connection>(&*a)) {
                open.push_back(o->id);
                d.ready(o->id, 1, now);
            } else if (auto* t = std::get_if<engine::transmit>(&*a)) {
                given.emplace_back(t->id, t->what.id);
            } else if (auto* q = std::get_if<engine::quit_connection>(&*a)) {
                std::erase(open, q->id);
                d.closed(q->id, {}, now);
            } else if (auto* q2 = std::get_if<engine::ask_location>(&*a)) {
                transport.locate(q2->domain, [&](transport::located l) { d.located(q2->id, std::move(l), now); });
            } else if (auto* c = std::get_if<engine::complete>(&*a)) {
                done.push_back(text(*c->what));
                why.push_back(describe(c->what->error, c->what->result.details));
            }
        }
    }
    /// Answers what was given first.
    void answer(status s, reply r, phase where = phase::rcpt, std::size_t recipients = 1) {
        REQUIRE_FALSE(given.empty());
        const auto [c, j] = given.front();
        given.erase(given.begin());
        smtp::finished f{.id = j, .error = {}, .details = {}, .recipients = {}};
        f.recipients.assign(recipients, {.status = s, .where = where, .reply = std::move(r)});
        f.answered = true;
        d.finished(c, std::move(f), 1, now);
        run();
    }
    void accept() { answer(status::accepted, {.code = 250}, phase::content); }
};
using in_memory = world<queueing::memory>;
using lasting = world<on_disk>;

const reply limited{.code = 550, .text = "Connection\nfrequency limited"};

}  // namespace

TEST_CASE("a rule fits by code, status and text, the own rule of a provider first") {
    const provider_rules all = {
        {.provider = "a",
         .servers = {".a.example"},
         .replies = {{.code = 550, .text = "frequency limited", .means = {.means = term::later, .rest = 10min}},
                     {.enhanced = {4, 7, 28}, .means = {.about = reply_subject::provider, .rest = 1h}}}},
        {.provider = "*", .replies = {{.text = "block list", .means = {term::later, reply_subject::source, 2h}}}}};
    const auto read = [&](std::string_view server, const reply& r) { return transport::read_reply(all, server, r); };
    CHECK(read("mx.a.example", limited) == reading{.means = term::later, .rest = 10min});
    CHECK(read("mx.a.example", {.code = 551, .text = "frequency limited"}) == std::nullopt);
    CHECK(read("mx.a.example", {.code = 421, .enhanced = {4, 7, 28}})->about == reply_subject::provider);
    CHECK(read("mx.a.example", {.code = 421, .enhanced = {4, 7, 2}}) == std::nullopt);
    CHECK(read("mx.a.example", {.code = 554, .text = "on our Block List"})->about == reply_subject::source);
    CHECK(read("mx.b.example", {.code = 554, .text = "on our\nblock list"})->about == reply_subject::source);
    CHECK(read("mx.b.example", limited) == std::nullopt);
    CHECK(read("mx.b.example", {.code = 550}) == std::nullopt);
}

TEST_CASE("a reply that could not be meant is refused") {
    const auto refused = [](reply_rule r) {
        try {
            transport::check(with(std::move(r)));
        } catch (const error& e) {
            CHECK(e.code() == errc::invalid_option);
            CHECK(e.details().explanation.find("the rule for big: ") == 0);
            return true;
        }
        return false;
    };
    CHECK_FALSE(refused({.code = 400, .means = {.means = term::for_good}}));
    CHECK_FALSE(refused({.code = 599, .means = {.rest = transport::longest_reply_rest}}));
    CHECK(refused({.means = {.means = term::later}}));
    CHECK(refused({.code = 399, .means = {.means = term::later}}));
    CHECK(refused({.code = 600, .means = {.means = term::later}}));
    CHECK(refused({.enhanced = {2, 0, 0}, .means = {.means = term::later}}));
    CHECK(refused({.text = "Blocked", .means = {.means = term::later}}));
    CHECK(refused({.code = 550}));
    CHECK(refused({.code = 550, .means = {.rest = transport::longest_reply_rest + 1s}}));
    CHECK(refused({.code = 550, .means = {.rest = -1s}}));
    CHECK(refused({.code = 550, .means = {.about = reply_subject::tenant}}));
    CHECK(refused({.code = 550, .means = {term::for_good, reply_subject::source, 1h}}));
}

TEST_CASE("a refusal for good that means later goes again, after the rest") {
    in_memory w(with({.text = "frequency limited", .means = {.means = term::later, .rest = 2h}}));
    w.add("a.big.example");
    w.answer(status::rejected, limited);
    CHECK(w.done.empty());
    w.pass(2h - 1s);
    CHECK(w.given.empty());
    w.pass(1s);
    w.accept();
    CHECK(w.done == std::vector<std::string>{"#1 accepted x2"});
}

TEST_CASE("the rules for retries decide where they wait longer than the reply asks") {
    in_memory w(with({.code = 450, .means = {.rest = 1min}}));
    w.add("a.big.example");
    w.answer(status::deferred, {.code = 450});
    w.pass(29min);
    CHECK(w.given.empty());
    w.pass(1min);
    w.accept();
    CHECK(w.done.size() == 1);
}

TEST_CASE("a refusal for now that is for good ends it") {
    in_memory w(with({.code = 450, .text = "no such user", .means = {.means = term::for_good}}));
    w.add("a.big.example", "", 2);
    w.answer(status::deferred, {.code = 450, .text = "No such user"}, phase::rcpt, 2);
    CHECK(w.done == std::vector<std::string>{"#1 rejected rejected x1"});
}

TEST_CASE("of MAIL, too, a rule says what the refusal means") {
    lasting w(with({.enhanced = {5, 7, 1}, .means = {term::later, reply_subject::recipient, 10min}}));
    w.add("a.big.example");
    w.answer(status::rejected, {.code = 550, .enhanced = {5, 7, 1}}, phase::mail);
    CHECK(w.done.empty());
    w.pass(1h);
    w.accept();
    CHECK(w.done == std::vector<std::string>{"#1 accepted x2"});
}

TEST_CASE("a provider that asks for it is left alone, with all its sites and what comes for them; others are not") {
    const auto check = [](auto&& w) {
        w.add("a.big.example");
        w.add("b.big.example");
        REQUIRE(w.given.size() == 2);
        w.answer(status::deferred, {.code = 421, .text = "try later: unusual rate"});
        w.accept();
        w.add("a.big.example");
        w.add("b.big.example");
        w.add("small.example");
        REQUIRE(w.given.size() == 1);
        w.accept();
        CHECK(w.done == std::vector<std::string>{"#2 accepted x1", "#5 accepted x1"});
        for (int i = 0; i < 59; ++i) w.pass(1min);
        CHECK(w.given.empty());
        const auto troubles = w.d.count(w.now).troubles;
        REQUIRE(troubles.size() == 1);
        CHECK(troubles.front().name == "big");
        if constexpr (requires { w.queue.store_marks(); }) CHECK(troubles.front().waiting == 2);
        CHECK(troubles.front().why.find("leave this provider alone for 60 min") != std::string::npos);
        for (int i = 0; i < 16; ++i) w.pass(1min);
        while (!w.given.empty()) w.accept();
        CHECK(w.done.size() == 5);
        CHECK(w.d.count(w.now).troubles.empty());
        CHECK(w.d.idle(w.now));
    };
    const auto rules = with({.text = "unusual rate", .means = {.about = reply_subject::provider, .rest = 1h}});
    SUBCASE("in memory") { check(in_memory(rules)); }
    SUBCASE("in a queue that lasts") { check(lasting(rules)); }
}

TEST_CASE("where nothing is kept, nobody waits for the end of a rest") {
    world<queueing::direct> w(with({.means = {.about = reply_subject::provider, .rest = 24h}}));
    w.pool.max_connections = 1;
    w.add("a.big.example");
    w.add("b.big.example");
    REQUIRE(w.given.size() == 1);
    w.answer(status::deferred, {.code = 421});
    CHECK(w.done.size() == 2);
    w.add("b.big.example");
    CHECK(w.done.size() == 3);
    w.add("small.example");
    w.accept();
    CHECK(w.done.back() == "#4 accepted x1");
}

TEST_CASE("what waits for the end of a rest is late once, when that ends too late") {
    const auto check = [](auto&& w) {
        std::vector<time_point> late;
        w.d.report_by([&](const job&, delivery_action what, time_point now) {
            if (what == delivery_action::delayed) late.push_back(now);
            return std::optional<job>();
        });
        w.scheduler.retry.late_after = 1h;
        const auto begun = w.now;
        w.add("a.big.example");
        w.answer(status::deferred, {.code = 421, .text = "unusual rate"});
        w.add("b.big.example");
        for (int i = 0; i < 150; ++i) w.pass(1min);
        while (!w.given.empty()) w.accept();
        CHECK(w.done.size() == 2);
        REQUIRE(late.size() == 2);
        for (const auto at : late) CHECK(at < begun + 1h);
    };
    const auto rules = with({.text = "unusual rate", .means = {.about = reply_subject::provider, .rest = 2h}});
    SUBCASE("in memory") { check(in_memory(rules)); }
    SUBCASE("in a queue that lasts") { check(lasting(rules)); }
}

TEST_CASE("a tenant is left alone, and the others are not") {
    lasting w(with({.text = "signed by", .means = {.about = reply_subject::tenant, .rest = 1h}}));
    w.add("a.big.example", "ann");
    w.answer(status::deferred, {.code = 421, .text = "rate of mail signed by ann.example"});
    w.add("b.big.example", "ann");
    w.add("a.big.example", "bob");
    REQUIRE(w.given.size() == 1);
    w.accept();
    CHECK(w.done == std::vector<std::string>{"#3 accepted x1"});
    w.pass(45min);
    CHECK(w.given.empty());
    w.pass(30min);
    while (!w.given.empty()) w.accept();
    CHECK(w.done.size() == 3);
}

TEST_CASE("what a tenant is told is shown to no other") {
    const auto rules = provider_rules{
        {.provider = "big",
         .servers = {".big.example"},
         .replies = {{.text = "signed by", .means = {.about = reply_subject::tenant, .rest = 2h}},
                     {.text = "unusual rate", .means = {.about = reply_subject::provider, .rest = 3h}}}}};
    lasting w(rules);
    w.scheduler.retry.give_up = 1min;
    w.add("a.big.example", "ann");
    w.add("b.big.example", "bob");
    REQUIRE(w.given.size() == 2);
    std::swap(w.given[0], w.given[1]);
    w.answer(status::deferred, {.code = 421, .text = "unusual rate"});
    // One that was under way is about a tenant, and says nothing of the provider.
    w.answer(status::deferred, {.code = 421, .text = "rate of mail signed by ann.example"});
    w.why.clear();
    w.add("a.big.example", "bob");
    w.pass(1min);
    const auto troubles = w.d.count(w.now).troubles;
    REQUIRE(troubles.size() >= 1);
    CHECK(troubles.front().why.find("ann.example") == std::string::npos);
    REQUIRE(w.why.size() == 1);
    CHECK(w.why.front().find("ann.example") == std::string::npos);
    CHECK(w.why.front().find("unusual rate") != std::string::npos);
}

TEST_CASE("what goes again at once finds a provider that rests, and waits with its reason") {
    lasting w(with({.text = "unusual rate", .means = {.about = reply_subject::provider, .rest = 3h}}));
    w.scheduler.retry.give_up = 1min;
    w.pool.max_connections = 2;
    w.add("a.big.example");
    w.add("b.big.example");
    w.accept();
    w.add("a.big.example");
    REQUIRE(w.given.size() == 2);
    w.answer(status::deferred, {.code = 421, .text = "unusual rate"});
    w.why.clear();
    w.answer(status::deferred, {.code = 451, .text = "no more on this connection"}, phase::mail);
    w.pass(2min);
    REQUIRE(w.why.size() == 1);
    CHECK(w.why.front().find("unusual rate") != std::string::npos);
}

TEST_CASE("who says that it is worth a try wakes each site of a provider that rests shortly") {
    // A scheduler without turns, which would ask for the other sites itself.
    world<queueing::memory, scheduling::fifo> w(
        with({.text = "unusual rate", .means = {.about = reply_subject::provider, .rest = 9s}}));
    w.pool.max_connections = 3;
    w.add("a.big.example");
    w.answer(status::deferred, {.code = 421, .text = "unusual rate"});
    w.add("a.big.example");
    w.add("b.big.example");
    w.add("c.big.example");
    CHECK(w.given.empty());
    CHECK(w.d.retry_now({}, w.now) == 1);
    w.run();
    for (int i = 0; i < 4 && !w.given.empty(); ++i) w.accept();
    CHECK(w.done.size() == 4);
}

TEST_CASE("who says that it is worth a try ends the rest") {
    lasting w(with({.code = 421, .means = {.about = reply_subject::provider, .rest = 24h}}));
    w.add("a.big.example");
    w.answer(status::deferred, {.code = 421});
    w.add("a.big.example");
    w.pass(1h);
    CHECK(w.given.empty());
    CHECK(w.d.retry_now({}, w.now) == 2);
    w.run();
    while (!w.given.empty()) w.accept();
    CHECK(w.done.size() == 2);
}
