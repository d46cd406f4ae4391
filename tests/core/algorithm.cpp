#include <postroad/core/algorithm.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

using namespace postroad;

TEST_CASE("of all elements it is told whether any, all or none is so") {
    const auto even = [](int i) { return i % 2 == 0; };
    struct row {
        std::vector<int> all;
        bool any, each;
    };
    for (const auto& r : {row{{}, false, true}, row{{1, 3}, false, false}, row{{1, 2}, true, false},
                          row{{2, 1}, true, false}, row{{2, 4}, true, true}}) {
        CAPTURE(r.all.size());
        CHECK(any_of(r.all, even) == r.any);
        CHECK(all_of(r.all, even) == r.each);
        CHECK(none_of(r.all, even) == !r.any);
    }
}

TEST_CASE("elements that compare with a value are found") {
    const std::vector<std::string> names{"a", "b"};
    CHECK(contains(names, std::string_view("b")));
    CHECK_FALSE(contains(names, std::string_view("c")));
    CHECK_FALSE(contains(std::vector<int>(), 1));
    static_assert(contains("abc", 'c'));
}
