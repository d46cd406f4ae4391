#pragma once
// A user's completion handler without its type: the border between tokens and the engine.

#include <postroad/core/error.hpp>
#include <postroad/net/asio.hpp>

#include <asio/associated_allocator.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/associator.hpp>

#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

namespace postroad::net {

/// A handler with its arguments, to be posted. It has the handler's executor, allocator and slot.
template <class Handler, class... Results>
struct completion {
    Handler handler;
    error_code ec;
    std::tuple<Results...> results;

    void operator()() {
        // On the handler's own executor, where emitting the slot is allowed: nobody can cancel what is over.
        if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected()) slot.clear();
        std::apply([this](Results&... r) { std::move(handler)(ec, std::move(r)...); }, results);
    }
};

/// Completes with (error_code, Results...), once.
template <class... Results>
class any_handler {
public:
    any_handler() = default;
    /// `fallback` runs the handler if it has no executor of its own; work is kept on the one that will.
    template <class Handler>
    any_handler(Handler&& handler, const asio::any_io_executor& fallback)
        : target_(std::make_unique<target<std::decay_t<Handler>>>(std::forward<Handler>(handler), fallback)) {}

    explicit operator bool() const noexcept { return target_ != nullptr; }
    /// Posts the handler, never calls it from here.
    void operator()(error_code ec, Results... results) {
        std::exchange(target_, nullptr)->run(ec, std::move(results)...);
    }

private:
    struct base {
        virtual ~base() = default;
        virtual void run(error_code ec, Results&&... results) = 0;
    };
    template <class Handler>
    struct target final : base {
        using executor_type = asio::associated_executor_t<Handler, asio::any_io_executor>;

        template <class H>
        target(H&& h, const asio::any_io_executor& fallback)
            : handler(std::forward<H>(h)), work(asio::get_associated_executor(handler, fallback)) {}

        void run(error_code ec, Results&&... results) override {
            const auto keep = std::move(work);
            asio::post(keep.get_executor(),
                       completion<Handler, Results...>{std::move(handler), ec, {std::move(results)...}});
        }

        Handler handler;
        asio::executor_work_guard<executor_type> work;
    };
    std::unique_ptr<base> target_;
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
