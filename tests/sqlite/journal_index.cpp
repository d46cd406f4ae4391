// How entries of the journal are found among many: by which steps, and that none is missed.
#include "sqlite/outbox.hpp"

#include <postroad/queueing/impl/sqlite_journal.ipp>
#include <postroad/queueing/impl/sqlite_schema.ipp>
#include <postroad/queueing/sqlite_journal.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

using namespace sqlite_test;
using queueing::journal_filter;
using queueing::detail::database;
using queueing::detail::journal_search;
using queueing::detail::journal_segment;
using queueing::detail::journal_writer;

namespace {

constexpr std::int64_t second = 1'000'000'000;
constexpr std::int64_t begun = 1'700'000'000 * second;

std::string number_in(const std::string& text, std::int64_t n) { return text + std::to_string(n); }

/// A file with a journal of which each entry is known.
class filled {
public:
    explicit filled(std::int64_t n) { add(n); }
    std::int64_t back = 0;  // the clock was set

    // Of each entry: a recipient and a Message-ID of its own, a sender that all have, one of 100 tenants, a tag that
    // 500 in a row have; each fiftieth is refused.
    void add(std::int64_t n) {
        file_.execute("BEGIN");
        for (const auto end = last_ + n; last_ < end;) {
            const auto i = last_ + 1;
            mail_object m;
            m.envelope.reverse_path = address("a@x.example");
            m.envelope.recipients.push_back(address(number_in("R", i) + "@y.example"));
            job j{.id = static_cast<job_id>(i), .mail = std::make_shared<const mail_object>(std::move(m))};
            name_recipients(j);
            j.result.recipients[0].status = i % 50 == 0 ? status::rejected : status::accepted;
            j.tenant = number_in("t", i % 100);
            j.tag = number_in("c", i / 500);
            put_.run(1, j.id, begun, j.tenant, j.tag, number_in("m", i), queueing::written(j.mail->envelope));
            to_.add(1, begun + i * second - back, queueing::written_progress(j), queueing::detail::keys_of(j), last_);
        }
        file_.execute("COMMIT");
    }
    void erase(std::int64_t until, std::int64_t most, std::int64_t some) {
        file_.execute("BEGIN");
        to_.erase(until, most, last_, some);
        file_.execute("COMMIT");
    }
    queueing::journal_page find(const journal_filter& which, std::size_t limit = 100, std::int64_t from = 0) {
        return from_.find(which, limit, from);
    }
    std::vector<std::int64_t> numbers(const journal_filter& which, std::size_t limit = 100) {
        std::vector<std::int64_t> all;
        for (std::int64_t from = 0;;) {
            const auto page = find(which, limit, from);
            for (const auto& e : page.entries) all.push_back(e.number);
            if (page.next == 0) return all;
            from = page.next;
        }
    }
    // Of SQLite's machine, for one search.
    std::int64_t steps(const journal_filter& which, std::size_t limit = 100) {
        (void)steps_so_far();
        (void)find(which, limit);
        return steps_so_far();
    }
    // How SQLite goes about the statements that read keys.
    std::string plan() {
        std::string all;
        for (auto* s = sqlite3_next_stmt(file_.get(), nullptr); s; s = sqlite3_next_stmt(file_.get(), s)) {
            const std::string sql = sqlite3_sql(s);
            if (sql.starts_with("SELECT") && sql.find("journal_keys") != std::string::npos) {
                queueing::detail::statement explained(file_, "EXPLAIN QUERY PLAN " + sql);
                explained.each([&] {
                    (all += explained.text(3)) += '\n';
                    return true;
                });
            }
        }
        return all;
    }
    // Octets; what is larger than a quarter of a page does not stand beside the others.
    std::int64_t largest_row() { return file_.number("SELECT max(length(found)) FROM journal_keys"); }
    std::int64_t count(const char* table) {
        return file_.number(("SELECT count(*) FROM " + std::string(table)).c_str());
    }

private:
    std::int64_t steps_so_far() {
        std::int64_t all = 0;
        for (auto* s = sqlite3_next_stmt(file_.get(), nullptr); s; s = sqlite3_next_stmt(file_.get(), s))
            all += sqlite3_stmt_status(s, SQLITE_STMTSTATUS_VM_STEP, 1);
        return all;
    }
    static database& prepared(database& file) {
        queueing::detail::sqlite_schema(file).prepare();
        return file;
    }

    folder folder_;
    database file_{folder_.file(), SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE};
    journal_writer to_{prepared(file_)};
    journal_search from_{file_};
    queueing::detail::statement put_{
        file_,
        "REPLACE INTO jobs(place, state, class, id, submitted, submitter, part, size, facts, tenant, tag, message_id, "
        "envelope) VALUES(?, 0, 0, ?, ?, 0, 1, 10, 0, ?, ?, ?, ?)"};
    std::int64_t last_ = 0;
};

queueing::journal_time at(std::int64_t i) {
    return queueing::journal_time(std::chrono::nanoseconds(begun + i * second));
}

}  // namespace

