#pragma once
// postroad::diagnose() for Python.

#include "settings.hpp"

#include <postroad/diagnose.hpp>

#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace postroad::python {

inline std::vector<std::string> octets_of(const std::vector<py::bytes>& list) { return {list.begin(), list.end()}; }

/// Blocks without the GIL. On a thread of its own, so that a signal ends the wait; the thread then ends by itself, each
/// step within `patience`.
inline diagnosis diagnose_for(const py::dict& options, const std::string& sender,
                              const std::vector<py::bytes>& recipients, double patience) {
    struct work {
        std::mutex mutex;
        std::condition_variable changed;
        diagnosis found;
        std::exception_ptr failure;
        bool done = false;
    };
    const auto url = submission_url(options["url"].cast<std::string>());
    const auto parts = transport::parse_url(url);
    refuse_both(options, parts);
    const auto from_url = transport_of(url, options);
    const transport::smtp transport(transport_options(from_url, parts, options));
    const auto security = tls_policy(from_url, options);
    const diagnose_options how{.from = sender, .to = octets_of(recipients), .patience = seconds(patience)};
    const auto w = std::make_shared<work>();
    std::thread([w, transport, security, how] {
        diagnosis found;
        std::exception_ptr failure;
        try {
            found = diagnose(transport, security, how);
        } catch (...) {
            failure = std::current_exception();
        }
        {
            const std::scoped_lock lock(w->mutex);
            w->found = std::move(found);
            w->failure = failure;
            w->done = true;
        }
        w->changed.notify_all();
    }).detach();
    wait_for(w->mutex, w->changed, std::nullopt, [&] { return w->done; });
    if (w->failure) std::rethrow_exception(w->failure);
    return std::move(w->found);
}

}  // namespace postroad::python
