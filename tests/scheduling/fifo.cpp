// Compiled alone: it adds to a namespace of the library.
#include <doctest/doctest.h>

#include <postroad/scheduling/fifo.hpp>

#include <chrono>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

namespace postroad {

inline std::ostream& operator<<(std::ostream& out, const verdict& v) {
    if (v.what == verdict::kind::done) return out << "done";
    return out << "retry at " << v.at.time_since_epoch().count();
}

}  // namespace postroad

using namespace postroad;
using namespace std::chrono_literals;
using scheduling::retry;

namespace {

constexpr time_point t0 = time_point{} + 1h;

job with(std::vector<status> statuses, unsigned attempts = 1, error_code ec = {}) {
    job j{.id = 1, .error = ec};
    for (const auto s : statuses) j.result.recipients.push_back({.status = s});
    j.result.attempts = attempts;
    return j;
}

verdict later(duration wait) { return {verdict::kind::retry, t0 + wait}; }

std::string drained(scheduling::fifo& s, scheduling::host_id h) {
    std::string text;
    while (const auto id = s.next(h, t0)) text += std::to_string(*id) + " ";
    return text;
}

}  // namespace

TEST_CASE("fifo gives the jobs of each destination in the order they came") {
    scheduling::fifo s;
    for (job_id id = 1; id <= 6; ++id) s.admit(job{.id = id}, id % 2 ? 0 : 5, t0);
    CHECK(s.waiting(0, t0) == 3);
    CHECK(s.waiting(5, t0) == 3);
    CHECK(s.waiting(3, t0) == 0);
    CHECK(s.waiting(99, t0) == 0);
    CHECK_FALSE(s.next(99, t0).has_value());
    CHECK(drained(s, 0) == "1 3 5 ");
    CHECK(drained(s, 5) == "2 4 6 ");
    CHECK(s.waiting(0, t0) == 0);
    CHECK(s.wakeup() == never);
}

TEST_CASE("fifo withdraws one job and keeps the order of the others") {
    scheduling::fifo s;
    for (job_id id = 1; id <= 4; ++id) s.admit(job{.id = id}, 0, t0);
    s.withdraw(2, 0);
    s.withdraw(9, 0);
    s.withdraw(1, 7);
    CHECK(drained(s, 0) == "1 3 4 ");
}

TEST_CASE("only what is deferred or was not attempted is tried again") {
    using enum status;
    const retry r{.attempts = 2};
    CHECK(r.judge(with({accepted, accepted}), t0) == verdict{});
    CHECK(r.judge(with({rejected}), t0) == verdict{});
    CHECK(r.judge(with({in_doubt}), t0) == verdict{});
    CHECK(r.judge(with({in_doubt, rejected, accepted}), t0) == verdict{});
    CHECK(r.judge(with({deferred}), t0) == later(30min));
    CHECK(r.judge(with({not_attempted}), t0) == later(30min));
    CHECK(r.judge(with({accepted, in_doubt, deferred}), t0) == later(30min));
}

TEST_CASE("whom the failure is about says whether it is tried again, and no error does") {
    const retry r{.attempts = 9};
    struct row {
        blame who;
        bool again;
    };
    const row rows[] = {{blame::none, true},    {blame::message, true}, {blame::outage, true},
                        {blame::setting, true}, {blame::doubt, true},   {blame::ours, false}};
    for (const auto& row : rows)
        for (const auto error : {errc::connection_closed, errc::authentication_rejected, errc::cancelled}) {
            CAPTURE(static_cast<int>(row.who));
            CAPTURE(to_string(error));
            auto j = with({status::not_attempted}, 1, error);
            j.blame = row.who;
            CHECK((r.judge(j, t0).what == verdict::kind::retry) == row.again);
        }
}

