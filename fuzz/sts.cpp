// Records and policies of MTA-STS: read or refused, and what was read says what it may say.
#include <postroad/net/mta_sts.hpp>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace postroad;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    std::string why;
    if (const auto policy = net::read_sts_policy(text, &why)) {
        if (policy->max_age > net::max_sts_age || policy->max_age.count() < 0) std::abort();
        if (policy->mx.empty() && policy->mode != net::sts_mode::none) std::abort();
        for (const auto& name : policy->mx)
            if (!policy->names(name.starts_with("*.") ? "a" + name.substr(1) : name)) std::abort();
    } else if (why.empty()) {
        std::abort();
    }
    if (const auto id = net::read_sts_record({std::string(text)}))
        if (id->empty() || id->size() > 32) std::abort();
    return 0;
}
