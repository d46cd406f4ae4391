// How long it takes to find, or not to find, an address among many that are suppressed.
//
//   bench/suppression [--entries N] [--file PATH]
//
// The file is made where it is missing, and kept; without PATH only the list in memory is measured.
#include <postroad/queueing/suppression.hpp>
#if __has_include(<sqlite3.h>)
#include <postroad/queueing/suppression_sqlite.hpp>
#define WITH_SQLITE
#endif

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <string>
#include <vector>

#include "peak.hpp"

namespace {

namespace suppression = postroad::suppression;
using postroad::address;
constexpr suppression::time now{std::chrono::seconds(1'700'000'000)};

// Of the processor, so that what other programs do on the machine is none of it; one thread does all.
double seconds_since(std::clock_t begin) { return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC; }

address nth(std::size_t i) {
    return address("user" + std::to_string(i) + "@d" + std::to_string(i % 1000) + ".example");
}

template <class S>
void fill(S& s, std::size_t entries) {
    std::vector<suppression::entry> some;
    const auto begin = std::clock();
    for (std::size_t i = 0; i < entries; ++i) {
        some.push_back({.address = nth(i), .why = suppression::reason::hard_bounce, .source = "mx.example"});
        if (some.size() < 10'000 && i + 1 < entries) continue;
        (void)s.add(some, now);
        some.clear();
    }
    std::printf("  filled in %.1f s, peak %ld MiB\n", seconds_since(begin), peak_kib() / 1024);
}

// Median of rounds, for addresses all over the list.
template <class S>
double microseconds_per_lookup(const S& s, std::size_t first, std::size_t entries) {
    constexpr std::size_t lookups = 10'000;
    std::vector<address> asked;
    for (std::size_t i = 0; i < lookups; ++i) asked.push_back(nth(first + (i * 7'368'787) % entries));
    std::vector<double> rounds;
    std::size_t found = 0;
    for (int round = 0; round < 9; ++round) {
        const auto begin = std::clock();
        for (const auto& a : asked) found += s.find(a, {}, now) ? 1 : 0;
        rounds.push_back(seconds_since(begin) * 1e6 / lookups);
    }
    std::ranges::sort(rounds);
    std::printf("  %s: %.2f us\n", found > 0 ? "an address that is there" : "an address that is not", rounds[4]);
    return rounds[4];
}

template <class S>
void measure(const S& s, std::size_t entries) {
    (void)microseconds_per_lookup(s, 0, entries);
    (void)microseconds_per_lookup(s, entries, entries);
}

}  // namespace

int main(int argc, char** argv) {
    std::size_t entries = 1'000'000;
    std::string file;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (std::strcmp(argv[i], "--entries") == 0) entries = std::strtoull(argv[i + 1], nullptr, 10);
        if (std::strcmp(argv[i], "--file") == 0) file = argv[i + 1];
    }
    std::printf("%zu entries in memory\n", entries);
    {
        suppression::memory s;
        fill(s, entries);
        measure(s, entries);
    }
#ifdef WITH_SQLITE
    if (file.empty()) return 0;
    std::printf("%zu entries in %s\n", entries, file.c_str());
    suppression::sqlite s(file);
    if (s.size() == 0) fill(s, entries);
    measure(s, entries);
    std::printf("  %.0f MiB\n", static_cast<double>(std::filesystem::file_size(file)) / 1024 / 1024);
#endif
}
