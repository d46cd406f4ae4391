#pragma once
// Does a certificate name the server that was meant? RFC 9525, apart from any TLS library.

#include <postroad/core/config.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace postroad::tls {

/// What a certificate's subjectAltName holds of use to us. The common name is not here: it names nobody (RFC 9525
/// section 2).
struct certificate_names {
    std::vector<std::string> dns = {};        ///< dNSName, as presented
    std::vector<std::string> addresses = {};  ///< iPAddress: 4 or 16 octets
};

/// True when one of `presented` is `expected`, a host name or an address literal without brackets.
///
/// A host name is compared with dNSName, without regard to case. "*" matches when it is the whole left-most label, for
/// one label, above at least two others (RFC 9525 section 6.3). An address is compared with iPAddress, octet by octet,
/// and with nothing else. A name with an octet that no host name has (NUL, a space, UTF-8) matches nothing: give
/// international names as A-labels.
POSTROAD_DECL bool names_match(const certificate_names& presented, std::string_view expected);

/// The 4 or 16 octets of an IPv4 or IPv6 literal, empty when `text` is none. A zone ("%eth0", of letters,
/// digits and "-._~") is left out.
POSTROAD_DECL std::string address_octets(std::string_view text);

/// True for what DNS could hold: labels of letters, digits, "-" and "_", 253 octets at most.
POSTROAD_DECL bool is_host_name(std::string_view text) noexcept;

/// A host name as DNS and TLS have it: without the dot at its end, in lower case, an international one as A-labels
/// (IDNA 2008). Other text is as it was, in lower case where it is ASCII; a zone ("%eth0") as it was.
POSTROAD_DECL std::string plain_host(std::string_view host);

/// For people: `a.example, *.b.example, 192.0.2.1`, escaped, at most `most` of them.
POSTROAD_DECL std::string to_string(const certificate_names& names, std::size_t most = 5);

/// For people, when names_match() says no: what was presented and what was expected.
POSTROAD_DECL std::string names_reason(const certificate_names& presented, std::string_view expected);

}  // namespace postroad::tls

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/tls/impl/names.ipp>
#endif
