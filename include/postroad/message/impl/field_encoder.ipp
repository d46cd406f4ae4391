#pragma once

#include <postroad/core/algorithm.hpp>
#include <postroad/message/address.hpp>
#include <postroad/message/field_encoder.hpp>
#include <postroad/message/field_form.hpp>
#include <postroad/message/header.hpp>
#include <postroad/message/lines.hpp>
#include <postroad/message/utf8.hpp>

#include <algorithm>
#include <string>
#include <string_view>

namespace postroad::detail {

/// How a charset says where its characters end.
enum class octets_of_characters : unsigned char {
    unknown,
    one,
    utf8,
    two,        ///< beginning with one above 127
    shift_jis,  ///< the same, but for half-width Katakana
    euc_jp,     ///< three behind 0x8f
    gb18030,    ///< four where the second is a digit
};

inline octets_of_characters octets_of(std::string_view charset) noexcept {
    using enum octets_of_characters;
    const auto begins = [&](std::string_view s) { return equal_ignoring_case(charset.substr(0, s.size()), s); };
    const auto is = [&](std::string_view s) { return equal_ignoring_case(charset, s); };
    // a name of a charset in an encoded word holds nothing else
    if (!postroad::detail::all_of(
            charset, [](char c) { return is_alphanumeric(static_cast<unsigned char>(c)) || c == '-' || c == '_'; }))
        return unknown;
    if (is("utf-8") || is("utf8") || is("us-ascii")) return utf8;
    // as IANA has them, and what programs write besides
    if (begins("iso-8859-") || begins("iso_8859-") || begins("iso8859-") || is("latin1") || begins("windows-125") ||
        begins("cp125") || begins("koi8-") || is("ibm850") || is("cp850") || is("ibm866") || is("cp866") ||
        is("macintosh") || is("tis-620") || is("windows-874"))
        return one;
    if (is("shift_jis") || is("windows-31j") || is("cp932") || is("x-sjis")) return shift_jis;
    if (is("euc-jp")) return euc_jp;
    if (is("gbk") || is("x-gbk") || is("cp936") || is("gb18030")) return gb18030;
    if (is("gb2312") || is("cp949") || is("big5") || is("big5-hkscs") || is("euc-kr") || begins("ks_c_5601"))
        return two;
    return unknown;
}

/// Walks over a field, token by token, and writes it anew.
class field_encoder {
public:
    explicit field_encoder(std::string_view charset)
        : octets_(octets_of(charset)),
          charset_(octets_ == octets_of_characters::utf8 ? "utf-8" : std::string(charset)) {}

    std::string encoded(const header_field& f) {
        name_ = f.name;
        out_ = std::string(f.name) + ':';
        switch (form_of(f.name)) {
            case field_form::mailboxes:
            case field_form::phrases:
            case field_form::list_id: structured(f.value); break;
            case field_form::parameters: parameters(f.value); break;
            case field_form::text:
            case field_form::ascii: text(f.value); break;
        }
        return out_ + gap_ + "\r\n";
    }

private:
    static constexpr std::string_view gaps = " \t\r\n";
    static constexpr std::string_view separators = "<>,;:()\"";

    std::size_t character_size(std::string_view text) const noexcept {
        using enum octets_of_characters;
        const auto octet = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
        std::size_t size = 1;
        if (octet(0) < 0x80) return size;
        switch (octets_) {
            case unknown:
            case one: break;
            case utf8:
                size = 0;
                (void)next_character(text, size);
                break;
            case two: size = 2; break;
            case shift_jis: size = octet(0) >= 0xa1 && octet(0) <= 0xdf ? 1 : 2; break;
            case euc_jp: size = octet(0) == 0x8f ? 3 : 2; break;
            case gb18030: size = octet(1) >= '0' && octet(1) <= '9' ? 4 : 2; break;
        }
        return std::clamp<std::size_t>(size, 1, text.size());
    }

    // Up to the first of `ends` that is a character of its own.
    std::size_t end_of(std::string_view text, std::string_view ends) const noexcept {
        std::size_t at = 0;
        while (at < text.size() && ends.find(text[at]) == ends.npos) at += character_size(text.substr(at));
        return at;
    }
    std::size_t end_of_quotes(std::string_view text) const noexcept {
        std::size_t at = 1;
        while (at < text.size() && text[at] != '"') at += text[at] == '\\' ? 2 : character_size(text.substr(at));
        return std::min(at + 1, text.size());
    }

