// Several servers for a destination, and messages that take several transactions.
#include <postroad/scheduling/fair.hpp>

#include <doctest/doctest.h>

#include "rig.hpp"

using namespace engine_test;
using pooling::keep_alive;
using queueing::memory;
using scheduling::fifo;

namespace {

const keep_alive one{.max_connections = 1};

rig<> retrying(unsigned attempts) {
    return rig<>{one, memory{}, fifo{.retry = {.attempts = attempts, .first_wait = 20s}}};
}

// One recipient after the other: 'a' accepted, 'r' rejected, 'm' too many (452 4.5.3), 'f' mailbox full (452 4.2.2).
std::vector<recipient_outcome> answers(const std::string& which) {
    std::vector<recipient_outcome> all;
    for (const char c : which) {
        recipient_outcome r{.where = phase::rcpt};
        if (c == 'a') r = {.status = status::accepted, .where = phase::content, .reply = {.code = 250}};
        if (c == 'r') r = {.status = status::rejected, .where = phase::rcpt, .reply = {.code = 550}};
        if (c == 'm')
            r = {.status = status::deferred, .where = phase::rcpt, .reply = {.code = 452, .enhanced = {4, 5, 3}}};
        if (c == 'f')
            r = {.status = status::deferred, .where = phase::rcpt, .reply = {.code = 452, .enhanced = {4, 2, 2}}};
        all.push_back(r);
    }
    return all;
}

}  // namespace

TEST_CASE("a server that cannot be reached is followed by the next within the same attempt") {
    rig<> r(one);
    (void)r.add("two.example");
    CHECK(r.did() == "open 1 mx1.two.example");
    r.refuse(1);
    CHECK(r.did() == "open 2 mx2.two.example");
    r.ready(2);
    CHECK(r.did() == "give 2 #1");
    r.accept(2, 1);
    CHECK(r.did() == "done #1 accepted x1");
}

TEST_CASE("only when every server failed does the attempt fail") {
    rig<> r(one);
    r.add_many(2, "two.example");
    CHECK(r.did() == "open 1 mx1.two.example");
    r.refuse(1);
    CHECK(r.did() == "open 2 mx2.two.example");
    r.refuse(2);
    CHECK(r.did() == "done #1 not_attempted x0 timed_out, done #2 not_attempted x0 timed_out");
}

TEST_CASE("a server that failed is passed over for a while, then tried again") {
    rig<> r(keep_alive{.max_connections = 1, .messages_per_connection = 1});
    r.add_many(3, "two.example");
    CHECK(r.did() == "open 1 mx1.two.example");
    r.refuse(1);
    CHECK(r.did() == "open 2 mx2.two.example");
    r.ready(2);
    CHECK(r.did() == "give 2 #1");
    r.accept(2, 1);
    CHECK(r.did() == "done #1 accepted x1, quit 2");
    r.close(2);
    CHECK(r.did() == "open 3 mx2.two.example");
    r.ready(3);
    (void)r.did();
    r.pass(engine::pause_after_failure);
    r.accept(3, 2);
    CHECK(r.did() == "done #2 accepted x1, quit 3");
    r.close(3);
    CHECK(r.did() == "open 4 mx1.two.example");
}

TEST_CASE("a message whose connection broke before it was sent goes to the next server") {
    rig<> r(one);
    (void)r.add("two.example");
    CHECK(r.did() == "open 1 mx1.two.example");
    r.ready(1);
    CHECK(r.did() == "give 1 #1");
    r.lose(1, 1);
    CHECK(r.did() == "open 2 mx2.two.example");
    r.ready(2);
    CHECK(r.did() == "give 2 #1");
    r.lose(2, 1);
    CHECK(r.did() == "");
    r.pass(1s);
    CHECK(r.did() == "open 3 mx1.two.example");
    r.ready(3);
    CHECK(r.did() == "give 3 #1");
    r.lose(3, 1);
    CHECK(r.did() == "done #1 not_attempted x1 connection_closed");
}

