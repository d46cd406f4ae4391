// How far ahead messages go with pipelining::automatic: what the dispatcher gives to which connection.
#include <doctest/doctest.h>

#include <postroad/engine/pace.hpp>

#include "rig.hpp"

using namespace engine_test;

namespace {

constexpr smtp::family ready_at_once = {"", "", 1, 1};
constexpr smtp::family never_ready = {"", "", smtp::family::never, smtp::family::never};

rig<> one_connection(scheduling::fifo s = {}) {
    return rig<>({.max_connections = 1, .messages_per_connection = 1000}, {}, s);
}

/// Takes a message that was given to that connection, which has room for sixteen.
template <class Rig>
void take(Rig& r, connection_id c, job_id j) {
    r.finish(c, j, all(1, status::accepted), {}, 17 - r.asked[c].size());
}

bool has(const std::string& text, const char* what) { return text.find(what) != std::string::npos; }

}  // namespace

TEST_CASE("a fresh server gets one message at a time until it took two, then the next one goes across") {
    auto r = one_connection();
    r.add_many(5);
    CHECK(r.did() == "open 1 a.example");
    r.ready_for_any(1);
    CHECK(r.did() == "give 1 #1");
    take(r, 1, 1);
    CHECK(has(r.did(), "give 1 #2"));
    take(r, 1, 2);
    CHECK(has(r.did(), "give 1 #3 across, give 1 #4 across"));
    take(r, 1, 3);
    CHECK(has(r.did(), "give 1 #5 across"));
}

TEST_CASE("what is refused opens nothing") {
    auto r = one_connection();
    r.add_many(6);
    (void)r.did();
    r.ready_for_any(1);
    for (job_id j = 1; j <= 4; ++j) {
        CHECK_FALSE(has(r.did(), "across"));
        r.finish(1, j, all(1, status::rejected, phase::rcpt, 550), {}, 16);
    }
}

TEST_CASE("a lone message goes ahead of nothing, and none goes behind another while a connection is idle") {
    rig<> r({.max_connections = 2, .first = 2});
    r.add_many(2);
    (void)r.did();
    r.ready_for_any(1, &ready_at_once);
    CHECK(r.did() == "give 1 #1, open 2 a.example");
    r.ready_for_any(2, &ready_at_once);
    CHECK(r.did() == "give 2 #2");
    take(r, 1, 1);
    take(r, 2, 2);
    (void)r.did();
    (void)r.add();
    CHECK(r.did() == "give 2 #3 across");
    (void)r.add();
    CHECK(r.did() == "give 1 #4 across");
    (void)r.add();
    CHECK(has(r.did(), "#5 across"));
}

TEST_CASE("what may wait goes in a window, once the server has shown that it can") {
    auto r = one_connection();
    r.add_many(engine::bulk_waiting + 40);
    (void)r.did();
    r.ready_for_any(1, &ready_at_once);
    CHECK(r.did() == "give 1 #1");
    take(r, 1, 1);
    const auto given = r.did();
    CHECK(has(given, "give 1 #2 window"));
    CHECK(has(given, "give 1 #17 window"));
    CHECK_FALSE(has(given, "#18"));
}

TEST_CASE("a class that may wait is bulk, however little there is of it") {
    auto r = one_connection();
    const auto add = [&] {
        auto j = make_job(++r.last, mail_to("a.example", 1));
        j.traffic_class = 1;
        (void)r.queue.enqueue(j);
    };
    for (int i = 0; i < 6; ++i) add();
    r.d.wake(r.now);
    (void)r.did();
    r.ready_for_any(1, &ready_at_once);
    (void)r.did();
    take(r, 1, 1);
    CHECK(has(r.did(), "give 1 #5 window"));
}

TEST_CASE("a window is tried on one connection, and opens on the others when that went well") {
    rig<> r({.max_connections = 2, .first = 2, .messages_per_connection = 1000});
    r.add_many(200);
    (void)r.did();
    r.ready_for_any(1, &ready_at_once);
    CHECK(r.did() == "give 1 #1, open 2 a.example");
    r.ready_for_any(2, &ready_at_once);
    CHECK(r.did() == "give 2 #2");
    take(r, 1, 1);
    CHECK(has(r.did(), "give 1 #18 window"));
    take(r, 2, 2);
    CHECK(r.did() == "done #2 accepted x1, give 2 #20 across");
    for (job_id j = 3; j < 3 + engine::enough_in_window; ++j) take(r, 1, j);
    (void)r.did();
    take(r, 2, 19);
    CHECK(has(r.did(), "window"));
}

TEST_CASE("the next connection tries the window when the one that did is gone") {
    auto r = one_connection();
    r.add_many(100);
    (void)r.did();
    r.ready_for_any(1, &ready_at_once);
    (void)r.did();
    take(r, 1, 1);
    CHECK(has(r.did(), "window"));
    while (!r.asked[1].empty())
        r.finish(1, r.asked[1].begin()->first, all(1, status::accepted), errc::connection_closed, 0);
    r.close(1, errc::connection_closed);
    CHECK(has(r.did(), "open 2"));
    r.pass(engine::first_alone);
    r.ready_for_any(2, &ready_at_once);
    CHECK(has(r.did(), "give 2 #18"));
    take(r, 2, 18);
    CHECK(has(r.did(), "give 2 #34 window"));
}

