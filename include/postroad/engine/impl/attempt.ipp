#pragma once

#include <postroad/engine/attempt.hpp>

#include <postroad/core/algorithm.hpp>

#include <algorithm>
#include <cassert>
#include <set>
#include <string>
#include <string_view>

namespace postroad::engine {

POSTROAD_DECL places to_ask(const outcome& o) {
    const auto wanted = [doubtful = !any_unsettled(o.recipients)](const recipient_outcome& r) {
        return doubtful ? r.status == status::in_doubt : is_unsettled(r);
    };
    places result;
    if (postroad::detail::all_of(o.recipients, wanted)) return result;
    for (std::uint32_t i = 0; i < o.recipients.size(); ++i)
        if (wanted(o.recipients[i])) result.push_back(i);
    return result;
}

POSTROAD_DECL std::pair<places, places> divide(const envelope& e, places wanted, const recipient_limits& limits) {
    const bool whole = wanted.empty();
    const auto size = whole ? e.recipients.size() : wanted.size();
    if (size <= limits.recipients && size <= limits.domains) return {std::move(wanted), places{}};
    places taken;
    places rest;
    std::set<std::string_view> domains;
    for (std::uint32_t i = 0; i < size; ++i) {
        const auto r = whole ? i : wanted[i];
        const auto domain = e.recipients[r].domain();
        const bool fits =
            taken.size() < limits.recipients && (domains.contains(domain) || domains.size() < limits.domains);
        if (fits) domains.insert(domain);
        (fits ? taken : rest).push_back(r);
    }
    if (rest.empty()) return {std::move(wanted), places{}};
    return {std::move(taken), std::move(rest)};
}

POSTROAD_DECL void attempt::begin(const envelope& e, const outcome& o, const recipient_limits& limits) {
    auto wanted = rest.empty() ? to_ask(o) : std::move(rest);
    std::tie(asked, rest) = divide(e, std::move(wanted), limits);
    split = split || !rest.empty();
}

POSTROAD_DECL void attempt::check(smtp::finished& f, const outcome& o) const {
    const auto n = size(o);
    if (f.recipients.size() == n) return;
    f.error = errc::policy_failed;
    f.details = {.where = phase::policy,
                 .explanation = "the session told of " + std::to_string(f.recipients.size()) +
                                " recipients, and was asked about " + std::to_string(n)};
    f.recipients.assign(n, {.status = status::in_doubt, .where = phase::content});
}

POSTROAD_DECL void attempt::end(outcome& o, smtp::finished&& f, ruling r, recipient_limits& limits) {
    auto& all = o.recipients;
    const auto index = [&](std::size_t i) { return asked.empty() ? i : asked[i]; };
    assert(f.recipients.size() == size(o));
    // Whether a refusal was about this message; else it is as if it had not been asked.
    const bool heard = r != ruling::again && r != ruling::elsewhere && r != ruling::outage && r != ruling::setting;
    std::size_t accepted = 0;
    for (std::size_t i = 0; i < f.recipients.size(); ++i) {
        auto& known = all[index(i)];
        auto& now = f.recipients[i];
        // It was not asked again: it is in doubt as before.
        if (known.status == status::in_doubt && now.status == status::not_attempted) continue;
        const bool said = now.reply.code != 0 || r == ruling::elsewhere;
        const bool refusal = said && (now.status == status::rejected || now.status == status::deferred);
        if (refusal && !heard && (now.where == phase::mail || !f.error)) now.status = status::not_attempted;
        if (now.status == status::rejected && r == ruling::later && now.where == phase::mail)
            now.status = status::deferred;
        known.status = now.status;
        known.where = now.where;
        known.reply = std::move(now.reply);
        if (known.status == status::accepted) ++accepted;
    }
    if (!heard) {
        // The same recipients again; unless it was split they are those that are unsettled anyway.
        if (split) std::erase_if(asked, [&](auto i) { return !is_unsettled(all[i]); });
        if (split) rest.insert(rest.begin(), asked.begin(), asked.end());
    } else if (r != ruling::settled && r != ruling::over) {
        rest.clear();
    } else if (accepted > 0) {
        // RFC 5321 section 4.5.3.1.10: those beyond what the server takes at a time come at once, by themselves.
        places again;
        for (std::size_t i = 0; i < f.recipients.size(); ++i) {
            auto& known = all[index(i)];
            if (!too_many(known)) continue;
            known = {.address = std::move(known.address)};
            again.push_back(static_cast<std::uint32_t>(index(i)));
        }
        if (!again.empty()) limits.recipients = std::min(limits.recipients, accepted);
        rest.insert(rest.begin(), again.begin(), again.end());
    }
    split = !rest.empty() || (split && !heard);
    asked.clear();
}

}  // namespace postroad::engine
