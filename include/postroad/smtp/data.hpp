#pragma once
// The content on the wire, without copying: after DATA with dot stuffing and the end of data (RFC 5321 section 4.5.2),
// after BDAT as it is (RFC 3030 section 2).

#include <postroad/message/content.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace postroad::smtp {

/// What tells the server where a content ends.
enum class framing : unsigned char {
    dot,    ///< DATA: a line with a dot
    chunk,  ///< BDAT: the number of octets, said before
};

/// Shows content as it goes over the wire. A doubled dot is two views that overlap in that dot, so nothing is copied,
/// whatever the content. The end of data, `.CRLF`, comes last.
class data_writer {
public:
    /// Octets that are searched for dots at once: each call looks at what is near, however long the content is.
    static constexpr std::size_t look_ahead = std::size_t{64} * 1024;

    data_writer() = default;
    /// Of empty content only the end of data is sent, or nothing.
    explicit data_writer(const content& c, framing f = framing::dot)
        : reader_(c), end_sent_(f == framing::dot ? 0 : end.size()), stuff_(f == framing::dot && c.leading_dots()) {}

    /// Fills `parts` with what comes next; returns how many were filled, 0 only at the end and after a failure. The
    /// views are valid until consume(). Content that streams is shown block by block, and one in which dots are doubled
    /// by `look_ahead` octets at most: see all_in_view().
    std::size_t show(std::span<std::string_view> parts) const noexcept;
    /// Moves on by `n` octets, at most what show() showed; returns how many of them it took.
    std::size_t consume(std::size_t n) noexcept;
    /// Whether all of it was consumed.
    bool done() const noexcept { return end_sent_ == end.size() && reader_.peek().empty() && !failed(); }
    /// Whether what show() can show, given parts enough, is all that is left.
    bool all_in_view() const noexcept { return reader_.all_in_view() && in_view().size() == reader_.peek().size(); }
    /// Whether the content ended early (content::reader). Neither the end of data nor the octets that BDAT announced
    /// will come, so the connection must be closed.
    bool failed() const noexcept { return reader_.failed(); }
    error_code failure() const noexcept { return reader_.failure(); }
    std::string explanation() const { return reader_.explanation(); }

private:
    static constexpr std::string_view end = ".\r\n";

    // Length of the next run that is sent as it stands; it ends with the first copy of a dot that is sent twice.
    struct run {
        std::size_t length;
        bool doubled;
    };
    static run next_run(std::string_view text, bool at_line_start) noexcept;
    std::string_view in_view() const noexcept { return stuff_ ? reader_.peek().substr(0, look_ahead) : reader_.peek(); }

    content::reader reader_;
    std::size_t end_sent_ = 0;
    bool stuff_ = false;
    bool at_line_start_ = true;  // false also when the dot at the front has been sent once
};

inline data_writer::run data_writer::next_run(std::string_view text, bool at_line_start) noexcept {
    if (at_line_start && text.starts_with('.')) return {1, true};
    const auto found = text.find("\n.");
    return found == std::string_view::npos ? run{text.size(), false} : run{found + 2, true};
}

inline std::size_t data_writer::show(std::span<std::string_view> parts) const noexcept {
    std::size_t count = 0;
    std::string_view text = in_view();
    bool at_line_start = at_line_start_;
    while (!text.empty() && count < parts.size()) {
        const auto [length, doubled] = stuff_ ? next_run(text, at_line_start) : run{text.size(), false};
        parts[count++] = text.substr(0, length);
        text.remove_prefix(doubled ? length - 1 : length);
        at_line_start = false;
    }
    if (text.empty() && end_sent_ < end.size() && count < parts.size() && all_in_view())
        parts[count++] = end.substr(end_sent_);
    return count;
}

inline std::size_t data_writer::consume(std::size_t n) noexcept {
    std::size_t taken = 0;
    for (auto text = in_view(); !text.empty() && taken < n; text = in_view()) {
        const auto [length, doubled] = stuff_ ? next_run(text, at_line_start_) : run{text.size(), false};
        const auto step = length < n - taken ? length : n - taken;
        const bool dot_sent_once = doubled && step == length;
        if (step > 0) at_line_start_ = !dot_sent_once && text[step - 1] == '\n';
        reader_.consume(dot_sent_once ? step - 1 : step);
        taken += step;
    }
    if (taken < n && !failed()) {
        const auto step = end.size() - end_sent_ < n - taken ? end.size() - end_sent_ : n - taken;
        end_sent_ += step;
        taken += step;
    }
    return taken;
}

}  // namespace postroad::smtp
