#pragma once
// postroad.Message: the C++ message, as the package's Python code fills it.

#include "envelope.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace postroad::python {

namespace py = pybind11;

using py_message = std::variant<py::bytes, message_file, composed_message*>;

inline given_message message_from(const py_message& m) {
    if (const auto* octets = std::get_if<py::bytes>(&m)) return std::string(*octets);
    if (const auto* file = std::get_if<message_file>(&m)) return *file;
    return *std::get<composed_message*>(m);
}

inline content content_of(const py_message& m) {
    static const given_envelope anybody{.sender = "", .recipients = {{"a@a.invalid"}}};
    return mail_of(message_from(m), anybody).content;
}

inline void add_signature(composed_message& m, const std::vector<std::string>& v) {
    const auto form = [](const std::string& word) {
        return word == "simple" ? canonicalization::simple : canonicalization::relaxed;
    };
    m.signatures.push_back({.domain = v[0],
                            .selector = v[1],
                            .key = dkim_key::rsa(secret(v[2]), secret(v[3])),
                            .header = form(v[4]),
                            .body = form(v[5])});
    (void)dkim_signer(m.signatures.back());  // what is wrong is said here
}

inline mailbox_group group_of(const std::vector<std::string>& v) {
    return {v[0], v[1].empty() ? std::vector<mailbox>{} : given_mailboxes("members", v[1])};
}

/// Calls the setter `what`; the Python code knows the setters and their arguments.
inline void set(composed_message& to, const std::string& what, const std::vector<std::string>& values) {
    using args = const std::vector<std::string>&;
    using setter = void (*)(message&, args);
    static const std::map<std::string, setter> setters = {
        {"from", [](message& m, args v) { m.from(v[0]); }},
        {"sender", [](message& m, args v) { m.sender(v[0]); }},
        {"to", [](message& m, args v) { m.to(v[0]); }},
        {"cc", [](message& m, args v) { m.cc(v[0]); }},
        {"bcc", [](message& m, args v) { m.bcc(v[0]); }},
        {"reply_to", [](message& m, args v) { m.reply_to(v[0]); }},
        {"subject", [](message& m, args v) { m.subject(v[0]); }},
        {"text", [](message& m, args v) { m.text(v[0]); }},
        {"html", [](message& m, args v) { m.html(v[0]); }},
        {"calendar", [](message& m, args v) { m.calendar(v[0]); }},
        {"message_id", [](message& m, args v) { m.message_id(v[0]); }},
        {"in_reply_to", [](message& m, args v) { m.in_reply_to(v[0]); }},
        {"references", [](message& m, args v) { m.references(v[0]); }},
        {"importance",
         [](message& m, args v) {
             m.importance(v[0] == "low" ? importance::low : v[0] == "high" ? importance::high : importance::normal);
         }},
        {"automatic",
         [](message& m, args v) { m.automatic(v[0] == "replied" ? automatic::replied : automatic::generated); }},
        {"date",
         [](message& m, args v) {
             m.date(std::chrono::system_clock::time_point(std::chrono::seconds(std::stoll(v[0]))),
                    std::chrono::minutes(std::stoi(v[1])));
         }},
        {"header", [](message& m, args v) { m.header(v[0], v[1]); }},
        {"to_group", [](message& m, args v) { m.to(group_of(v)); }},
        {"cc_group", [](message& m, args v) { m.cc(group_of(v)); }},
        {"list_id", [](message& m, args v) { m.list_id(v[0], v[1]); }},
        {"unsubscribe", [](message& m, args v) { m.list_unsubscribe({.one_click = v[0], .url = v[1]}); }},
        {"help", [](message& m, args v) { m.list(list_url::help, v[0]); }},
        {"subscribe", [](message& m, args v) { m.list(list_url::subscribe, v[0]); }},
        {"post", [](message& m, args v) { m.list(list_url::post, v[0]); }},
        {"owner", [](message& m, args v) { m.list(list_url::owner, v[0]); }},
        {"archive", [](message& m, args v) { m.list(list_url::archive, v[0]); }},
    };
    if (what == "sign") return add_signature(to, values);
    setters.at(what)(to.message, values);
}

/// `about`: name, type, Content-ID, description.
inline void attach(composed_message& to, const std::variant<py::bytes, message_file>& what,
                   const std::vector<std::string>& about, disposition where) {
    part p{.type = about[1], .name = about[0], .description = about[3], .content_id = about[2], .disposition = where};
    if (const auto* octets = std::get_if<py::bytes>(&what))
        to.message.attach(source::memory(*octets), std::move(p));
    else
        to.message.attach(std::get<message_file>(what).path, std::move(p));
}

inline void define_message(py::module_& m) {
    py::class_<message_file>(m, "File").def(py::init([](const py::bytes& path) { return message_file{path}; }),
                                            py::arg("path"));
    py::class_<composed_message>(m, "Message")
        .def(py::init<>())
        .def("set", &set, py::arg("what"), py::arg("values"))
        .def(
            "attach",
            [](composed_message& self, const std::variant<py::bytes, message_file>& what,
               const std::vector<std::string>& about,
               bool in_line) { attach(self, what, about, in_line ? disposition::in_line : disposition::attachment); },
            py::arg("what"), py::arg("about"), py::arg("in_line"))
        .def(
            "attach_message",
            [](composed_message& self, const py_message& nested) { self.message.attach(content_of(nested)); },
            py::arg("nested"))
        .def("octets", [](composed_message& self) { return py::bytes(std::string(content_of(&self).text())); });
}

}  // namespace postroad::python
