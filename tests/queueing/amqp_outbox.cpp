// What is on its way to a broker, and what is refused before there is one.
#if __has_include(<amqp.h>) || __has_include(<rabbitmq-c/amqp.h>)

#include "failure.hpp"

#include <postroad/queueing/amqp.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace {

using namespace postroad;
using queueing::detail::amqp_outbox;

TEST_CASE("a window of more than the register of a shard names is refused") {
    const auto connecting = [](std::size_t window) {
        return failure_of([&] { const queueing::amqp q({.url = "amqp://127.0.0.1:1/", .window = window}); }).code;
    };
    CHECK(connecting(0) == errc::invalid_option);
    CHECK(connecting(1024) == errc::broker_unreachable);
    CHECK(connecting(1025) == errc::invalid_option);
}

TEST_CASE("what is larger than the broker takes ends by name, now and later, and nothing else does") {
    amqp_outbox box(10);
    std::vector<std::pair<std::size_t, error_code>> over;
    const auto add = [&](std::size_t octets) {
        box.add({.what = {.body = std::string(octets, 'x')},
                 .over = [&over, octets](error_code ec) { over.emplace_back(octets, ec); }});
    };
    for (const auto octets : {100U, 101U, 5000U}) add(octets);
    CHECK(over.empty());
    box.limit(100);
    using all = std::vector<std::pair<std::size_t, error_code>>;
    CHECK(over == all{{101, errc::message_too_large}, {5000, errc::message_too_large}});
    over.clear();
    add(101);
    CHECK(over == all{{101, errc::message_too_large}});
    CHECK_FALSE(box.empty());
    over.clear();
    box.expire(never, errc::broker_unreachable);
    CHECK(over == all{{100, errc::broker_unreachable}});
    CHECK(box.empty());
}

}  // namespace

#endif
