// Compiled alone: it adds to a namespace of the library.
#include <doctest/doctest.h>

#include <postroad/pooling/keep_alive.hpp>
#include <postroad/pooling/one_shot.hpp>

#include <algorithm>
#include <chrono>
#include <ostream>
#include <utility>

namespace postroad::pooling {

inline std::ostream& operator<<(std::ostream& out, const decision& d) {
    static constexpr const char* names[] = {"reuse", "open", "evict", "wait"};
    return out << names[static_cast<int>(d.what)] << " " << d.which;
}
inline std::ostream& operator<<(std::ostream& out, fate f) { return out << (f == fate::keep ? "keep" : "close"); }

}  // namespace postroad::pooling

using namespace postroad;
using namespace postroad::pooling;
using namespace std::chrono_literals;

namespace {

constexpr time_point t0 = time_point{} + 1h;

/// `n` connections to `h`, each of which carried a message and is idle; their ids follow `from`.
void idle_ones(keep_alive& p, host_id h, connection_id from, connection_id n, time_point now = t0) {
    for (auto id = from; id < from + n; ++id) {
        p.opening(id, h);
        (void)p.carried(id);
        CHECK(p.released(id, now) == fate::keep);
    }
}

}  // namespace

TEST_CASE("keep_alive opens up to its limit, over all destinations, those being opened included") {
    keep_alive p{.max_connections = 3};
    for (connection_id id = 1; id <= 3; ++id) {
        CHECK(p.acquire(static_cast<host_id>(id % 2), t0) == decision{advice::open});
        p.opening(id, static_cast<host_id>(id % 2));
    }
    CHECK(p.acquire(0, t0) == decision{advice::wait});
    CHECK(p.acquire(7, t0) == decision{advice::wait});
    p.closed(2);
    CHECK(p.acquire(7, t0) == decision{advice::open});
}

TEST_CASE("keep_alive reuses the connection that was used last, of the same destination") {
    keep_alive p;
    idle_ones(p, 0, 1, 2);
    idle_ones(p, 1, 3, 1);
    CHECK(p.acquire(0, t0) == decision{advice::reuse, 2});
    CHECK(p.acquire(0, t0) == decision{advice::reuse, 1});
    CHECK(p.acquire(0, t0) == decision{advice::open});
}

TEST_CASE("keep_alive evicts the connection that would be closed first") {
    keep_alive p{.max_connections = 3};
    idle_ones(p, 0, 1, 2);
    idle_ones(p, 5, 3, 1, t0 + 1s);
    CHECK(p.acquire(1, t0 + 1s) == decision{advice::evict, 1});
    CHECK(p.acquire(1, t0 + 1s) == decision{advice::evict, 2});
    CHECK(p.acquire(0, t0 + 1s) == decision{advice::evict, 3});
    CHECK(p.acquire(0, t0 + 1s) == decision{advice::wait});
    p.closed(1);
    CHECK(p.acquire(1, t0 + 1s) == decision{advice::open});
}

TEST_CASE("keep_alive has a cap for each destination beside the one for all") {
    keep_alive p{.max_connections = 5, .per_destination = 2, .first = 9};
    for (connection_id id = 1; id <= 2; ++id) {
        CHECK(p.acquire(0, t0) == decision{advice::open});
        p.opening(id, 0);
    }
    CHECK(p.acquire(0, t0) == decision{advice::wait_here});
    CHECK(p.acquire(1, t0) == decision{advice::open});
    p.closed(2);
    CHECK(p.acquire(0, t0) == decision{advice::open});
}

TEST_CASE("keep_alive opens a few connections to a destination at first, and then as many more as work") {
    keep_alive p{.max_connections = 100, .first = 2};
    connection_id last = 0;
    const auto opened = [&] {
        std::size_t n = 0;
        for (; p.acquire(0, t0) == decision{advice::open}; ++n) p.opening(++last, 0);
        CHECK(p.acquire(0, t0) == decision{advice::wait_here});
        return n;
    };
    const auto all_ready = [&] {
        for (connection_id id = 1; id <= last; ++id) (void)p.carried(id);
    };
    CHECK(opened() == 2);
    all_ready();
    CHECK(opened() == 2);
    all_ready();
    CHECK(opened() == 4);
    all_ready();
    CHECK(opened() == 8);
    p.closed(last);
    CHECK(opened() == 1);
}

