// What is long on the thread of a file lets what is submitted go between, however much there is to do. Counted in steps
// of SQLite's machine, not in seconds.
#include "sqlite/outbox.hpp"

#include <mutex>
#include <optional>
#include <thread>

using namespace sqlite_test;

namespace {

constexpr int every = 10;
thread_local std::int64_t steps = 0;  // on this thread

/// Submits a message from within what the thread of a queue does, once it has done so many steps since it was made, and
/// counts those until the message is stored.
class latecomer {
public:
    latecomer(outbox& box, std::int64_t from) : box_(box), from_(from) { arm(this); }
    ~latecomer() { arm(nullptr); }
    latecomer(const latecomer&) = delete;
    latecomer& operator=(const latecomer&) = delete;

    std::int64_t waited() {
        auto stored = stored_.get_future();
        REQUIRE(stored.wait_for(patience) == std::future_status::ready);
        return stored.get();
    }
    static int stepped(void*) {
        steps += every;
        const std::scoped_lock lock(mutex);
        if (armed && std::this_thread::get_id() != armed->maker_) armed->come();
        return 0;
    }

private:
    static void arm(latecomer* l) {
        const std::scoped_lock lock(mutex);
        armed = l;
    }
    void come() {
        if (begun_ < 0) begun_ = steps;
        if (steps - begun_ < from_ || came_) return;
        came_ = true;
        auto j = outbox::make(mail_with("Subject: late\r\n\r\n"));
        j.stored = [this, at = steps](error_code ec) { stored_.set_value(ec ? -1 : steps - at); };
        (void)box_.queue.enqueue(j);
    }

    outbox& box_;
    const std::int64_t from_;
    const std::thread::id maker_ = std::this_thread::get_id();
    std::int64_t begun_ = -1;  // these two are of the queue's thread
    bool came_ = false;
    std::promise<std::int64_t> stored_;

    static inline std::mutex mutex;
    static inline latecomer* armed = nullptr;
};

/// Every connection that is opened meanwhile counts its steps.
struct counted {
    counted() { REQUIRE(sqlite3_auto_extension(entry()) == SQLITE_OK); }
    ~counted() { sqlite3_cancel_auto_extension(entry()); }
    counted(const counted&) = delete;
    counted& operator=(const counted&) = delete;

    static int install(sqlite3* db, const char**, const void*) {
        sqlite3_progress_handler(db, every, latecomer::stepped, nullptr);
        return SQLITE_OK;
    }
    static void (*entry())() { return reinterpret_cast<void (*)()>(install); }
};

constexpr std::size_t many = 3000;
// Of 16 jobs that are changed, and of the message itself; all of them take 300,000 and more.
constexpr std::int64_t most = 12'000;
// Of the places of what is read next, and of 64 of these.
constexpr std::int64_t most_to_read = 80'000;
// Until the first of a backlog is given out: what waits for a time is walked past before; all that is read takes
// 220,000.
constexpr std::int64_t most_until_first = 120'000;

void fill(outbox& box, std::size_t n, std::optional<time_point> due = {}) {
    std::promise<void> stored;
    for (std::size_t i = 0; i < n; ++i) {
        auto j = outbox::make(mail_with("Subject: x\r\n\r\nhello\r\n"));
        j.tag = "campaign";
        if (due) j.due = *due;
        if (i + 1 == n) j.stored = [&](error_code) { stored.set_value(); };
        REQUIRE_FALSE(box.queue.enqueue(j));
    }
    stored.get_future().get();
}

void leave_backlog(const folder& f, bool delayed) {
    outbox box({.path = f.file()});
    fill(box, many, delayed ? std::optional(clock::now()) : std::nullopt);
}

}  // namespace

TEST_CASE("what is submitted while many are held, hurried or dropped waits for few of them") {
    const counted steps_of_all;
    const folder f;
    outbox box({.path = f.file()});
    fill(box, many);
    const queueing::job_filter which{.tag = "campaign"};
    const auto now = clock::now();
    {
        latecomer late(box, 5000);
        CHECK(box.queue.hold(which, now) == many);
        CHECK(late.waited() <= most);
    }
    {
        latecomer late(box, 5000);
        CHECK(box.queue.retry_now(which, now) == many);
        CHECK(late.waited() <= most);
    }
    {
        latecomer late(box, 5000);
        CHECK(box.queue.drop(which, now).size() == many);
        CHECK(late.waited() <= most);
    }
}

TEST_CASE("what is submitted while a backlog is read waits for a part of what is read at once") {
    const counted steps_of_all;
    const folder f;
    for (const bool delayed : {false, true}) {
        CAPTURE(delayed);
        leave_backlog(f, delayed);
        outbox box({.path = f.file()});
        latecomer late(box, 5000);
        box.start();
        CHECK(late.waited() <= most_to_read);
        for (const auto& j : box.lease(many + 1)) box.queue.settle(j);
        CHECK(box.drained());
    }
}

TEST_CASE("the first of a backlog is given out once a few were read, and then the others") {
    const counted steps_of_all;
    const folder f;
    for (const bool delayed : {false, true}) {
        CAPTURE(delayed);
        leave_backlog(f, delayed);
        outbox box({.path = f.file()});
        std::promise<std::int64_t> first;
        box.start([&, given = false]() mutable {
            std::vector<job> out;
            if (!given) box.queue.lease(1, clock::now(), out);
            if (out.empty()) return;
            given = true;
            box.queue.settle(out[0]);
            first.set_value(steps);
        });
        CHECK(first.get_future().get() <= most_until_first);
        for (const auto& j : box.lease(many - 1)) box.queue.settle(j);
        CHECK(box.drained());
    }
}

TEST_CASE("what is submitted while a sender walks past what failed waits for a part of the way") {
    const counted steps_of_all;
    const folder f;
    {
        outbox box({.path = f.file()});
        fill(box, 100);
    }
    execute(
        f.file(),
        "WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 60000) INSERT INTO jobs(place, "
        "state, class, id, submitted, submitter, part, size, facts, envelope, failed) SELECT i, 4, 0, i + 1000000, "
        "submitted, 0, 1, 0, 0, envelope, submitted FROM n, (SELECT * FROM jobs LIMIT 1);"
        "UPDATE totals SET place = 60000, failed = 59001");
    outbox box({.path = f.file()});
    box.start();
    (void)box.lease(100);
    latecomer late(box, 5000);
    CHECK(late.waited() <= most_to_read);
}

TEST_CASE("what is submitted while another process told much waits for a part of it") {
    const counted steps_of_all;
    const folder f;
    outbox box({.path = f.file()});
    std::vector<std::future<told>> ends;
    for (std::size_t i = 0; i < many; ++i) {
        auto j = outbox::make(mail_with("\r\n"));
        std::promise<told> over;
        ends.push_back(over.get_future());
        j.waiter = std::make_unique<promised>(std::move(over));
        REQUIRE_FALSE(box.queue.enqueue(j));
    }
    (void)box.add();
    latecomer late(box, 5000);
    execute(
        f.file(),
        "INSERT INTO outcomes SELECT id, submitter, 9223372036854775807, envelope, '' FROM jobs WHERE submitter <> 0");
    CHECK(late.waited() <= most);
    for (auto& e : ends) CHECK(e.wait_for(patience) == std::future_status::ready);
}
