#pragma once

#include <postroad/smtp/reply.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace postroad::smtp {

namespace detail {

// Takes one to three digits; nothing if there are none.
inline bool take_number(const char*& at, const char* end, std::uint16_t& value) noexcept {
    const auto* const first = at;
    const auto* const last = end - at > 3 ? at + 3 : end;
    unsigned n = 0;
    for (; at != last && *at >= '0' && *at <= '9'; ++at) n = n * 10 + static_cast<unsigned>(*at - '0');
    value = static_cast<std::uint16_t>(n);
    return at != first;
}

inline std::uint16_t code_of(std::string_view line) noexcept {
    return static_cast<std::uint16_t>((line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0'));
}

inline constexpr const char* no_crlf = "a line of the reply ends without CRLF";

}  // namespace detail

POSTROAD_DECL enhanced_code take_enhanced_code(std::string_view& text, unsigned code) noexcept {
    if (text.size() < 5 || static_cast<unsigned>(text[0] - '0') != code / 100 || text[1] != '.') return {};
    enhanced_code result{static_cast<std::uint8_t>(code / 100), 0, 0};
    const auto* at = text.data() + 2;
    const auto* const end = text.data() + text.size();
    if (!detail::take_number(at, end, result.subject) || at == end || *at++ != '.') return {};
    if (!detail::take_number(at, end, result.detail) || (at != end && *at != ' ')) return {};
    text = {at == end ? at : at + 1, end};
    return result;
}

POSTROAD_DECL void reply_reader::reset() noexcept {
    line_.clear();
    reply_ = {};
    lines_ = 0;
    size_ = 0;
    explanation_.clear();
    refused_.clear();
}

POSTROAD_DECL void reply_reader::fail(errc e, std::string text, error_code& ec, std::string_view line) {
    explanation_ = std::move(text);
    refused_ = line;
    ec = e;
}

POSTROAD_DECL std::string reply_reader::explanation(const redaction& hidden) const {
    return refused_.empty() ? explanation_ : explanation_ + '"' + escaped(hidden.of(refused_), 80) + '"';
}

// Refusals such as 571 and 591 are in use: the first digit says all that matters (RFC 5321 section 4.3.2).
POSTROAD_DECL bool reply_reader::is_reply_line(std::string_view line) noexcept {
    const auto digit = [&](std::size_t i) { return static_cast<unsigned>(line[i] - '0'); };
    if (line.size() < 3 || digit(0) < 2 || digit(0) > 5 || digit(1) > (digit(0) >= 4 ? 9u : 5u) || digit(2) > 9)
        return false;
    return line.size() == 3 || line[3] == ' ' || line[3] == '-';
}

// Of a line without its LF.
POSTROAD_DECL std::string reply_reader::fault_of(std::string_view line) const {
    const bool ended = line.ends_with('\r');
    if (ended) line.remove_suffix(1);
    if (line.empty()) return ended ? "expected a reply such as \"250 ok\", got an empty line" : detail::no_crlf;
    if (!is_reply_line(line)) return "expected a reply such as \"250 ok\", got ";
    if (!ended) return std::string(detail::no_crlf) + ": ";
    if (line.find('\r') != std::string_view::npos) return "a line of the reply holds a CR within: ";
    if (line.find('\0') != std::string_view::npos) return "a line of the reply holds a NUL: ";
    if (lines_ != 0 && detail::code_of(line) != reply_.code)
        return "the lines of one reply have two codes, " + std::to_string(reply_.code) + " and " +
               std::string(line.substr(0, 3)) + ": ";
    return {};
}

// True when the line ends its reply.
POSTROAD_DECL bool reply_reader::add_line(std::string_view line, error_code& ec) {
    if (lines_ == 0) reply_.text.clear();
    size_ += line.size();
    if (++lines_ > max_reply_lines || size_ > max_reply_size) {
        fail(errc::reply_too_long, "the reply exceeds 128 lines or 64 KiB", ec);
        return false;
    }
    const auto code = detail::code_of(line);
    auto text = line;
    text.remove_prefix(line.size() > 3 ? 4 : 3);
    auto behind = text;
    const auto enhanced = take_enhanced_code(behind, code);
    if (lines_ == 1 || !reply_.enhanced) reply_.enhanced = enhanced;
    // A line with a code of its own keeps it.
    if (enhanced == reply_.enhanced) text = behind;
    if (lines_ > 1) reply_.text += '\n';
    reply_.code = code;
    reply_.text += text;
    return line.size() == 3 || line[3] == ' ';
}

POSTROAD_DECL const reply* reply_reader::next(std::string_view& input, error_code& ec) {
    ec = {};
    while (!input.empty()) {
        const auto newline = input.find('\n');
        const auto piece = input.substr(0, newline);
        if (line_.size() + piece.size() > max_reply_line + 1) {
            fail(errc::reply_too_long, "a line of the reply exceeds 4096 octets", ec);
            return nullptr;
        }
        if (newline == std::string_view::npos) {
            line_ += piece;
            input = {};
            return nullptr;
        }
        std::string_view line = piece;
        if (!line_.empty()) line = line_ += piece;
        input.remove_prefix(newline + 1);
        if (auto fault = fault_of(line); !fault.empty()) {
            fail(errc::malformed_reply, std::move(fault), ec,
                 line.substr(0, line.size() - (line.ends_with('\r') ? 1 : 0)));
            return nullptr;
        }
        const bool last = add_line(line.substr(0, line.size() - 1), ec);
        line_.clear();
        if (ec) return nullptr;
        if (last) {
            lines_ = 0;
            size_ = 0;
            return &reply_;
        }
    }
    return nullptr;
}

}  // namespace postroad::smtp
