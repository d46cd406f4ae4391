// Whoever could not be told how TLS went is left alone, longer each time (RFC 8460 section 5.5).
#include <postroad/net/report_rests.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <string>
#include <vector>

using namespace postroad::net;
using namespace std::chrono_literals;
using std::chrono::seconds;
using std::chrono::sys_seconds;

namespace {

constexpr sys_seconds t0{std::chrono::sys_days{std::chrono::year(2026) / 12 / 1}};

// How long `place` rests, in whole hours; -1: it may be tried.
long hours_left(const report_rests& rests, const std::string& place, sys_seconds now) {
    const auto until = rests.until(place, now);
    return until ? static_cast<long>(std::chrono::floor<std::chrono::hours>(*until - now).count()) : -1;
}

// A caller that tries whenever it may, each minute for so long; all that it tries fails.
std::vector<sys_seconds> tries(report_answer a, std::chrono::hours length) {
    report_rests rests;
    std::vector<sys_seconds> all;
    for (auto now = t0; now < t0 + length; now += 1min) {
        if (rests.until("r@example.org", now)) continue;
        all.push_back(now);
        rests.answered("r@example.org", a, now);
    }
    return all;
}

}  // namespace

TEST_CASE("who fails rests, twice as long each time, and is as before once a report is taken") {
    report_rests rests;
    CHECK_FALSE(rests.until("r@example.org", t0));
    rests.answered("r@example.org", report_answer::later, t0);
    CHECK(hours_left(rests, "r@example.org", t0) == 1);
    CHECK_FALSE(rests.until("s@example.org", t0));
    CHECK_FALSE(rests.until("r@example.org", t0 + 75min));
    rests.answered("r@example.org", report_answer::later, t0 + 2h);
    CHECK(hours_left(rests, "r@example.org", t0 + 2h) == 2);
    rests.answered("r@example.org", report_answer::taken, t0 + 5h);
    CHECK_FALSE(rests.until("r@example.org", t0 + 5h));
    rests.answered("r@example.org", report_answer::later, t0 + 6h);
    CHECK(hours_left(rests, "r@example.org", t0 + 6h) == 1);
}

TEST_CASE("a place that fails for ever is tried a few times a day, then once a month") {
    CHECK(tries(report_answer::later, 24h).size() == 5);
    CHECK(tries(report_answer::later, 24h * 365).size() <= 22);
    CHECK(tries(report_answer::refused, 24h).size() <= 2);
    const auto refused = tries(report_answer::refused, 24h * 365);
    CHECK(refused.size() <= 17);
    for (std::size_t i = 2; i < refused.size(); ++i)
        CHECK(refused[i] - refused[i - 1] <= report_rests::longest_wait * 5 / 4 + 1min);
}

TEST_CASE("a refusal rests for less than a day, so that the next day's report is tried") {
    report_rests rests;
    rests.answered("r@example.org", report_answer::refused, t0);
    CHECK(hours_left(rests, "r@example.org", t0) >= 20);
    rests.answered("r@example.org", report_answer::refused, t0 + 26h);
    CHECK(hours_left(rests, "r@example.org", t0 + 26h) >= 40);
}

TEST_CASE("a server that is away rests with all its places, and comes back with all of them") {
    report_rests rests;
    SUBCASE("by HTTPS") {
        rests.answered("https://Reports.example/a?x", report_answer::away, t0);
        CHECK(rests.until("https://reports.example/b", t0).has_value());
        CHECK_FALSE(rests.until("https://reports.example:444/b", t0).has_value());
        rests.answered("https://reports.example/b", report_answer::refused, t0 + 2h);
        CHECK_FALSE(rests.until("https://reports.example/a", t0 + 2h).has_value());
        CHECK(rests.until("https://reports.example/b", t0 + 2h).has_value());
    }
    SUBCASE("by mail") {
        rests.answered("a@Example.org", report_answer::away, t0);
        CHECK(rests.until("b@example.org", t0).has_value());
        CHECK_FALSE(rests.until("b@example.com", t0).has_value());
    }
}

TEST_CASE("places that failed together are not tried again together") {
    report_rests rests;
    std::set<sys_seconds> ends;
    for (int i = 0; i < 100; ++i) {
        const auto place = "r" + std::to_string(i) + "@example.org";
        rests.answered(place, report_answer::later, t0);
        ends.insert(*rests.until(place, t0));
    }
    CHECK(ends.size() > 80);
    CHECK(*ends.rbegin() - *ends.begin() > 10min);
    CHECK(*ends.rbegin() < t0 + 75min);
}

TEST_CASE("rests are read as they were written, old ones are not, and what is none is refused") {
    report_rests rests;
    rests.answered("https://reports.example/a b", report_answer::refused, t0);
    rests.answered("r@example.org", report_answer::later, t0);
    report_rests again;
    const auto text = rests.text(t0);
    CHECK(std::ranges::count(text, '\n') == 2);
    for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
        CHECK(again.read_line(std::string_view(text).substr(at, text.find('\n', at) + 1 - at)));
    CHECK(again.text(t0) == text);
    CHECK(again.until("r@example.org", t0) == rests.until("r@example.org", t0));
    CHECK(again.text(t0 + report_rests::longest_wait * 3).empty());
    for (const auto* line :
         {"", "rest", "rest 1 1", "rest 1 1 ", "rest 1 0 a@b", "rest x 1 a@b", "rest -1 1 a@b", "rest 1 1 a@b c",
          "rest 1 1 a%4", "policy 1 1 a@b", "rest 1 101 a@b", "rest 99999999999999999999 1 a@b"})
        CHECK_FALSE(again.read_line(line));
    CHECK(again.text(t0) == text);
}

TEST_CASE("so many places rest, and others are tried as if nothing had been") {
    report_rests rests;
    for (std::size_t i = 0; i <= report_rests::max_places; ++i)
        rests.answered("r" + std::to_string(i) + "@example.org", report_answer::later, t0);
    CHECK(rests.until("r" + std::to_string(report_rests::max_places - 1) + "@example.org", t0).has_value());
    CHECK_FALSE(rests.until("r" + std::to_string(report_rests::max_places) + "@example.org", t0).has_value());
}
