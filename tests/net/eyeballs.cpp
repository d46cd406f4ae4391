#include <doctest/doctest.h>

#include <postroad/net/eyeballs.hpp>

#include <chrono>
#include <string>
#include <vector>

using namespace postroad;
using namespace std::chrono_literals;
using net::address_family;

namespace {

constexpr time_point t0 = time_point{} + 1h;
const error_code refused = make_error_code(std::errc::connection_refused);

/// Every address in the order of its attempts, when each keeps silent.
std::vector<std::string> order(const std::vector<std::string>& found, const net::dialing& how = {}) {
    net::eyeballs e(found, how);
    std::vector<std::string> result;
    auto now = t0;
    while (const auto* a = e.poll(now)) {
        result.push_back(*a);
        now = e.deadline();
    }
    return result;
}

std::vector<std::string> many(std::size_t n) {
    std::vector<std::string> result;
    for (std::size_t i = 0; i < n; ++i) result.push_back("192.0.2." + std::to_string(i));
    return result;
}

}  // namespace

TEST_CASE("families take turns, beginning with the one that the resolver put first (RFC 8305 section 4)") {
    using list = std::vector<std::string>;
    CHECK(order({"::1", "::2", "1.1.1.1", "1.1.1.2"}) == list{"::1", "1.1.1.1", "::2", "1.1.1.2"});
    CHECK(order({"1.1.1.1", "::1", "::2", "::3"}) == list{"1.1.1.1", "::1", "::2", "::3"});
    CHECK(order({"::1", "1.1.1.1", "1.1.1.2", "1.1.1.3"}) == list{"::1", "1.1.1.1", "1.1.1.2", "1.1.1.3"});
    CHECK(order({"1.1.1.1", "1.1.1.2"}) == list{"1.1.1.1", "1.1.1.2"});
    CHECK(order({"1.1.1.1", "1.1.1.1", "::1", "::1"}) == list{"1.1.1.1", "::1"});
    CHECK(order({}).empty());
}

TEST_CASE("only addresses of the family, and with a local address, are tried") {
    using list = std::vector<std::string>;
    const list both{"::1", "1.1.1.1"};
    CHECK(order(both, {.family = address_family::ipv4}) == list{"1.1.1.1"});
    CHECK(order(both, {.family = address_family::ipv6}) == list{"::1"});
    CHECK(order(both, {.local_addresses = {"192.0.2.1"}}) == list{"1.1.1.1"});
    CHECK(order(both, {.local_addresses = {"2001:db8::1"}}) == list{"::1"});
    CHECK(order(both, {.local_addresses = {"2001:db8::1", "192.0.2.1"}}) == both);
    const net::eyeballs none({"::1"}, {.family = address_family::ipv4});
    CHECK(none.exhausted());
    CHECK(none.error() == errc::resolve_failed);
    CHECK(none.explanation() == "no address of a family that may be used");
}

TEST_CASE("a silent address is joined by the next one after the delay, not before") {
    net::eyeballs e({"1.1.1.1", "1.1.1.2"}, {.attempt_delay = 250ms});
    CHECK(e.deadline() <= t0);
    CHECK(*e.poll(t0) == "1.1.1.1");
    CHECK(e.deadline() == t0 + 250ms);
    CHECK(e.poll(t0 + 249ms) == nullptr);
    CHECK(*e.poll(t0 + 250ms) == "1.1.1.2");
    CHECK(e.deadline() == never);
    CHECK(e.poll(never) == nullptr);
    CHECK_FALSE(e.exhausted());
    CHECK(e.explanation() == "1.1.1.1: no answer; 1.1.1.2: no answer");
}

TEST_CASE("an attempt that fails is followed at once") {
    net::eyeballs e({"1.1.1.1", "1.1.1.2", "1.1.1.3"}, {});
    const auto* first = e.poll(t0);
    REQUIRE(first);
    CHECK(e.poll(t0) == nullptr);
    e.failed(*first, refused);
    CHECK(e.deadline() <= t0);
    CHECK(*e.poll(t0) == "1.1.1.2");
    CHECK(e.poll(t0) == nullptr);
    // The second keeps silent; that the first fails again means nothing.
    e.failed("1.1.1.1", refused);
    CHECK(e.poll(t0) == nullptr);
    CHECK(*e.poll(t0 + 250ms) == "1.1.1.3");
    e.failed("1.1.1.3", make_error_code(std::errc::host_unreachable));
    CHECK_FALSE(e.exhausted());
    e.failed("1.1.1.2", refused);
    CHECK(e.exhausted());
    CHECK(e.error() == std::errc::connection_refused);
    CHECK(e.explanation() == "1.1.1.1: " + refused.message() + "; 1.1.1.2: " + refused.message() +
                                 "; 1.1.1.3: " + make_error_code(std::errc::host_unreachable).message());
}

TEST_CASE("a name with very many addresses costs a bounded number of attempts and words") {
    const auto limit = net::eyeballs::max_addresses;
    CHECK(order(many(limit)).size() == limit);
    CHECK(order(many(limit + 1)).size() == limit);
    const auto told = [](std::size_t n) {
        net::eyeballs e(many(n), {});
        while (const auto* a = e.poll(t0)) e.failed(*a, refused);
        return e.explanation();
    };
    CHECK(told(net::eyeballs::max_named).ends_with("192.0.2.7: " + refused.message()));
    CHECK(told(net::eyeballs::max_named + 1).ends_with("192.0.2.7: " + refused.message() + "; and 1 more"));
}
