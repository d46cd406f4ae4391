#pragma once

#include <postroad/message/address.hpp>
#include <postroad/testing/detail/text.hpp>
#include <postroad/testing/server_session.hpp>

#include <algorithm>
#include <utility>

namespace postroad::testing {

POSTROAD_DECL std::string server_session::check_path(std::string_view path, bool sender, bool utf8) {
    if (sender && path.empty()) return {};
    if (!utf8 && std::any_of(path.begin(), path.end(), detail::is_high))
        return refuse("553 5.6.7 needs SMTPUTF8", "an address with UTF-8 without SMTPUTF8");
    error_code ec;
    std::string why;
    (void)address::parse(path, ec, &why);
    if (path.empty()) why = "no address";
    if (why.empty()) return {};
    return refuse(sender ? "501 5.1.7 bad address" : "501 5.1.3 bad address", "address in a command: " + why);
}

POSTROAD_DECL std::string server_session::check_mail_turn() {
    if (hello_.empty()) return refuse("503 5.5.1 say hello first", "MAIL before EHLO");
    if (transaction_.open) return refuse("503 5.5.1 one at a time", "MAIL in a transaction");
    if (options().require_tls && !tls_) return "530 5.7.0 start TLS first";
    if (options().require_auth && user_.empty()) return "530 5.7.0 authenticate first";
    if (options().messages_per_connection != 0 && messages_ >= options().messages_per_connection)
        return "421 4.7.0 enough messages on this connection";
    return {};
}

POSTROAD_DECL std::string server_session::check_mail(std::string_view argument, transaction& t) {
    if (auto refusal = check_mail_turn(); !refusal.empty()) return refusal;
    std::string_view path;
    std::string_view parameters;
    if (!detail::split_path(argument, "FROM:", path, parameters))
        return refuse("501 5.5.4 MAIL FROM:<address> is expected", "malformed MAIL");
    while (!parameters.empty()) {
        auto value = detail::take_word(parameters);
        t.mail.mail_parameters.emplace_back(value);
        const auto keyword = detail::upper(detail::take_word(value, '='));
        if (auto refusal = check_mail_parameter(keyword, value, t); !refusal.empty()) return refusal;
    }
    if (auto refusal = check_path(path, true, t.utf8); !refusal.empty()) return refusal;
    t.mail.reverse_path = path;
    return {};
}

POSTROAD_DECL std::string server_session::check_mail_parameter(std::string_view keyword, std::string_view value,
                                                               transaction& t) {
    const auto& o = options();
    bool offered = !o.more_keywords.empty();
    if (keyword == "SIZE") {
        offered = o.size != 0;
        std::uint64_t size = 0;
        if (!detail::read_number(value, size)) return refuse("501 5.5.4 SIZE?", "SIZE without a number");
        if (offered && size > o.size) return "552 5.3.4 message too large";
    } else if (keyword == "BODY") {
        const auto body = detail::upper(value);
        t.binary = body == "BINARYMIME";
        t.eight_bit = t.binary || body == "8BITMIME";
        offered = t.binary ? o.chunking && o.binarymime : o.eight_bit_mime && (t.eight_bit || body == "7BIT");
    } else if (keyword == "SMTPUTF8") {
        offered = o.smtputf8 && value.empty();
        t.utf8 = true;
    } else if (keyword == "RET" || keyword == "ENVID") {
        offered = o.dsn;
    } else if (keyword == "AUTH") {
        offered = auth_offered();
    }
    if (offered && esmtp_) return {};
    return refuse("555 5.5.4 parameter not known", "MAIL parameter " + escaped(keyword, 40) + " is not offered");
}

POSTROAD_DECL void server_session::on_mail(std::string_view argument) {
    const auto a = due(phase::mail, argument);
    transaction t;
    t.open = t.mail_seen = true;
    const auto refusal = check_mail(argument, t);
    if (refusal.empty() && a.effective())
        transaction_ = std::move(t);
    else if (!transaction_.open)
        transaction_ = {.mail_seen = true};
    const bool end = refusal.starts_with("421");
    reply(a, refusal.empty() ? "250 2.1.0 sender ok" : refusal, end ? afterwards::end : afterwards::nothing);
    if (end) mode_ = mode::deaf;
}

POSTROAD_DECL std::string server_session::check_rcpt(std::string_view argument, std::string& path,
                                                     std::string& parameters) {
    if (!transaction_.open) {
        const std::string_view reply = "503 5.5.1 no sender yet";
        return transaction_.mail_seen && may_pipeline() ? std::string(reply) : refuse(reply, "RCPT without MAIL");
    }
    std::string_view where;
    std::string_view rest;
    if (!detail::split_path(argument, "TO:", where, rest))
        return refuse("501 5.5.4 RCPT TO:<address> is expected", "malformed RCPT");
    if (auto refusal = check_path(where, false, transaction_.utf8); !refusal.empty()) return refusal;
    path = where;
    parameters = rest;
    while (!rest.empty()) {
        auto word = detail::take_word(rest);
        const auto keyword = detail::upper(detail::take_word(word, '='));
        const bool known = keyword == "NOTIFY" || keyword == "ORCPT";
        if (!esmtp_ || !(known ? options().dsn : !options().more_keywords.empty()))
            return refuse("555 5.5.4 parameter not known",
                          "RCPT parameter " + escaped(keyword, 40) + " is not offered");
    }
    if (options().recipient_limit != 0 && transaction_.mail.recipients.size() >= options().recipient_limit)
        return "452 4.5.3 too many recipients";
    return {};
}

POSTROAD_DECL void server_session::on_rcpt(std::string_view argument) {
    const auto a = due(phase::rcpt, argument);
    std::string path;
    std::string parameters;
    const auto refusal = check_rcpt(argument, path, parameters);
    transaction_.recipient_seen = true;
    if (refusal.empty() && a.effective()) {
        transaction_.mail.recipients.push_back(std::move(path));
        transaction_.mail.recipient_parameters.push_back(std::move(parameters));
    }
    reply(a, refusal.empty() ? "250 2.1.5 recipient ok" : refusal);
}

POSTROAD_DECL std::string server_session::check_content_start(std::string_view verb) {
    const auto& t = transaction_;
    const bool chunk = verb == "BDAT";
    const std::string name(verb);
    if (chunk && !(options().chunking && esmtp_)) return refuse("502 5.5.1 not offered", "BDAT is not offered");
    if (!chunk && t.chunked) return refuse("503 5.5.1 not behind BDAT", "DATA behind BDAT");
    if (!chunk && t.binary) return refuse("503 5.5.1 BINARYMIME needs BDAT", "DATA with BODY=BINARYMIME");
    if (!t.open) {
        const std::string_view reply = "503 5.5.1 no sender yet";
        return t.mail_seen && may_pipeline() ? std::string(reply) : refuse(reply, name + " without MAIL");
    }
    if (t.mail.recipients.empty()) {
        const std::string_view reply = "554 5.5.1 no valid recipients";
        return t.recipient_seen && may_pipeline() ? std::string(reply) : refuse(reply, name + " without recipient");
    }
    return t.failed ? "503 5.5.1 a chunk was refused" : std::string();
}

POSTROAD_DECL void server_session::on_data(std::string_view argument) {
    const auto a = due(phase::data, argument);
    auto refusal = check_content_start("DATA");
    if (refusal.empty() && !argument.empty()) refusal = refuse("501 5.5.4 no parameters here", "DATA with a parameter");
    reply(a, refusal.empty() ? "354 go ahead" : refusal);
    barrier("DATA");
    // RFC 2920 section 3.1 knows servers that say 354 although there is no recipient
    const bool forced = a.f && a.f->send && a.f->takes_effect;
    if (mode_ == mode::deaf || !(forced || (refusal.empty() && a.effective()))) return;
    begin_content();
    mode_ = mode::content;
}

POSTROAD_DECL void server_session::begin_content() {
    content_ = detail::content_reader(options().keep || !options().maildir.empty(), options().size);
}

POSTROAD_DECL std::size_t server_session::take_content(std::string_view input) {
    check_turn();
    if (!std::exchange(transaction_.early_checked, true)) {
        if (auto f = state_->take(phase::content, detail::joined(transaction_.mail.recipients), true)) {
            transaction_.early_reply = true;
            reply(answer{std::move(f)}, "552 5.3.4 message too large");
            if (mode_ == mode::deaf) return input.size();
        }
    }
    const auto n = content_.take_stuffed(input);
    if (content_.ended()) end_of_content();
    return n;
}

POSTROAD_DECL void server_session::on_bdat(std::string_view argument) {
    chunk_argument_ = argument;
    const auto size = detail::take_word(argument);
    const auto last = detail::upper(argument);
    if (!detail::read_number(size, chunk_left_) || !(last.empty() || last == "LAST"))
        return reply(refuse("501 5.5.4 BDAT size [LAST] is expected", "malformed BDAT"));
    last_chunk_ = !last.empty();
    chunk_refusal_ = check_content_start("BDAT");
    if (chunk_refusal_.empty() && !std::exchange(transaction_.chunked, true)) begin_content();
    if (chunk_left_ == 0) return end_of_chunk();
    mode_ = mode::chunk;
}

POSTROAD_DECL std::size_t server_session::take_chunk(std::string_view input) {
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(chunk_left_, input.size()));
    if (chunk_refusal_.empty()) content_.take(input.substr(0, n));
    chunk_left_ -= n;
    if (chunk_left_ == 0) end_of_chunk();
    return n;
}