TEST_CASE("a server that says 421 to the first MAIL is followed by the next within the same attempt") {
    rig<> r;
    const auto says_421 = [&](connection_id c) {
        r.finish(c, 1, all(1, status::deferred, phase::mail, 421), {}, 0);
        r.close(c, errc::service_closing);
    };
    (void)r.add("two.example");
    CHECK(r.did() == "open 1 mx1.two.example");
    r.ready(1);
    CHECK(r.did() == "give 1 #1");
    says_421(1);
    CHECK(r.did() == "quit 1, open 2 mx2.two.example");
    r.ready(2);
    CHECK(r.did() == "give 2 #1");
    SUBCASE("which takes it") {
        r.accept(2, 1);
        CHECK(r.did() == "done #1 accepted x1");
    }
    SUBCASE("each of them does so: that is the answer") {
        says_421(2);
        CHECK(r.did() == "done #1 deferred x1, quit 2");
    }
}

TEST_CASE("what one server cannot take goes to the next of its site within the same attempt, and to it alone") {
    rig<> r;
    const auto lacks = [&](connection_id c, job_id j, status s) {
        r.finish(c, j, all(1, s, phase::mail), errc::require_tls_unsupported, 1, false);
    };
    r.add_many(2, "two.example");
    CHECK(r.did() == "open 1 mx1.two.example");
    r.ready(1);
    CHECK(r.did() == "give 1 #1, open 2 mx1.two.example");
    lacks(1, 1, status::rejected);
    // The first server goes on with what it can take.
    CHECK(r.did() == "give 1 #2, open 3 mx2.two.example");
    r.accept(1, 2);
    CHECK(r.did() == "done #2 accepted x1");
    SUBCASE("which takes it") {
        r.ready(3);
        CHECK(r.did() == "give 3 #1");
        r.accept(3, 1);
        CHECK(r.did() == "done #1 accepted x1");
    }
    SUBCASE("when none takes it, that is the answer") {
        r.ready(3);
        CHECK(r.did() == "give 3 #1");
        lacks(3, 1, status::rejected);
        CHECK(r.did() == "done #1 rejected x1 require_tls_unsupported");
    }
    SUBCASE("when one of them might take it later, it is deferred") {
        r.ready(3);
        (void)r.did();
        lacks(3, 1, status::deferred);
        CHECK(r.did() == "done #1 deferred x1 require_tls_unsupported");
    }
    SUBCASE("when the next cannot be reached, it is not refused for good") {
        r.refuse(3);
        CHECK(r.did() == "done #1 not_attempted x0 timed_out");
    }
}

TEST_CASE("that an earlier server of the attempt may take it later is remembered") {
    rig<> r(one, memory{}, fifo{.retry = {.attempts = 2, .first_wait = 20s}});
    const auto lacks = [&](connection_id c, status s) {
        r.finish(c, 1, all(1, s, phase::mail), errc::require_tls_unsupported, 1, false);
    };
    (void)r.add("two.example");
    (void)r.did();
    r.ready(1);
    (void)r.did();
    lacks(1, status::deferred);
    CHECK(r.did() == "quit 1");
    r.close(1);
    CHECK(r.did() == "open 2 mx2.two.example");
    r.ready(2);
    CHECK(r.did() == "give 2 #1");
    lacks(2, status::rejected);
    CHECK(r.did() == "");
    // The next attempt begins at the first again.
    r.pass(1min);
    CHECK(r.did() == "quit 2");
    r.close(2);
    CHECK(r.did() == "open 3 mx1.two.example");
    r.ready(3);
    CHECK(r.did() == "give 3 #1");
    r.accept(3, 1);
    CHECK(r.did() == "done #1 accepted x2");
}

