#pragma once

#include <postroad/core/algorithm.hpp>
#include <postroad/message/utf8.hpp>
#include <postroad/smtp/parameters.hpp>

#include <algorithm>
#include <chrono>

namespace postroad::smtp {
namespace detail {

[[noreturn]] inline void refuse_option(const std::string& member, std::string_view what) {
    throw error(errc::invalid_option, "envelope." + member + ": " + std::string(what));
}

inline bool is_xchar(char c) noexcept { return c > ' ' && c < 127 && c != '+' && c != '='; }

inline void append_hex(std::string& to, unsigned long value) {
    static constexpr char digits[] = "0123456789ABCDEF";
    if (value > 15) append_hex(to, value >> 4U);
    to += digits[value & 15U];
}

// A type and an address: "rfc822;" and xtext, or "utf-8;" and what a server without SMTPUTF8 takes as well
// (utf-8-addr-xtext, RFC 6533 section 3).
inline std::string original_recipient(std::string_view address) {
    if (postroad::detail::is_ascii(address)) return "rfc822;" + xtext(address);
    std::string result = "utf-8;";
    for (std::size_t at = 0; at < address.size();) {
        const auto c = postroad::detail::next_character(address, at);
        if (c == postroad::detail::ill_formed) {  // which check() refuses
            ++at;
            continue;
        }
        if (c < 127 && is_xchar(static_cast<char>(c)) && c != '\\') {
            result += static_cast<char>(c);
        } else {
            result += "\\x{";
            append_hex(result, c);
            result += '}';
        }
    }
    return result;
}

// RFC 3339 section 5.6, in UTC.
inline std::string date_time(std::chrono::sys_seconds when) {
    const auto day = std::chrono::floor<std::chrono::days>(when);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss time(when - day);
    const auto padded = [](long long value, std::size_t width) {
        const auto digits = std::to_string(value);
        return std::string(width - std::min(width, digits.size()), '0') + digits;
    };
    return padded(int(date.year()), 4) + '-' + padded(unsigned(date.month()), 2) + '-' +
           padded(unsigned(date.day()), 2) + 'T' + padded(time.hours().count(), 2) + ':' +
           padded(time.minutes().count(), 2) + ':' + padded(time.seconds().count(), 2) + 'Z';
}

inline void check(const mail_options& o) {
    using std::chrono::seconds;
    static constexpr seconds too_long{1'000'000'000};
    if (!postroad::detail::all_of(o.envelope_id, [](char c) { return c >= ' ' && c < 127; }))
        refuse_option("options.envelope_id", "expected printable ASCII (RFC 3461 section 4.4)");
    if (xtext(o.envelope_id).size() > max_envelope_id)
        refuse_option("options.envelope_id", "expected at most 100 octets, where + and = and spaces count three");
    if (const auto& by = o.deliver_by) {
        if (by->within <= -too_long || by->within >= too_long)
            refuse_option("options.deliver_by", "expected less than 1000000000 seconds");
        if (by->when_late == deliver_by::late::give_up && by->within <= seconds(0))
            refuse_option("options.deliver_by", "a message is given up after more than 0 seconds (RFC 2852 section 4)");
    }
    if (o.hold_for && o.hold_until) refuse_option("options.hold_for", "expected hold_for or hold_until, not both");
    if (o.hold_for && (*o.hold_for <= seconds(0) || *o.hold_for >= too_long))
        refuse_option("options.hold_for", "expected 1 to 999999999 seconds");
    // A time before 1970 is a mistake, and a year has four digits.
    static constexpr std::chrono::sys_days last{std::chrono::year(10000) / 1 / 1};
    if (o.hold_until && (o.hold_until->time_since_epoch() < seconds(0) || *o.hold_until >= last))
        refuse_option("options.hold_until", "expected a time from 1970 to 9999");
    if (o.priority && (*o.priority < -9 || *o.priority > 9))
        refuse_option("options.priority", "expected -9 to 9 (RFC 6710 section 3)");
    if (o.submitter && !o.submitter->ascii()) refuse_option("options.submitter", "expected an ASCII address");
    if (o.submitter && xtext(o.submitter->str()).size() > max_submitter)
        refuse_option("options.submitter", "expected at most 500 octets as encoded");
}

inline void check(const recipient_options& o, std::size_t i) {
    const auto member = "recipient_options[" + std::to_string(i) + "].";
    const auto& n = o.notify;
    if (n.never && (n.success || n.failure || n.delay))
        refuse_option(member + "notify", "never stands alone (RFC 3461 section 4.1)");
    for (std::size_t at = 0; at < o.original_recipient.size();) {
        const auto c = postroad::detail::next_character(o.original_recipient, at);
        if (c == postroad::detail::ill_formed || postroad::detail::is_control(c))
            refuse_option(member + "original_recipient", "expected well-formed UTF-8 without control characters");
    }
    if (original_recipient(o.original_recipient).size() > max_original_recipient)
        refuse_option(member + "original_recipient", "expected at most 500 octets as encoded");
}

inline bool asks_for_reports(const envelope& e) noexcept {
    return e.options.returned != returned::unsaid || !e.options.envelope_id.empty() ||
           postroad::detail::any_of(e.recipient_options, [](const auto& o) { return o != recipient_options{}; });
}

inline std::optional<lack> future_release_lack(const mail_options& o, const capabilities& server) {
    if (!o.hold_for && !o.hold_until) return {};
    if (!server.futurerelease)
        return lack{errc::future_release_unsupported, "the server does not offer FUTURERELEASE (RFC 4865)"};
    const auto& limit = *server.futurerelease;
    if (o.hold_for && *o.hold_for > limit.max_interval)
        return lack{errc::future_release_unsupported,
                    "the server holds messages for at most " + std::to_string(limit.max_interval.count()) + " seconds"};
    // Only what is written alike can be compared; of another form the server is the judge.
    if (o.hold_until && limit.max_datetime.size() == 20 && limit.max_datetime.ends_with('Z') &&
        date_time(*o.hold_until) > limit.max_datetime)
        return lack{errc::future_release_unsupported,
                    "the server holds messages until " + escaped(limit.max_datetime) + " at most"};
    return {};
}

POSTROAD_DECL void append_parameters(std::string& to, const mail_options& o, const capabilities& server) {
    if (o.returned != returned::unsaid && server.dsn) to += o.returned == returned::full ? " RET=FULL" : " RET=HDRS";
    if (!o.envelope_id.empty() && server.dsn) to += " ENVID=" + xtext(o.envelope_id);
    if (o.deliver_by) {
        const bool give_up = o.deliver_by->when_late == deliver_by::late::give_up;
        to += " BY=" + std::to_string(o.deliver_by->within.count()) + (give_up ? ";R" : ";N");
        if (o.deliver_by->trace) to += 'T';
    }
    if (o.hold_for) to += " HOLDFOR=" + std::to_string(o.hold_for->count());
    if (o.hold_until) to += " HOLDUNTIL=" + date_time(*o.hold_until);
    if (o.priority && server.mt_priority) to += " MT-PRIORITY=" + std::to_string(*o.priority);
    if (o.require_tls) to += " REQUIRETLS";
    if (o.submitter && !server.auth.empty()) to += " AUTH=" + (o.submitter->null() ? "<>" : xtext(o.submitter->str()));
}

POSTROAD_DECL void append_parameters(std::string& to, const recipient_options& o) {
    const auto& n = o.notify;
    std::string events;
    if (n.never) events += ",NEVER";
    if (n.success) events += ",SUCCESS";
    if (n.failure) events += ",FAILURE";
    if (n.delay) events += ",DELAY";
    if (!events.empty()) to += " NOTIFY=" + events.substr(1);
    if (!o.original_recipient.empty()) to += " ORCPT=" + original_recipient(o.original_recipient);
}

}  // namespace detail

POSTROAD_DECL void check(const envelope& e) {
    detail::check(e.options);
    if (!e.recipient_options.empty() && e.recipient_options.size() != e.recipients.size())
        detail::refuse_option("recipient_options", "expected one for each recipient, or none at all");
    for (std::size_t i = 0; i < e.recipient_options.size(); ++i) detail::check(e.recipient_options[i], i);
}

POSTROAD_DECL std::string xtext(std::string_view text) {
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string result;
    for (const char c : text) {
        const auto octet = static_cast<unsigned char>(c);
        if (detail::is_xchar(c))
            result += c;
        else
            result += {'+', digits[octet >> 4U], digits[octet & 15U]};
    }
    return result;
}

POSTROAD_DECL std::optional<lack> find_lack(const envelope& e, const capabilities& server, bool verified) {
    const auto& o = e.options;
    if (o.deliver_by) {
        if (!server.deliverby) return lack{errc::deliver_by_unsupported, "the server does not offer DELIVERBY"};
        if (o.deliver_by->when_late == deliver_by::late::give_up && o.deliver_by->within < *server.deliverby)
            return lack{errc::deliver_by_unsupported, "the server gives a message up after " +
                                                          std::to_string(server.deliverby->count()) +
                                                          " seconds at the least"};
    }
    if (auto l = detail::future_release_lack(o, server)) return l;
    if (o.require_tls && !verified)
        return lack{errc::require_tls_unsupported, "REQUIRETLS is asked for and the connection has no verified TLS"};
    if (o.require_tls && !server.requiretls)
        return lack{errc::require_tls_unsupported, "REQUIRETLS is asked for and the server does not offer it"};
    // Last, since a relay does without.
    if (detail::asks_for_reports(e) && !server.dsn)
        return lack{errc::dsn_unsupported, "the envelope asks for reports and the server does not offer DSN"};
    return {};
}

}  // namespace postroad::smtp
