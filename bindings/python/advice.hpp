#pragma once
// What to do about a recipient that did not get the message, from what Python keeps of it.

#include "words.hpp"

#include <postroad/core/error.hpp>
#include <postroad/core/outcome.hpp>
#include <postroad/smtp/advice.hpp>
#include <postroad/smtp/reply.hpp>

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>

namespace postroad::python {

/// The names are those that Python was given; one that is unknown stands for nothing.
inline py::str advice_of(const std::string& where, const std::string& error, unsigned code, const std::string& enhanced,
                         const std::string& said, const std::string& why, bool direct) {
    recipient_outcome r;
    for (auto p = phase::prepare; p <= phase::idle; p = static_cast<phase>(static_cast<int>(p) + 1))
        if (to_string(p) == where) r.where = p;
    const auto* name = std::find(std::begin(code_names), std::end(code_names), error);
    if (name != std::end(code_names)) r.error = static_cast<errc>(name - std::begin(code_names) + 1);
    r.reply.code = static_cast<std::uint16_t>(code);
    std::string_view status = enhanced;
    r.reply.enhanced = smtp::take_enhanced_code(status, code);
    r.reply.text = said;
    r.why = why;
    const auto whose = direct ? smtp::whose_server::strangers : smtp::whose_server::ours;
    return text(smtp::advise(smtp::situation_of(r, whose)));
}

}  // namespace postroad::python
