#pragma once
// The half of amqp_store that talks to the broker, on a thread of its own.

#include <postroad/queueing/impl/amqp.ipp>

namespace postroad::queueing::detail {

inline void amqp_store::run() {
    static constexpr std::chrono::milliseconds first_wait{100}, longest_wait{5'000};
    auto wait = first_wait;
    for (;;) {
        auto connected = never;
        try {
            if (!link_) connect();
            connected = clock::now();
            serve();
            link_->close();
            return;
        } catch (const error& e) {
            disconnected(e);
        } catch (const std::exception& e) {  // no memory, most likely
            disconnected(error(errc::broker_unreachable, e.what()));
        }
        // What ends a connection at once may end the next one, too.
        if (after(connected, longest_wait) < clock::now()) wait = first_wait;
        const auto until = clock::now() + wait;
        wait = std::min(wait * 2, longest_wait);
        for (auto now = clock::now(); now < until; now = clock::now()) {
            take_in();
            expire(now);
            tell();
            if (stopping_at() <= now || (stopping_at() != never && idle())) return give_up();
            bell_.wait(-1, std::chrono::ceil<std::chrono::milliseconds>(std::min<duration>(until - now, first_wait)));
        }
    }
}

inline time_point amqp_store::stopping_at() {
    const std::scoped_lock lock(mutex_);
    return stopping_ ? stop_at_ : never;
}

inline void amqp_store::give_up() {
    link_.reset();
    expire(never);
}

inline void amqp_store::connect() {
    auto link = std::make_unique<amqp_link>(amqp_broker(options_));
    // Queues on RabbitMQ 4 lose what was given out 20 times, unless they say otherwise.
    const amqp_link::table quorum{{"x-queue-type", std::string("quorum")},
                                  {"x-delivery-limit", std::int64_t{1'000'000'000}}};
    const auto with = [&](amqp_link::table more) {
        more.insert(quorum.begin(), quorum.end());
        return more;
    };
    const auto& name = options_.name;
    link->declare_exchange(name, "direct");
    link->declare_queue(names_.in(), quorum);
    link->declare_queue(names_.held(), quorum);
    link->declare_queue(names_.in_doubt(), quorum);
    link->declare_queue(names_.failed(), quorum);
    for (unsigned n = 0; n < options_.shards; ++n) {
        link->declare_queue(names_.shard(n), with({{"x-single-active-consumer", amqp_message::value(true)}}));
        link->bind(names_.shard(n), name, std::to_string(n));
        link->declare_queue(names_.register_of(n), with({{"x-max-length", std::int64_t{1}}}));
    }
    for (const auto wait : amqp_waits) {
        // The shard is the routing key, which a message keeps on its way back.
        link->declare_exchange(names_.waiting(wait), "fanout");
        link->declare_queue(names_.waiting(wait), with({{"x-message-ttl", wait * 1000},
                                                        {"x-dead-letter-exchange", name},
                                                        {"x-dead-letter-strategy", std::string("at-least-once")},
                                                        {"x-overflow", std::string("reject-publish")}}));
        link->bind(names_.waiting(wait), names_.waiting(wait), "");
    }
    link_ = std::move(link);
    ++link_number_;
    consuming_ = takes_replies_ = false;
    shard_of_.clear();
    for (auto& [id, h] : held_)
        if (h.then) h.then_until = after(clock::now(), options_.patience);
    const std::scoped_lock lock(mutex_);
    answers_questions_ = true;
}

inline void amqp_store::serve() {
    for (;;) {
        take_in();
        send(clock::now());
        int turns = 0;
        for (; turns < busy_turns; ++turns) {
            auto e = link_->next();
            if (e.what == amqp_event::kind::nothing) break;
            happened(e);
        }
        const auto now = clock::now();
        spread(now);
        send(now);
        expire(now);
        tell();
        if (const auto at = stopping_at(); at != never && (at <= now || idle())) return;
        if (turns == busy_turns) continue;
        bell_.wait(link_->handle(), std::chrono::milliseconds(250));
    }
}

/// Whatever came by the connection and is not marked is given out anew, by another one.
inline void amqp_store::disconnected(const error& why) {
    // That a message is too large is no matter of the others.
    trouble_ = why.code() == errc::message_too_large ? make_error_code(errc::broker_unreachable) : why.code();
    // It may have been raised since.
    if (link_) largest_ = link_->largest().value_or(no_limit);
    link_.reset();
    for (auto& o : outbox_.broken()) {
        if (const auto at = held_.find(o.moves); at != held_.end() && at->second.marked) {
            at->second.then = std::make_unique<order>(order{.what = order::kind::move,
                                                            .id = o.moves,
                                                            .copy = std::move(o.what),
                                                            .exchange = std::move(o.exchange),
                                                            .queue = std::move(o.key)});
            at->second.then_until = after(clock::now(), options_.patience);
            continue;
        }
        if (o.over) o.over(trouble_);
    }
    // Not earlier: what the broker gave us is no less ours for being too large to move.
    outbox_.limit(largest_);
    registers_.clear();
    handover_.reset();
    for (auto& s : shards_)
        s = amqp_shard_state{
            .marked = std::move(s.marked), .never_left = std::move(s.never_left), .ended = std::move(s.ended)};
    const std::scoped_lock lock(mutex_);
    answers_questions_ = false;
    questions_.clear();
    served_.clear();
    idle_ones_ = connections::stay;
    ready_.clear();
    ripening_.clear();
    for (auto at = held_.begin(); at != held_.end();) {
        auto& [id, h] = *at;
        const bool with_mailer = taken_out_.contains(id);
        if (h.marked && !h.asked && (with_mailer || h.then)) {
            ++at;
            continue;
        }
        auto& s = shards_[h.shard];
        if (h.marked)
            s.inherited.insert(h.key);
        else if (h.asked)
            s.never_left.insert(h.key);
        if (with_mailer)
            lost_.push_back(id);
        else
            aliases_.erase(id);
        s.marked.erase(h.key);
        by_key_.erase(h.key);
        at = held_.erase(at);
        --given_;
    }
    news_ = true;
}

inline void amqp_store::take_arrivals() {
    std::deque<arrival> arrivals;
    {
        const std::scoped_lock lock(mutex_);
        arrivals.swap(arrivals_);
    }
    for (auto& a : arrivals) {
        outgoing o{.exchange = a.wait ? names_.waiting(*a.wait) : options_.name,
                   .key = std::to_string(a.shard),
                   .what = std::move(a.what),
                   .until = a.until};
        const bool waits = a.wait.has_value();
        o.over = [this, id = a.id, n = a.shard, waits, stored = std::move(a.stored)](error_code ec) {
            std::unique_ptr<postroad::waiter> who;
            {
                const std::scoped_lock lock(mutex_);
                --taken_;
                done();
                if (ec)
                    if (auto w = waiters_.extract(id)) who = std::move(w.mapped().who);
                // It may have been given out before it was confirmed, and be over.
                const bool comes = !ec && !waits && options_.role == amqp_role::sends;
                if (comes && !held_.contains(id) && !ended_.has(amqp_key_of(amqp_id(id), 0))) unseen_.emplace(id, n);
            }
            if (who) who->complete(ec, {});
            if (stored) stored(ec);
        };
        wants_replies_ = wants_replies_ || !o.what.reply_to.empty();
        outbox_.add(std::move(o));
    }
}

inline void amqp_store::take_in() {
    std::vector<std::function<void()>> questions;
    bool begin = false;
    {
        const std::scoped_lock lock(mutex_);
        rung_ = false;
        std::move(orders_.begin(), orders_.end(), std::back_inserter(orders_taken_));
        orders_.clear();
        // Under an alarm the broker does not read what is asked.
        answers_questions_ = link_ && !link_->blocked();
        if (!answers_questions_) questions_.clear();
        questions.swap(questions_);
        begin = started_ && options_.role == amqp_role::sends;
    }
    take_arrivals();
    // Whatever throws here, because the connection broke, is asked for again by the next one.
    for (; !orders_taken_.empty(); orders_taken_.pop_front()) obey(orders_taken_.front());
    if (!link_) return;
    if (begin && !consuming_) {
        consuming_ = true;
        for (unsigned n = 0; n < options_.shards; ++n) subscribe(n);
        link_->consume(names_.in(), names_.in(), options_.prefetch);
    }
    if (wants_replies_ && !takes_replies_ && !link_->blocked()) {
        takes_replies_ = true;
        link_->declare_queue(replies_, {{"x-expires", std::int64_t{3'600'000}}});
        link_->consume(replies_, replies_, options_.prefetch);
    }
    for (auto& q : questions) q();
}

// What goes on while an answer is awaited from a broker that reads nothing. Whether it is to be awaited.
inline bool amqp_store::waits_on() {
    {
        const std::scoped_lock lock(mutex_);
        answers_questions_ = false;
        questions_.clear();
    }
    const auto now = clock::now();
    take_arrivals();
    expire(now);
    tell();
    return stopping_at() > now;
}

inline void amqp_store::send(time_point now) {
    // What is published to a broker that reads nothing blocks this thread.
    if (link_->blocked()) return;
    outbox_.send(*link_, now, names_.replies());
    for (unsigned n = 0; n < shards_.size(); ++n)
        if (shards_[n].dirty && !shards_[n].writing && shards_[n].writes_at <= now) write_register(n);
}

inline void amqp_store::expire(time_point now) {
    static constexpr std::chrono::milliseconds often(100);
    if (now != never && now < after(expired_at_, often)) return;
    expired_at_ = now;
    parked_.tend();
    const bool may_come = link_ && !link_->blocked();
    for (auto at = held_.begin(); at != held_.end();) {
        const auto it = at++;
        auto& h = it->second;
        if (!h.then) continue;
        // Its time runs while the broker can deliver it.
        if (!may_come && now != never) h.then_until = after(now, options_.patience);
        if (h.then_until > now) continue;
        // Should it come here all the same it is in doubt.
        shards_[h.shard].inherited.insert(h.key);
        forget(it);
        const std::scoped_lock lock(mutex_);
        done();
    }
    outbox_.expire(now, trouble_);
}

inline void amqp_store::happened(amqp_event& e) {
    if (e.what == amqp_event::kind::confirmed) return confirmed(e);
    if (e.what == amqp_event::kind::refused) return refused(e);
    if (e.consumer == replies_) return replied(e);
    if (e.consumer == names_.in()) return delivered_in(e);
    // To a consumer that is cancelled.
    if (!shard_of_.contains(e.consumer)) return link_->requeue(amqp_link::main, e.tag);
    delivered(e);
}

inline void amqp_store::refused(const amqp_event& e) {
    const auto now = clock::now();
    if (e.channel == amqp_link::main) return outbox_.refused(e, now);
    amqp_each_of(registers_, e, [&](unsigned n) {
        auto& s = shards_[n];
        s.writing = false;
        s.dirty = true;
        s.writes_at = amqp_again(now);
    });
}

inline void amqp_store::confirmed(const amqp_event& e) {
    trouble_ = {};
    if (e.channel == amqp_link::main) return outbox_.confirmed(e);
    amqp_each_of(registers_, e, [this](unsigned n) { marks_stored(n); });
}

inline bool amqp_store::idle() {
    const std::scoped_lock lock(mutex_);
    return under_way_ == 0 && outbox_.empty();
}

inline void amqp_store::tell() {
    std::function<void()> wake;
    {
        const std::scoped_lock lock(mutex_);
        if (std::exchange(news_, false)) wake = wake_;
    }
    if (wake) wake();
}

}  // namespace postroad::queueing::detail
