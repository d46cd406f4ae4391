#pragma once

#include <postroad/core/algorithm.hpp>
#include <postroad/message/composition.hpp>
#include <postroad/message/encoding.hpp>
#include <postroad/message/fields.hpp>
#include <postroad/message/lines.hpp>

#include <algorithm>
#include <utility>

namespace postroad::detail {

POSTROAD_DECL leaf leaf::text(std::string lines) {
    leaf l;
    line_meter meter;
    meter.feed(lines);
    const bool must_encode = meter.longest() > max_line;
    if (meter.high()) l.widest_ = "8bit";
    if (must_encode || meter.high()) {
        const auto encoded = prefers_quoted_printable(lines) ? form::quoted_printable : form::base64;
        l.forms_[0] = encoded;
        if (must_encode) l.forms_[1] = l.forms_[2] = encoded;
    }
    l.text_ = std::move(lines);
    return l;
}

POSTROAD_DECL leaf leaf::octets(source from) {
    leaf l;
    l.kind_ = kind::octets;
    l.widest_ = "binary";
    l.forms_[0] = l.forms_[1] = form::base64;
    l.source_ = std::move(from);
    return l;
}

POSTROAD_DECL leaf leaf::message(content nested) {
    leaf l;
    l.kind_ = kind::message;
    l.nested_ = std::move(nested);
    return l;
}

POSTROAD_DECL std::string_view leaf::encoding(transfer most) const {
    if (kind_ == kind::message) {
        const auto c = nested_.as(most);
        return c.binary() ? "binary" : c.eight_bit() ? "8bit" : "7bit";
    }
    switch (as(most)) {
        case form::identity: return widest_;
        case form::quoted_printable: return "quoted-printable";
        case form::base64: return "base64";
    }
    return {};
}

/// What render() writes to: text, and pieces that stream.
struct composition::output {
    std::string text = {};
    std::vector<piece> pieces = {};
    bool binary = false;
    // of what streams and is not encoded
    bool eight_bit = false;
    bool leading_dots = false;
    std::uint64_t longest_line = 0;

