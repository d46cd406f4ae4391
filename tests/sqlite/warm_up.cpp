// What is new keeps to its ceiling over restarts of a sender whose queue lasts.
#include <postroad/postroad.hpp>
#include <postroad/queueing/sqlite.hpp>
#include <postroad/testing/scripted_resolver.hpp>
#include <postroad/testing/sink.hpp>
#include <postroad/transport/mx_transport.hpp>

#include <doctest/doctest.h>

#include "scratch_folder.hpp"

#include <chrono>
#include <memory>
#include <string>

using namespace postroad;
using namespace std::chrono_literals;

TEST_CASE("of a new source and a new domain in From no more goes than on its day, however often the sender restarts") {
    using direct = transport::basic_mx<testing::scripted_resolver>;
    const scratch_folder folder;
    const testing::sink server;
    const auto dns = std::make_shared<testing::scripted_resolver>();
    dns->mx("one.example", 10, "mx.one.example").address("mx.one.example", "127.0.0.1");
    const auto now = [] { return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()); };
    // A part of the day is a second.
    const transport::warm_up table{.since = std::chrono::floor<std::chrono::days>(now()), .per_day = {86'400, 86'400}};
    transport::mx_options options = {
        .client_name = "out.sender.example", .port = server.port(), .private_addresses = true};
    SUBCASE("a source") { options.sources = {{.name = "new", .addresses = {"127.0.0.2"}, .warm_up = table}}; }
    SUBCASE("a domain") { options.senders = {{.domain = "new.example", .warm_up = table}}; }
    const auto begin = now();
    constexpr std::size_t restarts = 5;
    for (std::size_t i = 1; i <= restarts; ++i) {
        mailer mail{direct{options, dns}, scheduling::fair{}, queueing::sqlite{(folder.path / "q.db").string()}};
        for (int n = 0; n < 2; ++n)
            (void)mail.submit(message{}.from("ann@new.example").to("bob@one.example").subject("Hello").text("Hello"));
        REQUIRE(server.wait_for(i, 30s));
    }
    const auto parts = static_cast<std::size_t>((now() - begin).count()) + 1;
    CHECK(server.messages().size() >= restarts);
    CHECK(server.messages().size() <= parts);
}
