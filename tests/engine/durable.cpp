// A durable queue under the dispatcher: marks before anything leaves, what is in doubt, what comes back.
#include <doctest/doctest.h>

#include "engine/rig.hpp"

#include <algorithm>
#include <functional>
#include <utility>

using namespace engine_test;
using queueing::job_state;
using queueing::memory;
using scheduling::fifo;

namespace {

struct nobody final : waiter {
    void complete(error_code, outcome&&) noexcept override {}
};

using keep_alive = pooling::keep_alive;
using durable_rig = rig<keep_alive, on_disk>;

fifo judging(scheduling::doubt_rule rule, unsigned attempts = 5) {
    return {.retry = {.attempts = attempts, .first_wait = 1min}, .in_doubt = std::move(rule)};
}

struct one_line : durable_rig {
    explicit one_line(fifo s = judging(scheduling::park{}))
        : durable_rig(keep_alive{.max_connections = 1}, on_disk{}, std::move(s)) {}

    void add_awaited(std::size_t recipients = 1) {
        auto j = make_job(++last, mail_to("a.example", recipients));
        j.waiter = std::make_unique<nobody>();
        CHECK_FALSE(queue.enqueue(j));
        d.wake(now);
    }
    std::string stored() {
        queue.store_marks();
        d.wake(now);
        return did();
    }
    // A message that somebody waits for, up to its transaction on the first connection.
    std::string begin(std::size_t recipients = 1) {
        add_awaited(recipients);
        (void)did();
        ready(1);
        return stored();
    }
    // Its content leaves, and no reply comes.
    void doubt(connection_id id, job_id j) {
        finish(id, j, all(asked[id][j], status::in_doubt), errc::connection_closed, 0);
        close(id, errc::connection_closed);
    }
    std::string states() const {
        std::string s;
        for (const auto& j : d.list({}, 100, now))
            s += "#" + std::to_string(j.id) + " " + std::string(to_string(j.state)) + " ";
        return s;
    }
};

}  // namespace

TEST_CASE("nothing is given to a connection before its mark is stored") {
    one_line r;
    (void)r.add();
    CHECK(r.did() == "open 1 a.example");
    r.ready(1);
    CHECK(r.did() == "");
    CHECK(r.queue.asked == std::vector<job_id>{1});
    CHECK(r.stored() == "give 1 #1");
    r.accept(1, 1);
    CHECK(r.did() == "done #1 accepted x1");
    CHECK(r.d.idle(r.now));
}

TEST_CASE("a message that is cancelled while its mark is stored never leaves") {
    one_line r;
    r.add_many(2);
    (void)r.did();
    r.ready(1);
    r.d.cancel(1, cancel_kind::at_once, errc::cancelled, r.now);
    CHECK(r.did() == "");
    CHECK(r.stored() == "done #1 not_attempted x0 cancelled");
    CHECK(r.stored() == "give 1 #2");
}

TEST_CASE("a message that is cancelled while its mark is stored leaves no more room than its session has") {
    one_line r;
    r.add_many(4);
    (void)r.did();
    r.ready(1, 3);
    CHECK(r.queue.asked == std::vector<job_id>{1, 2, 3});
    r.queue.stored = {1};
    r.d.wake(r.now);
    CHECK(r.did() == "give 1 #1");
    // It has learned meanwhile that the server takes them one by one: 2 and 3 are too many already.
    r.d.finished(1, {.id = 1, .recipients = all(1, status::accepted)}, 1, r.now, 1);
    r.d.cancel(2, cancel_kind::at_once, errc::cancelled, r.now);
    CHECK(r.stored() == "done #1 accepted x1, done #2 not_attempted x0 cancelled, give 1 #3");
    CHECK(r.queue.asked.empty());
}

TEST_CASE("a message whose connection ends while its mark is stored goes with the next") {
    one_line r;
    (void)r.add();
    (void)r.did();
    r.ready(1);
    r.close(1, errc::connection_closed);
    CHECK(r.did() == "");
    r.pass(1s);
    CHECK(r.did() == "open 2 a.example");
    CHECK(r.stored() == "");
    r.ready(2);
    CHECK(r.stored() == "give 2 #1");
}

