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

// True when the line ends its reply.
POSTROAD_DECL bool reply_reader::add_line(std::string_view line, error_code& ec) {
    const auto malformed = [&] {
        fail(errc::malformed_reply,
             line.empty() ? "expected a reply such as \"250 ok\", got an empty line"
                          : "expected a reply such as \"250 ok\", got ",
             ec, line);
        return false;
    };
    const auto digit = [&](std::size_t i) { return static_cast<unsigned>(line[i] - '0'); };
    if (line.size() < 3 || digit(0) < 2 || digit(0) > 5 || digit(2) > 9) return malformed();
    // Refusals such as 571 and 591 are in use: the first digit says all that matters (RFC 5321 section 4.3.2).
    if (digit(1) > (digit(0) >= 4 ? 9u : 5u)) return malformed();
    if (line.size() > 3 && line[3] != ' ' && line[3] != '-') return malformed();
    if (line.find('\0') != std::string_view::npos) return malformed();
    const auto code = static_cast<std::uint16_t>(digit(0) * 100 + digit(1) * 10 + digit(2));
    if (lines_ != 0 && code != reply_.code) return malformed();
    if (lines_ == 0) reply_.text.clear();
    size_ += line.size();
    if (++lines_ > max_reply_lines || size_ > max_reply_size) {
        fail(errc::reply_too_long, "the reply exceeds 128 lines or 64 KiB", ec);
        return false;
    }
    auto text = line;
    text.remove_prefix(line.size() > 3 ? 4 : 3);
    const auto enhanced = take_enhanced_code(text, code);
    if (lines_ == 1) reply_.enhanced = enhanced;
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
        if (line.find('\r') != line.size() - 1) {
            fail(errc::malformed_reply,
                 line.empty() ? "a line of the reply ends without CRLF" : "a line of the reply ends without CRLF: ", ec,
                 line);
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
