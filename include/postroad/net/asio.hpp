#pragma once
// The parts of Asio that are used, and what differs between its versions (1.22 to current).

#include <asio/any_io_executor.hpp>
#include <asio/buffer.hpp>
#include <asio/connect.hpp>
#include <asio/dispatch.hpp>
#include <asio/error.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>
#include <asio/version.hpp>

#if ASIO_VERSION < 102200
#error "postroad needs Asio 1.22 or newer"
#endif

#include <system_error>

namespace postroad::net {

/// Asio has a category of its own for the codes of the system; old versions of it do not compare equal to std::errc.
inline std::error_code plain(const std::error_code& ec) noexcept {
    return ec.category() == asio::error::get_system_category() ? std::error_code(ec.value(), std::system_category())
                                                               : ec;
}

}  // namespace postroad::net
