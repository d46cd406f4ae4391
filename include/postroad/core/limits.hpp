#pragma once
// How much somebody bears.

#include <postroad/core/clock.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace postroad {

/// So many messages in a time, such as `{50, std::chrono::seconds(1)}`. The default is any number.
struct rate {
    unsigned messages = 0;  ///< 0: any number
    duration per = std::chrono::seconds(1);
    /// None before: what an earlier process sent is not known, and may have used up all until then.
    time_point begins = time_point::min();

    bool limited() const noexcept { return messages > 0 && per > duration::zero(); }
    /// From one message to the next: rounded up, so that the rate is never exceeded; zero: not limited.
    duration interval() const noexcept {
        if (!limited()) return duration::zero();
        const auto n = static_cast<duration::rep>(messages);
        return duration(per.count() / n + (per.count() % n != 0 ? 1 : 0));
    }
    /// So many messages take so long.
    duration time_of(std::size_t n) const noexcept {
        const auto count = static_cast<duration::rep>(n);
        return n > 0 && interval() > duration::max() / count ? duration::max() : interval() * count;
    }
    friend bool operator==(const rate&, const rate&) = default;
};

/// The one that leaves the longer time between messages; it begins when both have.
inline rate slower(rate a, rate b) noexcept {
    auto both = a.interval() >= b.interval() ? a : b;
    both.begins = std::max(a.begins, b.begins);
    return both;
}

/// What all servers of a provider together bear. 0: nobody said so.
struct limits {
    std::uint32_t connections = 0;              ///< at a time
    std::uint32_t messages_per_connection = 0;  ///< after which it is closed
    rate pace = {};

    friend bool operator==(const limits&, const limits&) = default;
};

/// What each of several processes may do that send side by side, so that all together keep to `all`; of connections
/// each has one at least.
constexpr limits part_of(limits all, unsigned processes) noexcept {
    if (all.connections > 0) all.connections = std::max(all.connections / processes, 1u);
    all.pace.per = all.pace.per > duration::max() / processes ? duration::max() : all.pace.per * processes;
    return all;
}

/// `own`, or less where `said` is less; 0 in either: nobody said so.
constexpr std::size_t least_said(std::size_t own, std::size_t said) noexcept {
    return own == 0 || said == 0 ? std::max(own, said) : std::min(own, said);
}

}  // namespace postroad
