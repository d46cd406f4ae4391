#pragma once
// A bounded queue in memory: the default. What it holds is lost with the process. See docs/queueing.md.

#include <postroad/core/ring.hpp>
#include <postroad/queueing/policy.hpp>

#include <algorithm>
#include <memory>
#include <mutex>
#include <utility>

namespace postroad::queueing {

namespace detail {

// What memory and direct share: jobs that arrive on any thread, a line of those due, and those that wait for a time.
class lines {
public:
    error_code enqueue(job& j, std::size_t capacity) {
        const std::scoped_lock lock(mutex_);
        if (held_ >= capacity) return errc::queue_full;
        ++held_;
        arrived_.push_back({std::move(j)});
        return {};
    }

    void lease(std::size_t n, time_point now, std::vector<job>& out) {
        while (n > 0 && !delayed_.empty() && delayed_.front().due <= now) {
            std::ranges::pop_heap(delayed_, later);
            out.push_back(std::move(delayed_.back()));
            delayed_.pop_back();
            --n;
        }
        const std::scoped_lock lock(mutex_);
        while (n > 0 && !arrived_.empty()) {
            auto& next = arrived_.front();
            if (next.taken) {
                --taken_;
            } else if (next.what.due > now) {
                put_back(std::move(next.what));
            } else {
                out.push_back(std::move(next.what));
                --n;
            }
            arrived_.drop_front();
        }
    }

    void settle(job_id) {
        const std::scoped_lock lock(mutex_);
        --held_;
    }

    void put_back(job&& j) {
        delayed_.push_back(std::move(j));
        std::ranges::push_heap(delayed_, later);
    }

    std::optional<job> take(job_id id) {
        if (const auto found = std::ranges::find(delayed_, id, &job::id); found != delayed_.end()) {
            job j = std::move(*found);
            delayed_.erase(found);
            std::ranges::make_heap(delayed_, later);
            settle(id);
            return j;
        }
        const std::scoped_lock lock(mutex_);
        auto* const found = find(id);
        if (!found || found->taken) return std::nullopt;
        found->taken = true;
        --held_;
        auto j = std::exchange(found->what, job{.id = id});
        if (++taken_ > arrived_.size() / 2) sweep();
        return j;
    }

    time_point next_due() const {
        const std::scoped_lock lock(mutex_);
        if (!arrived_.empty()) return time_point::min();
        return delayed_.empty() ? never : delayed_.front().due;
    }

    std::size_t size() const {
        const std::scoped_lock lock(mutex_);
        return held_;
    }

private:
    // One that was taken out stays as an empty place, since taking it out of the middle would move all others.
    struct place {
        job what = {};
        bool taken = false;
    };

    // Ids are given in order, and jobs arrive nearly in that order: most are found by halving.
    place* find(job_id id) noexcept {
        std::size_t first = 0;
        for (std::size_t n = arrived_.size(); n > 0;) {
            const auto half = n / 2;
            const bool before = arrived_[first + half].what.id < id;
            if (before) first += half + 1;
            n = before ? n - half - 1 : half;
        }
        if (first < arrived_.size() && arrived_[first].what.id == id) return &arrived_[first];
        for (std::size_t i = 0; i < arrived_.size(); ++i)
            if (arrived_[i].what.id == id) return &arrived_[i];
        return nullptr;
    }

    void sweep() {
        for (auto i = arrived_.size(); i > 0; --i) {
            auto next = arrived_.pop_front();
            if (!next.taken) arrived_.push_back(std::move(next));
        }
        taken_ = 0;
    }

    // By id among equals: jobs that failed together go out again in their order.
    static bool later(const job& a, const job& b) noexcept { return a.due != b.due ? a.due > b.due : a.id > b.id; }

    mutable std::mutex mutex_;  // guards arrived_, taken_ and held_: the rest belongs to the mailer's executor
    ring<place> arrived_;
    std::size_t taken_ = 0;  // empty places in arrived_, at most half of them
    std::size_t held_ = 0;
    std::vector<job> delayed_;  // a heap, the earliest at the front
};

}  // namespace detail

struct memory {
    using axis = postroad::axis::queueing;
    static constexpr bool keeps = true;

    /// Most messages it holds, those being sent and those waiting for another attempt included.
    std::size_t capacity = 100'000;
    queueing::when_full when_full = queueing::when_full::refuse;

    error_code enqueue(job& j) { return lines_->enqueue(j, capacity); }
    queueing::when_full full() const noexcept { return when_full; }
    void lease(std::size_t n, time_point now, std::vector<job>& out) { lines_->lease(n, now, out); }
    void settle(job_id id) { lines_->settle(id); }
    void put_back(job&& j) { lines_->put_back(std::move(j)); }
    std::optional<job> take(job_id id) { return lines_->take(id); }
    time_point next_due() const { return lines_->next_due(); }
    std::size_t size() const { return lines_->size(); }

    std::unique_ptr<detail::lines> lines_ = std::make_unique<detail::lines>();  ///< internal
};

static_assert(queueing_policy<memory>);

}  // namespace postroad::queueing
