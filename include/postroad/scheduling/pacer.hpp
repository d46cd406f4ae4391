#pragma once
// How many messages go out in a time: a part of schedulers. See docs/scheduling.md.

#include <postroad/core/clock.hpp>
#include <postroad/core/limits.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>

namespace postroad::scheduling {

using postroad::rate;

/// A part that paces. Its state is for one destination, tenant or mailer; a new one has sent nothing.
template <class P>
concept pacer_part = std::movable<P> && std::default_initializable<typename P::state> &&
    requires(const P c, typename P::state s, const typename P::state cs, rate r, time_point now) {
    // When the next message may go, not before rate::begins; in the past if it may go now.
    { c.ready_at(cs, r) } -> std::same_as<time_point>;
    // One goes now; called only once ready_at() has passed.
    { c.reserve(s, r, now) } -> std::same_as<void>;
    // From when on it is as good as new.
    { c.forget_at(cs) } -> std::same_as<time_point>;
};

/// The generic cell rate algorithm: even spacing, with a few messages ahead of it. Over any time T, no more than
/// `T * rate + ahead` messages are sent.
struct pacer {
    /// Messages that may go at once after a pause; at least 1.
    unsigned ahead = 1;

    struct state {
        time_point empty_at = time_point::min();  // when what was sent has been paid for
    };

    time_point ready_at(const state& s, rate r) const noexcept {
        if (!r.limited()) return time_point::min();
        if (s.empty_at == time_point::min()) return r.begins;
        return std::max(r.begins, after(s.empty_at, -credit(r)));
    }
    time_point forget_at(const state& s) const noexcept { return s.empty_at; }
    void reserve(state& s, rate r, time_point now) const noexcept {
        if (r.limited()) s.empty_at = after(std::max({s.empty_at, now, after(r.begins, credit(r))}), r.interval());
    }

private:
    // What may go ahead is earned from the beginning on.
    duration credit(rate r) const noexcept { return r.time_of(std::max(ahead, 1u) - 1); }
};

static_assert(pacer_part<pacer>);

}  // namespace postroad::scheduling
