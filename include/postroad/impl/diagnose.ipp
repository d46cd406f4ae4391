#pragma once

#include <postroad/diagnose.hpp>

#include <algorithm>
#include <utility>

namespace postroad {
namespace detail {

// What to do about an error, in a sentence; empty where its explanation says it all.
inline std::string_view advice(error_code ec, phase where, const endpoint& server) {
    const bool implicit = server.security == security::implicit;
    if (ec == std::errc::connection_refused)
        return "Nothing listens at this port: submission is 587 (smtp://) or 465 (smtps://), a relay is 25.";
    if (ec == std::errc::network_unreachable || ec == std::errc::host_unreachable)
        return "There is no way to that address from here: look at the network, and at a firewall between.";
    if (ec == errc::timed_out && where == phase::connect)
        return "A firewall may drop what goes to this port; many networks do so with port 25: use 587 or 465.";
    if (ec == errc::timed_out && where == phase::greeting && !implicit)
        return "The server may expect TLS from the first octet: use smtps:// for this port.";
    if (ec == errc::timed_out) return "The server is too slow or stuck: try later, and look at its log.";
    if (ec == errc::connection_closed && where == phase::greeting)
        return "The server hangs up at once: it may refuse this address, or have too many connections.";
    if (ec == errc::resolve_failed) return "Is the name spelled right? If so, look at DNS: host, or getent hosts.";
    if (ec == errc::proxy_failed) return "Look at the proxy: name, port, user and what it lets through.";
    if (ec == errc::malformed_reply || ec == errc::reply_too_long)
        return "Is this a mail server? If it expects TLS from the first octet, use smtps://.";
    if (ec == errc::greeting_refused || ec == errc::service_closing)
        return "Its words say why: often too many connections, or this address on a block list.";
    if (ec == errc::hello_refused) return "Give the name of this machine: ?helo=NAME, or client_name.";
    if (ec == errc::tls_not_offered) return "Use the scheme that fits the port: smtps:// for 465, smtp:// for 587.";
    if (ec == errc::tls_refused) return "The server offers STARTTLS and cannot do it: look at its certificate and log.";
    if (ec == errc::tls_injection)
        return "Somebody on the way may be tampering, or the server is broken: do not go on.";
    if (ec == errc::tls_handshake)
        return implicit ? "If the port is 587 or 25, use smtp://; else the server may lack TLS 1.2."
                        : "The server may lack TLS 1.2, or a cipher suite in common.";
    if (ec == errc::tls_certificate)
        return "Use the name that is in the certificate, or give the CA that signed it: ?ca=FILE.";
    if (ec == errc::authentication_not_offered)
        return "Leave user and password out if this is a relay, or use the submission port, 587 or 465.";
    if (ec == errc::no_common_mechanism)
        return "Name one of the server's mechanisms: ?auth=NAME; OAuth needs a token instead of a password.";
    if (ec == errc::authentication_rejected)
        return "Check user and password; some providers want an app password, or a token, and lock after many tries.";
    if (ec == errc::authentication_deferred) return "The server cannot look passwords up at the moment: try later.";
    if (ec == errc::authentication_failed) return "The server may not be who it says it is: do not send a password.";
    if (ec == errc::insecure_authentication) return "Use smtp:// or smtps://, which have TLS.";
    return {};
}

inline std::string_view advice_on_refusal(const reply& r, phase where) {
    if (r.code == 530) return "The server wants credentials first, or TLS.";
    if (r.transient()) return "Not now: try again in some minutes; a server that greylists does so at the first time.";
    if (where == phase::mail) return "The server does not take mail from this sender: use an address of your account.";
    if (r.code == 551 || r.enhanced == enhanced_code{5, 7, 1} || r.code == 554)
        return "The server does not relay for you: give credentials, or use the server of the recipient's domain.";
    return "Check the address; the server's words say more.";
}

}  // namespace detail

POSTROAD_DECL void detail::examiner::on(const observation& o) noexcept try {
    if (also_) also_->on(o);
    switch (o.what) {
        case observed::resolved: return add(o, grade::good, server_.name + " is " + escaped(o.text, 300));
        case observed::connected: return add(o, grade::good, "connected to " + escaped(o.text));
        case observed::tls_established: in_tls_ = true; return add(o, grade::good, escaped(o.text, 500));
        case observed::command: last_reply_.clear(); return commands_.push_back(std::string(o.text));
        case observed::reply: return on_reply(o);
        case observed::decision: return add(o, grade::notice, escaped(o.text, 500));
        case observed::closed: {
            if (!o.error) return;
            auto text = o.text.empty() ? o.error.message() : escaped(o.text, 500);
            if (o.where != phase::idle && !last_reply_.empty()) text += "; it said: " + last_reply_;
            if (!error_) error_ = o.error;
            return add(o, grade::bad, std::move(text), std::string(advice(o.error, o.where, server_)));
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
        case phase::policy:
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
    add(o, grade::bad, text, std::string(advice_on_refusal(r, o.where)));
}

POSTROAD_DECL void detail::examiner::ready(const smtp::capabilities& offered, bool credentials_given) {
    const auto notice = [this](phase where, std::string text, std::string advice) {
        steps_.push_back({where, grade::notice, {}, name_, std::move(text), std::move(advice)});
    };
    if (!in_tls_ && !server_.is_local())
        notice(phase::tls, "everything goes in the clear",
               offered.starttls ? "The server offers STARTTLS: use smtp://." : "");
    if (!credentials_given && !offered.auth.empty())
        notice(phase::auth, "the server offers authentication, and no credentials are given",
               "A submission server will refuse recipients: put USER:PASSWORD@ into the URL.");
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

POSTROAD_DECL diagnosis diagnose(std::string_view url, const diagnose_options& options) {
    const transport::smtp transport(url);
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
