// Every conversation of tests/conversations/, fed in every way, and broken at every step.
#include "conversation.hpp"

#include <doctest/doctest.h>

using conversation::delivery;

TEST_CASE("a conversation gives the same events however its octets arrive") {
    const auto scripts = conversation::read_all();
    CHECK(scripts.size() >= 30);
    for (const auto& s : scripts) {
        CAPTURE(s.name);
        CHECK(conversation::play(s, {}) == "");
        CHECK(conversation::play(s, {.in = delivery::input::line}) == "");
        CHECK(conversation::play(s, {.in = delivery::input::byte}) == "");
        CHECK(conversation::play(s, {.output_at_most = 1}) == "");
        CHECK(conversation::play(s, {.in = delivery::input::byte, .output_at_most = 7}) == "");
        for (std::size_t at = 1; at < conversation::server_octets(s); ++at)
            CHECK(conversation::play(s, {.in = delivery::input::split, .split_at = at}) == "");
    }
}

TEST_CASE("a conversation that breaks at any step leaves every transaction with one true outcome") {
    for (const auto& s : conversation::read_all())
        for (const auto* fault : {"close", "wait", "garbage", "cancel"})
            for (std::size_t steps = 0; steps <= s.steps.size(); ++steps)
                CHECK(conversation::play_and_break(s, steps, fault) == "");
}
