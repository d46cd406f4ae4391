// The queue in a file, driven as the engine would.
#include "sqlite/outbox.hpp"

using namespace sqlite_test;

TEST_CASE("what was stored is leased by the next process, as it was") {
    const folder f;
    const auto mail = [] {
        auto m =
            std::make_shared<mail_object>(*mail_with("Subject: one\r\n\r\n.dot\r\n", {"b@y.example", "c@z.example"}));
        m->envelope.options.priority = 3;
        m->envelope.recipient_options = {{}, {.notify = {.success = true}}};
        return m;
    }();
    const auto now = clock::now();
    job_id id = 0;
    {
        outbox first({.path = f.file()});
        auto j = outbox::make(mail, now - 5min);
        id = j.id;
        j.deadline = now + 1h;
        j.tenant = "acme";
        j.tag = "june 2026";
        j.traffic_class = 200;
        REQUIRE_FALSE(first.submit(std::move(j)));
        CHECK(first.queue.size() == 1);
    }
    outbox second({.path = f.file()});
    CHECK(second.queue.size() == 1);
    second.start();
    const auto j = second.lease_one();
    CHECK(j.id == id);
    CHECK(j.mail->envelope == mail->envelope);
    CHECK(whole(j) == mail->content.text());
    CHECK(j.mail->content.known() == mail->content.known());
    CHECK(j.tenant == "acme");
    CHECK(j.tag == "june 2026");
    CHECK(j.traffic_class == 200);
    // The clocks are read anew by each process.
    const auto near = [](time_point a, time_point b) { return a - b < 1min && b - a < 1min; };
    CHECK(near(j.submitted, now - 5min));
    CHECK(near(j.deadline, now + 1h));
    CHECK_FALSE(j.interrupted);
    second.queue.settle(j);
    CHECK(second.queue.size() == 0);
    CHECK(second.drained());
    second.queue.stop();
    CHECK(outbox({.path = f.file()}).queue.size() == 0);
    CHECK(number(f.file(), "SELECT count(*) FROM jobs") == 0);
    CHECK(number(f.file(), "SELECT count(*) FROM parts") == 0);
}

TEST_CASE("jobs come class by class, and oldest first") {
    const folder f;
    outbox box({.path = f.file()});
    std::vector<job_id> wanted;
    for (const auto of : {std::uint8_t{1}, std::uint8_t{0}, std::uint8_t{1}, std::uint8_t{0}}) {
        auto j = outbox::make(mail_with("\r\n"));
        j.traffic_class = of;
        wanted.push_back(j.id);
        REQUIRE_FALSE(box.submit(std::move(j)));
    }
    box.start();
    const auto jobs = box.lease(4);
    CHECK(jobs[0].id == wanted[1]);
    CHECK(jobs[1].id == wanted[3]);
    CHECK(jobs[2].id == wanted[0]);
    CHECK(jobs[3].id == wanted[2]);
}

TEST_CASE("more jobs than fit in memory come in their order, each once") {
    const folder f;
    constexpr std::size_t n = 6000;
    outbox box({.path = f.file()});
    std::vector<job_id> wanted;
    std::promise<void> all;
    std::size_t left = n;
    for (std::size_t i = 0; i < n; ++i) {
        auto j = outbox::make(mail_with("Subject: " + std::to_string(i) + "\r\n"));
        wanted.push_back(j.id);
        j.stored = [&](error_code ec) {
            CHECK_FALSE(ec);
            if (--left == 0) all.set_value();
        };
        if (i == n / 2) box.start();
        REQUIRE_FALSE(box.queue.enqueue(j));
    }
    all.get_future().get();
    std::vector<job_id> got;
    while (got.size() < n)
        for (auto& j : box.lease(100)) {
            CHECK(whole(j) == "Subject: " + std::to_string(got.size()) + "\r\n");
            got.push_back(j.id);
            box.queue.settle(j);
        }
    CHECK(got == wanted);
    CHECK(box.drained());
    CHECK(box.queue.next_due() == never);
}

TEST_CASE("a delayed job waits until it is due, also in the next process") {
    const folder f;
    const auto now = clock::now();
    {
        outbox box({.path = f.file()});
        auto j = outbox::make(mail_with("\r\n"));
        j.due = now + 1h;
        REQUIRE_FALSE(box.submit(std::move(j)));
        box.start();
        const auto id = box.add();
        CHECK(box.lease_one(now).id == id);
        CHECK(box.wait([&] { return box.queue.next_due() == now + 1h; }));
        CHECK_FALSE(box.queue.drained(now + 2h));
    }
    outbox box({.path = f.file()});
    box.start();
    CHECK(box.states(now) == "delayed waiting");
    (void)box.lease_one(now);
    CHECK(box.wait([&] { return box.queue.next_due() > now + 59min && box.queue.next_due() < now + 61min; }));
    (void)box.lease_one(now + 61min);
}

