#pragma once
// What comes back: delivery reports (RFC 3464, 6533) and complaints (ARF, RFC 5965). See docs/messages.md.

#include <postroad/core/config.hpp>
#include <postroad/core/outcome.hpp>
#include <postroad/message/address.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postroad {

/// What a server did for one recipient (RFC 3464 section 2.3.3).
enum class delivery_action : unsigned char {
    unknown,    ///< the report names none of these
    failed,     ///< given up
    delayed,    ///< tried again until `will_retry_until`
    delivered,  ///< in the mailbox
    relayed,    ///< handed to a system that reports nothing
    expanded,   ///< handed to several
};

POSTROAD_DECL std::string_view to_string(delivery_action a) noexcept;

/// About one recipient. Text is as the report gives it, escaped and cut to max_report_text octets: safe to print, not
/// to be trusted, since anybody may send a report.
struct reported_recipient {
    std::string original = {};  ///< as the sender wrote it (ORCPT); often empty
    std::string final = {};     ///< as the reporting server knew it
    delivery_action action = delivery_action::unknown;
    enhanced_code status = {};          ///< RFC 3463
    std::string diagnostic = {};        ///< the reply of `remote_mta`, mostly
    std::string remote_mta = {};        ///< who refused
    std::string will_retry_until = {};  ///< a date

    /// `original` if there is one, else `final`.
    const std::string& address() const noexcept { return original.empty() ? final : original; }
};

/// A report, read. Empty text is what the report does not tell.
struct delivery_report {
    std::string envelope_id = {};          ///< ENVID of the message (RFC 3461 section 4.4), as the report has it
    std::string original_message_id = {};  ///< `<left@right>`, of the returned message or its header
    std::string reporting_mta = {};
    std::vector<reported_recipient> recipients = {};  ///< at most max_reported_recipients
    /// What a complaint is about: "abuse", "fraud", "virus", "other", "not-spam". Empty: it is none. The recipient who
    /// complained is in `recipients`, if the report names one.
    std::string feedback_type = {};
    std::string source_ip = {};  ///< of a complaint: who sent the message
};

inline constexpr std::size_t max_reported_recipients = 10000;
inline constexpr std::size_t max_report_text = 2000;

/// Reads a message that came back. Nothing if it holds no report: then a person wrote it, or an old server. Where no
/// part of it names a recipient, those of X-Failed-Recipients count as failed. Any octets are taken; throws nothing but
/// std::bad_alloc.
POSTROAD_DECL std::optional<delivery_report> parse_delivery_report(std::string_view message);

/// Variable envelope return paths: the reverse path says what bounced, even where the report does not. For `bounces` =
/// "bounces@example.com" and `tag` "7f3a" it is "bounces+7f3a@example.com". Throws `error` (errc::invalid_address) for
/// a tag that is no dot-atom, or too long: a local part has 64 octets.
POSTROAD_DECL address verp_address(const address& bounces, std::string_view tag);
/// With the recipient as the tag: "bounces+bob=example.org@example.com". Throws when it is not ASCII, quoted or too
/// long; a tag of your own always fits.
POSTROAD_DECL address verp_address(const address& bounces, const address& recipient);
/// The tag of an address made by verp_address, to which a report came; empty if it is none.
POSTROAD_DECL std::string verp_tag(const address& bounces, const address& got);
/// The recipient in a tag; null if it holds none.
POSTROAD_DECL address verp_recipient(const address& bounces, const address& got);

}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/delivery_report.ipp>
#endif
