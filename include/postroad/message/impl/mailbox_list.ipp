#pragma once
// Lists of addresses, as fields hold them.

#include <postroad/core/algorithm.hpp>
#include <postroad/message/address.hpp>
#include <postroad/message/encoding.hpp>
#include <postroad/message/utf8.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad {
namespace detail {

/// One pass over a list of addresses. No recursion: groups do not nest, comments are counted.
class mailbox_parser {
public:
    mailbox_parser(std::string_view text, address_syntax syntax) : text_(text), syntax_(syntax) {}

    mailbox_list run() {
        for (;;) {
            collect_words();
            const char c = at_ < text_.size() ? text_[at_] : '\0';
            if (c == '<' || take_odd_name()) {
                finish(angle_address());
            } else if (c == '@') {
                finish(bare_address());
            } else if (c == ':' && !in_group_ && !words_.empty()) {
                in_group_ = true;
                groups_.push_back({display_name(), {}});
                had_comma_ = false;
                ++at_;
                continue;
            } else if (!words_.empty()) {
                fail(words_.front().at, "expected an address behind the name");
            } else if (had_comma_ || c == ',') {  // a list and a group may be empty, but none of their elements
                require_obsolete(at_, "expected an address");
            }
            if (!next_element()) return std::move(found_);
        }
    }

    address_list run_apart() {
        auto all = run();
        address_list result;
        result.groups = std::move(groups_);
        for (std::size_t i = 0; i < all.size(); ++i)
            (group_of_[i] == 0 ? result.mailboxes : result.groups[group_of_[i] - 1].members)
                .push_back(std::move(all[i]));
        return result;
    }

private:
    struct word {
        std::size_t at;
        std::size_t end;
        bool space_before;
        std::string text;  // quotes taken off
    };

    [[noreturn]] void fail(std::size_t at, const char* what) const {
        auto why = explain({at, what}, text_);
        if (!found_.empty()) why += ", in address " + std::to_string(found_.size() + 1);
        throw error(errc::invalid_address, std::move(why));
    }

    char32_t take() {
        const auto start = at_;
        const char32_t c = next_character(text_, at_);
        if (c == ill_formed) fail(start, "expected well-formed UTF-8");
        if (is_control(c) && c != '\t') fail(start, "a control character is not allowed");
        return c;
    }

    bool skip_fold() {
        const auto rest = text_.substr(at_, 3);
        if (rest != "\r\n " && rest != "\r\n\t") return false;
        at_ += 2;
        return true;
    }

    // Comments and folding white space; returns whether there was any.
    bool skip_space() {
        const auto start = at_;
        std::size_t depth = 0;
        std::size_t opened = 0;
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (skip_fold()) continue;
            if (c == '(') {
                if (depth == 0) opened = at_;
                if (++depth > max_comment_depth) fail(at_, "comments nest too deep");
            } else if (depth == 0 && c != ' ' && c != '\t') {
                break;
            } else if (c == ')') {
                --depth;
            } else if (c == '\\' && at_ + 1 < text_.size()) {
                ++at_;
            }
            take();
        }
        if (depth > 0) fail(opened, "the comment is not closed");
        return at_ != start;
    }

    std::string quoted_string() {
        const auto start = at_++;
        std::string result;
        while (at_ < text_.size()) {
            if (skip_fold()) continue;
            auto from = at_;
            char32_t c = take();
            if (c == '"') return result;
            if (c == '\\') {
                if (at_ == text_.size()) break;
                from = at_;
                c = take();
            }
            result += text_.substr(from, at_ - from);
        }
        fail(start, "the quoted string is not closed");
    }

    // Of an encoded word in Q at the start, in which some leave commas, quotes and the like as they are; 0: none.
    static std::size_t q_word_size(std::string_view text) noexcept {
        if (!text.starts_with("=?")) return 0;
        const auto charset = text.find('?', 2);
        if (charset == text.npos || charset == 2 ||
            (text.substr(charset, 3) != "?q?" && text.substr(charset, 3) != "?Q?"))
            return 0;
        const auto end = text.find('?', charset + 3);
        const auto fits = [](char c) { return c > ' ' && c < 0x7f; };
        if (end == text.npos || text.substr(end, 2) != "?=" || !postroad::detail::all_of(text.substr(0, end), fits))
            return 0;
        return end + 2;
    }

