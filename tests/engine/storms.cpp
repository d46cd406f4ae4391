// Servers that fail at every step in every way: how often they are opened, and what becomes of the messages.
// POSTROAD_SEED=n in the environment replays one seed.
#include <doctest/doctest.h>

#include <deque>
#include <random>
#include <set>

#include <postroad/scheduling/fair.hpp>

#include "rig.hpp"
#include "seeds.hpp"

using namespace engine_test;
using pooling::keep_alive;
using queueing::direct;
using queueing::memory;
using scheduling::fair;
using scheduling::fifo;

namespace {

/// How a server fails an opening, or what is given to it first.
enum class way : unsigned char {
    unreachable,  // before it says anything
    greeting_refused,
    login_refused,
    certificate,
    hello_421,
    hello_garbage,
    auth_421,
    auth_garbage,
    ready_then_421,   // with the last reply of the opening
    over_when_ready,  // the same, in one segment
    ready_then_ends,  // on MAIL, without a word
    mail_421,
    mail_530,
    data_530,
    lost,  // takes each command for one out of order
    // It answers to MAIL, and ends the connection with the same message.
    rcpt_421,
    data_421,
    end_421,
    rcpt_ends,
    data_ends,
    end_ends,  // in doubt
    garbage,
};
constexpr int ways = 22;
constexpr int first_behind_mail = static_cast<int>(way::rcpt_421);

template <class Queueing, class Scheduling>
class storm {
public:
    storm(std::uint32_t seed, std::optional<way> only, std::string domain)
        : random_(seed), only_(only), domain_(std::move(domain)) {}

    // For so long `n` messages come a second, while some wait.
    void run(duration time, std::size_t messages) {
        const auto end = rig_.now + time;
        while (rig_.now < end) {
            if (messages > 0) {
                (void)rig_.add(domain_);
                --messages;
            }
            act();
            const auto due = std::max(rig_.d.deadline(), rig_.now);
            rig_.now = std::min(std::max(due, rig_.now + 1ms), messages > 0 ? rig_.now + 100ms : end);
            rig_.d.tick(rig_.now);
            act();
        }
    }

