#pragma once
// Receipts, as objects of the package's Python code.

#include "errors.hpp"
#include "operation.hpp"
#include "words.hpp"

#include <pybind11/pybind11.h>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace postroad::python {

/// A text that is mostly the one before.
class repeated_text {
public:
    const py::object& operator()(std::string_view octets) {
        if (!text_ || octets != octets_) {
            text_ = text(octets);
            octets_ = octets;
        }
        return text_;
    }

private:
    std::string octets_;
    py::object text_;
};

/// An object of a frozen dataclass, made without its __init__(), which takes longer than all else that Python does for
/// a message.
class frozen_object {
public:
    explicit frozen_object(const py::object& type) {
        auto* const t = reinterpret_cast<PyTypeObject*>(type.ptr());
        made_ = py::reinterpret_steal<py::object>(t->tp_new(t, py::tuple().ptr(), nullptr));
        if (!made_) throw py::error_already_set();
    }
    void set(const py::str& name, const py::object& value) {
        if (PyObject_GenericSetAttr(made_.ptr(), name.ptr(), value.ptr()) != 0) throw py::error_already_set();
    }
    py::object take() { return std::move(made_); }

private:
    py::object made_;
};

/// Makes receipts of operations that are done.
class receipt_maker {
public:
    /// The classes Receipt and RecipientOutcome, each Status in the order of the library's, and what makes an Error.
    receipt_maker(py::object receipt, py::object outcome, py::tuple statuses, py::object error)
        : receipt_(std::move(receipt)),
          outcome_(std::move(outcome)),
          statuses_(std::move(statuses)),
          error_(std::move(error)) {}

    py::object of(const operation& op, const py::object& index) {
        const auto& result = op.result();
        py::tuple recipients(result.recipients.size());
        for (std::size_t i = 0; i < result.recipients.size(); ++i)
            recipients[i] = outcome_of(result.recipients[i], op.whose() == smtp::whose_server::strangers);
        py::object failure = py::none();
        if (op.error()) failure = error_(error_parts(op.error(), result.details, op.whose()));
        frozen_object made(receipt_);
        made.set(names_.recipients, recipients);
        made.set(names_.attempts, py::int_(result.attempts));
        made.set(names_.error, failure);
        made.set(names_.index, index);
        auto receipt = made.take();
        if (!failure.is_none()) failure.attr(names_.receipt) = receipt;
        return receipt;
    }

private:
    py::object outcome_of(const recipient_outcome& r, bool direct) {
        frozen_object made(outcome_);
        made.set(names_.address, text(r.address));
        made.set(names_.status, statuses_[static_cast<std::size_t>(r.status)]);
        made.set(names_.code, r.reply.code ? py::object(py::int_(r.reply.code)) : py::none());
        made.set(names_.enhanced, r.reply.enhanced ? enhanced_(to_string(r.reply.enhanced)) : py::none());
        made.set(names_.text, reply_(r.reply.text));
        made.set(names_.phase, phase_(to_string(r.where)));
        made.set(names_.error, r.error ? py::object(py::str(code_name(r.error))) : py::none());
        made.set(names_.why, text(r.why));
        made.set(names_.direct, py::bool_(direct));
        return made.take();
    }

    static py::str name(const char* text) { return py::reinterpret_steal<py::str>(PyUnicode_InternFromString(text)); }

    py::object receipt_, outcome_;
    py::tuple statuses_;
    py::object error_;
    repeated_text enhanced_, reply_, phase_;
    struct {
        py::str recipients = name("recipients"), attempts = name("attempts"), error = name("error");
        py::str index = name("index"), receipt = name("receipt");
        py::str address = name("address"), status = name("status"), code = name("code"), enhanced = name("enhanced");
        py::str text = name("text"), phase = name("phase"), why = name("why"), direct = name("direct");
    } names_;
};

}  // namespace postroad::python
