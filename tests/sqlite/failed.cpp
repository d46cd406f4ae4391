// What was refused for good or given up: kept to be looked at, retried or dropped.
#include "sqlite/outbox.hpp"

#include <postroad/queueing/sqlite_journal.hpp>

#include <postroad/queueing/traits.hpp>

#include <algorithm>
#include <thread>

using namespace sqlite_test;

namespace {

job labelled(const char* tag, std::vector<std::string> to = {"b@y.example"}) {
    auto j = outbox::make(mail_with("Subject: x\r\n\r\nhello\r\n", std::move(to)));
    j.tag = tag;
    return j;
}
// The last recipient is refused for good, the others are accepted.
void refuse_last(job& j) {
    name_recipients(j);
    j.result.attempts = 1;
    for (auto& r : j.result.recipients) r.status = status::accepted;
    j.result.recipients.back() = {.address = j.result.recipients.back().address,
                                  .status = status::rejected,
                                  .where = phase::rcpt,
                                  .reply = {.code = 550, .enhanced = {5, 1, 1}, .text = "no such user"}};
}
job_id fail_one(outbox& box, job j) {
    const auto id = j.id;
    REQUIRE_FALSE(box.submit(std::move(j)));
    auto leased = box.lease_one();
    REQUIRE(leased.id == id);
    refuse_last(leased);
    box.queue.settle(leased);
    return id;
}
std::size_t failed(outbox& box) {
    queueing::queue_counts counts;
    box.queue.count(clock::now(), counts);
    CHECK(counts.total() == box.queue.size());
    return counts.of(job_state::failed);
}

}  // namespace

TEST_CASE("what failed stays with all that was said, and is no part of what waits") {
    const folder f;
    {
        outbox box({.path = f.file()});
        box.start();
        const auto id = fail_one(box, labelled("x", {"b@y.example", "c@y.example"}));
        CHECK(box.queue.size() == 0);
        CHECK(box.drained());
        CHECK(failed(box) == 1);
        CHECK(box.list().empty());
        CHECK(box.list({.id = id}).size() == 1);
        // Over: it is not cancelled, held or hurried along with the others.
        CHECK_FALSE(box.queue.take(id));
        CHECK(box.queue.hold({.id = id}, clock::now()) == 0);
        CHECK(box.queue.retry_now({}, clock::now()) == 0);
        CHECK(box.queue.retry_now({.tag = "x"}, clock::now()) == 0);
        CHECK(box.queue.drop({}, clock::now()).empty());
    }
    outbox box({.path = f.file()});
    box.start();
    CHECK(box.drained());
    CHECK(box.queue.next_due() == never);
    const auto all = box.list({.state = job_state::failed});
    REQUIRE(all.size() == 1);
    CHECK(all[0].state == job_state::failed);
    CHECK(all[0].attempts == 1);
    CHECK(all[0].failed < 1h);
    CHECK(all[0].octets == 21);
    CHECK(all[0].error == "550 5.1.1 no such user");
    CHECK(all[0].recipients[0].status == status::accepted);
    CHECK(all[0].recipients[1].where == phase::rcpt);
    CHECK(all[0].recipients[1].reply.text == "no such user");
    CHECK(box.list({.state = job_state::failed, .tag = "y"}).empty());
    CHECK(box.list({.state = job_state::failed, .domain = "y.example"}).size() == 1);
}

TEST_CASE("what was given up failed, and what somebody cancelled did not") {
    const folder f;
    outbox box({.path = f.file()});
    box.start();
    const std::pair<errc, std::size_t> ends[] = {
        {errc::timed_out, 1}, {errc::recipients_deferred, 2}, {errc::cancelled, 2}, {errc::shut_down, 2}};
    for (const auto& [ec, kept] : ends) {
        (void)box.add();
        auto j = box.lease_one();
        name_recipients(j);
        j.error = ec;
        box.queue.settle(j);
        CHECK(box.drained());
        CHECK(failed(box) == kept);
    }
}

