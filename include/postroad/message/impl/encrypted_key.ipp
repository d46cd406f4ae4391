#pragma once

#include <postroad/core/base64.hpp>
#include <postroad/message/encrypted_key.hpp>
#include <postroad/message/key_derivation.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <mbedtls/cipher.h>
#include <mbedtls/md.h>

namespace postroad::detail {

/// Reads DER (ITU-T X.690) one element behind the other. What is not there is empty.
class der_reader {
public:
    static constexpr unsigned char integer = 0x02;
    static constexpr unsigned char octets = 0x04;
    static constexpr unsigned char object = 0x06;
    static constexpr unsigned char sequence = 0x30;

    explicit der_reader(std::string_view text) noexcept : rest_(text) {}
    /// The next element if it is a `tag`; otherwise it stays.
    std::string_view take(unsigned char tag) noexcept {
        const auto octet = [&](std::size_t i) { return static_cast<unsigned char>(rest_[i]); };
        if (rest_.size() < 2 || octet(0) != tag) return {};
        std::size_t size = octet(1);
        std::size_t head = 2;
        if (size > 0x80) {
            const auto count = size - 0x80;
            if (count > 3 || rest_.size() < head + count) return {};
            size = 0;
            for (std::size_t i = 0; i < count; ++i) size = size << 8 | octet(head + i);
            head += count;
        }
        if (size > rest_.size() - head) return {};
        const auto value = rest_.substr(head, size);
        rest_.remove_prefix(head + size);
        return value;
    }
    der_reader within(unsigned char tag) noexcept { return der_reader(take(tag)); }
    std::size_t number() noexcept {
        const auto digits = take(integer);
        std::size_t value = 0;
        if (digits.size() > 4) return 0;
        for (const char c : digits) value = value << 8 | static_cast<unsigned char>(c);
        return value;
    }

private:
    std::string_view rest_;
};

using namespace std::string_view_literals;

inline constexpr auto oid_pbes2 = "\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d"sv;
inline constexpr auto oid_scrypt = "\x2b\x06\x01\x04\x01\xda\x47\x04\x0b"sv;
inline constexpr auto oid_pbkdf2 = "\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0c"sv;

inline mbedtls_md_type_t digest_of(std::string_view oid) noexcept {
    static constexpr auto hmac = "\x2a\x86\x48\x86\xf7\x0d\x02"sv;
    if (oid.empty()) return MBEDTLS_MD_SHA1;  // the default
    if (oid.size() != hmac.size() + 1 || !oid.starts_with(hmac)) return MBEDTLS_MD_NONE;
    switch (oid.back()) {
        case 7: return MBEDTLS_MD_SHA1;
        case 8: return MBEDTLS_MD_SHA224;
        case 9: return MBEDTLS_MD_SHA256;
        case 10: return MBEDTLS_MD_SHA384;
        case 11: return MBEDTLS_MD_SHA512;
        default: return MBEDTLS_MD_NONE;
    }
}

inline mbedtls_cipher_type_t cipher_of(std::string_view oid) noexcept {
    static constexpr auto aes = "\x60\x86\x48\x01\x65\x03\x04\x01"sv;
    if (oid == "\x2a\x86\x48\x86\xf7\x0d\x03\x07"sv) return MBEDTLS_CIPHER_DES_EDE3_CBC;
    if (oid.size() != aes.size() + 1 || !oid.starts_with(aes)) return MBEDTLS_CIPHER_NONE;
    switch (oid.back()) {
        case 0x02: return MBEDTLS_CIPHER_AES_128_CBC;
        case 0x16: return MBEDTLS_CIPHER_AES_192_CBC;
        case 0x2a: return MBEDTLS_CIPHER_AES_256_CBC;
        default: return MBEDTLS_CIPHER_NONE;
    }
}

/// How the key follows from the password: PBKDF2 or scrypt, with what it needs.
inline bool derive_key(der_reader derivation, const secret& password, std::vector<unsigned char>& key) {
    const auto how = derivation.take(der_reader::object);
    auto parameters = derivation.within(der_reader::sequence);
    const auto salt = parameters.take(der_reader::octets);
    if (how == oid_scrypt) {
        scrypt_cost cost;
        for (auto* value : {&cost.n, &cost.r, &cost.p}) *value = parameters.number();
        const secret derived(scrypt(password.reveal(), salt, cost, key.size()));
        if (derived.reveal().size() != key.size()) return false;
        std::ranges::copy(derived.reveal(), key.begin());
        return true;
    }
    if (how != oid_pbkdf2) return false;
    const auto rounds = parameters.number();
    (void)parameters.take(der_reader::integer);  // the size of the key, which the cipher tells too
    const auto digest = digest_of(parameters.within(der_reader::sequence).take(der_reader::object));
    return digest != MBEDTLS_MD_NONE && rounds > 0 && rounds <= max_key_rounds &&
           pbkdf2(digest, password.reveal(), salt, rounds, key);
}

/// Empty if the padding is wrong, as with nearly every wrong password.
inline std::string decrypt(mbedtls_cipher_type_t cipher, const std::vector<unsigned char>& key, std::string_view iv,
                           std::string_view octets) {
    mbedtls_cipher_context_t context;
    mbedtls_cipher_init(&context);
    std::string result(octets.size() + MBEDTLS_MAX_BLOCK_LENGTH, '\0');
    std::size_t size = 0;
    const bool done =
        mbedtls_cipher_setup(&context, mbedtls_cipher_info_from_type(cipher)) == 0 &&
        mbedtls_cipher_setkey(&context, key.data(), static_cast<int>(key.size() * 8), MBEDTLS_DECRYPT) == 0 &&
        mbedtls_cipher_set_padding_mode(&context, MBEDTLS_PADDING_PKCS7) == 0 &&
        mbedtls_cipher_crypt(&context, reinterpret_cast<const unsigned char*>(iv.data()), iv.size(),
                             reinterpret_cast<const unsigned char*>(octets.data()), octets.size(),
                             reinterpret_cast<unsigned char*>(result.data()), &size) == 0;
    mbedtls_cipher_free(&context);
    result.resize(done ? size : 0);
    return result;
}

inline readable_key decrypt_pbes2(std::string_view der, const secret& pem, const secret& password) {
    static constexpr const char* unknown =
        "the private key is encrypted in a way that is not read: expected PBES2 with PBKDF2 or scrypt, and AES "
        "(openssl pkcs8 -topk8 -v2 aes256)";
    auto all = der_reader(der).within(der_reader::sequence);
    auto algorithm = all.within(der_reader::sequence);
    const auto octets = all.take(der_reader::octets);
    if (algorithm.take(der_reader::object) != oid_pbes2) return {.key = pem};  // older ones mbedTLS reads
    auto scheme = algorithm.within(der_reader::sequence);
    const auto derivation = scheme.within(der_reader::sequence);
    auto encryption = scheme.within(der_reader::sequence);
    const auto cipher = cipher_of(encryption.take(der_reader::object));
    const auto iv = encryption.take(der_reader::octets);
    const auto* info = mbedtls_cipher_info_from_type(cipher);
    if (!info || octets.empty() || iv.size() != (cipher == MBEDTLS_CIPHER_DES_EDE3_CBC ? 8U : 16U))
        return {.why = unknown};
    const std::size_t bits = cipher == MBEDTLS_CIPHER_AES_128_CBC   ? 128
                             : cipher == MBEDTLS_CIPHER_AES_256_CBC ? 256
                                                                    : 192;
    std::vector<unsigned char> key(bits / 8);
    if (!derive_key(derivation, password, key)) return {.why = unknown};
    secret plain(decrypt(cipher, key, iv, octets));
    std::ranges::fill(key, static_cast<unsigned char>(0));
    if (der_reader(plain.reveal()).take(der_reader::sequence).empty())
        return {.why = "the private key cannot be decrypted: is it this password?"};
    return {.key = std::move(plain)};
}

POSTROAD_DECL readable_key decrypted_key(const secret& pem, const secret& password) {
    const auto text = pem.reveal();
    const auto begin = text.find("-----BEGIN ");
    if (begin == std::string_view::npos) return {.why = "the private key is not readable: expected PEM"};
    const auto label = text.substr(begin + 11, text.find("-----", begin + 11) - begin - 11);
    const auto end = text.find("-----END " + std::string(label) + "-----", begin);
    if (end == std::string_view::npos) return {.why = "the private key is cut off: expected its END line"};
    if (label == "PUBLIC KEY" || label == "RSA PUBLIC KEY")
        return {.why = "this is the public key, which belongs into DNS: expected the private one"};
    if (!label.ends_with("PRIVATE KEY"))
        return {.why = "the private key is not readable: this PEM holds something else"};
    const auto body = text.substr(begin + label.size() + 16, end - begin - label.size() - 16);
    const bool encrypted = label == "ENCRYPTED PRIVATE KEY";
    if (password.empty() && (encrypted || body.find("4,ENCRYPTED") != std::string_view::npos))
        return {.why = "the private key is encrypted: expected its password"};
    // an environment variable or a JSON text may hold \n for them
    if (!encrypted && body.find_first_of("\r\n") == body.npos)
        return {.why = "the private key has lost its line ends: expected PEM in lines"};
    if (!encrypted) return {.key = pem};
    std::string digits;
    for (const char c : body)
        if (c != '\r' && c != '\n' && c != ' ' && c != '\t') digits += c;
    std::string der;
    if (!base64_decode(digits, der)) return {.why = "the private key is not readable: expected base64 in its PEM"};
    return decrypt_pbes2(der, pem, password);
}

}  // namespace postroad::detail
