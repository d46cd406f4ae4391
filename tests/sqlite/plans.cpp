// How SQLite goes about what is asked of a file: by an index, whatever is asked.
#include "sqlite/outbox.hpp"

#include <postroad/queueing/sqlite_journal.hpp>
#include <postroad/queueing/traits.hpp>

#include <algorithm>
#include <map>
#include <mutex>
#include <string_view>
#include <utility>

using namespace sqlite_test;
using queueing::job_filter;
using queueing::journal_filter;

namespace {

/// What the connections that are opened meanwhile do row by row through a whole table, or sort.
class watched {
public:
    watched() { REQUIRE(sqlite3_auto_extension(entry()) == SQLITE_OK); }
    ~watched() { sqlite3_cancel_auto_extension(entry()); }
    watched(const watched&) = delete;
    watched& operator=(const watched&) = delete;

    /// The statements that walked through all of a table, or sorted, since the last time.
    static std::string scans() { return take(scanned); }
    static std::string sorts() { return take(sorted); }
    /// The pages that this thread's statements looked at, since the last time.
    static int pages() { return std::exchange(looked, 0); }
    /// The most steps that a statement with these words in it took at once; 0: there was none.
    static int most_steps(std::string_view words) {
        const std::scoped_lock lock(mutex);
        int most = 0;
        for (const auto& [sql, n] : steps)
            if (sql.find(words) != std::string::npos) most = std::max(most, n);
        return most;
    }

private:
    static int ended(unsigned, void*, void* of, void*) {
        auto* const s = static_cast<sqlite3_stmt*>(of);
        const std::scoped_lock lock(mutex);
        note(scanned, s, SQLITE_STMTSTATUS_FULLSCAN_STEP);
        note(scanned, s, SQLITE_STMTSTATUS_AUTOINDEX);
        note(sorted, s, SQLITE_STMTSTATUS_SORT);
        for (const int what : {SQLITE_DBSTATUS_CACHE_HIT, SQLITE_DBSTATUS_CACHE_MISS}) {
            int n = 0;
            int highest = 0;
            sqlite3_db_status(sqlite3_db_handle(s), what, &n, &highest, 1);
            looked += n;
        }
        auto& most = steps[sqlite3_sql(s)];
        most = std::max(most, sqlite3_stmt_status(s, SQLITE_STMTSTATUS_VM_STEP, 1));
        return 0;
    }
    static void note(std::map<std::string, int>& to, sqlite3_stmt* s, int what) {
        if (const int n = sqlite3_stmt_status(s, what, 1); n > 0) to[sqlite3_sql(s)] += n;
    }
    static std::string take(std::map<std::string, int>& from) {
        const std::scoped_lock lock(mutex);
        std::string all;
        for (const auto& [sql, n] : std::exchange(from, {})) all += std::to_string(n) + " times: " + sql + '\n';
        return all;
    }
    static int install(sqlite3* db, const char**, const void*) {
        return sqlite3_trace_v2(db, SQLITE_TRACE_PROFILE, ended, nullptr);
    }
    static void (*entry())() { return reinterpret_cast<void (*)()>(install); }

    static inline std::mutex mutex;
    static inline std::map<std::string, int> scanned;
    static inline std::map<std::string, int> sorted;
    static inline std::map<std::string, int> steps;
    static inline thread_local int looked = 0;
};

job job_of(const char* tenant, const char* tag, const char* domain, time_point due) {
    auto j = outbox::make(mail_with("Message-ID: <1@x.example>\r\n\r\n", {std::string("u@") + domain}));
    j.tenant = tenant;
    j.tag = tag;
    j.due = due;
    return j;
}
void fill(outbox& box, time_point now) {
    for (const auto* tenant : {"", "a", "b"})
        for (const auto* tag : {"", "a", "b"})
            for (const auto* domain : {"x.example", "y.example"})
                for (const auto due : {time_point::min(), now + 1h})
                    REQUIRE_FALSE(box.submit(job_of(tenant, tag, domain, due)));
}
// Jobs in each state, and entries of the journal.
void send_some(outbox& box, time_point now) {
    auto leased = box.lease(18, now);
    for (std::size_t i = 0; i < leased.size(); ++i) {
        auto& j = leased[i];
        switch (i % 4) {
            case 0: box.queue.keep(std::move(j), job_state::held); break;
            case 1: box.queue.keep(std::move(j), job_state::in_doubt); break;
            case 2: box.queue.put_back(std::move(j)); break;
            default: j.error = errc::timed_out; box.queue.settle(j);
        }
    }
}

}  // namespace

