#pragma once

#include <postroad/core/percent.hpp>
#include <postroad/message/fields.hpp>
#include <postroad/message/lines.hpp>
#include <postroad/message/utf8.hpp>

#include <algorithm>

namespace postroad::detail {

POSTROAD_DECL std::string_view trimmed(std::string_view text) noexcept {
    const auto is_gap = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
    while (!text.empty() && is_gap(text.back())) text.remove_suffix(1);
    while (!text.empty() && is_gap(text.front())) text.remove_prefix(1);
    return text;
}

POSTROAD_DECL std::string one_line(std::string_view value) {
    std::string result;
    for (const char c : trimmed(value)) {
        const bool gap = c == ' ' || c == '\t' || c == '\r' || c == '\n';
        if (!gap)
            result += c;
        else if (result.back() != ' ')
            result += ' ';
    }
    return result;
}

POSTROAD_DECL std::vector<header_field> split_fields(std::string_view header) {
    std::vector<header_field> fields;
    fields.reserve(16);  // what most messages have
    for (std::size_t at = 0; at < header.size();) {
        const auto start = at;
        do at = std::min(find_octet(header, '\n', at) + 1, header.size());
        while (at < header.size() && (header[at] == ' ' || header[at] == '\t'));
        header_field f{{}, {}, header.substr(start, at - start)};
        if (const auto colon = f.all.find(':'); colon < f.all.find('\r')) {
            f.name = f.all.substr(0, colon);
            while (!f.name.empty() && (f.name.back() == ' ' || f.name.back() == '\t')) f.name.remove_suffix(1);
            f.value = f.all.substr(colon + 1);
            if (f.value.ends_with("\r\n")) f.value.remove_suffix(2);
        }
        fields.push_back(f);
    }
    return fields;
}

POSTROAD_DECL const header_field* find_field(const std::vector<header_field>& fields, std::string_view name) noexcept {
    const auto f = std::ranges::find_if(fields, [&](const auto& x) { return equal_ignoring_case(x.name, name); });
    return f == fields.end() ? nullptr : &*f;
}

POSTROAD_DECL split_entity split_at_empty_line(std::string_view text) noexcept {
    if (text.starts_with("\r\n")) return {{}, text.substr(2), true};
    const auto end = text.find("\r\n\r\n");
    if (end == std::string_view::npos) return {text, {}, false};
    return {text.substr(0, end + 2), text.substr(end + 4), true};
}

// `charset'language'text` with %XX, of which the charset and the language stand in the first piece.
inline std::string extended_octets(std::string_view text, bool is_first) {
    const auto language = is_first ? text.find('\'') : text.npos;
    const auto value = language == text.npos ? text.npos : text.find('\'', language + 1);
    if (value != text.npos) text.remove_prefix(value + 1);
    return percent_decoded(text).value_or(std::string(text));
}

POSTROAD_DECL std::string parameterised::parameter(std::string_view name) const {
    static constexpr std::size_t max_pieces = 100;
    const auto find = [&](std::string_view key) -> const std::string* {
        const auto p = std::ranges::find_if(parameters, [&](const auto& x) { return x.first == key; });
        return p == parameters.end() ? nullptr : &p->second;
    };
    if (const auto* plain = find(name)) return *plain;
    const auto marked = std::string(name) + '*';
    if (const auto* whole = find(marked)) return extended_octets(*whole, true);
    std::string result;
    for (std::size_t n = 0; n < max_pieces; ++n) {
        const auto key = marked + std::to_string(n);
        if (const auto* piece = find(key))
            result += *piece;
        else if (const auto* extended = find(key + '*'))
            result += extended_octets(*extended, n == 0);
        else
            break;
    }
    return result;
}

/// Reads tokens, quoted strings and separators; comments and spaces count for nothing.
class parameter_scanner {
public:
    explicit parameter_scanner(std::string_view text) noexcept : text_(text) {}

    bool done() {
        skip();
        return at_ == text_.size();
    }
    bool take(char c) {
        skip();
        if (at_ == text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }
    void drop() { ++at_; }
    // A token up to what ends it, or a quoted string without its quotes.
    std::string word(std::string_view ends) {
        skip();
        std::string result;
        if (at_ < text_.size() && text_[at_] == '"') {
            for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
                if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
                if (text_[at_] != '\r' && text_[at_] != '\n') result += text_[at_];
            }
            if (at_ < text_.size()) ++at_;
            return result;
        }
        while (at_ < text_.size() && !is_gap(text_[at_]) && ends.find(text_[at_]) == std::string_view::npos)
            result += text_[at_++];
        return result;
    }

private:
    static bool is_gap(char c) noexcept { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
    void skip() {
        std::size_t depth = 0;
        for (; at_ < text_.size(); ++at_) {
            const char c = text_[at_];
            if (c == '(') {
                ++depth;
            } else if (depth == 0) {
                if (!is_gap(c)) return;
            } else if (c == ')') {
                --depth;
            } else if (c == '\\' && at_ + 1 < text_.size()) {
                ++at_;
            }
        }
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

POSTROAD_DECL parameterised parse_parameterised(std::string_view text) {
    parameter_scanner in(text);
    parameterised result;
    result.value = in_lower_case(in.word(";("));
    while (!in.done()) {
        if (!in.take(';')) {
            in.drop();
            continue;
        }
        auto name = in_lower_case(in.word("=;("));
        if (name.empty() || !in.take('=')) continue;
        result.parameters.emplace_back(std::move(name), in.word(";("));
    }
    return result;
}

POSTROAD_DECL split_parts split_multipart(std::string_view body, std::string_view boundary) {
    split_parts result;
    if (boundary.empty()) return result;
    bool open = false;
    std::size_t start = 0;
    for (std::size_t at = 0; at < body.size() && !result.closed;) {
        const auto end = std::min(find_octet(body, '\n', at) + 1, body.size());
        auto line = body.substr(at, end - at);
        if (line.starts_with("--") && line.substr(2).starts_with(boundary)) {
            line.remove_prefix(2 + boundary.size());
            const bool last = line.starts_with("--");
            if (trimmed(last ? line.substr(2) : line).empty()) {
                // the line end before it belongs to the delimiter, unless the part is empty
                const auto part_end = at >= start + 2 && body.substr(at - 2, 2) == "\r\n" ? at - 2 : at;
                if (open) result.parts.push_back(body.substr(start, part_end - start));
                open = true;
                result.closed = last;
                start = end;
            }
        }
        at = end;
    }
    if (open && !result.closed) result.parts.push_back(body.substr(start));
    return result;
}

}  // namespace postroad::detail
