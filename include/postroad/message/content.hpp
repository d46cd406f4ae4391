#pragma once
// The content of a message as it travels: immutable, shared by every attempt, CRLF line ends only.

#include <postroad/core/config.hpp>
#include <postroad/core/error.hpp>
#include <postroad/message/source.hpp>
#include <postroad/message/transfer.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postroad {

class content;

namespace detail {
class composition;
POSTROAD_DECL transfer widest(const composition& c) noexcept;
POSTROAD_DECL content rendered(const composition& c, transfer most);
}  // namespace detail

/// Frozen content (header and body). Each of CRLF, CR and LF in the source has become CRLF, and the last line ends with
/// one, so no bare CR or LF ever reaches the wire (RFC 5321 section 2.3.8); only content that is binary() has others.
/// Cheap to copy; safe to share between threads.
class content {
public:
    /// What is known of content without reading it.
    struct facts {
        std::uint64_t size = 0;
        std::uint64_t longest_line = 0;
        bool eight_bit = false;
        bool eight_bit_header = false;
        bool leading_dots = false;
        bool binary = false;
        friend bool operator==(const facts&, const facts&) = default;
    };

private:
    struct shared : facts {
        std::string text;                                          // all of it, unless there are pieces
        std::vector<detail::piece> pieces;                         // content that streams
        transfer form = transfer::binary;                          // of what `composed` can give, this is
        std::shared_ptr<const detail::composition> composed = {};  // null: there is no other form
        mutable std::mutex gathering = {};
        mutable std::optional<std::string> gathered = {};  // the pieces, once text() was called
    };

public:
    /// Empty content.
    content() = default;
    /// Throws `error` (errc::invalid_message) if `text` holds a NUL (RFC 5321 section 4.5.2).
    static content from_text(std::string text);
    /// The same of what `from` gives, which is read once now, for its size and the like, and again while it is sent: it
    /// is never in memory as a whole. `change`, if given, gets the header, in lines that end in CRLF and without the
    /// empty line, and returns what stands instead. Throws errc::invalid_message for a NUL and for a header of more
    /// than max_streamed_header octets, and what reading may throw.
    static content from_source(const source& from, const std::function<std::string(std::string)>& change = {});
    static constexpr std::size_t max_streamed_header = std::size_t{1} << 20;

    facts known() const noexcept { return shared_ ? facts(*shared_) : facts(); }
    /// Content that was read to its end before and kept elsewhere, of which these facts are known. It is read while it
    /// is sent; another size is errc::changed_file then.
    static content restored(const facts& known, source octets);

    /// Octets with CRLF line ends, without dot stuffing: what SIZE= declares (RFC 1870 section 5).
    std::uint64_t size() const noexcept { return shared_ ? shared_->size : 0; }
    /// All of it. Content that streams is read into memory by the first call, and stays there; this may throw
    /// errc::unreadable_file or errc::changed_file. A reader shows it in blocks instead. What it shows lives as long as
    /// the content, so a temporary has none: `const auto c = m.freeze(now).content; c.text()`.
    std::string_view text() const& {
        if (!shared_) return {};
        return shared_->pieces.empty() ? std::string_view(shared_->text) : gathered_text();
    }
    std::string_view text() const&& = delete;
    /// Whether parts of it are read, or encoded, while it is sent.
    bool streams() const noexcept { return shared_ && !shared_->pieces.empty(); }
    /// Whether `message` composed it, so that as() gives it other encodings.
    bool composed() const noexcept { return shared_ && shared_->composed; }
    /// Whether an octet is above 127: then the server must offer 8BITMIME (RFC 6152).
    bool eight_bit() const noexcept { return shared_ && shared_->eight_bit; }
    /// Whether the header holds such an octet: then it is an internationalised message (RFC 6531).
    bool eight_bit_header() const noexcept { return shared_ && shared_->eight_bit_header; }
    /// Whether it holds what only BINARYMIME carries: NUL, a bare CR or LF, long lines (RFC 3030 section 3).
    bool binary() const noexcept { return shared_ && shared_->binary; }
    /// Octets of the longest line without its CRLF; SMTP allows 998 (RFC 5321 section 4.5.3.1.6). Lines of parts that
    /// are binary do not count.
    std::uint64_t longest_line() const noexcept { return shared_ ? shared_->longest_line : 0; }
    /// Whether a line begins with a dot, which DATA must double (RFC 5321 section 4.5.2).
    bool leading_dots() const noexcept { return shared_ && shared_->leading_dots; }

