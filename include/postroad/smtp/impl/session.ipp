#pragma once

#include <postroad/message/utf8.hpp>
#include <postroad/smtp/impl/answers.ipp>
#include <postroad/smtp/session.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

namespace postroad::smtp {
namespace detail {

// Commands buffered beyond this wait until the socket takes some: ten thousand recipients need no megabyte.
inline constexpr std::size_t max_unwritten_commands = 64 * 1024;

inline void append_number(std::string& to, std::uint64_t n) {
    std::array<char, 20> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), n).ptr;
    to.append(digits.data(), end);
}

inline bool needs_smtputf8(const mail_object& mail) noexcept {
    return mail.content.eight_bit_header() || !mail.envelope.reverse_path.ascii() ||
           !std::ranges::all_of(mail.envelope.recipients, [](const address& a) { return a.ascii(); });
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

// It may not say its name in the greeting, but this it says to each message.
inline bool said_by_exim(const std::vector<recipient_outcome>& results) {
    return std::ranges::any_of(results, [](const recipient_outcome& r) {
        return r.status == status::accepted && r.reply.text.find("OK id=") != std::string::npos;
    });
}

}  // namespace detail

POSTROAD_DECL void check_client_name(std::string_view name) {
    error_code ec;
    std::string why;
    const auto a = address::parse("x@" + std::string(name), ec, &why);
    if (name.empty() || ec || a.domain() != name || !a.ascii())
        throw error(errc::invalid_host_name,
                    "the client name \"" + escaped(name, 80) + "\" is neither a domain nor an address literal");
}

POSTROAD_DECL void check_endpoint(const endpoint& e) {
    if (e.protocol == protocol::lmtp && e.port == 25)
        throw error(errc::contradiction, "LMTP must not be spoken on port 25 (RFC 2033 section 5), which is SMTP's");
}

POSTROAD_DECL session::session(session_options options) : options_(std::move(options)) {
    check_client_name(options_.client_name);
    check_endpoint(options_.server);
    options_.ask_credentials ? check_mechanisms(options_.credentials) : smtp::check(options_.credentials);
}

POSTROAD_DECL void session::started(time_point now) {
    now_ = now;
    if (observer_) note_tls();
    state_ = state::awaiting_greeting;
    secured_ = options_.server.security == security::implicit;
    expected_.push_back({.where = phase::greeting, .since = now_});
    opening_deadline_ = after(now, options_.timeouts.opening);
    arm(now);
}

POSTROAD_DECL void session::received(std::string_view bytes, time_point now) {
    now_ = now;
    bool progress = false;
    while (state_ != state::over) {
        if (wants_tls() && !bytes.empty())
            return fail(errc::tls_injection, phase::starttls,
                        "octets arrived in the clear behind the reply to STARTTLS; somebody may be tampering");
        error_code ec;
        const auto* r = replies_.next(bytes, ec);
        // Within the exchange the line may be made of credentials in ways that nobody can take out of it.
        if (ec)
            return fail(ec, current_phase(),
                        state_ == state::authenticating ? "the reply to AUTH is malformed or too long"
                                                        : replies_.explanation(hidden_));
        if (!r) break;
        progress = true;
        // What is echoed must not get into a receipt, an error or a log.
        if (hidden_.finds(r->text) && r->code != 334)
            on_reply({r->code, r->enhanced, hidden_.of(r->text)});
        else
            on_reply(*r);
    }
    if (progress) {
        write_more();
        arm(now);
    }
}

POSTROAD_DECL void session::closed(error_code ec, std::string explanation, time_point now) {
    now_ = now;
    if (state_ == state::over) return segments_.clear();
    learn_about_tls(ec);
    if (farewell_) return leave_in_order();
    // Looking up, and TLS that comes first, fail before the session has begun.
    const bool begun = state_ != state::awaiting_start;
    const auto where = begun                        ? current_phase()
                       : ec == condition::tls       ? phase::tls
                       : ec == errc::resolve_failed ? phase::resolve
                                                    : phase::connect;
    fail(ec, where, std::move(explanation));
}

