// What became of messages that are over, found again.
#include "sqlite/outbox.hpp"

#include <postroad/queueing/sqlite_journal.hpp>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

using namespace sqlite_test;
using queueing::journal_entry;
using queueing::journal_filter;
using queueing::sqlite_journal;

namespace {

job letter(const char* tag, std::vector<std::string> to = {"b@y.example"}) {
    auto j =
        outbox::make(mail_with("Message-ID: <" + std::string(tag) +
                                   "@x.example>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n from us\r\n\r\nhello\r\n",
                               std::move(to)));
    j.tag = tag;
    return j;
}
// The first recipient is accepted, the others are refused.
void answer(job& j) {
    name_recipients(j);
    j.result.attempts = 2;
    j.result.details.host = "mx.y.example";
    auto& all = j.result.recipients;
    all[0].status = status::accepted;
    all[0].reply = {.code = 250, .text = "queued as 17"};
    for (std::size_t i = 1; i < all.size(); ++i) {
        all[i].status = status::rejected;
        all[i].where = phase::rcpt;
        all[i].reply = {.code = 550, .enhanced = {5, 1, 1}, .text = "no such user"};
    }
}
void send(outbox& box, job j, bool marked = true) {
    REQUIRE_FALSE(box.submit(std::move(j)));
    auto leased = box.lease_one();
    if (marked) box.mark(leased.id);
    answer(leased);
    box.queue.settle(leased);
    REQUIRE(box.drained());
}
std::string tags(const sqlite_journal& from, const journal_filter& which, std::size_t limit = 100) {
    std::string all;
    for (const auto& e : from.find(which, limit).entries) (all += all.empty() ? "" : " ") += e.tag;
    return all;
}

}  // namespace

TEST_CASE("what is over leaves an entry with all that was said") {
    const folder f;
    const auto begun = std::chrono::system_clock::now();
    outbox box({.path = f.file()});
    box.start();
    auto j = letter("one", {"b@y.example", "C@Z.example"});
    const auto id = j.id;
    j.tenant = "acme";
    send(box, std::move(j));
    const sqlite_journal journal(f.file());
    const auto page = journal.find({});
    REQUIRE(page.entries.size() == 1);
    CHECK(page.next == 0);
    const auto& e = page.entries[0];
    CHECK(e.id == id);
    CHECK(e.whole == 0);
    CHECK(e.tag == "one");
    CHECK(e.tenant == "acme");
    CHECK(e.sender == "a@x.example");
    CHECK(e.message_id == "one@x.example");
    CHECK(e.subject ==
          "Gr\xc3\xbc\xc3\x9f"
          "e from us");
    CHECK(e.attempts == 2);
    CHECK(e.octets == 86);
    CHECK(e.server == "mx.y.example");
    CHECK(e.error == "550 5.1.1 no such user");
    REQUIRE(e.recipients.size() == 2);
    CHECK(e.recipients[0].reply.text == "queued as 17");
    CHECK(e.recipients[1].address == "C@Z.example");
    CHECK(e.recipients[1].status == status::rejected);
    CHECK(e.settled >= begun);
    REQUIRE(e.tried);
    CHECK(*e.tried <= e.settled);
}

TEST_CASE("an entry is found by each of its members, and by several together") {
    const folder f;
    outbox box({.path = f.file()});
    box.start();
    auto j = letter("one", {"Bob@Y.example", "c@z.example"});
    const auto id = j.id;
    j.tenant = "acme";
    send(box, std::move(j));
    send(box, letter("two"));
    auto other = letter("three", {"c@z.example"});
    auto mail = std::make_shared<mail_object>(*other.mail);
    mail->envelope.reverse_path = {};
    other.mail = mail;
    send(box, std::move(other));
    const sqlite_journal journal(f.file());
    CHECK(tags(journal, {}) == "three two one");
    CHECK(tags(journal, {.id = id}) == "one");
    CHECK(tags(journal, {.id = 1}).empty());
    CHECK(tags(journal, {.recipient = "bob@y.EXAMPLE"}) == "one");
    CHECK(tags(journal, {.recipient = "c@z.example"}) == "three one");
    CHECK(tags(journal, {.recipient = "%"}).empty());
    CHECK(tags(journal, {.recipient = "' OR 1=1 --"}).empty());
    CHECK(tags(journal, {.sender = "A@x.example"}) == "two one");
    CHECK(tags(journal, {.message_id = "<two@x.example>"}) == "two");
    CHECK(tags(journal, {.message_id = "two@x.example"}) == "two");
    CHECK(tags(journal, {.tenant = "acme"}) == "one");
    CHECK(tags(journal, {.tag = "three"}) == "three");
    CHECK(tags(journal, {.status = status::rejected}) == "one");
    CHECK(tags(journal, {.status = status::accepted}) == "three two one");
    // The status is that of the recipient.
    CHECK(tags(journal, {.recipient = "c@z.example", .status = status::accepted}) == "three");
    CHECK(tags(journal, {.recipient = "c@z.example", .status = status::rejected}) == "one");
    const auto all = journal.find({}).entries;
    CHECK(tags(journal, {.since = all[1].settled}) == "three two");
    CHECK(tags(journal, {.before = all[1].settled}) == "one");
    CHECK(tags(journal, {.sender = "a@x.example", .since = all[1].settled}) == "two");
    CHECK(tags(journal, {.since = all[0].settled + 1h}).empty());
}

