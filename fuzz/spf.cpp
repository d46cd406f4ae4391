// Records of SPF and DMARC of strangers: a result within the limits, whatever they say.
#include <postroad/transport/sender_domain.hpp>
#include <postroad/transport/spf.hpp>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace postroad;
    // Lines are the records of the names that are asked for, in turn.
    std::vector<std::string> lines(1);
    for (const char c : std::string_view(reinterpret_cast<const char*>(data), size))
        if (c == '\n')
            lines.emplace_back();
        else
            lines.back() += c;
    std::size_t asked = 0;
    const transport::dns_lookup ask = [&](const std::string& name, net::record_type type) {
        if (name.size() > 253 || ++asked > 1000) std::abort();
        net::dns_answer a{.status = net::dns_status::found};
        const auto& line = lines[asked % lines.size()];
        if (type != net::record_type::txt) {
            a.records.push_back(line);
            return a;
        }
        std::string rdata;
        for (std::size_t at = 0; at < line.size(); at += 255) {
            const auto piece = line.substr(at, 255);
            (rdata += static_cast<char>(piece.size())) += piece;
        }
        a.records.push_back(std::move(rdata));
        return a;
    };
    for (const auto* address : {"192.0.2.3", "2001:db8::3"}) {
        asked = 0;
        const auto a = transport::check_spf(
            {.address = address, .domain = "d.example", .sender = "ann@d.example", .hello = "out.example"}, ask);
        if (a.lookups > transport::max_spf_lookups + 1) std::abort();
        for (const char c : a.why)
            if (static_cast<unsigned char>(c) < 0x20) std::abort();
    }
    asked = 0;
    if (const auto d = transport::find_dmarc("a.b.d.example", ask); !d.found && d.why.empty()) std::abort();
    return 0;
}
