#pragma once
// What comes back: delivery reports (RFC 3464, 6533) and complaints (ARF, RFC 5965), read. See docs/reports.md.

#include <postroad/core/config.hpp>
#include <postroad/message/address.hpp>
#include <postroad/message/compose_report.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postroad {

/// How a report says what it says, and so how far it can be relied upon.
enum class report_form : unsigned char {
    standard,  ///< fields for programs: RFC 3464, ARF
    header,    ///< X-Failed-Recipients
    text,      ///< a text for people, in a form that is known
};

/// A report, read. Empty text is what the report does not tell.
struct delivery_report {
    report_form form = report_form::standard;
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

/// Reads a message that came back: delivery reports (RFC 3464, 6533) and complaints (ARF, RFC 5965, and the junk mail
/// reports of Outlook.com). Where no part of it names a recipient and a server sent it (from MAILER-DAEMON, postmaster
/// or the null reverse path), what Exim, qmail, Gmail, Exchange, Sendmail and Postfix write for people is read, and
/// X-Failed-Recipients counts as failed. Nothing if it holds no report: then a person wrote it. Any octets are taken;
/// throws nothing but std::bad_alloc.
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
