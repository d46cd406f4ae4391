#pragma once

#include <postroad/core/algorithm.hpp>
#include <postroad/smtp/impl/answers.ipp>
#include <postroad/smtp/session.hpp>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

namespace postroad::smtp {
namespace detail {

// It may not say its name in the greeting, but this it says to each message.
inline bool said_by_exim(const std::vector<recipient_outcome>& results) {
    return postroad::detail::any_of(results, [](const recipient_outcome& r) {
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
    tls_refused_ = !options_.starttls && options_.server.security == security::opportunistic;
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
    if (farewell_) return leave_in_order();
    // Looking up, and TLS that comes first, fail before the session has begun.
    const bool begun = state_ != state::awaiting_start;
    const auto where = begun                        ? current_phase()
                       : ec == condition::tls       ? phase::tls
                       : ec == errc::resolve_failed ? phase::resolve
                                                    : phase::connect;
    // Behind a refusal it was the server's last word to all that is under way.
    fail(ec, where, std::move(explanation), std::exchange(last_refusal_, {}));
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
    // It is not the server that is slow.
    if (state_ == state::awaiting_credentials)
        return no_credentials({}, "the source of credentials did not answer in time", now);
    const auto where = current_phase();
    const bool envelope = where == phase::mail || where == phase::rcpt || where == phase::data;
    // Its seconds to drain are our limit: they say nothing of the server.
    if (envelope && segments_.empty() && expected_.size() > 1 && now < drained_by_)
        learn(lesson::no_pipelining, where, "no reply came while several commands were waiting for theirs");
    if (opening() && now >= opening_deadline_)
        return fail(errc::timed_out, where, "the session was not ready in time, with all its steps together");
    fail(errc::timed_out, where,
         segments_.empty() || stalled() ? "no reply in time in phase " + std::string(to_string(where))
                                        : std::string("the server stopped taking octets"));
}

POSTROAD_DECL std::size_t session::room() const noexcept {
    if (!reusable()) return 0;
    // Nothing waits behind what is only drained.
    if (options_.pipelining == pipelining::automatic && drains()) return 0;
    std::size_t limit = limit_ == pipelining::window ? window_now_ : limit_ == pipelining::across ? 2 : 1;
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
        if (limit_ == pipelining::window) adapt_window(t);
        if (!t.cancelled) give(t);
        transactions_.drop_front();
    }
    if (broken_off_ && !transactions_.empty() && transactions_.front().broken_off)
        fail(errc::connection_closed, phase::content, "a content was broken off");
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
        if (t.mail_accepted && mode_ == pipelining::window && ++refused_ == max_refused_in_window) quit_wanted_ = true;
    }
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
    // At a socket of this machine no other port is to be tried.
    if (ec && !options_.server.is_local()) d.how = options_.server.security;
    learn_about_tls(ec);
    // Nobody can tell whether the overlap was to blame; without it the next connection will.
    const bool in_order = farewell_ && farewell_->meant && (ec == errc::service_closing || where == phase::reset);
    bool overlaps = false;
    for (std::size_t i = 0; i < transactions_.size(); ++i)
        overlaps = overlaps || (transactions_[i].overlaps && !transactions_[i].cancelled);
    if (ec && !in_order && overlaps && !broken_off_ && lesson_ != lesson::no_chunking)
        learn(lesson::no_overlap, where,
              transactions_.size() > 1
                  ? "the connection broke with " + std::to_string(transactions_.size()) + " messages in flight"
                  : "the connection broke within a message that began ahead of the replies to another");
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
