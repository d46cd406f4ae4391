#pragma once
// Keys for ed25519-sha256 signatures (RFC 8463) over OpenSSL 3. See docs/messages.md. Not among what
// postroad/postroad.hpp includes: needs the component postroad::openssl. Inline in every mode.

#include <postroad/core/base64.hpp>
#include <postroad/core/error.hpp>
#include <postroad/core/secret.hpp>
#include <postroad/message/dkim.hpp>

#include <array>
#include <memory>
#include <span>
#include <string>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

namespace postroad {
namespace detail {

inline std::shared_ptr<EVP_PKEY> read_ed25519(const secret& pem, const secret& password) {
    const auto text = pem.reveal();
    const std::unique_ptr<BIO, decltype(&BIO_free)> in(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())),
                                                       &BIO_free);
    // without a callback OpenSSL would ask at the terminal
    const auto give = [](char* to, int room, int, void* from) {
        const auto word = static_cast<const secret*>(from)->reveal();
        if (word.size() > static_cast<std::size_t>(room)) return -1;
        return static_cast<int>(word.copy(to, word.size()));
    };
    auto* key = in ? PEM_read_bio_PrivateKey(in.get(), nullptr, give, const_cast<secret*>(&password)) : nullptr;
    std::shared_ptr<EVP_PKEY> result(key, &EVP_PKEY_free);
    if (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519)
        throw error(errc::invalid_option,
                    "DKIM: expected an Ed25519 private key in PEM, and its password if it has one");
    return result;
}

inline std::string sign_ed25519(EVP_PKEY* key, std::span<const unsigned char, 32> digest) {
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    std::string result(64, '\0');
    auto size = result.size();
    if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key) != 1 ||
        EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(result.data()), &size, digest.data(),
                       digest.size()) != 1)
        throw error(errc::signing_failed, "Ed25519 signing failed");
    return result;
}

inline std::string public_ed25519(EVP_PKEY* key) {
    std::array<unsigned char, 32> room{};
    auto size = room.size();
    if (EVP_PKEY_get_raw_public_key(key, room.data(), &size) != 1) return {};
    return base64_encode({reinterpret_cast<const char*>(room.data()), size});
}

}  // namespace detail

/// A key for ed25519-sha256, in PEM (PKCS #8). Throws `error` (errc::invalid_option) if it is none.
inline dkim_key ed25519_key(const secret& pem, const secret& password = {}) {
    const auto key = detail::read_ed25519(pem, password);
    return {"ed25519-sha256",
            [key](std::span<const unsigned char, 32> digest) { return detail::sign_ed25519(key.get(), digest); },
            detail::public_ed25519(key.get())};
}

}  // namespace postroad
