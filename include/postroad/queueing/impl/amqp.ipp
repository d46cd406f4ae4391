#pragma once

#include <postroad/core/random.hpp>
#include <postroad/queueing/amqp.hpp>
#include <postroad/queueing/amqp_link.hpp>
#include <postroad/queueing/division.hpp>
#include <postroad/queueing/impl/amqp_bell.ipp>
#include <postroad/queueing/impl/amqp_form.ipp>
#include <postroad/queueing/impl/amqp_outbox.ipp>
#include <postroad/queueing/impl/amqp_parked.ipp>
#include <postroad/queueing/impl/amqp_register.ipp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace postroad::queueing::detail {

/// The queue. One half, under `mutex_`, is for the mailer's threads; the other belongs to the thread that talks to the
/// broker.
///
/// Each shard has a register beside it: a queue that keeps its last message only. It names the jobs of the shard that
/// are marked, and those that ended lately. Who is given a shard by the broker reads it first: what the one before had
/// marked comes back in doubt, and all else as if nothing had been.
///
/// Each time a job is published anew its step grows. So the copies of a message that a broken connection may leave
/// behind have the same id and step, and one of them is sent.
class amqp_store {
public:
    explicit amqp_store(amqp_options o) : options_(std::move(o)), shards_(checked(options_).shards) {
        connect();
        thread_ = std::thread([this] { run(); });
    }
    amqp_store(const amqp_store&) = delete;
    amqp_store& operator=(const amqp_store&) = delete;
    ~amqp_store() { stop(); }

    // ---- on the mailer's threads

    error_code enqueue(job& j);

    void lease(std::size_t n, time_point now, std::vector<job>& out);
    time_point next_due() const;
    std::size_t size() const;
    when_full full() const noexcept { return options_.when_full; }

    void mark(job_id id) { give({.what = order::kind::mark, .id = id}); }

    void settle(const job& j);
    void divide(job&& whole, std::vector<job>&& parts);
    std::vector<job> take_parts(job_id whole) { return take_those({.whole = whole}); }
    void put_back(job&& j);
    void keep(job&& j, job_state state);
    void release(job&& j);

    void marked(std::vector<job_id>& out);
    void lost(std::vector<job_id>& out);

    bool leaves();
    void left();

    void start(std::function<void()> wake);
    bool drained(time_point now) const;
    void stop();

    std::optional<job> take(job_id id);
    std::vector<job> take_all(const std::vector<job_id>& ids);
    void list(const job_filter& which, std::size_t limit, time_point now, std::vector<job_info>& out);
    void count(time_point now, queue_counts& counts);
    std::size_t retry_now(const job_filter& which, time_point now);
    std::size_t hold(const job_filter& which, time_point now);
    std::vector<job> drop(const job_filter& which, time_point now);

private:
    /// A job that was queued here.
    struct arrival {
        job_id id = 0;
        unsigned shard = 0;
        amqp_message what = {};
        std::optional<std::int64_t> wait = {};
        time_point until = never;
        std::function<void(error_code)> stored = {};
    };
    struct piece {
        std::uint32_t first = 0;  // where its first recipient stands in the envelope of the message
        unsigned shard = 0;
        amqp_message what = {};
    };
    /// Something to do with a job that the broker gave us.
    struct order {
        enum class kind : unsigned char { mark, settle, move, divide, release };
        kind what = kind::mark;
        job_id id = 0;
        amqp_message copy = {};     // of a job that moves, or ended badly
        std::string exchange = {};  // where it moves to; neither: back to its shard
        std::string queue = {};
        amqp_message reply = {};  // for who waits elsewhere
        std::string reason = {};
        std::vector<piece> parts = {};  // of a job that is divided
        bool is_part = false;           // that job, of another
    };
    struct awaited {
        std::unique_ptr<postroad::waiter> who = {};
        std::size_t recipients = 0;
    };
    struct answer {
        std::unique_ptr<postroad::waiter> who;
        job what;
    };

    using outgoing = amqp_outbox::outgoing;
    /// A job that the broker gave us.
    struct held {
        std::uint64_t tag = 0;
        unsigned link = 0;  // the number of the connection it came by
        unsigned shard = 0;
        std::uint64_t key = 0;
        std::int64_t step = 0;
        std::string message_id = {};
        std::string reply_to = {};
        std::optional<std::int64_t> timestamp = {};
        bool asked = false;                // to be marked, and not told that it is
        bool marked = false;               // and told so: it may be with a server
        bool awaited = false;              // by somebody in this process
        bool stays = false;                // for it is too large for the broker to take it anew
        std::unique_ptr<order> then = {};  // once it is delivered anew: the connection it came by is gone
        time_point then_until = never;     // and not here, for another process has its shard
    };
    /// A shard on its way to another process.
    struct handover {
        unsigned shard = 0;
        time_point until = never;
        std::vector<amqp_event> aside = {};  // what came and was not begun
        bool written = false;                // that nothing of it is marked
    };
    /// What becomes of connections that have nothing to do.
    enum class connections : unsigned char { stay, are_to_close, close, closed };

