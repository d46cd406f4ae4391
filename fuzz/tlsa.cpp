// TLSA records against whatever a server sends as certificates.
#include <postroad/tls/dane.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace postroad;
    std::string_view text(reinterpret_cast<const char*>(data), size);
    // Pieces with two octets of length: records first, as many as the first octet says, then certificates.
    const std::size_t count = text.empty() ? 0 : static_cast<unsigned char>(text.front()) % 8;
    if (!text.empty()) text.remove_prefix(1);
    std::vector<std::string> records;
    std::vector<std::string> chain;
    while (text.size() >= 2) {
        const std::size_t n = static_cast<unsigned char>(text[0]) * 256u + static_cast<unsigned char>(text[1]);
        text.remove_prefix(2);
        (records.size() < count ? records : chain).emplace_back(text.substr(0, n));
        text.remove_prefix(std::min(n, text.size()));
    }
    const auto usable = tls::usable_tlsa(records);
    if (usable.size() > records.size()) std::abort();
    for (const auto& t : usable)
        if (t.usage < 2 || t.usage > 3 || t.selector > 1 || t.matching > 2 || t.data.empty()) std::abort();
    if (tls::check_dane(usable, chain, "mail.example.com").by && (usable.empty() || chain.empty())) std::abort();
    return 0;
}
