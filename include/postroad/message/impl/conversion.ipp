#pragma once

#include <postroad/core/algorithm.hpp>
#include <postroad/core/error.hpp>
#include <postroad/message/conversion.hpp>
#include <postroad/message/encoding.hpp>
#include <postroad/message/field_encoder.hpp>
#include <postroad/message/fields.hpp>
#include <postroad/message/lines.hpp>
#include <postroad/message/utf8.hpp>

#include <algorithm>
#include <utility>

namespace postroad::detail {

/// Copies what fits and encodes what does not.
class converter {
public:
    explicit converter(transfer most) noexcept : most_(most) {}

    /// `is_message`: it has a header of its own, in which MIME-Version must stand once anything is encoded.
    void entity(std::string_view text, std::string_view default_type, const std::string& where, std::size_t depth,
                bool is_message) {
        if (fits(text)) {
            out_ += text;
            return;
        }
        if (depth == max_mime_depth) refuse(text, where, "parts nest too deep");
        auto e = split_at_empty_line(text);
        const auto header = fitting_header(e.header, where);
        e.header = header;
        if (fits(e.body)) {
            out_ += header;
            out_.append(e.has_body ? "\r\n" : "").append(e.body);
            return;
        }
        const auto fields = split_fields(e.header);
        const auto* type_field = find_field(fields, "Content-Type");
        auto type = parse_parameterised(type_field ? type_field->value : default_type);
        if (type.value.find('/') == std::string::npos) type = parse_parameterised("text/plain");
        const auto* encoding_field = find_field(fields, "Content-Transfer-Encoding");
        const auto encoding = parse_parameterised(encoding_field ? encoding_field->value : "7bit").value;
        if (const auto anew = in_lines(e.body, encoding); !anew.empty() && !type.is("multipart/")) {
            out_.append(header).append("\r\n").append(anew);
            return;
        }
        if (encoding != "7bit" && encoding != "8bit" && encoding != "binary")
            refuse(e.body, where, "it is said to be " + escaped(encoding, 40) + " already");
        if (type.is("multipart/")) {
            composite_header(fields, is_message);
            multipart(e.body, type, where, depth);
        } else if (type.value == "message/rfc822") {
            composite_header(fields, is_message);
            entity(e.body, "text/plain", where, depth + 1, true);
        } else if (type.value == "message/partial" || type.value == "message/external-body") {
            refuse(e.body, where, type.value + " must not be encoded");
        } else {
            leaf(e, fields, type.is("text/"), is_message);
        }
    }

    std::string header(std::string_view all) const { return fitting_header(all, {}); }

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

    // What is encoded already, in lines that are none too long; empty where that cannot be done.
    static std::string in_lines(std::string_view body, std::string_view encoding) {
        std::string result;
        if (has_high_octet(body)) return result;
        if (encoding == "base64") {
            std::size_t column = 0;
            for (const char c : body) {
                if (c == '\r' || c == '\n' || is_gap(c)) continue;
                if (!is_alphanumeric(static_cast<unsigned char>(c)) && c != '+' && c != '/' && c != '=') return {};
                if (column++ == max_encoded_line) {
                    result += "\r\n";
                    column = 1;
                }
                result += c;
            }
            result += "\r\n";
        } else if (encoding == "quoted-printable") {
            while (!body.empty()) {
                auto line = body.substr(0, std::min(find_octet(body, '\n') + 1, body.size()));
                body.remove_prefix(line.size());
                while (line.size() > max_line + 2) {
                    auto end = max_encoded_line - 1;
                    if (const auto escape = line.substr(0, end).rfind('='); escape + 2 >= end && escape > 0)
                        end = escape;
                    result.append(line.substr(0, end)).append("=\r\n");
                    line.remove_prefix(end);
                }
                result += line;
            }
        }
        return result;
    }

    [[noreturn]] void refuse(std::string_view text, const std::string& where, const std::string& why) const {
        const bool high = most_ == transfer::seven_bit && has_high_octet(text);
        throw error(high ? errc::eight_bit_unsupported : errc::line_too_long,
                    name_of(where) + (high ? " holds 8-bit octets" : " holds a line of more than 998 octets") +
                        " and cannot be encoded: " + why);
    }
    [[noreturn]] void refuse_header(std::string_view header, const std::string& where) const {
        if (most_ == transfer::seven_bit && has_high_octet(header))
            throw error(errc::internationalised_unsupported,
                        "the header of " + name_of(where) + " holds octets above 127 in no known charset");
        throw error(errc::line_too_long, "the header of " + name_of(where) + " holds a line of more than 998 octets");
    }
    static std::string name_of(const std::string& where) { return where.empty() ? "the message" : "part " + where; }

