// A queue in a file with many messages in it: how soon the first goes out, what the process holds, and what looking
// costs. Above 100,000 the rows of those are copied, each with an id of its own and the content of the first.
//
//   bench/backlog [--messages N] [--file PATH]
#include <postroad/postroad.hpp>
#if __has_include(<sqlite3.h>)
#include <postroad/queueing/sqlite.hpp>
#define WITH_SQLITE
#endif

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <future>
#include <mutex>
#include <string>
#include <vector>

#include "peak.hpp"

#ifdef WITH_SQLITE

namespace {

using namespace postroad;
using queueing::job_state;

double ms_since(clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(clock::now() - begin).count();
}

job some_job(job_id id) {
    mail_object m;
    m.envelope.reverse_path = address("sender@example.com");
    m.envelope.recipients.push_back(address("recipient@d" + std::to_string(id % 1000) + ".example"));
    m.content = content::from_text("Subject: bench\r\n\r\n" + std::string(2000, 'x') + "\r\n");
    return {.id = id,
            .mail = std::make_shared<const mail_object>(std::move(m)),
            .submitted = clock::now(),
            .tenant = "t" + std::to_string(id % 100)};
}

double submit(queueing::sqlite& queue, job_id id) {
    const auto begin = clock::now();
    std::promise<error_code> stored;
    auto j = some_job(id);
    j.stored = [&](error_code ec) { stored.set_value(ec); };
    if (queue.enqueue(j) || stored.get_future().get()) std::abort();
    return ms_since(begin);
}

queueing::sqlite_options options(const std::string& path) { return {.path = path, .capacity = 100'000'000}; }

void fill(const std::string& path, job_id n) {
    static constexpr job_id batch = 2000;  // no more than so many are on their way
    queueing::sqlite queue(options(path));
    for (job_id id = 1; id <= n; ++id) {
        auto j = some_job(id);
        if (id % batch == 0)
            (void)submit(queue, id);
        else if (queue.enqueue(j))
            std::abort();
    }
    queue.stop();
}

// Up to `n`, without the sums over rows, which are for those that they were made of. Indexes are made at the end, in
// one go each.
void copy(const std::string& path, job_id has, job_id n) {
    queueing::detail::database db(path, SQLITE_OPEN_READWRITE);
    db.execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -60000");
    for (const auto* index : {"ids", "lines", "domains", "tenants", "delayed"})
        db.execute((std::string("DROP INDEX ") + index).c_str());
    db.execute("CREATE TABLE some AS SELECT * FROM jobs");
    const auto offset = [](job_id by) { return " + " + std::to_string(by); };
    for (job_id at = has; at < n; at += has) {
        const auto by = offset(at);
        db.execute(("INSERT INTO jobs SELECT place" + by + ", state, due, class, id" + by + ", submitted" + by +
                    ", deadline, submitter, part, size, facts, tenant, tag, key, envelope, progress, whole, domain, "
                    "failed, NULL, tried, subject, message_id, cut FROM some LIMIT " +
                    std::to_string(n - at))
                       .c_str());
    }
    db.execute(
        "DROP TABLE some; CREATE INDEX delayed ON jobs(class, due) WHERE due IS NOT NULL; CREATE INDEX ids ON "
        "jobs(id)");
    for (const auto* index : queueing::detail::sqlite_indexes) db.execute(index);
    db.execute(("UPDATE totals SET jobs = " + std::to_string(n) + ", place = " + std::to_string(n)).c_str());
    db.execute("PRAGMA journal_mode = WAL");
}

// What was written without syncs is on the disk: else who begins to send would wait for that.
void settle_on_disk(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0 || ::fsync(fd) != 0) std::abort();
    ::close(fd);
}

