#pragma once
// Base64 and quoted-printable in lines, as bodies carry them (RFC 2045 section 6), and encoded words read.

#include <postroad/core/config.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postroad::detail {

inline constexpr std::size_t max_encoded_line = 76;   // RFC 2045 sections 6.7 and 6.8
inline constexpr std::size_t base64_line_input = 57;  // octets that become one such line

/// Octets of `size` octets in base64 with CRLF between lines, none behind the last.
constexpr std::uint64_t base64_lines_size(std::uint64_t size) noexcept {
    const auto digits = (size + 2) / 3 * 4;
    return digits == 0 ? 0 : digits + (digits - 1) / max_encoded_line * 2;
}

/// Appends that.
POSTROAD_DECL void append_base64_lines(std::string& to, std::string_view octets);

/// Appends text in quoted-printable (RFC 2045 section 6.7); CRLF, CR and LF are line ends. Lines have at most 76
/// octets.
POSTROAD_DECL void append_quoted_printable(std::string& to, std::string_view text);

/// The octets of an encoded word (RFC 2047 section 2) as UTF-8, which need not be well-formed: a character may go on in
/// the next word. Nothing if it is none, or in another charset than UTF-8, ASCII and Latin-1.
POSTROAD_DECL std::optional<std::string> decoded_word(std::string_view word);

/// Whether it is an encoded word as it may stand in a phrase (RFC 2047 section 5), in a charset that decoded_word()
/// does not know.
POSTROAD_DECL bool is_foreign_word(std::string_view word) noexcept;

/// Whether text is shorter, and so better readable, in quoted-printable than in base64.
POSTROAD_DECL bool prefers_quoted_printable(std::string_view text) noexcept;

}  // namespace postroad::detail

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/encoding.ipp>
#endif
