// The module postroad._core: the mailer without comfort. The package's Python code checks types first, since the
// TypeError of pybind11 shows arguments, and one of them holds a password.

#include "composed.hpp"
#include "delivery.hpp"
#include "diagnosis.hpp"
#include "envelope.hpp"
#include "errors.hpp"
#include "events.hpp"
#include "local.hpp"
#include "mailers.hpp"
#include "operation.hpp"
#include "settings.hpp"
#include "words.hpp"

#include <postroad/libraries.hpp>
#include <postroad/message/dkim.hpp>
#include <postroad/message/eml.hpp>
#ifdef POSTROAD_WITH_SQLITE
#include <postroad/queueing/sqlite.hpp>
#endif

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <chrono>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#ifdef POSTROAD_WITH_SQLITE
#include <sqlite3.h>
#endif

namespace postroad::python {
namespace {

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

// What a message is, for who looks at it before it is sent.
py::tuple examine(const py::bytes& content) {
    const auto mail = parse_eml(std::string(content));
    py::list recipients;
    for (const auto& r : mail.envelope.recipients) recipients.append(text(r.str()));
    const auto& c = mail.content;
    return py::make_tuple(text(mail.envelope.reverse_path.str()), py::tuple(recipients), c.size(), c.longest_line(),
                          c.eight_bit(), c.eight_bit_header(), c.binary());
}

queueing::job_filter filter_from(const py::dict& d) {
    queueing::job_filter f;
    take<job_id>(d, "id", [&](job_id v) { f.id = v; });
    take<std::string>(d, "state", [&](const std::string& v) {
        for (std::size_t i = 0; i < queueing::job_states; ++i)
            if (const auto s = static_cast<queueing::job_state>(i); v == to_string(s)) f.state = s;
    });
    take<std::string>(d, "tenant", [&](std::string v) { f.tenant = std::move(v); });
    take<std::string>(d, "tag", [&](std::string v) { f.tag = std::move(v); });
    take<std::string>(d, "domain", [&](std::string v) { f.domain = std::move(v); });
    return f;
}

scheduling::selection selection_from(const std::string& by, std::string name) {
    using kind = scheduling::selection::kind;
    return {.by = by == "tenant" ? kind::tenant : by == "tag" ? kind::tag : kind::destination, .name = std::move(name)};
}

py::list job_parts(const std::vector<queueing::job_info>& jobs) {
    py::list all;
    for (const auto& j : jobs) {
        py::list recipients;
        for (const auto& r : j.recipients)
            recipients.append(py::make_tuple(text(r.address), text(to_string(r.status))));
        all.append(py::make_tuple(j.id, text(to_string(j.state)), in_seconds(j.age), in_seconds(j.until),
                                  in_seconds(j.failed), j.attempts, j.octets, j.traffic_class, text(j.tenant),
                                  text(j.tag), text(j.sender), py::tuple(recipients), text(j.error)));
    }
    return all;
}

py::tuple count_parts(const queueing::queue_counts& c) {
    py::dict states;
    for (std::size_t i = 0; i < queueing::job_states; ++i) {
        const auto s = static_cast<queueing::job_state>(i);
        states[text(to_string(s))] = c.of(s);
    }
    py::list troubles;
    for (const auto& t : c.troubles)
        troubles.append(py::make_tuple(text(t.name), code_name(t.error), text(t.why), in_seconds(t.since),
                                       t.next_try == duration::max() ? py::none() : py::cast(in_seconds(t.next_try)),
                                       t.waiting));
    return py::make_tuple(states, in_seconds(c.oldest), troubles);
}

py::tuple diagnosis_parts(const diagnosis& d) {
    py::list steps;
    for (const auto& s : d.steps)
        steps.append(py::make_tuple(text(s.server), text(to_string(s.where)),
                                    s.how == grade::good     ? "good"
                                    : s.how == grade::notice ? "notice"
                                                             : "bad",
                                    std::chrono::duration<double>(s.took).count(), text(s.text), text(s.advice)));
    return py::make_tuple(d.error ? py::object(error_parts(d.error, {})) : py::none(), py::tuple(steps),
                          text(to_string(d)));
}

// Everything but the destruction of the mailer runs with the GIL, which therefore guards mailer_. The mailer's thread
// may want the GIL, so nobody who has it joins that thread.
class core_mailer {
public:
    explicit core_mailer(const py::dict& options) : made_(make_mailer(options)), mailer_(std::move(made_.mailer)) {
        take<std::vector<std::string>>(options, "sign", [&](const auto& v) {
            signer_.emplace(signature_of(v, given(options, "sign_key") ? py::object(options["sign_key"]) : py::none()));
        });
    }
    core_mailer(const core_mailer&) = delete;
    core_mailer& operator=(const core_mailer&) = delete;
    ~core_mailer() {
        if (check_process_.here())
            abort();
        else  // behind fork(): its thread is not here to be joined, its sockets are the parent's
            new std::shared_ptr<any_mailer>(std::move(mailer_));
    }

