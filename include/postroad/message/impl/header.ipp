#pragma once

#include <postroad/core/base64.hpp>
#include <postroad/core/random.hpp>
#include <postroad/message/checks.hpp>
#include <postroad/message/header.hpp>
#include <postroad/message/utf8.hpp>

#include <algorithm>
#include <cstdint>

namespace postroad::detail {

inline constexpr std::string_view encoded_word_start = "=?utf-8?q?";
inline constexpr std::size_t encoded_word_frame = encoded_word_start.size() + 2;

inline bool is_space(char c) noexcept { return c == ' ' || c == '\t'; }

// What a reader may take for an encoded word.
inline bool looks_encoded(std::string_view text) noexcept {
    const auto start = text.find("=?");
    return start != std::string_view::npos && text.find("?=", start + 2) != std::string_view::npos;
}

// The narrowest set of RFC 2047 section 5 (3), so that the words are good in display names too.
inline bool is_plain_in_word(char c) noexcept {
    return is_alphanumeric(static_cast<unsigned char>(c)) ||
           (c != '\0' && std::string_view("!*+-/").find(c) != std::string_view::npos);
}

POSTROAD_DECL void append_hex(std::string& to, char c) {
    static constexpr char hex[] = "0123456789ABCDEF";
    const auto u = static_cast<unsigned char>(c);
    to += '=';
    to += hex[u >> 4];
    to += hex[u & 15];
}

POSTROAD_DECL std::string q_encoded(std::string_view text) {
    std::string result;
    for (const char c : text) {
        if (c == ' ') {
            result += '_';
        } else if (is_plain_in_word(c)) {
            result += c;
        } else {
            append_hex(result, c);
        }
    }
    return result;
}

POSTROAD_DECL std::string take_encoded_word(std::string_view& text, std::size_t room, bool in_base64) {
    const auto budget = room - encoded_word_frame;
    std::size_t taken = 0;
    std::size_t cost = 0;
    while (taken < text.size()) {
        auto next = taken;
        if (next_character(text, next) == ill_formed) ++next;  // refused before; here it must not loop
        const auto piece = text.substr(taken, next - taken);
        cost = in_base64 ? (next + 2) / 3 * 4 : cost + q_encoded(piece).size();
        if (cost > budget) break;
        taken = next;
    }
    std::string result(encoded_word_start);
    if (in_base64) result[result.size() - 2] = 'b';
    result += in_base64 ? base64_encode(text.substr(0, taken)) : q_encoded(text.substr(0, taken));
    result += "?=";
    text.remove_prefix(taken);
    return result;
}

// Words of atext with one space between them: readable as a phrase without quotes.
inline bool is_plain_phrase(std::string_view name) noexcept {
    bool in_word = false;
    for (const char c : name) {
        const bool is_gap = c == ' ';
        if (is_gap ? !in_word : !is_atext(static_cast<unsigned char>(c))) return false;
        in_word = !is_gap;
    }
    return in_word;
}

inline std::string quoted_string(std::string_view name) {
    std::string result = "\"";
    for (const char c : name) {
        if (c == '"' || c == '\\') result += '\\';
        result += c;
    }
    return result + '"';
}

// The end of the stretch that begins at `at`: spaces, a word, and the spaces behind it if it is the last.
inline std::size_t stretch_end(std::string_view value, std::size_t at) noexcept {
    while (at < value.size() && is_space(value[at])) ++at;
    while (at < value.size() && !is_space(value[at])) ++at;
    auto next = at;
    while (next < value.size() && is_space(value[next])) ++next;
    return next == value.size() ? next : at;
}

POSTROAD_DECL std::size_t longest_stretch(std::string_view value) noexcept {
    std::size_t longest = 0;
    for (std::size_t at = 0; at < value.size();) {
        const auto end = stretch_end(value, at);
        longest = std::max(longest, end - at);
        at = end;
    }
    return longest;
}

POSTROAD_DECL void header_writer::begin(std::string_view name) {
    column_ = 0;
    line_limit_ = preferred_line;
    add(name);
    add(":");
}

POSTROAD_DECL void header_writer::fold() {
    text_ += "\r\n";
    column_ = 0;
    line_limit_ = preferred_line;
}

POSTROAD_DECL void header_writer::add(std::string_view text) {
    text_ += text;
    column_ += text.size();
}

POSTROAD_DECL void header_writer::word(std::string_view text) {
    if (column_ + 1 + text.size() > line_limit_) fold();
    add(" ");
    add(text);
}

POSTROAD_DECL void header_writer::encoded_words(std::string_view text) {
    // the shorter form as a whole: Q reads well in Latin scripts, B is short in all others
    const bool in_base64 = (text.size() + 2) / 3 * 4 < q_encoded(text).size();
    static constexpr std::size_t longest_character = 12;  // four octets in Q
    while (!text.empty()) {
        if (column_ + 1 + encoded_word_frame + longest_character > max_encoded_word + 1) fold();
        const auto room = max_encoded_word - column_;
        add(" ");
        add(take_encoded_word(text, room, in_base64));
        line_limit_ = max_encoded_word + 1;
    }
}

inline bool has_space_at_edge(std::string_view value) noexcept {
    return !value.empty() && (is_space(value.front()) || is_space(value.back()));
}

// Whether words with one space between them are all of it.
inline bool is_plain_line(std::string_view value) noexcept {
    return !value.empty() && !has_space_at_edge(value) && value.find('\t') == std::string_view::npos &&
           value.find("  ") == std::string_view::npos;
}

POSTROAD_DECL void header_writer::unstructured(std::string_view name, std::string_view value, value_kind kind) {
    begin(name);
    // of several spaces readers keep one where a line is folded
    const bool loses_space =
        has_space_at_edge(value) || (column_ + 1 + value.size() > preferred_line && !is_plain_line(value));
    const auto room = kind == value_kind::raw ? max_line : max_line - column_;
    const bool as_is = (charset_ == header_charset::utf8 || is_ascii(value)) && longest_stretch(value) < room &&
                       (kind == value_kind::raw || (!looks_encoded(value) && !loses_space));
    if (as_is)
        words(value);
    else if (kind == value_kind::raw && is_plain_line(value))
        mixed_words(value);
    else
        encoded_words(value);
    end();
}

// Space between encoded words counts for nothing (RFC 2047 section 6.2), so neighbours that need encoding are one text.
POSTROAD_DECL void header_writer::mixed_words(std::string_view value) {
    for (std::size_t at = 0; at < value.size();) {
        const auto start = at;
        bool is_run = false;
        for (;;) {
            const auto end = std::min(value.find(' ', at), value.size());
            const auto next = value.substr(at, end - at);
            const bool encode = !is_ascii(next) || looks_encoded(next) || next.size() >= max_line;
            if (at > start && encode != is_run) break;
            is_run = encode;
            at = std::min(end + 1, value.size());
            if (!is_run || at == value.size()) break;
        }
        auto run = value.substr(start, at - start);
        if (run.ends_with(' ')) run.remove_suffix(1);
        is_run ? encoded_words(run) : word(run);
    }
}

POSTROAD_DECL void header_writer::words(std::string_view value) {
    for (std::size_t at = 0; at < value.size();) {
        const auto stretch = value.substr(at, stretch_end(value, at) - at);
        // Of a value that begins on the second line some readers show nothing, others a space too many.
        if (column_ + stretch.size() > (at == 0 ? max_line - 1 : preferred_line)) fold();
        if (at == 0) add(" ");
        add(stretch);
        at += stretch.size();
    }
}

// The name of somebody whose own program wrote it, in a charset that only readers know.
inline bool is_foreign(std::string_view name) noexcept {
    while (!name.empty()) {
        const auto end = std::min(name.find(' '), name.size());
        if (!is_foreign_word(name.substr(0, end))) return false;
        if (end == name.size()) return true;
        name.remove_prefix(end + 1);
    }
    return false;
}

POSTROAD_DECL void header_writer::phrase(std::string_view name) {
    if (is_foreign(name)) {
        for (std::size_t at = 0; at < name.size();) {
            const auto end = std::min(name.find(' ', at), name.size());
            line_limit_ = max_encoded_word + 1;
            word(name.substr(at, end - at));
            line_limit_ = max_encoded_word + 1;
            at = end + 1;
        }
        return;
    }
    const bool as_is = (charset_ == header_charset::utf8 || is_ascii(name)) && !looks_encoded(name);
    if (as_is && is_plain_phrase(name) && longest_stretch(name) < preferred_line) {
        for (std::size_t at = 0; at < name.size();) {
            const auto end = std::min(name.find(' ', at), name.size());
            word(name.substr(at, end - at));
            at = end + 1;
        }
    } else if (const auto text = quoted_string(name); as_is && text.size() < preferred_line) {
        word(text);
    } else {
        encoded_words(name);
    }
}

// Space stands between an encoded word in a phrase and what ends the phrase (RFC 2047 section 5).
POSTROAD_DECL void header_writer::special(std::string_view text) {
    text_.ends_with("?=") || column_ + text.size() > line_limit_ ? word(text) : add(text);
}

POSTROAD_DECL void header_writer::phrases(std::string_view name, std::span<const std::string> list,
                                          std::string_view rest) {
    begin(name);
    for (const auto& text : list) {
        phrase(text);
        if (&text != &list.back()) special(",");
    }
    if (!rest.empty()) word(rest);
    end();
}

// `end` stands behind the last mailbox.
POSTROAD_DECL void header_writer::list(std::span<const mailbox> mailboxes, const char* end) {
    for (const auto& m : mailboxes) {
        const char* behind = &m == &mailboxes.back() ? end : ",";
        if (m.name.empty()) {
            word(m.address.str() + behind);
        } else {
            phrase(m.name);
            word('<' + m.address.str() + '>' + behind);
        }
    }
}

POSTROAD_DECL void header_writer::mailboxes(std::string_view name, std::span<const mailbox> mailboxes) {
    address_list(name, mailboxes, {});
}

POSTROAD_DECL void header_writer::address_list(std::string_view name, std::span<const mailbox> mailboxes,
                                               std::span<const mailbox_group> groups) {
    if (mailboxes.empty() && groups.empty()) return;
    begin(name);
    list(mailboxes, groups.empty() ? "" : ",");
    for (const auto& g : groups) {
        const char* end = &g == &groups.back() ? ";" : ";,";
        phrase(g.name);
        special(":");
        if (g.members.empty())
            special(end);
        else
            list(g.members, end);
    }
    end();
}

inline std::string parameter_encoded(std::string_view text) {
    std::string result;
    for (const char c : text) {
        if (is_plain_in_parameter(c)) {
            result += c;
        } else {
            append_hex(result, c);
            result[result.size() - 3] = '%';
        }
    }
    return result;
}

// `end` stands behind it.
POSTROAD_DECL void header_writer::parameter(std::string_view name, std::string_view value, quoting how, value_kind kind,
                                            const char* end) {
    static constexpr std::size_t max_value = 50;  // with name, number and quotes within 78
    // whole, however long: many readers know nothing of continuations
    if (is_ascii(value) && (kind == value_kind::raw || !looks_encoded(value))) {
        const bool bare = how == quoting::where_needed && is_token(value);
        return word(std::string(name) + '=' + (bare ? std::string(value) : quoted_string(value)) + end);
    }
    const bool one = parameter_encoded(value).size() <= max_value;
    for (std::size_t section = 0; !value.empty(); ++section) {
        std::string text;
        while (!value.empty()) {
            std::size_t next = 0;
            if (next_character(value, next) == ill_formed) ++next;  // refused before; here it must not loop
            const auto piece = value.substr(0, next);
            const auto more = parameter_encoded(piece);
            if (text.size() + more.size() > max_value) break;
            text += more;
            value.remove_prefix(next);
        }
        auto key = std::string(name) + (one ? "" : "*" + std::to_string(section)) + "*=";
        if (section == 0) key += "utf-8''";
        word(key + text + (value.empty() ? end : ";"));
    }
}

// For readers that know nothing of RFC 2231, but decode encoded words in quotes, which no standard allows: Outlook,
// Gmail, most others. Those that know it read the file name elsewhere.
POSTROAD_DECL void header_writer::fallback(std::string_view name, std::string_view value) {
    if (is_ascii(value) && !looks_encoded(value)) return parameter(name, value);
    fold();
    add(" " + std::string(name) + "=\"");
    const bool in_base64 = (value.size() + 2) / 3 * 4 < q_encoded(value).size();
    for (bool first = true; !value.empty(); first = false) {
        if (!first) {
            fold();
            add(" ");
        }
        add(take_encoded_word(value, max_encoded_word - column_, in_base64));
    }
    add("\"");
}

POSTROAD_DECL void header_writer::parameterised(
    std::string_view name, std::string_view value,
    std::span<const std::pair<std::string_view, std::string_view>> parameters) {
    begin(name);
    word(value);
    for (const auto& [key, text] : parameters) {
        add(";");
        key == "name" ? fallback(key, text) : parameter(key, text);
    }
    end();
}

POSTROAD_DECL void header_writer::with_parameters(std::string_view name, std::string_view value,
                                                  std::span<const mailbox> mailboxes,
                                                  std::span<const std::pair<std::string, std::string>> parameters,
                                                  value_kind kind) {
    begin(name);
    if (!mailboxes.empty())
        list(mailboxes, ";");
    else if (!value.empty())
        words(std::string(value) + ';');
    for (const auto& p : parameters)
        parameter(p.first, p.second, quoting::where_needed, kind, &p == &parameters.back() ? "" : ";");
    end();
}

POSTROAD_DECL void header_writer::plain(std::string_view name, std::string_view value) {
    begin(name);
    word(value);
    end();
}

inline void append_number(std::string& to, long value, std::size_t digits) {
    const auto text = std::to_string(value);
    if (text.size() < digits) to.append(digits - text.size(), '0');
    to += text;
}

POSTROAD_DECL std::string format_date(std::chrono::system_clock::time_point when, std::chrono::minutes offset) {
    static constexpr std::string_view days = "SunMonTueWedThuFriSat";
    static constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const auto local = std::chrono::floor<std::chrono::seconds>(when) + offset;
    const auto day = std::chrono::floor<std::chrono::days>(local);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss time(local - day);
    const std::chrono::hh_mm_ss zone(offset < offset.zero() ? -offset : offset);
    std::string text(days.substr(std::chrono::weekday(day).c_encoding() * 3, 3));
    text += ", ";
    append_number(text, static_cast<long>(static_cast<unsigned>(date.day())), 2);
    text += ' ';
    text += months.substr((static_cast<unsigned>(date.month()) - 1) * 3, 3);
    text += ' ';
    append_number(text, static_cast<int>(date.year()), 4);
    text += ' ';
    append_number(text, static_cast<long>(time.hours().count()), 2);
    text += ':';
    append_number(text, static_cast<long>(time.minutes().count()), 2);
    text += ':';
    append_number(text, static_cast<long>(time.seconds().count()), 2);
    text += offset < offset.zero() ? " -" : " +";
    append_number(text, static_cast<long>(zone.hours().count()), 2);
    append_number(text, static_cast<long>(zone.minutes().count()), 2);
    return text;
}

POSTROAD_DECL std::string random_hex() {
    static constexpr char hex[] = "0123456789abcdef";
    std::string text;
    for (int i = 0; i < 4; ++i) {
        const auto bits = random_bits();
        for (unsigned shift = 0; shift < 32; shift += 4) text += hex[bits >> shift & 15U];
    }
    return text;
}

POSTROAD_DECL std::string new_message_id(std::string_view domain) {
    return ('<' + random_hex() + '@').append(domain) + '>';
}

POSTROAD_DECL bool is_seven_bit(std::string_view text) noexcept {
    std::size_t length = 0;
    for (const char c : text) {
        if (c == '\0' || static_cast<unsigned char>(c) > 127) return false;
        length = c == '\r' || c == '\n' ? 0 : length + 1;
        if (length > max_line) return false;
    }
    return true;
}

}  // namespace postroad::detail
