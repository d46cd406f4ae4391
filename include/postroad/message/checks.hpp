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

/// 1 to 76 printable ASCII characters without space and colon (RFC 5322 section 2.2).
POSTROAD_DECL bool is_field_name(std::string_view name) noexcept;

/// Refuses a word that no line can hold.
POSTROAD_DECL void check_stretches(std::string_view name, std::string_view value);

/// A token (RFC 2045 section 5.1).
POSTROAD_DECL bool is_token(std::string_view text) noexcept;

/// The text of a part, which `what` names: well-formed UTF-8 without NUL, or errc::invalid_message.
POSTROAD_DECL void check_text(const char* what, std::string_view body);

/// An absolute URL in printable ASCII, without the characters that end it in a List- field (RFC 2369 section 2).
POSTROAD_DECL void check_url(std::string_view name, std::string_view url);

}  // namespace postroad::detail

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/checks.ipp>
#endif