TEST_CASE("what failed goes again as if it were new, to those that did not get it") {
    const folder f;
    outbox box({.path = f.file()});
    box.start();
    auto j = labelled("x", {"b@y.example", "c@y.example"});
    j.submitted = clock::now() - 1000h;
    j.deadline = clock::now() + 1s;
    const auto id = fail_one(box, std::move(j));
    CHECK(box.queue.retry_now({.state = job_state::failed}, clock::now()) == 1);
    CHECK(failed(box) == 0);
    CHECK(box.queue.size() == 1);
    j = box.lease_one();
    CHECK(j.id == id);
    CHECK(j.deadline == never);
    CHECK(clock::now() - j.submitted < 1h);
    CHECK(j.result.attempts == 0);
    CHECK(j.result.recipients[0].status == status::accepted);
    CHECK(j.result.recipients[1] == recipient_outcome{.address = "c@y.example"});
    CHECK(whole(j) == "Subject: x\r\n\r\nhello\r\n");
    j.result.recipients[1].status = status::accepted;
    box.queue.settle(j);
    CHECK(box.drained());
    CHECK(failed(box) == 0);
    box.queue.stop();
    CHECK(number(f.file(), "SELECT count(*) FROM jobs") == 0);
    CHECK(number(f.file(), "SELECT count(*) FROM parts") == 0);
}

TEST_CASE("what failed is dropped with its content, by somebody or when its time is over") {
    const folder f;
    outbox box({.path = f.file()});
    box.start();
    const auto id = fail_one(box, labelled("x"));
    CHECK(box.queue.drop({.id = id}, clock::now()).size() == 1);
    CHECK(box.queue.size() == 0);
    CHECK(failed(box) == 0);
    CHECK(number(f.file(), "SELECT count(*) FROM parts") == 0);

    (void)fail_one(box, labelled("old"));
    const auto young = fail_one(box, labelled("young"));
    CHECK(failed(box) == 2);
    execute(f.file(), "UPDATE jobs SET failed = failed - 30 * 24 * 3600 * 1000000000 WHERE tag = 'old'");
    const auto give_up = std::chrono::steady_clock::now() + patience;
    while (failed(box) == 2 && std::chrono::steady_clock::now() < give_up) std::this_thread::yield();
    const auto left = box.list({.state = job_state::failed});
    REQUIRE(left.size() == 1);
    CHECK(left[0].id == young);
    CHECK(number(f.file(), "SELECT count(*) FROM parts") == 1);
}

TEST_CASE("keys, outcomes and what failed go while messages come, however busy the queue is") {
    const folder f;
    outbox box({.path = f.file()});
    for (const auto* sql :
         {"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) INSERT INTO outcomes SELECT "
          "i, 7, 1000000000, 'to a@b', '' FROM n",
          "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) INSERT INTO keys SELECT "
          "'k' || i, 1000000000 FROM n"})
        execute(f.file(), sql);
    std::promise<void> all;
    for (int i = 0; i < 500; ++i) {
        auto j = labelled("x");
        if (i == 499) j.stored = [&](error_code) { all.set_value(); };
        REQUIRE_FALSE(box.queue.enqueue(j));
    }
    all.get_future().get();
    CHECK(number(f.file(), "SELECT count(*) FROM outcomes") == 0);
    CHECK(number(f.file(), "SELECT count(*) FROM keys") == 0);
}

TEST_CASE("as many as the capacity are kept beside what waits, the youngest; or none") {
    const folder f;
    {
        outbox box({.path = f.file(), .capacity = 2});
        box.start();
        std::vector<job_id> ids;
        for (int i = 0; i < 4; ++i) ids.push_back(fail_one(box, labelled("x")));
        (void)box.add();
        (void)box.add();
        CHECK(failed(box) == 2);
        CHECK(box.list({.id = ids[0]}).empty());
        CHECK(box.list({.id = ids[1]}).empty());
    }
    outbox box({.path = f.file("none.db"), .kept = 0s});
    box.start();
    (void)fail_one(box, labelled("x"));
    CHECK(box.drained());
    CHECK(failed(box) == 0);
    CHECK(number(f.file("none.db"), "SELECT count(*) FROM parts") == 0);
}

