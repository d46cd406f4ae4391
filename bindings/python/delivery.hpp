#pragma once
// What is asked for one message: when it is sent, and what the server is to do with it.

#include "options.hpp"

#include <postroad/queueing/job.hpp>
#include <postroad/smtp/parameters.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::python {

struct wishes {
    send_options queued = {};
    mail_options mail = {};
    recipient_options each = {};  ///< of every recipient

    void apply(envelope& e) const {
        e.options = mail;
        if (each != recipient_options{}) e.recipient_options.assign(e.recipients.size(), each);
    }
};

inline notify notify_of(const std::vector<std::string>& events) {
    notify n;
    for (const auto& event : events)
        (event == "never" ? n.never : event == "success" ? n.success : event == "failure" ? n.failure : n.delay) = true;
    return n;
}

inline address submitter_of(const std::string& text) {
    try {
        return text.empty() ? address() : address(text);
    } catch (const error& e) {
        throw error(errc::invalid_address, "submitter: " + e.details().explanation);
    }
}

inline wishes wishes_from(const py::dict& given_wishes) {
    using std::chrono::seconds;
    const auto& d = given_wishes;
    wishes w;
    if (d.empty()) return w;
    take<double>(d, "delay", [&](double v) { w.queued.delay = python::seconds(v); });
    take<double>(d, "give_up_after", [&](double v) { w.queued.give_up_after = python::seconds(v); });
    take<std::uint8_t>(d, "traffic_class", [&](std::uint8_t v) { w.queued.traffic_class = v; });
    take<std::string>(d, "tenant", [&](std::string v) { w.queued.tenant = std::move(v); });
    take<std::string>(d, "tag", [&](std::string v) { w.queued.tag = std::move(v); });
    take<std::string>(d, "idempotency_key", [&](std::string v) { w.queued.idempotency_key = std::move(v); });
    take<std::vector<std::string>>(d, "notify", [&](const auto& v) { w.each.notify = notify_of(v); });
    take<std::string>(d, "original_recipient", [&](std::string v) { w.each.original_recipient = std::move(v); });
    take<std::string>(d, "returned", [&](const std::string& v) {
        w.mail.returned = v == "full" ? returned::full : returned::headers;
    });
    take<std::string>(d, "envelope_id", [&](std::string v) { w.mail.envelope_id = std::move(v); });
    take<long long>(d, "deliver_by", [&](long long v) { w.mail.deliver_by = deliver_by{.within = seconds(v)}; });
    if (auto& by = w.mail.deliver_by) {
        take<std::string>(d, "when_late", [&](const std::string& v) {
            by->when_late = v == "give_up" ? deliver_by::late::give_up : deliver_by::late::notify;
        });
        take<bool>(d, "trace", [&](bool v) { by->trace = v; });
    }
    take<long long>(d, "hold_for", [&](long long v) { w.mail.hold_for = seconds(v); });
    take<long long>(d, "hold_until", [&](long long v) { w.mail.hold_until = std::chrono::sys_seconds(seconds(v)); });
    take<int>(d, "priority", [&](int v) { w.mail.priority = v; });
    take<bool>(d, "require_tls", [&](bool v) { w.mail.require_tls = v; });
    take<std::string>(d, "submitter", [&](const std::string& v) { w.mail.submitter = submitter_of(v); });
    return w;
}

/// Throws `error` that names what no server takes.
inline void check_wishes(const py::dict& given_wishes) {
    envelope e;
    e.recipients.emplace_back();
    wishes_from(given_wishes).apply(e);
    try {
        postroad::smtp::check(e);
    } catch (const error& refused) {
        auto text = refused.details().explanation;
        for (const std::string_view prefix : {"envelope.options.", "envelope.recipient_options[0]."})
            if (text.starts_with(prefix)) text.erase(0, prefix.size());
        throw error(errc::invalid_option, std::move(text));
    }
}

}  // namespace postroad::python
