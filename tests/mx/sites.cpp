// What the engine does with what was found out.
#include <postroad/engine/sites.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace postroad;

TEST_CASE("new addresses of the same servers are used from then on, also while connections are open") {
    engine::sites all(false);
    const auto now = time_point{};
    const auto at = [](std::vector<std::string> addresses, std::vector<std::string> tlsa = {}) {
        endpoint e{.name = "mx.example", .port = 25};
        e.tlsa = std::move(tlsa);
        e.addresses.all = std::move(addresses);
        return transport::location{.site = "mx.example", .provider = {}, .servers = {e}};
    };
    auto* const s = all.place(at({"192.0.2.1"}), now);
    REQUIRE(s);
    s->connections.push_back(1);
    CHECK(all.place(at({"192.0.2.2", "192.0.2.3"}), now) == s);
    CHECK(s->servers.front().at.addresses.all == std::vector<std::string>{"192.0.2.2", "192.0.2.3"});
    // Other demands are another server.
    CHECK(all.place(at({"192.0.2.2"}, {"\3\1\1"}), now) == nullptr);
}

TEST_CASE("a site that has its provider's name shares limits with the other sites of it") {
    engine::sites all(false);
    const auto at = [](std::string site, std::string provider) {
        return transport::location{
            .site = std::move(site), .provider = std::move(provider), .servers = {{.name = "mx.example"}}};
    };
    const auto plain = all.place(at("mx.example", "mx.example"), {})->place();
    const auto verified = all.place(at("mx.example verified", "mx.example"), {})->place();
    CHECK(plain.site != verified.site);
    CHECK(plain.provider == verified.provider);
    CHECK(all.place(at("other.example", {}), {})->place().provider != plain.provider);
}
