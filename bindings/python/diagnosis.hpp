#pragma once
// postroad::diagnose() for Python.

#include "direct.hpp"
#include "settings.hpp"

#include <postroad/diagnose.hpp>

#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace postroad::python {

/// Of mx://, in direct.cpp.
std::function<diagnosis()> direct_diagnosis(const py::dict& options, const diagnose_options& how);

/// submission_url() by the DNS, as an mx:// URL says whom to ask; in direct.cpp.
std::string found_url(const std::string& address, const std::string& by);

inline std::function<diagnosis()> diagnosis_of(const py::dict& options, const diagnose_options& how) {
    if (is_direct(options)) return direct_diagnosis(options, how);
    for (const auto* name : {"sign", "header"})
        if (given(options, name)) throw error(errc::contradiction, std::string(name) + " is of use with mx:// only");
    auto url = options["url"].cast<std::string>();
    if (const auto by = options["lookup"].cast<std::string>(); !by.empty()) url = found_url(url, by);
    url = submission_url(url);
    const auto parts = transport::parse_url(url);
    refuse_both(options, parts);
    const auto from_url = transport_of(url, options);
    return [transport = transport::smtp(transport_options(from_url, parts, options)),
            security = tls_policy(from_url, options), how] { return diagnose(transport, security, how); };
}

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
    auto look = diagnosis_of(options, {.from = sender, .to = octets_of(recipients), .patience = seconds(patience)});
    const auto w = std::make_shared<work>();
    std::thread([w, look = std::move(look)] {
        diagnosis found;
        std::exception_ptr failure;
        try {
            found = look();
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
