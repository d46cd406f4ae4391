// Looking after a queue in a file, with a mailer and without; several queues on one file.
#include "sqlite/outbox.hpp"

#include <postroad/queueing/traits.hpp>

#include <sys/stat.h>
#include <thread>

using namespace sqlite_test;

namespace {

job labelled(const char* tag, const char* to = "b@y.example") {
    auto j = outbox::make(mail_with("Subject: x\r\n", {to}));
    j.tag = tag;
    return j;
}

std::future<told> answer_for(job& j) {
    std::promise<told> p;
    auto answer = p.get_future();
    j.waiter = std::make_unique<promised>(std::move(p));
    return answer;
}

}  // namespace

TEST_CASE("where nothing waits nothing is old") {
    const folder f;
    outbox box({.path = f.file()});
    const auto oldest = [&] {
        queueing::queue_counts counts;
        box.queue.count(clock::now(), counts);
        return counts.oldest;
    };
    CHECK(oldest() == duration::zero());
    auto j = labelled("a");
    j.submitted = clock::now() - 1h;
    REQUIRE_FALSE(box.submit(std::move(j)));
    CHECK(oldest() >= 59min);
    (void)box.queue.drop({.tag = "a"}, clock::now());
    CHECK(oldest() == duration::zero());
}

TEST_CASE("a file that no mailer has open can be looked at and changed") {
    const folder f;
    const auto now = clock::now();
    {
        outbox box({.path = f.file()});
        auto j = labelled("a", "b@Y.example");
        j.submitted = now - 1h;
        REQUIRE_FALSE(box.submit(std::move(j)));
        j = labelled("b", "c@z.example");
        j.due = now + 1h;
        j.tenant = "acme";
        REQUIRE_FALSE(box.submit(std::move(j)));
    }
    outbox box({.path = f.file(), .submit_only = true});
    const auto all = box.list();
    REQUIRE(all.size() == 2);
    CHECK(all[0].state == job_state::waiting);
    CHECK(all[0].sender == "a@x.example");
    CHECK(all[0].octets == 12);
    CHECK(all[0].age >= 59min);
    REQUIRE(all[0].recipients.size() == 1);
    CHECK(all[0].recipients[0].address == "b@Y.example");
    CHECK(all[1].state == job_state::delayed);
    CHECK(all[1].until > 50min);
    CHECK(box.list({.tag = "b"}).size() == 1);
    CHECK(box.list({.tenant = "acme"}).size() == 1);
    CHECK(box.list({.domain = "y.EXAMPLE"}).size() == 1);
    CHECK(box.list({.id = all[1].id}).size() == 1);
    CHECK(box.list({.id = 1}).empty());
    std::vector<queueing::job_info> one;
    box.queue.list({}, 1, now, one);
    CHECK(one.size() == 1);
    queueing::queue_counts counts;
    box.queue.count(now, counts);
    CHECK(counts.total() == 2);
    CHECK(counts.of(job_state::delayed) == 1);
    CHECK(counts.oldest >= 59min);

    CHECK(box.queue.hold({.tag = "a"}, now) == 1);
    CHECK(box.queue.hold({.tag = "a"}, now) == 0);
    CHECK(box.states() == "held delayed");
    CHECK(box.queue.retry_now({.state = job_state::delayed}, now) == 1);
    CHECK(box.states() == "held waiting");
    CHECK(box.queue.retry_now({}, now) == 1);
    CHECK(box.states() == "waiting waiting");
    const auto dropped = box.queue.drop({.tag = "a"}, now);
    REQUIRE(dropped.size() == 1);
    CHECK(dropped[0].mail->envelope.recipients[0].str() == "b@Y.example");
    CHECK(box.queue.size() == 1);
    CHECK(box.states() == "waiting");
}

TEST_CASE("what is held or in doubt waits until somebody decides, also across processes") {
    const folder f;
    job_id parked = 0;
    {
        outbox box({.path = f.file()});
        box.start();
        (void)box.add();
        (void)box.add();
        auto both = box.lease(2);
        parked = both[0].id;
        box.mark(parked);
        name_recipients(both[0]);
        both[0].result.recipients[0].status = status::in_doubt;
        both[0].error = errc::connection_closed;
        both[0].result.attempts = 1;
        box.queue.keep(std::move(both[0]), job_state::in_doubt);
        box.queue.keep(std::move(both[1]), job_state::held);
        CHECK(box.states() == "in_doubt held");
        CHECK(box.queue.next_due() == never);
        CHECK(box.drained());
    }
    outbox box({.path = f.file()});
    box.start();
    CHECK(box.drained());
    const auto all = box.list({.state = job_state::in_doubt});
    REQUIRE(all.size() == 1);
    CHECK(all[0].attempts == 1);
    CHECK(all[0].error == "the server closed the connection");
    CHECK(box.queue.retry_now({.state = job_state::in_doubt}, clock::now()) == 1);
    const auto j = box.lease_one();
    CHECK(j.id == parked);
    CHECK_FALSE(j.interrupted);
    CHECK(j.result.any_are(status::in_doubt));
}

