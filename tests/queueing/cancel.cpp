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

TEST_CASE("each of a hundred thousand jobs is found wherever it waits, in any order, and when it is gone") {
    constexpr job_id n = 100'000;
    enum class where { in_line, delayed, kept, of_one_message };
    for (const auto place : {where::in_line, where::delayed, where::kept, where::of_one_message}) {
        CAPTURE(static_cast<int>(place));
        queueing::memory q{.capacity = n};
        std::vector<job_id> all;
        // Neighbours arrive in any order when many threads submit; here far from their places.
        for (job_id i = 0; i < n; ++i) all.push_back(1 + i * 7919 % n);
        if (place == where::of_one_message) {
            mail_object m;
            for (std::size_t i = 0; i < n; ++i) m.envelope.recipients.push_back(address("b@y.example"));
            job whole{.id = 1, .mail = std::make_shared<const mail_object>(std::move(m))};
            REQUIRE_FALSE(q.enqueue(whole));
            std::vector<job> out;
            q.lease(1, {}, out);
            std::vector<job> parts;
            for (std::uint32_t i = 0; i < n; ++i) parts.push_back(queueing::part_of(out.front(), {i}));
            q.divide(std::move(out.front()), std::move(parts));
            const auto found = q.take_parts(1);
            CHECK(found.size() == n);
            CHECK(q.size() == 0);
            continue;
        }
        fill(q, all);
        if (place != where::in_line) {
            std::vector<job> out;
            q.lease(n, {}, out);
            for (auto& j : out)
                place == where::delayed ? q.put_back(std::move(j)) : q.keep(std::move(j), queueing::job_state::held);
        }
        job_id wrong = 0;
        for (job_id i = 0; i < n; ++i) {
            const auto id = 1 + i * 104'729 % n;
            wrong += !q.take(id) || q.take(id) || q.take(n + id);
        }
        CHECK(wrong == 0);
        CHECK(q.size() == 0);
        CHECK(q.next_due() == never);
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
