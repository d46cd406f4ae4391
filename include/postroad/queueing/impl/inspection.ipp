#pragma once

#include <postroad/queueing/inspection.hpp>

#include <postroad/message/utf8.hpp>

namespace postroad::queueing {

POSTROAD_DECL std::string_view to_string(job_state s) noexcept {
    switch (s) {
        case job_state::waiting: return "waiting";
        case job_state::delayed: return "delayed";
        case job_state::sending: return "sending";
        case job_state::held: return "held";
        case job_state::in_doubt: return "in_doubt";
        case job_state::failed: return "failed";
    }
    return "unknown";
}

namespace detail {

// What is said of the attempt as a whole, or to the first recipient that was not accepted.
inline std::string why_not_whole(const job& j) {
    if (j.error) return postroad::describe(j.error, j.result.details);
    for (const auto& r : j.result.recipients) {
        if (r.status == status::accepted) continue;
        if (r.reply.code != 0) return to_string(r.reply);
        if (r.error) return postroad::describe(r.error, {.where = r.where, .explanation = r.why});
    }
    return {};
}

}  // namespace detail

POSTROAD_DECL bool job_filter::matches(const job_info& j) const {
    // Over, so that it is meant by who says so.
    if (j.state == job_state::failed && !state && !id && !whole) return false;
    if ((id && *id != j.id) || (whole && *whole != j.whole) || (state && *state != j.state)) return false;
    if ((!tenant.empty() && tenant != j.tenant) || (!tag.empty() && tag != j.tag)) return false;
    if (domain.empty()) return true;
    if (j.recipients.empty()) return false;
    const std::string_view first = j.recipients.front().address;
    return postroad::detail::equal_ignoring_case(domain, first.substr(first.rfind('@') + 1));
}

POSTROAD_DECL job_info describe(const job& j, job_state s, time_point now) {
    job_info info{.id = j.id,
                  .whole = j.whole,
                  .state = s,
                  .age = queueing::age(j.submitted, now),
                  .until = s == job_state::delayed ? between(now, j.due) : duration::zero(),
                  .attempts = j.result.attempts,
                  .traffic_class = j.traffic_class,
                  .tenant = j.tenant,
                  .tag = j.tag,
                  .recipients = j.result.recipients,
                  .error = detail::why_not_whole(j)};
    if (!j.mail) return info;
    info.octets = j.mail->content.size();
    info.sender = j.mail->envelope.reverse_path.str();
    if (info.recipients.empty())
        for (const auto& to : j.mail->envelope.recipients) info.recipients.push_back({.address = to.str()});
    return info;
}

}  // namespace postroad::queueing
