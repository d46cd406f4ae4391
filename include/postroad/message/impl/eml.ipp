#pragma once

#include <postroad/message/eml.hpp>
#include <postroad/message/fields.hpp>
#include <postroad/message/lines.hpp>
#include <postroad/message/recipient_list.hpp>
#include <postroad/message/utf8.hpp>

#include <algorithm>
#include <fstream>
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

inline std::vector<mailbox> mailboxes_of(const header_field& f) {
    try {
        return parse_mailboxes(f.value);
    } catch (const error& e) {
        throw error(errc::invalid_address, std::string(f.name) + ": " + e.details().explanation);
    }
}

inline envelope envelope_of(const std::vector<header_field>& all) {
    const auto fields = fields_that_count(all);
    const std::string prefix = std::ranges::any_of(all, is_resent) ? "Resent-" : "";
    envelope result;
    recipient_list recipients;
    for (const auto* name : {"Sender", "From"}) {
        const auto f = std::ranges::find_if(fields, [&](const auto& x) { return equal_ignoring_case(x.name, name); });
        if (f == fields.end()) continue;
        const auto found = mailboxes_of(*f);
        if (found.empty()) continue;
        result.reverse_path = found.front().address;
        break;
    }
    if (result.reverse_path.null())
        throw error(errc::no_sender,
                    "the message names no sender: expected " + prefix + "From or " + prefix + "Sender");
    for (const auto* name : {"To", "Cc", "Bcc"})
        for (const auto& f : fields)
            if (equal_ignoring_case(f.name, name))
                for (const auto& m : mailboxes_of(f)) recipients.add(m.address);
    result.recipients = recipients.take();
    if (result.recipients.empty())
        throw error(errc::no_recipients,
                    "the message names no recipient: expected " + prefix + "To, " + prefix + "Cc or " + prefix + "Bcc");
    return result;
}

}  // namespace detail

POSTROAD_DECL mail_object parse_eml(std::string text, const eml_options& options) {
    auto scan = detail::scan_lines(text);
    if (!scan.only_crlf) {
        text = detail::with_crlf(text);
        scan = detail::scan_lines(text);
    }
    std::string_view header = std::string_view(text).substr(0, scan.header_size);
    if (header.starts_with("From ")) header.remove_prefix(detail::find_octet(header, '\n') + 1);
    const auto fields = detail::split_fields(header);
    mail_object result;
    result.envelope = options.envelope ? *options.envelope : detail::envelope_of(fields);
    if (result.envelope.recipients.empty()) throw error(errc::no_recipients, "the envelope names no recipient");
    std::string kept;
    kept.reserve(header.size());
    for (const auto& f : fields)
        if (!detail::stays_behind(f)) kept += f.all;
    if (kept.size() != scan.header_size) text.replace(0, scan.header_size, kept);
    result.content = content::from_text(std::move(text));
    return result;
}

POSTROAD_DECL mail_object read_eml(const std::filesystem::path& file, const eml_options& options) {
    std::ifstream in(file, std::ios::binary);
    std::string text;
    char block[16384];
    while (in.read(block, sizeof block) || in.gcount() > 0) text.append(block, static_cast<std::size_t>(in.gcount()));
    // a directory opens and then fails to read
    if (!in.eof()) throw error(errc::unreadable_file, "cannot read '" + escaped(file.string(), 1000) + "'");
    return parse_eml(std::move(text), options);
}

}  // namespace postroad
