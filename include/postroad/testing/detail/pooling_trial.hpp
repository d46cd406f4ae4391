#pragma once
// Uses a policy of the pooling axis at random and notes the rules that it breaks.

#include <postroad/pooling/policy.hpp>
#include <postroad/testing/detail/trial.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <map>
#include <utility>

namespace postroad::testing::detail {

template <class P>
class pooling_trial {
public:
    pooling_trial(P p, std::size_t limit) : pool_(std::move(p)), limit_(limit) {}

    broken_rules run() {
        empty_pool_opens();
        for (int i = 0; i < 3000; ++i) {
            if (i == 1500) {
                P moved = std::move(pool_);
                pool_ = std::move(moved);
            }
            step();
        }
        while (!connections_.empty()) close(connections_.begin()->first);
        if (const auto at = pool_.wakeup(); at != never) now_ = std::max(now_, at);
        expire();
        empty_pool_opens();
        return rules_.take();
    }

private:
    enum class use : unsigned char { opening, busy, idle, leaving };
    struct connection {
        pooling::host_id host;
        use state = use::opening;
        bool spent = false;
    };

    void empty_pool_opens() {
        rules_.check(pool_.acquire(0, now_).what == pooling::advice::open, "acquire() opens when nothing is open");
    }

    void step() {
        const auto what = dice_.below(10);
        if (what < 4 || connections_.empty()) return acquire(static_cast<pooling::host_id>(dice_.below(3)));
        const auto [id, c] = *any_of(dice_, connections_);
        if (what < 7) return use_or_release(id);
        if (what == 7) return close(id);
        if (what == 8 && c.state == use::opening) {
            pool_.refused(id, now_);
            return close(id);
        }
        now_ += std::chrono::seconds(dice_.below(40));
        expire();
    }

    // Two of the sites share a provider.
    static pooling::place place_of(pooling::host_id h) { return {h, h == 2 ? 1 : h}; }

    void acquire(pooling::host_id h) {
        const auto d = pool_.acquire(place_of(h), now_);
        const auto found = connections_.find(d.which);
        const bool idle = found != connections_.end() && found->second.state == use::idle;
        if (d.what == pooling::advice::open) {
            rules_.check(connections_.size() < limit_, "acquire() opens no more than the limit");
            pool_.opening(++last_, place_of(h));
            connections_.emplace(last_, connection{h});
        } else if (d.what == pooling::advice::reuse) {
            rules_.check(idle, "acquire() reuses only what is idle");
            rules_.check(!idle || found->second.host == h, "acquire() reuses only connections of that destination");
            if (idle) carry(found->second, d.which);
        } else if (d.what == pooling::advice::evict) {
            rules_.check(idle, "acquire() evicts only what is idle");
            rules_.check(!idle || found->second.host != h, "acquire() evicts only connections of other destinations");
            if (idle) found->second.state = use::leaving;
        }
    }

    void carry(connection& c, pooling::connection_id id) {
        c.state = use::busy;
        c.spent = pool_.carried(id) == pooling::fate::close;
    }

    void use_or_release(pooling::connection_id id) {
        auto& c = connections_.at(id);
        if (c.state == use::opening) return carry(c, id);
        if (c.state != use::busy) return;
        const auto f = pool_.released(id, now_);
        rules_.check(!c.spent || f == pooling::fate::close, "released() keeps nothing that carried() said to close");
        c.state = f == pooling::fate::keep ? use::idle : use::leaving;
    }

    void close(pooling::connection_id id) {
        pool_.closed(id);
        connections_.erase(id);
    }

    void expire() {
        for (auto left = connections_.size() + 1; left > 0; --left) {
            const auto id = pool_.expire(now_);
            if (!id) {
                rules_.check(pool_.wakeup() > now_, "wakeup() lies ahead once expire() has nothing left");
                return;
            }
            const auto found = connections_.find(*id);
            const bool idle = found != connections_.end() && found->second.state == use::idle;
            rules_.check(idle, "expire() names only what is idle");
            if (idle) found->second.state = use::leaving;
        }
        rules_.check(false, "expire() comes to an end");
    }

    P pool_;
    std::size_t limit_;
    rule_book rules_;
    dice dice_{1};
    std::map<pooling::connection_id, connection> connections_;
    pooling::connection_id last_ = 0;
    time_point now_ = time_point{} + std::chrono::hours(1);
};

}  // namespace postroad::testing::detail
