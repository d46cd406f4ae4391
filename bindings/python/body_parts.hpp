#pragma once
// postroad.BodyPart: the C++ body_part, as the package's Python code makes it.

#include "envelope.hpp"

#include <postroad/message/body_part.hpp>
#include <postroad/message/embed_images.hpp>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace postroad::python {

namespace py = pybind11;

/// `about`: name, type, Content-ID, description, and any number of names and values of fields.
inline part part_of(const std::vector<std::string>& about, disposition where) {
    part p{.type = about[1], .name = about[0], .description = about[3], .content_id = about[2], .disposition = where};
    for (std::size_t i = 4; i + 1 < about.size(); i += 2) p.fields.emplace_back(about[i], about[i + 1]);
    return p;
}

inline part part_of(const std::vector<std::string>& about, bool in_line) {
    return part_of(about, in_line ? disposition::in_line : disposition::attachment);
}

using octets_or_file = std::variant<py::bytes, message_file>;

inline body_part leaf_of(const octets_or_file& what, part p) {
    if (const auto* octets = std::get_if<py::bytes>(&what))
        return body_part::octets(source::memory(*octets), std::move(p));
    return body_part::file(std::get<message_file>(what).path, std::move(p));
}

/// The HTML and its images, or nothing at all.
inline void embed(composed_message& to, const std::string& html, const std::string& folder) {
    auto m = to.message;
    const auto shown = embed_images(m, html, folder);
    m.html(shown);
    to.message = std::move(m);
}

/// `content_of` makes content of what a caller gives as message.
template <class Message>
void define_body_parts(py::module_& m, py::class_<composed_message>& messages,
                       std::function<content(const Message&)> content_of) {
    using about = std::vector<std::string>;
    py::class_<body_part>(m, "BodyPart")
        .def_static(
            "text",
            [](const std::string& lines, const about& a, bool in_line) {
                return body_part::text(lines, part_of(a, in_line));
            },
            py::arg("lines"), py::arg("about"), py::arg("in_line"))
        .def_static(
            "leaf",
            [](const octets_or_file& what, const about& a, bool in_line) { return leaf_of(what, part_of(a, in_line)); },
            py::arg("what"), py::arg("about"), py::arg("in_line"))
        .def_static(
            "message",
            [content_of](const Message& nested, const about& a, bool in_line) {
                return body_part::message(content_of(nested), part_of(a, in_line));
            },
            py::arg("nested"), py::arg("about"), py::arg("in_line"))
        .def_static(
            "multipart",
            [](std::string type, std::vector<body_part> parts) {
                return body_part::multipart(std::move(type), std::move(parts));
            },
            py::arg("media_type"), py::arg("parts"));
    messages
        .def(
            "body", [](composed_message& self, const body_part& tree) { self.message.body(tree); }, py::arg("tree"))
        .def("embed_images", &embed, py::arg("html"), py::arg("folder"));
}

}  // namespace postroad::python
