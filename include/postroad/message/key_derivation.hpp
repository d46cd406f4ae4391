#pragma once
// Keys from passwords: PBKDF2 as mbedTLS has it, and scrypt (RFC 7914), which it lacks.

#include <postroad/core/config.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <mbedtls/md.h>

namespace postroad::detail {

/// PBKDF2 (RFC 8018 section 5.2). False if there is no such digest.
POSTROAD_DECL bool pbkdf2(mbedtls_md_type_t digest, std::string_view password, std::string_view salt,
                          std::size_t rounds, std::span<unsigned char> key);

/// What scrypt costs; a file of a stranger names it.
struct scrypt_cost {
    std::size_t n = 0;  ///< a power of 2
    std::size_t r = 0;
    std::size_t p = 0;
};

inline constexpr std::size_t max_scrypt_memory = std::size_t{64} * 1024 * 1024;  // octets; OpenSSL takes 16 MiB

/// Whether it is sound, and takes no more than that memory, 16 times.
POSTROAD_DECL bool is_affordable(const scrypt_cost& c) noexcept;

/// `size` octets; empty if the cost is not affordable or there is no SHA-256.
POSTROAD_DECL std::string scrypt(std::string_view password, std::string_view salt, const scrypt_cost& c,
                                 std::size_t size);

}  // namespace postroad::detail

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/key_derivation.ipp>
#endif
