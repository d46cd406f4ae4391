#pragma once
// Lists of addresses that must not get mail: a file of SQLite, or whatever object of Python has `in`.

#include "envelope.hpp"
#include "mailers.hpp"
#include "operation.hpp"
#include "words.hpp"

#include <postroad/core/observer.hpp>
#include <postroad/message/delivery_report.hpp>
#include <postroad/net/wall_clock.hpp>
#include <postroad/queueing/suppression.hpp>
#include <postroad/queueing/suppression_csv.hpp>
#ifdef POSTROAD_WITH_SQLITE
#include <postroad/engine/bounce_counter.hpp>
#include <postroad/queueing/suppression_sqlite.hpp>
#endif

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace postroad::python {

namespace py = pybind11;

inline suppression::time today() { return std::chrono::floor<std::chrono::seconds>(net::wall_clock_now()); }

/// Asks an object of Python, under the GIL.
class asked_object final : public any_suppression {
public:
    explicit asked_object(py::object of)
        : of_(new py::object(std::move(of)), [](const py::object* o) {
              const py::gil_scoped_acquire gil;
              delete o;
          }) {}

    std::optional<suppression::entry> find(const address& a, const suppression::scope&,
                                           suppression::time now) const override {
        const py::gil_scoped_acquire gil;
        const auto known = PySequence_Contains(of_->ptr(), text(a.str()).ptr());
        if (known < 0) {
            // not its text, which may hold anything
            const py::error_already_set failed;
            throw error(errc::policy_failed,
                        "the suppression list raised " + std::string(py::str(failed.type().attr("__name__"))));
        }
        if (known == 0) return {};
        return suppression::entry{.address = a, .source = "the list that the mailer was given", .added = now};
    }

private:
    std::shared_ptr<py::object> of_;
};

#ifdef POSTROAD_WITH_SQLITE

/// Address, tenant, list, reason, source, added, until: as Python gives and gets an entry.
using entry_parts = std::tuple<std::string, std::string, std::string, std::string, std::string,
                               std::optional<std::int64_t>, std::optional<std::int64_t>>;

inline suppression::entry entry_from(const entry_parts& p) {
    const auto at = [](std::int64_t t) { return suppression::time(std::chrono::seconds(t)); };
    suppression::entry e{
        .address = address(std::get<0>(p)), .of = {std::get<1>(p), std::get<2>(p)}, .source = std::get<4>(p)};
    for (const auto why :
         {suppression::reason::hard_bounce, suppression::reason::complaint, suppression::reason::unsubscribed})
        if (std::get<3>(p) == to_string(why)) e.why = why;
    if (std::get<5>(p)) e.added = at(*std::get<5>(p));
    if (std::get<6>(p)) e.until = at(*std::get<6>(p));
    return e;
}

inline py::tuple parts_of(const suppression::entry& e) {
    return py::make_tuple(text(e.address.str()), text(e.of.tenant), text(e.of.list), text(to_string(e.why)),
                          text(e.source), e.added.time_since_epoch().count(),
                          e.until ? py::cast(e.until->time_since_epoch().count()) : py::none());
}

class asked_file final : public any_suppression {
public:
    explicit asked_file(std::shared_ptr<suppression::sqlite> of) : of_(std::move(of)) {}
    std::optional<suppression::entry> find(const address& a, const suppression::scope& of,
                                           suppression::time now) const override {
        return of_->find(a, of, now);
    }

private:
    std::shared_ptr<suppression::sqlite> of_;
};

class core_suppression {
public:
    core_suppression(const py::bytes& path, std::optional<bool> ignoring_case, std::optional<unsigned> bounces,
                     std::optional<std::int64_t> within) {
        suppression::sqlite_options o{.path = std::string(path)};
        if (ignoring_case.value_or(false)) o.rules.compared = suppression::local_parts::ignoring_case;
        if (bounces) o.rules.bounces = *bounces;
        if (within) o.rules.bounces_within = std::chrono::seconds(*within);
        const gil_released released;
        file_ = std::make_shared<suppression::sqlite>(std::move(o));
    }

    const std::shared_ptr<suppression::sqlite>& file() const noexcept { return file_; }
    /// Calls `f(file)` without the GIL: it waits for the disk.
    template <class F>
    auto ask(F f) const {
        const gil_released released;
        return f(*file_);
    }

    py::object find(const std::string& who, const std::string& tenant, const std::string& list) const {
        const address a(who);
        const suppression::scope of{tenant, list};
        const auto found = ask([&](auto& f) { return f.find(a, of, today()); });
        return found ? py::object(parts_of(*found)) : py::none();
    }
    std::size_t add(const std::vector<entry_parts>& given) {
        std::vector<suppression::entry> all;
        for (const auto& g : given) all.push_back(entry_from(g));
        return ask([&](auto& f) { return f.add(all, today()); });
    }
    bool remove(const std::string& who, const std::string& tenant, const std::string& list) {
        const address a(who);
        return ask([&](auto& f) { return f.remove(a, {tenant, list}); });
    }
    bool bounced(const std::string& who, const std::string& source) {
        const address a(who);
        return ask([&](auto& f) { return f.bounced(a, source, today()); });
    }
    std::size_t report(const std::string& octets, const std::string& tenant, const std::string& list) {
        const auto found = parse_delivery_report(octets);
        if (!found) return 0;
        return ask([&](auto& f) { return suppress_reported(f, *found, {tenant, list}, today()); });
    }
    std::size_t size() const {
        return ask([](auto& f) { return f.size(); });
    }
    /// Calls `f(parts, csv)` for each entry until it returns False.
    void each(const py::object& f) const {
        ask([&](auto& file) {
            file.each([&](const suppression::entry& e) {
                const py::gil_scoped_acquire gil;
                return f(parts_of(e), text(csv_row(e))).cast<bool>();
            });
            return 0;
        });
    }
    /// Calls `read()` for octets until there are none, and `fault(line, why)` for each row that is left out.
    py::tuple import_csv(const py::object& read, const entry_parts& defaults, const py::object& fault) {
        auto e = suppression::entry{.of = {std::get<1>(defaults), std::get<2>(defaults)}};
        for (const auto why :
             {suppression::reason::hard_bounce, suppression::reason::complaint, suppression::reason::unsubscribed})
            if (std::get<3>(defaults) == to_string(why)) e.why = why;
        e.source = std::get<4>(defaults);
        if (std::get<6>(defaults)) e.until = suppression::time(std::chrono::seconds(*std::get<6>(defaults)));
        suppression::csv_import in(*file_, std::move(e), [&](const suppression::csv_line& row) {
            const py::gil_scoped_acquire gil;
            fault(row.line, text(row.fault));
        });
        for (;;) {
            const std::string octets = py::bytes(read());
            if (octets.empty()) break;
            const gil_released released;
            in.push(octets, today());
        }
        const auto done = [&] {
            const gil_released released;
            return in.end(today());
        }();
        return py::make_tuple(done.added, done.known, done.faults);
    }

private:
    std::shared_ptr<suppression::sqlite> file_;
};

inline void define_suppression(py::module_& m) {
    m.attr("suppression_csv_header") = std::string(suppression::csv_header);
    py::class_<core_suppression, std::shared_ptr<core_suppression>>(m, "Suppression")
        .def(py::init<const py::bytes&, std::optional<bool>, std::optional<unsigned>, std::optional<std::int64_t>>(),
             py::arg("path"), py::arg("ignoring_case"), py::arg("bounces"), py::arg("within"))
        .def("find", &core_suppression::find, py::arg("address"), py::arg("tenant"), py::arg("list"))
        .def("add", &core_suppression::add, py::arg("entries"))
        .def("remove", &core_suppression::remove, py::arg("address"), py::arg("tenant"), py::arg("list"))
        .def("bounced", &core_suppression::bounced, py::arg("address"), py::arg("source"))
        .def(
            "report",
            [](core_suppression& self, const py::bytes& octets, const std::string& tenant, const std::string& list) {
                return self.report(octets, tenant, list);
            },
            py::arg("octets"), py::arg("tenant"), py::arg("list"))
        .def("size", &core_suppression::size)
        .def("each", &core_suppression::each, py::arg("function"))
        .def("import_csv", &core_suppression::import_csv, py::arg("read"), py::arg("defaults"), py::arg("fault"));
}

#else

struct core_suppression {
    core_suppression(const py::bytes&, std::optional<bool>, std::optional<unsigned>, std::optional<std::int64_t>) {
        lacks("in a file", "SQLite");
    }
};
inline void define_suppression(py::module_& m) {
    m.attr("suppression_csv_header") = std::string(suppression::csv_header);
    py::class_<core_suppression, std::shared_ptr<core_suppression>>(m, "Suppression")
        .def(py::init<const py::bytes&, std::optional<bool>, std::optional<unsigned>, std::optional<std::int64_t>>(),
             py::arg("path"), py::arg("ignoring_case"), py::arg("bounces"), py::arg("within"));
}

#endif

/// What a mailer is to ask, and to tell of its outcomes.
struct mailer_suppression {
    std::shared_ptr<any_suppression> ask = {};
    std::shared_ptr<observer> tell = {};
};

inline mailer_suppression suppression_from(const py::object& given) {
#ifdef POSTROAD_WITH_SQLITE
    if (py::isinstance<core_suppression>(given)) {
        const auto file = given.cast<std::shared_ptr<core_suppression>>()->file();
        return {std::make_shared<asked_file>(file), std::make_shared<bounce_counter<suppression::sqlite>>(file)};
    }
#endif
    return {std::make_shared<asked_object>(given), {}};
}

}  // namespace postroad::python
