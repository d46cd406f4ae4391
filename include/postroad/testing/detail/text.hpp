#pragma once
// Small helpers to take command lines apart.

#include <charconv>
#include <string>
#include <string_view>
#include <system_error>

namespace postroad::testing::detail {

inline std::string upper(std::string_view text) {
    std::string result(text);
    for (auto& c : result)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return result;
}

/// The text up to `mark`, taken off with it; all of `rest` if there is none.
inline std::string_view take_word(std::string_view& rest, char mark = ' ') {
    const auto end = rest.find(mark);
    const auto word = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    return word;
}

/// False unless all of `text` is a number that fits.
template <class Number>
bool read_number(std::string_view text, Number& value, int base = 10) {
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    return ec == std::errc() && end == text.data() + text.size();
}

}  // namespace postroad::testing::detail
