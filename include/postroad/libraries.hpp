#pragma once
// Which libraries this program runs with: the first question when one of them has a hole. See SECURITY.md.

#include <postroad/core/config.hpp>

#include <string>
#include <vector>

namespace postroad {

struct library {
    std::string name = {};
    std::string version = {};  ///< of what is loaded or linked, not of the header it was compiled with
    friend bool operator==(const library&, const library&) = default;
};

/// Those that every program with postroad has: mbedTLS, libidn2 and libunistring.
POSTROAD_DECL std::vector<library> libraries();

}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/impl/libraries.ipp>
#endif
