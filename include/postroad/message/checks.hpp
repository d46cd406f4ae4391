#pragma once
// What may stand in a header field. Each check throws an error that names the field and the octet, counted from 0.

#include <postroad/core/config.hpp>
#include <postroad/core/error.hpp>

#include <string>
#include <string_view>

namespace postroad::detail {

[[noreturn]] POSTROAD_DECL void refuse_field(std::string_view name, const std::string& why);

/// Well-formed UTF-8 without control characters but TAB.
POSTROAD_DECL void check_value(std::string_view name, std::string_view value);

/// `left@right` or one such word, as it stands within <>: printable ASCII without <, > and space.
POSTROAD_DECL void check_id(std::string_view name, std::string_view id);

/// `<left@right>`.
POSTROAD_DECL void check_message_id(std::string_view name, std::string_view id);

/// A token (RFC 2045 section 5.1).
POSTROAD_DECL bool is_token(std::string_view text) noexcept;

/// An absolute URL in printable ASCII, without the characters that end it in a List- field (RFC 2369 section 2).
POSTROAD_DECL void check_url(std::string_view name, std::string_view url);

}  // namespace postroad::detail

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/checks.ipp>
#endif
