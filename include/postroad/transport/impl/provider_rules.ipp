#pragma once

#include <postroad/transport/provider_rules.hpp>

#include <postroad/core/error.hpp>
#include <postroad/message/utf8.hpp>

#include <algorithm>

namespace postroad::transport {
namespace detail {

inline bool is_end_of_names(std::string_view text) noexcept {
    constexpr std::size_t longest = 253;  // of a name (RFC 1035 section 2.3.4)
    const auto fits = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    };
    return !text.empty() && text.size() <= longest && text != "." && !text.ends_with('.') &&
           std::ranges::all_of(text, fits);
}

inline const provider_rule* rule_for_all(const provider_rules& all) noexcept {
    const auto found = std::ranges::find(all, "*", &provider_rule::provider);
    return found == all.end() ? nullptr : &*found;
}

// Lines are joined by spaces: what matters may stand in any of them, or break at the end of one.
inline std::string text_of(const reply& r) {
    auto text = postroad::detail::in_lower_case(r.text);
    std::ranges::replace(text, '\n', ' ');
    return text;
}

inline bool fits(const reply_rule& rule, const reply& r, const std::string& text) noexcept {
    return (rule.code == 0 || rule.code == r.code) && (!rule.enhanced || rule.enhanced == r.enhanced) &&
           text.find(rule.text) != std::string::npos;
}

}  // namespace detail

POSTROAD_DECL const provider_rule* rule_for(const provider_rules& all, std::string_view server) noexcept {
    for (const auto& rule : all)
        for (const auto& end : rule.servers)
            if (server.ends_with(end)) return &rule;
    return detail::rule_for_all(all);
}

POSTROAD_DECL std::optional<reading> read_reply(const provider_rules& all, std::string_view server, const reply& r) {
    const auto text = detail::text_of(r);
    const auto* const own = rule_for(all, server);
    const auto* const others = detail::rule_for_all(all);
    for (const auto* rule : {own, own == others ? nullptr : others})
        if (rule)
            for (const auto& reply : rule->replies)
                if (detail::fits(reply, r, text)) return reply.means;
    return std::nullopt;
}

POSTROAD_DECL void check(const reply_rule& r) {
    const auto refuse = [](const char* text) { throw error(errc::invalid_option, text); };
    if (r.code == 0 && !r.enhanced && r.text.empty()) refuse("a reply that is any says nothing");
    if (r.code != 0 && (r.code < 400 || r.code > 599)) refuse("a refusal has a code from 400 to 599");
    if (r.enhanced && r.enhanced.kind != 4 && r.enhanced.kind != 5)
        refuse("the status of a refusal begins with 4 or 5");
    if (postroad::detail::in_lower_case(r.text) != r.text) refuse("the text of a reply is in lower case");
    if (r.means == reading{}) refuse("a reply means something: later, for good, or a rest");
    if (r.means.rest < duration::zero() || r.means.rest > longest_reply_rest) refuse("a rest lasts from 0 to 7 days");
    const bool others = r.means.about >= reply_subject::tenant;
    if (others && r.means.rest == duration::zero()) refuse("who is left alone is so for a time");
    if (others && r.means.means == reading::term::for_good) refuse("what is about others is not for good");
}

POSTROAD_DECL void check(const provider_rules& all) {
    const auto refuse = [](const std::string& text) { throw error(errc::invalid_option, text); };
    for (const auto& rule : all) {
        if (rule.provider.empty()) refuse("a rule for a provider has no name");
        const auto whose = "the rule for " + escaped(rule.provider, 60);
        if (rule.servers.empty() != (rule.provider == "*"))
            refuse(whose + (rule.provider == "*" ? " is about all servers, and names some" : " has no servers"));
        for (const auto& reply : rule.replies) {
            try {
                check(reply);
            } catch (const error& e) {
                refuse(whose + ": " + e.details().explanation);
            }
        }
        for (const auto& end : rule.servers)
            if (!detail::is_end_of_names(end))
                refuse(whose + ": no name of a server ends with \"" + escaped(end, 60) +
                       "\"; it is in lower case, such as .example.com");
        if (rule.limits.pace.messages > 0 && rule.limits.pace.per <= duration::zero())
            refuse(whose + ": so many messages in no time are no pace");
    }
}

POSTROAD_DECL const provider_rules& known_providers() {
    static const provider_rules all = {
        {.provider = "google", .servers = {".google.com", ".googlemail.com"}},
        {.provider = "outlook.com", .servers = {".olc.protection.outlook.com"}},
        {.provider = "microsoft 365", .servers = {".protection.outlook.com", ".mx.microsoft"}},
        {.provider = "yahoo", .servers = {".yahoodns.net"}},
        {.provider = "icloud", .servers = {".mail.icloud.com"}},
        {.provider = "gmx", .servers = {".gmx.net", ".web.de"}},
        {.provider = "qq", .servers = {".qq.com"}},
        {.provider = "netease", .servers = {".netease.com"}},
        // Customers' lines have names below comcast.net.
        {.provider = "comcast",
         .servers = {"mx1.comcast.net", "mx2.comcast.net", "mx1a1.comcast.net", "mx2a1.comcast.net",
                     "mx1c1.comcast.net", "mx2c1.comcast.net", "mx1h1.comcast.net", "mx2h1.comcast.net",
                     ".mxge.comcast.net"}},
        {.provider = "orange", .servers = {".orange.fr"}},
        {.provider = "proofpoint", .servers = {".pphosted.com"}},
    };
    return all;
}

}  // namespace postroad::transport