    void text(std::string_view value) {
        while (!value.empty()) {
            const auto gap = std::min(value.find_first_not_of(gaps), value.size());
            gap_ += value.substr(0, gap);
            value.remove_prefix(gap);
            const auto word = value.substr(0, end_of(value, gaps));
            value.remove_prefix(word.size());
            if (!word.empty()) has_high_octet(word) ? encode(word) : keep(word);
        }
    }

    void structured(std::string_view value) {
        bool in_angles = false;
        while (!value.empty()) {
            const auto gap = std::min(value.find_first_not_of(gaps), value.size());
            gap_ += value.substr(0, gap);
            value.remove_prefix(gap);
            if (value.empty()) break;
            const bool quoted = value[0] == '"';
            const bool separator = !quoted && separators.find(value[0]) != separators.npos;
            const auto size = quoted ? end_of_quotes(value) : separator ? 1 : end_of(value, " \t\r\n<>,;:()\"");
            const auto token = value.substr(0, size);
            value.remove_prefix(size);
            if (separator) in_angles = token == "<" || (in_angles && token != ">");
            if (!has_high_octet(token))
                keep(token);
            else if (in_angles || value.starts_with('@') || is_address(token))
                keep(address_in_ascii(token));
            else
                encode(quoted ? unquoted(token) : std::string(token));
        }
    }

    static bool is_address(std::string_view token) {
        error_code ec;
        return token.find('@') != token.npos && !address::parse(token, ec).null();
    }
    std::string address_in_ascii(std::string_view token) const {
        error_code ec;
        const auto a = address::parse(token, ec);
        auto domain = ec || !is_ascii(a.local()) ? std::string{} : a.ascii_domain();
        const bool is_utf8 = octets_ == octets_of_characters::utf8;
        if (domain.empty())
            throw error(is_utf8 ? errc::internationalised_unsupported : errc::invalid_header,
                        std::string(name_) + ": '" + escaped(token, 300) + "' has no form in ASCII" +
                            (is_utf8 ? ", so only a server with SMTPUTF8 takes it" : " and is no UTF-8"));
        return std::string(a.local()) + '@' + domain;
    }

    void parameters(std::string_view value) {
        while (!value.empty()) {
            std::size_t end = 0;
            while (end < value.size() && value[end] != ';')
                end += value[end] == '"' ? end_of_quotes(value.substr(end)) : character_size(value.substr(end));
            const auto segment = value.substr(0, end);
            value.remove_prefix(end);
            if (has_high_octet(segment))
                parameter(segment);
            else
                out_ += segment;
            if (value.empty()) break;
            out_ += ';';
            value.remove_prefix(1);
        }
    }

    void parameter(std::string_view segment) {
        const auto equals = segment.find('=');
        const auto name = trimmed(segment.substr(0, equals));
        if (equals == segment.npos || name.empty() || has_high_octet(name)) return text(segment);
        auto given = trimmed(segment.substr(equals + 1));
        const auto value =
            given.starts_with('"') ? unquoted(given.substr(0, end_of_quotes(given))) : std::string(given);
        if (name.ends_with('*')) {  // said to be extended already
            out_ += "\r\n " + std::string(name) + '=';
            for (const char c : value) out_ += static_cast<unsigned char>(c) < 0x80 ? std::string(1, c) : percent(c);
        } else if (equal_ignoring_case(name, "name")) {
            // for readers that know nothing of RFC 2231, as header_writer has it
            out_ += "\r\n name=\"";
            after_word_ = in_quotes_ = true;
            encode(value);
            after_word_ = in_quotes_ = false;
            out_ += '"';
        } else {
            extended(name, value);
        }
    }

    // RFC 2231 sections 3 and 4.
    void extended(std::string_view name, std::string_view value) {
        static constexpr std::size_t most = 50;
        std::vector<std::string> sections(1);
        while (!value.empty()) {
            std::string next;
            const auto c = value.substr(0, character_size(value));
            for (const char octet : c) next += is_plain_in_parameter(octet) ? std::string(1, octet) : percent(octet);
            if (sections.back().size() + next.size() > most) sections.emplace_back();
            sections.back() += next;
            value.remove_prefix(c.size());
        }
        for (std::size_t i = 0; i < sections.size(); ++i) {
            if (i > 0) out_ += ';';
            out_ += "\r\n " + std::string(name) + (sections.size() > 1 ? '*' + std::to_string(i) : "") + "*=";
            out_ += (i == 0 ? charset_ + "''" : "") + sections[i];
        }
    }
    static std::string percent(char c) {
        std::string text;
        append_hex(text, c);
        text[0] = '%';
        return text;
    }

