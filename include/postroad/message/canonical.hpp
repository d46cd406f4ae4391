#pragma once
// Header fields and bodies in canonical form, and their hash (RFC 6376 sections 3.4 and 3.7).

#include <postroad/core/base64.hpp>
#include <postroad/core/error.hpp>
#include <postroad/message/fields.hpp>
#include <postroad/message/lines.hpp>
#include <postroad/message/utf8.hpp>

#include <array>
#include <cstddef>
#include <cstring>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include <mbedtls/md.h>

namespace postroad {

/// How much a signature lets relays change (RFC 6376 section 3.4).
enum class canonicalization : unsigned char {
    relaxed,  ///< spaces, folding, case of names
    simple,   ///< nothing but empty lines at the end
};

namespace detail {

inline const unsigned char* as_octets(std::string_view text) noexcept {
    return reinterpret_cast<const unsigned char*>(text.data());
}

/// SHA-256 of text that comes in pieces.
class sha256 {
public:
    using value = std::array<unsigned char, 32>;

    sha256() {
        mbedtls_md_init(&context_);
        require(mbedtls_md_setup(&context_, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), 0));
        require(mbedtls_md_starts(&context_));
    }
    sha256(const sha256&) = delete;
    sha256& operator=(const sha256&) = delete;
    ~sha256() { mbedtls_md_free(&context_); }

    void add(std::string_view text) { require(mbedtls_md_update(&context_, as_octets(text), text.size())); }
    value finish() {
        value result{};
        require(mbedtls_md_finish(&context_, result.data()));
        return result;
    }

private:
    static void require(int result) {
        if (result != 0) throw error(errc::signing_failed, "SHA-256 cannot be computed");
    }
    mbedtls_md_context_t context_;
};

inline std::string base64_of(const sha256::value& digest) {
    return base64_encode({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

/// The body as a signature sees it (RFC 6376 sections 3.4.3 and 3.4.4), hashed while it comes in pieces.
class body_hasher {
public:
    explicit body_hasher(canonicalization how) noexcept : how_(how) {}

    void add(std::string_view text) {
        while (!text.empty()) {
            if (pending_cr_) {
                pending_cr_ = false;
                if (text[0] == '\n') {
                    end_line();
                    text.remove_prefix(1);
                    continue;
                }
                put("\r");
            }
            const auto cr = find_octet(text, '\r');
            in_line(text.substr(0, cr));
            pending_cr_ = cr < text.size();
            text.remove_prefix(std::min(cr + 1, text.size()));
        }
    }

    sha256::value finish() {
        if (pending_cr_) put("\r");
        // the last line has an end, and an empty body is an empty line in the simple form only
        if (anything_ || how_ == canonicalization::simple) append("\r\n");
        drain();
        return hash_.finish();
    }

private:
    void in_line(std::string_view text) {
        if (how_ == canonicalization::simple) return put(text);
        while (!text.empty()) {
            // octet by octet, in stretches that fit even if a space is put before each
            const auto stretch = text.substr(0, buffer_.size() / 2);
            text.remove_prefix(stretch.size());
            if (used_ > buffer_.size() - 2 * stretch.size()) drain();
            for (const char c : stretch) {
                if (c == ' ' || c == '\t') {
                    gap_ = true;
                    continue;
                }
                if (line_ends_ > 0) flush(stretch.size());
                if (std::exchange(gap_, false)) buffer_[used_++] = ' ';
                buffer_[used_++] = c;
                anything_ = true;
            }
        }
    }
    void put(std::string_view text) {
        if (text.empty()) return;
        flush(0);
        if (std::exchange(gap_, false)) append(" ");
        append(text);
        anything_ = true;
    }
    // Empty lines count only when something stands behind them.
    void end_line() {
        gap_ = false;
        ++line_ends_;
    }
    // Leaves room for `wanted` octets and as many spaces.
    void flush(std::size_t wanted) {
        for (; line_ends_ > 0; --line_ends_) append("\r\n");
        if (used_ > buffer_.size() - 2 * wanted) drain();
    }
    void append(std::string_view text) {
        if (text.size() > buffer_.size() - used_) drain();
        if (text.size() > buffer_.size()) return hash_.add(text);
        used_ += text.copy(buffer_.data() + used_, text.size());
    }
    void drain() {
        hash_.add({buffer_.data(), used_});
        used_ = 0;
    }

    canonicalization how_;
    sha256 hash_;
    std::array<char, 8192> buffer_{};
    std::size_t used_ = 0;
    std::uint64_t line_ends_ = 0;
    bool gap_ = false;
    bool pending_cr_ = false;
    bool anything_ = false;
};

/// One field as a signature sees it (RFC 6376 sections 3.4.1 and 3.4.2), without the last CRLF.
inline std::string canonical_field(std::string_view field, canonicalization how) {
    if (field.ends_with("\r\n")) field.remove_suffix(2);
    if (how == canonicalization::simple) return std::string(field);
    const auto colon = field.find(':');
    auto result = in_lower_case(std::string(trimmed(field.substr(0, colon)))) + ':';
    bool gap = false;
    for (const char c : trimmed(field.substr(colon + 1))) {
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            gap = gap || (c != '\r' && c != '\n');
            continue;
        }
        if (std::exchange(gap, false)) result += ' ';
        result += c;
    }
    return result;
}

}  // namespace detail
}  // namespace postroad