    std::size_t most_in(duration span) const {
        std::size_t most = 0;
        std::deque<time_point> recent;
        for (const auto at : opened_) {
            recent.push_back(at);
            while (recent.front() <= at - span) recent.pop_front();
            most = std::max(most, recent.size());
        }
        return most;
    }
    std::size_t logins() const { return logins_; }
    std::size_t openings() const { return opened_.size(); }
    rig<keep_alive, Queueing, Scheduling>& the() { return rig_; }

private:
    void act() {
        for (auto did = rig_.did(); !did.empty(); did = rig_.did()) {
            REQUIRE(opened_.size() < 10'000);
            for (std::size_t at = 0; (at = did.find("open ", at)) != std::string::npos; ++at)
                opening(std::stoull(did.substr(at + 5)));
            for (std::size_t at = 0; (at = did.find("quit ", at)) != std::string::npos; ++at)
                rig_.close(std::stoull(did.substr(at + 5)));
            std::vector<std::pair<connection_id, job_id>> given;
            for (auto& [id, jobs] : rig_.asked)
                for (auto& [j, n] : jobs) given.emplace_back(id, j);
            for (const auto& [id, j] : given) answer(id, j);
        }
        if constexpr (queueing::durable<Queueing>) {
            rig_.queue.store_marks();
            rig_.d.wake(rig_.now);
            if (rig_.d.has_actions()) act();
        }
    }
    void opening(connection_id id) {
        opened_.push_back(rig_.now);
        const auto w = ways_[id] = only_ ? *only_ : static_cast<way>(random_() % ways);
        switch (w) {
            case way::unreachable: return rig_.refuse(id);
            case way::greeting_refused: return rig_.close(id, errc::greeting_refused, phase::greeting);
            case way::login_refused: ++logins_; return rig_.close(id, errc::authentication_rejected, phase::auth);
            case way::certificate: return rig_.close(id, errc::tls_certificate, phase::tls);
            case way::hello_421: return rig_.close(id, errc::service_closing, phase::hello);
            case way::hello_garbage: return rig_.close(id, errc::malformed_reply, phase::hello);
            case way::auth_421: ++logins_; return rig_.close(id, errc::service_closing, phase::auth);
            case way::auth_garbage: ++logins_; return rig_.close(id, errc::malformed_reply, phase::auth);
            case way::ready_then_421: rig_.ready(id); return end(id, errc::service_closing);
            case way::over_when_ready: rig_.ready(id, 0); return rig_.close(id, errc::service_closing);
            case way::ready_then_ends:
            case way::mail_421:
            case way::mail_530:
            case way::data_530:
            default: return rig_.ready(id);
        }
    }
    void answer(connection_id id, job_id j) {
        if (gone_.contains(id)) return void(rig_.asked.erase(id));
        const auto n = rig_.asked[id][j];
        const auto w = ways_.at(id);
        if (w == way::mail_530) return rig_.finish(id, j, all(n, status::rejected, phase::mail, 530));
        if (w == way::data_530) return rig_.finish(id, j, all(n, status::rejected, phase::data, 530));
        if (w == way::lost)
            return rig_.finish(id, j, all(n, status::not_attempted, phase::rcpt, 500), errc::out_of_sequence);
        if (w == way::mail_421) {
            rig_.finish(id, j, all(n, status::deferred, phase::mail, 421), errc::service_closing, 0);
            return rig_.close(id, errc::service_closing);
        }
        if (static_cast<int>(w) >= first_behind_mail) return part(id, j, w);
        rig_.lose(id, j);
    }
    // Behind MAIL. A session that is told 421 has no error for those whose replies that was.
    void part(connection_id id, job_id j, way w) {
        const auto n = rig_.asked[id][j];
        const bool says = w == way::rcpt_421 || w == way::data_421 || w == way::end_421;
        const auto where = w == way::rcpt_421 || w == way::rcpt_ends   ? phase::rcpt
                           : w == way::data_421 || w == way::data_ends ? phase::data
                                                                       : phase::content;
        const auto s = says ? status::deferred : w == way::end_ends ? status::in_doubt : status::not_attempted;
        const auto ec = w == way::garbage    ? errc::malformed_reply
                        : w == way::end_ends ? errc::in_doubt
                                             : errc::connection_closed;
        rig_.finish(id, j, all(n, s, where, says ? 421 : 0), says ? error_code{} : ec, 0);
        rig_.close(id, says ? errc::service_closing : ec);
    }
    // With what it carries.
    void end(connection_id id, error_code why) {
        gone_.insert(id);
        const auto jobs = rig_.asked[id];
        for (const auto& [j, n] : jobs) rig_.finish(id, j, all(n, status::not_attempted, phase::mail), why, 0, false);
        rig_.close(id, why);
    }

    std::mt19937 random_;
    std::optional<way> only_;
    std::string domain_;
    rig<keep_alive, Queueing, Scheduling> rig_{};
    std::map<connection_id, way> ways_ = {};
    std::vector<time_point> opened_ = {};
    std::set<connection_id> gone_ = {};
    std::size_t logins_ = 0;
};

template <class F>
void with_seeds(F f) {
    for (const auto seed : seeds(20)) {
        INFO("POSTROAD_SEED=" << seed << " replays this");
        f(seed);
    }
}

template <class Queueing, class Scheduling>
void check_openings(std::uint32_t seed, std::optional<way> only, std::size_t messages, std::size_t most) {
    CAPTURE(messages);
    CAPTURE(only ? static_cast<int>(*only) : -1);
    storm<Queueing, Scheduling> s(seed, only, "a.example");
    s.run(10min, messages);
    CHECK(s.openings() > 0);
    CHECK(s.most_in(1min) <= most);
    auto& r = s.the();
    if (queueing::durable<Queueing>) {
        CHECK(r.done.empty());
        CHECK(r.queue.size() == messages);
        if constexpr (queueing::operable<Queueing>) CHECK(r.d.count(r.now).troubles.size() == 1);
    } else if (!Queueing::keeps) {
        CHECK(r.done.size() == messages);
    }
}

template <class Queueing, class Scheduling>
void check_all(std::uint32_t seed, std::size_t most) {
    check_openings<Queueing, Scheduling>(seed, {}, 1, most);
    check_openings<Queueing, Scheduling>(seed, {}, 200, most);
    for (int w = 0; w < ways; ++w) check_openings<Queueing, Scheduling>(seed, static_cast<way>(w), 20, most);
}

}  // namespace

TEST_CASE("a server that fails in whatever way is opened ten times a minute at most, and nothing is lost") {
    with_seeds([](std::uint32_t seed) {
        check_all<on_disk, fifo>(seed, 10);
        check_all<on_disk, fair>(seed, 10);
    });
}

TEST_CASE("where the queue does not last it is twenty times, whoever sends, and each message ends") {
    with_seeds([](std::uint32_t seed) {
        check_all<direct, fifo>(seed, 20);
        check_all<direct, fair>(seed, 20);
        check_all<memory, fifo>(seed, 20);
        check_all<memory, fair>(seed, 20);
    });
}

TEST_CASE("a server that ends each connection with its first message is asked no more often the more wait there") {
    const auto openings = [](auto s, std::size_t messages) {
        s.run(1h, messages);
        return s.openings();
    };
    for (int w = 0; w < ways; ++w) {
        CAPTURE(w);
        const auto only = static_cast<way>(w);
        // 0.25 s, 0.5 s, ... up to 15 minutes.
        CHECK(openings(storm<on_disk, fifo>(1, only, "a.example"), 300) <= 20);
        CHECK(openings(storm<on_disk, fair>(1, only, "a.example"), 300) <= 20);
        // Somebody waits: up to 5 s, for the half minute in which they come, and until they were told.
        CHECK(openings(storm<direct, fifo>(1, only, "a.example"), 300) <= 25);
        CHECK(openings(storm<direct, fair>(1, only, "a.example"), 300) <= 25);
        // Each is tried several times.
        CHECK(openings(storm<memory, fair>(1, only, "a.example"), 300) <= 200);
    }
}

TEST_CASE("a refused login is tried eight times an hour at most") {
    storm<on_disk, fifo> s(1, way::login_refused, "a.example");
    s.run(1h, 50);
    CHECK(s.logins() <= 8);
    CHECK(s.the().done.empty());
    storm<memory, fair> t(1, way::login_refused, "a.example");
    t.run(1h, 50);
    CHECK(t.logins() <= 8);
    CHECK(t.the().done.size() == 50);
}

TEST_CASE("what waits for a mended server goes out when its rest is over, at once by retry_now()") {
    storm<on_disk, fifo> s(1, way::login_refused, "a.example");
    s.run(20min, 3);
    auto& r = s.the();
    const auto troubles = r.d.count(r.now).troubles;
    REQUIRE(troubles.size() == 1);
    CHECK(troubles.front().name == "a.example");
    CHECK(troubles.front().error == errc::authentication_rejected);
    CHECK(troubles.front().waiting == 3);
    CHECK(troubles.front().next_try <= engine::longest_rest);
    SUBCASE("by its time") { r.pass(engine::longest_rest); }
    SUBCASE("by hand") { CHECK(r.d.retry_now({}, r.now) == 3); }
    const auto opened = r.did();
    REQUIRE(opened.starts_with("open "));
    CHECK(opened.find("open", 5) == std::string::npos);
    const auto id = std::stoull(opened.substr(5));
    r.ready(id, 3);
    r.queue.store_marks();
    r.d.wake(r.now);
    (void)r.did();
    for (job_id j = 1; j <= 3; ++j) r.accept(id, j);
    CHECK(r.did().find("done #3 accepted x1") != std::string::npos);
    CHECK(r.d.count(r.now).troubles.empty());
}

TEST_CASE("a message that ends each connection before a reply stops no other") {
    rig<keep_alive> r(keep_alive{.max_connections = 1});
    r.add_many(101);
    const job_id poison = 1;
    for (int rounds = 0; r.done.size() < 101 && rounds < 1000; ++rounds) {
        for (auto did = r.did(); !did.empty(); did = r.did()) {
            if (const auto at = did.find("quit "); at != std::string::npos) r.close(std::stoull(did.substr(at + 5)));
            if (const auto at = did.find("open "); at != std::string::npos) r.ready(std::stoull(did.substr(at + 5)));
        }
        bool any = false;
        for (const auto& [id, jobs] : std::map(r.asked))
            for (const auto& [j, n] : jobs) {
                any = true;
                if (j == poison)
                    r.lose(id, j);
                else
                    r.accept(id, j);
            }
        if (!any) r.pass(1s);
    }
    REQUIRE(r.done.size() == 101);
    for (const auto& [id, j] : r.done)
        if (id != poison) CHECK(j.result.all_accepted());
    CHECK(text(r.done.at(poison)) == "#1 not_attempted x1 connection_closed");
}

namespace {

// How the connection ends under a message that its server cannot bear.
template <class Rig>
void poisoned(Rig& r, connection_id id, job_id j, bool says) {
    const auto n = r.asked[id][j];
    r.finish(id, j, all(n, says ? status::deferred : status::not_attempted, phase::data, says ? 421 : 0),
             says ? error_code{} : errc::connection_closed, 0);
    r.close(id, says ? errc::service_closing : errc::connection_closed);
}

// Until `over`, with messages that end their connections; those are the first so many.
template <class Rig, class F>
void serve_poisoned(Rig& r, job_id poison, bool says, F over) {
    for (int rounds = 0; !over() && rounds < 100'000; ++rounds) {
        for (auto did = r.did(); !did.empty(); did = r.did()) {
            for (std::size_t at = 0; (at = did.find("open ", at)) != std::string::npos; ++at)
                r.ready(std::stoull(did.substr(at + 5)));
            for (std::size_t at = 0; (at = did.find("quit ", at)) != std::string::npos; ++at)
                r.close(std::stoull(did.substr(at + 5)));
        }
        bool any = false;
        for (const auto& [id, jobs] : std::map(r.asked))
            for (const auto& [j, n] : jobs) {
                any = true;
                if (j <= poison)
                    poisoned(r, id, j, says);
                else
                    r.accept(id, j);
            }
        if constexpr (queueing::durable<decltype(r.queue)>) {
            r.queue.store_marks();
            r.d.wake(r.now);
            any = any || r.d.has_actions();
        }
        if (!any) r.pass(100ms);
    }
}

}  // namespace

TEST_CASE("messages that end their connections behind MAIL hold up no others for longer than seconds") {
    const auto check = [](auto r, std::size_t poison) {
        for (const bool says : {false, true}) {
            CAPTURE(says);
            auto one = decltype(r)(keep_alive{.max_connections = 1});
            const auto began = one.now;
            one.add_many(poison + 100);
            const auto accepted = [&] {
                std::size_t n = 0;
                for (const auto& [id, j] : one.done) n += j.result.all_accepted();
                return n;
            };
            serve_poisoned(one, poison, says, [&] { return accepted() == 100; });
            CHECK(accepted() == 100);
            CHECK(one.now - began < 30s);
        }
    };
    for (const std::size_t poison : {1u, 4u, 6u}) {
        CAPTURE(poison);
        check(rig<keep_alive, direct>(), poison);
        check(rig<keep_alive, memory>(), poison);
        check(rig<keep_alive, on_disk>(), poison);
        if (poison < 5) check(rig<keep_alive, direct, fair>(), poison);
        if (poison < 5) check(rig<keep_alive, on_disk, fair>(), poison);
    }
}

TEST_CASE("what is tried again and again, and ends each connection, keeps no message waiting that comes later") {
    rig<keep_alive, on_disk> r(keep_alive{.max_connections = 1});
    (void)r.add();
    const auto until = r.now + 24h;
    serve_poisoned(r, 1, true, [&] { return r.now >= until; });
    CHECK(r.queue.size() == 1);
    const auto began = r.now;
    (void)r.add();
    serve_poisoned(r, 1, true, [&] { return r.done.contains(2); });
    CHECK(r.done.contains(2));
    CHECK(r.now - began < 1s);
}

TEST_CASE(
    "one connection that breaks under its first message, beside others that work, rests its server until they say so") {
    rig<> r(keep_alive{.max_connections = 2});
    r.add_many(2);
    CHECK(r.did() == "open 1 a.example");
    r.ready(1);
    CHECK(r.did() == "give 1 #1, open 2 a.example");
    r.ready(2);
    CHECK(r.did() == "give 2 #2");
    poisoned(r, 2, 2, false);
    CHECK(r.did() == "done #2 not_attempted x1 connection_closed");
    r.add_many(2);
    CHECK(r.did() == "");
    r.accept(1, 1);
    CHECK(r.did() == "done #1 accepted x1, give 1 #3, open 3 a.example");
    CHECK(r.d.count(r.now).troubles.empty());
}

TEST_CASE("one tenant's refused MAIL stops nobody, and is over once another's was accepted") {
    rig<keep_alive, on_disk> r(keep_alive{.max_connections = 1});
    const auto add = [&](const std::string& sender) {
        auto m = std::make_shared<mail_object>();
        m->envelope.reverse_path = address(sender);
        m->envelope.recipients.push_back(address("bob@a.example"));
        auto j = make_job(++r.last, std::move(m));
        REQUIRE_FALSE(r.queue.enqueue(j));
        r.d.wake(r.now);
    };
    const auto given = [&] {
        r.queue.store_marks();
        r.d.wake(r.now);
        return r.did();
    };
    const auto refuse = [&](connection_id c, job_id j) {
        auto refused = all(1, status::rejected, phase::mail, 550);
        refused.front().reply.enhanced = {5, 7, 1};
        r.finish(c, j, std::move(refused));
    };
    add("eve@one.example");
    (void)r.did();
    r.ready(1);
    CHECK(given() == "give 1 #1");
    refuse(1, 1);
    CHECK(r.did() == "");
    SUBCASE("another sender is accepted") {
        add("ann@two.example");
        CHECK(given() == "give 1 #2");
        r.accept(1, 2);
        CHECK(r.did() == "done #2 accepted x1");
        CHECK(r.d.retry_now({}, r.now) == 1);
        CHECK(given() == "give 1 #1");
        refuse(1, 1);
        CHECK(r.did() == "done #1 rejected x2");
    }
    SUBCASE("nobody is accepted: it is about us") {
        add("ann@two.example");
        CHECK(given() == "give 1 #2");
        refuse(1, 2);
        add("cid@three.example");
        CHECK(given() == "give 1 #3");
        CHECK(r.d.count(r.now).troubles.empty());
        refuse(1, 3);
        CHECK(r.did() == "quit 1");
        CHECK(r.d.count(r.now).troubles.size() == 1);
        CHECK(r.queue.size() == 3);
    }
}

TEST_CASE("a login that is asked of one sender alone stops nobody else") {
    rig<keep_alive, on_disk> r(keep_alive{.max_connections = 1});
    const auto given = [&] {
        r.queue.store_marks();
        r.d.wake(r.now);
        return r.did();
    };
    const auto refuse = [&](connection_id c, job_id j, phase where) {
        r.finish(c, j, all(1, status::rejected, where, 530));
    };
    r.add_many(2);
    (void)r.did();
    r.ready(1);
    CHECK(given() == "give 1 #1");
    SUBCASE("nobody was accepted there: it is asked of all") {
        refuse(1, 1, phase::mail);
        CHECK(r.did() == "quit 1");
        CHECK(r.d.count(r.now).troubles.size() == 1);
    }
    SUBCASE("others need none") {
        r.accept(1, 1);
        CHECK(given() == "done #1 accepted x1, give 1 #2");
        SUBCASE("for a sender: later") {
            refuse(1, 2, phase::mail);
            CHECK(r.did() == "");
            CHECK(r.queue.size() == 1);
        }
        SUBCASE("for a recipient") {
            refuse(1, 2, phase::rcpt);
            CHECK(r.did() == "done #2 rejected x1");
        }
        CHECK(r.d.count(r.now).troubles.empty());
        (void)r.add();
        CHECK(given() == "give 1 #3");
    }
}

TEST_CASE("a session that is exhausted is left, and its message goes on at once, once") {
    rig<> r(keep_alive{.max_connections = 1});
    r.add_many(3);
    (void)r.did();
    r.ready(1);
    (void)r.did();
    r.accept(1, 1);
    CHECK(r.did() == "done #1 accepted x1, give 1 #2");
    auto enough = all(1, status::deferred, phase::mail, 452);
    enough.front().reply.enhanced = {4, 4, 5};
    r.finish(1, 2, enough);
    CHECK(r.did() == "quit 1");
    r.close(1);
    CHECK(r.did() == "open 2 a.example");
    r.ready(2);
    CHECK(r.did() == "give 2 #3");
    r.accept(2, 3);
    CHECK(r.did() == "done #3 accepted x1, give 2 #2");
    // Now it is the message's.
    r.finish(2, 2, enough);
    CHECK(r.did() == "done #2 deferred x1");
}

TEST_CASE("how many messages a session takes is learned from refusals of MAIL that give no reason, and no others") {
    const auto refusals = [](enhanced_code reason) {
        rig<> r(keep_alive{.max_connections = 1});
        r.add_many(100);
        auto enough = all(1, status::deferred, phase::mail, 450);
        enough.front().reply.enhanced = reason;
        std::size_t refused = 0;
        std::map<connection_id, std::size_t> took;
        for (int rounds = 0; r.done.size() < 100 && rounds < 1000; ++rounds) {
            const auto did = r.did();
            if (const auto at = did.find("quit "); at != std::string::npos) r.close(std::stoull(did.substr(at + 5)));
            if (const auto at = did.find("open "); at != std::string::npos) r.ready(std::stoull(did.substr(at + 5)));
            for (const auto& [id, jobs] : std::map(r.asked))
                for (const auto& [j, n] : jobs)
                    if (++took[id] <= 2) {
                        r.accept(id, j);
                    } else {
                        ++refused;
                        r.finish(id, j, enough);
                    }
        }
        CHECK(r.done.size() == 100);
        return refused;
    };
    CHECK(refusals({}) == 2);
    CHECK(refusals({4, 4, 5}) == 2);
    CHECK(refusals({4, 7, 1}) > 40);
}

TEST_CASE("a destination that the scheduler leaves alone is named, with the server's last words") {
    rig<keep_alive, memory, fair> r(keep_alive{.max_connections = 1});
    r.add_many(20);
    const auto troubles = [&] { return r.d.count(r.now).troubles; };
    for (connection_id id = 1; id <= r.scheduler.breaker.failures; ++id) {
        CHECK(troubles().empty());
        for (int i = 0; i < 100 && r.asked[id].empty(); ++i) {
            if (r.did().find("open " + std::to_string(id)) != std::string::npos) r.ready(id);
            r.pass(100ms);
        }
        REQUIRE(r.asked[id].size() == 1);
        auto busy = all(1, status::deferred, phase::rcpt, 451);
        busy.front().reply.enhanced = {4, 3, 2};
        r.finish(id, r.asked[id].begin()->first, busy, {}, 0);
        (void)r.did();
        r.close(id);
    }
    REQUIRE(troubles().size() == 1);
    const auto t = troubles().front();
    CHECK(t.name == "a.example");
    CHECK(t.error == errc::recipients_deferred);
    CHECK(t.next_try > 10s);
    CHECK(t.since > 0s);
    CHECK(t.waiting > 10);
    r.pass(t.next_try);
    const auto did = r.did();
    CAPTURE(did);
    REQUIRE(did.starts_with("open "));
    const auto id = std::stoull(did.substr(5));
    r.ready(id);
    (void)r.did();
    r.accept(id, r.asked[id].begin()->first);
    CHECK(troubles().empty());
}

TEST_CASE("a session that takes what is sent alone for out of order is left once it has carried something") {
    rig<keep_alive, memory> r(keep_alive{.max_connections = 1});
    r.add_many(3);
    (void)r.did();
    r.ready(1);
    (void)r.did();
    r.accept(1, 1);
    CHECK(r.did() == "done #1 accepted x1, give 1 #2");
    const auto out_of_order = [&](smtp::lesson l) {
        r.asked[1].erase(2);
        r.d.finished(1,
                     {.id = 2,
                      .error = errc::out_of_sequence,
                      .recipients = all(1, status::not_attempted, phase::mail, 503),
                      .lesson = l},
                     1, r.now);
    };
    SUBCASE("alone") {
        out_of_order(smtp::lesson::none);
        CHECK(r.did() == "quit 1");
        r.close(1);
        CHECK(r.did() == "open 2 a.example");
    }
    SUBCASE("sent ahead") {
        out_of_order(smtp::lesson::no_overlap);
        CHECK(r.did() == "give 1 #3");
    }
}

TEST_CASE("a connection that is over when it becomes ready is a failed opening, whatever was given to it") {
    const auto each = [](auto r) {
        (void)r.add();
        CHECK(r.did() == "open 1 a.example");
        SUBCASE("its session takes nothing any more") { r.ready(1, 0); }
        SUBCASE("nobody has looked yet at what it was given") { r.ready(1); }
        r.close(1, errc::service_closing);
        const auto did = r.did();
        CHECK(did.find("open") == std::string::npos);
        // It ended, or waits for another try.
        CHECK((did.find("done #1 not_attempted x0 service_closing") != std::string::npos) != (r.queue.size() == 1));
    };
    SUBCASE("in line") { each(rig<>()); }
    SUBCASE("in turn") { each(rig<keep_alive, memory, fair>()); }
}
