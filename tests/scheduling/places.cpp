// Sites that share a provider, what is forgotten of both, and that no step grows with what waits.
#include <doctest/doctest.h>

#include <postroad/scheduling/fair.hpp>
#include <postroad/scheduling/fifo.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

using namespace postroad;
using namespace postroad::scheduling;
using namespace std::chrono_literals;
using pooling::place;

namespace {

constexpr time_point t0 = time_point{} + 1h;
constexpr host_id provider = 1000;

job made(job_id id, std::uint8_t grade = 0, std::string tenant = "", std::string tag = "") {
    job j{.id = id};
    j.traffic_class = grade;
    j.tenant = std::move(tenant);
    j.tag = std::move(tag);
    return j;
}

/// Begins all the turns that there are; the sites that have them, in order.
std::vector<host_id> turns(fair& s, time_point now) {
    std::vector<host_id> all;
    while (const auto h = s.turn(now)) {
        s.begin({*h, provider}, now);
        all.push_back(*h);
    }
    return all;
}
std::size_t held(const fair& s) {
    return s.sites_.size() + s.providers_.size() + s.alarms_.size() + s.lines_.held() + s.lines_.tenants.size() +
           s.tenants_.size();
}

}  // namespace

TEST_CASE("sites of a provider share its connections, and take turns") {
    fair s{.burst = 1, .per_destination = 2};
    for (job_id id = 0; id < 12; ++id) s.admit(made(id), {host_id(id % 4), provider}, t0);
    CHECK(turns(s, t0) == std::vector<host_id>{0, 1});
    for (int i = 0; i < 3; ++i) {
        CHECK(s.next(0, t0).has_value());
        CHECK_FALSE(s.next(2, t0).has_value());
        s.end({0, provider}, t0);
        const auto then = turns(s, t0);
        REQUIRE(then.size() == 1);
        if (then[0] == 0) continue;
        CHECK(then[0] == static_cast<host_id>(2 + i));
        s.end({then[0], provider}, t0);
        CHECK(turns(s, t0).size() == 1);
        break;
    }
}

TEST_CASE("every site of a provider has its turn, however few connections that allows") {
    fair s{.burst = 1, .per_destination = 1};
    std::vector<int> sent(50);
    for (job_id id = 0; id < 500; ++id)
        s.admit(made(id, 0, id % 3 ? "a" : "b", id % 2 ? "x" : ""), {host_id(id % 50), provider}, t0);
    for (int i = 0; i < 500; ++i) {
        const auto h = s.turn(t0);
        REQUIRE(h.has_value());
        s.begin({*h, provider}, t0);
        REQUIRE(s.next(*h, t0).has_value());
        ++sent[*h];
        s.end({*h, provider}, t0);
        // No site is left behind by more than a tenant's turns can make of it.
        if (i == 249) CHECK(*std::ranges::min_element(sent) >= 1);
    }
    CHECK(*std::ranges::min_element(sent) == 10);
    CHECK(*std::ranges::max_element(sent) == 10);
}

TEST_CASE("what somebody waits for goes next at a provider, however many of its sites wait with bulk") {
    fair s{.burst = 1, .per_destination = 1};
    for (job_id id = 0; id < 1000; ++id) s.admit(made(id, 1, "bulk"), {host_id(id), provider}, t0);
    const auto first = turns(s, t0);
    REQUIRE(first.size() == 1);
    s.admit(made(5000, 0, "shop"), {host_id(2000), provider}, t0);
    s.admit(made(5001, 1, "other"), {host_id(2001), provider}, t0);
    CHECK(turns(s, t0).empty());
    s.end({first[0], provider}, t0);
    CHECK(turns(s, t0) == std::vector<host_id>{2000});
    CHECK(s.next(2000, t0) == 5000);
    s.end({2000, provider}, t0);
    std::size_t others = 0;
    for (int i = 0; i < 3; ++i) {
        const auto h = turns(s, t0);
        REQUIRE(h.size() == 1);
        others += h[0] == 2001;
        (void)s.next(h[0], t0);
        s.end({h[0], provider}, t0);
    }
    CHECK(others == 1);
}

