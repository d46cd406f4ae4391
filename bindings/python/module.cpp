// The module postroad._core: the mailer without comfort. The package's Python code checks types first, since the
// TypeError of pybind11 shows arguments, and one of them holds a password.

#include "code_names.hpp"
#include "envelope.hpp"
#include "operation.hpp"

#include <postroad/postroad.hpp>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <asio/bind_cancellation_slot.hpp>

#include <array>
#include <chrono>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postroad::python {
namespace {

using mailer_type = mailer<transport::smtp, tls::automatic, pooling::keep_alive, queueing::memory, scheduling::fifo>;

static_assert(std::size(code_names) == std::size(postroad::detail::code_texts));

std::string code_name(error_code ec) {
    if (ec.category() == error_category()) return code_names[ec.value() - 1];
    return std::string(ec.category().name()) + ':' + std::to_string(ec.value());
}

constexpr std::pair<condition, const char*> condition_names[] = {
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

// Of a server, a file or a user: perhaps not UTF-8.
py::str text(std::string_view octets) {
    return py::reinterpret_steal<py::str>(
        PyUnicode_DecodeUTF8(octets.data(), static_cast<py::ssize_t>(octets.size()), "backslashreplace"));
}

py::tuple error_parts(error_code ec, const diagnostics& d) {
    py::list conditions;
    for (const auto& [which, name] : condition_names)
        if (ec == which) conditions.append(name);
    return py::make_tuple(code_name(ec), py::tuple(conditions), text(describe(ec, d)), text(d.host),
                          text(to_string(d.where)), text(d.reply));
}

void raise(error_code ec, const diagnostics& d) {
    const auto e = py::module_::import("postroad._errors").attr("from_core")(error_parts(ec, d));
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(e.ptr())), e.ptr());
}

py::tuple result_parts(const operation& op) {
    py::list recipients;
    for (const auto& r : op.result().recipients)
        recipients.append(py::make_tuple(text(r.address), text(to_string(r.status)), text(to_string(r.where)),
                                         r.reply.code ? py::cast(r.reply.code) : py::none(),
                                         r.reply.enhanced ? py::cast(to_string(r.reply.enhanced)) : py::none(),
                                         text(r.reply.text)));
    return py::make_tuple(op.error() ? py::object(error_parts(op.error(), op.result().details)) : py::none(),
                          py::tuple(recipients), op.result().attempts);
}

template <class T, class Target>
void take(const py::dict& options, const char* name, Target&& to) {
    if (const py::object value = options[name]; !value.is_none()) to(value.cast<T>());
}

// The option of the URL and the argument, of one thing: which of them counts would be a guess.
void refuse_both(const py::dict& options, const transport::url_parts& url) {
    constexpr std::pair<const char*, const char*> same[] = {
        {"ca", "ca_file"}, {"connections", "connections"}, {"helo", "client_name"}, {"pipelining", "pipelining"}};
    for (const auto& [in_url, argument] : same)
        for (const auto& o : url.options)
            if (o.first == in_url && !options[argument].is_none())
                throw error(errc::contradiction, std::string("the URL's option \"") + in_url + "\" and the argument " +
                                                     argument + " speak of the same thing");
    const bool given = !options["user"].is_none() || !options["password"].is_none() || !options["token"].is_none();
    if (given && !url.credentials.empty())
        throw error(errc::contradiction, "the URL holds credentials, and the arguments too");
}

