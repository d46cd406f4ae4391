#include <doctest/doctest.h>

#include <postroad/pooling/keep_alive.hpp>
#include <postroad/pooling/one_shot.hpp>

#include <chrono>
#include <ostream>

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
    const auto farewell_after = [&p](connection_id id, int n) {
        p.opening(id, 0);
        for (int i = 0; i <= n; ++i) CHECK(p.carried(id) == fate::keep);
        p.hung_up(id, t0);  // 421 to the last of them
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