TEST_CASE("pace, breaker and learned limit hold for all sites of a provider, and for no other") {
    fair s{.burst = 4, .per_destination = 9, .pace = {1, 1s}, .breaker = {.failures = 1, .first_wait = 30s}};
    for (job_id id = 0; id < 40; ++id) s.admit(made(id), {host_id(id % 4), provider + host_id(id % 4 == 3)}, t0);
    (void)turns(s, t0);
    CHECK(s.next(0, t0).has_value());
    CHECK(s.waiting(1, t0) == 0);
    CHECK_FALSE(s.next(1, t0).has_value());
    s.end({0, provider}, t0);
    CHECK(s.turn(t0) == std::nullopt);
    CHECK(s.wakeup() == t0 + 1s);

    s.signal({1, provider}, host_event::put_off, 1, t0 + 1s);
    (void)turns(s, t0 + 1s);
    for (host_id h = 0; h < 3; ++h) CHECK_FALSE(s.next(h, t0 + 2s).has_value());
    fair other{.breaker = {.failures = 1}};
    other.admit(made(1), {1, 5}, t0);
    other.signal({2, 6}, host_event::put_off, 1, t0);
    CHECK(other.turn(t0) == host_id(1));
}

TEST_CASE("a provider that is probed lets one message through, at one of its sites") {
    fair s{.burst = 4, .concurrency = {.first = 9}, .breaker = {.failures = 1, .first_wait = 30s}};
    for (job_id id = 0; id < 40; ++id) s.admit(made(id), {host_id(id % 4), provider}, t0);
    const auto first = turns(s, t0);
    CHECK(first.size() >= 4);
    s.signal({0, provider}, host_event::put_off, 1, t0);
    for (const auto h : first) s.end({h, provider}, t0);
    CHECK(turns(s, t0).empty());
    const auto probe = turns(s, t0 + 30s);
    REQUIRE(probe.size() == 1);
    std::size_t through = 0;
    for (host_id h = 0; h < 4; ++h)
        while (s.next(h, t0 + 30s)) ++through;
    CHECK(through == 1);
    s.signal({probe[0], provider}, host_event::answered, 1, t0 + 31s);
    s.end({probe[0], provider}, t0 + 31s);
    CHECK(turns(s, t0 + 31s).size() >= 2);
}

TEST_CASE("when its time comes a provider is fed though none of its sites has a connection") {
    fair s{.pace = {1, 1s}};
    s.admit(made(1), {1, provider}, t0);
    s.admit(made(2), {2, provider}, t0);
    const auto first = s.turn(t0);
    REQUIRE(first.has_value());
    s.begin({*first, provider}, t0);
    CHECK(s.next(*first, t0).has_value());
    s.end({*first, provider}, t0);
    CHECK_FALSE(s.turn(t0).has_value());
    CHECK_FALSE(s.ripe(t0 + 1s - 1ns).has_value());
    const auto h = s.ripe(t0 + 1s);
    REQUIRE(h.has_value());
    CHECK(h != first);
    CHECK_FALSE(s.ripe(t0 + 1s).has_value());
    CHECK(s.turn(t0 + 1s) == h);
}

// One waiting message, a server that takes its time to greet, and whatever else happens at the site meanwhile.
TEST_CASE("a message for which a connection is being opened gets no other, however long that takes") {
    struct row {
        const char* what;
        void (*meanwhile)(fair&, time_point);
    };
    const row rows[] = {
        {"nothing", [](fair&, time_point) {}},
        {"more comes",
         [](fair& s, time_point now) {
             s.admit(made(99), {0, provider}, now);
         }},
        {"another site moves",
         [](fair& s, time_point now) {
             s.signal({1, provider}, host_event::opened, 1, now);
         }},
        {"answers",
         [](fair& s, time_point now) {
             s.signal({0, provider}, host_event::answered, 0, now);
         }},
    };
    for (const auto& row : rows) {
        CAPTURE(row.what);
        fair s{.concurrency = {.first = 10}};
        s.admit(made(1), {0, provider}, t0);
        CHECK(turns(s, t0).size() == 1);
        for (auto now = t0; now < t0 + 5min; now += 1s) {
            if (now == t0 + 1s) row.meanwhile(s, now);
            while (s.ripe(now)) {
            }
            CHECK(turns(s, now).empty());
        }
        s.signal({0, provider}, host_event::opened, 1, t0 + 5min);
        CHECK(s.next(0, t0 + 5min) == 1);
    }
}

