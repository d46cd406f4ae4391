#pragma once

#include <postroad/engine/ledger.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace postroad::engine {

POSTROAD_DECL void ledger::decided(time_point now, connection_id connection, job_id message,
                                   std::string_view text) const {
    watcher->on({.what = observed::decision,
                 .time = now,
                 .connection = connection,
                 .message = message,
                 .where = phase::queued,
                 .text = text});
}

POSTROAD_DECL void ledger::policy_failed(const std::string& text, time_point now) const {
    if (watcher) decided(now, 0, 0, "a policy failed: " + text);
}

POSTROAD_DECL void ledger::note_retry(const job& j, observed what, time_point now) const {
    auto why = j.error ? describe(j.error, j.result.details) : std::string();
    const auto& all = j.result.recipients;
    const auto r = std::ranges::find_if(all, is_unsettled);
    if (why.empty() && r != all.end()) why = to_string(r->reply);
    watcher->on({.what = what,
                 .time = now,
                 .message = j.id,
                 .server = j.result.details.host,
                 .where = phase::queued,
                 .text = why,
                 .took = j.due - now,
                 .error = j.error});
}

POSTROAD_DECL std::vector<std::unique_ptr<job>> ledger::surrender() {
    std::vector<std::unique_ptr<job>> all;
    deliveries.each([&](delivery& d) {
        if (!d.what) return;
        name_recipients(*d.what);
        auto& to = d.what->result.recipients;
        const auto& asked = d.attempt.asked;
        for (std::size_t i = 0; d.is_under_way() && i < d.attempt.size(d.what->result); ++i)
            if (auto& r = to[asked.empty() ? i : asked[i]]; is_unsettled(r)) r.status = status::in_doubt;
        all.push_back(std::move(d.what));
    });
    deliveries = {};
    connections = {};
    return all;
}

}  // namespace postroad::engine
