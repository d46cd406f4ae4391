// What goes wrong with the file: named, and nothing is lost.
#include "failure.hpp"
#include "seeds.hpp"
#include "sqlite/disk.hpp"
#include "sqlite/outbox.hpp"

#include <postroad/queueing/sqlite_journal.hpp>

#include <algorithm>
#include <fstream>
#include <random>
#include <set>

#include <sys/resource.h>
#include <csignal>

using namespace sqlite_test;

namespace {

void write_file(const std::string& path, std::string_view octets) { std::ofstream(path, std::ios::binary) << octets; }

/// What the constructor says, up to the name of the file and behind it.
::failure opening(const std::string& path) {
    return failure_of([&] { const queueing::sqlite q(path); });
}
bool says(const ::failure& e, std::string_view words) { return e.text.find(words) != std::string::npos; }

}  // namespace

TEST_CASE("a file that cannot be a queue is refused by name, and left as it is") {
    const folder f;
    write_file(f.file("text"),
               "not a database, but long enough to have a header that can be looked at" + std::string(500, '.'));
    auto e = opening(f.file("text"));
    CHECK(e.code == errc::storage_damaged);
    CHECK(says(e, "is not a database: move it away"));

    execute(f.file("theirs"), "CREATE TABLE users(name)");
    e = opening(f.file("theirs"));
    CHECK(e.code == errc::storage_damaged);
    CHECK(says(e, "of another program: name another file"));
    CHECK_FALSE(std::filesystem::exists(f.file("theirs-wal")));

    e = opening(f.file("no/such/folder"));
    CHECK(e.code == errc::storage_unusable);
    CHECK(says(e, "No such file or directory"));
    e = opening("");
    CHECK(e.code == errc::invalid_option);
    CHECK(failure_of([&] { const queueing::sqlite q(sqlite_options{.path = f.file(), .capacity = 0}); }).code ==
          errc::invalid_option);
}

TEST_CASE("an empty file becomes a queue; one of a newer version is refused") {
    const folder f;
    write_file(f.file(), "");
    {
        outbox box({.path = f.file()});
        (void)box.add();
    }
    CHECK(outbox({.path = f.file()}).queue.size() == 1);
    execute(f.file(), "PRAGMA user_version = 99");
    const auto e = opening(f.file());
    CHECK(e.code == errc::storage_damaged);
    CHECK(says(e, "it was written by a newer version (schema 99, and this one knows 4)"));
    execute(f.file(), "PRAGMA user_version = 4");
    CHECK(outbox({.path = f.file()}).queue.size() == 1);
}