// The first of 20,000 that are leased, of which none is accepted: they stay, and are failed.
void begin_to_send(queueing::sqlite& queue) {
    std::mutex mutex;
    std::condition_variable changed;
    bool woken = false;
    queue.start([&] {
        const std::scoped_lock lock(mutex);
        woken = true;
        changed.notify_one();
    });
    const auto begin = clock::now();
    double first = 0;
    std::vector<job> out;
    for (std::size_t n = 0; n < 20'000; n += out.size()) {
        out.clear();
        queue.lease(500, clock::now(), out);
        for (auto& j : out) {
            j.error = errc::timed_out;
            queue.settle(j);
        }
        if (!out.empty() && first == 0) first = ms_since(begin);
        std::unique_lock lock(mutex);
        if (out.empty()) changed.wait(lock, [&] { return woken; });
        woken = false;
    }
    std::printf(
        "first message after %.0f ms; 20,000 given out and settled in %.0f ms; peak of the process, filling included, "
        "%ld MiB\n",
        first, ms_since(begin), peak_kib() / 1024);
    // The callback ends with this function.
    queue.stop();
}

void look(queueing::sqlite& queue, const char* what, const queueing::job_filter& which) {
    double best = 1e9;
    std::vector<queueing::job_info> out;
    for (int i = 0; i < 5; ++i) {
        out.clear();
        const auto begin = clock::now();
        queue.list(which, 100, begin, out);
        best = std::min(best, ms_since(begin));
    }
    std::printf("  list %-24s %3zu of them, %7.2f ms\n", what, out.size(), best);
}

void look_after(queueing::sqlite& queue, job_id n) {
    look(queue, "all", {});
    look(queue, "failed", {.state = job_state::failed});
    look(queue, "in doubt", {.state = job_state::in_doubt});
    look(queue, "a domain", {.domain = "d7.example"});
    look(queue, "a tenant", {.tenant = "t10"});
    look(queue, "failed, of a domain", {.state = job_state::failed, .domain = "d7.example"});
    look(queue, "waiting, of a tenant", {.state = job_state::waiting, .tenant = "t10"});
    look(queue, "a tenant and its domain", {.tenant = "t7", .domain = "d7.example"});
    look(queue, "a tenant and another's", {.tenant = "t8", .domain = "d7.example"});
    look(queue, "one", {.id = n});
    double best = 1e9;
    for (int i = 0; i < 5; ++i) {
        queueing::queue_counts counts;
        const auto begin = clock::now();
        queue.count(begin, counts);
        best = std::min(best, ms_since(begin));
    }
    std::printf("  count %.2f ms\n", best);
    const auto retried = clock::now();
    (void)queue.hold({.id = n - 1}, retried);
    const bool goes = queue.retry_now({.id = n - 1}, retried) == 1;
    std::printf("  hold and retry_now of one %.2f ms%s\n", ms_since(retried), goes ? "" : ": not there");
    auto held = std::async(std::launch::async, [&] { return queue.hold({.tenant = "t11"}, clock::now()); });
    double worst = 0;
    for (job_id i = 1; i <= 30; ++i) worst = std::max(worst, submit(queue, n * 2 + i));
    std::printf("  held %zu; the slowest submit() meanwhile %.1f ms\n", held.get(), worst);
}

}  // namespace

int main(int argc, char** argv) {
    job_id n = 1'000'000;
    std::string file = "postroad-bench.db";
    for (int i = 1; i + 1 < argc; i += 2) {
        if (std::strcmp(argv[i], "--messages") == 0) n = std::max(std::strtoull(argv[i + 1], nullptr, 10), 30'000ull);
        if (std::strcmp(argv[i], "--file") == 0) file = argv[i + 1];
    }
    const auto remove = [&] {
        for (const auto* suffix : {"", "-wal", "-shm", "-lock"}) std::filesystem::remove(file + suffix);
    };
    static constexpr job_id most_made = 100'000;
    remove();
    fill(file, std::min(n, most_made));
    if (n > most_made) copy(file, most_made, n);
    settle_on_disk(file);
    {
        const auto begin = clock::now();
        queueing::sqlite queue(options(file));
        std::printf("%llu messages, %.1f GiB; opened in %.0f ms\n", static_cast<unsigned long long>(n),
                    static_cast<double>(std::filesystem::file_size(file)) / (1 << 30), ms_since(begin));
        begin_to_send(queue);
    }
    {
        queueing::sqlite queue(options(file));
        look_after(queue, n);
    }
    remove();
    return 0;
}

#else
int main() { std::puts("built without SQLite"); }
#endif
