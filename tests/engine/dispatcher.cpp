#include <doctest/doctest.h>

#include "rig.hpp"

#include <postroad/scheduling/fair.hpp>

using namespace engine_test;
using pooling::keep_alive;
using pooling::one_shot;
using queueing::direct;
using queueing::memory;
using scheduling::fifo;

namespace {

const keep_alive one{.max_connections = 1};

rig<> retrying(unsigned attempts, keep_alive p = one) {
    return rig<>{p, memory{}, fifo{.retry = {.attempts = attempts, .first_wait = 5min}}};
}

}  // namespace

TEST_CASE("draining begins nothing new, and lets what is under way end") {
    SUBCASE("in memory what waits ends") {
        rig<> r(keep_alive{.max_connections = 1});
        r.add_many(3);
        (void)r.did();
        r.ready(1);
        CHECK(r.did() == "give 1 #1");
        r.d.drain(r.now);
        CHECK_FALSE(r.d.idle(r.now));
        CHECK(r.did() == "done #2 not_attempted x0 shut_down, done #3 not_attempted x0 shut_down");
        (void)r.add();
        CHECK(r.did() == "");
        r.accept(1, 1);
        CHECK(r.did() == "done #1 accepted x1, quit 1");
        CHECK(r.d.idle(r.now));
        CHECK(r.d.deadline() == never);
    }
    SUBCASE("what came into the queue just before is not left to the end") {
        rig<keep_alive, on_disk> r(keep_alive{.max_connections = 1});
        (void)r.add();
        (void)r.did();
        for (job_id id = 2; id < 4; ++id) {
            auto j = make_job(id, mail_to("a.example", 1));
            CHECK_FALSE(r.queue.enqueue(j));
        }
        r.d.drain(r.now);
        CHECK(r.did() == "quit 1");
        CHECK(r.queue.released == std::vector<job_id>{1, 2, 3});
    }
    SUBCASE("in memory what would go again ends, with what the server said") {
        rig<> r(keep_alive{.max_connections = 1});
        (void)r.add("two.example");
        (void)r.did();
        r.ready(1);
        (void)r.did();
        r.d.drain(r.now);
        r.finish(1, 1, all(1, status::deferred, phase::mail, 421), {}, 0);
        r.close(1, errc::service_closing);
        CHECK(r.did().starts_with("done #1 deferred x1"));
        CHECK(r.done.at(1).result.recipients[0].reply.code == 421);
        CHECK(r.d.idle(r.now));
    }
    SUBCASE("in a queue that lasts it stays there, also what is only marked, and what would go again") {
        rig<keep_alive, on_disk> r(keep_alive{.max_connections = 2});
        r.add_many(4);
        (void)r.did();
        r.ready(1);
        r.queue.store_marks();
        r.d.wake(r.now);
        CHECK(r.did() == "open 2 a.example, give 1 #1");
        r.ready(2);
        r.d.drain(r.now);
        (void)r.did();
        r.queue.store_marks();
        r.d.wake(r.now);
        CHECK(r.queue.released.size() == 3);
        // MAIL is refused with what would be tried again at once.
        r.lose(1, 1);
        (void)r.did();
        CHECK(r.queue.released == std::vector<job_id>{3, 4, 2, 1});
        CHECK(r.done.empty());
        CHECK(r.d.idle(r.now));
    }
}

TEST_CASE("jobs go out in the order they came") {
    rig<> r(one);
    r.add_many(3);
    CHECK(r.did() == "open 1 a.example");
    r.ready(1);
    CHECK(r.did() == "give 1 #1");
    r.accept(1, 1);
    CHECK(r.did() == "done #1 accepted x1, give 1 #2");
    r.accept(1, 2);
    CHECK(r.did() == "done #2 accepted x1, give 1 #3");
    r.accept(1, 3);
    CHECK(r.did() == "done #3 accepted x1");
    CHECK(r.d.idle(r.now));
    CHECK(r.d.connections() == 1);
}

TEST_CASE("an action is over when doing it throws, and those behind it are still to be done, in their order") {
    rig<> r;
    r.add_many(3);
    CHECK(r.did() == "open 1 a.example");
    r.ready(1, 3);
    CHECK_THROWS_AS(r.d.act([](engine::action&) { throw 1; }), int);
    CHECK(r.d.has_actions());
    (void)r.add("b.example");
    const auto second = r.d.poll();
    REQUIRE(second);
    CHECK(std::get<engine::transmit>(*second).what.id == 2);
    CHECK(r.did() == "give 1 #3, open 2 b.example");
    CHECK_FALSE(r.d.has_actions());
}

TEST_CASE("an idle connection is reused") {
    rig<> r;
    (void)r.add();
    CHECK(r.did() == "open 1 a.example");
    r.ready(1);
    CHECK(r.did() == "give 1 #1");
    r.accept(1, 1);
    CHECK(r.did() == "done #1 accepted x1");
    (void)r.add();
    CHECK(r.did() == "give 1 #2");
}

