#pragma once
// A user's completion handler without its type: the border between tokens and the engine.

#include <postroad/core/error.hpp>
#include <postroad/net/executor.hpp>

#include <asio/associated_allocator.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/associator.hpp>
#include <asio/executor_work_guard.hpp>

#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace postroad::net {

namespace detail {

template <class... Results>
struct any_pending {
    virtual ~any_pending() = default;
    // The last call: from here on it owns itself.
    virtual void post(error_code ec, Results&&... results) = 0;
};

}  // namespace detail

/// A handler, and what it is to be called with. `fallback` runs it if it has no executor of its own; work is kept on
/// the one that will.
template <class Handler, class... Results>
struct pending final : detail::any_pending<Results...> {
    template <class H>
    pending(H&& h, const asio::any_io_executor& fallback)
        : handler(std::forward<H>(h)), work(asio::get_associated_executor(handler, fallback)) {}

    void post(error_code with, Results&&... values) override;

    Handler handler;
    error_code ec = {};
    std::optional<std::tuple<Results...>> results = {};
    asio::executor_work_guard<asio::associated_executor_t<Handler, asio::any_io_executor>> work;
};

/// It, as a function to be posted: by pointer, since one is moved several times on its way. It has the handler's
/// executor, allocator and slot.
template <class Handler, class... Results>
struct completion {
    explicit completion(std::unique_ptr<pending<Handler, Results...>> p) : what(std::move(p)), handler(what->handler) {}

    std::unique_ptr<pending<Handler, Results...>> what;
    // Asio asks for what belongs to it also of a function that it has just moved away.
    const Handler& handler;

    void operator()() {
        const auto p = std::exchange(what, nullptr);
        // On the handler's own executor, where emitting the slot is allowed: nobody can cancel what is over.
        if (auto slot = asio::get_associated_cancellation_slot(p->handler); slot.is_connected()) slot.clear();
        std::apply([&](Results&... r) { std::move(p->handler)(p->ec, std::move(r)...); }, *p->results);
    }
};

template <class Handler, class... Results>
void pending<Handler, Results...>::post(error_code with, Results&&... values) {
    completion<Handler, Results...> self(std::unique_ptr<pending>(this));
    ec = with;
    results.emplace(std::move(values)...);
    const auto keep = std::move(work);
    const auto executor = keep.get_executor();
    constexpr bool has_none = std::is_same_v<asio::associated_executor_t<Handler, plain_executor>, plain_executor>;
    if constexpr (has_none)
        net::post(executor, std::move(self));
    else
        asio::post(executor, std::move(self));
}

/// Completes with (error_code, Results...), once.
template <class... Results>
class any_handler {
public:
    any_handler() = default;
    template <class Handler>
    any_handler(Handler&& handler, const asio::any_io_executor& fallback)
        : what_(
              std::make_unique<pending<std::decay_t<Handler>, Results...>>(std::forward<Handler>(handler), fallback)) {}

    explicit operator bool() const noexcept { return what_ != nullptr; }
    /// Posts the handler, never calls it from here.
    void operator()(error_code ec, Results&&... results) { what_.release()->post(ec, std::move(results)...); }

private:
    std::unique_ptr<detail::any_pending<Results...>> what_;
};

}  // namespace postroad::net

template <template <class, class> class Associator, class Handler, class... Results, class DefaultCandidate>
struct asio::associator<Associator, postroad::net::completion<Handler, Results...>, DefaultCandidate>
    : Associator<Handler, DefaultCandidate> {
    static typename Associator<Handler, DefaultCandidate>::type get(
        const postroad::net::completion<Handler, Results...>& c,
        const DefaultCandidate& d = DefaultCandidate()) noexcept {
        return Associator<Handler, DefaultCandidate>::get(c.handler, d);
    }
};
