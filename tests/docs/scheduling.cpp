// The code of docs/scheduling.md that is about fair, of docs/simulator.md, and of the operations in docs/queueing.md.
#include <doctest/doctest.h>

#include <postroad/postroad.hpp>
#include <postroad/testing/policy_suites.hpp>
#include <postroad/testing/simulator.hpp>
#include <postroad/testing/sink.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

void compose_fair() {
    //[use_fair
    postroad::mailer campaign{
        postroad::transport::smtp{"smtp://relay.example.com"}, postroad::pooling::keep_alive{.max_connections = 100},
        postroad::scheduling::fair{.weights = {16, 1}, .per_destination = 8, .pace = {50, std::chrono::seconds(1)}}};
    //]
}

TEST_CASE("class and tenant travel with the message") {
    postroad::testing::sink server;
    postroad::mailer mail{postroad::transport::smtp{server.url()}, postroad::scheduling::fair{}};
    const auto news = postroad::message{}.from("ann@a.example").to("bob@b.example").subject("News").text("Hello");
    //[fair_options
    const auto ticket = mail.submit(news, {.traffic_class = 1, .tenant = "shop", .tag = "newsletter 7"});
    //]
    CHECK(ticket.wait().all_accepted());
}

TEST_CASE("a campaign that is in the queue can be looked at and dropped") {
    postroad::testing::sink server;
    postroad::mailer mail{postroad::transport::smtp{server.url()}};
    const auto news = postroad::message{}.from("ann@a.example").to("bob@b.example").subject("News").text("Hello");
    const auto ticket = mail.submit(news, {.tag = "newsletter 7", .delay = std::chrono::hours(1)});
    int printed = 0;
    const auto print = [&](const postroad::queueing::job_info&) { ++printed; };
    //[operations
    for (const auto& j : mail.jobs({.state = postroad::queueing::job_state::in_doubt})) print(j);
    mail.drop({.tag = "newsletter 7"});
    //]
    CHECK(printed == 0);
    CHECK(mail.count().total() == 0);
}

//[fixed_connections
/// A part in place of `clamp`: the number of connections is known, and nothing is learned.
struct fixed_connections {
    std::size_t most = 4;

    struct state {};
    std::size_t limit(const state&, postroad::time_point) const { return most; }
    postroad::time_point grows_at(const state&, postroad::time_point) const { return postroad::never; }
    void opened(state&, std::size_t, postroad::time_point) const {}
    void refused(state&, std::size_t, postroad::time_point) const {}
    postroad::time_point forget_at(const state&) const { return postroad::time_point::min(); }
};

using my_fair = postroad::scheduling::basic_fair<postroad::scheduling::pacer, fixed_connections>;
//]

TEST_CASE("the part of the page keeps the rules of a scheduler") {
    CHECK(postroad::testing::check_scheduling([] { return my_fair{.concurrency = {.most = 2}}; }).empty());
}

//[plan_a_campaign
TEST_CASE("the campaign is out within twenty minutes") {
    using namespace std::chrono_literals;
    namespace testing = postroad::testing;

    testing::workload w;
    w.hosts.resize(200, {.round_trip = 80ms, .connections = 10});
    w.hosts[0].outages = {{1min, 5min}};
    w.next = [left = 20'000u]() mutable -> std::optional<testing::arrival> {
        if (left == 0) return std::nullopt;
        --left;
        // All at once, most of them to the first hosts.
        return testing::arrival{.domain = left % 200 * (left % 200) / 200, .traffic_class = 1};
    };
    const auto r = testing::simulate(std::move(w), postroad::pooling::keep_alive{.max_connections = 50},
                                     postroad::scheduling::fair{}, {.connections = 50});
    CHECK(r.accepted == 20'000);
    CHECK(r.broken.empty());
    CHECK(r.p95 < 20min);
}
//]
