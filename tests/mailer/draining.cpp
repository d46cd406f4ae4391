// What ends in order at SIGTERM, and what is done to each message before it is queued.
#include <postroad/message/dkim.hpp>
#include <postroad/postroad.hpp>
#include <postroad/testing/sink.hpp>

#include "villain.hpp"

#include <asio/use_future.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <vector>

using namespace postroad;
using namespace std::chrono_literals;

namespace {

message hello() { return message{}.from("ann@example.com").to("bob@example.org").subject("Hello").text("Hello"); }

/// Signs by a field of its own.
struct stamp {
    content sign(const content& c, std::chrono::system_clock::time_point) const {
        if (word == "throw") throw error(errc::signing_failed, "the stamp is lost");
        return content::from_text("X-Stamp: " + word + "\r\n" + std::string(c.text()));
    }
    std::string word = "yes";
};
static_assert(message_signer<stamp>);

}  // namespace

TEST_CASE("draining lets what a server has get its reply, and begins nothing new") {
    std::promise<void> content_is_here;
    std::promise<void> answer;
    int more = 0;
    {
        postroad_test::villain server([&](postroad_test::victim_of& c, int n) {
            c.greet();
            if (n == 0)
                c.take([&] {
                    content_is_here.set_value();
                    answer.get_future().wait();
                });
            for (auto l = c.line(); !c.gone() && l != "QUIT"; l = c.line()) more += l.starts_with("MAIL");
        });
        mailer mail{transport::smtp{server.options()}, pooling::keep_alive{.max_connections = 1}};
        std::vector<ticket> tickets;
        for (int i = 0; i < 3; ++i) tickets.push_back(mail.submit(hello()));
        content_is_here.get_future().wait();
        // What has not begun ends as the draining begins; only then does the server reply.
        std::thread replies([&, t = tickets[2]] {
            error_code ec;
            (void)t.wait(ec);
            answer.set_value();
        });
        SUBCASE("waiting for it") { mail.drain(1min); }
        SUBCASE("asynchronously") { mail.async_drain(1min, asio::use_future).get(); }
        replies.join();
        error_code ec;
        CHECK(tickets[0].wait(ec).all_accepted());
        CHECK(!ec);
        for (std::size_t i = 1; i < 3; ++i) {
            const auto o = tickets[i].wait(ec);
            CHECK(ec == errc::shut_down);
            CHECK(o.recipients.at(0).status == status::not_attempted);
        }
        CHECK_THROWS_AS((void)mail.submit(hello()), send_error);
    }
    CHECK(more == 0);
}

TEST_CASE("of several that shut a mailer down, or drain it, none makes another wait longer") {
    asio::io_context context;
    mailer mail{one_thread(context), transport::discard{}};
    error_code ec;
    int shut = 0;
    mail.async_send(hello(), {.delay = 1h}, [&](error_code e, const outcome&) { ec = e; });
    mail.async_shutdown(0s, [&](error_code) { ++shut; });
    SUBCASE("shut down") {
        mail.async_shutdown(1h, [&](error_code) { ++shut; });
    }
    SUBCASE("drained") {
        mail.async_drain(1h, [&](error_code) { ++shut; });
    }
    context.run_for(1min);
    CHECK(shut == 2);
    CHECK(ec == errc::shut_down);
}

TEST_CASE("a mailer signs each message, of any kind, as it is queued") {
    const testing::sink server;
    mailer mail{server.url()};
    mail.sign_by(stamp{});
    mail.send(hello()).require_accepted();
    mail.send(hello().freeze(std::chrono::system_clock::now())).require_accepted();
    mail.sign_by(stamp{"again"});
    mail.submit(hello()).wait().require_accepted();
    const auto got = server.messages();
    REQUIRE(got.size() == 3);
    CHECK(got[0].content.starts_with("X-Stamp: yes\r\n"));
    CHECK(got[1].content.starts_with("X-Stamp: yes\r\n"));
    CHECK(got[2].content.starts_with("X-Stamp: again\r\n"));
    mail.sign_by(stamp{"throw"});
    error_code ec;
    const auto o = mail.send(hello(), ec);
    CHECK(ec == errc::signing_failed);
    CHECK(o.details.explanation == "the stamp is lost");
    CHECK(server.messages().size() == 3);
}
