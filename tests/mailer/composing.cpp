// What a mailer can be made of, and in which order it may be said.
#include <postroad/postroad.hpp>
#include <postroad/testing/sink.hpp>
#include <postroad/transport/discard.hpp>

#include <asio/io_context.hpp>
#include <asio/strand.hpp>
#include <asio/thread_pool.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <type_traits>

using namespace postroad;

namespace {

message hello() { return message{}.from("ann@example.com").to("bob@example.org").subject("Hello").text("Hello"); }

}  // namespace

TEST_CASE("a URL may stand before policies of other axes, and any executor before that") {
    testing::sink s;
    const auto url = s.url();
    const pooling::keep_alive one{.max_connections = 1};
    const scheduling::fifo twice{.retry = {.attempts = 2}};
    asio::thread_pool pool(1);
    const auto check = [](auto&& mail) { mail.send(hello()).require_accepted(); };
    check(mailer{url, one});
    check(mailer{url, one, twice});
    check(mailer{pool.get_executor(), url});
    check(mailer{pool.get_executor(), url, twice});
    check(mailer{asio::make_strand(pool), url.c_str(), one});
    check(mailer{asio::any_io_executor(pool.get_executor()), url, one});
    check(mailer{pool.get_executor(), transport::discard{}});
    check(mailer{pool.get_executor(), one, transport::discard{}});
    static_assert(std::is_same_v<decltype(mailer{url, one}), mailer<pooling::keep_alive>>);
    static_assert(std::is_same_v<decltype(mailer{pool.get_executor(), url}), mailer<>>);
    pool.join();
}

TEST_CASE("an option of the URL and a policy of its axis contradict each other, also side by side") {
    CHECK_THROWS_AS((mailer{"smtp://localhost?connections=2", pooling::keep_alive{}}), error);
}

TEST_CASE("a context in front, with a URL and policies") {
    testing::sink s;
    asio::io_context context;
    mailer mail{context, s.url(), pooling::keep_alive{.max_connections = 1}};
    int accepted = 0;
    mail.async_send(hello(), [&](error_code, const outcome& o) { accepted += o.all_accepted() ? 1 : 0; });
    mail.async_shutdown(std::chrono::hours(1), [](error_code) {});
    context.run();
    CHECK(accepted == 1);
}
