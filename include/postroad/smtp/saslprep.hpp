#pragma once
// Names and passwords that are not ASCII, in the one spelling that both ends compute with (SASLprep, RFC 4013).

#include <postroad/core/config.hpp>

#include <string>
#include <string_view>

namespace postroad::smtp {

/// `text` as SASLprep has it: spaces of every kind become a space, soft hyphens and their like vanish, and what looks
/// the same becomes the same (NFKC). ASCII stays as it is. SCRAM asks for it (RFC 5802 section 5.1); the other
/// mechanisms leave it to the server. Characters newer than Unicode 3.2 are let through, as RFC 3454 section 7 has it
/// for queries. On failure `problem` says why and nothing is returned: text that is not UTF-8, a prohibited character,
/// letters of both directions mixed, nothing left.
POSTROAD_DECL std::string saslprep(std::string_view text, std::string& problem);

}  // namespace postroad::smtp

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/smtp/impl/saslprep.ipp>
#endif
