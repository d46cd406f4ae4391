// The lines of an EHLO reply: never fails, and keeps a bounded list of well-formed mechanisms.
#include <postroad/smtp/capabilities.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using postroad::smtp::capabilities;
    std::string_view text(reinterpret_cast<const char*>(data), size);
    capabilities c;
    while (!text.empty()) {
        const auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        c.parse_line(line);
    }
    if (c.auth.size() > capabilities::max_mechanisms) std::abort();
    for (const auto& name : c.auth)
        if (name.empty() || name.size() > 20 || std::ranges::count(c.auth, name) != 1) std::abort();
    if (c.size && (*c.size == 0 || !c.size_declaration)) std::abort();
    return 0;
}