    // More than a shard's prefetch: then all that the one before us had was delivered, since it goes first.
    static constexpr std::size_t inheritance = 2000;
    // A message that was given out so often and never settled ends whoever gets it. That it seems to after a tenth of
    // that, or less, is no reason to lose it.
    static constexpr std::int64_t poison = 1000;
    static constexpr std::int64_t worn = 25;
    // Octets of headers: what we and the broker add to those that enqueue() looked at, such as a step.
    static constexpr std::size_t added = std::size_t{2} << 10;
    static constexpr int busy_turns = 256;
    static constexpr auto no_limit = std::numeric_limits<std::uint64_t>::max();
    static const amqp_options& checked(const amqp_options& o);

    /// The shard of a job.
    unsigned home_of(const job& j) const { return amqp_shard(j.mail->envelope, options_.shards); }

    std::string too_large() const {
        return "the broker takes no more than " + std::to_string(largest_) + " octets (max_message_size)";
    }

    // ---- under the lock

    void ring();
    void done();
    void give(order o);
    static amqp_message reply_of(const job& j);
    void give_back(order o, job& j);
    /// The id under which a job was queued.
    job_id waits_as(job_id id) const;
    std::shared_ptr<gathering> gathering_of(job_id whole);
    std::unique_ptr<postroad::waiter> who_waits_for(const job& j);
    void ripen(time_point now);
    template <class F>
    void visit(time_point now, F f) const;
    std::vector<job> extract(const job_filter& which, time_point now);

    std::vector<job> drop_here(const job_filter& which, time_point now);
    std::vector<job> with_waiters(std::vector<job> found);
    /// As drop(), often, and mostly of what is nowhere here: without a look where the broker says that nothing rests.
    std::vector<job> take_those(const job_filter& which);
    /// Whether any are held or in doubt at the broker, as far as it says so now.
    bool any_rest();

    /// What `f` returns, called on the other thread; nothing while the broker does not answer, or if that takes too
    /// long.
    template <class R, class F>
    R ask(F f) {
        auto task = std::make_shared<std::packaged_task<R()>>(std::move(f));
        auto result = task->get_future();
        {
            const std::scoped_lock lock(mutex_);
            if (stopping_ || !answers_questions_) return {};
            // Ours only: one that is dropped is answered.
            questions_.push_back([task = std::move(task)] { (*task)(); });
            ring();
        }
        if (result.wait_for(options_.patience) != std::future_status::ready) return {};
        try {
            return result.get();
        } catch (const std::exception&) {  // the connection broke, or is blocked
            return {};
        }
    }

    // ---- on the other thread

    void run();
    void connect();
    void serve();
    void disconnected(const error& why);
    void take_arrivals();
    void take_in();
    bool waits_on();
    void obey(order& o);
    void send(time_point now);
    void expire(time_point now);
    void give_up();
    time_point stopping_at();
    void subscribe(unsigned n);
    void spread(time_point now);
    void begin_hand_over(unsigned n, time_point now);
    void set_aside(std::unordered_map<job_id, held>::iterator at, amqp_message copy);
    void hand_over(time_point now);
    void keep_shard(time_point now);
    bool leaving(unsigned n) const noexcept { return handover_ && handover_->shard == n; }
    void write_register(unsigned n);
    void take_over(unsigned n, bool redelivered);
    void happened(amqp_event& e);
    void confirmed(const amqp_event& e);
    void refused(const amqp_event& e);
    void marks_stored(unsigned n);
    void delivered(amqp_event& e);
    void take_charge(amqp_event& e);
    void delivered_in(amqp_event& e);
    void replied(amqp_event& e);
    void hand_out(job&& j, held h);
    void tidy(amqp_message& m) const;
    void bury(int channel, std::uint64_t tag, amqp_message m, std::string reason, errc why);
    void replace(int channel, std::uint64_t tag, std::string exchange, std::string key, amqp_message m,
                 std::function<void()> then = {});
    void stay(order& o);
    bool may_stay(unsigned n, job_id but_for) const;
    void end_too_large(const held& h, order& o);
    outgoing moved_copy(const held& h, order& o);
    outgoing failed_copy(const held& h, order& o);
    void answer_elsewhere(const held& h, order& o);
    void divide(const held& h, order& o);
    void ack(int channel, std::uint64_t tag) noexcept;
    void end(job_id id);
    void forget(std::unordered_map<job_id, held>::iterator at);
    void remember(unsigned n, std::uint64_t key);
    bool idle();
    bool current(const held& h) const noexcept { return link_ && h.link == link_number_; }
    void tell();

    static void as_given(amqp_message& m, const held& h, std::int64_t step);
    const amqp_options options_;
    const amqp_names names_{options_.name};
    const std::string replies_ = names_.replies() + std::to_string(postroad::detail::random_number());
    mutable amqp_parked parked_{options_};
    amqp_bell bell_;

