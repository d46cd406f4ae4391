#pragma once

#include <postroad/engine/reporting.hpp>

#include <postroad/message/header.hpp>

#include <string_view>
#include <utility>
#include <vector>

namespace postroad::engine {
namespace detail {

// Whether that is to be said of a recipient.
inline bool is_reported(const recipient_outcome& r, delivery_action what) noexcept {
    if (what == delivery_action::delayed) return r.status == status::deferred || r.status == status::not_attempted;
    return r.status != status::accepted && r.status != status::in_doubt;
}

// "mx.example.org:25" without the port
inline std::string host_of(const diagnostics& d) { return d.host.substr(0, d.host.rfind(':')); }

inline reported_recipient reported_as(const job& j, const recipient_outcome& r, delivery_action what,
                                      const moment& at) {
    auto result = reported(r);
    result.action = what;
    if (result.diagnostic.empty()) result.diagnostic = describe(j.error, j.result.details);
    if (r.reply.code != 0) result.remote_mta = host_of(j.result.details);
    if (what == delivery_action::delayed && j.deadline != never)
        result.will_retry_until = postroad::detail::format_date(
            at.wall + std::chrono::duration_cast<std::chrono::system_clock::duration>(j.deadline - at.now), {});
    return result;
}

}  // namespace detail

POSTROAD_DECL std::optional<mail_object> report_about(const job& j, delivery_action what, report_options options,
                                                      const moment& at) {
    if (!j.mail || j.error == errc::cancelled || j.error == errc::shut_down) return {};
    std::vector<reported_recipient> recipients;
    for (const auto& r : j.result.recipients)
        if (detail::is_reported(r, what)) recipients.push_back(detail::reported_as(j, r, what, at));
    if (recipients.empty()) return {};
    if (j.submitted != time_point::min())
        options.arrived =
            at.wall - std::chrono::duration_cast<std::chrono::system_clock::duration>(at.now - j.submitted);
    return compose_report(*j.mail, recipients, options, at.wall);
}

POSTROAD_DECL std::string report_key(const job& j, delivery_action what) {
    return "report " + std::string(to_string(what)) + ' ' + std::to_string(j.id);
}

}  // namespace postroad::engine
