#pragma once
// Reports to the sender of a message that is over without being delivered, or late. See docs/reports.md.

#include <postroad/core/clock.hpp>
#include <postroad/core/config.hpp>
#include <postroad/message/compose_report.hpp>
#include <postroad/queueing/job.hpp>

#include <chrono>
#include <functional>
#include <optional>
#include <string>

namespace postroad::engine {

/// Makes the report that the sender of a job gets, ready to be queued: with delivery_action::failed when the job is
/// over, with delayed when it is late. Nothing if nobody wants one. On the executor.
using reporter = std::function<std::optional<job>(const job&, delivery_action, time_point)>;
/// Writes it, if somebody wants one. Handed to the engine, so that a program that never asks for reports has none of
/// what writes them.
using report_writer = std::function<std::optional<mail_object>(const job&, delivery_action, time_point)>;

/// Both clocks at one moment.
struct moment {
    time_point now = {};
    std::chrono::system_clock::time_point wall = {};
};

/// What a report says of a job: who was rejected, or not reached until it was given up; with delayed, who waits still.
/// Who is in doubt is in none, since he may have the message. Nothing about what was cancelled or stopped, and whatever
/// compose_report() has nothing for. Throws what compose_report() throws.
POSTROAD_DECL std::optional<mail_object> report_about(const job& j, delivery_action what, report_options options,
                                                      const moment& at);

/// Of a queue that keeps keys: a job that is tried anew after a crash has one report of a kind.
POSTROAD_DECL std::string report_key(const job& j, delivery_action what);

}  // namespace postroad::engine

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/engine/impl/reporting.ipp>
#endif
