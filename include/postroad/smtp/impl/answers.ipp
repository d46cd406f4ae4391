#pragma once
// What replies make of transactions: whom they decide, what they teach, and how a server takes its leave.

#include <postroad/core/algorithm.hpp>
#include <postroad/message/utf8.hpp>
#include <postroad/smtp/session.hpp>

#include <string>
#include <string_view>
#include <utility>

namespace postroad::smtp {
namespace detail {

inline status status_of(const reply& r, phase where) noexcept {
    if (r.code < 300) return status::accepted;
    // RFC 5321 section 4.5.3.1.10: 552 to RCPT means too many recipients, to be tried again like 452.
    if (r.permanent() && !(where == phase::rcpt && r.code == 552)) return status::rejected;
    return status::deferred;
}

// "Out of sequence or unsupported" (RFC 3463 section 3.6); Google says 5.5.1 to who has not logged in, too.
inline bool is_out_of_place(const reply& r) noexcept {
    return r.permanent() && r.code != 530 && r.enhanced.subject == 5 && r.enhanced.detail == 1;
}

// Whether it calls the command one out of order, which is about no message (RFC 5321 section 4.3.2). Words count where
// order may be at fault only: a mailbox can be out of order as well.
inline bool is_about_order(const reply& r, phase where, pipelining ahead) {
    const auto subject = r.enhanced.subject;
    if (r.code == 500 || r.code == 502 || r.code == 503) return subject == 0 || subject == 3 || subject == 5;
    if (r.code < 400 || ahead == pipelining::lockstep) return false;
    // By 55z without a word of order a recipient is refused, whatever its enhanced code says.
    if (is_out_of_place(r) && !(where == phase::rcpt && r.code >= 550)) return true;
    static constexpr std::string_view words[] = {
        "bad sequence",       "sequence of commands",  "out of sequence",       "out of order",
        "command pipelining", "smtp pipelining",       "pipelining not",        "pipelining error",
        "pipelined after",    "synchronization error", "synchronisation error", "protocol synchronization",
        "without pipelining"};
    const auto text = postroad::detail::in_lower_case(r.text);
    return postroad::detail::any_of(words, [&](std::string_view w) { return text.find(w) != std::string::npos; });
}

// Neither a reply decided it, nor one said that it must be asked again.
inline bool is_undecided(const recipient_outcome& r) noexcept {
    return r.status == status::not_attempted && r.reply.code < 300;
}

inline reply kept(const reply& r) { return {r.code, r.enhanced, r.text.substr(0, max_kept_reply_text)}; }

}  // namespace detail

POSTROAD_DECL void session::on_reply(const reply& r) {
    if (observer_) note_reply(r);
    // So it did not leave. What it makes of the rest cannot be told.
    if (farewell_) return leave();
    if (expected_.empty() || commands_sent_ < expected_.front().sent_at) {
        const auto where = current_phase();
        if (r.code == 421) return fail(errc::service_closing, where, "the server closes the connection", r);
        return fail(
            errc::unsolicited_reply, where,
            expected_.empty() ? "the server replied to nothing" : "the server replied before the command was sent", r);
    }
    const auto e = expected_.front();
    if (r.code == 421 && state_ != state::quitting) {
        if (state_ == state::open && e.where != phase::reset) {
            auto& t = transactions_.front();
            t.mail_answered = true;
            // In LMTP it is the answer for one recipient, and the others have none.
            if (lmtp() && e.where == phase::content && t.content_sent)
                decide_next(t, r);
            else
                decide(t, e.where, r);
        }
        return take_leave({errc::service_closing, e.where, "the server closes the connection", r});
    }
    if (more_replies_due(e))
        ++transactions_.front().outstanding;
    else
        (void)expected_.pop_front();
    switch (state_) {
        case state::awaiting_greeting:
            if (r.code == 220) {
                family_ = family_of(r.text, options_.server.protocol);
                return say_hello();
            }
            return part(r.positive() ? errc::unexpected_reply : errc::greeting_refused, phase::greeting,
                        "expected 220 as greeting", r);
        case state::awaiting_hello:
        case state::awaiting_helo: return on_hello(r);
        case state::awaiting_starttls: return on_starttls(r);
        case state::authenticating: return on_auth(r);
        case state::open: return on_transaction_reply(r, e);
        case state::quitting: return fail({}, phase::quit, {});
        case state::awaiting_start:
        case state::awaiting_tls:
        case state::awaiting_credentials:
        case state::over: return;
    }
}

POSTROAD_DECL void session::on_transaction_reply(const reply& r, const expected& e) {
    // What follows from a refused MAIL says nothing new.
    const bool new_one = e.where == phase::mail || e.where == phase::reset || transactions_.front().mail_accepted;
    if (new_one && !r.positive())
        last_refusal_ = detail::kept(r);
    else if (new_one && last_refusal_.code != 0)
        last_refusal_ = {};
    if (e.where == phase::reset) {
        if (r.code == 250) return;
        if (detail::is_about_order(r, e.where, e.ahead)) (void)learn_about_order(e, r);
        return take_leave({errc::unexpected_reply, phase::reset, "expected 250 to RSET", r});
    }
    auto& t = transactions_.front();
    --t.outstanding;
    const bool go_wanted = e.where == phase::data;
    if (r.code >= 300 && r.code < 400 && !(go_wanted && r.code == 354))
        return fail(errc::unexpected_reply, e.where, "a 3yz reply where none fits", r);
    if (go_wanted && r.code < 300)
        return fail(errc::unexpected_reply, e.where, "expected 354 to DATA; the content was not sent", r);
    switch (e.where) {
        case phase::mail:
            t.mail_answered = true;
            t.mail_accepted = r.code < 300;
            if (!t.mail_accepted) refuse(t, e, r);
            break;
        case phase::rcpt: on_recipient(t, e, r); break;
        case phase::data: on_data(t, e, r); break;
        default: on_content(t, r);
    }
    finish_front();
}

// If it closes the connection without another word, it took nothing of what stands behind (RFC 5321 section 3.8): that
// is not in doubt. Some refuse RSET so, behind too many refused transactions.
POSTROAD_DECL void session::take_leave(farewell f) {
    f.behind = f.where == phase::reset ? 0 : 1;
    farewell_ = std::move(f);
    quit_wanted_ = true;
    for (auto i = farewell_->behind; i < transactions_.size(); ++i)
        if (transactions_[i].content_sent) return;
    leave_in_order();
}

POSTROAD_DECL void session::leave_in_order() {
    for (auto i = farewell_->behind; i < transactions_.size(); ++i) transactions_[i].content_sent = false;
    farewell_->meant = true;
    leave();
}

POSTROAD_DECL void session::leave() {
    fail(farewell_->error, farewell_->where, farewell_->explanation, farewell_->said);
}

POSTROAD_DECL void session::on_content(active& t, const reply& r) {
    if (!t.content_sent) {
        if (!r.positive()) decide(t, phase::content, r);
        return fail(errc::unsolicited_reply, phase::content, "the server replied before the end of the content", r);
    }
    const bool unknown = r.code == 500 || r.code == 502 || r.code == 503 || r.code == 504 || detail::is_out_of_place(r);
    if (t.chunked && unknown && t.accepted > 0 && t.answered == 0) return on_chunk_refused(t, r);
    ++t.answered;
    if (lmtp())
        decide_next(t, r);
    else
        decide(t, phase::content, r);
}

// Not a word about the message: it goes again with DATA, over another connection.
POSTROAD_DECL void session::on_chunk_refused(active& t, const reply& r) {
    learn(lesson::no_chunking, phase::content, "the server offers CHUNKING and does not take BDAT: " + to_string(r));
    quit_wanted_ = true;
    t.content_sent = false;
    leave_undecided(t, errc::chunking_refused,
                    {.where = phase::content,
                     .host = host(),
                     .explanation = "the server offers CHUNKING and does not take BDAT",
                     .reply = to_string(r)});
    // One reply came where one for each recipient was due: what the next one is for cannot be told.
    if (lmtp() && t.accepted > 1)
        fail(errc::chunking_refused, phase::content, "the server offers CHUNKING and does not take BDAT", r);
}

// RFC 2033 section 4.2: one for each accepted recipient; 503 to BDAT when there is none.
POSTROAD_DECL bool session::more_replies_due(const expected& e) const noexcept {
    if (!lmtp() || state_ != state::open || e.where != phase::content) return false;
    const auto& t = transactions_.front();
    return t.content_sent && t.answered + 1 < t.accepted;
}

POSTROAD_DECL void session::decide_next(active& t, const reply& r) {
    while (t.next_recipient < t.results.size() && !detail::is_undecided(t.results[t.next_recipient]))
        ++t.next_recipient;
    if (t.next_recipient == t.results.size()) return;
    t.results[t.next_recipient++] = {
        .status = detail::status_of(r, phase::content), .where = phase::content, .reply = detail::kept(r)};
}

POSTROAD_DECL void session::on_recipient(active& t, const expected& e, const reply& r) {
    auto& result = t.results[e.recipient];
    // Counted even if it was cancelled: what the server does next depends on it.
    if (r.code < 300 && t.mail_accepted) ++t.accepted;
    if (!detail::is_undecided(result)) return;  // MAIL was refused, which decided it
    if (detail::is_about_order(r, e.where, e.ahead)) return put_back(t, e, r, {&result, 1});
    result.where = phase::rcpt;
    result.reply.code = r.code;
    if (r.code < 300) return;
    result.reply = detail::kept(r);
    result.status = detail::status_of(r, phase::rcpt);
}

POSTROAD_DECL void session::on_data(active& t, const expected& e, const reply& r) {
    if (r.code != 354) {
        refuse(t, e, r);
        needs_reset_ = needs_reset_ || t.mail_accepted;
        return skip_rest(t);
    }
    const bool nobody = t.accepted == 0 || !t.mail_accepted;
    if (lmtp() && nobody)
        return fail(errc::unexpected_reply, phase::data, "354 though no recipient is accepted (RFC 2033 section 4.2)",
                    r);
    if (t.cancelled && !nobody) {
        broken_off_ = true;
        return fail(errc::connection_closed, phase::data, "a transaction was cancelled when its content was due");
    }
    // RFC 2920 section 3.1: 354 though no recipient is left means that the end of data must be sent alone.
    t.writer = nobody ? data_writer(content{}) : data_writer(content_of(t));
    t.go = true;
    if (t.writer.failed()) give_up_content(0);
}

POSTROAD_DECL void session::refuse(active& t, const expected& e, const reply& r) {
    if (detail::is_about_order(r, e.where, e.ahead) && postroad::detail::any_of(t.results, detail::is_undecided))
        return put_back(t, e, r, t.results);
    decide(t, e.where, r);
}

// They stay not_attempted: what came out of order is asked again.
POSTROAD_DECL void session::put_back(active& t, const expected& e, const reply& r, std::span<recipient_outcome> whom) {
    for (auto& result : whom) {
        if (!detail::is_undecided(result)) continue;
        result.where = e.where;
        result.reply = detail::kept(r);
    }
    if (e.ahead != pipelining::lockstep) t.lesson = learn_about_order(e, r);
    needs_reset_ = true;  // it may be within a transaction that we know nothing of
    if (t.cancelled) return;
    t.error = errc::out_of_sequence;
    t.details = {.where = e.where,
                 .host = host(),
                 .explanation = e.ahead == pipelining::lockstep
                                    ? "the server takes the command for one out of order"
                                    : "the server offers PIPELINING and refuses a command that was sent ahead",
                 .reply = to_string(r)};
}

// From here on less is sent ahead on this connection; what is under way already is no further evidence.
POSTROAD_DECL lesson session::learn_about_order(const expected& e, const reply& r) {
    if (e.ahead == pipelining::lockstep) return lesson::none;
    const bool within = e.ahead == pipelining::envelope;
    limit_to(within ? pipelining::lockstep : pipelining::envelope);
    const auto l = within ? lesson::no_pipelining : lesson::no_overlap;
    if (lesson_ != l)
        learn(l, e.where,
              (within ? "each command waits from here on: " : "nothing goes ahead of another message's replies: ") +
                  std::string("the server refuses a command that was sent ahead: ") + to_string(r));
    return l;
}

POSTROAD_DECL void session::learn(smtp::lesson l, phase where, std::string why) {
    lesson_ = l;
    lesson_reason_ = std::move(why);
    if (observer_) note_decision(where, lesson_reason_);
}

POSTROAD_DECL void session::decide(active& t, phase where, const reply& r) {
    const auto s = detail::status_of(r, where);
    for (auto& result : t.results) {
        if (!detail::is_undecided(result)) continue;
        result.status = s;
        result.where = where;
        result.reply = detail::kept(r);
    }
}

}  // namespace postroad::smtp
