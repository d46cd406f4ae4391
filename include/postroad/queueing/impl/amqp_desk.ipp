#pragma once
// The half of amqp_store that the mailer's threads call.

#include <postroad/queueing/failed.hpp>
#include <postroad/queueing/impl/amqp.ipp>
#include <postroad/queueing/stored_job.hpp>

#include <algorithm>

namespace postroad::queueing::detail {

inline error_code amqp_store::enqueue(job& j) {
    if (!j.idempotency_key.empty()) return errc::invalid_option;
    {
        const std::scoped_lock lock(mutex_);
        if (stopping_) return errc::shut_down;
        if (taken_ >= options_.capacity && !j.reports) return errc::queue_full;
        ++taken_;
        ++under_way_;
    }
    arrival a{.id = j.id};
    const auto now = amqp_now();
    error_code ec;
    try {
        a.shard = home_of(j);
        a.what = to_amqp(j, now);
        // What the parts of it would take, should whoever sends it divide it.
        static constexpr std::size_t most = std::size_t{1} << 30;
        if (auto why = too_much_for_amqp(a.what, j.mail->envelope.recipients.size()); !why.empty()) {
            ec = errc::message_too_large;
            j.result.details.explanation = std::move(why);
        }
        if (a.what.body.size() > largest_) {
            ec = errc::message_too_large;
            j.result.details.explanation = too_large();
        }
        if (a.what.body.size() > most / amqp_domains(j.mail->envelope)) {
            ec = errc::message_too_large;
            j.result.details.explanation =
                "the broker may have to keep a copy of it for each domain, more than 1 GiB in all: submit it once "
                "for some of its recipients, and again for others";
        }
    } catch (const error& e) {
        ec = e.code();
        j.result.details = e.details();
    } catch (...) {
        const std::scoped_lock lock(mutex_);
        --taken_;
        done();
        throw;
    }
    if (ec) {
        const std::scoped_lock lock(mutex_);
        --taken_;
        done();
        return ec;
    }
    a.wait = amqp_wait_until(j.due, now.steady);
    // Nobody hears that a report was refused.
    if (!j.reports) a.until = after(now.steady, options_.patience);
    a.stored = std::move(j.stored);
    if (j.waiter) a.what.reply_to = replies_;
    const std::scoped_lock lock(mutex_);
    if (j.waiter) waiters_[j.id] = {std::move(j.waiter), j.mail->envelope.recipients.size()};
    j = {};
    arrivals_.push_back(std::move(a));
    ring();
    return {};
}

inline void amqp_store::lease(std::size_t n, time_point now, std::vector<job>& out) {
    const std::scoped_lock lock(mutex_);
    ripen(now);
    for (; n > 0 && !ready_.empty(); --n) {
        auto& j = ready_.front();
        j.waiter = who_waits_for(j);
        taken_out_.insert(j.id);
        out.push_back(std::move(j));
        ready_.pop_front();
    }
}

inline time_point amqp_store::next_due() const {
    const std::scoped_lock lock(mutex_);
    if (!ready_.empty()) return time_point::min();
    return ripening_.empty() ? never : ripening_.begin()->first;
}

inline std::size_t amqp_store::size() const {
    const std::scoped_lock lock(mutex_);
    return taken_ + given_;
}

inline void amqp_store::settle(const job& j) {
    order o{.what = order::kind::settle, .id = j.id};
    const auto now = amqp_now();
    o.reply = reply_of(j);
    if (j.mail && has_failed(j) && options_.kept.count() > 0) {
        o.copy = to_amqp(j, now);
        o.reason = j.error ? describe(j.error, j.result.details) : "not all recipients were accepted";
        amqp_parked::mark_failed(o.copy, o.reason, now);
        o.copy.expiration = std::chrono::milliseconds(options_.kept).count();
    }
    give(std::move(o));
}

inline void amqp_store::divide(job&& whole, std::vector<job>&& parts) {
    const auto now = amqp_now();
    order o{.what = order::kind::divide, .id = whole.id, .copy = to_amqp(whole, now), .is_part = whole.whole != 0};
    {
        const std::scoped_lock lock(mutex_);
        for (auto& p : parts) p.whole = whole.whole ? whole.whole : waits_as(whole.id);
    }
    for (const auto& p : parts) o.parts.push_back({p.places.front(), home_of(p), to_amqp(p, now)});
    give_back(std::move(o), whole);
}

inline void amqp_store::put_back(job&& j) {
    const auto now = amqp_now();
    order o{.what = order::kind::move, .id = j.id, .copy = to_amqp(j, now)};
    if (const auto wait = amqp_wait_until(j.due, now.steady)) o.exchange = names_.waiting(*wait);
    give_back(std::move(o), j);
}

inline void amqp_store::keep(job&& j, job_state state) {
    order o{.what = order::kind::move, .id = j.id, .copy = to_amqp(j, amqp_now())};
    o.queue = state == job_state::held ? names_.held() : names_.in_doubt();
    o.reply = reply_of(j);
    give_back(std::move(o), j);
}

inline void amqp_store::release(job&& j) {
    order o{.what = order::kind::release, .id = j.id};
    if (j.mail) o.copy = to_amqp(j, amqp_now());
    give_back(std::move(o), j);
}

inline void amqp_store::marked(std::vector<job_id>& out) {
    std::vector<answer> answers;
    {
        const std::scoped_lock lock(mutex_);
        out.insert(out.end(), marked_.begin(), marked_.end());
        marked_.clear();
        answers.swap(answers_);
    }
    for (auto& a : answers) a.who->complete(a.what.error, std::move(a.what.result));
}

inline void amqp_store::lost(std::vector<job_id>& out) {
    const std::scoped_lock lock(mutex_);
    out.insert(out.end(), lost_.begin(), lost_.end());
    lost_.clear();
}

inline bool amqp_store::leaves() {
    const std::scoped_lock lock(mutex_);
    if (idle_ones_ != connections::are_to_close) return false;
    idle_ones_ = connections::close;
    return true;
}

inline void amqp_store::left() {
    const std::scoped_lock lock(mutex_);
    if (idle_ones_ != connections::close) return;
    idle_ones_ = connections::closed;
    ring();
}

inline void amqp_store::start(std::function<void()> wake) {
    const std::scoped_lock lock(mutex_);
    wake_ = std::move(wake);
    started_ = true;
    ring();
}

inline bool amqp_store::drained(time_point now) const {
    const std::scoped_lock lock(mutex_);
    const bool due = !ready_.empty() || (!ripening_.empty() && ripening_.begin()->first <= now);
    if (due || under_way_ > 0 || !marked_.empty() || !answers_.empty() || !lost_.empty()) return false;
    return std::ranges::none_of(unseen_, [&](const auto& u) { return served_.contains(u.second); });
}

inline void amqp_store::stop() {
    {
        const std::scoped_lock lock(mutex_);
        if (!stopping_) stop_at_ = after(clock::now(), options_.patience);
        stopping_ = true;
        wake_ = nullptr;
        ring();
    }
    if (thread_.joinable()) thread_.join();
    parked_.close();
    std::vector<job_id> ignored;
    marked(ignored);
    for (auto& w : std::exchange(waiters_, {})) w.second.who->complete(errc::shut_down, {});
    gatherings_.end(errc::shut_down);
}

inline const amqp_options& amqp_store::checked(const amqp_options& o) {
    const auto need = [](bool good, const char* text) {
        if (!good) throw error(errc::invalid_option, std::string("queueing::amqp: ") + text);
    };
    need(o.shards >= 1 && o.shards <= 256, "shards must be from 1 to 256");
    need(o.prefetch >= 1 && o.prefetch <= 1000, "prefetch must be from 1 to 1000");
    need(o.window >= 1 && o.window <= amqp_most_named, "window must be from 1 to 1024");
    need(!o.name.empty() && o.name.size() <= 100, "name must have 1 to 100 octets");
    need(std::ranges::none_of(o.name, [](unsigned char c) { return c < ' ' || c == 127; }),
         "name must not hold control characters");
    need(o.heartbeat.count() >= 1 && o.heartbeat.count() <= 600, "heartbeat must be from 1 to 600 seconds");
    // What the broker takes is below 2^32 milliseconds.
    static constexpr std::chrono::hours longest_kept(24 * 49);
    need(o.kept.count() >= 0 && o.kept <= longest_kept, "kept must be from 0 to 49 days");
    need(o.patience.count() >= 1, "patience must be at least a millisecond");
    return o;
}

inline void amqp_store::ring() {
    if (std::exchange(rung_, true)) return;
    bell_.ring();
}

inline void amqp_store::done() {
    if (--under_way_ == 0) news_ = true;
}

inline void amqp_store::give(order o) {
    const std::scoped_lock lock(mutex_);
    ++under_way_;
    orders_.push_back(std::move(o));
    ring();
}

inline amqp_message amqp_store::reply_of(const job& j) {
    amqp_message m{.content_type = "text/plain"};
    amqp_message::strings to;
    for (const auto& r : j.result.recipients) to.push_back(r.address);
    m.headers["recipients"] = std::move(to);
    if (j.whole && j.mail) m.headers["postroad_envelope"] = written_part(j) + queueing::written(j.mail->envelope);
    m.headers["postroad_progress"] = amqp_progress(j, m);
    return m;
}

inline void amqp_store::give_back(order o, job& j) {
    if (j.waiter) {
        const std::scoped_lock lock(mutex_);
        waiters_[waits_as(j.id)] = {std::move(j.waiter), j.mail ? j.mail->envelope.recipients.size() : 0};
    }
    give(std::move(o));
}

inline job_id amqp_store::waits_as(job_id id) const {
    const auto found = aliases_.find(id);
    return found == aliases_.end() ? id : found->second;
}

inline std::shared_ptr<gathering> amqp_store::gathering_of(job_id whole) {
    if (auto found = gatherings_.find(whole)) return found;
    auto w = waiters_.extract(whole);
    if (!w) return {};
    return gatherings_.add(whole, std::move(w.mapped().who), std::vector<recipient_outcome>(w.mapped().recipients));
}

inline std::unique_ptr<postroad::waiter> amqp_store::who_waits_for(const job& j) {
    if (auto w = waiters_.extract(waits_as(j.id))) return std::move(w.mapped().who);
    const auto all = j.whole ? gathering_of(j.whole) : nullptr;
    return all && !all->over() ? all->part(j.places) : nullptr;
}

inline void amqp_store::ripen(time_point now) {
    while (!ripening_.empty() && ripening_.begin()->first <= now) {
        ready_.push_back(std::move(ripening_.begin()->second));
        ripening_.erase(ripening_.begin());
    }
}

}  // namespace postroad::queueing::detail
