#pragma once
// What queueing::memory and queueing::direct share: jobs that arrive on any thread, a line for each class of traffic,
// and jobs that wait for a time or for somebody. A job is found by its id without looking at others.

#include <postroad/core/algorithm.hpp>
#include <postroad/core/id_map.hpp>
#include <postroad/core/ring.hpp>
#include <postroad/queueing/division.hpp>
#include <postroad/queueing/policy.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace postroad::queueing::detail {

class lines {
public:
    error_code enqueue(job& j, std::size_t capacity, std::uint64_t octets) {
        const auto size = octets_of(j);
        const std::scoped_lock lock(mutex_);
        // One that is larger than all the room goes alone.
        const bool is_full = held_ >= capacity || (held_ > 0 && size > octets - std::min(octets, octets_.load()));
        if (is_full && !j.reports) return errc::queue_full;
        ++held_;
        octets_ += size;
        if (j.traffic_class >= arrived_.size()) arrived_.resize(std::size_t{j.traffic_class} + 1);
        arrived_[j.traffic_class].push(std::move(j));
        return {};
    }

    /// `out`: a vector of jobs, or of pointers to them.
    template <class Out>
    void lease(std::size_t n, time_point now, Out& out) {
        for (; n > 0 && !delayed_.empty() && delayed_.begin()->first.first <= now; --n)
            added(out) = take_out(delayed_.begin());
        const std::scoped_lock lock(mutex_);
        std::size_t there = 0;
        for (const auto& line : arrived_) there += line.size();
        out.reserve(out.size() + std::min(n, there));
        for (std::size_t of = 0; of < arrived_.size(); ++of)
            for (auto& line = arrived_[of]; n > 0 && !line.empty();) {
                auto& j = added(out);
                if (!line.pop(j, of)) {
                    out.pop_back();
                } else if (j.due > now) {
                    put_back(std::move(j));
                    out.pop_back();
                } else {
                    --n;
                }
            }
    }

    void settle(const job& j) { leave(j); }

    void put_back(job&& j) {
        const auto id = j.id;
        const auto at = delayed_.emplace(std::pair(j.due, id), std::move(j));
        delayed_at_[id] = at;
    }

    /// Ids of parts are counted from 2^62, where no mailer without a durable queue gets to.
    void divide(job&& whole, std::vector<job>&& parts) {
        share_waiter(whole, parts);
        const auto id = whole.whole ? whole.whole : whole.id;
        auto& d = divided_[id];
        if (whole.whole)
            --d.left;
        else
            d.octets = octets_of(whole);
        d.left += parts.size();
        for (auto& p : parts) {
            p.id = ++last_part_;
            p.whole = id;
            d.parts.push_back(p.id);
            put_back(std::move(p));
        }
    }

    std::optional<job> take(job_id id) {
        auto found = find(id);
        if (found) leave(*found);
        return found;
    }
    std::vector<job> take_parts(job_id whole) {
        std::vector<job> found;
        if (const auto d = divided_.find(whole); d != divided_.end())
            for (const auto id : d->second.parts)
                if (auto j = find(id)) found.push_back(*std::move(j));
        for (const auto& j : found) leave(j);
        return found;
    }

    time_point next_due() const {
        const std::scoped_lock lock(mutex_);
        if (postroad::detail::any_of(arrived_, [](const auto& line) { return !line.empty(); }))
            return time_point::min();
        return delayed_.empty() ? never : delayed_.begin()->first.first;
    }

    std::size_t size() const noexcept { return held_; }

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
        std::vector<job> found;
        extract_delayed(which, now, found);
        extract_kept(which, now, found);
        for (auto& j : found) {
            j.due = time_point::min();
            put_back(std::move(j));
        }
        return found.size();
    }

    std::size_t hold(const job_filter& which, time_point now) {
        std::vector<job> found;
        extract_delayed(which, now, found);
        extract_arrived(which, now, found);
        for (auto& j : found) keep(std::move(j), job_state::held);
        return found.size();
    }

    void keep(job&& j, job_state state) {
        const auto id = j.id;
        kept_at_[id] = kept_.emplace_hint(kept_.end(), ++last_kept_, kept{std::move(j), state});
    }

    std::vector<job> drop(const job_filter& which, time_point now) {
        std::vector<job> found;
        extract_delayed(which, now, found);
        extract_arrived(which, now, found);
        extract_kept(which, now, found);
        for (const auto& j : found) leave(j);
        return found;
    }

