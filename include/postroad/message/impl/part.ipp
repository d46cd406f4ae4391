#pragma once

#include <postroad/core/algorithm.hpp>
#include <postroad/message/checks.hpp>
#include <postroad/message/field_encoder.hpp>
#include <postroad/message/field_form.hpp>
#include <postroad/message/fields.hpp>
#include <postroad/message/part.hpp>
#include <postroad/message/utf8.hpp>

#include <algorithm>
#include <fstream>
#include <unordered_map>

namespace postroad {
namespace detail {

/// From the ends of file names to media types.
class media_type_table {
public:
    media_type_table() {
        add_builtin();
        add_globs("/usr/share/mime/globs2");
        add_mime_types("/etc/mime.types");
    }
    /// Null if it is not known; `suffix` in lower case.
    const std::string* find(const std::string& suffix) const {
        const auto i = types_.find(suffix);
        return i == types_.end() ? nullptr : &i->second;
    }

private:
    void put(std::string_view suffix, std::string_view type) {
        auto key = in_lower_case(std::string(suffix));
        const auto slash = type.find('/');
        if (slash == std::string_view::npos || !is_token(type.substr(0, slash)) || !is_token(type.substr(slash + 1)))
            return;
        // what a message composes itself is not for files
        if (type.starts_with("multipart/") || type.starts_with("message/")) return;
        types_.insert_or_assign(std::move(key), std::string(type));
    }

