#pragma once
// A new connection for each message: the simplest pool. See docs/pooling.md.

#include <postroad/pooling/policy.hpp>

#include <cstddef>
#include <set>

namespace postroad::pooling {

struct one_shot {
    using axis = postroad::axis::pooling;

    /// Most connections open at a time, those being opened included.
    std::size_t max_connections = 4;

    decision acquire(host_id, time_point) const noexcept {
        return {open_ < max_connections ? advice::open : advice::wait};
    }
    void opening(connection_id, host_id) noexcept { ++open_; }
    fate carried(connection_id) const noexcept { return fate::close; }
    fate released(connection_id, time_point) const noexcept { return fate::close; }
    void refused(connection_id, time_point) const noexcept {}
    void draining(connection_id id) {
        if (draining_.insert(id).second) --open_;
    }
    void closed(connection_id id) {
        if (draining_.erase(id) == 0) --open_;
    }
    std::optional<connection_id> expire(time_point) const noexcept { return std::nullopt; }
    time_point wakeup() const noexcept { return never; }

    std::size_t open_ = 0;                   ///< internal: without those that
    std::set<connection_id> draining_ = {};  ///< internal
};

static_assert(pooling_policy<one_shot>);

}  // namespace postroad::pooling
