#pragma once
// Uses a policy of the queueing axis at random and notes the rules that it breaks.

#include <postroad/queueing/traits.hpp>
#include <postroad/testing/detail/trial.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
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
        if constexpr (traits::divides)
            for (int i = 0; i < 40 && divide(); ++i) {
            }
        return rules_.take();
    }

private:
    static constexpr bool is_durable = queueing::durable<Q>;
    using traits = queueing::queueing_traits<Q>;

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

    // One message whose parts come back, are put back, divided again, and taken out, in all orders. Whether it kept the
    // rules, and can go on.
    bool divide() {
        struct told {
            int times = 0;
            error_code ec = {};
            outcome result = {};
        };
        struct listener final : waiter {
            explicit listener(std::shared_ptr<told> to) : to_(std::move(to)) {}
            void complete(error_code ec, outcome&& o) noexcept override {
                ++to_->times;
                to_->ec = ec;
                to_->result = std::move(o);
            }
            std::shared_ptr<told> to_;
        };
        const auto heard = std::make_shared<told>();
        auto message = trial_job(last_ += 2, mail_);
        const auto id = message.id;
        message.submitted = now_;
        message.waiter = std::make_unique<listener>(heard);
        if (stored(message)) return false;
        std::vector<job> out;
        lease_from_queue(1, 1, out);
        if (out.size() != 1 || out.front().id != id) return false;
        auto whole = std::move(out.front());
        out.clear();
        whole.result.attempts = 1;
        whole.result.recipients = {{.address = "bob@b.example", .status = status::deferred},
                                   {.address = "cy@b.example"},
                                   {.address = "dee@b.example", .status = status::accepted}};
        const bool has_room = capacity_ > 1;
        if (auto fresh = trial_job(last_ - 1, mail_); !is_durable && has_room) (void)queue_.enqueue(fresh);
        split(whole, {{0, 2}, {1}});
        rules_.check(!queue_.take(id), "divide() leaves no whole");

        lease_from_queue(2, 2, out);
        rules_.check(out.size() == 2 && std::ranges::all_of(out, [&](const job& p) { return p.whole == id; }),
                     "the parts of a message come before what is fresh");
        rules_.check(messages(!is_durable && has_room ? 2 : 1), "the parts of a message count as one");
        std::size_t settled = 0;
        std::vector<bool> seen(3);
        while (!out.empty()) {
            auto p = std::move(out.back());
            out.pop_back();
            if (!check_part(p, id, seen)) return false;
            const auto fate = dice_.below(4);
            if (fate == 0 && p.places.size() == 2) {
                split(p, {{0}, {1}});
                lease_from_queue(2, 2, out);
                continue;
            }
            if (fate == 1 && Q::keeps) {
                p.due = now_;
                queue_.put_back(std::move(p));
                lease_from_queue(1, 1, out);
                continue;
            }
            if (fate == 2 && Q::keeps) {
                p.due = now_;
                const auto part = p.id;
                queue_.put_back(std::move(p));
                auto taken = dice_.below(2) == 0 ? traits::take_parts(queue_, id) : one(queue_.take(part));
                rules_.check(taken.size() == 1 && taken.front().id == part,
                             "take_parts() takes the parts that are not leased");
                if (taken.empty()) return false;
                p = std::move(taken.front());
            } else {
                queue_.settle(p);
            }
            settled += p.places.size();
            rules_.check(heard->times == 0, "who waits is told once, when the last part is over");
            for (const auto at : p.places) seen[at] = true;
            if (!p.waiter) continue;
            for (auto& r : p.result.recipients) r.status = status::accepted;
            p.waiter->complete({}, std::move(p.result));
        }
        rules_.check(settled == 3, "each recipient is in one part");
        rules_.check(heard->times == 1 && heard->result.all_accepted() && heard->result.recipients.size() == 3 &&
                         heard->result.recipients[1].address == "cy@b.example" && heard->result.attempts == 1,
                     "who waits is told once, when the last part is over");
        rules_.check(traits::take_parts(queue_, id).empty(), "take_parts() takes the parts that are not leased");
        if (!is_durable && has_room) {
            lease_from_queue(1, 1, out);
            for (const auto& j : out) queue_.settle(j);
        }
        const bool none = messages(0);
        rules_.check(none, "the parts of a message count as one");
        return none;
    }
    void split(job& whole, const std::vector<std::vector<std::uint32_t>>& how) {
        std::vector<job> parts;
        parts.reserve(how.size());
        for (const auto& places : how) parts.push_back(queueing::part_of(whole, places));
        traits::divide(queue_, std::move(whole), std::move(parts));
    }
    bool check_part(const job& p, job_id whole, const std::vector<bool>& seen) {
        bool good = p.whole == whole && p.mail && !p.places.empty() && p.result.attempts == 1 &&
                    p.result.recipients.size() == p.places.size() &&
                    p.mail->envelope.recipients.size() == p.places.size() &&
                    p.mail->content.text() == mail_->content.text();
        for (std::size_t i = 0; good && i < p.places.size(); ++i) {
            const auto at = p.places[i];
            good = at < 3 && !seen[at] && p.mail->envelope.recipients[i] == mail_->envelope.recipients[at] &&
                   p.result.recipients[i].status ==
                       std::array{status::deferred, status::not_attempted, status::accepted}[at];
        }
        rules_.check(good, "a part has its recipients, and what became of them");
        return good;
    }
    static std::vector<job> one(std::optional<job> j) {
        std::vector<job> all;
        if (j) all.push_back(*std::move(j));
        return all;
    }
    // A durable queue counts what is over once that is stored.
    bool messages(std::size_t n) {
        if constexpr (!is_durable) return queue_.size() == n;
        return bell_->wait([&] { return queue_.size() == n; });
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