TEST_CASE("a part that failed keeps the content, and not the message, alive") {
    const folder f;
    outbox box({.path = f.file()});
    box.start();
    REQUIRE_FALSE(box.submit(labelled("x", {"a@w.example", "b@x.example", "c@y.example"})));
    auto whole_job = box.lease_one();
    const auto id = whole_job.id;
    std::vector<job> parts;
    for (std::uint32_t i = 0; i < 3; ++i) parts.push_back(queueing::part_of(whole_job, {i}));
    box.queue.divide(std::move(whole_job), std::move(parts));
    parts = box.lease(3);
    refuse_last(parts[0]);
    box.queue.settle(parts[0]);
    for (std::size_t i = 1; i < 3; ++i) {
        CHECK(box.queue.size() == 1);
        name_recipients(parts[i]);
        parts[i].result.recipients[0].status = status::accepted;
        box.queue.settle(parts[i]);
        CHECK(box.drained());
    }
    CHECK(box.queue.size() == 0);
    CHECK(failed(box) == 1);
    CHECK(box.queue.take_parts(id).empty());
    CHECK(number(f.file(), "SELECT count(*) FROM parts") == 1);
    CHECK(box.queue.retry_now({.whole = id}, clock::now()) == 1);
    CHECK(box.queue.size() == 1);
    auto again = box.lease_one();
    CHECK(again.whole == id);
    CHECK(whole(again) == "Subject: x\r\n\r\nhello\r\n");
    refuse_last(again);
    box.queue.settle(again);
    CHECK(box.drained());
    CHECK(box.queue.drop({.whole = id}, clock::now()).size() == 1);
    CHECK(number(f.file(), "SELECT count(*) FROM parts") == 0);
    CHECK(box.queue.size() == 0);
}

namespace {

std::string content_of(const std::string& path) {
    std::string all;
    auto* const db = open_beside(path);
    const auto add = [](void* to, int, char** values, char**) {
        static_cast<std::string*>(to)->append(values[0]);
        return 0;
    };
    CHECK(sqlite3_exec(db, "SELECT CAST(octets AS TEXT) FROM parts ORDER BY part", add, &all, nullptr) == SQLITE_OK);
    sqlite3_close(db);
    return all;
}

}  // namespace

TEST_CASE("of the content of what failed there stays what is asked for, and without the whole it does not go again") {
    struct wanted {
        queueing::kept_content what = queueing::kept_content::whole;
        const char* content = "";
        std::size_t again = 0;
    };
    const wanted all[] = {{queueing::kept_content::whole, "Subject: x\r\n\r\nhello\r\n", 1},
                          {queueing::kept_content::header, "Subject: x\r\n", 0},
                          {queueing::kept_content::nothing, "", 0}};
    for (const auto& w : all) {
        CAPTURE(w.content);
        const folder f;
        outbox box({.path = f.file(), .kept_content = w.what});
        box.start();
        const auto id = fail_one(box, labelled("x", {"b@y.example", "c@y.example"}));
        CHECK(box.drained());
        CHECK(content_of(f.file()) == w.content);
        const auto kept = box.list({.id = id});
        REQUIRE(kept.size() == 1);
        CHECK(kept[0].error == "550 5.1.1 no such user");
        CHECK(kept[0].octets == std::string_view(w.content).size());
        const auto copied = box.queue.page({.id = id}, 2, -1, clock::now());
        REQUIRE(copied.jobs.size() == 1);
        CHECK_FALSE(copied.next);
        CHECK(copied.jobs[0].mail->content.text() == w.content);
        CHECK(copied.jobs[0].cut == (w.again == 0));
        CHECK(box.queue.retry_now({.id = id}, clock::now()) == w.again);
        CHECK(box.queue.drop({.id = id}, clock::now()).size() == 1);
        CHECK(content_of(f.file()).empty());
    }
}

TEST_CASE("the content that parts of a message share is cut when the last of them is over") {
    const folder f;
    outbox box({.path = f.file(), .kept_content = queueing::kept_content::header});
    box.start();
    REQUIRE_FALSE(box.submit(labelled("x", {"b@y.example", "c@z.example"})));
    auto whole = box.lease_one();
    std::vector<job> parts;
    for (const std::uint32_t at : {0u, 1u}) parts.push_back(queueing::part_of(whole, {at}));
    box.queue.divide(std::move(whole), std::move(parts));
    auto both = box.lease(2);
    for (auto& p : both) refuse_last(p);
    box.queue.settle(both[0]);
    CHECK(box.list({.state = job_state::failed}).size() == 1);
    CHECK(content_of(f.file()) == "Subject: x\r\n\r\nhello\r\n");
    box.queue.settle(both[1]);
    CHECK(box.drained());
    CHECK(content_of(f.file()) == "Subject: x\r\n");
    for (const auto& j : box.list({.state = job_state::failed})) CHECK(j.error == "550 5.1.1 no such user");
    CHECK(box.list({.state = job_state::failed}).size() == 2);
}

