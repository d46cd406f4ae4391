#pragma once
// Files for a test, and what a bad configuration throws.

#include <postroad/core/error.hpp>
#include <postroad/tls/settings.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

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
    place() : path((std::filesystem::temp_directory_path() / "postroad-test-XXXXXX").string()) {
        if (!mkdtemp(path.data())) std::abort();
    }
    place(const place&) = delete;
    place& operator=(const place&) = delete;
    ~place() { std::filesystem::remove_all(path); }

    void write(const std::string& name, const std::string& text) const { std::ofstream(path + "/" + name) << text; }

    std::string path;
};

}  // namespace tls_test
