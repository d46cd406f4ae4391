#include <doctest/doctest.h>

#include <postroad/scheduling/fair.hpp>
#include <postroad/scheduling/traits.hpp>

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <vector>

using namespace postroad;
using namespace postroad::scheduling;
using namespace std::chrono_literals;

namespace {

constexpr time_point t0 = time_point{} + 1h;
constexpr auto hanging = scheduling::detail::fair_site::hanging;

/// A scheduler with one connection for all, which goes to whoever has the turn.
struct one_connection {
    fair s = {};
    time_point now = t0;
    job_id last = 0;
    std::map<job_id, std::string> name = {};

    void add(const std::string& tenant, host_id h, int n, std::uint8_t grade = 0, const std::string& tag = "") {
        while (n-- > 0) {
            job j{.id = ++last};
            j.traffic_class = grade;
            j.tenant = tenant;
            j.tag = tag;
            name[last] = tenant + std::to_string(h) + (grade > 0 ? "'" : "");
            s.admit(j, h, now);
        }
    }
    /// The same, of messages that a server was asked about before: "a0+".
    void add_again(const std::string& tenant, host_id h, int n) {
        while (n-- > 0) {
            job j{.id = ++last};
            j.tenant = tenant;
            j.result.attempts = 1;
            name[last] = tenant + std::to_string(h) + "+";
            s.admit(j, h, now);
        }
    }
    /// What the next turn carries, and where it goes: "a0 a0 ".
    std::string turn() {
        const auto h = s.turn(now);
        if (!h) return "";
        s.begin(*h, now);
        std::string text;
        while (const auto id = s.next(*h, now)) text += name.at(*id) + " ";
        s.end(*h, now);
        return text;
    }
    /// How many of each name the next `n` messages are.
    std::map<std::string, int> count(int n) {
        std::map<std::string, int> all;
        while (n > 0) {
            const auto text = turn();
            if (text.empty()) break;
            for (std::size_t at = 0; at < text.size() && n > 0; --n) {
                const auto end = text.find(' ', at);
                ++all[text.substr(at, end - at)];
                at = end + 1;
            }
        }
        return all;
    }
};

}  // namespace

TEST_CASE("a destination gets a burst with its turn, then the next one has it") {
    one_connection c{{.burst = 3}};
    c.add("a", 0, 5);
    c.add("a", 1, 4);
    CHECK(c.turn() == "a0 a0 a0 ");
    CHECK(c.turn() == "a1 a1 a1 ");
    CHECK(c.turn() == "a0 a0 ");
    CHECK(c.turn() == "a1 ");
    CHECK(c.turn() == "");
}

TEST_CASE("classes share by weight while all have messages") {
    one_connection c{{.weights = {3, 1}, .burst = 4}};
    c.add("a", 0, 2000, 0);
    c.add("a", 1, 2000, 1);
    const auto got = c.count(1000);
    CHECK(got.at("a0") >= 740);
    CHECK(got.at("a0") <= 760);
    CHECK(c.count(3000).at("a1'") + got.at("a1'") == 2000);
}

TEST_CASE("classes share by weight within one destination too") {
    one_connection c{{.weights = {3, 1}, .burst = 8}};
    c.add("a", 0, 2000, 1);
    c.add("a", 0, 2000, 0);
    const auto got = c.count(1000);
    CHECK(got.at("a0") >= 740);
    CHECK(got.at("a0") <= 760);
}

TEST_CASE("a message that somebody waits for goes next, however much bulk there is") {
    one_connection c{{.burst = 4}};
    for (host_id h = 0; h < 100; ++h) c.add("bulk", h, 100, 1);
    (void)c.count(5000);
    c.add("shop", 300, 1, 0);
    CHECK(c.turn() == "shop300 ");
    c.add("shop", 7, 1, 0);
    CHECK(c.turn().find("shop7 ") == 0);
}

TEST_CASE("tenants share equally, whatever they have and to however many destinations") {
    one_connection c{{.burst = 16}};
    for (host_id h = 0; h < 500; ++h) c.add("many", h, 20);
    c.add("few", 1000, 5000);
    const auto all = c.count(4000);
    int many = 0;
    for (const auto& [name, n] : all)
        if (name.starts_with("many")) many += n;
    CHECK(std::abs(many - 2000) <= 32);
}

TEST_CASE("tenants at one destination alternate") {
    one_connection c{{.burst = 4}};
    c.add("a", 0, 6);
    c.add("b", 0, 6);
    CHECK(c.turn() == "a0 b0 a0 b0 ");
}

