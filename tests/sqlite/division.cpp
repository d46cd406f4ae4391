// Messages that are divided in the file.
#include "sqlite/disk.hpp"
#include "sqlite/outbox.hpp"

#include <postroad/queueing/traits.hpp>

#include <algorithm>
#include <filesystem>
#include <map>
#include <random>

using namespace sqlite_test;

namespace {

const std::vector<std::string> four = {"a@w.example", "b@x.example", "c@y.example", "d@x.example"};

std::vector<job> parts_of(const job& whole, const std::vector<std::vector<std::uint32_t>>& how) {
    std::vector<job> parts;
    for (const auto& places : how) parts.push_back(queueing::part_of(whole, places));
    return parts;
}
void divide(outbox& box, job whole, const std::vector<std::vector<std::uint32_t>>& how) {
    auto parts = parts_of(whole, how);
    box.queue.divide(std::move(whole), std::move(parts));
}
job with_waiter(std::future<told>& answer, std::vector<std::string> to = four) {
    std::promise<told> p;
    answer = p.get_future();
    auto j = outbox::make(mail_with("Subject: x\r\n\r\nhello\r\n", std::move(to)));
    j.waiter = std::make_unique<promised>(std::move(p));
    return j;
}
void accept_all(job& j) {
    name_recipients(j);
    for (auto& r : j.result.recipients) r.status = status::accepted;
    j.result.attempts = 1;
}
std::string recipients(const job& j) {
    std::string all;
    for (const auto& r : j.mail->envelope.recipients) (all += all.empty() ? "" : " ") += r.str();
    return all;
}

}  // namespace

TEST_CASE("a process that dies at any write of a division leaves each recipient once") {
    auto& d = disk::use();
    std::mt19937 random(1);
    bool met = true;
    bool whole_seen = false;
    bool parts_seen = false;
    for (int n = 1; met; ++n) {
        CAPTURE(n);
        const folder f;
        const folder killed;
        const folder cut;
        {
            outbox box({.path = f.file()});
            box.start();
            auto j = outbox::make(mail_with(std::string(9000, 'x') + "\r\n", four));
            REQUIRE_FALSE(box.submit(std::move(j)));
            auto whole = box.lease_one();
            (void)box.list();
            d.fail(n, SQLITE_IOERR_WRITE, 1'000'000);
            divide(box, std::move(whole), {{0}, {1, 3}, {2}});
            (void)box.list();  // behind it
            met = d.met();
            for (const auto* suffix : {"", "-wal"})
                std::filesystem::copy_file(f.file() + suffix, killed.file() + suffix);
            d.cut_power(f.file(), cut.file(), random);
            d.heal();
        }
        for (const auto* after : {&killed, &cut}) {
            outbox box({.path = after->file()});
            CHECK(box.queue.size() == 1);
            box.start();
            std::map<std::string, int> seen;
            auto jobs = box.lease(1);
            const auto more = jobs.front().whole ? 2u : 0u;
            for (auto& j : box.lease(more)) jobs.push_back(std::move(j));
            (more ? parts_seen : whole_seen) = true;
            for (const auto& j : jobs) {
                CHECK(whole(j).size() == 9002);
                for (const auto& r : j.mail->envelope.recipients) ++seen[r.str()];
                box.queue.settle(j);
            }
            CHECK(seen.size() == 4);
            CHECK(std::ranges::all_of(seen, [](const auto& s) { return s.second == 1; }));
            CHECK(box.drained());
            CHECK(box.queue.size() == 0);
        }
    }
    CHECK(whole_seen);
    CHECK(parts_seen);
}

