#pragma once

#include <postroad/message/utf8.hpp>
#include <postroad/smtp/advice.hpp>
#include <postroad/smtp/impl/advice_table.ipp>
#include <postroad/smtp/reply.hpp>

#include <algorithm>
#include <array>
#include <string>
#include <system_error>

namespace postroad::smtp {
namespace detail {

inline bool is_letter_or_digit(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

// An address, a URL or a host's name may be made of any word.
inline bool is_name(std::string_view word) noexcept {
    for (std::size_t i = 1; i + 1 < word.size(); ++i) {
        if (word[i] == '@' || word.substr(i).starts_with("://")) return true;
        if (word[i] == '.' && is_letter_or_digit(word[i - 1]) && is_letter_or_digit(word[i + 1])) return true;
    }
    return word.find('@') != std::string_view::npos;
}

/// What a reply says, in lower case and on one line: its words, and its names but those of mailboxes.
struct reply_text {
    std::string words = " ", names = " ";

    explicit reply_text(std::string_view text) {
        while (!text.empty()) {
            const auto word = postroad::detail::in_lower_case(std::string(text.substr(0, text.find_first_of(" \n"))));
            text.remove_prefix(std::min(word.size() + 1, text.size()));
            if (word.find('@') == std::string::npos) names += word + ' ';
            if (!is_name(word)) words += word + ' ';
        }
    }
};

/// Whether one of `wanted`, "a|b", satisfies `is_there`; also if none is wanted.
template <class F>
bool any_of(std::string_view wanted, F is_there) {
    while (!wanted.empty()) {
        const auto one = wanted.substr(0, wanted.find('|'));
        wanted.remove_prefix(std::min(one.size() + 1, wanted.size()));
        if (is_there(one)) return true;
        if (wanted.empty()) return false;
    }
    return true;
}

inline bool begins_a_word(std::string_view text, std::string_view words) noexcept {
    for (auto at = text.find(words); at != std::string_view::npos; at = text.find(words, at + 1))
        if (at > 0 && !is_letter_or_digit(text[at - 1])) return true;
    return false;
}

inline bool fits(std::string_view status, enhanced_code c) noexcept {
    if (!c) return false;
    for (const unsigned part : {unsigned{c.kind}, unsigned{c.subject}, unsigned{c.detail}}) {
        const auto one = status.substr(0, status.find('.'));
        status.remove_prefix(std::min(one.size() + 1, status.size()));
        unsigned number = 0;
        for (const char digit : one) number = number * 10 + static_cast<unsigned>(digit - '0');
        if (one != "x" && number != part) return false;
    }
    return true;
}

inline bool fits(const subject& about, error_code ec) noexcept {
    switch (about.what) {
        case subject::kind::anything: return true;
        case subject::kind::refusal: return !ec;
        case subject::kind::ours: return ec == static_cast<errc>(about.value);
        case subject::kind::of_system: return ec == static_cast<std::errc>(about.value);
    }
    return false;
}

inline bool fits(tls_first wanted, std::optional<security> how) noexcept {
    if (wanted == tls_first::any) return true;
    return how && (wanted == tls_first::yes) == (*how == security::implicit);
}

inline bool contains(std::string_view text, std::string_view part) noexcept {
    return text.find(part) != std::string_view::npos;
}

inline bool fits(const condition& c, const situation& s, const reply_text& said, std::string_view found) {
    return (!c.whose || *c.whose == s.whose) && fits(c.about, s.error) && (!c.where || *c.where == s.where) &&
           fits(c.first, s.how) && (c.code == 0 || c.code == s.said.code) &&
           (c.status.empty() || fits(c.status, s.said.enhanced)) && (!c.for_good || s.said.permanent()) &&
           any_of(c.said, [&](std::string_view w) { return begins_a_word(said.words, w); }) &&
           any_of(c.link, [&](std::string_view w) { return contains(said.names, w); }) &&
           any_of(c.found, [&](std::string_view w) { return contains(found, w); });
}

/// What to_string(reply) wrote.
inline reply read_reply(std::string_view text) {
    reply r;
    if (text.size() < 3) return r;
    for (const char c : text.substr(0, 3)) {
        if (c < '0' || c > '9') return {};
        r.code = static_cast<std::uint16_t>(r.code * 10 + (c - '0'));
    }
    text.remove_prefix(std::min<std::size_t>(4, text.size()));
    r.enhanced = take_enhanced_code(text, r.code);
    r.text = text;
    static constexpr std::string_view newline = "\\x0a";
    for (auto at = r.text.find(newline); at != std::string::npos; at = r.text.find(newline, at))
        r.text.replace(at, newline.size(), "\n");
    return r;
}

}  // namespace detail

POSTROAD_DECL const advice* find_advice(const situation& s) {
    if (!s.error && s.said.code < 400) return nullptr;
    // What it offers, or that all is well, are no words about a failure.
    const detail::reply_text said(s.said.code >= 400 ? std::string_view(s.said.text) : std::string_view());
    const auto found = postroad::detail::in_lower_case(s.explanation);
    const auto row =
        std::ranges::find_if(detail::advice_table, [&](const auto& r) { return detail::fits(r.when, s, said, found); });
    return row == std::end(detail::advice_table) ? nullptr : &row->what;
}

POSTROAD_DECL std::string advise(const situation& s) {
    const auto* a = find_advice(s);
    if (!a) return {};
    std::string text(a->wrong);
    if (!a->wrong.empty() && !a->todo.empty()) text += ' ';
    return text += a->todo;
}

POSTROAD_DECL situation situation_of(error_code ec, const diagnostics& d, whose_server whose) {
    return {.error = ec,
            .where = d.where,
            .how = d.how,
            .explanation = d.explanation,
            .said = detail::read_reply(d.reply),
            .whose = whose};
}

POSTROAD_DECL situation situation_of(const recipient_outcome& r, whose_server whose) {
    return {.error = r.error, .where = r.where, .explanation = r.why, .said = r.reply, .whose = whose};
}

POSTROAD_DECL bool is_masked(const reply& r) noexcept {
    return r.text.find("****") != std::string::npos || r.text.find("\nXXXX") != std::string::npos;
}

}  // namespace postroad::smtp