    std::string host() const { return made_.host; }
    py::list delivered() const {
        py::list all;
        if (made_.kept)
            for (const auto& d : made_.kept->all()) {
                py::list recipients;
                for (const auto& r : d.recipients) recipients.append(text(r));
                all.append(py::make_tuple(text(d.reverse_path), py::tuple(recipients), py::bytes(d.content)));
            }
        return all;
    }
    void forget_delivered() {
        if (made_.kept) made_.kept->clear();
    }

    std::shared_ptr<operation> start(const py_message& message, given_envelope envelope, const py::dict& options,
                                     std::shared_ptr<completions> to, std::size_t tag) {
        auto m = usable();
        auto given = message_from(message);
        auto wanted = wishes_from(options);
        const gil_released released;
        const auto keep = std::move(m);
        auto mail = signed_mail(std::move(given), envelope);
        wanted.apply(mail.envelope);
        auto op = std::make_shared<operation>(keep->executor(), std::move(to), tag);
        keep->send(std::move(mail), std::move(wanted.queued), op);
        return op;
    }

    std::shared_ptr<operation> submit(const py_message& message, given_envelope envelope, const py::dict& options,
                                      bool wait) {
        auto m = usable();
        auto given = message_from(message);
        auto wanted = wishes_from(options);
        std::shared_ptr<operation> op;
        {
            const gil_released released;
            const auto keep = std::move(m);
            auto mail = signed_mail(std::move(given), envelope);
            wanted.apply(mail.envelope);
            op = std::make_shared<operation>(keep->executor(), nullptr, 0);
            keep->submit(std::move(mail), std::move(wanted.queued), op);
        }
        if (!wait) return op;
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
            const gil_released released;
            const auto keep = std::move(m);
            keep->shutdown(seconds(patience), [g] {
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
        const gil_released released;
        m.reset();
    }

    /// Calls `f(mailer)` without the GIL.
    template <class F>
    auto ask(F f) {
        auto m = usable();
        const gil_released released;
        const auto keep = std::move(m);
        return f(*keep);
    }

    void observe(std::shared_ptr<events> to) {
        ask([&](any_mailer& m) { m.observe(std::move(to)); });
    }

    /// Nothing more is sent but what is on a connection; for who closes then.
    void halt() {
        ask([this](any_mailer& m) {
            m.pause({.by = scheduling::selection::kind::destination, .name = made_.destination});
        });
    }

private:
    std::shared_ptr<any_mailer> usable() const {
        check_process_();
        if (!mailer_) throw postroad::error(errc::shut_down, "the mailer is closed");
        return mailer_;
    }

    /// A message that signs itself is left as it is.
    mail_object signed_mail(given_message m, const given_envelope& envelope) const {
        const auto* composed = std::get_if<composed_message>(&m);
        const bool signs = signer_ && !(composed && !composed->signatures.empty());
        auto mail = mail_of(std::move(m), envelope);
        if (signs) mail.content = signer_->sign(mail.content, std::chrono::system_clock::now());
        return mail;
    }

    process_check check_process_;
    made_mailer made_;
    std::shared_ptr<any_mailer> mailer_;
    std::optional<dkim_signer> signer_;
};

#ifdef POSTROAD_WITH_SQLITE
// A queue in a file, for who looks after it: nothing is sent from here.
class core_queue {
public:
    explicit core_queue(const py::bytes& path) {
        queueing::sqlite_options options{.path = std::string(path), .submit_only = true};
        const gil_released released;
        file_ = std::make_unique<queueing::sqlite>(std::move(options));
    }
    core_queue(const core_queue&) = delete;
    core_queue& operator=(const core_queue&) = delete;
    ~core_queue() {
        if (!check_process_.here()) (void)file_.release();  // behind fork(): SQLite's locks are the parent's
    }

    /// Calls `f(*this)` without the GIL: it waits for the disk.
    template <class F>
    auto ask(F f) {
        check_process_();
        const gil_released released;
        return f(*this);
    }
    std::vector<queueing::job_info> jobs(const queueing::job_filter& which, std::size_t limit) {
        std::vector<queueing::job_info> out;
        file_->list(which, limit, clock::now(), out);
        return out;
    }
    queueing::queue_counts count() {
        queueing::queue_counts counts;
        file_->count(clock::now(), counts);
        return counts;
    }
    std::size_t retry_now(const queueing::job_filter& which) { return file_->retry_now(which, clock::now()); }
    std::size_t hold(const queueing::job_filter& which) { return file_->hold(which, clock::now()); }
    std::size_t drop(const queueing::job_filter& which) { return file_->drop(which, clock::now()).size(); }

private:
    process_check check_process_;
    std::unique_ptr<queueing::sqlite> file_;
};
#else
struct no_queue {
    explicit no_queue(const py::bytes&) { lacks("in a file", "SQLite"); }
};
#endif

template <class Class>
void define_operations(py::class_<Class>& c) {
    c.def(
         "jobs",
         [](Class& self, const py::dict& which, std::size_t limit) {
             return job_parts(self.ask([&, f = filter_from(which)](auto& to) { return to.jobs(f, limit); }));
         },
         py::arg("which"), py::arg("limit"))
        .def("count", [](Class& self) { return count_parts(self.ask([](auto& to) { return to.count(); })); })
        .def(
            "change",
            [](Class& self, const std::string& what, const py::dict& which) {
                return self.ask([&, f = filter_from(which)](auto& to) {
                    return what == "hold" ? to.hold(f) : what == "drop" ? to.drop(f) : to.retry_now(f);
                });
            },
            py::arg("what"), py::arg("which"));
}

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
    py::dict libraries;
    for (const auto& l : postroad::libraries()) libraries[py::str(l.name)] = l.version;
#ifdef POSTROAD_WITH_SQLITE
    libraries["SQLite"] = sqlite3_libversion();
#endif
    m.attr("libraries") = libraries;

    translate_errors();

    py::class_<completions, std::shared_ptr<completions>>(m, "Completions")
        .def(py::init<>())
        .def("get", &completions::get, py::arg("timeout"));

    py::class_<operation, std::shared_ptr<operation>>(m, "Operation")
        .def("done", &operation::done)
        .def("refused", &operation::refused)
        .def("wait", &operation::wait, py::arg("timeout"))
        .def("on_done", &operation::on_done, py::arg("callback"))
        .def("on_queued", &operation::on_queued, py::arg("callback"))
        .def("cancel", &operation::cancel)
        .def("result", &result_parts);

    define_events(m);

    py::class_<credentials_question, std::shared_ptr<credentials_question>>(m, "CredentialsQuestion")
        .def_property_readonly("server", &credentials_question::server)
        .def_property_readonly("refused_before", &credentials_question::refused_before)
        .def("answer_password", &credentials_question::answer_password, py::arg("user"), py::arg("password"))
        .def("answer_token", &credentials_question::answer_token, py::arg("token"))
        .def("refuse", &credentials_question::refuse, py::arg("why"));

    m.def("examine", &examine, py::arg("content"));
    m.def(
        "diagnose",
        [](const py::dict& options, const std::string& sender, const std::vector<py::bytes>& recipients,
           double patience) { return diagnosis_parts(diagnose_for(options, sender, recipients, patience)); },
        py::arg("options"), py::arg("sender"), py::arg("recipients"), py::arg("patience"));
    m.def("check_wishes", &check_wishes, py::arg("options"));

    define_message(m);

    using optional_bytes = std::optional<py::bytes>;
    using optional_list = std::optional<std::vector<py::bytes>>;
    py::class_<core_mailer> of_mailers(m, "Mailer");
    define_operations(of_mailers);
    of_mailers.def(py::init<const py::dict&>(), py::arg("options"))
        .def_property_readonly("host", &core_mailer::host)
        .def("delivered", &core_mailer::delivered)
        .def("forget_delivered", &core_mailer::forget_delivered)
        .def(
            "start",
            [](core_mailer& self, const py_message& message, const optional_bytes& sender, const optional_list& to,
               const py::dict& options, std::shared_ptr<completions> done, std::size_t tag) {
                return self.start(message, envelope_from(sender, to), options, std::move(done), tag);
            },
            py::arg("message"), py::arg("sender"), py::arg("recipients"), py::arg("options"),
            py::arg("completions") = py::none(), py::arg("tag") = 0)
        .def(
            "submit",
            [](core_mailer& self, const py_message& message, const optional_bytes& sender, const optional_list& to,
               const py::dict& options,
               bool wait) { return self.submit(message, envelope_from(sender, to), options, wait); },
            py::arg("message"), py::arg("sender"), py::arg("recipients"), py::arg("options"), py::arg("wait") = true)
        .def("halt", &core_mailer::halt)
        .def("observe", &core_mailer::observe, py::arg("to"))
        .def(
            "pause",
            [](core_mailer& self, const std::string& by, std::string name) {
                self.ask([s = selection_from(by, std::move(name))](any_mailer& to) { to.pause(s); });
            },
            py::arg("by"), py::arg("name"))
        .def(
            "resume",
            [](core_mailer& self, const std::string& by, std::string name) {
                self.ask([s = selection_from(by, std::move(name))](any_mailer& to) { to.resume(s); });
            },
            py::arg("by"), py::arg("name"))
        .def("close", &core_mailer::close, py::arg("patience"))
        .def("abort", &core_mailer::abort);

#ifdef POSTROAD_WITH_SQLITE
    py::class_<core_queue> of_queues(m, "Queue");
    define_operations(of_queues);
    of_queues.def(py::init<const py::bytes&>(), py::arg("path"));
#else
    py::class_<no_queue>(m, "Queue").def(py::init<const py::bytes&>(), py::arg("path"));
#endif
}