TEST_CASE("what is in doubt at one server is never given to another") {
    rig<> r(one);
    (void)r.add("two.example", 2);
    (void)r.did();
    r.ready(1);
    (void)r.did();
    r.finish(1, 1, all(2, status::in_doubt), errc::connection_closed, 0);
    r.close(1, errc::connection_closed);
    CHECK(r.did() == "done #1 in_doubt in_doubt x1 connection_closed");
}

TEST_CASE("refused credentials are not tried at the next server") {
    rig<> r(one);
    (void)r.add("two.example");
    (void)r.did();
    r.close(1, errc::authentication_rejected, phase::auth);
    CHECK(r.did() == "done #1 not_attempted x0 authentication_rejected");
}

TEST_CASE("which mechanisms are beyond a server is remembered for an hour, and for that server") {
    rig<> r(one);
    const smtp::auth_habits taught{.beyond = {"SCRAM-SHA-256"}};
    connection_id id = 0;
    // Sends one message over a connection of its own; returns what that was told.
    const auto send = [&](const std::string& domain, const smtp::auth_habits& learned) {
        smtp::auth_habits told;
        (void)r.add(domain);
        while (auto a = r.d.poll())
            if (auto* o = std::get_if<engine::open_connection>(&*a)) told = o->known.auth, id = o->id;
        r.d.ready(id, 1, r.now, {}, {.auth = learned});
        (void)r.did();
        r.accept(id, r.last);
        r.close(id);
        (void)r.did();
        return told;
    };
    CHECK(send("one.example", taught) == smtp::auth_habits{});
    CHECK(send("two.example", {}) == smtp::auth_habits{});
    r.pass(59min);
    (void)r.did();
    CHECK(send("one.example", {}) == taught);
    r.pass(1min);
    (void)r.did();
    CHECK(send("one.example", {}) == smtp::auth_habits{});
}

TEST_CASE("a server whose TLS fails and may fail is asked again at once, in the clear, and only once") {
    rig<> r(one);
    (void)r.add("two.example");
    CHECK(r.did() == "open 1 mx1.two.example");
    const smtp::closed failed{.error = errc::tls_handshake, .details = {}, .lesson = smtp::lesson::no_tls};
    r.d.closed(1, failed, r.now);
    CHECK(r.did() == "open 2 mx1.two.example");
    r.d.closed(2, failed, r.now);
    CHECK(r.did() == "open 3 mx2.two.example");
    r.ready(3);
    CHECK(r.did() == "give 3 #1");
    r.accept(3, 1);
    CHECK(r.did() == "done #1 accepted x1");
}

TEST_CASE("connections are shared among servers by weight, and spare servers get none") {
    rig<> r(keep_alive{.max_connections = 4});
    r.add_many(8, "weighed.example");
    auto opened = r.did();
    CHECK(opened == "open 1 big");
    for (connection_id id = 1; id <= 4; ++id) {
        r.ready(id);
        opened += r.did();
    }
    std::size_t big = 0;
    std::size_t small = 0;
    for (std::size_t at = 0; (at = opened.find(" big", at)) != std::string::npos; ++at) ++big;
    for (std::size_t at = 0; (at = opened.find(" small", at)) != std::string::npos; ++at) ++small;
    CHECK(big == 3);
    CHECK(small == 1);
    CHECK(opened.find("spare") == std::string::npos);
}

TEST_CASE("spare servers come in when the preferred ones are down") {
    rig<> r(one);
    (void)r.add("weighed.example");
    CHECK(r.did() == "open 1 big");
    r.refuse(1);
    CHECK(r.did() == "open 2 small");
    r.refuse(2);
    CHECK(r.did() == "open 3 spare");
}

TEST_CASE("a destination without servers is an outcome") {
    rig<> r(one);
    (void)r.add("nowhere.example");
    CHECK(r.did() == "done #1 not_attempted x0 resolve_failed");
    CHECK(r.d.idle(r.now));
}

