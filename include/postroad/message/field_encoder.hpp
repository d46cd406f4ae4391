#pragma once
// Fields of messages that exist, in octets above 127, written in ASCII for those who take nothing else.

#include <postroad/core/config.hpp>
#include <postroad/message/fields.hpp>

#include <string>
#include <string_view>

namespace postroad::detail {

/// Whether fields in that charset, other than UTF-8, can be encoded: it is known where its characters end.
POSTROAD_DECL bool is_known_charset(std::string_view name) noexcept;

/// The field with what is not ASCII in encoded words of `charset` (RFC 2047), in parameters as RFC 2231 says; domains
/// become A-labels, all else stays, folding too. Throws `error` for an address whose local part is not ASCII:
/// errc::internationalised_unsupported, or errc::invalid_header in another charset than UTF-8.
POSTROAD_DECL std::string field_in_ascii(const header_field& f, std::string_view charset);

}  // namespace postroad::detail

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/field_encoder.ipp>
#endif
