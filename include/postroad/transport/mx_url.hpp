#pragma once
// A sender that needs no relay in one line: mx://out1.example.com?resolver=127.0.0.1. See docs/direct.md.

#include <postroad/core/config.hpp>
#include <postroad/transport/mx_transport.hpp>
#include <postroad/transport/url.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace postroad::transport {

/// The options that a URL of mx:// may carry behind "?":
/// `anchors` = a file of DS or DNSKEY records to trust; `cache` = a folder in which policies of MTA-STS are kept;
/// `dane`, `dnssec`, `mta_sts` = on or off: whether TLSA records are obeyed, answers are validated, policies are
/// looked for; `family` = any, ipv4 or ipv6; `own` = further names and addresses of this host, with commas;
/// `private_addresses` = true: mail may go to this machine and to private networks; `processes` = how many send with
/// these rules, 1 to max_url_processes, as mx_options::processes; `resolver` = addresses of who is asked instead of the
/// servers of the DNS, "192.0.2.1" or "192.0.2.1@5353", with commas; `rules` = a file of rules for providers, and of
/// sources; `tls` = opportunistic, or required, as mx_options::floor. As for a server: `ca`, `connections` or `pool`,
/// `local`, `pipelining`, `recipients`, `window`.
inline constexpr std::string_view mx_url_option_names[] = {
    "anchors", "ca",         "cache", "connections",       "dane",      "dnssec",     "family",   "local", "mta_sts",
    "own",     "pipelining", "pool",  "private_addresses", "processes", "recipients", "resolver", "rules", "tls",
    "window"};

/// What such a URL says.
struct mx_url {
    mx_options options = {};                  ///< without policies
    std::vector<std::string> resolvers = {};  ///< net::unbound_options::forward_to
    bool validate = true;                     ///< net::unbound_options::validate
    std::string anchors_file = {};            ///< net::unbound_options::anchors_file
    bool mta_sts = true;                      ///< whether policies are looked for
    std::string cache = {};                   ///< a folder; empty: in memory only
    std::string rules = {};                   ///< a file for obey(read_rules(file), options), which is a component
    url_options others = {};                  ///< of other axes: `ca`, `connections`
};

/// Whether it is one of mx://, in any case.
POSTROAD_DECL bool is_mx_url(std::string_view url) noexcept;
/// mx://NAME or mx://NAME:PORT: the name that EHLO says, a domain or an address; the port of the servers, which is for
/// tests. Throws `error`, as parse_url() does.
POSTROAD_DECL mx_url parse_mx_url(std::string_view url);

}  // namespace postroad::transport

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/transport/impl/mx_url.ipp>
#endif
