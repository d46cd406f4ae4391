// Files that are none, or somebody else's, or older than they were; and what becomes of a file when nothing is done.
#include "sqlite/disk.hpp"
#include "sqlite/outbox.hpp"

#include <postroad/queueing/suppression_sqlite.hpp>

#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <string>
#include <thread>

using namespace sqlite_test;

namespace {

error_code refused(const std::string& path, const std::string& why) {
    try {
        const queueing::sqlite q(path);
    } catch (const error& e) {
        CAPTURE(e.details().explanation);
        CHECK(e.details().explanation.find(why) != std::string::npos);
        return e.code();
    }
    return {};
}

bool is_sound(const std::string& path) {
    return number(path, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'") == 0;
}

// A message that a server has refused, and that is not over yet.
job refused_one(outbox& box) {
    (void)box.add();
    auto j = box.lease_one();
    box.mark(j.id);
    name_recipients(j);
    j.result.recipients[0].status = status::rejected;
    return j;
}

}  // namespace

TEST_CASE("what is no file is not taken for a queue") {
    const folder f;
    CHECK(refused(f.path.string(), "it is a folder: name a file in it") == errc::storage_unusable);
    CHECK(refused("/dev/null", "is no file") == errc::storage_unusable);
    REQUIRE(::mkfifo(f.file("pipe").c_str(), 0600) == 0);
    CHECK(refused(f.file("pipe"), "is no file") == errc::storage_unusable);
    { const queueing::sqlite made(f.file()); }
    CHECK(refused(f.file() + "/below", "must be a folder") == errc::storage_unusable);
}

TEST_CASE("a path at which nothing can be stored is refused for good, and the folder is named") {
    const folder f;
    CHECK(refused(f.file("none/outbox.db"), "make the folder '" + f.file("none") + "'") == errc::storage_unusable);
    CHECK(refused("/" + std::string(300, 'x'), "name") == errc::storage_unusable);
    CHECK(make_error_code(errc::storage_unusable) == condition::permanent);
    CHECK_FALSE(make_error_code(errc::storage_unusable) == condition::transient);

    { const queueing::sqlite made(f.file()); }
    { const queueing::sqlite made(f.file("locked.db")); }
    REQUIRE(::chmod(f.file("locked.db").c_str(), 0400) == 0);
    // Everything is allowed to root.
    const auto me = ::geteuid();
    const bool is_other = me == 0 && ::chmod(f.path.c_str(), 0755) == 0 &&
                          ::chown(f.file("locked.db").c_str(), 65534, 0) == 0 && ::seteuid(65534) == 0;
    const auto unmade = f.file("new.db");
    if (is_other) CHECK(refused(unmade, "make and write files in '" + f.path.string() + "'") == errc::storage_unusable);
    CHECK(refused(f.file("locked.db"), "allowed to read and write it") == errc::storage_unusable);
    if (is_other) {
        CHECK(refused(f.file(), "allowed to read and write it") == errc::storage_unusable);
        REQUIRE(::seteuid(me) == 0);
    }
}

TEST_CASE("a name with a NUL is refused, and no file of half the name is made") {
    const folder f;
    auto path = f.file("half");
    path += '\0';
    path += "other half";
    CHECK(refused(path, "NUL") == errc::invalid_option);
    CHECK_THROWS_AS(suppression::sqlite{path}, error);
    CHECK(std::filesystem::is_empty(f.path));
}

TEST_CASE("a queue may have any other name") {
    for (const auto* name : {"two\nlines.db", "\xff\xfe.db", ":memory:", "file:x?mode=memory", "a%20b?.db#", " "}) {
        const folder f;
        {
            outbox box({.path = f.file(name)});
            (void)box.add();
        }
        CHECK(std::filesystem::file_size(f.file(name)) > 0);
        outbox again({.path = f.file(name)});
        CHECK(again.queue.size() == 1);
    }
}

TEST_CASE("a file that anybody may write to is taken only by who says so") {
    const folder f;
    { const queueing::sqlite made(f.file()); }
    REQUIRE(::chmod(f.file().c_str(), 0666) == 0);
    CHECK(refused(f.file(), "anybody may write to it") == errc::storage_unusable);
    const queueing::sqlite q(sqlite_options{.path = f.file(), .world_writable = true});
    CHECK(q.size() == 0);
}

TEST_CASE("a file that has another name is not taken by either, until that is gone") {
    const folder f;
    { const queueing::sqlite made(f.file()); }
    std::filesystem::create_hard_link(f.file(), f.file("other.db"));
    for (const auto& path : {f.file(), f.file("other.db")}) CHECK(refused(path, "hard link") == errc::storage_unusable);
    std::filesystem::remove(f.file("other.db"));
    CHECK(queueing::sqlite(f.file()).size() == 0);
}

TEST_CASE("a log without its file is not thrown away") {
    const folder f;
    {
        outbox box({.path = f.file()});
        (void)box.add();
        std::filesystem::copy(f.file(), f.file("copy.db"));
        std::filesystem::copy(f.file() + "-wal", f.file("copy.db-wal"));
    }
    REQUIRE(std::filesystem::file_size(f.file("copy.db-wal")) > 0);
    std::filesystem::rename(f.file("copy.db"), f.file("aside.db"));
    CHECK(refused(f.file("copy.db"), "its -wal is there") == errc::storage_damaged);
    CHECK_FALSE(std::filesystem::exists(f.file("copy.db")));
    std::filesystem::rename(f.file("aside.db"), f.file("copy.db"));
    outbox back({.path = f.file("copy.db")});
    CHECK(back.queue.size() == 1);
}

TEST_CASE("a file that became older than it was takes nothing more") {
    const folder f;
    outbox box({.path = f.file()});
    (void)box.add();
    (void)box.add();
    CHECK_FALSE(box.submit(outbox::make(mail_with("\r\n"))));
    execute(f.file(), "UPDATE totals SET place = 1");
    CHECK(box.submit(outbox::make(mail_with("\r\n"))) == errc::storage_damaged);
}

TEST_CASE("a queue that is full takes a report, and nothing else") {
    const folder f;
    outbox box({.path = f.file(), .capacity = 1});
    (void)box.add();
    CHECK(box.submit(outbox::make(mail_with("\r\n"))) == errc::queue_full);
    auto about = outbox::make(mail_with("\r\n"));
    about.reports = true;
    CHECK_FALSE(box.submit(std::move(about)));
    CHECK(box.submit(outbox::make(mail_with("\r\n"))) == errc::queue_full);
}

TEST_CASE("a report waits for room with what it is about") {
    auto& d = disk::use();
    const folder f;
    outbox box({.path = f.file()});
    box.start();
    const auto j = refused_one(box);
    auto about = outbox::make(mail_with("\r\n"));
    about.reports = true;
    std::promise<error_code> stored;
    about.stored = [&](error_code ec) { stored.set_value(ec); };
    d.fail(1, SQLITE_FULL, 7);
    REQUIRE_FALSE(box.queue.enqueue(about));
    box.queue.settle(j);
    CHECK_FALSE(stored.get_future().get());
    d.heal();
    CHECK(box.list({.state = job_state::failed}).size() == 1);
    CHECK(box.queue.size() == 1);
}

TEST_CASE("a report that finds no room keeps nothing else from being settled") {
    auto& d = disk::use();
    const folder f;
    outbox box({.path = f.file()});
    box.start();
    (void)box.add();
    (void)box.add();
    auto jobs = box.lease(2);
    for (auto& j : jobs) {
        box.mark(j.id);
        name_recipients(j);
    }
    jobs[0].result.recipients[0].status = status::rejected;
    jobs[1].result.recipients[0].status = status::accepted;
    d.limit(1'000'000);
    auto about = outbox::make(mail_with("\r\n" + std::string(3'000'000, 'x') + "\r\n"));
    about.reports = true;
    std::promise<error_code> stored;
    about.stored = [&](error_code ec) { stored.set_value(ec); };
    REQUIRE_FALSE(box.queue.enqueue(about));
    for (const auto& j : jobs) box.queue.settle(j);
    (void)box.add();  // behind these
    CHECK(number(f.file(), "SELECT jobs FROM totals") == 2);
    d.heal();
    CHECK_FALSE(stored.get_future().get());
    CHECK(box.list({.state = job_state::failed}).size() == 1);
}

TEST_CASE("reports that find no room, however many, keep nothing else from being stored") {
    auto& d = disk::use();
    const folder f;
    outbox box({.path = f.file()});
    d.limit(1'000'000);
    std::promise<void> all_stored;
    std::atomic<int> left = 600;
    for (int i = 0; i < 600; ++i) {
        auto about = outbox::make(mail_with("\r\n" + std::string(10'000, 'x') + "\r\n"));
        about.reports = true;
        about.stored = [&](error_code ec) {
            CHECK_FALSE(ec);
            if (--left == 0) all_stored.set_value();
        };
        REQUIRE_FALSE(box.queue.enqueue(about));
    }
    (void)box.add();
    d.heal();
    CHECK(all_stored.get_future().wait_for(patience) == std::future_status::ready);
    CHECK(box.queue.size() == 601);
}

TEST_CASE("what failed is over only when the report about it is stored, however many wait before it") {
    const folder f;
    outbox box({.path = f.file()});
    box.start();
    const auto j = refused_one(box);
    // More than one transaction takes.
    long failed = 0;
    for (int i = 0; i < 3000; ++i) {
        auto other = outbox::make(mail_with("\r\n"));
        if (i == 2000) other.stored = [&](error_code) { failed = number(f.file(), "SELECT failed FROM totals"); };
        REQUIRE_FALSE(box.queue.enqueue(other));
    }
    auto about = outbox::make(mail_with("\r\n"));
    about.reports = true;
    std::promise<void> stored;
    about.stored = [&](error_code) { stored.set_value(); };
    REQUIRE_FALSE(box.queue.enqueue(about));
    box.queue.settle(j);
    stored.get_future().wait();
    CHECK(failed == 0);
    CHECK(box.list({.state = job_state::failed}).size() == 1);
}

TEST_CASE("a reader that never ends keeps nobody from writing, nor from sending") {
    const folder f;
    outbox box({.path = f.file()});
    box.start();
    (void)box.add();
    auto* const reader = open_beside(f.file());
    REQUIRE(sqlite3_exec(reader, "BEGIN; SELECT * FROM jobs", nullptr, nullptr, nullptr) == SQLITE_OK);
    for (int i = 0; i < 50; ++i) (void)box.add("\r\n" + std::string(200'000, 'x') + "\r\n");
    for (auto& j : box.lease(51)) {
        box.mark(j.id);
        box.queue.settle(j);
    }
    CHECK(box.drained());
    sqlite3_close(reader);
    (void)box.add();
    CHECK(box.queue.size() == 1);
}

TEST_CASE("whichever write fails while a file shrinks, it is whole, and shrinks later") {
    auto& d = disk::use();
    bool met = true;
    for (int n = 1; met; n += 5) {
        CAPTURE(n);
        const folder f;
        outbox box({.path = f.file(), .journal_kept = 0s});
        for (int i = 0; i < 10; ++i) (void)box.add("\r\n" + std::string(300'000, 'x') + "\r\n");
        CHECK(box.queue.drop({}, clock::now()).size() == 10);
        (void)box.add();
        d.fail(n, SQLITE_FULL);
        try {
            (void)box.queue.compact();
        } catch (const error& e) {
            CHECK(e.code() == errc::storage_full);
        }
        met = d.met();
        d.heal();
        (void)box.queue.compact();
        CHECK(box.list().size() == 1);
        box.queue.stop();
        CHECK(number(f.file(), "PRAGMA freelist_count") == 0);
        CHECK(is_sound(f.file()));
    }
}

TEST_CASE("whichever write fails while a journal is trimmed, all that was settled is over, and it is trimmed later") {
    auto& d = disk::use();
    for (int n = 1; n < 60; n += 7) {
        CAPTURE(n);
        const folder f;
        outbox box({.path = f.file(), .journal_capacity = 5});
        box.start();
        for (int i = 0; i < 120; ++i) (void)box.add();
        auto all = box.lease(120);
        d.fail(n, SQLITE_FULL, 3);
        for (auto& j : all) {
            name_recipients(j);
            for (auto& r : j.result.recipients) r.status = status::accepted;
            box.queue.settle(j);
        }
        CHECK(box.wait([&] { return box.queue.drained(clock::now()); }));
        d.heal();
        CHECK(box.queue.size() == 0);
        const auto entries = [&] { return number(f.file(), "SELECT count(*) FROM journal"); };
        // It may be trimmed when there is nothing else to do.
        for (const auto until = clock::now() + patience; entries() > 105 && clock::now() < until;)
            std::this_thread::yield();
        box.queue.stop();
        CHECK(number(f.file(), "SELECT count(*) FROM jobs") == 0);
        CHECK(number(f.file(), "SELECT entry FROM totals") == 120);
        CHECK(entries() <= 105);
        CHECK(is_sound(f.file()));
    }
}

TEST_CASE("a sender without work gives back what is free in its file") {
    const folder f;
    outbox box({.path = f.file(), .journal_kept = 0s});
    box.start();
    for (int i = 0; i < 12; ++i) (void)box.add("\r\n" + std::string(800'000, 'x') + "\r\n");
    const auto size = [&] { return std::filesystem::file_size(f.file()); };
    execute(f.file(), "PRAGMA wal_checkpoint(TRUNCATE)");
    REQUIRE(size() > 9'000'000);
    CHECK(box.queue.drop({}, clock::now()).size() == 12);
    const auto end = clock::now() + patience;
    while (size() > 5'000'000 && clock::now() < end) std::this_thread::sleep_for(20ms);
    CHECK(size() <= 5'000'000);
    CHECK_FALSE(box.submit(outbox::make(mail_with("\r\n"))));
}
