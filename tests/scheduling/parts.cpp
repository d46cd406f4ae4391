#include <doctest/doctest.h>

#include <postroad/scheduling/breaker.hpp>
#include <postroad/scheduling/concurrency.hpp>
#include <postroad/scheduling/pacer.hpp>
#include <postroad/scheduling/policy.hpp>
#include <postroad/scheduling/retry_rules.hpp>

#include <chrono>
#include <limits>
#include <string>
#include <vector>

using namespace postroad;
using namespace postroad::scheduling;
using namespace std::chrono_literals;

namespace {

constexpr time_point t0 = time_point{} + 1h;

recipient_outcome refused(std::uint16_t code, enhanced_code e, const std::string& text = "",
                          status s = status::deferred) {
    return {.address = {}, .status = s, .where = phase::rcpt, .reply = {code, e, text}};
}

job tried(std::vector<recipient_outcome> recipients, unsigned attempts = 1, time_point submitted = t0) {
    job j{.id = 7, .submitted = submitted};
    j.result.recipients = std::move(recipients);
    j.result.attempts = attempts;
    return j;
}

const retry_rules steady{.jitter = 0};

}  // namespace

TEST_CASE("the pacer spaces messages evenly and rounds against us") {
    const pacer p;
    const rate r{3, 1s};
    pacer::state s;
    CHECK(p.ready_at(s, r) <= t0);
    p.reserve(s, r, t0);
    CHECK(p.ready_at(s, r) == t0 + 333'333'334ns);
    p.reserve(s, r, t0 + 1s);
    CHECK(p.ready_at(s, r) == t0 + 1s + 333'333'334ns);
}

TEST_CASE("the pacer lets as many ahead as it is told, and no more in any time") {
    const pacer p{.ahead = 4};
    const rate r{10, 1s};
    pacer::state s;
    int sent = 0;
    for (auto now = t0; now < t0 + 10s; now += 7ms)
        if (p.ready_at(s, r) <= now) {
            p.reserve(s, r, now);
            ++sent;
            if (now == t0 + 21ms) CHECK(sent == 4);
        }
    CHECK(sent <= 100 + 4);
    CHECK(sent >= 98);
    CHECK(p.forget_at(s) > t0 + 9s);
}

TEST_CASE("a pacer lets go whatever comes where it lets any number ahead") {
    const pacer p{.ahead = std::numeric_limits<unsigned>::max()};
    for (const auto per : {duration(24h), duration::max()}) {
        const rate r{1, per};
        pacer::state s;
        for (int i = 0; i < 3; ++i) {
            CHECK(p.ready_at(s, r) <= t0);
            p.reserve(s, r, t0);
        }
    }
}

TEST_CASE("before a pace begins nothing goes, and what may go ahead is earned from then on") {
    const rate r{10, 1s, t0};
    for (const unsigned ahead : {1u, 4u}) {
        CAPTURE(ahead);
        const pacer p{.ahead = ahead};
        pacer::state s;
        CHECK(p.ready_at(s, r) == t0);
        p.reserve(s, r, t0);
        CHECK(p.ready_at(s, r) == t0 + 100ms);
        // Who comes later is as new.
        pacer::state later;
        int sent = 0;
        for (; p.ready_at(later, r) <= t0 + 10s; ++sent) p.reserve(later, r, t0 + 10s);
        CHECK(sent == static_cast<int>(ahead));
    }
    CHECK(pacer{}.ready_at({}, {0, 1s, t0}) == time_point::min());
    CHECK(slower({10, 1s, t0}, {1, 1s}) == rate{1, 1s, t0});
    CHECK(slower({1, 1s}, {10, 1s, t0}) == rate{1, 1s, t0});
}

TEST_CASE("a rate of zero messages is no limit") {
    const pacer p;
    pacer::state s;
    p.reserve(s, {}, t0);
    CHECK(p.ready_at(s, {}) == time_point::min());
    CHECK(p.ready_at(s, {0, 5s}) == time_point::min());
}

TEST_CASE("clamp opens one connection more than worked, until one is refused") {
    const clamp c{.first = 2};
    clamp::state s;
    CHECK(c.limit(s, t0) == 2);
    c.opened(s, 1, t0);
    c.opened(s, 2, t0);
    CHECK(c.limit(s, t0) == 3);
    c.opened(s, 3, t0);
    CHECK(c.limit(s, t0) == 4);
    c.refused(s, 3, t0);
    CHECK(c.limit(s, t0) == 3);
    CHECK(c.grows_at(s, t0) == t0 + 30s);
}

