#pragma once
// What a failure means: whom it is about, and so what is done next. The only place that decides it.

#include <postroad/core/config.hpp>
#include <postroad/core/error.hpp>
#include <postroad/core/outcome.hpp>
#include <postroad/queueing/job.hpp>
#include <postroad/smtp/session.hpp>

namespace postroad::engine {

/// What the end of a connection, or of a transaction, means.
enum class ruling : unsigned char {
    settled,    ///< the server answered, and its replies say the rest: recipients that are unsettled are judged
    over,       ///< the message: it cannot go, here or elsewhere
    later,      ///< the message: it was tried, and is judged by the rules for retries
    again,      ///< nobody: it goes at once, on another connection
    elsewhere,  ///< the server does not offer what the message needs: it goes at once, to another server of the site
    outage,     ///< the server, for now
    setting,    ///< the server, until somebody changes something
    refused,    ///< the sender or the client, which the reply does not tell apart (550 5.7.1 to MAIL)
    doubt,      ///< nobody knows whether it arrived
    ours,       ///< we ended it
};

/// Of a connection that ended before a server replied to a MAIL on it: outage or setting.
POSTROAD_DECL ruling ruling_of(const smtp::closed& why);

/// What the connection of a transaction did before.
struct connection_past {
    bool carried = false;  ///< its server took a MAIL on it, or it rested so long that it may have gone stale
};

POSTROAD_DECL ruling ruling_of(const smtp::finished& f, connection_past past);

/// Whether a refusal says that the server lost its place, not what it thinks of the message.
inline bool is_out_of_order(const reply& r) noexcept { return r.code == 500 || r.code == 502 || r.code == 503; }

/// Whether it says that a server does not offer what the message needs. Another one may.
POSTROAD_DECL bool is_lack(error_code ec) noexcept;

/// Whether the connection cannot go on after a transaction with that error.
POSTROAD_DECL bool breaks_connection(error_code ec);

/// What schedulers hear of it.
POSTROAD_DECL blame blame_of(ruling r) noexcept;

/// Whether a login was refused: doing it again may lock the account.
inline bool is_refused_login(error_code ec) noexcept { return ec == errc::authentication_rejected; }

}  // namespace postroad::engine

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/engine/impl/verdict.ipp>
#endif