TEST_CASE("what is leased is not touched; what waits in memory is") {
    const folder f;
    outbox box({.path = f.file()});
    box.start();
    for (int i = 0; i < 4; ++i) (void)box.add();
    const auto first = box.lease_one();
    CHECK(box.states() == "waiting waiting waiting");
    CHECK_FALSE(box.queue.take(first.id));
    CHECK(box.queue.hold({}, clock::now()) == 3);
    std::vector<job> none;
    box.queue.lease(10, clock::now(), none);
    CHECK(none.empty());
    CHECK(box.queue.retry_now({}, clock::now()) == 3);
    const auto second = box.lease_one();
    const auto rest = box.list();
    REQUIRE(rest.size() == 2);
    const auto taken = box.queue.take(rest[0].id);
    REQUIRE(taken);
    CHECK(whole(*taken) == "Subject: x\r\n\r\nhello\r\n");
    CHECK(box.queue.size() == 3);
    CHECK(box.queue.drop({}, clock::now()).size() == 1);
    CHECK(box.queue.size() == 2);
    box.queue.settle(first);
    box.queue.settle(second);
    CHECK(box.drained());
}

TEST_CASE("whoever waits for a job gets it back when it is taken out, or held and sent later") {
    const folder f;
    outbox box({.path = f.file()});
    box.start();
    std::vector<std::future<told>> answers;
    std::vector<job_id> ids;
    for (int i = 0; i < 2; ++i) {
        std::promise<told> p;
        answers.push_back(p.get_future());
        auto j = labelled("x");
        ids.push_back(j.id);
        j.waiter = std::make_unique<promised>(std::move(p));
        REQUIRE_FALSE(box.submit(std::move(j)));
    }
    auto taken = box.queue.take(ids[0]);
    REQUIRE(taken);
    REQUIRE(taken->waiter);
    CHECK(box.queue.hold({}, clock::now()) == 1);
    CHECK(box.queue.retry_now({}, clock::now()) == 1);
    auto j = box.lease_one();
    CHECK(j.id == ids[1]);
    REQUIRE(j.waiter);
}

TEST_CASE("one sends and the others submit; when it ends, another takes over") {
    const folder f;
    auto first = std::make_unique<outbox>(sqlite_options{.path = f.file()});
    first->start();
    CHECK(first->wait([&] { return first->queue.sends(); }));
    outbox second({.path = f.file()});
    second.start();
    CHECK(second.drained());
    CHECK_FALSE(second.queue.sends());
    const auto id = second.add();
    CHECK(second.queue.next_due() == never);
    auto j = first->lease_one();
    CHECK(j.id == id);
    first->mark(id);
    const auto left = second.add();
    first.reset();
    const auto both = second.lease(2);
    CHECK(second.queue.sends());
    CHECK(both[0].id == id);
    CHECK(both[0].interrupted);
    CHECK(both[1].id == left);
    CHECK_FALSE(both[1].interrupted);
}

TEST_CASE("what another stored is counted once, also if it is over before it was counted") {
    const folder f;
    outbox sender({.path = f.file()});
    sender.start();
    REQUIRE(sender.wait([&] { return sender.queue.sends(); }));
    outbox other({.path = f.file(), .submit_only = true});
    for (int i = 0; i < 3; ++i) {
        (void)other.add();
        sender.queue.settle(sender.lease_one());
        CHECK(sender.drained());
        CHECK(sender.queue.size() == 0);
    }
    (void)other.add();
    CHECK(sender.wait([&] { return sender.queue.size() == 1; }));
}

TEST_CASE("a queue that only submits never sends") {
    const folder f;
    outbox box({.path = f.file(), .submit_only = true});
    box.start();
    (void)box.add();
    CHECK(box.drained());
    CHECK_FALSE(box.queue.sends());
    CHECK_FALSE(std::filesystem::exists(f.file() + "-lock"));
    outbox sender({.path = f.file()});
    sender.start();
    (void)sender.lease_one();
}

