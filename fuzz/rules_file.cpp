// Files of rules for providers: read, or refused with a place; what was read can be used.
#include <postroad/transport/rules_file.hpp>

#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace postroad;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        const auto all = transport::parse_rules(text).providers;
        transport::check(all);
        for (const auto& rule : all)
            if (rule.servers.empty() ? rule.provider != "*" : !transport::rule_for(all, "mx" + rule.servers.back()))
                std::abort();
    } catch (const error& e) {
        if (e.code() != errc::invalid_option || e.details().explanation.find("line ") == std::string::npos)
            std::abort();
    }
    return 0;
}
