// Times in the file are by the wall clock, which may be set.
#include "sqlite/outbox.hpp"

using namespace sqlite_test;
using queueing::detail::calendar;

namespace {

constexpr std::int64_t hour = 3'600'000'000'000;
constexpr std::int64_t noon = 1'800'000'000'000'000'000;  // of some day in 2027, in nanoseconds
constexpr time_point start = time_point(1000h);

}  // namespace

TEST_CASE("a stored time comes back exactly as it was, while the clocks agree") {
    calendar c;
    CHECK(c.look(noon, start));
    const auto due = start + 90min + 1ns;
    const auto stored = c.stored(due);
    CHECK(stored == noon + hour * 3 / 2 + 1);
    for (int minute = 0; minute < 100; ++minute) {
        // The wall clock is trimmed meanwhile.
        CHECK_FALSE(c.look(noon + minute * (hour / 60) + minute * 100'000, start + minute * 1min));
        CHECK(c.steady(stored) == due);
    }
}

TEST_CASE("mail of a machine that does not know the time yet makes sense, and goes") {
    const folder f;
    {
        outbox box({.path = f.file()});
        box.start();
        auto j = outbox::make(mail_with("\r\n"));
        // As where it is 1970: before the first of all times that make sense.
        j.submitted = clock::now() - 50 * 365 * 24h;
        j.deadline = clock::now() - 40 * 365 * 24h;
        j.due = clock::now() + 1ms;
        REQUIRE_FALSE(box.submit(std::move(j)));
    }
    outbox box({.path = f.file()});
    box.start();
    (void)box.lease_one(clock::now() + 1s);
    CHECK(box.list({.state = job_state::held}).empty());
}

TEST_CASE("when the wall clock is set back what is stored waits longer by as much, and when it is set ahead less") {
    calendar c;
    (void)c.look(noon, start);
    const auto stored = c.stored(start + 2h);
    CHECK(c.look(noon - hour, start));
    CHECK(c.steady(stored) == start + 3h);
    CHECK(c.look(noon + hour, start));
    CHECK(c.steady(stored) == start + 1h);
    CHECK(c.look(noon + 30 * hour, start + 1min));
    CHECK(c.steady(stored) < start);
    // What is stored from now on goes by the clock as it is.
    CHECK(c.stored(start + 1min + 2h) == noon + 32 * hour);
    // And the last of all times is none.
    CHECK(c.steady(c.stored(never)) == never);
}
