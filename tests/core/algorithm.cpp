#include <postroad/core/algorithm.hpp>
#include <postroad/core/outcome.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace own {

template <class Range, class Value>
bool contains(const Range& all, const Value& value) {
    return std::find(all.begin(), all.end(), value) != all.end();
}

}  // namespace own

using postroad::detail::all_of, postroad::detail::any_of, postroad::detail::none_of;

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
    CHECK(postroad::detail::contains(names, std::string_view("b")));
    CHECK_FALSE(postroad::detail::contains(names, std::string_view("c")));
    CHECK_FALSE(postroad::detail::contains(std::vector<int>(), 1));
    static_assert(postroad::detail::contains("abc", 'c'));
}

TEST_CASE("a function of that name of one's own takes our types") {
    using own::contains;
    const std::vector<postroad::status> all{postroad::status::accepted};
    CHECK(contains(all, postroad::status::accepted));
}
