#pragma once

#include <postroad/message/checks.hpp>
#include <postroad/message/field_encoder.hpp>
#include <postroad/message/field_form.hpp>
#include <postroad/message/fields.hpp>
#include <postroad/message/header.hpp>
#include <postroad/message/message.hpp>
#include <postroad/message/recipient_list.hpp>
#include <postroad/message/utf8.hpp>

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace postroad {
namespace detail {

inline mailbox_list checked_list(std::string_view name, std::string_view list) {
    check_value(name, list);
    try {
        auto result = parse_mailboxes(list);
        if (result.empty()) throw error(errc::invalid_address, "expected an address");
        return result;
    } catch (const error& e) {
        throw error(errc::invalid_address, std::string(name) + ": " + e.details().explanation);
    }
}

// Adds what stands in the list; a group may be empty, the list not.
inline void append_list(std::string_view name, std::string_view list, mailbox_list& to,
                        std::vector<mailbox_group>& groups) {
    check_value(name, list);
    address_list found;
    try {
        found = parse_address_list(list);
        if (found == address_list{}) throw error(errc::invalid_address, "expected an address");
    } catch (const error& e) {
        throw error(errc::invalid_address, std::string(name) + ": " + e.details().explanation);
    }
    std::ranges::move(found.mailboxes, std::back_inserter(to));
    std::ranges::move(found.groups, std::back_inserter(groups));
}

inline mailbox_list checked_mailboxes(std::string_view name, mailbox_list list) {
    for (const auto& m : list) {
        check_value(name, m.name);
        if (m.address.domain().empty())
            throw error(errc::invalid_address, std::string(name) + ": expected an address with a domain");
    }
    if (list.empty()) throw error(errc::invalid_address, std::string(name) + ": expected an address");
    return list;
}

inline mailbox_list checked_one(std::string_view name, mailbox m) {
    mailbox_list one;
    one.push_back(std::move(m));
    return checked_mailboxes(name, std::move(one));
}

inline void append(mailbox_list& to, mailbox_list more) { std::ranges::move(more, std::back_inserter(to)); }

// Fields that message writes itself, or that must not be written by hand.
inline bool is_managed(std::string_view name) noexcept {
    static constexpr std::string_view names[] = {"From",       "Sender",       "To",         "Cc",
                                                 "Bcc",        "Reply-To",     "Subject",    "Date",
                                                 "Message-ID", "MIME-Version", "Return-Path"};
    const auto is_name = [&](std::string_view n) { return equal_ignoring_case(n, name); };
    return std::ranges::any_of(names, is_name) || equal_ignoring_case(name.substr(0, 8), "Content-") ||
           equal_ignoring_case(name.substr(0, 7), "Resent-");
}

// Of those that header() takes (RFC 5322 section 3.6, RFC 2369 section 3, RFC 3834 section 5, RFC 8689 section 3).
inline bool stands_once(std::string_view name) noexcept {
    static constexpr std::string_view names[] = {"In-Reply-To", "References", "Auto-Submitted", "Importance",
                                                 "TLS-Required"};
    return std::ranges::any_of(names, [&](std::string_view n) { return equal_ignoring_case(n, name); }) ||
           equal_ignoring_case(name.substr(0, 5), "List-");
}

inline void check_field_name(std::string_view name) {
    if (!is_field_name(name))
        throw error(errc::invalid_header, "'" + escaped(name, 100) +
                                              "' is not a field name: expected 1 to 76 printable ASCII characters "
                                              "without space and colon");
    if (is_managed(name)) refuse_field(name, "this field is not set by header()");
}

// An address in a field of one's own must stay readable, so `Jörg <joerg@example.com>` is no text. But no text makes
// the message one that needs SMTPUTF8.
inline bool reads_as_mailboxes(std::string_view value) {
    if (value.find('@') == std::string_view::npos || value.find_first_of("(:;") != std::string_view::npos) return false;
    try {
        return std::ranges::all_of(parse_mailboxes(value),
                                   [](const mailbox& m) { return is_ascii(m.address.local()); });
    } catch (const error&) {
        return false;
    }
}

inline mailbox_group checked_group(std::string_view field, mailbox_group g) {
    check_value(field, g.name);
    if (g.name.empty()) refuse_field(field, "a group needs a name");
    if (!g.members.empty()) g.members = checked_mailboxes(field, std::move(g.members));
    return g;
}

// Local parts are ASCII, so that domains as A-labels make the header readable for every server.
inline mailbox_list with_ascii_domains(mailbox_list list) {
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

}  // namespace detail

POSTROAD_DECL message& message::from(std::string_view list) & {
    from_ = detail::checked_list("From", list);
    return *this;
}
POSTROAD_DECL message& message::from(mailbox author) & {
    from_ = detail::checked_one("From", std::move(author));
    return *this;
}
POSTROAD_DECL message& message::from(mailbox_list authors) & {
    from_ = detail::checked_mailboxes("From", std::move(authors));
    return *this;
}
POSTROAD_DECL message& message::set_sender(mailbox one) {
    sender_ = detail::checked_one("Sender", std::move(one));
    return *this;
}
POSTROAD_DECL message& message::sender(std::string_view one) & {
    auto list = detail::checked_list("Sender", one);
    if (list.size() != 1) throw error(errc::invalid_address, "Sender: expected one address");
    sender_ = std::move(list);
    return *this;
}
POSTROAD_DECL message& message::to(std::string_view list) & {
    detail::append_list("To", list, to_, to_groups_);
    return *this;
}
POSTROAD_DECL message& message::to(mailbox_list recipients) & {
    detail::append(to_, detail::checked_mailboxes("To", std::move(recipients)));
    return *this;
}
POSTROAD_DECL message& message::to(mailbox recipient) & {
    detail::append(to_, detail::checked_one("To", std::move(recipient)));
    return *this;
}
POSTROAD_DECL message& message::to(mailbox_group group) & {
    to_groups_.push_back(detail::checked_group("To", std::move(group)));
    return *this;
}
POSTROAD_DECL message& message::cc(mailbox_group group) & {
    cc_groups_.push_back(detail::checked_group("Cc", std::move(group)));
    return *this;
}
POSTROAD_DECL message& message::cc(std::string_view list) & {
    detail::append_list("Cc", list, cc_, cc_groups_);
    return *this;
}
POSTROAD_DECL message& message::cc(mailbox_list recipients) & {
    detail::append(cc_, detail::checked_mailboxes("Cc", std::move(recipients)));
    return *this;
}
POSTROAD_DECL message& message::cc(mailbox recipient) & {
    detail::append(cc_, detail::checked_one("Cc", std::move(recipient)));
    return *this;
}
POSTROAD_DECL message& message::bcc(std::string_view list) & {
    detail::append(bcc_, detail::checked_list("Bcc", list));
    return *this;
}
POSTROAD_DECL message& message::bcc(mailbox_list recipients) & {
    detail::append(bcc_, detail::checked_mailboxes("Bcc", std::move(recipients)));
    return *this;
}
POSTROAD_DECL message& message::bcc(mailbox recipient) & {
    detail::append(bcc_, detail::checked_one("Bcc", std::move(recipient)));
    return *this;
}
POSTROAD_DECL message& message::reply_to(std::string_view list) & {
    detail::append_list("Reply-To", list, reply_to_, reply_to_groups_);
    return *this;
}
POSTROAD_DECL message& message::reply_to(mailbox_list where) & {
    detail::append(reply_to_, detail::checked_mailboxes("Reply-To", std::move(where)));
    return *this;
}
POSTROAD_DECL message& message::reply_to(mailbox where) & {
    detail::append(reply_to_, detail::checked_one("Reply-To", std::move(where)));
    return *this;
}

POSTROAD_DECL message& message::reply_to(mailbox_group group) & {
    reply_to_groups_.push_back(detail::checked_group("Reply-To", std::move(group)));
    return *this;
}

POSTROAD_DECL message& message::subject(std::string_view text) & {
    detail::check_value("Subject", text);
    subject_ = text;
    return *this;
}

POSTROAD_DECL message& message::text(std::string_view body) & { return text(body, part{}); }

POSTROAD_DECL message& message::html(std::string_view body) & { return html(body, part{}); }

POSTROAD_DECL message::field message::field_of(std::string_view name, std::string_view value) const {
    using detail::field_form;
    field f{.name = std::string(name), .value = std::string(value)};
    const auto form = detail::form_of(name);
    if (detail::is_ascii(value)) return f;
    if (form == field_form::mailboxes || (form == field_form::text && detail::reads_as_mailboxes(value))) {
        f.mailboxes = detail::checked_list(name, value);
    } else if (form == field_form::ascii) {
        const auto high = std::ranges::find_if(value, [](char c) { return static_cast<unsigned char>(c) > 127; });
        detail::refuse_field(name,
                             "this field holds only ASCII (write a URL with %XX, a domain as A-labels), which octet " +
                                 std::to_string(high - value.begin()) + " is not");
    } else if (const auto angle = value.rfind('<'); form == field_form::list_id && angle != std::string_view::npos &&
                                                    detail::is_ascii(value.substr(angle))) {
        auto phrase = detail::trimmed(value.substr(0, angle));
        if (phrase.size() > 2 && phrase.starts_with('"') && phrase.ends_with('"'))
            phrase = phrase.substr(1, phrase.size() - 2);
        f.phrases.emplace_back(phrase);
        f.value = value.substr(angle);
    } else if (form == field_form::list_id) {
        detail::refuse_field(name, "expected a phrase and <an id in ASCII>");
    } else if (form == field_form::parameters) {
        f.value = detail::one_line(detail::field_in_ascii({name, value, {}}, "utf-8").substr(name.size() + 1));
    } else if (form == field_form::phrases) {
        for (auto rest = value; !rest.empty();) {
            const auto end = std::min(rest.find(','), rest.size());
            if (const auto phrase = detail::trimmed(rest.substr(0, end)); !phrase.empty())
                f.phrases.emplace_back(phrase);
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
        f.value.clear();
    }
    return f;
}

POSTROAD_DECL void message::add_field(field f) {
    if (detail::stands_once(f.name) &&
        std::ranges::any_of(fields_, [&](const auto& x) { return detail::equal_ignoring_case(x.name, f.name); }))
        detail::refuse_field(f.name, "this field may stand only once");
    fields_.push_back(std::move(f));
}

POSTROAD_DECL message& message::header(std::string_view name, std::string_view value) & {
    detail::check_field_name(name);
    detail::check_value(name, value);
    detail::check_stretches(name, value);
    add_field(field_of(name, value));
    return *this;
}

POSTROAD_DECL message& message::header(std::string_view name, mailbox_list value) & {
    detail::check_field_name(name);
    add_field({.name = std::string(name), .mailboxes = detail::checked_mailboxes(name, std::move(value))});
    return *this;
}

POSTROAD_DECL void message::set_field(std::string_view name, std::string value) {
    std::erase_if(fields_, [&](const auto& f) { return detail::equal_ignoring_case(f.name, name); });
    fields_.push_back({.name = std::string(name), .value = std::move(value)});
}

POSTROAD_DECL message& message::date(std::chrono::system_clock::time_point when, std::chrono::minutes offset) & {
    if (offset <= -std::chrono::days(1) || offset >= std::chrono::days(1))
        detail::refuse_field("Date", "expected an offset of less than a day");
    if (when + offset < std::chrono::sys_days(std::chrono::year(1900) / 1 / 1))
        detail::refuse_field("Date", "expected the year 1900 or later");
    date_ = moment{when, offset};
    return *this;
}

POSTROAD_DECL message& message::message_id(std::string_view id) & {
    detail::check_message_id("Message-ID", id);
    message_id_ = id;
    return *this;
}

POSTROAD_DECL message& message::envelope_from(address reverse_path) & {
    envelope_from_ = std::move(reverse_path);
    return *this;
}

// Whether a local part needs SMTPUTF8; a domain does not.
POSTROAD_DECL bool message::international() const noexcept {
    const auto needs = [](const mailbox& m) { return !detail::is_ascii(m.address.local()); };
    for (const auto* list : {&from_, &sender_, &reply_to_, &to_, &cc_})
        if (std::ranges::any_of(*list, needs)) return true;
    for (const auto* groups : {&to_groups_, &cc_groups_, &reply_to_groups_})
        for (const auto& g : *groups)
            if (std::ranges::any_of(g.members, needs)) return true;
    return std::ranges::any_of(fields_, [&](const field& f) { return std::ranges::any_of(f.mailboxes, needs); });
}

POSTROAD_DECL std::string message::composed_header(std::chrono::system_clock::time_point now) const {
    using detail::value_kind;
    const bool utf8 = international();
    detail::header_writer w(utf8 ? detail::header_charset::utf8 : detail::header_charset::ascii);
    const auto write = [&](std::string_view name, const mailbox_list& list,
                           const std::vector<mailbox_group>& groups = {}) {
        if (utf8) return w.address_list(name, list, groups);
        auto plain = groups;
        for (auto& g : plain) g.members = detail::with_ascii_domains(std::move(g.members));
        w.address_list(name, detail::with_ascii_domains(list), plain);
    };
    const auto date = date_.value_or(moment{now, {}});
    w.plain("Date", detail::format_date(date.when, date.offset));
    write("From", from_);
    write("Sender", sender_);
    write("Reply-To", reply_to_, reply_to_groups_);
    write("To", to_, to_groups_);
    write("Cc", cc_, cc_groups_);
    if (subject_) w.unstructured("Subject", *subject_, value_kind::text);
    const auto& from = responsible().address;
    w.plain("Message-ID", !message_id_.empty()
                              ? message_id_
                              : detail::new_message_id(utf8 ? std::string(from.domain()) : from.ascii_domain()));
    for (const auto& f : fields_) {
        if (!f.mailboxes.empty())
            write(f.name, f.mailboxes);
        else if (!f.phrases.empty())
            w.phrases(f.name, f.phrases, f.value);
        else
            w.unstructured(f.name, f.value, value_kind::raw);
    }
    w.plain("MIME-Version", "1.0");
    return w.take();
}

POSTROAD_DECL mail_object message::freeze(std::chrono::system_clock::time_point now) const {
    if (from_.empty()) throw error(errc::no_sender, "the message names no sender: expected from()");
    if (from_.size() > 1 && sender_.empty()) throw error(errc::invalid_header, "From: several authors need a sender()");
    mail_object result;
    result.envelope.reverse_path = envelope_from_ ? *envelope_from_ : responsible().address;
    detail::recipient_list recipients;
    const auto add = [&](const mailbox_list& list) {
        for (const auto& m : list) recipients.add(m.address);
    };
    add(to_);
    for (const auto& g : to_groups_) add(g.members);
    add(cc_);
    for (const auto& g : cc_groups_) add(g.members);
    add(bcc_);
    result.envelope.recipients = recipients.take();
    if (result.envelope.recipients.empty())
        throw error(errc::no_recipients, "the message names no recipient: expected to(), cc() or bcc()");
    result.content = composed_content(composed_header(now));
    return result;
}

}  // namespace postroad
