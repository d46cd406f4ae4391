#pragma once

#include <postroad/core/random.hpp>
#include <postroad/net/wall_clock.hpp>
#include <postroad/queueing/amqp.hpp>
#include <postroad/queueing/amqp_link.hpp>
#include <postroad/queueing/division.hpp>
#include <postroad/queueing/impl/amqp_look.ipp>
#include <postroad/queueing/stored_job.hpp>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <deque>
#include <functional>
#include <future>
#include <iterator>
#include <limits>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace postroad::queueing::detail {

inline both_clocks amqp_now() { return {clock::now(), net::wall_clock_now()}; }

inline std::optional<std::uint64_t> amqp_key(std::string_view text) {
    std::uint64_t n = 0;
    const auto r = std::from_chars(text.data(), text.data() + text.size(), n, 16);
    if (text.empty() || r.ec != std::errc() || r.ptr != text.data() + text.size()) return {};
    return n;
}

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

/// Wakes a thread that waits in poll().
class amqp_bell {
public:
    amqp_bell() {
        if (::pipe(ends_) != 0) throw error(error_code(errno, std::system_category()));
        for (const int end : ends_) {
            ::fcntl(end, F_SETFL, O_NONBLOCK);
            ::fcntl(end, F_SETFD, FD_CLOEXEC);
        }
    }
    amqp_bell(const amqp_bell&) = delete;
    amqp_bell& operator=(const amqp_bell&) = delete;
    ~amqp_bell() {
        ::close(ends_[0]);
        ::close(ends_[1]);
    }
    void ring() const noexcept {
        // A full pipe wakes as well.
        [[maybe_unused]] const auto n = ::write(ends_[1], "", 1);
    }
    /// Until it rings, or `other` is readable, if there is one.
    void wait(int other, std::chrono::milliseconds most) const noexcept {
        pollfd both[] = {{ends_[0], POLLIN, 0}, {other, POLLIN, 0}};
        ::poll(both, other < 0 ? 1 : 2, static_cast<int>(most.count()));
        char taken[64];
        while (::read(ends_[0], taken, sizeof taken) > 0) {
        }
    }

private:
    int ends_[2] = {-1, -1};
};

