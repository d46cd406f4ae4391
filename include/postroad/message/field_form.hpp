#pragma once
// What the fields of a header hold, by their names.

#include <postroad/core/config.hpp>

#include <string_view>

namespace postroad::detail {

/// What the value of a field is made of.
enum class field_form : unsigned char {
    text,
    mailboxes,
    phrases,     ///< with commas between them
    list_id,     ///< a phrase and `<an id>`
    parameters,  ///< `a token; name="value"`
    ascii,       ///< ids, URLs, tokens, dates
};

/// By the registry of message headers at IANA (RFC 4021 and others), and what is in use besides. What is not in it is
/// text.
POSTROAD_DECL field_form form_of(std::string_view name) noexcept;

}  // namespace postroad::detail

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/field_form.ipp>
#endif