transport::smtp_options transport_options(const transport::smtp& from_url, const py::dict& options) {
    using postroad::smtp::pipelining;
    auto o = from_url.options();
    take<std::string>(options, "user", [&](std::string v) { o.credentials.user = std::move(v); });
    take<std::string>(options, "password", [&](std::string v) { o.credentials.password = secret(std::move(v)); });
    take<std::string>(options, "token", [&](std::string v) { o.credentials.token = secret(std::move(v)); });
    take<std::string>(options, "client_name", [&](std::string v) {
        transport::check_options({{"helo", v}});
        o.client_name = std::move(v);
    });
    take<std::string>(options, "pipelining", [&](const std::string& v) {
        o.pipelining = v == "lockstep" ? pipelining::lockstep
                       : v == "across" ? pipelining::across
                                       : pipelining::envelope;
    });
    take<double>(options, "connect_timeout", [&](double v) { o.dialing.timeout = seconds(v); });
    take<double>(options, "reply_timeout", [&](double v) {
        const auto t = seconds(v);
        o.timeouts = {.greeting = t,
                      .hello = t,
                      .starttls = t,
                      .auth = t,
                      .mail = t,
                      .rcpt = t,
                      .data = t,
                      .block = t,
                      .content = t,
                      .reset = t,
                      .quit = std::min(t, o.timeouts.quit)};
    });
    return o;
}

std::shared_ptr<mailer_type> make_mailer(const py::dict& options, std::string& host) {
    const auto url = options["url"].cast<std::string>();
    const transport::smtp from_url(url);
    refuse_both(options, transport::parse_url(url));
    tls::automatic security;
    pooling::keep_alive pool;
    for (const auto& [name, value] : from_url.other_options()) {
        if (name == "ca") security.options.ca_file = value;
        if (name == "connections") pool.max_connections = std::stoul(value);
    }
    take<std::string>(options, "ca_file", [&](std::string v) { security.options.ca_file = std::move(v); });
    take<std::size_t>(options, "connections", [&](std::size_t v) { pool.max_connections = v; });
    take<double>(options, "idle", [&](double v) { pool.idle = seconds(v); });
    take<std::size_t>(options, "messages_per_connection", [&](std::size_t v) { pool.messages_per_connection = v; });
    queueing::memory queue;
    take<std::size_t>(options, "capacity", [&](std::size_t v) { queue.capacity = v; });
    take<bool>(options, "wait_when_full",
               [&](bool v) { queue.when_full = v ? queueing::when_full::wait : queueing::when_full::refuse; });
    scheduling::fifo line;
    take<unsigned>(options, "attempts", [&](unsigned v) { line.retry.attempts = v; });
    take<double>(options, "first_wait", [&](double v) { line.retry.first_wait = seconds(v); });
    transport::smtp transport(transport_options(from_url, options));
    host = to_string(transport.options().server);
    const py::gil_scoped_release released;
    return std::make_shared<mailer_type>(std::move(transport), std::move(security), std::move(pool), std::move(queue),
                                         std::move(line));
}

// Everything but the destruction of the mailer runs with the GIL, which therefore guards mailer_. The mailer's thread
// may want the GIL, so nobody who has it joins that thread.
class core_mailer {
public:
    explicit core_mailer(const py::dict& options) : mailer_(make_mailer(options, host_)) {}
    core_mailer(const core_mailer&) = delete;
    core_mailer& operator=(const core_mailer&) = delete;
    ~core_mailer() {
        if (check_process_.here())
            abort();
        else  // behind fork(): its thread is not here to be joined, its sockets are the parent's
            new std::shared_ptr<mailer_type>(std::move(mailer_));
    }

    const std::string& host() const { return host_; }

    std::shared_ptr<operation> start(const py::bytes& content, given_envelope envelope, std::shared_ptr<completions> to,
                                     std::size_t tag) {
        auto m = usable();
        std::string octets = content;
        const py::gil_scoped_release released;
        const auto keep = std::move(m);
        auto mail = parse_mail(std::move(octets), envelope);
        auto op = std::make_shared<operation>(keep->get_executor(), std::move(to), tag);
        keep->async_send(std::move(mail), asio::bind_cancellation_slot(op->slot(), [op](error_code ec, outcome o) {
                             op->finish(ec, std::move(o));
                         }));
        return op;
    }

