#pragma once
// What a queueing policy may have beyond its concept: the one place with the contract and the default of each.

#include <postroad/queueing/policy.hpp>

#include <utility>
#include <vector>

namespace postroad::queueing {

template <class Q>
struct queueing_traits {
    /// Whether it outlives the process.
    static constexpr bool lasts = durable<Q>;
    /// Whether messages can be divided: otherwise each goes whole to where its first recipient's domain is.
    static constexpr bool divides = requires(Q q, job whole, std::vector<job> parts) {
        q.divide(std::move(whole), std::move(parts));
    };

    /// In place of a leased job come its parts, all or none: by lease(), before what is fresh. Capacity is not asked.
    static void divide(Q& q, job&& whole, std::vector<job>&& parts) {
        if constexpr (divides) q.divide(std::move(whole), std::move(parts));
    }
    /// Appends jobs that another process took out before their mark was stored.
    static void revoked(Q& q, std::vector<job_id>& out) {
        if constexpr (requires { q.revoked(out); }) q.revoked(out);
    }
    /// Appends leased jobs without a mark that are not this process's any more, such as when the connection to a broker
    /// broke. They come to release(), and may be given out again.
    static void lost(Q& q, std::vector<job_id>& out) {
        if constexpr (requires { q.lost(out); }) q.lost(out);
    }
    /// True once when the last job of some destinations went to another process, which is to find no connection of ours
    /// there. left() answers when those that had nothing to do are closed.
    static bool leaves(Q& q) {
        if constexpr (requires { q.leaves(); })
            return q.leaves();
        else
            return false;
    }
    static void left(Q& q) {
        if constexpr (requires { q.left(); }) q.left();
    }
};

}  // namespace postroad::queueing
