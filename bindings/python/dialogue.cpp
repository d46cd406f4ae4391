// The class _core.Dialogue.

#include "dialogue.hpp"

#include "delivery.hpp"
#include "envelope.hpp"
#include "errors.hpp"

#include <postroad/smtp/session.hpp>

#include <pybind11/stl.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace postroad::python {
namespace {

/// Python opened the connection, said EHLO, and reads and writes; its time-outs are those of the socket.
class dialogue {
public:
    /// `hello` is what the server answered to EHLO, its extensions one a line; without one it knows HELO only.
    dialogue(const std::string& protocol, const std::vector<std::string>& hello, bool extended)
        : session_(options_for(protocol)) {
        session_.started({});
        session_.received("220 open\r\n", {});
        (void)output();
        std::string said = "250-localhost\r\n";
        for (const auto& line : hello) said += "250-" + line + "\r\n";
        session_.received(extended ? said + "250 HELP\r\n" : std::string("502 no\r\n"), {});
        if (extended) return;
        (void)output();
        session_.received("250 open\r\n", {});
    }

    void begin(const std::string& octets, const std::string& sender, const std::vector<std::string>& recipients,
               const py::dict& options) {
        envelope e{.reverse_path = sender.empty() ? address() : address(sender)};
        for (const auto& r : recipients) e.recipients.emplace_back(r);
        wishes_from(options).apply(e);
        postroad::smtp::check(e);
        auto mail = std::make_shared<const mail_object>(
            mail_object{.envelope = std::move(e), .content = content::from_text(octets)});
        session_.submit({.mail = std::move(mail)}, {});
    }

    /// What to write next, a piece of bounded size; empty: read.
    py::bytes output() {
        std::array<std::string_view, 16> parts;
        std::string all;
        while (all.size() < piece) {
            const auto n = session_.output(parts);
            if (n == 0) break;
            const auto before = all.size();
            for (std::size_t i = 0; i < n; ++i) all += parts[i].substr(0, piece - (all.size() - before));
            session_.consumed(all.size() - before, {});
        }
        return all;
    }
    void received(const std::string& octets) { session_.received(octets, {}); }

    /// None until it has ended; then the error and of each recipient status, phase, code, enhanced code, text.
    py::object outcome() {
        while (auto e = session_.poll()) {
            if (const auto* f = std::get_if<postroad::smtp::finished>(&*e)) return parts_of(*f);
            if (const auto* c = std::get_if<postroad::smtp::closed>(&*e))
                return py::make_tuple(error_parts(c->error, c->details), py::tuple());
        }
        return py::none();
    }

private:
    static constexpr std::size_t piece = std::size_t{256} << 10;

    static postroad::smtp::session_options options_for(const std::string& protocol) {
        postroad::smtp::session_options o{.client_name = "localhost", .chunking = false};
        o.server = {.name = "localhost", .port = 24, .security = security::insecure_none};
        if (protocol == "lmtp") o.server.protocol = postroad::protocol::lmtp;
        return o;
    }
    static py::tuple parts_of(const postroad::smtp::finished& f) {
        py::list each;
        for (const auto& r : f.recipients)
            each.append(py::make_tuple(text(to_string(r.status)), text(to_string(r.where)), r.reply.code,
                                       text(to_string(r.reply.enhanced)), text(r.reply.text)));
        return py::make_tuple(f.error ? py::object(error_parts(f.error, f.details)) : py::none(), py::tuple(each));
    }

    postroad::smtp::session session_;
};

}  // namespace

void define_dialogue(py::module_& m) {
    py::class_<dialogue>(m, "Dialogue")
        .def(py::init<const std::string&, const std::vector<std::string>&, bool>(), py::arg("protocol"),
             py::arg("hello"), py::arg("extended"))
        .def("begin", &dialogue::begin, py::arg("octets"), py::arg("sender"), py::arg("recipients"), py::arg("options"))
        .def("output", &dialogue::output)
        .def("received", &dialogue::received, py::arg("octets"))
        .def("outcome", &dialogue::outcome);
}

}  // namespace postroad::python