TEST_CASE("an idle connection is taken rather than one that is still being opened") {
    rig<> r(keep_alive{.max_connections = 2});
    r.add_many(3);
    CHECK(r.did() == "open 1 a.example");
    r.ready(1, 2);
    CHECK(r.did() == "give 1 #1, give 1 #2, open 2 a.example");
    r.accept(1, 1);
    r.accept(1, 2);
    (void)r.did();
    r.accept(1, 3);
    (void)r.did();
    (void)r.add();
    CHECK(r.did() == "give 1 #4");
}

TEST_CASE("the cap counts connections that are being opened") {
    rig<> r(keep_alive{.max_connections = 2});
    r.add_many(5);
    CHECK(r.did() == "open 1 a.example");
    r.ready(1);
    CHECK(r.did() == "give 1 #1, open 2 a.example");
    (void)r.add("b.example");
    CHECK(r.did() == "");
    CHECK(r.d.connections() == 2);
}

TEST_CASE("no more connections are opened than there are jobs for them") {
    rig<> r(keep_alive{.max_connections = 9});
    r.add_many(3);
    CHECK(r.did() == "open 1 a.example");
    r.ready(1, 2);
    CHECK(r.did() == "give 1 #1, give 1 #2, open 2 a.example");
    r.accept(1, 1);
    CHECK(r.did() == "done #1 accepted x1, give 1 #3");
    r.ready(2);
    CHECK(r.did() == "");
    (void)r.add();
    CHECK(r.did() == "give 2 #4");
}

TEST_CASE("a connection with room in its window takes more while it is busy") {
    rig<> r(one);
    (void)r.add();
    (void)r.did();
    r.ready(1, 2);
    CHECK(r.did() == "give 1 #1");
    (void)r.add();
    CHECK(r.did() == "give 1 #2");
    (void)r.add();
    CHECK(r.did() == "");
    r.accept(1, 1);
    CHECK(r.did() == "done #1 accepted x1, give 1 #3");
}

TEST_CASE("the destination that waits gets the connection that becomes idle at another") {
    rig<> r(one);
    (void)r.add("a.example");
    (void)r.did();
    r.ready(1);
    (void)r.add("b.example");
    CHECK(r.did() == "give 1 #1");
    r.accept(1, 1);
    CHECK(r.did() == "done #1 accepted x1, quit 1");
    r.close(1);
    CHECK(r.did() == "open 2 b.example");
}

TEST_CASE("a job whose kept connection had gone stale goes back and costs no attempt") {
    rig<> r(one);
    r.add_many(2);
    (void)r.did();
    r.ready(1);
    (void)r.did();
    r.accept(1, 1);
    CHECK(r.did() == "done #1 accepted x1, give 1 #2");
    r.lose(1, 2);
    CHECK(r.did() == "open 2 a.example");
    r.ready(2);
    CHECK(r.did() == "give 2 #2");
    r.accept(2, 2);
    CHECK(r.did() == "done #2 accepted x1");
}

TEST_CASE("a kept connection that is found dead costs no attempt, and the pool learns how long it was good") {
    rig<> r(one);
    (void)r.add();
    (void)r.did();
    r.ready(1);
    (void)r.did();
    r.accept(1, 1);
    (void)r.did();
    r.pass(20s);
    (void)r.add();
    CHECK(r.did() == "give 1 #2");
    r.lose(1, 2);
    CHECK(r.did() == "open 2 a.example");
    r.ready(2);
    CHECK(r.did() == "give 2 #2");
    r.accept(2, 2);
    CHECK(r.did() == "done #2 accepted x1");
    // The next is closed in time.
    r.pass(18s);
    CHECK(r.did() == "quit 2");
}

TEST_CASE("connections can be opened before there is a message") {
    rig<> r(pooling::keep_alive{.max_connections = 3, .first = 2});
    r.d.warm_up("a.example", 5, r.now);
    CHECK(r.did() == "open 1 a.example");
    r.ready(1);
    CHECK(r.did() == "open 2 a.example");
    r.ready(2);
    CHECK(r.did() == "");
    (void)r.add();
    CHECK(r.did() == "give 2 #1");
}

TEST_CASE("421 to MAIL on a kept connection is a farewell and costs no attempt") {
    rig<> r(one);
    r.add_many(2);
    (void)r.did();
    r.ready(1);
    (void)r.did();
    r.accept(1, 1);
    (void)r.did();
    r.finish(1, 2, all(1, status::deferred, phase::mail, 421), {}, 0);
    r.close(1, errc::service_closing);
    CHECK(r.did().ends_with("open 2 a.example"));
    r.ready(2);
    CHECK(r.did() == "give 2 #2");
    r.accept(2, 2);
    CHECK(r.did() == "done #2 accepted x1");
}