TEST_CASE("without a number there is one attempt, or any number where the queue outlives the process") {
    for (const auto who : {blame::none, blame::outage, blame::setting}) {
        CAPTURE(static_cast<int>(who));
        auto j = with({status::deferred}, 1);
        j.blame = who;
        CHECK(retry{}.judge(j, t0) == verdict{});
        j.lasts = true;
        j.result.attempts = 1000;
        CHECK(retry{}.judge(j, t0).what == verdict::kind::retry);
        j.submitted = t0 - 120h + 3h;
        CHECK(retry{}.judge(j, t0).what == verdict::kind::retry);
        CHECK(retry{}.judge(j, t0 + 1ns) == verdict{});
        CHECK(retry{.give_up = 240h}.judge(j, t0 + 1ns).what == verdict::kind::retry);
    }
}

TEST_CASE("attempts that came to no server count where somebody waits, and only there") {
    const retry r{.attempts = 3};
    auto j = with({status::not_attempted}, 0);
    j.blame = blame::outage;
    j.waits = 2;
    CHECK(r.judge(j, t0) == later(60min));
    j.waits = 3;
    CHECK(r.judge(j, t0) == verdict{});
    j.lasts = true;
    j.waits = 1000;
    CHECK(r.judge(j, t0) == later(30min));
    j.blame = blame::none;
    j.result.attempts = 3;
    CHECK(r.judge(j, t0) == verdict{});
}

TEST_CASE("there are as many attempts as allowed and no more") {
    const retry r{.attempts = 3};
    CHECK(r.judge(with({status::deferred}, 2), t0).what == verdict::kind::retry);
    CHECK(r.judge(with({status::deferred}, 3), t0).what == verdict::kind::done);
    CHECK(r.judge(with({status::deferred}, 4), t0).what == verdict::kind::done);
    CHECK(retry{}.judge(with({status::deferred}, 1), t0).what == verdict::kind::done);
}

TEST_CASE("the first wait is 30 minutes, and 5 where the server greylists") {
    const reply unknown{450, {4, 0, 0}, "later"}, grey{451, {4, 7, 1}, "greylisted"};
    const retry r{.attempts = 9};
    auto j = with({status::deferred, status::deferred, status::accepted}, 1);
    j.result.recipients[0].reply = j.result.recipients[1].reply = unknown;
    j.result.recipients[2].reply = grey;
    CHECK(r.judge(j, t0) == later(30min));
    j.result.recipients[1].reply = grey;
    CHECK(r.judge(j, t0) == later(5min));
    CHECK(retry{.attempts = 9, .first_wait = 1min}.judge(j, t0) == later(1min));
    j.result.attempts = 2;
    CHECK(r.judge(j, t0) == later(10min));
    CHECK(r.judge(with({status::not_attempted}, 1, errc::connection_closed), t0) == later(30min));
}

TEST_CASE("waits grow up to the longest") {
    const retry r{.attempts = 100, .first_wait = 5min, .growth = 2, .longest_wait = 35min};
    CHECK(r.judge(with({status::deferred}, 1), t0) == later(5min));
    CHECK(r.judge(with({status::deferred}, 2), t0) == later(10min));
    CHECK(r.judge(with({status::deferred}, 3), t0) == later(20min));
    CHECK(r.judge(with({status::deferred}, 4), t0) == later(35min));
    CHECK(r.judge(with({status::deferred}, 99), t0) == later(35min));
}

TEST_CASE("extreme options make no nonsense of the waits") {
    const retry endless{.attempts = 1000, .longest_wait = duration::max()};
    CHECK(endless.judge(with({status::deferred}, 999), t0).at == never);
    const retry steep{.attempts = 10, .growth = std::numeric_limits<unsigned>::max(), .longest_wait = duration::max()};
    CHECK(steep.judge(with({status::deferred}, 4), t0).at == never);
    CHECK(retry{.attempts = 9, .growth = 1}.judge(with({status::deferred}, 8), t0) == later(30min));
    CHECK(retry{.attempts = 9, .growth = 0}.judge(with({status::deferred}, 1), t0) == later(30min));
    CHECK(retry{.attempts = 9, .first_wait = 5h}.judge(with({status::deferred}, 1), t0) == later(3h));
}
