#pragma once

#include <postroad/scheduling/retry_rules.hpp>

#include <postroad/core/random.hpp>
#include <postroad/message/utf8.hpp>
#include <postroad/scheduling/policy.hpp>

#include <algorithm>

namespace postroad::scheduling {
namespace detail {

inline bool contains_word(std::string_view text, std::string_view lower) noexcept {
    const auto same = [](char a, char b) { return postroad::detail::to_lower(a) == b; };
    return std::search(text.begin(), text.end(), lower.begin(), lower.end(), same) != text.end();
}

// Most servers say it in words; RFC 6647 section 2 names no enhanced code, and 4.7.1 is the usual one.
inline bool is_greylisting(const reply& r) noexcept {
    if (contains_word(r.text, "greylist") || contains_word(r.text, "graylist")) return true;
    return (r.code == 450 || r.code == 451) && r.enhanced == enhanced_code{4, 7, 1};
}

// From 0 to 1, without 1.
inline double fraction(std::uint64_t x) noexcept {
    return static_cast<double>(postroad::detail::scrambled(x) >> 11) * 0x1p-53;
}

}  // namespace detail

POSTROAD_DECL std::string_view to_string(refusal r) noexcept {
    switch (r) {
        case refusal::unreachable: return "unreachable";
        case refusal::greylisted: return "greylisted";
        case refusal::busy: return "busy";
        case refusal::full: return "full";
        case refusal::unknown: return "unknown";
    }
    return "";
}

POSTROAD_DECL refusal classify(const recipient_outcome& r) noexcept {
    if (r.reply.code == 0) return refusal::unreachable;
    if (detail::is_greylisting(r.reply)) return refusal::greylisted;
    if (is_busy(r)) return refusal::busy;
    if (r.reply.enhanced.subject == 2 && r.reply.enhanced.detail == 2) return refusal::full;
    return refusal::unknown;
}

POSTROAD_DECL duration retry_rules::floor(refusal r, unsigned made) const noexcept {
    duration wait = unknown;
    switch (r) {
        case refusal::unreachable: wait = unreachable; break;
        case refusal::greylisted: wait = greylisted; break;
        case refusal::busy: wait = busy; break;
        case refusal::full: wait = full; break;
        case refusal::unknown: break;
    }
    const auto factor = std::max(growth, 1u);
    for (unsigned i = 1; i < made && wait < longest_wait && factor > 1; ++i)
        wait = wait > longest_wait / factor ? longest_wait : wait * factor;
    return std::max(std::min(wait, longest_wait), duration::zero());
}

POSTROAD_DECL verdict retry_rules::judge(const job& j, time_point now) const {
    if (is_spent(j, attempts)) return {};
    const auto made = attempts_made(j);
    auto wait = duration::max();
    for (const auto& r : j.result.recipients)
        if (may_be_tried(r))
            wait = std::min(wait, floor(is_kept_waiting(j) ? refusal::unreachable : classify(r), made));
    if (wait == duration::max()) return {};
    const auto part = jitter > 0 ? std::min(jitter, 1.0) : 0.0;  // none, too, where it is no number
    const auto share = part * detail::fraction(seed ^ postroad::detail::scrambled(j.id) ^ made);
    const auto more = static_cast<duration::rep>(static_cast<double>(wait.count()) * share);
    verdict v{verdict::kind::retry, after(after(now, wait), duration(more))};
    if (is_too_old(j, v.at, give_up)) return {};
    if (j.submitted == time_point::min()) return v;
    v.late_at = after(j.submitted, late_after);
    v.late = now < v.late_at && v.at >= v.late_at;
    return v;
}

}  // namespace postroad::scheduling
