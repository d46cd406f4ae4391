#include <doctest/doctest.h>

#include <postroad/net/handler.hpp>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/io_context.hpp>
#include <asio/strand.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace postroad;
using net::any_handler;

namespace {

/// Counts what goes through it.
template <class T>
struct counting_allocator {
    using value_type = T;
    explicit counting_allocator(std::shared_ptr<int> c) : count(std::move(c)) {}
    template <class U>
    counting_allocator(const counting_allocator<U>& other) : count(other.count) {}
    T* allocate(std::size_t n) {
        ++*count;
        return std::allocator<T>().allocate(n);
    }
    void deallocate(T* p, std::size_t n) { std::allocator<T>().deallocate(p, n); }
    template <class U>
    bool operator==(const counting_allocator<U>& other) const {
        return count == other.count;
    }
    std::shared_ptr<int> count;
};

/// What a handler was called with.
struct call {
    int times = 0;
    error_code ec = {};
    std::string text = {};
};

/// A handler with everything that can be associated.
struct rich {
    using executor_type = asio::io_context::executor_type;
    using allocator_type = counting_allocator<int>;
    using cancellation_slot_type = asio::cancellation_slot;
    executor_type get_executor() const noexcept { return executor; }
    allocator_type get_allocator() const noexcept { return allocator; }
    cancellation_slot_type get_cancellation_slot() const noexcept { return slot; }

    void operator()(error_code ec, std::string text) { *seen = {seen->times + 1, ec, std::move(text)}; }

    executor_type executor;
    allocator_type allocator;
    cancellation_slot_type slot;
    call* seen;
};

/// Runs what is ready; a context that ran out of work can be used again.
std::size_t poll(asio::io_context& io) {
    io.restart();
    return io.poll();
}

}  // namespace

TEST_CASE("executor, allocator and slot of a handler arrive") {
    asio::io_context own, fallback;
    asio::cancellation_signal signal;
    const auto count = std::make_shared<int>(0);
    call seen;
    bool emitted = false;
    signal.slot().assign([&](asio::cancellation_type) { emitted = true; });

    const rich handler{own.get_executor(), counting_allocator<int>(count), signal.slot(), &seen};
    const net::completion<rich, std::string> c(
        std::make_unique<net::pending<rich, std::string>>(handler, fallback.get_executor()));
    CHECK(asio::get_associated_executor(c, fallback.get_executor()) == own.get_executor());
    CHECK(asio::get_associated_allocator(c).count == count);
    CHECK(asio::get_associated_cancellation_slot(c) == signal.slot());

    any_handler<std::string> h(handler, fallback.get_executor());
    signal.emit(asio::cancellation_type::terminal);
    CHECK(emitted);
    h(errc::timed_out, "text");
    CHECK(*count > 0);
    CHECK(poll(fallback) == 0);
    CHECK(seen.times == 0);
    CHECK(poll(own) == 1);
    CHECK(seen.times == 1);
    CHECK(seen.ec == errc::timed_out);
    CHECK(seen.text == "text");
}

TEST_CASE("a handler is posted, never called from inside") {
    asio::io_context io;
    std::string order;
    asio::post(io, [&] {
        any_handler<> h([&](error_code) { order += "handler "; }, io.get_executor());
        h(error_code());
        order += "caller ";
    });
    poll(io);
    CHECK(order == "caller handler ");
}

TEST_CASE("a handler without an executor runs on the fallback") {
    asio::io_context io;
    int calls = 0;
    any_handler<int> h([&](error_code, int n) { calls += n; }, io.get_executor());
    CHECK(static_cast<bool>(h));
    h(error_code(), 7);
    CHECK_FALSE(static_cast<bool>(h));
    CHECK(calls == 0);
    poll(io);
    CHECK(calls == 7);
}

TEST_CASE("a bound executor is used instead of the fallback") {
    asio::io_context io, fallback;
    auto strand = asio::make_strand(io);
    bool inside = false;
    any_handler<> h(asio::bind_executor(strand, [&](error_code) { inside = strand.running_in_this_thread(); }),
                    fallback.get_executor());
    h(error_code());
    CHECK(poll(fallback) == 0);
    CHECK(poll(io) > 0);
    CHECK(inside);
}

TEST_CASE("the executor has work until the handler was called or is gone") {
    asio::io_context io;
    int calls = 0;
    SUBCASE("called") {
        any_handler<> h([&](error_code) { ++calls; }, io.get_executor());
        poll(io);
        CHECK_FALSE(io.stopped());
        h(error_code());
        poll(io);
        CHECK(calls == 1);
    }
    SUBCASE("gone") {
        auto h = std::make_unique<any_handler<>>([&](error_code) { ++calls; }, io.get_executor());
        poll(io);
        CHECK_FALSE(io.stopped());
        h.reset();
        poll(io);
        CHECK(calls == 0);
    }
    CHECK(io.stopped());
}

TEST_CASE("the work is on the handler's own executor") {
    asio::io_context own, fallback;
    any_handler<> h(asio::bind_executor(own.get_executor(), [](error_code) {}), fallback.get_executor());
    poll(own);
    poll(fallback);
    CHECK_FALSE(own.stopped());
    CHECK(fallback.stopped());
    h(error_code());
    own.run();
}

TEST_CASE("a thread that waits in run() gets a handler that another thread calls") {
    asio::io_context io;
    std::thread::id ran_on;
    any_handler<> h([&](error_code) { ran_on = std::this_thread::get_id(); }, io.get_executor());
    std::thread runner([&] { io.run(); });
    const auto expected = runner.get_id();
    h(error_code());
    runner.join();
    CHECK(ran_on == expected);
}

