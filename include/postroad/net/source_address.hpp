#pragma once
// From which address of this machine mail would go.

#include <asio/io_context.hpp>
#include <asio/ip/address.hpp>
#include <asio/ip/udp.hpp>

#include <string>

namespace postroad::net {

/// The local address that the system takes for a connection to `to`; nothing is sent. Empty: there is no way.
inline std::string source_address(const std::string& to) {
    asio::error_code ec;
    const auto address = asio::ip::make_address(to, ec);
    if (ec) return {};
    asio::io_context context(1);
    asio::ip::udp::socket socket(context);
    socket.connect({address, 25}, ec);
    if (ec) return {};
    const auto local = socket.local_endpoint(ec);
    return ec ? std::string() : local.address().to_string();
}

}  // namespace postroad::net
