#pragma once
// Composing a message. See docs/messages.md.

#include <postroad/core/config.hpp>
#include <postroad/message/body_part.hpp>
#include <postroad/message/mail_object.hpp>
#include <postroad/message/own_field.hpp>
#include <postroad/message/part.hpp>
#include <postroad/message/source.hpp>

#include <chrono>
#include <concepts>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad {

/// How urgently it should be read (RFC 4021 section 2.1.54).
enum class importance : unsigned char { low, normal, high };

/// Why no person wrote it (RFC 3834 section 5): a report that nobody asked for, or an answer by a machine. Says to
/// others' machines that they must not answer.
enum class automatic : unsigned char { generated, replied };

/// How a reader leaves a list; at least one.
struct unsubscription {
    std::string one_click = {};  ///< an https URL that takes a POST without a question (RFC 8058)
    std::string url = {};        ///< any other: https or mailto
};

/// Where a list is served (RFC 2369).
enum class list_url : unsigned char { help, subscribe, post, owner, archive };

/// Of local time from UTC at `when`, as the system's time zone says.
POSTROAD_DECL std::chrono::minutes local_offset(std::chrono::system_clock::time_point when);

/// A message while it is written: header fields, text, parts, envelope. `freeze()` makes what is sent.
///
///     auto m = postroad::message{}.from("Ann Lee <ann@example.com>").to("bob@example.org").subject("Hi").text("...");
///
/// Everything is UTF-8. Setters check at once and throw `error`: errc::invalid_header for a control character (CR, LF
/// and NUL among them; TAB may stand in text) or ill-formed UTF-8, errc::invalid_address for a list that is none; the
/// explanation names the field. A message after such a throw is as it was before. Setters of one thing replace it,
/// setters of a list add to it. A value type without thread rules of its own.
class message {
public:
    /// The author, or several (then sender() is needed, RFC 5322 section 3.6.2). A list as text is for what you write
    /// yourself; what a stranger gives is one mailbox() or mailbox_list element each, and never becomes two. A group,
    /// which may be empty, stays one and needs sender() as well (RFC 6854); DMARC refuses it at many servers.
    message& from(std::string_view list) &;
    message& from(mailbox author) &;
    message& from(mailbox_list authors) &;
    message& from(mailbox_group authors) &;
    /// Who sent it in the author's place.
    message& sender(std::string_view one) &;
    template <std::same_as<mailbox> Mailbox>  // so that braces around a text stay a text
    message& sender(Mailbox one) & {
        return set_sender(std::move(one));
    }
    message& to(std::string_view list) &;
    message& to(mailbox recipient) &;
    message& to(mailbox_list recipients) &;
    /// Recipients under one name; those in a list given as text keep theirs.
    message& to(mailbox_group group) &;
    message& cc(std::string_view list) &;
    message& cc(mailbox recipient) &;
    message& cc(mailbox_list recipients) &;
    message& cc(mailbox_group group) &;
    /// Recipients that only the envelope names.
    message& bcc(std::string_view list) &;
    message& bcc(mailbox recipient) &;
    message& bcc(mailbox_list recipients) &;
    message& reply_to(std::string_view list) &;
    message& reply_to(mailbox where) &;
    message& reply_to(mailbox_list where) &;
    message& reply_to(mailbox_group group) &;
    message& subject(std::string_view text) &;
    /// The body, text/plain. CRLF, CR and LF are line ends. Throws errc::invalid_message for ill-formed UTF-8 and NUL.
    message& text(std::string_view body) &;
    /// The same with what p says: a type with parameters, "text/plain; format=flowed; delsp=yes" (RFC 3676), fields.
    message& text(std::string_view body, part p) &;
    /// The same as HTML. With text() too, readers choose (multipart/alternative).
    message& html(std::string_view body) &;
    message& html(std::string_view body, part p) &;
    /// An invitation or an answer to one (RFC 6047): iCalendar with a METHOD line, shown as another form of the text.
    message& calendar(std::string_view icalendar) &;
    /// Another form of the text, of a text/ type that p.type names; poorer than the HTML, richer than the text.
    message& alternative(std::string_view body, part p) &;
    /// One that is no text: an image, a PDF, the richest form. p.type or p.name is needed.
    message& alternative(source octets, part p) &;
    /// A tree of parts of one's own, instead of text(), html(), alternative() and calendar(): with it each of them, in
    /// whatever order, is errc::invalid_message. What attach() adds stands beside it.
    message& body(body_part tree) &;
    /// A file: read while the message is sent, in blocks, and found changed if it does. Where `p` does not say, the
    /// name is that of the path without directories. Throws errc::unreadable_file.
    message& attach(const std::filesystem::path& file, part p = {}) &;
    /// A string may be a path or octets: say std::filesystem::path or source::memory.
    template <class Text>
    requires std::convertible_to<const Text&, std::string_view> message& attach(const Text& text, part p = {}) = delete;
    /// Octets; p.name or p.type is needed. A part with a p.content_id belongs to the HTML, which shows it where it
    /// names `cid:…` (multipart/related).
    message& attach(source octets, part p) &;
    /// A whole message (message/rfc822). Of `p` the name counts, "message.eml" if there is none, and the description.
    /// Where the server takes it, it travels as it is, so that a signature in it holds.
    message& attach(content nested, part p = {}) &;
    /// The Message-IDs this answers, as the field of the other message has them: `<left@right>`, several, folded, with
    /// comments. Of text without <> each word counts as one.
    message& in_reply_to(std::string_view ids) &;
    /// The thread so far, oldest first.
    message& references(std::string_view ids) &;
    message& importance(postroad::importance how) &;
    message& automatic(postroad::automatic why) &;
    /// Asks every hop to deliver it also without TLS, whatever the recipient's domain says by MTA-STS or DANE, as a
    /// report of broken TLS does ("TLS-Required: No", RFC 8689 section 3). How this mailer protects the wire is for its
    /// tls policy to say, and no message weakens that.
    message& tls_not_required() &;
    /// What identifies a list for ever: `news.example.com`; its name for people is `phrase` (RFC 2919).
    message& list_id(std::string_view id, std::string_view phrase) &;
    message& list_unsubscribe(const unsubscription& how) &;
    message& list(list_url what, std::string_view url) &;
    /// Adds a field. Its value is taken as it is where it is ASCII (encoded words of yours count) and is folded. What
    /// is not ASCII is written as the field's grammar has it: names of mailboxes and words of text go into encoded
    /// words, addresses and ids never do. Throws errc::invalid_header for the fields that have setters here, for
    /// Content-, Resent-, Return-Path and Bcc, for a second In-Reply-To or References, for a word of more than 997
    /// octets, and where the field has no room for what is not ASCII (URLs, ids, tokens).
    message& header(std::string_view name, std::string_view value) &;
    /// The same of mailboxes: Disposition-Notification-To, say.
    message& header(std::string_view name, mailbox_list value) &;
    /// Adds a field with parameters (RFC 2045 section 5.1): `value; name=token; name="a text"`. The value is ASCII
    /// without `;`, quotes and comments, or empty: the field has parameters only; of a field of mailboxes it is a list.
    /// Values of parameters are UTF-8: a token stands as it is, other ASCII in quotes, all else as RFC 2231 says.
    /// Throws errc::invalid_header as header() does, for a name that is no token of 40 characters, holds `*`, `'` or
    /// `%`, or stands twice, for more than 64, for a value of more than 900 octets (8,192 if it is not ASCII), and for
    /// one that is not ASCII where the field holds ASCII only.
    message& header(std::string_view name, std::string_view value, const field_parameters& parameters) &;
    /// The same of mailboxes: `header("CFBL-Address", {{"", address("fbl@example.com")}}, {{"report", "arf"}})`.
    message& header(std::string_view name, mailbox_list value, const field_parameters& parameters) &;
    /// When it was written, as local time `offset` from UTC. Without it, freeze() takes `now` and +0000.
    message& date(std::chrono::system_clock::time_point when, std::chrono::minutes offset = {}) &;
    /// `<left@right>`. Without it, freeze() makes one.
    message& message_id(std::string_view id) &;
    /// Where failures are reported, instead of the address of sender() or from(). The null address is allowed.
    message& envelope_from(address reverse_path) &;

