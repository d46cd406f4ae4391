#pragma once
// One connection of a mailer: the session, and the wire if it needs one, behind one face.

#include <postroad/core/clock.hpp>
#include <postroad/core/observer.hpp>
#include <postroad/core/thrown.hpp>
#include <postroad/net/connection.hpp>
#include <postroad/pooling/policy.hpp>
#include <postroad/smtp/session.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace postroad::engine {

/// What carriers have in common.
struct carried {
    pooling::connection_id id = 0;
    std::size_t came = 0;  ///< transactions, in all
    bool waits = false;    ///< to be looked at: its session may have events, or something to write
    bool went = false;     ///< in this turn
    bool over = false;     ///< the dispatcher knows that it is closed
};

/// A connection, and the name under which the dispatcher knows it.
template <class Owner>
struct wired_carrier : carried {
    using session_type = typename Owner::session_type;
    using wire = net::connection<session_type, typename Owner::engine_type, wired_carrier>;

    Owner* owner = nullptr;
    std::shared_ptr<wire> connection = {};

    void touched(wire&, time_point now) { owner->touched(*this, now); }
    void ended(wire&) { owner->remove(*this); }
    void found(const std::vector<std::string>& addresses) {
        if (!owner->is_observed()) return;
        std::string all;
        for (const auto& a : addresses) (all += all.empty() ? "" : ", ") += a;
        owner->note({.what = observed::resolved, .connection = id, .where = phase::resolve, .text = all});
    }
    void reached(const std::string& address) {
        if (owner->is_observed())
            owner->note({.what = observed::connected, .connection = id, .where = phase::connect, .text = address});
    }

    session_type& session() { return connection->session(); }
    void submit(smtp::transaction&& t, time_point now) { session().submit(std::move(t), now); }
    void settled(std::uint64_t) {}
    bool flush(time_point now) { return connection->flush(now); }
    void go_on() { connection->go_on(); }
    /// What was under way ends; its events are still to be taken.
    void end(const failure& why, time_point now) { session().closed(why.code, why.details.explanation, now); }
    /// Closes the socket.
    void drop() {
        if (connection) connection->abandon();
    }
    std::vector<smtp::finished> broken(const failure&) { return {}; }
};

/// A session that needs no wire: what it is given ends at once, or whenever the session says so.
template <class Owner>
struct local_carrier : carried {
    using session_type = typename Owner::session_type;

    std::optional<session_type> here = {};
    std::vector<std::pair<std::uint64_t, std::size_t>> given = {};  // transactions, and how many recipients they have

    session_type& session() { return *here; }
    void submit(smtp::transaction&& t, time_point now) {
        given.emplace_back(t.id, t.size());
        session().submit(std::move(t), now);
    }
    void settled(std::uint64_t transaction) {
        std::erase_if(given, [&](const auto& g) { return g.first == transaction; });
    }
    bool flush(time_point) { return false; }
    void go_on() {}
    void drop() {}
    /// What it was given and did not end is in doubt.
    std::vector<smtp::finished> broken(const failure& why) {
        std::vector<smtp::finished> all;
        for (const auto& [transaction, n] : std::exchange(given, {}))
            all.push_back({transaction,
                           why.code,
                           why.details,
                           {n, recipient_outcome{.status = status::in_doubt, .where = phase::content}}});
        return all;
    }
};

}  // namespace postroad::engine