    // What is not ASCII becomes encoded words where it must. Lines that are too long are folded where they have space,
    // as their writer should have done; nothing else changes.
    std::string fitting_header(std::string_view all, const std::string& where) const {
        const auto ascii =
            most_ == transfer::seven_bit && has_high_octet(all) ? encoded_header(all, where) : std::string{};
        auto header = ascii.empty() ? all : std::string_view(ascii);
        std::string result;
        while (!header.empty()) {
            const auto end = std::min(find_octet(header, '\n') + 1, header.size());
            auto line = header.substr(0, end);
            header.remove_prefix(end);
            while (trimmed_end(line) > max_line) {
                auto at = max_line;
                // before the first space of several, so that no line holds spaces only
                while (at > 1 && !(is_gap(line[at]) && !is_gap(line[at - 1]))) --at;
                if (at == 1) refuse_header(line, where);
                result.append(line.substr(0, at)).append("\r\n");
                line.remove_prefix(at);
            }
            if (line.size() > max_line + 2)  // spaces at the end
                result.append(line.substr(0, trimmed_end(line))).append("\r\n");
            else
                result += line;
        }
        if (!fits(result)) refuse_header(result, where);
        return result;
    }
    std::string encoded_header(std::string_view header, const std::string& where) const {
        const auto fields = split_fields(header);
        const auto* type = find_field(fields, "Content-Type");
        const auto named = type ? parse_parameterised(type->value).parameter("charset") : std::string{};
        std::string result;
        for (const auto& f : fields) {
            const bool is_utf8 = ill_formed_at(f.all) == f.all.size();
            if (!has_high_octet(f.all))
                result += f.all;
            else if (f.name.empty() || has_high_octet(f.name) || !(is_utf8 || is_known_charset(named)))
                refuse_header(header, where);
            else
                result += field_in_ascii(f, is_utf8 ? "utf-8" : named);
        }
        return result;
    }
    static bool is_gap(char c) noexcept { return c == ' ' || c == '\t'; }
    // Up to the spaces and the line end at the end.
    static std::size_t trimmed_end(std::string_view line) noexcept { return line.find_last_not_of(" \t\r\n") + 1; }

    // What is in it fits now.
    void composite_header(const std::vector<header_field>& fields, bool is_message) {
        const bool said = find_field(fields, "Content-Transfer-Encoding") != nullptr;
        header_with(fields, said ? most_ == transfer::seven_bit ? "7bit" : "8bit" : std::string_view{}, is_message);
    }

    // The header and the empty line; with another encoding unless that is empty, and with no second one, which some
    // readers go by.
    void header_with(const std::vector<header_field>& fields, std::string_view encoding, bool is_message) {
        bool written = false;
        const auto write = [&] {
            if (std::exchange(written, true)) return;
            if (is_message && !find_field(fields, "MIME-Version")) out_ += "MIME-Version: 1.0\r\n";
            if (!encoding.empty()) (out_ += "Content-Transfer-Encoding: ").append(encoding).append("\r\n");
        };
        for (const auto& f : fields)
            if (equal_ignoring_case(f.name, "Content-Transfer-Encoding"))
                write();
            else
                out_ += f.all;
        write();
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
            entity(part, child, (where.empty() ? "" : where + ".") + std::to_string(++number), depth + 1, false);
            copied = at + part.size();
        }
        between(body.substr(copied), where);
    }

    void between(std::string_view text, const std::string& where) {
        if (!fits(text)) refuse(text, where, "they stand between its parts");
        out_ += text;
    }

    void leaf(const split_entity& e, const std::vector<header_field>& fields, bool is_text, bool is_message) {
        const bool readable = is_text && prefers_quoted_printable(e.body);
        header_with(fields, readable ? "quoted-printable" : "base64", is_message);
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
    c.entity(text, "text/plain", {}, 0, true);
    return c.take();
}

inline parameterised type_of(std::string_view header, std::string_view default_type) {
    const auto fields = split_fields(header);
    const auto* type = find_field(fields, "Content-Type");
    return parse_parameterised(type ? type->value : default_type);
}

POSTROAD_DECL bool has_parts(std::string_view header) {
    const auto type = type_of(header, "text/plain");
    return type.is("multipart/") || type.is("message/");
}

POSTROAD_DECL bool has_wide_part(std::string_view entity, std::string_view default_type, std::size_t depth) {
    const auto e = split_at_empty_line(entity);
    if (!has_high_octet(e.body)) return false;
    const auto type = type_of(e.header, default_type);
    const auto is_wide = [&](std::string_view part, std::string_view by_default) {
        return depth == max_mime_depth || has_high_octet(split_at_empty_line(part).header) ||
               has_wide_part(part, by_default, depth + 1);
    };
    if (type.value == "message/rfc822" || type.value == "message/global") return is_wide(e.body, "text/plain");
    // fields all of them, as those of a report
    if (!type.is("multipart/")) return type.is("message/");
    const std::string_view child = type.value == "multipart/digest" ? "message/rfc822" : "text/plain";
    const auto found = split_multipart(e.body, type.parameter("boundary"));
    return postroad::detail::any_of(found.parts, [&](std::string_view part) { return is_wide(part, child); });
}

POSTROAD_DECL std::string header_in_ascii(std::string_view header) {
    return converter(transfer::seven_bit).header(header);
}

}  // namespace postroad::detail
