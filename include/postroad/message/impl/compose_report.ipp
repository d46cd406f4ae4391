#pragma once

#include <postroad/message/compose_report.hpp>

#include <postroad/core/algorithm.hpp>
#include <postroad/message/body_part.hpp>
#include <postroad/message/fields.hpp>
#include <postroad/message/header.hpp>
#include <postroad/message/message.hpp>
#include <postroad/message/utf8.hpp>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace postroad {
namespace detail {

inline constexpr std::array<std::pair<std::string_view, delivery_action>, 5> action_words{{
    {"failed", delivery_action::failed},
    {"delayed", delivery_action::delayed},
    {"delivered", delivery_action::delivered},
    {"relayed", delivery_action::relayed},
    {"expanded", delivery_action::expanded},
}};

inline bool wants(const notify& n, delivery_action a) noexcept {
    const bool unsaid = n == notify{};
    switch (a) {
        case delivery_action::failed: return n.failure || unsaid;
        case delivery_action::delayed: return n.delay || unsaid;
        case delivery_action::delivered:
        case delivery_action::relayed:
        case delivery_action::expanded: return n.success;
        case delivery_action::unknown: break;
    }
    return false;
}

/// Those who want to be in it, with their ORCPT.
inline std::vector<reported_recipient> wanted_recipients(const envelope& e, std::span<const reported_recipient> given) {
    std::vector<reported_recipient> result;
    for (auto r : given) {
        const auto i = std::ranges::find(e.recipients, r.final, &address::str) - e.recipients.begin();
        const auto at = static_cast<std::size_t>(i);
        const auto options = at < e.recipient_options.size() ? e.recipient_options[at] : recipient_options{};
        if (!wants(options.notify, r.action)) continue;
        if (r.original.empty()) r.original = options.original_recipient;
        result.push_back(std::move(r));
    }
    return result;
}

// A stranger may have given it.
inline std::string shown_address(const std::string& value) { return is_printable(value) ? value : escaped(value); }

/// What the report says to programs (RFC 3464 section 2).
class status_writer {
public:
    explicit status_writer(bool international) : international_(international) {}

    void field(std::string_view name, std::string_view value) {
        if (value.empty()) return;
        header_writer w(international_ ? header_charset::utf8 : header_charset::ascii);
        // a reply may be longer than a line where it has no space
        w.unstructured(name, value.substr(0, longest), value_kind::raw);
        text_ += w.take();
    }
    void typed(std::string_view name, std::string_view type, std::string_view value) {
        if (!value.empty()) field(name, std::string(type) + "; " + std::string(value));
    }
    void address(std::string_view name, const std::string& value) {
        typed(name, is_ascii(value) ? "rfc822" : "utf-8", international_ ? shown_address(value) : escaped(value));
    }
    void next_group() { text_ += "\r\n"; }
    std::string take() { return std::move(text_); }

private:
    static constexpr std::size_t longest = 900;
    bool international_;
    std::string text_;
};

POSTROAD_DECL std::string report_text(std::string_view value) { return escaped(one_line(value), max_report_text); }

inline enhanced_code status_of(const reported_recipient& r) noexcept {
    if (r.status) return r.status;
    const auto kind = r.action == delivery_action::failed ? 5 : r.action == delivery_action::delayed ? 4 : 2;
    return {static_cast<std::uint8_t>(kind), 0, 0};
}

inline std::string status_text(const envelope& e, std::span<const reported_recipient> recipients,
                               const report_options& o, bool international) {
    status_writer w(international);
    w.field("Original-Envelope-Id", report_text(e.options.envelope_id));
    w.typed("Reporting-MTA", "dns", o.reporting_mta);
    if (o.arrived) w.field("Arrival-Date", format_date(*o.arrived, {}));
    for (const auto& r : recipients) {
        w.next_group();
        w.address("Original-Recipient", r.original);
        w.address("Final-Recipient", r.final);
        w.field("Action", to_string(r.action));
        w.field("Status", to_string(status_of(r)));
        w.typed("Remote-MTA", "dns", report_text(r.remote_mta));
        w.typed("Diagnostic-Code", "smtp", report_text(r.diagnostic));
        w.field("Will-Retry-Until", report_text(r.will_retry_until));
    }
    return w.take();
}

struct report_words {
    const char* subject;
    const char* text;
};

inline const report_words& words_of(delivery_action a) noexcept {
    static constexpr std::array<report_words, 4> words{{
        {"Your message was not delivered", "was not delivered, and is not tried again:"},
        {"Your message is delayed", "has not been delivered yet. It is tried again; you need not send it again:"},
        {"Your message was delivered", "was delivered:"},
        {"Your message was passed on", "was passed on to a server that sends no reports:"},
    }};
    return words[a == delivery_action::failed    ? 0
                 : a == delivery_action::delayed ? 1
                 : a == delivery_action::relayed ? 3
                                                 : 2];
}

inline std::string text_for_people(std::span<const reported_recipient> recipients, const report_options& o) {
    std::string text = "This is a report of the mail server " + escaped(o.reporting_mta) + ".\n";
    for (const auto action : {delivery_action::failed, delivery_action::delayed, delivery_action::delivered,
                              delivery_action::expanded, delivery_action::relayed}) {
        bool first = true;
        for (const auto& r : recipients) {
            if (r.action != action) continue;
            if (std::exchange(first, false)) text += "\nYour message " + std::string(words_of(action).text) + "\n\n";
            text += "  " + shown_address(r.address()) + '\n';
            if (!r.diagnostic.empty()) text += "    " + report_text(r.diagnostic) + '\n';
            if (!r.will_retry_until.empty()) text += "    until " + report_text(r.will_retry_until) + '\n';
        }
    }
    return text;
}

inline body_part returned_part(const mail_object& about, bool all) {
    if (all) return body_part::message(about.content);
    auto header = header_of(about.content);
    // octets that are no UTF-8 cannot stand in a text
    if (ill_formed_at(header) != header.size())
        return body_part::octets(source::memory(std::move(header)), {.type = "text/rfc822-headers"});
    const part p{.type = is_ascii(header) ? "text/rfc822-headers" : "message/global-headers"};
    return body_part::text(header, p);
}

}  // namespace detail

