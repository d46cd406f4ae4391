#include <postroad/libraries.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include <idn2.h>
#include <mbedtls/version.h>

TEST_CASE("the libraries that a program runs with are named, with the versions that run") {
    const auto all = postroad::libraries();
    const auto version = [&](const char* name) {
        const auto found = std::ranges::find(all, name, &postroad::library::name);
        return found == all.end() ? "" : found->version;
    };
    // here they are those of the headers
    CHECK(version("mbedTLS") == MBEDTLS_VERSION_STRING);
    CHECK(version("libidn2") == IDN2_VERSION);
    CHECK(version("libunistring").find('.') != std::string::npos);
    for (const auto& l : all)
        CHECK(l.version.find_first_not_of("0123456789.abcdefghijklmnopqrstuvwxyz-") == std::string::npos);
}
