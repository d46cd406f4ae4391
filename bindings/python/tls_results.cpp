// How TLS with the servers of domains went: counted for a Mailer of mx://, and told (RFC 8460).

#include "tls_results.hpp"

#include "direct.hpp"

#include <pybind11/stl.h>

#ifdef POSTROAD_WITH_TLS_REPORTS
#include <postroad/diagnose_direct.hpp>
#include <postroad/net/report_rests.hpp>
#include <postroad/net/tls_report_https.hpp>
#include <postroad/net/tls_report_mail.hpp>
#include <postroad/net/tls_rpt.hpp>
#include <postroad/net/tls_watch.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
#endif

namespace postroad::python {
#ifdef POSTROAD_WITH_TLS_REPORTS
namespace {

using net::tls_watch;

net::report_day day_of(int number) { return net::report_day(std::chrono::days(number)); }

template <class To>
void read_lines(To& to, std::string_view lines, const char* what) {
    for (std::size_t n = 1; !lines.empty(); ++n) {
        const auto line = lines.substr(0, lines.find('\n'));
        if (!to.read_line(line)) throw error(errc::storage_damaged, "line " + std::to_string(n) + " is no " + what);
        lines.remove_prefix(std::min(line.size() + 1, lines.size()));
    }
}

void read_all(tls_watch& to, std::string_view lines) {
    to.use([&](net::tls_results& results) { read_lines(results, lines, "count of how TLS went"); });
}

std::chrono::sys_seconds second_of(std::int64_t number) {
    return std::chrono::sys_seconds(std::chrono::seconds(number));
}

// As post() names it.
net::report_answer answer_of(const std::string& name) {
    return name == "taken"     ? net::report_answer::taken
           : name == "refused" ? net::report_answer::refused
           : name == "away"    ? net::report_answer::away
                               : net::report_answer::later;
}

std::vector<std::pair<int, std::string>> ended(tls_watch& of, int today) {
    std::vector<std::pair<int, std::string>> all;
    of.use([&](net::tls_results& results) {
        for (auto& [day, domain] : results.ended(day_of(today)))
            all.emplace_back(static_cast<int>(day.time_since_epoch().count()), std::move(domain));
    });
    return all;
}

net::tls_report report_of(tls_watch& of, int day, const std::string& domain) {
    net::tls_report report{.domain = domain, .day = day_of(day)};
    of.use([&](net::tls_results& results) {
        if (const auto* found = results.find(domain, report.day)) report = *found;
    });
    return report;
}

// Where reports about a domain go, by its record.
class tls_report_places {
public:
    explicit tls_report_places(const std::string& by)
        : ask_(waiting_for(transport::resolver_of(transport::parse_mx_url(by)))) {}

    /// Addresses and URLs; none: it wants no reports. Throws where that is not known.
    std::pair<std::vector<std::string>, std::vector<std::string>> of(const std::string& domain) const {
        const py::gil_scoped_release others_go_on;
        const auto found = ask_("_smtp._tls." + domain, net::record_type::txt);
        if (found.status == net::dns_status::failed)
            throw error(errc::resolve_failed, "the record of _smtp._tls." + domain + " cannot be had: " + found.why);
        std::vector<std::string> texts;
        for (const auto& rdata : found.records)
            if (auto t = net::read_txt(rdata)) texts.push_back(*std::move(t));
        auto record = net::read_tls_rpt_record(texts).value_or(net::tls_rpt_record{});
        return {std::move(record.mail), std::move(record.https)};
    }

private:
    transport::dns_lookup ask_;
};

std::pair<const char*, std::string> post(const std::string& octets, const std::string& url, std::string ca_file,
                                         std::vector<std::string> addresses) {
    const py::gil_scoped_release others_go_on;
    const bool for_tests = !addresses.empty();
    const auto a = net::post_tls_report(
        octets, url,
        {.ca_file = std::move(ca_file), .private_addresses = for_tests, .addresses = std::move(addresses)});
    return {a.is_taken()     ? "taken"
            : a.is_refused() ? "refused"
            : a.status == 0  ? "away"
                             : "later",
            a.why.empty() ? "HTTP " + std::to_string(a.status) : a.why};
}

}  // namespace

void define_tls_results(py::module_& m) {
    py::class_<tls_watch, std::shared_ptr<tls_watch>>(m, "TlsResults")
        .def(py::init([](std::string sending_ip) {
                 return std::make_shared<tls_watch>(net::tls_watch_options{.sending_ip = std::move(sending_ip)});
             }),
             py::arg("sending_ip"))
        .def("read", &read_all, py::arg("lines"))
        .def("text",
             [](tls_watch& self) {
                 std::string lines;
                 self.use([&](const net::tls_results& results) { lines = results.text(); });
                 return py::bytes(lines);
             })
        .def("ended", &ended, py::arg("today"))
        .def(
            "forget",
            [](tls_watch& self, int day, const std::string& domain) {
                self.use([&](net::tls_results& results) { results.forget(domain, day_of(day)); });
            },
            py::arg("day"), py::arg("domain"))
        .def(
            "report",
            [](tls_watch& self, int day, const std::string& domain, const std::vector<std::string>& who) {
                const auto report = report_of(self, day, domain);
                return py::bytes(net::gzipped(to_json(report, {who.at(0), who.at(1), who.at(2)})));
            },
            py::arg("day"), py::arg("domain"), py::arg("who"))
        .def(
            "mail",
            [](tls_watch& self, int day, const std::string& domain, const std::vector<std::string>& who,
               const std::string& to) {
                const auto report = report_of(self, day, domain);
                const auto letter = net::compose_tls_report(report, {who.at(0), who.at(1), who.at(2)}, to)
                                        .freeze(std::chrono::system_clock::now());
                return py::bytes(std::string(letter.content.text()));
            },
            py::arg("day"), py::arg("domain"), py::arg("who"), py::arg("to"));
    py::class_<tls_report_places>(m, "TlsReportPlaces")
        .def(py::init<const std::string&>(), py::arg("by"))
        .def("of", &tls_report_places::of, py::arg("domain"));
    py::class_<net::report_rests>(m, "ReportRests")
        .def(py::init([](const std::string& lines) {
                 net::report_rests rests;
                 read_lines(rests, lines, "place that rests");
                 return rests;
             }),
             py::arg("lines"))
        .def(
            "until",
            [](const net::report_rests& self, const std::string& place, std::int64_t now) {
                const auto until = self.until(place, second_of(now));
                return until ? std::optional(until->time_since_epoch().count()) : std::nullopt;
            },
            py::arg("place"), py::arg("now"))
        .def(
            "answered",
            [](net::report_rests& self, const std::string& place, const std::string& answer, std::int64_t now) {
                self.answered(place, answer_of(answer), second_of(now));
            },
            py::arg("place"), py::arg("answer"), py::arg("now"))
        .def(
            "text",
            [](const net::report_rests& self, std::int64_t now) { return py::bytes(self.text(second_of(now))); },
            py::arg("now"));
    m.attr("libraries")["zlib"] = zlibVersion();
    m.def("post_tls_report", &post, py::arg("octets"), py::arg("url"), py::arg("ca_file"), py::arg("addresses"));
}
#else
void define_tls_results(py::module_&) {}
#endif

}  // namespace postroad::python
