#pragma once
// Servers that mean harm, over real sockets, each written as a blocking script.

#include <postroad/transport/smtp.hpp>

#include <asio/connect.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/write.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace postroad_test {

using namespace postroad;
using namespace std::chrono_literals;
using asio::ip::tcp;

// One connection of a server that is written as a blocking script. Everything fails quietly once the peer is gone.
class victim_of {
public:
    explicit victim_of(tcp::socket s) : socket_(std::move(s)) {}

    bool say(std::string_view text) {
        if (!ec_) asio::write(socket_, asio::buffer(text), ec_);
        return !ec_;
    }
    // The next line without its CRLF; empty at the end.
    std::string line() {
        for (;;) {
            if (const auto end = got_.find("\r\n"); end != std::string::npos) {
                auto result = got_.substr(0, end);
                got_.erase(0, end + 2);
                return result;
            }
            if (ec_) return {};
            got_ += some();
        }
    }
    // What comes next, as it is; empty at the end.
    std::string some() {
        std::array<char, 4096> octets;
        return ec_ ? std::string() : std::string(octets.data(), socket_.read_some(asio::buffer(octets), ec_));
    }
    void until(std::string_view what) {
        while (!ec_ && line() != what) continue;
    }
    void hang_up() {
        error_code ignored;
        socket_.close(ignored);
        ec_ = asio::error::eof;
    }
    // Says no more, and still listens.
    void half_close() {
        error_code ignored;
        socket_.shutdown(tcp::socket::shutdown_send, ignored);
    }
    void reset() {
        error_code ignored;
        socket_.set_option(asio::socket_base::linger(true, 0), ignored);
        hang_up();
    }
    bool gone() const { return static_cast<bool>(ec_); }
    void greet(std::string_view extensions = "250-PIPELINING\r\n") {
        say("220 villain\r\n");
        line();
        say("250-villain\r\n" + std::string(extensions) + "250 HELP\r\n");
    }
    // A transaction with one recipient, as any server takes it; `taking` comes before the last reply.
    void take(const std::function<void()>& taking = [] {}) {
        for (auto l = line(); l != "DATA"; l = line()) {
            if (gone() || l == "QUIT") return hang_up();
            say("250 ok\r\n");
        }
        say("354 go\r\n");
        until(".");
        taking();
        say("250 taken\r\n");
    }
    void forever(std::string_view text) {
        while (say(text)) continue;
    }
    // Until the client hangs up.
    void linger() {
        while (!ec_) line();
    }

private:
    tcp::socket socket_;
    error_code ec_;
    std::string got_;
};

// Serves one connection after the other, the nth (from 0) by `script(connection, n)`.
class villain {
public:
    explicit villain(std::function<void(victim_of&, int)> script) {
        thread_ = std::thread([this, script = std::move(script)] {
            for (;;) {
                error_code ec;
                tcp::socket s(io_);
                acceptor_.accept(s, ec);
                if (ec || stopping_) return;
                victim_of v(std::move(s));
                script(v, served_++);
            }
        });
    }
    ~villain() {
        stopping_ = true;
        asio::io_context io;
        tcp::socket s(io);
        error_code ignored;
        s.connect(acceptor_.local_endpoint(), ignored);
        thread_.join();
    }
    villain(const villain&) = delete;
    villain& operator=(const villain&) = delete;

    /// With that time-out for every reply but the last one, for which nothing waits: generous where the server answers,
    /// since the machine may be busy.
    transport::smtp_options options(std::string_view scheme_and_user = "smtp+insecure://",
                                    duration timeout = 60s) const {
        auto o = transport::smtp(std::string(scheme_and_user) +
                                 "127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()))
                     .options();
        o.timeouts = {.greeting = timeout,
                      .hello = timeout,
                      .starttls = timeout,
                      .auth = timeout,
                      .mail = timeout,
                      .rcpt = timeout,
                      .data = timeout,
                      .block = timeout,
                      .content = timeout,
                      .reset = timeout,
                      .quit = 2s};
        return o;
    }
    int served() const { return served_; }
    std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

private:
    asio::io_context io_;
    tcp::acceptor acceptor_{io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
    std::atomic<bool> stopping_ = false;
    std::atomic<int> served_ = 0;
    std::thread thread_;
};

}  // namespace postroad_test
