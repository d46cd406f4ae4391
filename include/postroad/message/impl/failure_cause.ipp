#pragma once

#include <postroad/message/failure_cause.hpp>
#include <postroad/message/utf8.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <utility>

namespace postroad {
namespace detail {

inline constexpr std::array<std::string_view, 15> cause_words{
    "unknown",         "unknown_recipient", "disabled_recipient", "mailbox_full", "unknown_domain",  "unreachable",
    "expired",         "too_large",         "rate_limited",       "spam",         "unauthenticated", "policy",
    "relaying_denied", "bad_content",       "sender_refused"};

/// What servers write, in lower case; the first that is found counts, so what is more telling stands first. What is
/// said of the sender stands before all that would be said of a recipient in the same words.
inline constexpr std::pair<std::string_view, failure_cause> telling_words[] = {
    {"dmarc", failure_cause::unauthenticated},
    {"dkim", failure_cause::unauthenticated},
    {"spf ", failure_cause::unauthenticated},
    {"unauthenticated", failure_cause::unauthenticated},
    {"sender address", failure_cause::sender_refused},
    {"sender verify fail", failure_cause::sender_refused},
    {"verification failed for", failure_cause::sender_refused},
    {"while verifying", failure_cause::sender_refused},
    {"domain of sender", failure_cause::sender_refused},
    {"sender domain", failure_cause::sender_refused},
    {"sender's domain", failure_cause::sender_refused},
    {"sender rejected", failure_cause::sender_refused},
    {"invalid sender", failure_cause::sender_refused},
    {"unknown sender", failure_cause::sender_refused},
    {"spam", failure_cause::spam},
    {"unsolicited", failure_cause::spam},
    {"blacklist", failure_cause::spam},
    {"blocklist", failure_cause::spam},
    {"block list", failure_cause::spam},
    {"blocked using", failure_cause::spam},
    {"reputation", failure_cause::spam},
    {"virus", failure_cause::bad_content},
    {"malware", failure_cause::bad_content},
    {"blocked attachment", failure_cause::bad_content},
    {"quota", failure_cause::mailbox_full},
    {"mailbox full", failure_cause::mailbox_full},
    {"mailbox is full", failure_cause::mailbox_full},
    {"out of storage", failure_cause::mailbox_full},
    {"storage space", failure_cause::mailbox_full},
    {"too large", failure_cause::too_large},
    {"too big", failure_cause::too_large},
    {"size limit", failure_cause::too_large},
    {"exceeds fixed limit", failure_cause::too_large},
    {"message size exceeds", failure_cause::too_large},
    {"domain does not exist", failure_cause::unknown_domain},
    {"domain not found", failure_cause::unknown_domain},
    {"host not found", failure_cause::unknown_domain},
    {"host or domain name not found", failure_cause::unknown_domain},
    {"couldn't find any host", failure_cause::unknown_domain},
    {"unrouteable mail domain", failure_cause::unknown_domain},
    {"does not accept mail", failure_cause::unknown_domain},
    {"nullmx", failure_cause::unknown_domain},
    {"null mx", failure_cause::unknown_domain},
    {"inactive", failure_cause::disabled_recipient},
    {"disabled", failure_cause::disabled_recipient},
    {"suspended", failure_cause::disabled_recipient},
    {"deactivated", failure_cause::disabled_recipient},
    {"user unknown", failure_cause::unknown_recipient},
    {"unknown user", failure_cause::unknown_recipient},
    {"recipient unknown", failure_cause::unknown_recipient},
    {"unknown recipient", failure_cause::unknown_recipient},
    {"address unknown", failure_cause::unknown_recipient},
    {"unknown address", failure_cause::unknown_recipient},
    {"unknown local part", failure_cause::unknown_recipient},
    {"no such user", failure_cause::unknown_recipient},
    {"no such recipient", failure_cause::unknown_recipient},
    {"no such mailbox", failure_cause::unknown_recipient},
    {"no mailbox", failure_cause::unknown_recipient},
    {"doesn't have a", failure_cause::unknown_recipient},
    {"does not exist", failure_cause::unknown_recipient},
    {"doesn't exist", failure_cause::unknown_recipient},
    {"recipnotfound", failure_cause::unknown_recipient},
    {"recipient not found", failure_cause::unknown_recipient},
    {"user not found", failure_cause::unknown_recipient},
    {"mailbox not found", failure_cause::unknown_recipient},
    {"mailbox unavailable", failure_cause::unknown_recipient},
    {"invalid recipient", failure_cause::unknown_recipient},
    {"invalid mailbox", failure_cause::unknown_recipient},
    {"unrouteable address", failure_cause::unknown_recipient},
    {"relay", failure_cause::relaying_denied},
    {"too many hops", failure_cause::policy},
    {"rate limit", failure_cause::rate_limited},
    {"greylist", failure_cause::rate_limited},
    {"graylist", failure_cause::rate_limited},
    {"throttl", failure_cause::rate_limited},
    {"too many", failure_cause::rate_limited},
    {"too quickly", failure_cause::rate_limited},
    {"receiving mail at a rate", failure_cause::rate_limited},
    {"retry timeout exceeded", failure_cause::expired},
    {"retry time not reached", failure_cause::expired},
    {"delivery time expired", failure_cause::expired},
    {"message expired", failure_cause::expired},
    {"connection refused", failure_cause::unreachable},
    {"timed out", failure_cause::unreachable},
    {"no route to host", failure_cause::unreachable},
    {"unreachable", failure_cause::unreachable},
    {"policy", failure_cause::policy},
    {"not allowed", failure_cause::policy},
    {"prohibited", failure_cause::policy},
    {"denied", failure_cause::policy},
    {"rejected due to", failure_cause::policy},
};

/// Words that mean another thing beside a status than either alone.
struct status_with_words {
    std::uint16_t subject;
    std::uint16_t detail;
    std::string_view words;
    failure_cause cause;
};
inline constexpr status_with_words telling_pairs[] = {
    {1, 0, "sender", failure_cause::sender_refused},
    {1, 10, "recipient not found", failure_cause::unknown_recipient},
    {1, 10, "recipientnotfound", failure_cause::unknown_recipient},
    {4, 1, "recipient address rejected: access denied", failure_cause::unknown_recipient},
    {4, 310, "does not exist", failure_cause::unknown_domain},
};

/// In lower case, without what a stranger chose: addresses, and the name of the host that a report quotes.
inline std::string told_words(std::string_view text) {
    constexpr std::string_view ends = " \t\r\n<>()\"',;:";
    std::string out;
    bool behind_host = false;
    while (!text.empty()) {
        const auto end = std::min(text.find_first_of(ends), text.size());
        const auto word = text.substr(0, end);
        const bool name =
            word.find('@') != std::string_view::npos || (behind_host && word.find('.') != std::string_view::npos);
        if (!name) out += word;
        if (!word.empty()) behind_host = in_lower_case(std::string(word)) == "host";
        if (end == text.size()) break;
        out += text[end];
        text.remove_prefix(end + 1);
    }
    return in_lower_case(std::move(out));
}

inline failure_cause cause_by_words(std::string_view lower) noexcept {
    for (const auto& [words, cause] : telling_words)
        if (lower.find(words) != std::string_view::npos) return cause;
    return failure_cause::unknown;
}

inline failure_cause cause_by_both(enhanced_code c, std::string_view lower) noexcept {
    for (const auto& each : telling_pairs)
        if (c.subject == each.subject && c.detail == each.detail && lower.find(each.words) != std::string_view::npos)
            return each.cause;
    return failure_cause::unknown;
}

/// RFC 3463 section 3, RFC 7372, RFC 7505. Unknown where the code is given for anything.
inline failure_cause cause_by_status(enhanced_code c) noexcept {
    switch (c.subject * 1000 + c.detail) {
        case 1001:
        case 1003:
        case 1006: return failure_cause::unknown_recipient;
        case 1002:
        case 1010: return failure_cause::unknown_domain;
        case 1007:
        case 1008: return failure_cause::sender_refused;
        // for now it is a mailbox that gets too much, or any trouble with it
        case 2001: return c.kind == 4 ? failure_cause::unknown : failure_cause::disabled_recipient;
        case 2002: return failure_cause::mailbox_full;
        case 2003:
        case 3004: return failure_cause::too_large;
        case 4001:
        case 4002:
        case 4003:
        case 4004: return failure_cause::unreachable;
        case 4006: return failure_cause::policy;
        case 4007: return failure_cause::expired;
        case 6001: return failure_cause::bad_content;
        default: break;
    }
    if (c.subject == 7 && c.detail >= 20 && c.detail <= 26) return failure_cause::unauthenticated;
    return c.subject == 7 && c.detail > 1 ? failure_cause::policy : failure_cause::unknown;
}

}  // namespace detail

POSTROAD_DECL std::string_view to_string(failure_cause c) noexcept {
    return detail::cause_words[static_cast<std::size_t>(c)];
}

POSTROAD_DECL std::string_view to_string(certainty c) noexcept {
    static constexpr std::string_view words[] = {"none", "guessed", "likely", "certain"};
    return words[static_cast<std::size_t>(c)];
}

POSTROAD_DECL probable_cause cause_of(const reported_recipient& r) {
    using enum failure_cause;
    const auto words = detail::told_words(r.diagnostic);
    if (const auto both = detail::cause_by_both(r.status, words); both != unknown) return {both, certainty::likely};
    const auto by_status = detail::cause_by_status(r.status);
    const auto by_words = detail::cause_by_words(words);
    if (by_status == unknown && by_words == unknown) return {};
    if (by_status == by_words) return {by_status, certainty::certain};
    if (by_words == unknown) return {by_status, certainty::likely};
    // 5.7.1, 5.0.0 and no code at all leave it to the words
    if (by_status == unknown) return {by_words, r.status ? certainty::likely : certainty::guessed};
    // what is said of the sender is not said by mistake; 5.1.1 is
    const bool of_sender = by_words == spam || by_words == unauthenticated || by_words == sender_refused;
    return {of_sender || by_status == policy ? by_words : by_status, certainty::guessed};
}

}  // namespace postroad
