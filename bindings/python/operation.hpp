#pragma once
// One message on its way, as Python holds it.

#include <postroad/core/clock.hpp>
#include <postroad/core/outcome.hpp>
#include <postroad/engine/ticket.hpp>
#include <postroad/smtp/advice.hpp>

#include <pybind11/pybind11.h>
#include <asio/any_io_executor.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/post.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#ifdef __GLIBCXX__
#include <cxxabi.h>
#endif
#if defined(_WIN32)
#include <process.h>
#else
#include <unistd.h>
#endif

namespace postroad::python {

namespace py = pybind11;

inline int process_id() {
#if defined(_WIN32)
    return _getpid();
#else
    return static_cast<int>(getpid());
#endif
}

/// The threads of a mailer do not exist in a process forked from the one that made it.
class process_check {
public:
    bool here() const { return process_id() == made_in_; }
    void operator()() const {
        if (!here()) throw std::runtime_error("this belongs to the process that fork() was called in; make a new one");
    }

private:
    int made_in_ = process_id();
};

inline duration seconds(double s) { return std::chrono::duration_cast<duration>(std::chrono::duration<double>(s)); }

/// An object that any thread may let go of, also one without the GIL.
inline std::shared_ptr<py::object> shared_object(py::object o) {
    return {new py::object(std::move(o)), [](py::object* p) {
                if (!Py_IsInitialized()) return;
                const py::gil_scoped_acquire gil;
                delete p;
            }};
}

/// Lets go of the GIL while it lives. Not py::gil_scoped_release: where Python ended meanwhile, taking the GIL ends the
/// thread by an exception, which aborts all where it meets a destructor, and lets go of objects without the GIL where
/// it meets none. Such a thread waits instead, as it does since Python 3.14.
class gil_released {
public:
    gil_released() : state_(PyEval_SaveThread()) {}
    gil_released(const gil_released&) = delete;
    gil_released& operator=(const gil_released&) = delete;
    ~gil_released() {
#ifdef __GLIBCXX__
        try {
            PyEval_RestoreThread(state_);
        } catch (const abi::__forced_unwind&) {
            for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
        }
#else
        PyEval_RestoreThread(state_);
#endif
    }

private:
    PyThreadState* state_;
};

/// Waits without the GIL until `ready` or, if given, for `patience` seconds. In slices: only a thread of Python that
/// has the GIL can run the handler of a signal, such as the one that raises KeyboardInterrupt.
template <class Ready>
bool wait_for(std::mutex& mutex, std::condition_variable& changed, std::optional<double> patience, Ready ready) {
    constexpr auto slice = std::chrono::milliseconds(50);
    const auto deadline = patience ? after(clock::now(), seconds(*patience)) : never;
    for (;;) {
        {
            const gil_released released;
            std::unique_lock lock(mutex);
            if (changed.wait_until(lock, std::min(deadline, clock::now() + slice), ready)) return true;
        }
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
        if (clock::now() >= deadline) return false;
    }
}

/// Tags of operations that ended, in that order: how one thread follows many messages without the GIL.
class completions {
public:
    void put(std::size_t tag) {
        bool wakes;
        {
            const std::scoped_lock lock(mutex_);
            tags_.push_back(tag);
            // Whoever was woken by the first of several waits for the last of them.
            wakes = tags_.size() == 1 || tags_.size() == several_;
        }
        if (wakes) changed_.notify_one();
    }
    /// Where it has to wait it goes on for a moment until there are `several`: being woken costs more than a message.
    std::optional<std::size_t> get(std::optional<double> patience, std::size_t several) {
        check_process_();
        if (const auto tag = pop(several); tag || patience == 0.0) return tag;
        if (!wait_for(mutex_, changed_, patience, [this] { return !tags_.empty(); })) return std::nullopt;
        if (several > 1) (void)wait_for(mutex_, changed_, moment, [&] { return tags_.size() >= several; });
        return pop(1);
    }

private:
    static constexpr double moment = 0.001;

    std::optional<std::size_t> pop(std::size_t several) {
        const std::scoped_lock lock(mutex_);
        several_ = several;
        if (tags_.empty()) return std::nullopt;
        const auto tag = tags_.front();
        tags_.pop_front();
        return tag;
    }