    message&& from(std::string_view list) && { return std::move(from(list)); }
    message&& from(mailbox author) && { return std::move(from(std::move(author))); }
    message&& from(mailbox_list authors) && { return std::move(from(std::move(authors))); }
    message&& from(mailbox_group authors) && { return std::move(from(std::move(authors))); }
    message&& sender(std::string_view one) && { return std::move(sender(one)); }
    template <std::same_as<mailbox> Mailbox>
    message&& sender(Mailbox one) && {
        return std::move(set_sender(std::move(one)));
    }
    message&& to(std::string_view list) && { return std::move(to(list)); }
    message&& to(mailbox recipient) && { return std::move(to(std::move(recipient))); }
    message&& to(mailbox_list recipients) && { return std::move(to(std::move(recipients))); }
    message&& to(mailbox_group group) && { return std::move(to(std::move(group))); }
    message&& cc(std::string_view list) && { return std::move(cc(list)); }
    message&& cc(mailbox recipient) && { return std::move(cc(std::move(recipient))); }
    message&& cc(mailbox_list recipients) && { return std::move(cc(std::move(recipients))); }
    message&& cc(mailbox_group group) && { return std::move(cc(std::move(group))); }
    message&& bcc(std::string_view list) && { return std::move(bcc(list)); }
    message&& bcc(mailbox recipient) && { return std::move(bcc(std::move(recipient))); }
    message&& bcc(mailbox_list recipients) && { return std::move(bcc(std::move(recipients))); }
    message&& reply_to(std::string_view list) && { return std::move(reply_to(list)); }
    message&& reply_to(mailbox where) && { return std::move(reply_to(std::move(where))); }
    message&& reply_to(mailbox_list where) && { return std::move(reply_to(std::move(where))); }
    message&& reply_to(mailbox_group group) && { return std::move(reply_to(std::move(group))); }
    message&& subject(std::string_view text) && { return std::move(subject(text)); }
    message&& text(std::string_view body) && { return std::move(text(body)); }
    message&& text(std::string_view body, part p) && { return std::move(text(body, std::move(p))); }
    message&& html(std::string_view body) && { return std::move(html(body)); }
    message&& html(std::string_view body, part p) && { return std::move(html(body, std::move(p))); }
    message&& calendar(std::string_view icalendar) && { return std::move(calendar(icalendar)); }
    message&& alternative(std::string_view body, part p) && { return std::move(alternative(body, std::move(p))); }
    message&& alternative(source octets, part p) && { return std::move(alternative(std::move(octets), std::move(p))); }
    message&& body(body_part tree) && { return std::move(body(std::move(tree))); }
    message&& attach(const std::filesystem::path& file, part p = {}) && {
        return std::move(attach(file, std::move(p)));
    }
    message&& attach(source octets, part p) && { return std::move(attach(std::move(octets), std::move(p))); }
    message&& attach(content nested, part p = {}) && { return std::move(attach(std::move(nested), std::move(p))); }
    message&& in_reply_to(std::string_view ids) && { return std::move(in_reply_to(ids)); }
    message&& references(std::string_view ids) && { return std::move(references(ids)); }
    message&& importance(postroad::importance how) && { return std::move(importance(how)); }
    message&& automatic(postroad::automatic why) && { return std::move(automatic(why)); }
    message&& tls_not_required() && { return std::move(tls_not_required()); }
    message&& list_id(std::string_view id, std::string_view phrase) && { return std::move(list_id(id, phrase)); }
    message&& list_unsubscribe(const unsubscription& how) && { return std::move(list_unsubscribe(how)); }
    message&& list(list_url what, std::string_view url) && { return std::move(list(what, url)); }
    message&& header(std::string_view name, std::string_view value) && { return std::move(header(name, value)); }
    message&& header(std::string_view name, mailbox_list value) && { return std::move(header(name, std::move(value))); }
    message&& header(std::string_view name, std::string_view value, const field_parameters& parameters) && {
        return std::move(header(name, value, parameters));
    }
    message&& header(std::string_view name, mailbox_list value, const field_parameters& parameters) && {
        return std::move(header(name, std::move(value), parameters));
    }
    message&& date(std::chrono::system_clock::time_point when, std::chrono::minutes offset = {}) && {
        return std::move(date(when, offset));
    }
    message&& message_id(std::string_view id) && { return std::move(message_id(id)); }
    message&& envelope_from(address reverse_path) && { return std::move(envelope_from(std::move(reverse_path))); }

