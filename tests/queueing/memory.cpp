#include <doctest/doctest.h>

#include <postroad/queueing/direct.hpp>
#include <postroad/queueing/memory.hpp>

#include <chrono>
#include <string>
#include <vector>

using namespace postroad;
using namespace std::chrono_literals;

namespace {

constexpr time_point t0 = time_point{} + 1h;

mail_ptr mail() {
    static const auto made = std::make_shared<const mail_object>();
    return made;
}

template <class Queue>
error_code put(Queue& q, job_id id) {
    job j{.id = id, .mail = mail()};
    return q.enqueue(j);
}

template <class Queue>
std::vector<job> leased(Queue& q, std::size_t n, time_point now = t0) {
    std::vector<job> out;
    q.lease(n, now, out);
    return out;
}

std::string ids(const std::vector<job>& jobs) {
    std::string text;
    for (const auto& j : jobs) text += std::to_string(j.id) + " ";
    return text;
}

}  // namespace

TEST_CASE("the queue takes as many jobs as its capacity, and refuses the next without touching it") {
    queueing::memory q{.capacity = 3};
    for (job_id id = 1; id <= 3; ++id) CHECK_FALSE(put(q, id));
    job j{.id = 4, .mail = mail()};
    const auto ec = q.enqueue(j);
    CHECK(ec == errc::queue_full);
    CHECK(ec == condition::limit);
    CHECK(j.id == 4);
    CHECK(j.mail == mail());
    CHECK(q.size() == 3);
}

TEST_CASE("a report is taken by a queue that is full") {
    queueing::memory q{.capacity = 1};
    CHECK_FALSE(put(q, 1));
    job j{.id = 2, .mail = mail(), .reports = true};
    CHECK_FALSE(q.enqueue(j));
    CHECK(put(q, 3) == errc::queue_full);
}

TEST_CASE("jobs that are being sent, or wait for another attempt, take room until they are settled") {
    queueing::memory q{.capacity = 2};
    CHECK_FALSE(put(q, 1));
    CHECK_FALSE(put(q, 2));
    auto jobs = leased(q, 2);
    CHECK(put(q, 3) == errc::queue_full);
    jobs[0].due = t0 + 5min;
    q.put_back(std::move(jobs[0]));
    CHECK(put(q, 3) == errc::queue_full);
    q.settle({.id = 2, .mail = mail()});
    CHECK_FALSE(put(q, 3));
    CHECK(put(q, 4) == errc::queue_full);
}

TEST_CASE("jobs are leased in the order they came, as many as were asked for") {
    queueing::memory q;
    for (job_id id = 1; id <= 5; ++id) CHECK_FALSE(put(q, id));
    CHECK(q.next_due() == time_point::min());
    CHECK(ids(leased(q, 2)) == "1 2 ");
    CHECK(ids(leased(q, 0)) == "");
    CHECK(ids(leased(q, 9)) == "3 4 5 ");
    CHECK(ids(leased(q, 9)) == "");
    CHECK(q.next_due() == never);
    CHECK(q.size() == 5);
}

TEST_CASE("a job that was put back is leased when it is due, before those that are new") {
    queueing::memory q;
    for (job_id id = 1; id <= 2; ++id) CHECK_FALSE(put(q, id));
    auto jobs = leased(q, 2);
    jobs[0].due = t0 + 10min;
    jobs[1].due = t0 + 5min;
    for (auto& j : jobs) q.put_back(std::move(j));
    CHECK(q.next_due() == t0 + 5min);
    CHECK(ids(leased(q, 9, t0 + 5min - 1ns)) == "");
    CHECK_FALSE(put(q, 3));
    CHECK(ids(leased(q, 1, t0 + 5min)) == "2 ");
    CHECK(ids(leased(q, 9, t0 + 10min)) == "1 3 ");
}

TEST_CASE("jobs that are due at the same time keep their order") {
    queueing::memory q;
    for (job_id id = 1; id <= 9; ++id) CHECK_FALSE(put(q, id));
    auto jobs = leased(q, 9);
    for (auto& j : jobs) {
        j.due = t0 + 5min;
        q.put_back(std::move(j));
    }
    CHECK(ids(leased(q, 9, t0 + 5min)) == "1 2 3 4 5 6 7 8 9 ");
}

TEST_CASE("a job is taken out while it waits, and not while it is leased") {
    queueing::memory q;
    for (job_id id = 1; id <= 4; ++id) CHECK_FALSE(put(q, id));
    auto jobs = leased(q, 2);
    jobs[0].due = t0 + 5min;
    q.put_back(std::move(jobs[0]));
    CHECK(q.take(1)->id == 1);
    CHECK_FALSE(q.take(1).has_value());
    CHECK_FALSE(q.take(2).has_value());
    CHECK(q.take(3)->mail == mail());
    CHECK_FALSE(q.take(77).has_value());
    CHECK(q.size() == 2);
    CHECK(ids(leased(q, 9, never)) == "4 ");
}

TEST_CASE("direct is never full and keeps nothing for later") {
    queueing::direct q;
    static_assert(!queueing::direct::keeps);
    for (job_id id = 1; id <= 1000; ++id) CHECK_FALSE(put(q, id));
    CHECK(q.size() == 1000);
    CHECK(ids(leased(q, 3)) == "1 2 3 ");
    CHECK(q.take(4)->id == 4);
    q.settle({.id = 1, .mail = mail()});
    CHECK(q.size() == 998);
}

TEST_CASE("a full queue refuses, or lets the caller wait if it is told to") {
    CHECK(queueing::memory{}.full() == queueing::when_full::refuse);
    CHECK(queueing::memory{.when_full = queueing::when_full::wait}.full() == queueing::when_full::wait);
    CHECK(queueing::direct{}.full() == queueing::when_full::refuse);
}
