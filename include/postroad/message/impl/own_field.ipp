#pragma once

#include <postroad/core/algorithm.hpp>
#include <postroad/message/checks.hpp>
#include <postroad/message/field_encoder.hpp>
#include <postroad/message/field_form.hpp>
#include <postroad/message/fields.hpp>
#include <postroad/message/own_field.hpp>
#include <postroad/message/utf8.hpp>

#include <algorithm>
#include <utility>

namespace postroad::detail {

POSTROAD_DECL address_list checked_addresses(std::string_view name, std::string_view list, address_syntax syntax) {
    check_value(name, list);
    try {
        auto found = parse_address_list(list, syntax);
        if (found == address_list{}) throw error(errc::invalid_address, "expected an address");
        return found;
    } catch (const error& e) {
        throw error(errc::invalid_address, std::string(name) + ": " + e.details().explanation);
    }
}

// An address in a field of one's own must stay readable, so `Jörg <joerg@example.com>` is no text. But no text makes
// the message one that needs SMTPUTF8.
inline bool reads_as_mailboxes(std::string_view value) {
    if (value.find('@') == std::string_view::npos || value.find_first_of("(:;") != std::string_view::npos) return false;
    try {
        return postroad::detail::all_of(parse_mailboxes(value),
                                        [](const mailbox& m) { return is_ascii(m.address.local()); });
    } catch (const error&) {
        return false;
    }
}

POSTROAD_DECL own_field field_of(std::string_view name, std::string_view value, address_syntax syntax) {
    own_field f{.name = std::string(name), .value = std::string(value)};
    const auto form = form_of(name);
    if (is_ascii(value)) return f;
    if (form == field_form::mailboxes || (form == field_form::text && reads_as_mailboxes(value))) {
        auto found = checked_addresses(name, value, syntax);
        f.mailboxes = std::move(found.mailboxes);
        f.groups = std::move(found.groups);
    } else if (form == field_form::ascii) {
        const auto high = std::ranges::find_if(value, [](char c) { return static_cast<unsigned char>(c) > 127; });
        refuse_field(name, "this field holds only ASCII (write a URL with %XX, a domain as A-labels), which octet " +
                               std::to_string(high - value.begin()) + " is not");
    } else if (const auto angle = value.rfind('<');
               form == field_form::list_id && angle != std::string_view::npos && is_ascii(value.substr(angle))) {
        auto phrase = trimmed(value.substr(0, angle));
        if (phrase.size() > 2 && phrase.starts_with('"') && phrase.ends_with('"'))
            phrase = phrase.substr(1, phrase.size() - 2);
        f.phrases.emplace_back(phrase);
        f.value = value.substr(angle);
    } else if (form == field_form::list_id) {
        refuse_field(name, "expected a phrase and <an id in ASCII>");
    } else if (form == field_form::parameters) {
        f.value = one_line(field_in_ascii({name, value, {}}, "utf-8").substr(name.size() + 1));
    } else if (form == field_form::phrases) {
        for (auto rest = value; !rest.empty();) {
            const auto end = std::min(rest.find(','), rest.size());
            if (const auto phrase = trimmed(rest.substr(0, end)); !phrase.empty()) f.phrases.emplace_back(phrase);
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
        f.value.clear();
    }
    return f;
}

POSTROAD_DECL void check_value_with_parameters(std::string_view name, std::string_view value) {
    check_value(name, value);
    const auto fits = [](char c) {
        const auto u = static_cast<unsigned char>(c);
        return u < 0x80 && (is_atext(u) || std::string_view("./@: ").find(c) != std::string_view::npos);
    };
    const auto bad = std::ranges::find_if_not(value, fits);
    if (bad != value.end())
        refuse_field(name, "before parameters a value has no quotes, comments or ';', and is ASCII, which octet " +
                               std::to_string(bad - value.begin()) + " is not");
    check_stretches(name, value);
}

POSTROAD_DECL void check_parameters(std::string_view name, const field_parameters& list) {
    const auto form = form_of(name);
    if (form == field_form::phrases || form == field_form::list_id) refuse_field(name, "this field has no parameters");
    if (list.size() > max_parameters) refuse_field(name, "more than " + std::to_string(max_parameters) + " parameters");
    for (auto at = list.begin(); at != list.end(); ++at) {
        const auto& [key, value] = *at;
        if (!is_token(key) || key.size() > max_parameter_name || key.find_first_of("*'%") != std::string::npos)
            refuse_field(name, "'" + escaped(key, 100) + "' is no name of a parameter: expected a token of 1 to " +
                                   std::to_string(max_parameter_name) + " characters without *, ' and %");
        const auto where = std::string(name) + "; " + key;
        if (std::any_of(list.begin(), at, [&](const auto& p) { return equal_ignoring_case(p.first, at->first); }))
            refuse_field(where, "this parameter stands twice");
        check_value(where, value);
        const auto high = std::ranges::find_if(value, [](char c) { return static_cast<unsigned char>(c) > 127; });
        if (high != value.end() && form == field_form::ascii)
            refuse_field(
                where, "this field holds only ASCII, which octet " + std::to_string(high - value.begin()) + " is not");
        const auto escapes = std::ranges::count_if(value, [](char c) { return c == '"' || c == '\\'; });
        const auto size = value.size() + (high == value.end() ? static_cast<std::size_t>(escapes) : 0);
        const auto most = high == value.end() ? max_ascii_parameter : max_parameter_value;
        if (size > most) refuse_field(where, "expected at most " + std::to_string(most) + " octets");
    }
}

POSTROAD_DECL bool needs_utf8(const own_field& f) noexcept {
    const auto needs = [](const mailbox& m) { return !is_ascii(m.address.local()); };
    return postroad::detail::any_of(f.mailboxes, needs) || postroad::detail::any_of(f.groups, [&](const auto& g) {
               return postroad::detail::any_of(g.members, needs);
           });
}

// Local parts are ASCII, so that domains as A-labels make the header readable for every server.
POSTROAD_DECL mailbox_list with_ascii_domains(mailbox_list list) {
    for (auto& m : list) {
        if (m.address.ascii()) continue;
        const auto domain = m.address.ascii_domain();
        if (domain.empty())
            throw error(errc::invalid_address,
                        "the domain of '" + escaped(m.address.str(), 300) + "' has no form in ASCII (RFC 5891)");
        m.address = address(std::string(m.address.local()) + '@' + domain);
    }
    return list;
}

POSTROAD_DECL void write_addresses(header_writer& to, header_charset charset, std::string_view name,
                                   const mailbox_list& list, std::vector<mailbox_group> groups) {
    if (charset == header_charset::utf8) return to.address_list(name, list, groups);
    for (auto& g : groups) g.members = with_ascii_domains(std::move(g.members));
    to.address_list(name, with_ascii_domains(list), groups);
}

POSTROAD_DECL void write_field(header_writer& to, header_charset charset, const own_field& f, value_kind kind) {
    if (!f.parameters.empty()) {
        // only programs read such fields, and know no encoded words
        const auto how = form_of(f.name) == field_form::ascii ? value_kind::raw : value_kind::text;
        const auto list = charset == header_charset::ascii ? with_ascii_domains(f.mailboxes) : f.mailboxes;
        to.with_parameters(f.name, f.value, list, f.parameters, how);
    } else if (!f.mailboxes.empty() || !f.groups.empty())
        write_addresses(to, charset, f.name, f.mailboxes, f.groups);
    else if (!f.phrases.empty())
        to.phrases(f.name, f.phrases, f.value);
    else
        to.unstructured(f.name, f.value, kind);
}

POSTROAD_DECL std::string written_field(std::string_view name, std::string_view value, header_charset charset) {
    check_value(name, value);
    const auto in_utf8 = [&] {
        header_writer w(header_charset::utf8);
        w.unstructured(name, value, value_kind::raw);
        return w.take();
    };
    if (charset == header_charset::utf8) return in_utf8();
    const auto form = form_of(name);
    own_field f;
    try {
        f = field_of(name, value, address_syntax::obsolete);
    } catch (const error& e) {
        if (form != field_form::mailboxes || e.code() != errc::invalid_address) throw;
        const auto kept = ' ' + std::string(value);
        return field_in_ascii({name, kept, {}}, "utf-8");
    }
    if (needs_utf8(f)) return in_utf8();
    header_writer w(charset);
    write_field(w, charset, f, form == field_form::text ? value_kind::text : value_kind::raw);
    return w.take();
}

}  // namespace postroad::detail
