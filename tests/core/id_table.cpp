#include <postroad/core/id_table.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <random>

using postroad::id_table;

TEST_CASE("a table of numbers holds what a map does, whatever comes and goes") {
    std::mt19937 dice(7);
    id_table<int> table;
    std::map<std::uint64_t, int> map;
    // Ranges that are alike in their lower bits, those that are alike in the upper ones, and the ends of all numbers.
    const auto number = [&]() -> std::uint64_t {
        const std::uint64_t n = dice() % 300;
        const std::uint64_t parts[] = {n, (std::uint64_t(1) << 62) + n, n << 32, n << 55, ~n};
        return parts[dice() % 5];
    };
    for (int i = 1; i < 100'000; ++i) {
        const auto id = number();
        // More come than go in the first half of the time, and then all go.
        if (dice() % 100 < (i < 50'000 ? 60u : 20u)) {
            CHECK(table.insert(id, i) == map.try_emplace(id, i).second);
        } else {
            const auto known = map.find(id);
            CHECK(table.erase(id) == (known == map.end() ? 0 : known->second));
            if (known != map.end()) map.erase(known);
        }
        const auto other = number();
        const auto known = map.find(other);
        const auto* const found = table.find(other);
        CHECK((found ? *found : 0) == (known == map.end() ? 0 : known->second));
        CHECK(table.size() == map.size());
    }
    std::size_t seen = 0;
    table.each([&](int) { ++seen; });
    CHECK(seen == map.size());
    auto wanted = map.begin();
    for (const auto id : table.ids()) CHECK(id == (wanted++)->first);
    CHECK(wanted == map.end());
}

TEST_CASE("a table of numbers that is empty has nothing") {
    id_table<int> table;
    CHECK(table.empty());
    CHECK(table.find(0) == nullptr);
    CHECK(table.erase(0) == 0);
    CHECK(table.insert(0, 5));
    CHECK_FALSE(table.insert(0, 6));
    CHECK(*table.find(0) == 5);
    CHECK(table.erase(0) == 5);
    CHECK(table.empty());
}

TEST_CASE("a table of numbers owns its values") {
    const auto shared = std::make_shared<int>(1);
    id_table<std::shared_ptr<int>> table;
    for (std::uint64_t id = 0; id < 1000; ++id) CHECK(table.insert(id, shared));
    CHECK(shared.use_count() == 1001);
    for (std::uint64_t id = 0; id < 1000; id += 2) CHECK(table.erase(id) == shared);
    CHECK(shared.use_count() == 501);
    for (std::uint64_t id = 1; id < 1000; id += 2) CHECK(*table.find(id) == shared);
}
