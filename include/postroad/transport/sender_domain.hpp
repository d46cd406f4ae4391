#pragma once
// What large receivers look at before they take mail of a domain: names of the address that it comes from, whether the
// domain takes mail itself, SPF, DKIM, DMARC, and unsubscribing with one click. Asks the DNS and nobody else. See
// docs/direct.md.

#include <postroad/core/config.hpp>
#include <postroad/message/dkim.hpp>
#include <postroad/transport/spf.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postroad::transport {

/// Who sends, and from where.
struct examined_sender {
    std::string address = {};       ///< that servers see; empty: not known
    std::string client_name = {};   ///< what EHLO says
    std::string from = {};          ///< address in From
    std::string reverse_path = {};  ///< empty: null
    std::vector<dkim_signature> signatures = {};
    /// Field names and values are looked for in it; empty: none is at hand.
    std::string header = {};
};

enum class finding_kind : unsigned char {
    good,
    notice,  ///< some receivers want it otherwise
    bad,     ///< large receivers refuse mail for it
};

struct finding {
    std::string about = {};  ///< "PTR", "EHLO", "MX", "SPF", "DKIM", "DMARC", "one click"
    finding_kind how = finding_kind::good;
    std::string text = {};
    std::string advice = {};  ///< with who demands it, since when
};

/// One finding for each, "MX" of the reverse path and of From, in that order. Texts are safe to print.
POSTROAD_DECL std::vector<finding> look_at_sender(const examined_sender& facts, const dns_lookup& ask);

/// The record of DMARC that counts for a domain: its own, or that of the nearest domain above that has one.
struct dmarc_record {
    std::string domain = {};        ///< that has it
    std::string organization = {};  ///< the highest domain above with a record: what is below it belongs together
    std::string policy = {};        ///< "none", "quarantine", "reject"
    bool strict_dkim = false;
    bool strict_spf = false;
};
/// Why there is no record that counts.
enum class dmarc_lack : unsigned char { missing, unknown, several, malformed };
struct dmarc_search {
    std::optional<dmarc_record> found = {};
    dmarc_lack lack = dmarc_lack::missing;
    std::string why = {};  ///< for people
};
POSTROAD_DECL dmarc_search find_dmarc(const std::string& domain, const dns_lookup& ask);

}  // namespace postroad::transport

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/transport/impl/sender_domain.ipp>
#endif