    void stream(piece p) {
        if (!text.empty()) pieces.push_back({.text = std::exchange(text, {})});
        pieces.push_back(std::move(p));
    }
};

POSTROAD_DECL void composition::add(std::string_view text) {
    if (items_.empty() || items_.back().kind != what::text) items_.push_back({});
    items_.back().text += text;
}

POSTROAD_DECL std::size_t composition::add_leaf(leaf l) {
    leaves_.push_back(std::move(l));
    return leaves_.size() - 1;
}

POSTROAD_DECL void composition::add_encoding(std::size_t first, std::size_t last, bool composite) {
    items_.push_back({composite ? what::multipart_encoding : what::encoding, {}, first, last});
}

POSTROAD_DECL void composition::add_body(std::size_t which) { items_.push_back({what::body, {}, which, which}); }

POSTROAD_DECL bool composition::contains(std::string_view text) const {
    return postroad::detail::any_of(leaves_, [&](const leaf& l) {
        const auto* octets = l.source_.in_memory();
        const std::string_view body = l.kind_ == leaf::kind::octets ? octets ? *octets : std::string_view{} : l.text_;
        return body.find(text) != std::string_view::npos ||
               (!l.nested_.streams() && l.nested_.text().find(text) != std::string_view::npos);
    });
}

POSTROAD_DECL transfer composition::widest() const noexcept {
    auto result = transfer::seven_bit;
    for (const auto& l : leaves_) {
        const auto own = l.kind_ == leaf::kind::message                           ? transfer::binary
                         : l.as(transfer::eight_bit) != l.as(transfer::binary)    ? transfer::binary
                         : l.as(transfer::seven_bit) != l.as(transfer::eight_bit) ? transfer::eight_bit
                                                                                  : transfer::seven_bit;
        result = std::max(result, own);
    }
    return result;
}

POSTROAD_DECL void composition::write_encoding(const item& i, transfer most, std::string& to) const {
    std::string_view value = leaves_[i.first].encoding(most);
    if (i.kind == what::multipart_encoding) {
        value = {};
        for (auto n = i.first; n < i.last; ++n) {
            const auto own = leaves_[n].encoding(most);
            if (own == "binary" || (own == "8bit" && value.empty())) value = own;
        }
        if (value.empty()) return;
    }
    to.append("Content-Transfer-Encoding: ").append(value).append("\r\n");
}

POSTROAD_DECL void composition::write_body(const leaf& l, transfer most, output& to) const {
    const auto form = l.as(most);
    if (l.kind_ == leaf::kind::octets && l.source_.size() == 0) return;
    if (l.kind_ == leaf::kind::message) {
        const auto nested = l.nested_.as(most);
        to.binary = to.binary || nested.binary();
        if (!nested.streams()) {
            to.text += nested.text();
        } else {
            to.eight_bit = to.eight_bit || nested.eight_bit();
            to.leading_dots = to.leading_dots || nested.leading_dots();
            to.longest_line = std::max(to.longest_line, nested.longest_line());
            for (const auto& p : nested.shared_->pieces) {
                if (p.streamed)
                    to.stream(p);
                else
                    to.text += p.text;
            }
        }
    } else if (l.kind_ == leaf::kind::text) {
        if (form == leaf::form::identity)
            to.text += l.text_;
        else if (form == leaf::form::quoted_printable)
            append_quoted_printable(to.text, l.text_);
        else
            append_base64_lines(to.text, l.text_);
    } else if (form == leaf::form::identity) {
        to.binary = true;
        to.stream({.octets = l.source_, .form = piece_form::identity, .streamed = true});
    } else if (const auto* octets = l.source_.in_memory(); octets && octets->size() <= inline_limit) {
        append_base64_lines(to.text, *octets);
    } else {
        to.stream({.octets = l.source_, .form = piece_form::base64, .streamed = true});
    }
}

POSTROAD_DECL transfer widest(const composition& c) noexcept { return c.widest(); }
POSTROAD_DECL content rendered(const composition& c, transfer most) { return c.render(most); }

POSTROAD_DECL content composition::render(transfer most) const {
    output to;
    const auto limit = widest();
    most = std::min(most, limit);
    for (const auto& i : items_) {
        if (i.kind == what::text)
            to.text += i.text;
        else if (i.kind == what::body)
            write_body(leaves_[i.first], most, to);
        else
            write_encoding(i, most, to.text);
    }
    if (!to.text.ends_with("\r\n")) to.text += "\r\n";
    auto s = std::make_shared<content::shared>();
    line_meter meter;
    std::string_view head = to.pieces.empty() ? to.text : to.pieces.front().text;
    s->eight_bit_header = has_high_octet(split_at_empty_line(head).header);
    for (const auto& p : to.pieces) {
        s->size += p.size();
        if (!p.streamed)
            meter.feed(p.text);
        else
            meter.skip(p.form == piece_form::base64
                           ? std::min<std::size_t>(static_cast<std::size_t>(p.size()), max_encoded_line)
                           : 1);
    }
    meter.feed(to.text);
    s->size += to.text.size();
    if (to.pieces.empty())
        s->text = std::move(to.text);
    else {
        to.pieces.push_back({.text = std::move(to.text)});
        s->pieces = std::move(to.pieces);
    }
    s->longest_line = std::max<std::uint64_t>(meter.longest(), to.longest_line);
    s->leading_dots = meter.leading_dots() || to.leading_dots;
    s->eight_bit = meter.high() || to.eight_bit;
    s->binary = to.binary;
    s->form = most;
    if (limit != transfer::seven_bit) s->composed = shared_from_this();
    content result;
    result.shared_ = std::move(s);
    return result;
}

}  // namespace postroad::detail