TEST_CASE("who submitted to another's sender learns the outcome") {
    const folder f;
    outbox sender({.path = f.file()});
    sender.start();
    CHECK(sender.wait([&] { return sender.queue.sends(); }));
    outbox box({.path = f.file(), .submit_only = true});
    std::vector<std::future<told>> answers;
    for (int i = 0; i < 2; ++i) {
        std::promise<told> p;
        answers.push_back(p.get_future());
        auto j = outbox::make(mail_with("\r\n", {"b@y.example", "c@y.example"}));
        j.waiter = std::make_unique<promised>(std::move(p));
        REQUIRE_FALSE(box.submit(std::move(j)));
    }
    box.start();
    auto jobs = sender.lease(2);
    for (auto& j : jobs) {
        CHECK_FALSE(j.waiter);
        name_recipients(j);
        j.result.attempts = 1;
    }
    jobs[0].result.recipients[0].status = status::accepted;
    jobs[0].result.recipients[1] = {.address = "c@y.example", .status = status::rejected, .reply = {.code = 550}};
    sender.queue.settle(jobs[0]);
    auto said = answers[0].get();
    CHECK_FALSE(said.ec);
    CHECK(said.result.recipients == jobs[0].result.recipients);
    // In doubt: it stays there, and the one who waits is told how it stands.
    for (auto& r : jobs[1].result.recipients) r.status = status::in_doubt;
    jobs[1].error = errc::in_doubt;
    sender.queue.keep(std::move(jobs[1]), job_state::in_doubt);
    said = answers[1].get();
    CHECK(said.ec == errc::in_doubt);
    CHECK(said.result.all_are(status::in_doubt));
    CHECK(sender.states() == "in_doubt");
}

TEST_CASE("who submitted learns that another process dropped it or gave it up") {
    const folder f;
    const auto now = clock::now();
    outbox sender({.path = f.file()});
    sender.start();
    CHECK(sender.wait([&] { return sender.queue.sends(); }));
    outbox box({.path = f.file(), .submit_only = true});
    box.start();
    outbox third({.path = f.file(), .submit_only = true});
    std::vector<job_id> ids;
    std::vector<std::future<told>> answers;
    const auto submit = [&](const char* tag, time_point due, time_point deadline = never) {
        std::promise<told> p;
        answers.push_back(p.get_future());
        auto j = labelled(tag);
        j.due = due;
        j.deadline = deadline;
        j.waiter = std::make_unique<promised>(std::move(p));
        ids.push_back(j.id);
        REQUIRE_FALSE(box.submit(std::move(j)));
    };
    const auto said = [&](std::size_t i) {
        REQUIRE(answers[i].wait_for(patience) == std::future_status::ready);
        return answers[i].get();
    };
    submit("by the sender", now + 1h);
    CHECK(sender.queue.drop({.tag = "by the sender"}, now).size() == 1);
    const auto first = said(0);
    CHECK(first.ec == errc::cancelled);
    REQUIRE(first.result.recipients.size() == 1);
    CHECK(first.result.recipients[0].address == "b@y.example");

    submit("by a third", now + 1h);
    CHECK(third.queue.drop({.tag = "by a third"}, now).size() == 1);
    CHECK(said(1).ec == errc::cancelled);

    submit("late", now + 1h, now - 1s);
    CHECK(sender.queue.take_all({ids[2]}).size() == 1);
    const auto late = said(2);
    CHECK(late.ec == errc::timed_out);
    CHECK(late.result.details.explanation == queueing::given_up_waiting().explanation);

    submit("damaged", now + 1h);
    execute(f.file(), "UPDATE jobs SET facts = facts + 1 WHERE tag = 'damaged'");
    CHECK(third.queue.drop({.tag = "damaged"}, now).size() == 1);
    CHECK(said(3).ec == errc::storage_damaged);

    submit("leased", time_point::min());
    const auto leased = sender.lease_one();
    CHECK(third.queue.drop({.tag = "leased"}, now).size() == 1);
    CHECK(said(4).ec == errc::cancelled);
    sender.queue.release({.id = leased.id, .mail = leased.mail});
    CHECK(sender.drained());
}

