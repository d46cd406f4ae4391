#pragma once

#include <postroad/core/outcome.hpp>

namespace postroad {

POSTROAD_DECL std::string_view to_string(status s) noexcept {
    switch (s) {
        case status::not_attempted: return "not_attempted";
        case status::accepted: return "accepted";
        case status::rejected: return "rejected";
        case status::deferred: return "deferred";
        case status::in_doubt: return "in_doubt";
    }
    return "unknown";
}

POSTROAD_DECL std::string to_string(enhanced_code c) {
    return std::to_string(c.kind) + '.' + std::to_string(c.subject) + '.' + std::to_string(c.detail);
}

POSTROAD_DECL std::string to_string(const reply& r) {
    if (r.code == 0) return {};
    std::string text = std::to_string(r.code);
    if (r.enhanced) text += ' ' + to_string(r.enhanced);
    if (!r.text.empty()) text += ' ' + escaped(r.text);
    return text;
}

POSTROAD_DECL void outcome::require_accepted() const {
    if (!all_accepted()) throw not_accepted(*this);
}

POSTROAD_DECL send_error::send_error(error_code ec, outcome o) : error(ec, o.details), outcome_(std::move(o)) {}

namespace detail {

inline outcome explain_refusals(outcome o) {
    if (!o.details.explanation.empty()) return o;
    for (const auto& r : o.recipients) {
        if (r.status == status::accepted) continue;
        if (!o.details.explanation.empty()) o.details.explanation += "; ";
        o.details.explanation += r.address + ' ' + std::string(to_string(r.status));
        if (r.reply.code != 0) o.details.explanation += ' ' + to_string(r.reply);
        if (o.details.explanation.size() > 500) {
            o.details.explanation += "; ...";
            break;
        }
    }
    if (o.recipients.empty()) o.details.explanation = "the message has no recipient";
    return o;
}

inline errc refusal_code(const outcome& o) {
    if (o.any_are(status::rejected)) return errc::recipients_rejected;
    if (o.any_are(status::in_doubt)) return errc::in_doubt;
    return errc::recipients_deferred;
}

}  // namespace detail

POSTROAD_DECL not_accepted::not_accepted(outcome o)
    // A copy: in which order arguments are made is the compiler's choice.
    : send_error(detail::refusal_code(o), detail::explain_refusals(o)) {}

}  // namespace postroad