TEST_CASE("a job that goes back keeps what became of it, and who waits for it") {
    const folder f;
    const auto now = clock::now();
    outbox box({.path = f.file()});
    box.start();
    std::promise<told> p;
    auto answer = p.get_future();
    auto mine = outbox::make(mail_with("\r\n", {"b@y.example", "c@y.example"}));
    mine.waiter = std::make_unique<promised>(std::move(p));
    REQUIRE_FALSE(box.submit(std::move(mine)));
    auto j = box.lease_one(now);
    box.mark(j.id);
    name_recipients(j);
    j.result.attempts = 2;
    j.result.recipients[0].status = status::accepted;
    j.result.recipients[1].reply = {.code = 450, .text = "later"};
    j.error = errc::recipients_deferred;
    j.returns = 1;
    j.due = now + 15min;
    const auto before = j.result;
    box.queue.put_back(std::move(j));
    CHECK(box.queue.next_due() == now + 15min);

    j = box.lease_one(now + 15min);
    CHECK(j.result.recipients == before.recipients);
    CHECK(j.result.attempts == 2);
    CHECK(j.error == errc::recipients_deferred);
    CHECK(j.returns == 1);
    CHECK_FALSE(j.interrupted);
    REQUIRE(j.waiter);
    j.waiter->complete({}, std::move(j.result));
    CHECK(answer.get().result.attempts == 2);
    box.queue.settle(j);
    CHECK(box.queue.size() == 0);
}

TEST_CASE("what a process had marked when it ended comes back in doubt, and the rest as it was") {
    const folder f;
    job_id marked = 0;
    job_id leased = 0;
    {
        outbox box({.path = f.file()});
        box.start();
        auto j = outbox::make(mail_with("\r\n", {"b@y.example", "c@y.example"}));
        REQUIRE_FALSE(box.submit(std::move(j)));
        (void)box.add();
        const auto both = box.lease(2);
        marked = both[0].id;
        leased = both[1].id;
        box.mark(marked);
    }
    outbox box({.path = f.file()});
    box.start();
    const auto both = box.lease(2);
    CHECK(both[0].id == marked);
    CHECK(both[0].interrupted);
    CHECK(both[0].error == errc::in_doubt);
    REQUIRE(both[0].result.recipients.size() == 2);
    CHECK(both[0].result.all_are(status::in_doubt));
    CHECK(both[1].id == leased);
    CHECK_FALSE(both[1].interrupted);
    CHECK(both[1].result.recipients.empty());
}

TEST_CASE("a released job, and one that was put back, are in doubt no more") {
    const folder f;
    const auto now = clock::now();
    {
        outbox box({.path = f.file()});
        box.start();
        (void)box.add();
        (void)box.add();
        auto both = box.lease(2);
        box.mark(both[0].id);
        box.mark(both[1].id);
        both[0].due = now + 1h;
        box.queue.put_back(std::move(both[0]));
        box.queue.release(std::move(both[1]));
    }
    outbox box({.path = f.file()});
    box.start();
    for (const auto& j : box.lease(2, now + 2h)) CHECK_FALSE(j.interrupted);
}

TEST_CASE("a queue takes as many as its capacity, those of others included") {
    const folder f;
    outbox box({.path = f.file(), .capacity = 2});
    (void)box.add();
    outbox other({.path = f.file(), .capacity = 2});
    CHECK(other.queue.size() == 1);
    (void)other.add();
    auto j = outbox::make(mail_with("\r\n"));
    CHECK(other.queue.enqueue(j) == errc::queue_full);
    CHECK(j.mail);
    // The first one knows by now, or learns when it writes.
    CHECK(other.queue.drop({}, clock::now()).size() == 2);
    CHECK_FALSE(other.submit(std::move(j)));
}

TEST_CASE("a key lets one message in, until its time is over") {
    const folder f;
    const auto keyed = [](const char* key) {
        auto j = outbox::make(mail_with("\r\n"));
        j.idempotency_key = key;
        return j;
    };
    outbox box({.path = f.file()});
    outbox other({.path = f.file(), .keys_kept = 0s});
    CHECK_FALSE(box.submit(keyed("order 1")));
    std::promise<told> p;
    auto answer = p.get_future();
    auto again = keyed("order 1");
    again.waiter = std::make_unique<promised>(std::move(p));
    CHECK(box.submit(std::move(again)) == errc::already_queued);
    const auto said = answer.get();
    CHECK(said.ec == errc::already_queued);
    CHECK(said.result.recipients.size() == 1);
    CHECK(other.submit(keyed("order 1")) == errc::already_queued);
    CHECK_FALSE(other.submit(keyed("order 2")));
    CHECK_FALSE(other.submit(keyed("order 2")));
    CHECK(box.queue.size() <= 3);
    // Also when the message is long gone.
    CHECK(box.queue.drop({}, clock::now()).size() == 3);
    CHECK(box.submit(keyed("order 1")) == errc::already_queued);
}

