#include <postroad/core/clock.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

using namespace postroad;

namespace {

// What points and durations in any of their corners give, in a wider number.
std::vector<duration> corners() {
    std::vector<duration> all;
    for (const auto middle : {duration::min(), duration::min() / 2, duration::zero(), duration::max() / 2})
        for (const int near : {0, 1, 2}) all.push_back(middle + duration(near));
    for (const int near : {1, 2}) all.push_back(duration::zero() - duration(near));
    for (const int near : {0, 1, 2}) all.push_back(duration::max() - duration(near));
    return all;
}
duration bounded(long double ticks) {
    if (ticks >= static_cast<long double>(duration::max().count())) return duration::max();
    if (ticks <= static_cast<long double>(duration::min().count())) return duration::min();
    return duration(static_cast<duration::rep>(ticks));
}

}  // namespace

TEST_CASE("times are added and subtracted without overflow, wherever they are") {
    for (const auto a : corners())
        for (const auto b : corners()) {
            CAPTURE(a.count());
            CAPTURE(b.count());
            const auto x = static_cast<long double>(a.count());
            const auto y = static_cast<long double>(b.count());
            CHECK(after(time_point(a), b) == time_point(bounded(x + y)));
            CHECK(between(time_point(a), time_point(b)) == bounded(y - x));
        }
    static_assert(after(time_point::min(), duration(1)) == time_point::min() + duration(1));
    static_assert(after(never, duration::zero()) == never);
}
