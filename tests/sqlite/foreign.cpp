// What is at a path and is not ours is refused, whatever opens it, and stays as it was with all that is beside it.
#include "failure.hpp"
#include "sqlite/outbox.hpp"

#include <postroad/queueing/sqlite_journal.hpp>
#include <postroad/queueing/suppression_sqlite.hpp>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>

using namespace sqlite_test;
namespace fs = std::filesystem;

namespace {

struct opening {
    const char* of;
    std::function<void(const std::string&)> open;
};
const std::vector<opening>& openings() {
    static const std::vector<opening> all{
        {"a queue", [](const std::string& path) { const queueing::sqlite q(path); }},
        {"a queue that only takes",
         [](const std::string& path) { const queueing::sqlite q({.path = path, .submit_only = true}); }},
        {"a journal", [](const std::string& path) { const queueing::sqlite_journal j(path); }},
        {"a suppression list", [](const std::string& path) { const suppression::sqlite s(path); }},
    };
    return all;
}

std::string read(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}
void write(const std::string& path, std::string_view octets) { std::ofstream(path, std::ios::binary) << octets; }
// Each name in a folder with what is in it.
std::map<std::string, std::string> all_in(const folder& f) {
    std::map<std::string, std::string> all;
    for (const auto& e : fs::directory_iterator(f.path))
        all[e.path().filename().string()] = e.is_regular_file() ? read(e.path()) : "no file";
    return all;
}

// All that opens a file refuses `path`, for good, and leaves the folder as it is.
void check_refused(const folder& f, const std::string& path) {
    const auto before = all_in(f);
    for (const auto& o : openings()) {
        CAPTURE(o.of);
        const auto e = failure_of([&] { o.open(path); });
        CAPTURE(e.text);
        CHECK((e.code == errc::storage_damaged || e.code == errc::storage_unusable));
        CHECK(e.code == condition::permanent);
        CHECK(e.text.find(path) != std::string::npos);
        CHECK((all_in(f) == before));
    }
}

// A queue with something in it, checkpointed or not.
std::string octets_of_a_queue(const folder& f) {
    {
        outbox box({.path = f.file("ours.db")});
        for (int i = 0; i < 20; ++i) (void)box.add();
    }
    execute(f.file("ours.db"), "PRAGMA wal_checkpoint(TRUNCATE)");
    return read(f.file("ours.db"));
}

}  // namespace

TEST_CASE("a file that is no database is left as it is, whatever its size") {
    for (const std::size_t size :
         {1u, 2u, 10u, 15u, 16u, 99u, 100u, 511u, 512u, 513u, 1024u, 4095u, 4096u, 4097u, 65536u}) {
        CAPTURE(size);
        for (const auto* text : {"S", "x", "\n", "0"}) {
            CAPTURE(text);
            const folder f;
            write(f.file(), std::string(size, *text));
            check_refused(f, f.file());
        }
        const folder f;
        write(f.file(), std::string(size, '\0'));
        check_refused(f, f.file());
    }
}

TEST_CASE("what is left of a queue that was cut off is left as it is, and is no queue") {
    const folder made;
    const auto whole = octets_of_a_queue(made);
    REQUIRE(whole.size() > 8192);
    for (const std::size_t size : {1u, 15u, 16u, 17u, 99u, 100u, 101u, 511u, 512u, 1024u, 4095u, 4096u, 4097u, 8192u}) {
        CAPTURE(size);
        const folder f;
        write(f.file(), whole.substr(0, size));
        check_refused(f, f.file());
    }
}

TEST_CASE("an empty file becomes a new queue, or a new list") {
    for (const auto& o : openings()) {
        CAPTURE(o.of);
        const folder f;
        write(f.file(), "");
        CHECK_FALSE(failure_of([&] { o.open(f.file()); }).code);
        CHECK(fs::file_size(f.file()) > 0);
        CHECK_FALSE(failure_of([&] { o.open(f.file()); }).code);
    }
}

TEST_CASE("a log whose file was emptied is not thrown away") {
    const folder f;
    {
        outbox box({.path = f.file("ours.db")});
        (void)box.add();
        fs::copy(f.file("ours.db") + "-wal", f.file() + "-wal");
    }
    REQUIRE(fs::file_size(f.file() + "-wal") > 0);
    for (const auto* octets : {"", "x"}) {
        write(f.file(), octets);
        check_refused(f, f.file());
    }
    fs::copy(f.file("ours.db"), f.file(), fs::copy_options::overwrite_existing);
    outbox back({.path = f.file()});
    CHECK(back.queue.size() == 1);
}

