#pragma once
// Undoes dot stuffing (RFC 5321 section 4.5.2) as strictly as the RFC reads, and notes what content must not hold.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace postroad::testing::detail {

/// What was found in content that should not be there.
struct content_faults {
    bool bare_cr = false;
    bool bare_lf = false;
    bool nul = false;
    bool long_line = false;
    bool eight_bit = false;
    bool single_dot = false;  // at the start of a line with more behind it: dots were not doubled
};

/// Of one message. Content longer than the limit is counted, not kept.
class content_reader {
public:
    static constexpr std::size_t line_limit = 1000;

    content_reader() = default;
    content_reader(bool keep, std::uint64_t limit) : limit_(limit), keep_(keep) {}

    /// Takes octets behind DATA; returns how many. Only CRLF.CRLF ends the content; then ended() is true, and what is
    /// left belongs to commands. May leave up to two octets that it cannot judge yet.
    std::size_t take_stuffed(std::string_view input) {
        std::size_t at = 0;
        while (at < input.size() && !ended_) {
            const auto rest = input.substr(at);
            if (at_line_start_ && rest[0] == '.') {
                if (rest.size() < 3 && std::string_view(".\r\n").starts_with(rest)) break;
                at_line_start_ = false;
                at += 1;
                if (rest.starts_with(".\r\n")) {
                    at += 2;
                    ended_ = true;
                } else if (rest[1] != '.') {
                    found_.single_dot = true;
                }
                continue;
            }
            const auto lf = rest.find('\n');
            auto line = rest.substr(0, lf == std::string_view::npos ? lf : lf + 1);
            // a CR at the end may be the first half of CRLF
            if (line.back() == '\r') line.remove_suffix(1);
            if (line.empty()) break;
            take(line);
            at_line_start_ = line.ends_with("\r\n");
            at += line.size();
        }
        return at;
    }

    /// Takes octets of a chunk, as they are.
    void take(std::string_view octets) {
        size_ += octets.size();
        for (const char c : octets) look(c);
        if (keep_ && (limit_ == 0 || size_ <= limit_)) text_ += octets;
    }

    /// Behind the last octet.
    void finish() noexcept {
        found_.bare_cr = found_.bare_cr || after_cr_;
        found_.long_line = found_.long_line || line_ > line_limit;
    }

    bool ended() const noexcept { return ended_; }
    std::uint64_t size() const noexcept { return size_; }
    bool too_large() const noexcept { return limit_ != 0 && size_ > limit_; }
    const content_faults& found() const noexcept { return found_; }
    std::string text() && { return std::move(text_); }
    const std::string& text() const& { return text_; }

private:
    void look(char c) noexcept {
        if (c == '\n') {
            found_.bare_lf = found_.bare_lf || !after_cr_;
            found_.long_line = found_.long_line || line_ + 1 > line_limit;
            line_ = 0;
            after_cr_ = false;
            return;
        }
        found_.bare_cr = found_.bare_cr || after_cr_;
        found_.nul = found_.nul || c == '\0';
        found_.eight_bit = found_.eight_bit || (static_cast<unsigned char>(c) & 0x80U) != 0;
        after_cr_ = c == '\r';
        ++line_;
    }

    std::string text_;
    std::uint64_t size_ = 0;
    std::uint64_t limit_ = 0;
    std::size_t line_ = 0;
    content_faults found_;
    bool keep_ = true;
    bool at_line_start_ = true;
    bool after_cr_ = false;
    bool ended_ = false;
};

}  // namespace postroad::testing::detail
