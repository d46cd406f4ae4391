// Files of older versions: brought to this one in one step, with all that is in them.
#include "failure.hpp"
#include "sqlite/disk.hpp"
#include "sqlite/outbox.hpp"
#include "sqlite/version_1.hpp"

#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <map>
#include <set>

using namespace sqlite_test;

namespace {

void make_version_1(const std::string& path) { execute(path, std::string("PRAGMA journal_mode = WAL;") + version_1); }

// All jobs of the file, by what version 1 knew of them.
void check_all_there(const std::string& path) {
    outbox box({.path = path});
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
    CHECK(number(path, "SELECT count(*) FROM parts") == 4);
}

}  // namespace

TEST_CASE("a file of version 1 is brought to this version, with all that is in it") {
    const folder f;
    make_version_1(f.file());
    check_all_there(f.file());
}

TEST_CASE("a process that is killed while it brings a file to this version leaves the old one or the new one") {
    auto& d = disk::use();
    std::set<long> versions;
    bool killed = true;
    for (int n = 1; killed; ++n) {
        CAPTURE(n);
        const folder f;
        make_version_1(f.file());
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
        CHECK(number(f.file(), "SELECT count(*) FROM sqlite_master WHERE name = 'state'") == (version == 1 ? 1 : 0));
        CHECK(number(f.file(), "SELECT count(*) FROM sqlite_master WHERE name = 'failures'") == (version == 2 ? 1 : 0));
        check_all_there(f.file());
    }
    CHECK(versions == std::set<long>{1, 2});
}

TEST_CASE("an older version that has the file open writes nothing beside the new one") {
    const folder f;
    make_version_1(f.file());
    sqlite3* old = nullptr;
    REQUIRE(sqlite3_open(f.file().c_str(), &old) == SQLITE_OK);
    REQUIRE(sqlite3_exec(old, "SELECT * FROM state", nullptr, nullptr, nullptr) == SQLITE_OK);
    { const outbox box({.path = f.file()}); }
    CHECK(sqlite3_exec(old, "SELECT * FROM state", nullptr, nullptr, nullptr) == SQLITE_ERROR);
    sqlite3_close(old);
}