    process_check check_process_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::size_t> tags_;
    std::size_t several_ = 1;
};

/// Any thread may call any member. Nothing here takes the GIL while it holds mutex_, since Python's threads take them
/// in the other order.
class operation : public std::enable_shared_from_this<operation> {
public:
    operation(asio::any_io_executor executor, smtp::whose_server whose, std::shared_ptr<completions> to,
              std::size_t tag)
        : executor_(std::move(executor)), whose_(whose), to_(std::move(to)), tag_(tag) {}

    asio::cancellation_slot slot() { return signal_.slot(); }

    /// On the mailer's thread: the message is in the queue, or was refused.
    void queued(error_code refusal, const ticket& t) {
        bool cancel = false;
        {
            const std::scoped_lock lock(mutex_);
            refused_ = bool(refusal);
            if (!refusal) ticket_ = t;
            cancel = cancelled_;
        }
        changed_.notify_all();
        if (cancel) t.cancel();
        if (!refusal) tell(on_queued_);
        t.async_wait([self = shared_from_this()](error_code ec, outcome o) { self->finish(ec, std::move(o)); });
    }

    /// On the mailer's thread: this is what became of it.
    void finish(error_code ec, outcome o) {
        {
            const std::scoped_lock lock(mutex_);
            error_ = ec;
            outcome_ = std::move(o);
            done_ = true;
        }
        changed_.notify_all();
        if (to_) to_->put(tag_);
        tell(on_queued_);
        tell(on_done_);
    }

    /// Its number in the queue; nothing where it has none.
    std::optional<job_id> id() const {
        const std::scoped_lock lock(mutex_);
        return ticket_ ? std::optional(ticket_->id()) : std::nullopt;
    }

    bool done() const {
        check_process_();
        const std::scoped_lock lock(mutex_);
        return done_;
    }

    /// Whether it did not even get into the queue; it is done then.
    bool refused() const {
        const std::scoped_lock lock(mutex_);
        return refused_ && done_;
    }

    bool wait(std::optional<double> patience) {
        check_process_();
        return wait_for(mutex_, changed_, patience, [this] { return done_; });
    }

    void wait_queued() {
        wait_for(mutex_, changed_, std::nullopt, [this] { return done_ || ticket_.has_value(); });
    }

    /// Calls `f` once, when it is done: on the mailer's thread, or at once and here. `f` must not block.
    void on_done(const py::object& f) {
        add(f, on_done_, [this] { return done_; });
    }
    /// The same, when it is in the queue or done.
    void on_queued(const py::object& f) {
        add(f, on_queued_, [this] { return done_ || ticket_.has_value(); });
    }

    void cancel() {
        check_process_();
        const std::scoped_lock lock(mutex_);
        if (done_ || std::exchange(cancelled_, true)) return;
        // not done: so the mailer's thread still is
        if (ticket_)
            ticket_->cancel();
        else
            asio::post(executor_,
                       [self = shared_from_this()] { self->signal_.emit(asio::cancellation_type::terminal); });
    }

    /// Once done.
    error_code error() const { return error_; }
    const outcome& result() const { return outcome_; }
    smtp::whose_server whose() const noexcept { return whose_; }

private:
    using callbacks = std::vector<std::shared_ptr<py::object>>;

    template <class Ready>
    void add(const py::object& f, callbacks& to, Ready ready) {
        check_process_();
        auto callback = shared_object(f);
        {
            const std::scoped_lock lock(mutex_);
            if (!ready()) return to.push_back(std::move(callback));
        }
        f();
    }
    void tell(callbacks& waiting) {
        callbacks now;
        {
            const std::scoped_lock lock(mutex_);
            now.swap(waiting);
        }
        if (now.empty()) return;
        const py::gil_scoped_acquire gil;
        for (auto& f : std::exchange(now, {})) {
            try {
                (*f)();
            } catch (py::error_already_set& e) {
                e.discard_as_unraisable("postroad completion");
            }
        }
    }

    process_check check_process_;
    asio::any_io_executor executor_;
    smtp::whose_server whose_;
    std::shared_ptr<completions> to_;
    std::size_t tag_;
    asio::cancellation_signal signal_;  // emitted and cleared on the mailer's thread only
    mutable std::mutex mutex_;          // guards what follows
    std::condition_variable changed_;
    std::optional<ticket> ticket_;
    callbacks on_queued_;
    callbacks on_done_;
    error_code error_;
    outcome outcome_;
    bool done_ = false;
    bool refused_ = false;
    bool cancelled_ = false;
};

}  // namespace postroad::python
