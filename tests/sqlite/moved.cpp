// A file that is moved, deleted, replaced or linked to while it is open: nobody is told that nothing is wrong.
#include "failure.hpp"
#include "sqlite/outbox.hpp"

#include <postroad/engine/runtime.hpp>
#include <postroad/mailer.hpp>
#include <postroad/queueing/sqlite_journal.hpp>
#include <postroad/transport/discard.hpp>

#include "villain.hpp"

#include <sys/stat.h>
#include <filesystem>
#include <fstream>
#include <functional>

using namespace sqlite_test;
namespace fs = std::filesystem;

namespace {

error_code submit_one(outbox& box) { return box.submit(outbox::make(mail_with("Subject: x\r\n\r\nhello\r\n"))); }

}  // namespace

TEST_CASE("what is submitted to a file that was moved or deleted is refused, until it is back") {
    for (const auto* suffix : {"", "-wal", "-shm"}) {
        CAPTURE(suffix);
        const folder f;
        outbox box({.path = f.file()});
        box.start();
        CHECK_FALSE(submit_one(box));
        auto j = box.lease_one();
        fs::rename(f.file() + suffix, f.file("elsewhere"));
        CHECK(submit_one(box) == errc::storage_failed);
        // Another file of that name is another file.
        std::ofstream(f.file() + suffix) << "";
        CHECK(submit_one(box) == errc::storage_failed);
        // Nothing is sent either: its mark cannot be stored.
        box.queue.mark(j.id);
        fs::rename(f.file("elsewhere"), f.file() + suffix);
        std::vector<job_id> marks;
        CHECK(box.wait([&] {
            box.queue.marked(marks);
            return !marks.empty();
        }));
        CHECK_FALSE(submit_one(box));
        CHECK(box.queue.size() == 2);
        fs::remove(f.file() + suffix);
        CHECK(submit_one(box) == errc::storage_failed);
    }
}

TEST_CASE("what is submitted to a file that was emptied is refused, and its log does not hide that") {
    const folder f;
    outbox box({.path = f.file()});
    box.start();
    CHECK_FALSE(submit_one(box));
    fs::resize_file(f.file(), 0);
    auto refused = outbox::make(mail_with("Subject: x\r\n\r\nhello\r\n"));
    std::promise<told> over;
    auto end = over.get_future();
    refused.waiter = std::make_unique<promised>(std::move(over));
    CHECK(box.submit(std::move(refused)) == errc::storage_failed);
    CHECK(end.get().result.details.explanation.find("was emptied") != std::string::npos);
}

TEST_CASE("who sends is told what is wrong with the file") {
    const folder f;
    mailer mail{transport::discard{}, queueing::sqlite(f.file())};
    CHECK(mail.send(*mail_with("Subject: x\r\n\r\nhello\r\n")).all_accepted());
    fs::rename(f.file(), f.file("elsewhere"));
    const auto e = failure_of([&] { (void)mail.send(*mail_with("Subject: y\r\n\r\nhello\r\n")); });
    CHECK(e.code == errc::storage_failed);
    CHECK(e.text.find("was moved, deleted or replaced") != std::string::npos);
    CHECK(e.text.find(f.file()) != std::string::npos);
}

TEST_CASE("a mailer whose file is not there any more is closed once the server has answered, and says so") {
    const folder f;
    std::function<void()> take_away = [&] { fs::remove(f.file()); };
    bool drains = false;
    SUBCASE("deleted") {}
    SUBCASE("moved") {
        take_away = [&] { fs::rename(f.file(), f.file("elsewhere")); };
    }
    SUBCASE("without its log") {
        take_away = [&] { fs::remove(f.file() + "-wal"); };
    }
    SUBCASE("draining") { drains = true; }
    std::promise<void> submitted;
    const auto all_submitted = submitted.get_future().share();
    postroad_test::villain server([&](postroad_test::victim_of& c, int) {
        c.greet("");
        c.line();
        all_submitted.wait();
        take_away();
        c.say("250 ok\r\n");
        c.take();
        c.line();
    });
    const transport::smtp to{server.options("smtp+insecure://")};
    mailer mail{to, pooling::keep_alive{.max_connections = 1}, queueing::sqlite(f.file())};
    const auto sent = mail.submit(*mail_with("Subject: x\r\n\r\nhello\r\n"));
    const auto behind = mail.submit(*mail_with("Subject: y\r\n\r\nhello\r\n"));
    submitted.set_value();
    const auto e = failure_of([&] {
        if (drains) {
            CHECK(sent.wait().all_accepted());
            mail.drain(24h);
        } else {
            mail.shutdown(24h);
        }
    });
    CHECK(e.code == errc::storage_failed);
    CHECK(e.text.find(f.file()) != std::string::npos);
    CHECK(e.text.find("was moved, deleted or replaced") != std::string::npos);
    CHECK(sent.wait().all_accepted());
    error_code ec;
    (void)behind.wait(ec);
    CHECK(ec == errc::shut_down);
}

