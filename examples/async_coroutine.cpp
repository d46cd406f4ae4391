// Messages from a coroutine, on an io_context that the program runs itself.

#include <postroad/postroad.hpp>
#include <postroad/testing/sink.hpp>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include <iostream>

#if defined(ASIO_HAS_CO_AWAIT)

#include <asio/awaitable.hpp>
#include <asio/use_awaitable.hpp>

namespace {

//[coroutine
asio::awaitable<void> greet(postroad::mailer<>& mail, std::string to) {
    const auto outcome = co_await mail.async_send(
        postroad::message{}.from("ann@example.com").to(to).subject("Hello").text("Hello!"), asio::use_awaitable);
    std::cout << to << ": " << to_string(outcome.recipients.at(0).status) << '\n';
}
//]

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
        return server.messages().size() == 2 ? 0 : 1;
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
