#pragma once
// What is written and in what order: commands, and contents in the form that the server takes.

#include <postroad/core/algorithm.hpp>
#include <postroad/message/conversion.hpp>
#include <postroad/message/fields.hpp>
#include <postroad/message/utf8.hpp>
#include <postroad/smtp/session.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <string>
#include <string_view>

namespace postroad::smtp {
namespace detail {

// Commands buffered beyond this wait until the socket takes some: ten thousand recipients need no megabyte.
inline constexpr std::size_t max_unwritten_commands = 64 * 1024;

inline void append_number(std::string& to, std::uint64_t n) {
    std::array<char, 20> digits;
    const auto* const end = std::to_chars(digits.data(), digits.data() + digits.size(), n).ptr;
    to.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
}

inline bool needs_smtputf8(const mail_object& mail) noexcept {
    return mail.content.eight_bit_header() || !mail.envelope.reverse_path.ascii() ||
           !postroad::detail::all_of(mail.envelope.recipients, [](const address& a) { return a.ascii(); });
}

// Whether it can be written for a server without SMTPUTF8, with its domain as A-labels.
inline bool has_ascii_form(const address& a) {
    return a.ascii() || (postroad::detail::is_ascii(a.local()) && !a.ascii_domain().empty());
}

inline const address& recipient(const transaction& t, std::size_t i) {
    return t.mail->envelope.recipients[t.recipients.empty() ? i : t.recipients[i]];
}

inline bool has_ascii_form(const transaction& t) {
    if (!has_ascii_form(t.mail->envelope.reverse_path)) return false;
    for (std::size_t i = 0; i < t.size(); ++i)
        if (!has_ascii_form(recipient(t, i))) return false;
    return true;
}

}  // namespace detail

POSTROAD_DECL std::size_t session::output(std::span<std::string_view> parts) const {
    if (farewell_) return 0;
    std::size_t count = 0;
    std::size_t at = commands_done_;
    std::size_t from = 0;
    for (std::size_t i = 0; i < segments_.size() && count < parts.size(); ++i) {
        if (!segments_[i].content) {
            parts[count++] = std::string_view(commands_).substr(at, segments_[i].left);
            at += segments_[i].left;
            continue;
        }
        const auto which = sending(from);
        if (transactions_[which].broken_off) break;
        from = which + 1;
        // What follows a content that is not shown whole must wait: then the parts are used up, or it streams.
        const auto& writer = transactions_[which].writer;
        count += writer.show(parts.subspan(count));
        if (!writer.all_in_view()) break;
    }
    return count;
}

// The first transaction from `from` on whose content is queued and has not left.
POSTROAD_DECL std::size_t session::sending(std::size_t from) const noexcept {
    while (!transactions_[from].go || transactions_[from].content_sent) ++from;
    return from;
}

POSTROAD_DECL void session::consumed(std::size_t n, time_point now) {
    if (n == 0) return;
    now_ = now;
    while (!segments_.empty()) {
        auto& s = segments_.front();
        if (s.content) {
            const auto which = sending(0);
            auto& t = transactions_[which];
            n -= t.writer.consume(n);
            if (t.writer.failed()) {
                give_up_content(which);
                break;
            }
            if (!t.writer.done()) break;
            t.content_sent = true;
            if (observer_)
                note({.what = observed::content,
                      .message = t.what.id,
                      .where = phase::content,
                      .octets = content_of(t).size()});
        } else {
            const auto taken = std::min(n, s.left);
            s.left -= taken;
            n -= taken;
            commands_done_ += taken;
            commands_sent_ += taken;
            if (s.left > 0) break;
        }
        segments_.drop_front();
    }
    if (commands_done_ == commands_.size()) {
        commands_.clear();
        commands_done_ = commands_cut_ = 0;
    }
    write_more();
    arm(now);
}

// Its content ends here, so that it can be taken for no message. What was begun before gets its replies, then the
// connection ends: what it is about is known by then.
POSTROAD_DECL void session::break_off(std::size_t i) {
    transactions_[i].broken_off = broken_off_ = quit_wanted_ = true;
    finish_front();
}

// Its file cannot be read, or is another. The message must be composed anew: no other server will do.
POSTROAD_DECL void session::give_up_content(std::size_t i) {
    auto& t = transactions_[i];
    t.error = t.writer.failure();
    t.details = {.where = phase::content, .host = host(), .explanation = t.writer.explanation()};
    for (auto& result : t.results) {
        if (result.status != status::not_attempted) continue;
        result.status = status::rejected;
        result.where = phase::content;
        result.reply = {};
    }
    break_off(i);
}

POSTROAD_DECL bool session::stalled() const noexcept {
    return broken_off_ && !segments_.empty() && segments_.front().content && transactions_[sending(0)].broken_off;
}

// The header in ASCII: the next server on the way may lack SMTPUTF8, and sends back what asked for it. Not where that
// breaks a signature, an address has no such form, or a part's header needs SMTPUTF8 as well; what streams is not read
// through for that.
POSTROAD_DECL void session::spare_smtputf8(active& t) const {
    using namespace postroad::detail;
    const auto& c = t.what.mail->content;
    if (!options_.down_convert || !c.eight_bit_header() || c.composed()) return;
    if (has_signed_header(c) || (c.streams() ? has_parts(header_of(c)) : has_wide_part(c.text()))) return;
    try {
        t.converted = c.with_ascii_header();
    } catch (const error&) {  // it goes as it is
    }
}

// Makes the content fit what the server takes.
POSTROAD_DECL std::optional<lack> session::convert(active& t) const {
    const auto& c = content_of(t);
    const bool takes_binary = capabilities_.chunking && capabilities_.binarymime;
    const bool ascii_header = c.eight_bit_header() && !capabilities_.smtputf8;
    lack missing;
    if (ascii_header)
        missing = {errc::internationalised_unsupported,
                   "a header field is not ASCII and the server does not offer SMTPUTF8"};
    else if (c.binary() && !takes_binary)
        missing = {errc::binary_unsupported, "the message is binary and the server does not offer BINARYMIME"};
    else if (c.longest_line() > 998)
        missing = {errc::line_too_long, "a line of the message has " + std::to_string(c.longest_line()) +
                                            " octets; SMTP allows 998 (RFC 5321 section 4.5.3.1.6)"};
    else if (c.eight_bit() && !c.binary() && !capabilities_.eight_bit_mime)
        missing = {errc::eight_bit_unsupported,
                   "the message holds 8-bit octets and the server does not offer 8BITMIME"};
    else
        return {};
    if (!options_.down_convert) return missing;
    error_code ec;
    std::string why;
    const bool wide = capabilities_.eight_bit_mime;
    try {
        // only the header must change where the server takes the body
        const auto with_header = ascii_header && wide && !c.composed() ? c.with_ascii_header() : c;
        t.converted = with_header.as(wide ? transfer::eight_bit : transfer::seven_bit);
    } catch (const error& e) {
        ec = e.code();
        why = e.details().explanation;
    }
    if (!ec && !(ascii_header && t.converted->eight_bit_header())) return {};
    t.converted.reset();
    if (ec) missing.explanation += "; it cannot be encoded otherwise: " + why;
    return missing;
}

POSTROAD_DECL std::optional<lack> session::find_lack(active& t) const {
    const auto& mail = *t.what.mail;
    t.utf8 = detail::needs_smtputf8(mail);
    const bool has_form = !t.utf8 || detail::has_ascii_form(t.what);
    if (!has_form && !capabilities_.smtputf8)
        return lack{errc::internationalised_unsupported,
                    "the local part of an address is not ASCII and the server does not offer SMTPUTF8"};
    if (has_form && capabilities_.smtputf8) spare_smtputf8(t);
    if (auto l = convert(t)) return l;
    // Also where the server has SMTPUTF8: the next one on the way may not, and many list their domains so only.
    t.ascii_domains = t.utf8 && has_form && !content_of(t).eight_bit_header();
    if (const auto size = content_of(t).size(); capabilities_.size && size > *capabilities_.size)
        return lack{errc::message_too_large, "the message has " + std::to_string(size) + " octets, the server takes " +
                                                 std::to_string(*capabilities_.size)};
    auto missing = smtp::find_lack(mail.envelope, capabilities_, verified());
    if (!missing || missing->code != errc::dsn_unsupported || !options_.relays) return missing;
    if (observer_) note_decision(phase::mail, "the server does not offer DSN: no report will come of this message");
    return {};
}

// What this server cannot take is refused before anything of it is sent.
POSTROAD_DECL bool session::refuse_locally(active& t) {
    auto missing = find_lack(t);
    if (!missing) return false;
    t.error = missing->code;
    t.details = {.where = phase::mail, .host = host(), .explanation = std::move(missing->explanation)};
    // What is opportunistic may be there and verified at another time. What was chosen stays so, and a server that does
    // not offer REQUIRETLS within it has answered.
    const bool later =
        t.error == errc::require_tls_unsupported && !verified() && options_.server.security == security::opportunistic;
    for (auto& result : t.results) {
        result.status = later ? status::deferred : status::rejected;
        result.where = phase::mail;
    }
    return true;
}

POSTROAD_DECL void session::limit_to(smtp::pipelining most) noexcept {
    limit_ = std::min(limit_, most);
    mode_ = std::min(mode_, most);
}

POSTROAD_DECL bool session::may_start() const noexcept {
    if (expected_.empty() || mode_ == pipelining::window) return true;
    return mode_ == pipelining::across && expected_.size() == 1 && expected_.front().where == phase::content;
}

POSTROAD_DECL void session::write_more() {
    while (state_ == state::open && !broken_off_ && !farewell_ && writing_ < transactions_.size() &&
           commands_.size() - commands_done_ < detail::max_unwritten_commands) {
        auto& t = transactions_[writing_];
        // Behind what is not pipelined, the reply comes first.
        const bool begun = t.step != step::mail && t.step != step::written;
        if (begun && mode_ == pipelining::lockstep && !expected_.empty()) return;
        switch (t.step) {
            case step::mail:
                if (options_.pipelining == pipelining::automatic) mode_ = std::min(limit_, t.what.ahead);
                if (!may_start()) return;
                t.overlaps = !expected_.empty();
                if (refuse_locally(t)) {
                    t.step = step::written;
                    break;
                }
                if (needs_reset_) {
                    needs_reset_ = false;
                    command(phase::reset, "RSET\r\n");
                    if (mode_ == pipelining::lockstep) return;
                }
                write_mail(t);
                break;
            case step::recipients:
                // Known only when the replies are here: then there is nothing to name recipients of.
                if (t.outstanding == 0 && !t.mail_accepted)
                    skip_rest(t);
                else
                    write_recipient(t);
                break;
            case step::data:
                if (t.what.dry_run || (t.outstanding == 0 && t.accepted == 0)) {
                    skip_rest(t);
                    break;
                }
                t.chunked = mode_ == pipelining::window || content_of(t).binary();
                if (t.chunked)
                    t.go = true;
                else
                    command(phase::data, "DATA\r\n");
                t.step = step::content;
                break;
            case step::content:
                if (!t.go) return;
                write_content(t);
                break;
            case step::written:
                ++writing_;
                finish_front();
                break;
        }
    }
    if (quit_wanted_ && state_ == state::open && !farewell_ && transactions_.empty() && expected_.empty()) {
        state_ = state::quitting;
        command(phase::quit, "QUIT\r\n");
    }
}

POSTROAD_DECL void session::write_recipient(active& t) {
    const auto& what = t.what;
    const auto i = t.next_recipient++;
    say("RCPT TO:<");
    write_path(t, detail::recipient(what, i));
    const auto& asked = what.mail->envelope.recipient_options;
    const auto which = what.recipients.empty() ? i : what.recipients[i];
    std::string_view end = ">\r\n";
    if (which < asked.size() && capabilities_.dsn) {
        say(">");
        detail::append_parameters(commands_, asked[which]);
        end.remove_prefix(1);
    }
    command(phase::rcpt, end, static_cast<std::uint32_t>(i));
    if (t.next_recipient == t.results.size()) t.step = step::data;
}

POSTROAD_DECL void session::write_path(const active& t, const address& a) {
    if (t.ascii_domains && !a.ascii())
        commands_.append(a.local()).append("@").append(a.ascii_domain());
    else
        say(a.str());
}

POSTROAD_DECL void session::write_content(active& t) {
    t.step = step::written;
    t.next_recipient = 0;
    if (t.chunked) {
        t.writer = data_writer(content_of(t), framing::chunk);
        if (t.writer.failed()) return give_up_content(writing_);
        say("BDAT ");
        detail::append_number(commands_, content_of(t).size());
        command(phase::content, " LAST\r\n");
        // Exim accepts the next message under the sender of one it refused, unless RSET stands between them.
        needs_reset_ = true;
    } else {
        expected_.push_back({.where = phase::content, .sent_at = commands_queued_, .since = now_});
        ++t.outstanding;
    }
    segments_.push_back({true, 0});
}

POSTROAD_DECL void session::write_mail(active& t) {
    const auto& mail = *t.what.mail;
    say("MAIL FROM:<");
    write_path(t, mail.envelope.reverse_path);
    say(capabilities_.size_declaration ? "> SIZE=" : ">");
    if (capabilities_.size_declaration) detail::append_number(commands_, content_of(t).size());
    if (content_of(t).binary())
        say(" BODY=BINARYMIME");
    else if (content_of(t).eight_bit())
        say(" BODY=8BITMIME");
    if (t.utf8 && !t.ascii_domains) say(" SMTPUTF8");
    detail::append_parameters(commands_, mail.envelope.options, capabilities_);
    command(phase::mail, "\r\n");
    t.step = step::recipients;
}

// Nothing more is written for it; the server is left within a transaction if it accepted MAIL or still may.
POSTROAD_DECL void session::skip_rest(active& t) {
    if (t.step != step::content) needs_reset_ = needs_reset_ || t.mail_accepted || t.outstanding > 0;
    t.step = step::written;
}

// Queues a command whose first part may already be in commands_.
POSTROAD_DECL void session::command(phase where, std::string_view text, std::uint32_t recipient) {
    say(text);
    if (observer_) note_command(where);
    const auto added = commands_.size() - commands_cut_;
    commands_cut_ = commands_.size();
    if (!segments_.empty() && !segments_.back().content)
        segments_.back().left += added;
    else
        segments_.push_back({false, added});
    commands_queued_ += added;
    const auto ahead = state_ == state::open && !expected_.empty() ? mode_ : pipelining::lockstep;
    expected_.push_back({where, recipient, commands_queued_, now_, ahead});
    if (where == phase::mail || where == phase::rcpt || where == phase::data || where == phase::content)
        ++transactions_[writing_].outstanding;
}

}  // namespace postroad::smtp
