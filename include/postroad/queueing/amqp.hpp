#pragma once
// A durable queue at a RabbitMQ broker, for more than one machine. See docs/queueing.md. Not among what
// postroad/postroad.hpp includes: needs the component postroad::amqp. Inline in every mode.

#include <postroad/queueing/policy.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace postroad::queueing {

/// What a process does with the queue.
enum class amqp_role : unsigned char {
    sends,    ///< it queues messages, and sends what is queued
    submits,  ///< it only queues; others send
};

/// How the queue is reached and used. All processes of one queue must agree on `name`, and in the end on `shards`.
struct amqp_options {
    /// amqp://user:password@host:port/vhost, or amqps:// with TLS, which is always verified.
    std::string url = "amqp://guest:guest@localhost/";
    /// Whom to trust, in PEM; empty: the CAs of the system.
    std::string ca_file = {};
    /// What the names of exchanges and queues at the broker begin with.
    std::string name = "postroad";
    /// Queues among which destinations are divided. Each is sent by one process at a time; those with work spread over
    /// the processes that send. From 1 to 256. It can grow while the queue is in use, process by process.
    unsigned shards = 8;
    /// Most messages of a shard that the broker gives out before the first of them is over. From 1 to 1000.
    std::uint16_t prefetch = 128;
    /// Most messages that are on their way to the broker and not confirmed. From 1 to 1024: as many that ended are
    /// known of a shard to whoever has it next.
    std::size_t window = 512;
    /// Most messages taken by enqueue() that the broker has not confirmed.
    std::size_t capacity = 10'000;
    queueing::when_full when_full = queueing::when_full::refuse;
    /// How long a message may wait for the broker; then it is refused: errc::broker_unreachable, and it may be queued
    /// all the same, or errc::broker_refused. As long as that may a look at held jobs, those in doubt and failed ones
    /// take.
    std::chrono::milliseconds patience{30'000};
    /// A broker that is silent for twice as long counts as lost.
    std::chrono::seconds heartbeat{10};
    /// How long what failed stays at the broker, 49 days at most; 0: not at all.
    std::chrono::seconds kept = std::chrono::hours(30 * 24);
    amqp_role role = amqp_role::sends;
};

namespace detail {
class amqp_store;
}

/// Messages are persistent, on quorum queues, and stored once the broker confirms them. While it cannot be reached
/// enqueue() takes up to `capacity`; after a broken connection whatever was not being sent is given out anew, here or
/// to another process.
///
/// A thread of its own talks to the broker; list() and its neighbours have a connection of their own. Only take(),
/// list(), count(), retry_now(), hold(), drop() and stop() wait for it, `patience` at most; take() and count() not
/// while it cannot be reached, or is short of memory or disk: they do without.
class amqp {
public:
    using axis = postroad::axis::queueing;
    static constexpr bool keeps = true;
    static constexpr bool is_durable = true;

    /// Connects, and declares exchanges and queues. Throws `error`: errc::broker_unreachable, errc::broker_refused
    /// (credentials, or queues that exist with other settings), errc::invalid_url, errc::invalid_option,
    /// errc::tls_configuration.
    explicit amqp(amqp_options options);
    amqp(amqp&&) noexcept;
    amqp& operator=(amqp&&) noexcept;
    ~amqp();

    /// errc::invalid_option for an idempotency key: the broker keeps none. errc::message_too_large for more recipients
    /// than fit (max_amqp_recipients, max_amqp_headers), for more octets than the broker said that it takes
    /// (max_message_size), and where a copy for each of its domains would take more than 1 GiB. What content::as()
    /// throws is returned.
    error_code enqueue(job& j);
    when_full full() const noexcept;
    void lease(std::size_t n, time_point now, std::vector<job>& out);
    void settle(const job& j);
    /// The parts go to the shards of their domains, which other processes may have.
    void divide(job&& whole, std::vector<job>&& parts);
    std::vector<job> take_parts(job_id whole);
    void put_back(job&& j);
    /// Only of jobs that the broker gave to this process, held ones, and those in doubt.
    std::optional<job> take(job_id id);
    std::vector<job> take_all(const std::vector<job_id>& ids);
    time_point next_due() const;
    /// Those that this process has: not confirmed, or given to it by the broker.
    std::size_t size() const;

    /// Those of take(), and failed ones: nobody can look into a queue that is being consumed. Reads no more than it
    /// takes to reach `limit`, the oldest first while nobody has looked before; within `patience`. Others who look
    /// meanwhile wait. What is no mail is a failed job without recipients.
    void list(const job_filter& which, std::size_t limit, time_point now, std::vector<job_info>& out) const;
    /// All that wait at the broker, too; the age is that of the oldest known here.
    void count(time_point now, queue_counts& counts) const;
    /// Failed ones go as if they were new, to those that did not get them; what is no mail stays.
    std::size_t retry_now(const job_filter& which, time_point now);
    std::size_t hold(const job_filter& which, time_point now);
    void keep(job&& j, job_state state);
    std::vector<job> drop(const job_filter& which, time_point now);

    void start(std::function<void()> wake);
    void mark(job_id id);
    void marked(std::vector<job_id>& out);
    /// Appends leased jobs, without a mark, that the broker will give out again, here or elsewhere, because the
    /// connection broke. They are to be released.
    void lost(std::vector<job_id>& out);
    /// True once when a shard is handed over to another process and nothing of it is leased; left() answers when the
    /// connections that served it are closed.
    bool leaves();
    void left();
    void release(job&& j);
    bool drained(time_point now) const;
    void stop();

private:
    std::unique_ptr<detail::amqp_store> store_;
};

static_assert(durable<amqp>);

}  // namespace postroad::queueing

#include <postroad/queueing/impl/amqp.ipp>
