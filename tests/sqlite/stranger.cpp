// Files as a stranger, or a bad disk, may have left them: what makes no sense is held by name, and the rest goes out
// once.
#include "failure.hpp"
#include "sqlite/outbox.hpp"

#include <algorithm>

using namespace sqlite_test;

namespace {

// Three jobs, of which a statement changes the second.
void make_three(const folder& f, std::vector<job_id>& ids) {
    outbox box({.path = f.file()});
    for (int i = 0; i < 3; ++i) ids.push_back(box.add("Subject: " + std::to_string(i) + "\r\n\r\nhello\r\n"));
}

}  // namespace

TEST_CASE("a row that makes no sense is held by name; the others go, with their contents, and it can be dropped") {
    const char* const changes[] = {
        "place = -5",
        "place = 4611686018427387904",
        "place = 9223372036854775807",
        "id = 0",
        "id = -1",
        "id = -9223372036854775807",
        "size = size + 1",
        "size = size - 1",
        "size = -1",
        "size = 0",
        "size = 9223372036854775807",
        "size = 4000000",
        "part = part + 1000",
        "part = -5",
        "part = 9223372036854775807",
        "facts = -1",
        "facts = 9223372036854775807",
        "state = -7",
        "class = 1",
        "class = 256",
        "class = -1",
        "submitted = 0",
        "submitted = -9223372036854775807",
        "deadline = 5",
        "deadline = -9223372036854775807",
        "envelope = ''",
        "envelope = x'00ff'",
        "envelope = 'part 7 0 1' || char(10) || envelope",
        "progress = 'attempts -1'",
        "progress = 'was nothing'",
    };
    for (const auto* change : changes) {
        CAPTURE(change);
        const folder f;
        std::vector<job_id> ids;
        make_three(f, ids);
        execute(f.file(), "UPDATE jobs SET " + std::string(change) + " WHERE id = " + std::to_string(ids[1]));
        outbox box({.path = f.file()});
        box.start();
        auto jobs = box.lease(2);
        CHECK(jobs[0].id == ids[0]);
        CHECK(jobs[1].id == ids[2]);
        CHECK(box.drained());
        const auto all = box.list();
        REQUIRE(all.size() == 1);
        CHECK(all[0].state == job_state::held);
        // Held is a state that makes sense.
        if (!std::string_view(change).starts_with("state"))
            CHECK(all[0].error.starts_with("a stored job cannot be read: "));
        CHECK(box.queue.drop({.state = job_state::held}, clock::now()).size() == 1);
        CHECK(whole(jobs[0]) == "Subject: 0\r\n\r\nhello\r\n");
        CHECK(whole(jobs[1]) == "Subject: 2\r\n\r\nhello\r\n");
        for (const auto& j : jobs) box.queue.settle(j);
        CHECK(box.drained());
        CHECK(box.queue.size() == 0);
    }
}

TEST_CASE("times beyond all reason neither overflow nor stop anybody") {
    for (const auto* change : {"due = 9223372036854775807", "due = -9223372036854775807", "due = 1",
                               "submitted = 9223372036854775807", "deadline = 9223372036854775807"}) {
        CAPTURE(change);
        const folder f;
        std::vector<job_id> ids;
        make_three(f, ids);
        execute(f.file(), "UPDATE jobs SET " + std::string(change) + " WHERE id = " + std::to_string(ids[1]));
        outbox box({.path = f.file()});
        box.start();
        const bool waits = std::string_view(change) == "due = 9223372036854775807";
        const auto jobs = box.lease(waits ? 2 : 3);
        for (const auto& j : box.list()) CHECK((j.until >= duration::zero() && j.age >= duration::zero()));
        queueing::queue_counts counts;
        box.queue.count(clock::now(), counts);
        CHECK(counts.oldest < 1h);
        for (const auto& j : jobs) box.queue.settle(j);
    }
}

TEST_CASE("numbers that no queue counts to are refused by name, before and while it is open") {
    for (const auto* change :
         {"place = -1", "place = 18014398509481984", "place = 9223372036854775807", "part = -1",
          "part = 1125899906842625", "part = 9223372036854775807", "entry = -1", "entry = 9223372036854775807",
          "epoch = 9223372036854775807", "jobs = 9223372036854775807", "failed = -9223372036854775807",
          "more = 9223372036854775807"}) {
        CAPTURE(change);
        const folder f;
        std::vector<job_id> ids;
        make_three(f, ids);
        outbox open({.path = f.file()});
        execute(f.file(), std::string("UPDATE totals SET ") + change);
        CHECK(open.submit(outbox::make(mail_with("\r\n"))) == errc::storage_damaged);
        const auto e = failure_of([&] { const queueing::sqlite q(f.file()); });
        CHECK(e.code == errc::storage_damaged);
        CHECK(e.text.find("`totals` makes no sense") != std::string::npos);
    }
}

