// Gives up on a message after a while. The server here accepts connections and says nothing.

#include <postroad/postroad.hpp>
#include <postroad/testing/sink.hpp>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/steady_timer.hpp>

#include <chrono>
#include <iostream>

namespace {

//[cancel
/// Sends a message; what has not left after `limit` does not leave any more.
postroad::error_code send_within(std::chrono::milliseconds limit, const std::string& url) {
    asio::io_context context;
    postroad::mailer mail{context, url};
    asio::cancellation_signal stop;
    asio::steady_timer timer{context, limit};
    postroad::error_code result;

    mail.async_send(
        postroad::message{}.from("ann@example.com").to("bob@example.org").subject("Now").text("..."),
        asio::bind_cancellation_slot(stop.slot(), [&](postroad::error_code ec, const postroad::outcome& outcome) {
            for (const auto& r : outcome.recipients) std::cout << r.address << ": " << to_string(r.status) << '\n';
            result = ec;
            timer.cancel();
            mail.async_shutdown(limit, [](postroad::error_code) {});
        }));
    timer.async_wait([&](postroad::error_code ec) {
        if (!ec) stop.emit(asio::cancellation_type::terminal);
    });
    context.run();
    return result;
}
//]

}  // namespace

int main() {
    try {
        using postroad::testing::fault;
        postroad::testing::sink server{{.faults = {fault::stall(postroad::phase::greeting)}}};
        const auto ec = send_within(std::chrono::milliseconds(100), server.url());
        std::cout << ec.message() << '\n';
        return ec == postroad::errc::cancelled ? 0 : 1;
    } catch (const postroad::error& e) {
        std::cerr << e.what() << '\n';
        return 1;
    }
}
