// URLs: taken apart or refused with a postroad::error, and what was taken holds nothing that may not reach the wire.
#include <postroad/core/error.hpp>
#include <postroad/transport/url.hpp>

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

void check_text(std::string_view text) {
    for (const char c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        const auto parts = postroad::transport::parse_url(text);
        if (parts.server.name.empty() || parts.server.port == 0) std::abort();
        if (parts.server.name.find_first_of("[]@%/ ") != std::string::npos) std::abort();
        check_text(parts.server.name);
        check_text(parts.credentials.user);
        check_text(parts.credentials.password.reveal());
        for (const auto& [name, value] : parts.options) check_text(name + value);
        postroad::transport::check_options(parts.options);
    } catch (const postroad::error& e) {
        check_text(e.what());
    }
    return 0;
}
