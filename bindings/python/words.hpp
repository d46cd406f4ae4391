#pragma once
// Values of the library as Python says them.

#include "code_names.hpp"

#include <postroad/core/clock.hpp>
#include <postroad/core/error.hpp>

#include <pybind11/pybind11.h>

#include <chrono>
#include <string>
#include <string_view>

namespace postroad::python {

namespace py = pybind11;

inline std::string code_name(error_code ec) {
    if (ec.category() == error_category()) return code_names[ec.value() - 1];
    return std::string(ec.category().name()) + ':' + std::to_string(ec.value());
}

/// Of a server, a file or a user: perhaps not UTF-8.
inline py::str text(std::string_view octets) {
    return py::reinterpret_steal<py::str>(
        PyUnicode_DecodeUTF8(octets.data(), static_cast<py::ssize_t>(octets.size()), "backslashreplace"));
}

inline double in_seconds(duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace postroad::python
