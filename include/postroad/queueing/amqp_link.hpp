#pragma once
// A connection to a broker by AMQP 0-9-1, over librabbitmq. Part of queueing/amqp.hpp. Inline in every mode.

#include <postroad/queueing/amqp_message.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace postroad::queueing::detail {

/// How to get to a broker.
struct amqp_address {
    std::string url = {};
    std::string ca_file = {};
    std::chrono::seconds heartbeat{10};
    std::chrono::milliseconds timeout{10'000};  ///< of connecting, and of each answer of the broker
};

/// What came from the broker by itself.
struct amqp_event {
    enum class kind : unsigned char {
        nothing,
        delivered,
        confirmed,  ///< what was published is stored
        refused,    ///< what was published is not
        none,       ///< there was nothing to get
    };
    enum class reach : unsigned char { one, all_up_to };
    kind what = kind::nothing;
    int channel = 0;
    std::uint64_t tag = 0;  ///< of the delivery, or the number of what was published on that channel
    reach covers = reach::one;
    bool redelivered = false;
    std::string consumer = {};
    amqp_message message = {};
};

/// One connection with two channels, both with publisher confirms. Belongs to one thread at a time. Every call may
/// block until the broker answers, and throws `error` when the connection is lost: errc::broker_unreachable, or
/// errc::broker_refused with the words of the broker. After that every other call throws, too. No text holds the
/// user's name or password.
class amqp_link {
public:
    /// Connects and logs in. Throws errc::invalid_url, too.
    explicit amqp_link(const amqp_address& to);
    amqp_link(const amqp_link&) = delete;
    amqp_link& operator=(const amqp_link&) = delete;
    ~amqp_link();

    /// To wait for, until it is readable.
    int handle() const noexcept;

    // Deliveries come on the first channel; get() uses the second, whose messages would get mixed up with them.
    static constexpr int main = 1;
    static constexpr int aside = 2;

    using table = std::map<std::string, amqp_message::value, std::less<>>;
    void declare_exchange(const std::string& name, const char* type);
    /// A queue that only one connection can have at a time; errc::broker_refused if another has it. It ends with the
    /// connection, or by remove().
    void declare_own(const std::string& name);
    void remove(const std::string& queue);
    /// Durable; errc::broker_refused if it exists with other arguments.
    void declare_queue(const std::string& name, const table& arguments);
    void bind(const std::string& queue, const std::string& exchange, const std::string& key);
    struct depth {
        std::size_t messages = 0;   ///< that wait to be delivered
        std::size_t consumers = 0;  ///< those of RabbitMQ that are given messages: with a single active one, it alone
    };
    depth look(const std::string& queue);

    /// Begins deliveries to a consumer of that name. `most` may be delivered and not settled at a time.
    void consume(const std::string& queue, const std::string& consumer, std::uint16_t most);
    /// Ends them. What was delivered is still ours, and some may come yet.
    void cancel(const std::string& consumer);

    /// A persistent message; returns its number on the channel, counted from 1. On the main channel it must find a
    /// queue: otherwise the connection counts as lost. errc::message_too_large for headers that fit into no frame,
    /// which ends the connection, too.
    std::uint64_t publish(int channel, const std::string& exchange, const std::string& key, const amqp_message& m);
    void ack(int channel, std::uint64_t tag);
    void requeue(int channel, std::uint64_t tag);
    /// All that the channel was given, up to that one, and has not acknowledged.
    void requeue_up_to(int channel, std::uint64_t tag);
    void requeue_all(int channel) { requeue_up_to(channel, 0); }
    /// Whether the broker said that it takes nothing that is published now: what is published blocks this thread.
    bool blocked() const noexcept;
    /// The most octets of a body, if the broker ended the connection for one that had more.
    std::optional<std::uint64_t> largest() const noexcept;

    /// The next message of a queue, on the channel `aside`. While the broker takes nothing it does not answer:
    /// `waits_on`, if there is one, is called about once a second, until it says no.
    std::optional<amqp_event> get(const std::string& queue, const std::function<bool()>& waits_on = {});

    /// What has come; kind::nothing if nothing more has. Sends heartbeats, too.
    amqp_event next();

    /// Says goodbye. Never throws.
    void close() noexcept;

private:
    struct parts;
    std::unique_ptr<parts> parts_;
};

}  // namespace postroad::queueing::detail

#include <postroad/queueing/impl/amqp_link.ipp>