TEST_CASE("how many jobs there are is known of divided messages too, whatever becomes of their parts") {
    const folder f;
    outbox box({.path = f.file(), .kept_content = queueing::kept_content::header});
    box.start();
    std::mt19937 random(5);
    const auto check_known = [&] {
        (void)box.list();  // behind what was asked for
        CHECK(number(f.file(), "SELECT jobs + failed + more FROM totals") ==
              number(f.file(), "SELECT count(*) FROM jobs"));
        std::size_t counted = 0;
        queueing::queue_counts counts;
        box.queue.count(clock::now(), counts);
        for (const auto n : counts.by_state) counted += n;
        CHECK(counted == box.list().size() + box.list({.state = job_state::failed}).size());
    };
    for (int i = 0; i < 12; ++i) {
        REQUIRE_FALSE(box.submit(outbox::make(mail_with("\r\n", four))));
        const auto id = box.list().back().id;
        divide(box, box.lease_one(), {{0}, {1, 3}, {2}});
        check_known();
        for (auto& j : box.lease(3)) {
            if (const auto what = random() % 4; what == 0) {
                accept_all(j);
                box.queue.settle(j);
            } else if (what == 1) {
                box.queue.keep(std::move(j), job_state::held);
            } else {
                j.error = errc::timed_out;
                box.queue.settle(j);
            }
            check_known();
        }
        if (i % 2 == 0) (void)box.queue.retry_now({.whole = id}, clock::now());
        check_known();
        (void)box.queue.drop({.whole = id}, clock::now());
        check_known();
    }
    CHECK(number(f.file(), "SELECT more FROM totals") == 0);
}

TEST_CASE("the parts of a message come before what is fresh, share its content, and count as one") {
    const folder f;
    {
        outbox box({.path = f.file(), .capacity = 2});
        box.start();
        auto message = outbox::make(mail_with(std::string(3'000'000, 'x') + "\r\n", four));
        message.tenant = "acme";
        message.traffic_class = 7;
        message.deadline = clock::now() + 1h;
        REQUIRE_FALSE(box.submit(std::move(message)));
        auto first = box.lease_one();
        first.result.attempts = 2;
        first.waits = 3;
        divide(box, std::move(first), {{0, 2}, {1, 3}});
        (void)box.list();
        auto fresh = outbox::make(mail_with("\r\n"));
        fresh.traffic_class = 7;
        REQUIRE_FALSE(box.submit(std::move(fresh)));
        CHECK(box.queue.size() == 2);
        auto refused = outbox::make(mail_with("\r\n"));
        CHECK(box.queue.enqueue(refused) == errc::queue_full);
    }
    CHECK(std::filesystem::file_size(f.file()) < 6'000'000);
    outbox box({.path = f.file(), .capacity = 2});
    CHECK(box.queue.size() == 2);
    box.start();
    auto jobs = box.lease(3);
    CHECK(recipients(jobs[0]) == "a@w.example c@y.example");
    CHECK(recipients(jobs[1]) == "b@x.example d@x.example");
    CHECK(jobs[1].places == std::vector<std::uint32_t>{1, 3});
    CHECK(jobs[2].whole == 0);
    for (std::size_t i = 0; i < 2; ++i) {
        CHECK(jobs[i].tenant == "acme");
        CHECK(jobs[i].traffic_class == 7);
        CHECK(jobs[i].deadline != never);
        CHECK(jobs[i].result.attempts == 2);
        CHECK(jobs[i].waits == 3);
    }
    box.queue.settle(jobs[0]);
    box.queue.settle(jobs[2]);
    CHECK(box.wait([&] { return box.queue.size() == 1; }));
    CHECK(whole(jobs[1]).size() == 3'000'002);
    box.queue.settle(jobs[1]);
    CHECK(box.wait([&] { return box.queue.size() == 0; }));
}

TEST_CASE("who waits is told once, whichever process sends which part") {
    enum class sender { same, other, first_other_then_same };
    for (const auto by : {sender::same, sender::other, sender::first_other_then_same}) {
        CAPTURE(static_cast<int>(by));
        const folder f;
        auto other = by == sender::same ? nullptr : std::make_unique<outbox>(sqlite_options{.path = f.file()});
        if (other) {
            other->start();
            REQUIRE(other->wait([&] { return other->queue.sends(); }));
        }
        outbox box({.path = f.file()});
        std::future<told> answer;
        REQUIRE_FALSE(box.submit(with_waiter(answer)));
        box.start();
        auto& begins = other ? *other : box;
        divide(begins, begins.lease_one(), {{0, 2}, {1}, {3}});
        auto parts = begins.lease(3);
        const auto settle = [&](outbox& by_whom, job j) {
            accept_all(j);
            if (j.mail->envelope.recipients.size() == 1 && recipients(j) == "b@x.example") {
                j.result.recipients[0].status = status::rejected;
                j.error = errc::recipients_rejected;
            }
            by_whom.queue.settle(j);
            if (j.waiter) j.waiter->complete(j.error, std::move(j.result));
        };
        settle(begins, std::move(parts[0]));
        if (by == sender::first_other_then_same) {
            other.reset();
            for (auto& j : box.lease(2)) settle(box, std::move(j));
        } else {
            settle(begins, std::move(parts[1]));
            settle(begins, std::move(parts[2]));
        }
        const auto said = answer.get();
        CHECK_FALSE(said.ec);
        REQUIRE(said.result.recipients.size() == 4);
        for (std::size_t i = 0; i < 4; ++i) CHECK(said.result.recipients[i].address == four[i]);
        CHECK(said.result.recipients[0].status == status::accepted);
        CHECK(said.result.recipients[1].status == status::rejected);
        CHECK(said.result.recipients[1].error == errc::recipients_rejected);
        CHECK(said.result.attempts == 1);
    }
}

