#pragma once

#include <postroad/core/error.hpp>
#include <postroad/message/utf8.hpp>
#include <postroad/net/dns.hpp>
#include <postroad/net/mta_sts.hpp>

#include <algorithm>
#include <charconv>

namespace postroad::net {
namespace detail {

inline bool is_space(char c) noexcept { return c == ' ' || c == '\t'; }
inline bool is_alnum(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

inline std::string_view trimmed(std::string_view text) noexcept {
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return text;
}

// Names of extensions, of records and of policies.
inline bool is_field_name(std::string_view name) noexcept {
    return !name.empty() && name.size() <= 32 && is_alnum(name.front()) &&
           std::ranges::all_of(name, [](char c) { return is_alnum(c) || c == '_' || c == '-' || c == '.'; });
}

inline std::optional<std::string> id_of(std::string_view text) {
    std::optional<std::string> id;
    text.remove_prefix(std::string_view("v=STSv1").size());
    while (!text.empty()) {
        text = trimmed(text);
        if (!text.starts_with(';')) return std::nullopt;
        text = trimmed(text.substr(1));
        if (text.empty()) break;
        const auto field = trimmed(text.substr(0, text.find(';')));
        const auto equals = field.find('=');
        if (equals == std::string_view::npos || !is_field_name(field.substr(0, equals))) return std::nullopt;
        const auto value = field.substr(equals + 1);
        if (field.substr(0, equals) == "id") {
            if (id || value.empty() || value.size() > 32 || !std::ranges::all_of(value, is_alnum)) return std::nullopt;
            id = std::string(value);
        }
        text.remove_prefix(std::min(text.find(';'), text.size()));
    }
    return id;
}

inline std::optional<std::string> server_pattern(std::string_view value) {
    const auto name = value.starts_with("*.") ? value.substr(2) : value;
    const auto labels = to_labels(name);
    // An address is no name, and a name of one label is none of the DNS of all.
    const auto last = name.substr(name.rfind('.') + 1);
    const bool is_address = std::ranges::all_of(last, [](char c) { return c >= '0' && c <= '9'; });
    if (!labels || name.find('.') == std::string_view::npos || is_address) return std::nullopt;
    return postroad::detail::in_lower_case(std::string(value));
}

// The fields of a policy; what was not there is not set.
struct sts_fields {
    std::optional<std::string_view> version = {};
    std::optional<sts_mode> mode = {};
    std::optional<std::chrono::seconds> max_age = {};
    std::vector<std::string> mx = {};

    /// What is wrong with it, or nothing.
    const char* read(std::string_view name, std::string_view value) {
        if (name == "version") {
            if (!version) version = value;
        } else if (name == "mode") {
            if (mode) return nullptr;
            if (value != "enforce" && value != "testing" && value != "none") return "a mode that is not known";
            mode = value == "enforce" ? sts_mode::enforce : value == "testing" ? sts_mode::testing : sts_mode::none;
        } else if (name == "max_age") {
            if (max_age) return nullptr;
            unsigned long long n = 0;
            const auto* const end = value.data() + value.size();
            const auto [stop, failed] = std::from_chars(value.data(), end, n);
            if (failed != std::errc{} || stop != end || value.size() > 10) return "a max_age that is no number";
            max_age = std::min(std::chrono::seconds(n), max_sts_age);
        } else if (name == "mx") {
            auto pattern = server_pattern(value);
            if (!pattern) return "an mx that is no host name";
            mx.push_back(*std::move(pattern));
        }
        return nullptr;
    }
};

}  // namespace detail

POSTROAD_DECL bool sts_policy::names(std::string_view host) const noexcept {
    return std::ranges::any_of(mx, [&](const std::string& pattern) {
        if (!pattern.starts_with("*.")) return pattern == host;
        const auto dot = host.find('.');
        return dot != std::string_view::npos && dot > 0 && host.substr(dot) == std::string_view(pattern).substr(1);
    });
}

POSTROAD_DECL std::optional<std::string> read_sts_record(const std::vector<std::string>& texts) {
    const std::string* only = nullptr;
    for (const auto& text : texts) {
        if (!text.starts_with("v=STSv1")) continue;
        if (only) return std::nullopt;
        only = &text;
    }
    return only ? detail::id_of(*only) : std::nullopt;
}

POSTROAD_DECL std::optional<sts_policy> read_sts_policy(std::string_view body, std::string* why) {
    const auto wrong = [&](std::string text) -> std::optional<sts_policy> {
        if (why) *why = "the policy has " + std::move(text);
        return std::nullopt;
    };
    if (body.size() > max_sts_policy) return wrong("more than " + std::to_string(max_sts_policy) + " octets");
    detail::sts_fields fields;
    while (!body.empty()) {
        auto line = body.substr(0, body.find('\n'));
        body.remove_prefix(std::min(line.size() + 1, body.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        const auto colon = line.find(':');
        if (detail::trimmed(line).empty() && body.empty()) break;
        if (colon == std::string_view::npos || !detail::is_field_name(line.substr(0, colon)))
            return wrong("a line that is no field: \"" + escaped(line, 40) + "\"");
        if (const auto* fault = fields.read(line.substr(0, colon), detail::trimmed(line.substr(colon + 1))))
            return wrong(std::string(fault) + ": \"" + escaped(line, 40) + "\"");
    }
    if (fields.version != "STSv1") return wrong("no version STSv1");
    if (!fields.mode) return wrong("no mode");
    if (!fields.max_age) return wrong("no max_age");
    if (fields.mx.empty() && *fields.mode != sts_mode::none) return wrong("no mx");
    return sts_policy{.mode = *fields.mode, .max_age = *fields.max_age, .mx = std::move(fields.mx)};
}

}  // namespace postroad::net
