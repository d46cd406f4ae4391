#include <postroad/core/id_map.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <utility>

using postroad::id_map;

TEST_CASE("a map by number holds what std::map does, whatever comes and goes, and goes through all of it") {
    std::mt19937 dice(7);
    id_map<int> ours;
    std::map<std::uint64_t, int> theirs;
    for (int i = 1; i < 20'000; ++i) {
        const std::uint64_t id = dice() % 300;
        if (dice() % 100 < (i < 10'000 ? 60u : 20u))
            CHECK(ours.emplace(id, i).second == theirs.try_emplace(id, i).second);
        else
            CHECK(ours.erase(id) == theirs.erase(id));
        CHECK(ours.size() == theirs.size());
        if (i % 1000 != 0) continue;
        std::map<std::uint64_t, int> seen;
        for (const auto& [known, value] : std::as_const(ours)) seen.emplace(known, value);
        CHECK(seen == theirs);
    }
}

TEST_CASE("what a map by number holds stays where it is, whatever comes and goes") {
    id_map<std::unique_ptr<int>> map;
    map[5] = std::make_unique<int>(1);
    const auto at = map.find(5);
    for (std::uint64_t id = 100; id < 1000; ++id) map[id];
    for (std::uint64_t id = 100; id < 1000; ++id) map.erase(map.find(id));
    CHECK(&at->second == &map.at(5));
    CHECK(*at->second == 1);
    const auto moved = std::move(map);
    CHECK(&moved.at(5) == &at->second);
}

TEST_CASE("a map by number that is copied is two") {
    id_map<int> one;
    one[1] = 1;
    auto other = one;
    other.at(1) = 2;
    CHECK(one.at(1) == 1);
    one = other;
    CHECK(one.at(1) == 2);
    one.clear();
    CHECK(one.empty());
    CHECK(other.contains(1));
}

TEST_CASE("of a map by number goes what a function says") {
    id_map<int> map;
    for (int i = 0; i < 100; ++i) map[static_cast<std::uint64_t>(i)] = i;
    map.erase_if([](const auto& e) { return e.second % 3 != 0; });
    CHECK(map.size() == 34);
    CHECK(map.contains(99));
    CHECK_FALSE(map.contains(98));
}

TEST_CASE("a number that a map does not hold is an error, or the end") {
    id_map<int> map;
    CHECK(map.find(1) == map.end());
    CHECK(map.begin() == map.end());
    CHECK_THROWS_AS(map.at(1), std::out_of_range);
    CHECK(map.erase(1) == 0);
}
