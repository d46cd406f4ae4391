#pragma once
// How TLS with the servers of domains went: TlsResults, where this build has it.

#include "options.hpp"

#include <postroad/net/tls_watch.hpp>

#include <pybind11/pybind11.h>

#include <memory>

namespace postroad::python {

namespace py = pybind11;

/// Who counts how TLS goes; null: nobody does.
inline std::shared_ptr<net::tls_watch> watch_of(const py::dict& options) {
    if (!given(options, "tls_results")) return {};
    return options["tls_results"].cast<std::shared_ptr<net::tls_watch>>();
}

void define_tls_results(py::module_& m);

}  // namespace postroad::python
