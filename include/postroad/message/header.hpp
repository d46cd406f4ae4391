#pragma once
// Writing header fields and bodies so that every mail system can read them: folding, encoded words, quoted-printable.

#include <postroad/core/config.hpp>
#include <postroad/message/address.hpp>
#include <postroad/message/encoding.hpp>
#include <postroad/message/lines.hpp>
#include <postroad/message/utf8.hpp>

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace postroad::detail {

inline constexpr std::size_t preferred_line = 78;    // octets without CRLF (RFC 5322 section 2.1.1)
inline constexpr std::size_t max_encoded_word = 75;  // RFC 2047 section 2; a line that holds one has at most 76
inline constexpr std::size_t max_field_name = 76;    // octets; ours

/// What a header may hold beside ASCII.
enum class header_charset : unsigned char {
    ascii,  ///< anything else goes into encoded words (RFC 2047)
    utf8,   ///< as it is: internationalised mail only (RFC 6532)
};

/// Whether a value is for people, so that it must be read as it was given, or raw, so that encoded words in it count.
enum class value_kind : unsigned char { text, raw };

/// Which values of parameters stand in quotes: all, or those that are no token.
enum class quoting : unsigned char { always, where_needed };

/// Writes fields one behind the other. Values must be well-formed UTF-8 without control characters but TAB.
class header_writer {
public:
    explicit header_writer(header_charset charset) noexcept : charset_(charset) {}
    /// `Name: value` for a value without structure. Spaces stay as they are: a text is encoded for those at an edge or
    /// a fold. Of a raw value only the words that are not ASCII are encoded, so that others in it can be read by
    /// programs.
    void unstructured(std::string_view name, std::string_view value, value_kind kind);
    /// `Name: Ann <a@x.example>, b@x.example`; nothing when there is no mailbox.
    void mailboxes(std::string_view name, std::span<const mailbox> list);
    /// The same with groups behind the mailboxes: `Team: a@x.example, b@x.example;`.
    void address_list(std::string_view name, std::span<const mailbox> list, std::span<const mailbox_group> groups);
    /// `Name: value; parameter="…"`, each parameter on a line of its own where it does not fit. A value that is not
    /// ASCII, or reads like an encoded word, is encoded and cut (RFC 2231 sections 3 and 4); but that of `name`, which
    /// is for old readers, goes into encoded words.
    void parameterised(std::string_view name, std::string_view value,
                       std::span<const std::pair<std::string_view, std::string_view>> parameters);
    /// `Name: value; parameter=token; parameter="a text"`, with mailboxes instead of the value if there are any, or
    /// with neither. Otherwise as parameterised(); a raw value of a parameter is never taken for an encoded word.
    void with_parameters(std::string_view name, std::string_view value, std::span<const mailbox> list,
                         std::span<const std::pair<std::string, std::string>> parameters, value_kind kind);
    /// `Name: "a phrase", another <rest>`: phrases with commas between them, and what stands behind them.
    void phrases(std::string_view name, std::span<const std::string> list, std::string_view rest);
    /// A value of ours: ASCII, short.
    void plain(std::string_view name, std::string_view value);
    std::string take() { return std::move(text_); }

private:
    void begin(std::string_view name);
    void end() { text_ += "\r\n"; }
    void fold();
    void add(std::string_view text);
    void word(std::string_view text);
    void phrase(std::string_view name);
    void special(std::string_view text);
    void list(std::span<const mailbox> mailboxes, const char* end);
    void parameter(std::string_view name, std::string_view value, quoting how = quoting::always,
                   value_kind kind = value_kind::text, const char* end = "");
    void fallback(std::string_view name, std::string_view value);
    void encoded_words(std::string_view text);
    void words(std::string_view value);
    void mixed_words(std::string_view value);

    header_charset charset_;
    std::string text_;
    std::size_t column_ = 0;
    std::size_t line_limit_ = preferred_line;  // shorter once the line holds an encoded word
};

/// Octets that need no % in an extended value (RFC 2231 section 7, attribute-char).
constexpr bool is_plain_in_parameter(char c) noexcept {
    return is_alphanumeric(static_cast<unsigned char>(c)) ||
           (c != '\0' && std::string_view("!#$&+-.^_`{|}~").find(c) != std::string_view::npos);
}

/// Appends `=XX`.
POSTROAD_DECL void append_hex(std::string& to, char c);

/// An encoded word of UTF-8 in at most `room` octets, 30 or more; takes its characters, which are whole, off `text`.
POSTROAD_DECL std::string take_encoded_word(std::string_view& text, std::size_t room, bool in_base64);

/// Text as Q has it within an encoded word (RFC 2047 section 4.2).
POSTROAD_DECL std::string q_encoded(std::string_view text);

/// The longest stretch that cannot be folded: a word with the spaces before it.
POSTROAD_DECL std::size_t longest_stretch(std::string_view value) noexcept;

/// `Mon, 06 Jan 2025 12:34:56 +0000` (RFC 5322 section 3.3), as local time `offset` from UTC.
POSTROAD_DECL std::string format_date(std::chrono::system_clock::time_point when, std::chrono::minutes offset);

/// 128 random bits.
POSTROAD_DECL std::string random_hex();

/// `<random@domain>` of 128 random bits: neither the host's name nor the clock, which would tell strangers about the
/// machine.
POSTROAD_DECL std::string new_message_id(std::string_view domain);

/// Whether `text` can travel as it is: ASCII, no NUL, lines within 998 octets.
POSTROAD_DECL bool is_seven_bit(std::string_view text) noexcept;

}  // namespace postroad::detail

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/header.ipp>
#endif
