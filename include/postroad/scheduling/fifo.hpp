#pragma once
// First come, first served, as fast as connections take it: the default. See docs/scheduling.md.

#include <postroad/core/ring.hpp>
#include <postroad/scheduling/doubt.hpp>
#include <postroad/scheduling/policy.hpp>
#include <postroad/scheduling/retry.hpp>

#include <vector>

namespace postroad::scheduling {

struct fifo {
    using axis = postroad::axis::scheduling;

    scheduling::retry retry = {};
    doubt_rule in_doubt = park{};

    void admit(const job& j, host_id h, time_point) {
        if (h >= lines_.size()) lines_.resize(h + 1);
        lines_[h].push_back(j.id);
    }
    std::optional<job_id> next(host_id h, time_point now) {
        if (waiting(h, now) == 0) return std::nullopt;
        return lines_[h].pop_front();
    }
    std::size_t waiting(host_id h, time_point) const noexcept { return h < lines_.size() ? lines_[h].size() : 0; }
    void withdraw(job_id id, host_id h) {
        for (std::size_t i = waiting(h, {}); i > 0; --i) {
            const auto other = lines_[h].pop_front();
            if (other != id) lines_[h].push_back(other);
        }
    }
    verdict judge(const job& j, time_point now) const { return judge_with(retry, in_doubt, j, now); }
    time_point wakeup() const noexcept { return never; }

    std::vector<ring<job_id>> lines_ = {};  ///< internal: one for each destination
};

static_assert(scheduling_policy<fifo>);

}  // namespace postroad::scheduling
