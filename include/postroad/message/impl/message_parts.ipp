#pragma once

#include <postroad/core/algorithm.hpp>
#include <postroad/message/checks.hpp>
#include <postroad/message/composition.hpp>
#include <postroad/message/fields.hpp>
#include <postroad/message/header.hpp>
#include <postroad/message/message.hpp>
#include <postroad/message/part_builder.hpp>
#include <postroad/message/utf8.hpp>

#include <algorithm>
#include <array>
#include <ctime>

namespace postroad {
namespace detail {

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
        if (id.size() > longest || !postroad::detail::all_of(id, fits_in_angles))
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

POSTROAD_DECL void message::require_no_body() const {
    if (body_) throw error(errc::invalid_message, "body() stands for text(), html(), alternative() and calendar()");
}

// `kind` is the type of the text where nothing else is said, and what it must be else.
POSTROAD_DECL message::text_form message::checked_form(std::string_view kind, std::string_view text, part p) const {
    require_no_body();
    detail::check_text(kind == "text/html" ? "HTML" : kind == "text/" ? "alternative" : "text", text);
    if (p.type.empty()) p.type = kind;
    detail::check_text_part(p, kind);
    return {std::move(p), std::string(text)};
}

POSTROAD_DECL message& message::text(std::string_view body, part p) & {
    text_ = checked_form("text/plain", body, std::move(p));
    return *this;
}

POSTROAD_DECL message& message::html(std::string_view body, part p) & {
    html_ = checked_form("text/html", body, std::move(p));
    return *this;
}

POSTROAD_DECL message& message::calendar(std::string_view icalendar) & {
    require_no_body();
    detail::check_text("calendar", icalendar);
    (void)detail::calendar_method(icalendar);
    calendar_ = icalendar;
    return *this;
}

POSTROAD_DECL message& message::alternative(std::string_view body, part p) & {
    if (p.type.empty()) detail::refuse_field("Content-Type", "an alternative needs a type");
    alternatives_.push_back(checked_form("text/", body, std::move(p)));
    return *this;
}

POSTROAD_DECL message& message::alternative(source octets, part p) & {
    require_no_body();
    if (p.type.empty() && p.name.empty()) detail::refuse_field("Content-Type", "a part needs a type or a file name");
    if (p.type.empty()) p.type = media_type_of(p.name);
    detail::check_part(p);
    alternatives_.push_back({std::move(p), {}, std::move(octets)});
    return *this;
}

POSTROAD_DECL message& message::body(body_part tree) & {
    if (text_ || html_ || !calendar_.empty() || !alternatives_.empty())
        throw error(errc::invalid_message, "body() stands for text(), html(), alternative() and calendar()");
    body_ = std::move(tree);
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
    return !html_ && !body_ && calendar_.empty() && alternatives_.empty() && attached_.empty();
}

POSTROAD_DECL content message::composed_content(std::string header) const {
    using detail::part_builder;
    static const text_form none{.about = {.type = "text/plain; charset=utf-8"}, .text = {}};
    const auto& text = text_ ? *text_ : none;
    if (only_text() && detail::is_seven_bit(text.text)) {
        header += part_builder::fields(text.about.type, text.about, part_builder::shown::if_said) +
                  "Content-Transfer-Encoding: 7bit\r\n\r\n";
        return content::from_text(std::move(header += text.text));
    }
    auto c = std::make_shared<detail::composition>();
    c->add(header);
    const auto random = detail::random_hex();
    const auto count = (text_ ? 1U : 0U) + (html_ ? 1U : 0U) + (calendar_.empty() ? 0U : 1U) + alternatives_.size();
    const bool alone = attached_.empty() && (body_ ? body_->alone() : count <= 1);
    part_builder build(*c, "=_" + random, alone);
    std::vector<detail::entity> forms;
    if (body_) forms.push_back(build.tree(*body_));
    if (text_ || (!html_ && !body_ && alternatives_.empty() && calendar_.empty() && attached_.empty()))
        forms.push_back(build.text(text.about, text.text));
    for (const auto& a : alternatives_)
        if (!a.octets) forms.push_back(build.text(a.about, a.text));
    if (html_) {
        std::vector<detail::entity> related;
        related.push_back(build.text(html_->about, html_->text));
        for (const auto& a : attached_)
            if (!a.about.content_id.empty()) related.push_back(build.file(a.about, a.octets));
        forms.push_back(build.multipart("related", std::move(related)));
    }
    if (!calendar_.empty())
        forms.push_back(build.text(
            {.type = "text/calendar; charset=utf-8; method=" + detail::calendar_method(calendar_)}, calendar_));
    for (const auto& a : alternatives_)
        if (a.octets) forms.push_back(build.file(a.about, *a.octets, part_builder::shown::if_said));
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
    const auto is_wide = [](const attached& a) { return a.nested && detail::stays_wide(*a.nested); };
    const bool wide = postroad::detail::any_of(attached_, is_wide) || (body_ && body_->stays_wide());
    return c->render(wide ? transfer::eight_bit : transfer::seven_bit);
}

}  // namespace postroad