TEST_CASE("jobs of one id are held, and harm nobody") {
    const folder f;
    std::vector<job_id> ids;
    make_three(f, ids);
    execute(f.file(), "UPDATE jobs SET id = 7 WHERE id <> " + std::to_string(ids[1]));
    {
        outbox box({.path = f.file()});
        box.start();
        const auto j = box.lease_one();
        CHECK(j.id == ids[1]);
        CHECK(box.drained());
        CHECK(box.states() == "held held");
        // A third comes while one is being sent.
        execute(f.file(),
                "INSERT INTO jobs SELECT place + 100, 0, NULL, class, id, submitted, deadline, submitter, part, size, "
                "facts, tenant, tag, key, envelope, progress, whole, domain, failed, sum, tried, subject, message_id, "
                "cut FROM jobs WHERE id = " +
                    std::to_string(ids[1]));
        execute(f.file(), "UPDATE totals SET place = place + 200");
        CHECK(box.wait([&] { return box.states() == "held held held"; }));
        box.queue.settle(j);
        CHECK(box.queue.drop({}, clock::now()).size() == 3);
        CHECK(box.drained());
    }
    CHECK(number(f.file(), "SELECT count(*) FROM jobs") == 0);
}

TEST_CASE("content that is gone is not an empty message, and no row switches off the doubling of dots") {
    const folder f;
    std::vector<job_id> ids;
    make_three(f, ids);
    execute(f.file(),
            "DELETE FROM parts WHERE part = (SELECT part FROM jobs WHERE id = " + std::to_string(ids[1]) + ")");
    execute(f.file(),
            "UPDATE parts SET sum = NULL, octets = CAST(substr(octets, 1, 14) || x'0d0a2e0d0a0d0a' || substr(octets, "
            "22) AS BLOB)"
            " WHERE part = (SELECT part FROM jobs WHERE id = " +
                std::to_string(ids[2]) + ")");
    outbox box({.path = f.file()});
    box.start();
    const auto jobs = box.lease(2);
    for (const auto& j : jobs) CHECK(j.mail->content.leading_dots());
    CHECK(jobs[0].id == ids[0]);
    CHECK(jobs[1].id == ids[2]);
    CHECK(box.drained());
    CHECK(box.states() == "held");
}

TEST_CASE("nothing in the file runs, and tables of another shape are refused by name") {
    const folder f;
    std::vector<job_id> ids;
    make_three(f, ids);
    execute(f.file(), "CREATE TRIGGER evil AFTER INSERT ON jobs BEGIN DELETE FROM jobs; END");
    {
        outbox box({.path = f.file()});
        (void)box.add();
        CHECK(box.list().size() == 4);
    }
    for (const auto* change :
         {"ALTER TABLE jobs RENAME COLUMN facts TO lies", "DROP TABLE keys", "ALTER TABLE parts ADD COLUMN more"}) {
        CAPTURE(change);
        const folder other;
        { const outbox box({.path = other.file()}); }
        execute(other.file(), change);
        const auto e = failure_of([&] { const queueing::sqlite q(other.file()); });
        CHECK(e.code == errc::storage_damaged);
        CHECK(e.text.find("is not one of a queue") != std::string::npos);
    }
    for (const auto* version : {"0", "-1", "-2147483648"}) {
        CAPTURE(version);
        execute(f.file(), std::string("PRAGMA user_version = ") + version);
        const auto e = failure_of([&] { const queueing::sqlite q(f.file()); });
        CHECK(e.code == errc::storage_damaged);
        CHECK(e.code == condition::permanent);
    }
}

TEST_CASE("a message that is refused leaves no key behind, and keys and outcomes that are over go as others come") {
    const folder f;
    outbox box({.path = f.file(), .keys_kept = 0s});
    box.start();
    for (int i = 0; i < 2500; ++i) {
        auto j = outbox::make(mail_with("\r\n"));
        j.idempotency_key = "k" + std::to_string(i);
        REQUIRE_FALSE(box.queue.enqueue(j));
    }
    auto last = outbox::make(mail_with("\r\n"));
    REQUIRE_FALSE(box.submit(std::move(last)));
    CHECK(number(f.file(), "SELECT count(*) FROM keys") <= 1001);

    outbox other({.path = f.file(), .submit_only = true});
    auto bad = std::make_shared<mail_object>(*mail_with("\r\n"));
    int reads = 0;
    bad->content = content::from_source(source::generated([&reads]() -> source::read_function {
        return [left = ++reads < 3 ? 100'000 : 50'000](std::span<char> room) mutable {
            const auto n = std::min<std::size_t>(static_cast<std::size_t>(left), room.size());
            std::fill_n(room.data(), n, '\n');
            left -= static_cast<int>(n);
            return n;
        };
    }));
    auto refused = outbox::make(bad);
    refused.idempotency_key = "invoice 7";
    CHECK(other.submit(std::move(refused)) == errc::changed_file);
    auto again = outbox::make(mail_with("\r\n"));
    again.idempotency_key = "invoice 7";
    CHECK_FALSE(other.submit(std::move(again)));
}
