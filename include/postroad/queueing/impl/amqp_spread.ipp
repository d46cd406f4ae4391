#pragma once
// How the shards spread over the processes that live: each that serves more than its part lets shards go, one at a
// time. Whoever waits for a shard gets it from the broker, so nobody has to know who the others are.

#include <postroad/queueing/impl/amqp.ipp>

namespace postroad::queueing::detail {

/// That we serve a shard is known once something of it came; one that is empty counts as nobody's.
inline void amqp_store::spread(time_point now) {
    static constexpr std::chrono::seconds often(3);
    static constexpr unsigned sure = 3;
    // The broker would not answer, and the connection would count as lost.
    if (link_->blocked()) return;
    if (handover_) return hand_over(now);
    if (now < looks_at_ || stopping_at() != never) return;
    looks_at_ = after(now, often);
    {
        // Those go to another process.
        const std::scoped_lock lock(mutex_);
        std::erase_if(unseen_, [&](const auto& u) { return !served_.contains(u.second); });
    }
    std::vector<unsigned> ours;
    for (unsigned n = 0; n < shards_.size(); ++n)
        if (shards_[n].known) ours.push_back(n);
    if (ours.size() < 2) return;
    // Where a single consumer is active the broker counts that one only.
    const auto processes = link_->look(names_.in()).consumers;
    if (processes < 2) return;
    const auto part = [&](std::size_t of) { return (of + processes - 1) / processes; };
    std::vector<std::size_t> here(shards_.size()), begun(shards_.size());
    for (const auto& [id, h] : held_) {
        ++here[h.shard];
        if (h.asked || h.marked) ++begun[h.shard];
    }
    if (ours.size() <= part(shards_.size())) {
        // Where only some shards have work those may all be ours.
        std::erase_if(ours, [&](unsigned n) { return here[n] < (options_.prefetch + 1u) / 2; });
        const auto waits = [&](unsigned n) { return link_->look(names_.shard(n)).messages > 0; };
        std::size_t behind = 0;
        if (ours.size() >= 2) {
            std::erase_if(ours, std::not_fn(waits));
            behind = ours.size();
            for (unsigned n = 0; n < shards_.size(); ++n)
                if (!shards_[n].known && waits(n)) ++behind;
        }
        uneven_ = ours.size() > part(behind) ? uneven_ + 1 : 0;
        if (uneven_ < sure) return;
    }
    uneven_ = 0;
    std::erase_if(ours, [&](unsigned n) { return shards_[n].worn || now < shards_[n].stays_until; });
    if (ours.empty()) return;
    begin_hand_over(*std::ranges::min_element(ours, {}, [&](unsigned n) { return begun[n]; }), now);
}

/// From now on nothing of it is begun.
inline void amqp_store::begin_hand_over(unsigned n, time_point now) {
    static constexpr std::chrono::seconds patience(10);
    handover_.emplace(handover{.shard = n, .until = after(now, patience)});
    std::vector<job> here;
    {
        const std::scoped_lock lock(mutex_);
        const auto of_it = [&](const job& j) { return held_.at(j.id).shard == n; };
        amqp_take_if(ready_, of_it, [&](job& j) { here.push_back(std::move(j)); });
        amqp_take_if(
            ripening_, [&](const auto& entry) { return of_it(entry.second); },
            [&](auto& entry) { here.push_back(std::move(entry.second)); });
        for (const auto& j : here) aliases_.erase(j.id);
        for (const auto& [id, h] : held_)
            if (h.shard == n && taken_out_.contains(id)) lost_.push_back(id);
        news_ = true;
    }
    for (const auto& j : here) set_aside(held_.find(j.id), to_amqp(j, amqp_now()));
}

/// Of a shard that we hand over, and not begun.
inline void amqp_store::set_aside(std::unordered_map<job_id, held>::iterator at, amqp_message copy) {
    const auto& h = at->second;
    auto& s = shards_[h.shard];
    if (h.marked) {
        // It came in doubt, and is to do so again.
        s.inherited.insert(h.key);
        s.deliveries = 0;
    }
    as_given(copy, h, h.step);
    handover_->aside.push_back({.what = amqp_event::kind::delivered,
                                .channel = amqp_link::main,
                                .tag = h.tag,
                                .consumer = s.consumer,
                                .message = std::move(copy)});
    forget(at);
}

inline void amqp_store::hand_over(time_point now) {
    auto& o = *handover_;
    auto& s = shards_[o.shard];
    if (now >= o.until) return keep_shard(now);
    const auto here = [&](const auto& entry) { return entry.second.shard == o.shard && !entry.second.then; };
    if (std::ranges::any_of(held_, here)) return;
    {
        const std::scoped_lock lock(mutex_);
        if (idle_ones_ == connections::stay) {
            idle_ones_ = connections::are_to_close;
            news_ = true;
        }
        if (idle_ones_ != connections::closed) return;
    }
    // The next one is to find nothing of ours in the register.
    if (!std::exchange(o.written, true)) s.dirty = true;
    if (s.dirty || s.writing) return;
    link_->cancel(s.consumer);
    shard_of_.erase(s.consumer);
    // Not earlier: it would come to us again.
    for (const auto& e : o.aside) link_->requeue(amqp_link::main, e.tag);
    s = amqp_shard_state{.marked = std::move(s.marked), .ended = std::move(s.ended)};
    subscribe(o.shard);
    looks_at_ = now;
    const std::scoped_lock lock(mutex_);
    served_.erase(o.shard);
    idle_ones_ = connections::stay;
    handover_.reset();
}

/// Something of it takes too long.
inline void amqp_store::keep_shard(time_point now) {
    static constexpr std::chrono::seconds rest(60);
    auto& s = shards_[handover_->shard];
    s.stays_until = after(now, rest);
    s.dirty = true;
    auto aside = std::move(handover_->aside);
    s.deliveries -= std::min(s.deliveries, aside.size());
    handover_.reset();
    {
        const std::scoped_lock lock(mutex_);
        idle_ones_ = connections::stay;
    }
    for (auto& e : aside) delivered(e);
}

}  // namespace postroad::queueing::detail
