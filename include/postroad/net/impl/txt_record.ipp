#pragma once
// TXT records that consist of a version and fields, as those of MTA-STS (RFC 8461 section 3.1) and of reports about TLS
// (RFC 8460 section 3).

#include <postroad/message/utf8.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace postroad::net::detail {

inline bool is_alnum(char c) noexcept { return postroad::detail::is_alphanumeric(static_cast<unsigned char>(c)); }

/// Without the spaces and tabs around it; not line ends, which stand in no field.
inline std::string_view without_wsp(std::string_view text) noexcept {
    const auto is_wsp = [](char c) { return c == ' ' || c == '\t'; };
    while (!text.empty() && is_wsp(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_wsp(text.back())) text.remove_suffix(1);
    return text;
}

// Names of extensions, of records and of policies.
inline bool is_field_name(std::string_view name) noexcept {
    return !name.empty() && name.size() <= 32 && is_alnum(name.front()) &&
           std::ranges::all_of(name, [](char c) { return is_alnum(c) || c == '_' || c == '-' || c == '.'; });
}

/// The record of its kind; null where there is none, and where there are several, of which none counts.
template <class IsOne>
const std::string* only_record(const std::vector<std::string>& texts, IsOne is_one) {
    const auto found = std::ranges::find_if(texts, is_one);
    return found == texts.end() || std::any_of(found + 1, texts.end(), is_one) ? nullptr : &*found;
}

/// Calls `read(name, value)` for each field behind the version. False where that says so, or `text` is no list of
/// fields.
template <class Read>
bool read_fields(std::string_view text, Read read) {
    while (!text.empty()) {
        text = without_wsp(text);
        if (!text.starts_with(';')) return false;
        text = without_wsp(text.substr(1));
        if (text.empty()) break;
        const auto field = without_wsp(text.substr(0, text.find(';')));
        text.remove_prefix(std::min(text.find(';'), text.size()));
        const auto equals = field.find('=');
        if (equals == std::string_view::npos || !is_field_name(field.substr(0, equals))) return false;
        if (!read(field.substr(0, equals), field.substr(equals + 1))) return false;
    }
    return true;
}

}  // namespace postroad::net::detail
