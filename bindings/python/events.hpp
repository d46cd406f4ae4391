#pragma once
// What a mailer observes: counted, and kept for a thread of Python that looks at it when it can. Neither ever waits for
// the other.

#include "operation.hpp"
#include "words.hpp"

#include <postroad/core/observer.hpp>

#include <pybind11/pybind11.h>

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace postroad::python {

/// What happened since the mailer began. Recipients, by what became of the message for them; and so on.
struct tally {
    std::array<std::uint64_t, 5> recipients = {};  // by status
    std::uint64_t retries = 0, late = 0;
    std::uint64_t connections = 0, open = 0, broken = 0;
    std::uint64_t contents = 0, octets = 0;
    std::uint64_t replies = 0;
    duration waited = {};  // for replies, all together
    std::uint64_t lost = 0;

    void count(const observation& o) noexcept {
        switch (o.what) {
            case observed::outcome: ++recipients[static_cast<std::size_t>(o.result)]; break;
            case observed::retry: ++retries; break;
            case observed::late: ++late; break;
            case observed::connected:
                ++connections;
                ++open;
                break;
            case observed::closed:
                if (open > 0) --open;
                if (o.error) ++broken;
                break;
            case observed::content:
                ++contents;
                octets += o.octets;
                break;
            case observed::reply:
                ++replies;
                waited += o.took;
                break;
            default: break;
        }
    }
};

class events final : public observer {
public:
    /// Whether more is done than to count.
    explicit events(bool keeps) : keeps_(keeps) {}

    /// Observations kept; what comes while as many wait is lost, and counted.
    static constexpr std::size_t most = 10'000;

    void on(const observation& o) noexcept override {
        {
            const std::scoped_lock lock(mutex_);
            if (closed_) return;
            tally_.count(o);
            if (!keeps_) return;
            try {
                if (kept_.size() < most)
                    kept_.emplace_back(o);
                else
                    lose();
            } catch (...) {
                lose();
            }
        }
        arrived_.notify_one();
    }

    /// Waits for something, and returns how many were lost and what is there; None once it is closed and nothing is.
    py::object get() {
        check_process_();
        std::vector<kept> now;
        std::uint64_t lost = 0;
        {
            const gil_released released;
            std::unique_lock lock(mutex_);
            arrived_.wait(lock, [this] { return closed_ || !kept_.empty(); });
            now.swap(kept_);
            lost = std::exchange(lost_, 0);
        }
        if (now.empty()) return py::none();
        py::list all;
        for (const auto& e : now) all.append(e.parts());
        return py::make_tuple(lost, all);
    }

    py::dict counts() {
        check_process_();
        tally t;
        {
            const std::scoped_lock lock(mutex_);
            t = tally_;
        }
        py::dict d;
        for (std::size_t i = 0; i < t.recipients.size(); ++i)
            d[text(to_string(static_cast<status>(i)))] = t.recipients[i];
        d["retries"] = t.retries;
        d["late"] = t.late;
        d["connections"] = t.connections;
        d["open_connections"] = t.open;
        d["broken_connections"] = t.broken;
        d["contents"] = t.contents;
        d["octets"] = t.octets;
        d["replies"] = t.replies;
        d["reply_seconds"] = in_seconds(t.waited);
        d["lost_events"] = t.lost;
        return d;
    }

    /// Nothing more is kept. Behind fork() it does nothing: the lock may be one of the parent's threads'.
    void close() {
        if (!check_process_.here()) return;
        {
            const std::scoped_lock lock(mutex_);
            closed_ = true;
        }
        arrived_.notify_all();
    }

private:
    // An observation that owns what it says.
    struct kept {
        explicit kept(const observation& o)
            : what(o), server(o.server), text(o.text), answer(o.answer ? *o.answer : reply{}) {}

        py::tuple parts() const {
            using python::text;
            const auto& o = what;
            return py::make_tuple(text(to_string(o.what)), in_seconds(o.time.time_since_epoch()), o.connection,
                                  o.message, text(server), text(to_string(o.where)), text(this->text),
                                  answer.code ? py::cast(answer.code) : py::none(),
                                  answer.enhanced ? py::cast(to_string(answer.enhanced)) : py::none(),
                                  text(answer.text), text(to_string(o.result)), o.octets, in_seconds(o.took),
                                  o.error ? py::cast(code_name(o.error)) : py::none());
        }

        observation what;
        std::string server, text;
        reply answer;
    };

    void lose() noexcept {
        ++lost_;
        ++tally_.lost;
    }

    process_check check_process_;
    const bool keeps_;
    std::mutex mutex_;  // guards what follows
    std::condition_variable arrived_;
    std::vector<kept> kept_;
    tally tally_;
    std::uint64_t lost_ = 0;  // since get() was called
    bool closed_ = false;
};

inline void define_events(py::module_& m) {
    py::class_<events, std::shared_ptr<events>>(m, "Events")
        .def(py::init<bool>(), py::arg("keeps"))
        .def("counts", &events::counts)
        .def("get", &events::get)
        .def("close", &events::close);
}

}  // namespace postroad::python
