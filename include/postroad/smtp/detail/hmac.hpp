#pragma once
// The few cryptographic functions of SASL, over the message digests of mbedTLS 2.28 and 3.6.

#include <mbedtls/md.h>
#include <mbedtls/platform_util.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace postroad::smtp::detail {

// The value of a digest; may be a key, so it does not stay in memory.
class digest {
public:
    digest() = default;
    digest(const digest&) = default;
    digest& operator=(const digest&) = default;
    ~digest() { mbedtls_platform_zeroize(octets_.data(), octets_.size()); }

    unsigned char* data() noexcept { return octets_.data(); }
    void resize(std::size_t size) noexcept { size_ = size; }
    std::string_view view() const noexcept { return {reinterpret_cast<const char*>(octets_.data()), size_}; }
    digest& operator^=(const digest& other) noexcept {
        for (std::size_t i = 0; i < size_; ++i) octets_[i] = static_cast<unsigned char>(octets_[i] ^ other.octets_[i]);
        return *this;
    }

private:
    std::array<unsigned char, MBEDTLS_MD_MAX_SIZE> octets_{};
    std::size_t size_ = 0;
};

inline const unsigned char* octets(std::string_view text) noexcept {
    return reinterpret_cast<const unsigned char*>(text.data());
}

// HMAC with one key, over any number of messages. `usable` is false when this mbedTLS lacks the digest or memory.
class hmac {
public:
    hmac(mbedtls_md_type_t type, std::string_view key) {
        mbedtls_md_init(&context_);
        const auto* info = mbedtls_md_info_from_type(type);
        if (!info) return;
        size_ = mbedtls_md_get_size(info);
        usable_ = mbedtls_md_setup(&context_, info, 1) == 0 &&
                  mbedtls_md_hmac_starts(&context_, octets(key), key.size()) == 0;
    }
    hmac(const hmac&) = delete;
    hmac& operator=(const hmac&) = delete;
    ~hmac() { mbedtls_md_free(&context_); }

    // Of the parts, one after another; ready for the next message afterwards. False when it cannot be computed.
    bool operator()(std::initializer_list<std::string_view> parts, digest& out) {
        for (const auto part : parts)
            usable_ = usable_ && mbedtls_md_hmac_update(&context_, octets(part), part.size()) == 0;
        usable_ =
            usable_ && mbedtls_md_hmac_finish(&context_, out.data()) == 0 && mbedtls_md_hmac_reset(&context_) == 0;
        out.resize(usable_ ? size_ : 0);
        return usable_;
    }

private:
    mbedtls_md_context_t context_;
    std::size_t size_ = 0;
    bool usable_ = false;
};

inline bool hash(mbedtls_md_type_t type, std::string_view text, digest& out) {
    const auto* info = mbedtls_md_info_from_type(type);
    if (!info || mbedtls_md(info, octets(text), text.size(), out.data()) != 0) return false;
    out.resize(mbedtls_md_get_size(info));
    return true;
}

// Hi() of RFC 5802 section 2.2, which is PBKDF2 with one block. Not mbedtls_pkcs5: its function differs between 2.28
// and 3.6, and builds of mbedTLS leave it out.
inline bool salted_password(mbedtls_md_type_t type, std::string_view password, std::string_view salt,
                            std::uint32_t iterations, digest& out) {
    hmac round(type, password);
    digest u;
    if (!round({salt, std::string_view("\0\0\0\1", 4)}, u)) return false;
    out = u;
    for (std::uint32_t i = 1; i < iterations; ++i) {
        if (!round({u.view()}, u)) return false;
        out ^= u;
    }
    return true;
}

// In a time that depends on the sizes only.
inline bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size()) return false;
    volatile unsigned char difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        difference = static_cast<unsigned char>(difference | (octets(a)[i] ^ octets(b)[i]));
    return difference == 0;
}

}  // namespace postroad::smtp::detail