POSTROAD_DECL void server_session::end_of_chunk() {
    mode_ = mode::commands;
    if (!chunk_refusal_.empty()) {
        transaction_.failed = true;
        reply(chunk_refusal_);
    } else if (last_chunk_) {
        return end_of_content();
    } else {
        const auto a = due(phase::data, chunk_argument_);
        transaction_.failed = !a.effective();
        reply(a, "250 2.0.0 chunk ok");
    }
    if (!may_pipeline()) barrier("BDAT");
}

POSTROAD_DECL void server_session::note_content() {
    content_.finish();
    const auto& found = content_.found();
    const auto& t = transaction_;
    const std::pair<bool, const char*> rules[] = {
        {found.bare_cr && !t.binary, "bare CR"},
        {found.bare_lf && !t.binary, "bare LF"},
        {found.nul && !t.binary, "NUL"},
        {found.long_line && !t.binary, "a line longer than 1000 octets"},
        {found.eight_bit && !t.eight_bit && !t.utf8, "8-bit octets without BODY=8BITMIME"},
        {found.single_dot, "a dot at the start of a line that was not doubled"},
    };
    for (const auto& [broken, what] : rules)
        if (broken) violation("the content holds " + std::string(what));
}

POSTROAD_DECL std::string server_session::try_store(std::vector<std::string> recipients) {
    const auto size = content_.size();
    auto& mail = transaction_.mail;
    if (recipients.size() != mail.recipients.size()) {
        std::vector<std::string> kept;
        for (std::size_t i = 0, next = 0; i < mail.recipients.size() && next < recipients.size(); ++i) {
            if (mail.recipients[i] != recipients[next]) continue;
            kept.push_back(mail.recipient_parameters[i]);
            ++next;
        }
        mail.recipient_parameters = std::move(kept);
    }
    mail.recipients = std::move(recipients);
    mail.content = std::move(content_).text();
    mail.tls = tls_;
    mail.user = user_;
    mail.hello = hello_;
    mail.connection = number_;
    std::string why;
    if (!state_->store(std::move(mail), size, why)) return "451 4.3.0 cannot store the message: " + why;
    return "250 2.0.0 stored " + std::to_string(number_) + "." + std::to_string(messages_ + 1);
}

