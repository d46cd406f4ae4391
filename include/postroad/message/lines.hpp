#pragma once
// Line ends: finding them fast, and making each of them CRLF.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace postroad::detail {

inline constexpr std::size_t max_line = 998;  // octets without CRLF (RFC 5322 section 2.1.1)

inline std::size_t find_octet(std::string_view text, char c, std::size_t from = 0) noexcept {
    // memchr, because libstdc++ turns find() of one char into it only after checks that cost on short lines
    const void* found = from < text.size() ? std::memchr(text.data() + from, c, text.size() - from) : nullptr;
    return found ? static_cast<std::size_t>(static_cast<const char*>(found) - text.data()) : text.size();
}

inline bool has_high_octet(std::string_view text) noexcept {
    std::uint64_t any = 0;
    while (text.size() >= sizeof any) {
        std::uint64_t word = 0;
        std::memcpy(&word, text.data(), sizeof word);
        any |= word;
        text.remove_prefix(sizeof word);
    }
    unsigned rest = 0;
    for (const char c : text) rest |= static_cast<unsigned char>(c);
    return (any & 0x8080808080808080U) != 0 || (rest & 0x80U) != 0;
}

/// What one walk over the lines finds.
struct line_scan {
    bool only_crlf = true;  // otherwise the rest is not to be used
    bool leading_dots = false;
    std::size_t longest = 0;
    std::size_t header_size = 0;  // up to and without the first empty line
};

inline line_scan scan_lines(std::string_view text) noexcept {
    line_scan s;
    bool in_header = true;
    for (std::size_t at = 0; at < text.size();) {
        const auto lf = find_octet(text, '\n', at);
        // the first CR must be the octet before the LF, and both must be there
        const auto line = text.substr(at, lf - at);
        const auto length = find_octet(line, '\r');
        if (lf == text.size() || length + 1 != line.size()) {
            s.only_crlf = false;
            return s;
        }
        s.longest = std::max(s.longest, length);
        s.leading_dots = s.leading_dots || line[0] == '.';
        in_header = in_header && length > 0;
        at = lf + 1;
        if (in_header) s.header_size = at;
    }
    return s;
}

/// The same over text that comes in pieces, with CRLF line ends.
class line_meter {
public:
    void feed(std::string_view text) noexcept {
        high_ = high_ || has_high_octet(text);
        while (!text.empty()) {
            leading_dots_ = leading_dots_ || (column_ == 0 && text[0] == '.');
            const auto lf = find_octet(text, '\n');
            column_ += lf;
            longest_ = std::max(longest_, lf < text.size() && lf > 0 ? column_ - 1 : column_);
            if (lf == text.size()) return;
            column_ = 0;
            text.remove_prefix(lf + 1);
        }
    }
    /// Something in between whose last line has `column` octets.
    void skip(std::size_t column) noexcept {
        column_ = column;
        longest_ = std::max(longest_, column);
    }
    bool leading_dots() const noexcept { return leading_dots_; }
    bool high() const noexcept { return high_; }
    std::size_t longest() const noexcept { return longest_; }

private:
    std::size_t column_ = 0;
    std::size_t longest_ = 0;
    bool leading_dots_ = false;
    bool high_ = false;
};

/// Makes CRLF of each CRLF, CR and LF of text that comes in pieces.
class crlf_writer {
public:
    /// Appends; a line end is written as soon as it has begun, so what is appended never ends within one.
    void feed(std::string& to, std::string_view text) {
        if (text.empty()) return;
        if (std::exchange(after_cr_, text.back() == '\r') && text.front() == '\n') text.remove_prefix(1);
        if (text.empty()) return;
        in_line_ = !after_cr_ && text.back() != '\n';
        for (std::size_t at = 0; at < text.size();) {
            const auto lf = find_octet(text, '\n', at);
            auto line = text.substr(at, lf - at);
            at = lf + 1;
            if (lf < text.size() && line.ends_with('\r')) line.remove_suffix(1);
            for (;;) {
                const auto cr = find_octet(line, '\r');
                to.append(line.substr(0, cr));
                if (cr == line.size()) break;
                to += "\r\n";
                line.remove_prefix(cr + 1);
            }
            if (lf < text.size()) to += "\r\n";
        }
    }
    /// Ends the last line.
    void finish(std::string& to) {
        if (std::exchange(in_line_, false)) to += "\r\n";
    }

private:
    bool after_cr_ = false;
    bool in_line_ = false;
};

/// Each CRLF, CR and LF as CRLF, and one behind the last line.
inline std::string with_crlf(std::string_view text) {
    std::string result;
    result.reserve(text.size() + text.size() / 32 + 2);
    crlf_writer w;
    w.feed(result, text);
    w.finish(result);
    return result;
}

}  // namespace postroad::detail
