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
#include <atomic>
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
#if !defined(_WIN32)
#include <pthread.h>
#include <unistd.h>
#endif

namespace postroad::python {

namespace py = pybind11;

/// Tells a process from those it was forked from; getpid() does, by a system call each time.
inline unsigned forks() {
#if defined(_WIN32)
    return 0;
#else
    static std::atomic<unsigned> count = 0;
    static const bool counted = pthread_atfork(nullptr, nullptr, [] { ++count; }) == 0;
    return counted ? count.load() : static_cast<unsigned>(getpid());
#endif
}

/// The threads of a mailer do not exist in a process forked from the one that made it.
class process_check {
public:
    bool here() const { return forks() == made_in_; }
    void operator()() const {
        if (!here()) throw std::runtime_error("this belongs to the process that fork() was called in; make a new one");
    }

private:
    unsigned made_in_ = forks();
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
        std::shared_ptr<py::object> told;
        {
            const std::scoped_lock lock(mutex_);
            if (tags_.empty()) told = told_;
            tags_.push_back(tag);
            wakes = tags_.size() >= wakes_at_;
            if (wakes) wakes_at_ = nobody_waits;
        }
        if (wakes) changed_.notify_one();
        if (told) call(*told);
    }
    std::optional<std::size_t> get(std::optional<double> patience) {
        check_process_();
        if (patience != 0.0) (void)wait(patience, 1);
        const std::scoped_lock lock(mutex_);
        if (tags_.empty()) return std::nullopt;
        const auto tag = tags_.front();
        tags_.pop_front();
        return tag;
    }
    /// All that are there. Where it has to wait it does so for a moment until there are `several`: being woken costs
    /// more than a message.
    std::vector<std::size_t> take(std::optional<double> patience, std::size_t several) {
        check_process_();
        if (patience != 0.0 && !wait(std::min(patience.value_or(moment), moment), several)) (void)wait(patience, 1);
        const std::scoped_lock lock(mutex_);
        std::vector<std::size_t> all(tags_.begin(), tags_.end());
        tags_.clear();
        return all;
    }
    /// Has `f` called with the first of those that nobody took yet, on the mailer's thread. `f` must not block.
    void tell(const py::object& f) {
        auto told = shared_object(f);
        const std::scoped_lock lock(mutex_);
        told_.swap(told);
    }

private:
    static constexpr double moment = 0.001;
    static constexpr auto nobody_waits = static_cast<std::size_t>(-1);

    static void call(const py::object& f) {
        const py::gil_scoped_acquire gil;
        try {
            f();
        } catch (py::error_already_set& e) {
            e.discard_as_unraisable("postroad completions");
        }
    }
    /// Until there are so many, or for `patience`: whether there are any.
    bool wait(std::optional<double> patience, std::size_t several) {
        const auto enough = [this, several] {
            if (tags_.size() >= several) return true;
            wakes_at_ = several;
            return false;
        };
        if (!wait_for(mutex_, changed_, patience, enough)) {
            const std::scoped_lock lock(mutex_);
            wakes_at_ = nobody_waits;
            return !tags_.empty();
        }
        return true;
    }

    process_check check_process_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::size_t> tags_;
    std::size_t wakes_at_ = nobody_waits;
    std::shared_ptr<py::object> told_;
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
        callbacks told;
        {
            const std::scoped_lock lock(mutex_);
            refused_ = bool(refusal);
            if (!refusal) ticket_ = t;
            if (!refusal) told.swap(on_queued_);
            cancel = cancelled_;
        }
        changed_.notify_all();
        if (cancel) t.cancel();
        call(std::move(told));
        t.async_wait([self = shared_from_this()](error_code ec, outcome o) { self->finish(ec, std::move(o)); });
    }

    /// On the mailer's thread: this is what became of it.
    void finish(error_code ec, outcome o) {
        callbacks told_of_queue, told;
        {
            const std::scoped_lock lock(mutex_);
            error_ = ec;
            outcome_ = std::move(o);
            done_ = true;
            told_of_queue.swap(on_queued_);
            told.swap(on_done_);
        }
        changed_.notify_all();
        if (to_) to_->put(tag_);
        call(std::move(told_of_queue));
        call(std::move(told));
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
    static void call(callbacks now) {
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