TEST_CASE("what another process took is over, whether its connection still is there or not") {
    one_line r;
    r.add_many(3);
    (void)r.did();
    r.ready(1);
    r.queue.taken = {1, 99};
    r.d.wake(r.now);
    CHECK(r.did() == "done #1 not_attempted x0 cancelled");
    CHECK(r.queue.asked == std::vector<job_id>{1, 2});
    SUBCASE("its connection ended first") {
        r.close(1, errc::connection_closed);
        r.queue.taken = {2};
        r.d.wake(r.now);
        CHECK(r.did() == "done #2 not_attempted x0 cancelled");
        r.pass(1s);
        CHECK(r.did() == "open 2 a.example");
        r.ready(2);
        r.queue.asked = {3};
        CHECK(r.stored() == "give 2 #3");
        r.accept(2, 3);
    }
    SUBCASE("what is with a server stays until that has answered") {
        CHECK(r.stored() == "give 1 #2");
        r.queue.taken = {2};
        r.d.wake(r.now);
        r.accept(1, 2);
        CHECK(r.did() == "done #2 accepted x1");
        CHECK(r.stored() == "give 1 #3");
        r.accept(1, 3);
    }
    CHECK(r.did() == "done #3 accepted x1");
    CHECK(r.d.idle(r.now));
}

TEST_CASE("what the queue lost goes back to it untold, and its connection takes the next") {
    one_line r;
    r.add_awaited();
    r.add_many(3);
    (void)r.did();
    r.ready(1);
    CHECK(r.queue.asked == std::vector<job_id>{1});
    r.queue.gone = {1, 3};
    r.d.wake(r.now);
    CHECK(r.did() == "");
    CHECK(r.queue.released == std::vector<job_id>{1, 3});
    CHECK(r.queue.asked == std::vector<job_id>{1, 2});
    CHECK(r.stored() == "give 1 #2");
    // What is being sent is sent, whoever has it.
    r.queue.gone = {2, 99};
    r.d.wake(r.now);
    r.accept(1, 2);
    CHECK(r.did() == "done #2 accepted x1");
    CHECK(r.stored() == "give 1 #4");
    r.accept(1, 4);
    CHECK(r.did() == "done #4 accepted x1");
    CHECK(r.d.idle(r.now));
}

TEST_CASE("a queue whose destinations go elsewhere is told when no connection without work is left") {
    durable_rig r(keep_alive{.max_connections = 2}, on_disk{}, judging(scheduling::park{}));
    (void)r.add("a.example");
    (void)r.add("b.example");
    CHECK(r.did() == "open 1 a.example, open 2 b.example");
    r.ready(1);
    r.ready(2);
    r.queue.store_marks();
    r.d.wake(r.now);
    CHECK(r.did() == "give 1 #1, give 2 #2");
    r.accept(1, 1);
    CHECK(r.did() == "done #1 accepted x1");
    r.queue.leaving = true;
    r.d.wake(r.now);
    CHECK(r.did() == "quit 1");
    CHECK(r.queue.times_left == 0);
    r.close(1);
    CHECK(r.queue.times_left == 1);
    // At once, if all have work.
    r.queue.leaving = true;
    r.d.wake(r.now);
    CHECK(r.did() == "");
    CHECK(r.queue.times_left == 2);
    r.accept(2, 2);
    CHECK(r.did() == "done #2 accepted x1");
}

TEST_CASE("what is in doubt is told to who waits, and parked") {
    one_line r;
    CHECK(r.begin(2) == "give 1 #1");
    r.doubt(1, 1);
    CHECK(r.did() == "done #1 in_doubt in_doubt x1 connection_closed");
    CHECK(r.states() == "#1 in_doubt ");
    CHECK(r.d.idle(r.now));
    r.pass(24h);
    CHECK(r.did() == "");
    // Somebody decides.
    CHECK(r.d.retry_now({.state = job_state::in_doubt}, r.now) == 1);
    CHECK(r.did() == "open 2 a.example");
    r.ready(2);
    CHECK(r.stored() == "give 2 #1");
    r.accept(2, 1);
    CHECK(r.states() == "");
}

