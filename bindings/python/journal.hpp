#pragma once
// What became of messages that went through a queue in a file.

#include <postroad/queueing/sqlite_journal.hpp>

#include <pybind11/pybind11.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "options.hpp"
#include "words.hpp"

namespace postroad::python {

class core_journal {
public:
    explicit core_journal(const py::bytes& path) {
        const std::string name(path);
        const gil_released released;
        file_ = std::make_unique<queueing::sqlite_journal>(name);
    }

    py::tuple find(const py::dict& which, std::size_t limit, std::int64_t from) {
        const auto filter = filter_of(which);
        queueing::journal_page page;
        {
            const gil_released released;
            page = file_->find(filter, limit, from);
        }
        py::list entries;
        for (const auto& e : page.entries) entries.append(parts(e));
        return py::make_tuple(entries, page.next);
    }

private:
    // Microseconds, as datetime has them, and never later than it was.
    static queueing::journal_time time_of(std::int64_t microseconds) {
        return queueing::journal_time(std::chrono::microseconds(microseconds));
    }
    static std::int64_t microseconds_of(queueing::journal_time t) {
        return std::chrono::floor<std::chrono::microseconds>(t.time_since_epoch()).count();
    }
    static queueing::journal_filter filter_of(const py::dict& d) {
        queueing::journal_filter f;
        take<job_id>(d, "id", [&](job_id v) { f.id = v; });
        take<std::string>(d, "recipient", [&](std::string v) { f.recipient = std::move(v); });
        take<std::string>(d, "sender", [&](std::string v) { f.sender = std::move(v); });
        take<std::string>(d, "message_id", [&](std::string v) { f.message_id = std::move(v); });
        take<std::string>(d, "tenant", [&](std::string v) { f.tenant = std::move(v); });
        take<std::string>(d, "tag", [&](std::string v) { f.tag = std::move(v); });
        take<std::string>(d, "status", [&](const std::string& v) {
            for (int i = 0; i <= static_cast<int>(status::in_doubt); ++i)
                if (to_string(static_cast<status>(i)) == v) f.status = static_cast<status>(i);
        });
        take<std::int64_t>(d, "since", [&](std::int64_t v) { f.since = time_of(v); });
        take<std::int64_t>(d, "before", [&](std::int64_t v) { f.before = time_of(v); });
        return f;
    }
    static py::tuple parts(const queueing::journal_entry& e) {
        py::list recipients;
        for (const auto& r : e.recipients)
            recipients.append(py::make_tuple(text(r.address), text(to_string(r.status)),
                                             r.reply.code ? py::cast(r.reply.code) : py::none(),
                                             r.reply.enhanced ? py::cast(to_string(r.reply.enhanced)) : py::none(),
                                             text(r.reply.text), text(to_string(r.where))));
        return py::make_tuple(e.number, e.id, e.whole, microseconds_of(e.queued),
                              e.tried ? py::cast(microseconds_of(*e.tried)) : py::none(), microseconds_of(e.settled),
                              e.traffic_class, e.octets, e.attempts, text(e.tenant), text(e.tag), text(e.sender),
                              text(e.message_id), text(e.subject), py::tuple(recipients), text(e.server),
                              text(e.error));
    }

    std::unique_ptr<queueing::sqlite_journal> file_;
};

inline void define_journal(py::module_& m) {
    py::class_<core_journal>(m, "Journal")
        .def(py::init<const py::bytes&>(), py::arg("path"))
        .def("find", &core_journal::find, py::arg("which"), py::arg("limit"), py::arg("begin"));
}

}  // namespace postroad::python