TEST_CASE("the slot is empty when the handler runs: nobody cancels what is over") {
    asio::io_context io;
    asio::cancellation_signal signal;
    int emitted = 0;
    signal.slot().assign([&](asio::cancellation_type) { ++emitted; });
    any_handler<> h(asio::bind_cancellation_slot(signal.slot(),
                                                 [&](error_code) { signal.emit(asio::cancellation_type::terminal); }),
                    io.get_executor());
    h(error_code());
    CHECK(signal.slot().has_handler());
    poll(io);
    CHECK(emitted == 0);
    CHECK_FALSE(signal.slot().has_handler());
}

TEST_CASE("handlers and results that can only be moved pass") {
    asio::io_context io;
    int got = 0;
    any_handler<std::unique_ptr<int>> h(
        [&, own = std::make_unique<int>(1)](error_code, std::unique_ptr<int> p) { got = *own + *p; },
        io.get_executor());
    auto moved = std::move(h);
    CHECK_FALSE(static_cast<bool>(h));  // NOLINT(bugprone-use-after-move)
    moved(error_code(), std::make_unique<int>(41));
    poll(io);
    CHECK(got == 42);
}

TEST_CASE("a handler that is never called, or never run, frees what it holds") {
    const auto p = std::make_shared<int>();
    {
        asio::io_context io;
        any_handler<> never_called([p](error_code) {}, io.get_executor());
        any_handler<> never_run([p](error_code) {}, io.get_executor());
        never_run(error_code());
        CHECK(p.use_count() == 3);
    }
    CHECK(p.use_count() == 1);
}

TEST_CASE("handlers that are due together are called by one entry into their executor, in their order") {
    asio::io_context io;
    const auto calls = std::make_shared<net::due_calls>();
    std::string seen;
    any_handler<> first([&](error_code) { seen += "first "; }, io.get_executor(), calls);
    any_handler<> second([&](error_code ec) { seen += ec ? "second, failed " : "second "; }, io.get_executor(), calls);
    any_handler<> later([&](error_code) { seen += "later "; }, io.get_executor(), calls);
    first({});
    second(errc::cancelled);
    CHECK(seen.empty());
    io.poll_one();
    CHECK(seen == "first second, failed ");
    poll(io);
    later({});
    CHECK(poll(io) == 1);
    CHECK(seen == "first second, failed later ");
}

TEST_CASE("a handler that throws keeps no other that is due from being called, and in its order") {
    asio::io_context io;
    const auto calls = std::make_shared<net::due_calls>();
    std::string seen;
    any_handler<> last([&](error_code) { seen += "last "; }, io.get_executor(), calls);
    any_handler<> throwing(
        [&](error_code) {
            last({});
            throw std::runtime_error("by the user");
        },
        io.get_executor(), calls);
    any_handler<> behind([&](error_code) { seen += "behind "; }, io.get_executor(), calls);
    throwing({});
    behind({});
    CHECK_THROWS_AS(poll(io), std::runtime_error);
    CHECK(seen.empty());
    poll(io);
    CHECK(seen == "behind last ");
}

TEST_CASE("a handler that runs the context itself may wait there for those that are due behind it") {
    asio::io_context io;
    const auto calls = std::make_shared<net::due_calls>();
    std::string seen;
    const auto wait_for = [&](const std::string& what) {
        while (seen.find(what) == std::string::npos && io.poll_one() > 0) {
        }
    };
    any_handler<> first(
        [&](error_code) {
            wait_for("third ");
            seen += "first ";
        },
        io.get_executor(), calls);
    any_handler<> second(
        [&](error_code) {
            wait_for("third ");
            seen += "second ";
        },
        io.get_executor(), calls);
    any_handler<> third([&](error_code) { seen += "third "; }, io.get_executor(), calls);
    first({});
    second({});
    third({});
    poll(io);
    CHECK(seen == "third second first ");
}

TEST_CASE("a handler with an executor of its own is not called with those of the mailer") {
    asio::io_context own, io;
    const auto calls = std::make_shared<net::due_calls>();
    std::string seen;
    any_handler<> without([&](error_code) { seen += "without "; }, io.get_executor(), calls);
    any_handler<> with(asio::bind_executor(own.get_executor(), [&](error_code) { seen += "with "; }), io.get_executor(),
                       calls);
    without({});
    with({});
    CHECK(poll(io) == 1);
    CHECK(seen == "without ");
    CHECK(poll(own) == 1);
    CHECK(seen == "without with ");
}

TEST_CASE("handlers that are due when their context ends go with it") {
    const auto calls = std::make_shared<net::due_calls>();
    const auto held = std::make_shared<int>(0);
    {
        asio::io_context io;
        any_handler<> h([held](error_code) {}, io.get_executor(), calls);
        h({});
    }
    CHECK(held.use_count() == 1);
}

TEST_CASE("handlers become due on any thread, and each is called once") {
    static constexpr int threads = 4, each = 500;
    asio::io_context io(1);
    const auto calls = std::make_shared<net::due_calls>();
    int called = 0;
    auto work = std::make_unique<asio::executor_work_guard<asio::io_context::executor_type>>(io.get_executor());
    std::vector<std::thread> all;
    for (int t = 0; t < threads; ++t)
        all.emplace_back([&] {
            for (int i = 0; i < each; ++i)
                any_handler<>(
                    [&](error_code) {
                        if (++called == threads * each) work.reset();
                    },
                    io.get_executor(), calls)({});
        });
    io.run();
    for (auto& t : all) t.join();
    CHECK(called == threads * each);
}
