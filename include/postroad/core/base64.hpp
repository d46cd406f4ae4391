#pragma once
// Base64 on one line, as SASL exchanges carry it (RFC 4648 section 4, RFC 4954 section 4).

#include <postroad/core/config.hpp>

#include <string>
#include <string_view>

namespace postroad {

/// With padding, without line breaks.
POSTROAD_DECL std::string base64_encode(std::string_view octets);

/// Into `out`, which is empty when false is returned. Strict, so that each value has one spelling: whole groups of
/// four, padding at the end only, unused bits zero, no line break, no other character. Empty text is empty octets.
[[nodiscard]] POSTROAD_DECL bool base64_decode(std::string_view text, std::string& out);

}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/core/impl/base64.ipp>
#endif
