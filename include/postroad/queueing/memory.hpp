#pragma once
// A bounded queue in memory: the default. What it holds is lost with the process. See docs/queueing.md.

#include <postroad/core/ring.hpp>
#include <postroad/queueing/policy.hpp>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

namespace postroad::queueing {

namespace detail {

// What memory and direct share: jobs that arrive on any thread, a line for each class of traffic, and jobs that wait
// for a time or for somebody.
class lines {
public:
    error_code enqueue(job& j, std::size_t capacity, std::uint64_t octets) {
        const auto size = octets_of(j);
        const std::scoped_lock lock(mutex_);
        // One that is larger than all the room goes alone.
        if (held_ >= capacity || (held_ > 0 && size > octets - std::min(octets, octets_))) return errc::queue_full;
        ++held_;
        octets_ += size;
        if (j.traffic_class >= arrived_.size()) arrived_.resize(std::size_t{j.traffic_class} + 1);
        auto& line = arrived_[j.traffic_class];
        line.push_back(place(std::move(j)));
        return {};
    }

    void lease(std::size_t n, time_point now, std::vector<job>& out) {
        for (; n > 0 && !delayed_.empty() && delayed_.front().due <= now; --n) {
            std::ranges::pop_heap(delayed_, later);
            out.push_back(std::move(delayed_.back()));
            delayed_.pop_back();
        }
        const std::scoped_lock lock(mutex_);
        for (std::size_t of = 0; of < arrived_.size(); ++of)
            for (auto& line = arrived_[of]; n > 0 && !line.empty(); line.drop_front()) {
                auto& next = line.front();
                if (next.taken()) {
                    --taken_;
                    continue;
                }
                auto& j = out.emplace_back();
                next.take_out(j, of);
                if (j.due > now) {
                    put_back(std::move(j));
                    out.pop_back();
                } else {
                    --n;
                }
            }
    }

    void settle(const job& j) {
        const std::scoped_lock lock(mutex_);
        leave(j);
    }

    void put_back(job&& j) {
        delayed_.push_back(std::move(j));
        std::ranges::push_heap(delayed_, later);
    }

    std::optional<job> take(job_id id) {
        auto found = drop({.id = id}, time_point{});
        if (found.empty()) return std::nullopt;
        return std::move(found.front());
    }

    time_point next_due() const {
        const std::scoped_lock lock(mutex_);
        if (std::ranges::any_of(arrived_, [](const auto& line) { return !line.empty(); })) return time_point::min();
        return delayed_.empty() ? never : delayed_.front().due;
    }

    std::size_t size() const {
        const std::scoped_lock lock(mutex_);
        return held_;
    }

    void list(const job_filter& which, std::size_t limit, time_point now, std::vector<job_info>& out) const {
        visit(now, [&](job_state, time_point, const auto& info) {
            if (out.size() >= limit) return;
            if (auto j = info(); which.matches(j)) out.push_back(std::move(j));
        });
    }
    void count(time_point now, queue_counts& counts) const {
        visit(now, [&](job_state state, time_point submitted, const auto&) {
            ++counts.by_state[static_cast<std::size_t>(state)];
            counts.oldest = std::max(counts.oldest, age(submitted, now));
        });
    }

    std::size_t retry_now(const job_filter& which, time_point now) {
        auto found = extract(delayed_, [&](const job& j) { return matches(which, j, delayed_state(j, now), now); });
        for (auto& k : extract(kept_, [&](const kept& k) { return matches(which, k.what, k.state, now); }))
            found.push_back(std::move(k.what));
        std::ranges::make_heap(delayed_, later);
        const auto n = found.size();
        for (auto& j : found) {
            j.due = time_point::min();
            put_back(std::move(j));
        }
        return n;
    }

    std::size_t hold(const job_filter& which, time_point now) {
        auto found = drop_waiting(which, now);
        for (auto& j : found) keep(std::move(j), job_state::held);
        return found.size();
    }

    void keep(job&& j, job_state state) { kept_.push_back({std::move(j), state}); }

    std::vector<job> drop(const job_filter& which, time_point now) {
        auto found = drop_waiting(which, now);
        for (auto& k : extract(kept_, [&](const kept& k) { return matches(which, k.what, k.state, now); }))
            found.push_back(std::move(k.what));
        const std::scoped_lock lock(mutex_);
        for (const auto& j : found) leave(j);
        return found;
    }

private:
    // A job that waits for its first attempt, in little room: most have nothing but these. One that was taken out stays
    // as an empty place, since taking it out of the middle would move all others.
    struct place {
        job_id id = 0;
        mail_ptr mail = {};
        std::unique_ptr<postroad::waiter> waiter = {};
        time_point submitted = {};
        std::unique_ptr<job> rest = {};  // all of a job that has more