TEST_CASE("a file that was emptied gives its room back when it is asked to, also one of an older version") {
    for (const bool older : {false, true}) {
        CAPTURE(older);
        const folder f;
        if (older) execute(f.file(), "PRAGMA auto_vacuum = NONE; CREATE TABLE a(b); DROP TABLE a;");
        outbox box({.path = f.file(), .journal_kept = 0s});
        for (int i = 0; i < 40; ++i) (void)box.add("\r\n" + std::string(100'000, 'x') + "\r\n");
        CHECK(box.queue.drop({}, clock::now()).size() == 40);
        (void)box.add();
        CHECK(box.queue.compact() > 3'000'000);
        CHECK(box.queue.compact() == 0);
        CHECK(box.list().size() == 1);
        box.queue.stop();
        CHECK(number(f.file(), "PRAGMA freelist_count") == 0);
        CHECK(number(f.file(), "PRAGMA page_count") < 200);
        CHECK(number(f.file(), "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'") == 0);
    }
}

TEST_CASE("what is held until its deadline has failed, too; dropped by hand it is gone") {
    const folder f;
    outbox box({.path = f.file()});
    const auto late = [&](const char* tag) {
        auto j = labelled(tag);
        j.deadline = clock::now() + 1ms;
        const auto id = j.id;
        REQUIRE_FALSE(box.submit(std::move(j)));
        return id;
    };
    const std::vector<job_id> ids{late("held")};
    (void)late("dropped");
    CHECK(box.queue.hold({}, clock::now()) == 2);
    const auto over = clock::now() + 1ms;
    while (clock::now() <= over) continue;
    CHECK(box.queue.drop({.tag = "dropped"}, clock::now()).size() == 1);
    CHECK(failed(box) == 0);
    CHECK(box.queue.take_all(ids).size() == 1);
    CHECK(failed(box) == 1);
    CHECK(box.queue.size() == 0);
    CHECK(box.queue.drop({.state = job_state::held}, clock::now()).empty());
}

TEST_CASE("what waits in the file until its deadline has failed; what is taken out before is gone") {
    const folder f;
    outbox box({.path = f.file()});
    auto late = labelled("late");
    late.deadline = clock::now() + 1ms;
    auto early = labelled("early");
    early.deadline = clock::now() + 1h;
    const std::vector<job_id> ids{late.id, early.id};
    REQUIRE_FALSE(box.submit(std::move(late)));
    REQUIRE_FALSE(box.submit(std::move(early)));
    const auto over = clock::now() + 1ms;
    while (clock::now() <= over) continue;
    CHECK(box.queue.take_all(ids).size() == 2);
    CHECK(box.queue.size() == 0);
    CHECK(failed(box) == 1);
    std::vector<queueing::job_info> kept;
    box.queue.list({.state = job_state::failed}, 10, clock::now(), kept);
    REQUIRE(kept.size() == 1);
    CHECK(kept[0].tag == "late");
    CHECK(kept[0].error.find("its time was over while it waited") != std::string::npos);
    CHECK(box.queue.retry_now({.state = job_state::failed}, clock::now()) == 1);
    CHECK(box.queue.size() == 1);
    // Dropped by hand it stays no more, whatever its deadline was.
    CHECK(box.queue.drop({.state = job_state::waiting}, clock::now()).size() == 1);
    CHECK(failed(box) == 0);
}

TEST_CASE("what is kept for longer than anybody counts stays, and what is kept for less than nothing does not") {
    for (const auto kept : {std::chrono::seconds::max(), std::chrono::seconds::min()}) {
        const folder f;
        outbox box({.path = f.file(), .keys_kept = kept, .kept = kept, .journal_kept = kept});
        box.start();
        const bool stays = kept > 0s;
        for (int i = 0; i < 2; ++i) {
            auto j = labelled("again");
            j.idempotency_key = "order 17";
            CHECK(box.submit(std::move(j)) == (stays && i > 0 ? errc::already_queued : error_code()));
        }
        for (auto& j : box.lease(stays ? 1 : 2)) {
            j.error = errc::timed_out;
            box.queue.settle(j);
        }
        CHECK(box.drained());
        CHECK(failed(box) == (stays ? 1 : 0));
        CHECK(queueing::sqlite_journal(f.file()).find({}, 5).entries.size() == (stays ? 1 : 0));
    }
}
