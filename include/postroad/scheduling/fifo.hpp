#pragma once
// First come, first served, as fast as connections take it: the default. See docs/scheduling.md.

#include <postroad/core/id_map.hpp>
#include <postroad/scheduling/detail/job_lines.hpp>
#include <postroad/scheduling/doubt.hpp>
#include <postroad/scheduling/policy.hpp>
#include <postroad/scheduling/retry.hpp>

#include <cstddef>
#include <optional>

namespace postroad::scheduling {

struct fifo {
    using axis = postroad::axis::scheduling;

    scheduling::retry retry = {};
    doubt_rule in_doubt = park{};
    /// See scheduling_traits::most_in_doubt().
    std::size_t most_in_doubt = 0;

    void admit(const job& j, host_id h, time_point) { jobs_.push_back(lines_[h], h, j.id); }
    std::optional<job_id> next(host_id h, time_point) {
        const auto found = lines_.find(h);
        if (found == lines_.end() || found->second.empty()) return std::nullopt;
        return jobs_.pop_front(found->second);
    }
    std::size_t waiting(host_id h, time_point) const {
        const auto found = lines_.find(h);
        return found == lines_.end() ? 0 : found->second.size;
    }
    void withdraw(job_id id, host_id h) {
        if (jobs_.line_of(id) == h) jobs_.erase(lines_.at(h), id);
    }
    time_point forget(host_id h, time_point now) {
        if (waiting(h, now) > 0) return never;
        lines_.erase(h);
        return time_point::min();
    }
    verdict judge(const job& j, time_point now) const { return judge_with(retry, in_doubt, j, now); }
    time_point wakeup() const noexcept { return never; }

    id_map<detail::job_lines::line> lines_ = {};  ///< internal: by site
    detail::job_lines jobs_ = {};                 ///< internal: what is in them
};

static_assert(scheduling_policy<fifo>);

}  // namespace postroad::scheduling
