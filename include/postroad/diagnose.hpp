#pragma once
// Finds out why mail does not go: every step to a server up to the recipients, what was found there, and how to mend
// it. Nothing is sent. See docs/troubleshooting.md.

#include <postroad/core/error.hpp>
#include <postroad/core/observer.hpp>
#include <postroad/core/transcript.hpp>
#include <postroad/engine/carriers.hpp>
#include <postroad/mailer.hpp>
#include <postroad/net/connection.hpp>
#include <postroad/smtp/advice.hpp>
#include <postroad/smtp/session.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace postroad {

/// How a step went.
enum class grade : unsigned char {
    good,
    notice,  ///< it works, and could be better
    bad,
};

/// One step on the way. The texts are safe to print.
struct diagnosis_step {
    phase where = phase::prepare;
    grade how = grade::good;
    duration took = {};       ///< since the step before
    std::string server = {};  ///< "name:port"
    std::string text = {};    ///< what was found
    std::string advice = {};  ///< what to do, where there is something
};

struct diagnosis {
    std::vector<diagnosis_step> steps = {};
    error_code error = {};  ///< of the first step that failed; errc::recipients_rejected or recipients_deferred if the
                            ///< sender or a recipient was refused

    /// Whether every step worked.
    bool good() const noexcept { return !error; }
};

struct diagnose_options {
    std::string from = {};             ///< sender of the trial; empty: the null address
    std::vector<std::string> to = {};  ///< recipients of the trial; none: it ends when the server is ready for mail
    /// For each step; the options of the URL and of smtp count where they are shorter.
    duration patience = std::chrono::seconds(30);
    /// Is told everything as well, for a transcript.
    std::shared_ptr<observer> also = {};
};

/// The URL of the submission server for this mail address, without credentials: of a well-known service, see
/// services() (nothing is asked on the network). What has `://` in it comes back as it is. Throws `error`:
/// errc::invalid_url for the address of a domain that is none's, errc::invalid_address for what is none.
POSTROAD_DECL std::string submission_url(std::string_view address_or_url);

/// Looks up, connects, establishes TLS, greets, authenticates, and asks about sender and recipients (MAIL and RCPT,
/// then QUIT), at each server of `url`, which may be a mail address, see submission_url(). Blocks until that is done.
/// The credentials are used, once at each server. Throws `error` for a URL or an address that is wrong; what goes wrong
/// on the way is in the diagnosis.
POSTROAD_DECL diagnosis diagnose(std::string_view url, const diagnose_options& options = {});

/// The same for a transport and a TLS policy.
template <tls::tls_policy Tls = tls::automatic>
diagnosis diagnose(const transport::smtp& transport, const Tls& tls, const diagnose_options& options = {});

/// A line for each step, and one for each advice.
POSTROAD_DECL std::string to_string(const diagnosis& d);

namespace detail {

using smtp::whose_server;

// Makes steps of what is observed.
class examiner final : public observer {
public:
    examiner(const endpoint& server, std::shared_ptr<observer> also, time_point now,
             whose_server whose = whose_server::ours)
        : server_(server), name_(to_string(server)), also_(std::move(also)), last_(now), whose_(whose) {}

    POSTROAD_DECL void on(const observation& o) noexcept override;
    /// The server is ready for mail.
    POSTROAD_DECL void ready(const smtp::capabilities& offered, bool credentials_given);
    /// The trial is over; the server may have been asked nothing.
    POSTROAD_DECL void ended(const smtp::finished& trial);
    POSTROAD_DECL void move_into(diagnosis& d);

private:
    void add(const observation& o, grade how, std::string text, std::string advice = {});
    void on_reply(const observation& o);
    void on_envelope_reply(const observation& o, const std::string& command);

    endpoint server_;
    std::string name_;
    std::shared_ptr<observer> also_;
    time_point last_;
    std::vector<diagnosis_step> steps_;
    ring<std::string> commands_;  // that wait for their reply
    std::string last_reply_;
    reply last_said_;
    error_code error_;
    bool in_tls_ = false;
    whose_server whose_;
};

// One connection to one server.
template <class Tls>
class examination {
public:
    using wire = net::connection<smtp::session, typename Tls::engine_type, examination>;

    examination(const transport::smtp& transport, const Tls& tls, mail_ptr mail, examiner& e)
        : transport_(transport), tls_(tls), mail_(std::move(mail)), examiner_(e) {}

