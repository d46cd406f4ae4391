#pragma once
// What is looked at in a file of rules before it is read as TOML.

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace postroad::transport::detail {

// What stands behind [ or [[ and blanks.
inline std::optional<std::string_view> after_brackets(std::string_view line) noexcept {
    if (!line.starts_with('[')) return std::nullopt;
    line.remove_prefix(line.starts_with("[[") ? 2 : 1);
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    return line;
}

inline bool begins_toml_key(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '"' || c == '\'';
}

// toml++ 3.3 asserts that a header has a key, and that what is not ASCII outside of texts is a letter: what is not so
// is told to `refuse(line, column, what)`, which throws, and comments are made ASCII.
template <class Refuse>
std::string plain_toml(std::string_view text, Refuse refuse) {
    std::string out;
    out.reserve(text.size());
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
    for (std::size_t line = 1; !text.empty(); ++line) {
        const auto whole = text.substr(0, text.find('\n'));
        const auto rest = whole.substr(std::min(whole.find_first_not_of(" \t"), whole.size()));
        if (const auto header = after_brackets(rest); header && (header->empty() || !begins_toml_key(header->front())))
            refuse(line, whole.size() - header->size() + 1,
                   "a header is [[provider]], [[provider.reply]], [[source]], [[binding]], [[sender]] or [[route]]");
        for (std::size_t i = 0; i < whole.size(); ++i) {
            const bool ascii = static_cast<unsigned char>(whole[i]) < 0x80;
            if (!ascii && !rest.starts_with('#'))
                refuse(line, i + 1,
                       "only a comment on a line of its own may have what is not ASCII; in a text write \\u00e9");
            out += ascii ? whole[i] : '?';
        }
        if (whole.size() < text.size()) out += '\n';
        text.remove_prefix(std::min(whole.size() + 1, text.size()));
    }
    return out;
}

}  // namespace postroad::transport::detail
