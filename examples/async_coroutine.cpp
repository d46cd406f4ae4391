// Messages from a coroutine, on an io_context that the program runs itself.

#include <postroad/postroad.hpp>
#include <postroad/testing/sink.hpp>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>

#include <iostream>

#if defined(ASIO_HAS_CO_AWAIT)

#include <asio/awaitable.hpp>
#include <asio/use_awaitable.hpp>
#if ASIO_VERSION >= 102400
#include <asio/as_tuple.hpp>
using asio::as_tuple;
#else
#include <asio/experimental/as_tuple.hpp>
using asio::experimental::as_tuple;
#endif

namespace {

//[coroutine
asio::awaitable<void> greet(postroad::mailer<>& mail, std::string to) {
    const auto outcome = co_await mail.async_send(
        postroad::message{}.from("ann@example.com").to(to).subject("Hello").text("Hello!"), asio::use_awaitable);
    std::cout << to << ": " << to_string(outcome.recipients.at(0).status) << '\n';
}
//]

//[as_tuple
asio::awaitable<void> try_to_send(postroad::mailer<>& mail, postroad::message message) {
    const auto [ec, outcome] = co_await mail.async_send(message, as_tuple(asio::use_awaitable));
    if (ec) std::cerr << postroad::describe(ec, outcome.details) << '\n';
    for (const auto& r : outcome.recipients) std::cout << r.address << ": " << to_string(r.status) << '\n';
}
//]

// For one that has no sender: the error comes with an outcome, and nothing is thrown.
asio::awaitable<void> try_all(postroad::mailer<>& mail) {
    co_await try_to_send(mail, postroad::message{}.from("ann@example.com").to("dee@example.org").text("Hello!"));
    co_await try_to_send(mail, postroad::message{}.to("dee@example.org").text("Hello!"));
    co_await mail.async_shutdown(std::chrono::seconds(30), asio::use_awaitable);
}

//[context
asio::awaitable<void> greet_all(postroad::mailer<>& mail) {
    for (const auto* to : {"bob@example.org", "cid@example.org"}) co_await greet(mail, to);
    // An idle connection is work for the context: end it, and run() returns.
    co_await mail.async_shutdown(std::chrono::seconds(30), asio::use_awaitable);
}

void run(const std::string& url) {
    asio::io_context context;
    postroad::mailer mail{context, url};
    std::exception_ptr failed;
    asio::co_spawn(context, greet_all(mail), [&](std::exception_ptr e) { failed = e; });
    context.run();
    if (failed) std::rethrow_exception(failed);
}
//]

}  // namespace

int main() {
    try {
        postroad::testing::sink server;
        run(server.url());
        asio::io_context context;
        postroad::mailer<> mail{context, server.url()};
        asio::co_spawn(context, try_all(mail), asio::detached);
        context.run();
        return server.messages().size() == 3 ? 0 : 1;
    } catch (const std::exception& e) {
        std::cerr << e.what() << '\n';
        return 1;
    }
}

#else

int main() {
    std::cout << "this compiler has no coroutines for Asio\n";
    return 0;
}

#endif
