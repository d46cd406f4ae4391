#pragma once
// A user's completion handler without its type: the border between tokens and the engine.

#include <postroad/core/error.hpp>
#include <postroad/net/executor.hpp>

#include <asio/associated_allocator.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/associator.hpp>
#include <asio/executor_work_guard.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace postroad::net {

namespace detail {

// A handler that is to be called.
struct due {
    virtual ~due() = default;
    // The last call: it destroys itself.
    virtual void call() = 0;
    // That will call it.
    virtual asio::any_io_executor executor() const = 0;
    due* next = nullptr;
};

template <class... Results>
struct any_pending : due {
    // The last call but one: from here on it owns itself.
    virtual void post(error_code ec, Results&&... results) = 0;
};

}  // namespace detail

/// Handlers that have no executor but that of the mailer. Those whose results come together are called by one entry
/// into it, in the order they came; when one throws, or runs the context itself, the rest by another. add() is
/// thread-safe.
class due_calls : public std::enable_shared_from_this<due_calls> {
public:
    due_calls() = default;
    due_calls(const due_calls&) = delete;
    due_calls& operator=(const due_calls&) = delete;
    ~due_calls() { drop(); }

    /// Its executor must not run two functions at a time, and be the same each time.
    void add(std::unique_ptr<detail::due> d) {
        const auto on = d->executor();
        auto* const added = d.release();
        auto* before = added_.load(std::memory_order_relaxed);
        do added->next = before;
        while (!added_.compare_exchange_weak(before, added, std::memory_order_release, std::memory_order_relaxed));
        if (!before) post_call(on);
    }

private:
    // The entry. Where the context ends before it gets to it, the handlers go with it.
    struct entry {
        std::shared_ptr<due_calls> to;

        explicit entry(std::shared_ptr<due_calls> t) noexcept : to(std::move(t)) {}
        entry(entry&&) noexcept = default;
        ~entry() {
            if (to) to->drop();
        }
        void operator()() { std::exchange(to, nullptr)->call(); }
    };

    void post_call(const asio::any_io_executor& on) { net::post(on, entry(shared_from_this())); }
    void drop() noexcept {
        take();
        while (first_) delete pop();
    }
    void call() {
        take();
        // For those behind one that throws, or that runs the context until they were called.
        if (first_ && first_->next) post_call(first_->executor());
        while (first_) pop()->call();
    }
    // Behind those that are left: the one added last stands in front.
    void take() noexcept {
        detail::due* in_order = nullptr;
        for (auto* d = added_.exchange(nullptr, std::memory_order_acquire); d;) {
            auto* const earlier = std::exchange(d->next, in_order);
            in_order = std::exchange(d, earlier);
        }
        auto** end = &first_;
        while (*end) end = &(*end)->next;
        *end = in_order;
    }
    detail::due* pop() noexcept { return std::exchange(first_, first_->next); }

    std::atomic<detail::due*> added_ = nullptr;
    detail::due* first_ = nullptr;  // of those that are being called; on the executor only
};

/// A handler, and what it is to be called with. `fallback` runs it if it has no executor of its own, by way of `calls`
/// if there are such; work is kept on the one that will.
template <class Handler, class... Results>
struct pending final : detail::any_pending<Results...> {
    template <class H>
    pending(H&& h, const asio::any_io_executor& fallback, std::shared_ptr<due_calls> with = {})
        : handler(std::forward<H>(h)), work(asio::get_associated_executor(handler, fallback)), calls(std::move(with)) {}

    void post(error_code with, Results&&... values) override;
    void call() override {
        const std::unique_ptr<pending> self(this);
        // On the handler's own executor, where emitting the slot is allowed: nobody can cancel what is over.
        if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected()) slot.clear();
        std::apply([&](Results&... r) { std::move(handler)(ec, std::move(r)...); }, *results);
    }

    asio::any_io_executor executor() const override {
        if constexpr (has_none)
            return work.get_executor();
        else
            return {};  // it is never among those
    }

    // No executor of its own, whatever the fallback is.
    static constexpr bool has_none =
        std::is_same_v<asio::associated_executor_t<Handler, plain_executor>, plain_executor> &&
        std::is_same_v<asio::associated_executor_t<Handler, asio::any_io_executor>, asio::any_io_executor>;

    Handler handler;
    error_code ec = {};
    std::optional<std::tuple<Results...>> results = {};
    asio::executor_work_guard<asio::associated_executor_t<Handler, asio::any_io_executor>> work;
    std::shared_ptr<due_calls> calls;
};

/// It, as a function to be posted: by pointer, since one is moved several times on its way. It has the handler's
/// executor, allocator and slot.
template <class Handler, class... Results>
struct completion {
    explicit completion(std::unique_ptr<pending<Handler, Results...>> p) : what(std::move(p)), handler(what->handler) {}

    std::unique_ptr<pending<Handler, Results...>> what;
    // Asio asks for what belongs to it also of a function that it has just moved away.
    const Handler& handler;

    void operator()() { what.release()->call(); }
};

template <class Handler, class... Results>
void pending<Handler, Results...>::post(error_code with, Results&&... values) {
    std::unique_ptr<pending> self(this);
    ec = with;
    results.emplace(std::move(values)...);
    if constexpr (has_none)
        if (const auto to = std::move(calls)) return to->add(std::move(self));
    const auto keep = std::move(work);
    const auto executor = keep.get_executor();
    completion<Handler, Results...> f(std::move(self));
    if constexpr (has_none)
        net::post(executor, std::move(f));
    else
        asio::post(executor, std::move(f));
}

/// Completes with (error_code, Results...), once.
template <class... Results>
class any_handler {
public:
    any_handler() = default;
    template <class Handler>
    any_handler(Handler&& handler, const asio::any_io_executor& fallback, std::shared_ptr<due_calls> calls = {})
        : what_(std::make_unique<pending<std::decay_t<Handler>, Results...>>(std::forward<Handler>(handler), fallback,
                                                                             std::move(calls))) {}

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
