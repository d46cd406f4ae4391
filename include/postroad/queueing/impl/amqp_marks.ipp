#pragma once
// Who is given a shard, and what is marked there: the shards' registers at the broker.

#include <postroad/queueing/impl/amqp.ipp>

namespace postroad::queueing::detail {

inline void amqp_store::subscribe(unsigned n) {
    // A new name each time: deliveries to the one before may be under way.
    auto& consumer = shards_[n].consumer;
    consumer = names_.shard(n) + '#' + std::to_string(++subscriptions_);
    shard_of_[consumer] = n;
    link_->consume(names_.shard(n), consumer, options_.prefetch);
}

/// The broker gives us a shard: what did the one before us leave?
inline void amqp_store::take_over(unsigned n, bool redelivered) {
    auto& s = shards_[n];
    s.known = true;
    {
        const std::scoped_lock lock(mutex_);
        served_.insert(n);
    }
    const auto get = [&] { return link_->get(names_.register_of(n), [this] { return waits_on(); }); };
    auto e = get();
    // Somebody died while they were reading it: the broker takes a moment to put it back.
    for (int tries = 0; !e && redelivered && tries < 40; ++tries) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        e = get();
    }
    const auto never_left = std::exchange(s.never_left, {});
    if (!e) {
        // Whoever has a shard first writes one. So this is the first one; or nobody can say what was marked.
        s.unread = redelivered;
        return write_register(n);
    }
    const auto writer = e->message.headers.find("postroad_writer");
    const bool ours = writer != e->message.headers.end() && writer->second == amqp_message::value(replies_);
    amqp_read_register(
        e->message.body,
        [&](std::uint64_t key) {
            if (!by_key_.contains(key) && !ended_.has(key) && !(ours && never_left.contains(key)))
                s.inherited.insert(key);
        },
        [&](std::uint64_t key) { remember(n, key); });
    // First what we know, then the old one away: it would come back in front, and push out the new.
    write_register(n);
    ack(amqp_link::aside, e->tag);
}

inline void amqp_store::write_register(unsigned n) {
    auto& s = shards_[n];
    s.dirty = false;
    s.writing = true;
    for (const auto id : std::exchange(s.asked, {}))
        if (const auto at = held_.find(id); at != held_.end() && current(at->second)) {
            s.marked.insert(at->second.key);
            s.on_their_way.push_back(id);
        }
    amqp_message m{.content_type = "text/plain"};
    m.headers["postroad_writer"] = replies_;
    m.body = amqp_register_text(s);
    registers_.emplace(link_->publish(amqp_link::aside, "", names_.register_of(n), m), n);
}

/// The register of the shard is stored: what is marked there may be sent.
inline void amqp_store::marks_stored(unsigned n) {
    auto& s = shards_[n];
    s.writing = false;
    const std::scoped_lock lock(mutex_);
    for (const auto id : std::exchange(s.on_their_way, {}))
        if (const auto at = held_.find(id); at != held_.end()) {
            at->second.asked = false;
            at->second.marked = true;
            marked_.push_back(id);
        }
    news_ = true;
}

}  // namespace postroad::queueing::detail