TEST_CASE("entries of full segments and of the last are found alike, none twice and none missed") {
    const auto n = 3 * journal_segment + 700;
    filled f(n);
    const auto all = f.numbers({}, 5000);
    REQUIRE(all.size() == static_cast<std::size_t>(n));
    CHECK(std::ranges::is_sorted(all, std::greater()));
    for (const auto i : {std::int64_t{1}, journal_segment - 1, journal_segment, 2 * journal_segment + 5, n}) {
        CAPTURE(i);
        const std::vector<std::int64_t> one{i};
        CHECK(f.numbers({.id = static_cast<job_id>(i)}) == one);
        CHECK(f.numbers({.recipient = number_in("r", i) + "@Y.EXAMPLE"}) == one);
        CHECK(f.numbers({.message_id = number_in("m", i)}) == one);
        CHECK(
            f.numbers({.recipient = number_in("r", i) + "@y.example", .tenant = number_in("t", i % 100 + 1)}).empty());
        CHECK(f.numbers({.sender = "a@x.example", .since = at(i), .before = at(i + 1)}) == one);
        CHECK(f.numbers({.since = at(i), .before = at(i + 1)}) == one);
    }
    const auto of = [&](auto has) {
        std::vector<std::int64_t> some;
        std::ranges::copy_if(all, std::back_inserter(some), has);
        return some;
    };
    CHECK(f.numbers({.tenant = "t7"}, 13) == of([](auto i) { return i % 100 == 7; }));
    CHECK(f.numbers({.tag = "c11"}, 100) == of([](auto i) { return i / 500 == 11; }));
    CHECK(f.numbers({.status = status::rejected}, 31) == of([](auto i) { return i % 50 == 0; }));
    CHECK(f.numbers({.tenant = "t50", .status = status::rejected}) == of([](auto i) { return i % 100 == 50; }));
    CHECK(f.numbers({.tenant = "t51", .status = status::rejected}).empty());
    CHECK(f.numbers({.sender = "a@x.example"}, 4000) == all);
    CHECK(f.numbers({.tenant = "t7", .since = at(5000), .before = at(9000)}) ==
          of([](auto i) { return i % 100 == 7 && i >= 5000 && i < 9000; }));
}

TEST_CASE("a search goes by the keys, and takes some steps for each segment") {
    filled f(2 * journal_segment);
    CHECK(f.largest_row() <= 1000);
    CHECK(f.plan().find("SCAN journal") == std::string::npos);
    CHECK(f.plan().find("TEMP B-TREE") == std::string::npos);
    struct search {
        const char* what;
        journal_filter which;
    };
    const search searches[] = {{"one recipient", {.recipient = "r17@y.example"}},
                               {"nobody", {.recipient = "nobody@y.example"}},
                               {"Message-ID", {.message_id = "m4000"}},
                               {"two keys", {.tenant = "t51", .status = status::rejected}},
                               {"a time", {.recipient = "r17@y.example", .since = at(10), .before = at(20)}}};
    std::vector<std::int64_t> few;
    for (const auto& s : searches) few.push_back(f.steps(s.which));
    f.add(8 * journal_segment);
    auto before = few.begin();
    for (const auto& s : searches) {
        CAPTURE(s.what);
        // 10 million entries are 2,442 segments.
        CHECK(f.steps(s.which) - *before++ <= 8 * 60);
    }
    // The first page of what many have does not look at the rest.
    const auto page = f.steps({.sender = "a@x.example"}, 100);
    f.add(4 * journal_segment);
    CHECK(f.steps({.sender = "a@x.example"}, 100) <= page + 100);
}

TEST_CASE("a journal is trimmed by age and by number, a slice at a time, and its keys with it") {
    const auto n = 2 * journal_segment + 10;
    filled f(n);
    f.erase(begun + 50 * second, n, 1000);
    CHECK(f.numbers({}, 10'000).back() == 51);
    f.erase(0, n - 100, 30);
    CHECK(f.numbers({}, 10'000).back() == 81);
    f.erase(0, n - 100, 30);
    CHECK(f.numbers({}, 10'000).back() == 101);
    f.erase(0, n - 100, 30);
    CHECK(f.numbers({}, 10'000).back() == 101);
    CHECK(f.numbers({.recipient = "r50@y.example"}).empty());
    const auto keys = f.count("journal_keys");
    f.erase(0, 4000, n);
    CHECK(f.count("journal_keys") < keys * 6 / 10);
    f.erase(std::numeric_limits<std::int64_t>::max(), n, n);
    CHECK(f.count("journal") == 0);
    CHECK(f.count("journal_keys") == 0);
    CHECK(f.numbers({.sender = "a@x.example"}).empty());
    f.add(journal_segment);
    CHECK(f.numbers({.recipient = number_in("r", n + 5) + "@y.example"}).size() == 1);
}

TEST_CASE("times of the journal do not go back with the clock") {
    filled f(10);
    f.back = 3600 * second;
    f.add(5);
    CHECK(f.find({}, 1).entries[0].settled == at(10));
    CHECK(f.numbers({.since = at(10)}) == std::vector<std::int64_t>{15, 14, 13, 12, 11, 10});
    CHECK(f.numbers({.before = at(3)}) == std::vector<std::int64_t>{2, 1});
}