TEST_CASE("421 to MAIL on a fresh connection is an answer") {
    rig<> r(one);
    (void)r.add();
    (void)r.did();
    r.ready(1);
    (void)r.did();
    r.finish(1, 1, all(1, status::deferred, phase::mail, 421), {}, 0);
    r.close(1, errc::service_closing);
    CHECK(r.did().find("done #1 deferred x1") == 0);
}

TEST_CASE("who shares a refusal of MAIL by the server learns whether it is for good") {
    struct row {
        std::uint16_t code;
        const char* asked;
        const char* others;
    };
    for (const row& x : {row{421, "deferred", "service_closing"},
                         {503, "rejected", "out_of_sequence"},
                         {530, "rejected", "recipients_rejected"}}) {
        CAPTURE(x.code);
        rig<> r(one);
        r.add_many(2);
        (void)r.did();
        r.ready(1);
        (void)r.did();
        r.finish(1, 1, all(1, x.code < 500 ? status::deferred : status::rejected, phase::mail, x.code), {}, 0);
        r.close(1, errc::service_closing);
        const auto did = r.did();
        CAPTURE(did);
        CHECK(did.find(std::string("done #1 ") + x.asked + " x1") != std::string::npos);
        CHECK(did.find(std::string("done #2 not_attempted x0 ") + x.others) != std::string::npos);
    }
}

TEST_CASE("a connection that breaks after it answered to MAIL is an attempt") {
    rig<> r(one);
    (void)r.add();
    (void)r.did();
    r.ready(1);
    (void)r.did();
    r.lose(1, 1, true);
    CHECK(r.did() == "done #1 not_attempted x1 connection_closed");
}

TEST_CASE("a connection that ends before it answered to MAIL is a failed opening: the next one waits, three in all") {
    rig<> r(one);
    (void)r.add();
    for (connection_id id = 1; id <= engine::max_returns; ++id) {
        CHECK(r.did() == "open " + std::to_string(id) + " a.example");
        r.ready(id);
        CHECK(r.did() == "give " + std::to_string(id) + " #1");
        r.lose(id, 1);
        if (id == engine::max_returns) break;
        CHECK(r.did() == "");
        r.pass(engine::first_rest - 1ms);
        CHECK(r.did() == "");
        r.pass(1s);
    }
    CHECK(r.did() == "done #1 not_attempted x1 connection_closed");
}

TEST_CASE("a job behind the one that broke a fresh connection goes back") {
    rig<> r(one);
    r.add_many(2);
    (void)r.did();
    r.ready(1, 2);
    CHECK(r.did() == "give 1 #1, give 1 #2");
    r.finish(1, 1, all(1, status::not_attempted), errc::connection_closed, 0);
    r.finish(1, 2, all(1, status::not_attempted, phase::mail), errc::connection_closed, 0, false);
    r.close(1, errc::connection_closed);
    CHECK(r.did() == "done #1 not_attempted x1 connection_closed");
    r.pass(1s);
    CHECK(r.did() == "open 2 a.example");
    r.ready(2);
    CHECK(r.did() == "give 2 #2");
}

TEST_CASE("a job whose content may have arrived does not go back, on whatever connection") {
    rig<> r(one);
    r.add_many(2);
    (void)r.did();
    r.ready(1);
    (void)r.did();
    r.accept(1, 1);
    (void)r.did();
    r.finish(1, 2, all(1, status::in_doubt), errc::connection_closed, 0);
    r.close(1, errc::connection_closed);
    CHECK(r.did() == "done #2 in_doubt x1 connection_closed");
}

TEST_CASE("a job that was on max_returns connections that ended is judged: it may be what ends them") {
    rig<> r(one);
    (void)r.add();
    (void)r.add();
    const job_id victim = 2;
    std::vector<job_id> helpers = {1};
    CHECK(r.did() == "open 1 a.example");
    for (connection_id id = 1; id <= engine::max_returns; ++id) {
        CAPTURE(id);
        r.ready(id);
        auto did = r.did();
        for (const auto helper : helpers) {
            r.accept(id, helper);
            did = r.did();
        }
        CHECK(did.ends_with("give " + std::to_string(id) + " #2"));
        // It goes back behind these: one more each time, else the pool learns how many a connection takes.
        helpers.clear();
        for (connection_id n = 0; n <= id; ++n) {
            (void)r.add();
            helpers.push_back(r.last);
        }
        CHECK(r.done.count(victim) == 0);
        r.lose(id, victim);
        (void)r.did();
    }
    REQUIRE(r.done.count(victim) == 1);
    CHECK(text(r.done.at(victim)) == "#2 not_attempted x1 connection_closed");
}

