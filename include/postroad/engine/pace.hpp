#pragma once
// How far messages go ahead of the replies to others at one server, with pipelining::automatic: what it has shown so
// far. No I/O and no clock.

#include <postroad/core/clock.hpp>
#include <postroad/pooling/policy.hpp>
#include <postroad/smtp/families.hpp>
#include <postroad/smtp/session.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>

namespace postroad::engine {

/// What waits for a connection that has something under way.
enum class demand : unsigned char {
    none,  ///< nothing that an idle connection would not take
    some,
    bulk,  ///< much, or what may wait: so that it pays, and a message that is refused costs little
};

/// More than so many that wait for one site are bulk; so is all of a class above 0.
inline constexpr std::size_t bulk_waiting = 32;
/// A window is tried on one connection, until so many messages were taken in it.
inline constexpr unsigned enough_in_window = 16;
/// After a connection failed with several messages in flight nothing goes ahead for so long, twice as long each further
/// time, up to longest_alone.
inline constexpr duration first_alone = std::chrono::minutes(1);
inline constexpr duration longest_alone = std::chrono::hours(24);

class pace {
public:
    /// What a greeting says; the last one counts.
    void met(const smtp::family* f) noexcept { family_ = f ? f : &smtp::unknown_family; }
    /// How far the next message on that connection may go.
    smtp::pipelining allowed(pooling::connection_id c, demand d, time_point now) noexcept {
        if (d == demand::none || now < alone_until_ || taken_ < family_->before_across)
            return smtp::pipelining::envelope;
        if (d == demand::some || taken_ < family_->before_window) return smtp::pipelining::across;
        if (windowed_ >= enough_in_window) return smtp::pipelining::window;
        if (pioneer_ == 0) pioneer_ = c;
        return pioneer_ == c ? smtp::pipelining::window : smtp::pipelining::across;
    }
    /// A message was taken; `by` the mode, with others in flight behind it.
    void took(smtp::pipelining by) noexcept {
        if (taken_ + 1 < smtp::family::never) ++taken_;
        if (by != smtp::pipelining::window || windowed_ == enough_in_window) return;
        // What broke long ago makes the next pause no longer once a window has proved itself.
        if (++windowed_ == enough_in_window) alone_ = duration::zero();
    }
    /// A connection failed with several in flight, if only by 421: from the beginning, after a while.
    void broke(time_point now) noexcept {
        taken_ = windowed_ = 0;
        // What several connections say at a time is said once.
        if (now >= alone_until_) alone_ = std::clamp(alone_ * 2, first_alone, longest_alone);
        alone_until_ = after(now, alone_);
    }
    void gone(pooling::connection_id c) noexcept {
        if (pioneer_ == c) pioneer_ = 0;
    }

private:
    const smtp::family* family_ = &smtp::unknown_family;
    unsigned taken_ = 0;     // messages, since it broke last
    unsigned windowed_ = 0;  // of them, in a window
    pooling::connection_id pioneer_ = 0;
    duration alone_ = duration::zero();
    time_point alone_until_ = time_point::min();
};

}  // namespace postroad::engine
