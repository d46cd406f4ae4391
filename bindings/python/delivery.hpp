#pragma once
// What is asked for one message: when it is sent, and what the server is to do with it.

#include "options.hpp"

#include <postroad/queueing/job.hpp>
#include <postroad/smtp/parameters.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
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

inline returned returned_of(std::string_view text) { return text == "full" ? returned::full : returned::headers; }

inline address submitter_of(const std::string& text) {
    try {
        return text.empty() ? address() : address(text);
    } catch (const error& e) {
        throw error(errc::invalid_address, "submitter: " + e.details().explanation);
    }
}

/// How each argument is taken, by its name; what two of them say of `deliver_by` is left to who has read all.
inline const auto& ways_to_take() {
    using std::chrono::seconds;
    using take_one = void (*)(wishes&, py::handle);
    static const std::unordered_map<std::string_view, take_one> ways = {
        {"delay", [](wishes& w, py::handle v) { w.queued.delay = python::seconds(v.cast<double>()); }},
        {"give_up_after", [](wishes& w, py::handle v) { w.queued.give_up_after = python::seconds(v.cast<double>()); }},
        {"traffic_class", [](wishes& w, py::handle v) { w.queued.traffic_class = v.cast<std::uint8_t>(); }},
        {"tenant", [](wishes& w, py::handle v) { w.queued.tenant = v.cast<std::string>(); }},
        {"tag", [](wishes& w, py::handle v) { w.queued.tag = v.cast<std::string>(); }},
        {"idempotency_key", [](wishes& w, py::handle v) { w.queued.idempotency_key = v.cast<std::string>(); }},
        {"notify", [](wishes& w, py::handle v) { w.each.notify = notify_of(v.cast<std::vector<std::string>>()); }},
        {"original_recipient", [](wishes& w, py::handle v) { w.each.original_recipient = v.cast<std::string>(); }},
        {"returned", [](wishes& w, py::handle v) { w.mail.returned = returned_of(v.cast<std::string_view>()); }},
        {"envelope_id", [](wishes& w, py::handle v) { w.mail.envelope_id = v.cast<std::string>(); }},
        {"deliver_by",
         [](wishes& w, py::handle v) { w.mail.deliver_by = deliver_by{.within = seconds(v.cast<long long>())}; }},
        {"hold_for", [](wishes& w, py::handle v) { w.mail.hold_for = seconds(v.cast<long long>()); }},
        {"hold_until",
         [](wishes& w, py::handle v) { w.mail.hold_until = std::chrono::sys_seconds(seconds(v.cast<long long>())); }},
        {"priority", [](wishes& w, py::handle v) { w.mail.priority = v.cast<int>(); }},
        {"require_tls", [](wishes& w, py::handle v) { w.mail.require_tls = v.cast<bool>(); }},
        {"submitter", [](wishes& w, py::handle v) { w.mail.submitter = submitter_of(v.cast<std::string>()); }},
    };
    return ways;
}

inline wishes wishes_from(const py::dict& given_wishes) {
    wishes w;
    // Few are given: each of them is looked for among the names, not each name among them.
    for (const auto& [name, value] : given_wishes) {
        const auto way = ways_to_take().find(name.cast<std::string_view>());
        if (way != ways_to_take().end() && !value.is_none()) way->second(w, value);
    }
    if (auto& by = w.mail.deliver_by) {
        take<std::string>(given_wishes, "when_late", [&](const std::string& v) {
            by->when_late = v == "give_up" ? deliver_by::late::give_up : deliver_by::late::notify;
        });
        take<bool>(given_wishes, "trace", [&](bool v) { by->trace = v; });
    }
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
