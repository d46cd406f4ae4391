#pragma once
// Where the users of a domain submit their mail, as its DNS says. See docs/troubleshooting.md.

#include <postroad/core/endpoint.hpp>
#include <postroad/transport/spf.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace postroad {

/// What find_submission() found.
struct submission_search {
    /// In the order to try them: by their priority and weight, those with TLS from the first octet first.
    std::vector<endpoint> servers = {};
    /// Where there are none, for people: why.
    std::string why = {};
};

/// Asks for the SRV records of `_submissions._tcp` (RFC 8314 section 5.1) and `_submission._tcp` (RFC 6186) at
/// `domain`, in A-labels. An answer without DNSSEC may be made up, and a certificate shows only that a server is what
/// the answer calls it: so it counts for hosts of the domain alone. Hosts elsewhere are for a person to confirm (RFC
/// 6186 section 4), by giving their URL. At most `max_submission_servers` are kept.
POSTROAD_DECL submission_search find_submission(const std::string& domain, const transport::dns_lookup& ask);

inline constexpr std::size_t max_submission_servers = 8;

/// submission_url(address) for a domain in the table of services; for another one what find_submission() finds, as a
/// URL whose `backup` has the other servers. Blocks while `ask` does. Throws `error` with errc::invalid_url where there
/// is none.
POSTROAD_DECL std::string submission_url(std::string_view address_or_url, const transport::dns_lookup& ask);

}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/impl/submission.ipp>
#endif
