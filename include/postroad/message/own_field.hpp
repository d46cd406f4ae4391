#pragma once
// Fields of one's own, written by the grammar that goes with their names.

#include <postroad/core/config.hpp>
#include <postroad/message/address.hpp>
#include <postroad/message/header.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad {

/// Parameters of a field, names and values, in this order.
using field_parameters = std::vector<std::pair<std::string, std::string>>;

namespace detail {

/// A field whose value is taken apart as far as that is needed to write it.
struct own_field {
    std::string name = {};
    std::string value = {};
    mailbox_list mailboxes = {};  ///< with the groups, instead of the value
    std::vector<mailbox_group> groups = {};
    std::vector<std::string> phrases = {};  ///< before the value, with commas between them
    field_parameters parameters = {};       ///< behind the value or the mailboxes
};

/// An address list with at least a mailbox or a group, which may be empty. Throws errc::invalid_address.
POSTROAD_DECL address_list checked_addresses(std::string_view name, std::string_view list, address_syntax syntax);

/// What form_of(name) says of a value that is not ASCII; one that is stays whole. Throws errc::invalid_header where the
/// field has no room for such octets, and errc::invalid_address.
POSTROAD_DECL own_field field_of(std::string_view name, std::string_view value,
                                 address_syntax syntax = address_syntax::current);

/// Of one field.
inline constexpr std::size_t max_parameters = 64;
inline constexpr std::size_t max_parameter_name = 40;
inline constexpr std::size_t max_ascii_parameter = 900;  // octets, with the escapes of quotes: it is never cut
inline constexpr std::size_t max_parameter_value = 8192;

/// What message::header() says of parameters, and of a value before them.
POSTROAD_DECL void check_parameters(std::string_view name, const field_parameters& list);
POSTROAD_DECL void check_value_with_parameters(std::string_view name, std::string_view value);

/// Whether a local part is not ASCII, which nothing but UTF-8 in the header can say (RFC 6532).
POSTROAD_DECL bool needs_utf8(const own_field& f) noexcept;

/// The same with domains as A-labels. Throws errc::invalid_address where there are none.
POSTROAD_DECL mailbox_list with_ascii_domains(mailbox_list list);

/// Writes mailboxes and groups, with domains as A-labels if the header is ASCII.
POSTROAD_DECL void write_addresses(header_writer& to, header_charset charset, std::string_view name,
                                   const mailbox_list& list, std::vector<mailbox_group> groups);

/// `kind` is of a value without structure.
POSTROAD_DECL void write_field(header_writer& to, header_charset charset, const own_field& f, value_kind kind);

/// `Name: value` with its line end, for a value that another program gives as text: addresses may be in obsolete
/// syntax, and a list that is none is kept as far as its octets allow. In UTF-8 if a local part needs it or `charset`
/// says so. Throws as field_of() does.
POSTROAD_DECL std::string written_field(std::string_view name, std::string_view value, header_charset charset);

}  // namespace detail
}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/own_field.ipp>
#endif
