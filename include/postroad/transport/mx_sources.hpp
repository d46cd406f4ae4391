#pragma once
// Which of our own addresses mail leaves from. See docs/providers.md.

#include <postroad/core/config.hpp>
#include <postroad/core/limits.hpp>
#include <postroad/message/address.hpp>
#include <postroad/net/dialing.hpp>
#include <postroad/transport/policy.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postroad::transport {

/// A new address that sends little at first: a ceiling of messages a day to each provider, spread over the day.
struct warm_up {
    std::chrono::sys_days since = {};  ///< its first day, UTC
    /// On the first day, the second, and so on; behind the last there is no ceiling.
    std::vector<unsigned> per_day = {50, 100, 500, 1000, 5000, 10'000, 20'000, 40'000, 70'000, 100'000};

    POSTROAD_DECL rate pace(std::chrono::sys_days today) const noexcept;
};

/// An address of this machine, or one of each family, that mail leaves from.
struct mx_source {
    /// Sites and providers of its mail are named "... from NAME"; limits count for each source.
    std::string name = {};
    /// What EHLO says: the name that its addresses have in the DNS. Empty: mx_options::client_name.
    std::string client_name = {};
    /// One of a family at most; a family without one is not used.
    std::vector<std::string> addresses = {};
    /// Sources of one group share what is bound to it. Empty: what is bound to none.
    std::string group = {};
    std::optional<transport::warm_up> warm_up = {};
};

/// What leaves from the sources of a group.
struct source_binding {
    std::string tenant = {};                         ///< empty: of any
    std::optional<std::uint8_t> traffic_class = {};  ///< none: of any
    std::string group = {};
};

/// A delivery keeps its source through its retries, also after a restart, since it depends on its sender and recipient
/// only: who greylists sees the same client come back. A source more or less moves as few as can be.
class mx_sources {
public:
    mx_sources() = default;
    /// Throws error(errc::invalid_option) for sources without names or addresses, of equal names, with addresses that
    /// are none, bindings to groups that nobody is in, and where there is no source for all that is not bound;
    /// errc::invalid_host_name for a name that cannot be sent.
    mx_sources(std::vector<mx_source> all, std::vector<source_binding> bindings);

    bool empty() const noexcept { return all_.empty(); }
    const std::vector<mx_source>& all() const noexcept { return all_; }
    /// Null: there is none of that name.
    const mx_source* find(std::string_view name) const noexcept;
    /// Null: there are no sources.
    const mx_source* choose(const envelope& e, const address& to, const sender_facts& who) const;
    /// The location as it is from there.
    static void leave_from(const mx_source& s, location& where, std::chrono::sys_days today);

    /// Between a domain and the name of its source.
    static constexpr std::string_view from = " from ";

private:
    std::vector<mx_source> all_;
    std::vector<source_binding> bindings_;
};

}  // namespace postroad::transport

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/transport/impl/mx_sources.ipp>
#endif
