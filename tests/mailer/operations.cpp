// What those who look after a mailer ask of it.
#include <doctest/doctest.h>

#include <postroad/core/transcript.hpp>
#include <postroad/postroad.hpp>
#include <postroad/scheduling/fair.hpp>
#include <postroad/testing/sink.hpp>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace postroad;
using namespace std::chrono_literals;
using queueing::job_state;
using testing::sink;

namespace {

message to(const std::string& whom) { return message{}.from("ann@example.com").to(whom).subject("s").text("t"); }

scheduling::selection tenant(const std::string& name) {
    return {.by = scheduling::selection::kind::tenant, .name = name};
}

}  // namespace

TEST_CASE("what waits in a mailer is listed, counted and dropped") {
    sink s;
    mailer mail{transport::smtp{s.url()}};
    const auto later = mail.submit(to("a@example.org"), {.tag = "news", .delay = 1h});
    const auto even_later = mail.submit(to("b@example.net"), {.tenant = "shop", .delay = 2h});
    const auto all = mail.jobs();
    REQUIRE(all.size() == 2);
    CHECK(all[0].id == later.id());
    CHECK(all[0].state == job_state::delayed);
    CHECK(all[0].until <= 1h);
    CHECK(all[0].sender == "ann@example.com");
    CHECK(all[0].recipients.at(0).address == "a@example.org");
    CHECK(mail.jobs({.domain = "example.net"}).at(0).tenant == "shop");
    CHECK(mail.jobs({.state = job_state::sending}).empty());
    CHECK(mail.jobs({}, 1).size() == 1);
    CHECK(mail.count().of(job_state::delayed) == 2);

    CHECK(mail.drop({.tag = "news"}) == 1);
    error_code ec;
    (void)later.wait(ec);
    CHECK(ec == errc::cancelled);
    CHECK(mail.hold({.tenant = "shop"}) == 1);
    CHECK(mail.count().of(job_state::held) == 1);
    CHECK(mail.retry_now({.id = even_later.id()}) == 1);
    CHECK(even_later.wait().all_accepted());
    CHECK(mail.count().total() == 0);
}

TEST_CASE("who would wait for the mailer on its own thread is told so, also when it is shut down") {
    mailer mail{transport::discard{}};
    std::promise<error_code> said;
    mail.async_shutdown(0s, [&](error_code) {
        try {
            (void)mail.count();
            said.set_value({});
        } catch (const error& e) {
            said.set_value(e.code());
        }
    });
    CHECK(said.get_future().get() == errc::would_deadlock);
}

TEST_CASE("a tenant that is paused waits, and others do not") {
    sink s;
    mailer mail{transport::smtp{s.url()}, scheduling::fair{}};
    mail.pause(tenant("shop"));
    const auto paused = mail.submit(to("a@example.org"), {.tenant = "shop"});
    CHECK(mail.submit(to("b@example.org"), {.tenant = "bank"}).wait().all_accepted());
    CHECK_FALSE(paused.done());
    CHECK(mail.jobs({.tenant = "shop"}).at(0).state == job_state::waiting);
    mail.resume(tenant("shop"));
    CHECK(paused.wait().all_accepted());
}

TEST_CASE("a destination can be paused before its first message") {
    sink s;
    mailer mail{transport::smtp{s.url()}, scheduling::fair{}};
    const auto seen = std::make_shared<transcript>();
    mail.observe(seen);
    const scheduling::selection there{.name = "localhost"};
    mail.pause(there);
    const auto t = mail.submit(to("a@example.org"));
    // The decision to connect would be made before it is counted.
    CHECK(mail.count().of(job_state::waiting) == 1);
    CHECK(seen->text().find("a new connection") == std::string::npos);
    mail.resume(there);
    CHECK(t.wait().all_accepted());
}

TEST_CASE("a key needs a queue that keeps keys") {
    sink s;
    mailer mail{s.url()};
    error_code ec;
    const auto o = mail.send(to("a@example.org"), {.idempotency_key = "order 7"}, ec);
    CHECK(ec == errc::invalid_option);
    CHECK(o.details.explanation == "idempotency_key needs a queue in a file; this one keeps no keys");
}

TEST_CASE("the queue in memory is bounded by octets, but takes one that is larger alone") {
    sink s;
    mailer mail{transport::smtp{s.url()}, queueing::memory{.octets = 10'000}};
    const auto large = [](const std::string& whom, std::size_t octets) {
        std::string text;
        while (text.size() < octets) text += "All work and no play makes Jack a dull boy.\n";
        return message{}.from("ann@example.com").to(whom).subject("s").text(text);
    };
    const auto first = mail.submit(large("a@example.org", 20'000), {.delay = 1h});
    error_code ec;
    (void)mail.send(large("b@example.org", 100), ec);
    CHECK(ec == errc::queue_full);
    CHECK(mail.retry_now({}) == 1);
    CHECK(first.wait().all_accepted());
    const auto small = mail.submit(large("c@example.org", 1'000), {.delay = 1h});
    CHECK(mail.send(large("d@example.org", 1'000)).all_accepted());
    (void)mail.send(large("e@example.org", 9'500), ec);
    CHECK(ec == errc::queue_full);
}

TEST_CASE("a mailer can connect before its first message") {
    sink s;
    mailer mail{transport::smtp{s.url()}, pooling::keep_alive{.warm = 2}};
    // The second follows when the first is ready.
    while (s.state().counts().connections_ever < 2) std::this_thread::yield();
    CHECK(mail.send(to("a@example.org")).all_accepted());
    mail.shutdown();
    CHECK(s.state().counts().connections_ever == 2);
}
