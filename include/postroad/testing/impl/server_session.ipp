#pragma once

#include <postroad/testing/detail/text.hpp>
#include <postroad/testing/server_session.hpp>

#include <algorithm>
#include <utility>

namespace postroad::testing {
namespace detail {

inline bool is_command(std::string_view verb) noexcept {
    for (const auto* known : {"EHLO", "HELO", "LHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "BDAT", "RSET",
                              "QUIT", "NOOP", "VRFY", "HELP", "EXPN", "ETRN"})
        if (verb == known) return true;
    return false;
}

inline bool is_high(char c) noexcept { return (static_cast<unsigned char>(c) & 0x80U) != 0; }
inline bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }
inline bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

// "FROM:<path> parameters": the parts behind `mark`. False if it does not look so.
inline bool split_path(std::string_view argument, std::string_view mark, std::string_view& path,
                       std::string_view& parameters) {
    if (upper(argument.substr(0, mark.size())) != mark) return false;
    argument.remove_prefix(mark.size());
    if (!argument.starts_with('<')) return false;
    bool quoted = false;
    for (std::size_t i = 1; i < argument.size(); ++i) {
        if (quoted && argument[i] == '\\') {
            ++i;
        } else if (argument[i] == '"') {
            quoted = !quoted;
        } else if (argument[i] == '>' && !quoted) {
            path = argument.substr(1, i - 1);
            parameters = argument.substr(i + 1);
            if (parameters.empty()) return true;
            if (!parameters.starts_with(' ')) return false;
            parameters.remove_prefix(1);
            return true;
        }
    }
    return false;
}

// The length of "2.1.0 " at the front, or 0.
inline std::size_t enhanced_code_length(std::string_view text) {
    std::size_t i = 0;
    for (int part = 0; part < 3; ++part) {
        const auto start = i;
        while (i < text.size() && is_digit(text[i])) ++i;
        if (i == start || i == text.size() || text[i] != (part < 2 ? '.' : ' ')) return 0;
        ++i;
    }
    return i;
}

inline std::string joined(const std::vector<std::string>& words) {
    std::string result;
    for (const auto& w : words) result += result.empty() ? w : ' ' + w;
    return result;
}

}  // namespace detail

POSTROAD_DECL void server_session::started(time_point now) {
    now_ = now;
    auto [handle, number, open] = server_state::enter(state_);
    handle_ = std::move(handle);
    number_ = number;
    tls_ = options().security == security::implicit;
    if (tls_) state_->handshake();
    if (options().connection_limit != 0 && open > options().connection_limit) {
        reply(answer{}, "421 4.7.0 too many connections", afterwards::end);
        mode_ = mode::deaf;
    } else {
        reply(due(phase::greeting, {}), "220 " + options().name + (options().lmtp ? " LMTP" : " ESMTP"));
    }
    barrier("the greeting");
    release();
}

POSTROAD_DECL void server_session::received(std::string_view bytes, time_point now) {
    now_ = now;
    const bool buffered = !input_.empty();
    if (buffered) input_ += bytes;
    auto rest = buffered ? std::string_view(input_) : bytes;
    while (!rest.empty() && !done_) {
        const auto n = take(rest);
        if (n == 0) break;
        rest.remove_prefix(n);
    }
    if (buffered)
        input_.erase(0, input_.size() - rest.size());
    else
        input_ = rest;
    release();
}

POSTROAD_DECL void server_session::closed(error_code, std::string, time_point) {
    done_ = true;
    replies_.clear();
    handle_.reset();
}

POSTROAD_DECL void server_session::secured(time_point now) {
    now_ = now;
    // RFC 3207 section 4.2: nothing said before counts
    input_.clear();
    hello_.clear();
    transaction_ = {};
    esmtp_ = false;
    tls_ = true;
    tls_due_ = false;
    mode_ = mode::commands;
    state_->handshake();
}

POSTROAD_DECL void server_session::tick(time_point now) {
    now_ = now;
    release();
}

POSTROAD_DECL std::size_t server_session::output(std::span<std::string_view> parts) const {
    if (out_done_ == out_.size() || parts.empty()) return 0;
    parts[0] = std::string_view(out_).substr(out_done_);
    return 1;
}

POSTROAD_DECL void server_session::consumed(std::size_t n, time_point) {
    out_done_ += n;
    written_ += n;
    if (out_done_ < out_.size()) return;
    out_.clear();
    out_done_ = 0;
}

POSTROAD_DECL void server_session::check_turn() {
    if (written_ >= barrier_) return;
    violation("octets came before the reply to " + barrier_name_ + " was sent");
    barrier_ = 0;
}

POSTROAD_DECL std::size_t server_session::take(std::string_view input) {
    switch (mode_) {
        case mode::deaf: return input.size();
        case mode::tls: violation("octets in the clear behind STARTTLS"); return input.size();
        case mode::content: return take_content(input);
        case mode::chunk: return take_chunk(input);
        case mode::auth:
        case mode::commands: return take_line(input);
    }
    return input.size();
}

