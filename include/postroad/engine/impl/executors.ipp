#pragma once

#include <postroad/engine/executors.hpp>
#include <postroad/net/worker.hpp>

#include <asio/executor_work_guard.hpp>
#include <asio/strand.hpp>

namespace postroad {

namespace detail {

// The context is shared with its thread: the last thing that the thread does may be to destroy what owns this.
struct own_thread {
    std::shared_ptr<asio::io_context> context = std::make_shared<asio::io_context>(1);
    asio::executor_work_guard<asio::io_context::executor_type> work{context->get_executor()};
    net::worker thread{[c = context] { run(*c); }};

    own_thread() = default;
    own_thread(const own_thread&) = delete;
    own_thread& operator=(const own_thread&) = delete;
    ~own_thread() { work.reset(); }

private:
    // What is thrown here comes from completion handlers, and nobody stands behind them: it ends with its handler.
    static void run(asio::io_context& context) {
        for (;;) {
            try {
                context.run();
                return;
            } catch (...) {
            }
        }
    }
};

POSTROAD_DECL std::shared_ptr<own_thread> begin_thread() { return std::make_shared<own_thread>(); }
POSTROAD_DECL asio::any_io_executor executor_of(const own_thread& t) { return net::executor_of(*t.context); }

struct lone_executor : asio::io_context::executor_type {
    explicit lone_executor(asio::io_context& context) : asio::io_context::executor_type(context.get_executor()) {}
};

// A strand over the plain type is half the size of one over any_io_executor, and fits where Asio keeps executors.
POSTROAD_DECL asio::any_io_executor in_strand(const asio::any_io_executor& e) {
    using plain = net::plain_executor;
    if (const auto* p = net::target<lone_executor>(e)) return plain(*p);
    if (const auto* p = net::target<plain>(e)) return asio::make_strand(*p);
    if (net::target<asio::strand<plain>>(e) || net::target<asio::strand<asio::any_io_executor>>(e)) return e;
    return asio::make_strand(e);
}

POSTROAD_DECL bool runs_on(const asio::any_io_executor& base) {
    using plain = net::plain_executor;
    if (const auto* e = net::target<plain>(base)) return e->running_in_this_thread();
    if (const auto* e = net::target<lone_executor>(base)) return e->running_in_this_thread();
    if (const auto* e = net::target<asio::strand<plain>>(base)) return e->get_inner_executor().running_in_this_thread();
    return false;
}

}  // namespace detail

POSTROAD_DECL asio::any_io_executor one_thread(asio::io_context& context) { return detail::lone_executor(context); }

}  // namespace postroad