        place() = default;
        explicit place(job&& j) : id(j.id) {
            const bool plain = j.mail && j.due == time_point::min() && j.deadline == never && j.tenant.empty() &&
                               j.tag.empty() && j.result.recipients.empty() && j.idempotency_key.empty() &&
                               j.returns == 0;
            if (!plain) {
                rest = std::make_unique<job>(std::move(j));
                return;
            }
            mail = std::move(j.mail);
            waiter = std::move(j.waiter);
            submitted = j.submitted;
        }
        bool taken() const noexcept { return !mail && !rest; }
        void take_out(job& to, std::size_t of) {
            if (rest) {
                to = std::move(*std::exchange(rest, nullptr));
                return;
            }
            to.id = id;
            to.mail = std::move(mail);
            to.submitted = submitted;
            to.traffic_class = static_cast<std::uint8_t>(of);
            to.waiter = std::move(waiter);
        }
        job_state state(time_point now) const noexcept { return rest ? delayed_state(*rest, now) : job_state::waiting; }
        job_info info(std::size_t of, time_point now) const {
            if (rest) return describe(*rest, state(now), now);
            return describe(
                {.id = id, .mail = mail, .submitted = submitted, .traffic_class = static_cast<std::uint8_t>(of)},
                state(now), now);
        }
    };
    struct kept {
        job what = {};
        job_state state = job_state::held;
    };

    static job_state delayed_state(const job& j, time_point now) noexcept {
        return j.due > now ? job_state::delayed : job_state::waiting;
    }
    static bool matches(const job_filter& which, const job& j, job_state s, time_point now) {
        return (!which.id || *which.id == j.id) && which.matches(describe(j, s, now));
    }
    // What is read from files while it is sent takes no room.
    static std::uint64_t octets_of(const job& j) {
        return j.mail && !j.mail->content.streams() ? j.mail->content.size() : 0;
    }
    void leave(const job& j) {
        --held_;
        octets_ -= octets_of(j);
    }

    template <class T, class Matches>
    static std::vector<T> extract(std::vector<T>& from, Matches matches) {
        const auto first = std::stable_partition(from.begin(), from.end(), [&](const T& t) { return !matches(t); });
        std::vector<T> found(std::make_move_iterator(first), std::make_move_iterator(from.end()));
        from.erase(first, from.end());
        return found;
    }

    // Calls `f(state, when it was submitted, what describes it)` for each that is not leased.
    template <class F>
    void visit(time_point now, F&& f) const {
        const auto show = [&](const job& j, job_state state) {
            f(state, j.submitted, [&] { return describe(j, state, now); });
        };
        for (const auto& k : kept_) show(k.what, k.state);
        for (const auto& j : delayed_) show(j, delayed_state(j, now));
        const std::scoped_lock lock(mutex_);
        for (std::size_t of = 0; of < arrived_.size(); ++of)
            for (std::size_t i = 0; i < arrived_[of].size(); ++i) {
                const auto& p = arrived_[of][i];
                if (p.taken()) continue;
                f(p.state(now), p.rest ? p.rest->submitted : p.submitted, [&] { return p.info(of, now); });
            }
    }

    // Out of the lines and those delayed.
    std::vector<job> drop_waiting(const job_filter& which, time_point now) {
        auto found = extract(delayed_, [&](const job& j) { return matches(which, j, delayed_state(j, now), now); });
        if (!found.empty()) std::ranges::make_heap(delayed_, later);
        if (which.id && !found.empty()) return found;
        const std::scoped_lock lock(mutex_);
        for (std::size_t of = 0; of < arrived_.size(); ++of) {
            auto& line = arrived_[of];
            const auto first = which.id ? position(line, *which.id) : 0;
            for (auto i = first; i < line.size(); ++i) {
                auto& p = line[i];
                if (which.id && p.id != *which.id) break;
                if (p.taken() || !which.matches(p.info(of, now))) continue;
                p.take_out(found.emplace_back(), of);
                ++taken_;
            }
            if (taken_ > line.size() / 2) sweep(line);
        }
        return found;
    }

    // Ids are given in order, and jobs arrive nearly in that order: most are found by halving.
    static std::size_t position(const ring<place>& line, job_id id) noexcept {
        std::size_t first = 0;
        for (std::size_t n = line.size(); n > 0;) {
            const auto half = n / 2;
            const bool before = line[first + half].id < id;
            if (before) first += half + 1;
            n = before ? n - half - 1 : half;
        }
        if (first < line.size() && line[first].id == id) return first;
        for (std::size_t i = 0; i < line.size(); ++i)
            if (line[i].id == id) return i;
        return line.size();
    }

    void sweep(ring<place>& line) {
        for (auto i = line.size(); i > 0; --i) {
            auto next = line.pop_front();
            if (next.taken())
                --taken_;
            else
                line.push_back(std::move(next));
        }
    }

    // By id among equals: jobs that failed together go out again in their order.
    static bool later(const job& a, const job& b) noexcept { return a.due != b.due ? a.due > b.due : a.id > b.id; }

    mutable std::mutex mutex_;          // guards what stands up to octets_: the rest belongs to the mailer's executor
    std::vector<ring<place>> arrived_;  // by class of traffic
    std::size_t taken_ = 0;             // empty places in arrived_
    std::size_t held_ = 0;
    std::uint64_t octets_ = 0;
    std::vector<job> delayed_;  // a heap, the earliest at the front
    std::vector<kept> kept_;
};

}  // namespace detail

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
    void settle(const job& j) { lines_->settle(j); }
    void put_back(job&& j) { lines_->put_back(std::move(j)); }
    std::optional<job> take(job_id id) { return lines_->take(id); }
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
