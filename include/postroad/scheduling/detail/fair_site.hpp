#pragma once
// The connections of one site that have a turn, and how much they may send.

#include <postroad/core/clock.hpp>
#include <postroad/pooling/policy.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <utility>

namespace postroad::scheduling::detail {

struct fair_site {
    /// Where connections are open and got nothing to do for so long, though messages wait, there may be another.
    static constexpr duration hanging = std::chrono::seconds(2);

    pooling::host_id provider = 0;
    pooling::host_id stream = 0;
    bool waits_for_stream = false;         // stands in its line
    std::size_t busy = 0;                  // connections that have a turn
    std::size_t opening = 0;               // of them those that are not known to be open
    std::size_t granted = 0;               // messages that they may still take
    time_point moved = time_point::min();  // when one of them last opened or got something to do
    bool begun = false;                    // a turn just began: what comes next says whether it opens a connection
    bool held = false;
    time_point rings_at = never;

    /// A connection has its turn, for so many messages.
    void begin(std::size_t messages, time_point now) noexcept {
        ++busy;
        ++opening;
        granted += messages;
        begun = true;
        moved = now;
    }
    /// One has ended its turn; the others have not been granted more than a turn's `messages` each.
    void end(std::size_t messages) noexcept {
        --busy;
        if (std::exchange(begun, false)) --opening;
        opening = std::min(opening, busy);
        granted = std::min(granted, busy * messages);
    }
    /// A message goes to a connection, which is open then.
    void take(time_point now) noexcept {
        --granted;
        if (std::exchange(begun, false)) --opening;
        moved = now;
    }
    /// One that was being opened is open, or failed to.
    void opened(time_point now) noexcept {
        if (opening > 0) --opening;
        begun = false;
        moved = now;
    }
    /// What is being opened for a message is on its way, however long it takes.
    time_point hangs_at() const noexcept { return opening > 0 ? never : after(moved, hanging); }
    /// Whether there may be a turn, of `live` messages that wait: more than have been granted, or connections hang.
    bool can_start(std::size_t live, time_point now) const noexcept {
        return !held && (live > granted || (live > 0 && hangs_at() <= now));
    }
};

}  // namespace postroad::scheduling::detail
