#pragma once
// Small helpers to take command lines apart.

#include <postroad/core/number.hpp>
#include <postroad/message/utf8.hpp>

#include <string>
#include <string_view>

namespace postroad::testing::detail {

inline std::string upper(std::string_view text) { return postroad::detail::in_upper_case(std::string(text)); }

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
    const auto number = postroad::detail::whole_number<Number>(text, base);
    if (number) value = *number;
    return number.has_value();
}

}  // namespace postroad::testing::detail
