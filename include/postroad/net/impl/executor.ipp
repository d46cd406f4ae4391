#pragma once

#include <postroad/net/executor.hpp>

#include <asio/system_executor.hpp>

namespace postroad::net {
namespace detail {

// asio::system_executor with as few properties as any_io_executor asks for: it makes code for each combination.
class background_executor {
public:
    asio::execution_context& query(asio::execution::context_t) const noexcept {
        return asio::query(asio::system_executor(), asio::execution::context);
    }
    static constexpr asio::execution::blocking_t::never_t query(asio::execution::blocking_t) noexcept { return {}; }
    template <class F>
    void execute(F&& f) const {
        asio::post(asio::system_executor(), std::forward<F>(f));
    }
    friend bool operator==(const background_executor&, const background_executor&) = default;
};

}  // namespace detail

POSTROAD_DECL void post_function(const asio::any_io_executor& e, std::function<void()> f) { post(e, std::move(f)); }

POSTROAD_DECL asio::any_io_executor executor_of(asio::io_context& context) { return context.get_executor(); }

POSTROAD_DECL asio::any_io_executor background() { return detail::background_executor(); }

}  // namespace postroad::net