POSTROAD_DECL void session::secured(time_point now) {
    now_ = now;
    if (observer_) note_tls();
    secured_ = true;
    capabilities_ = {};
    replies_.reset();
    say_hello();
    arm(now);
}

POSTROAD_DECL void session::tick(time_point now) {
    if (now < deadline_) return;
    now_ = now;
    if (farewell_) return leave();
    learn_about_tls(errc::timed_out);
    const auto where = current_phase();
    const bool envelope = where == phase::mail || where == phase::rcpt || where == phase::data;
    if (envelope && segments_.empty() && expected_.size() > 1)
        learn(lesson::no_pipelining, where, "no reply came while several commands were waiting for theirs");
    if (opening() && now >= opening_deadline_)
        return fail(errc::timed_out, where, "the session was not ready in time, with all its steps together");
    fail(errc::timed_out, where,
         segments_.empty() || stalled() ? "no reply in time in phase " + std::string(to_string(where))
                                        : std::string("the server stopped taking octets"));
}

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

POSTROAD_DECL std::size_t session::room() const noexcept {
    if (!reusable()) return 0;
    std::size_t limit = mode_ == pipelining::window ? window_now_ : mode_ == pipelining::across ? 2 : 1;
    // All that is in flight may yet be refused.
    if (exim_) limit = std::min(limit, max_refused_by_exim - refused_);
    const std::size_t room = transactions_.size() < limit ? limit - transactions_.size() : 0;
    const auto mailmax = capabilities_.limits.mailmax;
    return mailmax ? std::min(room, *mailmax - submitted_) : room;
}

POSTROAD_DECL std::size_t session::max_recipients() const noexcept {
    const auto wanted = options_.recipients_per_transaction;
    const auto said = capabilities_.limits.rcptmax;
    if (wanted == 0) return said.value_or(default_recipients);
    return said ? std::min<std::size_t>(wanted, *said) : wanted;
}

POSTROAD_DECL std::size_t session::max_domains() const noexcept {
    return capabilities_.limits.rcptdomainmax.value_or(std::numeric_limits<std::uint32_t>::max());
}

POSTROAD_DECL void session::submit(transaction t, time_point now) {
    now_ = now;
    const bool idle = expected_.empty() && segments_.empty();
    auto& a = transactions_.emplace_back();
    a.results.resize(t.size());
    a.what = std::move(t);
    if (++submitted_ == capabilities_.limits.mailmax) quit_wanted_ = true;
    if (state_ == state::over) {
        fail_transactions(errc::connection_closed, {.where = phase::idle, .host = host()});
        return;
    }
    write_more();
    if (idle) arm(now);
}

POSTROAD_DECL void session::cancel(std::uint64_t id, time_point now) {
    now_ = now;
    std::size_t i = 0;
    while (i < transactions_.size() && transactions_[i].what.id != id) ++i;
    if (i == transactions_.size() || transactions_[i].cancelled) return;
    auto& t = transactions_[i];
    leave_undecided(t, errc::cancelled,
                    {.where = current_phase(), .host = host(), .explanation = "the operation was cancelled"});
    if (t.error == errc::out_of_sequence) t.error = errc::cancelled;
    events_.push_back(finished{t.what.id, t.error, t.details, t.results, t.mail_answered, t.lesson});
    t.cancelled = true;
    switch (t.step) {
        case step::mail: t.step = step::written; break;
        case step::recipients:
        case step::data: skip_rest(t); break;
        case step::content: break;  // the reply to DATA tells whether it can be left
        case step::written:
            // A content that has begun cannot be taken back, and one that left whole needs only its reply.
            if (!t.content_sent && t.outstanding > 0) break_off(i);
            break;
    }
    write_more();
    arm(now);
}

POSTROAD_DECL void session::quit(time_point now) {
    now_ = now;
    quit_wanted_ = true;
    if (state_ != state::open && state_ != state::quitting)
        return fail(errc::cancelled, current_phase(), "the connection was given up before it was ready");
    write_more();
    arm(now);
}

POSTROAD_DECL std::optional<event> session::poll() { return events_.poll(); }

