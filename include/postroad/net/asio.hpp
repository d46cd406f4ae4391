#pragma once
// The parts of Asio that the engine uses: sockets, timers, strands.

#include <postroad/net/executor.hpp>

#include <asio/buffer.hpp>
#include <asio/error.hpp>
#include <asio/generic/stream_protocol.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <system_error>

#if __has_include(<fcntl.h>)
#include <fcntl.h>
#endif

namespace postroad::net {

/// Asio has a category of its own for the codes of the system; old versions of it do not compare equal to std::errc.
inline std::error_code plain(const std::error_code& ec) noexcept {
    return ec.category() == asio::error::get_system_category() ? std::error_code(ec.value(), std::system_category())
                                                               : ec;
}

/// A socket option with one int.
template <int Level, int Name>
class int_option {
public:
    explicit int_option(int value) noexcept : value_(value) {}
    template <class Protocol>
    int level(const Protocol&) const noexcept {
        return Level;
    }
    template <class Protocol>
    int name(const Protocol&) const noexcept {
        return Name;
    }
    template <class Protocol>
    const int* data(const Protocol&) const noexcept {
        return &value_;
    }
    template <class Protocol>
    std::size_t size(const Protocol&) const noexcept {
        return sizeof value_;
    }

private:
    int value_;
};

/// Programs that this one starts do not get the socket: they could speak on it, and keep it open when we close it.
template <class Socket>
void keep_from_programs(Socket& socket) noexcept {
#if defined(FD_CLOEXEC)
    ::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
#else
    (void)socket;
#endif
}

/// Lets the system ask the peer whether it is there, after `silence` and then as often; not at all if it is zero.
template <class Socket>
void ask_when_silent(Socket& socket, std::chrono::nanoseconds silence) {
    if (silence <= std::chrono::nanoseconds::zero()) return;
    std::error_code ignored;
    socket.set_option(asio::socket_base::keep_alive(true), ignored);
#if defined(TCP_KEEPIDLE) && defined(TCP_KEEPINTVL)
    const auto whole = std::chrono::ceil<std::chrono::seconds>(silence).count();
    const int seconds = static_cast<int>(std::min<long long>(whole, 32767));  // more is refused by Linux
    socket.set_option(int_option<IPPROTO_TCP, TCP_KEEPIDLE>(seconds), ignored);
    socket.set_option(int_option<IPPROTO_TCP, TCP_KEEPINTVL>(seconds), ignored);
#endif
}

}  // namespace postroad::net
