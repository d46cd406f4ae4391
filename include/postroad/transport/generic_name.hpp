#pragma once
// Names that a provider gave to all of its addresses: receivers take whoever has one for a home connection, or for a
// machine that nobody looks after. See docs/direct.md.

#include <postroad/core/config.hpp>

#include <span>
#include <string>
#include <string_view>

namespace postroad::transport {

/// A word that tells what kind of addresses have such names.
struct generic_word {
    std::string_view word;  ///< lower case
    std::string_view of;    ///< "of dial-up connections"
};

/// Which words those are: between dots, dashes and digits, in front of the last two labels.
POSTROAD_DECL std::span<const generic_word> generic_words() noexcept;

/// Why `name`, lower case, of `address` looks as if all neighbours of the address had one like it; empty: it does not.
POSTROAD_DECL std::string why_generic(std::string_view name, std::string_view address);

}  // namespace postroad::transport

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/transport/impl/generic_name.ipp>
#endif