TEST_CASE("a server that closes behind each message, without a word, gets every message") {
    rig<> r(one);
    r.add_many(12);
    (void)r.did();
    const auto given = [&r](connection_id id) {
        (void)r.did();
        return r.asked[id].empty() ? job_id{0} : r.asked[id].begin()->first;
    };
    for (connection_id id = 1; r.done.size() < 12 && id < 50; ++id) {
        r.ready(id);
        r.accept(id, given(id));
        if (const auto next = given(id))
            r.lose(id, next);
        else
            r.close(id);
        (void)r.did();
    }
    CHECK(r.done.size() == 12);
    for (const auto& [n, j] : r.done) CHECK(text(j).find("accepted x1") != std::string::npos);
}

TEST_CASE("only the recipients that were deferred or not attempted are asked again, and the results are merged") {
    auto r = retrying(3);
    (void)r.add("a.example", 4);
    (void)r.did();
    r.ready(1);
    CHECK(r.did() == "give 1 #1");
    using enum status;
    r.finish(1, 1, {{.status = accepted}, {.status = deferred}, {.status = rejected}, {.status = not_attempted}});
    CHECK(r.did() == "");
    r.pass(5min);
    CHECK(r.did().find("give") == std::string::npos);
    r.close(1);
    CHECK(r.did().ends_with("open 2 a.example"));
    r.ready(2);
    CHECK(r.did() == "give 2 #1 r1 r3");
    r.finish(2, 1, {{.status = accepted, .reply = {.code = 250}}, {.status = rejected, .reply = {.code = 550}}});
    CHECK(r.did() == "done #1 accepted accepted rejected rejected x2");
    const auto& recipients = r.done.at(1).result.recipients;
    CHECK(recipients[1].address == "r1@a.example");
    CHECK(recipients[1].reply.code == 250);
    CHECK(recipients[3].address == "r3@a.example");
    CHECK(recipients[3].reply.code == 550);
}

TEST_CASE("what is in doubt is never asked again, also when another recipient is") {
    auto r = retrying(3, keep_alive{.max_connections = 1, .idle = 1h});
    (void)r.add("a.example", 2);
    (void)r.did();
    r.ready(1);
    (void)r.did();
    r.finish(1, 1, {{.status = status::in_doubt}, {.status = status::deferred}});
    CHECK(r.did() == "");
    r.pass(5min);
    CHECK(r.did() == "give 1 #1 r1");
    r.finish(1, 1, all(1, status::in_doubt));
    CHECK(r.did() == "done #1 in_doubt in_doubt x2");
}

TEST_CASE("a job of which nothing is open is done, whatever the scheduler or the error says") {
    struct stubborn : fifo {
        verdict judge(const job&, time_point now) const { return {verdict::kind::retry, now}; }
    };
    rig<keep_alive, memory, stubborn> r(one);
    (void)r.add();
    (void)r.did();
    r.ready(1);
    (void)r.did();
    r.accept(1, 1);
    r.pass(0s);
    CHECK(r.did() == "done #1 accepted x1");

    (void)r.add();
    CHECK(r.did() == "give 1 #2");
    r.finish(1, 2, all(1, status::rejected), errc::chunking_refused);
    CHECK(r.did().find("done #2 rejected") == 0);
}

TEST_CASE("a retry goes out when it is due, not before, and keeps its attempts") {
    auto r = retrying(2, keep_alive{.max_connections = 1, .idle = 1h});
    (void)r.add();
    (void)r.did();
    r.ready(1);
    (void)r.did();
    r.finish(1, 1, all(1, status::deferred));
    CHECK(r.did() == "");
    CHECK(r.d.deadline() == r.now + 5min);
    CHECK_FALSE(r.d.idle(r.now));
    r.pass(5min - 1ns);
    CHECK(r.did() == "");
    r.pass(1ns);
    CHECK(r.did() == "give 1 #1");
    r.finish(1, 1, all(1, status::deferred));
    CHECK(r.did() == "done #1 deferred x2");
    CHECK(r.d.idle(r.now));
}

TEST_CASE("when nobody can connect, every job that waits there fails, once") {
    rig<> r(one);
    r.add_many(3);
    (void)r.add("b.example");
    CHECK(r.did() == "open 1 a.example");
    r.refuse(1);
    CHECK(r.did() ==
          "done #1 not_attempted x0 timed_out, done #2 not_attempted x0 timed_out, "
          "done #3 not_attempted x0 timed_out, open 2 b.example");
    CHECK(r.done.at(1).result.recipients.front().where == phase::connect);
    CHECK(r.done.at(1).result.details.where == phase::connect);
}

TEST_CASE("jobs fail when the last of several connections could not be opened, not before") {
    rig<> r(keep_alive{.max_connections = 3});
    r.add_many(4);
    CHECK(r.did() == "open 1 a.example");
    r.ready(1);
    CHECK(r.did() == "give 1 #1, open 2 a.example");
    r.accept(1, 1);
    CHECK(r.did() == "done #1 accepted x1, give 1 #2, open 3 a.example");
    r.refuse(2);
    r.lose(1, 2, true);
    CHECK(r.did() == "done #2 not_attempted x1 connection_closed");
    r.refuse(3);
    CHECK(r.did() == "done #3 not_attempted x0 timed_out, done #4 not_attempted x0 timed_out");
    CHECK(r.d.connections() == 0);
}

