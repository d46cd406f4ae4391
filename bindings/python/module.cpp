// The module postroad._core: the mailer without comfort. The package's Python code checks types first, since the
// TypeError of pybind11 shows arguments, and one of them holds a password.

#include "advice.hpp"
#include "composed.hpp"
#include "delivery.hpp"
#include "diagnosis.hpp"
#include "dialogue.hpp"
#include "direct.hpp"
#include "envelope.hpp"
#include "errors.hpp"
#include "events.hpp"
#ifdef POSTROAD_WITH_SQLITE
#include "journal.hpp"
#endif
#include "local.hpp"
#include "mailers.hpp"
#include "many.hpp"
#include "operation.hpp"
#include "receipts.hpp"
#include "settings.hpp"
#ifdef POSTROAD_WITH_SQLITE
#include "stored.hpp"
#endif
#include "suppression.hpp"
#include "tls_results.hpp"
#include "words.hpp"

#include <postroad/libraries.hpp>
#include <postroad/message/dkim.hpp>
#include <postroad/message/eml.hpp>
#ifdef POSTROAD_WITH_SQLITE
#include <postroad/queueing/sqlite.hpp>
#endif
#include <postroad/services.hpp>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <atomic>
#include <chrono>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#ifdef POSTROAD_WITH_AMQP
#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#else
#include <amqp.h>
#endif
#endif
#ifdef POSTROAD_WITH_SQLITE
#include <sqlite3.h>
#endif

namespace postroad::python {
namespace {

given_envelope envelope_from(const std::optional<py::bytes>& sender, const std::optional<std::vector<py::bytes>>& to) {
    given_envelope e;
    if (sender) e.sender = std::string(*sender);
    if (to) e.recipients.emplace(to->begin(), to->end());
    return e;
}

// What a message is, for who looks at it before it is sent; its header says what is not given.
py::tuple examine(const py::bytes& content, const std::optional<py::bytes>& sender,
                  const std::optional<std::vector<py::bytes>>& to) {
    const auto mail = mail_of(std::string(content), envelope_from(sender, to));
    py::list recipients;
    for (const auto& r : mail.envelope.recipients) recipients.append(text(r.str()));
    const auto& c = mail.content;
    return py::make_tuple(text(mail.envelope.reverse_path.str()), py::tuple(recipients), c.size(), c.longest_line(),
                          c.eight_bit(), c.eight_bit_header(), c.binary());
}

queueing::job_filter filter_from(const py::dict& d) {
    queueing::job_filter f;
    take<job_id>(d, "id", [&](job_id v) { f.id = v; });
    take<job_id>(d, "whole", [&](job_id v) { f.whole = v; });
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
                                  text(j.tag), text(j.sender), py::tuple(recipients), text(j.error), j.whole));
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

// None for what is not published.
py::object limit_parts(const service_limits& l) {
    if (l.source.empty()) return py::none();
    const auto number = [](std::uint32_t n) { return n > 0 ? py::object(py::cast(n)) : py::object(py::none()); };
    return py::make_tuple(number(l.messages_a_day), number(l.recipients_a_day), number(l.recipients_a_message),
                          number(l.megabytes_a_message), text(l.of), text(l.source), text(l.seen));
}

py::list service_rows() {
    py::list rows;
    for (const auto& s : services())
        rows.append(py::make_tuple(
            text(s.name), text(s.host), s.port, s.security == security::implicit ? "implicit" : "starttls",
            py::tuple(text(s.domains).attr("split")()), text(s.hint), text(s.source), limit_parts(s.limits)));
    return rows;
}

// Everything but the destruction of the mailer runs with the GIL, which therefore guards mailer_. The mailer's thread
// may want the GIL, so nobody who has it joins that thread.
class core_mailer {
public:
    explicit core_mailer(const py::dict& options)
        : queue_(given(options, "queue") ? options["queue"].cast<std::string>() : std::string()),
          made_(make_mailer(options)),
          mailer_(std::move(made_.mailer)) {
        try {
            set_up(options);
        } catch (...) {
            abort();  // its thread runs already; no destructor of this is called
            throw;
        }
    }
    core_mailer(const core_mailer&) = delete;
    core_mailer& operator=(const core_mailer&) = delete;
    ~core_mailer() {
        if (check_process_.here())
            abort();
        else  // behind fork(): its thread is not here to be joined, its sockets are the parent's
            new auto(std::pair(std::move(mailer_), std::move(own_)));
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
        auto mail = mail_of(std::move(given), envelope);
        wanted.apply(mail.envelope);
        auto op = std::make_shared<operation>(keep->executor(), made_.whose, std::move(to), tag);
        keep->send(std::move(mail), std::move(wanted.queued), op);
        return op;
    }