TEST_CASE("a composed message is stored in the form that every server takes") {
    const folder f;
    message m;
    m.from("a@x.example").to("b@y.example").subject("caf\xc3\xa9").text("na\xc3\xafve");
    const auto mail = std::make_shared<mail_object>(m.freeze({}));
    mail->content = mail->content.as(transfer::eight_bit);
    REQUIRE(mail->content.eight_bit());
    const auto narrow = mail->content.as(transfer::seven_bit);
    const std::string frozen(narrow.text());
    outbox box({.path = f.file()});
    box.start();
    REQUIRE_FALSE(box.submit(outbox::make(mail)));
    const auto j = box.lease_one();
    CHECK_FALSE(j.mail->content.eight_bit());
    CHECK(whole(j) == frozen);
}

TEST_CASE("a large content is stored in parts, and read while it is sent") {
    const folder f;
    std::string text = "Subject: large\r\n\r\n";
    while (text.size() < 3'500'000) text += std::to_string(text.size()) + "\r\n";
    for (const bool streams : {false, true}) {
        CAPTURE(streams);
        outbox box({.path = f.file()});
        auto mail = std::make_shared<mail_object>(*mail_with("\r\n"));
        mail->content = streams ? content::from_source(source::generated([&text]() -> source::read_function {
            return [&text, at = std::size_t{0}](std::span<char> room) mutable {
                const auto n = text.copy(room.data(), room.size(), at);
                at += n;
                return n;
            };
        }))
                                : content::from_text(text);
        REQUIRE(mail->content.streams() == streams);
        REQUIRE_FALSE(box.submit(outbox::make(mail)));
        box.queue.stop();

        outbox next({.path = f.file()});
        next.start();
        const auto j = next.lease_one();
        CHECK(j.mail->content.streams());
        auto known = j.mail->content.known();
        CHECK(known.leading_dots);  // looked for, whatever the file says
        known.leading_dots = mail->content.known().leading_dots;
        CHECK(known == mail->content.known());
        CHECK(whole(j) == text);
        next.queue.settle(j);
        CHECK(next.drained());
        // What is left behind is no end of a message.
        const content::reader gone(j.mail->content);
        CHECK(gone.failed());
        CHECK(gone.failure() == errc::changed_file);
    }
}

TEST_CASE("a file that changes before it is stored is refused, and the rest of the batch is stored") {
    const folder f;
    outbox box({.path = f.file()});
    auto mail = std::make_shared<mail_object>(*mail_with("\r\n"));
    int reads = 0;  // for its size, for what it holds, and to store it
    mail->content = content::from_source(source::generated([&reads]() -> source::read_function {
        return [left = ++reads < 3 ? 100'000 : 50'000](std::span<char> room) mutable {
            const auto n = std::min<std::size_t>(static_cast<std::size_t>(left), room.size());
            std::fill_n(room.data(), n, '\n');
            left -= static_cast<int>(n);
            return n;
        };
    }));
    CHECK(box.submit(outbox::make(mail)) == errc::changed_file);
    CHECK(box.queue.size() == 0);
    (void)box.add();
    CHECK(box.states() == "waiting");
}

TEST_CASE("submitting from many threads, everything is stored once") {
    const folder f;
    outbox box({.path = f.file()});
    box.start();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 50; ++i) CHECK_FALSE(box.submit(outbox::make(mail_with("\r\n"))));
        });
    for (const auto& j : box.lease(200)) box.queue.settle(j);
    for (auto& t : threads) t.join();
    CHECK(box.drained());
    CHECK(box.queue.size() == 0);
}

TEST_CASE("jobs that are waited for are completed when the queue stops") {
    const folder f;
    std::promise<told> p;
    auto answer = p.get_future();
    {
        outbox box({.path = f.file()});
        auto j = outbox::make(mail_with("\r\n"));
        j.due = clock::now() + 1h;
        j.waiter = std::make_unique<promised>(std::move(p));
        REQUIRE_FALSE(box.submit(std::move(j)));
        box.queue.stop();
        auto late = outbox::make(mail_with("\r\n"));
        CHECK(box.queue.enqueue(late) == errc::shut_down);
        CHECK(late.mail);
    }
    const auto said = answer.get();
    CHECK(said.ec == errc::shut_down);
    REQUIRE(said.result.recipients.size() == 1);
    CHECK(said.result.recipients[0].address == "b@y.example");
    CHECK(outbox({.path = f.file()}).queue.size() == 1);
}
