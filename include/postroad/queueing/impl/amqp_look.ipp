#pragma once
// Looks through queues of jobs that wait for somebody.

#include <postroad/core/clock.hpp>
#include <postroad/queueing/amqp_link.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <poll.h>

namespace postroad::queueing::detail {

/// One look. A broker shows nobody what is in a queue: it gives messages out, and takes them back. So that two who look
/// at the same time do not see half each, whoever looks has a lock: a queue that only one connection can have. A
/// connection for looks alone keeps all that from who sends meanwhile; it stays for the next one if done() was called,
/// and is to be ended otherwise, so that it all goes back with it.
class amqp_look {
public:
    struct step {
        enum class kind : unsigned char { stays, goes, moves };
        kind what = kind::stays;
        std::string exchange = {};  // of what moves
        std::string key = {};
    };
    enum class next : unsigned char { more, enough };
    /// Is shown a message, and may change it if it moves.
    using visitor = std::function<next(amqp_message&, step&)>;
    /// What stays from one look to the next.
    struct standing {
        std::unique_ptr<amqp_link> link = {};
        std::uint64_t consumers = 0;
    };

    /// Waits until nobody else looks. Throws `error`: errc::broker_unreachable, errc::broker_refused, also if that does
    /// not end before `until`.
    amqp_look(standing& over, const amqp_address& to, const std::string& lock, time_point until)
        : lock_(lock), until_(until), link_(over.link), consumers_(over.consumers) {
        for (;;) {
            // What broke since the last look is no reason to wait.
            const bool stood = link_ != nullptr;
            try {
                if (!stood) link_ = std::make_unique<amqp_link>(to);
                link_->declare_own(lock);
                return;
            } catch (const error&) {
                link_.reset();
                if (clock::now() >= until) throw;
            }
            // The broker writes each refusal into its log.
            if (!stood) std::this_thread::sleep_for(10 * pause);
        }
    }
    amqp_look(const amqp_look&) = delete;
    amqp_look& operator=(const amqp_look&) = delete;
    ~amqp_look() = default;
    /// Others may look now.
    void done() { link_->remove(lock_); }

    /// Ends with the queue, with the time, or if the visitor has enough. Throws what amqp_link does.
    void walk(const std::string& queue, const visitor& visit) {
        kept_.clear();
        // The depth may be told as it was before something was put back; what is given out is not.
        auto first = link_->get(queue);
        if (!first) return;
        auto left = link_->look(queue).messages;
        auto then = show(*first, visit);
        while (then == next::more && left > 0 && clock::now() < until_) {
            const auto some = std::min(left, batch);
            then = show_some(queue, some, visit);
            left -= some;
        }
        while (!moving_.empty()) (void)pump();
        left += kept_.size();
        put_back(queue);
        // Whoever looks next is to find them.
        while (link_->look(queue).messages < left && clock::now() < until_) std::this_thread::sleep_for(pause);
    }
    std::size_t depth(const std::string& queue) { return link_->look(queue).messages; }
    /// How many are gone, or have moved and were confirmed.
    std::size_t gone() const noexcept { return gone_; }

private:
    // Bounds what is given out beyond what is asked for.
    static constexpr std::size_t batch = 250;
    static constexpr std::chrono::milliseconds pause{20};

    struct original {
        int channel = 0;
        std::uint64_t tag = 0;
    };

    next show_some(const std::string& queue, std::size_t n, const visitor& visit) {
        // A new name each time: by an old one the broker gives out less, for what is not settled.
        const auto consumer = lock_ + '#' + std::to_string(++consumers_);
        link_->consume(queue, consumer, static_cast<std::uint16_t>(n));
        auto then = next::more;
        while (n > 0) {
            auto e = pump();
            if (!e) continue;
            --n;
            if (then == next::more)
                then = show(*e, visit);
            else
                kept_.push_back({e->channel, e->tag});
        }
        link_->cancel(consumer);
        return then;
    }
    next show(amqp_event& e, const visitor& visit) {
        step s;
        const auto then = visit(e.message, s);
        if (s.what == step::kind::stays) {
            kept_.push_back({e.channel, e.tag});
        } else if (s.what == step::kind::goes) {
            link_->ack(e.channel, e.tag);
            ++gone_;
        } else {
            const auto number = link_->publish(amqp_link::main, s.exchange, s.key, e.message);
            moving_[number] = {e.channel, e.tag};
        }
        return then;
    }
    /// In their order, so that who lists jobs and goes through the list finds each in front; the broker keeps it among
    /// no more than 32 at a time. The first one came on a channel of its own. All come behind what was put back before.
    void put_back(const std::string& queue) {
        static constexpr std::size_t most = 32;
        std::erase_if(kept_, [](const auto& o) { return o.channel == amqp_link::aside; });
        std::ranges::sort(kept_, {}, &original::tag);
        link_->requeue_all(amqp_link::aside);
        (void)link_->look(queue);  // on that channel, too: so it is there before what the other one puts back
        for (auto n = most; n < kept_.size(); n += most) link_->requeue_up_to(amqp_link::main, kept_[n - 1].tag);
        link_->requeue_all(amqp_link::main);
    }
    /// A message that was given out, if one comes soon.
    std::optional<amqp_event> pump() {
        auto e = link_->next();
        if (e.what == amqp_event::kind::delivered) return e;
        if (e.what != amqp_event::kind::nothing) {
            moved(e);
            return {};
        }
        if (clock::now() >= until_) throw error(errc::broker_unreachable, "the broker does not answer");
        pollfd readable{link_->handle(), POLLIN, 0};
        ::poll(&readable, 1, static_cast<int>(pause.count()));
        return {};
    }
    void moved(const amqp_event& e) {
        const auto from = e.covers == amqp_event::reach::one ? moving_.lower_bound(e.tag) : moving_.begin();
        const auto to = moving_.upper_bound(e.tag);
        for (auto at = from; at != to; ++at) {
            if (e.what == amqp_event::kind::refused) {
                kept_.push_back(at->second);
                continue;
            }
            link_->ack(at->second.channel, at->second.tag);
            ++gone_;
        }
        moving_.erase(from, to);
    }

    std::string lock_;
    time_point until_;
    std::unique_ptr<amqp_link>& link_;
    std::uint64_t& consumers_;
    std::map<std::uint64_t, original> moving_ = {};  // by the number of the copy
    std::vector<original> kept_ = {};
    std::size_t gone_ = 0;
};

}  // namespace postroad::queueing::detail