TEST_CASE("all parts of a message are taken out at once, but for those that are leased") {
    const folder f;
    outbox box({.path = f.file()});
    box.start();
    std::future<told> answer;
    REQUIRE_FALSE(box.submit(with_waiter(answer)));
    (void)box.add();
    auto both = box.lease(2);
    const auto id = both[0].id;
    divide(box, std::move(both[0]), {{0}, {1}, {2}, {3}});
    CHECK_FALSE(box.queue.take(id));
    auto leased = box.lease_one();
    CHECK(box.list({.whole = id}).size() == 3);
    auto taken = box.queue.take_parts(id);
    CHECK(taken.size() == 3);
    CHECK(box.queue.size() == 2);
    for (auto& j : taken) {
        REQUIRE(j.waiter);
        j.waiter->complete(errc::cancelled, std::move(j.result));
    }
    accept_all(leased);
    box.queue.settle(leased);
    leased.waiter->complete({}, std::move(leased.result));
    const auto said = answer.get();
    CHECK_FALSE(said.ec);
    CHECK(said.result.recipients[0].status == status::accepted);
    CHECK(said.result.recipients[3].error == errc::cancelled);
    CHECK(box.wait([&] { return box.queue.size() == 1; }));
    CHECK(box.queue.take_parts(id).empty());
    box.queue.settle(both[1]);
    CHECK(box.drained());
}

TEST_CASE("a message that somebody drops before it is divided is over; one that is held stays whole") {
    const folder f;
    outbox box({.path = f.file()});
    box.start();
    std::future<told> answers[2];
    for (int i = 0; i < 2; ++i) {
        auto j = with_waiter(answers[i]);
        j.tag = i == 0 ? "drop" : "hold";
        REQUIRE_FALSE(box.submit(std::move(j)));
    }
    auto jobs = box.lease(2);
    outbox other({.path = f.file(), .submit_only = true});
    CHECK(other.queue.drop({.tag = "drop"}, clock::now()).size() == 1);
    CHECK(other.queue.hold({.tag = "hold"}, clock::now()) == 1);
    for (auto& j : jobs) divide(box, std::move(j), {{0, 1}, {2, 3}});
    for (auto& a : answers) {
        const auto said = a.get();
        CHECK(said.ec == errc::cancelled);
        CHECK(said.result.recipients.size() == 4);
    }
    CHECK(box.drained());
    CHECK(box.states() == "held");
    CHECK(box.list()[0].recipients.size() == 4);
}

TEST_CASE("a part is divided again as a message is") {
    const folder f;
    outbox box({.path = f.file()});
    box.start();
    std::future<told> answer;
    REQUIRE_FALSE(box.submit(with_waiter(answer)));
    divide(box, box.lease_one(), {{0}, {1, 2, 3}});
    auto parts = box.lease(2);
    divide(box, std::move(parts[1]), {{0, 2}, {1}});
    for (auto& j : box.lease(2)) parts.push_back(std::move(j));
    parts.erase(parts.begin() + 1);
    CHECK(recipients(parts[1]) == "b@x.example d@x.example");
    CHECK(parts[1].places == std::vector<std::uint32_t>{1, 3});
    CHECK(recipients(parts[2]) == "c@y.example");
    CHECK(box.queue.size() == 1);
    for (auto& j : parts) {
        accept_all(j);
        box.queue.settle(j);
        j.waiter->complete({}, std::move(j.result));
    }
    CHECK(answer.get().result.all_accepted());
    CHECK(box.wait([&] { return box.queue.size() == 0; }));
}
