#pragma once
// Where a domain wants to hear how TLS with its servers went (RFC 8460 section 3): its record, read strictly.

#include <postroad/core/config.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace postroad::net {

/// Where reports go.
struct tls_rpt_record {
    /// Addresses, UTF-8 or ASCII; what `mailto:` says beside the address is left out.
    std::vector<std::string> mail = {};
    /// URLs, `https://`.
    std::vector<std::string> https = {};
    friend bool operator==(const tls_rpt_record&, const tls_rpt_record&) = default;
};

/// Places of a record that are heeded; those beyond are left out, as are those of other schemes.
inline constexpr std::size_t max_tls_rpt_places = 10;

/// The one record of "_smtp._tls.DOMAIN" among `texts`, its TXT records. None: the domain wants no reports; so, too,
/// where there are two, where it is malformed, and where it names no place that can be used.
POSTROAD_DECL std::optional<tls_rpt_record> read_tls_rpt_record(const std::vector<std::string>& texts);

}  // namespace postroad::net

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/net/impl/tls_rpt.ipp>
#endif
