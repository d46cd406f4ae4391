#pragma once

#include <postroad/core/base64.hpp>
#include <postroad/core/percent.hpp>
#include <postroad/message/checks.hpp>
#include <postroad/message/embed_images.hpp>
#include <postroad/message/fields.hpp>
#include <postroad/message/header.hpp>
#include <postroad/message/utf8.hpp>

#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>

namespace postroad {
namespace detail {

// Where the value of the next `src` of an img begins and ends; npos if there is none.
struct image_source {
    std::size_t begin = std::string_view::npos;
    std::size_t end = std::string_view::npos;
};

/// Walks over the tags of an HTML text, also of those in comments, which Outlook reads.
class image_scanner {
public:
    explicit image_scanner(std::string_view html) noexcept : html_(html) {}

    image_source next() noexcept {
        while (at_ < html_.size()) {
            at_ = std::min(html_.find('<', at_), html_.size());
            if (at_ + 4 >= html_.size()) break;
            const bool is_image = equal_ignoring_case(html_.substr(at_ + 1, 3), "img") && ends_name(html_[at_ + 4]);
            at_ += is_image ? 4 : 1;
            if (!is_image) continue;
            const auto found = source_in_tag();
            if (found.begin != std::string_view::npos) return found;
        }
        return {};
    }

private:
    static bool is_gap(char c) noexcept { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f'; }
    static bool ends_name(char c) noexcept { return is_gap(c) || c == '/' || c == '>' || c == '='; }
    void skip_gap() noexcept {
        while (at_ < html_.size() && is_gap(html_[at_])) ++at_;
    }
    void skip_to_attribute() noexcept {
        while (at_ < html_.size() && (is_gap(html_[at_]) || html_[at_] == '/')) ++at_;
    }
    // Attributes (HTML, section 13.1.2.3) up to `src` or the end of the tag.
    image_source source_in_tag() noexcept {
        for (skip_to_attribute(); at_ < html_.size() && html_[at_] != '>'; skip_to_attribute()) {
            const auto start = at_++;
            while (at_ < html_.size() && !ends_name(html_[at_])) ++at_;
            const auto name = html_.substr(start, at_ - start);
            skip_gap();
            if (at_ == html_.size() || html_[at_] != '=') continue;
            ++at_;
            skip_gap();
            const auto value = take_value();
            if (equal_ignoring_case(name, "src")) return value;
        }
        return {};
    }
    image_source take_value() noexcept {
        if (at_ < html_.size() && (html_[at_] == '"' || html_[at_] == '\'')) {
            const auto begin = at_ + 1;
            const auto end = std::min(html_.find(html_[at_], begin), html_.size());
            at_ = std::min(end + 1, html_.size());
            return {begin, end};
        }
        const auto begin = at_;
        while (at_ < html_.size() && !is_gap(html_[at_]) && html_[at_] != '>') ++at_;
        return {begin, at_};
    }

    std::string_view html_;
    std::size_t at_ = 0;
};

inline std::string without_references(std::string_view value) {
    std::string text(trimmed(value));
    for (auto at = text.find("&amp;"); at != text.npos; at = text.find("&amp;", at + 1)) text.erase(at + 1, 4);
    return text;
}

inline std::string unescaped(std::string_view text) { return percent_decoded(text).value_or(std::string(text)); }

/// RFC 2397. `number` makes its name.
inline std::pair<source, part> image_of_data(std::string_view url, std::size_t number) {
    const auto comma = std::min(url.find(','), url.size());
    auto type = in_lower_case(std::string(url.substr(5, comma - 5)));
    const auto octets = unescaped(url.substr(std::min(comma + 1, url.size())));
    std::string decoded;
    const bool in_base64 = type.ends_with(";base64");
    if (in_base64) type.resize(type.size() - 7);
    std::string digits;
    for (const char c : octets)
        if (c != ' ' && c != '\t' && c != '\r' && c != '\n') digits += c;
    if (!type.starts_with("image/") || comma == url.size() || (in_base64 && !base64_decode(digits, decoded)))
        refuse_field("data", "expected an image, in base64 or with %XX, got '" + escaped(url, 60) + "'");
    // without parameters, among which some write words that are none, such as utf8
    type = parse_parameterised(type).value;
    auto subtype = type.substr(6);
    subtype.resize(std::min(subtype.find('+'), subtype.size()));
    return {source::memory(in_base64 ? decoded : octets),
            {.type = type, .name = "image" + std::to_string(number) + '.' + subtype}};
}

/// Without links, so that what is attached is what was looked at.
inline std::filesystem::path real_path(const std::filesystem::path& path) {
    error_code ec = std::make_error_code(std::errc::no_such_file_or_directory);
    std::filesystem::path found;
    if (path.native().find('\0') == path.native().npos) found = std::filesystem::canonical(path, ec);
    if (ec) throw error(errc::unreadable_file, "cannot read '" + escaped(path.native(), 1000) + "': " + ec.message());
    return found;
}

inline std::filesystem::path path_within(const std::filesystem::path& folder, const std::filesystem::path& relative) {
    const auto normal = relative.lexically_normal();
    const auto refuse = [&] {
        refuse_field("img", "'" + escaped(relative.native(), 100) + "' leads out of the folder of images");
    };
    if (relative.is_absolute() || normal.empty() || *normal.begin() == "..") refuse();
    const auto base = real_path(folder);
    auto found = real_path(base / normal);
    if (std::ranges::mismatch(base, found).in1 != base.end()) refuse();
    return found;
}

inline void attach_image(message& to, const std::filesystem::path& folder, std::string_view url,
                         const std::string& content_id) {
    const std::filesystem::path relative(unescaped(url.substr(0, url.find_first_of("?#"))));
    to.attach(path_within(folder, relative), {.name = file_name_of(relative.native()), .content_id = content_id});
}

// "https:", "cid:", "//host/": not a path.
inline bool has_scheme(std::string_view url) noexcept {
    const auto colon = url.find_first_of(":/?#");
    return url.starts_with("//") || url.starts_with('#') || (colon != url.npos && url[colon] == ':');
}

}  // namespace detail

POSTROAD_DECL std::string embed_images(message& to, std::string_view html, const std::filesystem::path& folder) {
    auto changed = to;
    const auto random = detail::random_hex();
    std::map<std::string, std::string> ids;  // by URL
    std::string result;
    std::size_t copied = 0;
    detail::image_scanner images(html);
    for (auto found = images.next(); found.begin != html.npos; found = images.next()) {
        const auto url = detail::without_references(html.substr(found.begin, found.end - found.begin));
        const bool is_data = detail::equal_ignoring_case(url.substr(0, 5), "data:");
        if (url.empty() || (!is_data && (folder.empty() || detail::has_scheme(url)))) continue;
        auto& id = ids[url];
        if (id.empty()) {
            id = "image" + std::to_string(ids.size()) + '.' + random + "@embedded";
            if (is_data) {
                auto [octets, about] = detail::image_of_data(url, ids.size());
                about.content_id = id;
                changed.attach(std::move(octets), std::move(about));
            } else {
                detail::attach_image(changed, folder, url, id);
            }
        }
        result.append(html.substr(copied, found.begin - copied)).append("cid:").append(id);
        copied = found.end;
    }
    to = std::move(changed);
    return result.append(html.substr(copied));
}

}  // namespace postroad
