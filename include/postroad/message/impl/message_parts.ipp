#pragma once

#include <postroad/message/checks.hpp>
#include <postroad/message/composition.hpp>
#include <postroad/message/fields.hpp>
#include <postroad/message/header.hpp>
#include <postroad/message/message.hpp>
#include <postroad/message/utf8.hpp>

#include <algorithm>
#include <array>
#include <ctime>

namespace postroad {
namespace detail {

/// A node of the tree of parts, in the order in which it travels.
struct entity {
    std::string fields = {};  // all but Content-Transfer-Encoding
    std::string boundary = {};
    std::vector<entity> children = {};  // none: a leaf
    std::size_t first = 0;              // its leaves
    std::size_t last = 0;
};

inline void write_entity(composition& to, const entity& e) {
    to.add(e.fields);
    to.add_encoding(e.first, e.last, !e.children.empty());
    to.add("\r\n");
    if (e.children.empty()) return to.add_body(e.first);
    for (const auto& child : e.children) {
        to.add((&child == &e.children.front() ? "--" : "\r\n--") + e.boundary + "\r\n");
        write_entity(to, child);
    }
    to.add("\r\n--" + e.boundary + "--\r\n");
}

/// CRLF line ends, and no line end at the end that was not there.
inline std::string text_lines(std::string_view text) {
    auto lines = with_crlf(text);
    if (!text.ends_with('\n') && !text.ends_with('\r') && !lines.empty()) lines.resize(lines.size() - 2);
    return lines;
}

/// Builds the tree of one message.
class part_builder {
public:
    part_builder(composition& to, std::string boundary, bool alone)
        : to_(to), boundary_(std::move(boundary)), alone_(alone) {}

    entity text(const std::string& type, std::string_view body) {
        header_writer w(header_charset::ascii);
        w.parameterised("Content-Type", type, {});
        // text that ends the message ends with a line end, so it does in each encoding
        return leaf_entity(w.take(), leaf::text(alone_ ? with_crlf(body) : text_lines(body)));
    }

    entity file(const part& about, const source& octets) {
        return leaf_entity(fields(about.type, about), leaf::octets(octets));
    }

    entity message(const part& about, const content& nested) {
        // RFC 6532 section 3.7: with UTF-8 in its header it is message/global, which may be encoded
        if (nested.eight_bit_header())
            return leaf_entity(fields("message/global", about),
                               leaf::octets(source::memory(std::string(nested.text()))));
        return leaf_entity(fields("message/rfc822", about), leaf::message(nested));
    }

    /// One child stands for itself.
    entity multipart(std::string_view subtype, std::vector<entity> children) {
        if (children.size() == 1) return std::move(children.front());
        entity e;
        e.boundary = boundary_ + '_' + std::to_string(++multiparts_);
        header_writer w(header_charset::ascii);
        std::vector<std::pair<std::string_view, std::string_view>> parameters = {{"boundary", e.boundary}};
        // RFC 2387 section 3.1; the root comes first and is HTML
        if (subtype == "related") parameters.emplace_back("type", "text/html");
        w.parameterised("Content-Type", "multipart/" + std::string(subtype), parameters);
        e.fields = w.take();
        e.first = children.front().first;
        e.last = children.back().last;
        e.children = std::move(children);
        return e;
    }

private:
    static std::string fields(std::string_view type, const part& about) {
        header_writer w(header_charset::ascii);
        std::vector<std::pair<std::string_view, std::string_view>> parameters;
        if (!about.name.empty()) parameters.emplace_back("name", about.name);
        w.parameterised("Content-Type", type, parameters);
        parameters.clear();
        if (!about.name.empty()) parameters.emplace_back("filename", about.name);
        const bool in_line = about.disposition == disposition::in_line || !about.content_id.empty();
        w.parameterised("Content-Disposition", in_line ? "inline" : "attachment", parameters);
        if (!about.content_id.empty()) w.plain("Content-ID", '<' + about.content_id + '>');
        if (!about.description.empty()) w.unstructured("Content-Description", about.description, value_kind::text);
        return w.take();
    }

    entity leaf_entity(std::string fields, leaf l) {
        const auto n = to_.add_leaf(std::move(l));
        return {std::move(fields), {}, {}, n, n + 1};
    }

