#pragma once
// Delivery reports (RFC 3464, 6533), written. See docs/reports.md.

#include <postroad/core/config.hpp>
#include <postroad/core/outcome.hpp>
#include <postroad/message/address.hpp>
#include <postroad/message/mail_object.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace postroad {

inline constexpr std::size_t max_report_text = 2000;

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

/// About one recipient. Text is as the report gives it, escaped and cut to max_report_text octets, addresses only where
/// they hold what cannot be shown (their form of RFC 6533 section 3 is taken off): safe to print, not
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

/// What a recipient of ours met, for a report: failed if it was rejected, delayed where that is open, relayed if the
/// next server took it. Of a message that is given up for time, set `action` to failed.
POSTROAD_DECL reported_recipient reported(const recipient_outcome& r);

/// How a report is written.
struct report_options {
    /// Who reports: a host name, "mx.example.com". Needed.
    std::string reporting_mta = {};
    /// Its From; without it MAILER-DAEMON at reporting_mta.
    std::optional<mailbox> from = {};
    /// When the message came.
    std::optional<std::chrono::system_clock::time_point> arrived = {};
    /// For people, instead of our English; and a subject.
    std::string text = {};
    std::string subject = {};
};

/// A report about `about` to its sender (RFC 3464; RFC 6533 where an address is not ASCII), from the null reverse path.
///
/// Nothing if nobody wants it: the reverse path is null, so that no report is about a report; or no recipient asked for
/// it by NOTIFY (RFC 3461 section 4.1), which without a word means failures and delays. Of the recipients only those
/// who want it are in it. `final` must be the address as the envelope has it; what the sender gave as ORCPT and ENVID
/// comes back. All of the message is returned where RET=FULL asks for it and a recipient failed, its header else.
/// Texts are escaped and cut. Throws `error` (errc::invalid_option) without a host name, and what message::freeze()
/// throws.
POSTROAD_DECL std::optional<mail_object> compose_report(const mail_object& about,
                                                        std::span<const reported_recipient> recipients,
                                                        const report_options& options,
                                                        std::chrono::system_clock::time_point now);

namespace detail {
/// Escaped, on one line, cut to max_report_text octets.
POSTROAD_DECL std::string report_text(std::string_view value);
}  // namespace detail

}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/compose_report.ipp>
#endif
