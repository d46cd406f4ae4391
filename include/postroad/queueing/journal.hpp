#pragma once
// What became of messages that are over: what a durable queue writes down of each. See docs/queueing.md.

#include <postroad/core/config.hpp>
#include <postroad/core/outcome.hpp>
#include <postroad/queueing/job.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postroad::queueing {

using journal_time = std::chrono::system_clock::time_point;

/// A message that is over, or a part of one that was divided.
struct journal_entry {
    std::int64_t number = 0;  ///< in the order in which they were settled
    job_id id = 0;
    job_id whole = 0;  ///< of a part: the id of the message
    journal_time queued = {};
    std::optional<journal_time> tried = {};  ///< when the first transaction with it began; nothing if none did
    journal_time settled = {};
    std::uint8_t traffic_class = 0;
    std::uint64_t octets = 0;  ///< of its content
    unsigned attempts = 0;
    std::string tenant = {};
    std::string tag = {};
    std::string sender = {};      ///< the reverse path
    std::string message_id = {};  ///< without angle brackets
    std::string subject = {};     ///< decoded, in one line, 500 octets at most
    std::vector<recipient_outcome> recipients = {};
    std::string server = {};  ///< that of the last attempt; empty if there was none
    /// Why the last attempt failed as a whole, or the first reply that refused it; escaped. Or why the entry cannot be
    /// read: then it has no recipients.
    std::string error = {};
};

/// Which entries: those that match each member that says something.
struct journal_filter {
    std::optional<job_id> id = {};  ///< of the message, or of a part of it
    std::string recipient = {};     ///< the whole address; case does not matter
    std::string sender = {};        ///< likewise
    std::string message_id = {};    ///< with or without angle brackets
    std::string tenant = {};
    std::string tag = {};
    std::optional<postroad::status> status = {};  ///< of that recipient; if none is named, of one of them
    std::optional<journal_time> since = {};       ///< settled then or later
    std::optional<journal_time> before = {};      ///< settled earlier

    POSTROAD_DECL bool matches(const journal_entry& e) const;
};

/// Some entries, the last first.
struct journal_page {
    std::vector<journal_entry> entries = {};
    std::int64_t next = 0;  ///< where the next page begins; 0: nothing more matches
};

namespace detail {

/// What the header of a stored content says.
struct journal_heading {
    std::string subject = {};  // as it is written, unfolded
    std::string message_id = {};
};
/// Of the beginning of a content; what is longer than headers are is not looked through.
POSTROAD_DECL journal_heading heading_of(std::string_view content);
/// Unstructured text with encoded words (RFC 2047 section 6) as UTF-8; what is none stays as it is.
POSTROAD_DECL std::string decoded_subject(std::string_view subject);

/// What entries are found by: a number for each, that another may have too.
enum class journal_key : std::uint64_t { id = 1, recipient, sender, message_id, tenant, tag, status };
POSTROAD_DECL std::uint64_t key_of(journal_key kind, std::string_view value);
inline std::uint64_t key_of(job_id id) { return key_of(journal_key::id, std::to_string(id)); }
inline std::uint64_t key_of(postroad::status s) { return key_of(journal_key::status, to_string(s)); }
/// Those of a job, but for its Message-ID; each once.
POSTROAD_DECL std::vector<std::uint64_t> keys_of(const job& j);
/// Those that each entry has that matches; the rarest first.
POSTROAD_DECL std::vector<std::uint64_t> keys_of(const journal_filter& which);

}  // namespace detail

}  // namespace postroad::queueing

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/queueing/impl/journal.ipp>
#endif
