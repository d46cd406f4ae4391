#pragma once

#include <postroad/core/error.hpp>

#include <utility>

namespace postroad {
namespace detail {

struct code_text {
    errc code;
    const char* name;
    const char* text;
    condition kind;  // the first condition; timed_out and limit are asked for by code below
};

inline constexpr code_text code_texts[] = {
    {errc::invalid_address, "invalid_address", "an address is not valid", condition::bad_input},
    {errc::invalid_header, "invalid_header", "a header field is not valid", condition::bad_input},
    {errc::invalid_host_name, "invalid_host_name", "a host name is not valid", condition::bad_input},
    {errc::invalid_credentials, "invalid_credentials", "the credentials hold an octet that authentication cannot carry",
     condition::bad_input},
    {errc::invalid_url, "invalid_url", "the URL is not valid", condition::bad_input},
    {errc::invalid_option, "invalid_option", "an option is not known or its value is not valid", condition::bad_input},
    {errc::invalid_message, "invalid_message", "the message is not valid", condition::bad_input},
    {errc::no_sender, "no_sender", "the message names no sender", condition::bad_input},
    {errc::no_recipients, "no_recipients", "the message names no recipient", condition::bad_input},
    {errc::unreadable_file, "unreadable_file", "a file cannot be read", condition::bad_input},
    {errc::changed_file, "changed_file", "a file changed after the message was composed", condition::bad_input},
    {errc::signing_failed, "signing_failed", "the message cannot be signed", condition::transient},
    {errc::message_too_large, "message_too_large", "the message is larger than the server takes", condition::permanent},
    {errc::eight_bit_unsupported, "eight_bit_unsupported",
     "the message holds 8-bit octets and the server lacks 8BITMIME", condition::permanent},
    {errc::internationalised_unsupported, "internationalised_unsupported",
     "the message needs SMTPUTF8 and the server lacks it", condition::permanent},
    {errc::binary_unsupported, "binary_unsupported", "the message is binary and the server lacks BINARYMIME",
     condition::permanent},
    {errc::dsn_unsupported, "dsn_unsupported", "the message asks for reports and the server lacks DSN",
     condition::permanent},
    {errc::deliver_by_unsupported, "deliver_by_unsupported",
     "the message has a time limit that the server does not take", condition::permanent},
    {errc::future_release_unsupported, "future_release_unsupported",
     "the message is to be held and the server does not hold it, or not so long", condition::permanent},
    {errc::require_tls_unsupported, "require_tls_unsupported",
     "the message requires TLS on its whole road and the server does not promise it", condition::permanent},
    {errc::line_too_long, "line_too_long", "a line of the message is longer than SMTP allows", condition::permanent},
    {errc::malformed_reply, "malformed_reply", "the server sent what is not an SMTP reply", condition::protocol},
    {errc::reply_too_long, "reply_too_long", "the server's reply exceeds the limit", condition::protocol},
    {errc::unexpected_reply, "unexpected_reply", "the server's reply does not fit the command", condition::protocol},
    {errc::unsolicited_reply, "unsolicited_reply", "the server replied to nothing", condition::protocol},
    {errc::greeting_refused, "greeting_refused", "the server refused the connection in its greeting",
     condition::transient},
    {errc::hello_refused, "hello_refused", "the server refused EHLO and HELO", condition::permanent},
    {errc::service_closing, "service_closing", "the server is closing the connection (421)", condition::transient},
    {errc::chunking_refused, "chunking_refused", "the server offers CHUNKING and does not take BDAT",
     condition::transient},
    {errc::connection_closed, "connection_closed", "the server closed the connection", condition::transient},
    {errc::timed_out, "timed_out", "the server did not answer in time", condition::transient},
    {errc::resolve_failed, "resolve_failed", "the host name cannot be looked up", condition::transient},
    {errc::proxy_failed, "proxy_failed", "the proxy did not open a way to the server", condition::transient},
    {errc::recipients_rejected, "recipients_rejected", "the server rejected recipients or the message",
     condition::permanent},
    {errc::recipients_deferred, "recipients_deferred", "the server deferred recipients or the message",
     condition::transient},
    {errc::in_doubt, "in_doubt", "the end of the message was sent and no reply came", condition::transient},
    {errc::tls_not_offered, "tls_not_offered", "TLS is required and the server does not offer STARTTLS",
     condition::tls},
    {errc::tls_refused, "tls_refused", "the server refused STARTTLS", condition::tls},
    {errc::tls_injection, "tls_injection", "octets arrived in the clear behind the reply to STARTTLS", condition::tls},
    {errc::tls_handshake, "tls_handshake", "the TLS handshake failed", condition::tls},
    {errc::tls_certificate, "tls_certificate", "the server's certificate was not accepted", condition::tls},
    {errc::tls_broken, "tls_broken", "the TLS connection broke", condition::tls},
    {errc::tls_configuration, "tls_configuration", "the TLS configuration is not usable", condition::tls},
    {errc::authentication_not_offered, "authentication_not_offered",
     "credentials are given and the server does not offer AUTH", condition::authentication},
    {errc::no_common_mechanism, "no_common_mechanism", "the server offers no authentication mechanism that may be used",
     condition::authentication},
    {errc::authentication_rejected, "authentication_rejected", "the server rejected the credentials",
     condition::authentication},
    {errc::authentication_deferred, "authentication_deferred", "the server cannot authenticate at the moment",
     condition::authentication},
    {errc::authentication_failed, "authentication_failed", "the authentication exchange failed",
     condition::authentication},
    {errc::insecure_authentication, "insecure_authentication", "credentials are not sent over a connection without TLS",
     condition::authentication},
    {errc::credentials_unavailable, "credentials_unavailable", "the source of credentials has none now",
     condition::authentication},
    {errc::queue_full, "queue_full", "the queue is full", condition::limit},
    {errc::shut_down, "shut_down", "the mailer is shutting down", condition::cancelled},
    {errc::cancelled, "cancelled", "the operation was cancelled", condition::cancelled},
    {errc::would_deadlock, "would_deadlock", "a blocking call on the thread that does the work", condition::bad_input},
    {errc::contradiction, "contradiction", "two settings contradict each other", condition::bad_input},
    {errc::already_queued, "already_queued", "a message of this idempotency key was queued already",
     condition::permanent},
    {errc::storage_failed, "storage_failed", "the message cannot be stored", condition::transient},
    {errc::storage_full, "storage_full", "there is no room to store the message", condition::transient},
    {errc::storage_damaged, "storage_damaged", "what is stored is damaged, or not what it should be",
     condition::permanent},
    {errc::storage_unusable, "storage_unusable", "nothing can be stored at the path that is named",
     condition::permanent},
    {errc::broker_unreachable, "broker_unreachable", "the broker of the queue cannot be reached", condition::transient},
    {errc::broker_refused, "broker_refused", "the broker of the queue refused", condition::permanent},
    {errc::domain_unknown, "domain_unknown", "the domain does not exist", condition::permanent},
    {errc::domain_takes_no_mail, "domain_takes_no_mail", "the domain takes no mail", condition::permanent},
    {errc::suppressed, "suppressed", "the address is not to get mail", condition::permanent},
    {errc::policy_failed, "policy_failed", "a policy of the mailer failed", condition::transient},
    {errc::out_of_sequence, "out_of_sequence", "the server does not take commands that are sent ahead",
     condition::transient},
    {errc::mail_loop, "mail_loop", "mail for the domain would come back to us", condition::permanent},
    {errc::private_address, "private_address", "the domain's servers are at addresses that nobody can reach",
     condition::permanent},
};

inline const code_text* find_code(int value) noexcept {
    for (const auto& t : code_texts)
        if (static_cast<int>(t.code) == value) return &t;
    return nullptr;
}

// Default visibility: a Python module built with hidden visibility and the program beside it must agree on the address.
#if defined(__GNUC__)
#define POSTROAD_VISIBLE __attribute__((visibility("default")))
#else
#define POSTROAD_VISIBLE
#endif

class POSTROAD_VISIBLE error_category_type final : public std::error_category {
public:
    const char* name() const noexcept override { return "postroad"; }
    std::string message(int value) const override {
        const auto* t = find_code(value);
        return t ? t->text : "unknown postroad error";
    }
    bool equivalent(int value, const std::error_condition& c) const noexcept override {
        if (std::error_category::equivalent(value, c)) return true;
        if (c.category() != condition_category()) return false;
        const auto* t = find_code(value);
        if (!t) return false;
        const auto wanted = static_cast<condition>(c.value());
        if (wanted == t->kind) return true;
        switch (t->code) {
            case errc::timed_out: return wanted == condition::timed_out;
            case errc::message_too_large:
            case errc::storage_full:
            case errc::line_too_long:
            case errc::reply_too_long: return wanted == condition::limit;
            case errc::queue_full:
            case errc::tls_broken:
            case errc::authentication_deferred:
            case errc::credentials_unavailable: return wanted == condition::transient;
            case errc::authentication_rejected:
            case errc::tls_certificate: return wanted == condition::permanent;
            default: return false;
        }
    }
};

class POSTROAD_VISIBLE condition_category_type final : public std::error_category {
public:
    const char* name() const noexcept override { return "postroad condition"; }
    std::string message(int value) const override {
        switch (static_cast<condition>(value)) {
            case condition::bad_input: return "bad input";
            case condition::transient: return "transient failure";
            case condition::permanent: return "permanent failure";
            case condition::timed_out: return "timed out";
            case condition::tls: return "TLS failure";
            case condition::authentication: return "authentication failure";
            case condition::protocol: return "protocol violation";
            case condition::limit: return "limit reached";
            case condition::cancelled: return "cancelled";
        }
        return "unknown postroad condition";
    }
    // Codes of the system and of Asio that answer to our conditions.
    bool equivalent(const error_code& code, int value) const noexcept override {
        switch (static_cast<condition>(value)) {
            case condition::timed_out: return code == std::errc::timed_out;
            case condition::cancelled: return code == std::errc::operation_canceled;
            case condition::transient:
                return code == std::errc::timed_out || code == std::errc::connection_refused ||
                       code == std::errc::connection_reset || code == std::errc::connection_aborted ||
                       code == std::errc::host_unreachable || code == std::errc::network_unreachable ||
                       code == std::errc::network_down || code == std::errc::broken_pipe ||
                       code == std::errc::too_many_files_open || code == std::errc::no_buffer_space;
            default: return false;
        }
    }
};

}  // namespace detail

POSTROAD_DECL const std::error_category& error_category() noexcept {
    static const detail::error_category_type category;
    return category;
}

POSTROAD_DECL const std::error_category& condition_category() noexcept {
    static const detail::condition_category_type category;
    return category;
}

POSTROAD_DECL error_code make_error_code(errc e) noexcept { return {static_cast<int>(e), error_category()}; }

POSTROAD_DECL std::error_condition make_error_condition(condition c) noexcept {
    return {static_cast<int>(c), condition_category()};
}

POSTROAD_DECL std::string_view to_string(errc e) noexcept {
    const auto* t = detail::find_code(static_cast<int>(e));
    return t ? t->name : "unknown";
}

POSTROAD_DECL std::string_view to_string(phase p) noexcept {
    switch (p) {
        case phase::prepare: return "prepare";
        case phase::queued: return "queued";
        case phase::policy: return "policy";
        case phase::resolve: return "resolve";
        case phase::connect: return "connect";
        case phase::tls: return "tls";
        case phase::greeting: return "greeting";
        case phase::hello: return "hello";
        case phase::starttls: return "starttls";
        case phase::auth: return "auth";
        case phase::mail: return "mail";
        case phase::rcpt: return "rcpt";
        case phase::data: return "data";
        case phase::content: return "content";
        case phase::reset: return "reset";
        case phase::quit: return "quit";
        case phase::idle: return "idle";
    }
    return "unknown";
}

POSTROAD_DECL std::string describe(error_code ec, const diagnostics& d) {
    std::string text = d.explanation.empty() ? ec.message() : d.explanation;
    if (!d.host.empty()) text += " [" + d.host + ", " + std::string(to_string(d.where)) + "]";
    if (!d.reply.empty()) text += ": " + d.reply;
    return text;
}

POSTROAD_DECL std::string escaped(std::string_view text, std::size_t limit) {
    static constexpr char hex[] = "0123456789abcdef";
    std::string result;
    for (const char c : text) {
        if (result.size() >= limit) {
            result += "...";
            break;
        }
        const auto u = static_cast<unsigned char>(c);
        if (u >= 0x20 && u < 0x7f && c != '\\') {
            result += c;
        } else {
            result += "\\x";
            result += hex[u >> 4];
            result += hex[u & 15];
        }
    }
    return result;
}

POSTROAD_DECL error::error(error_code ec, diagnostics d)
    : std::system_error(ec), details_(std::move(d)), text_(describe(ec, details_)) {}

POSTROAD_DECL error::error(errc e, std::string explanation)
    : error(make_error_code(e), diagnostics{.explanation = std::move(explanation)}) {}

}  // namespace postroad