TEST_CASE("a server that nobody reaches is not dialled without end, whatever the pool says") {
    rig<one_shot> r(one_shot{.max_connections = 2});
    r.add_many(2);
    CHECK(r.did() == "open 1 a.example");
    r.refuse(1);
    CHECK(r.did() == "done #1 not_attempted x0 timed_out, done #2 not_attempted x0 timed_out");
    (void)r.add();
    CHECK(r.did() == "");
    r.pass(1s);
    CHECK(r.did() == "open 2 a.example");
}

TEST_CASE("a refusal while another connection works fails nobody, and the pool opens fewer") {
    rig<> r(keep_alive{.max_connections = 3, .pause_after_refusal = 30s});
    r.add_many(4);
    (void)r.did();
    r.ready(1);
    CHECK(r.did() == "give 1 #1, open 2 a.example");
    r.accept(1, 1);
    CHECK(r.did() == "done #1 accepted x1, give 1 #2, open 3 a.example");
    r.refuse(2);
    r.refuse(3);
    r.accept(1, 2);
    (void)r.add();
    CHECK(r.did() == "done #2 accepted x1, give 1 #3");
    r.pass(30s);
    CHECK(r.did() == "open 4 a.example");
}

TEST_CASE("a server that worked and asks for time is asked three times before what waits for it fails") {
    rig<> r(keep_alive{.max_connections = 1, .messages_per_connection = 1});
    const auto busy = [&](connection_id id) {
        r.d.closed(id, {errc::service_closing, {.where = phase::hello, .reply = "421 4.7.0 too many"}}, r.now);
    };
    const auto one_more = [&](connection_id id, job_id j) {
        r.ready(id);
        (void)r.did();
        r.accept(id, j);
        r.close(id);
    };
    r.add_many(3);
    one_more(1, 1);
    (void)r.did();
    busy(2);
    CHECK(r.did() == "");
    r.pass(1s);
    CHECK(r.did() == "open 3 a.example");
    one_more(3, 2);
    (void)r.did();
    busy(4);
    r.pass(1s);
    busy(5);
    r.pass(1s);
    CHECK(r.did() == "open 5 a.example, open 6 a.example");
    busy(6);
    CHECK(r.did() == "done #3 not_attempted x0 service_closing");
}

TEST_CASE("a server that never worked and asks for time is asked once, and one that is down, too") {
    rig<> r(keep_alive{.max_connections = 1, .messages_per_connection = 1});
    r.add_many(2);
    r.d.closed(1, {errc::greeting_refused, {.where = phase::greeting, .reply = "450 4.3.2 later"}}, r.now);
    CHECK(r.did() ==
          "open 1 a.example, done #1 not_attempted x0 greeting_refused, done #2 not_attempted x0 greeting_refused");
    r.pass(5s);
    r.add_many(2);
    r.ready(2);
    (void)r.did();
    r.accept(2, 3);
    r.close(2);
    r.refuse(3);
    CHECK(r.did() == "done #3 accepted x1, quit 2, open 3 a.example, done #4 not_attempted x0 timed_out");
}

TEST_CASE("after a refusal a pool without memory opens again after a rest, not at once") {
    rig<one_shot> r(one_shot{.max_connections = 2});
    r.add_many(3);
    (void)r.did();
    r.ready(1);
    CHECK(r.did() == "give 1 #1, open 2 a.example");
    r.refuse(2);
    (void)r.add();
    CHECK(r.did() == "");
    r.accept(1, 1);
    CHECK(r.did() == "done #1 accepted x1, quit 1, open 3 a.example");
    r.close(1);
    CHECK(r.did() == "open 4 a.example");
}

TEST_CASE("the next server of a destination is tried after one that cannot be reached") {
    auto r = retrying(3);
    (void)r.add("two.example");
    CHECK(r.did() == "open 1 mx1.two.example");
    r.refuse(1);
    CHECK(r.did() == "open 2 mx2.two.example");
    r.refuse(2);
    CHECK(r.did() == "");
    r.pass(10min);
    CHECK(r.did() == "open 3 mx1.two.example");
}

