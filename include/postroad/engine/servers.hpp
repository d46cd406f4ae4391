#pragma once
// The servers of one destination: which of them gets the next connection.

#include <postroad/core/clock.hpp>
#include <postroad/core/endpoint.hpp>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace postroad::engine {

struct server {
    endpoint at = {};
    time_point down_until = time_point::min();  ///< passed over while others are not
    long credit = 0;                            ///< smooth weighted round robin
    bool in_clear = false;                      ///< opportunistic, and its TLS failed
};

inline bool any_up(const std::vector<server>& all, time_point now) {
    return std::ranges::any_of(all, [now](const server& s) { return s.down_until <= now; });
}

/// The server for a new connection: of those that are not passed over the lowest preference, by weight within it.
inline std::size_t choose(std::vector<server>& all, time_point now) {
    const bool none_up = !any_up(all, now);
    const auto usable = [&](const server& s) { return none_up || s.down_until <= now; };
    unsigned preference = unsigned(-1);
    for (const auto& s : all)
        if (usable(s)) preference = std::min<unsigned>(preference, s.at.preference);
    long total = 0;
    std::size_t best = all.size();
    for (std::size_t i = 0; i < all.size(); ++i) {
        auto& s = all[i];
        if (!usable(s) || s.at.preference != preference) continue;
        const long weight = std::max<long>(s.at.weight, 1);
        s.credit += weight;
        total += weight;
        if (best == all.size() || s.credit > all[best].credit) best = i;
    }
    all[best].credit -= total;
    return best;
}

}  // namespace postroad::engine