    // Atoms, quoted strings and dots up to what is none of them.
    void collect_words() {
        words_.clear();
        for (;;) {
            const bool space = skip_space();
            if (at_ == text_.size()) return;
            const auto start = at_;
            if (text_[at_] == '"') {
                auto text = quoted_string();
                words_.push_back({start, at_, space, std::move(text)});
                continue;
            }
            if (const auto size = syntax_ == address_syntax::obsolete ? q_word_size(text_.substr(at_)) : 0; size > 0) {
                at_ += size;
                words_.push_back({start, at_, space, std::string(text_.substr(start, size))});
                continue;
            }
            while (at_ < text_.size() && text_[at_] != '\r') {  // it may begin a fold
                const auto before = at_;
                const char32_t c = take();
                if (is_atext(c) || c == '.') continue;
                at_ = before;
                break;
            }
            if (at_ == start) return;
            words_.push_back({start, at_, space, std::string(text_.substr(start, at_ - start))});
        }
    }

    // Neighbours among encoded words are one text (RFC 2047 section 6.2); in quotes there are none.
    std::string display_name() const {
        std::string name;
        std::string decoded;
        bool last_encoded = false;
        for (const auto& w : words_) {
            const auto text = text_[w.at] == '"' ? std::optional<std::string>{} : decoded_word(w.text);
            for (auto* to : {&name, &decoded})
                if (w.space_before && !to->empty() && !(to == &decoded && text && last_encoded)) *to += ' ';
            name += w.text;
            decoded += text ? *text : w.text;
            last_encoded = text.has_value();
        }
        return is_printable(decoded) ? decoded : name;
    }

    // "[Sales] Ann <a@x>", "ann@x <a@x>": what stands before the < is a name, whatever it holds. One with an @ holds no
    // space behind it: "a@x b <c@y>" lacks a comma.
    bool take_odd_name() {
        const auto start = words_.empty() ? at_ : words_.front().at;
        if (syntax_ == address_syntax::current || at_ == text_.size()) return false;
        const auto end = text_.find_first_of("<,;:\"()\r\n", at_);
        if (end == std::string_view::npos || text_[end] != '<' || end == at_) return false;
        auto name = text_.substr(start, end - start);
        while (name.ends_with(' ') || name.ends_with('\t')) name.remove_suffix(1);
        const auto sign = name.find('@');
        if (!is_printable(name) || (sign != std::string_view::npos && name.find_first_of(" \t", sign) != name.npos))
            return false;
        words_ = {{start, start + name.size(), false, std::string(name)}};
        at_ = end;
        return true;
    }

    // The words as they stand, without the space between them: the parts of an address.
    std::string joined() const {
        std::string result;
        for (const auto& w : words_) {
            for (std::size_t i = w.at; i < w.end; ++i)
                if (text_[i] != '\r' && text_[i] != '\n') result += text_[i];
        }
        return result;
    }

    void require_obsolete(std::size_t at, const char* what) const {
        if (syntax_ == address_syntax::current) fail(at, what);
    }

    // Two atoms with only space between them are not one: "a b@x" is a mistake, "a . b@x" is obsolete.
    void require_dots_between_words() const {
        for (std::size_t i = 1; i < words_.size(); ++i)
            if (text_[words_[i - 1].end - 1] != '.' && text_[words_[i].at] != '.')
                fail(words_[i].at, "expected a dot, @ or a comma");
        if (words_.size() > 1) require_obsolete(words_[0].end, "spaces, comments and quotes beside a dot are obsolete");
    }

    std::string domain() {
        skip_space();
        if (at_ < text_.size() && text_[at_] == '[') {
            const auto end = text_.find(']', at_);
            if (end == std::string_view::npos) fail(at_, "the address literal is not closed");
            const auto literal = text_.substr(at_, end + 1 - at_);
            at_ = end + 1;
            skip_space();
            return std::string(literal);
        }
        collect_words();
        require_dots_between_words();
        return joined();
    }

    // Words that are partly quoted are one quoted string in SMTP, or none (RFC 5321 section 4.1.2).
    std::string local_part() const {
        const auto is_quoted = [&](const word& w) { return text_[w.at] == '"'; };
        if (words_.size() == 1 || postroad::detail::none_of(words_, is_quoted)) return joined();
        std::string plain;
        std::string quoted = "\"";
        for (const auto& w : words_)
            for (const char c : w.text) {
                plain += c;
                if (c == '"' || c == '\\') quoted += '\\';
                quoted += c;
            }
        std::size_t size = 0;
        return skip_local(plain + '@', size).what || size != plain.size() ? quoted + '"' : plain;
    }