POSTROAD_DECL void session::finish_front() {
    while (!transactions_.empty() && transactions_.front().step == step::written &&
           transactions_.front().outstanding == 0) {
        auto& t = transactions_.front();
        if (writing_ > 0) --writing_;
        if (mode_ == pipelining::window) adapt_window(t);
        if (!t.cancelled) give(t);
        transactions_.drop_front();
    }
    if (broken_off_ && !transactions_.empty() && transactions_.front().broken_off)
        fail(errc::connection_closed, phase::content, "a content was broken off");
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

// What is in flight behind many refusals is in doubt if the server breaks the connection for them. So the window opens
// while messages are accepted, and few refusals end the connection in good order.
POSTROAD_DECL void session::adapt_window(const active& t) {
    if (t.error) return;  // refused before anything was sent
    if (t.accepted > 0) {
        window_now_ = std::min(options_.window, window_now_ + 1);
        if (exim_ || !detail::said_by_exim(t.results)) return;
        exim_ = true;
        if (observer_ && options_.window > max_refused_by_exim)
            note_decision(phase::content, "at most " + std::to_string(max_refused_by_exim) +
                                              " messages in flight: this is Exim, which counts RSET");
    } else {
        window_now_ = std::max<std::size_t>(1, window_now_ / 2);
        if (t.mail_accepted && ++refused_ == max_refused_in_window) quit_wanted_ = true;
    }
}

// Makes the content fit what the server takes.
POSTROAD_DECL std::optional<lack> session::convert(active& t) const {
    const auto& c = t.what.mail->content;
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
    const bool wide = capabilities_.eight_bit_mime && !ascii_header;
    t.converted = c.as(wide ? transfer::eight_bit : transfer::seven_bit, ec, &why);
    if (!ec && !(ascii_header && t.converted->eight_bit_header())) return {};
    t.converted.reset();
    if (ec) missing.explanation += "; it cannot be encoded otherwise: " + why;
    return missing;
}

POSTROAD_DECL std::optional<lack> session::find_lack(active& t) const {
    const auto& mail = *t.what.mail;
    t.utf8 = detail::needs_smtputf8(mail);
    if (t.utf8) {
        // Also where the server has SMTPUTF8: the next one on the way may not, and many list their domains so only.
        const bool has_form = detail::has_ascii_form(t.what);
        if (!has_form && !capabilities_.smtputf8)
            return lack{errc::internationalised_unsupported,
                        "the local part of an address is not ASCII and the server does not offer SMTPUTF8"};
        t.ascii_domains = has_form && !(mail.content.eight_bit_header() && capabilities_.smtputf8);
    }
    if (auto l = convert(t)) return l;
    if (const auto size = content_of(t).size(); capabilities_.size && size > *capabilities_.size)
        return lack{errc::message_too_large, "the message has " + std::to_string(size) + " octets, the server takes " +
                                                 std::to_string(*capabilities_.size)};
    return smtp::find_lack(mail.envelope, capabilities_, verified());
}

// What this server cannot take is refused before anything of it is sent.
POSTROAD_DECL bool session::refuse_locally(active& t) {
    auto missing = find_lack(t);
    if (!missing) return false;
    t.error = missing->code;
    t.details = {.where = phase::mail, .host = host(), .explanation = std::move(missing->explanation)};
    for (auto& result : t.results) {
        result.status = status::rejected;
        result.where = phase::mail;
    }
    return true;
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
                if (!may_start()) return;
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
    if (which < asked.size()) {
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

POSTROAD_DECL void session::give(active& t) {
    auto& f = std::get<finished>(events_.emplace_back(std::in_place_type<finished>));
    f.id = t.what.id;
    f.error = t.error;
    f.answered = t.mail_answered;
    if (t.error) f.details = std::move(t.details);
    f.recipients = std::move(t.results);
    f.lesson = t.lesson;
}

// What no reply decided: in doubt once the end of data had left.
POSTROAD_DECL void session::leave_undecided(active& t, error_code ec, const diagnostics& d) {
    for (auto& result : t.results) {
        if (!detail::is_undecided(result)) continue;
        if (t.content_sent) result.status = status::in_doubt;
        result.where = t.content_sent ? phase::content : d.where;
        result.reply = {};
        t.error = ec;
        t.details = d;
    }
}

POSTROAD_DECL void session::fail_transactions(error_code ec, const diagnostics& d) {
    while (!transactions_.empty()) {
        auto t = transactions_.pop_front();
        if (t.cancelled) continue;
        leave_undecided(t, ec, d);
        give(t);
    }
    writing_ = 0;
}

POSTROAD_DECL void session::fail(error_code ec, phase where, std::string explanation, const reply& r) {
    if (state_ == state::over) return;
    // After QUIT everything is settled; how the server takes its leave does not matter.
    if (state_ == state::quitting) ec = {};
    diagnostics d{.where = where, .host = host(), .explanation = std::move(explanation), .reply = to_string(r)};
    if (r.code == 334) d.reply = to_string(reply{r.code, r.enhanced, hidden_.of(r.text)});
    if (!ec) d = {.where = where, .host = host()};
    // Nobody can tell whether the overlap was to blame; without it the next connection will.
    const bool in_order = ec == errc::service_closing && farewell_ && farewell_->meant;
    if (ec && !in_order && mode_ >= pipelining::across && transactions_.size() > 1 && !broken_off_ &&
        lesson_ != lesson::no_chunking)
        learn(lesson::no_overlap, where,
              "the connection broke with " + std::to_string(transactions_.size()) + " messages in flight");
    if (observer_) note({.what = observed::closed, .where = where, .text = d.explanation, .error = ec});
    state_ = state::over;
    deadline_ = never;
    forget_credentials();
    hidden_ = {};
    fail_transactions(ec, d);
    expected_.clear();
    segments_.clear();
    commands_.clear();
    commands_done_ = commands_cut_ = 0;
    events_.push_back(smtp::closed{ec, std::move(d), lesson_, std::move(lesson_reason_)});
}

POSTROAD_DECL phase session::current_phase() const noexcept {
    if (state_ == state::awaiting_tls) return phase::tls;
    if (state_ == state::awaiting_start) return phase::connect;
    if (state_ == state::awaiting_credentials) return phase::auth;
    return expected_.empty() ? phase::idle : expected_.front().where;
}

POSTROAD_DECL void session::arm(time_point now) {
    if (state_ == state::over || state_ == state::awaiting_start)
        deadline_ = never;
    else if (farewell_)
        deadline_ = after(now, options_.timeouts.quit);
    else if (!segments_.empty() && !stalled())
        deadline_ = after(now, state_ == state::quitting ? options_.timeouts.quit : options_.timeouts.block);
    else if (expected_.empty() && !wants_tls() && state_ != state::awaiting_credentials)
        deadline_ = never;
    else
        deadline_ = after(now, timeout_of(current_phase()));
    // A connection that only drains holds nobody up for as long as a server may take.
    if (!drains())
        drained_by_ = never;
    else if (drained_by_ == never)
        drained_by_ = after(now, options_.timeouts.drain);
    deadline_ = std::min(deadline_, drained_by_);
    if (opening()) deadline_ = std::min(deadline_, opening_deadline_);
    if (state_ == state::awaiting_greeting) deadline_ = std::min(deadline_, greeting_deadline_);
}

POSTROAD_DECL bool session::drains() const noexcept {
    if (state_ != state::open || transactions_.empty()) return false;
    for (std::size_t i = 0; i < transactions_.size(); ++i)
        if (!transactions_[i].cancelled) return false;
    return true;
}

POSTROAD_DECL duration session::timeout_of(phase p) const noexcept {
    const auto& t = options_.timeouts;
    switch (p) {
        case phase::greeting: return t.greeting;
        case phase::hello: return t.hello;
        case phase::starttls:
        case phase::tls: return t.starttls;
        case phase::auth: return t.auth;
        case phase::mail: return t.mail;
        case phase::rcpt: return t.rcpt;
        case phase::data: return t.data;
        case phase::content: return t.content;
        case phase::reset: return t.reset;
        case phase::quit: return t.quit;
        case phase::prepare:
        case phase::queued:
        case phase::policy:
        case phase::resolve:
        case phase::connect:
        case phase::idle: return t.block;
    }
    return t.block;
}

}  // namespace postroad::smtp
