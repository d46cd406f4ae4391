#include <doctest/doctest.h>

#include <postroad/pooling/keep_alive.hpp>
#include <postroad/pooling/one_shot.hpp>

#include <chrono>

#include "rules.hpp"

using namespace postroad;
using namespace postroad::pooling;
using namespace std::chrono_literals;
using rules_test::broke;
using rules_test::listed;
using testing::check_pooling;

namespace {

// Each breaks one promise of the pool it is made from.
struct over_the_limit : keep_alive {
    decision acquire(place h, time_point now) {
        auto d = keep_alive::acquire(h, now);
        return d.what == advice::wait ? decision{advice::open} : d;
    }
};
struct never_opens : one_shot {
    decision acquire(host_id, time_point) const noexcept { return {advice::wait}; }
};
struct mixes_hosts : keep_alive {
    decision acquire(host_id, time_point now) { return keep_alive::acquire(host_id(0), now); }
    void opening(connection_id id, host_id) { keep_alive::opening(id, host_id(0)); }
};
struct forgets_ends : keep_alive {
    void closed(connection_id id) {
        const auto c = connections_.find(id);
        if (c == connections_.end() || !c->second.is_idle) keep_alive::closed(id);
    }
};
struct keeps_spent_ones : keep_alive {
    fate released(connection_id id, time_point now) {
        connections_[id].messages %= messages_per_connection;
        return keep_alive::released(id, now);
    }
};
struct expires_twice : keep_alive {
    std::optional<connection_id> expire(time_point now) {
        if (!idle_.empty() && idle_.begin()->first <= now) return idle_.begin()->second;
        return keep_alive::expire(now);
    }
};
struct rings_too_late : keep_alive {
    time_point wakeup() const noexcept { return time_point::min(); }
};

}  // namespace

TEST_CASE("our pools keep the rules of their axis") {
    CHECK(listed(check_pooling([] { return keep_alive{}; }, 16)) == "");
    CHECK(listed(check_pooling([] { return keep_alive{.max_connections = 1}; }, 1)) == "");
    CHECK(listed(check_pooling([] { return keep_alive{.max_connections = 7, .messages_per_connection = 1}; }, 7)) ==
          "");
    CHECK(listed(check_pooling([] { return keep_alive{.max_connections = 3, .idle = 0s, .pause_after_refusal = 0s}; },
                               3)) == "");
    CHECK(listed(check_pooling([] { return keep_alive{.max_connections = 9, .per_destination = 2, .first = 1}; }, 9)) ==
          "");
    CHECK(listed(check_pooling([] { return one_shot{}; }, 4)) == "");
    CHECK(listed(check_pooling([] { return one_shot{.max_connections = 1}; }, 1)) == "");
}

TEST_CASE("the suite finds pools that break a rule") {
    CHECK(broke(check_pooling([] { return over_the_limit{}; }, 4), "acquire() opens no more than the limit"));
    CHECK(broke(check_pooling([] { return never_opens{}; }), "acquire() opens when nothing is open"));
    CHECK(broke(check_pooling([] { return mixes_hosts{}; }), "acquire() reuses only connections of that destination"));
    CHECK(broke(check_pooling([] { return forgets_ends{}; }), "acquire() reuses only what is idle"));
    CHECK(broke(check_pooling([] { return keeps_spent_ones{{.messages_per_connection = 2}}; }),
                "released() keeps nothing that carried() said to close"));
    CHECK(broke(check_pooling([] { return expires_twice{}; }), "expire() names only what is idle"));
    CHECK(broke(check_pooling([] { return rings_too_late{}; }), "wakeup() lies ahead once expire() has nothing left"));
}