TEST_CASE("what is in doubt goes again after a while, as often as the rule says") {
    one_line r(judging(scheduling::retry_after{.wait = 15min, .times = 1}));
    (void)r.add();
    (void)r.did();
    r.ready(1);
    (void)r.stored();
    r.doubt(1, 1);
    CHECK(r.states() == "#1 delayed ");
    r.pass(14min);
    CHECK(r.did() == "");
    r.pass(1min);
    CHECK(r.did() == "open 2 a.example");
    r.ready(2);
    CHECK(r.stored() == "give 2 #1");
    r.doubt(2, 1);
    CHECK(r.states() == "#1 in_doubt ");
}

TEST_CASE("without a durable queue what is in doubt for good is over") {
    rig<> r(keep_alive{.max_connections = 1}, memory{}, judging(scheduling::retry_after{.wait = 15min, .times = 1}));
    (void)r.add();
    (void)r.did();
    r.ready(1);
    for (const connection_id c : {connection_id{1}, connection_id{2}}) {
        CHECK(r.did() == "give " + std::to_string(c) + " #1");
        r.finish(c, 1, all(1, status::in_doubt), errc::connection_closed, 0);
        r.close(c, errc::connection_closed);
        r.pass(15min);
        if (c == 2) break;
        CHECK(r.did() == "open 2 a.example");
        r.ready(2);
    }
    CHECK(r.did() == "done #1 in_doubt x2 connection_closed");
}

TEST_CASE("an attempt that does not reach the server leaves the doubt as it was") {
    one_line r(judging(scheduling::retry_after{.wait = 15min, .times = 3}, 3));
    (void)r.begin();
    r.doubt(1, 1);
    r.pass(15min);
    CHECK(r.did() == "open 2 a.example");
    r.refuse(2);
    CHECK(r.did() == "");
    CHECK(r.d.list({}, 1, r.now).front().recipients.front().status == status::in_doubt);
}

TEST_CASE("what can be retried does not wait for what is in doubt") {
    one_line r;
    (void)r.begin(2);
    r.finish(1, 1, {{.status = status::in_doubt}, {.status = status::deferred}});
    r.close(1);
    CHECK(r.did() == "");
    r.pass(1min);
    CHECK(r.did() == "open 2 a.example");
    r.ready(2);
    CHECK(r.stored() == "give 2 #1 r1");
    r.accept(2, 1);
    CHECK(r.did() == "done #1 in_doubt accepted x2");
    CHECK(r.states() == "#1 in_doubt ");
}

TEST_CASE("the program decides about what is in doubt, if it wants to") {
    unsigned asked = 0;
    one_line r(judging(scheduling::ask{[&](const job& j, time_point) {
        CHECK(j.result.any_are(status::in_doubt));
        ++asked;
        return verdict{};
    }}));
    (void)r.begin();
    r.doubt(1, 1);
    CHECK(asked == 1);
    CHECK(r.did() == "done #1 in_doubt x1 connection_closed");
    CHECK(r.states() == "");
}

TEST_CASE("a message that was being sent when its process died is judged before it goes") {
    one_line r(judging(scheduling::retry_after{.wait = 15min, .times = 1}));
    auto j = make_job(7, mail_to("a.example", 2));
    name_recipients(j);
    j.result.recipients[0].status = status::accepted;
    j.result.recipients[1].status = status::in_doubt;
    j.error = errc::in_doubt;
    j.interrupted = true;
    CHECK_FALSE(r.queue.enqueue(j));
    r.d.wake(r.now);
    CHECK(r.did() == "");
    CHECK(r.states() == "#7 delayed ");
    r.pass(15min);
    CHECK(r.did() == "open 1 a.example");
    r.ready(1);
    CHECK(r.stored() == "give 1 #7 r1");
    r.accept(1, 7);
    CHECK(r.did() == "done #7 accepted accepted x2");
}