    /// What is sent: an envelope with each recipient once, and content that does not change any more. Date and
    /// Message-ID are added where absent, the latter from 128 random bits and the sender's domain; so two calls give
    /// two messages.
    ///
    /// The header is ASCII unless a local part in it is not (then it is UTF-8, RFC 6532); domains in UTF-8 become
    /// A-labels. Text travels as 7bit if it is ASCII in lines within 998 octets, otherwise in quoted-printable or
    /// base64; files in base64. To servers that take more, content::as() gives more. Throws errc::no_sender,
    /// errc::no_recipients, errc::invalid_header (several authors, or a group, and no sender), errc::invalid_address (a
    /// domain that has no A-labels).
    mail_object freeze(std::chrono::system_clock::time_point now) const;

private:
    struct moment {
        std::chrono::system_clock::time_point when;
        std::chrono::minutes offset;
    };

    struct attached {
        part about;
        source octets;
        std::optional<content> nested;
    };
    struct text_form {
        part about;
        std::string text;
        std::optional<source> octets = {};  // instead of the text
    };

    const mailbox& responsible() const { return sender_.empty() ? from_.front() : sender_.front(); }
    bool international() const noexcept;
    bool only_text() const noexcept;
    text_form checked_form(std::string_view kind, std::string_view text, part p) const;
    void require_no_body() const;
    message& set_sender(mailbox one);
    void set_field(std::string_view name, std::string value);
    void add_field(detail::own_field f);
    std::string composed_header(std::chrono::system_clock::time_point now) const;
    content composed_content(std::string header) const;

    mailbox_list from_;
    std::vector<mailbox_group> from_groups_;
    mailbox_list sender_;
    mailbox_list to_;
    mailbox_list cc_;
    std::vector<mailbox_group> to_groups_;
    std::vector<mailbox_group> cc_groups_;
    std::vector<mailbox_group> reply_to_groups_;
    mailbox_list bcc_;
    mailbox_list reply_to_;
    std::vector<detail::own_field> fields_;
    std::optional<std::string> subject_;
    std::optional<moment> date_;
    std::optional<address> envelope_from_;
    std::string message_id_;
    std::optional<text_form> text_;
    std::optional<text_form> html_;
    std::string calendar_;
    std::vector<text_form> alternatives_;
    std::optional<body_part> body_;
    std::vector<attached> attached_;
};

}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/message.ipp>
#include <postroad/message/impl/message_parts.ipp>
#endif
