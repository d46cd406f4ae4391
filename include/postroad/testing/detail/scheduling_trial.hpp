#pragma once
// Uses a policy of the scheduling axis at random and notes the rules that it breaks.

#include <postroad/scheduling/policy.hpp>
#include <postroad/testing/detail/trial.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace postroad::testing::detail {

template <class S>
class scheduling_trial {
public:
    explicit scheduling_trial(S s) : scheduler_(std::move(s)) {}

    broken_rules run() {
        for (int i = 0; i < 2000; ++i) {
            if (i == 1000) {
                S moved = std::move(scheduler_);
                scheduler_ = std::move(moved);
            }
            step();
        }
        for (pooling::host_id i = 0; i < 200; ++i) admit(++last_, i % 4);
        drain_all();
        judge_settled();
        for (const bool lasts : {false, true}) judge_deferred(lasts);
        return rules_.take();
    }

private:
    void step() {
        const auto h = static_cast<pooling::host_id>(dice_.below(4));
        switch (dice_.below(6)) {
            case 0:
            case 1: return admit(++last_, h);
            case 2: {
                const auto id = next(h);
                // A job that went back, as behind a stale connection.
                if (id != 0 && dice_.below(4) == 0) admit(id, h);
                return;
            }
            case 3: {
                if (jobs_.empty()) return;
                const auto [id, host] = *any_of(dice_, jobs_);
                scheduler_.withdraw(id, host);
                jobs_.erase(id);
                return;
            }
            case 4: now_ += std::chrono::seconds(dice_.below(5)); return;
            default: (void)drain(h);
        }
    }

    void admit(job_id id, pooling::host_id h) {
        auto j = trial_job(id, mail_);
        j.traffic_class = static_cast<std::uint8_t>(id % 3);
        j.tenant = id % 5 < 2 ? "a" : "b";
        j.tag = id % 7 < 3 ? "c" : "";
        scheduler_.admit(j, h, now_);
        jobs_.emplace(id, h);
    }

    job_id next(pooling::host_id h) {
        give_turns();
        const auto said = scheduler_.waiting(h, now_);
        rules_.check(said <= jobs_.size(), "waiting() counts jobs that wait");
        const auto id = scheduler_.next(h, now_);
        rules_.check(id.has_value() == (said > 0), "next() gives a job when waiting() says so, and only then");
        end_turns();
        if (!id) return 0;
        const auto found = jobs_.find(*id);
        rules_.check(found != jobs_.end(), "next() gives only what waits, and once");
        if (found == jobs_.end()) return 0;
        rules_.check(found->second == h, "next() gives only jobs of that destination");
        jobs_.erase(found);
        return *id;
    }

    bool drain(pooling::host_id h) {
        const auto held = jobs_.size();
        for (auto left = held; left > 0 && next(h) != 0; --left) {
        }
        rules_.check(next(h) == 0, "next() gives no more jobs than wait");
        return jobs_.size() < held;
    }

    // A scheduler that gives turns says which destinations have connections.
    void give_turns() {
        if constexpr (scheduling::gives_turns<S>)
            for (auto left = 2 * jobs_.size() + 9; left > 0; --left) {
                const auto h = scheduler_.turn(now_);
                if (!h) return;
                scheduler_.begin(*h, now_);
                turns_.push_back(*h);
            }
    }
    void end_turns() {
        if constexpr (scheduling::gives_turns<S>)
            for (const auto h : std::exchange(turns_, {})) scheduler_.end(h, now_);
    }

    void drain_all() {
        for (auto left = 10 * jobs_.size() + 10; left > 0 && !jobs_.empty(); --left) {
            bool moved = false;
            for (pooling::host_id h = 0; h < 4; ++h) moved = drain(h) || moved;
            if (moved) continue;
            const auto at = scheduler_.wakeup();
            if (at == never || at <= now_) break;
            now_ = at;
        }
        rules_.check(jobs_.empty(), "every job is given in the end; wakeup() tells when");
    }

    void judge_settled() {
        for (const auto first : {status::accepted, status::rejected, status::in_doubt})
            for (const auto second : {status::accepted, status::rejected, status::in_doubt}) {
                auto j = trial_job(1, mail_);
                j.result.attempts = 1;
                for (auto& r : j.result.recipients) r.status = first;
                j.result.recipients.back().status = second;
                rules_.check(scheduler_.judge(j, now_).what != verdict::kind::retry,
                             "judge() never tries again what is accepted, rejected or in doubt");
            }
    }

    // Where the queue outlives the process age may be what ends it.
    void judge_deferred(bool lasts) {
        auto j = trial_job(1, mail_);
        j.lasts = lasts;
        j.submitted = now_;
        for (auto& r : j.result.recipients) r.status = status::deferred;
        auto now = now_;
        for (int i = 0; i < 10'000; ++i) {
            ++j.result.attempts;
            const auto v = scheduler_.judge(j, now);
            if (v.what == verdict::kind::done) return;
            rules_.check(v.at >= now, "judge() tries again later, not earlier");
            now = std::max(now, v.at);
        }
        rules_.check(false, "judge() gives up some time");
    }

    S scheduler_;
    rule_book rules_;
    dice dice_{3};
    mail_ptr mail_ = trial_mail();
    std::map<job_id, pooling::host_id> jobs_;
    std::vector<pooling::host_id> turns_;
    job_id last_ = 0;
    time_point now_ = time_point{} + std::chrono::hours(1);
};

}  // namespace postroad::testing::detail
