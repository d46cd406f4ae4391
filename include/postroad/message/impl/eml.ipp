#pragma once

#include <postroad/message/checks.hpp>
#include <postroad/message/eml.hpp>
#include <postroad/message/field_encoder.hpp>
#include <postroad/message/fields.hpp>
#include <postroad/message/header.hpp>
#include <postroad/message/lines.hpp>
#include <postroad/message/recipient_list.hpp>
#include <postroad/message/utf8.hpp>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad {
namespace detail {

inline bool stays_behind(const header_field& f) noexcept {
    return equal_ignoring_case(f.name, "Bcc") || equal_ignoring_case(f.name, "Resent-Bcc") ||
           equal_ignoring_case(f.name, "Return-Path");
}

inline bool is_resent(const header_field& f) noexcept { return equal_ignoring_case(f.name.substr(0, 7), "Resent-"); }

// The topmost block of Resent- fields, under their names without "Resent-"; all other fields if there is none.
inline std::vector<header_field> fields_that_count(const std::vector<header_field>& fields) {
    std::vector<header_field> block;
    auto f = std::ranges::find_if(fields, is_resent);
    if (f == fields.end()) return fields;
    for (; f != fields.end() && is_resent(*f); ++f) {
        const auto name = f->name.substr(7);
        if (std::ranges::any_of(block, [&](const auto& b) { return equal_ignoring_case(b.name, name); })) break;
        block.push_back({name, f->value, f->all});
    }
    return block;
}

/// What every explanation ends with, before the member of eml_options that helps.
inline constexpr std::string_view given_instead = "; it may be given instead: ";

// `member` of eml_options makes reading it needless.
inline mailbox_list mailboxes_of(const header_field& f, std::string_view member) {
    try {
        return parse_mailboxes(f.value, address_syntax::obsolete);
    } catch (const error& e) {
        throw error(errc::invalid_address,
                    (std::string(f.name) + ": " + e.details().explanation).append(given_instead).append(member));
    }
}

inline address sender_of(const std::vector<header_field>& fields, const std::string& prefix) {
    for (const auto* name : {"Sender", "From"})
        if (const auto* f = find_field(fields, name))
            if (auto found = mailboxes_of(*f, "reverse_path"); !found.empty()) return std::move(found.front().address);
    std::string why = fields.empty() ? "the message has no header, for it is empty or begins with an empty line"
                                     : "the message names no sender";
    why += ": expected " + prefix + "From or " + prefix + "Sender";
    throw error(errc::no_sender, why.append(given_instead).append("reverse_path"));
}

inline std::vector<address> recipients_of(const std::vector<header_field>& fields, const std::string& prefix) {
    recipient_list recipients;
    for (const auto* name : {"To", "Cc", "Bcc"})
        for (const auto& f : fields)
            if (equal_ignoring_case(f.name, name))
                for (const auto& m : mailboxes_of(f, "recipients")) recipients.add(m.address);
    auto result = recipients.take();
    if (result.empty())
        throw error(errc::no_recipients,
                    ("the message names no recipient: expected " + prefix + "To, " + prefix + "Cc or " + prefix + "Bcc")
                        .append(given_instead)
                        .append("recipients"));
    return result;
}

inline envelope envelope_of(const std::vector<header_field>& all, const eml_options& options) {
    const auto fields = fields_that_count(all);
    const std::string prefix = std::ranges::any_of(all, is_resent) ? "Resent-" : "";
    envelope result;
    result.reverse_path = options.reverse_path ? *options.reverse_path : sender_of(fields, prefix);
    result.recipients = options.recipients ? *options.recipients : recipients_of(fields, prefix);
    if (result.recipients.empty()) throw error(errc::no_recipients, "the envelope names no recipient");
    return result;
}

// Date and Message-ID where they are missing.
inline std::string missing_fields(const std::vector<header_field>& fields, const address& reverse_path,
                                  std::chrono::system_clock::time_point now) {
    std::string result;
    if (!find_field(fields, "Date")) result += "Date: " + format_date(now, {}) + "\r\n";
    if (find_field(fields, "Message-ID")) return result;
    auto author = reverse_path;
    if (const auto* from = find_field(fields, "From"))
        if (const auto found = mailboxes_of(*from, "complete_at"); !found.empty()) author = found.front().address;
    const auto domain = author.ascii_domain();
    if (domain.empty()) throw error(errc::no_sender, "From: expected an address, for the domain of a Message-ID");
    return result + "Message-ID: " + new_message_id(domain) + "\r\n";
}

/// The header with fields that are no UTF-8 encoded as what Content-Type says, or else `charset`, since SMTPUTF8 is for
/// UTF-8 only (RFC 6532 section 3.2).
inline std::string in_utf8(std::string_view header, const std::string& charset) {
    const auto fields = split_fields(header);
    const auto* type = find_field(fields, "Content-Type");
    auto named = type ? parse_parameterised(type->value).parameter("charset") : std::string{};
    if (!is_known_charset(named)) named = charset;
    std::string result;
    for (const auto& f : fields) {
        const auto bad = ill_formed_at(f.all);
        if (bad == f.all.size() || stays_behind(f)) {
            result += f.all;
        } else if (f.name.empty() || has_high_octet(f.name) || !is_known_charset(named)) {
            const auto value_at = f.name.empty() ? 0 : static_cast<std::size_t>(f.value.data() - f.all.data());
            throw error(errc::invalid_header, escaped(f.name.empty() ? f.all : f.name, 76) +
                                                  ": expected well-formed UTF-8 at octet " +
                                                  std::to_string(bad < value_at ? bad : bad - value_at) +
                                                  ", or its charset in Content-Type or eml_options::charset");
        } else {
            result += field_in_ascii(f, named);
        }
    }
    return result;
}

/// Of byte order marks at the start.
inline std::size_t size_of_marks(std::string_view text) noexcept {
    static constexpr std::string_view mark = "\xef\xbb\xbf";
    std::size_t size = 0;
    while (text.substr(size).starts_with(mark)) size += mark.size();
    return size;
}

/// The line that begins a message in an mbox file; `From : ann@x.example` is a field.
inline bool begins_with_mbox_line(std::string_view header) noexcept {
    if (!header.starts_with("From ")) return false;
    const auto behind = header.find_first_not_of(" \t", 5);
    return behind == header.npos || header[behind] != ':';
}

/// What travels of a header with CRLF line ends; `e` becomes the envelope.
inline std::string header_that_travels(std::string_view header, const eml_options& options, envelope& e) {
    header.remove_prefix(size_of_marks(header));
    if (begins_with_mbox_line(header)) header.remove_prefix(find_octet(header, '\n') + 1);
    header.remove_prefix(size_of_marks(header));
    std::string changed;
    if (has_high_octet(header) && ill_formed_at(header) != header.size())
        header = changed = in_utf8(header, options.charset);
    const auto fields = split_fields(header);
    e = envelope_of(fields, options);
    std::string kept;
    kept.reserve(header.size());
    if (options.complete_at) kept = missing_fields(fields, e.reverse_path, *options.complete_at);
    for (const auto& f : fields)
        if (!stays_behind(f)) kept += f.all;
    kept.erase(0, size_of_marks(kept));  // behind a field that stays
    return kept;
}

/// Of a header that ends as it travels, in lines that do: the lines behind it need no look. 0: of any other.
inline std::size_t size_of_ready_header(std::string_view text) noexcept {
    const auto end = text.find("\r\n\r\n");
    if (end == std::string_view::npos) return 0;
    const auto scan = scan_lines(text.substr(0, end + 2));
    return scan.only_crlf && scan.header_size == end + 2 ? end + 2 : 0;
}

}  // namespace detail

POSTROAD_DECL mail_object parse_eml(std::string text, const eml_options& options) {
    auto header_size = detail::size_of_ready_header(text);
    if (header_size == 0) {
        text = detail::with_crlf(text);
        header_size = detail::scan_lines(text).header_size;
    }
    mail_object result;
    const auto header = std::string_view(text).substr(0, header_size);
    auto kept = detail::header_that_travels(header, options, result.envelope);
    if (kept != header) text.replace(0, header_size, kept);
    result.content = content::from_text(std::move(text));
    return result;
}

POSTROAD_DECL mail_object read_eml(const std::filesystem::path& file, const eml_options& options) {
    static constexpr std::size_t small = std::size_t{64} * 1024;
    const auto octets = source::file(file.string());
    if (octets.size() <= small) return parse_eml(*source::drained(octets.open()).in_memory(), options);
    mail_object result;
    result.content = content::from_source(octets, [&](const std::string& header) {
        return detail::header_that_travels(header, options, result.envelope);
    });
    return result;
}

}  // namespace postroad
