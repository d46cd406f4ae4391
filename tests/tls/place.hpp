#pragma once
// Files for a test, and what a bad configuration throws.

#include <postroad/core/error.hpp>
#include <postroad/tls/settings.hpp>

#include <fstream>
#include <string>

#include "scratch_folder.hpp"

namespace tls_test {

using namespace postroad;

constexpr auto configuration = "the TLS configuration is not usable: ";

/// What `make` throws, as "code: explanation".
template <class Make>
std::string thrown(Make make) {
    try {
        make();
    } catch (const error& e) {
        return e.code().message() + ": " + e.details().explanation;
    }
    return "nothing";
}

template <class E>
std::string thrown_for(const tls::settings& options) {
    return thrown([&] { typename E::context_type context(options); });
}

/// A folder that goes away with its files.
struct place {
    void write(const std::string& name, const std::string& text) const { std::ofstream(path + "/" + name) << text; }

    scratch_folder folder = {};
    std::string path = folder.path.string();
};

}  // namespace tls_test
