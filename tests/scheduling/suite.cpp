#include <doctest/doctest.h>

#include <postroad/scheduling/fair.hpp>
#include <postroad/scheduling/fifo.hpp>

#include <chrono>

#include "rules.hpp"

using namespace postroad;
using namespace std::chrono_literals;
using rules_test::broke;
using rules_test::listed;
using scheduling::fair;
using scheduling::fifo;
using scheduling::host_id;
using testing::check_scheduling;

namespace {

/// Starts are a second apart: a model that withholds jobs for a time.
struct paced : fifo {
    std::optional<job_id> next(host_id h, time_point now) {
        if (waiting(h, now) == 0) return std::nullopt;
        ready_at = now + 1s;
        return fifo::next(h, now);
    }
    std::size_t waiting(host_id h, time_point now) const {
        return now < ready_at ? 0 : std::min<std::size_t>(1, fifo::waiting(h, now));
    }
    time_point wakeup() const { return ready_at == time_point::min() ? never : ready_at; }

    time_point ready_at = time_point::min();
};

// Each breaks one promise.
struct gives_twice : fifo {
    std::optional<job_id> next(host_id h, time_point now) {
        const auto id = fifo::next(h, now);
        if (id && *id % 50 == 0 && last != *id) fifo::admit(job{.id = last = *id}, h, now);
        return id;
    }
    job_id last = 0;
};
struct mixes_hosts : fifo {
    void admit(const job& j, host_id h, time_point now) { fifo::admit(j, j.id % 50 == 0 ? h ^ 1 : h, now); }
};
struct counts_wrong : fifo {
    std::size_t waiting(host_id h, time_point now) const { return fifo::waiting(h, now) / 2; }
};
struct counts_too_many : fifo {
    std::size_t waiting(host_id h, time_point now) const { return fifo::waiting(h, now) * 1000; }
};
struct loses_jobs : fifo {
    void admit(const job& j, host_id h, time_point now) {
        if (j.id % 50 != 0) fifo::admit(j, h, now);
    }
};
struct cannot_withdraw : fifo {
    void withdraw(job_id, host_id) {}
};
struct never_wakes : paced {
    time_point wakeup() const { return never; }
};
struct retries_doubt : fifo {
    verdict judge(const job& j, time_point now) const {
        if (j.result.any_are(status::in_doubt)) return {verdict::kind::retry, now};
        return {};
    }
};
struct retries_for_ever : fifo {
    verdict judge(const job& j, time_point now) const {
        return j.result.any_are(status::deferred) ? verdict{verdict::kind::retry, now + 1s} : verdict{};
    }
};
struct retries_in_the_past : fifo {
    verdict judge(const job& j, time_point now) const {
        return j.result.attempts == 1 && j.result.any_are(status::deferred) ? verdict{verdict::kind::retry, now - 1s}
                                                                            : verdict{};
    }
};

template <class Scheduler>
bool caught(const char* rule) {
    return broke(check_scheduling([] { return Scheduler{}; }), rule);
}

}  // namespace

TEST_CASE("our schedulers keep the rules of their axis") {
    CHECK(listed(check_scheduling([] { return fifo{}; })) == "");
    CHECK(listed(check_scheduling([] { return fifo{.retry = {.attempts = 20}}; })) == "");
    CHECK(listed(check_scheduling([] { return fair{}; })) == "");
    CHECK(listed(check_scheduling([] { return fair{.weights = {}, .burst = 1, .per_destination = 1}; })) == "");
    CHECK(listed(check_scheduling([] { return fair{.pace = {2, 1s}}; })) == "");
    CHECK(listed(check_scheduling([] { return fair{.tenant_pace = {3, 1s}, .pacer = {.ahead = 2}}; })) == "");
    CHECK(listed(check_scheduling([] { return fair{.pace = {5, 1s}, .mailer_pace = {7, 2s}}; })) == "");
}

TEST_CASE("a scheduler that withholds jobs for a time can keep the rules") {
    CHECK(listed(check_scheduling([] { return paced{}; })) == "");
}

TEST_CASE("the suite finds schedulers that break a rule") {
    CHECK(caught<gives_twice>("next() gives only what waits, and once"));
    CHECK(caught<mixes_hosts>("next() gives only jobs of that destination"));
    CHECK(caught<counts_wrong>("next() gives a job when waiting() says so, and only then"));
    CHECK(caught<counts_too_many>("waiting() counts jobs that wait"));
    CHECK(caught<loses_jobs>("every job is given in the end; wakeup() tells when"));
    CHECK(caught<never_wakes>("every job is given in the end; wakeup() tells when"));
    CHECK(caught<cannot_withdraw>("next() gives only what waits, and once"));
    CHECK(caught<retries_doubt>("judge() never tries again what is accepted, rejected or in doubt"));
    CHECK(caught<retries_for_ever>("judge() gives up some time"));
    CHECK(caught<retries_in_the_past>("judge() tries again later, not earlier"));
}
