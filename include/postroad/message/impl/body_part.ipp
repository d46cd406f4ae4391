#pragma once

#include <postroad/message/body_part.hpp>
#include <postroad/message/checks.hpp>
#include <postroad/message/fields.hpp>
#include <postroad/message/utf8.hpp>

#include <algorithm>
#include <utility>

namespace postroad {

POSTROAD_DECL body_part body_part::text(std::string_view lines, part p) {
    detail::check_text("text", lines);
    if (p.type.empty()) p.type = "text/plain";
    detail::check_text_part(p, {});
    const auto type = detail::parse_parameterised(p.type);
    if (type.is("message/") && !type.is("message/global") && !detail::is_ascii(lines))
        detail::refuse_field("Content-Type", p.type + " holds ASCII only");
    body_part result;
    result.about_ = std::move(p);
    result.text_ = lines;
    return result;
}

POSTROAD_DECL body_part body_part::octets(source from, part p) {
    if (p.type.empty() && p.name.empty()) detail::refuse_field("Content-Type", "a part needs a type or a file name");
    if (p.type.empty()) p.type = media_type_of(p.name);
    detail::check_part(p);
    body_part result;
    result.kind_ = kind::octets;
    result.about_ = std::move(p);
    result.octets_ = std::move(from);
    return result;
}

POSTROAD_DECL body_part body_part::file(const std::filesystem::path& path, part p) {
    if (p.name.empty()) p.name = detail::file_name_of(path.native());
    return octets(source::file(path.native()), std::move(p));
}

POSTROAD_DECL body_part body_part::message(content nested, part p) {
    detail::check_part_fields(p);
    body_part result;
    result.kind_ = kind::message;
    result.about_ = std::move(p);
    result.nested_ = std::move(nested);
    return result;
}

POSTROAD_DECL body_part body_part::multipart(std::string type, std::vector<body_part> parts) {
    detail::check_multipart_type(type);
    if (parts.empty()) detail::refuse_field("Content-Type", "a multipart holds at least one part");
    body_part result;
    result.kind_ = kind::multipart;
    result.depth_ = 1 + std::ranges::max_element(parts, {}, &body_part::depth_)->depth_;
    if (result.depth_ > max_depth) detail::refuse_field("Content-Type", "more than 40 multiparts within one another");
    result.about_.type = std::move(type);
    result.parts_ = std::move(parts);
    return result;
}

POSTROAD_DECL bool body_part::stays_wide() const noexcept {
    return kind_ == kind::message ? detail::stays_wide(nested_) : std::ranges::any_of(parts_, &body_part::stays_wide);
}

}  // namespace postroad
