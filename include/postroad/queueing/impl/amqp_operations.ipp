#pragma once
// Looking at the jobs of an amqp_store, and changing what becomes of them, for the mailer's threads.

#include <postroad/queueing/failed.hpp>
#include <postroad/queueing/impl/amqp.ipp>

#include <algorithm>

namespace postroad::queueing::detail {

/// Of one that waits here for its time, or for somebody: such as nobody but this process may have.
inline job_state amqp_ripening_state(const job& j, time_point now) {
    if (j.due <= now) return job_state::waiting;
    return j.due == never ? job_state::held : job_state::delayed;
}

template <class F>
void amqp_store::visit(time_point now, F f) const {
    for (const auto& j : ready_) f(j, job_state::waiting);
    for (const auto& entry : ripening_) f(entry.second, amqp_ripening_state(entry.second, now));
}

inline std::optional<job> amqp_store::take(job_id id) {
    auto found = take_those({.id = id});
    if (found.empty()) return {};
    return std::move(found.front());
}

inline void amqp_store::list(const job_filter& which, std::size_t limit, time_point now, std::vector<job_info>& out) {
    std::vector<job_info> found;
    {
        const std::scoped_lock lock(mutex_);
        visit(now, [&](const job& j, job_state s) { found.push_back(queueing::describe(j, s, now)); });
    }
    for (auto& j : found)
        if (out.size() < limit && which.matches(j)) out.push_back(std::move(j));
    parked_.list(which, limit, now, out);
}

inline void amqp_store::count(time_point now, queue_counts& counts) {
    const auto add = [&](job_state s, std::size_t n) { counts.by_state[static_cast<std::size_t>(s)] += n; };
    {
        const std::scoped_lock lock(mutex_);
        visit(now, [&](const job& j, job_state s) {
            add(s, 1);
            counts.oldest = std::max(counts.oldest, queueing::age(j.submitted, now));
        });
        add(job_state::waiting, taken_);
    }
    const auto depths = ask<std::optional<std::map<std::string, std::size_t>>>([this] {
        std::map<std::string, std::size_t> all;
        for (const auto& q : names_.moving(options_.shards)) all[q] = link_->look(q).messages;
        if (handover_) all[names_.shard(handover_->shard)] += handover_->aside.size();
        return all;
    });
    if (!depths) return;
    for (const auto& [queue, n] : *depths)
        add(queue.starts_with(names_.waits()) ? job_state::delayed : job_state::waiting, n);
    parked_.count(counts);
}

inline std::size_t amqp_store::retry_now(const job_filter& which, time_point now) {
    std::size_t n = 0;
    {
        const std::scoped_lock lock(mutex_);
        amqp_take_if(
            ripening_,
            [&](const auto& entry) {
                return which.matches(queueing::describe(entry.second, amqp_ripening_state(entry.second, now), now));
            },
            [&](auto& entry) {
                entry.second.due = time_point::min();
                ready_.push_back(std::move(entry.second));
                ++n;
            });
    }
    return n + parked_.retry_now(which);
}

inline std::size_t amqp_store::hold(const job_filter& which, time_point now) {
    auto found = extract(which, now);
    const auto n = found.size();
    for (auto& j : found) keep(std::move(j), job_state::held);
    return n;
}

inline std::vector<job> amqp_store::drop(const job_filter& which, time_point now) {
    auto found = drop_here(which, now);
    parked_.drop(which, found);
    return with_waiters(std::move(found));
}

inline std::vector<job> amqp_store::extract(const job_filter& which, time_point now) {
    const std::scoped_lock lock(mutex_);
    const auto matches = [&](const job& j, job_state s) {
        return (!which.id || *which.id == j.id) && which.matches(queueing::describe(j, s, now));
    };
    std::vector<job> found;
    amqp_take_if(
        ready_, [&](const job& j) { return matches(j, job_state::waiting); },
        [&](job& j) { found.push_back(std::move(j)); });
    amqp_take_if(
        ripening_, [&](const auto& entry) { return matches(entry.second, amqp_ripening_state(entry.second, now)); },
        [&](auto& entry) { found.push_back(std::move(entry.second)); });
    for (const auto& j : found) taken_out_.insert(j.id);
    return found;
}

inline std::vector<job> amqp_store::drop_here(const job_filter& which, time_point now) {
    auto found = extract(which, now);
    for (const auto& j : found) {
        job over{.id = j.id,
                 .mail = j.mail,
                 .result = j.result,
                 .error = errc::cancelled,
                 .whole = j.whole,
                 .places = j.places};
        if (j.deadline <= now) {
            over.error = errc::timed_out;
            over.result.details = given_up_waiting();
        }
        name_recipients(over);
        give({.what = order::kind::settle, .id = j.id, .reply = reply_of(over)});
    }
    return found;
}

inline std::vector<job> amqp_store::with_waiters(std::vector<job> found) {
    const std::scoped_lock lock(mutex_);
    for (auto& j : found) j.waiter = who_waits_for(j);
    return found;
}

inline bool amqp_store::any_rest() {
    return ask<bool>(
        [this] { return link_->look(names_.held()).messages + link_->look(names_.in_doubt()).messages > 0; });
}

inline std::vector<job> amqp_store::take_those(const job_filter& which) {
    const bool rest = any_rest();
    auto found = drop_here(which, clock::now());
    for (const auto state : {job_state::held, job_state::in_doubt})
        if (rest) parked_.drop({.id = which.id, .whole = which.whole, .state = state}, found);
    return with_waiters(std::move(found));
}

inline std::vector<job> amqp_store::take_all(const std::vector<job_id>& ids) {
    const bool rest = any_rest();
    const auto now = clock::now();
    std::vector<job> found;
    for (const auto id : ids) std::ranges::move(drop_here({.id = id}, now), std::back_inserter(found));
    if (rest) parked_.drop({ids.begin(), ids.end()}, found);
    return with_waiters(std::move(found));
}

}  // namespace postroad::queueing::detail