TEST_CASE("whatever is asked of a queue in a file goes by an index") {
    const watched all;
    const folder f;
    const auto now = clock::now();
    outbox box({.path = f.file()});
    box.start();
    fill(box, now);
    send_some(box, now);
    (void)box.list();
    (void)watched::scans();  // of what was looked at as it was opened
    (void)watched::sorts();
    for (std::size_t s = 0; s <= queueing::job_states; ++s)
        for (const auto* tenant : {"", "a"})
            for (const auto* tag : {"", "b"})
                for (const auto* domain : {"", "y.example"}) {
                    job_filter which{.tenant = tenant, .tag = tag, .domain = domain};
                    if (s < queueing::job_states) which.state = static_cast<job_state>(s);
                    (void)box.list(which, now);
                    const bool narrow = which.state || *tenant != 0 || *tag != 0 || *domain != 0;
                    if (!narrow) continue;
                    (void)box.queue.hold(which, now);
                    (void)box.queue.retry_now(which, now);
                }
    for (const auto id : {job_id{1}, box.list().front().id}) {
        (void)box.list({.id = id});
        (void)box.list({.whole = id});
        (void)box.queue.retry_now({.id = id}, now);
    }
    (void)box.queue.overdue({1, 2});
    (void)box.queue.drop({.tag = "a"}, now);
    (void)box.queue.drop({.state = job_state::failed}, now);
    CHECK(watched::scans() == "");
    (void)watched::sorts();  // of those of one time
    queueing::queue_counts counts;
    box.queue.count(now + 1min, counts);
    CHECK(counts.oldest > 0s);
    CHECK(watched::scans() == "");
    CHECK(watched::sorts() == "");
}

TEST_CASE("whoever begins to send looks at no job but those that are next") {
    const watched all;
    const folder f;
    {
        outbox box({.path = f.file()});
        fill(box, clock::now());
    }
    outbox box({.path = f.file()});
    box.start();
    (void)box.lease_one();
    const auto scans = watched::scans();
    CAPTURE(scans);
    CHECK(scans.find("FROM jobs") == std::string::npos);
    // An index of all of them is no better.
    const int looked = watched::most_steps("place < 0");
    CHECK(looked > 0);
    CHECK(looked < 36);
}

TEST_CASE("how many messages wait, and how many failed, is known without counting them") {
    const watched all;
    const auto now = clock::now();
    // Of so many that failed, so many that wait, and a message in parts.
    const auto pages_for = [&](std::size_t n) {
        const folder f;
        outbox box({.path = f.file()});
        box.start();
        const auto add = [&] {
            for (std::size_t i = 1; i < n; ++i) {
                auto j = outbox::make(mail_with("x"));
                REQUIRE_FALSE(box.queue.enqueue(j));
            }
            (void)box.add();
        };
        add();
        for (auto& j : box.lease(n, now)) {
            j.error = errc::timed_out;
            box.queue.settle(j);
        }
        REQUIRE(box.drained());
        REQUIRE_FALSE(box.submit(outbox::make(mail_with("x", {"b@y.example", "c@z.example"}))));
        auto whole = box.lease_one();
        std::vector<job> parts;
        for (const std::uint32_t place : {0u, 1u}) parts.push_back(queueing::part_of(whole, {place}));
        box.queue.divide(std::move(whole), std::move(parts));
        for (auto& p : box.lease(2)) box.queue.release(std::move(p));
        add();
        queueing::queue_counts counts;
        (void)watched::pages();
        box.queue.count(now, counts);
        CHECK(counts.of(job_state::failed) == n);
        CHECK(counts.of(job_state::waiting) == n + 2);
        return watched::pages();
    };
    const auto few = pages_for(400);
    const auto many = pages_for(4000);
    CAPTURE(few);
    CAPTURE(many);
    CHECK(few > 0);
    CHECK(many < few + 10);
}

namespace {

// Of `n` jobs beside one another: what SQL says of the number `i`.
struct crowd {
    const char* what = "";
    job_filter which = {};
    const char* tenant = "NULL";
    const char* tag = "NULL";
    const char* domain = "'x.example'";
    const char* state = "0";
    const char* due = "NULL";
};
void fill(outbox& box, const std::string& path, const crowd& c, int n) {
    (void)box.add();
    execute(path,
            "WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < " + std::to_string(n) +
                "), m(n) AS (SELECT " + std::to_string(n) +
                ") INSERT INTO jobs(place, state, due, class, id, submitted, submitter, part, size, facts, tenant, "
                "tag, envelope, domain) SELECT place + i, " +
                c.state + ", " + c.due + ", 0, 5000000 + i, submitted + i, 0, part, size, facts, " + c.tenant + ", " +
                c.tag + ", replace(envelope, 'y.example', " + c.domain + "), " + c.domain +
                " FROM jobs, k, m WHERE jobs.id < 5000000");
}

}  // namespace

