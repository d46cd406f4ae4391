#pragma once

#include <postroad/message/content.hpp>
#include <postroad/message/lines.hpp>

#include <utility>

namespace postroad {

POSTROAD_DECL content content::from_text(std::string text) {
    if (const auto nul = detail::find_octet(text, '\0'); nul != text.size())
        throw error(errc::invalid_message, "the message holds a NUL at octet " + std::to_string(nul));
    auto scan = detail::scan_lines(text);
    if (!scan.only_crlf) {
        text = detail::with_crlf(text);
        scan = detail::scan_lines(text);
    }
    auto s = std::make_shared<shared>();
    s->text = std::move(text);
    s->longest_line = scan.longest;
    s->leading_dots = scan.leading_dots;
    const std::string_view all = s->text;
    s->eight_bit_header = detail::has_high_octet(all.substr(0, scan.header_size));
    s->eight_bit = s->eight_bit_header || detail::has_high_octet(all.substr(scan.header_size));
    content result;
    result.shared_ = std::move(s);
    return result;
}

}  // namespace postroad
