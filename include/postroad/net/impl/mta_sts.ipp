#pragma once

#include <postroad/core/error.hpp>
#include <postroad/core/number.hpp>
#include <postroad/message/utf8.hpp>
#include <postroad/net/dns.hpp>
#include <postroad/net/impl/txt_record.ipp>
#include <postroad/net/mta_sts.hpp>

#include <algorithm>

namespace postroad::net {
namespace detail {

inline std::optional<std::string> id_of(std::string_view fields) {
    std::optional<std::string> id;
    const bool good = read_fields(fields, [&](std::string_view name, std::string_view value) {
        if (name != "id") return true;
        if (id || value.empty() || value.size() > 32 || !std::ranges::all_of(value, is_alnum)) return false;
        id = std::string(value);
        return true;
    });
    return good ? id : std::nullopt;
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
            const auto n = postroad::detail::whole_number<unsigned long long>(value);
            if (!n || value.size() > 10) return "a max_age that is no number";
            max_age = std::min(std::chrono::seconds(*n), max_sts_age);
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
    constexpr std::string_view version = "v=STSv1";
    const auto* const only = detail::only_record(texts, [&](const auto& text) { return text.starts_with(version); });
    return only ? detail::id_of(std::string_view(*only).substr(version.size())) : std::nullopt;
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
        if (detail::without_wsp(line).empty() && body.empty()) break;
        if (colon == std::string_view::npos || !detail::is_field_name(line.substr(0, colon)))
            return wrong("a line that is no field: \"" + escaped(line, 40) + "\"");
        if (const auto* fault = fields.read(line.substr(0, colon), detail::without_wsp(line.substr(colon + 1))))
            return wrong(std::string(fault) + ": \"" + escaped(line, 40) + "\"");
    }
    if (fields.version != "STSv1") return wrong("no version STSv1");
    if (!fields.mode) return wrong("no mode");
    if (!fields.max_age) return wrong("no max_age");
    if (fields.mx.empty() && *fields.mode != sts_mode::none) return wrong("no mx");
    return sts_policy{.mode = *fields.mode, .max_age = *fields.max_age, .mx = std::move(fields.mx)};
}

}  // namespace postroad::net
