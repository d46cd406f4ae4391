#pragma once
// What of Asio the border of the library needs: executors, and what differs between its versions (1.22 to current).
// Little enough for every source file that sends a message; sockets and timers are in net/asio.hpp.

#include <postroad/core/config.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/version.hpp>

#if ASIO_VERSION < 102200
#error "postroad needs Asio 1.22 or newer"
#endif

#include <functional>
#include <typeinfo>
#include <utility>

namespace postroad::net {

using plain_executor = asio::io_context::executor_type;

/// What `e` holds, if it is that; Asio 1.22 does not check it in target().
template <class Executor>
const Executor* target(const asio::any_io_executor& e) noexcept {
    return e.target_type() == typeid(Executor) ? e.target<Executor>() : nullptr;
}

/// As asio::post(): what is posted takes one block of memory in a plain_executor, and two by way of any_io_executor.
template <class F>
void post(const asio::any_io_executor& e, F&& f) {
    if (const auto* known = target<plain_executor>(e))
        asio::post(*known, std::forward<F>(f));
    else
        asio::post(e, std::forward<F>(f));
}

/// The same, compiled once, for what is not posted often.
POSTROAD_DECL void post_function(const asio::any_io_executor& e, std::function<void()> f);

/// The executor of a context. Each conversion that the compiler sees makes it look at thirty properties.
POSTROAD_DECL asio::any_io_executor executor_of(asio::io_context& context);

/// For what runs when the context of the mailer may be gone: threads of asio::system_executor.
POSTROAD_DECL asio::any_io_executor background();

}  // namespace postroad::net

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/net/impl/executor.ipp>
#endif
