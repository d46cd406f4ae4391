// The module postroad._sink: the library's mail server for tests. A module of its own, so that who only sends does not
// load it.

#include "errors.hpp"
#include "operation.hpp"
#include "options.hpp"

#include <postroad/testing/sink.hpp>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace postroad::python {
namespace {

using testing::then;

phase phase_of(const std::string& name) {
    for (const auto p : {phase::greeting, phase::hello, phase::starttls, phase::auth, phase::mail, phase::rcpt,
                         phase::data, phase::content, phase::reset, phase::quit, phase::idle})
        if (name == to_string(p)) return p;
    throw error(errc::invalid_option, "a fault cannot happen at " + escaped(name));
}

// at, nth, match, send, takes_effect, then, early, wait
testing::fault fault_of(const py::tuple& f) {
    const auto how = f[5].cast<std::string>();
    testing::fault result{.at = phase_of(f[0].cast<std::string>()),
                          .nth = f[1].cast<unsigned>(),
                          .match = f[2].cast<std::string>(),
                          .takes_effect = f[4].cast<bool>(),
                          .then = how == "stall"  ? then::stall
                                  : how == "drop" ? then::drop
                                                  : then::go_on,
                          .early = f[6].cast<bool>(),
                          .wait = seconds(f[7].cast<double>())};
    if (!f[3].is_none()) result.send = f[3].cast<std::string>();
    return result;
}

py::tuple fault_parts(const std::string& text_form) {
    const auto f = testing::parse_fault(text_form);
    return py::make_tuple(text(to_string(f.at)), f.nth, text(f.match),
                          f.send ? py::object(py::bytes(*f.send)) : py::none(), f.takes_effect,
                          f.then == then::stall  ? "stall"
                          : f.then == then::drop ? "drop"
                                                 : "go_on",
                          f.early, in_seconds(f.wait));
}

testing::server_options server_options_of(const py::dict& d) {
    testing::server_options o;
    take<std::string>(d, "name", [&](std::string v) { o.name = std::move(v); });
    take<std::string>(d, "security", [&](const std::string& v) {
        o.security = v == "starttls"   ? security::starttls
                     : v == "implicit" ? security::implicit
                                       : security::insecure_none;
    });
    const std::pair<const char*, bool testing::server_options::*> switches[] = {
        {"lmtp", &testing::server_options::lmtp},
        {"esmtp", &testing::server_options::esmtp},
        {"pipelining", &testing::server_options::pipelining},
        {"eight_bit_mime", &testing::server_options::eight_bit_mime},
        {"smtputf8", &testing::server_options::smtputf8},
        {"enhanced_codes", &testing::server_options::enhanced_codes},
        {"dsn", &testing::server_options::dsn},
        {"chunking", &testing::server_options::chunking},
        {"binarymime", &testing::server_options::binarymime},
        {"auth_in_clear", &testing::server_options::auth_in_clear},
        {"require_auth", &testing::server_options::require_auth},
        {"require_tls", &testing::server_options::require_tls},
        {"keep", &testing::server_options::keep},
    };
    for (const auto& [name, member] : switches) take<bool>(d, name, [&o, m = member](bool v) { o.*m = v; });
    take<std::uint64_t>(d, "size", [&](std::uint64_t v) { o.size = v; });
    take<std::vector<std::string>>(d, "more_keywords", [&](auto v) { o.more_keywords = std::move(v); });
    take<std::map<std::string, std::string>>(d, "users", [&](const auto& v) { o.users.insert(v.begin(), v.end()); });
    take<std::vector<std::string>>(d, "mechanisms", [&](auto v) { o.mechanisms = std::move(v); });
    take<std::size_t>(d, "connection_limit", [&](std::size_t v) { o.connection_limit = v; });
    take<std::size_t>(d, "messages_per_connection", [&](std::size_t v) { o.messages_per_connection = v; });
    take<std::size_t>(d, "recipient_limit", [&](std::size_t v) { o.recipient_limit = v; });
    take<double>(d, "delay", [&](double v) { o.delay = seconds(v); });
    take<py::list>(d, "faults", [&](const py::list& v) {
        for (const auto& f : v) o.faults.push_back(fault_of(f.cast<py::tuple>()));
    });
    return o;
}

testing::listen_options listen_options_of(const py::dict& d) {
    testing::listen_options o;
    take<std::uint16_t>(d, "port", [&](std::uint16_t v) { o.port = v; });
    take<std::vector<std::string>>(d, "certificate_names", [&](auto v) {
        o.certificate.names = std::move(v);
        o.certificate.addresses = {};
    });
    take<bool>(d, "expired", [&](bool v) {
        if (v) o.certificate.not_after = "20210101000000";
    });
    return o;
}

py::tuple stored_parts(const testing::stored& m) {
    const auto texts = [](const std::vector<std::string>& list) {
        py::list all;
        for (const auto& one : list) all.append(text(one));
        return py::tuple(all);
    };
    return py::make_tuple(text(m.reverse_path), texts(m.recipients), py::bytes(m.content), m.tls, text(m.user),
                          texts(m.mail_parameters), texts(m.recipient_parameters), text(m.hello), m.connection);
}

/// The GIL guards sink_; its thread never wants the GIL.
class core_sink {
public:
    explicit core_sink(const py::dict& options) {
        auto server = server_options_of(options);
        auto where = listen_options_of(options);
        const gil_released released;
        sink_ = std::make_unique<testing::sink>(std::move(server), std::move(where));
    }
    core_sink(const core_sink&) = delete;
    core_sink& operator=(const core_sink&) = delete;
    ~core_sink() {
        if (!check_process_.here()) (void)sink_.release();  // behind fork(): its thread is the parent's
    }

