#pragma once
// Arguments of Python come in a dict; None stands for what was not given.

#include "operation.hpp"

#include <pybind11/pybind11.h>

namespace postroad::python {

inline bool given(const py::dict& options, const char* name) {
    return options.contains(name) && !py::object(options[name]).is_none();
}

template <class T, class Target>
void take(const py::dict& options, const char* name, Target&& to) {
    if (given(options, name)) to(options[name].cast<T>());
}

}  // namespace postroad::python