    composition& to_;
    std::string boundary_;
    bool alone_;  // the message has one part
    int multiparts_ = 0;
};

// The value of the METHOD property (RFC 5545 section 3.7.2); it must not be folded.
inline std::string calendar_method(std::string_view icalendar) {
    for (std::size_t at = 0; at < icalendar.size();) {
        const auto end = find_octet(icalendar, '\n', at);
        const auto line = trimmed(icalendar.substr(at, end - at));
        at = end + 1;
        if (equal_ignoring_case(line.substr(0, 7), "METHOD:") && is_token(line.substr(7)) && line.size() <= 40)
            return std::string(line.substr(7));
    }
    throw error(errc::invalid_message, "the calendar names no METHOD (RFC 6047 section 2.4)");
}

// "<a@x> <b@y>" of what the fields of real messages hold: ids without an @, folded, with commas and comments beside
// them, or words without <>.
inline std::string checked_ids(std::string_view name, std::string_view ids) {
    static constexpr std::size_t longest = 990;  // a line holds 998 octets, and an id is never folded
    auto text = std::string(ids);
    for (auto end = text.find('\n'); end != std::string::npos; end = text.find('\n', end + 1)) {
        if (end + 1 == text.size() || !is_space(text[end + 1])) continue;
        // folding, however its line end was kept
        text[end] = ' ';
        if (end > 0 && text[end - 1] == '\r') text[end - 1] = ' ';
    }
    check_value(name, text);
    const bool in_angles = text.find('<') != std::string::npos;
    std::string result;
    for (std::size_t at = 0; at < text.size();) {
        const auto start = in_angles ? text.find('<', at) : text.find_first_not_of(", ", at);
        if (start == std::string::npos) break;
        const auto end = in_angles ? text.find('>', start) : std::min(text.find_first_of(", ", start), text.size());
        if (end == std::string::npos) refuse_field(name, "expected > behind the id at octet " + std::to_string(start));
        std::string id;
        for (const char c :
             std::string_view(text).substr(start + (in_angles ? 1 : 0), end - start - (in_angles ? 1 : 0)))
            if (!is_space(c)) id += c;
        at = end + 1;
        if (id.size() > longest || !std::ranges::all_of(id, fits_in_angles))
            refuse_field(name,
                         "expected at most 990 printable ASCII characters in an id, got '" + escaped(id, 100) + "'");
        if (!id.empty()) result.append(result.empty() ? "<" : " <").append(id).append(">");
    }
    if (result.empty()) refuse_field(name, "expected <left@right>");
    return result;
}

}  // namespace detail

POSTROAD_DECL std::chrono::minutes local_offset(std::chrono::system_clock::time_point when) {
    const auto seconds = std::chrono::system_clock::to_time_t(when);
    std::tm local{};
    if (::localtime_r(&seconds, &local) == nullptr) return {};
    return std::chrono::duration_cast<std::chrono::minutes>(std::chrono::seconds(local.tm_gmtoff));
}

POSTROAD_DECL message& message::calendar(std::string_view icalendar) & {
    detail::check_text("calendar", icalendar);
    (void)detail::calendar_method(icalendar);
    calendar_ = icalendar;
    return *this;
}

POSTROAD_DECL message& message::alternative(std::string_view body, part p) & {
    detail::check_text("alternative", body);
    detail::check_part(p);
    if (!p.type.starts_with("text/")) detail::refuse_field("Content-Type", "expected a text/ type for an alternative");
    if (detail::parse_parameterised(p.type).parameter("charset").empty()) p.type += "; charset=utf-8";
    alternatives_.push_back({std::move(p.type), std::string(body)});
    return *this;
}

POSTROAD_DECL message& message::attach(const std::filesystem::path& file, part p) & {
    if (p.name.empty()) p.name = detail::file_name_of(file.native());
    return attach(source::file(file.native()), std::move(p));
}

POSTROAD_DECL message& message::attach(source octets, part p) & {
    if (p.type.empty() && p.name.empty()) detail::refuse_field("Content-Type", "a part needs a type or a file name");
    if (p.type.empty()) p.type = media_type_of(p.name);
    detail::check_part(p);
    for (const auto& a : attached_)
        if (!p.content_id.empty() && a.about.content_id == p.content_id)
            detail::refuse_field("Content-ID", "two parts have the same, '" + p.content_id + "'");
    attached_.push_back({std::move(p), std::move(octets), {}});
    return *this;
}

POSTROAD_DECL message& message::attach(content nested, part p) & {
    if (p.name.empty()) p.name = "message.eml";
    p.type = "text/plain";  // which of two it is, its header says
    detail::check_part(p);
    p.content_id.clear();
    attached_.push_back({std::move(p), {}, std::move(nested)});
    return *this;
}

POSTROAD_DECL message& message::in_reply_to(std::string_view ids) & {
    set_field("In-Reply-To", detail::checked_ids("In-Reply-To", ids));
    return *this;
}

POSTROAD_DECL message& message::references(std::string_view ids) & {
    set_field("References", detail::checked_ids("References", ids));
    return *this;
}

POSTROAD_DECL message& message::importance(postroad::importance how) & {
    static constexpr const char* words[] = {"low", "normal", "high"};
    set_field("Importance", words[static_cast<std::size_t>(how)]);
    return *this;
}

POSTROAD_DECL message& message::tls_not_required() & {
    set_field("TLS-Required", "No");
    return *this;
}

POSTROAD_DECL message& message::automatic(postroad::automatic why) & {
    set_field("Auto-Submitted", why == postroad::automatic::generated ? "auto-generated" : "auto-replied");
    return *this;
}

POSTROAD_DECL message& message::list_id(std::string_view id, std::string_view phrase) & {
    detail::check_id("List-Id", id);
    detail::check_value("List-Id", phrase);
    for (const char c : phrase)
        if (c == '<' || c == '>' || c == '"' || c == '\\')
            detail::refuse_field("List-Id", "expected a phrase without quotes, backslash, < and >");
    auto value = '<' + std::string(id) + '>';
    if (detail::is_ascii(phrase)) {
        set_field("List-Id", (phrase.empty() ? "" : '"' + std::string(phrase) + "\" ") + value);
        return *this;
    }
    set_field("List-Id", std::move(value));
    fields_.back().phrases.emplace_back(phrase);
    return *this;
}

POSTROAD_DECL message& message::list_unsubscribe(const unsubscription& how) & {
    std::string urls;
    for (const auto* url : {&how.one_click, &how.url}) {
        if (url->empty()) continue;
        detail::check_url("List-Unsubscribe", *url);
        urls += (urls.empty() ? "<" : ", <") + *url + '>';
    }
    if (urls.empty()) detail::refuse_field("List-Unsubscribe", "expected a URL");
    if (!how.one_click.empty() && !detail::equal_ignoring_case(how.one_click.substr(0, 8), "https://"))
        detail::refuse_field("List-Unsubscribe", "one click needs an https URL (RFC 8058 section 3.1)");
    set_field("List-Unsubscribe", std::move(urls));
    std::erase_if(fields_, [](const auto& f) { return f.name == "List-Unsubscribe-Post"; });
    if (!how.one_click.empty()) set_field("List-Unsubscribe-Post", "List-Unsubscribe=One-Click");
    return *this;
}

POSTROAD_DECL message& message::list(list_url what, std::string_view url) & {
    static constexpr const char* names[] = {"List-Help", "List-Subscribe", "List-Post", "List-Owner", "List-Archive"};
    const auto* name = names[static_cast<std::size_t>(what)];
    detail::check_url(name, url);
    set_field(name, '<' + std::string(url) + '>');
    return *this;
}

POSTROAD_DECL bool message::only_text() const noexcept {
    return !html_ && calendar_.empty() && alternatives_.empty() && attached_.empty();
}

POSTROAD_DECL content message::composed_content(std::string header) const {
    static const std::string none;
    const auto& text = text_ ? *text_ : none;
    if (only_text() && detail::is_seven_bit(text)) {
        header += "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n";
        return content::from_text(std::move(header += text));
    }
    auto c = std::make_shared<detail::composition>();
    c->add(header);
    const auto random = detail::random_hex();
    const auto count = (text_ ? 1U : 0U) + (html_ ? 1U : 0U) + (calendar_.empty() ? 0U : 1U) + alternatives_.size();
    detail::part_builder build(*c, "=_" + random, count <= 1 && attached_.empty());
    std::vector<detail::entity> forms;
    if (text_ || (!html_ && alternatives_.empty() && calendar_.empty() && attached_.empty()))
        forms.push_back(build.text("text/plain; charset=utf-8", text));
    for (const auto& a : alternatives_) forms.push_back(build.text(a.type, a.text));
    if (html_) {
        std::vector<detail::entity> related;
        related.push_back(build.text("text/html; charset=utf-8", *html_));
        for (const auto& a : attached_)
            if (!a.about.content_id.empty()) related.push_back(build.file(a.about, a.octets));
        forms.push_back(build.multipart("related", std::move(related)));
    }
    if (!calendar_.empty())
        forms.push_back(
            build.text("text/calendar; charset=utf-8; method=" + detail::calendar_method(calendar_), calendar_));
    std::vector<detail::entity> mixed;
    if (!forms.empty()) mixed.push_back(build.multipart("alternative", std::move(forms)));
    for (const auto& a : attached_) {
        if (a.nested)
            mixed.push_back(build.message(a.about, *a.nested));
        else if (!html_ || a.about.content_id.empty())
            mixed.push_back(build.file(a.about, a.octets));
    }
    write_entity(*c, build.multipart("mixed", std::move(mixed)));
    if (c->contains(random)) return composed_content(std::move(header));
    // a message within keeps its octets where it can, for the signatures in it
    const bool wide = std::ranges::any_of(attached_, [](const attached& a) {
        return a.nested && a.nested->eight_bit() && !a.nested->eight_bit_header();
    });
    return c->render(wide ? transfer::eight_bit : transfer::seven_bit);
}

}  // namespace postroad
