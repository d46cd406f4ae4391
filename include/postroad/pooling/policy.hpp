#pragma once
// The pooling axis: which connection carries a message? See docs/pooling.md.

#include <postroad/core/axis.hpp>
#include <postroad/core/clock.hpp>
#include <postroad/core/limits.hpp>

#include <concepts>
#include <cstdint>
#include <optional>

namespace postroad::pooling {

using host_id = std::uint32_t;        ///< of a site or a provider; never used twice, and no index
using connection_id = std::uint64_t;  ///< never used twice

/// Where deliveries go. Connections and lines belong to a site: its servers are interchangeable. Limits belong to a
/// provider: sites that share them. Mostly a site is its own provider.
struct place {
    host_id site = 0;
    host_id provider = 0;
    /// What the provider bears, as the transport says; the policies' own limits and what they learn stay below.
    postroad::limits limits = {};
    /// A part of a provider's mail with a pace of its own, as transport::location says; 0: none.
    host_id stream = 0;
    rate stream_pace = {};
    /// A server of it has answered to a message since the last that failed.
    bool works = true;

    constexpr place() = default;
    constexpr place(host_id site_and_provider) : site(site_and_provider), provider(site_and_provider) {}
    constexpr place(host_id s, host_id p, const postroad::limits& l = {}) : site(s), provider(p), limits(l) {}
    constexpr operator host_id() const noexcept { return site; }
};

/// What to do for a destination that has something to send.
enum class advice : unsigned char {
    reuse,        ///< take the idle connection `which`; it is busy now
    open,         ///< open one, and say so by opening()
    evict,        ///< close the idle connection `which`, of another destination; once it is gone, one is opened
    wait,         ///< the limit over all destinations is reached: something ends or becomes idle first
    wait_here,    ///< the limit of this destination is reached: one of its connections moves on first, or time passes
    wait_to_try,  ///< connections to destinations that say nothing take their part of the limit: one of those first
};

struct decision {
    advice what = advice::wait;
    connection_id which = 0;
    friend bool operator==(const decision&, const decision&) = default;
};

/// What becomes of a connection that has nothing to do.
enum class fate : unsigned char { keep, close };

/// A policy of the pooling axis. It counts connections and decides; it never touches one.
template <class P>
concept pooling_policy = std::movable<P> && requires(P p, const P c, place h, connection_id id, time_point now) {
    // Which connection the next message to `h` takes.
    { p.acquire(h, now) } -> std::same_as<decision>;
    // `id` is being opened for `h`: it counts from now on, and it is busy.
    { p.opening(id, h) } -> std::same_as<void>;
    // `id` was given a message. The answer is `close` if it must not be given another.
    { p.carried(id) } -> std::same_as<fate>;
    // `id` has nothing to do: keep it idle, or close it.
    { p.released(id, now) } -> std::same_as<fate>;
    // `id` could not be opened while others to `h` work: the server wants fewer.
    { p.refused(id, now) } -> std::same_as<void>;
    // `id` is gone.
    { p.closed(id) } -> std::same_as<void>;
    // (optional) p.found_dead(id, now): `id` broke when it was used again, before the server said anything.
    // (optional) p.hung_up(id, now): the server ends `id`, which was idle, or by 421 in place of the next message.
    // An idle connection that has been kept long enough; it is to be closed. Called until there is none.
    { p.expire(now) } -> std::same_as<std::optional<connection_id>>;
    // When expire() or acquire() has a new answer though nothing happened; `never` if so.
    { c.wakeup() } -> std::same_as<time_point>;
} && std::same_as<typename P::axis, axis::pooling>;

}  // namespace postroad::pooling
