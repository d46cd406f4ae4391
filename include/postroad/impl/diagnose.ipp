#pragma once

#include <postroad/diagnose.hpp>
#include <postroad/message/utf8.hpp>
#include <postroad/services.hpp>
#include <postroad/smtp/advice.hpp>

#include <algorithm>
#include <utility>

namespace postroad {

POSTROAD_DECL void detail::examiner::on(const observation& o) noexcept try {
    if (also_) also_->on(o);
    switch (o.what) {
        case observed::resolved: return add(o, grade::good, server_.name + " is " + escaped(o.text, 300));
        case observed::connected: return add(o, grade::good, "connected to " + escaped(o.text));
        case observed::tls_established: in_tls_ = true; return add(o, grade::good, escaped(o.text, 500));
        case observed::command:
            last_reply_.clear();
            last_said_ = {};
            return commands_.push_back(std::string(o.text));
        case observed::reply: return on_reply(o);
        case observed::decision: return add(o, grade::notice, escaped(o.text, 500));
        case observed::closed: {
            if (!o.error) return;
            // Our words, in which the server's are escaped already.
            auto text = o.text.empty() ? o.error.message() : std::string(o.text);
            // Between commands the last reply answered one, unless the server spoke by itself.
            const bool by_itself = o.error == errc::service_closing || o.error == errc::unsolicited_reply;
            if ((o.where != phase::idle || by_itself) && !last_reply_.empty()) text += "; it said: " + last_reply_;
            if (!error_) error_ = o.error;
            return add(o, grade::bad, std::move(text),
                       smtp::advise({.error = o.error,
                                     .where = o.where,
                                     .how = server_.security,
                                     .explanation = std::string(o.text),
                                     .said = last_said_,
                                     .whose = whose_}));
        }
        case observed::dialing:
        case observed::content:
        case observed::retry:
        case observed::late:
        case observed::outcome: return;
    }
} catch (...) {
    // Without memory there is nothing to tell.
}

POSTROAD_DECL void detail::examiner::on_reply(const observation& o) {
    const auto& r = *o.answer;
    const auto command = commands_.empty() ? std::string() : commands_.pop_front();
    last_reply_ = to_string(r);
    last_said_ = r;
    if ((o.where == phase::greeting || o.where == phase::hello) && smtp::is_masked(r))
        add(o, grade::notice, "what the server says is masked: " + last_reply_,
            "A firewall between changes SMTP: turn its inspection off, or use smtps://.");
    switch (o.where) {
        case phase::mail:
        case phase::rcpt: return on_envelope_reply(o, command);
        case phase::greeting:
            if (r.code == 220) add(o, grade::good, "greeted by " + last_reply_);
            return;
        case phase::hello: {
            if (r.code != 250) return;
            auto offers = r.text;
            const auto first = std::min(offers.find('\n'), offers.size());
            offers.erase(0, first + (first < offers.size() ? 1 : 0));
            for (auto at = offers.find('\n'); at != std::string::npos; at = offers.find('\n', at))
                offers.replace(at, 1, ", ");
            return add(o, grade::good, offers.empty() ? "offers no extension" : "offers " + escaped(offers, 1000));
        }
        case phase::auth:
            if (r.code == 235) add(o, grade::good, "authenticated: " + last_reply_);
            return;
        case phase::starttls:
        case phase::data:
        case phase::content:
        case phase::reset:
        case phase::quit:
        case phase::prepare:
        case phase::policy:
        case phase::queued:
        case phase::resolve:
        case phase::connect:
        case phase::tls:
        case phase::idle: return;
    }
}

POSTROAD_DECL void detail::examiner::on_envelope_reply(const observation& o, const std::string& command) {
    const auto& r = *o.answer;
    const auto text = escaped(command, 400) + ": " + last_reply_;
    if (r.code < 300) return add(o, grade::good, text);
    if (!error_) error_ = r.transient() ? errc::recipients_deferred : errc::recipients_rejected;
    add(o, grade::bad, text, smtp::advise({.where = o.where, .how = server_.security, .said = r, .whose = whose_}));
}

POSTROAD_DECL void detail::examiner::ready(const smtp::capabilities& offered, bool credentials_given) {
    const auto notice = [this](phase where, std::string text, std::string advice) {
        steps_.push_back({where, grade::notice, {}, name_, std::move(text), std::move(advice)});
    };
    if (whose_ == whose_server::strangers) {
        if (in_tls_) return;
        return notice(phase::tls, "everything goes in the clear",
                      offered.starttls ? "" : "The server offers no STARTTLS; Gmail marks such mail as not encrypted.");
    }
    if (!in_tls_ && !server_.is_local())
        notice(phase::tls, "everything goes in the clear",
               offered.starttls ? "The server offers STARTTLS: use smtp://." : "");
    if (!credentials_given && !offered.auth.empty())
        notice(phase::auth, "the server offers authentication, and no credentials are given",
               "A submission server will refuse recipients: put USER:PASSWORD@ into the URL.");
}

POSTROAD_DECL void detail::examiner::ended(const smtp::finished& trial) {
    // What replies and the end of the connection mean is a step already.
    if (!trial.error || error_) return;
    error_ = trial.error;
    const auto& d = trial.details;
    steps_.push_back({d.where,
                      grade::bad,
                      {},
                      name_,
                      d.explanation.empty() ? error_.message() : d.explanation,
                      smtp::advise(smtp::situation_of(error_, d, whose_))});
}

POSTROAD_DECL void detail::examiner::add(const observation& o, grade how, std::string text, std::string advice) {
    steps_.push_back(
        {o.where, how, std::max(o.time - last_, duration::zero()), name_, std::move(text), std::move(advice)});
    last_ = std::max(last_, o.time);
}

POSTROAD_DECL void detail::examiner::move_into(diagnosis& d) {
    std::ranges::move(steps_, std::back_inserter(d.steps));
    if (!d.error) d.error = error_;
}

POSTROAD_DECL mail_ptr detail::trial(const diagnose_options& options) {
    if (options.to.empty()) return nullptr;
    auto mail = std::make_shared<mail_object>();
    if (!options.from.empty()) mail->envelope.reverse_path = address(options.from);
    for (const auto& to : options.to) mail->envelope.recipients.emplace_back(to);
    return mail;
}

POSTROAD_DECL transport::smtp detail::impatient(const transport::smtp& transport, duration patience) {
    auto o = transport.options();
    auto& t = o.timeouts;
    for (auto* limit : {&t.greeting, &t.hello, &t.starttls, &t.auth, &t.mail, &t.rcpt, &t.block, &o.dialing.timeout})
        *limit = std::min(*limit, patience);
    return transport::smtp(std::move(o));
}

POSTROAD_DECL std::string submission_url(std::string_view address_or_url) {
    if (auto known = detail::known_submission_url(address_or_url)) return *std::move(known);
    const auto domain = detail::in_lower_case(std::string(address(address_or_url).domain()));
    throw error(errc::invalid_url, "no submission server is known for the domain " + escaped(domain, 260) +
                                       " of the address; give its URL, such as smtps://smtp.example.com");
}

POSTROAD_DECL diagnosis diagnose(std::string_view url, const diagnose_options& options) {
    const transport::smtp transport(submission_url(url));
    return diagnose(transport, detail::adjusted(tls::automatic{}, transport), options);
}

POSTROAD_DECL std::string to_string(const diagnosis& d) {
    std::string all;
    std::string_view server;
    for (const auto& step : d.steps) {
        if (step.server != server) (all += server = step.server) += '\n';
        auto where = std::string(to_string(step.where));
        where.resize(std::max<std::size_t>(where.size(), 9), ' ');
        all += step.how == grade::good ? "  ok      " : step.how == grade::notice ? "  notice  " : "  BAD     ";
        (all += where + ' ' + detail::seconds(step.took) + " s  " + step.text) += '\n';
        if (!step.advice.empty()) (all += "          -> " + step.advice) += '\n';
    }
    return all;
}

}  // namespace postroad