TEST_CASE("a mailer that stops leaves what it holds to the next") {
    one_line r;
    for (int i = 0; i < 3; ++i) r.add_awaited();
    (void)r.did();
    r.ready(1);
    CHECK(r.stored() == "give 1 #1");
    r.d.cancel_all(errc::shut_down, r.now);
    const auto did = r.did();
    CHECK(did.find("interrupt 1 #1") != std::string::npos);
    CHECK(did.find("done #2 not_attempted x0 shut_down") != std::string::npos);
    CHECK(did.find("done #3 not_attempted x0 shut_down") != std::string::npos);
    r.finish(1, 1, all(1, status::not_attempted), errc::cancelled, 0);
    CHECK(r.did() == "done #1 not_attempted x1 shut_down, quit 1");
    auto ids = r.queue.released;
    std::ranges::sort(ids);
    CHECK(ids == std::vector<job_id>{1, 2, 3});
}

TEST_CASE("what comes while the last connections of a mailer end is for the next") {
    one_line r;
    CHECK(r.begin() == "give 1 #1");
    r.accept(1, 1);
    (void)r.did();
    r.d.quit_all();
    CHECK(r.did() == "quit 1");
    r.add_awaited();
    r.close(1);
    CHECK(r.stored() == "");
    CHECK(r.queue.size() == 1);
    CHECK(r.d.connections() == 0);
    CHECK(r.d.idle(r.now));
}

TEST_CASE("a mailer that stops leaves what is in doubt by name") {
    one_line r;
    (void)r.begin();
    r.d.cancel_all(errc::shut_down, r.now);
    (void)r.did();
    r.finish(1, 1, all(1, status::in_doubt), errc::cancelled, 0);
    CHECK(r.did().starts_with("done #1 in_doubt x1 shut_down"));
    CHECK(r.states() == "#1 in_doubt ");
    CHECK(r.queue.released.empty());
}

TEST_CASE("what the mailer and its queue hold is listed, counted, held, hurried and dropped") {
    one_line r;
    r.add_many(3);
    (void)r.did();
    r.ready(1);
    CHECK(r.stored() == "give 1 #1");
    CHECK(r.states() == "#1 sending #2 waiting #3 waiting ");
    CHECK(r.d.hold({.id = 2}, r.now) == 1);
    // What is on a connection is past holding.
    CHECK(r.d.hold({.id = 1}, r.now) == 0);
    const auto counts = r.d.count(r.now + 5min);
    CHECK(counts.total() == 3);
    CHECK(counts.of(job_state::held) == 1);
    CHECK(counts.of(job_state::sending) == 1);
    CHECK(counts.oldest == 5min);
    CHECK(r.d.drop({.domain = "A.EXAMPLE"}, r.now) == 2);
    CHECK(r.did() == "done #3 not_attempted x0 cancelled, done #2 not_attempted x0 cancelled");
    r.finish(1, 1, all(1, status::deferred));
    CHECK(r.states() == "#1 delayed ");
    CHECK(r.d.retry_now({}, r.now) == 1);
    CHECK(r.stored() == "give 1 #1");
}

TEST_CASE("without a limit the list has what is held and what is in the queue") {
    one_line r;
    (void)r.add();
    auto later = make_job(++r.last, mail_to("a.example", 1));
    later.due = r.now + 1h;
    REQUIRE_FALSE(r.queue.enqueue(later));
    CHECK(r.d.list({}, std::size_t(-1), r.now).size() == 2);
    CHECK(r.d.list({}, 1, r.now).size() == 1);
}

TEST_CASE("in a full queue a message that failed makes room for the report about it") {
    one_line r;
    r.queue.capacity = 1;
    std::vector<delivery_action> made;
    r.d.report_by([&](const job&, delivery_action what, time_point) {
        made.push_back(what);
        return std::optional(make_job(99, mail_to("sender.example", 1)));
    });
    (void)r.begin();
    r.finish(1, 1, all(r.asked[1][1], status::rejected));
    CHECK(r.did().find("done #1 rejected") != std::string::npos);
    CHECK(r.queue.size() == 1);
    CHECK(made == std::vector{delivery_action::failed, delivery_action::failed});
}
