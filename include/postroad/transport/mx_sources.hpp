#pragma once
// Which of our own addresses mail leaves from. See docs/providers.md.

#include <postroad/core/config.hpp>
#include <postroad/core/limits.hpp>
#include <postroad/message/address.hpp>
#include <postroad/net/dialing.hpp>
#include <postroad/net/wall_clock.hpp>
#include <postroad/transport/policy.hpp>
#include <postroad/transport/provider_rules.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postroad::transport {

/// What is new and sends little at first: a ceiling of messages a day to each provider, spread over the day.
struct warm_up {
    std::chrono::sys_days since = {};  ///< its first day, UTC
    /// On the first day, the second, and so on; behind the last there is no ceiling.
    std::vector<unsigned> per_day = {50, 100, 500, 1000, 5000, 10'000, 20'000, 40'000, 70'000, 100'000};

    POSTROAD_DECL rate pace(std::chrono::sys_days today) const noexcept;
    /// The same of a process that sends since `started`. A day has as many parts, of equal length, as messages go on
    /// it; in the part in which it started an earlier process may have sent one, so the pace begins with the next.
    POSTROAD_DECL rate pace(std::chrono::sys_days today, const net::moment& started) const noexcept;
};

/// A domain in From that is new.
struct mx_sender {
    std::string domain = {};  ///< "example.com"; "*": each that is not named, by itself
    transport::warm_up warm_up = {};
};

/// An address of this machine, or one of each family, that mail leaves from.
struct mx_source {
    /// Sites and providers of its mail are named "... from NAME"; limits count for each source.
    std::string name = {};
    /// What EHLO says: the name that its addresses have in the DNS. Empty: mx_options::client_name.
    std::string client_name = {};
    /// One of a family at most; a family without one is not used. With one of each, the second is for servers that have
    /// no address of the first's family.
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

/// A delivery keeps its source and family through its retries, also after a restart, since they depend on its sender,
/// its recipient and the server only: who greylists sees the same client come back. A source more or less moves as few
/// as can be.
class mx_sources {
public:
    mx_sources() = default;
    /// Throws error(errc::invalid_option) for sources without names or addresses, of equal names, with addresses that
    /// are none, bindings to groups that nobody is in, rules of `providers` for such groups, and where there is no
    /// source for all that is not bound; errc::invalid_host_name for a name that cannot be sent.
    mx_sources(std::vector<mx_source> all, std::vector<source_binding> bindings, const provider_rules& providers = {});

    bool empty() const noexcept { return all_.empty(); }
    const std::vector<mx_source>& all() const noexcept { return all_; }
    /// Null: there is none of that name.
    const mx_source* find(std::string_view name) const noexcept;
    /// At a provider with a rule for `group`, if it is not empty. A binding that names a tenant or a class goes before
    /// that rule, which goes before what is bound to the rest. Null: there are no sources; none with an address of
    /// that family.
    const mx_source* choose(const envelope& e, const address& to, const sender_facts& who, std::string_view group = {},
                            net::address_family family = net::address_family::any) const;
    /// Before its servers are known: the name of its source; behind it, with `or` between, the others that it may be,
    /// as these servers have no address of its family, or their provider has a rule for another group. Empty: there are
    /// no sources.
    std::string names(const envelope& e, const address& to, const sender_facts& who) const;
    /// Of such names that for these servers, whose provider has a rule for `group`. Null: it is the name of none.
    const mx_source* pick(std::string_view names, std::string_view group, const std::vector<endpoint>& servers) const;
    /// Whether it has an address of a family of theirs.
    static bool reaches(const mx_source& s, const std::vector<endpoint>& servers);
    /// The address of it that a server is connected from; all of them where none has a family of that server's.
    static std::vector<std::string> addresses_to(const mx_source& s, const endpoint& server);
    /// The location as it is from there.
    static void leave_from(const mx_source& s, location& where, std::chrono::sys_days today,
                           const net::moment& started);

    /// Between a domain and the name of its source.
    static constexpr std::string_view from = " from ";

private:
    static constexpr std::string_view or_ = " or ";

    std::vector<mx_source> all_;
    std::vector<source_binding> bindings_;
    std::vector<std::string> groups_;  // that rules of providers name
};

/// Domains in From that are new, and how much of their mail goes to each provider.
class mx_senders {
public:
    mx_senders() = default;
    /// Throws error(errc::invalid_option) for what is no domain, and one that is named twice.
    explicit mx_senders(const std::vector<mx_sender>& all);

    bool empty() const noexcept { return all_.empty(); }
    /// Null: it sends what it may. `domain` in A-labels and lower case.
    const transport::warm_up* find(std::string_view domain, std::chrono::sys_days today) const noexcept;
    /// The location as it is for that domain.
    static void send_for(std::string_view domain, rate pace, location& where);

    /// Between a place and the domain.
    static constexpr std::string_view behalf = " for ";

private:
    std::map<std::string, transport::warm_up, std::less<>> all_;
};

}  // namespace postroad::transport

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/transport/impl/mx_sources.ipp>
#endif
