#pragma once
// A queueing::sqlite that a test drives as the engine would, in a folder of its own.

#include <doctest/doctest.h>

#include <postroad/message/message.hpp>
#include <postroad/queueing/sqlite.hpp>

#include <sqlite3.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "scratch_folder.hpp"

namespace sqlite_test {

using namespace postroad;
using namespace std::chrono_literals;
using queueing::job_state;
using queueing::sqlite_options;

inline constexpr auto patience = std::chrono::seconds(60);  // of a test that is about to fail

struct folder : scratch_folder {
    std::string file(const char* name = "outbox.db") const { return (path / name).string(); }
};

/// Somebody else's connection to the file, which waits for the queue where that is just writing.
inline sqlite3* open_beside(const std::string& path) {
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
    sqlite3_busy_timeout(db, 60'000);
    return db;
}
/// What somebody else does with the file.
inline void execute(const std::string& path, const std::string& sql) {
    auto* const db = open_beside(path);
    CHECK(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(db);
}
inline long number(const std::string& path, const std::string& query) {
    long found = -1;
    auto* const db = open_beside(path);
    const auto keep = [](void* to, int, char** values, char**) {
        *static_cast<long*>(to) = std::strtol(values[0], nullptr, 10);
        return 0;
    };
    CHECK(sqlite3_exec(db, query.c_str(), keep, &found, nullptr) == SQLITE_OK);
    sqlite3_close(db);
    return found;
}

struct told {
    error_code ec = {};
    outcome result = {};
};
struct promised final : waiter {
    explicit promised(std::promise<told> p) : promise(std::move(p)) {}
    void complete(error_code ec, outcome&& o) noexcept override { promise.set_value({ec, std::move(o)}); }
    std::promise<told> promise;
};

inline mail_ptr mail_with(std::string text, std::vector<std::string> to = {"b@y.example"}) {
    auto m = std::make_shared<mail_object>();
    m->envelope.reverse_path = address("a@x.example");
    for (const auto& r : to) m->envelope.recipients.push_back(address(r));
    m->content = content::from_text(std::move(text));
    return m;
}

/// A queue, and somebody who waits for its wake-ups.
class outbox {
public:
    explicit outbox(sqlite_options o) : queue(std::move(o)) {}
    ~outbox() { queue.stop(); }
    outbox(const outbox&) = delete;
    outbox& operator=(const outbox&) = delete;

    /// `woken` is called with each wake-up, on the queue's thread.
    void start(std::function<void()> woken = [] {}) {
        queue.start([this, woken = std::move(woken)] {
            woken();
            const std::scoped_lock lock(mutex_);
            ++wakes_;
            woken_.notify_all();
        });
    }
    static job make(mail_ptr mail, time_point now = clock::now()) {
        static std::atomic<job_id> last = 1000;
        return {.id = ++last, .mail = std::move(mail), .submitted = now};
    }
    /// What submit() would see.
    error_code submit(job j) {
        auto stored = std::make_shared<std::promise<error_code>>();
        auto answer = stored->get_future();
        j.stored = [stored](error_code ec) { stored->set_value(ec); };
        if (const auto ec = queue.enqueue(j)) return ec;
        return answer.get();
    }
    job_id add(std::string text = "Subject: x\r\n\r\nhello\r\n") {
        auto j = make(mail_with(std::move(text)));
        const auto id = j.id;
        REQUIRE_FALSE(submit(std::move(j)));
        return id;
    }
    /// Calls `done` at first and after each wake-up, until it is true.
    template <class F>
    bool wait(F done, std::chrono::seconds most = patience) {
        for (;;) {
            std::uint64_t seen = 0;
            {
                const std::scoped_lock lock(mutex_);
                seen = wakes_;
            }
            if (done()) return true;
            std::unique_lock lock(mutex_);
            if (!woken_.wait_for(lock, most, [&] { return wakes_ != seen; })) return false;
        }
    }
    std::vector<job> lease(std::size_t n, time_point now = clock::now()) {
        std::vector<job> out;
        CHECK(wait([&] {
            queue.lease(n - out.size(), now, out);
            return out.size() == n;
        }));
        REQUIRE(out.size() == n);
        return out;
    }
    job lease_one(time_point now = clock::now()) { return std::move(lease(1, now).front()); }
    void mark(job_id id) {
        queue.mark(id);
        std::vector<job_id> marks;
        REQUIRE(wait([&] {
            queue.marked(marks);
            return !marks.empty();
        }));
        CHECK(marks == std::vector<job_id>{id});
    }
    bool drained(time_point now = clock::now()) {
        return wait([&] { return queue.drained(now); });
    }
    std::vector<queueing::job_info> list(const queueing::job_filter& which = {}, time_point now = clock::now()) {
        std::vector<queueing::job_info> out;
        queue.list(which, 1000, now, out);
        return out;
    }
    std::string states(time_point now = clock::now()) {
        std::string all;
        for (const auto& j : list({}, now)) (all += all.empty() ? "" : " ") += to_string(j.state);
        return all;
    }

    queueing::sqlite queue;

private:
    std::mutex mutex_;
    std::condition_variable woken_;
    std::uint64_t wakes_ = 0;
};

inline std::string whole(const job& j) { return std::string(j.mail->content.text()); }

}  // namespace sqlite_test
