// What may outlive a mailer: tickets, operations that did not begin, questions that were not answered. Meant for ASan.
#include <postroad/engine/ticket.hpp>
#include <postroad/postroad.hpp>
#include <postroad/testing/sink.hpp>
#include <postroad/transport/discard.hpp>

#include <asio/bind_executor.hpp>
#include <asio/experimental/deferred.hpp>
#include <asio/use_future.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <vector>

using namespace postroad;
using namespace std::chrono_literals;

namespace {

message hello() { return message{}.from("ann@example.com").to("bob@example.org").subject("Hello").text("Hello"); }

// What was made while a mailer lived, on a thread or context of any kind, all of which is gone.
std::vector<ticket> tickets_of_the_dead() {
    std::vector<ticket> all;
    {
        mailer mail{transport::discard{}};
        all.push_back(mail.submit(hello()));
        all.push_back(mail.submit(hello(), {.delay = 1h}));
    }
    const auto on = [&](asio::io_context& context, const asio::any_io_executor& executor) {
        const auto made = all.size() + 2;
        mailer mail{executor, transport::discard{}};
        mail.async_submit(hello(), [&](error_code, ticket t) { all.push_back(std::move(t)); });
        mail.async_submit(hello(), {.delay = 1h}, [&](error_code, ticket t) { all.push_back(std::move(t)); });
        while (all.size() < made) context.run_one();
    };
    {
        asio::io_context context;
        on(context, context.get_executor());
        context.restart();
        context.run();
    }
    {
        asio::io_context context(1);
        on(context, one_thread(context));
        context.restart();
        context.run();
    }
    {
        // Destroyed with its work undone.
        asio::io_context context;
        on(context, asio::make_strand(context));
    }
    return all;
}

}  // namespace

TEST_CASE("tickets outlive their mailer and its executor") {
    const auto all = tickets_of_the_dead();
    REQUIRE(all.size() == 8);
    for (const auto& t : all) {
        CHECK(t.done());
        error_code ec;
        const auto o = t.wait(ec);
        t.cancel();
        std::promise<error_code> told;
        t.async_wait([&](error_code e, const outcome&) { told.set_value(e); });
        CHECK(told.get_future().get() == ec);
        auto f = t.async_wait(asio::use_future);
        if (ec)
            CHECK_THROWS((void)f.get());
        else
            CHECK(f.get().recipients == o.recipients);
        // On an executor of the handler's own.
        asio::io_context mine;
        int told_here = 0;
        t.async_wait(asio::bind_executor(mine.get_executor(), [&](error_code, const outcome&) { ++told_here; }));
        CHECK(mine.run() == 1);
        CHECK(told_here == 1);
    }
}

TEST_CASE("a ticket of no message does nothing") {
    const ticket t;
    CHECK_FALSE(t.done());
    error_code ec;
    CHECK(t.wait(ec).recipients.empty());
    CHECK(ec == errc::would_deadlock);
    t.cancel();
}

TEST_CASE("operations that begin when the mailer is gone complete, with errc::shut_down") {
    const auto make = [](auto start) {
        mailer mail{transport::discard{}};
        return start(mail);
    };
    const auto begin = [](auto op) {
        std::promise<error_code> told;
        std::move(op)([&](error_code ec, auto&&...) { told.set_value(ec); });
        return told.get_future().get();
    };
    using asio::experimental::deferred;
    CHECK(begin(make([](auto& m) { return m.async_send(hello(), deferred); })) == errc::shut_down);
    CHECK(begin(make([](auto& m) { return m.async_submit(hello(), deferred); })) == errc::shut_down);
    CHECK(begin(make([](auto& m) { return m.async_shutdown(1h, deferred); })) == error_code{});
}

TEST_CASE("credentials may be answered when the mailer is gone, and its context too") {
    testing::sink s({.security = security::starttls, .users = {{"ann", "secret"}}, .require_auth = true});
    auto o = transport::smtp(s.url()).options();
    std::promise<smtp::credentials_handler> asked;
    o.credentials_source = [&](const smtp::credentials_request&, smtp::credentials_handler h) {
        asked.set_value(std::move(h));
    };
    std::optional<asio::io_context> context;
    const auto run = [&](auto&&... executor) {
        mailer mail{executor..., transport::smtp(o), tls::required{.options = {.ca_pem = s.ca_pem()}}};
        mail.async_send(hello(), [](error_code, const outcome&) {});
        auto question = asked.get_future();
        while (question.wait_for(0s) != std::future_status::ready)
            if (!context)
                question.wait();
            else
                context->run_one_for(1s);
        return question.get();
    };
    smtp::credentials_handler answer;
    SUBCASE("a thread of its own") { answer = run(); }
    SUBCASE("the caller's context") {
        context.emplace();
        answer = run(asio::any_io_executor(context->get_executor()));
        context.reset();
    }
    answer({.credentials = {.user = "ann", .password = secret("secret")}});
}
