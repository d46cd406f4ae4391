#pragma once
// The seeds of tests that play at random. POSTROAD_SEED=n in the environment replays one.

#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <optional>
#include <random>
#include <vector>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define POSTROAD_TEST_SANITIZED 1
#endif
#endif

/// That of the environment.
inline std::optional<std::uint32_t> given_seed() {
    const char* const given = std::getenv("POSTROAD_SEED");
    if (!given) return {};
    return static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10));
}
/// Another one each time.
inline std::uint32_t any_seed() {
    const auto given = given_seed();
    return given ? *given : std::random_device()();
}
/// `n` of them. Under a sanitizer, which makes all of it several times slower, a third as many others.
inline std::vector<std::uint32_t> seeds(std::size_t n) {
    if (const auto given = given_seed()) return {*given};
#ifdef POSTROAD_TEST_SANITIZED
    std::vector<std::uint32_t> all((n + 2) / 3);
    std::iota(all.begin(), all.end(), 1001u);
#else
    std::vector<std::uint32_t> all(n);
    std::iota(all.begin(), all.end(), 1u);
#endif
    return all;
}
