// What ends in order at SIGTERM, and what is done to each message before it is queued.
#include <postroad/message/dkim.hpp>
#include <postroad/postroad.hpp>
#include <postroad/testing/sink.hpp>

#include <asio/use_future.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <utility>
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

/// Says when the first content has left.
struct content_seen final : observer {
    void on(const observation& o) override {
        if (o.what == observed::content && !std::exchange(told, true)) left.set_value();
    }
    std::promise<void> left = {};
    bool told = false;
};

}  // namespace

TEST_CASE("draining lets what a server has get its reply, and begins nothing new") {
    // The reply to the content of the first takes its time.
    const testing::sink server({.faults = {testing::parse_fault("content:1:=|wait=300")}});
    mailer mail{transport::smtp{server.url()}, pooling::keep_alive{.max_connections = 1}};
    const auto seen = std::make_shared<content_seen>();
    mail.observe(seen);
    std::vector<ticket> tickets;
    for (int i = 0; i < 3; ++i) tickets.push_back(mail.submit(hello()));
    seen->left.get_future().wait();
    SUBCASE("waiting for it") { mail.drain(); }
    SUBCASE("asynchronously") { mail.async_drain(10s, asio::use_future).get(); }
    error_code ec;
    CHECK(tickets[0].wait(ec).all_accepted());
    CHECK(!ec);
    for (int i = 1; i < 3; ++i) {
        const auto o = tickets[static_cast<std::size_t>(i)].wait(ec);
        CHECK(ec == errc::shut_down);
        CHECK(o.recipients.at(0).status == status::not_attempted);
    }
    CHECK(server.messages().size() == 1);
    CHECK_THROWS_AS((void)mail.submit(hello()), send_error);
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
