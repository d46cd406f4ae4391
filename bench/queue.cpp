// What queues cost: in memory, and on a disk beside a plain loop over SQLite and the disk itself.
//
//   bench/queue [--memory JOBS] [--durable JOBS] [--file PATH]
#include <postroad/postroad.hpp>
#if __has_include(<sqlite3.h>)
#include <postroad/queueing/sqlite.hpp>
#define WITH_SQLITE
#endif

#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

namespace {

using namespace postroad;

double seconds_since(clock::time_point begin) { return std::chrono::duration<double>(clock::now() - begin).count(); }

mail_ptr some_mail() {
    auto m = std::make_shared<mail_object>();
    m->envelope.reverse_path = address("sender@example.com");
    m->envelope.recipients.push_back(address("recipient@example.net"));
    m->content = content::from_text("Subject: bench\r\n\r\n" + std::string(2000, 'x') + "\r\n");
    return m;
}

// The mail is shared, as in a campaign with one text: what a job itself takes is measured.
void in_memory(std::size_t n) {
    queueing::memory queue{.capacity = n, .octets = std::uint64_t(-1)};
    const auto mail = some_mail();
    const auto before = ::mallinfo2().uordblks + ::mallinfo2().hblkhd;
    auto begin = clock::now();
    for (std::size_t i = 0; i < n; ++i) {
        job j{.id = i + 1, .mail = mail};
        if (queue.enqueue(j)) std::abort();
    }
    const auto enqueued = seconds_since(begin);
    const auto octets = ::mallinfo2().uordblks + ::mallinfo2().hblkhd - before;
    std::vector<job> out;
    begin = clock::now();
    for (std::size_t i = 0; i < n; i += out.size()) {
        out.clear();
        queue.lease(64, begin, out);
        for (const auto& j : out) queue.settle(j);
    }
    const auto dequeued = seconds_since(begin);
    const auto each = 1e9 / static_cast<double>(n);
    std::printf("memory: %zu jobs, enqueue %.0f ns, lease and settle %.0f ns, %.0f octets a job\n", n, enqueued * each,
                dequeued * each, static_cast<double>(octets) / static_cast<double>(n));
}

#ifdef WITH_SQLITE

void syncs(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
    const std::vector<char> page(4096, 'x');
    const auto begin = clock::now();
    int n = 0;
    for (; seconds_since(begin) < 1; ++n)
        if (::pwrite(fd, page.data(), page.size(), (n % 256) * 4096) < 0 || ::fdatasync(fd) != 0) std::abort();
    ::close(fd);
    std::filesystem::remove(path);
    std::printf("disk: %d writes of 4 KiB with fdatasync a second\n", n);
}

// Each batch is stored, leased, marked and settled before the next: three transactions.
void durable(const std::string& path, std::size_t n, std::size_t batch) {
    queueing::sqlite queue(path);
    std::mutex mutex;
    std::condition_variable changed;
    std::size_t wakes = 0;
    std::size_t stored = 0;
    queue.start([&] {
        const std::scoped_lock lock(mutex);
        ++wakes;
        changed.notify_one();
    });
    const auto until = [&](auto done) {
        for (;;) {
            std::unique_lock lock(mutex);
            const auto seen = wakes;
            lock.unlock();
            if (done()) return;
            lock.lock();
            changed.wait(lock, [&] { return wakes != seen; });
        }
    };
    const auto mail = some_mail();
    until([&] { return queue.sends(); });
    const auto begin = clock::now();
    std::vector<job> out;
    std::vector<job_id> marks;
    for (std::size_t i = 0; i < n; i += batch) {
        stored = 0;
        for (std::size_t k = 0; k < batch; ++k) {
            job j{.id = i + k + 1, .mail = mail, .submitted = begin};
            j.stored = [&](error_code ec) {
                if (ec) std::abort();
                const std::scoped_lock lock(mutex);
                ++stored;
            };
            if (queue.enqueue(j)) std::abort();
        }
        out.clear();
        marks.clear();
        until([&] {
            const auto had = out.size();
            queue.lease(batch - had, begin, out);
            for (auto at = had; at < out.size(); ++at) queue.mark(out[at].id);
            queue.marked(marks);
            return marks.size() == batch;
        });
        for (const auto& j : out) queue.settle(j);
    }
    until([&] { return queue.drained(begin); });
    std::printf("sqlite, batches of %zu: %.0f messages a second stored, leased, marked and settled\n", batch,
                static_cast<double>(n) / seconds_since(begin));
    queue.stop();
}

// The least that SQLite can do for the same: one table, three transactions a batch.
void plain(const std::string& path, std::size_t n, std::size_t batch) {
    sqlite3* db = nullptr;
    const auto run = [&](const char* sql) {
        if (sqlite3_exec(db, sql, nullptr, nullptr, nullptr) != SQLITE_OK) std::abort();
    };
    if (sqlite3_open(path.c_str(), &db) != SQLITE_OK) std::abort();
    run("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;"
        "CREATE TABLE jobs(id INTEGER PRIMARY KEY, state INTEGER, content BLOB)");
    const auto prepare = [&](const char* sql) {
        sqlite3_stmt* s = nullptr;
        if (sqlite3_prepare_v2(db, sql, -1, &s, nullptr) != SQLITE_OK) std::abort();
        return s;
    };
    auto* const insert = prepare("INSERT INTO jobs VALUES(?, 0, ?)");
    auto* const mark = prepare("UPDATE jobs SET state = 1 WHERE id = ?");
    auto* const erase = prepare("DELETE FROM jobs WHERE id = ?");
    const auto text = std::string(some_mail()->content.text());
    const auto begin = clock::now();
    for (std::size_t i = 0; i < n; i += batch)
        for (auto* const s : {insert, mark, erase}) {
            run("BEGIN IMMEDIATE");
            for (std::size_t k = 0; k < batch; ++k) {
                sqlite3_bind_int64(s, 1, static_cast<sqlite3_int64>(i + k));
                if (s == insert) sqlite3_bind_blob64(s, 2, text.data(), text.size(), SQLITE_STATIC);
                if (sqlite3_step(s) != SQLITE_DONE) std::abort();
                sqlite3_reset(s);
            }
            run("COMMIT");
        }
    std::printf("plain SQLite, batches of %zu: %.0f messages a second\n", batch,
                static_cast<double>(n) / seconds_since(begin));
    for (auto* const s : {insert, mark, erase}) sqlite3_finalize(s);
    sqlite3_close(db);
}

void on_disk(const std::string& path, std::size_t n) {
    const auto clean = [&] {
        for (const auto* suffix : {"", "-wal", "-shm", "-lock"}) std::filesystem::remove(path + suffix);
    };
    clean();
    syncs(path);
    for (const std::size_t batch : {1, 64}) {
        const auto jobs = batch == 1 ? n / 64 : n / batch * batch;
        plain(path, jobs, batch);
        clean();
        durable(path, jobs, batch);
        clean();
    }
}

#else

void on_disk(const std::string&, std::size_t) { std::printf("sqlite: left out, it is not installed\n"); }

#endif

}  // namespace

int main(int argc, char** argv) {
    std::size_t memory = 10'000'000;
    std::size_t durable = 64'000;
    std::string file = "postroad-bench.db";
    for (int i = 1; i + 1 < argc; i += 2) {
        if (std::strcmp(argv[i], "--memory") == 0) memory = std::strtoul(argv[i + 1], nullptr, 10);
        if (std::strcmp(argv[i], "--durable") == 0) durable = std::strtoul(argv[i + 1], nullptr, 10);
        if (std::strcmp(argv[i], "--file") == 0) file = argv[i + 1];
    }
    if (memory > 0) in_memory(memory);
    if (durable > 0) on_disk(file, durable);
}