TEST_CASE("keep_alive learns how long a server waits, and forgets it") {
    keep_alive p{.idle = 30s, .memory = 1h};
    idle_ones(p, 0, 1, 2);
    idle_ones(p, 7, 3, 1);
    p.hung_up(1, t0 + 10s);
    p.closed(1);
    (void)p.acquire(0, t0 + 10s);
    CHECK(p.released(2, t0 + 10s) == fate::keep);
    CHECK_FALSE(p.expire(t0 + 19s - 1ns).has_value());
    CHECK(p.expire(t0 + 19s) == 2);
    CHECK_FALSE(p.expire(t0 + 30s - 1ns).has_value());
    CHECK(p.expire(t0 + 30s) == 3);
    const auto later = t0 + 10s + 1h;
    idle_ones(p, 0, 9, 1, later);
    CHECK_FALSE(p.expire(later + 30s - 1ns).has_value());
    CHECK(p.expire(later + 30s) == 9);
}

TEST_CASE("keep_alive learns how many messages a server takes, when it is seen twice") {
    keep_alive p{.max_connections = 9, .messages_per_connection = 100};
    bool says_so = true;
    SUBCASE("by 421 to the next one") {}
    SUBCASE("without a word") { says_so = false; }
    const auto farewell_after = [&](connection_id id, int n) {
        p.opening(id, 0);
        for (int i = 0; i <= n; ++i) CHECK(p.carried(id) == fate::keep);
        says_so ? p.hung_up(id, t0) : p.found_dead(id, t0);
        p.closed(id);
    };
    farewell_after(1, 5);
    farewell_after(2, 7);
    farewell_after(3, 7);
    p.opening(4, 0);
    for (int i = 1; i < 7; ++i) CHECK(p.carried(4) == fate::keep);
    CHECK(p.carried(4) == fate::close);
    p.opening(5, 1);
    for (int i = 1; i <= 7; ++i) CHECK(p.carried(5) == fate::keep);
}

TEST_CASE("keep_alive learns how many messages a server takes, however many were given behind those") {
    keep_alive p;
    for (connection_id id = 1; id <= 2; ++id) {
        p.opening(id, 0);
        for (int i = 0; i < 25; ++i) (void)p.carried(id);
        // The 11th is refused, and all behind it.
        for (std::size_t behind = 14; behind < 15; --behind) p.hung_up(id, t0, behind);
        p.closed(id);
    }
    p.opening(3, 0);
    for (int i = 1; i < 10; ++i) CHECK(p.carried(3) == fate::keep);
    CHECK(p.carried(3) == fate::close);
}

TEST_CASE("keep_alive takes no rest for the reason of what ends many messages later") {
    keep_alive p{.idle = 30s};
    for (connection_id id = 1; id <= 2; ++id) {
        idle_ones(p, 0, id, 1);
        CHECK(p.acquire(0, t0 + 5s) == decision{advice::reuse, id});
        for (int i = 0; i < 20; ++i) (void)p.carried(id);
        p.hung_up(id, t0 + 5s);
        p.closed(id);
    }
    p.opening(3, 0);
    for (int i = 1; i < 20; ++i) CHECK(p.carried(3) == fate::keep);
    CHECK(p.released(3, t0 + 5s) == fate::keep);
    CHECK(p.wakeup() == t0 + 35s);
    CHECK(p.carried(3) == fate::close);
}

TEST_CASE("keep_alive learns no number from connections that end together") {
    keep_alive p{.max_connections = 9, .messages_per_connection = 100};
    const auto opened = [&](connection_id id) {
        p.opening(id, 0);
        for (int i = 0; i < 2; ++i) CHECK(p.carried(id) == fate::keep);
    };
    for (connection_id id = 1; id <= 4; ++id) opened(id);
    for (connection_id id = 1; id <= 4; ++id) {
        p.found_dead(id, t0);
        p.closed(id);
    }
    opened(5);
    opened(6);
    p.found_dead(5, t0);
    p.closed(5);
    p.opening(7, 0);
    CHECK(p.carried(7) == fate::close);
}