TEST_CASE("one connection more is opened beside one that hangs, and no third while that is being opened") {
    fair s{.burst = 9, .concurrency = {.first = 10}};
    for (job_id id = 1; id <= 3; ++id) s.admit(made(id), {0, provider}, t0);
    CHECK(turns(s, t0).size() == 1);
    auto now = t0 + 30s;
    s.signal({0, provider}, host_event::opened, 1, now);
    CHECK(s.next(0, now) == 1);
    CHECK(turns(s, now + 2s - 1ns).empty());
    now += 2s;
    CHECK(turns(s, now).size() == 1);
    for (int i = 0; i < 60; ++i) CHECK(turns(s, now += 1s).empty());
    // It cannot be had: the next one may be tried 2 s later.
    s.signal({0, provider}, host_event::refused, 1, now);
    s.end({0, provider}, now);
    CHECK(turns(s, now).empty());
    now += 1h;
    CHECK(turns(s, now).size() == 1);
    s.signal({0, provider}, host_event::opened, 2, now);
    CHECK(s.next(0, now) == 2);
    CHECK(turns(s, now + 1s).empty());
    // One that is idle already is no opening.
    now += 2s;
    CHECK(turns(s, now).size() == 1);
    CHECK(s.next(0, now) == 3);
    s.admit(made(4), {0, provider}, now);
    s.signal({0, provider}, host_event::opened, 9, now);
    CHECK(turns(s, now + 2s).size() == 1);
}

TEST_CASE("any number may be the id of a job") {
    std::set<job_id> ids;
    for (int bit = 0; bit < 64; ++bit)
        for (const auto more : {0, 1}) ids.insert((job_id(1) << bit) - 1 + job_id(more));
    for (int bit = 0; bit < 64; ++bit) ids.insert(~(job_id(1) << bit));
    std::set<job_id> odd;
    for (const auto id : ids)
        if (odd.size() * 2 < ids.size() && id % 3 != 1) odd.insert(id);
    const auto rest = [&](auto& s, auto next) {
        for (const auto id : ids) s.admit(made(id), place(0, provider), t0);
        for (const auto id : odd) s.withdraw(id, 0);
        std::set<job_id> given = odd;
        while (const auto id = next(s)) CHECK(given.insert(*id).second);
        CHECK(given == ids);
    };
    fifo plain;
    rest(plain, [](fifo& s) { return s.next(0, t0); });
    fair turned{.burst = 1000};
    rest(turned, [](fair& s) {
        (void)turns(s, t0);
        return s.next(0, t0);
    });
    fair shed;
    rest(shed, [](fair& s) { return s.shed(0); });
}

TEST_CASE("a job that is admitted while it waits is given once") {
    fifo plain;
    fair turned;
    for (int i = 0; i < 2; ++i) {
        plain.admit(made(7), i ? 1 : 0, t0);
        turned.admit(made(7, 0, i ? "a" : ""), host_id(i), t0);
    }
    CHECK(plain.next(0, t0) == 7);
    CHECK_FALSE(plain.next(1, t0).has_value());
    CHECK(turned.shed(0) == 7);
    CHECK_FALSE(turned.shed(1).has_value());
    CHECK(turned.lines_.size() == 0);
}

TEST_CASE("a site is forgotten at once, and its provider when what it learned is over") {
    struct row {
        const char* what;
        fair s;
        host_event event;
        duration kept;
    };
    row rows[] = {
        {"nothing", {}, host_event::answered, 0s},
        {"a pace", {.pace = {1, 1h}}, host_event::answered, 1h},
        {"a breaker", {.breaker = {.failures = 1, .first_wait = 30s}}, host_event::put_off, 30s},
        {"a limit", {}, host_event::refused, 30s},
        {"both", {.pace = {1, 10s}}, host_event::refused, 30s},
    };
    for (auto& row : rows) {
        CAPTURE(row.what);
        auto& s = row.s;
        const auto use = [&](host_id site) {
            s.admit(made(site), {site, provider}, t0);
            if (turns(s, t0).empty()) return;
            (void)s.next(site, t0);
            s.signal({site, provider}, row.event, 1, t0);
            CHECK(s.forget({site, provider}, t0) == never);
            s.end({site, provider}, t0);
        };
        use(1);
        s.admit(made(2), {2, provider}, t0);
        CHECK(s.forget({2, provider}, t0) == never);
        CHECK(s.forget({1, provider}, t0) == time_point::min());
        // Now the provider goes by the last of its sites.
        s.withdraw(2, 2);
        const auto again = s.forget({2, provider}, t0);
        CHECK(again == (row.kept == 0s ? time_point::min() : t0 + row.kept));
        if (row.kept > 0s) {
            CHECK(s.forget({2, provider}, t0 + row.kept - 1ns) == again);
            // A new site of it finds what was learned.
            s.admit(made(3), {3, provider}, t0);
            const auto busy = turns(s, t0).size();
            CHECK(busy == (row.event == host_event::refused && s.pace.messages == 0 ? 1 : 0));
            if (busy) s.end({3, provider}, t0);
            s.withdraw(3, 3);
            CHECK(s.forget({3, provider}, t0) == again);
            CHECK(s.forget({2, provider}, again) == time_point::min());
        }
        CHECK(s.sites_.empty());
        CHECK(s.providers_.empty());
        CHECK(s.alarms_.empty());
        CHECK_FALSE(s.ripe(never).has_value());
        CHECK(s.forget({77, 78}, t0) == time_point::min());
    }
}

