#pragma once

#include <postroad/message/key_derivation.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <span>
#include <vector>

#include <mbedtls/pkcs5.h>
#include <mbedtls/version.h>

namespace postroad::detail {

POSTROAD_DECL bool pbkdf2(mbedtls_md_type_t digest, std::string_view password, std::string_view salt,
                          std::size_t rounds, std::span<unsigned char> key) {
    const auto* given = reinterpret_cast<const unsigned char*>(password.data());
    const auto* from = reinterpret_cast<const unsigned char*>(salt.data());
#if MBEDTLS_VERSION_NUMBER >= 0x03030000
    return mbedtls_pkcs5_pbkdf2_hmac_ext(digest, given, password.size(), from, salt.size(),
                                         static_cast<unsigned>(rounds), static_cast<std::uint32_t>(key.size()),
                                         key.data()) == 0;
#else
    mbedtls_md_context_t context;
    mbedtls_md_init(&context);
    const bool done =
        mbedtls_md_setup(&context, mbedtls_md_info_from_type(digest), 1) == 0 &&
        mbedtls_pkcs5_pbkdf2_hmac(&context, given, password.size(), from, salt.size(), static_cast<unsigned>(rounds),
                                  static_cast<std::uint32_t>(key.size()), key.data()) == 0;
    mbedtls_md_free(&context);
    return done;
#endif
}

using salsa_block = std::array<std::uint32_t, 16>;

// Salsa20/8 (RFC 7914 section 3).
inline void salsa20_8(salsa_block& b) noexcept {
    auto x = b;
    const auto quarter = [&x](std::size_t a, std::size_t e, std::size_t c, std::size_t d) {
        x[e] ^= std::rotl(x[a] + x[d], 7);
        x[c] ^= std::rotl(x[e] + x[a], 9);
        x[d] ^= std::rotl(x[c] + x[e], 13);
        x[a] ^= std::rotl(x[d] + x[c], 18);
    };
    for (int i = 0; i < 8; i += 2) {
        quarter(0, 4, 8, 12);
        quarter(5, 9, 13, 1);
        quarter(10, 14, 2, 6);
        quarter(15, 3, 7, 11);
        quarter(0, 1, 2, 3);
        quarter(5, 6, 7, 4);
        quarter(10, 11, 8, 9);
        quarter(15, 12, 13, 14);
    }
    for (std::size_t i = 0; i < b.size(); ++i) b[i] += x[i];
}

using salsa_blocks = std::vector<salsa_block>;

// scryptBlockMix (section 4).
inline void mix_blocks(const salsa_blocks& from, salsa_blocks& to) noexcept {
    auto x = from.back();
    for (std::size_t i = 0; i < from.size(); ++i) {
        for (std::size_t j = 0; j < x.size(); ++j) x[j] ^= from[i][j];
        salsa20_8(x);
        to[i / 2 + (i % 2) * (from.size() / 2)] = x;
    }
}

// scryptROMix (section 5).
inline void mix_memory(salsa_blocks& b, std::size_t n) {
    std::vector<salsa_blocks> memory(n, b);
    auto next = b;
    for (auto& kept : memory) {
        kept = b;
        mix_blocks(b, next);
        b.swap(next);
    }
    for (std::size_t i = 0; i < n; ++i) {
        const auto& kept = memory[b.back()[0] & (n - 1)];
        for (std::size_t j = 0; j < b.size(); ++j)
            for (std::size_t k = 0; k < b[j].size(); ++k) b[j][k] ^= kept[j][k];
        mix_blocks(b, next);
        b.swap(next);
    }
}

POSTROAD_DECL bool is_affordable(const scrypt_cost& c) noexcept {
    static constexpr std::size_t most_passes = 16;
    return c.n > 1 && std::has_single_bit(c.n) && c.r > 0 && c.p > 0 && c.p <= most_passes &&
           c.r <= max_scrypt_memory / 128 && c.n <= max_scrypt_memory / 128 / c.r;
}

POSTROAD_DECL std::string scrypt(std::string_view password, std::string_view salt, const scrypt_cost& c,
                                 std::size_t size) {
    if (!is_affordable(c)) return {};
    std::string octets(128 * c.r * c.p, '\0');
    const auto as_span = [](std::string& s) { return std::span(reinterpret_cast<unsigned char*>(s.data()), s.size()); };
    if (!pbkdf2(MBEDTLS_MD_SHA256, password, salt, 1, as_span(octets))) return {};
    for (std::size_t pass = 0; pass < c.p; ++pass) {
        salsa_blocks b(2 * c.r);
        auto* at = octets.data() + pass * 128 * c.r;
        for (std::size_t i = 0; i < 32 * c.r; ++i)
            for (std::size_t j = 4; j-- > 0;)
                b[i / 16][i % 16] = b[i / 16][i % 16] << 8 | static_cast<unsigned char>(at[4 * i + j]);
        mix_memory(b, c.n);
        for (std::size_t i = 0; i < 128 * c.r; ++i)
            at[i] = static_cast<char>(b[i / 64][i / 4 % 16] >> (8 * (i % 4)) & 0xffU);
    }
    std::string key(size, '\0');
    if (!pbkdf2(MBEDTLS_MD_SHA256, password, octets, 1, as_span(key))) key.clear();
    return key;
}

}  // namespace postroad::detail
