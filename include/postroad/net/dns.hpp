#pragma once
// Answers of the DNS as a sender of mail needs them, whoever looks them up. See docs/direct.md.

#include <postroad/core/clock.hpp>
#include <postroad/core/config.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postroad::net {

/// Types of records, with their numbers in the DNS.
enum class record_type : std::uint16_t {
    a = 1,
    cname = 5,
    ptr = 12,
    mx = 15,
    txt = 16,
    aaaa = 28,
    srv = 33,
    tlsa = 52
};

enum class dns_status : unsigned char {
    found,    ///< there are records
    no_data,  ///< the name exists, records of that type do not
    no_name,  ///< the name does not exist (NXDOMAIN)
    failed,   ///< nobody knows: SERVFAIL, a refusal, no answer in time, or a bogus one
};

/// What DNSSEC says of an answer, also of one that says that there is nothing (RFC 4033 section 5).
enum class dns_trust : unsigned char {
    insecure,  ///< nothing signed, or nobody looked
    secure,    ///< signed, and the chain of signatures is whole
    bogus,     ///< it should be signed, and is not as it should be: it is not used
};

/// What became of one question.
struct dns_answer {
    dns_status status = dns_status::failed;
    dns_trust trust = dns_trust::insecure;
    /// RDATA of each record, with names as a sequence of labels, not compressed (RFC 1035 section 3.3).
    std::vector<std::string> records = {};
    /// The name that has the records, where the one that was asked for is an alias (CNAME) of it; else empty.
    std::string canonical = {};
    /// How long it may be used: from now by its TTL, also for what there is not (RFC 2308).
    time_point valid_until = time_point::min();
    /// For people, where it failed.
    std::string why = {};
};

using dns_handler = std::function<void(dns_answer)>;

/// Looks names up. Follows aliases, within a limit of its own, and validates (RFC 4035) or says dns_trust::insecure.
template <class R>
concept dns_resolver = requires(R& r, const std::string& name, record_type type, dns_handler done) {
    // Asks for an absolute `name` in A-labels, without its last dot; no search list, no file of hosts. Calls `done`
    // once, on any thread, also from within, and in 30 s at most: a time-out is an answer that failed.
    { r.ask(name, type, std::move(done)) } -> std::same_as<void>;
};

/// One server of a domain (RFC 1035 section 3.3.9).
struct mx_record {
    std::uint16_t preference = 0;
    std::string host = {};  ///< lower case, without the last dot; empty: the root, "takes no mail" (RFC 7505)
    // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy takes its zero for a pointer
    friend auto operator<=>(const mx_record&, const mx_record&) = default;
};

/// One server of a service (RFC 2782).
struct srv_record {
    std::uint16_t priority = 0;  ///< the lowest goes first
    std::uint16_t weight = 0;
    std::uint16_t port = 0;
    std::string host = {};  ///< as in mx_record; empty: the service is not there
    // NOLINTNEXTLINE(modernize-use-nullptr): as above
    friend auto operator<=>(const srv_record&, const srv_record&) = default;
};

/// Whether a name is that of the domain or of something below it, both in the same case and without the last dot.
inline bool is_within(std::string_view name, std::string_view domain) noexcept {
    if (name.size() <= domain.size()) return name == domain;
    return name.ends_with(domain) && name[name.size() - domain.size() - 1] == '.';
}

/// RDATA read strictly: nothing for what is cut, too long, or holds a name that is no host name.
POSTROAD_DECL std::optional<mx_record> read_mx(std::string_view rdata);
POSTROAD_DECL std::optional<srv_record> read_srv(std::string_view rdata);
/// The name in a PTR record, lower case, without the last dot; nothing for what is no host name.
POSTROAD_DECL std::optional<std::string> read_name(std::string_view rdata);
/// The text of the address, of 4 or 16 octets.
POSTROAD_DECL std::optional<std::string> read_address(std::string_view rdata);
/// The strings joined, as SPF, DKIM and MTA-STS want it.
POSTROAD_DECL std::optional<std::string> read_txt(std::string_view rdata);

/// A name of at most 253 octets, as labels; nothing for what is no host name ("_" is taken). What read_mx() reads.
POSTROAD_DECL std::optional<std::string> to_labels(std::string_view name);

/// Where the name of an address is: "1.2.0.192.in-addr.arpa". Empty for what is no address.
POSTROAD_DECL std::string reverse_name(std::string_view address);

/// Whether strangers may send us there: not to this machine, to a private or local network, to many at once, or to what
/// stands for one of these in IPv6. `address` is the text of one; what is none is not public.
POSTROAD_DECL bool is_public(std::string_view address);

}  // namespace postroad::net

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/net/impl/dns.ipp>
#endif