TEST_CASE("what is paused is not forgotten") {
    fair s;
    s.pause({.host = 4});
    CHECK(s.forget({4, provider}, t0) == time_point::min());
    s.admit(made(1), {4, provider}, t0);
    CHECK(turns(s, t0).empty());
    s.withdraw(1, 4);
    CHECK(s.forget({4, provider}, t0) == never);
    s.resume({.host = 4});
    CHECK(s.forget({4, provider}, t0) == time_point::min());
    CHECK_FALSE(s.ripe(t0).has_value());
}

TEST_CASE("sites of one stream share its pace, whoever their providers are, and nobody else has to wait") {
    fair s{};
    const auto at = [](host_id site, host_id stream) {
        place h{site, provider + site % 2};
        h.stream = stream;
        if (stream != 0) h.stream_pace = {24, 24h};
        return h;
    };
    job_id last = 0;
    const auto add = [&](host_id site, host_id stream) { s.admit(made(last++), at(site, stream), t0); };
    for (const host_id site : {1u, 2u, 3u}) add(site, 500);
    for (const host_id site : {1u, 2u}) add(site, 500);
    add(4, 501);
    add(5, 0);
    add(5, 0);
    std::vector<host_id> sent;
    const auto run = [&](time_point now) {
        sent.clear();
        for (;;) {
            while (s.ripe(now)) {
            }
            const auto h = s.turn(now);
            if (!h) break;
            s.begin(at(*h, 0), now);
            CHECK(s.waiting(*h, now) > 0);
            while (s.next(*h, now)) sent.push_back(*h);
            s.end(at(*h, 0), now);
        }
        return sent;
    };
    CHECK(run(t0) == std::vector<host_id>{1, 4, 5, 5});
    CHECK(run(t0 + 59min).empty());
    CHECK(s.wakeup() == t0 + 1h);
    for (int hour = 1; hour <= 4; ++hour) CHECK(run(t0 + 1h * hour).size() == 1);
    CHECK(s.lines_.size() == 0);
    for (const host_id site : {1u, 2u, 3u, 4u, 5u}) CHECK(s.forget(at(site, 0), t0 + 5h) == time_point::min());
    CHECK(s.streams_.empty());
    CHECK(s.sites_.empty());
}

TEST_CASE("a pace begins later only for what outlives its process") {
    fair s{};
    place h{1, provider};
    h.limits.pace = {24, 24h, t0 + 10min};
    place of_stream{2, provider + 1};
    of_stream.stream = 500;
    of_stream.stream_pace = {24, 24h, t0 + 20min};
    for (auto& at : {h, of_stream}) {
        auto j = made(at.site);
        j.lasts = true;
        s.admit(j, at, t0);
    }
    CHECK(turns(s, t0).empty());
    CHECK(s.wakeup() == t0 + 10min);
    CHECK(s.turn(t0 + 10min) == host_id(1));
    // Nobody rings for what is forgotten.
    s.withdraw(2, 2);
    CHECK(s.forget(of_stream, t0 + 10min) == time_point::min());
    CHECK_FALSE(s.ripe(t0 + 24h));
    CHECK(s.alarms_.empty());
    fair other{};
    for (const auto& at : {h, of_stream}) other.admit(made(at.site), at, t0);
    CHECK(other.turn(t0) == host_id(1));
}

