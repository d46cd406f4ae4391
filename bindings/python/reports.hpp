#pragma once
// Reports that came back, and those that are written.

#include "envelope.hpp"
#include "words.hpp"

#include <postroad/message/delivery_report.hpp>
#include <postroad/message/failure_cause.hpp>
#include <postroad/message/server_text.hpp>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace postroad::python {

namespace py = pybind11;

inline py::object read_report(const std::string& octets) {
    const auto report = parse_delivery_report(octets);
    if (!report) return py::none();
    py::list recipients;
    for (const auto& r : report->recipients) {
        const auto why = cause_of(r);
        recipients.append(py::make_tuple(text(r.original), text(r.final), text(to_string(r.action)),
                                         r.status ? py::object(text(to_string(r.status))) : py::none(),
                                         text(r.diagnostic), text(r.remote_mta), text(r.will_retry_until),
                                         text(to_string(why.cause)), text(to_string(why.how_sure))));
    }
    static constexpr const char* forms[] = {"standard", "header", "text"};
    return py::make_tuple(forms[static_cast<std::size_t>(report->form)], text(report->envelope_id),
                          text(report->original_message_id), text(report->reporting_mta), text(report->feedback_type),
                          text(report->source_ip), py::tuple(recipients));
}

/// Original, final, action, status, diagnostic, remote MTA, until.
using given_recipient = std::array<std::string, 7>;

inline std::vector<reported_recipient> recipients_from(const std::vector<given_recipient>& given) {
    std::vector<reported_recipient> result;
    for (const auto& g : given) {
        reported_recipient r{.original = g[0], .final = g[1], .status = postroad::detail::status_within(g[3])};
        for (const auto a : {delivery_action::failed, delivery_action::delayed, delivery_action::delivered,
                             delivery_action::relayed, delivery_action::expanded})
            if (to_string(a) == g[2]) r.action = a;
        r.diagnostic = g[4];
        r.remote_mta = g[5];
        r.will_retry_until = g[6];
        result.push_back(std::move(r));
    }
    return result;
}

/// `words`: host, text, subject. Nothing, or the octets and whom they are for.
inline py::object write_report(const std::string& about, const std::optional<std::string>& sender,
                               const std::vector<given_recipient>& given, const std::array<std::string, 3>& words,
                               std::optional<double> arrived, bool full) {
    const auto recipients = recipients_from(given);
    given_envelope to{.sender = sender};
    if (!given.empty()) to.recipients.emplace();
    for (const auto& r : recipients) to.recipients->push_back(r.final);
    auto mail = mail_of(about, to);
    mail.envelope.options.returned = full ? returned::full : returned::headers;
    const auto now = std::chrono::system_clock::now();
    report_options options{.reporting_mta = words[0], .text = words[1], .subject = words[2]};
    if (arrived)
        options.arrived = std::chrono::system_clock::time_point(std::chrono::seconds(static_cast<long long>(*arrived)));
    const auto report = compose_report(mail, recipients, options, now);
    if (!report) return py::none();
    return py::make_tuple(py::bytes(std::string(report->content.text())),
                          text(report->envelope.recipients.front().str()));
}

inline void define_reports(py::module_& m) {
    m.def(
        "read_report", [](const py::bytes& octets) { return read_report(octets); }, py::arg("octets"));
    m.def("write_report", &write_report, py::arg("about"), py::arg("sender"), py::arg("recipients"), py::arg("words"),
          py::arg("arrived"), py::arg("full"));
}

}  // namespace postroad::python