private:
    static job& added(std::vector<job>& to) { return to.emplace_back(); }
    static job& added(std::vector<std::unique_ptr<job>>& to) { return *to.emplace_back(std::make_unique<job>()); }

    // A job that waits for its first attempt, in little room: most have nothing but these. One that was taken out stays
    // as an empty place, since taking it out of the middle would move all others.
    struct place {
        job_id id = 0;  // the highest of those up to here
        mail_ptr mail = {};
        std::unique_ptr<postroad::waiter> waiter = {};
        time_point submitted = {};
        std::unique_ptr<job> rest = {};  // all of a job that has more, or another id

        place() = default;
        place(job&& j, job_id highest) : id(highest) {
            const bool plain = j.id == id && j.mail && j.due == time_point::min() && j.deadline == never &&
                               j.tenant.empty() && j.tag.empty() && j.result.recipients.empty() &&
                               j.idempotency_key.empty() && j.returns == 0 && j.waits == 0;
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

    // The jobs of one class in their order. Ids are given in order, and jobs arrive nearly in that order: those that do
    // are found by halving, and it is noted where the others are.
    class arrivals {
    public:
        bool empty() const noexcept { return places_.size() == 0; }
        std::size_t size() const noexcept { return places_.size(); }
        place& operator[](std::size_t i) noexcept { return places_[i]; }
        const place& operator[](std::size_t i) const noexcept { return places_[i]; }

        void push(job&& j) {
            if (j.id < last_) strays_[j.id] = gone_ + places_.size();
            last_ = std::max(last_, j.id);
            places_.emplace_back(std::move(j), last_);
        }
        // The front goes; false if it was taken out before.
        bool pop(job& to, std::size_t of) {
            auto& front = places_.front();
            const bool there = !front.taken();
            if (there)
                front.take_out(to, of);
            else
                --taken_;
            if (there && !strays_.empty()) strays_.erase(to.id);
            places_.drop_front();
            ++gone_;
            return there;
        }
        std::size_t find(job_id id) const {
            if (const auto s = strays_.find(id); s != strays_.end()) return static_cast<std::size_t>(s->second - gone_);
            std::size_t first = 0;
            for (std::size_t n = places_.size(); n > 0;) {
                const auto half = n / 2;
                const bool before = places_[first + half].id < id;
                if (before) first += half + 1;
                n = before ? n - half - 1 : half;
            }
            if (first == places_.size() || places_[first].taken()) return places_.size();
            const auto& p = places_[first];
            return (p.rest ? p.rest->id : p.id) == id ? first : places_.size();
        }
        void take_out(std::size_t i, job& to, std::size_t of) {
            places_[i].take_out(to, of);
            if (!strays_.empty()) strays_.erase(to.id);
            ++taken_;
        }
        // Empty places go once they are more than the others.
        void sweep() {
            if (taken_ <= places_.size() / 2) return;
            for (auto i = places_.size(); i > 0; --i) {
                auto next = places_.pop_front();
                if (next.taken()) continue;
                if (next.rest && next.rest->id < next.id) strays_[next.rest->id] = places_.size() - i + 1;
                places_.push_back(std::move(next));
            }
            taken_ = 0;
            gone_ = 0;
        }

    private:
        ring<place> places_;
        job_id last_ = 0;
        std::uint64_t gone_ = 0;        // from the front
        id_map<std::uint64_t> strays_;  // those behind a higher id: where, the gone included
        std::size_t taken_ = 0;         // empty places
    };

    struct kept {
        job what = {};
        job_state state = job_state::held;
    };
    struct division {
        std::size_t left = 0;  // parts that are not over
        std::uint64_t octets = 0;
        std::vector<job_id> parts = {};
    };
    // The earliest first, and by id among equals: jobs that failed together go out again in their order.
    using by_due = std::multimap<std::pair<time_point, job_id>, job>;
    using by_age = std::map<std::uint64_t, kept>;

    static job_state delayed_state(const job& j, time_point now) noexcept {
        return j.due > now ? job_state::delayed : job_state::waiting;
    }
    // What is read from files while it is sent takes no room.
    static std::uint64_t octets_of(const job& j) {
        return j.mail && !j.mail->content.streams() ? j.mail->content.size() : 0;
    }
    // It takes no room any more; the parts of a message do with the last of them.
    void leave(const job& j) {
        auto size = octets_of(j);
        if (const auto d = j.whole ? divided_.find(j.whole) : divided_.end(); d != divided_.end()) {
            if (--d->second.left > 0) return;
            size = d->second.octets;
            divided_.erase(d);
        }
        --held_;
        octets_ -= size;
    }

    job take_out(by_due::iterator at) {
        auto j = std::move(at->second);
        delayed_at_.erase(j.id);
        delayed_.erase(at);
        return j;
    }
    job take_out(by_age::iterator at) {
        auto j = std::move(at->second.what);
        kept_at_.erase(j.id);
        kept_.erase(at);
        return j;
    }
    std::optional<job> find(job_id id) {
        if (const auto d = delayed_at_.find(id); d != delayed_at_.end()) return take_out(d->second);
        if (const auto k = kept_at_.find(id); k != kept_at_.end()) return take_out(k->second);
        const std::scoped_lock lock(mutex_);
        for (std::size_t of = 0; of < arrived_.size(); ++of) {
            auto& line = arrived_[of];
            const auto i = line.find(id);
            if (i == line.size()) continue;
            job j;
            line.take_out(i, j, of);
            line.sweep();
            return j;
        }
        return {};
    }

    // Calls `f(state, when it was submitted, what describes it)` for each that is not leased.
    template <class F>
    void visit(time_point now, F&& f) const {
        const auto show = [&](const job& j, job_state state) {
            f(state, j.submitted, [&] { return describe(j, state, now); });
        };
        for (const auto& [age, k] : kept_) show(k.what, k.state);
        for (const auto& [due, j] : delayed_) show(j, delayed_state(j, now));
        const std::scoped_lock lock(mutex_);
        for (std::size_t of = 0; of < arrived_.size(); ++of)
            for (std::size_t i = 0; i < arrived_[of].size(); ++i) {
                const auto& p = arrived_[of][i];
                if (p.taken()) continue;
                f(p.state(now), p.rest ? p.rest->submitted : p.submitted, [&] { return p.info(of, now); });
            }
    }

    void extract_delayed(const job_filter& which, time_point now, std::vector<job>& out) {
        extract(
            delayed_, delayed_at_, which, [&](const job& j) { return describe(j, delayed_state(j, now), now); }, out);
    }
    void extract_kept(const job_filter& which, time_point now, std::vector<job>& out) {
        extract(
            kept_, kept_at_, which, [&](const kept& k) { return describe(k.what, k.state, now); }, out);
    }
    // One that is named is the only one that is looked at.
    template <class Map, class Index, class Info>
    void extract(Map& from, const Index& at, const job_filter& which, Info info, std::vector<job>& out) {
        auto first = from.begin();
        auto last = from.end();
        if (which.id) {
            const auto found = at.find(*which.id);
            if (found == at.end()) return;
            first = found->second;
            last = std::next(first);
        }
        while (first != last) {
            const auto next = std::next(first);
            if (which.matches(info(first->second))) out.push_back(take_out(first));
            first = next;
        }
    }
    void extract_arrived(const job_filter& which, time_point now, std::vector<job>& out) {
        const std::scoped_lock lock(mutex_);
        for (std::size_t of = 0; of < arrived_.size(); ++of) {
            auto& line = arrived_[of];
            const auto first = which.id ? line.find(*which.id) : 0;
            const auto last = which.id ? std::min(first + 1, line.size()) : line.size();
            for (auto i = first; i < last; ++i)
                if (!line[i].taken() && which.matches(line[i].info(of, now))) line.take_out(i, out.emplace_back(), of);
            line.sweep();
        }
    }

    mutable std::mutex mutex_;       // guards arrived_: what follows octets_ belongs to the mailer's executor
    std::vector<arrivals> arrived_;  // by class of traffic
    // Grow under the mutex, so that no two threads take the same room; what leaves makes room without it.
    std::atomic<std::size_t> held_ = 0;
    std::atomic<std::uint64_t> octets_ = 0;
    by_due delayed_;
    by_age kept_;
    id_map<by_due::iterator> delayed_at_;
    id_map<by_age::iterator> kept_at_;
    std::uint64_t last_kept_ = 0;
    id_map<division> divided_;  // by whole
    job_id last_part_ = job_id{1} << 62;
};

}  // namespace postroad::queueing::detail