TEST_CASE("a database of another program is left as it is, with its log") {
    for (const auto* sql : {
             "CREATE TABLE t(x)",
             "PRAGMA user_version = 1",
             "PRAGMA user_version = 4",
             "PRAGMA user_version = -1",
             "PRAGMA application_id = 1",
             "PRAGMA application_id = 1; PRAGMA user_version = 4",
             "CREATE TABLE t(x); PRAGMA application_id = 0x7fffffff",
             "PRAGMA page_size = 512; CREATE TABLE t(x)",
             "CREATE TABLE totals(epoch, jobs, failed, more, place, part, entry)",
             "CREATE TABLE rules(ignoring_case); PRAGMA user_version = 1",
             "PRAGMA journal_mode = WAL; CREATE TABLE t(x)",
         }) {
        CAPTURE(sql);
        const folder f;
        execute(f.file(), sql);
        check_refused(f, f.file());
    }
    const folder f;
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open(f.file("other.db").c_str(), &db) == SQLITE_OK);
    REQUIRE(sqlite3_exec(db, "PRAGMA journal_mode = WAL; CREATE TABLE t(x)", nullptr, nullptr, nullptr) == SQLITE_OK);
    for (const auto* suffix : {"", "-wal"}) fs::copy(f.file("other.db") + suffix, f.file() + suffix);
    sqlite3_close(db);
    REQUIRE(fs::file_size(f.file() + "-wal") > 0);
    const auto octets = read(f.file()), log = read(f.file() + "-wal");
    for (const auto& o : openings()) {
        CAPTURE(o.of);
        CHECK(failure_of([&] { o.open(f.file()); }).code == errc::storage_damaged);
        CHECK((read(f.file()) == octets));
        CHECK((read(f.file() + "-wal") == log));
    }
}

TEST_CASE("a file of ours that another version wrote, or of the other kind, is left as it is") {
    const auto named = [](long application, int version) {
        return "PRAGMA journal_mode = DELETE; PRAGMA application_id = " + std::to_string(application) +
               "; PRAGMA user_version = " + std::to_string(version);
    };
    for (const long application : {0x706f7374l, 0x73757070l})
        for (const int version : {5, 99, -1, 2147483647}) {
            CAPTURE(application);
            CAPTURE(version);
            for (const auto* table : {"", "CREATE TABLE t(x);"}) {
                const folder f;
                execute(f.file(), table + named(application, version));
                check_refused(f, f.file());
            }
        }
    {
        const folder f;
        { const queueing::sqlite q(f.file()); }
        const auto octets = read(f.file());
        CHECK(failure_of([&] { const suppression::sqlite s(f.file()); }).code == errc::storage_damaged);
        CHECK((read(f.file()) == octets));
    }
    const folder f;
    { const suppression::sqlite s(f.file()); }
    const auto octets = read(f.file());
    CHECK(failure_of([&] { const queueing::sqlite q(f.file()); }).code == errc::storage_damaged);
    CHECK(failure_of([&] { const queueing::sqlite_journal j(f.file()); }).code == errc::storage_damaged);
    CHECK((read(f.file()) == octets));
}

TEST_CASE("what is no file is refused, also by a link, and nobody waits for it") {
    const folder f;
    fs::create_directory(f.file("folder"));
    REQUIRE(::mkfifo(f.file("pipe").c_str(), 0600) == 0);
    ::sockaddr_un at{};
    at.sun_family = AF_UNIX;
    const auto path = f.file("socket");
    REQUIRE(path.size() < sizeof at.sun_path);
    std::memcpy(at.sun_path, path.c_str(), path.size());
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    REQUIRE(::bind(fd, reinterpret_cast<const ::sockaddr*>(&at), sizeof at) == 0);
    for (const auto* name : {"folder", "pipe", "socket"}) {
        CAPTURE(name);
        fs::create_symlink(f.file(name), f.file(name) + ".db");
        check_refused(f, f.file(name));
        check_refused(f, f.file(name) + ".db");
    }
    ::close(fd);
    for (const auto* device : {"/dev/null", "/dev/zero", "/dev/full"}) check_refused(f, device);
}

TEST_CASE("what is beside a path, where SQLite would have its own, is left as it is") {
    for (const auto* suffix : {"-wal", "-shm", "-journal"}) {
        CAPTURE(suffix);
        const folder f;
        fs::create_directory(f.file() + suffix);
        check_refused(f, f.file());
        const folder g;
        REQUIRE(::mkfifo((g.file() + suffix).c_str(), 0600) == 0);
        check_refused(g, g.file());
    }
    const folder f;
    write(f.file() + "-lock", "notes of somebody");
    CHECK(failure_of([&] { const queueing::sqlite q(f.file()); }).code == errc::storage_unusable);
    CHECK(read(f.file() + "-lock") == "notes of somebody");
    for (const auto* octets : {"n", "notes of somebody"}) {
        const folder g;
        write(g.file() + "-journal", octets);
        check_refused(g, g.file());
        fs::remove(g.file() + "-journal");
        { const queueing::sqlite q(g.file()); }
        write(g.file() + "-journal", octets);
        CHECK(failure_of([&] { const queueing::sqlite q(g.file()); }).code == errc::storage_unusable);
        CHECK(read(g.file() + "-journal") == octets);
    }
}
