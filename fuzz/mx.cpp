// Answers of hostile DNS: a location within its bounds, or an error.
#include <postroad/transport/mx_lookup.hpp>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using namespace postroad;

// Octets of the input, zeros behind its end.
struct octets {
    std::string_view left;
    unsigned char next() {
        if (left.empty()) return 0;
        const auto c = static_cast<unsigned char>(left.front());
        left.remove_prefix(1);
        return c;
    }
    std::string text(std::size_t n) {
        const std::string t(left.substr(0, n));
        left.remove_prefix(t.size());
        return t;
    }
};

net::dns_answer answer(octets& in) {
    net::dns_answer a;
    const auto head = in.next();
    a.status = static_cast<net::dns_status>(head & 3);
    a.trust = static_cast<net::dns_trust>((head >> 2) % 3);
    a.valid_until = time_point{} + std::chrono::seconds(in.next());
    for (auto n = in.next() % 64; n > 0; --n) a.records.push_back(in.text(in.next()));
    if (head & 0x80) a.canonical = in.text(in.next());
    return a;
}

void check(const transport::located& l) {
    if (l.error) {
        if (l.why.empty() || !l.where.servers.empty()) std::abort();
        return;
    }
    std::size_t addresses = 0;
    for (const auto& s : l.where.servers) {
        if (s.addresses.all.empty() || s.name.empty()) std::abort();
        for (const auto& a : s.addresses.all)
            if (!net::is_public(a)) std::abort();
        addresses += s.addresses.all.size();
    }
    if (l.where.servers.empty() || l.where.site.empty()) std::abort();
    if (l.where.servers.size() > transport::mx_lookup::max_servers) std::abort();
    if (addresses > transport::mx_lookup::max_addresses) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    octets in{{reinterpret_cast<const char*>(data), size}};
    transport::mx_rules rules;
    rules.own = {"out.example", "192.0.2.1"};
    rules.mta_sts = true;
    const auto domain = in.next() & 1 ? std::string("d.example") : in.text(in.next());
    transport::mx_lookup lookup(domain, rules, in.next());
    std::size_t questions = 0;
    while (const auto q = lookup.poll()) {
        if (++questions > 200) std::abort();
        lookup.answered(*q, answer(in));
    }
    if (!lookup.done()) std::abort();
    if (in.next() & 1) lookup.enforce({.mode = net::sts_mode::enforce, .max_age = {}, .mx = {"*.example"}});
    check(lookup.result());
    return 0;
}
