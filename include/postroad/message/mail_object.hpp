#pragma once
// What travels: an envelope and frozen content (RFC 5321 section 2.3.1).

#include <postroad/message/address.hpp>
#include <postroad/message/content.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace postroad {

/// How much of the message a report returns (RFC 3461 section 4.3).
enum class returned : unsigned char {
    unsaid,   ///< as the server likes
    full,     ///< all of it, with a report of failure
    headers,  ///< its header only
};

/// What is reported about one recipient (RFC 3461 section 4.1). Nothing said: failures, as always.
struct notify {
    bool never = false;  ///< nothing; stands alone
    bool success = false;
    bool failure = false;
    bool delay = false;
    friend bool operator==(const notify&, const notify&) = default;
};

/// What is asked for one recipient. It needs DSN (RFC 3461).
struct recipient_options {
    postroad::notify notify = {};
    /// Whom the message was for at first, in reports: an address, in UTF-8 where need be (RFC 6533 section 3). Empty:
    /// unsaid. At most 500 octets as encoded.
    std::string original_recipient = {};
    friend bool operator==(const recipient_options&, const recipient_options&) = default;
};

/// A time within which a message is of use (RFC 2852).
struct deliver_by {
    /// What happens to a message that is late.
    enum class late : unsigned char { notify, give_up };
    std::chrono::seconds within{0};  ///< less than 1,000,000,000; more than 0 with late::give_up
    late when_late = late::notify;
    bool trace = false;  ///< relays report that they passed it on
    friend bool operator==(const deliver_by&, const deliver_by&) = default;
};

/// What is asked for a message beside its delivery. What the server does not offer is refused before anything is sent,
/// by a code of its own, unless the member says otherwise. Checked by smtp::check().
struct mail_options {
    postroad::returned returned = postroad::returned::unsaid;  ///< needs DSN, else errc::dsn_unsupported
    /// Comes back in reports: printable ASCII, at most 100 octets as encoded. Needs DSN.
    std::string envelope_id = {};
    std::optional<postroad::deliver_by> deliver_by = {};  ///< needs DELIVERBY, else errc::deliver_by_unsupported
    /// Delivered so much later, or at that time (RFC 4865), one of them; else errc::future_release_unsupported.
    std::optional<std::chrono::seconds> hold_for = {};
    std::optional<std::chrono::sys_seconds> hold_until = {};
    /// From -9 to 9 (RFC 6710); a server without MT-PRIORITY treats it as any other message.
    std::optional<int> priority = {};
    /// No hop passes it on without verified TLS (RFC 8689); a bounce may come instead. Without REQUIRETLS, or outside
    /// verified TLS, errc::require_tls_unsupported.
    bool require_tls = false;
    /// Who submitted it, to a server that trusts us with that (RFC 4954 section 5); the null address: unknown. Left out
    /// where AUTH is not offered.
    std::optional<address> submitter = {};
    friend bool operator==(const mail_options&, const mail_options&) = default;
};

/// Who gets a message and where failures are reported; independent of what its header says.
struct envelope {
    address reverse_path = {};             ///< the null address `<>` is allowed (RFC 5321 section 4.5.5)
    std::vector<address> recipients = {};  ///< at least one
    mail_options options = {};
    /// One for each recipient, or none at all.
    std::vector<postroad::recipient_options> recipient_options = {};
    friend bool operator==(const envelope&, const envelope&) = default;
};

/// An envelope and content, as one attempt after the other sends them.
struct mail_object {
    postroad::envelope envelope = {};
    postroad::content content = {};
};

/// Shared by the queue and the session that sends it.
using mail_ptr = std::shared_ptr<const mail_object>;

}  // namespace postroad