TEST_CASE("a site of a stream that does not use its time keeps the others no longer than for one message") {
    fair s{};
    const auto at = [](host_id site) {
        place h{site, provider};
        h.stream = 500;
        h.stream_pace = {24, 24h};
        return h;
    };
    for (host_id site = 1; site <= 4; ++site) s.admit(made(site), at(site), t0);
    const auto go = [&](host_id site, time_point now) {
        s.begin(at(site), now);
        CHECK(s.next(site, now).has_value());
        s.end(at(site), now);
    };
    CHECK(s.turn(t0) == host_id(1));
    go(1, t0);
    CHECK_FALSE(s.turn(t0));
    // Its turn comes, and the pool has no connection for it.
    CHECK(s.turn(t0 + 1h) == host_id(2));
    s.hold(at(2));
    CHECK_FALSE(s.turn(t0 + 1h));
    CHECK(s.turn(t0 + 2h) == host_id(3));
    go(3, t0 + 2h);
    s.withdraw(4, 4);
    s.unhold(2);
    CHECK(s.turn(t0 + 3h) == host_id(2));
}

// POSTROAD_DOMAINS=1000000 in the environment shows that nothing grows with their number.
TEST_CASE("streams without number, a thousand at a time, leave nothing behind, and wait at no cost") {
    const char* const wanted = std::getenv("POSTROAD_DOMAINS");
    const auto rounds = wanted ? std::atoi(wanted) / 1000 : 50;
    fair s{};
    auto now = t0;
    host_id last = 10'000;
    std::size_t most = 0;
    for (int round = 0; round < rounds; ++round, now += 2h) {
        std::vector<place> all;
        for (int i = 0; i < 1000; ++i) {
            place h{++last, provider};
            h.stream = ++last;
            h.stream_pace = {24, 24h};
            s.admit(made(h.site), h, now);
            s.admit(made(h.site + 1), h, now);
            all.push_back(h);
        }
        const auto run = [&](time_point at) {
            const auto before = s.lines_.looks();
            std::size_t sent = 0;
            while (s.ripe(at)) {
            }
            while (const auto h = s.turn(at)) {
                s.begin({*h, provider}, at);
                while (s.next(*h, at)) ++sent;
                s.end({*h, provider}, at);
            }
            CHECK(sent == 1000);
            CHECK(s.lines_.looks() - before < 100 * sent);
        };
        run(now);
        run(now + 1h);
        most = std::max(most, held(s) + s.streams_.size());
        for (const auto& h : all) {
            CHECK(s.forget(h, now + 1h) > now + 1h);
            CHECK(s.forget(h, now + 2h) == time_point::min());
        }
        REQUIRE(s.streams_.empty());
        REQUIRE(s.sites_.empty());
    }
    CHECK(most < 10'000);
    (void)s.ripe(now);
    CHECK(s.alarms_.empty());
}

TEST_CASE("what many sites of one stream cost with each message does not depend on how many wait") {
    const auto looks = [](host_id sites) {
        fair s{};
        const auto at = [](host_id site) {
            place h{site, provider};
            h.stream = 1'000'000;
            h.stream_pace = {24, 24h};
            return h;
        };
        for (host_id site = 1; site <= sites; ++site) s.admit(made(site), at(site), t0);
        std::uint64_t most = 0;
        for (int hour = 0; hour < 50; ++hour) {
            const auto before = s.lines_.looks();
            const auto now = t0 + 1h * hour;
            const auto h = s.turn(now);
            REQUIRE(h);
            s.begin(at(*h), now);
            CHECK(s.next(*h, now).has_value());
            CHECK_FALSE(s.next(*h, now).has_value());
            s.end(at(*h), now);
            // Who comes upon them the first time sets them aside.
            if (hour > 1) most = std::max(most, s.lines_.looks() - before);
            CHECK_FALSE(s.turn(now));
        }
        return most;
    };
    const auto of_few = looks(100);
    CHECK(looks(10'000) <= of_few + 10);
}

TEST_CASE("sites without number, a thousand at a time, leave nothing behind") {
    fifo plain;
    fair s{.burst = 1, .per_destination = 20, .pace = {100'000, 1s}};
    auto now = t0;
    std::size_t most = 0;
    host_id last = 0;
    std::size_t forgotten = 0;
    for (int round = 0; round < 200; ++round, now += 1min) {
        const auto first = last;
        const auto from = [round](host_id h) { return h % 7 ? h : host_id(2'000'000'000 + round); };
        for (int i = 0; i < 1000; ++i) {
            const auto h = ++last;
            s.admit(made(h, h % 2, h % 3 ? "a" : "b"), {h, from(h)}, now);
            plain.admit(made(h), h, now);
        }
        // Some go, some are shed, the rest is cancelled; some leave a timer.
        for (int i = 0; i < 300; ++i) {
            const auto h = s.turn(now);
            if (!h) break;
            s.begin({*h, from(*h)}, now);
            (void)s.next(*h, now);
            s.signal({*h, from(*h)}, i % 9 ? host_event::answered : host_event::refused, 1, now);
            s.end({*h, from(*h)}, now);
        }
        for (auto h = first + 1; h <= last; ++h) {
            if (h % 2)
                (void)s.shed(h);
            else
                s.withdraw(h, h);
            if (h % 2)
                (void)plain.next(h, now);
            else
                plain.withdraw(h, h);
        }
        for (auto h = first + 1; h <= last; ++h) {
            if (s.forget({h, from(h)}, now) != time_point::min())
                forgotten += s.forget({h, from(h)}, now + 2h) == time_point::min();
            else
                ++forgotten;
            forgotten += plain.forget(h, now) == time_point::min();
        }
        REQUIRE(s.sites_.empty());
        REQUIRE(s.providers_.empty());
        REQUIRE(plain.lines_.empty());
        REQUIRE(plain.jobs_.size() == 0);
        most = std::max(most, held(s));
    }
    CHECK(last == 200'000);
    CHECK(forgotten == 2 * last);
    CHECK(most < 3000);
    CHECK(s.lines_.size() == 0);
    (void)s.ripe(now + 24h);
    CHECK(s.alarms_.empty());
    CHECK(s.ripe_.empty());
}

// 100,000 jobs at 10,000 sites, of 1,000 tenants: what each step looks at does not depend on how many others wait.
TEST_CASE("to cancel, to shed and to pause looks at what it is about and at nothing else") {
    constexpr job_id jobs = 100'000;
    const auto tenant = [](job_id id) { return "t" + std::to_string(id * 7 % 1000); };
    const auto filled = [&](fair& s) {
        for (job_id id = 0; id < jobs; ++id)
            s.admit(made(id, id % 2, tenant(id)), {host_id(id % 10'000), provider}, t0);
    };
    const auto looks = [](const fair& s, auto what) {
        const auto before = s.lines_.looks();
        what();
        return s.lines_.looks() - before;
    };
    fifo plain;
    for (job_id id = 0; id < jobs; ++id) plain.admit(made(id), 0, t0);
    const auto before = plain.jobs_.looks();
    for (job_id id = 0; id < jobs; ++id) plain.withdraw(id * 77'777 % jobs, 0);
    CHECK(plain.waiting(0, t0) == 0);
    CHECK(plain.jobs_.looks() - before < 10 * jobs);

    fair s;
    CHECK(looks(s, [&] { filled(s); }) < 20 * jobs);
    CHECK(looks(s, [&] {
              for (job_id id = 0; id < jobs; ++id) s.withdraw(id * 77'777 % jobs, host_id(id * 77'777 % jobs % 10'000));
          }) < 40 * jobs);
    CHECK(s.lines_.size() == 0);
    filled(s);
    CHECK(looks(s, [&] {
              for (host_id h = 0; h < 10'000; ++h)
                  while (s.shed(h)) {
                  }
          }) < 40 * jobs);
    CHECK(s.lines_.size() == 0);
    filled(s);
    // Everything is paused, found to be so, resumed, paused again, and cancelled.
    CHECK(looks(s, [&] {
              for (int i = 0; i < 1000; ++i) s.pause({.by = selection::kind::tenant, .name = "t" + std::to_string(i)});
              CHECK(turns(s, t0).empty());
              for (host_id h = 0; h < 10'000; ++h) CHECK_FALSE(s.shed(h).has_value());
          }) < 40 * jobs);
    CHECK(looks(s, [&] {
              for (int i = 0; i < 1000; ++i) {
                  s.resume({.by = selection::kind::tenant, .name = "t" + std::to_string(i)});
                  s.pause({.by = selection::kind::tenant, .name = "t" + std::to_string(i)});
                  CHECK(turns(s, t0).empty());
              }
          }) < 60 * jobs);
    CHECK(looks(s, [&] {
              for (job_id id = 0; id < jobs; ++id) s.withdraw(id, host_id(id % 10'000));
          }) < 40 * jobs);
    CHECK(s.lines_.size() == 0);
}