    std::unique_ptr<many> begin_many(std::shared_ptr<receipt_maker> receipts, given_envelope envelope,
                                     const py::dict& options) {
        return std::make_unique<many>([this] { return usable(); }, made_.whose, std::move(receipts),
                                      std::move(envelope), wishes_from(options));
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
            auto mail = mail_of(std::move(given), envelope);
            wanted.apply(mail.envelope);
            op = std::make_shared<operation>(keep->executor(), made_.whose, nullptr, 0);
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

    /// Calls `f(mailer)` without the GIL.
    template <class F>
    auto ask(F f) {
        auto m = usable();
        const gil_released released;
        const auto keep = std::move(m);
        return f(*keep);
    }

    /// Waits `patience` for all that it holds, then `grace` for the replies to what is under way.
    void close(double patience, double grace) {
        check_process_();
        if (!mailer_) return;
        struct gate {
            std::mutex mutex;
            std::condition_variable changed;
            std::atomic<bool> done = false;
            error_code ec;
        };
        const auto g = std::make_shared<gate>();
        const auto tell = [g](error_code ec) {
            {
                const std::scoped_lock lock(g->mutex);
                if (ec) g->ec = ec;
                g->done = true;
            }
            g->changed.notify_all();
        };
        const auto ended = [g] { return g->done.load(); };
        if (patience > 0) {
            ask([&](any_mailer& m) { m.shutdown(seconds(patience + grace), tell); });
            wait_for(g->mutex, g->changed, patience, ended);
        }
        // another thread may have ended it
        if (mailer_ && !ended()) ask([&](any_mailer& m) { m.drain(seconds(grace), tell); });
        wait_for(g->mutex, g->changed, std::nullopt, ended);
        abort();
        const std::scoped_lock lock(g->mutex);
        if (g->ec)
            throw error(make_error_code(errc::storage_failed),
                        {.where = phase::queued,
                         .explanation = "the queue '" + escaped(queue_, 1000) +
                                        "' or its -wal was moved or deleted: what became of the last messages is not "
                                        "stored, and what had not begun is lost with it"});
    }

    void abort() {
        auto m = std::move(mailer_);
        if (!m) return;
        auto own = std::exchange(own_, {});
        const gil_released released;
        m.reset();
        own.clear();  // behind the mailer, which tells it: what it was told is in the file then
    }

    void observe(std::shared_ptr<events> to) {
        ask([&](any_mailer& m) {
            if (own_.empty()) return m.observe(std::move(to));
            auto all = own_;
            all.push_back(std::move(to));
            m.observe(std::make_shared<observers>(std::move(all)));
        });
    }

private:
    void set_up(const py::dict& options) {
        take<std::vector<given_signature>>(options, "sign", [&](const auto& v) { mailer_->sign_by(signer_of(v)); });
        take<std::string>(options, "reporting_mta",
                          [&](std::string v) { mailer_->report_failures({.reporting_mta = std::move(v)}); });
        if (auto watch = watch_of(options)) own_.push_back(std::move(watch));
        if (!given(options, "suppression")) return;
        auto s = suppression_from(options["suppression"]);
        mailer_->suppress_by(std::move(s.ask));
        if (s.tell) own_.push_back(std::move(s.tell));
    }
    std::shared_ptr<any_mailer> usable() const {
        check_process_();
        if (!mailer_) throw postroad::error(errc::shut_down, "the mailer is closed");
        return mailer_;
    }

    process_check check_process_;
    const std::string queue_;  // the file
    made_mailer made_;
    std::shared_ptr<any_mailer> mailer_;
    std::vector<std::shared_ptr<observer>> own_;  // those that count bounces, and how TLS goes
};

// A queue that lasts, for who looks after it: nothing is sent from here.
template <class Policy>
class core_queue {
public:
    template <class Options>
    explicit core_queue(Options options) {
        const gil_released released;
        queue_ = std::make_unique<Policy>(std::move(options));
    }
    core_queue(const core_queue&) = delete;
    core_queue& operator=(const core_queue&) = delete;
    ~core_queue() {
        // behind fork(): SQLite's locks, or the thread that talks to the broker, are the parent's
        if (!check_process_.here()) (void)queue_.release();
        const gil_released released;
        queue_.reset();
    }

