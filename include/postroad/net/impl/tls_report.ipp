#pragma once

#include <postroad/core/random.hpp>
#include <postroad/message/utf8.hpp>
#include <postroad/net/tls_report.hpp>

#include <cstdio>

namespace postroad::net {
namespace detail {

inline std::string json_text(std::string_view text) {
    static constexpr char digits[] = "0123456789abcdef";
    // What is no UTF-8 would make no JSON (RFC 8259 section 8.1).
    const bool whole = postroad::detail::ill_formed_at(text) == text.size();
    std::string result = "\"";
    for (const char c : text) {
        const auto octet = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\')
            (result += '\\') += c;
        else if (octet < 0x20 || octet == 0x7f)
            (result += "\\u00") += {digits[octet >> 4], digits[octet & 15]};
        else
            result += octet < 0x80 || whole ? c : '?';
    }
    return result + '"';
}

inline std::string json_list(const std::vector<std::string>& all) {
    std::string result = "[";
    for (const auto& text : all) (result += result.size() > 1 ? "," : "") += json_text(text);
    return result + ']';
}

// Members of an object, in their order; what is empty is left out.
class json_object {
public:
    json_object& raw(std::string_view name, std::string_view value) {
        ((text_ += text_.empty() ? "{" : ",") += json_text(name)) += ':';
        text_ += value;
        return *this;
    }
    json_object& text(std::string_view name, std::string_view value) {
        return value.empty() ? *this : raw(name, json_text(value));
    }
    json_object& list(std::string_view name, const std::vector<std::string>& all) {
        return all.empty() ? *this : raw(name, json_list(all));
    }
    json_object& number(std::string_view name, std::uint64_t value) { return raw(name, std::to_string(value)); }
    std::string take() { return std::move(text_ += text_.empty() ? "{}" : "}"); }

private:
    std::string text_;
};

inline std::string json_date(report_day d) {
    const std::chrono::year_month_day parts(d);
    char text[16];
    std::snprintf(text, sizeof text, "%04d-%02u-%02u", static_cast<int>(parts.year()) % 10000,
                  static_cast<unsigned>(parts.month()) % 100, static_cast<unsigned>(parts.day()) % 100);
    return text;
}

inline long long begin_of(report_day d) { return std::chrono::sys_seconds(d).time_since_epoch().count(); }
inline long long end_of(report_day d) { return begin_of(d + std::chrono::days(1)) - 1; }

inline std::string json_failure(const tls_failure& f, std::uint64_t n) {
    return json_object()
        .text("result-type", to_string(f.result))
        .text("sending-mta-ip", f.sending_ip)
        .text("receiving-mx-hostname", f.mx_host)
        .text("receiving-mx-helo", f.mx_helo)
        .text("receiving-ip", f.receiving_ip)
        .number("failed-session-count", n)
        .text("additional-information", f.information)
        .text("failure-reason-code", f.reason)
        .take();
}

inline std::string json_policy(const tls_policy& p, const tls_counts& c) {
    std::string details = "[";
    for (const auto& [failure, n] : c.details) (details += details.size() > 1 ? "," : "") += json_failure(failure, n);
    const auto policy = json_object()
                            .text("policy-type", to_string(p.type))
                            .list("policy-string", p.text)
                            .text("policy-domain", p.domain)
                            .list("mx-host", p.mx_hosts)
                            .take();
    const auto summary = json_object()
                             .number("total-successful-session-count", c.successes)
                             .number("total-failure-session-count", c.failures)
                             .take();
    json_object whole;
    whole.raw("policy", policy).raw("summary", summary);
    if (!c.details.empty()) whole.raw("failure-details", details + ']');
    return whole.take();
}

}  // namespace detail

POSTROAD_DECL std::string_view to_string(tls_policy_type t) noexcept {
    switch (t) {
        case tls_policy_type::tlsa: return "tlsa";
        case tls_policy_type::sts: return "sts";
        case tls_policy_type::no_policy_found: return "no-policy-found";
    }
    return "";
}

POSTROAD_DECL std::string_view to_string(tls_result r) noexcept {
    switch (r) {
        case tls_result::starttls_not_supported: return "starttls-not-supported";
        case tls_result::certificate_host_mismatch: return "certificate-host-mismatch";
        case tls_result::certificate_expired: return "certificate-expired";
        case tls_result::certificate_not_trusted: return "certificate-not-trusted";
        case tls_result::validation_failure: return "validation-failure";
        case tls_result::tlsa_invalid: return "tlsa-invalid";
        case tls_result::dnssec_invalid: return "dnssec-invalid";
        case tls_result::dane_required: return "dane-required";
        case tls_result::sts_policy_fetch_error: return "sts-policy-fetch-error";
        case tls_result::sts_policy_invalid: return "sts-policy-invalid";
        case tls_result::sts_webpki_invalid: return "sts-webpki-invalid";
    }
    return "";
}

POSTROAD_DECL std::string report_id(const tls_report& r, const tls_reporter& who) {
    std::uint64_t hash = static_cast<std::uint64_t>(detail::begin_of(r.day));
    for (const char c : r.domain) hash = postroad::detail::scrambled(hash ^ static_cast<unsigned char>(c));
    char digest[20];
    std::snprintf(digest, sizeof digest, "%016llx", static_cast<unsigned long long>(hash));
    return std::to_string(detail::begin_of(r.day)) + "." + digest + "@" + who.submitter;
}

POSTROAD_DECL std::string report_file_name(const tls_report& r, const tls_reporter& who) {
    const auto id = report_id(r, who);
    return who.submitter + "!" + r.domain + "!" + std::to_string(detail::begin_of(r.day)) + "!" +
           std::to_string(detail::end_of(r.day)) + "!" + id.substr(0, id.find('@')) + ".json.gz";
}

POSTROAD_DECL std::string to_json(const tls_report& r, const tls_reporter& who) {
    const auto day = detail::json_date(r.day);
    std::string policies = "[";
    for (const auto& [policy, counts] : r.policies)
        (policies += policies.size() > 1 ? "," : "") += detail::json_policy(policy, counts);
    return detail::json_object()
        .text("organization-name", who.organization)
        .raw("date-range", detail::json_object()
                               .text("start-datetime", day + "T00:00:00Z")
                               .text("end-datetime", day + "T23:59:59Z")
                               .take())
        .text("contact-info", who.contact)
        .text("report-id", report_id(r, who))
        .raw("policies", policies + ']')
        .take();
}

}  // namespace postroad::net