TEST_CASE("no more is in flight than may be in doubt") {
    auto r = one_connection({.most_in_doubt = 3});
    r.add_many(100);
    (void)r.did();
    r.ready_for_any(1, &ready_at_once);
    (void)r.did();
    take(r, 1, 1);
    CHECK(has(r.did(), "give 1 #2 window, give 1 #3 window, give 1 #4 window"));
    CHECK(r.did().empty());
}

TEST_CASE("a queue that lasts and parks what is in doubt opens no window, unless it is told to") {
    for (const std::size_t most : {0U, 2U}) {
        rig<pooling::keep_alive, on_disk> r({.max_connections = 1}, {}, {.most_in_doubt = most});
        r.add_many(100);
        (void)r.did();
        const auto stored = [&] {
            r.queue.store_marks();
            r.d.wake(r.now);
            return r.did();
        };
        r.ready_for_any(1, &ready_at_once);
        (void)stored();
        take(r, 1, 1);
        CHECK(has(stored(), most == 0 ? "give 1 #2 across, give 1 #3 across" : "give 1 #2 window, give 1 #3 window"));
    }
    rig<pooling::keep_alive, on_disk> again({.max_connections = 1}, {}, {.in_doubt = scheduling::retry_after{}});
    CHECK(scheduling::scheduling_traits<scheduling::fifo>::most_in_doubt(again.scheduler, true) == 16);
}

TEST_CASE("a family that breaks over it is never sent ahead to") {
    auto r = one_connection();
    r.add_many(100);
    (void)r.did();
    r.ready_for_any(1, &never_ready);
    for (job_id j = 1; j < 50; ++j) {
        CHECK_FALSE(has(r.did(), "across"));
        take(r, 1, j);
    }
}

TEST_CASE("a connection that ends with several in flight sends its server back to one at a time, on each connection") {
    rig<> r({.max_connections = 2, .first = 2, .messages_per_connection = 1000});
    r.add_many(100);
    (void)r.did();
    r.ready_for_any(1, &ready_at_once);
    (void)r.did();
    r.ready_for_any(2, &ready_at_once);
    (void)r.did();
    take(r, 1, 1);
    CHECK(has(r.did(), "window"));
    take(r, 2, 2);
    CHECK(has(r.did(), "across"));
    // Before the end of the connection itself is known, too.
    r.finish(1, 3, all(1, status::accepted), errc::connection_closed, 0);
    r.finish(2, 19, all(1, status::accepted), {}, 15);
    r.finish(2, 20, all(1, status::accepted), {}, 16);
    const auto given = r.did();
    CHECK(has(given, "give 2"));
    CHECK_FALSE(has(given, "across"));
    CHECK_FALSE(has(given, "window"));
    while (!r.asked[1].empty())
        r.finish(1, r.asked[1].begin()->first, all(1, status::accepted), errc::connection_closed, 0);
    r.d.closed(1, {.error = errc::connection_closed, .lesson = smtp::lesson::no_overlap}, r.now);
    // And it stays so, whatever is taken.
    for (int i = 0; i < 30 && !r.asked[2].empty(); ++i) {
        take(r, 2, r.asked[2].begin()->first);
        const auto next = r.did();
        CHECK_FALSE(has(next, "across"));
        CHECK_FALSE(has(next, "window"));
    }
}

TEST_CASE("what a server taught is heeded for longer each time that it is taught anew") {
    engine::sites all(false);
    auto now = time_point{} + 1h;
    auto& s = *all.place({.site = "a.example", .servers = {{.name = "a.example"}}}, now);
    for (const duration time : {1h, 2h, 4h, 8h, 16h, 24h, 24h}) {
        CHECK(all.overlaps(s, 0, now));
        // Several connections may say it, and it is one lesson.
        all.learn(s, 0, smtp::lesson::no_overlap, now);
        all.learn(s, 0, smtp::lesson::no_overlap, now);
        now += time - 1s;
        CHECK_FALSE(all.overlaps(s, 0, now));
        CHECK(all.lessons(s, 0, now).no_overlap);
        now += 1s;
    }
    CHECK(all.overlaps(s, 0, now));
    CHECK_FALSE(all.lessons(s, 0, now).no_chunking);
}

TEST_CASE("a server on which a window proved itself is alone for a minute again when it breaks") {
    const auto t0 = time_point{} + 1h;
    for (const bool proved : {false, true}) {
        CAPTURE(proved);
        engine::pace p;
        p.met(&ready_at_once);
        p.broke(t0);
        for (unsigned i = 0; proved && i < engine::enough_in_window; ++i) p.took(smtp::pipelining::window);
        p.broke(t0 + 1h);
        p.took(smtp::pipelining::envelope);
        const auto mode = p.allowed(1, engine::demand::some, t0 + 1h + engine::first_alone);
        CHECK(mode == (proved ? smtp::pipelining::across : smtp::pipelining::envelope));
    }
}
