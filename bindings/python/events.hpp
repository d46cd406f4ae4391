#pragma once
// What a mailer observes, kept for a thread of Python that looks at it when it can: neither ever waits for the other.

#include "operation.hpp"
#include "words.hpp"

#include <postroad/core/observer.hpp>

#include <pybind11/pybind11.h>

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace postroad::python {

class events final : public observer {
public:
    /// Observations kept; what comes while as many wait is lost, and counted.
    static constexpr std::size_t most = 10'000;

    void on(const observation& o) noexcept override {
        {
            const std::scoped_lock lock(mutex_);
            if (closed_) return;
            try {
                if (kept_.size() < most)
                    kept_.emplace_back(o);
                else
                    ++lost_;
            } catch (...) {
                ++lost_;
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

    process_check check_process_;
    std::mutex mutex_;  // guards what follows
    std::condition_variable arrived_;
    std::vector<kept> kept_;
    std::uint64_t lost_ = 0;
    bool closed_ = false;
};

inline void define_events(py::module_& m) {
    py::class_<events, std::shared_ptr<events>>(m, "Events")
        .def(py::init<>())
        .def("get", &events::get)
        .def("close", &events::close);
}

}  // namespace postroad::python