POSTROAD_DECL std::size_t server_session::take_line(std::string_view input) {
    check_turn();
    const auto end = input.find('\n');
    if (end == std::string_view::npos) {
        if (!skipping_ && input.size() < auth_line_limit) return 0;
        skipping_ = true;
        return input.size();
    }
    auto line = input.substr(0, end);
    if (skipping_ || line.size() >= auth_line_limit) {
        skipping_ = false;
        mode_ = mode::commands;
        reply(
            refuse("500 5.5.6 line too long", "a line is longer than " + std::to_string(auth_line_limit) + " octets"));
        return end + 1;
    }
    if (line.ends_with('\r'))
        line.remove_suffix(1);
    else
        violation("a line ends in bare LF");
    if (mode_ == mode::commands) {
        command(line);
    } else {
        mode_ = mode::commands;
        reply(auth_step(line));
        barrier("AUTH");
    }
    return end + 1;
}

POSTROAD_DECL std::string server_session::refuse(std::string_view reply, std::string why) {
    violation(std::move(why));
    return std::string(reply);
}

POSTROAD_DECL bool server_session::well_formed(std::string_view line, std::size_t limit) {
    std::string wrong;
    if (line.size() + 2 > limit) wrong = "a command line is longer than " + std::to_string(limit) + " octets";
    if (std::any_of(line.begin(), line.end(), detail::is_control)) wrong = "a command line holds a control character";
    if (!(esmtp_ && options().smtputf8) && std::any_of(line.begin(), line.end(), detail::is_high))
        wrong = "a command line holds 8-bit octets";
    if (wrong.empty()) return true;
    reply(refuse("500 5.5.2 syntax error", wrong));
    return false;
}

POSTROAD_DECL std::string server_session::without_credentials(std::string_view line, std::string_view verb) const {
    auto rest = line;
    detail::take_word(rest);
    if (verb == "AUTH") {
        detail::take_word(rest);
        if (rest.empty()) return std::string(line);
        return std::string(line.substr(0, line.size() - rest.size())) + "...";
    }
    // behind AUTH, what is no command may be a response to a challenge that never came
    return auth_seen_ && !detail::is_command(verb) ? "..." : std::string(line);
}

POSTROAD_DECL void server_session::command(std::string_view line) {
    auto argument = line;
    const auto verb = detail::upper(detail::take_word(argument));
    const bool auth = verb == "AUTH";
    auth_seen_ = auth_seen_ || auth;
    state_->command(without_credentials(line, verb));
    const bool with_parameters = verb == "MAIL" || verb == "RCPT";
    if (!well_formed(line, auth ? auth_line_limit : with_parameters ? parameter_line_limit : command_line_limit))
        return;
    if (verb == "EHLO" || verb == "HELO" || verb == "LHLO") {
        on_hello(verb, argument);
    } else if (verb == "STARTTLS") {
        on_starttls(argument);
    } else if (auth) {
        on_auth(argument);
    } else if (verb == "MAIL") {
        on_mail(argument);
    } else if (verb == "RCPT") {
        on_rcpt(argument);
    } else if (verb == "DATA") {
        on_data(argument);
    } else if (verb == "BDAT") {
        on_bdat(argument);
    } else if (verb == "RSET") {
        on_reset(argument);
    } else if (verb == "QUIT") {
        on_quit(argument);
    } else {
        on_other(verb);
    }
    if (!may_pipeline() && mode_ == mode::commands) barrier(verb);
}

POSTROAD_DECL std::string server_session::check_hello(std::string_view verb, std::string_view argument) {
    if (options().lmtp != (verb == "LHLO"))
        return refuse("500 5.5.1 command not known", std::string(verb) + (options().lmtp ? " in LMTP" : " in SMTP"));
    if (verb == "EHLO" && !options().esmtp) return "502 5.5.1 command not known";
    if (argument.empty() || argument.find(' ') != std::string_view::npos)
        return refuse("501 5.5.4 who?", std::string(verb) + " without one name");
    return {};
}

POSTROAD_DECL void server_session::on_hello(std::string_view verb, std::string_view argument) {
    const auto a = due(phase::hello, argument);
    auto usual = check_hello(verb, argument);
    if (usual.empty()) {
        const bool extended = verb != "HELO";
        usual = extended ? keywords() : "250 " + options().name;
        if (a.effective()) {
            hello_ = argument;
            transaction_ = {};
            esmtp_ = extended;
        }
    }
    reply(a, usual);
    barrier(verb);
}