TEST_CASE("who sends learns once that another process dropped what he has") {
    const folder f;
    outbox sender({.path = f.file()});
    sender.start();
    outbox third({.path = f.file(), .submit_only = true});
    auto j = labelled("a");
    auto answer = answer_for(j);
    REQUIRE_FALSE(sender.submit(std::move(j)));
    auto leased = sender.lease_one();
    CHECK(third.queue.drop({}, clock::now()).size() == 1);
    // It looked at what was kept for it.
    const auto kept = [&] { return number(f.file(), "SELECT count(*) FROM outcomes"); };
    for (const auto until = clock::now() + patience; kept() > 0 && clock::now() < until;) std::this_thread::yield();
    CHECK(kept() == 0);
    // The queue still knows what is leased.
    CHECK(sender.states().empty());
    SUBCASE("and sends it next") {
        sender.queue.mark(leased.id);
        std::vector<job_id> revoked;
        CHECK(sender.wait([&] {
            sender.queue.revoked(revoked);
            return !revoked.empty();
        }));
        CHECK(revoked == std::vector<job_id>{leased.id});
        CHECK(leased.waiter);
        leased.waiter->complete(errc::cancelled, {});
    }
    SUBCASE("and puts it back next") {
        std::vector<job_id> revoked;
        SUBCASE("at once") {}
        SUBCASE("right behind its mark") { sender.queue.mark(leased.id); }
        SUBCASE("behind two marks, and the first is known to be revoked") {
            sender.queue.mark(leased.id);
            sender.queue.mark(leased.id);
            CHECK(sender.wait([&] {
                sender.queue.revoked(revoked);
                return !revoked.empty();
            }));
        }
        leased.due = clock::now() + 1h;
        sender.queue.put_back(std::move(leased));
        REQUIRE(answer.wait_for(patience) == std::future_status::ready);
        const auto said = answer.get();
        CHECK(said.ec == errc::cancelled);
        CHECK(said.result.recipients.size() == 1);
    }
    CHECK(sender.drained());
}

TEST_CASE("what another process dropped is counted once, also where it is over behind a mark that was refused") {
    const folder f;
    outbox sender({.path = f.file(), .capacity = 2});
    sender.start();
    outbox third({.path = f.file(), .submit_only = true});
    (void)sender.add();
    (void)sender.add();
    const auto leased = sender.lease(2);
    CHECK(third.queue.drop({.id = leased[0].id}, clock::now()).size() == 1);
    SUBCASE("at once") {}
    SUBCASE("right behind its mark") { sender.queue.mark(leased[0].id); }
    sender.queue.settle(leased[0]);
    CHECK(sender.drained());
    CHECK(sender.queue.size() == 1);
    CHECK_FALSE(sender.submit(labelled("room for one")));
    CHECK(sender.submit(labelled("and no more")) == errc::queue_full);
}