TEST_CASE("a job is cancelled wherever it waits") {
    auto r = retrying(2);
    SUBCASE("in the queue") {
        auto j = make_job(9, mail_to("a.example", 1));
        CHECK_FALSE(r.queue.enqueue(j));
        r.d.cancel(9, cancel_kind::if_waiting, errc::cancelled, r.now);
        CHECK(r.did() == "done #9 not_attempted x0 cancelled");
    }
    SUBCASE("for a connection") {
        (void)r.add();
        CHECK(r.did() == "open 1 a.example");
        r.d.cancel(1, cancel_kind::if_waiting, errc::cancelled, r.now);
        CHECK(r.did() == "done #1 not_attempted x0 cancelled");
        r.ready(1);
        CHECK(r.did() == "");
    }
    SUBCASE("for its next attempt") {
        (void)r.add();
        (void)r.did();
        r.ready(1);
        (void)r.did();
        r.finish(1, 1, all(1, status::deferred));
        r.d.cancel(1, cancel_kind::if_waiting, errc::cancelled, r.now);
        CHECK(r.did() == "done #1 deferred x1 cancelled");
        r.pass(5min);
        CHECK(r.did().find("give") == std::string::npos);
    }
    CHECK(r.d.idle(r.now));
    r.d.cancel(1, cancel_kind::at_once, errc::cancelled, r.now);
    CHECK(r.did() == "");
}

TEST_CASE("a job in flight is cancelled only at once, and its session says how far it got") {
    auto r = retrying(2);
    (void)r.add();
    (void)r.did();
    r.ready(1);
    (void)r.did();
    r.d.cancel(1, cancel_kind::if_waiting, errc::cancelled, r.now);
    CHECK(r.did() == "");
    r.d.cancel(1, cancel_kind::at_once, errc::cancelled, r.now);
    CHECK(r.did() == "interrupt 1 #1");
    r.d.cancel(1, cancel_kind::at_once, errc::cancelled, r.now);
    CHECK(r.did() == "");
    SUBCASE("not far") {
        r.finish(1, 1, all(1, status::not_attempted), errc::cancelled);
        CHECK(r.did() == "done #1 not_attempted x1 cancelled");
    }
    SUBCASE("perhaps there") {
        r.finish(1, 1, all(1, status::in_doubt), errc::cancelled);
        CHECK(r.did() == "done #1 in_doubt x1 cancelled");
    }
    SUBCASE("it had arrived") {
        r.accept(1, 1);
        CHECK(r.did() == "done #1 accepted x1");
    }
    SUBCASE("deferred: not tried again") {
        r.finish(1, 1, all(1, status::deferred));
        CHECK(r.did() == "done #1 deferred x1");
    }
    CHECK(r.d.idle(r.now));
}

TEST_CASE("a connection that still waits for replies to a cancelled job is not kept for others") {
    rig<> r(one);
    (void)r.add();
    (void)r.did();
    r.ready(1);
    (void)r.did();
    r.d.cancel(1, cancel_kind::at_once, errc::cancelled, r.now);
    (void)r.did();
    r.finish(1, 1, all(1, status::not_attempted), errc::cancelled, 0);
    CHECK(r.did() == "done #1 not_attempted x1 cancelled, quit 1");
    // It holds back no other, however long it takes.
    (void)r.add();
    CHECK(r.did() == "open 2 a.example");
    r.close(1);
    CHECK(r.did() == "");
}

TEST_CASE("cancel_all ends what waits and what is delayed, and interrupts what is in flight") {
    auto r = retrying(2, keep_alive{.max_connections = 1, .idle = 1h});
    r.add_many(2);
    (void)r.did();
    r.ready(1);
    (void)r.did();
    r.finish(1, 1, all(1, status::deferred));
    (void)r.add();
    auto j = make_job(9, mail_to("b.example", 1));
    CHECK_FALSE(r.queue.enqueue(j));
    CHECK(r.did() == "give 1 #2");
    r.d.cancel_all(errc::shut_down, r.now);
    (void)r.did();
    CHECK(text(r.done.at(1)) == "#1 deferred x1 shut_down");
    CHECK(text(r.done.at(3)) == "#3 not_attempted x0 shut_down");
    CHECK(text(r.done.at(9)) == "#9 not_attempted x0 shut_down");
    CHECK_FALSE(r.d.idle(r.now));
    r.finish(1, 2, all(1, status::not_attempted), errc::cancelled);
    CHECK(r.did() == "done #2 not_attempted x1 shut_down");
    CHECK(r.d.idle(r.now));
    CHECK(r.queue.size() == 0);
}

TEST_CASE("a connection whose replies come together is given no more than it has room for") {
    rig<> r(one);
    r.add_many(12);
    (void)r.did();
    r.ready(1, 4);
    CHECK(r.did() == "give 1 #1, give 1 #2, give 1 #3, give 1 #4");
    // Its session has heard of four, and has read the replies to three of them when it is asked.
    const auto end = [&](job_id j, std::size_t room) {
        r.d.finished(1, {.id = j, .error = {}, .details = {}, .recipients = all(1, status::accepted)}, room, r.now, 4);
    };
    end(1, 3);
    end(2, 3);
    end(3, 3);
    CHECK(r.did() == "done #1 accepted x1, give 1 #5, give 1 #6, give 1 #7, done #2 accepted x1, done #3 accepted x1");
    r.d.finished(1, {.id = 4, .error = {}, .details = {}, .recipients = all(1, status::accepted)}, 1, r.now, 7);
    CHECK(r.did() == "done #4 accepted x1, give 1 #8");
}

