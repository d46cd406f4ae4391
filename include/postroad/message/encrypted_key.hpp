#pragma once
// Private keys as OpenSSL 3 encrypts them (PKCS #8 with PBES2, RFC 8018), which mbedTLS does not read.

#include <postroad/core/config.hpp>
#include <postroad/core/secret.hpp>

#include <cstddef>

namespace postroad::detail {

/// More rounds than anybody uses; a file of a stranger could ask for years.
inline constexpr std::size_t max_key_rounds = 10'000'000;

/// A key that can be parsed, or why there is none.
struct readable_key {
    secret key = {};            ///< PEM as it was given, or DER
    const char* why = nullptr;  ///< null: there is one
};

/// Takes the encryption off, if it is one of PBES2 with PBKDF2 or scrypt, and AES or 3DES; any other key stays as it
/// is. `why` tells what is wrong where that can be seen: no PEM, cut off, a public key, a password that is missing or
/// wrong.
POSTROAD_DECL readable_key decrypted_key(const secret& pem, const secret& password);

}  // namespace postroad::detail

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/encrypted_key.ipp>
#endif