    mutable std::mutex mutex_;
    bool rung_ = false;
    bool news_ = false;  // that the mailer should look at
    bool stopping_ = false;
    bool started_ = false;
    bool answers_questions_ = false;
    time_point stop_at_ = never;
    std::function<void()> wake_;
    std::deque<arrival> arrivals_;
    std::vector<order> orders_;
    std::vector<std::function<void()>> questions_;
    std::size_t taken_ = 0;      // by enqueue(), and not stored
    std::size_t given_ = 0;      // by the broker, and not settled
    std::size_t under_way_ = 0;  // arrivals and orders that are not done
    std::deque<job> ready_;
    std::multimap<time_point, job> ripening_;
    std::unordered_map<job_id, awaited> waiters_;
    gatherings gatherings_;
    std::unordered_set<job_id> taken_out_;        // of ready_ and ripening_, until an order says what became of them
    std::unordered_map<job_id, job_id> aliases_;  // of jobs that were given out again while their id was taken out
    std::vector<job_id> marked_;
    std::vector<job_id> lost_;
    std::vector<answer> answers_;
    std::unordered_map<job_id, unsigned> unseen_;  // stored, and not given out by the broker; with their shard
    std::unordered_set<unsigned> served_;          // shards that the broker gives to us
    connections idle_ones_ = connections::stay;

    std::unique_ptr<amqp_link> link_;
    unsigned link_number_ = 0;
    bool consuming_ = false;
    bool wants_replies_ = false;
    bool takes_replies_ = false;
    error_code trouble_ = errc::broker_unreachable;
    time_point expired_at_ = time_point::min();
    std::deque<order> orders_taken_;
    amqp_outbox outbox_{options_.window};
    std::map<std::uint64_t, unsigned> registers_;  // that are being written, with their shard
    std::vector<amqp_shard_state> shards_;
    std::unordered_map<std::string, unsigned> shard_of_;  // by the name of our consumer
    std::uint64_t subscriptions_ = 0;
    std::optional<handover> handover_;
    time_point looks_at_ = time_point::min();
    unsigned uneven_ = 0;  // how often in a row we served more than our part of the shards with work
    std::unordered_map<job_id, held> held_;
    std::unordered_map<std::uint64_t, job_id> by_key_;
    amqp_memory ended_{100'000};
    std::atomic<std::uint64_t> largest_ = no_limit;  // message that the broker takes
    std::thread thread_;
};

}  // namespace postroad::queueing::detail

#include <postroad/queueing/impl/amqp_custody.ipp>
#include <postroad/queueing/impl/amqp_desk.ipp>
#include <postroad/queueing/impl/amqp_marks.ipp>
#include <postroad/queueing/impl/amqp_operations.ipp>
#include <postroad/queueing/impl/amqp_spread.ipp>
#include <postroad/queueing/impl/amqp_thread.ipp>

namespace postroad::queueing {

inline amqp::amqp(amqp_options options) : store_(std::make_unique<detail::amqp_store>(std::move(options))) {}
inline amqp::amqp(amqp&&) noexcept = default;
inline amqp& amqp::operator=(amqp&&) noexcept = default;
inline amqp::~amqp() = default;

inline error_code amqp::enqueue(job& j) { return store_->enqueue(j); }
inline when_full amqp::full() const noexcept { return store_->full(); }
inline void amqp::lease(std::size_t n, time_point now, std::vector<job>& out) { store_->lease(n, now, out); }
inline void amqp::settle(const job& j) { store_->settle(j); }
inline void amqp::divide(job&& whole, std::vector<job>&& parts) { store_->divide(std::move(whole), std::move(parts)); }
inline std::vector<job> amqp::take_parts(job_id whole) { return store_->take_parts(whole); }
inline void amqp::put_back(job&& j) { store_->put_back(std::move(j)); }
inline std::optional<job> amqp::take(job_id id) { return store_->take(id); }
inline std::vector<job> amqp::take_all(const std::vector<job_id>& ids) { return store_->take_all(ids); }
inline time_point amqp::next_due() const { return store_->next_due(); }
inline std::size_t amqp::size() const { return store_->size(); }
inline void amqp::list(const job_filter& which, std::size_t limit, time_point now, std::vector<job_info>& out) const {
    store_->list(which, limit, now, out);
}
inline void amqp::count(time_point now, queue_counts& counts) const { store_->count(now, counts); }
inline std::size_t amqp::retry_now(const job_filter& which, time_point now) { return store_->retry_now(which, now); }
inline std::size_t amqp::hold(const job_filter& which, time_point now) { return store_->hold(which, now); }
inline void amqp::keep(job&& j, job_state state) { store_->keep(std::move(j), state); }
inline std::vector<job> amqp::drop(const job_filter& which, time_point now) { return store_->drop(which, now); }
inline void amqp::start(std::function<void()> wake) { store_->start(std::move(wake)); }
inline void amqp::mark(job_id id) { store_->mark(id); }
inline void amqp::marked(std::vector<job_id>& out) { store_->marked(out); }
inline void amqp::lost(std::vector<job_id>& out) { store_->lost(out); }
inline bool amqp::leaves() { return store_->leaves(); }
inline void amqp::left() { store_->left(); }
inline void amqp::release(job&& j) { store_->release(std::move(j)); }
inline bool amqp::drained(time_point now) const { return store_->drained(now); }
inline void amqp::stop() { store_->stop(); }

}  // namespace postroad::queueing
