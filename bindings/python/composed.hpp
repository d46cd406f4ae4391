#pragma once
// postroad.Message: the C++ message, as the package's Python code fills it.

#include "body_parts.hpp"
#include "envelope.hpp"
#include "reports.hpp"

#include <postroad/message/dkim_check.hpp>
#include <postroad/message/own_field.hpp>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
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

/// Not one that blocks who opens it, and that can be read only once.
inline message_file file_of(const py::bytes& path) {
    const std::string name(path);
    std::error_code ec;
    const auto kind = std::filesystem::status(name, ec).type();
    using enum std::filesystem::file_type;
    if (kind == fifo || kind == socket || kind == character || kind == block)
        throw error(errc::unreadable_file, escaped(name) + " is not a regular file; read it, and give its octets");
    return {name};
}

inline content content_of(const py_message& m) {
    static const given_envelope anybody{.sender = "", .recipients = {{"a@a.invalid"}}};
    return mail_of(message_from(m), anybody).content;
}

/// A key that Python holds: `sign` gets a digest and gives a signature. Any thread may sign with it.
inline dkim_key key_of(const std::string& algorithm, py::object sign, std::string public_key) {
    // whoever lets go of it last may not have the GIL
    const std::shared_ptr<py::object> held(new py::object(std::move(sign)), [](const py::object* o) {
        const py::gil_scoped_acquire gil;
        delete o;
    });
    return {algorithm,
            [held](std::span<const unsigned char, 32> digest) {
                const py::gil_scoped_acquire gil;
                try {
                    const py::bytes octets(reinterpret_cast<const char*>(digest.data()), digest.size());
                    const auto signature = (*held)(octets);
                    if (!py::isinstance<py::bytes>(signature))
                        throw error(errc::signing_failed, "the key gave no bytes");
                    return std::string(py::bytes(signature));
                } catch (py::error_already_set& e) {
                    // not its text, which may hold anything
                    throw error(errc::signing_failed,
                                "the key raised " + std::string(py::str(e.type().attr("__name__"))));
                }
            },
            std::move(public_key)};
}

/// Domain, selector, PEM or algorithm, password, the forms of header and body, which fields, identity, seconds, and for
/// a key that Python holds the public one, or nothing; a function that signs, or None; the fields by name (signed,
/// oversigned, kept absent) where the word for them is empty.
using given_signature = std::tuple<std::vector<std::string>, py::object, std::array<std::vector<std::string>, 3>>;

inline dkim_signature signature_of(const given_signature& given) {
    const auto& [v, key, fields] = given;
    const auto form = [](const std::string& word) {
        return word == "simple" ? canonicalization::simple : canonicalization::relaxed;
    };
    dkim_signature s{.domain = v[0],
                     .selector = v[1],
                     .key = key.is_none() ? dkim_key::rsa(secret(v[2]), secret(v[3])) : key_of(v[2], key, v[9]),
                     .header = form(v[4]),
                     .body = form(v[5]),
                     .identity = v[7],
                     .valid_for = std::chrono::seconds(std::stoll(v[8])),
                     .fields = v[6].empty()                  ? dkim_fields{fields[0], fields[1], fields[2]}
                               : v[6] == "strict"            ? dkim_fields::strict()
                               : v[6] == "mailing_list_safe" ? dkim_fields::mailing_list_safe()
                                                             : dkim_fields::standard()};
    (void)dkim_signer(s);  // what is wrong is said here
    return s;
}

inline dkim_signer signer_of(const std::vector<given_signature>& given) {
    std::vector<dkim_signature> all;
    for (const auto& each : given) all.push_back(signature_of(each));
    return dkim_signer(std::move(all));
}

/// Where the public key stands, and the record to publish.
inline std::pair<std::string, std::string> record_of(const given_signature& by) {
    const dkim_signer signer(signature_of(by));
    const auto& s = signer.signatures().front();
    return {key_name(s), key_record(s.key)};
}

/// The verdict, and why.
inline std::pair<std::string, std::string> checked_key(const given_signature& by, std::vector<std::string> records,
                                                       std::string failure) {
    const dkim_signer signer(signature_of(by));
    const auto found = check_key(signer.signatures().front(), {std::move(records), std::move(failure)});
    static constexpr const char* names[] = {"good", "notice", "bad", "unknown"};
    return {names[static_cast<std::size_t>(found.what)], found.why};
}

/// Where each stands in the arguments, name, address.
using given_mailbox = std::array<std::string, 3>;

inline mailbox_list mailboxes_from(const std::vector<given_mailbox>& given) {
    mailbox_list result;
    for (const auto& [where, name, text] : given) {
        error_code ec;
        std::string why;
        auto a = address::parse(text, ec, &why);
        if (ec) throw error(errc::invalid_address, where + ": " + why);
        result.push_back({name, std::move(a)});
    }
    return result;
}

inline std::vector<std::pair<std::string, std::string>> parsed(const std::string& where, const std::string& text,
                                                               bool one) {
    std::vector<std::pair<std::string, std::string>> result;
    for (auto& m : given_mailboxes(where, text, one ? how_many::one : how_many::any))
        result.emplace_back(std::move(m.name), m.address.str());
    return result;
}

