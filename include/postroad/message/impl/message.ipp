#pragma once

#include <postroad/core/algorithm.hpp>
#include <postroad/message/checks.hpp>
#include <postroad/message/field_form.hpp>
#include <postroad/message/fields.hpp>
#include <postroad/message/header.hpp>
#include <postroad/message/message.hpp>
#include <postroad/message/own_field.hpp>
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
    auto found = checked_addresses(name, list, address_syntax::current);
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
    return postroad::detail::any_of(names, is_name) || equal_ignoring_case(name.substr(0, 8), "Content-") ||
           equal_ignoring_case(name.substr(0, 7), "Resent-");
}

// Of those that header() takes (RFC 5322 section 3.6, RFC 2369 section 3, RFC 3834 section 5, RFC 8689 section 3).
inline bool stands_once(std::string_view name) noexcept {
    static constexpr std::string_view names[] = {"In-Reply-To", "References", "Auto-Submitted", "Importance",
                                                 "TLS-Required"};
    return postroad::detail::any_of(names, [&](std::string_view n) { return equal_ignoring_case(n, name); }) ||
           equal_ignoring_case(name.substr(0, 5), "List-");
}

inline void check_field_name(std::string_view name) {
    if (!is_field_name(name))
        throw error(errc::invalid_header, "'" + escaped(name, 100) +
                                              "' is not a field name: expected 1 to 76 printable ASCII characters "
                                              "without space and colon");
    if (is_managed(name)) refuse_field(name, "this field is not set by header()");
}

inline mailbox_group checked_group(std::string_view field, mailbox_group g) {
    check_value(field, g.name);
    if (g.name.empty()) refuse_field(field, "a group needs a name");
    if (!g.members.empty()) g.members = checked_mailboxes(field, std::move(g.members));
    return g;
}

}  // namespace detail

POSTROAD_DECL message& message::from(std::string_view list) & {
    auto found = detail::checked_addresses("From", list, address_syntax::current);
    from_ = std::move(found.mailboxes);
    from_groups_ = std::move(found.groups);
    return *this;
}
POSTROAD_DECL message& message::from(mailbox author) & {
    from_ = detail::checked_one("From", std::move(author));
    from_groups_.clear();
    return *this;
}
POSTROAD_DECL message& message::from(mailbox_list authors) & {
    from_ = detail::checked_mailboxes("From", std::move(authors));
    from_groups_.clear();
    return *this;
}
POSTROAD_DECL message& message::from(mailbox_group authors) & {
    from_groups_ = {detail::checked_group("From", std::move(authors))};
    from_.clear();
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

POSTROAD_DECL void message::add_field(detail::own_field f) {
    if (detail::stands_once(f.name) &&
        postroad::detail::any_of(fields_, [&](const auto& x) { return detail::equal_ignoring_case(x.name, f.name); }))
        detail::refuse_field(f.name, "this field may stand only once");
    fields_.push_back(std::move(f));
}

POSTROAD_DECL message& message::header(std::string_view name, std::string_view value) & {
    detail::check_field_name(name);
    detail::check_value(name, value);
    detail::check_stretches(name, value);
    add_field(detail::field_of(name, value));
    return *this;
}

POSTROAD_DECL message& message::header(std::string_view name, mailbox_list value) & {
    detail::check_field_name(name);
    add_field({.name = std::string(name), .mailboxes = detail::checked_mailboxes(name, std::move(value))});
    return *this;
}

POSTROAD_DECL message& message::header(std::string_view name, std::string_view value,
                                       const field_parameters& parameters) & {
    if (parameters.empty()) return header(name, value);
    if (detail::form_of(name) == detail::field_form::mailboxes && !value.empty())
        return header(name, detail::checked_list(name, value), parameters);
    detail::check_field_name(name);
    detail::check_value_with_parameters(name, value);
    detail::check_parameters(name, parameters);
    add_field({.name = std::string(name), .value = std::string(value), .parameters = parameters});
    return *this;
}

POSTROAD_DECL message& message::header(std::string_view name, mailbox_list value,
                                       const field_parameters& parameters) & {
    if (parameters.empty()) return header(name, std::move(value));
    detail::check_field_name(name);
    detail::check_parameters(name, parameters);
    add_field({.name = std::string(name),
               .mailboxes = detail::checked_mailboxes(name, std::move(value)),
               .parameters = parameters});
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
        if (postroad::detail::any_of(*list, needs)) return true;
    for (const auto* groups : {&from_groups_, &to_groups_, &cc_groups_, &reply_to_groups_})
        for (const auto& g : *groups)
            if (postroad::detail::any_of(g.members, needs)) return true;
    return postroad::detail::any_of(fields_, detail::needs_utf8);
}

POSTROAD_DECL std::string message::composed_header(std::chrono::system_clock::time_point now) const {
    using detail::value_kind;
    const bool utf8 = international();
    const auto charset = utf8 ? detail::header_charset::utf8 : detail::header_charset::ascii;
    detail::header_writer w(charset);
    const auto write = [&](std::string_view name, const mailbox_list& list,
                           const std::vector<mailbox_group>& groups = {}) {
        detail::write_addresses(w, charset, name, list, groups);
    };
    const auto date = date_.value_or(moment{now, {}});
    w.plain("Date", detail::format_date(date.when, date.offset));
    write("From", from_, from_groups_);
    write("Sender", sender_);
    write("Reply-To", reply_to_, reply_to_groups_);
    write("To", to_, to_groups_);
    write("Cc", cc_, cc_groups_);
    if (subject_) w.unstructured("Subject", *subject_, value_kind::text);
    const auto& from = responsible().address;
    w.plain("Message-ID", !message_id_.empty()
                              ? message_id_
                              : detail::new_message_id(utf8 ? std::string(from.domain()) : from.ascii_domain()));
    for (const auto& f : fields_) detail::write_field(w, charset, f, value_kind::raw);
    w.plain("MIME-Version", "1.0");
    return w.take();
}

POSTROAD_DECL mail_object message::freeze(std::chrono::system_clock::time_point now) const {
    if (from_.empty() && from_groups_.empty())
        throw error(errc::no_sender, "the message names no sender: expected from()");
    if (sender_.empty() && from_.size() > 1) throw error(errc::invalid_header, "From: several authors need a sender()");
    if (sender_.empty() && !from_groups_.empty()) throw error(errc::invalid_header, "From: a group needs a sender()");
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