TEST_CASE("keep_alive takes 421 after a rest for a lesson about the rest") {
    keep_alive p{.idle = 30s};
    idle_ones(p, 0, 1, 1);
    CHECK(p.acquire(0, t0 + 20s) == decision{advice::reuse, 1});
    (void)p.carried(1);
    p.hung_up(1, t0 + 20s);
    p.closed(1);
    idle_ones(p, 0, 2, 1, t0 + 60s);
    CHECK(p.expire(t0 + 78s) == 2);
}

TEST_CASE("keep_alive closes a connection that was idle for the whole time, not before") {
    keep_alive p{.idle = 30s};
    CHECK(p.wakeup() == never);
    idle_ones(p, 0, 1, 1);
    idle_ones(p, 0, 2, 1, t0 + 1s);
    CHECK(p.wakeup() == t0 + 30s);
    CHECK_FALSE(p.expire(t0 + 30s - 1ns).has_value());
    CHECK(p.expire(t0 + 30s) == 1);
    CHECK_FALSE(p.expire(t0 + 30s).has_value());
    CHECK(p.wakeup() == t0 + 31s);
    CHECK(p.acquire(0, t0 + 30s) == decision{advice::reuse, 2});
    CHECK(p.wakeup() == never);
}

TEST_CASE("keep_alive closes a connection after its number of messages") {
    keep_alive p{.messages_per_connection = 3};
    p.opening(1, 0);
    CHECK(p.carried(1) == fate::keep);
    CHECK(p.carried(1) == fate::keep);
    CHECK(p.released(1, t0) == fate::keep);
    CHECK(p.acquire(0, t0) == decision{advice::reuse, 1});
    CHECK(p.carried(1) == fate::close);
    CHECK(p.released(1, t0) == fate::close);
}

TEST_CASE("keep_alive opens no more to a destination than worked, until the pause is over") {
    keep_alive p{.max_connections = 10, .pause_after_refusal = 30s};
    for (connection_id id = 1; id <= 4; ++id) p.opening(id, 0);
    p.refused(4, t0);
    p.closed(4);
    CHECK(p.acquire(0, t0) == decision{advice::wait_here});
    CHECK(p.acquire(1, t0) == decision{advice::open});
    p.closed(3);
    CHECK(p.acquire(0, t0) == decision{advice::open});
    p.opening(5, 0);
    CHECK(p.wakeup() == t0 + 30s);
    CHECK(p.acquire(0, t0 + 30s - 1ns) == decision{advice::wait_here});
    CHECK(p.acquire(0, t0 + 30s) == decision{advice::open});
}

TEST_CASE("keep_alive asks a destination that refused one more for one more at a time") {
    keep_alive p{.max_connections = 7, .pause_after_refusal = 30s};
    for (connection_id id = 1; id <= 4; ++id) p.opening(id, 0);
    for (connection_id id = 1; id <= 3; ++id) (void)p.carried(id);
    p.refused(4, t0);
    p.closed(4);
    auto now = t0;
    for (connection_id id = 5; id <= 7; ++id) {
        CHECK(p.acquire(0, now) == decision{advice::wait_here});
        now += 30s;
        CHECK(p.wakeup() == now);
        CHECK_FALSE(p.expire(now));
        CHECK(p.acquire(0, now) == decision{advice::open});
        p.opening(id, 0);
        (void)p.carried(id);
    }
    // Then it may have all.
    now += 30s;
    CHECK_FALSE(p.expire(now));
    CHECK(p.wakeup() == never);
    CHECK(p.acquire(0, now) == decision{advice::open});
}

TEST_CASE("keep_alive forgets the refusals of a destination that has no connections") {
    keep_alive p{.pause_after_refusal = 30s};
    p.opening(1, 0);
    p.opening(2, 0);
    p.refused(2, t0);
    p.closed(1);
    p.closed(2);
    CHECK_FALSE(p.expire(t0 + 30s));
    CHECK(p.wakeup() == never);
    CHECK(p.providers_.empty());
}

TEST_CASE("keep_alive allows one connection to a destination that refused everything") {
    keep_alive p;
    p.opening(1, 0);
    p.refused(1, t0);
    p.closed(1);
    CHECK(p.acquire(0, t0) == decision{advice::open});
    p.opening(2, 0);
    CHECK(p.acquire(0, t0) == decision{advice::wait_here});
}

TEST_CASE("keep_alive forgets an idle connection that the server closed") {
    keep_alive p;
    idle_ones(p, 0, 1, 1);
    p.closed(1);
    CHECK(p.acquire(0, t0) == decision{advice::open});
    CHECK_FALSE(p.expire(never).has_value());
    CHECK(p.wakeup() == never);
}