    /// The same message for a server that takes at most `most`. Content that `message` composed is given its encodings
    /// anew, as wide as `most` allows. All other content stays as it is if it fits; otherwise its leaf parts that do
    /// not fit become quoted-printable or base64 (RFC 6152 section 3), for transfer::seven_bit header fields in UTF-8
    /// become encoded words, and all else stays. Signatures of whole messages (DKIM) break by that.
    ///
    /// Throws, or sets `ec` and returns empty content: errc::eight_bit_unsupported or errc::line_too_long if it cannot
    /// be done (a part in multipart/signed, which nobody may change; text outside the parts; broken structure),
    /// errc::internationalised_unsupported for a header field that has no form in ASCII: an address with a local part
    /// in UTF-8, octets of no known charset. The explanation says which. Content that streams and exists already is in
    /// memory while parts of it are encoded.
    content as(transfer most) const;
    content as(transfer most, error_code& ec, std::string* explanation = nullptr) const;
    /// The same with header fields in UTF-8 as encoded words, and all behind the header as it is: a server without
    /// SMTPUTF8 may still take 8-bit octets there, and what streams still does. Throws
    /// errc::internationalised_unsupported as as() does. For content that `message` did not compose.
    content with_ascii_header() const;
    /// The same with `fields`, each ending in CRLF and ASCII, on top of the header. It keeps its form: as() gives no
    /// wider one any more.
    content with_fields(std::string_view fields) const;

    /// Reads content from its start, in pieces, and keeps it alive.
    class reader {
    public:
        reader() = default;
        explicit reader(const content& c) : shared_(c.shared_) {
            if (c.streams()) stream_ = std::make_unique<detail::piece_stream>(shared_->pieces);
        }
        /// What comes next, contiguous; empty only at the end and after a failure. Valid until consume().
        std::string_view peek() const noexcept {
            if (stream_) return stream_->view();
            return shared_ ? std::string_view(shared_->text).substr(at_) : std::string_view{};
        }
        /// Moves on by `n` octets of what peek() showed. Of content that streams this may read a file.
        void consume(std::size_t n) noexcept {
            at_ += n;
            if (stream_) stream_->advance(n);
        }
        /// Whether peek() shows all that is left.
        bool all_in_view() const noexcept { return !stream_ || stream_->all_in_view(); }
        /// Whether there is no more although it is not the end. Whoever sends it must not complete the message.
        bool failed() const noexcept { return stream_ && stream_->failed(); }
        /// Why: errc::unreadable_file, errc::changed_file.
        error_code failure() const noexcept { return stream_ ? stream_->failure() : error_code{}; }
        /// That in words; empty without a failure.
        std::string explanation() const { return stream_ ? stream_->explanation() : std::string{}; }

    private:
        std::shared_ptr<const shared> shared_;
        std::unique_ptr<detail::piece_stream> stream_;
        std::size_t at_ = 0;
    };

private:
    friend class detail::composition;

    bool fits(transfer most) const noexcept;
    std::string read_whole() const;
    std::string_view gathered_text() const;
    static content from_lines(std::string text);

    std::shared_ptr<const shared> shared_;
};

namespace detail {

/// The header of content, read no further; of one without an end max_streamed_header octets, or some more.
POSTROAD_DECL std::string header_of(const content& c);

/// Whether somebody signed its header, by DKIM or for ARC (RFC 8617): it must stay as it is. So must one that cannot be
/// read, which nobody knows.
POSTROAD_DECL bool has_signed_header(const content& c);

/// Whether its header says `TLS-Required: No` (RFC 8689 section 3). Not where it cannot be read.
POSTROAD_DECL bool waives_tls(const content& c);

/// The domain of the first mailbox in From, in A-labels and lower case. Empty where it cannot be read.
POSTROAD_DECL std::string from_domain(const content& c);

}  // namespace detail

}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/content.ipp>
#endif
