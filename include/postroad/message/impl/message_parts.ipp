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

// For readers that know nothing of RFC 2231.
inline std::string ascii_file_name(std::string_view name) {
    std::string result;
    for (std::size_t at = 0; at < name.size();) {
        const char32_t c = next_character(name, at);
        result += c < 0x80 ? static_cast<char>(c) : '_';
    }
    return result;
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
        header_writer w(header_charset::ascii);
        static constexpr std::size_t max_fallback = 60;
        std::vector<std::pair<std::string_view, std::string_view>> parameters;
        const auto fallback = ascii_file_name(about.name);
        if (!fallback.empty() && fallback.size() <= max_fallback) parameters.emplace_back("name", fallback);
        w.parameterised("Content-Type", about.type, parameters);
        parameters.clear();
        if (!about.name.empty()) parameters.emplace_back("filename", about.name);
        const bool in_line = about.disposition == disposition::in_line || !about.content_id.empty();
        w.parameterised("Content-Disposition", in_line ? "inline" : "attachment", parameters);
        if (!about.content_id.empty()) w.plain("Content-ID", '<' + about.content_id + '>');
        if (!about.description.empty()) w.unstructured("Content-Description", about.description, value_kind::text);
        return leaf_entity(w.take(), leaf::octets(octets));
    }

    entity message(const content& nested) {
        // RFC 6532 section 3.7: with UTF-8 in its header it is message/global, which may be encoded
        if (!nested.eight_bit_header())
            return leaf_entity("Content-Type: message/rfc822\r\nContent-Disposition: attachment\r\n",
                               leaf::message(nested));
        return leaf_entity("Content-Type: message/global\r\nContent-Disposition: attachment\r\n",
                           leaf::octets(source::memory(std::string(nested.text()))));
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

// "<a@x> <b@y>"
inline std::string checked_ids(std::string_view name, std::string_view ids) {
    check_value(name, ids);
    std::string result;
    while (!(ids = trimmed(ids)).empty()) {
        const auto end = std::min(ids.find_first_of(" \t"), ids.size());
        check_message_id(name, ids.substr(0, end));
        result.append(result.empty() ? "" : " ").append(ids.substr(0, end));
        ids.remove_prefix(end);
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

POSTROAD_DECL message& message::attach(const std::string& path, part p) & {
    if (p.name.empty()) p.name = detail::file_name_of(path);
    return attach(source::file(path), std::move(p));
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

POSTROAD_DECL message& message::attach(content nested) & {
    attached_.push_back({{}, {}, std::move(nested)});
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
    const bool plain = detail::is_ascii(phrase);
    set_field("List-Id", (phrase.empty() ? ""
                          : plain        ? '"' + std::string(phrase) + "\" "
                                         : std::string(phrase) + ' ') +
                             '<' + std::string(id) + '>');
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
            mixed.push_back(build.message(*a.nested));
        else if (!html_ || a.about.content_id.empty())
            mixed.push_back(build.file(a.about, a.octets));
    }
    write_entity(*c, build.multipart("mixed", std::move(mixed)));
    if (c->contains(random)) return composed_content(std::move(header));
    return c->render(transfer::seven_bit);
}

}  // namespace postroad
