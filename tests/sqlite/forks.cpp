// Processes that fork while they have a queue open.
#include "sqlite/outbox.hpp"

#include <sys/wait.h>
#include <unistd.h>
#include <atomic>
#include <csignal>
#include <memory>
#include <thread>

using namespace sqlite_test;

namespace {

/// A process that was forked, and runs `f`; its status is what `f` returns.
class child {
public:
    template <class F>
    explicit child(F f) : pid_(::fork()) {
        REQUIRE(pid_ >= 0);
        if (pid_ != 0) return;
        // It ends, whatever becomes of it.
        ::alarm(static_cast<unsigned>(std::chrono::seconds(2 * patience).count()));
        int result = 99;
        try {
            result = f();
        } catch (...) {
        }
        ::_exit(result);
    }
    child(const child&) = delete;
    child& operator=(const child&) = delete;
    ~child() { (void)wait(); }
    void kill() { ::kill(pid_, SIGKILL); }
    /// Its status; negative if a signal ended it.
    int wait() {
        int how = 0;
        if (pid_ <= 0 || ::waitpid(std::exchange(pid_, 0), &how, 0) < 0) return -1;
        return WIFEXITED(how) ? WEXITSTATUS(how) : -WTERMSIG(how);
    }

private:
    ::pid_t pid_;
};

[[maybe_unused]] error_code submit_one(queueing::sqlite& q, job_id id) {
    std::promise<error_code> stored;
    job j{.id = id, .mail = mail_with("\r\n"), .submitted = clock::now()};
    j.stored = [&](error_code ec) { stored.set_value(ec); };
    if (const auto ec = q.enqueue(j)) return ec;
    return stored.get_future().get();
}

}  // namespace

TEST_CASE("a child that lives on keeps no other process from sending") {
    const folder f;
    auto box = std::make_unique<outbox>(sqlite_options{.path = f.file()});
    box->start();
    REQUIRE(box->wait([&] { return box->queue.sends(); }));
    child idle([] {
        ::pause();
        return 0;
    });
    // The parent goes on, and ends in good order.
    const auto id = box->add();
    CHECK(box->lease_one().id == id);
    box.reset();
    outbox next({.path = f.file()});
    next.start();
    CHECK(next.lease_one().id == id);
    idle.kill();
    CHECK(idle.wait() == -SIGKILL);
}

TEST_CASE("in a child its parent's queue is shut down, and can be destroyed") {
    const folder f;
    auto box = std::make_unique<outbox>(sqlite_options{.path = f.file()});
    box->start();
    (void)box->add();
    child heir([&] {
        auto j = outbox::make(mail_with("\r\n"));
        if (box->queue.enqueue(j) != errc::shut_down) return 1;
        try {
            (void)box->list();
            return 2;
        } catch (const error& e) {
            if (e.code() != errc::shut_down) return 3;
        }
        box.reset();
        return 0;
    });
    CHECK(heir.wait() == 0);
    // What it did to its own is no matter of ours.
    CHECK(box->list().size() == 1);
    (void)box->add();
    (void)box->lease(2);
}

// ThreadSanitizer ends a child that starts a thread behind a fork of a process with several: there is no such case
// there.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NO_THREADS_BEHIND_FORK
#endif
#endif
#ifndef NO_THREADS_BEHIND_FORK
TEST_CASE("what a child stores is seen, also by a parent that had seen as many changes before it forked") {
    const folder f;
    outbox box({.path = f.file()});
    box.start();
    REQUIRE(box.wait([&] { return box.queue.sends(); }));
    for (std::size_t n = 1; n < 6; ++n) {
        CAPTURE(n);
        child c([&] {
            queueing::sqlite own(f.file());
            return submit_one(own, n) ? 1 : 0;
        });
        CHECK(c.wait() == 0);
        REQUIRE(box.wait([&] { return box.queue.size() == n; }));
    }
    CHECK(box.lease(5).size() == 5);
}

TEST_CASE("children with a queue of their own on the same file lose nothing, while the parent submits and sends") {
    const folder f;
    constexpr job_id each = 5;
    constexpr job_id families = 8;
    std::atomic<bool> done = false;
    std::size_t mine = 0;
    std::size_t sent = 0;
    outbox box({.path = f.file()});
    box.start();
    std::thread busy([&] {
        while (!done) {
            if (submit_one(box.queue, 1'000'000 + mine)) break;
            ++mine;
            (void)box.list();
        }
    });
    std::vector<std::unique_ptr<child>> children;
    for (job_id n = 0; n < families; ++n) {
        children.push_back(std::make_unique<child>([&] {
            queueing::sqlite own(f.file());
            for (job_id i = 0; i < each; ++i)
                if (submit_one(own, 1 + n * 1000 + i)) return 1;
            std::vector<queueing::job_info> all;
            own.list({}, 10, clock::now(), all);
            own.stop();
            return all.empty() ? 2 : 0;
        }));
        for (const auto& j : box.lease(1)) {
            box.queue.settle(j);
            ++sent;
        }
    }
    for (const auto& c : children) CHECK(c->wait() == 0);
    done = true;
    busy.join();
    CHECK(mine > 0);
    CHECK(box.wait([&] { return box.queue.size() == mine + families * each - sent; }));
    CHECK(box.lease(box.queue.size()).size() == mine + families * each - sent);
    CHECK(number(f.file(), "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'") == 0);
}
#endif
