#include <postroad/queueing/memory.hpp>

#include <doctest/doctest.h>

#include <vector>

using namespace postroad;

namespace {

void fill(queueing::memory& q, std::vector<job_id> ids) {
    for (const auto id : ids) {
        job j;
        j.id = id;
        REQUIRE_FALSE(q.enqueue(j));
    }
}

std::vector<job_id> leased(queueing::memory& q) {
    std::vector<job> out;
    q.lease(1'000'000, {}, out);
    std::vector<job_id> ids;
    for (const auto& j : out) ids.push_back(j.id);
    return ids;
}

}  // namespace

// Quadratic, this would take minutes.
TEST_CASE("each of a hundred thousand waiting jobs can be cancelled") {
    constexpr job_id n = 100'000;
    for (const bool forwards : {true, false}) {
        queueing::memory q{.capacity = n};
        std::vector<job_id> all;
        for (job_id id = 1; id <= n; ++id) all.push_back(id);
        fill(q, all);
        job_id wrong = 0;
        for (job_id id = 1; id <= n; ++id) {
            const auto which = forwards ? id : n + 1 - id;
            const auto j = q.take(which);
            wrong += !j || j->id != which;
        }
        CHECK(wrong == 0);
        CHECK(q.size() == 0);
        CHECK(q.next_due() == never);
        CHECK(leased(q).empty());
    }
}

TEST_CASE("what is not cancelled keeps its order, also where ids are out of order") {
    queueing::memory q;
    fill(q, {5, 1, 2, 9, 3, 8, 4});
    CHECK(q.take(5)->id == 5);
    CHECK(q.take(3)->id == 3);
    CHECK_FALSE(q.take(3));
    CHECK_FALSE(q.take(7));
    CHECK(q.size() == 5);
    CHECK(leased(q) == std::vector<job_id>{1, 2, 9, 8, 4});
    CHECK(q.next_due() == never);
}

TEST_CASE("a job that was cancelled makes room at once, however often") {
    queueing::memory q{.capacity = 2};
    fill(q, {1});
    for (job_id id = 2; id < 1000; ++id) {
        fill(q, {id});
        job late;
        late.id = 5000;
        CHECK(q.enqueue(late) == errc::queue_full);
        CHECK(q.take(id));
    }
    CHECK(leased(q) == std::vector<job_id>{1});
}