TEST_CASE("what is fresh passes what is tried again, and that goes on behind each third of it") {
    one_connection c{{.burst = 8}};
    c.add_again("a", 0, 1000);
    CHECK(c.turn() == "a0+ a0+ a0+ a0+ a0+ a0+ a0+ a0+ ");
    c.add("a", 0, 1);
    CHECK(c.turn().starts_with("a0 a0+ "));
    c.add("a", 0, 1000);
    CHECK(c.turn() == "a0 a0 a0 a0+ a0 a0 a0 a0+ ");
    auto got = c.count(400);
    CHECK(got.at("a0+") == 100);
    // Of neither anything is left behind.
    got = c.count(10'000);
    CHECK(got.at("a0") == 1000 - 6 - 300);
    CHECK(got.at("a0+") == 1000 - 8 - 7 - 2 - 100);
    CHECK(c.turn() == "");
}

TEST_CASE("a message that somebody waits for passes ten thousand that are tried again, of its own tenant and site") {
    one_connection c{{.burst = 16}};
    c.add_again("shop", 0, 10'000);
    int before = 0;
    for (int i = 0; i < 100; ++i) {
        c.add("shop", 0, 1);
        const auto text = c.turn();
        before = std::max(before, static_cast<int>(std::ranges::count(text.substr(0, text.find("shop0 ")), ' ')));
    }
    CHECK(before <= 1);
}

TEST_CASE("to try again costs a tenant nothing of its share, and gains it nothing") {
    one_connection c{{.burst = 4}};
    c.add("a", 0, 1000);
    c.add_again("a", 0, 1000);
    c.add("b", 0, 1000);
    c.add_again("d", 0, 1000);
    const auto got = c.count(300);
    CHECK(got.at("a0") + got.at("a0+") == 100);
    CHECK(got.at("b0") == 100);
    CHECK(got.at("d0+") == 100);
}

TEST_CASE("a tenant that was away has no claim on what it did not use") {
    one_connection c{{.burst = 4}};
    c.add("a", 0, 1000);
    (void)c.count(500);
    c.add("b", 1, 1000);
    const auto got = c.count(200);
    CHECK(std::abs(got.at("a0") - got.at("b1")) <= 16);
}

TEST_CASE("a destination has no more connections than it may have") {
    fair s{.per_destination = 3, .concurrency = {.first = 10}};
    for (job_id id = 1; id <= 1000; ++id) s.admit(job{.id = id}, 0, t0);
    for (int i = 0; i < 3; ++i) {
        REQUIRE(s.turn(t0) == host_id(0));
        s.begin(0, t0);
    }
    CHECK_FALSE(s.turn(t0).has_value());
    s.end(0, t0);
    CHECK(s.turn(t0) == host_id(0));
}

TEST_CASE("a destination has no more connections than messages wait beyond those promised") {
    fair s{.burst = 4, .concurrency = {.first = 10}};
    for (job_id id = 1; id <= 6; ++id) s.admit(job{.id = id}, 0, t0);
    REQUIRE(s.turn(t0) == host_id(0));
    s.begin(0, t0);
    REQUIRE(s.turn(t0) == host_id(0));
    s.begin(0, t0);
    CHECK_FALSE(s.turn(t0).has_value());
}

TEST_CASE("what was promised to a connection that hangs goes by another") {
    fair s{.burst = 4, .concurrency = {.first = 10}};
    for (job_id id = 1; id <= 3; ++id) s.admit(job{.id = id}, 0, t0);
    REQUIRE(s.turn(t0) == host_id(0));
    s.begin(0, t0);
    CHECK(s.next(0, t0) == 1);
    CHECK_FALSE(s.turn(t0).has_value());
    CHECK(s.wakeup() == t0 + hanging);
    CHECK_FALSE(s.turn(t0 + hanging - 1ms).has_value());
    REQUIRE(s.turn(t0 + hanging) == host_id(0));
    s.begin(0, t0 + hanging);
    CHECK(s.next(0, t0 + hanging) == 2);
    // Which moves on: no more connections are needed.
    CHECK_FALSE(s.turn(t0 + hanging).has_value());
}

TEST_CASE("connections grow as they work, and are probed after a refusal") {
    fair s{.burst = 1, .concurrency = {.first = 1}};
    for (job_id id = 1; id <= 1000; ++id) s.admit(job{.id = id}, 0, t0);
    std::size_t open = 0;
    const auto more = [&](time_point now) {
        int n = 0;
        for (; s.turn(now); ++n) s.begin(0, now);
        return n;
    };
    CHECK(more(t0) == 1);
    s.signal(0, host_event::opened, ++open, t0);
    CHECK(more(t0) == 1);
    s.signal(0, host_event::opened, ++open, t0);
    CHECK(more(t0) == 1);
    s.signal(0, host_event::refused, open, t0);
    s.end(0, t0);
    CHECK(more(t0) == 0);
    CHECK(s.wakeup() == t0 + 30s);
    CHECK(more(t0 + 30s - 1ns) == 0);
    CHECK(more(t0 + 30s) == 1);
}

TEST_CASE("a destination that does not work is left alone, and probed with one message") {
    fair s{.breaker = {.failures = 2, .first_wait = 30s}};
    for (job_id id = 1; id <= 100; ++id) s.admit(job{.id = id}, 0, t0);
    REQUIRE(s.turn(t0) == host_id(0));
    s.begin(0, t0);
    CHECK(s.next(0, t0).has_value());
    s.signal(0, host_event::put_off, 1, t0);
    CHECK(s.next(0, t0).has_value());
    s.signal(0, host_event::put_off, 1, t0);
    CHECK_FALSE(s.next(0, t0).has_value());
    CHECK(s.waiting(0, t0) == 0);
    s.end(0, t0);
    CHECK_FALSE(s.turn(t0).has_value());
    CHECK(s.wakeup() == t0 + 30s);

    REQUIRE(s.turn(t0 + 30s) == host_id(0));
    s.begin(0, t0 + 30s);
    CHECK(s.waiting(0, t0 + 30s) == 1);
    CHECK(s.next(0, t0 + 30s).has_value());
    CHECK_FALSE(s.next(0, t0 + 30s).has_value());
    CHECK_FALSE(s.turn(t0 + 30s).has_value());
    s.signal(0, host_event::answered, 1, t0 + 31s);
    CHECK(s.turn(t0 + 31s) == host_id(0));
}

TEST_CASE("whoever nobody reaches sheds all that waits, except what is paused") {
    one_connection c;
    c.add("a", 0, 3);
    c.add("b", 0, 2, 1);
    c.s.pause({.by = selection::kind::tenant, .name = "b"});
    std::string shed;
    while (const auto id = c.s.shed(0)) shed += c.name.at(*id) + " ";
    CHECK(shed == "a0 a0 a0 ");
    c.s.resume({.by = selection::kind::tenant, .name = "b"});
    CHECK(c.s.shed(0).has_value());
    CHECK(c.s.shed(0).has_value());
    CHECK_FALSE(c.s.shed(0).has_value());
}

TEST_CASE("a pace holds for a destination, a tenant and the mailer, each") {
    struct row {
        const char* what;
        fair s;
        int in_ten_seconds;
    };
    row rows[] = {
        {"destination", {.pace = {2, 1s}}, 2 * 20},
        {"tenant", {.tenant_pace = {3, 1s}}, 2 * 30},
        {"mailer", {.mailer_pace = {5, 1s}}, 50},
        {"all", {.pace = {2, 1s}, .tenant_pace = {1, 1s}, .mailer_pace = {1, 1s}}, 10},
    };
    for (auto& row : rows) {
        CAPTURE(row.what);
        one_connection c{std::move(row.s)};
        c.add("a", 0, 500);
        c.add("b", 1, 500);
        int sent = 0;
        while (c.now < t0 + 10s - 1ms) {
            sent += static_cast<int>(std::ranges::count(c.turn() + c.turn(), ' '));
            REQUIRE(c.s.wakeup() > c.now);
            c.now = c.s.wakeup();
        }
        CHECK(sent == row.in_ten_seconds);
    }
}

TEST_CASE("a tenant that is paced does not keep others from the destination they share") {
    one_connection c{{.burst = 100, .tenant_pace = {1, 1s}}};
    c.add("a", 0, 5);
    c.add("b", 0, 5);
    CHECK(c.turn() == "a0 b0 ");
    CHECK(c.turn() == "");
    c.now += 1s;
    CHECK(c.turn() == "a0 b0 ");
}

TEST_CASE("what is paused by destination, tenant or tag waits until it is resumed, also what comes later") {
    struct row {
        selection what;
        const char* rest;
    };
    const row rows[] = {
        {{.by = selection::kind::destination, .host = 0}, "b1 b1 b1 "},
        {{.by = selection::kind::tenant, .name = "b"}, "a0 a0 a0 "},
        {{.by = selection::kind::tag, .name = "news"}, "b1 b1 b1 "},
    };
    for (const auto& row : rows) {
        CAPTURE(row.rest);
        one_connection c;
        c.add("a", 0, 2, 0, "news");
        c.add("b", 1, 2);
        c.s.pause(row.what);
        c.add("a", 0, 1, 0, "news");
        c.add("b", 1, 1);
        CHECK(c.turn() == row.rest);
        CHECK(c.turn() == "");
        CHECK(c.s.list(row.what).size() == 3);
        c.s.resume(row.what);
        CHECK(c.s.wakeup() <= c.now);
        CHECK(std::ranges::count(c.turn(), ' ') == 3);
        CHECK(c.turn() == "");
    }
}

TEST_CASE("what is tried again is withdrawn, listed, paused and shed as what is fresh") {
    fair s{.burst = 8};
    job again{.id = 1};
    again.result.attempts = 2;
    again.tag = "n";
    job fresh{.id = 2};
    fresh.tag = "n";
    for (const auto* j : {&again, &fresh, &again}) s.admit(*j, 0, t0);
    const selection news{.by = selection::kind::tag, .name = "n"};
    CHECK(s.list(news) == std::vector<job_id>{2, 1});
    CHECK(s.backlog(0) == 2);
    s.withdraw(2, 0);
    CHECK(s.backlog(0) == 1);
    CHECK(s.list(news) == std::vector<job_id>{1});
    s.pause(news);
    CHECK_FALSE(s.turn(t0).has_value());
    s.resume(news);
    CHECK(s.shed(0) == job_id(1));
    CHECK(s.lines_.size() == 0);
}

TEST_CASE("withdrawn jobs are not given, listed or waited for") {
    one_connection c;
    c.add("a", 0, 4);
    c.s.withdraw(2, 0);
    c.s.withdraw(4, 0);
    c.s.withdraw(9, 0);
    c.s.withdraw(1, 77);
    CHECK(c.s.list({.host = 0}) == std::vector<job_id>{1, 3});
    CHECK(c.turn() == "a0 a0 ");
    CHECK(c.turn() == "");
    c.add("a", 1, 1);
    c.s.withdraw(c.last, 1);
    CHECK(c.turn() == "");
}

TEST_CASE("tags and tenants without number leave nothing behind") {
    one_connection c{{.tenant_pace = {1000, 1s}}};
    for (int i = 0; i < 10'000; ++i) {
        c.add("t" + std::to_string(i), static_cast<host_id>(i % 3), 1, static_cast<std::uint8_t>(i % 2),
              "tag" + std::to_string(i));
        if (i % 2) c.s.withdraw(c.last, static_cast<host_id>(i % 3));
        (void)c.turn();
        c.now += 1ms;
    }
    c.now += 1h;
    while (!c.turn().empty()) {
    }
    CHECK(c.s.lines_.size() < 10);
    CHECK(c.s.lines_.tenants.size() < 10);
    CHECK(c.s.lines_.tags.size() < 10);
}

TEST_CASE("a class beyond the last counts as the last, and without weights there is one") {
    one_connection c{{.weights = {}}};
    c.add("a", 0, 1, 200);
    CHECK(c.turn() == "a0' ");
}

TEST_CASE("the parts of fair can be replaced") {
    struct never_breaks {
        struct state {};
        bool broken(const state&) const { return false; }
        time_point probe_at(const state&) const { return time_point::min(); }
        void failed(state&, time_point) const {}
        void worked(state&) const {}
        time_point forget_at(const state&) const { return time_point::min(); }
    };
    basic_fair<pacer, clamp, never_breaks> s;
    static_assert(gives_turns<decltype(s)>);
    for (job_id id = 1; id <= 100; ++id) s.admit(job{.id = id}, 0, t0);
    for (int i = 0; i < 100; ++i) s.signal(0, host_event::put_off, 0, t0);
    CHECK(s.turn(t0) == host_id(0));
}

TEST_CASE("all that wait for a site are its backlog, whatever its connections may take") {
    using traits = scheduling_traits<fair>;
    one_connection c{{.burst = 4}};
    c.add("a", 1, 40);
    c.add("b", 1, 10);
    CHECK(traits::backlog(c.s, 1, c.now) == 50);
    CHECK(c.s.turn(c.now) == host_id(1));
    c.s.begin(1, c.now);
    CHECK(c.s.waiting(1, c.now) == 4);
    CHECK(traits::backlog(c.s, 1, c.now) == 50);
    (void)c.s.next(1, c.now);
    CHECK(traits::backlog(c.s, 1, c.now) == 49);
    CHECK(traits::backlog(c.s, 2, c.now) == 0);
}