/// Remembers the last of what it is told, for messages that come twice.
class amqp_memory {
public:
    explicit amqp_memory(std::size_t most) : most_(most) {}
    void add(std::uint64_t key) {
        if (!known_.insert(key).second) return;
        order_.push_back(key);
        if (order_.size() <= most_) return;
        known_.erase(order_.front());
        order_.pop_front();
    }
    bool has(std::uint64_t key) const { return known_.contains(key); }
    const std::deque<std::uint64_t>& all() const noexcept { return order_; }

private:
    std::size_t most_;
    std::unordered_set<std::uint64_t> known_;
    std::deque<std::uint64_t> order_;
};

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

    error_code enqueue(job& j) {
        if (!j.idempotency_key.empty()) return errc::invalid_option;
        {
            const std::scoped_lock lock(mutex_);
            if (stopping_) return errc::shut_down;
            if (taken_ >= options_.capacity) return errc::queue_full;
            ++taken_;
            ++under_way_;
        }
        arrival a{.id = j.id, .shard = home_of(j)};
        const auto now = amqp_now();
        error_code ec;
        try {
            a.what = to_amqp(j, now);
            // What the parts of it would take, should whoever sends it divide it.
            static constexpr std::size_t most = std::size_t{1} << 30;
            if (headers_size(a.what) > max_amqp_headers) ec = errc::message_too_large;
            if (a.what.body.size() > most / amqp_domains(j.mail->envelope)) {
                ec = errc::message_too_large;
                j.result.details.explanation =
                    "the broker may have to keep a copy of it for each domain, more than 1 GiB in all: submit it once "
                    "for some of its recipients, and again for others";
            }
        } catch (const error& e) {
            ec = e.code();
            j.result.details = e.details();
        }
        if (ec) {
            const std::scoped_lock lock(mutex_);
            --taken_;
            done();
            return ec;
        }
        a.wait = amqp_wait_until(j.due, now.steady);
        a.until = after(now.steady, options_.patience);
        a.stored = std::move(j.stored);
        if (j.waiter) a.what.reply_to = replies_;
        const std::scoped_lock lock(mutex_);
        if (j.waiter) waiters_[j.id] = {std::move(j.waiter), j.mail->envelope.recipients.size()};
        j = {};
        arrivals_.push_back(std::move(a));
        ring();
        return {};
    }

    void lease(std::size_t n, time_point now, std::vector<job>& out) {
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
    time_point next_due() const {
        const std::scoped_lock lock(mutex_);
        if (!ready_.empty()) return time_point::min();
        return ripening_.empty() ? never : ripening_.begin()->first;
    }
    std::size_t size() const {
        const std::scoped_lock lock(mutex_);
        return taken_ + given_;
    }
    when_full full() const noexcept { return options_.when_full; }

    void mark(job_id id) { give({.what = order::kind::mark, .id = id}); }

    void settle(const job& j) {
        order o{.what = order::kind::settle, .id = j.id};
        const auto now = amqp_now();
        o.reply = reply_of(j);
        if (!j.result.all_are(status::accepted) && j.mail) {
            o.copy = to_amqp(j, now);
            o.reason = j.error ? describe(j.error, j.result.details) : "not all recipients were accepted";
        }
        give(std::move(o));
    }
    void divide(job&& whole, std::vector<job>&& parts) {
        const auto now = amqp_now();
        order o{.what = order::kind::divide, .id = whole.id, .is_part = whole.whole != 0};
        {
            const std::scoped_lock lock(mutex_);
            for (auto& p : parts) p.whole = whole.whole ? whole.whole : waits_as(whole.id);
        }
        for (const auto& p : parts) o.parts.push_back({p.places.front(), home_of(p), to_amqp(p, now)});
        give_back(std::move(o), whole);
    }
    std::vector<job> take_parts(job_id whole) { return take_those({.whole = whole}); }
    void put_back(job&& j) {
        const auto now = amqp_now();
        order o{.what = order::kind::move, .id = j.id, .copy = to_amqp(j, now)};
        if (const auto wait = amqp_wait_until(j.due, now.steady)) o.exchange = waiting(*wait);
        give_back(std::move(o), j);
    }
    void keep(job&& j, job_state state) {
        order o{.what = order::kind::move, .id = j.id, .copy = to_amqp(j, amqp_now())};
        o.queue = state == job_state::held ? held_queue() : doubt_queue();
        o.reply = reply_of(j);
        give_back(std::move(o), j);
    }
    void release(job&& j) {
        order o{.what = order::kind::release, .id = j.id};
        if (j.mail) o.copy = to_amqp(j, amqp_now());
        give_back(std::move(o), j);
    }

    void marked(std::vector<job_id>& out) {
        std::vector<answer> answers;
        {
            const std::scoped_lock lock(mutex_);
            out.insert(out.end(), marked_.begin(), marked_.end());
            marked_.clear();
            answers.swap(answers_);
        }
        for (auto& a : answers) a.who->complete(a.what.error, std::move(a.what.result));
    }
    void lost(std::vector<job_id>& out) {
        const std::scoped_lock lock(mutex_);
        out.insert(out.end(), lost_.begin(), lost_.end());
        lost_.clear();
    }

    bool leaves() {
        const std::scoped_lock lock(mutex_);
        if (idle_ones_ != connections::are_to_close) return false;
        idle_ones_ = connections::close;
        return true;
    }
    void left() {
        const std::scoped_lock lock(mutex_);
        if (idle_ones_ != connections::close) return;
        idle_ones_ = connections::closed;
        ring();
    }

    void start(std::function<void()> wake) {
        const std::scoped_lock lock(mutex_);
        wake_ = std::move(wake);
        started_ = true;
        ring();
    }
    bool drained(time_point now) const {
        const std::scoped_lock lock(mutex_);
        const bool due = !ready_.empty() || (!ripening_.empty() && ripening_.begin()->first <= now);
        if (due || under_way_ > 0 || !marked_.empty() || !answers_.empty() || !lost_.empty()) return false;
        return std::ranges::none_of(unseen_, [&](const auto& u) { return served_.contains(u.second); });
    }
    void stop() {
        {
            const std::scoped_lock lock(mutex_);
            if (!stopping_) stop_at_ = after(clock::now(), options_.patience);
            stopping_ = true;
            wake_ = nullptr;
            ring();
        }
        if (thread_.joinable()) thread_.join();
        std::vector<job_id> ignored;
        marked(ignored);
        for (auto& w : std::exchange(waiters_, {})) w.second.who->complete(errc::shut_down, {});
        gatherings_.end(errc::shut_down);
    }

    std::optional<job> take(job_id id) {
        auto found = take_those({.id = id});
        if (found.empty()) return {};
        return std::move(found.front());
    }
    void list(const job_filter& which, std::size_t limit, time_point now, std::vector<job_info>& out) {
        std::vector<job_info> found;
        {
            const std::scoped_lock lock(mutex_);
            visit(now, [&](const job& j, job_state s) { found.push_back(queueing::describe(j, s, now)); });
        }
        for (auto& j : found)
            if (out.size() < limit && which.matches(j)) out.push_back(std::move(j));
        walk(which, [&](const job& j, job_state state, amqp_message&, amqp_look::step&) {
            if (out.size() < limit) out.push_back(queueing::describe(j, state, now));
            return out.size() < limit ? amqp_look::next::more : amqp_look::next::enough;
        });
    }
    void count(time_point now, queue_counts& counts) {
        const auto add = [&](job_state s, std::size_t n) { counts.by_state[static_cast<std::size_t>(s)] += n; };
        {
            const std::scoped_lock lock(mutex_);
            visit(now, [&](const job& j, job_state s) {
                add(s, 1);
                counts.oldest = std::max(counts.oldest, queueing::age(j.submitted, now));
            });
            add(job_state::waiting, taken_);
        }
        const auto depths = ask<std::map<std::string, std::size_t>>([this] {
            std::map<std::string, std::size_t> all;
            for (const auto& q : moving_queues()) all[q] = link_->look(q).messages;
            if (handover_) all[shard_queue(handover_->shard)] += handover_->aside.size();
            return all;
        });
        for (const auto& [queue, n] : depths)
            add(queue.starts_with(options_.name + ".wait.") ? job_state::delayed : job_state::waiting, n);
        look([&](amqp_look& at) {
            add(job_state::held, at.depth(held_queue()));
            add(job_state::in_doubt, at.depth(doubt_queue()));
        });
    }
    std::size_t retry_now(const job_filter& which, time_point now) {
        std::size_t n = 0;
        {
            const std::scoped_lock lock(mutex_);
            amqp_take_if(
                ripening_,
                [&](const auto& entry) {
                    return which.matches(queueing::describe(entry.second, job_state::delayed, now));
                },
                [&](auto& entry) {
                    entry.second.due = time_point::min();
                    ready_.push_back(std::move(entry.second));
                    ++n;
                });
        }
        return n + walk(which, [&](const job& j, job_state, amqp_message& m, amqp_look::step& s) {
                   m.headers.erase("not_before");
                   m.headers.erase("postroad_interrupted");
                   next_step(m);
                   strip(m);
                   s = {amqp_look::step::kind::moves, options_.name, std::to_string(home_of(j))};
                   return after_one(which);
               });
    }
    std::size_t hold(const job_filter& which, time_point now) {
        auto found = extract(which, now);
        const auto n = found.size();
        for (auto& j : found) keep(std::move(j), job_state::held);
        return n;
    }
    std::vector<job> drop(const job_filter& which, time_point now) {
        auto found = drop_here(which, now);
        walk(which, [&](job& j, job_state, amqp_message&, amqp_look::step& s) {
            s.what = amqp_look::step::kind::goes;
            found.push_back(std::move(j));
            return after_one(which);
        });
        return with_waiters(std::move(found));
    }

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

    /// A message on its way to the broker.
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
        std::unique_ptr<order> then = {};  // once it is delivered anew: the connection it came by is gone
    };
    struct shard {
        std::string consumer = {};
        bool known = false;  // its register was read: it is ours
        bool worn = false;   // something of it was given out too often already to hand it over
        time_point stays_until = time_point::min();
        bool writing = false;
        bool dirty = false;
        time_point writes_at = time_point::min();  // the broker did not take its register
        std::vector<job_id> asked = {};            // that are to be marked
        std::vector<job_id> on_their_way = {};
        std::unordered_set<std::uint64_t> marked = {};     // keys of jobs
        std::unordered_set<std::uint64_t> inherited = {};  // the same of who had the shard before
        // Asked to be marked when the connection broke, and never sent, whatever the register says if it is ours still.
        std::unordered_set<std::uint64_t> never_left = {};
        std::size_t deliveries = 0;
        amqp_memory ended{256};
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
    // A message that was given out so often and never settled ends whoever gets it.
    static constexpr std::int64_t poison = 50;
    static constexpr int busy_turns = 256;
    // Nothing is told meanwhile that its time is over.
    static constexpr std::chrono::milliseconds longest_answer{5'000};

    static const amqp_options& checked(const amqp_options& o) {
        const auto need = [](bool good, const char* text) {
            if (!good) throw error(errc::invalid_option, std::string("queueing::amqp: ") + text);
        };
        need(o.shards >= 1 && o.shards <= 256, "shards must be from 1 to 256");
        need(o.prefetch >= 1 && o.prefetch <= 1000, "prefetch must be from 1 to 1000");
        need(o.window >= 1, "window must be at least 1");
        need(!o.name.empty() && o.name.size() <= 100, "name must have 1 to 100 octets");
        need(std::ranges::none_of(o.name, [](unsigned char c) { return c < ' ' || c == 127; }),
             "name must not hold control characters");
        need(o.heartbeat.count() >= 1 && o.heartbeat.count() <= 600, "heartbeat must be from 1 to 600 seconds");
        need(o.patience.count() >= 1, "patience must be at least a millisecond");
        return o;
    }

    std::string shard_queue(unsigned n) const { return options_.name + "." + std::to_string(n); }
    std::string register_queue(unsigned n) const { return options_.name + ".marked." + std::to_string(n); }
    std::string in_queue() const { return options_.name + ".in"; }
    std::string held_queue() const { return options_.name + ".held"; }
    std::string doubt_queue() const { return options_.name + ".in_doubt"; }
    std::string dead_queue() const { return options_.name + ".dead"; }
    std::string waiting(std::int64_t seconds) const { return options_.name + ".wait." + std::to_string(seconds); }
    /// Those whose messages wait for nobody.
    std::vector<std::string> moving_queues() const {
        std::vector<std::string> all{in_queue()};
        for (unsigned n = 0; n < options_.shards; ++n) all.push_back(shard_queue(n));
        for (const auto wait : amqp_waits) all.push_back(waiting(wait));
        return all;
    }

    amqp_address broker() const {
        return {.url = options_.url,
                .ca_file = options_.ca_file,
                .heartbeat = options_.heartbeat,
                .timeout = std::min(options_.patience, longest_answer)};
    }
    /// The shard of a job.
    unsigned home_of(const job& j) const { return amqp_shard(j.mail->envelope, options_.shards); }

    // ---- under the lock

    void ring() {
        if (std::exchange(rung_, true)) return;
        bell_.ring();
    }
    void done() {
        if (--under_way_ == 0) news_ = true;
    }
    void give(order o) {
        const std::scoped_lock lock(mutex_);
        ++under_way_;
        orders_.push_back(std::move(o));
        ring();
    }
    static amqp_message reply_of(const job& j) {
        amqp_message m{.content_type = "text/plain"};
        amqp_message::strings to;
        for (const auto& r : j.result.recipients) to.push_back(r.address);
        m.headers["recipients"] = std::move(to);
        if (j.whole && j.mail) m.headers["postroad_envelope"] = written_part(j) + queueing::written(j.mail->envelope);
        m.headers["postroad_progress"] = written_progress(j);
        return m;
    }
    void give_back(order o, job& j) {
        if (j.waiter) {
            const std::scoped_lock lock(mutex_);
            waiters_[waits_as(j.id)] = {std::move(j.waiter), j.mail ? j.mail->envelope.recipients.size() : 0};
        }
        give(std::move(o));
    }
    /// The id under which a job was queued.
    job_id waits_as(job_id id) const {
        const auto found = aliases_.find(id);
        return found == aliases_.end() ? id : found->second;
    }
    std::shared_ptr<gathering> gathering_of(job_id whole) {
        if (auto found = gatherings_.find(whole)) return found;
        auto w = waiters_.extract(whole);
        if (!w) return {};
        return gatherings_.add(whole, std::move(w.mapped().who), std::vector<recipient_outcome>(w.mapped().recipients));
    }
    std::unique_ptr<postroad::waiter> who_waits_for(const job& j) {
        if (auto w = waiters_.extract(waits_as(j.id))) return std::move(w.mapped().who);
        const auto all = j.whole ? gathering_of(j.whole) : nullptr;
        return all && !all->over() ? all->part(j.places) : nullptr;
    }
    void ripen(time_point now) {
        while (!ripening_.empty() && ripening_.begin()->first <= now) {
            ready_.push_back(std::move(ripening_.begin()->second));
            ripening_.erase(ripening_.begin());
        }
    }
    template <class F>
    void visit(time_point now, F f) const {
        for (const auto& j : ready_) f(j, job_state::waiting);
        for (const auto& [due, j] : ripening_) f(j, due > now ? job_state::delayed : job_state::waiting);
    }
    std::vector<job> extract(const job_filter& which, time_point now) {
        const std::scoped_lock lock(mutex_);
        const auto matches = [&](const job& j, job_state s) {
            return (!which.id || *which.id == j.id) && which.matches(queueing::describe(j, s, now));
        };
        std::vector<job> found;
        amqp_take_if(
            ready_, [&](const job& j) { return matches(j, job_state::waiting); },
            [&](job& j) { found.push_back(std::move(j)); });
        amqp_take_if(
            ripening_, [&](const auto& entry) { return matches(entry.second, job_state::delayed); },
            [&](auto& entry) { found.push_back(std::move(entry.second)); });
        for (const auto& j : found) taken_out_.insert(j.id);
        return found;
    }

    std::vector<job> drop_here(const job_filter& which, time_point now) {
        auto found = extract(which, now);
        for (const auto& j : found) give({.what = order::kind::settle, .id = j.id});
        return found;
    }
    std::vector<job> with_waiters(std::vector<job> found) {
        const std::scoped_lock lock(mutex_);
        for (auto& j : found) j.waiter = who_waits_for(j);
        return found;
    }
    /// As drop(), often, and mostly of what is nowhere here: without a look where the broker says that nothing rests.
    std::vector<job> take_those(const job_filter& which) {
        const bool rest =
            ask<bool>([this] { return link_->look(held_queue()).messages + link_->look(doubt_queue()).messages > 0; });
        const auto now = clock::now();
        return rest ? drop(which, now) : with_waiters(drop_here(which, now));
    }

    /// What `f` returns, called on the other thread while it is connected; nothing if that takes too long.
    template <class R, class F>
    R ask(F f) {
        auto task = std::make_shared<std::packaged_task<R()>>(std::move(f));
        auto result = task->get_future();
        {
            const std::scoped_lock lock(mutex_);
            if (stopping_) return {};
            questions_.push_back([task] { (*task)(); });
            ring();
        }
        if (result.wait_for(options_.patience) != std::future_status::ready) return {};
        try {
            return result.get();
        } catch (const std::exception&) {  // the connection broke
            return {};
        }
    }

    // ---- over a connection of its own

    /// Does without whatever the broker does not answer in time.
    template <class F>
    std::size_t look(F f) const {
        std::size_t gone = 0;
        try {
            amqp_look at(broker(), options_.name + ".looking", after(clock::now(), options_.patience));
            try {
                f(at);
            } catch (const error&) {
                gone = at.gone();
                throw;
            }
            return at.gone();
        } catch (const error&) {
            return gone;
        }
    }
    /// Shows `visit` the jobs that wait for somebody, and match.
    template <class Visit>
    std::size_t walk(const job_filter& which, Visit visit) const {
        if (which.state && *which.state != job_state::held && *which.state != job_state::in_doubt) return 0;
        return look([&](amqp_look& at) {
            auto then = amqp_look::next::more;
            for (const auto state : {job_state::held, job_state::in_doubt}) {
                if (then == amqp_look::next::enough || (which.state && *which.state != state)) continue;
                at.walk(state == job_state::held ? held_queue() : doubt_queue(),
                        [&](amqp_message& m, amqp_look::step& s) {
                            auto j = read_kept(m, state);
                            if (!j || !which.matches(queueing::describe(*j, state, clock::now()))) return then;
                            return then = visit(*j, state, m, s);
                        });
            }
        });
    }
    static amqp_look::next after_one(const job_filter& which) noexcept {
        return which.id ? amqp_look::next::enough : amqp_look::next::more;
    }
    static std::optional<job> read_kept(amqp_message m, job_state state) {
        std::string reason;
        const auto id = amqp_id_for(m.message_id);
        auto j = from_amqp(std::move(m), amqp_now(), reason);
        if (!j) return {};
        j->id = id;
        if (state == job_state::in_doubt && !j->error) j->error = errc::in_doubt;
        return j;
    }

    // ---- on the other thread

    void run();
    void connect();
    void serve();
    void disconnected(const error& why);
    void take_in();
    void obey(order& o);
    void send();
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
    template <class Container, class F>
    static void each_of(Container& from, const amqp_event& e, F f);
    void delivered(amqp_event& e);
    void delivered_in(amqp_event& e);
    void replied(amqp_event& e);
    void hand_out(job&& j, held h);
    void bury(int channel, std::uint64_t tag, amqp_message m, std::string reason);
    void replace(int channel, std::uint64_t tag, std::string exchange, std::string key, amqp_message m,
                 std::function<void()> then = {});
    void answer_elsewhere(const held& h, order& o);
    void divide(const held& h, order& o);
    void ack(int channel, std::uint64_t tag) noexcept;
    void end(job_id id);
    void forget(std::unordered_map<job_id, held>::iterator at);
    void remember(unsigned n, std::uint64_t key);
    bool idle();
    bool current(const held& h) const noexcept { return link_ && h.link == link_number_; }
    void tell();

    static void as_given(amqp_message& m, const held& h, std::int64_t step) {
        m.message_id = h.message_id;
        m.timestamp = h.timestamp;
        m.reply_to = h.reply_to;
        m.headers["postroad_step"] = step;
    }
    /// Takes off what the broker adds when a message has waited, in forms that not all can be shown.
    static void strip(amqp_message& m) {
        std::erase_if(m.headers, [](const auto& h) { return h.first.starts_with("x-"); });
    }
    static std::int64_t step_of(const amqp_message& m);
    static void next_step(amqp_message& m) { m.headers["postroad_step"] = step_of(m) + 1; }
    static std::uint64_t key_of(const std::string& id, std::int64_t step) {
        return amqp_hash(id + '#' + std::to_string(step));
    }

    const amqp_options options_;
    const std::string replies_ = options_.name + ".replies." + std::to_string(postroad::detail::random_number());
    amqp_bell bell_;

    mutable std::mutex mutex_;
    bool rung_ = false;
    bool news_ = false;  // that the mailer should look at
    bool stopping_ = false;
    bool started_ = false;
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
    bool takes_replies_ = false;
    error_code trouble_ = errc::broker_unreachable;
    time_point expired_at_ = time_point::min();
    std::deque<order> orders_taken_;
    std::deque<outgoing> unsent_;
    std::multimap<time_point, outgoing> again_;      // that the broker did not take; when to try
    std::map<std::uint64_t, outgoing> unconfirmed_;  // on the main channel, by number
    std::map<std::uint64_t, unsigned> registers_;    // that are being written, with their shard
    std::vector<shard> shards_;
    std::unordered_map<std::string, unsigned> shard_of_;  // by the name of our consumer
    std::uint64_t subscriptions_ = 0;
    std::optional<handover> handover_;
    time_point looks_at_ = time_point::min();
    unsigned uneven_ = 0;  // how often in a row we served more than our part of the shards with work
    std::unordered_map<job_id, held> held_;
    std::unordered_map<std::uint64_t, job_id> by_key_;
    amqp_memory ended_{100'000};
    std::thread thread_;
};

}  // namespace postroad::queueing::detail

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