TEST_CASE("pages go on where the one before ended, whatever is written meanwhile") {
    const folder f;
    outbox box({.path = f.file()});
    box.start();
    for (const auto* tag : {"a", "b", "c", "d", "e"}) send(box, letter(tag));
    const sqlite_journal journal(f.file());
    auto page = journal.find({.sender = "a@x.example"}, 2);
    std::string all;
    for (;;) {
        for (const auto& e : page.entries) all += e.tag;
        send(box, letter("x"));
        if (page.next == 0) break;
        page = journal.find({.sender = "a@x.example"}, 2, page.next);
    }
    CHECK(all == "edcba");
    CHECK(journal.find({}, 0).entries.empty());
}

TEST_CASE("what is cancelled, dropped or given up is written down, and a failed one only once") {
    const folder f;
    outbox box({.path = f.file()});
    box.start();
    send(box, letter("failed", {"b@y.example", "c@y.example"}), false);
    auto late = letter("late");
    late.due = clock::now() + 2h;
    late.deadline = clock::now() - 1s;
    const std::vector<job_id> over{late.id};
    REQUIRE_FALSE(box.submit(std::move(late)));
    auto j = letter("dropped");
    j.due = clock::now() + 2h;
    REQUIRE_FALSE(box.submit(std::move(j)));
    CHECK(box.queue.take_all(over).size() == 1);
    CHECK(box.queue.drop({}, clock::now()).size() == 1);
    CHECK(box.queue.drop({.state = job_state::failed}, clock::now()).size() == 2);
    const sqlite_journal journal(f.file());
    CHECK(tags(journal, {}) == "dropped late failed");
    CHECK(tags(journal, {.status = status::not_attempted}) == "dropped late");
    const auto all = journal.find({}).entries;
    REQUIRE(all.size() == 3);
    CHECK(all[0].error.find("cancelled") != std::string::npos);
    CHECK(all[1].error.find("its time was over") != std::string::npos);
    CHECK_FALSE(all[2].tried);
}

TEST_CASE("the parts of a divided message leave an entry each, with the message's id") {
    const folder f;
    outbox box({.path = f.file()});
    box.start();
    auto j = letter("whole", {"b@y.example", "c@z.example"});
    const auto id = j.id;
    REQUIRE_FALSE(box.submit(std::move(j)));
    auto whole = box.lease_one();
    std::vector<job> parts;
    for (const std::uint32_t at : {0u, 1u}) parts.push_back(queueing::part_of(whole, {at}));
    box.queue.divide(std::move(whole), std::move(parts));
    for (auto& p : box.lease(2)) {
        answer(p);
        box.queue.settle(p);
    }
    REQUIRE(box.drained());
    const sqlite_journal journal(f.file());
    const auto all = journal.find({.id = id}).entries;
    REQUIRE(all.size() == 2);
    CHECK(all[0].whole == id);
    CHECK(all[0].message_id == "whole@x.example");
    CHECK(tags(journal, {.recipient = "b@y.example"}) == "whole");
}

TEST_CASE("without a journal nothing is written down") {
    const folder f;
    outbox box({.path = f.file(), .journal_kept = 0s});
    box.start();
    send(box, letter("one"));
    CHECK(tags(sqlite_journal(f.file()), {}).empty());
    CHECK(number(f.file(), "SELECT count(*) FROM journal") == 0);
}

TEST_CASE("a journal grows no larger than it may, and is trimmed while mail is sent") {
    const folder f;
    outbox box({.path = f.file(), .journal_capacity = 10});
    box.start();
    for (int i = 0; i < 150; ++i) send(box, letter("x"));
    // Beside the work: not at each message.
    CHECK(number(f.file(), "SELECT count(*) FROM journal") < 120);
    execute(f.file(), "UPDATE journal SET settled = 1");
    outbox again({.path = f.file(), .journal_capacity = 10});
    again.start();
    CHECK(again.wait([&] { return again.queue.sends() || (box.queue.stop(), false); }));
    CHECK(again.drained());
    CHECK(number(f.file(), "SELECT count(*) FROM journal") <= 10);
}

TEST_CASE("an entry that is not as it was stored is named, and shows nothing else") {
    const folder f;
    {
        outbox box({.path = f.file()});
        box.start();
        send(box, letter("one"));
        send(box, letter("two"));
        send(box, letter("three"));
    }
    execute(f.file(), "UPDATE journal SET envelope = replace(envelope, 'b@y', 'e@y') WHERE tag = 'two'");
    execute(f.file(), "UPDATE journal SET progress = 'was nothing' WHERE tag = 'one'");
    const sqlite_journal journal(f.file());
    const auto all = journal.find({.recipient = "b@y.example"}).entries;
    REQUIRE(all.size() == 3);
    for (const auto i : {1u, 2u}) {
        CHECK(all[i].error == "this entry cannot be read: it is not as it was stored");
        CHECK(all[i].recipients.empty());
    }
}

TEST_CASE("a journal is opened only of a queue that is there") {
    const folder f;
    CHECK_THROWS_AS(sqlite_journal(f.file()), error);
    execute(f.file("other.db"), "CREATE TABLE a(b)");
    CHECK_THROWS_WITH_AS(sqlite_journal(f.file("other.db")), doctest::Contains("database of another program"), error);
}
