#pragma once
// What to do with a message that is in doubt: a part of schedulers. See docs/scheduling.md.

#include <postroad/queueing/job.hpp>

#include <chrono>
#include <functional>
#include <variant>

namespace postroad::scheduling {

/// It waits for somebody's decision, if the queue is durable; otherwise it is over, and the outcome says so.
struct park {};

/// It goes again after a while, which may make a duplicate; what is in doubt then as well is parked.
struct retry_after {
    duration wait = std::chrono::minutes(15);
    unsigned times = 2;
};

/// The program decides, on the mailer's executor: be quick, do not block or throw.
struct ask {
    std::function<verdict(const job& j, time_point now)> what;
};

/// A message is in doubt when all of its content left and no reply came: the server may have it or not. Nothing but
/// these rules ever sends it again.
using doubt_rule = std::variant<park, retry_after, ask>;

inline verdict judge_doubt(const doubt_rule& rule, const job& j, time_point now) {
    if (const auto* r = std::get_if<retry_after>(&rule); r && j.doubts < r->times)
        return {verdict::kind::retry, after(now, r->wait)};
    if (const auto* a = std::get_if<ask>(&rule)) return a->what(j, now);
    return {verdict::kind::park};
}

/// The verdict of a `retry` part; once all else is settled, of the rule for what is in doubt.
template <class Retry>
verdict judge_with(const Retry& retry, const doubt_rule& rule, const job& j, time_point now) {
    const auto v = retry.judge(j, now);
    if (v.what == verdict::kind::done && j.result.any_are(status::in_doubt)) return judge_doubt(rule, j, now);
    return v;
}

}  // namespace postroad::scheduling
