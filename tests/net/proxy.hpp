#pragma once
// A small proxy that blocks, on a thread of its own: SOCKS5 or HTTP CONNECT, one client.

#include <asio/connect.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <asio/read_until.hpp>
#include <asio/write.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>

namespace net_test {

enum class proxy_speaks : unsigned char { socks5, socks5_with_login, http };
enum class proxy_does : unsigned char {
    grant,
    grant_with_first_words,  // of the server, in the same segment as the answer
    refuse,
    hang_up,
    keep_silent,
};

/// Whatever name it is asked for, it connects to `target` on 127.0.0.1. `asked` is what it read before; valid once
/// finish() was called.
class proxy_server {
public:
    using tcp = asio::ip::tcp;
    proxy_server(proxy_speaks speaks, std::uint16_t target, proxy_does what = proxy_does::grant)
        : thread_([this, speaks, target, what] { run(speaks, target, what); }) {}
    proxy_server(const proxy_server&) = delete;
    proxy_server& operator=(const proxy_server&) = delete;
    ~proxy_server() { finish(); }

    std::uint16_t port() const { return port_; }
    void finish() {
        if (thread_.joinable()) thread_.join();
    }
    std::string asked = {};

private:
    void run(proxy_speaks speaks, std::uint16_t target, proxy_does what) {
        std::error_code ec;
        tcp::socket client(io_);
        acceptor_.accept(client, ec);
        if (ec || what == proxy_does::hang_up) return;
        if (what == proxy_does::keep_silent) return (void)take(client, 1 << 20);
        const bool refuses = what == proxy_does::refuse;
        if (!(speaks == proxy_speaks::http ? http(client, refuses) : socks(client, speaks, refuses))) return;
        tcp::socket server(io_);
        server.connect({asio::ip::address_v4::loopback(), target}, ec);
        std::string first = speaks == proxy_speaks::http ? "HTTP/1.1 200 ok\r\nVia: test\r\n\r\n"
                                                         : std::string("\5\0\0\1\0\0\0\0\0\0", 10);
        std::array<char, 4096> buffer;
        if (what == proxy_does::grant_with_first_words)
            first.append(buffer.data(), server.read_some(asio::buffer(buffer), ec));
        asio::write(client, asio::buffer(first), ec);
        std::thread up([&] { relay(client, server); });
        relay(server, client);
        up.join();
    }

    std::string take(tcp::socket& from, std::size_t n) {
        std::string text(n, '\0');
        std::error_code ec;
        text.resize(asio::read(from, asio::buffer(text), ec));
        asked += text;
        return text;
    }

    bool socks(tcp::socket& client, proxy_speaks speaks, bool refuses) {
        std::error_code ec;
        const auto hello = take(client, 2);
        if (hello.size() < 2) return false;
        take(client, static_cast<unsigned char>(hello[1]));
        const bool login = speaks == proxy_speaks::socks5_with_login;
        asio::write(client, asio::buffer(login ? "\5\2" : "\5\0", 2), ec);
        if (login) {
            for (int i = 0; i < 2; ++i) {
                const auto head = take(client, i == 0 ? 2 : 1);
                if (head.empty()) return false;
                take(client, static_cast<unsigned char>(head.back()));
            }
            asio::write(client, asio::buffer("\1\0", 2), ec);
        }
        const auto request = take(client, 5);
        if (request.size() < 5) return false;
        take(client, request[3] == 3 ? static_cast<unsigned char>(request[4]) + 2U : request[3] == 1 ? 5U : 17U);
        if (refuses) asio::write(client, asio::buffer("\5\4\0\1\0\0\0\0\0\0", 10), ec);
        return !refuses;
    }

    bool http(tcp::socket& client, bool refuses) {
        std::error_code ec;
        asio::read_until(client, asio::dynamic_buffer(asked), "\r\n\r\n", ec);
        if (refuses) asio::write(client, asio::buffer(std::string("HTTP/1.1 502 no\r\n\r\n")), ec);
        return !ec && !refuses;
    }

    static void relay(tcp::socket& from, tcp::socket& to) {
        std::array<char, 16384> buffer;
        std::error_code ec;
        while (!ec) {
            const auto n = from.read_some(asio::buffer(buffer), ec);
            if (n > 0) asio::write(to, asio::buffer(buffer, n), ec);
        }
        to.shutdown(tcp::socket::shutdown_send, ec);
    }

    asio::io_context io_;
    tcp::acceptor acceptor_{io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
    std::uint16_t port_ = acceptor_.local_endpoint().port();
    std::thread thread_;
};

}  // namespace net_test
