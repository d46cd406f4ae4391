#pragma once
// Errors of the library as exceptions of the package.

#include "words.hpp"

#include <postroad/core/error.hpp>
#include <postroad/net/asio.hpp>
#include <postroad/services.hpp>
#include <postroad/smtp/advice.hpp>

#include <pybind11/pybind11.h>

#include <exception>
#include <string>
#include <system_error>
#include <utility>

namespace postroad::python {

inline constexpr std::pair<condition, const char*> condition_names[] = {
    {condition::bad_input, "bad_input"},
    {condition::transient, "transient"},
    {condition::permanent, "permanent"},
    {condition::timed_out, "timed_out"},
    {condition::tls, "tls"},
    {condition::authentication, "authentication"},
    {condition::protocol, "protocol"},
    {condition::limit, "limit"},
    {condition::cancelled, "cancelled"},
};

inline py::tuple error_parts(error_code ec, const diagnostics& d, smtp::whose_server whose = smtp::whose_server::ours) {
    auto advice = smtp::advise(smtp::situation_of(ec, d, whose));
    if (const auto size = ec == errc::message_too_large ? published_size(d.host) : std::string(); !size.empty())
        (advice += advice.empty() ? "" : "; ") += size;
    py::list conditions;
    for (const auto& [which, name] : condition_names)
        if (ec == which) conditions.append(name);
    return py::make_tuple(code_name(ec), py::tuple(conditions), text(describe(ec, d)), text(d.host),
                          text(to_string(d.where)), text(d.reply), text(advice));
}

inline void raise(error_code ec, const diagnostics& d) {
    const auto e = py::module_::import("postroad._errors").attr("from_core")(error_parts(ec, d));
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(e.ptr())), e.ptr());
}

/// For a module of this package: what the library throws is an Error there.
inline void translate_errors() {
    py::register_local_exception_translator([](std::exception_ptr p) {
        try {
            if (p) std::rethrow_exception(p);
        } catch (const postroad::error& e) {
            raise(e.code(), e.details());
        } catch (const std::system_error& e) {
            // of the system itself, as where there are no descriptors or threads left
            raise(net::plain(e.code()), {.explanation = e.what()});
        }
    });
}

}  // namespace postroad::python