TEST_CASE("who waits for what another process dropped or gave up while it was leased learns that when it is put back") {
    // What streams and is large is not kept in memory.
    const auto mail = std::make_shared<mail_object>(*mail_with("\r\n"));
    std::string text = "Subject: x\r\n\r\n";
    while (text.size() < 100'000) text += "hello\r\n";
    SUBCASE("text") { mail->content = content::from_text(text); }
    SUBCASE("streaming") {
        mail->content = content::from_source(source::generated([&text]() -> source::read_function {
            return [&text, at = std::size_t{0}](std::span<char> room) mutable {
                const auto n = text.copy(room.data(), room.size(), at);
                at += n;
                return n;
            };
        }));
    }
    bool late = false;
    SUBCASE("late") { late = true; }
    const folder f;
    outbox sender({.path = f.file()});
    sender.start();
    outbox third({.path = f.file(), .submit_only = true});
    auto j = outbox::make(mail);
    auto answer = answer_for(j);
    if (late) j.deadline = clock::now() - 1s;
    REQUIRE_FALSE(sender.submit(std::move(j)));
    auto leased = sender.lease_one();
    CHECK(third.queue.take_all({leased.id}).size() == 1);
    name_recipients(leased);
    leased.result.recipients[0].status = status::deferred;
    leased.result.attempts = 3;
    leased.due = clock::now() + 1h;
    sender.queue.put_back(std::move(leased));
    REQUIRE(answer.wait_for(patience) == std::future_status::ready);
    const auto said = answer.get();
    CHECK(said.ec == (late ? errc::timed_out : errc::cancelled));
    CHECK(said.result.attempts == 3);
    REQUIRE(said.result.recipients.size() == 1);
    CHECK(said.result.recipients[0].address == "b@y.example");
    CHECK(said.result.recipients[0].status == status::deferred);
    CHECK(sender.drained());
}

TEST_CASE("what somebody else took out, held or dropped is not sent") {
    const folder f;
    outbox sender({.path = f.file()});
    sender.start();
    for (const auto* tag : {"drop", "hold", "send"}) REQUIRE_FALSE(sender.submit(labelled(tag)));
    const auto jobs = sender.lease(3);
    outbox other({.path = f.file(), .submit_only = true});
    CHECK(other.queue.drop({.tag = "drop"}, clock::now()).size() == 1);
    CHECK(other.queue.hold({.tag = "hold"}, clock::now()) == 1);
    for (const auto& j : jobs) sender.queue.mark(j.id);
    std::vector<job_id> marked;
    std::vector<job_id> revoked;
    CHECK(sender.wait([&] {
        sender.queue.marked(marked);
        sender.queue.revoked(revoked);
        return marked.size() + revoked.size() == 3;
    }));
    CHECK(marked == std::vector<job_id>{jobs[2].id});
    CHECK(revoked == std::vector<job_id>{jobs[0].id, jobs[1].id});
    // They are over for the sender; the held one is still there.
    for (const auto& j : jobs) sender.queue.settle(j);
    CHECK(sender.drained());
    CHECK(other.states() == "held");
    CHECK(sender.queue.size() == 1);
    // What is being sent is left alone.
    const auto sent = (void(sender.submit(labelled("mine"))), sender.lease_one());
    sender.mark(sent.id);
    CHECK(other.states() == "held sending");
    CHECK(other.queue.drop({.tag = "mine"}, clock::now()).empty());
    CHECK(other.queue.hold({.tag = "mine"}, clock::now()) == 0);
}

TEST_CASE("a sender whose place was taken changes nothing any more") {
    const folder f;
    outbox old({.path = f.file()});
    old.start();
    auto j = outbox::make(mail_with("\r\n"));
    REQUIRE_FALSE(old.submit(std::move(j)));
    (void)old.add();
    auto both = old.lease(2);
    old.mark(both[0].id);
    // Somebody takes the lock away.
    std::filesystem::remove(f.file() + "-lock");
    outbox next({.path = f.file()});
    next.start();
    auto again = next.lease(2);
    CHECK(again[0].interrupted);
    old.queue.settle(both[0]);
    old.queue.mark(both[1].id);
    std::vector<job_id> revoked;
    CHECK(old.wait([&] {
        old.queue.revoked(revoked);
        return !revoked.empty();
    }));
    CHECK(revoked == std::vector<job_id>{both[1].id});
    CHECK_FALSE(old.queue.sends());
    CHECK(next.queue.size() == 2);
    next.mark(again[0].id);
    next.mark(again[1].id);
}

TEST_CASE("the files of a queue are for their user only, whatever the umask") {
    const folder f;
    const auto before = ::umask(0);
    {
        outbox box({.path = f.file()});
        box.start();
        (void)box.add();
        for (const auto* name : {"outbox.db", "outbox.db-wal", "outbox.db-shm", "outbox.db-lock"}) {
            CAPTURE(name);
            struct ::stat seen {};
            REQUIRE(::stat(f.file(name).c_str(), &seen) == 0);
            CHECK((seen.st_mode & 0777) == 0600);
        }
    }
    ::umask(before);
}

TEST_CASE("many jobs are taken out together, those that are leased excepted") {
    const folder f;
    outbox box({.path = f.file()});
    box.start();
    std::vector<job_id> ids;
    for (int i = 0; i < 300; ++i) {
        auto j = outbox::make(mail_with("\r\n"));
        ids.push_back(j.id);
        REQUIRE_FALSE(box.queue.enqueue(j));
    }
    auto waits = outbox::make(mail_with("\r\n"));
    std::promise<told> p;
    waits.waiter = std::make_unique<promised>(std::move(p));
    ids.push_back(waits.id);
    REQUIRE_FALSE(box.submit(std::move(waits)));
    const auto leased = box.lease(10);
    ids.push_back(7);  // nobody's
    const auto before = number(f.file(), "SELECT count(*) FROM jobs");
    CHECK(before == 301);
    auto taken = queueing::queueing_traits<queueing::sqlite>::take_all(box.queue, ids);
    CHECK(taken.size() == 291);
    CHECK(taken.back().waiter);
    CHECK(box.queue.size() == 10);
    for (const auto& j : leased) box.queue.settle(j);
    CHECK(box.drained());
    CHECK(box.queue.size() == 0);
}