TEST_CASE("clamp probes with one connection after a wait that doubles up to an hour") {
    const clamp c;
    clamp::state s;
    auto now = t0;
    for (int i = 0; i < 5; ++i) c.opened(s, 5, now);
    std::vector<duration> waits;
    for (int i = 0; i < 10; ++i) {
        c.refused(s, 5, now);
        CHECK(c.limit(s, now) == 5);
        waits.push_back(c.grows_at(s, now) - now);
        now = c.grows_at(s, now);
        CHECK(c.limit(s, now) == 6);
        CHECK(c.grows_at(s, now) == never);
    }
    CHECK(waits[0] == 30s);
    CHECK(waits[1] == 1min);
    CHECK(waits[6] == 32min);
    CHECK(waits[7] == 1h);
    CHECK(waits[9] == 1h);
}

TEST_CASE("clamp takes refusals that come together for one lesson, and never goes below one connection") {
    const clamp c;
    clamp::state s;
    c.refused(s, 2, t0);
    c.refused(s, 1, t0 + 1s);
    c.refused(s, 0, t0 + 2s);
    CHECK(c.limit(s, t0 + 2s) == 1);
    CHECK(c.grows_at(s, t0 + 2s) == t0 + 30s);
}

TEST_CASE("the breaker opens after failures in a row, and probes after waits that double") {
    const breaker b{.failures = 3, .first_wait = 30s, .longest_wait = 2min};
    breaker::state s;
    b.failed(s, t0);
    b.failed(s, t0);
    b.worked(s);
    b.failed(s, t0);
    b.failed(s, t0);
    CHECK_FALSE(b.broken(s));
    b.failed(s, t0);
    CHECK(b.broken(s));
    CHECK(b.probe_at(s) == t0 + 30s);
    b.failed(s, t0 + 1s);  // was under way
    CHECK(b.probe_at(s) == t0 + 30s);
    auto now = t0 + 30s;
    for (const duration wait : {60s, 120s, 120s}) {
        b.failed(s, now);
        CHECK(b.probe_at(s) == now + wait);
        now += wait;
    }
    b.worked(s);
    CHECK_FALSE(b.broken(s));
}

TEST_CASE("a breaker without a number of failures never opens") {
    const breaker b{.failures = 0};
    breaker::state s;
    for (int i = 0; i < 100; ++i) b.failed(s, t0);
    CHECK_FALSE(b.broken(s));
}

TEST_CASE("refusals are told apart by code, enhanced code and words") {
    struct row {
        recipient_outcome r;
        refusal what;
    };
    const row rows[] = {
        {refused(0, {}, "", status::not_attempted), refusal::unreachable},
        {refused(450, {4, 2, 0}, "Recipient address rejected: Greylisted, see http://x"), refusal::greylisted},
        {refused(451, {4, 7, 1}, "Please try again later"), refusal::greylisted},
        {refused(451, {}, "graylisting in action"), refusal::greylisted},
        {refused(421, {}, "closing"), refusal::busy},
        {refused(451, {4, 3, 2}, "system not accepting"), refusal::busy},
        {refused(452, {4, 3, 1}, "system storage"), refusal::busy},
        {refused(450, {4, 4, 5}, "congestion"), refusal::busy},
        {refused(450, {4, 3, 0}, "other"), refusal::busy},
        {refused(450, {4, 3, 3}, "not capable"), refusal::unknown},
        {refused(450, {4, 4, 1}, "no answer from the host"), refusal::unknown},
        {refused(452, {4, 2, 2}, "over quota"), refusal::full},
        {refused(452, {4, 5, 3}, "too many recipients"), refusal::unknown},
        {refused(450, {4, 7, 0}, "too fast"), refusal::unknown},
        {refused(451, {}, "local error"), refusal::unknown},
    };
    for (const auto& row : rows) {
        CAPTURE(row.r.reply.text);
        CHECK(to_string(classify(row.r)) == to_string(row.what));
    }
}

TEST_CASE("each kind of refusal has its wait, which doubles up to the longest") {
    CHECK(steady.judge(tried({refused(421, {})}), t0).at == t0 + 5min);
    CHECK(steady.judge(tried({refused(451, {4, 7, 1})}), t0).at == t0 + 5min);
    CHECK(steady.judge(tried({refused(452, {4, 2, 2})}), t0).at == t0 + 1h);
    CHECK(steady.judge(tried({refused(451, {})}), t0).at == t0 + 30min);
    CHECK(steady.judge(tried({refused(0, {}, "", status::not_attempted)}), t0).at == t0 + 5min);
    CHECK(steady.judge(tried({refused(451, {})}, 2), t0).at == t0 + 1h);
    CHECK(steady.judge(tried({refused(451, {})}, 3), t0).at == t0 + 2h);
    CHECK(steady.judge(tried({refused(451, {})}, 4), t0).at == t0 + 3h);
    CHECK(steady.judge(tried({refused(451, {})}, 99), t0).at == t0 + 3h);
}

TEST_CASE("a message with several recipients waits for the one whose wait is shortest") {
    const auto v = steady.judge(
        tried({refused(452, {4, 2, 2}), refused(451, {4, 7, 1}), refused(250, {}, "", status::accepted)}), t0);
    CHECK(v.at == t0 + 5min);
}

