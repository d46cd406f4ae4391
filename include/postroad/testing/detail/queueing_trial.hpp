#pragma once
// Uses a policy of the queueing axis at random and notes the rules that it breaks.

#include <postroad/queueing/policy.hpp>
#include <postroad/testing/detail/trial.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace postroad::testing::detail {

// What a durable queue tells from its own threads.
class bell {
public:
    void ring() {
        const std::scoped_lock lock(mutex_);
        ++rings_;
        rung_.notify_all();
    }
    /// Calls `done` at first and after each ring, until it is true; false if that takes a minute.
    template <class F>
    bool wait(F done) {
        for (;;) {
            const auto seen = rings();
            if (done()) return true;
            std::unique_lock lock(mutex_);
            if (!rung_.wait_for(lock, std::chrono::minutes(1), [&] { return rings_ != seen; })) return false;
        }
    }

private:
    std::size_t rings() {
        const std::scoped_lock lock(mutex_);
        return rings_;
    }
    std::mutex mutex_;
    std::condition_variable rung_;
    std::size_t rings_ = 0;
};

template <class Q>
class queueing_trial {
public:
    queueing_trial(Q q, std::size_t capacity) : queue_(std::move(q)), capacity_(capacity) {
        if constexpr (is_durable) queue_.start([b = bell_] { b->ring(); });
    }
    ~queueing_trial() {
        if constexpr (is_durable) queue_.stop();
    }

    broken_rules run() {
        rules_.check(queue_.next_due() == never, "next_due() is never when there is nothing to lease");
        for (int i = 0; i < 3000; ++i) {
            if (i == 1500) {
                Q moved = std::move(queue_);
                queue_ = std::move(moved);
            }
            step();
            check_counts();
        }
        empty();
        fill();
        empty();
        from_many_threads();
        return rules_.take();
    }

private:
    static constexpr bool is_durable = queueing::durable<Q>;

    struct entry {
        bool leased = false;
        bool fresh = true;  // was not put back yet
        time_point due = time_point::min();
        job what = {};  // while it is leased
    };

    void step() {
        const auto what = dice_.below(10);
        if (what < 4) return enqueue();
        if (what < 6) return lease(1 + dice_.below(4));
        if (what == 9) {
            now_ += std::chrono::minutes(dice_.below(10));
            return;
        }
        if (jobs_.empty()) return;
        const auto at = any_of(dice_, jobs_);
        if (what == 8) return take(at->first);
        if (!at->second.leased) return;
        if (what == 7 || !Q::keeps) return settle(at->first);
        auto& e = at->second;
        e.leased = e.fresh = false;
        e.due = e.what.due = now_ + std::chrono::minutes(dice_.below(20));
        e.what.returns = 7;
        queue_.put_back(std::move(e.what));
    }

    void enqueue() {
        auto j = trial_job(++last_, mail_);
        const bool room = jobs_.size() < capacity_;
        const auto ec = stored(j);
        rules_.check(!ec || ec == errc::queue_full, "enqueue() refuses with errc::queue_full");
        if (capacity_ != unlimited) rules_.check(!ec == room, "enqueue() takes as many as fit, and no more");
        rules_.check((j.mail == nullptr) == !ec, "enqueue() takes the job, or leaves it alone");
        if (!ec) jobs_.emplace(last_, entry{});
    }

    // Into the queue, and of a durable one into its store.
    error_code stored(job& j) {
        if constexpr (!is_durable) return queue_.enqueue(j);
        error_code told;
        bool answered = false;
        std::mutex mutex;
        j.stored = [&, b = bell_](error_code ec) {
            {
                const std::scoped_lock lock(mutex);
                answered = true;
                told = ec;
            }
            b->ring();
        };
        if (const auto ec = queue_.enqueue(j)) {
            j.stored = {};
            return ec;
        }
        rules_.check(bell_->wait([&] {
            const std::scoped_lock lock(mutex);
            return answered;
        }),
                     "job::stored is told");
        return told;
    }

    // A durable queue has what is due in a moment.
    void lease_from_queue(std::size_t n, std::size_t due, std::vector<job>& out) {
        if constexpr (!is_durable) return queue_.lease(n, now_, out);
        const auto wanted = out.size() + std::min(n, due);
        rules_.check(bell_->wait([&] {
            if (out.size() < wanted) queue_.lease(wanted - out.size(), now_, out);
            return out.size() >= wanted;
        }),
                     "wake() says when lease() has something");
    }

