#include "suppression_suite.hpp"

#include <postroad/queueing/sqlite.hpp>
#include <postroad/queueing/suppression_sqlite.hpp>

#include "failure.hpp"
#include "scratch_folder.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <fstream>
#include <string>
#include <vector>

namespace {

namespace suppression = postroad::suppression;
using namespace suppression_suite;

struct file : scratch_folder {
    std::string name = (path / "suppressed.db").string();
};

TEST_CASE("a list in a file") {
    const scratch_folder folder;
    int n = 0;
    suppression_suite::check([&](suppression::options o) {
        const auto path = (folder.path / (std::to_string(n++) + ".db")).string();
        return suppression::sqlite({.path = path, .rules = o});
    });
}

TEST_CASE("a file keeps its entries, bounces and rules, for this user only") {
    const file f;
    {
        suppression::sqlite s({.path = f.name, .rules = {suppression::local_parts::ignoring_case, 2}});
        add(s, {.address = address("bob@example.org")});
        (void)s.bounced(address("cid@example.org"), "", day_one);
    }
    suppression::sqlite s({.path = f.name, .rules = {suppression::local_parts::as_they_are, 2}});
    CHECK(is_suppressed(s, "BOB@example.org"));
    CHECK(s.bounced(address("cid@example.org"), "", day_one));
    struct ::stat found {};
    REQUIRE(::stat(f.name.c_str(), &found) == 0);
    CHECK((found.st_mode & 0777) == 0600);
}

TEST_CASE("lists that an older version stored as they were given are found, replaced and removed") {
    const file f;
    suppression::sqlite s(f.name);
    add(s, {.address = address("bob@example.org"), .of = {.list = "news"}});
    add(s, {.address = address("bob@example.org"), .of = {.list = "offers"}});
    add(s, {.address = address("bob@example.org"), .of = {.list = "none"}});
    {
        postroad::queueing::detail::database raw(f.name, SQLITE_OPEN_READWRITE, "list");
        raw.execute("UPDATE entries SET list = 'Our news <News>' WHERE list = 'news'");
        raw.execute("UPDATE entries SET list = 'Offers' WHERE list = 'offers'");
        raw.execute("UPDATE entries SET list = 'None <>' WHERE list = 'none'");
    }
    CHECK_FALSE(is_suppressed(s, "bob@example.org"));
    CHECK(is_suppressed(s, "bob@example.org", {.list = "news"}));
    CHECK(s.remove(address("bob@example.org"), {.list = "news"}));
    CHECK(add(s, {.address = address("bob@example.org"), .of = {.list = "offers"}}) == 0);
    CHECK(all_of(s) == std::vector<std::string>{"bob@example.org||None <>", "bob@example.org||offers"});
    CHECK(s.remove(address("bob@example.org"), {.list = "None <>"}));
}

TEST_CASE("a list that was moved, deleted or replaced while it is open says so, until it is back") {
    namespace fs = std::filesystem;
    for (const std::string suffix : {"", "-wal", "-shm"}) {
        CAPTURE(suffix);
        const file f;
        suppression::sqlite s(f.name);
        add(s, {.address = address("bob@example.org")});
        CHECK(is_suppressed(s, "bob@example.org"));
        const auto elsewhere = (f.path / "elsewhere").string();
        const auto refuses = [&](auto what) {
            const auto e = failure_of(what);
            CHECK(e.code == postroad::errc::storage_failed);
            CHECK(e.text.find("was moved, deleted or replaced while it is open") != std::string::npos);
        };
        const auto all_refuse = [&] {
            refuses([&] { add(s, {.address = address("cid@example.org")}); });
            refuses([&] { (void)s.bounced(address("cid@example.org"), "", day_one); });
            refuses([&] { (void)s.remove(address("bob@example.org"), {}); });
            refuses([&] { (void)is_suppressed(s, "bob@example.org"); });
            refuses([&] { (void)s.size(); });
            refuses([&] { s.each([](const auto&) { return true; }); });
        };
        fs::rename(f.name + suffix, elsewhere);
        all_refuse();
        // Another one of that name is another one.
        if (suffix.empty()) {
            {
                suppression::sqlite rebuilt(elsewhere + ".new");
                add(rebuilt, {.address = address("cid@example.org")});
            }
            fs::rename(elsewhere + ".new", f.name);
        } else {
            std::ofstream(f.name + suffix) << "";
        }
        all_refuse();
        fs::rename(elsewhere, f.name + suffix);
        CHECK(is_suppressed(s, "bob@example.org"));
        CHECK_FALSE(is_suppressed(s, "cid@example.org"));
        add(s, {.address = address("cid@example.org")});
        CHECK(s.size() == 2);
    }
}

TEST_CASE("a lookup waits for no writer, and sees what was written at once") {
    const file f;
    suppression::sqlite s(f.name);
    suppression::sqlite other(f.name);
    add(other, {.address = address("bob@example.org")});
    postroad::queueing::detail::database writer(f.name, SQLITE_OPEN_READWRITE);
    writer.execute("BEGIN EXCLUSIVE");
    CHECK(is_suppressed(s, "bob@example.org"));
    CHECK_FALSE(is_suppressed(s, "cid@example.org"));
    writer.execute("ROLLBACK");
}

// What SQLite does for a lookup, in steps of its machine.
int steps_of_a_lookup(const std::string& name) {
    suppression::detail::sqlite_reader reader(name);
    auto* const lookup = sqlite3_next_stmt(reader.file.get(), nullptr);
    sqlite3_stmt_status(lookup, SQLITE_STMTSTATUS_VM_STEP, 1);
    (void)reader.find.find("u77@example.org");
    return sqlite3_stmt_status(lookup, SQLITE_STMTSTATUS_VM_STEP, 0);
}

TEST_CASE("a lookup takes as many steps in a long list as in a short one") {
    const file f;
    suppression::sqlite s(f.name);
    const auto fill = [&](int from, int to) {
        std::vector<entry> many;
        for (int i = from; i < to; ++i) many.push_back({.address = address("u" + std::to_string(i) + "@example.org")});
        s.add(many, day_one);
    };
    fill(0, 100);
    const auto few = steps_of_a_lookup(f.name);
    fill(100, 20'000);
    CHECK(few > 0);
    CHECK(steps_of_a_lookup(f.name) == few);
}

TEST_CASE("a child that was forked uses the file as its parent does") {
    const file f;
    suppression::sqlite s(f.name);
    add(s, {.address = address("bob@example.org")});
    CHECK(is_suppressed(s, "bob@example.org"));
    const auto child = ::fork();
    if (child == 0) {
        const bool good = is_suppressed(s, "bob@example.org") && add(s, {.address = address("cid@example.org")}) == 1;
        ::_exit(good ? 0 : 1);
    }
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    CHECK(is_suppressed(s, "cid@example.org"));
    CHECK(add(s, {.address = address("dan@example.org")}) == 1);
}

TEST_CASE("files of others are left alone, by name") {
    const file f;
    const auto refused = [&] { return failure_of([&] { suppression::sqlite s(f.name); }).code; };
    SUBCASE("text") {
        std::ofstream(f.name) << std::string(4096, 'x');
        CHECK(refused() == postroad::errc::storage_damaged);
    }
    SUBCASE("a queue") {
        { postroad::queueing::sqlite q(f.name); }
        CHECK(refused() == postroad::errc::storage_damaged);
    }
    SUBCASE("a newer version") {
        { suppression::sqlite s(f.name); }
        postroad::queueing::detail::database(f.name, SQLITE_OPEN_READWRITE).execute("PRAGMA user_version = 2");
        CHECK(refused() == postroad::errc::storage_damaged);
    }
    SUBCASE("a folder that is not there") {
        const auto said = failure_of([] { suppression::sqlite s("/nowhere/at all.db"); });
        CHECK(said.code == postroad::errc::storage_unusable);
        CHECK(said.text ==
              "the suppression list '/nowhere/at all.db' cannot be opened: No such file or directory: make the folder "
              "'/nowhere', or name another file");
    }
}

TEST_CASE("what was damaged behind our back is said, and nothing is taken for unsuppressed") {
    const file f;
    suppression::sqlite s(f.name);
    add(s, {.address = address("bob@example.org")});
    postroad::queueing::detail::database(f.name, SQLITE_OPEN_READWRITE).execute("DROP TABLE entries");
    CHECK_THROWS_AS((void)is_suppressed(s, "bob@example.org"), postroad::error);
}

}  // namespace