TEST_CASE("jitter lies above the floor, depends on the seed and is the same again") {
    const retry_rules r{.jitter = 0.5, .seed = 1};
    const retry_rules other{.jitter = 0.5, .seed = 2};
    duration least = 1h;
    duration most = 0s;
    for (job_id id = 1; id <= 1000; ++id) {
        auto j = tried({refused(421, {})});
        j.id = id;
        const auto wait = r.judge(j, t0).at - t0;
        CHECK(r.judge(j, t0).at - t0 == wait);
        least = std::min(least, wait);
        most = std::max(most, wait);
    }
    CHECK(least >= 5min);
    CHECK(least < 5min + 2s);
    CHECK(most < 7min + 30s);
    CHECK(most > 7min + 28s);
    CHECK(r.judge(tried({refused(421, {})}), t0).at != other.judge(tried({refused(421, {})}), t0).at);
}

TEST_CASE("a message is given up by time, and by attempts") {
    const retry_rules r{.jitter = 0, .give_up = 1h, .attempts = 3};
    CHECK(r.judge(tried({refused(421, {})}), t0 + 55min).what == verdict::kind::retry);
    CHECK(r.judge(tried({refused(421, {})}), t0 + 55min + 1ns).what == verdict::kind::done);
    CHECK(r.judge(tried({refused(421, {})}, 2), t0).what == verdict::kind::retry);
    CHECK(r.judge(tried({refused(421, {})}, 3), t0).what == verdict::kind::done);
}

TEST_CASE("a message that waits beyond the time of the notice is late once") {
    const retry_rules r{.jitter = 0, .late_after = 1h};
    auto now = t0;
    int notices = 0;
    for (unsigned attempts = 1; attempts < 9; ++attempts) {
        const auto v = r.judge(tried({refused(421, {})}, attempts), now);
        if (v.late) {
            ++notices;
            CHECK(v.at >= t0 + 1h);
            CHECK(now < t0 + 1h);
        }
        now = v.at;
    }
    CHECK(notices == 1);
}

TEST_CASE("what is settled, or ended on our side, is not tried again by the rules") {
    using enum status;
    for (const auto s : {accepted, rejected, in_doubt})
        CHECK(steady.judge(tried({refused(0, {}, "", s)}), t0).what == verdict::kind::done);
    auto j = tried({refused(0, {}, "", not_attempted)});
    j.error = errc::authentication_rejected;
    for (const auto who : {blame::none, blame::message, blame::outage, blame::setting, blame::doubt}) {
        j.blame = who;
        CHECK(steady.judge(j, t0).what == verdict::kind::retry);
    }
    j.blame = blame::ours;
    CHECK(steady.judge(j, t0).what == verdict::kind::done);
}

TEST_CASE("what its servers keep waiting waits as for one that is not reached, whatever was said before") {
    for (const auto who : {blame::outage, blame::setting}) {
        auto j = tried({refused(452, {4, 2, 2})}, 1);
        j.blame = who;
        CHECK(steady.judge(j, t0).at == t0 + 5min);
        j.waits = 2;
        CHECK(steady.judge(j, t0).at == t0 + 20min);
        j.waits = 99;
        CHECK(steady.judge(j, t0).what == verdict::kind::done);
        // Where the queue outlives the process age alone ends it.
        j.lasts = true;
        CHECK(steady.judge(j, t0).at == t0 + 5min);
        j.result.attempts = 1000;
        CHECK(steady.judge(j, t0).what == verdict::kind::retry);
        CHECK(steady.judge(j, t0 + 120h).what == verdict::kind::done);
        j.blame = blame::none;
        CHECK(steady.judge(j, t0).what == verdict::kind::done);
    }
}

TEST_CASE("a learned limit and a probe to come are kept until their time") {
    const clamp c;
    clamp::state learned;
    CHECK(c.forget_at(learned) <= t0);
    c.refused(learned, 3, t0);
    CHECK(c.forget_at(learned) == t0 + 30s);
    const breaker b{.failures = 1};
    breaker::state broken;
    CHECK(b.forget_at(broken) <= t0);
    b.failed(broken, t0);
    CHECK(b.forget_at(broken) == t0 + 30s);
}

TEST_CASE("extreme rules make no nonsense of the waits") {
    const retry_rules endless{
        .growth = 4'000'000'000, .longest_wait = duration::max(), .jitter = 7, .give_up = duration::max()};
    CHECK(endless.judge(tried({refused(421, {})}, 50), t0).at == never);
    CHECK(retry_rules{.unknown = -1h, .jitter = 0}.judge(tried({refused(451, {})}), t0).at == t0);
    CHECK(retry_rules{.longest_wait = -1h}.judge(tried({refused(451, {})}), t0).at == t0);
}

TEST_CASE("jitter that is no number makes no wait shorter") {
    const retry_rules rules{.jitter = std::numeric_limits<double>::quiet_NaN()};
    CHECK(rules.judge(tried({refused(451, {})}), t0).at == t0 + 30min);
}