    /// Calls `f(*this)` without the GIL: it waits for the disk or the broker.
    template <class F>
    auto ask(F f) {
        check_process_();
        const gil_released released;
        return f(*this);
    }
    std::vector<queueing::job_info> jobs(const queueing::job_filter& which, std::size_t limit) {
        std::vector<queueing::job_info> out;
        queue_->list(which, limit, clock::now(), out);
        return out;
    }
    queueing::queue_counts count() {
        queueing::queue_counts counts;
        queue_->count(clock::now(), counts);
        return counts;
    }
    std::size_t retry_now(const queueing::job_filter& which) { return queue_->retry_now(which, clock::now()); }
    std::size_t hold(const queueing::job_filter& which) { return queue_->hold(which, clock::now()); }
    std::size_t drop(const queueing::job_filter& which) { return queue_->drop(which, clock::now()).size(); }
    std::uint64_t compact() { return queue_->compact(); }
    auto page(const queueing::job_filter& which, std::size_t limit, std::int64_t after) {
        return queue_->page(which, limit, after, clock::now());
    }

private:
    process_check check_process_;
    std::unique_ptr<Policy> queue_;
};

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

}  // namespace
}  // namespace postroad::python

PYBIND11_MODULE(_core, m) {
    using namespace postroad::python;
    namespace queueing = postroad::queueing;
    m.attr("version") = POSTROAD_VERSION_STRING;
    py::dict libraries;
    for (const auto& l : postroad::libraries()) libraries[py::str(l.name)] = l.version;
#ifdef POSTROAD_WITH_SQLITE
    libraries["SQLite"] = sqlite3_libversion();
#endif
#ifdef POSTROAD_WITH_AMQP
    libraries["librabbitmq"] = amqp_version();
#endif
    name_mx_libraries(libraries);
    m.attr("libraries") = libraries;

    translate_errors();

    py::class_<completions, std::shared_ptr<completions>>(m, "Completions")
        .def(py::init<>())
        .def("get", &completions::get, py::arg("timeout"));

    py::class_<operation, std::shared_ptr<operation>>(m, "Operation")
        .def("id", &operation::id)
        .def("done", &operation::done)
        .def("refused", &operation::refused)
        .def("wait", &operation::wait, py::arg("timeout"))
        .def("on_done", &operation::on_done, py::arg("callback"))
        .def("on_queued", &operation::on_queued, py::arg("callback"))
        .def("cancel", &operation::cancel);

    py::class_<receipt_maker, std::shared_ptr<receipt_maker>>(m, "ReceiptMaker")
        .def(py::init<py::object, py::object, py::tuple, py::object>(), py::arg("receipt"), py::arg("outcome"),
             py::arg("statuses"), py::arg("error"))
        .def("of", &receipt_maker::of, py::arg("operation"), py::arg("index"));

    py::class_<many>(m, "Many")
        .def(
            "start",
            [](many& self, const py_message& message, std::size_t index) {
                self.start(message, index);
                return self.ended(0.0, 1);
            },
            py::arg("message"), py::arg("index"))
        .def("begin", &many::start, py::arg("message"), py::arg("index"))
        .def("ended", &many::ended, py::arg("timeout"), py::arg("several") = 1)
        .def("on_ended", &many::tell, py::arg("callback"))
        .def("cancel", &many::cancel);

    define_events(m);
    define_suppression(m);
    define_tls_results(m);

    py::class_<credentials_question, std::shared_ptr<credentials_question>>(m, "CredentialsQuestion")
        .def_property_readonly("server", &credentials_question::server)
        .def_property_readonly("refused_token", &credentials_question::refused_token)
        .def("answer_password", &credentials_question::answer_password, py::arg("user"), py::arg("password"))
        .def("answer_token", &credentials_question::answer_token, py::arg("token"))
        .def("refuse", &credentials_question::refuse, py::arg("why"));

    m.def("examine", &examine, py::arg("content"), py::arg("sender"), py::arg("recipients"));
    m.def(
        "diagnose",
        [](const py::dict& options, const std::string& sender, const std::vector<py::bytes>& recipients,
           double patience) { return diagnosis_parts(diagnose_for(options, sender, recipients, patience)); },
        py::arg("options"), py::arg("sender"), py::arg("recipients"), py::arg("patience"));
    m.def("services", &service_rows);
    m.def("advice", &advice_of, py::arg("phase"), py::arg("error"), py::arg("code"), py::arg("enhanced"),
          py::arg("text"), py::arg("why"), py::arg("direct"));
    m.def("check_wishes", &check_wishes, py::arg("options"));
    m.def(
        "check_url", [](const py::bytes& url) { check_url(url); }, py::arg("url"));

    define_message(m);
    define_dialogue(m);

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
            "many",
            [](core_mailer& self, std::shared_ptr<receipt_maker> receipts, const optional_bytes& sender,
               const optional_list& to, const py::dict& options) {
                return self.begin_many(std::move(receipts), envelope_from(sender, to), options);
            },
            py::arg("receipts"), py::arg("sender"), py::arg("recipients"), py::arg("options"), py::keep_alive<0, 1>())
        .def(
            "submit",
            [](core_mailer& self, const py_message& message, const optional_bytes& sender, const optional_list& to,
               const py::dict& options,
               bool wait) { return self.submit(message, envelope_from(sender, to), options, wait); },
            py::arg("message"), py::arg("sender"), py::arg("recipients"), py::arg("options"), py::arg("wait") = true)
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
        .def("close", &core_mailer::close, py::arg("patience"), py::arg("grace"))
        .def("abort", &core_mailer::abort);