TEST_CASE("keep_alive bears ends and refusals of connections it does not know") {
    keep_alive p;
    p.closed(9);
    p.refused(9, t0);
    p.hung_up(9, t0);
    CHECK(p.carried(9) == fate::close);
    CHECK(p.released(9, t0) == fate::close);
    CHECK(p.acquire(0, t0) == decision{advice::open});
}

TEST_CASE("one_shot opens a connection for each message, up to its limit") {
    one_shot p{.max_connections = 2};
    CHECK(p.acquire(0, t0) == decision{advice::open});
    p.opening(1, 0);
    CHECK(p.acquire(1, t0) == decision{advice::open});
    p.opening(2, 1);
    CHECK(p.acquire(0, t0) == decision{advice::wait});
    CHECK(p.carried(1) == fate::close);
    CHECK(p.released(1, t0) == fate::close);
    CHECK(p.acquire(0, t0) == decision{advice::wait});
    p.closed(1);
    CHECK(p.acquire(0, t0) == decision{advice::open});
    CHECK_FALSE(p.expire(never).has_value());
    CHECK(p.wakeup() == never);
}

TEST_CASE("keep_alive lets servers that say nothing take half of its connections") {
    const auto unknown = [](postroad::pooling::host_id h) {
        place to(h);
        to.works = false;
        return to;
    };
    keep_alive p{.max_connections = 4};
    for (connection_id id = 1; id <= 2; ++id) {
        CHECK(p.acquire(unknown(static_cast<postroad::pooling::host_id>(id)), t0) == decision{advice::open});
        p.opening(id, unknown(static_cast<postroad::pooling::host_id>(id)));
    }
    SUBCASE("those that do not take long count for nothing") {
        CHECK(p.acquire(unknown(3), t0 + keep_alive::silence - 1ns) == decision{advice::open});
    }
    SUBCASE("the rest is for servers that work, and for others once one has said something") {
        CHECK(p.acquire(unknown(3), t0 + keep_alive::silence) == decision{advice::wait_to_try});
        CHECK(p.acquire(place(4), t0 + keep_alive::silence) == decision{advice::open});
        CHECK(p.carried(1) == fate::keep);
        CHECK(p.acquire(unknown(3), t0 + keep_alive::silence) == decision{advice::open});
        p.opening(3, unknown(3));
        CHECK(p.acquire(unknown(4), t0 + 2 * keep_alive::silence) == decision{advice::wait_to_try});
        p.closed(2);
        CHECK(p.acquire(unknown(4), t0 + 2 * keep_alive::silence) == decision{advice::open});
    }
    SUBCASE("a pool of one tries them one by one") {
        p.max_connections = 1;
        CHECK(p.acquire(unknown(3), t0 + keep_alive::silence) == decision{advice::wait_to_try});
        p.closed(1);
        p.closed(2);
        CHECK(p.acquire(unknown(3), t0 + keep_alive::silence) == decision{advice::open});
    }
}

TEST_CASE("keep_alive keeps connections by site and limits by provider") {
    const place a(1, 100), b(2, 100), c(3, 101);
    keep_alive p{.max_connections = 9, .per_destination = 2};
    p.opening(1, a);
    (void)p.carried(1);
    CHECK(p.acquire(b, t0) == decision{advice::open});
    p.opening(2, b);
    (void)p.carried(2);
    CHECK(p.acquire(place(4, 100), t0) == decision{advice::wait_here});
    CHECK(p.acquire(c, t0) == decision{advice::open});
    p.opening(3, c);
    (void)p.carried(3);
    for (const connection_id id : {3u, 1u}) CHECK(p.released(id, t0 + id * 1s) == fate::keep);
    // What is idle at one site is of no use for another, but makes room for it.
    CHECK(p.acquire(place(4, 100), t0) == decision{advice::evict, 1});
    CHECK(p.acquire(place(4, 100), t0) == decision{advice::wait_here});
    p.closed(1);
    CHECK(p.acquire(place(4, 100), t0) == decision{advice::open});
    CHECK(p.acquire(c, t0) == decision{advice::reuse, 3});
    // One refused is a lesson about the provider.
    p.opening(4, place(4, 100));
    p.refused(4, t0);
    p.closed(4);
    CHECK(p.acquire(a, t0) == decision{advice::wait_here});
    CHECK(p.acquire(c, t0) == decision{advice::open});
    CHECK(p.acquire(a, t0 + 30s) == decision{advice::open});
}