POSTROAD_DECL std::string_view to_string(delivery_action a) noexcept {
    for (const auto& [word, action] : detail::action_words)
        if (action == a) return word;
    return "unknown";
}

POSTROAD_DECL reported_recipient reported(const recipient_outcome& r) {
    reported_recipient result{.final = r.address};
    result.action = r.status == status::accepted   ? delivery_action::relayed
                    : r.status == status::rejected ? delivery_action::failed
                                                   : delivery_action::delayed;
    result.status = r.reply.enhanced;
    if (r.reply.code != 0)
        result.diagnostic = to_string(r.reply);
    else if (!r.why.empty())
        result.diagnostic = r.why;
    return result;
}

POSTROAD_DECL std::optional<mail_object> compose_report(const mail_object& about,
                                                        std::span<const reported_recipient> recipients,
                                                        const report_options& options,
                                                        std::chrono::system_clock::time_point now) {
    error_code ec;
    const auto host = address::parse("MAILER-DAEMON@" + options.reporting_mta, ec);
    if (ec || host.ascii_domain().empty())
        throw error(errc::invalid_option, "'" + escaped(options.reporting_mta, 100) + "' is not the name of a host");
    if (about.envelope.reverse_path.null()) return {};
    const auto who = detail::wanted_recipients(about.envelope, recipients);
    if (who.empty()) return {};
    const auto any_is = [&](delivery_action a) {
        return postroad::detail::any_of(who, [a](const auto& r) { return r.action == a; });
    };
    const bool international = postroad::detail::any_of(
        who, [](const auto& r) { return !detail::is_ascii(r.final) || !detail::is_ascii(r.original); });
    const auto first = any_is(delivery_action::failed)    ? delivery_action::failed
                       : any_is(delivery_action::delayed) ? delivery_action::delayed
                                                          : who.front().action;
    const bool all = about.envelope.options.returned == returned::full && any_is(delivery_action::failed);
    std::vector<body_part> parts;
    parts.push_back(body_part::text(options.text.empty() ? detail::text_for_people(who, options) : options.text));
    parts.push_back(
        body_part::text(detail::status_text(about.envelope, who, options, international),
                        {.type = international ? "message/global-delivery-status" : "message/delivery-status"}));
    parts.push_back(detail::returned_part(about, all));
    message m;
    m.from(options.from ? *options.from : mailbox{"Mail Delivery System", host});
    m.to(mailbox{.address = about.envelope.reverse_path});
    m.subject(options.subject.empty() ? detail::words_of(first).subject : options.subject);
    m.automatic(automatic::replied).envelope_from(address{});
    m.body(body_part::multipart("multipart/report; report-type=delivery-status", std::move(parts)));
    const auto header = detail::header_of(about.content);
    const auto fields = detail::split_fields(header);
    if (const auto* id = detail::find_field(fields, "Message-ID")) {
        try {
            const auto text = detail::one_line(id->value);
            message threaded = m;
            threaded.in_reply_to(text).references(text);
            m = std::move(threaded);
        } catch (const error&) {  // an id that is none
        }
    }
    return m.freeze(now);
}

}  // namespace postroad