TEST_CASE("a damaged file is named when the damage is met, and nothing is sent from it") {
    const folder f;
    {
        outbox box({.path = f.file()});
        for (int i = 0; i < 200; ++i) (void)box.add("Subject: " + std::string(2000, 'x') + "\r\n");
    }
    std::string octets;
    {
        std::ifstream in(f.file(), std::ios::binary);
        octets.assign(std::istreambuf_iterator<char>(in), {});
    }
    REQUIRE(octets.size() > 100'000);
    std::fill(octets.begin() + 4096, octets.end(), '\xff');
    write_file(f.file(), octets);
    const auto e = failure_of([&] {
        outbox box({.path = f.file()});
        std::vector<queueing::job_info> out;
        box.queue.list({}, 1000, clock::now(), out);
    });
    CHECK(e.code == errc::storage_damaged);
    CHECK(says(e, "it is damaged"));
    CHECK(says(e, ".recover"));
}

TEST_CASE("a job that makes no sense is put aside and shown; the others go on") {
    const folder f;
    {
        outbox box({.path = f.file()});
        (void)box.add();
        (void)box.add();
    }
    execute(f.file(), "UPDATE jobs SET envelope = 'to nobody@' WHERE place = (SELECT min(place) FROM jobs)");
    outbox box({.path = f.file()});
    box.start();
    const auto j = box.lease_one();
    CHECK(box.drained());
    const auto all = box.list();
    REQUIRE(all.size() == 1);
    CHECK(all[0].state == job_state::held);
    CHECK(all[0].error.starts_with("a stored job cannot be read: "));
    CHECK(box.queue.drop({.state = job_state::held}, clock::now()).size() == 1);
    box.queue.settle(j);
    CHECK(box.queue.size() == 0);
}

TEST_CASE("what another program's lock keeps out waits for it once, whatever else is to be written") {
    auto& d = disk::use();
    const folder f;
    outbox box({.path = f.file()});
    box.start();
    (void)box.add();
    auto sent = box.lease_one();
    box.mark(sent.id);
    auto* const other = open_beside(f.file());
    REQUIRE(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) == SQLITE_OK);
    d.hurry();
    auto report = outbox::make(mail_with("\r\n"));
    report.reports = true;
    CHECK_FALSE(box.queue.enqueue(report));
    sent.error = errc::timed_out;
    box.queue.settle(sent);
    auto j = outbox::make(mail_with("\r\n"));
    std::promise<std::pair<error_code, std::chrono::microseconds>> answered;
    const auto before = d.slept();
    j.stored = [&](error_code ec) { answered.set_value({ec, d.slept() - before}); };
    CHECK_FALSE(box.queue.enqueue(j));
    const auto [ec, waited] = answered.get_future().get();
    CHECK(ec == errc::storage_failed);
    CHECK(waited >= 9s);
    // What was under way before may take as long again.
    CHECK(waited <= 21s);
    d.heal();
    REQUIRE(sqlite3_exec(other, "ROLLBACK", nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(other);
    // Then what waited is written: it is over, and the report is there.
    CHECK(box.lease_one().mail->content.text() == "\r\n");
    CHECK(box.wait([&] { return box.queue.size() == 1; }));
}

TEST_CASE("a full disk refuses messages by name, and takes them again when there is room") {
    auto& d = disk::use();
    const folder f;
    outbox box({.path = f.file()});
    box.start();
    const auto first = box.add();
    auto sent = box.lease_one();
    CHECK(sent.id == first);
    box.mark(first);

    d.limit(300'000);
    const auto submit = [&] { return box.submit(outbox::make(mail_with("Subject: " + std::string(40'000, 'x')))); };
    std::size_t taken = 0;
    for (std::size_t refused = 0; refused < 3;) {
        const auto ec = submit();
        if (!ec) {
            // The log begins anew once its room is free.
            ++taken;
            refused = 0;
            continue;
        }
        ++refused;
        CHECK(ec == errc::storage_full);
        CHECK(ec == condition::transient);
        CHECK(box.queue.size() == taken + 1);
    }
    CHECK(taken > 1);
    // That it is over may not fit either: it does not go again all the same.
    box.queue.settle(sent);
    CHECK(box.queue.size() == taken);
    d.heal();
    CHECK_FALSE(submit());
    for (const auto& j : box.lease(taken + 1)) {
        CHECK(j.id != first);
        box.queue.settle(j);
    }
    CHECK(box.drained());
    box.queue.stop();
    CHECK(outbox({.path = f.file()}).queue.size() == 0);
}

TEST_CASE("that nothing can go since the disk is full is told by count(), until there is room") {
    auto& d = disk::use();
    const folder f;
    outbox box({.path = f.file()});
    box.start();
    (void)box.add();
    const auto sent = box.lease_one();
    const auto troubles = [&] {
        queueing::queue_counts counts;
        box.queue.count(clock::now(), counts);
        return counts.troubles;
    };
    CHECK(troubles().empty());
    d.limit(0);
    box.queue.mark(sent.id);
    REQUIRE(box.wait([&] { return !troubles().empty(); }));
    const auto found = troubles().at(0);
    CHECK(found.name == f.file());
    CHECK(found.error == errc::storage_full);
    CHECK(found.why.find("there is no room") != std::string::npos);
    CHECK(found.waiting == 1);
    d.heal();
    std::vector<job_id> marks;
    CHECK(box.wait([&] {
        box.queue.marked(marks);
        return !marks.empty();
    }));
    CHECK(troubles().empty());
    box.queue.settle(sent);
    CHECK(box.drained());
}

TEST_CASE("a disk that cannot be written any more refuses messages for now, and takes them again when it can") {
    auto& d = disk::use();
    const folder f;
    outbox box({.path = f.file()});
    box.start();
    (void)box.add();
    for (const int why : {SQLITE_READONLY, SQLITE_IOERR_WRITE}) {
        CAPTURE(why);
        d.fail(1, why, 1'000'000);
        std::promise<told> over;
        auto end = over.get_future();
        auto j = outbox::make(mail_with("Subject: x\r\n\r\n"));
        j.waiter = std::make_unique<promised>(std::move(over));
        const auto ec = box.submit(std::move(j));
        CHECK(ec == errc::storage_failed);
        CHECK(ec == condition::transient);
        CHECK(end.get().result.details.explanation.find(f.file()) != std::string::npos);
        d.heal();
        (void)box.add();
    }
    for (const auto& j : box.lease(3)) box.queue.settle(j);
    CHECK(box.drained());
}

TEST_CASE("a file that another program has locked is waited for") {
    const folder f;
    outbox box({.path = f.file()});
    auto* const theirs = open_beside(f.file());
    REQUIRE(sqlite3_exec(theirs, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) == SQLITE_OK);
    std::promise<error_code> stored;
    auto j = outbox::make(mail_with("\r\n"));
    j.stored = [&](error_code ec) { stored.set_value(ec); };
    REQUIRE_FALSE(box.queue.enqueue(j));
    CHECK(sqlite3_exec(theirs, "COMMIT", nullptr, nullptr, nullptr) == SQLITE_OK);
    CHECK_FALSE(stored.get_future().get());
    sqlite3_close(theirs);
}

TEST_CASE("whichever write fails, what was stored is there, and what was marked is in doubt") {
    auto& d = disk::use();
    bool all_failed = true;
    for (const int rc : {SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC})
        for (int n = 1; n < 500; n += 1 + n / 16) {
            CAPTURE(rc);
            CAPTURE(n);
            const folder f;
            std::set<job_id> stored;
            std::set<job_id> settled;
            std::set<job_id> marked;
            {
                outbox box({.path = f.file()});
                box.start();
                REQUIRE(box.wait([&] { return box.queue.sends(); }));
                d.fail(n, rc, 3);
                for (int i = 0; i < 6; ++i) {
                    auto j = outbox::make(mail_with("Subject: x\r\n"));
                    const auto id = j.id;
                    const auto ec = box.submit(std::move(j));
                    CHECK((!ec || ec == errc::storage_full || ec == errc::storage_failed));
                    if (!ec) stored.insert(id);
                }
                const auto jobs = box.lease(stored.size());
                for (const auto& j : jobs) box.queue.mark(j.id);
                std::vector<job_id> marks;
                CHECK(box.wait([&] {
                    box.queue.marked(marks);
                    return marks.size() == jobs.size();
                }));
                marked.insert(marks.begin(), marks.end());
                for (std::size_t i = 0; i < jobs.size() / 2; ++i) {
                    settled.insert(jobs[i].id);
                    box.queue.settle(jobs[i]);
                }
                CHECK(box.queue.size() == stored.size() - settled.size());
                all_failed = d.failed();
                d.heal();
                CHECK(box.drained());
            }
            outbox box({.path = f.file()});
            box.start();
            for (const auto& j : box.lease(stored.size() - settled.size())) {
                CHECK(stored.contains(j.id));
                CHECK_FALSE(settled.contains(j.id));
                CHECK(j.interrupted);
            }
            CHECK(box.drained());
            // In the journal is what is over, once.
            std::multiset<job_id> over;
            for (const auto& e : queueing::sqlite_journal(f.file()).find({}).entries) over.insert(e.id);
            CHECK(over == std::multiset<job_id>(settled.begin(), settled.end()));
            if (!all_failed) break;
        }
    CHECK_FALSE(all_failed);
}

TEST_CASE("after a power cut at any time, what was stored is there, and what was marked is in doubt") {
    auto& d = disk::use();
    const auto seed = any_seed();
    CAPTURE(seed);
    std::mt19937 random(seed);
    for (int round = 0; round < 6; ++round) {
        const folder f;
        std::mutex mutex;
        std::set<job_id> stored;
        std::set<job_id> settled;
        std::set<job_id> marked;
        outbox box({.path = f.file()});
        box.start();
        std::vector<job> leased;
        const auto collect = [&] {
            std::vector<job_id> marks;
            box.queue.marked(marks);
            const std::scoped_lock lock(mutex);
            marked.insert(marks.begin(), marks.end());
        };
        for (int step = 0; step < 150; ++step) {
            const auto what = random() % 8;
            if (what < 3) {
                auto j = outbox::make(mail_with("Subject: " + std::string(random() % 9000, 'x') + "\r\n"));
                j.stored = [&, id = j.id](error_code ec) {
                    const std::scoped_lock lock(mutex);
                    if (!ec) stored.insert(id);
                };
                CHECK_FALSE(box.queue.enqueue(j));
            } else if (what < 5) {
                const auto had = leased.size();
                box.queue.lease(1 + random() % 4, clock::now(), leased);
                for (auto i = had; i < leased.size(); ++i) box.queue.mark(leased[i].id);
            } else if (what == 5) {
                collect();
            } else if (!leased.empty()) {
                const auto& j = leased.back();
                const std::scoped_lock lock(mutex);
                if (what == 6) {
                    settled.insert(j.id);
                    box.queue.settle(j);
                } else {
                    // No longer known to be marked.
                    marked.erase(j.id);
                    settled.insert(j.id);
                    box.queue.release(std::move(leased.back()));
                }
                leased.pop_back();
            }
            if (random() % 10 != 0) continue;
            collect();
            std::set<job_id> wanted;
            std::set<job_id> doubtful;
            std::set<job_id> known;
            const folder after;
            {
                const std::scoped_lock lock(mutex);
                std::ranges::set_difference(stored, settled, std::inserter(wanted, wanted.end()));
                std::ranges::set_difference(marked, settled, std::inserter(doubtful, doubtful.end()));
                d.cut_power(f.file(), after.file(), random);
                known = stored;
            }
            outbox next({.path = after.file()});
            next.start();
            std::set<job_id> found;
            CHECK(next.wait([&] { return next.queue.size() == 0 || next.queue.next_due() <= clock::now(); }));
            for (const auto& j : next.lease(next.queue.size())) {
                found.insert(j.id);
                if (doubtful.contains(j.id)) CHECK(j.interrupted);
                CHECK(whole(j).starts_with("Subject: "));
                CHECK(whole(j).ends_with("\r\n"));
            }
            CHECK(std::ranges::includes(found, wanted));
            // Each is there, or over by the journal: one of the two.
            std::set<job_id> over;
            for (const auto& e : queueing::sqlite_journal(after.file()).find({}, 1000).entries) {
                CHECK(over.insert(e.id).second);
                CHECK_FALSE(found.contains(e.id));
            }
            for (const auto id : known) CHECK((found.contains(id) || over.contains(id)));
        }
        const std::scoped_lock lock(mutex);
        CHECK_FALSE(stored.empty());
    }
}
