#pragma once

#include <postroad/core/number.hpp>
#include <postroad/core/percent.hpp>
#include <postroad/net/tls_report.hpp>

#include <algorithm>

namespace postroad::net {
namespace detail {

// A line has fields between spaces; in a list each item ends with a comma.
inline std::string line_field(std::string_view text) { return postroad::detail::percent_encoded(text); }
inline std::string line_list(const std::vector<std::string>& all) {
    std::string result;
    for (const auto& text : all) {
        for (const char c : line_field(text)) c == ',' ? result += "%2C" : result += c;
        result += ',';
    }
    return result;
}

class line_reader {
public:
    explicit line_reader(std::string_view text) : text_(text) {}

    std::string text() {
        auto decoded = postroad::detail::percent_decoded(next());
        if (!decoded) good_ = false;
        return good_ ? *std::move(decoded) : std::string();
    }
    std::vector<std::string> list() {
        std::vector<std::string> all;
        for (auto rest = next(); !rest.empty();) {
            const auto comma = rest.find(',');
            auto decoded = postroad::detail::percent_decoded(rest.substr(0, comma));
            if (comma == std::string_view::npos || !decoded) {
                good_ = false;
                break;
            }
            all.push_back(*std::move(decoded));
            rest.remove_prefix(comma + 1);
        }
        return all;
    }
    std::uint64_t number(std::uint64_t most) {
        const auto n = postroad::detail::whole_number<std::uint64_t>(next());
        if (!n || *n > most) good_ = false;
        return good_ ? *n : 0;
    }
    /// All was there, and no more.
    bool whole() const noexcept { return good_ && over_; }

private:
    std::string_view next() {
        if (over_) good_ = false;
        const auto field = text_.substr(0, text_.find(' '));
        over_ = field.size() == text_.size();
        text_.remove_prefix(over_ ? field.size() : field.size() + 1);
        return field;
    }

    std::string_view text_;
    bool good_ = true;
    bool over_ = false;
};

inline std::string line_head(const tls_report& r, const tls_policy& p) {
    return std::to_string(r.day.time_since_epoch().count()) + ' ' + line_field(r.domain) + ' ' +
           std::to_string(static_cast<unsigned>(p.type)) + ' ' + line_field(p.domain) + ' ' + line_list(p.text) + ' ' +
           line_list(p.mx_hosts) + ' ';
}

inline std::string line_failure(const tls_failure& f) {
    return std::to_string(static_cast<unsigned>(f.result)) + ' ' + line_field(f.sending_ip) + ' ' +
           line_field(f.mx_host) + ' ' + line_field(f.mx_helo) + ' ' + line_field(f.receiving_ip) + ' ' +
           line_field(f.information) + ' ' + line_field(f.reason) + ' ';
}

inline constexpr std::uint64_t most_counted = std::uint64_t(1) << 60;
inline std::uint64_t added(std::uint64_t a, std::uint64_t b) noexcept { return std::min(a + b, most_counted); }

}  // namespace detail

// Null: there is no room for one more.
POSTROAD_DECL tls_counts* tls_results::counts_of(const std::string& domain, const tls_policy& policy, report_day day) {
    const auto key = std::pair(day, domain);
    if (!all_.contains(key) && all_.size() >= max_domains) return nullptr;
    auto& report = all_[key];
    report.domain = domain;
    report.day = day;
    if (const auto known = report.policies.find(policy); known != report.policies.end()) return &known->second;
    if (report.policies.size() >= max_policies) return nullptr;
    return &report.policies[policy];
}

POSTROAD_DECL void tls_results::count(const std::string& domain, const tls_policy& policy,
                                      const std::optional<tls_failure>& failed, report_day today) {
    auto* const c = counts_of(domain, policy, today);
    if (!c) return;
    if (!failed) {
        c->successes = detail::added(c->successes, 1);
        return;
    }
    c->failures = detail::added(c->failures, 1);
    if (c->details.contains(*failed) || c->details.size() < max_details)
        c->details[*failed] = detail::added(c->details[*failed], 1);
}

POSTROAD_DECL std::vector<std::pair<report_day, std::string>> tls_results::ended(report_day today) const {
    std::vector<std::pair<report_day, std::string>> over;
    for (const auto& [key, report] : all_) {
        if (key.first >= today) break;
        over.push_back(key);
    }
    return over;
}

POSTROAD_DECL const tls_report* tls_results::find(const std::string& domain, report_day day) const {
    const auto found = all_.find({day, domain});
    return found == all_.end() ? nullptr : &found->second;
}

POSTROAD_DECL void tls_results::forget(const std::string& domain, report_day day) { all_.erase({day, domain}); }

POSTROAD_DECL std::string tls_results::text() const {
    std::string lines;
    for (const auto& [key, report] : all_)
        for (const auto& [policy, c] : report.policies) {
            const auto head = detail::line_head(report, policy);
            lines += "policy " + head + std::to_string(c.successes) + ' ' + std::to_string(c.failures) + '\n';
            for (const auto& [failure, n] : c.details)
                lines += "failure " + head + detail::line_failure(failure) + std::to_string(n) + '\n';
        }
    return lines;
}

POSTROAD_DECL bool tls_results::read_line(std::string_view line) {
    if (line.ends_with('\n')) line.remove_suffix(1);
    constexpr std::uint64_t last_day = 3'000'000;
    detail::line_reader in(line);
    const auto kind = in.text();
    const report_day day{std::chrono::days(static_cast<int>(in.number(last_day)))};
    const auto domain = in.text();
    tls_policy p;
    p.type = static_cast<tls_policy_type>(in.number(static_cast<unsigned>(tls_policy_type::no_policy_found)));
    p.domain = in.text();
    p.text = in.list();
    p.mx_hosts = in.list();
    if (kind == "policy") {
        const auto successes = in.number(detail::most_counted);
        const auto failures = in.number(detail::most_counted);
        auto* const c = in.whole() ? counts_of(domain, p, day) : nullptr;
        if (!c) return in.whole();
        c->successes = detail::added(c->successes, successes);
        c->failures = detail::added(c->failures, failures);
        return true;
    }
    tls_failure f;
    f.result = static_cast<tls_result>(in.number(static_cast<unsigned>(tls_result::sts_webpki_invalid)));
    for (auto* const member : {&f.sending_ip, &f.mx_host, &f.mx_helo, &f.receiving_ip, &f.information, &f.reason})
        *member = in.text();
    const auto n = in.number(detail::most_counted);
    if (kind != "failure" || !in.whole()) return false;
    auto* const c = counts_of(domain, p, day);
    if (c && (c->details.contains(f) || c->details.size() < max_details))
        c->details[f] = detail::added(c->details[f], n);
    return true;
}

}  // namespace postroad::net
