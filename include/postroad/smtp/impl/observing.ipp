#pragma once
// What a session tells its observer.

#include <postroad/smtp/session.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

namespace postroad::smtp {
namespace detail {

inline std::string redacted_octets(std::size_t n) { return "[redacted " + std::to_string(n) + " octets]"; }

}  // namespace detail

POSTROAD_DECL void session::observe(observer* to, std::uint64_t connection) {
    observer_ = to;
    connection_ = connection;
    server_name_ = host();
}

POSTROAD_DECL bool session::verified() const noexcept {
    return secured_ && verified_.value_or(options_.server.security != security::opportunistic);
}

POSTROAD_DECL void session::note(observation o) const {
    o.time = now_;
    o.connection = connection_;
    o.server = server_name_;
    observer_->on(o);
}

POSTROAD_DECL void session::note_tls() const {
    if (!tls_.empty()) note({.what = observed::tls_established, .where = phase::tls, .text = tls_});
}

POSTROAD_DECL void session::note_command(phase where) const {
    auto line = std::string_view(commands_).substr(commands_cut_);
    while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
    std::string safe;
    if (where == phase::auth) {
        // The mechanism is no secret, everything behind it is.
        const auto shown = line.starts_with("AUTH ") ? std::min(line.find(' ', 5), line.size()) : 0;
        safe = line.substr(0, shown);
        if (shown < line.size())
            safe += safe.empty() ? detail::redacted_octets(line.size())
                                 : ' ' + detail::redacted_octets(line.size() - shown - 1);
        line = safe;
    }
    const bool of_message = state_ == state::open && writing_ < transactions_.size() && where != phase::reset;
    note({.what = observed::command,
          .message = of_message ? transactions_[writing_].what.id : 0,
          .where = where,
          .text = line});
}

POSTROAD_DECL void session::note_reply(const reply& r) const {
    const bool due = !expected_.empty();
    const bool of_message = due && state_ == state::open && !transactions_.empty();
    observation o{.what = observed::reply,
                  .message = of_message ? transactions_.front().what.id : 0,
                  .where = current_phase(),
                  .answer = &r,
                  .took = due ? now_ - expected_.front().since : duration::zero()};
    if (r.code != 334 || r.text.empty()) return note(o);
    // Challenges are derived from secrets.
    const reply safe{r.code, r.enhanced, detail::redacted_octets(r.text.size())};
    o.answer = &safe;
    note(o);
}

POSTROAD_DECL void session::note_decision(phase where, std::string_view text) const {
    note({.what = observed::decision, .where = where, .text = text});
}

POSTROAD_DECL void session::note_pipelining() const {
    const bool automatic = options_.pipelining == pipelining::automatic;
    if (limit_ == options_.pipelining || (automatic && limit_ != pipelining::lockstep)) return;
    note_decision(phase::hello, limit_ == pipelining::lockstep
                                    ? "no pipelining: the server does not offer PIPELINING, each command waits"
                                    : "no window: the server does not offer CHUNKING, or took no BDAT before");
}

POSTROAD_DECL void session::observe_tls(std::string facts, bool resumed, std::string_view doubt,
                                        std::string_view proof) {
    facts += verified_.value_or(false) ? ", verified" : ", not verified";
    if (!proof.empty()) (facts += " by TLSA ") += proof;
    if (!doubt.empty()) (facts += ": ") += doubt;
    if (resumed) facts += ", resumed";
    tls_ = std::move(facts);
}

}  // namespace postroad::smtp
