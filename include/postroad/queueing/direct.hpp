#pragma once
// No queue: a message is sent once, now, and the caller waits for it. See docs/queueing.md.

#include <postroad/queueing/lines.hpp>

#include <cstdint>
#include <memory>
#include <utility>

namespace postroad::queueing {

/// Never full, because each message in it has a caller who waits; keeps nothing for another attempt.
struct direct {
    using axis = postroad::axis::queueing;
    static constexpr bool keeps = false;

    error_code enqueue(job& j) { return lines_->enqueue(j, std::size_t(-1), std::uint64_t(-1)); }
    when_full full() const noexcept { return when_full::refuse; }
    void lease(std::size_t n, time_point now, std::vector<job>& out) { lines_->lease(n, now, out); }
    void lease(std::size_t n, time_point now, std::vector<std::unique_ptr<job>>& out) { lines_->lease(n, now, out); }
    void settle(const job& j) { lines_->settle(j); }
    void put_back(job&& j) { lines_->put_back(std::move(j)); }
    std::optional<job> take(job_id id) { return lines_->take(id); }
    void divide(job&& whole, std::vector<job>&& parts) { lines_->divide(std::move(whole), std::move(parts)); }
    std::vector<job> take_parts(job_id whole) { return lines_->take_parts(whole); }
    time_point next_due() const { return lines_->next_due(); }
    std::size_t size() const { return lines_->size(); }

    std::unique_ptr<detail::lines> lines_ = std::make_unique<detail::lines>();  ///< internal
};

static_assert(queueing_policy<direct>);

}  // namespace postroad::queueing