    void run(endpoint to) {
        const auto start = tls_.starts(to);
        to.security = start == tls::start::never         ? security::insecure_none
                      : start == tls::start::immediately ? security::implicit
                      : start == tls::start::if_offered  ? security::opportunistic
                                                         : security::starttls;
        auto session = transport_.make_session(to, engine::fresh_nonce());
        session.observe(&examiner_, 1);
        const auto maker = [context = std::shared_ptr<const typename Tls::context_type>(), to, this]() mutable {
            if (!context) context = tls_.make_context();
            return std::make_unique<typename Tls::engine_type>(context, to);
        };
        connection_ = std::make_shared<wire>(context_->get_executor(),
                                             typename wire::link_type(std::move(session), start, maker), *this);
        where_ = to_string(to);
        connection_->dial(to, to.addresses.all, transport_.dialing());
        context_->run();
    }

    void touched(wire& w, time_point now) {
        w.turn(now, [&] { take_events(w, now); });
    }
    void ended(wire&) {}
    void found(const std::vector<std::string>& addresses) {
        std::string all;
        for (const auto& a : addresses) (all += all.empty() ? "" : ", ") += a;
        tell(observed::resolved, phase::resolve, all);
    }
    void reached(const std::string& address) { tell(observed::connected, phase::connect, address); }

private:
    void take_events(wire& w, time_point now) {
        auto& s = w.session();
        while (auto e = s.poll()) {
            if (std::holds_alternative<smtp::ready>(*e)) {
                const auto& o = transport_.options();
                examiner_.ready(s.server(), !o.credentials.empty() || o.credentials_source);
                if (mail_)
                    s.submit({.id = 1, .mail = mail_, .dry_run = true}, now);
                else
                    s.quit(now);
            } else if (const auto* f = std::get_if<smtp::finished>(&*e)) {
                examiner_.ended(*f);
                s.quit(now);
            } else if (const auto* c = std::get_if<smtp::credentials_wanted>(&*e)) {
                ask(w, c->refused_token);
            }
        }
    }
    void tell(observed what, phase where, const std::string& text) {
        examiner_.on(
            {.what = what, .time = clock::now(), .connection = 1, .server = where_, .where = where, .text = text});
    }
    void ask(wire& w, const secret& refused_token) {
        transport_.provide_credentials({.server = w.session().peer(), .refused_token = refused_token},
                                       [context = context_, weak = w.weak_from_this()](smtp::credentials_answer a) {
                                           asio::post(*context, [weak, a = std::move(a)]() mutable {
                                               const auto c = weak.lock();
                                               if (!c) return;
                                               if (a.error)
                                                   c->session().no_credentials(a.error, std::move(a.explanation),
                                                                               clock::now());
                                               else
                                                   c->session().credentials(std::move(a.credentials), clock::now());
                                               c->touch();
                                           });
                                       });
    }

    // Shared: an answer may come when all is over.
    std::shared_ptr<asio::io_context> context_ = std::make_shared<asio::io_context>(1);
    const transport::smtp& transport_;
    const Tls& tls_;
    mail_ptr mail_;
    examiner& examiner_;
    std::shared_ptr<wire> connection_;
    std::string where_;
};

/// The envelope of the trial; null if there are no recipients.
POSTROAD_DECL mail_ptr trial(const diagnose_options& options);
/// With every time-out at most `patience`.
POSTROAD_DECL transport::smtp impatient(const transport::smtp& transport, duration patience);

/// One server, from the look-up on.
template <tls::tls_policy Tls>
void examine(const transport::smtp& hasty, const Tls& tls, const mail_ptr& mail, const endpoint& server, examiner& e) {
    try {
        examination<Tls>(hasty, tls, mail, e).run(server);
    } catch (const error& bad) {
        e.on({.what = observed::closed,
              .time = clock::now(),
              .where = bad.details().where,
              .text = bad.details().explanation,
              .error = bad.code()});
    }
}

}  // namespace detail

template <tls::tls_policy Tls>
diagnosis diagnose(const transport::smtp& transport, const Tls& tls, const diagnose_options& options) {
    const auto mail = detail::trial(options);
    const auto hasty = detail::impatient(transport, options.patience);
    diagnosis d;
    for (const auto& server : hasty.hosts({})) {
        detail::examiner e(server, options.also, clock::now());
        detail::examine(hasty, tls, mail, server, e);
        e.move_into(d);
    }
    return d;
}

}  // namespace postroad

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/impl/diagnose.ipp>
#endif
