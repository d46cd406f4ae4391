#pragma once

#include <postroad/core/error.hpp>
#include <postroad/message/conversion.hpp>
#include <postroad/message/encoding.hpp>
#include <postroad/message/fields.hpp>
#include <postroad/message/lines.hpp>
#include <postroad/message/utf8.hpp>

#include <algorithm>

namespace postroad::detail {

/// Copies what fits and encodes what does not.
class converter {
public:
    explicit converter(transfer most) noexcept : most_(most) {}

    void entity(std::string_view text, std::string_view default_type, const std::string& where, std::size_t depth) {
        if (fits(text)) {
            out_ += text;
            return;
        }
        if (depth == max_mime_depth) refuse(text, where, "parts nest too deep");
        const auto e = split_at_empty_line(text);
        if (!fits(e.header)) refuse_header(e.header, where);
        const auto fields = split_fields(e.header);
        const auto* type_field = find_field(fields, "Content-Type");
        auto type = parse_parameterised(type_field ? type_field->value : default_type);
        if (type.value.find('/') == std::string::npos) type = parse_parameterised("text/plain");
        const auto* encoding_field = find_field(fields, "Content-Transfer-Encoding");
        const auto encoding = parse_parameterised(encoding_field ? encoding_field->value : "7bit").value;
        if (encoding != "7bit" && encoding != "8bit" && encoding != "binary")
            refuse(e.body, where, "it is said to be " + escaped(encoding, 40) + " already");
        if (type.is("multipart/")) {
            composite_header(e.header, fields);
            multipart(e.body, type, where, depth);
        } else if (type.value == "message/rfc822") {
            composite_header(e.header, fields);
            entity(e.body, "text/plain", where, depth + 1);
        } else if (type.value == "message/partial" || type.value == "message/external-body") {
            refuse(e.body, where, type.value + " must not be encoded");
        } else {
            leaf(e, fields, type.is("text/"));
        }
    }

    std::string take() { return std::move(out_); }

private:
    bool fits(std::string_view text) const noexcept {
        return (most_ != transfer::seven_bit || !has_high_octet(text)) && longest(text) <= max_line;
    }
    static std::size_t longest(std::string_view text) noexcept {
        line_meter meter;
        meter.feed(text);
        return meter.longest();
    }

    [[noreturn]] void refuse(std::string_view text, const std::string& where, const std::string& why) const {
        const bool high = most_ == transfer::seven_bit && has_high_octet(text);
        throw error(high ? errc::eight_bit_unsupported : errc::line_too_long,
                    name_of(where) + (high ? " holds 8-bit octets" : " holds a line of more than 998 octets") +
                        " and cannot be encoded: " + why);
    }
    [[noreturn]] void refuse_header(std::string_view header, const std::string& where) const {
        if (most_ == transfer::seven_bit && has_high_octet(header))
            throw error(errc::internationalised_unsupported, "the header of " + name_of(where) + " holds UTF-8");
        throw error(errc::line_too_long, "the header of " + name_of(where) + " holds a line of more than 998 octets");
    }
    static std::string name_of(const std::string& where) { return where.empty() ? "the message" : "part " + where; }

    // What is in it fits now.
    void composite_header(std::string_view header, const std::vector<header_field>& fields) {
        const auto* encoding = find_field(fields, "Content-Transfer-Encoding");
        header_with(header, encoding, encoding ? most_ == transfer::seven_bit ? "7bit" : "8bit" : std::string_view{});
    }

    // The header and the empty line; with another encoding unless that is empty.
    void header_with(std::string_view header, const header_field* old, std::string_view encoding) {
        const auto before = old ? static_cast<std::size_t>(old->all.data() - header.data()) : header.size();
        out_ += header.substr(0, before);
        if (!encoding.empty()) (out_ += "Content-Transfer-Encoding: ").append(encoding).append("\r\n");
        if (old) out_ += header.substr(before + old->all.size());
        out_ += "\r\n";
    }

    void multipart(std::string_view body, const parameterised& type, const std::string& where, std::size_t depth) {
        if (type.value == "multipart/signed") refuse(body, where, "it is signed, and must stay as it is");
        const auto found = split_multipart(body, type.parameter("boundary"));
        if (found.parts.empty()) refuse(body, where, "its boundary is not found");
        const std::string_view child = type.value == "multipart/digest" ? "message/rfc822" : "text/plain";
        std::size_t number = 0;
        std::size_t copied = 0;  // octets of the body that have been written
        for (const auto part : found.parts) {
            const auto at = static_cast<std::size_t>(part.data() - body.data());
            between(body.substr(copied, at - copied), where);
            entity(part, child, (where.empty() ? "" : where + ".") + std::to_string(++number), depth + 1);
            copied = at + part.size();
        }
        between(body.substr(copied), where);
    }

    void between(std::string_view text, const std::string& where) {
        if (!fits(text)) refuse(text, where, "they stand between its parts");
        out_ += text;
    }

    void leaf(const split_entity& e, const std::vector<header_field>& fields, bool is_text) {
        const bool readable = is_text && prefers_quoted_printable(e.body);
        header_with(e.header, find_field(fields, "Content-Transfer-Encoding"),
                    readable ? "quoted-printable" : "base64");
        if (readable)
            append_quoted_printable(out_, e.body);
        else
            append_base64_lines(out_, e.body);
    }

    transfer most_;
    std::string out_;
};

POSTROAD_DECL std::string converted(std::string_view text, transfer most) {
    converter c(most);
    c.entity(text, "text/plain", {}, 0);
    return c.take();
}

}  // namespace postroad::detail
