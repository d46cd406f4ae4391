// The journal of a queue in a file: what it adds to the price of a message, and how fast entries are found among many.
//
//   bench/backlog_journal [--messages N] [--entries N] [--file PATH]
#include <postroad/postroad.hpp>
#if __has_include(<sqlite3.h>)
#include <postroad/queueing/sqlite.hpp>
#include <postroad/queueing/sqlite_journal.hpp>
#define WITH_SQLITE
#endif

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <limits>
#include <mutex>
#include <string>
#include <vector>

#ifdef WITH_SQLITE

namespace {

using namespace postroad;
using namespace std::chrono_literals;

double ms_since(clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(clock::now() - begin).count();
}
// Of all threads: neighbours do not count.
double cpu_us() { return static_cast<double>(std::clock()) * 1e6 / CLOCKS_PER_SEC; }

job some_job(job_id id) {
    mail_object m;
    m.envelope.reverse_path = address("sender@example.com");
    m.envelope.recipients.push_back(address("recipient" + std::to_string(id) + "@example.net"));
    m.content = content::from_text("Message-ID: <" + std::to_string(id) + "@example.com>\r\nSubject: Your invoice " +
                                   std::to_string(id) + "\r\n\r\n" + std::string(2000, 'x') + "\r\n");
    return {.id = id,
            .mail = std::make_shared<const mail_object>(std::move(m)),
            .submitted = clock::now(),
            .tenant = "tenant" + std::to_string(id % 100),
            .tag = "campaign" + std::to_string(id / 10'000)};
}
void answer(job& j) {
    name_recipients(j);
    j.result.attempts = 1;
    for (auto& r : j.result.recipients) {
        r.status = j.id % 100 == 0 ? status::rejected : status::accepted;
        r.where = phase::content;
        r.reply = {.code = static_cast<std::uint16_t>(j.id % 100 == 0 ? 550 : 250),
                   .text = "2.0.0 Ok: queued as 4dXyZ"};
    }
}
void remove_all(const std::string& file) {
    for (const auto* suffix : {"", "-wal", "-shm", "-lock"}) std::filesystem::remove(file + suffix);
}

// Microseconds of CPU a message: stored, leased, marked and settled, in batches of 64.
double price(const std::string& file, job_id n, std::chrono::seconds kept) {
    remove_all(file);
    queueing::sqlite queue(queueing::sqlite_options{.path = file, .kept = 0s, .journal_kept = kept});
    std::mutex mutex;
    std::condition_variable changed;
    std::uint64_t wakes = 0;
    queue.start([&] {
        const std::scoped_lock lock(mutex);
        ++wakes;
        changed.notify_one();
    });
    const auto wait_for = [&](auto done) {
        std::unique_lock lock(mutex);
        for (auto seen = wakes;; seen = wakes) {
            lock.unlock();
            const bool is_done = done();
            lock.lock();
            if (is_done) return;
            changed.wait(lock, [&] { return wakes != seen; });
        }
    };
    static constexpr std::size_t batch = 64;
    const auto begin = cpu_us();
    std::vector<job> out;
    std::vector<job_id> marked;
    for (job_id id = 0; id < n;) {
        for (std::size_t i = 0; i < batch; ++i) {
            auto j = some_job(++id);
            if (queue.enqueue(j)) std::abort();
        }
        out.clear();
        wait_for([&] {
            queue.lease(batch - out.size(), clock::now(), out);
            return out.size() == batch;
        });
        for (const auto& j : out) queue.mark(j.id);
        marked.clear();
        wait_for([&] {
            queue.marked(marked);
            return marked.size() == batch;
        });
        for (auto& j : out) {
            answer(j);
            queue.settle(j);
        }
    }
    wait_for([&] { return queue.drained(clock::now()); });
    const auto took = cpu_us() - begin;
    queue.stop();
    return took / static_cast<double>(n);
}

void compare(const std::string& file, job_id n) {
    double with = 1e9;
    double without = 1e9;
    // By turns, the best of each: neighbours come and go.
    for (int i = 0; i < 5; ++i) {
        without = std::min(without, price(file, n, 0s));
        with = std::min(with, price(file, n, std::chrono::hours(24)));
    }
    remove_all(file);
    std::printf("a durable message, batches of 64: %.1f us of CPU without a journal, %.1f us with one, %+.1f %%\n",
                without, with, (with / without - 1) * 100);
}

// When entry `n` was settled.
std::int64_t time_of(std::int64_t n) { return 1'700'000'000'000'000'000 + n * 1'000'000; }

// Entries as a sender writes them, without the messages.
void fill(const std::string& file, job_id n) {
    { const queueing::sqlite made(file); }
    queueing::detail::database db(file, SQLITE_OPEN_READWRITE);
    queueing::detail::sqlite_schema(db).prepare();
    db.execute("PRAGMA synchronous = OFF");
    queueing::detail::journal_writer to(db);
    queueing::detail::statement put(db,
                                    "REPLACE INTO jobs(place, state, class, id, submitted, tried, submitter, part, "
                                    "size, facts, tenant, tag, subject, "
                                    "message_id, envelope) VALUES(1, 0, 0, ?, ?, ?, 0, 1, 2000, 0, ?, ?, ?, ?, ?)");
    const auto begin = clock::now();
    std::int64_t last = 0;
    double worst = 0;
    for (job_id id = 1; id <= n;) {
        db.execute("BEGIN");
        for (int i = 0; i < 500 && id <= n; ++i, ++id) {
            auto j = some_job(id);
            answer(j);
            const auto now = time_of(static_cast<std::int64_t>(id));
            put.run(id, now, now, j.tenant, j.tag, "Your invoice " + std::to_string(id),
                    std::to_string(id) + "@example.com", queueing::written(j.mail->envelope));
            const auto added = clock::now();
            to.add(1, now, queueing::written_progress(j), queueing::detail::keys_of(j), last);
            worst = std::max(worst, ms_since(added));
        }
        db.execute("COMMIT");
    }
    db.execute("DELETE FROM jobs");
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    std::printf("%llu entries in %.0f s; the slowest took %.1f ms, the keys of its segment with it; %.0f octets each\n",
                static_cast<unsigned long long>(n), ms_since(begin) / 1000, worst,
                static_cast<double>(std::filesystem::file_size(file)) / static_cast<double>(n));
}

void find(const queueing::sqlite_journal& in, const char* what, const queueing::journal_filter& which) {
    double best = 1e9;
    std::size_t found = 0;
    for (int i = 0; i < 5; ++i) {
        const auto begin = clock::now();
        found = in.find(which, 100).entries.size();
        best = std::min(best, ms_since(begin));
    }
    std::printf("  %-34s %3zu of them, %7.2f ms\n", what, found, best);
}

void search(const std::string& file, job_id n) {
    const queueing::sqlite_journal journal(file);
    const auto middle = std::to_string(n / 2);
    find(journal, "the last", {});
    find(journal, "a recipient", {.recipient = "recipient" + middle + "@example.net"});
    find(journal, "a recipient who got nothing", {.recipient = "nobody@example.net"});
    find(journal, "a Message-ID", {.message_id = middle + "@example.com"});
    find(journal, "an id", {.id = n / 2});
    find(journal, "a sender that all have", {.sender = "sender@example.com"});
    find(journal, "a tenant of 100", {.tenant = "tenant7"});
    find(journal, "a tag of 10,000", {.tag = "campaign" + std::to_string(n / 20'000)});
    find(journal, "refused", {.status = status::rejected});
    find(journal, "a tenant's, refused: none", {.tenant = "tenant7", .status = status::rejected});
    find(journal, "refused in an hour",
         {.status = status::rejected,
          .since = queueing::journal_time(std::chrono::seconds(1'700'000'000 + n / 2000)),
          .before = queueing::journal_time(std::chrono::seconds(1'700'000'000 + n / 2000 + 3600))});
}

// The oldest three segments, as a sender erases them beside its work: 50 entries a transaction.
void trim(const std::string& file, job_id n) {
    static constexpr std::int64_t some = 50;
    const auto over = std::min(static_cast<std::int64_t>(n), 3 * queueing::detail::journal_segment);
    queueing::detail::database db(file, SQLITE_OPEN_READWRITE);
    db.execute("PRAGMA synchronous = OFF");  // it is part of a transaction that settles
    queueing::detail::journal_writer in(db);
    double all = 0;
    double worst = 0;
    for (std::int64_t erased = 0; erased < over; erased += some) {
        const auto begin = clock::now();
        db.execute("BEGIN");
        in.erase(time_of(over), std::numeric_limits<std::int64_t>::max(), static_cast<std::int64_t>(n), some);
        db.execute("COMMIT");
        all += ms_since(begin);
        worst = std::max(worst, ms_since(begin));
    }
    std::printf("  the oldest %lld erased, %lld at a time: %.2f ms each time, the slowest %.1f ms\n",
                static_cast<long long>(over), static_cast<long long>(some),
                all * static_cast<double>(some) / static_cast<double>(over), worst);
}

}  // namespace

int main(int argc, char** argv) {
    job_id messages = 20'000;
    job_id entries = 1'000'000;
    std::string file = "postroad-bench.db";
    for (int i = 1; i + 1 < argc; i += 2) {
        if (std::strcmp(argv[i], "--messages") == 0) messages = std::strtoull(argv[i + 1], nullptr, 10) / 64 * 64;
        if (std::strcmp(argv[i], "--entries") == 0) entries = std::strtoull(argv[i + 1], nullptr, 10);
        if (std::strcmp(argv[i], "--file") == 0) file = argv[i + 1];
    }
    remove_all(file);
    if (messages > 0) compare(file, messages);
    if (entries > 0) {
        fill(file, entries);
        search(file, entries);
        trim(file, entries);
        remove_all(file);
    }
    return 0;
}

#else
int main() { std::puts("built without SQLite"); }
#endif
