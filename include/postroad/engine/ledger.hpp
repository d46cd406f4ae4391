#pragma once
// What the parts of a dispatcher have in common: what they hold, what they want, and who watches. No I/O and no clock.

#include <postroad/core/config.hpp>
#include <postroad/core/observer.hpp>
#include <postroad/core/ring.hpp>
#include <postroad/engine/actions.hpp>
#include <postroad/engine/connections.hpp>
#include <postroad/engine/deliveries.hpp>
#include <postroad/engine/domains.hpp>
#include <postroad/engine/reporting.hpp>
#include <postroad/engine/sites.hpp>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace postroad::engine {

/// A policy that threw when it was asked is not asked again for so long.
inline constexpr duration pause_after_throw = std::chrono::seconds(1);

struct ledger {
    /// `lasts`: the queue does.
    explicit ledger(bool lasts) noexcept : sites(lasts), domains(lasts) {}

    engine::deliveries deliveries = {};
    engine::connections connections = {};
    engine::sites sites;
    engine::domains domains;
    ring<action> actions = {};
    /// Nothing new is begun.
    bool draining = false;
    /// Names of places, of domains, sites or providers.
    std::set<std::string, std::less<>> paused = {};
    /// Is told of decisions; null: nobody is. To be asked for before a text is made.
    observer* watcher = nullptr;
    /// Senders are told by reports; empty: they are not.
    reporter report = {};

    /// Whether that is the name of the domain, of its site or of its provider.
    static bool is_at(const domain& d, std::string_view name) {
        return d.name == name || (d.at && (d.at->name == name || d.at->provider_name == name));
    }
    bool is_paused(const domain& d) const {
        if (paused.empty()) return false;
        return paused.contains(d.name) ||
               (d.at && (paused.contains(d.at->name) || paused.contains(d.at->provider_name)));
    }
    POSTROAD_DECL void decided(time_point now, connection_id connection, job_id message, std::string_view text) const;
    /// What a policy threw, where that is about no message. Asks for the watcher itself.
    POSTROAD_DECL void policy_failed(const std::string& text, time_point now) const;
    /// It waits for another attempt, or is late.
    POSTROAD_DECL void note_retry(const job& j, observed what, time_point now) const;
    /// Gives out all that is held, and holds nothing. What was under way is in doubt.
    POSTROAD_DECL std::vector<std::unique_ptr<job>> surrender();
};

}  // namespace postroad::engine

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/engine/impl/ledger.ipp>
#endif
