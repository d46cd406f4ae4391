#pragma once
// What a queueing policy may have beyond its concept: the one place with the contract and the default of each.

#include <postroad/queueing/division.hpp>
#include <postroad/queueing/policy.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace postroad::queueing {

template <class Q>
concept says_it_is_durable = requires {
    requires static_cast<bool>(Q::is_durable);
};
/// One or more of the six functions of operable.
template <class Q>
concept partly_operable = requires(Q q, const job_filter& which, std::size_t n, std::vector<job_info>& out,
                                   time_point now) {
    q.list(which, n, now, out);
}
|| requires(Q q, queue_counts& counts, time_point now) { q.count(now, counts); }
|| requires(Q q, const job_filter& which, time_point now) { q.retry_now(which, now); }
|| requires(Q q, const job_filter& which, time_point now) { q.hold(which, now); }
|| requires(Q q, job&& gone) { q.keep(std::move(gone), job_state::held); }
|| requires(Q q, const job_filter& which, time_point now) { q.drop(which, now); };

/// A member of one of these names that cannot be called so is an error, unless it is overloaded or a template.
template <class Q>
struct queueing_traits {
    static_assert(
        operable<Q> || !partly_operable<Q>,
        "postroad: the queueing policy has some of list, count, retry_now, hold, keep and drop, but not all as "
        "queueing::operable asks (docs/queueing.md)");
    static_assert(durable<Q> || !says_it_is_durable<Q> || (partly_operable<Q> && !operable<Q>),
                  "postroad: is_durable of the queueing policy is true, but it lacks something of queueing::durable "
                  "(docs/queueing.md)");
    static_assert(
        !requires { &Q::divide; } ||
            requires(Q q, job whole, std::vector<job> parts) {
                { q.divide(std::move(whole), std::move(parts)) } -> std::same_as<void>;
            },
        "postroad: the queueing policy's divide would never be called: void divide(job&&, std::vector<job>&&) "
        "(docs/queueing.md)");
    static_assert(
        !requires { &Q::take_all; } ||
            requires(Q q, const std::vector<job_id>& ids) {
                { q.take_all(ids) } -> std::same_as<std::vector<job>>;
            },
        "postroad: the queueing policy's take_all would never be called: std::vector<job> take_all(const "
        "std::vector<job_id>&) (docs/queueing.md)");
    static_assert(
        !requires { &Q::overdue; } ||
            requires(Q q, const std::vector<job_id>& ids) {
                { q.overdue(ids) } -> std::same_as<std::vector<job>>;
            },
        "postroad: the queueing policy's overdue would never be called: std::vector<job> overdue(const "
        "std::vector<job_id>&) (docs/queueing.md)");
    static_assert(
        !requires { &Q::revoked; } ||
            requires(Q q, std::vector<job_id>& out) {
                { q.revoked(out) } -> std::same_as<void>;
            },
        "postroad: the queueing policy's revoked would never be called: void revoked(std::vector<job_id>&) "
        "(docs/queueing.md)");
    static_assert(
        !requires { &Q::lost; } ||
            requires(Q q, std::vector<job_id>& out) {
                { q.lost(out) } -> std::same_as<void>;
            },
        "postroad: the queueing policy's lost would never be called: void lost(std::vector<job_id>&) "
        "(docs/queueing.md)");
    static_assert(
        !requires { &Q::leaves; } ||
            requires(Q q) {
                { q.leaves() } -> std::same_as<bool>;
            },
        "postroad: the queueing policy's leaves would never be called: bool leaves() (docs/queueing.md)");
    static_assert(
        !requires { &Q::left; } ||
            requires(Q q) {
                { q.left() } -> std::same_as<void>;
            },
        "postroad: the queueing policy's left would never be called: void left() (docs/queueing.md)");
    static_assert(
        !requires { &Q::storage_lost; } ||
            requires(const Q q) {
                { q.storage_lost() } -> std::same_as<std::string>;
            },
        "postroad: the queueing policy's storage_lost would never be called: std::string storage_lost() const "
        "(docs/queueing.md)");

    /// Whether it outlives the process.
    static constexpr bool lasts = durable<Q>;
    /// Whether messages can be divided: otherwise each goes whole to where its first recipient's domain is.
    static constexpr bool divides = requires(Q q, job whole, std::vector<job> parts, job_id id) {
        q.divide(std::move(whole), std::move(parts));
        { q.take_parts(id) } -> std::same_as<std::vector<job>>;
    };

    /// Whether lease() appends to a vector of pointers, too: to move a job takes longer than what the engine does to it
    /// on its way to a connection. The one that appends jobs is still asked for what is to be cancelled.
    static constexpr bool leases_pointers =
        requires(Q q, std::size_t n, time_point now, std::vector<std::unique_ptr<job>>& out) {
        q.lease(n, now, out);
    };

    /// In place of a leased job come its parts, all or none: by lease(), before what is fresh. part_of() makes them;
    /// their ids are the queue's to choose. Capacity is asked at the door, of messages: the parts of one are one until
    /// the last of them is over, for size() too. Who waits for the whole is told by what comes with the parts.
    static void divide(Q& q, job&& whole, std::vector<job>&& parts) {
        if constexpr (divides) q.divide(std::move(whole), std::move(parts));
    }
    /// Takes out all parts of a message that are not leased. take() knows the ids of parts, too.
    static std::vector<job> take_parts(Q& q, job_id whole) {
        if constexpr (divides)
            return q.take_parts(whole);
        else
            return {};
    }
    /// Takes out those of these jobs that are not leased, as take() does each; together where each alone would wait for
    /// a disk.
    static std::vector<job> take_all(Q& q, const std::vector<job_id>& ids) {
        if constexpr (requires { q.take_all(ids); }) {
            return q.take_all(ids);
        } else {
            std::vector<job> all;
            for (const auto id : ids)
                if (auto j = q.take(id)) all.push_back(*std::move(j));
            return all;
        }
    }
    /// Copies of those of these jobs, and of their parts, that wait, are not leased, and are given up next: a report
    /// about each is queued before take_all(), which may leave nothing of them.
    static std::vector<job> overdue(Q& q, const std::vector<job_id>& ids) {
        if constexpr (requires { q.overdue(ids); })
            return q.overdue(ids);
        else
            return {};
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
    /// Why nothing can be stored any more, such as that its file was deleted: whoever shuts down does not wait for it.
    /// Empty while all is well, or may be again.
    static std::string storage_lost(const Q& q) {
        if constexpr (requires { q.storage_lost(); })
            return q.storage_lost();
        else
            return {};
    }
};

}  // namespace postroad::queueing