TEST_CASE("recipients beyond the server's limit go in further transactions of one attempt") {
    rig<> r(one);
    (void)r.add("a.example", 5);
    (void)r.did();
    r.ready(1, 1, {.recipients = 2});
    CHECK(r.did() == "give 1 #1 r0 r1");
    r.accept(1, 1);
    CHECK(r.did() == "give 1 #1 r2 r3");
    r.finish(1, 1, answers("ar"));
    CHECK(r.did() == "give 1 #1 r4");
    r.accept(1, 1);
    CHECK(r.did() == "done #1 accepted accepted accepted rejected accepted x1");
}

TEST_CASE("a limit that no message reaches changes nothing") {
    rig<> r(one);
    (void)r.add("a.example", 2);
    (void)r.did();
    r.ready(1, 1, {.recipients = 2});
    CHECK(r.did() == "give 1 #1");
}

TEST_CASE("452 too many recipients: the rest comes at once, in portions that the server takes") {
    rig<> r(one);
    (void)r.add("a.example", 5);
    (void)r.did();
    r.ready(1);
    CHECK(r.did() == "give 1 #1");
    r.finish(1, 1, answers("aammm"));
    CHECK(r.did() == "give 1 #1 r2 r3");
    r.accept(1, 1);
    CHECK(r.did() == "give 1 #1 r4");
    r.accept(1, 1);
    CHECK(r.did() == "done #1 accepted accepted accepted accepted accepted x1");
}

TEST_CASE("452 is no reason to come again when nobody was accepted, or when a mailbox is full") {
    rig<> r(one);
    (void)r.add("a.example", 2);
    (void)r.did();
    r.ready(1);
    (void)r.did();
    r.finish(1, 1, answers("mm"));
    CHECK(r.did() == "done #1 deferred deferred x1");
    (void)r.add("a.example", 2);
    (void)r.did();
    r.finish(1, 2, answers("af"));
    CHECK(r.did() == "done #2 accepted deferred x1");
}

TEST_CASE("a connection that goes stale within a split message loses and doubles no recipient") {
    auto r = retrying(2);
    (void)r.add("a.example", 4);
    (void)r.did();
    r.ready(1, 1, {.recipients = 2});
    CHECK(r.did() == "give 1 #1 r0 r1");
    r.finish(1, 1, answers("af"));
    CHECK(r.did() == "give 1 #1 r2 r3");
    // 421 to MAIL: the server had closed it.
    r.finish(1, 1, all(2, status::deferred, phase::mail, 421), errc::service_closing, 0);
    r.close(1, errc::service_closing);
    CHECK(r.did() == "open 2 a.example");
    r.ready(2, 1, {.recipients = 2});
    CHECK(r.did() == "give 2 #1 r2 r3");
    r.accept(2, 1);
    CHECK(r.did() == "");
    r.pass(20s);
    CHECK(r.did() == "give 2 #1 r1");
}

TEST_CASE("a split message whose server goes away fails as others do") {
    rig<> r(one);
    (void)r.add("a.example", 3);
    (void)r.did();
    r.ready(1, 1, {.recipients = 2});
    (void)r.did();
    r.finish(1, 1, all(2, status::accepted), {}, 0);
    CHECK(r.did() == "quit 1");
    r.close(1);
    CHECK(r.did() == "open 2 a.example");
    r.refuse(2);
    CHECK(r.did() == "done #1 accepted accepted not_attempted x1 timed_out");
}

TEST_CASE("domains of one transaction stay within the server's limit") {
    rig<> r(one);
    auto m = std::make_shared<mail_object>();
    m->envelope.reverse_path = address("ann@client.example");
    for (const auto* to : {"a@x.example", "b@y.example", "c@x.example"}) m->envelope.recipients.push_back(address(to));
    auto j = make_job(++r.last, std::move(m));
    REQUIRE(!r.queue.enqueue(j));
    r.d.wake(r.now);
    (void)r.did();
    r.ready(1, 1, {.domains = 1});
    CHECK(r.did() == "give 1 #1 r0 r2");
    r.accept(1, 1);
    CHECK(r.did() == "give 1 #1 r1");
}

