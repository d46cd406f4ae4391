#pragma once
// Reading header fields of messages that exist, as they are: nothing is refused.

#include <postroad/core/config.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::detail {

struct header_field {
    std::string_view name;   // empty: the line is no field, but it is kept
    std::string_view value;  // with its folding, without the last CRLF
    std::string_view all;
};

/// Of a header with CRLF line ends and without an empty line.
POSTROAD_DECL std::vector<header_field> split_fields(std::string_view header);

/// The first field of that name; null if there is none.
POSTROAD_DECL const header_field* find_field(const std::vector<header_field>& fields, std::string_view name) noexcept;

/// Spaces, tabs and line ends off both ends.
POSTROAD_DECL std::string_view trimmed(std::string_view text) noexcept;

/// On one line: folding and runs of spaces become one space.
POSTROAD_DECL std::string one_line(std::string_view value);

/// Header and body of a message or part with CRLF line ends; the empty line is in neither.
struct split_entity {
    std::string_view header;  // with the CRLF of its last field
    std::string_view body;
    bool has_body = false;  // whether there is an empty line
};
POSTROAD_DECL split_entity split_at_empty_line(std::string_view text) noexcept;

/// The value of Content-Type and fields like it (RFC 2045 section 5.1): `token; name=value; …`, comments left out.
struct parameterised {
    std::string value;                                            // in lower case
    std::vector<std::pair<std::string, std::string>> parameters;  // names in lower case, with the marks of RFC 2231

    /// Empty if there is none. In pieces or with percent signs (RFC 2231 sections 3 and 4) as well: the octets, of
    /// whatever charset, of the first 100 pieces.
    std::string parameter(std::string_view name) const;
    /// Whether the value begins with `prefix`.
    bool is(std::string_view prefix) const noexcept { return std::string_view(value).starts_with(prefix); }
};
POSTROAD_DECL parameterised parse_parameterised(std::string_view text);

/// The parts of a multipart body.
struct split_parts {
    std::vector<std::string_view> parts;  // without the CRLF before each delimiter
    bool closed = false;                  // whether the last delimiter was found
};
/// Empty when no delimiter is found.
POSTROAD_DECL split_parts split_multipart(std::string_view body, std::string_view boundary);

}  // namespace postroad::detail

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/fields.ipp>
#endif
