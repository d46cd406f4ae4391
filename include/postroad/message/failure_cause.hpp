#pragma once
// Why a message was not delivered, concluded from what a report says. See docs/reports.md.

#include <postroad/core/config.hpp>
#include <postroad/message/delivery_report.hpp>

#include <string_view>

namespace postroad {

/// Why, as far as it matters to the sender of the message.
enum class failure_cause : unsigned char {
    unknown,
    unknown_recipient,   ///< there is no such mailbox: send no more
    disabled_recipient,  ///< there was one
    mailbox_full,        ///< may pass
    unknown_domain,      ///< no such domain, or it takes no mail
    unreachable,         ///< its servers do not answer
    expired,             ///< tried for too long, for another reason
    too_large,
    rate_limited,     ///< too many messages at a time, or greylisting: may pass
    spam,             ///< taken for spam, or the sender's address is on a list of such
    unauthenticated,  ///< SPF, DKIM or DMARC failed
    policy,           ///< not allowed, for another reason
    relaying_denied,  ///< the server is not responsible for that domain
    bad_content,      ///< what is in it is not taken: a virus, a type of file
    sender_refused,   ///< the sender's address or domain is not taken: says nothing about the recipient
};

POSTROAD_DECL std::string_view to_string(failure_cause c) noexcept;

/// How far that can be relied upon.
enum class certainty : unsigned char {
    none,     ///< nothing tells
    guessed,  ///< by words of the text, or status and words contradict each other
    likely,   ///< by the status, or by words where the status says nothing
    certain,  ///< status and words agree
};

POSTROAD_DECL std::string_view to_string(certainty c) noexcept;

struct probable_cause {
    failure_cause cause = failure_cause::unknown;
    certainty how_sure = certainty::none;
    friend bool operator==(const probable_cause&, const probable_cause&) = default;
};

/// By status (RFC 3463) and the words of the diagnostic, which are English where they are known; addresses and the name
/// behind "host" are no such words. Throws nothing but std::bad_alloc.
POSTROAD_DECL probable_cause cause_of(const reported_recipient& r);

}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/failure_cause.ipp>
#endif