TEST_CASE("a transaction on its way to a connection that ended is taken back") {
    rig<> r(one);
    (void)r.add();
    (void)r.did();
    r.ready(1);
    // The action was not carried out yet.
    r.close(1, errc::connection_closed);
    CHECK(r.did() == "give 1 #1");
    r.pass(1s);
    CHECK(r.did() == "open 2 a.example");
    r.ready(2);
    CHECK(r.did() == "give 2 #1");
    r.accept(2, 1);
    CHECK(r.did() == "done #1 accepted x1");
}

TEST_CASE("a job is given up at its deadline, wherever it is") {
    auto r = retrying(9);
    const auto add = [&](duration limit) {
        auto j = make_job(++r.last, mail_to("a.example", 1));
        j.deadline = r.now + limit;
        r.d.give_up_at(j.id, j.deadline);
        REQUIRE(!r.queue.enqueue(j));
        r.d.wake(r.now);
    };
    add(10s);
    add(5s);
    CHECK(r.did() == "open 1 a.example");
    CHECK(r.d.deadline() == r.now + 5s);
    r.pass(5s);
    CHECK(r.did() == "done #2 not_attempted x0 timed_out");
    r.ready(1);
    CHECK(r.did() == "give 1 #1");
    r.pass(5s);
    CHECK(r.did() == "interrupt 1 #1");
    r.finish(1, 1, all(1, status::not_attempted), errc::cancelled);
    CHECK(r.did() == "done #1 not_attempted x1 timed_out");
    add(50s);
    (void)r.did();
    r.finish(1, 3, all(1, status::deferred));
    CHECK(r.did() == "");
    r.pass(20s);
    CHECK(r.did() == "give 1 #3");
    // The next wait would end behind the deadline.
    r.finish(1, 3, all(1, status::deferred));
    CHECK(r.did() == "done #3 deferred x2");
    r.pass(50s);
    CHECK(r.did() == "quit 1");
}

TEST_CASE("a delayed job costs nothing until it is due") {
    rig<> r(one);
    auto j = make_job(++r.last, mail_to("a.example", 1));
    j.due = r.now + 1h;
    REQUIRE(!r.queue.enqueue(j));
    r.d.wake(r.now);
    CHECK(r.did() == "");
    CHECK(r.d.deadline() == r.now + 1h);
    r.pass(1h);
    CHECK(r.did() == "open 1 a.example");
}

TEST_CASE_TEMPLATE("servers that say nothing leave room for those that work", Scheduling, fifo, scheduling::fair) {
    rig<keep_alive, memory, Scheduling> r(keep_alive{.max_connections = 4});
    (void)r.add("good.example");
    CHECK(r.did() == "open 1 good.example");
    r.ready(1);
    CHECK(r.did() == "give 1 #1");
    r.accept(1, 1);
    r.close(1);
    CHECK(r.did() == "done #1 accepted x1");

    (void)r.add("dead1.example");
    (void)r.add("dead2.example");
    CHECK(r.did() == "open 2 dead1.example, open 3 dead2.example");
    r.pass(keep_alive::silence);
    (void)r.add("new1.example");
    (void)r.add("new2.example");
    CHECK(r.did() == "");
    (void)r.add("good.example");
    CHECK(r.did() == "open 4 good.example");
    r.ready(4);
    CHECK(r.did() == "give 4 #6");
    r.accept(4, 6);
    CHECK(r.did() == "done #6 accepted x1");

    // One speaks after all: there is room for others, for which what is idle makes way.
    r.ready(2);
    CHECK(r.did() == "give 2 #2, open 5 new2.example, quit 4");
    r.close(4);
    CHECK(r.did() == "open 6 new1.example");
}
