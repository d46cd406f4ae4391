// Files of older versions: brought to this one in one step, with all that is in them.
#include "failure.hpp"
#include "sqlite/disk.hpp"
#include "sqlite/outbox.hpp"
#include "sqlite/version_1.hpp"
#include "sqlite/version_2.hpp"
#include "sqlite/version_3.hpp"

#include <postroad/queueing/sqlite_journal.hpp>

#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <map>
#include <set>

using namespace sqlite_test;

namespace {

struct older {
    int version = 0;
    const char* sql = "";
    const char* counters = "";  // the table that only it has
    std::size_t failed = 0;
};
constexpr long newest = 4;
constexpr older all_older[] = {{1, version_1, "state", 0}, {2, version_2, "counters", 1}, {3, version_3, "numbers", 1}};

void make(const older& o, const std::string& path) { execute(path, std::string("PRAGMA journal_mode = WAL;") + o.sql); }

// All jobs of the file, by what that version knew of them.
void check_all_there(const older& o, const std::string& path) {
    outbox box({.path = path});
    CHECK(box.list({.state = job_state::failed}).size() == o.failed);
    CHECK(box.queue.size() == 8);
    CHECK(box.list({.state = job_state::held}).size() == 1);
    CHECK(box.list({.state = job_state::in_doubt}).front().attempts == 3);
    CHECK(box.list({.domain = "y.example"}).size() == 7);
    CHECK(box.list({.whole = 1004}).size() == 2);
    CHECK(box.list({.tenant = "acme"}).front().tag == "first class");
    box.start();
    std::map<std::string, std::string> seen;
    auto jobs = box.lease(5);
    for (auto& j : jobs) {
        seen[j.tag] += j.mail->envelope.recipients[0].str() + ' ';
        CHECK(whole(j).ends_with("\r\n\r\n.hello\r\n"));
        CHECK(j.interrupted == (j.tag == "sending"));
    }
    CHECK(seen == std::map<std::string, std::string>{{"", "Bob@Y.example "},
                                                     {"sending", "Bob@Y.example "},
                                                     {"first class", "Bob@Y.example "},
                                                     {"divided", "b@x.example c@y.example "}});
    CHECK(box.drained());
    // What makes no sense is held by name.
    const auto held = box.list({.state = job_state::held});
    REQUIRE(held.size() == 2);
    CHECK(held[1].error.starts_with("a stored job cannot be read: "));
    // The parts share a content until both are over.
    for (auto& j : jobs) {
        name_recipients(j);
        for (auto& r : j.result.recipients) r.status = status::accepted;
        box.queue.settle(j);
    }
    CHECK(box.drained());
    CHECK(box.queue.size() == 4);
    auto again = outbox::make(mail_with("\r\n"));
    again.idempotency_key = "order 1";
    CHECK(box.submit(std::move(again)) == errc::already_queued);
    box.queue.stop();
    CHECK(number(path, "SELECT count(*) FROM parts") == 4 + static_cast<long>(o.failed));
    const queueing::sqlite_journal journal(path);
    CHECK(journal.find({.recipient = "c@y.example", .status = status::accepted}).entries.size() == 1);
    CHECK(journal.find({}).entries.size() == 5);
}

}  // namespace

TEST_CASE("a file of an older version is brought to this version, with all that is in it") {
    for (const auto& o : all_older) {
        CAPTURE(o.version);
        const folder f;
        make(o, f.file());
        check_all_there(o, f.file());
    }
}

TEST_CASE("a process that is killed while it brings a file to this version leaves the old one or the new one") {
    auto& d = disk::use();
    for (const auto& o : all_older) {
        std::set<long> versions;
        bool killed = true;
        for (int n = 1; killed; ++n) {
            CAPTURE(o.version);
            CAPTURE(n);
            const folder f;
            make(o, f.file());
            const auto child = ::fork();
            REQUIRE(child >= 0);
            if (child == 0) {
                d.kill_at(n);
                { const queueing::sqlite q(f.file()); }
                ::_exit(0);
            }
            int how = 0;
            REQUIRE(::waitpid(child, &how, 0) == child);
            killed = WIFSIGNALED(how);
            const auto version = number(f.file(), "PRAGMA user_version");
            versions.insert(version);
            const auto has = [&](const std::string& name) {
                return number(f.file(), "SELECT count(*) FROM sqlite_master WHERE name = '" + name + "'") == 1;
            };
            CHECK(has(o.counters) == (version == o.version));
            CHECK(has("totals") == (version == newest));
            check_all_there(o, f.file());
        }
        CHECK(versions == std::set<long>{o.version, newest});
    }
}

TEST_CASE("a disk that is full while a file is brought to this version leaves the old one or the new one, and room") {
    auto& d = disk::use();
    for (const auto& o : all_older) {
        std::set<long> versions;
        bool met = true;
        for (int n = 1; met; ++n) {
            CAPTURE(o.version);
            CAPTURE(n);
            const folder f;
            make(o, f.file());
            sqlite3* other = nullptr;
            REQUIRE(sqlite3_open(f.file().c_str(), &other) == SQLITE_OK);
            REQUIRE(sqlite3_exec(other, "SELECT count(*) FROM jobs", nullptr, nullptr, nullptr) == SQLITE_OK);
            const auto log = [&] { return std::filesystem::file_size(f.file() + "-wal"); };
            const auto had = log();
            d.fail(n, SQLITE_FULL);
            const auto e = failure_of([&] { const queueing::sqlite q(f.file()); });
            met = d.failed();
            d.heal();
            const auto version = number(f.file(), "PRAGMA user_version");
            versions.insert(version);
            if (version == o.version) {
                CHECK(e.code == errc::storage_full);
                CHECK(e.text.find("no room to bring it to this version") != std::string::npos);
                CHECK(log() <= had);
            }
            sqlite3_close(other);
            check_all_there(o, f.file());
        }
        CHECK(versions == std::set<long>{o.version, newest});
    }
}

TEST_CASE("an older version that has the file open writes nothing beside the new one") {
    for (const auto& o : all_older) {
        const folder f;
        make(o, f.file());
        sqlite3* old = nullptr;
        REQUIRE(sqlite3_open(f.file().c_str(), &old) == SQLITE_OK);
        const auto read = std::string("SELECT * FROM ") + o.counters;
        REQUIRE(sqlite3_exec(old, read.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
        { const outbox box({.path = f.file()}); }
        CHECK(sqlite3_exec(old, read.c_str(), nullptr, nullptr, nullptr) == SQLITE_ERROR);
        sqlite3_close(old);
    }
}