POSTROAD_DECL std::string server_session::keywords() const {
    const auto& o = options();
    std::vector<std::string> lines = {o.name};
    if (o.pipelining) lines.emplace_back("PIPELINING");
    if (o.size != 0) lines.emplace_back("SIZE " + std::to_string(o.size));
    if (o.eight_bit_mime) lines.emplace_back("8BITMIME");
    if (o.smtputf8) lines.emplace_back("SMTPUTF8");
    if (o.enhanced_codes) lines.emplace_back("ENHANCEDSTATUSCODES");
    if (o.dsn) lines.emplace_back("DSN");
    if (o.chunking) lines.emplace_back("CHUNKING");
    if (o.chunking && o.binarymime) lines.emplace_back("BINARYMIME");
    if (starttls_offered() && !tls_) lines.emplace_back("STARTTLS");
    if (auth_offered()) lines.emplace_back("AUTH " + detail::joined(o.mechanisms));
    lines.insert(lines.end(), o.more_keywords.begin(), o.more_keywords.end());
    std::string text;
    for (std::size_t i = 0; i < lines.size(); ++i)
        text += (i == 0 ? "" : "\r\n") + std::string(i + 1 < lines.size() ? "250-" : "250 ") + lines[i];
    return text;
}

POSTROAD_DECL std::string server_session::check_starttls(std::string_view argument) {
    if (tls_) return refuse("503 5.5.1 already in TLS", "STARTTLS in TLS");
    if (!starttls_offered()) return refuse("502 5.5.1 not offered", "STARTTLS is not offered");
    if (hello_.empty()) return refuse("503 5.5.1 say EHLO first", "STARTTLS before EHLO");
    if (!argument.empty()) return refuse("501 5.5.4 no parameters here", "STARTTLS with a parameter");
    return {};
}

POSTROAD_DECL void server_session::on_starttls(std::string_view argument) {
    const auto a = due(phase::starttls, argument);
    const auto refusal = check_starttls(argument);
    if (!refusal.empty()) {
        reply(a, refusal);
    } else {
        reply(a, "220 2.0.0 go ahead", afterwards::tls);
        if (a.effective() && mode_ != mode::deaf) mode_ = mode::tls;
    }
    barrier("STARTTLS");
}

POSTROAD_DECL void server_session::on_reset(std::string_view argument) {
    const auto a = due(phase::reset, argument);
    if (a.effective()) transaction_ = {};
    reply(a, "250 2.0.0 forgotten");
}

POSTROAD_DECL void server_session::on_quit(std::string_view argument) {
    const auto a = due(phase::quit, argument);
    reply(a, "221 2.0.0 goodbye", afterwards::end);
    if (a.effective()) mode_ = mode::deaf;
}

POSTROAD_DECL void server_session::on_other(std::string_view verb) {
    if (verb == "NOOP") {
        reply("250 2.0.0 nothing done");
    } else if (verb == "VRFY") {
        reply("252 2.5.0 try it");
    } else if (verb == "HELP") {
        reply("214 2.0.0 RFC 5321");
    } else {
        reply(refuse("500 5.5.1 command not known", "unknown command " + escaped(without_credentials(verb, verb), 40)));
    }
    barrier(verb == "NOOP" || verb == "VRFY" || verb == "HELP" ? verb : "an unknown command");
}

POSTROAD_DECL std::string server_session::formatted(std::string_view text) const {
    const auto drop = options().enhanced_codes && esmtp_ ? 0 : detail::enhanced_code_length(text.substr(4));
    return std::string(text.substr(0, 4)).append(text.substr(4 + drop)).append("\r\n");
}

POSTROAD_DECL void server_session::reply(const answer& a, std::string_view usual, afterwards what) {
    if (!a.effective()) what = afterwards::nothing;
    if (!a.f) return put(formatted(usual), duration::zero(), what);
    if (a.f->then != then::go_on) what = a.f->then == then::drop ? afterwards::end : afterwards::nothing;
    put(a.f->send ? *a.f->send : formatted(usual), a.f->wait, what);
    if (a.f->then != then::go_on) mode_ = mode::deaf;
}

POSTROAD_DECL void server_session::put(std::string octets, duration wait, afterwards what) {
    queued_ += octets.size();
    auto when = after(now_, options().delay + wait);
    if (!replies_.empty()) when = std::max(when, replies_.back().due);
    replies_.push_back({.due = when, .octets = std::move(octets), .what = what});
}

POSTROAD_DECL void server_session::barrier(std::string_view what) {
    barrier_ = queued_;
    barrier_name_ = what;
}

POSTROAD_DECL void server_session::release() {
    while (!replies_.empty() && replies_.front().due <= now_) {
        auto& r = replies_.front();
        out_ += r.octets;
        tls_due_ = tls_due_ || r.what == afterwards::tls;
        done_ = done_ || r.what == afterwards::end;
        replies_.pop_front();
    }
}

}  // namespace postroad::testing

#include <postroad/testing/impl/server_session_auth.ipp>
#include <postroad/testing/impl/server_session_mail.ipp>
