#pragma once
// Making a message that exists fit for a server that takes less: parts are encoded, nothing else changes (RFC 6152
// section 3).

#include <postroad/core/config.hpp>
#include <postroad/message/transfer.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace postroad::detail {

inline constexpr std::size_t max_mime_depth = 50;  // multiparts and messages within each other

/// `text`, with CRLF line ends, for a server that takes at most `most`. Throws as content::as() does.
POSTROAD_DECL std::string converted(std::string_view text, transfer most);

/// A header with CRLF line ends, in ASCII. Throws as content::with_ascii_header() does.
POSTROAD_DECL std::string header_in_ascii(std::string_view header);

/// Whether there are parts, or a message within, by the header of a message.
POSTROAD_DECL bool has_parts(std::string_view header);

/// Whether a part of `entity`, with CRLF line ends, may have a header that is not ASCII (RFC 6532).
POSTROAD_DECL bool has_wide_part(std::string_view entity, std::string_view default_type = "text/plain",
                                 std::size_t depth = 0);

}  // namespace postroad::detail

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/conversion.ipp>
#endif