    void add_builtin() {
        static constexpr std::string_view known[][2] = {
            {"txt", "text/plain"},
            {"html", "text/html"},
            {"htm", "text/html"},
            {"css", "text/css"},
            {"csv", "text/csv"},
            {"ics", "text/calendar"},
            {"md", "text/markdown"},
            {"xml", "application/xml"},
            {"json", "application/json"},
            {"pdf", "application/pdf"},
            {"zip", "application/zip"},
            {"gz", "application/gzip"},
            {"rtf", "application/rtf"},
            {"doc", "application/msword"},
            {"xls", "application/vnd.ms-excel"},
            {"png", "image/png"},
            {"jpg", "image/jpeg"},
            {"jpeg", "image/jpeg"},
            {"gif", "image/gif"},
            {"svg", "image/svg+xml"},
            {"webp", "image/webp"},
            {"mp3", "audio/mpeg"},
            {"wav", "audio/x-wav"},
            {"mp4", "video/mp4"},
            {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
            {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
            {"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
            {"odt", "application/vnd.oasis.opendocument.text"},
            {"ods", "application/vnd.oasis.opendocument.spreadsheet"},
        };
        for (const auto& [suffix, type] : known) put(suffix, type);
    }

    // Lines of `type suffix suffix...`.
    void add_mime_types(const char* file) {
        std::ifstream in(file);
        for (std::string line; std::getline(in, line);) {
            std::string_view rest = line;
            rest = rest.substr(0, rest.find('#'));
            std::string_view type;
            while (!(rest = trimmed(rest)).empty()) {
                const auto end = std::min(rest.find_first_of(" \t"), rest.size());
                const auto word = rest.substr(0, end);
                rest.remove_prefix(end);
                if (type.empty())
                    type = word;
                else
                    put(word, type);
            }
        }
    }

    // Lines of `weight:type:*.suffix`, the heaviest first.
    void add_globs(const char* file) {
        std::ifstream in(file);
        std::unordered_map<std::string, bool> seen;
        for (std::string line; std::getline(in, line);) {
            const auto first = line.find(':');
            const auto second = line.find(':', first + 1);
            if (line.starts_with('#') || first == std::string::npos || second == std::string::npos) continue;
            const auto glob = std::string_view(line).substr(second + 1);
            const auto suffix = glob.starts_with("*.") ? glob.substr(2) : std::string_view{};
            if (suffix.empty() || suffix.find_first_of("*?[.:") != std::string_view::npos) continue;
            if (seen.emplace(suffix, true).second)
                put(suffix, std::string_view(line).substr(first + 1, second - first - 1));
        }
    }

    std::unordered_map<std::string, std::string> types_;
};

// `; name=value; …` (RFC 2045 section 5.1). What is not closed would take in the parameters that are put behind it.
inline bool is_parameter_list(std::string_view text) noexcept {
    while (!text.empty()) {
        const auto equals = text.find('=');
        if (text.front() != ';' || equals == text.npos || !is_token(trimmed(text.substr(1, equals - 1)))) return false;
        text.remove_prefix(equals + 1);
        std::size_t end = 1;
        if (text.starts_with('"')) {
            while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2U : 1U;
            if (end++ >= text.size()) return false;
        } else {
            end = std::min(text.find_first_of(" \t;"), text.size());
            if (!is_token(text.substr(0, end))) return false;
        }
        text = trimmed(text.substr(end));
    }
    return true;
}

// `type/subtype; name=value; …`, all in ASCII; values are tokens or quoted strings.
inline parameterised checked_media_type(const std::string& type) {
    static constexpr std::size_t max_type = 255;
    check_value("Content-Type", type);
    const auto end = std::min(type.find(';'), type.size());
    const auto value = trimmed(std::string_view(type).substr(0, end));
    const auto slash = std::min(value.find('/'), value.size());
    if (type.size() > max_type || !is_token(value.substr(0, slash)) ||
        !is_token(value.substr(std::min(slash + 1, value.size()))) || !is_ascii(type) ||
        !is_parameter_list(trimmed(std::string_view(type).substr(end))))
        refuse_field("Content-Type",
                     "expected type/subtype; name=value, with quotes around a value that is no token, in at most 255 "
                     "ASCII characters, got '" +
                         escaped(type, 100) + "'");
    auto parsed = parse_parameterised(type);
    for (const auto& [name, text] : parsed.parameters) {
        // continuations and charsets of parameters are ours to write
        if (name == "name" || name == "boundary" || name.find('*') != name.npos)
            refuse_field("Content-Type", "'" + escaped(name, 100) + "' is not a parameter that can be given here");
        const auto is_it = [&n = name](const auto& p) { return p.first == n; };
        if (std::ranges::count_if(parsed.parameters, is_it) > 1)
            refuse_field("Content-Type", "the parameter '" + escaped(name, 100) + "' stands twice");
    }
    return parsed;
}

// Those that hold no message (RFC 3464, 6533, 8098, 5965, 3886).
inline bool is_leaf_message(std::string_view type) noexcept {
    static constexpr std::string_view types[] = {
        "message/delivery-status",        "message/disposition-notification",        "message/feedback-report",
        "message/global-delivery-status", "message/global-disposition-notification", "message/global-headers",
        "message/tracking-status"};
    return postroad::detail::contains(types, type);
}

inline void check_media_type(const std::string& type) {
    const auto parsed = checked_media_type(type);
    if (parsed.is("multipart/") || (parsed.is("message/") && !is_leaf_message(parsed.value)))
        refuse_field("Content-Type", parsed.value + " is not for a single part");
}

POSTROAD_DECL void check_multipart_type(const std::string& type) {
    if (!checked_media_type(type).is("multipart/"))
        refuse_field("Content-Type", "expected multipart/..., got '" + escaped(type, 100) + "'");
}

// Whether text is shown in another order than it is stored: so "exe.txt" can look like "txt.exe".
constexpr bool turns_direction(char32_t c) noexcept {
    return (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

inline void check_file_name(const std::string& name) {
    if (name.size() > part::max_file_name) refuse_field("file name", "expected at most 255 octets");
    check_value("file name", name);
    if (name == "." || name == "..") refuse_field("file name", "expected no directory at octet 0");
    for (std::size_t at = 0; at < name.size();) {
        const auto start = at;
        const char32_t c = next_character(name, at);
        if (c == '\t' || turns_direction(c))
            refuse_field("file name", "a control character is not allowed at octet " + std::to_string(start));
        if (c == '/' || c == '\\') refuse_field("file name", "expected no directory at octet " + std::to_string(start));
    }
}

// Those of a part that are written from what else is said of it.
inline bool is_part_managed(std::string_view name) noexcept {
    static constexpr std::string_view names[] = {"Content-Type", "Content-Transfer-Encoding", "Content-Disposition",
                                                 "Content-ID",   "Content-Description",       "MIME-Version"};
    return postroad::detail::any_of(names, [&](std::string_view n) { return equal_ignoring_case(n, name); });
}

inline void check_own_fields(const part& p) {
    for (const auto& [name, value] : p.fields) {
        if (!is_field_name(name) || is_part_managed(name))
            refuse_field(escaped(name, 76), "this is no field that a part can be given");
        const auto is_it = [&n = name](const auto& f) { return equal_ignoring_case(f.first, n); };
        if (std::ranges::count_if(p.fields, is_it) > 1) refuse_field(name, "this field may stand only once");
        check_value(name, value);
        check_stretches(name, value);
        if (form_of(name) == field_form::ascii && !is_ascii(value)) refuse_field(name, "this field holds only ASCII");
        (void)field_in_ascii({name, value, value}, "utf-8");
    }
}

POSTROAD_DECL void check_part(const part& p) {
    check_media_type(p.type);
    check_part_fields(p);
}

POSTROAD_DECL void check_text_part(part& p, std::string_view kind) {
    check_part(p);
    const auto type = parse_parameterised(p.type);
    if (!type.is(kind)) refuse_field("Content-Type", "expected " + std::string(kind) + ", got " + type.value);
    if (!type.is("text/")) return;
    if (const auto charset = type.parameter("charset"); charset.empty())
        p.type += "; charset=utf-8";
    else if (!equal_ignoring_case(charset, "utf-8"))
        refuse_field("Content-Type", "expected no charset but utf-8, which the text is in");
}

POSTROAD_DECL void check_part_fields(const part& p) {
    check_own_fields(p);
    check_file_name(p.name);
    check_value("Content-Description", p.description);
    if (!p.content_id.empty()) check_id("Content-ID", p.content_id);
}

POSTROAD_DECL std::string file_name_of(std::string_view path) {
    return std::string(path.substr(path.find_last_of("/\\") + 1));
}

}  // namespace detail

POSTROAD_DECL std::string media_type_of(std::string_view file_name) {
    static const detail::media_type_table table;
    const auto dot = file_name.rfind('.');
    std::string suffix;
    if (dot != std::string_view::npos) suffix = detail::in_lower_case(std::string(file_name.substr(dot + 1)));
    const auto* found = table.find(suffix);
    return found ? *found : "application/octet-stream";
}

}  // namespace postroad
