#pragma once

#include <postroad/core/algorithm.hpp>
#include <postroad/core/base64.hpp>
#include <postroad/core/number.hpp>
#include <postroad/message/delivery_report.hpp>
#include <postroad/message/encoding.hpp>
#include <postroad/message/fields.hpp>
#include <postroad/message/lines.hpp>
#include <postroad/message/server_text.hpp>
#include <postroad/message/utf8.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <unordered_set>
#include <utility>

namespace postroad {
namespace detail {

// As far as it can be read; a report with errors in it still tells something.
inline std::string decoded_body(std::string_view body, std::string_view encoding) {
    std::string result;
    if (equal_ignoring_case(encoding, "base64")) {
        std::string digits;
        for (const char c : body)
            if (c != ' ' && c != '\t' && c != '\r' && c != '\n') digits += c;
        if (!base64_decode(digits, result)) result.clear();
        return with_crlf(result);
    }
    if (!equal_ignoring_case(encoding, "quoted-printable")) return std::string(body);
    const auto digit = [](char c) {
        const char lower = to_lower(c);  // some write them so
        return c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
    };
    for (std::size_t at = 0; at < body.size(); ++at) {
        if (body[at] != '=' || at + 2 >= body.size()) {
            result += body[at];
        } else if (body.substr(at + 1, 2) == "\r\n") {
            at += 2;
        } else if (const auto high = digit(body[at + 1]), low = digit(body[at + 2]); high >= 0 && low >= 0) {
            result += static_cast<char>(high * 16 + low);
            at += 2;
        } else {
            result += '=';
        }
    }
    return result;
}

// "rfc822; bob@example.org" without the type.
inline std::string typed_text(std::string_view value) {
    const auto semicolon = value.find(';');
    return report_text(semicolon == std::string_view::npos ? value : value.substr(semicolon + 1));
}

// An address is kept as it is where it can be shown, so that it can be compared; with brackets, which some write.
inline std::string reported_address(std::string_view value) {
    auto text = one_line(value);
    if (text.starts_with('<') && text.ends_with('>')) text = text.substr(1, text.size() - 2);
    return text.size() <= max_report_text && is_printable(text) ? text : escaped(text, max_report_text);
}

// `j\x{F6}rg` (RFC 6533 section 3); what is none of that stays.
inline std::string embedded_unicode_decoded(std::string_view text) {
    std::string result;
    while (!text.empty()) {
        const auto end = text.starts_with("\\x{") ? text.find('}') : text.npos;
        const auto digits = end == text.npos ? std::string_view{} : text.substr(3, end - 3);
        const auto c = digits.size() <= 6 ? whole_number<std::uint32_t>(digits, 16) : std::nullopt;
        if (c >= 0x20u && c < 0x110000u && (c < 0xd800u || c > 0xdfffu)) {
            append_character(result, *c);
            text.remove_prefix(end + 1);
        } else {
            result += text.front();
            text.remove_prefix(1);
        }
    }
    return result;
}

// "rfc822; bob@example.org", "utf-8; jörg@example.org" without the type.
inline std::string typed_address(std::string_view value) {
    const auto semicolon = value.find(';');
    if (semicolon == std::string_view::npos) return reported_address(value);
    const auto rest = value.substr(semicolon + 1);
    const bool is_utf8 = equal_ignoring_case(trimmed(value.substr(0, semicolon)), "utf-8");
    return is_utf8 ? reported_address(embedded_unicode_decoded(rest)) : reported_address(rest);
}

/// In the From of what servers write.
inline constexpr std::array<std::string_view, 5> names_of_servers{"mailer-daemon", "postmaster", "mdaemon@",
                                                                  "mail delivery system", "system administrator"};

inline delivery_action parse_action(std::string_view text) {
    text = trimmed(text.substr(0, text.find('(')));
    for (const auto& [word, action] : action_words)
        if (equal_ignoring_case(word, text)) return action;
    return delivery_action::unknown;
}

/// Looks for the parts of a report in a message, whatever they are wrapped in.
class report_reader {
public:
    void entity(std::string_view text, std::size_t depth) {
        static constexpr std::size_t max_depth = 10;
        const auto e = split_at_empty_line(text);
        const auto fields = split_fields(e.header);
        const auto* type_field = find_field(fields, "Content-Type");
        const auto type = parse_parameterised(type_field ? type_field->value : "text/plain");
        const auto* encoding = find_field(fields, "Content-Transfer-Encoding");
        const auto body = [&] { return decoded_body(e.body, encoding ? trimmed(encoding->value) : "7bit"); };
        if (type.is("multipart/")) {
            if (depth == max_depth) return;
            for (const auto part : split_multipart(e.body, type.parameter("boundary")).parts) entity(part, depth + 1);
        } else if (type.value == "message/delivery-status" || type.value == "message/global-delivery-status") {
            found_ = true;
            status(body());
        } else if (type.value == "message/feedback-report") {
            found_ = true;
            feedback(body());
        } else if (depth > 0 && (type.value == "message/rfc822" || type.value == "text/rfc822-headers" ||
                                 type.value == "message/global" || type.value == "message/global-headers")) {
            returned(body());
        } else if (type.value == "text/plain" && text_.empty()) {
            text_ = body();
        }
        if (depth == 0 && report_.recipients.empty() && report_.feedback_type.empty()) from_server(fields);
    }