POSTROAD_DECL void server_session::end_of_content() {
    note_content();
    mode_ = mode::commands;
    if (!transaction_.early_reply) {
        const auto all = transaction_.mail.recipients;
        std::vector<answer> answers;
        std::vector<std::string> accepted;
        if (options().lmtp) {
            for (const auto& r : all) {
                answers.push_back(due(phase::content, r));
                if (answers.back().effective()) accepted.push_back(r);
            }
        } else {
            answers.push_back(due(phase::content, detail::joined(all)));
            if (answers.back().effective()) accepted = all;
        }
        std::string usual = "250 2.0.0 ok";
        if (all.empty())
            usual = "554 5.5.1 no valid recipients";
        else if (content_.too_large())
            usual = "552 5.3.4 message too large";
        else if (!accepted.empty())
            usual = try_store(std::move(accepted));
        for (const auto& a : answers)
            if (mode_ != mode::deaf) reply(a, usual);
    }
    ++messages_;
    transaction_ = {};
    if (!may_pipeline()) barrier("the end of the content");
    idle_fault();
}

POSTROAD_DECL void server_session::idle_fault() {
    if (mode_ == mode::deaf) return;
    auto f = state_->take(phase::idle, {});
    if (!f) return;
    if (!f->send) f->send = std::string();
    reply(answer{std::move(f)}, {});
}

}  // namespace postroad::testing