    testing::sink& get() {
        check_process_();
        return *sink_;
    }
    py::list messages() {
        py::list all;
        for (const auto& m : get().messages()) all.append(stored_parts(m));
        return all;
    }
    py::list texts(const std::vector<std::string>& lines) {
        py::list all;
        for (const auto& line : lines) all.append(text(line));
        return all;
    }
    py::dict counts() {
        const auto c = get().state().counts();
        py::dict d;
        d["connections"] = c.connections;
        d["most_connections"] = c.most_connections;
        d["connections_ever"] = c.connections_ever;
        d["messages"] = c.messages;
        d["octets"] = c.octets;
        d["commands"] = c.commands;
        d["auth_attempts"] = c.auth_attempts;
        d["handshakes"] = c.handshakes;
        d["violations"] = c.violations;
        return d;
    }
    /// In slices, so that a signal ends the wait.
    bool wait_for(std::size_t messages, double patience) {
        auto& s = get();
        const auto end = after(clock::now(), seconds(patience));
        for (;;) {
            const auto left = end - clock::now();
            bool there = false;
            {
                const gil_released released;
                there =
                    s.wait_for(messages, std::clamp<duration>(left, duration::zero(), std::chrono::milliseconds(50)));
            }
            if (there) return true;
            if (PyErr_CheckSignals() != 0) throw py::error_already_set();
            if (left <= duration::zero()) return false;
        }
    }
    void drop_connections() {
        auto& s = get();
        const gil_released released;
        s.drop_connections();
    }
    void stop() {
        auto& s = get();
        const gil_released released;
        s.stop();
    }

private:
    process_check check_process_;
    std::unique_ptr<testing::sink> sink_;
};

}  // namespace
}  // namespace postroad::python

PYBIND11_MODULE(_sink, m) {
    using namespace postroad::python;
    translate_errors();
    m.def("parse_fault", &fault_parts, py::arg("text"));
    py::class_<core_sink>(m, "Sink")
        .def(py::init<const py::dict&>(), py::arg("options"))
        .def_property_readonly("port", [](core_sink& self) { return self.get().port(); })
        .def_property_readonly("ca_pem", [](core_sink& self) { return text(self.get().ca_pem()); })
        .def(
            "url", [](core_sink& self, const std::string& user) { return text(self.get().url(user)); }, py::arg("user"))
        .def("messages", &core_sink::messages)
        .def("violations", [](core_sink& self) { return self.texts(self.get().violations()); })
        .def("commands", [](core_sink& self) { return self.texts(self.get().state().commands()); })
        .def("counts", &core_sink::counts)
        .def("wait_for", &core_sink::wait_for, py::arg("messages"), py::arg("timeout"))
        .def(
            "add", [](core_sink& self, const py::tuple& fault) { self.get().state().add(fault_of(fault)); },
            py::arg("fault"))
        .def("clear_faults", [](core_sink& self) { self.get().state().clear_faults(); })
        .def("clear", [](core_sink& self) { self.get().state().clear(); })
        .def("drop_connections", &core_sink::drop_connections)
        .def("stop", &core_sink::stop);
}
