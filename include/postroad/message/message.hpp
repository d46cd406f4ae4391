#pragma once
// Composing a message. See docs/messages.md.

#include <postroad/core/config.hpp>
#include <postroad/message/mail_object.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad {

/// A message while it is written: header fields, text, envelope. `freeze()` makes what is sent.
///
///     auto m = postroad::message{}.from("Ann Lee <ann@example.com>").to("bob@example.org").subject("Hi").text("...");
///
/// Everything is UTF-8. Setters check at once and throw `error`: errc::invalid_header for a control character (CR, LF
/// and NUL among them; TAB may stand in text) or ill-formed UTF-8, errc::invalid_address for a list that is none; the
/// explanation names the field. A message after such a throw is as it was before. Setters of one thing replace it,
/// setters of a list add to it. A value type without thread rules of its own.
class message {
public:
    /// The author, or several (then sender() is needed, RFC 5322 section 3.6.2).
    message& from(std::string_view list) &;
    message& from(mailbox author) &;
    /// Who sent it in the author's place.
    message& sender(std::string_view one) &;
    message& to(std::string_view list) &;
    message& to(mailbox recipient) &;
    message& cc(std::string_view list) &;
    message& cc(mailbox recipient) &;
    /// Recipients that only the envelope names.
    message& bcc(std::string_view list) &;
    message& bcc(mailbox recipient) &;
    message& reply_to(std::string_view list) &;
    message& reply_to(mailbox where) &;
    message& subject(std::string_view text) &;
    /// The body, text/plain. CRLF, CR and LF are line ends. Throws errc::invalid_message for ill-formed UTF-8.
    message& text(std::string_view body) &;
    /// Adds a field. Its value is taken as it is where it is ASCII (encoded words of yours count) and is folded;
    /// anything else goes into encoded words. Throws errc::invalid_header for the fields that have setters here, for
    /// Content-, Resent-, Return-Path and Bcc, for a second In-Reply-To or References, and for a word of more than 997
    /// octets.
    message& header(std::string_view name, std::string_view value) &;
    /// When it was written, as local time `offset` from UTC. Without it, freeze() takes `now` and +0000.
    message& date(std::chrono::system_clock::time_point when, std::chrono::minutes offset = {}) &;
    /// `<left@right>`. Without it, freeze() makes one.
    message& message_id(std::string_view id) &;
    /// Where failures are reported, instead of the address of sender() or from(). The null address is allowed.
    message& envelope_from(address reverse_path) &;

    message&& from(std::string_view list) && { return std::move(from(list)); }
    message&& from(mailbox author) && { return std::move(from(std::move(author))); }
    message&& sender(std::string_view one) && { return std::move(sender(one)); }
    message&& to(std::string_view list) && { return std::move(to(list)); }
    message&& to(mailbox recipient) && { return std::move(to(std::move(recipient))); }
    message&& cc(std::string_view list) && { return std::move(cc(list)); }
    message&& cc(mailbox recipient) && { return std::move(cc(std::move(recipient))); }
    message&& bcc(std::string_view list) && { return std::move(bcc(list)); }
    message&& bcc(mailbox recipient) && { return std::move(bcc(std::move(recipient))); }
    message&& reply_to(std::string_view list) && { return std::move(reply_to(list)); }
    message&& reply_to(mailbox where) && { return std::move(reply_to(std::move(where))); }
    message&& subject(std::string_view text) && { return std::move(subject(text)); }
    message&& text(std::string_view body) && { return std::move(text(body)); }
    message&& header(std::string_view name, std::string_view value) && { return std::move(header(name, value)); }
    message&& date(std::chrono::system_clock::time_point when, std::chrono::minutes offset = {}) && {
        return std::move(date(when, offset));
    }
    message&& message_id(std::string_view id) && { return std::move(message_id(id)); }
    message&& envelope_from(address reverse_path) && { return std::move(envelope_from(std::move(reverse_path))); }

    /// What is sent: an envelope with each recipient once, and content that does not change any more. Date and
    /// Message-ID are added where absent, the latter from 128 random bits and the sender's domain; so two calls give
    /// two messages.
    ///
    /// The header is ASCII unless an address in it is not (then it is UTF-8, RFC 6532). The body travels as 7bit if it
    /// is ASCII in lines within 998 octets, otherwise in quoted-printable. Throws errc::no_sender, errc::no_recipients,
    /// errc::invalid_header (several authors and no sender).
    mail_object freeze(std::chrono::system_clock::time_point now) const;

private:
    struct field {
        std::string name;
        std::string value;
    };
    struct moment {
        std::chrono::system_clock::time_point when;
        std::chrono::minutes offset;
    };

    const mailbox& responsible() const { return sender_.empty() ? from_.front() : sender_.front(); }
    bool international() const noexcept;
    std::string composed_header(std::chrono::system_clock::time_point now) const;

    std::vector<mailbox> from_;
    std::vector<mailbox> sender_;
    std::vector<mailbox> to_;
    std::vector<mailbox> cc_;
    std::vector<mailbox> bcc_;
    std::vector<mailbox> reply_to_;
    std::vector<field> fields_;
    std::optional<std::string> subject_;
    std::optional<moment> date_;
    std::optional<address> envelope_from_;
    std::string message_id_;
    std::string text_;
};

}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/message/impl/message.ipp>
#endif
