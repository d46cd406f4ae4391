#pragma once
// Numbers that somebody else wrote.

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

namespace postroad::detail {

/// All of `text` as a number; nothing if it is anything else, or too large for it. No plus sign, no spaces; a minus
/// sign only where `Number` has negative values.
template <class Number>
std::optional<Number> whole_number(std::string_view text, int base = 10) noexcept {
    Number value = 0;
    const auto* const end = text.data() + text.size();
    const auto [stop, failed] = std::from_chars(text.data(), end, value, base);
    if (failed != std::errc() || stop != end) return std::nullopt;
    return value;
}

}  // namespace postroad::detail
