#pragma once
// Reads replies (RFC 5321 section 4.2) from octets as they arrive, in place where a read brought whole lines.

#include <postroad/core/config.hpp>
#include <postroad/core/error.hpp>
#include <postroad/core/outcome.hpp>
#include <postroad/smtp/redaction.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace postroad::smtp {

/// The RFC allows 512 octets a line and sets no number of lines; servers exceed the first. Beyond these limits a reply
/// is errc::reply_too_long.
inline constexpr std::size_t max_reply_line = 4096;
inline constexpr std::size_t max_reply_lines = 128;
inline constexpr std::size_t max_reply_size = 64 * 1024;

/// Cuts a stream into replies. A line is `code`, `code SP text` or `code-text`, ended by CRLF; the code is 2yz to 5yz
/// with y in 0 to 5, or up to 9 in a refusal, the same on every line of a reply. An enhanced status code is taken off
/// the text also where the server did not announce it (RFC 2034): Exim is one of those, and its class must fit the
/// reply code; it is that of the first line that has one, and another one stays in its line. Anything else is
/// errc::malformed_reply. After an error the stream is lost: call reset() for a new one.
class reply_reader {
public:
    /// The next whole reply in the octets given so far, or null. `input` is shortened by what was taken; octets of
    /// an unfinished line are kept inside, so `input` is empty when nothing is returned and there is no error.
    /// Valid until the next call: storage is used again.
    const reply* next(std::string_view& input, error_code& ec);

    /// What was expected and what came, after an error. The line is quoted without what `hidden` takes out of it.
    std::string explanation(const redaction& hidden = {}) const;

    /// Whether part of a reply has been read.
    bool partial() const noexcept { return !line_.empty() || lines_ != 0; }

    /// Forgets everything read.
    void reset() noexcept;

private:
    static bool is_reply_line(std::string_view line) noexcept;
    std::string fault_of(std::string_view line) const;
    bool add_line(std::string_view line, error_code& ec);
    void fail(errc e, std::string text, error_code& ec, std::string_view line = {});

    std::string line_;  // of a line whose end has not come
    reply reply_;       // of a reply whose last line has not come
    std::size_t lines_ = 0;
    std::size_t size_ = 0;
    std::string explanation_;
    std::string refused_;  // the line that the explanation is about
};

/// The enhanced status code at the front of `text` if its class fits `code` (RFC 3463 section 2), taken off with the
/// space behind it.
POSTROAD_DECL enhanced_code take_enhanced_code(std::string_view& text, unsigned code) noexcept;

}  // namespace postroad::smtp

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/smtp/impl/reply.ipp>
#endif