    std::optional<delivery_report> take() {
        if (!found_) return {};
        return std::move(report_);
    }

private:
    // Groups of fields with empty lines between them: first about the message, then one for each recipient.
    void status(std::string_view text) {
        bool first = true;
        while (!text.empty()) {
            if (text.starts_with("\r\n")) {
                text.remove_prefix(2);
                continue;
            }
            const auto e = split_at_empty_line(text);
            const auto fields = split_fields(e.header);
            text = e.body;
            if (first) about_message(fields);
            about_recipients(fields);
            first = false;
        }
    }

    void about_message(const std::vector<header_field>& fields) {
        for (const auto& f : fields) {
            if (equal_ignoring_case(f.name, "Original-Envelope-Id")) report_.envelope_id = report_text(f.value);
            if (equal_ignoring_case(f.name, "Reporting-MTA")) report_.reporting_mta = typed_text(f.value);
        }
    }

    // One group should tell of one recipient. Where several stand without an empty line between them, each begins with
    // the first field that repeats, or with an Original-Recipient behind what was said of the one before.
    void about_recipients(const std::vector<header_field>& fields) {
        std::vector<std::string_view> seen;
        bool any = false;
        bool told = false;
        reported_recipient r;
        const auto last_final = std::ranges::find_if(fields.rbegin(), fields.rend(), [](const header_field& f) {
                                    return equal_ignoring_case(f.name, "Final-Recipient");
                                }).base();
        const auto keep = [&] {
            if (!r.status) r.status = status_within(r.diagnostic);
            if (any && report_.recipients.size() < max_reported_recipients) report_.recipients.push_back(r);
            r = {};
            any = told = false;
            seen.clear();
        };
        for (auto at = fields.begin(); at != fields.end(); ++at) {
            const auto& f = *at;
            const auto is = [&](std::string_view name) { return equal_ignoring_case(f.name, name); };
            const bool is_recipient = is("Original-Recipient") || is("Final-Recipient");
            const bool begins = told && is("Original-Recipient") && at < last_final;
            if (is_recipient && (begins || postroad::detail::any_of(seen, is))) keep();
            if (is_recipient) seen.push_back(f.name);
            any = any || is_recipient;
            told = told || (any && (is("Action") || is("Status")));
            if (is("Original-Recipient")) r.original = typed_address(f.value);
            if (is("Final-Recipient")) r.final = typed_address(f.value);
            if (is("Action")) r.action = parse_action(f.value);
            if (is("Status")) r.status = status_within(f.value);
            if (is("Diagnostic-Code")) r.diagnostic = typed_text(f.value);
            if (is("Remote-MTA")) r.remote_mta = typed_text(f.value);
            if (is("Will-Retry-Until")) r.will_retry_until = report_text(f.value);
        }
        keep();
    }

    // What a server says to people, or in the header, where no part is for programs.
    void from_server(const std::vector<header_field>& fields) {
        const bool by_server = postroad::detail::any_of(fields, [](const header_field& f) {
            if (equal_ignoring_case(f.name, "X-Failed-Recipients")) return true;
            if (equal_ignoring_case(f.name, "Return-Path")) return trimmed(f.value) == "<>";
            if (!equal_ignoring_case(f.name, "From")) return false;
            const auto from = in_lower_case(std::string(f.value));
            return postroad::detail::any_of(names_of_servers, [&](auto name) { return from.find(name) != from.npos; });
        });
        if (by_server) report_.recipients = read_server_text(text_);
        if (!report_.recipients.empty()) {
            found_ = true;
            report_.form = report_form::text;
        }
        failed_recipients(fields);
    }

