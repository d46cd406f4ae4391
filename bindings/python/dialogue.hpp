#pragma once
// One transaction on a connection that Python holds: how postroad.smtplib sends.

#include <pybind11/pybind11.h>

namespace postroad::python {

void define_dialogue(pybind11::module_& m);

}  // namespace postroad::python