/// The same for what takes mailboxes; `name` is that of a group or a field.
inline void set_mailboxes(composed_message& to, const std::string& what, const std::vector<given_mailbox>& given,
                          const std::string& name) {
    auto list = mailboxes_from(given);
    auto& m = to.message;
    if (what == "from_group") m.from(mailbox_group{name, std::move(list)});
    if (what == "to_group") m.to(mailbox_group{name, std::move(list)});
    if (what == "cc_group") m.cc(mailbox_group{name, std::move(list)});
    if (what == "reply_to_group") m.reply_to(mailbox_group{name, std::move(list)});
    if (what == "header") m.header(name, std::move(list));
    if (what == "from") m.from(std::move(list));
    if (what == "to") m.to(std::move(list));
    if (what == "cc") m.cc(std::move(list));
    if (what == "bcc") m.bcc(std::move(list));
    if (what == "reply_to") m.reply_to(std::move(list));
    if (what == "sender") {
        if (list.size() != 1) throw error(errc::invalid_address, "sender: expected one address");
        m.sender(std::move(list.front()));
    }
}

/// Calls the setter `what`; the Python code knows the setters and their arguments.
inline void set(composed_message& to, const std::string& what, const std::vector<std::string>& values) {
    using args = const std::vector<std::string>&;
    using setter = void (*)(message&, args);
    static const std::map<std::string, setter> setters = {
        {"from", [](message& m, args v) { m.from(v[0]); }},
        {"to", [](message& m, args v) { m.to(v[0]); }},
        {"cc", [](message& m, args v) { m.cc(v[0]); }},
        {"reply_to", [](message& m, args v) { m.reply_to(v[0]); }},
        {"subject", [](message& m, args v) { m.subject(v[0]); }},
        {"text", [](message& m, args v) { m.text(v[0], {.type = v[1]}); }},
        {"alternative", [](message& m, args v) { m.alternative(v[0], {.type = v[1]}); }},
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
        {"list_id", [](message& m, args v) { m.list_id(v[0], v[1]); }},
        {"unsubscribe", [](message& m, args v) { m.list_unsubscribe({.one_click = v[0], .url = v[1]}); }},
        {"help", [](message& m, args v) { m.list(list_url::help, v[0]); }},
        {"subscribe", [](message& m, args v) { m.list(list_url::subscribe, v[0]); }},
        {"post", [](message& m, args v) { m.list(list_url::post, v[0]); }},
        {"owner", [](message& m, args v) { m.list(list_url::owner, v[0]); }},
        {"archive", [](message& m, args v) { m.list(list_url::archive, v[0]); }},
    };
    setters.at(what)(to.message, values);
}

inline void attach(composed_message& to, const octets_or_file& what, const std::vector<std::string>& about,
                   bool in_line) {
    auto p = part_of(about, in_line);
    if (const auto* octets = std::get_if<py::bytes>(&what))
        to.message.attach(source::memory(*octets), std::move(p));
    else
        to.message.attach(std::filesystem::path(std::get<message_file>(what).path), std::move(p));
}

inline void define_message(py::module_& m) {
    py::class_<message_file>(m, "File").def(py::init(&file_of), py::arg("path"));
    py::class_<composed_message> messages(m, "Message");
    define_body_parts<py_message>(m, messages, &content_of);
    messages.def(py::init<>())
        .def("set", &set, py::arg("what"), py::arg("values"))
        .def("attach", &attach, py::arg("what"), py::arg("about"), py::arg("in_line"))
        .def(
            "alternative",
            [](composed_message& self, const py::bytes& what, const std::string& type) {
                self.message.alternative(source::memory(what), {.type = type});
            },
            py::arg("what"), py::arg("media_type"))
        .def(
            "sign",
            [](composed_message& self, const given_signature& by) { self.signatures.push_back(signature_of(by)); },
            py::arg("by"))
        .def(
            "attach_message",
            [](composed_message& self, const py_message& nested, const std::string& name) {
                self.message.attach(content_of(nested), {.name = name});
            },
            py::arg("nested"), py::arg("name"))
        .def(
            "header",
            [](composed_message& self, const std::string& name, const std::string& value,
               const std::optional<std::vector<given_mailbox>>& mailboxes, const field_parameters& parameters) {
                if (mailboxes)
                    self.message.header(name, mailboxes_from(*mailboxes), parameters);
                else
                    self.message.header(name, value, parameters);
            },
            py::arg("name"), py::arg("value"), py::arg("mailboxes"), py::arg("parameters"))
        .def("set_mailboxes", &set_mailboxes, py::arg("what"), py::arg("mailboxes"), py::arg("name"))
        .def("octets", [](composed_message& self) {
            const auto c = content_of(&self);
            return py::bytes(std::string(c.text()));
        });
    m.def(
        "written_field",
        [](const std::string& name, const std::string& value, bool utf8) {
            using postroad::detail::header_charset;
            return py::bytes(
                postroad::detail::written_field(name, value, utf8 ? header_charset::utf8 : header_charset::ascii));
        },
        py::arg("name"), py::arg("value"), py::arg("utf8"));
    m.def("mailboxes", &parsed, py::arg("where"), py::arg("text"), py::arg("one"));
    m.def(
        "check_signature", [](const given_signature& by) { (void)signature_of(by); }, py::arg("by"));
    m.def(
        "signed",
        [](const py_message& given, const given_signature& by) {
            const auto c = signer_of({by}).sign(content_of(given), std::chrono::system_clock::now());
            return py::bytes(std::string(c.text()));
        },
        py::arg("message"), py::arg("by"));
    m.def("key_record", &record_of, py::arg("by"));
    m.def("check_key", &checked_key, py::arg("by"), py::arg("records"), py::arg("failure"));
    define_reports(m);
}

}  // namespace postroad::python
