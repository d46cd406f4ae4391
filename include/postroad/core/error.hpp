#pragma once
// What can go wrong, in words: codes for programs, conditions for decisions, diagnostics for people.
// See docs/errors.md.

#include <postroad/core/config.hpp>
#include <postroad/core/endpoint.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace postroad {

using std::error_code;

/// What postroad itself finds. Codes of Asio and of the system pass through beside these.
enum class errc {
    // Bad input, found before a byte is sent.
    invalid_address = 1,
    invalid_header,
    invalid_host_name,
    invalid_credentials,
    invalid_url,
    invalid_option,
    invalid_message,
    no_sender,
    no_recipients,
    unreadable_file,
    changed_file,
    signing_failed,
    // What the message needs and this server lacks.
    message_too_large,
    eight_bit_unsupported,
    internationalised_unsupported,
    binary_unsupported,
    dsn_unsupported,
    deliver_by_unsupported,
    future_release_unsupported,
    require_tls_unsupported,
    line_too_long,
    // The server's side of the conversation.
    malformed_reply,
    reply_too_long,
    unexpected_reply,
    unsolicited_reply,
    greeting_refused,
    hello_refused,
    service_closing,
    chunking_refused,
    connection_closed,
    timed_out,
    resolve_failed,
    proxy_failed,
    // What an outcome amounts to, where one code must say it.
    recipients_rejected,
    recipients_deferred,
    in_doubt,
    // TLS.
    tls_not_offered,
    tls_refused,
    tls_injection,
    tls_handshake,
    tls_certificate,
    tls_broken,
    tls_configuration,
    // Authentication.
    authentication_not_offered,
    no_common_mechanism,
    authentication_rejected,
    authentication_deferred,
    authentication_failed,
    insecure_authentication,
    credentials_unavailable,
    // The mailer.
    queue_full,
    shut_down,
    cancelled,
    would_deadlock,
    contradiction,
    already_queued,
    // Local transports, and queues that are durable.
    storage_failed,
    storage_full,
    storage_damaged,
    storage_unusable,
    // A queue at a broker.
    broker_unreachable,
    broker_refused,
    // Where the mail of a domain goes, and whether it may.
    domain_unknown,
    domain_takes_no_mail,
    suppressed,
    // The engine.
    policy_failed,
    out_of_sequence,
    // Direct delivery.
    mail_loop,
    private_address,
};

/// What a program decides by: `if (ec == condition::transient) …`.
enum class condition {
    bad_input = 1,   ///< the caller must change something; nothing was sent
    transient,       ///< the same may succeed later
    permanent,       ///< the same will fail again
    timed_out,       ///< a deadline passed
    tls,             ///< TLS could not be started, verified or kept up
    authentication,  ///< the server did not accept who we are
    protocol,        ///< the server broke the protocol
    limit,           ///< a named limit was reached
    cancelled,       ///< the caller asked for it
};

POSTROAD_DECL const std::error_category& error_category() noexcept;
POSTROAD_DECL const std::error_category& condition_category() noexcept;
POSTROAD_DECL error_code make_error_code(errc e) noexcept;
/// The name of the enumerator: "queue_full".
POSTROAD_DECL std::string_view to_string(errc e) noexcept;
POSTROAD_DECL std::error_condition make_error_condition(condition c) noexcept;

/// Where in the road of a message something happened.
enum class phase : unsigned char {
    prepare,   ///< composing and checking, before anything is queued
    queued,    ///< waiting in the queue
    policy,    ///< asking a policy: whether, where and how it may go
    resolve,   ///< looking the host up
    connect,   ///< opening the connection
    tls,       ///< TLS handshake
    greeting,  ///< waiting for the 220 greeting
    hello,     ///< EHLO, HELO or LHLO
    starttls,  ///< STARTTLS
    auth,      ///< AUTH
    mail,      ///< MAIL FROM
    rcpt,      ///< RCPT TO
    data,      ///< DATA, before the content
    content,   ///< the content and the reply to its end
    reset,     ///< RSET
    quit,      ///< QUIT
    idle,      ///< between transactions
};

POSTROAD_DECL std::string_view to_string(phase p) noexcept;

/// For people: travels beside an error code. Never holds a secret; text of the server is kept apart from ours, cut to
/// a bounded size and escaped.
struct diagnostics {
    phase where = phase::prepare;
    std::string host = {};         ///< "name:port", empty before one was chosen
    std::string explanation = {};  ///< ours: what was expected, what came, what to do
    std::string reply = {};        ///< the server's words, escaped
    /// How the connection that ended had TLS; none where none did, at a socket of this machine, and for a job that
    /// comes out of a durable queue.
    std::optional<security> how = {};
    friend bool operator==(const diagnostics&, const diagnostics&) = default;
};

/// Thrown by the overloads that throw; carries code and diagnostics.
class error : public std::system_error {
public:
    explicit error(error_code ec, diagnostics d = {});
    error(errc e, std::string explanation);
    const diagnostics& details() const noexcept { return details_; }
    const char* what() const noexcept override { return text_.c_str(); }

private:
    diagnostics details_;
    std::string text_;
};

/// One line: the explanation, or the message of the code, with host, phase and reply where known.
POSTROAD_DECL std::string describe(error_code ec, const diagnostics& d);

/// `text` with control characters, quotes and non-ASCII octets escaped as \xNN, cut to `limit` octets: safe for
/// terminals and logs.
POSTROAD_DECL std::string escaped(std::string_view text, std::size_t limit = 200);

}  // namespace postroad

template <>
struct std::is_error_code_enum<postroad::errc> : std::true_type {};
template <>
struct std::is_error_condition_enum<postroad::condition> : std::true_type {};

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/core/impl/error.ipp>
#endif