    std::shared_ptr<operation> submit(const py::bytes& content, given_envelope envelope) {
        auto m = usable();
        std::string octets = content;
        std::shared_ptr<operation> op;
        {
            const py::gil_scoped_release released;
            const auto keep = std::move(m);
            auto mail = parse_mail(std::move(octets), envelope);
            op = std::make_shared<operation>(keep->get_executor(), nullptr, 0);
            keep->async_submit(std::move(mail), [op](error_code ec, const ticket& t) { op->queued(ec, t); });
        }
        try {
            op->wait_queued();
        } catch (...) {
            op->cancel();
            throw;
        }
        return op;
    }

    void close(double patience) {
        check_process_();
        if (!mailer_) return;
        struct gate {
            std::mutex mutex;
            std::condition_variable changed;
            bool done = false;
        };
        const auto g = std::make_shared<gate>();
        {
            auto m = mailer_;
            const py::gil_scoped_release released;
            const auto keep = std::move(m);
            keep->async_shutdown(seconds(patience), [g](error_code) {
                {
                    const std::scoped_lock lock(g->mutex);
                    g->done = true;
                }
                g->changed.notify_all();
            });
        }
        wait_for(g->mutex, g->changed, std::nullopt, [&] { return g->done; });
        abort();
    }

    void abort() {
        auto m = std::move(mailer_);
        if (!m) return;
        const py::gil_scoped_release released;
        m.reset();
    }

private:
    std::shared_ptr<mailer_type> usable() const {
        check_process_();
        if (!mailer_) throw postroad::error(errc::shut_down, "the mailer is closed");
        return mailer_;
    }

    process_check check_process_;
    std::string host_;
    std::shared_ptr<mailer_type> mailer_;
};

given_envelope envelope_from(const std::optional<py::bytes>& sender, const std::optional<std::vector<py::bytes>>& to) {
    given_envelope e;
    if (sender) e.sender = std::string(*sender);
    if (to) e.recipients.emplace(to->begin(), to->end());
    return e;
}

}  // namespace
}  // namespace postroad::python

PYBIND11_MODULE(_core, m) {
    using namespace postroad::python;
    m.attr("version") = POSTROAD_VERSION_STRING;

    py::register_local_exception_translator([](std::exception_ptr p) {
        try {
            if (p) std::rethrow_exception(p);
        } catch (const postroad::error& e) {
            raise(e.code(), e.details());
        }
    });

    py::class_<completions, std::shared_ptr<completions>>(m, "Completions")
        .def(py::init<>())
        .def("get", &completions::get, py::arg("timeout"));

    py::class_<operation, std::shared_ptr<operation>>(m, "Operation")
        .def("done", &operation::done)
        .def("refused", &operation::refused)
        .def("wait", &operation::wait, py::arg("timeout"))
        .def("on_done", &operation::on_done, py::arg("callback"))
        .def("cancel", &operation::cancel)
        .def("result", &result_parts);

    using optional_bytes = std::optional<py::bytes>;
    using optional_list = std::optional<std::vector<py::bytes>>;
    py::class_<core_mailer>(m, "Mailer")
        .def(py::init<const py::dict&>(), py::arg("options"))
        .def_property_readonly("host", &core_mailer::host)
        .def(
            "start",
            [](core_mailer& self, const py::bytes& content, const optional_bytes& sender, const optional_list& to,
               std::shared_ptr<completions> done,
               std::size_t tag) { return self.start(content, envelope_from(sender, to), std::move(done), tag); },
            py::arg("content"), py::arg("sender"), py::arg("recipients"), py::arg("completions") = py::none(),
            py::arg("tag") = 0)
        .def(
            "submit",
            [](core_mailer& self, const py::bytes& content, const optional_bytes& sender, const optional_list& to) {
                return self.submit(content, envelope_from(sender, to));
            },
            py::arg("content"), py::arg("sender"), py::arg("recipients"))
        .def("close", &core_mailer::close, py::arg("patience"))
        .def("abort", &core_mailer::abort);
}
