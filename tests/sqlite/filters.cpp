// Looking at a queue in a file: by any filter, oldest first, and in nobody's way.
#include "seeds.hpp"
#include "sqlite/outbox.hpp"

#include <algorithm>
#include <optional>
#include <random>

using namespace sqlite_test;

namespace {

// Jobs in each state, of few tenants, tags, domains and classes, none of them leased.
void fill(outbox& box, std::mt19937& random, time_point now) {
    const char* const names[] = {"", "a", "b"};
    const char* const domains[] = {"u@X.example", "v@y.example", "w@z.example"};
    box.start();
    for (int i = 0; i < 200; ++i) {
        auto j = outbox::make(mail_with("\r\n", {domains[random() % 3]}));
        j.tenant = names[random() % 3];
        j.tag = names[random() % 3];
        j.traffic_class = static_cast<std::uint8_t>(random() % 3);
        j.submitted = now - std::chrono::seconds(random() % 1000);
        if (random() % 4 == 0) j.due = now + 1h;
        REQUIRE_FALSE(box.submit(std::move(j)));
    }
    for (auto& j : box.lease(100, now)) {
        switch (random() % 5) {
            case 0: box.queue.keep(std::move(j), job_state::held); break;
            case 1: box.queue.keep(std::move(j), job_state::in_doubt); break;
            case 2: box.queue.release(std::move(j)); break;
            default: j.error = errc::timed_out; box.queue.settle(j);
        }
    }
}

// Those that are copied, page by page, in the order of their ids.
std::vector<job_id> copied(outbox& box, const queueing::job_filter& which, time_point now) {
    std::vector<job_id> ids;
    std::optional<std::int64_t> after = -1;
    while (after) {
        const auto page = box.queue.page(which, 7, *after, now);
        CHECK(page.jobs.size() <= 7);
        for (const auto& s : page.jobs) {
            ids.push_back(s.info.id);
            CHECK(s.place > *after);
            CHECK(s.mail->envelope.recipients.size() == 1);
            CHECK(s.failed.has_value() == (s.info.state == job_state::failed));
            CHECK_FALSE(s.cut);
        }
        after = page.next;
    }
    std::ranges::sort(ids);
    return ids;
}

}  // namespace

TEST_CASE("each filter finds what it says, oldest first, whatever index finds it") {
    const auto seed = any_seed();
    CAPTURE(seed);
    std::mt19937 random(seed);
    const folder f;
    const auto now = clock::now();
    outbox box({.path = f.file()});
    fill(box, random, now);
    auto all = box.list({}, now);
    for (auto& j : box.list({.state = job_state::failed}, now)) all.push_back(std::move(j));
    CHECK(all.size() == 200);
    const auto older = [](const auto& a, const auto& b) { return a.age > b.age; };
    std::ranges::sort(all, older);
    queueing::queue_counts counts;
    box.queue.count(now, counts);
    std::size_t found_any = 0;
    for (std::size_t s = 0; s <= queueing::job_states; ++s)
        for (const auto* tenant : {"", "a", "c"})
            for (const auto* tag : {"", "b"})
                for (const auto* domain : {"", "x.EXAMPLE", "y.example"}) {
                    queueing::job_filter which{.tenant = tenant, .tag = tag, .domain = domain};
                    if (s < queueing::job_states) which.state = static_cast<job_state>(s);
                    CAPTURE(s);
                    CAPTURE(tenant);
                    CAPTURE(tag);
                    CAPTURE(domain);
                    std::vector<job_id> wanted;
                    for (const auto& j : all)
                        if (which.matches(j)) wanted.push_back(j.id);
                    auto got = box.list(which, now);
                    CHECK(std::ranges::is_sorted(got, older));
                    std::vector<job_id> ids;
                    for (const auto& j : got) ids.push_back(j.id);
                    std::ranges::sort(ids);
                    std::ranges::sort(wanted);
                    CHECK(ids == wanted);
                    CHECK(copied(box, which, now) == wanted);
                    found_any += ids.empty() ? 0 : 1;
                    if (s < queueing::job_states && *tenant == 0 && *tag == 0 && *domain == 0)
                        CHECK(counts.by_state[s] == ids.size());
                    std::vector<queueing::job_info> some;
                    box.queue.list(which, 3, now, some);
                    CHECK(some.size() == std::min<std::size_t>(3, ids.size()));
                }
    CHECK(found_any > 50);
    for (const auto& j : all) CHECK(box.list({.id = j.id}, now).size() == 1);
}

TEST_CASE("many are held, hurried and dropped some at a time, each once") {
    const folder f;
    outbox box({.path = f.file()});
    std::promise<void> stored;
    constexpr std::size_t n = 1000;
    for (std::size_t i = 0; i < n; ++i) {
        auto j = outbox::make(mail_with("\r\n"));
        j.tag = "campaign";
        if (i + 1 == n) j.stored = [&](error_code) { stored.set_value(); };
        REQUIRE_FALSE(box.queue.enqueue(j));
    }
    stored.get_future().get();
    (void)box.add();
    box.start();
    auto leased = box.lease(10);
    CHECK(box.queue.hold({.tag = "campaign"}, clock::now()) == n - 10);
    CHECK(box.queue.retry_now({.tag = "campaign"}, clock::now()) == n - 10);
    CHECK(box.queue.drop({.tag = "campaign"}, clock::now()).size() == n - 10);
    CHECK(box.queue.size() == 11);
    for (const auto& j : leased) box.queue.settle(j);
    CHECK(box.lease(1).front().tag.empty());
}

TEST_CASE("a queue whose file another program is writing to can be looked at") {
    const folder f;
    outbox box({.path = f.file()});
    (void)box.add();
    auto* const theirs = open_beside(f.file());
    REQUIRE(sqlite3_exec(theirs, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) == SQLITE_OK);
    CHECK(box.list({.domain = "y.example"}).size() == 1);
    queueing::queue_counts counts;
    box.queue.count(clock::now(), counts);
    CHECK(counts.of(job_state::waiting) == 1);
    sqlite3_close(theirs);
}