TEST_CASE("a pool hears that a server hung up by 421, not by what it says of a sender") {
    struct listening : keep_alive {
        std::vector<std::size_t> heard = {};
        void hung_up(connection_id, time_point, std::size_t behind) { heard.push_back(behind); }
    };
    for (const bool parting : {true, false}) {
        CAPTURE(parting);
        rig<listening> r;
        r.pool.max_connections = 1;
        r.add_many(4);
        (void)r.did();
        r.ready(1, 3);
        (void)r.did();
        r.accept(1, 1);
        (void)r.did();
        auto refused = all(1, status::deferred, phase::mail, parting ? 421 : 450);
        if (!parting) refused[0].reply.enhanced = {4, 1, 8};
        r.finish(1, 2, std::move(refused), {}, 0);
        CHECK(r.pool.heard == (parting ? std::vector<std::size_t>{2} : std::vector<std::size_t>{}));
    }
}

TEST_CASE("quit_all ends idle connections at once and busy ones after what they carry") {
    rig<> r(keep_alive{.max_connections = 2});
    r.add_many(2);
    (void)r.did();
    r.ready(1);
    r.ready(2);
    (void)r.did();
    r.accept(1, 1);
    (void)r.did();
    r.d.quit_all();
    CHECK(r.did() == "quit 1");
    r.d.quit_all();
    CHECK(r.did() == "");
    r.accept(2, 2);
    CHECK(r.did() == "done #2 accepted x1, quit 2");
    r.close(1);
    r.close(2);
    CHECK(r.d.connections() == 0);
}

TEST_CASE("a job that comes while connections quit is still sent") {
    rig<> r(one);
    (void)r.add();
    (void)r.did();
    r.ready(1);
    (void)r.did();
    r.accept(1, 1);
    r.d.quit_all();
    CHECK(r.did() == "done #1 accepted x1, quit 1");
    (void)r.add();
    CHECK(r.did() == "");
    r.close(1);
    CHECK(r.did() == "open 2 a.example");
    r.ready(2);
    CHECK(r.did() == "give 2 #2");
    r.accept(2, 2);
    CHECK(r.did() == "done #2 accepted x1, quit 2");
}

TEST_CASE("a connection that was idle long enough is closed") {
    rig<> r(keep_alive{.max_connections = 1, .idle = 30s});
    (void)r.add();
    (void)r.did();
    r.ready(1);
    (void)r.did();
    r.accept(1, 1);
    (void)r.did();
    CHECK(r.d.deadline() == r.now + 30s);
    r.pass(30s);
    CHECK(r.did() == "quit 1");
    CHECK(r.d.deadline() == never);
    (void)r.add();
    CHECK(r.did() == "");
    r.close(1);
    CHECK(r.did() == "open 2 a.example");
}

TEST_CASE("a connection that carried its number of messages ends, and another takes over") {
    rig<> r(keep_alive{.max_connections = 1, .messages_per_connection = 2});
    r.add_many(3);
    (void)r.did();
    r.ready(1, 5);
    CHECK(r.did() == "give 1 #1, give 1 #2");
    r.accept(1, 1);
    CHECK(r.did() == "done #1 accepted x1");
    r.accept(1, 2);
    CHECK(r.did() == "done #2 accepted x1, quit 1");
    r.close(1);
    CHECK(r.did() == "open 2 a.example");
}

TEST_CASE("direct keeps nothing for another attempt") {
    rig<keep_alive, direct> r(one, direct{}, fifo{.retry = {.attempts = 9}});
    (void)r.add();
    (void)r.did();
    r.ready(1);
    (void)r.did();
    r.finish(1, 1, all(1, status::deferred));
    CHECK(r.did() == "done #1 deferred x1");
    CHECK(r.d.idle(r.now));
}

TEST_CASE("jobs in flight and delayed take room in the queue") {
    rig<> r(one, memory{.capacity = 2}, fifo{.retry = {.attempts = 2}});
    CHECK_FALSE(r.add());
    CHECK_FALSE(r.add());
    CHECK(r.add() == errc::queue_full);
    (void)r.did();
    r.ready(1);
    (void)r.did();
    r.finish(1, 1, all(1, status::deferred));
    CHECK(r.add() == errc::queue_full);
    CHECK(r.did() == "give 1 #2");
    r.accept(1, 2);
    CHECK_FALSE(r.add());
}

