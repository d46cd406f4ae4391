#pragma once
// The jobs that the broker gave to this process, until they are over, have moved or are given back.

#include <postroad/core/random.hpp>
#include <postroad/queueing/impl/amqp.ipp>

namespace postroad::queueing::detail {

inline void amqp_store::as_given(amqp_message& m, const held& h, std::int64_t step) {
    m.message_id = h.message_id;
    m.timestamp = h.timestamp;
    m.reply_to = h.reply_to;
    m.headers["postroad_step"] = step;
}

/// What others wrote is of use to us, or not there.
inline void amqp_store::tidy(amqp_message& m) const {
    // A message to anybody else would come back, and end the connection.
    if (!m.reply_to.starts_with(names_.replies())) m.reply_to.clear();
    m.message_id = amqp_short_id(std::move(m.message_id));
}

inline void amqp_store::delivered(amqp_event& e) {
    tidy(e.message);
    const auto id = amqp_id_for(e.message.message_id);
    take_charge(e);
    // Whatever became of it, it is awaited no more; not earlier, or nothing would seem to be under way meanwhile.
    const std::scoped_lock lock(mutex_);
    unseen_.erase(id);
}

inline void amqp_store::take_charge(amqp_event& e) {
    const auto n = shard_of_.at(e.consumer);
    auto& s = shards_[n];
    if (!s.known) take_over(n, e.redelivered);
    if (++s.deliveries > inheritance) {
        s.inherited.clear();
        s.unread = false;
    }
    auto& m = e.message;
    held h{.tag = e.tag,
           .link = link_number_,
           .shard = n,
           .step = amqp_step(m),
           .message_id = m.message_id,
           .reply_to = m.reply_to,
           .timestamp = m.timestamp};
    h.key = amqp_key_of(m.message_id, h.step);
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
    const bool doubtful =
        s.inherited.erase(h.key) > 0 || m.headers.contains("postroad_interrupted") || (s.unread && e.redelivered);
    if (const auto c = m.headers.find("x-delivery-count"); c != m.headers.end())
        if (const auto* count = std::get_if<std::int64_t>(&c->second)) {
            s.worn = s.worn || *count > worn;
            // Connections that broke are no fault of it.
            if (*count > poison + link_number_ - 1)
                return bury(amqp_link::main, e.tag, std::move(m), "given out " + std::to_string(*count) + " times",
                            errc::in_doubt);
        }
    const auto now = amqp_now();
    std::string reason;
    auto copy = m;
    auto j = from_amqp(std::move(copy), now, reason);
    if (j) reason = too_much_for_amqp(m, j->mail->envelope.recipients.size(), added);
    if (!reason.empty()) return bury(amqp_link::main, e.tag, std::move(m), reason, errc::invalid_message);
    const auto wait = amqp_wait_until(j->due, now.steady);
    // Of another shard: somebody queued it who knows of fewer. Upwards only, or he would move it back. What is too
    // large to move waits here.
    const bool fits = m.body.size() <= largest_;
    if (wait && !fits && !may_stay(n, {}))
        return bury(amqp_link::main, e.tag, std::move(m), too_large(), errc::message_too_large);
    h.stays = wait && !fits;
    if (const auto home = home_of(*j); (wait || home > n) && fits) {
        if (doubtful) m.headers["postroad_interrupted"] = std::int64_t{1};
        amqp_next_step(m);
        return replace(amqp_link::main, e.tag, wait ? names_.waiting(*wait) : options_.name, std::to_string(home),
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
    tidy(m);
    const auto now = amqp_now();
    std::string reason;
    auto copy = m;
    const auto j = from_amqp(std::move(copy), now, reason);
    if (j) reason = too_much_for_amqp(m, j->mail->envelope.recipients.size());
    if (!reason.empty()) return bury(amqp_link::main, e.tag, std::move(m), reason, errc::invalid_message);
    if (m.body.size() > largest_)
        return bury(amqp_link::main, e.tag, std::move(m), too_large(), errc::message_too_large);
    if (m.message_id.empty()) {
        m.message_id = amqp_id(postroad::detail::random_number());
        // Whether it was passed on already nobody can tell, without an id.
        if (e.redelivered) m.headers["postroad_interrupted"] = std::int64_t{1};
    }
    const auto wait = amqp_wait_until(j->due, now.steady);
    replace(amqp_link::main, e.tag, wait ? names_.waiting(*wait) : options_.name, std::to_string(home_of(*j)),
            std::move(m));
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
            const bool keeps = !o.reason.empty();
            if (keeps) outbox_.add(failed_copy(h, o));
            forget(at);
            return keeps ? void() : finished();
        }
        h.then = std::make_unique<order>(std::move(o));
        h.then_until = after(clock::now(), options_.patience);
        return;
    }
    const auto fails = [&] { return o.what == order::kind::settle || o.queue == names_.failed(); };
    const bool fits = fails() || o.copy.body.size() <= largest_;
    const bool stays = !fits && may_stay(h.shard, o.id);
    if (!fits && !stays) end_too_large(h, o);
    if (o.what == order::kind::divide) return stays ? stay(o) : divide(h, o);
    answer_elsewhere(h, o);
    if (o.what == order::kind::settle && o.reason.empty()) {
        end(o.id);
        return finished();
    }
    if (stays) return stay(o);
    // Or so it was, before the connection broke.
    const bool failed = fails();
    auto out = failed ? failed_copy(h, o) : moved_copy(h, o);
    out.survives = false;
    out.over = [this, id = o.id, failed](error_code ec) {
        // It is over, also where no copy of it can be kept.
        if (!ec || (failed && ec == errc::message_too_large)) end(id);
        const std::scoped_lock lock(mutex_);
        done();
    };
    out.moves = o.id;
    outbox_.add(std::move(out));
}

/// Whether one more of a shard may stay here: of what stays nobody else gets any, and of half of its prefetch this
/// process goes on to get the others.
inline bool amqp_store::may_stay(unsigned n, job_id but_for) const {
    const auto stay_there = std::ranges::count_if(
        held_, [&](const auto& each) { return each.second.stays && each.second.shard == n && each.first != but_for; });
    return stay_there < options_.prefetch / 2;
}

/// What was to move or to be divided is over instead; what of it the broker takes is kept as failed.
inline void amqp_store::end_too_large(const held& h, order& o) {
    job over{.id = h.message_id.empty() ? o.id : amqp_id_for(h.message_id), .error = errc::message_too_large};
    std::string reason;
    if (auto j = from_amqp(amqp_message(o.copy), amqp_now(), reason)) {
        over.mail = std::move(j->mail);
        over.result = std::move(j->result);
        over.whole = j->whole;
        over.places = std::move(j->places);
        name_recipients(over);
    }
    over.result.details = {.where = phase::queued, .explanation = too_large()};
    o.copy.headers["postroad_progress"] = amqp_progress(over, o.copy);
    o = {.what = order::kind::settle, .id = o.id, .copy = std::move(o.copy), .reply = reply_of(over)};
    if (options_.kept.count() > 0) {
        o.reason = too_large();
        amqp_parked::mark_failed(o.copy, o.reason, amqp_now());
        o.copy.expiration = std::chrono::milliseconds(options_.kept).count();
    }
    const std::scoped_lock lock(mutex_);
    auto who = who_waits_for(over);
    if (!who) return;
    answers_.push_back({std::move(who), std::move(over)});
    news_ = true;
}

/// The broker takes it no more: the mailer gets it again from here, when it is due. What is parked, or could only go as
/// parts that the broker takes no more, is not due until somebody says so. More than may stay are over.
inline void amqp_store::stay(order& o) {
    held_.at(o.id).stays = true;
    std::string reason;
    auto j = from_amqp(std::move(o.copy), amqp_now(), reason);
    const std::scoped_lock lock(mutex_);
    done();
    if (!j) return;
    j->id = o.id;
    if (o.what == order::kind::divide) {
        j->due = never;
        j->error = errc::message_too_large;
        j->result.details.explanation = too_large();
    }
    if (o.queue == names_.held() || o.queue == names_.in_doubt()) j->due = never;
    const auto due = j->due;
    ripening_.emplace(due, *std::move(j));
    news_ = true;
}

inline amqp_store::outgoing amqp_store::moved_copy(const held& h, order& o) {
    outgoing out{.exchange = o.exchange, .key = o.queue, .what = std::move(o.copy)};
    if (out.key.empty()) {
        if (out.exchange.empty()) out.exchange = options_.name;
        out.key = std::to_string(h.shard);
    }
    as_given(out.what, h, h.step + 1);
    return out;
}

inline amqp_store::outgoing amqp_store::failed_copy(const held& h, order& o) {
    outgoing out{.key = names_.failed(), .what = std::move(o.copy), .over = [this](error_code) {
                     const std::scoped_lock lock(mutex_);
                     done();
                 }};
    as_given(out.what, h, h.step + 1);
    // Who waits is told now, and not again should it go again.
    out.what.reply_to.clear();
    if (out.what.body.size() > largest_) out.what.body.clear();
    return out;
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
        outbox_.add({.exchange = options_.name,
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
    outbox_.add({.key = h.reply_to, .what = std::move(o.reply)});
}

inline void amqp_store::bury(int channel, std::uint64_t tag, amqp_message m, std::string reason, errc why) {
    if (!m.reply_to.empty()) {
        job over{.error = why};
        over.result.details = {.where = phase::queued, .explanation = reason};
        amqp_message reply{.content_type = "text/plain", .message_id = m.message_id, .timestamp = m.timestamp};
        for (const auto* name : {"recipients", "postroad_envelope"})
            if (const auto h = m.headers.find(name); h != m.headers.end()) reply.headers.insert(*h);
        reply.headers["postroad_progress"] = written_progress(over);
        outbox_.add({.key = std::exchange(m.reply_to, {}), .what = std::move(reply)});
    }
    // What is too large to be kept with its content, or with its headers, is kept without.
    amqp_strip(m);
    if (m.body.size() > largest_) m.body.clear();
    if (!too_much_for_amqp(m, 0, added).empty()) m.headers.clear();
    amqp_parked::mark_failed(m, std::move(reason), amqp_now());
    // By which it can be dropped.
    if (m.message_id.empty()) m.message_id = amqp_id(postroad::detail::random_number());
    // The broker lets go of what is over at the head of a queue only: what stayed would keep all behind it.
    if (options_.kept.count() > 0) m.expiration = std::chrono::milliseconds(options_.kept).count();
    replace(channel, tag, "", names_.failed(), std::move(m));
}

inline void amqp_store::replace(int channel, std::uint64_t tag, std::string exchange, std::string key, amqp_message m,
                                std::function<void()> then) {
    amqp_strip(m);
    outbox_.add({.exchange = std::move(exchange),
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

}  // namespace postroad::queueing::detail