TEST_CASE("what a filter with several members finds does not cost more in a longer queue") {
    const watched all;
    const job_filter both{.tenant = "a", .tag = "b"};
    const crowd crowds[] = {
        {.what = "a tag of which few have the tenant",
         .which = both,
         .tenant = "iif(i > n - 30, 'a', 'c')",
         .tag = "'b'"},
        {.what = "a tag and a tenant, many of both",
         .which = both,
         .tenant = "iif(i < n * 3 / 4, 'a', 'c')",
         .tag = "iif(i > n * 3 / 4 - 30, 'b', 'd')"},
        {.what = "none has both",
         .which = both,
         .tenant = "iif(i < n / 2, 'a', 'c')",
         .tag = "iif(i < n / 2, 'd', 'b')"},
        {.what = "a state of one domain",
         .which = {.state = job_state::failed, .domain = "x.example"},
         .domain = "iif(i < n * 3 / 4, 'x.example', 'z.example')",
         .state = "iif(i > n * 3 / 4 - 30, 4, 0)"},
        {.what = "a tenant, most of whose messages failed",
         .which = {.tenant = "a"},
         .tenant = "'a'",
         .state = "iif(i > n - 30, 0, 4)"},
        {.what = "four members",
         .which = {.state = job_state::held, .tenant = "a", .tag = "b", .domain = "x.example"},
         .tenant = "'a'",
         .tag = "iif(i < n * 3 / 4, 'b', 'd')",
         .state = "iif(i > n * 3 / 4 - 30, 2, 0)"},
        {.what = "few of many that are due later",
         .which = {.state = job_state::waiting, .tenant = "a"},
         .tenant = "'a'",
         .due = "iif(i > n - 30, 1, 4000000000000000000)"},
        {.what = "few that are due later",
         .which = {.state = job_state::delayed},
         .due = "iif(i > n - 30, 4000000000000000000, 1)"},
    };
    for (const auto& c : crowds) {
        CAPTURE(std::string(c.what));
        const auto pages_for = [&](int n) {
            const folder f;
            outbox box({.path = f.file()});
            fill(box, f.file(), c, n);
            std::vector<queueing::job_info> out;
            box.queue.list(c.which, 20, clock::now(), out);
            (void)watched::pages();
            std::vector<queueing::job_info> found;
            box.queue.list(c.which, 20, clock::now(), found);
            CHECK(found.size() == out.size());
            CHECK(found.size() == (std::string_view(c.what) == "none has both" ? 0 : 20));
            return watched::pages();
        };
        const auto few = pages_for(2000);
        const auto many = pages_for(20'000);
        CAPTURE(few);
        CAPTURE(many);
        CHECK(few > 0);
        CHECK(many < few + 150);
    }
}

TEST_CASE(
    "a page of what is rare is found by what makes it rare, and of what is not is looked for some rows at a time") {
    const watched all;
    const folder f;
    outbox box({.path = f.file()});
    const int n = 30'000;
    fill(box, f.file(), {.tenant = "iif(i > n - 30, 'rare', iif(i % 2, 'odd', 'even'))", .tag = "iif(i % 2, 'o', 'e')"},
         n);
    const auto now = clock::now();
    (void)watched::pages();
    auto page = box.queue.page({.tenant = "rare"}, 20, -1, now);
    CHECK(page.jobs.size() == 20);
    REQUIRE(page.next);
    page = box.queue.page({.tenant = "rare"}, 20, *page.next, now);
    CHECK(page.jobs.size() == 10);
    CHECK_FALSE(page.next);
    const auto rare = watched::pages();
    CHECK(rare > 0);
    CHECK(rare < 1000);
    // Whoever wants more of them than there are goes on, and nobody waits for the whole of it.
    std::size_t pages = 0;
    for (std::optional<std::int64_t> after = -1; after; ++pages) {
        page = box.queue.page({.tenant = "odd", .tag = "e"}, 20, *after, now);
        CHECK(page.jobs.empty());
        after = page.next;
    }
    CHECK(pages > 2);
    CHECK(pages < 10);
}

TEST_CASE("whatever is asked of a journal goes by an index") {
    const watched all;
    const folder f;
    const auto now = clock::now();
    outbox box({.path = f.file()});
    box.start();
    fill(box, now);
    send_some(box, now);
    (void)box.queue.drop({.tag = "a"}, now);
    const queueing::sqlite_journal journal(f.file());
    (void)journal.find({}, 1);
    (void)watched::scans();
    (void)watched::sorts();
    const auto then = std::chrono::system_clock::now();
    const journal_filter asked[] = {{},
                                    {.id = 1},
                                    {.recipient = "u@y.example"},
                                    {.sender = "a@x.example"},
                                    {.message_id = "1@x.example"},
                                    {.tenant = "a"},
                                    {.tag = "a"},
                                    {.status = status::rejected},
                                    {.since = then - 1h},
                                    {.before = then + 1h},
                                    {.tenant = "a", .status = status::accepted, .since = then - 1h, .before = then}};
    for (const auto& which : asked) (void)journal.find(which, 5);
    CHECK(watched::scans() == "");
    CHECK(watched::sorts() == "");
}
