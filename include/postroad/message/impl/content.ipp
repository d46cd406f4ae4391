#pragma once

#include <postroad/message/composition.hpp>
#include <postroad/message/content.hpp>
#include <postroad/message/conversion.hpp>
#include <postroad/message/lines.hpp>

#include <algorithm>
#include <utility>

namespace postroad {

POSTROAD_DECL content content::from_text(std::string text) {
    if (const auto nul = detail::find_octet(text, '\0'); nul != text.size())
        throw error(errc::invalid_message, "the message holds a NUL at octet " + std::to_string(nul));
    return from_lines(std::move(text));
}

POSTROAD_DECL content content::from_lines(std::string text) {
    auto scan = detail::scan_lines(text);
    if (!scan.only_crlf) {
        text = detail::with_crlf(text);
        scan = detail::scan_lines(text);
    }
    auto s = std::make_shared<shared>();
    s->text = std::move(text);
    s->size = s->text.size();
    s->longest_line = scan.longest;
    s->leading_dots = scan.leading_dots;
    const std::string_view all = s->text;
    s->eight_bit_header = detail::has_high_octet(all.substr(0, scan.header_size));
    s->eight_bit = s->eight_bit_header || detail::has_high_octet(all.substr(scan.header_size));
    content result;
    result.shared_ = std::move(s);
    return result;
}

POSTROAD_DECL std::string_view content::gathered_text() const {
    const std::lock_guard lock(shared_->gathering);
    if (!shared_->gathered) {
        std::string all;
        all.reserve(static_cast<std::size_t>(size()));
        reader r(*this);
        for (auto next = r.peek(); !next.empty(); next = r.peek()) {
            all += next;
            r.consume(next.size());
        }
        if (const auto ec = r.failure()) throw error(ec, {.explanation = r.explanation()});
        shared_->gathered = std::move(all);
    }
    return *shared_->gathered;
}

POSTROAD_DECL bool content::fits(transfer most) const noexcept {
    if (!shared_ || most == transfer::binary) return true;
    return !shared_->binary && shared_->longest_line <= detail::max_line &&
           (most == transfer::eight_bit || !shared_->eight_bit);
}

POSTROAD_DECL content content::with_fields(std::string_view fields) const {
    if (!streams()) return from_lines(std::string(fields).append(text()));
    auto s = std::make_shared<shared>();
    s->pieces.push_back({.text = std::string(fields)});
    s->pieces.insert(s->pieces.end(), shared_->pieces.begin(), shared_->pieces.end());
    s->size = fields.size() + shared_->size;
    const auto scan = detail::scan_lines(fields);
    s->longest_line = std::max<std::uint64_t>(scan.longest, shared_->longest_line);
    s->leading_dots = scan.leading_dots || shared_->leading_dots;
    s->eight_bit = shared_->eight_bit;
    s->eight_bit_header = shared_->eight_bit_header;
    s->binary = shared_->binary;
    content result;
    result.shared_ = std::move(s);
    return result;
}

POSTROAD_DECL content content::as(transfer most, error_code& ec, std::string* explanation) const {
    ec.clear();
    try {
        return as(most);
    } catch (const error& e) {
        ec = e.code();
        if (explanation) *explanation = e.details().explanation;
        return {};
    }
}

POSTROAD_DECL content content::as(transfer most) const {
    if (shared_ && shared_->composed) {
        const bool same = std::min(most, detail::widest(*shared_->composed)) == shared_->form;
        return same ? *this : detail::rendered(*shared_->composed, most);
    }
    if (fits(most)) return *this;
    if (eight_bit_header() && most == transfer::seven_bit)
        throw error(errc::internationalised_unsupported,
                    "the header holds UTF-8, which only a server with SMTPUTF8 takes");
    return from_lines(detail::converted(text(), most));
}

}  // namespace postroad