    // Exim and Gmail name in the header whom they gave up.
    void failed_recipients(const std::vector<header_field>& fields) {
        std::unordered_set<std::string> known;
        for (const auto& r : report_.recipients) known.insert(in_lower_case(r.final));
        for (const auto& f : fields) {
            if (!equal_ignoring_case(f.name, "X-Failed-Recipients")) continue;
            for (auto rest = f.value; !rest.empty() && report_.recipients.size() < max_reported_recipients;) {
                const auto end = std::min(rest.find(','), rest.size());
                auto address = reported_address(rest.substr(0, end));
                rest.remove_prefix(std::min(end + 1, rest.size()));
                if (address.empty() || !known.insert(in_lower_case(address)).second) continue;
                if (!std::exchange(found_, true)) report_.form = report_form::header;
                report_.recipients.push_back({.final = std::move(address), .action = delivery_action::failed});
            }
        }
    }

    void feedback(std::string_view text) {
        const auto e = split_at_empty_line(text);
        report_.feedback_type = "other";
        for (const auto& f : split_fields(e.header)) {
            if (equal_ignoring_case(f.name, "Feedback-Type"))
                report_.feedback_type = in_lower_case(report_text(f.value));
            if (equal_ignoring_case(f.name, "Original-Envelope-Id")) report_.envelope_id = report_text(f.value);
            if (equal_ignoring_case(f.name, "Reporting-MTA")) report_.reporting_mta = typed_text(f.value);
            if (equal_ignoring_case(f.name, "Source-IP")) report_.source_ip = report_text(f.value);
            if (equal_ignoring_case(f.name, "Original-Rcpt-To") &&
                report_.recipients.size() < max_reported_recipients) {
                report_.recipients.push_back({.final = reported_address(f.value)});
            }
        }
    }

    void returned(std::string_view text) {
        const auto fields = split_fields(split_at_empty_line(text).header);
        const auto* id = find_field(fields, "Message-ID");
        if (id && report_.original_message_id.empty()) report_.original_message_id = report_text(id->value);
        // Outlook.com complains by nothing but the message, which names the recipient
        if (const auto* to = find_field(fields, "X-HmXmrOriginalRecipient"); to && report_.feedback_type.empty()) {
            found_ = true;
            report_.feedback_type = "abuse";
            report_.recipients.push_back({.final = reported_address(to->value)});
        }
    }

    delivery_report report_;
    std::string text_;  // the first for people
    bool found_ = false;
};

}  // namespace detail

POSTROAD_DECL std::optional<delivery_report> parse_delivery_report(std::string_view message) {
    detail::report_reader reader;
    reader.entity(detail::with_crlf(message), 0);
    return reader.take();
}

POSTROAD_DECL address verp_address(const address& bounces, std::string_view tag) {
    return address(std::string(bounces.local()) + '+' + std::string(tag) + '@' + std::string(bounces.domain()));
}

POSTROAD_DECL address verp_address(const address& bounces, const address& recipient) {
    if (!recipient.ascii() || recipient.local().starts_with('"') || recipient.domain().empty() ||
        recipient.domain().starts_with('['))
        throw error(errc::invalid_address,
                    "'" + escaped(recipient.str(), 300) + "' cannot stand in a return path: expected letters and dots");
    return verp_address(bounces, std::string(recipient.local()) + '=' + std::string(recipient.domain()));
}

POSTROAD_DECL std::string verp_tag(const address& bounces, const address& got) {
    const auto local = got.local();
    const auto prefix = std::string(bounces.local()) + '+';
    if (!detail::equal_ignoring_case(got.domain(), bounces.domain()) ||
        !detail::equal_ignoring_case(local.substr(0, prefix.size()), prefix))
        return {};
    return std::string(local.substr(prefix.size()));
}

POSTROAD_DECL address verp_recipient(const address& bounces, const address& got) {
    const auto tag = verp_tag(bounces, got);
    // a domain holds no '='
    const auto at = tag.rfind('=');
    error_code ec;
    if (at == std::string::npos) return {};
    return address::parse(tag.substr(0, at) + '@' + tag.substr(at + 1), ec);
}

}  // namespace postroad