    std::string unquoted(std::string_view token) const {
        std::string plain;
        const auto inner = token.substr(1, token.size() - (token.size() > 1 && token.ends_with('"') ? 2 : 1));
        for (std::size_t at = 0; at < inner.size();) {
            if (inner[at] == '\\' && at + 1 < inner.size()) ++at;
            const auto size = character_size(inner.substr(at));
            plain += inner.substr(at, size);
            at += size;
        }
        return plain;
    }

    std::size_t column() noexcept {
        look();
        return out_.size() - line_;
    }
    // Whether "=?" stands in the last line.
    bool holds_word() noexcept {
        look();
        return word_in_line_;
    }
    // What has come since the last look, so that a long line is not read again for each token.
    void look() noexcept {
        if (const auto end = std::string_view(out_).substr(looked_).rfind('\n'); end != std::string_view::npos) {
            line_ = looked_ + end + 1;
            looked_ = line_;
            word_in_line_ = false;
        }
        const auto from = std::max(line_, looked_ == 0 ? 0 : looked_ - 1);
        word_in_line_ = word_in_line_ || out_.find("=?", from) != out_.npos;
        looked_ = out_.size();
    }

    // The gap, with a line end in it if what comes needs one.
    void fold_for(std::size_t size) {
        if (size > 0 && gap_.find('\n') == gap_.npos && !gap_.empty() &&
            column() + gap_.size() + size > max_encoded_word + 1 && column() > name_.size() + 1)
            out_ += "\r\n";
        out_ += gap_;
        gap_.clear();
    }

    void keep(std::string_view token) {
        const bool is_word = token.starts_with("=?") && token.ends_with("?=");
        // space between encoded words counts for nothing (RFC 2047 section 6.2)
        if (after_word_ && is_word && !gap_.empty()) {
            encode(" ");
            gap_ = ' ';
        }
        // only a comment may end right behind one (RFC 2047 section 5)
        const bool stands_apart = token != ")";
        if (after_word_ && gap_.empty() && stands_apart) gap_ = ' ';
        // a line with an encoded word has at most 76 octets
        fold_for(holds_word() ? token.size() : 0);
        out_ += token;
        after_word_ = is_word;
    }

    void encode(std::string_view octets) {
        static constexpr std::size_t longest_character = 12;  // four octets in Q
        std::string plain(octets);
        const auto frame = charset_.size() + 7;
        if (after_word_ && !gap_.empty() && plain != " ") plain.insert(0, 1, ' ');
        if (gap_.empty() && !in_quotes_ && !out_.ends_with('(')) gap_ = ' ';
        fold_for(frame + longest_character);
        const bool in_base64 =
            octets_ == octets_of_characters::utf8 && (plain.size() + 2) / 3 * 4 < q_encoded(plain).size();
        for (std::string_view rest = plain; !rest.empty();) {
            if (column() + frame + longest_character > max_encoded_word + 1) out_ += "\r\n ";
            const auto room = max_encoded_word + 1 - column();
            out_ += octets_ == octets_of_characters::utf8 ? take_encoded_word(rest, room, in_base64)
                                                          : take_word(rest, room);
        }
        after_word_ = true;
    }

    std::string take_word(std::string_view& rest, std::size_t room) const {
        auto word = "=?" + charset_ + "?q?";
        while (!rest.empty()) {
            const auto size = character_size(rest);
            const auto next = q_encoded(rest.substr(0, size));
            if (word.size() + next.size() + 2 > room) break;
            word += next;
            rest.remove_prefix(size);
        }
        return word + "?=";
    }

    octets_of_characters octets_;
    std::string charset_;
    std::string_view name_;
    std::string out_;
    std::string gap_;
    std::size_t line_ = 0;    // where the last line begins
    std::size_t looked_ = 0;  // up to here
    bool word_in_line_ = false;
    bool after_word_ = false;  // an encoded word stands before the gap
    bool in_quotes_ = false;
};

POSTROAD_DECL bool is_known_charset(std::string_view name) noexcept {
    const auto how = octets_of(name);
    return how != octets_of_characters::unknown && how != octets_of_characters::utf8;
}

POSTROAD_DECL std::string field_in_ascii(const header_field& f, std::string_view charset) {
    return field_encoder(charset).encoded(f);
}

}  // namespace postroad::detail