TEST_CASE("who looked already sees nothing of a file that is no more") {
    const folder f;
    outbox box({.path = f.file()});
    box.start();
    (void)box.add();
    const queueing::sqlite_journal journal(f.file());
    CHECK(box.list().size() == 1);
    CHECK(journal.find({}).entries.empty());
    fs::rename(f.file(), f.file("elsewhere"));
    CHECK(failure_of([&] { (void)box.list(); }).code == errc::storage_failed);
    CHECK(failure_of([&] { (void)journal.find({}); }).code == errc::storage_failed);
    fs::rename(f.file("elsewhere"), f.file());
    CHECK(box.list().size() == 1);
    CHECK(journal.find({}).entries.empty());
}

TEST_CASE("a content is not read from another file of that name") {
    const folder f;
    const auto fill = [](const std::string& path, char what) {
        outbox box({.path = path});
        (void)box.add("Subject: x\r\n\r\n" + std::string(100'000, what) + "\r\n");
    };
    fill(f.file(), 'a');
    fill(f.file("other.db"), 'b');
    outbox box({.path = f.file()});
    box.start();
    const auto j = box.lease_one();
    REQUIRE(j.mail->content.streams());
    fs::rename(f.file("other.db"), f.file());
    const content::reader from(j.mail->content);
    CHECK(from.failed());
    CHECK(from.failure() == errc::changed_file);
}

TEST_CASE("a file has one sender by whatever name it is opened") {
    const folder f;
    { const outbox box({.path = f.file()}); }
    fs::create_symlink(f.file(), f.file("link.db"));
    fs::create_directory(f.file("sub"));
    outbox box({.path = f.file("link.db")});
    box.start();
    CHECK(box.wait([&] { return box.queue.sends(); }));
    CHECK_FALSE(fs::exists(f.file("link.db-lock")));
    outbox other({.path = f.file("sub/../outbox.db")});
    other.start();
    CHECK(other.drained());
    CHECK_FALSE(other.queue.sends());
    const auto id = other.add();
    CHECK(box.lease_one().id == id);

    fs::create_symlink(f.file("nowhere"), f.file("dangling.db"));
    CHECK(failure_of([&] { const queueing::sqlite q(f.file("dangling.db")); }).code == errc::storage_unusable);
    CHECK_FALSE(fs::exists(f.file("nowhere")));
}

TEST_CASE("what stands in the lock's place is neither followed nor changed") {
    const folder f;
    std::ofstream(f.file("precious")) << "1";
    fs::permissions(f.file("precious"), fs::perms(0640));
    fs::create_symlink(f.file("precious"), f.file() + "-lock");
    const auto e = failure_of([&] { const queueing::sqlite q(f.file()); });
    CHECK(e.code == errc::storage_unusable);
    CHECK(e.text.find("-lock") != std::string::npos);
    CHECK(fs::status(f.file("precious")).permissions() == fs::perms(0640));
    fs::remove(f.file() + "-lock");
    REQUIRE(::mkfifo((f.file() + "-lock").c_str(), 0600) == 0);
    CHECK(failure_of([&] { const queueing::sqlite q(f.file()); }).code == errc::storage_unusable);
    fs::remove(f.file() + "-lock");
    CHECK_FALSE(failure_of([&] { const queueing::sqlite q(f.file()); }).code);
}
