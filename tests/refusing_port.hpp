#pragma once
// A port at which nobody is.

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>

#include <cstdint>
#include <string>

/// Of 127.0.0.1: it refuses connections, and no other program gets it as long as this lives, as one may get a port that
/// was closed.
class refusing_port {
public:
    refusing_port() { bound_.bind({asio::ip::address_v4::loopback(), 0}); }

    std::uint16_t number() const { return bound_.local_endpoint().port(); }
    std::string at(const std::string& host) const { return host + ':' + std::to_string(number()); }

private:
    asio::io_context context_;
    asio::ip::tcp::acceptor bound_{context_, asio::ip::tcp::v4()};  // it does not listen
};
