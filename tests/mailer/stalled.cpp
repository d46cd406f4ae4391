// Servers that stop answering: what is given up frees its connection, and shutdown does not wait for them.
#include <postroad/core/transcript.hpp>
#include <postroad/postroad.hpp>
#include <postroad/testing/sink.hpp>

#include <doctest/doctest.h>
#include <asio/use_future.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

using namespace postroad;
using namespace std::chrono_literals;
using testing::sink;

namespace {

message hello() { return message{}.from("ann@example.com").to("bob@example.org").subject("Hello").text("Hello"); }

sink stalls_at(const std::string& phase, int time) {
    return sink{{.faults = {testing::parse_fault(phase + ":" + std::to_string(time) + ":|stall")}}};
}

// Half a megabyte, of which `good` octets can be read.
source breaks_after(std::uint64_t good) {
    return source::generated(500000, [good]() -> source::read_function {
        return [left = good](std::span<char> to) mutable -> std::size_t {
            if (left == 0) throw std::runtime_error("the disk is gone");
            const auto n = std::min<std::uint64_t>(left, to.size());
            std::fill_n(to.begin(), n, 'x');
            left -= n;
            return n;
        };
    });
}

}  // namespace

TEST_CASE("a message that was given up leaves the only connection to the next one") {
    for (const std::string phase : {"mail", "rcpt", "data", "content"}) {
        CAPTURE(phase);
        const auto s = stalls_at(phase, 1);
        auto o = transport::smtp(s.url()).options();
        o.timeouts.drain = 20ms;
        mailer mail{transport::smtp(o), pooling::keep_alive{.max_connections = 1}};
        const auto seen = std::make_shared<transcript>();
        mail.observe(seen);
        const std::string reached = phase == "content" ? "octets of content)" : "C: DATA";
        // On a busy machine it may be given up before the server saw it.
        do {
            error_code ec;
            (void)mail.send(hello(), {.give_up_after = 100ms}, ec);
            CHECK(ec);
        } while (seen->text().find(reached) == std::string::npos);
        mail.send(hello()).require_accepted();
    }
}

TEST_CASE("shutdown with nothing to send does not wait for a server that is silent") {
    for (const std::string phase : {"greeting", "hello", "mail", "rcpt", "data", "content", "quit"}) {
        CAPTURE(phase);
        const auto s = stalls_at(phase, 1);
        mailer mail{s.url()};
        error_code ec;
        const bool is_sent = phase == "quit";
        (void)mail.send(hello(), is_sent ? send_options{} : send_options{.give_up_after = 100ms}, ec);
        CHECK(bool(ec) == !is_sent);
        mail.shutdown(1h);  // hangs otherwise
    }
}

TEST_CASE("contents that cannot be read leave the only connection to the messages behind them") {
    using smtp::pipelining;
    for (const auto mode : {pipelining::lockstep, pipelining::envelope, pipelining::across, pipelining::window}) {
        CAPTURE(static_cast<int>(mode));
        const sink s;
        auto o = transport::smtp(s.url()).options();
        o.pipelining = mode;
        mailer mail{transport::smtp(o), pooling::keep_alive{.max_connections = 1}};
        std::vector<std::future<outcome>> good, bad;
        for (int i = 0; i < 20; ++i) {
            bad.push_back(mail.async_send(hello().attach(breaks_after(std::uint64_t(i) * 20000), {.name = "log"}),
                                          asio::use_future));
            good.push_back(mail.async_send(hello(), asio::use_future));
        }
        for (auto& g : good) g.get().require_accepted();
        for (auto& b : bad) CHECK_THROWS_WITH_AS((void)b.get(), "a file cannot be read", std::system_error);
        CHECK(s.messages().size() == good.size());
        CHECK(s.violations().empty());
    }
}
