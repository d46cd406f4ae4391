#pragma once
// Is a server the one that its domain's TLSA records describe? RFC 7671 and RFC 7672, apart from any engine.

#include <postroad/core/config.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace postroad::tls {

/// One TLSA record (RFC 6698 section 2.1).
struct tlsa {
    unsigned usage = 0;     ///< 2: a CA that the domain names, 3: the server's own certificate or key
    unsigned selector = 0;  ///< 0: the certificate, 1: its public key
    unsigned matching = 0;  ///< 0: as it is, 1: its SHA-256, 2: its SHA-512
    std::string_view data = {};
};
/// For people: "3 1 1 8755cd52...", the first octets of the data.
POSTROAD_DECL std::string to_string(const tlsa& t);

/// The records among these RDATA that mail uses (RFC 7672 section 3.1): usages 2 and 3 with a selector and a matching
/// that are known, and data of the right size; of one usage and selector the strongest digest only, and what is no
/// digest (RFC 7671 section 9). They refer to `rdata`. None: TLS is required all the same, and nothing is verified.
POSTROAD_DECL std::vector<tlsa> usable_tlsa(const std::vector<std::string>& rdata);

/// Who a server is by its TLSA records.
struct dane_result {
    const tlsa* by = nullptr;  ///< the record that describes it
    std::string why = {};      ///< for people, where none does
};

/// Whether the server is who it should be. `chain` holds the certificates that it sent, in
/// DER, its own first; `name` is the host that the records are about. With usage 3 nothing else counts: no dates, no
/// names (RFC 7671 section 5.1). With usage 2 there must be a chain to the CA, which may be among what was sent or in
/// the record, within all dates, and the server's certificate must carry the name.
POSTROAD_DECL dane_result check_dane(const std::vector<tlsa>& records, const std::vector<std::string>& chain,
                                     std::string_view name);

}  // namespace postroad::tls

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/tls/impl/dane.ipp>
#endif
