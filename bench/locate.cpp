// What a domain costs that mail goes to directly: memory while it is known, the time to find where it is, from the
// engine's memory and from answers of the DNS that are there already; and the rule of its provider.
//
//     build/release/bench/locate [DOMAINS]        default 1,000,000, at a hundredth of sites, on one core

#include <postroad/engine/domains.hpp>
#include <postroad/engine/sites.hpp>
#include <postroad/transport/mx_lookup.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include <malloc.h>

namespace {

using namespace postroad;

std::size_t allocated() { return ::mallinfo2().uordblks + ::mallinfo2().hblkhd; }

// CPU time: others may be at work on this machine.
template <class F>
double nanoseconds(std::size_t times, F&& f) {
    const auto begin = std::clock();
    for (std::size_t i = 0; i < times; ++i) f(i);
    return static_cast<double>(std::clock() - begin) * (1e9 / CLOCKS_PER_SEC) / static_cast<double>(times);
}

std::string name_of(std::size_t i) { return "domain-" + std::to_string(i) + ".example"; }

// Answers as a resolver has them in its cache: one server, one address.
transport::located look_up(const std::string& domain, const transport::mx_rules& rules, std::size_t at) {
    const auto host = "mx" + std::to_string(at) + ".example.net";
    transport::mx_lookup search(domain, rules, 1);
    while (const auto q = search.poll()) {
        net::dns_answer a{.status = net::dns_status::no_data, .valid_until = never};
        if (q->type == net::record_type::mx)
            a = {.status = net::dns_status::found,
                 .records = {std::string("\0\12", 2) + *net::to_labels(host)},
                 .valid_until = never};
        if (q->type == net::record_type::a)
            a = {.status = net::dns_status::found, .records = {std::string("\300\0\2\1", 4)}, .valid_until = never};
        search.answered(*q, std::move(a));
    }
    return search.result();
}

}  // namespace

int main(int argc, char** argv) {
    const std::size_t n = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 1'000'000;
    const std::size_t sites = n / 100 + 1;
    const time_point now = time_point{} + std::chrono::hours(1);
    const transport::mx_rules rules;

    engine::sites places(true);
    engine::domains domains(true);
    const auto before = allocated();
    std::size_t lost = 0;
    const auto located = nanoseconds(n, [&](std::size_t i) {
        auto found = look_up(name_of(i), rules, i % sites);
        if (found.error) return void(++lost);
        auto* const at = places.place(std::move(found.where), now);
        if (!at) return void(++lost);
        domains.found(domains.of(name_of(i)), *at, never, now);
    });
    const auto memory = static_cast<double>(allocated() - before) / static_cast<double>(n);
    if (lost > 0) {
        std::fprintf(stderr, "%zu domains were not located\n", lost);
        return 1;
    }

    // Names that are there already, far apart.
    std::vector<std::string> names;
    for (std::size_t i = 0; i < 100'000; ++i) names.push_back(name_of(i * 7919 % n));
    std::size_t known = 0;
    const auto from_memory = nanoseconds(1'000'000, [&](std::size_t i) {
        known += engine::domains::is_located(domains.of(names[i % names.size()]), now) ? 1 : 0;
    });
    std::size_t of_google = 0;
    const auto ruled = nanoseconds(1'000'000, [&](std::size_t i) {
        of_google +=
            transport::rule_for(transport::known_providers(), i % 2 ? "aspmx.l.google.com" : "mx.example.net") ? 1 : 0;
    });
    if (known != 1'000'000 || of_google != 500'000) return 1;
    std::printf(
        "{\"domains\": %zu, \"sites\": %zu, \"octets_a_domain\": %.0f, \"locate_from_memory_ns\": %.0f, "
        "\"look_up_from_answers_ns\": %.0f, \"rule_ns\": %.0f}\n",
        n, sites, memory, from_memory, located, ruled);
    return 0;
}