    void lease(std::size_t n) {
        const bool announced = !is_durable && queue_.next_due() <= now_;
        std::vector<job> out(1);
        out.front().id = 12345678;
        const auto due =
            std::ranges::count_if(jobs_, [&](const auto& e) { return !e.second.leased && e.second.due <= now_; });
        lease_from_queue(n, static_cast<std::size_t>(due), out);
        rules_.check(!out.empty() && out.front().id == 12345678, "lease() appends");
        rules_.check(out.size() <= n + 1, "lease() gives no more than was asked for");
        rules_.check(!announced || out.size() > 1, "lease() has something when next_due() says so");
        for (std::size_t i = 1; i < out.size(); ++i) leased(std::move(out[i]));
    }

    void leased(job&& j) {
        const auto found = jobs_.find(j.id);
        const bool good = found != jobs_.end() && !found->second.leased;
        rules_.check(good, "lease() gives only what waits");
        if (!good) return;
        auto& e = found->second;
        rules_.check(e.due <= now_, "lease() gives nothing before it is due");
        rules_.check(is_same(j) && j.returns == (e.fresh ? 0u : 7u), "a job comes back as it was");
        for (const auto& [id, other] : jobs_) {
            if (other.leased || other.fresh != e.fresh) continue;
            rules_.check(e.fresh ? id >= j.id : other.due >= e.due, "lease() gives the oldest first");
        }
        e.leased = true;
        e.what = std::move(j);
    }

    bool is_same(const job& j) const {
        if constexpr (!is_durable) return j.mail == mail_ && j.result.recipients.size() == 3;
        // Its result may begin anew.
        return j.mail && j.mail->envelope == mail_->envelope && j.mail->content.text() == mail_->content.text() &&
               (j.result.recipients.empty() || j.result.recipients.size() == 3);
    }

    void settle(job_id id) {
        queue_.settle(jobs_.at(id).what);
        jobs_.erase(id);
    }

    void take(job_id id) {
        const bool waits = !jobs_.at(id).leased;
        const auto taken = queue_.take(id);
        rules_.check(taken.has_value() == waits, "take() takes what is not leased, and nothing else");
        if (!taken) return;
        rules_.check(taken->id == id && is_same(*taken), "take() takes the job of that id");
        jobs_.erase(id);
    }

    void check_counts() {
        rules_.check(queue_.size() == jobs_.size(), "size() counts what waits and what is leased");
        auto due = never;
        for (const auto& [id, e] : jobs_)
            if (!e.leased) due = std::min(due, e.due);
        const auto said = queue_.next_due();
        if (due == never)
            rules_.check(said == never, "next_due() is never when there is nothing to lease");
        else if (!is_durable || said != never)
            rules_.check(said <= std::max(due, now_), "next_due() is not later than the earliest job");
        rules_.check(!queue_.take(last_ + 1).has_value(), "take() finds nothing under an unknown id");
    }

    void empty() {
        now_ += std::chrono::hours(1);
        lease(unlimited - 1);
        while (!jobs_.empty()) {
            const auto id = jobs_.begin()->first;
            rules_.check(jobs_.begin()->second.leased, "lease() gives everything that is due");
            settle(id);
        }
        rules_.check(queue_.size() == 0, "size() counts what waits and what is leased");
    }

    void fill() {
        if (capacity_ == unlimited || capacity_ > 1000) return;
        for (std::size_t i = 0; i <= capacity_; ++i) enqueue();
        lease(1);
        enqueue();
        const auto leased = std::ranges::find_if(jobs_, [](const auto& e) { return e.second.leased; });
        if (leased != jobs_.end()) settle(leased->first);
        enqueue();
    }

    void from_many_threads() {
        const std::size_t each = std::min<std::size_t>(200, capacity_ / 4);
        std::vector<std::thread> threads;
        for (std::size_t t = 0; t < 4; ++t)
            threads.emplace_back([this, t, each] {
                for (std::size_t i = 0; i < each; ++i) {
                    auto j = trial_job(last_ + 1 + t * each + i, mail_);
                    (void)queue_.enqueue(j);
                }
            });
        std::vector<job> out;
        for (int i = 0; i < 100; ++i) queue_.lease(1, now_, out);
        for (auto& t : threads) t.join();
        lease_from_queue(4 * each, 4 * each - out.size(), out);
        rules_.check(out.size() == 4 * each, "enqueue() may be called on any thread");
        for (const auto& j : out) queue_.settle(j);
        rules_.check(queue_.size() == 0, "size() counts what waits and what is leased");
    }

    std::shared_ptr<bell> bell_ = std::make_shared<bell>();
    Q queue_;
    std::size_t capacity_;
    rule_book rules_;
    dice dice_{2};
    mail_ptr mail_ = trial_mail();
    std::map<job_id, entry> jobs_;
    job_id last_ = 0;
    time_point now_ = time_point{} + std::chrono::hours(1);
};

}  // namespace postroad::testing::detail
