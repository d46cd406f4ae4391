#pragma once
// May an address send for a domain? Sender Policy Framework (RFC 7208), evaluated as a receiving server does. For
// diagnosis: postroad receives no mail.

#include <postroad/core/config.hpp>
#include <postroad/net/dns.hpp>

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace postroad::transport {

/// Asks the DNS and waits for the answer.
using dns_lookup = std::function<net::dns_answer(const std::string& name, net::record_type type)>;

/// RFC 7208 section 2.6.
enum class spf_result : unsigned char { none, neutral, pass, fail, soft_fail, temporary_error, permanent_error };

POSTROAD_DECL std::string_view to_string(spf_result r) noexcept;

struct spf_question {
    std::string address = {};  ///< of IPv4 or IPv6, that mail comes from
    std::string domain = {};   ///< of the reverse path, or the name in EHLO where that is null; A-labels
    std::string sender = {};   ///< the reverse path; empty: postmaster@domain
    std::string hello = {};    ///< the name in EHLO
};

struct spf_answer {
    spf_result result = spf_result::none;
    std::string record = {};  ///< that of the domain
    std::string why = {};     ///< for people: the term that decided, or what is wrong
    std::size_t lookups = 0;  ///< terms that asked the DNS, of max_spf_lookups
};

/// Terms of a record and of those that it includes that may ask the DNS, and answers with nothing that are borne (RFC
/// 7208 section 4.6.4).
inline constexpr std::size_t max_spf_lookups = 10;
inline constexpr std::size_t max_void_lookups = 2;

/// Calls `ask` for each question, at most some hundred times.
POSTROAD_DECL spf_answer check_spf(const spf_question& q, const dns_lookup& ask);

}  // namespace postroad::transport

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/transport/impl/spf.ipp>
#endif
