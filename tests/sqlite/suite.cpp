#include "sqlite/outbox.hpp"

#include <postroad/testing/policy_suites.hpp>

using namespace sqlite_test;

namespace {

std::string broken(std::size_t capacity) {
    const folder f;
    std::string all;
    for (const auto& rule : testing::check_queueing(
             [&] { return queueing::sqlite(sqlite_options{.path = f.file(), .capacity = capacity}); }, capacity))
        all += rule + "\n";
    return all;
}

}  // namespace

TEST_CASE("sqlite keeps the rules of its axis") {
    CHECK(broken(50) == "");
    CHECK(broken(1) == "");
}
