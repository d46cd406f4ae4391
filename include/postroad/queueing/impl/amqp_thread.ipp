#pragma once
// The half of amqp_store that talks to the broker, on a thread of its own.

#include <postroad/queueing/impl/amqp.ipp>

namespace postroad::queueing::detail {

inline void amqp_store::run() {
    static constexpr std::chrono::milliseconds first_wait{100}, longest_wait{5'000};
    auto wait = first_wait;
    for (;;) {
        try {
            if (!link_) connect();
            wait = first_wait;
            serve();
            link_->close();
            return;
        } catch (const error& e) {
            disconnected(e);
        } catch (const std::exception& e) {  // no memory, most likely
            disconnected(error(errc::broker_unreachable, e.what()));
        }
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
    auto link = std::make_unique<amqp_link>(broker());
    // Queues on RabbitMQ 4 lose what was given out 20 times, unless they say otherwise.
    const amqp_link::table quorum{{"x-queue-type", std::string("quorum")},
                                  {"x-delivery-limit", std::int64_t{1'000'000'000}}};
    const auto with = [&](amqp_link::table more) {
        more.insert(quorum.begin(), quorum.end());
        return more;
    };
    const auto& name = options_.name;
    link->declare_exchange(name, "direct");
    link->declare_queue(in_queue(), quorum);
    link->declare_queue(held_queue(), quorum);
    link->declare_queue(doubt_queue(), quorum);
    link->declare_queue(dead_queue(), quorum);
    for (unsigned n = 0; n < options_.shards; ++n) {
        link->declare_queue(shard_queue(n), with({{"x-single-active-consumer", amqp_message::value(true)}}));
        link->bind(shard_queue(n), name, std::to_string(n));
        link->declare_queue(register_queue(n), with({{"x-max-length", std::int64_t{1}}}));
    }
    for (const auto wait : amqp_waits) {
        // The shard is the routing key, which a message keeps on its way back.
        link->declare_exchange(waiting(wait), "fanout");
        link->declare_queue(waiting(wait), with({{"x-message-ttl", wait * 1000},
                                                 {"x-dead-letter-exchange", name},
                                                 {"x-dead-letter-strategy", std::string("at-least-once")},
                                                 {"x-overflow", std::string("reject-publish")}}));
        link->bind(waiting(wait), waiting(wait), "");
    }
    link_ = std::move(link);
    ++link_number_;
    consuming_ = takes_replies_ = false;
    shard_of_.clear();
}

inline void amqp_store::subscribe(unsigned n) {
    // A new name each time: deliveries to the one before may be under way.
    auto& consumer = shards_[n].consumer;
    consumer = shard_queue(n) + '#' + std::to_string(++subscriptions_);
    shard_of_[consumer] = n;
    link_->consume(shard_queue(n), consumer, options_.prefetch);
}

inline void amqp_store::serve() {
    for (;;) {
        take_in();
        send();
        int turns = 0;
        for (; turns < busy_turns; ++turns) {
            auto e = link_->next();
            if (e.what == amqp_event::kind::nothing) break;
            happened(e);
        }
        const auto now = clock::now();
        spread(now);
        send();
        expire(now);
        tell();
        if (const auto at = stopping_at(); at != never && (at <= now || idle())) return;
        if (turns == busy_turns) continue;
        bell_.wait(link_->handle(), std::chrono::milliseconds(250));
    }
}

/// Whatever came by the connection and is not marked is given out anew, by another one.
inline void amqp_store::disconnected(const error& why) {
    trouble_ = why.code();
    link_.reset();
    std::deque<outgoing> again;
    for (auto& entry : unconfirmed_) again.push_back(std::move(entry.second));
    unconfirmed_.clear();
    std::move(unsent_.begin(), unsent_.end(), std::back_inserter(again));
    unsent_.clear();
    for (auto& entry : std::exchange(again_, {})) again.push_back(std::move(entry.second));
    for (auto& o : again) {
        if (o.survives) {
            unsent_.push_back(std::move(o));
            continue;
        }
        if (const auto at = held_.find(o.moves); at != held_.end() && at->second.marked) {
            at->second.then = std::make_unique<order>(order{.what = order::kind::move,
                                                            .id = o.moves,
                                                            .copy = std::move(o.what),
                                                            .exchange = std::move(o.exchange),
                                                            .queue = std::move(o.key)});
            continue;
        }
        if (o.over) o.over(trouble_);
    }
    registers_.clear();
    handover_.reset();
    for (auto& s : shards_)
        s = shard{.marked = std::move(s.marked), .never_left = std::move(s.never_left), .ended = std::move(s.ended)};
    const std::scoped_lock lock(mutex_);
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

inline void amqp_store::take_in() {
    std::deque<arrival> arrivals;
    std::vector<std::function<void()>> questions;
    bool begin = false;
    {
        const std::scoped_lock lock(mutex_);
        rung_ = false;
        arrivals.swap(arrivals_);
        std::move(orders_.begin(), orders_.end(), std::back_inserter(orders_taken_));
        orders_.clear();
        if (link_) questions.swap(questions_);
        begin = started_ && options_.role == amqp_role::sends;
    }
    for (auto& a : arrivals) {
        outgoing o{.exchange = a.wait ? waiting(*a.wait) : options_.name,
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
                // It may have been given out before it was confirmed.
                const bool comes = !ec && !waits && options_.role == amqp_role::sends;
                if (comes && !held_.contains(id)) unseen_.emplace(id, n);
            }
            if (who) who->complete(ec, {});
            if (stored) stored(ec);
        };
        unsent_.push_back(std::move(o));
    }
    // Whatever throws here, because the connection broke, is asked for again by the next one.
    for (; !orders_taken_.empty(); orders_taken_.pop_front()) obey(orders_taken_.front());
    if (!link_) return;
    if (begin && !consuming_) {
        consuming_ = true;
        for (unsigned n = 0; n < options_.shards; ++n) subscribe(n);
        link_->consume(in_queue(), in_queue(), options_.prefetch);
    }
    if (!takes_replies_ && std::ranges::any_of(unsent_, [&](const auto& o) { return o.what.reply_to == replies_; })) {
        takes_replies_ = true;
        link_->declare_queue(replies_, {{"x-expires", std::int64_t{3'600'000}}});
        link_->consume(replies_, replies_, options_.prefetch);
    }
    for (auto& q : questions) q();
}

inline void amqp_store::obey(order& o) {
    const auto at = held_.find(o.id);
    const auto finished = [&] {
        const std::scoped_lock lock(mutex_);
        done();
    };
    if (o.what != order::kind::mark) {
        const std::scoped_lock lock(mutex_);
        taken_out_.erase(o.id);
        aliases_.erase(o.id);
    }
    // It was lost, and told so.
    if (at == held_.end()) return finished();
    auto& h = at->second;
    if (o.what == order::kind::mark) {
        auto& s = shards_[h.shard];
        if (current(h) && !leaving(h.shard)) {
            h.asked = true;
            s.asked.push_back(o.id);
            s.dirty = true;
            return finished();
        }
        // Its shard is being handed over. Or it was marked before, on a connection that is gone, and is to go again: it
        // is not ours any more, and part of it may be with the server.
        if (!current(h)) {
            s.inherited.insert(h.key);
            forget(at);
        }
        const std::scoped_lock lock(mutex_);
        lost_.push_back(o.id);
        news_ = true;
        return done();
    }
    if (o.what == order::kind::release) {
        if (!h.marked) {
            if (current(h) && leaving(h.shard)) {
                set_aside(at, std::move(o.copy));
                return finished();
            }
            if (current(h)) link_->requeue(amqp_link::main, h.tag);
            forget(at);
            return finished();
        }
        o.what = order::kind::move;
    }
    if (!current(h)) {
        if (o.what == order::kind::settle) {
            // Should it come again, here, it is over.
            answer_elsewhere(h, o);
            remember(h.shard, h.key);
            forget(at);
            return finished();
        }
        h.then = std::make_unique<order>(std::move(o));
        return;
    }
    if (o.what == order::kind::divide) return divide(h, o);
    answer_elsewhere(h, o);
    const bool buried = o.what == order::kind::settle && !o.reason.empty() && !h.awaited && h.reply_to.empty();
    if (o.what == order::kind::settle && !buried) {
        end(o.id);
        return finished();
    }
    outgoing out{.exchange = o.exchange, .key = o.queue, .what = std::move(o.copy), .survives = false};
    if (buried) {
        out.key = dead_queue();
        out.what.headers["postroad_reason"] = o.reason;
    } else if (out.key.empty()) {
        if (out.exchange.empty()) out.exchange = options_.name;
        out.key = std::to_string(h.shard);
    }
    as_given(out.what, h, h.step + 1);
    out.over = [this, id = o.id](error_code ec) {
        if (!ec) end(id);
        const std::scoped_lock lock(mutex_);
        done();
    };
    out.moves = o.id;
    unsent_.push_back(std::move(out));
}

/// The parts have the same ids whoever publishes them, and the job is acknowledged last: what is published twice since
/// somebody died in between is sent once.
inline void amqp_store::divide(const held& h, order& o) {
    struct progress {
        std::size_t left = 0;
        bool failed = false;
    };
    const auto all = std::make_shared<progress>(progress{.left = o.parts.size()});
    const auto id = h.message_id.empty() ? amqp_id(o.id) : h.message_id;
    for (auto& p : o.parts) {
        as_given(p.what, h, h.step + 1);
        p.what.message_id = amqp_part_id(id, o.is_part, p.first);
        unsent_.push_back({.exchange = options_.name,
                           .key = std::to_string(p.shard),
                           .what = std::move(p.what),
                           .over =
                               [this, of = o.id, all](error_code ec) {
                                   all->failed = all->failed || ec;
                                   if (--all->left > 0) return;
                                   if (!all->failed) end(of);
                                   const std::scoped_lock lock(mutex_);
                                   done();
                               },
                           .survives = false});
    }
}

inline void amqp_store::answer_elsewhere(const held& h, order& o) {
    if (h.reply_to.empty() || o.reply.headers.empty() || h.awaited) return;
    o.reply.message_id = h.message_id;
    o.reply.content_type = "text/plain";
    o.reply.timestamp = h.timestamp;
    unsent_.push_back({.key = h.reply_to, .what = std::move(o.reply)});
}

inline void amqp_store::send() {
    const auto now = clock::now();
    for (; !again_.empty() && again_.begin()->first <= now; again_.erase(again_.begin()))
        unsent_.push_back(std::move(again_.begin()->second));
    // What is published to a broker that reads nothing blocks this thread.
    if (link_->blocked()) return;
    while (!unsent_.empty() && unconfirmed_.size() < options_.window) {
        auto& next = unsent_.front();
        // Who waits for an answer may be gone, and a message to nobody would come back.
        const bool is_answer = next.exchange.empty() && next.key.starts_with(options_.name + ".replies.");
        if (is_answer) {
            link_->publish(amqp_link::aside, "", next.key, next.what);
            unsent_.pop_front();
            continue;
        }
        const auto number = link_->publish(amqp_link::main, next.exchange, next.key, next.what);
        unconfirmed_.emplace(number, std::move(next));
        unsent_.pop_front();
    }
    for (unsigned n = 0; n < shards_.size(); ++n)
        if (shards_[n].dirty && !shards_[n].writing && shards_[n].writes_at <= now) write_register(n);
}

inline void amqp_store::expire(time_point now) {
    static constexpr std::chrono::milliseconds often(100);
    if (now != never && now < after(expired_at_, often)) return;
    expired_at_ = now;
    const auto late = [&](const outgoing& o) { return o.until <= now || now == never; };
    std::vector<outgoing> over;
    const auto late_entry = [&](const auto& entry) { return late(entry.second); };
    const auto entry_over = [&](auto& entry) { over.push_back(std::move(entry.second)); };
    amqp_take_if(unsent_, late, [&](outgoing& o) { over.push_back(std::move(o)); });
    amqp_take_if(again_, late_entry, entry_over);
    amqp_take_if(unconfirmed_, late_entry, entry_over);
    for (auto& o : over)
        if (o.over) o.over(o.refused ? errc::broker_refused : trouble_ ? trouble_ : errc::broker_unreachable);
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
    const auto add = [&](std::uint64_t key) {
        char text[16];
        const auto r = std::to_chars(text, text + sizeof text, key, 16);
        (m.body += ' ').append(text, r.ptr);
    };
    m.body = "marked";
    for (const auto key : s.marked) add(key);
    for (const auto key : s.inherited) add(key);
    m.body += "\nended";
    for (const auto key : s.ended.all()) add(key);
    m.body += '\n';
    registers_.emplace(link_->publish(amqp_link::aside, "", register_queue(n), m), n);
}

/// The broker gives us a shard: what did the one before us leave?
inline void amqp_store::take_over(unsigned n, bool redelivered) {
    auto& s = shards_[n];
    s.known = true;
    {
        const std::scoped_lock lock(mutex_);
        served_.insert(n);
    }
    auto e = link_->get(register_queue(n));
    // Somebody died while they were reading it: the broker takes a moment to put it back.
    for (int tries = 0; !e && redelivered && tries < 10; ++tries) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        e = link_->get(register_queue(n));
    }
    const auto never_left = std::exchange(s.never_left, {});
    if (!e) return;
    const auto writer = e->message.headers.find("postroad_writer");
    const bool ours = writer != e->message.headers.end() && writer->second == amqp_message::value(replies_);
    bool ended = false;
    std::string_view text = e->message.body;
    while (!text.empty()) {
        const auto end = text.find_first_of(" \n");
        const auto word = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (word == "ended") ended = true;
        const auto key = amqp_key(word);
        if (!key || word == "marked" || word == "ended") continue;
        if (ended)
            remember(n, *key);
        else if (!by_key_.contains(*key) && !ended_.has(*key) && !(ours && never_left.contains(*key)))
            s.inherited.insert(*key);
    }
    // First what we know, then the old one away: it would come back in front, and push out the new.
    write_register(n);
    ack(amqp_link::aside, e->tag);
}

inline void amqp_store::happened(amqp_event& e) {
    if (e.what == amqp_event::kind::confirmed) return confirmed(e);
    if (e.what == amqp_event::kind::refused) return refused(e);
    if (e.consumer == replies_) return replied(e);
    if (e.consumer == in_queue()) return delivered_in(e);
    // To a consumer that is cancelled.
    if (!shard_of_.contains(e.consumer)) return link_->requeue(amqp_link::main, e.tag);
    delivered(e);
}

template <class Container, class F>
void amqp_store::each_of(Container& from, const amqp_event& e, F f) {
    const auto first = e.covers == amqp_event::reach::one ? from.lower_bound(e.tag) : from.begin();
    const auto last = from.upper_bound(e.tag);
    std::vector<typename Container::mapped_type> all;
    for (auto at = first; at != last; ++at) all.push_back(std::move(at->second));
    from.erase(first, last);
    for (auto& each : all) f(each);
}

/// A full queue refuses what is for it, and says nothing of the others.
inline void amqp_store::refused(const amqp_event& e) {
    static constexpr std::chrono::seconds rest(1);
    const auto at = after(clock::now(), rest);
    if (e.channel == amqp_link::main)
        return each_of(unconfirmed_, e, [&](outgoing& o) {
            o.refused = true;
            again_.emplace(at, std::move(o));
        });
    each_of(registers_, e, [&](unsigned n) {
        auto& s = shards_[n];
        s.writing = false;
        s.dirty = true;
        s.writes_at = at;
    });
}

inline void amqp_store::confirmed(const amqp_event& e) {
    trouble_ = {};
    if (e.channel == amqp_link::main) {
        each_of(unconfirmed_, e, [](outgoing& o) {
            if (o.over) o.over({});
        });
        return;
    }
    each_of(registers_, e, [this](unsigned n) {
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
    });
}

inline std::int64_t amqp_store::step_of(const amqp_message& m) {
    const auto found = m.headers.find("postroad_step");
    const auto* n = found == m.headers.end() ? nullptr : std::get_if<std::int64_t>(&found->second);
    // It is counted on.
    static constexpr auto most = std::numeric_limits<std::int64_t>::max() / 2;
    return n && *n >= 0 && *n <= most ? *n : 0;
}

inline void amqp_store::delivered(amqp_event& e) {
    const auto n = shard_of_.at(e.consumer);
    auto& s = shards_[n];
    if (!s.known) take_over(n, e.redelivered);
    if (++s.deliveries > inheritance) s.inherited.clear();
    auto& m = e.message;
    held h{.tag = e.tag,
           .link = link_number_,
           .shard = n,
           .step = step_of(m),
           .message_id = m.message_id,
           .reply_to = m.reply_to,
           .timestamp = m.timestamp};
    h.key = key_of(m.message_id, h.step);
    if (const auto known = by_key_.find(h.key); known != by_key_.end()) {
        auto& old = held_.at(known->second);
        // A second copy, or what we are sending, delivered anew.
        if (current(old)) return ack(amqp_link::main, e.tag);
        old.tag = e.tag;
        old.link = link_number_;
        if (auto then = std::exchange(old.then, {})) obey(*then);
        return;
    }
    if (ended_.has(h.key)) return ack(amqp_link::main, e.tag);
    if (leaving(n)) {
        handover_->aside.push_back(std::move(e));
        return;
    }
    const bool doubtful = s.inherited.erase(h.key) > 0 || m.headers.contains("postroad_interrupted");
    if (const auto c = m.headers.find("x-delivery-count"); c != m.headers.end())
        if (const auto* count = std::get_if<std::int64_t>(&c->second)) {
            s.worn = s.worn || *count > poison / 2;
            if (*count > poison)
                return bury(amqp_link::main, e.tag, std::move(m), "given out " + std::to_string(*count) + " times");
        }
    const auto now = amqp_now();
    std::string reason;
    auto copy = m;
    auto j = from_amqp(std::move(copy), now, reason);
    if (!j) return bury(amqp_link::main, e.tag, std::move(m), reason);
    const auto wait = amqp_wait_until(j->due, now.steady);
    // Of another shard: somebody queued it who knows of fewer. Upwards only, or he would move it back.
    if (const auto home = home_of(*j); wait || home > n) {
        if (doubtful) m.headers["postroad_interrupted"] = std::int64_t{1};
        next_step(m);
        return replace(amqp_link::main, e.tag, wait ? waiting(*wait) : options_.name, std::to_string(home),
                       std::move(m), [this, n, key = h.key] { remember(n, key); });
    }
    j->id = amqp_id_for(m.message_id);
    if (doubtful) {
        // Until it is judged, it is so for whoever may come after us.
        h.marked = true;
        s.marked.insert(h.key);
        name_recipients(*j);
        for (auto& r : j->result.recipients)
            if (r.status == status::not_attempted || r.status == status::deferred) r.status = status::in_doubt;
        j->error = errc::in_doubt;
        j->interrupted = true;
    }
    hand_out(*std::move(j), std::move(h));
}

inline void amqp_store::hand_out(job&& j, held h) {
    const std::scoped_lock lock(mutex_);
    h.awaited = waiters_.contains(j.id) || (j.whole && gathering_of(j.whole));
    unseen_.erase(j.id);
    // The mailer has it still, from the connection before this one.
    if (held_.contains(j.id) || taken_out_.contains(j.id)) {
        const auto own = std::exchange(j.id, postroad::detail::random_number());
        aliases_.emplace(j.id, own);
    }
    by_key_[h.key] = j.id;
    held_.insert_or_assign(j.id, std::move(h));
    ++given_;
    news_ = true;
    if (j.due <= clock::now())
        ready_.push_back(std::move(j));
    else
        ripening_.emplace(j.due, std::move(j));
}

/// Somebody published it who does not know the shards.
inline void amqp_store::delivered_in(amqp_event& e) {
    auto& m = e.message;
    const auto now = amqp_now();
    std::string reason;
    auto copy = m;
    const auto j = from_amqp(std::move(copy), now, reason);
    if (!j) return bury(amqp_link::main, e.tag, std::move(m), reason);
    if (m.message_id.empty()) {
        m.message_id = amqp_id(postroad::detail::random_number());
        // Whether it was passed on already nobody can tell, without an id.
        if (e.redelivered) m.headers["postroad_interrupted"] = std::int64_t{1};
    }
    const auto wait = amqp_wait_until(j->due, now.steady);
    replace(amqp_link::main, e.tag, wait ? waiting(*wait) : options_.name, std::to_string(home_of(*j)), std::move(m));
}

inline void amqp_store::replied(amqp_event& e) {
    ack(amqp_link::main, e.tag);
    const auto id = amqp_id_for(e.message.message_id);
    std::string reason;
    e.message.body = "\r\n";
    e.message.content_type.clear();
    e.message.headers["reverse_path"] = std::string();
    auto j = from_amqp(std::move(e.message), amqp_now(), reason);
    if (!j) return;
    j->id = id;
    answer a{.who = {}, .what = *std::move(j)};
    const std::scoped_lock lock(mutex_);
    a.who = who_waits_for(a.what);
    if (!a.who) return;
    unseen_.erase(id);
    unseen_.erase(a.what.whole);
    answers_.push_back(std::move(a));
    news_ = true;
}

inline void amqp_store::bury(int channel, std::uint64_t tag, amqp_message m, std::string reason) {
    m.headers["postroad_reason"] = std::move(reason);
    replace(channel, tag, "", dead_queue(), std::move(m));
}

inline void amqp_store::replace(int channel, std::uint64_t tag, std::string exchange, std::string key, amqp_message m,
                                std::function<void()> then) {
    strip(m);
    unsent_.push_back({.exchange = std::move(exchange),
                       .key = std::move(key),
                       .what = std::move(m),
                       .over =
                           [this, channel, tag, then = std::move(then)](error_code ec) {
                               if (ec) return;
                               ack(channel, tag);
                               if (then) then();
                           },
                       .survives = false});
}

/// That the connection broke is noticed by whoever reads from it next.
inline void amqp_store::ack(int channel, std::uint64_t tag) noexcept {
    try {
        link_->ack(channel, tag);
    } catch (const error&) {
        return;
    }
}

/// The job that the broker gave us is over, or has been published anew.
inline void amqp_store::end(job_id id) {
    const auto at = held_.find(id);
    if (at == held_.end()) return;
    if (current(at->second)) ack(amqp_link::main, at->second.tag);
    remember(at->second.shard, at->second.key);
    forget(at);
}

inline void amqp_store::forget(std::unordered_map<job_id, held>::iterator at) {
    by_key_.erase(at->second.key);
    shards_[at->second.shard].marked.erase(at->second.key);
    held_.erase(at);
    const std::scoped_lock lock(mutex_);
    --given_;
}

inline void amqp_store::remember(unsigned n, std::uint64_t key) {
    ended_.add(key);
    shards_[n].ended.add(key);
}

inline bool amqp_store::idle() {
    const std::scoped_lock lock(mutex_);
    return under_way_ == 0 && unsent_.empty() && again_.empty() && unconfirmed_.empty();
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
