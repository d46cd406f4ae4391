#pragma once
// The content of a message as it travels: immutable, shared by every attempt, CRLF line ends only.

#include <postroad/core/config.hpp>
#include <postroad/core/error.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace postroad {

/// Frozen content (header and body). Each of CRLF, CR and LF in the source has become CRLF, and the last line ends with
/// one, so no bare CR or LF ever reaches the wire (RFC 5321 section 2.3.8). Cheap to copy; safe to share between
/// threads.
class content {
    struct shared {
        std::string text;
        std::uint64_t longest_line = 0;
        bool eight_bit = false;
        bool eight_bit_header = false;
        bool leading_dots = false;
    };

public:
    /// Empty content.
    content() = default;
    /// Throws `error` (errc::invalid_message) if `text` holds a NUL (RFC 5321 section 4.5.2).
    static content from_text(std::string text);

    /// Octets with CRLF line ends, without dot stuffing: what SIZE= declares (RFC 1870 section 5).
    std::uint64_t size() const noexcept { return shared_ ? shared_->text.size() : 0; }
    /// All of it.
    std::string_view text() const noexcept { return shared_ ? std::string_view(shared_->text) : std::string_view{}; }
    /// Whether an octet is above 127: then the server must offer 8BITMIME (RFC 6152).
    bool eight_bit() const noexcept { return shared_ && shared_->eight_bit; }
    /// Whether the header holds such an octet: then it is an internationalised message (RFC 6531).
    bool eight_bit_header() const noexcept { return shared_ && shared_->eight_bit_header; }
    /// Octets of the longest line without its CRLF; SMTP allows 998 (RFC 5321 section 4.5.3.1.6).
    std::uint64_t longest_line() const noexcept { return shared_ ? shared_->longest_line : 0; }
    /// Whether a line begins with a dot, which DATA must double (RFC 5321 section 4.5.2).
    bool leading_dots() const noexcept { return shared_ && shared_->leading_dots; }

    /// Reads content from its start, in pieces, and keeps it alive.
    class reader {
    public:
        reader() = default;
        explicit reader(const content& c) noexcept : shared_(c.shared_) {}
        /// What comes next, contiguous; empty only at the end. Valid until consume().
        std::string_view peek() const noexcept {
            return shared_ ? std::string_view(shared_->text).substr(at_) : std::string_view{};
        }
        /// Moves on by `n` octets of what peek() showed.
        void consume(std::size_t n) noexcept { at_ += n; }

    private:
        std::shared_ptr<const shared> shared_;
        std::size_t at_ = 0;
    };

private:
    std::shared_ptr<const shared> shared_;
};

}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/content.ipp>
#endif