TEST_CASE("jobs are leased look_ahead at a time, and more when one has ended") {
    rig<> r(one);
    for (std::size_t i = 0; i <= scheduling::default_look_ahead; ++i) {
        auto j = make_job(++r.last, mail_to("a.example", 1));
        CHECK_FALSE(r.queue.enqueue(j));
    }
    r.d.wake(r.now);
    CHECK(r.scheduler.waiting(1, r.now) == scheduling::default_look_ahead);
    CHECK(r.d.deadline() == never);
    (void)r.did();
    r.ready(1);
    (void)r.did();
    r.accept(1, 1);
    CHECK(r.d.deadline() == time_point::min());
    r.d.tick(r.now);
    CHECK(r.scheduler.waiting(1, r.now) == scheduling::default_look_ahead - 1);
    CHECK(r.queue.next_due() == never);
}

TEST_CASE("an event of a connection that is gone already is nothing") {
    rig<> r(one);
    (void)r.add();
    (void)r.did();
    r.refuse(1);
    (void)r.did();
    r.refuse(1);
    CHECK(r.did() == "");
}

namespace {

/// Answers that make no sense, until it is told to stop.
struct odd_pool : keep_alive {
    std::optional<pooling::decision> answer = {};
    std::optional<connection_id> expired = {};
    pooling::decision acquire(pooling::place h, time_point now) {
        return answer ? *answer : keep_alive::acquire(h, now);
    }
    std::optional<connection_id> expire(time_point now) { return expired ? expired : keep_alive::expire(now); }
};
struct odd_scheduler : scheduling::fifo {
    std::optional<job_id> answer = {};
    std::optional<job_id> next(scheduling::host_id h, time_point now) { return answer ? answer : fifo::next(h, now); }
};
struct odd_turns : scheduling::fair {
    std::optional<scheduling::host_id> answer = {};
    std::optional<scheduling::host_id> turn(time_point now) { return answer ? answer : scheduling::fair::turn(now); }
};

}  // namespace

TEST_CASE("a scheduler that gives what does not wait is asked again later, and every message goes once") {
    for (const job_id wrong : {job_id(999), job_id(1)}) {
        rig<keep_alive, queueing::memory, odd_scheduler> r(keep_alive{.max_connections = 1});
        r.add_many(2);
        r.ready(1);
        r.scheduler.answer = wrong;
        (void)r.did();
        r.accept(1, 1);
        CHECK(r.did() == "done #1 accepted x1");
        r.scheduler.answer.reset();
        r.pass(1s);
        CHECK(r.did() == "give 1 #2");
    }
}

TEST_CASE("a scheduler that sheds one message for ever keeps nobody busy") {
    rig<keep_alive, queueing::memory, odd_scheduler> r;
    r.add_many(2);
    (void)r.did();
    r.scheduler.answer = 1;
    r.refuse(1);
    CHECK(r.did() == "done #1 not_attempted x0 timed_out");
}

TEST_CASE("a turn of a destination that is not there is no turn") {
    rig<keep_alive, queueing::memory, odd_turns> r;
    r.scheduler.answer = 999;
    (void)r.add();
    CHECK(r.did() == "");
    r.scheduler.answer.reset();
    r.pass(1s);
    CHECK(r.did() == "open 1 a.example");
}

TEST_CASE("a pool that names connections that are busy, or nobody's, is asked again later") {
    using enum pooling::advice;
    for (const pooling::decision wrong : {pooling::decision{reuse, 999}, {reuse, 1}, {evict, 999}}) {
        rig<odd_pool> r;
        (void)r.add();
        r.ready(1);
        CHECK(r.did() == "open 1 a.example, give 1 #1");
        r.pool.answer = wrong;
        (void)r.add();
        CHECK(r.did() == "");
        r.pool.answer.reset();
        r.pass(1s);
        CHECK(r.did() == "open 2 a.example");
    }
}

TEST_CASE("a pool that lets one connection expire for ever keeps nobody busy") {
    for (const auto wrong : {connection_id(1), connection_id(999)}) {
        rig<odd_pool> r;
        (void)r.add();
        r.ready(1);
        (void)r.did();
        r.pool.expired = wrong;
        r.pass(1s);
        CHECK(r.did() == (wrong == 1 ? "quit 1" : ""));
    }
}

TEST_CASE("a session that tells of other recipients than it was asked about leaves all in doubt") {
    rig<> r;
    (void)r.add("a.example", 3);
    r.ready(1);
    (void)r.did();
    r.finish(1, 1, all(1, status::accepted));
    CHECK(r.did() == "done #1 in_doubt in_doubt in_doubt x1 policy_failed");
}

TEST_CASE("a session that tells of what another has says nothing") {
    rig<> r(keep_alive{.max_connections = 2});
    r.add_many(2);
    r.ready(1);
    r.ready(2);
    CHECK(r.did() == "open 1 a.example, give 1 #1, open 2 a.example, give 2 #2");
    r.finish(1, 2, all(1, status::rejected));
    CHECK(r.did() == "");
    r.accept(2, 2);
    CHECK(r.did() == "done #2 accepted x1");
}