TEST_CASE("what a server taught of time and messages is about its site") {
    keep_alive p;
    const place a(1, 100), b(2, 100);
    p.opening(1, a);
    (void)p.carried(1);
    CHECK(p.released(1, t0) == fate::keep);
    p.hung_up(1, t0 + 10s);
    p.closed(1);
    for (const auto& [id, at] : {std::pair(connection_id(2), a), std::pair(connection_id(3), b)}) {
        p.opening(id, at);
        CHECK(p.released(id, t0 + 10s) == fate::keep);
    }
    CHECK(p.expire(t0 + 19s) == 2);
    CHECK_FALSE(p.expire(t0 + 19s).has_value());
}

TEST_CASE("a connection that only drains holds back no other") {
    keep_alive kept{.max_connections = 2, .first = 9};
    one_shot single{.max_connections = 2};
    const auto check = [](auto& p) {
        for (connection_id id = 1; id <= 2; ++id) p.opening(id, 0);
        for (connection_id id = 1; id <= 2; ++id) (void)p.carried(id);
        CHECK(p.acquire(0, t0).what != advice::open);
        p.draining(1);
        p.draining(1);
        CHECK(p.acquire(0, t0) == decision{advice::open});
        p.opening(3, 0);
        CHECK(p.acquire(0, t0).what != advice::open);
        p.closed(1);
        CHECK(p.acquire(0, t0).what != advice::open);
        p.closed(2);
        CHECK(p.acquire(0, t0) == decision{advice::open});
    };
    check(kept);
    check(single);
}

TEST_CASE("keep_alive forgets a site once what it taught is over") {
    keep_alive p{.memory = 1h};
    CHECK(p.forget(place(1, 100), t0) == time_point::min());
    p.opening(1, place(1, 100));
    CHECK(p.forget(place(1, 100), t0) == never);
    (void)p.carried(1);
    p.hung_up(1, t0);
    p.opening(2, place(1, 100));
    p.refused(2, t0);
    p.closed(1);
    p.closed(2);
    CHECK(p.forget(place(1, 100), t0) == t0 + 1h);
    CHECK(p.forget(place(2, 100), t0) == t0 + 30s);
    CHECK(p.forget(place(1, 100), t0 + 1h) == time_point::min());
    CHECK_FALSE(p.expire(t0 + 1h).has_value());
    CHECK(p.sites_.empty());
    CHECK(p.providers_.empty());
    CHECK(p.limits_.empty());
}

TEST_CASE("sites without number, a thousand at a time, leave nothing behind in a pool") {
    keep_alive p{.max_connections = 2000, .first = 2000};
    auto now = t0;
    host_id last = 0;
    std::size_t forgotten = 0;
    std::size_t most = 0;
    for (int round = 0; round < 200; ++round, now += 2h) {
        const auto first = last;
        const auto from = [round](host_id h) { return place(h, h % 7 ? h : host_id(2'000'000'000 + round)); };
        for (int i = 0; i < 1000; ++i) {
            const auto h = ++last;
            (void)p.acquire(from(h), now);
            p.opening(h, from(h));
            if (h % 5 == 0) p.refused(h, now);
            if (h % 5 == 1) (void)p.carried(h);
            if (h % 3 == 0) (void)p.released(h, now);
            if (h % 2 == 0) p.hung_up(h, now + 5s);
            h % 11 ? p.closed(h) : p.draining(h);
            p.closed(h);
        }
        most = std::max(most, p.sites_.size() + p.providers_.size() + p.limits_.size());
        for (auto h = first + 1; h <= last; ++h) forgotten += p.forget(from(h), now + 90min) == time_point::min();
        while (p.expire(now + 90min)) {
        }
        most = std::max(most, 4 * (p.sites_.size() + p.providers_.size() + p.limits_.size() + p.idle_.size()));
    }
    CHECK(last == 200'000);
    CHECK(forgotten == last);
    CHECK(most < 3000);
    CHECK(p.connections_.empty());
    CHECK(p.sites_.empty());
    CHECK(p.providers_.empty());
    CHECK(p.limits_.empty());
}
