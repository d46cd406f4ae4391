#pragma once
// What is on its way to the broker.

#include <postroad/queueing/amqp_link.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace postroad::queueing::detail {

template <class Container, class Matches, class Sink>
void amqp_take_if(Container& from, Matches matches, Sink sink) {
    for (auto at = from.begin(); at != from.end();) {
        if (!matches(*at)) {
            ++at;
            continue;
        }
        sink(*at);
        at = from.erase(at);
    }
}

/// Takes out what a confirm or a refusal is about, and calls `f` with each.
template <class Container, class F>
void amqp_each_of(Container& from, const amqp_event& e, F f) {
    const auto first = e.covers == amqp_event::reach::one ? from.lower_bound(e.tag) : from.begin();
    const auto last = from.upper_bound(e.tag);
    std::vector<typename Container::mapped_type> all;
    for (auto at = first; at != last; ++at) all.push_back(std::move(at->second));
    from.erase(first, last);
    for (auto& each : all) f(each);
}

/// When what the broker refused is tried again.
inline time_point amqp_again(time_point now) { return after(now, std::chrono::seconds(1)); }

/// Messages until the broker has confirmed them: on the main channel, a window of them at a time. Belongs to the thread
/// that talks to the broker.
class amqp_outbox {
public:
    struct outgoing {
        std::string exchange = {};
        std::string key = {};
        amqp_message what = {};
        std::function<void(error_code)> over = {};  // once it is confirmed, or it is too late
        time_point until = never;
        bool refused = false;  // by the broker, the last time
        bool survives = true;  // a new connection: otherwise the broker delivers anew what it replaces
        job_id moves = 0;      // the job that it replaces
    };

    explicit amqp_outbox(std::size_t window) : window_(window) {}

    void add(outgoing o) {
        if (o.what.body.size() <= largest_) return unsent_.push_back(std::move(o));
        if (o.over) o.over(errc::message_too_large);
    }
    /// The broker takes no message with a larger body: those that are here end.
    void limit(std::uint64_t octets) {
        largest_ = octets;
        for (auto& o : taken([&](const outgoing& each) { return each.what.body.size() > largest_; }))
            if (o.over) o.over(errc::message_too_large);
    }
    bool empty() const noexcept { return unsent_.empty() && again_.empty() && unconfirmed_.empty(); }

    /// As many as may be under way. Who waits for an answer may be gone, and a message to nobody would come back: what
    /// is for a queue whose name begins with `answers` is not confirmed.
    void send(amqp_link& link, time_point now, const std::string& answers) {
        for (; !again_.empty() && again_.begin()->first <= now; again_.erase(again_.begin()))
            unsent_.push_back(std::move(again_.begin()->second));
        while (!unsent_.empty() && unconfirmed_.size() < window_) {
            auto& next = unsent_.front();
            try {
                if (next.exchange.empty() && next.key.starts_with(answers)) {
                    link.publish(amqp_link::aside, "", next.key, next.what);
                } else {
                    const auto number = link.publish(amqp_link::main, next.exchange, next.key, next.what);
                    unconfirmed_.emplace(number, std::move(next));
                }
            } catch (const error& e) {
                if (e.code() != errc::message_too_large) throw;
                // It ends this connection, but not the next one.
                const auto it = std::move(next);
                unsent_.pop_front();
                if (it.over) it.over(e.code());
                throw;
            }
            unsent_.pop_front();
        }
    }
    void confirmed(const amqp_event& e) {
        amqp_each_of(unconfirmed_, e, [](outgoing& o) {
            if (o.over) o.over({});
        });
    }
    /// A full queue refuses what is for it, and says nothing of the others.
    void refused(const amqp_event& e, time_point now) {
        amqp_each_of(unconfirmed_, e, [&](outgoing& o) {
            o.refused = true;
            again_.emplace(amqp_again(now), std::move(o));
        });
    }
    /// Ends what may not wait any longer; everything if `now` is `never`. `trouble`: why nothing is confirmed, if that
    /// is known.
    void expire(time_point now, error_code trouble) {
        for (auto& o : taken([&](const outgoing& each) { return each.until <= now || now == never; }))
            if (o.over) o.over(o.refused ? errc::broker_refused : trouble ? trouble : errc::broker_unreachable);
    }
    /// The connection is lost: returns what does not survive that, and is going to send the rest over the next one.
    std::vector<outgoing> broken() {
        std::deque<outgoing> all;
        for (auto& entry : std::exchange(unconfirmed_, {})) all.push_back(std::move(entry.second));
        std::move(unsent_.begin(), unsent_.end(), std::back_inserter(all));
        for (auto& entry : std::exchange(again_, {})) all.push_back(std::move(entry.second));
        unsent_.clear();
        std::vector<outgoing> gone;
        for (auto& o : all) o.survives ? unsent_.push_back(std::move(o)) : gone.push_back(std::move(o));
        return gone;
    }

private:
    template <class F>
    std::vector<outgoing> taken(F which) {
        const auto which_entry = [&](const auto& entry) { return which(entry.second); };
        std::vector<outgoing> all;
        const auto take_entry = [&](auto& entry) { all.push_back(std::move(entry.second)); };
        amqp_take_if(unsent_, which, [&](outgoing& o) { all.push_back(std::move(o)); });
        amqp_take_if(again_, which_entry, take_entry);
        amqp_take_if(unconfirmed_, which_entry, take_entry);
        return all;
    }

    const std::size_t window_;
    std::uint64_t largest_ = std::numeric_limits<std::uint64_t>::max();
    std::deque<outgoing> unsent_;
    std::multimap<time_point, outgoing> again_;      // that the broker did not take; when to try
    std::map<std::uint64_t, outgoing> unconfirmed_;  // by number
};

}  // namespace postroad::queueing::detail