#ifdef POSTROAD_WITH_SQLITE
    using file_queue = core_queue<queueing::sqlite>;
    py::class_<file_queue> in_files(m, "Queue");
    define_operations(in_files);
    in_files
        .def(py::init([](const py::bytes& path) {
                 return std::make_unique<file_queue>(
                     queueing::sqlite_options{.path = std::string(path), .submit_only = true});
             }),
             py::arg("path"))
        .def("compact", [](file_queue& self) { return self.ask([](auto& to) { return to.compact(); }); })
        .def(
            "page",
            [](file_queue& self, const py::dict& which, std::size_t limit, std::int64_t after) {
                return page_parts(self.ask([&, f = filter_from(which)](auto& to) { return to.page(f, limit, after); }));
            },
            py::arg("which"), py::arg("limit"), py::arg("after"));
    define_stored_content(m);
    define_journal(m);
#else
    struct no_file {};
    py::class_<no_file>(m, "Queue")
        .def(py::init([](const py::bytes&) -> no_file { lacks("in a file", "SQLite"); }), py::arg("path"));
    m.attr("Journal") = m.attr("Queue");
#endif
#ifdef POSTROAD_WITH_AMQP
    using broker_queue = core_queue<queueing::amqp>;
    py::class_<broker_queue> at_brokers(m, "BrokerQueue");
    define_operations(at_brokers);
    at_brokers.def(py::init([](const py::bytes& url, const py::dict& options) {
                       auto o = amqp_options_of(options, std::string(url));
                       o.role = queueing::amqp_role::submits;
                       return std::make_unique<broker_queue>(std::move(o));
                   }),
                   py::arg("url"), py::arg("options"));
#else
    struct no_broker {};
    py::class_<no_broker>(m, "BrokerQueue")
        .def(py::init([](const py::bytes&, const py::dict&) -> no_broker { lacks("at a broker", "librabbitmq"); }),
             py::arg("url"), py::arg("options"));
#endif
}
