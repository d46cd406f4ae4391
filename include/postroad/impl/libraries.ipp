#pragma once

#include <postroad/libraries.hpp>

#include <string>

#include <idn2.h>
#include <mbedtls/version.h>
#include <unistring/version.h>

namespace postroad {

POSTROAD_DECL std::vector<library> libraries() {
    char mbedtls[16] = "";  // as large as mbedTLS asks for: "x.y.z"
    mbedtls_version_get_string(mbedtls);
    const auto* idn2 = ::idn2_check_version(nullptr);
    const auto unistring = static_cast<unsigned>(_libunistring_version);
    return {{"mbedTLS", mbedtls},
            {"libidn2", idn2 ? idn2 : ""},
            {"libunistring", std::to_string(unistring >> 16) + '.' + std::to_string(unistring >> 8 & 0xff) + '.' +
                                 std::to_string(unistring & 0xff)}};
}

}  // namespace postroad