    address bare_address() {
        if (words_.empty()) fail(at_, "expected a local part");
        require_dots_between_words();
        const auto start = words_.front().at;
        std::string text = local_part();
        std::size_t size = 0;
        // "a..b@docomo.ne.jp" exists, and this is how SMTP says it
        if (syntax_ == address_syntax::obsolete && skip_local(text + '@', size).what &&
            text.find_first_of("\"\\") == std::string::npos)
            text = '"' + text + '"';
        words_.clear();
        ++at_;
        text += '@';
        text += domain();
        std::size_t local_size = 0;
        if (const auto f = address_fault(text, local_size); f.what)
            fail(text_.substr(start, text.size()) == text ? start + f.at : start, f.what);
        return address(text);
    }

    address angle_address() {
        name_ = display_name();
        ++at_;
        skip_space();
        skip_route();
        collect_words();
        if (at_ == text_.size() || text_[at_] != '@') fail(at_, "expected an address behind <");
        auto result = bare_address();
        if (at_ == text_.size() || text_[at_] != '>') fail(at_, "expected >");
        ++at_;
        return result;
    }

    // "<@relay1,@relay2:user@host>" means user@host (RFC 5321 appendix C).
    void skip_route() {
        if (at_ == text_.size() || text_[at_] != '@') return;
        require_obsolete(at_, "a route is obsolete: expected an address behind <");
        while (at_ < text_.size() && text_[at_] != ':') {
            if (text_[at_] != '@' && text_[at_] != ',') fail(at_, "expected : behind the route");
            ++at_;
            domain();
        }
        if (at_ == text_.size()) fail(at_, "expected : behind the route");
        ++at_;
    }

    void finish(address a) {
        found_.push_back({std::exchange(name_, {}), std::move(a)});
        group_of_.push_back(in_group_ ? groups_.size() : 0);
        words_.clear();
    }

    // Moves behind the separator; false at the end of the list.
    bool next_element() {
        skip_space();
        if (at_ < text_.size() && text_[at_] == ';' && in_group_) {
            in_group_ = false;
            ++at_;
            skip_space();
        }
        if (at_ == text_.size()) {
            if (in_group_) require_obsolete(at_, "expected ; at the end of the group");
            return false;
        }
        // as Outlook separates them
        const bool semicolon = text_[at_] == ';' && syntax_ == address_syntax::obsolete;
        if (text_[at_] != ',' && !semicolon) fail(at_, "expected a comma");
        ++at_;
        had_comma_ = true;
        return true;
    }

    std::string_view text_;
    address_syntax syntax_;
    std::size_t at_ = 0;
    bool in_group_ = false;
    bool had_comma_ = false;  // before this element
    std::string name_;
    std::vector<word> words_;
    mailbox_list found_;
    std::vector<mailbox_group> groups_;  // without their members
    std::vector<std::size_t> group_of_;  // of each that was found: 0 none, else the number of its group
};

inline bool is_plain_name(std::string_view text) noexcept {
    char last = ' ';
    for (const char c : text) {
        if (c == ' ' ? last == ' ' : !is_alphanumeric(static_cast<unsigned char>(c))) return false;
        last = c;
    }
    return last != ' ';
}

/// What most fields hold, `a@x.example` or `Ann Lee <a@x.example>`, read without the parser's words. Nothing of all
/// else, and of what is wrong.
inline std::optional<mailbox> plain_mailbox(std::string_view text) {
    while (text.starts_with(' ')) text.remove_prefix(1);
    while (text.ends_with(' ')) text.remove_suffix(1);
    mailbox m;
    if (const auto angle = text.find(" <"); angle != std::string_view::npos) {
        if (!text.ends_with('>') || !is_plain_name(text.substr(0, angle))) return {};
        m.name = text.substr(0, angle);
        text = text.substr(angle + 2, text.size() - angle - 3);
    }
    if (text.starts_with('"') || text.find('@') == std::string_view::npos) return {};
    error_code ec;
    m.address = address::parse(text, ec);
    if (ec) return {};
    return m;
}

}  // namespace detail

POSTROAD_DECL mailbox_list parse_mailboxes(std::string_view field_value, address_syntax syntax) {
    if (auto plain = detail::plain_mailbox(field_value)) {
        mailbox_list one;
        one.push_back(*std::move(plain));
        return one;
    }
    return detail::mailbox_parser(field_value, syntax).run();
}

POSTROAD_DECL address_list parse_address_list(std::string_view field_value, address_syntax syntax) {
    return detail::mailbox_parser(field_value, syntax).run_apart();
}

POSTROAD_DECL mailbox parse_mailbox(std::string_view text, address_syntax syntax) {
    auto found = parse_mailboxes(text, syntax);
    if (found.size() != 1)
        throw error(errc::invalid_address,
                    "expected one address, got " + std::to_string(found.size()) + ": '" + escaped(text, 300) + "'");
    return std::move(found.front());
}

}  // namespace postroad
