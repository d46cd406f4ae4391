#pragma once
// A mail object as a broker carries it. The form is documented: docs/queueing.md, "The form of a message".

#include <postroad/core/clock.hpp>
#include <postroad/core/config.hpp>
#include <postroad/queueing/job.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace postroad::queueing {

/// A message of AMQP 0-9-1, as far as it is of interest here.
struct amqp_message {
    using strings = std::vector<std::string>;
    /// A time is seconds since 1970.
    using value = std::variant<bool, std::int64_t, double, std::string, strings>;

    std::string content_type = {};
    std::string content_encoding = {};
    std::string message_id = {};
    std::string reply_to = {};
    std::optional<std::int64_t> timestamp = {};
    /// Of what is published, in milliseconds: after that the broker removes it. Below 2^32. Not read.
    std::optional<std::int64_t> expiration = {};
    std::map<std::string, value, std::less<>> headers = {};
    std::string body = {};
    friend bool operator==(const amqp_message&, const amqp_message&) = default;
};

/// Both clocks, read at one moment.
struct both_clocks {
    time_point steady = {};
    std::chrono::system_clock::time_point wall = {};
};

/// Most octets of the headers of a message that is queued; what an outcome adds goes on top of that. Frames of RabbitMQ
/// have 128 KiB, and headers must fit into one.
inline constexpr std::size_t max_amqp_headers = std::size_t{40} << 10;
/// Most recipients: what became of each fits beside those headers, and beside those of a part.
inline constexpr std::size_t max_amqp_recipients = 1000;
/// Most octets of what became of a message so far.
inline constexpr std::size_t max_amqp_progress = std::size_t{64} << 10;

/// The job in that form. Content is given its 7-bit form if `message` composed it, so that each server takes it, and
/// else stays as it is. Throws `error`: what content::as() throws, errc::unreadable_file, errc::changed_file.
POSTROAD_DECL amqp_message to_amqp(const job& j, both_clocks now);
/// What became of it so far, within max_amqp_progress and what a frame has room for beside the headers of `beside`:
/// where many recipients got long replies, less of each, or their statuses only.
POSTROAD_DECL std::string amqp_progress(const job& j, const amqp_message& beside = {});

/// The job of a message; nothing, and `reason` says why, if it is not in that form. Its id is still to be chosen.
POSTROAD_DECL std::optional<job> from_amqp(amqp_message&& m, both_clocks now, std::string& reason);

/// What the headers of it take at most, as they travel.
POSTROAD_DECL std::size_t headers_size(const amqp_message& m);
/// Why a message of so many recipients could not be published again with what becomes of it; nothing if it could. A
/// part has its recipients twice, and may have twice max_amqp_headers. `slack`: octets that may have been added since
/// the message was queued.
POSTROAD_DECL std::string too_much_for_amqp(const amqp_message& m, std::size_t recipients, std::size_t slack = 0);

namespace detail {

/// The shard of a message: all for the domain of its first recipient are in one.
POSTROAD_DECL unsigned amqp_shard(const envelope& e, unsigned shards);

/// How long the queues for messages that wait keep them, in seconds.
inline constexpr std::int64_t amqp_waits[] = {4, 16, 64, 256, 1024, 4096, 16384};

/// The longest of them that ends before `due`; nothing if all end later.
POSTROAD_DECL std::optional<std::int64_t> amqp_wait_until(time_point due, time_point now);

/// How many different ones its recipients have: as many parts it may be divided into.
POSTROAD_DECL std::size_t amqp_domains(const envelope& e);

/// The message_id of a job that postroad queued, and back; nothing for ids that others chose.
POSTROAD_DECL std::string amqp_id(job_id id);
POSTROAD_DECL std::optional<job_id> amqp_id(std::string_view text);
/// The id of any message; the same in each process.
POSTROAD_DECL job_id amqp_id_for(std::string_view text);
/// A message_id as others chose it, or one in its place where it is too long to get those of parts.
POSTROAD_DECL std::string amqp_short_id(std::string id);
/// The largest message that the broker takes, in octets, if it says that in ending a channel (406).
POSTROAD_DECL std::optional<std::uint64_t> amqp_largest(std::string_view said);
/// The message_id of the part of a message, or of a part, whose first recipient stands there in the message's envelope.
POSTROAD_DECL std::string amqp_part_id(std::string_view whole, bool is_part, std::uint32_t first);

/// FNV-1a: the same in every process, and on every machine.
POSTROAD_DECL std::uint64_t amqp_hash(std::string_view text);

}  // namespace detail
}  // namespace postroad::queueing

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/queueing/impl/amqp_message.ipp>
#endif
