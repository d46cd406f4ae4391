#pragma once
// What it means that a job failed, in every queue that keeps those. See docs/queueing.md.

#include <postroad/queueing/job.hpp>

#include <utility>

namespace postroad::queueing {

/// Of a job that is over: not all got it, and nobody wanted it so.
inline bool has_failed(const job& j) {
    if (j.result.all_accepted() || j.error == errc::cancelled || j.error == errc::shut_down) return false;
    return j.error || !j.result.recipients.empty();
}

/// What is said of a job whose time was over while it waited.
inline diagnostics given_up_waiting() {
    return {.where = phase::queued, .explanation = "it was given up: its time was over while it waited"};
}

/// A failed job as if it were new, for those that did not get it; its ids and times are its queue's.
inline job begun_anew(const job& j) {
    job fresh{.mail = j.mail, .result = j.result, .error = j.error};
    fresh.result.attempts = 0;
    for (auto& r : fresh.result.recipients)
        if (r.status != status::accepted) r = {.address = std::move(r.address)};
    return fresh;
}

}  // namespace postroad::queueing
