#pragma once
// A bounded queue in memory: the default. What it holds is lost with the process. See docs/queueing.md.

#include <postroad/queueing/lines.hpp>

#include <cstdint>
#include <memory>
#include <utility>

namespace postroad::queueing {

struct memory {
    using axis = postroad::axis::queueing;
    static constexpr bool keeps = true;

    /// Most messages it holds, those being sent and those waiting for another attempt included.
    std::size_t capacity = 100'000;
    /// Most octets of their contents; a message that is larger is taken while there is no other. Parts that are read
    /// from files while they are sent do not count.
    std::uint64_t octets = std::uint64_t{1} << 30;
    queueing::when_full when_full = queueing::when_full::refuse;

    error_code enqueue(job& j) { return lines_->enqueue(j, capacity, octets); }
    queueing::when_full full() const noexcept { return when_full; }
    void lease(std::size_t n, time_point now, std::vector<job>& out) { lines_->lease(n, now, out); }
    void lease(std::size_t n, time_point now, std::vector<std::unique_ptr<job>>& out) { lines_->lease(n, now, out); }
    void settle(const job& j) { lines_->settle(j); }
    void put_back(job&& j) { lines_->put_back(std::move(j)); }
    std::optional<job> take(job_id id) { return lines_->take(id); }
    void divide(job&& whole, std::vector<job>&& parts) { lines_->divide(std::move(whole), std::move(parts)); }
    std::vector<job> take_parts(job_id whole) { return lines_->take_parts(whole); }
    time_point next_due() const { return lines_->next_due(); }
    std::size_t size() const { return lines_->size(); }

    void list(const job_filter& which, std::size_t limit, time_point now, std::vector<job_info>& out) const {
        lines_->list(which, limit, now, out);
    }
    void count(time_point now, queue_counts& counts) const { lines_->count(now, counts); }
    std::size_t retry_now(const job_filter& which, time_point now) { return lines_->retry_now(which, now); }
    std::size_t hold(const job_filter& which, time_point now) { return lines_->hold(which, now); }
    void keep(job&& j, job_state state) { lines_->keep(std::move(j), state); }
    std::vector<job> drop(const job_filter& which, time_point now) { return lines_->drop(which, now); }

    std::unique_ptr<detail::lines> lines_ = std::make_unique<detail::lines>();  ///< internal
};

static_assert(operable<memory>);

}  // namespace postroad::queueing
