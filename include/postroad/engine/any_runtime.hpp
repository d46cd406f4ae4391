#pragma once
// A mailer's runtime, whatever its policies: what any thread may ask of it, and when its turns are.

#include <postroad/core/clock.hpp>
#include <postroad/core/config.hpp>
#include <postroad/core/observer.hpp>
#include <postroad/core/thrown.hpp>
#include <postroad/engine/gate.hpp>
#include <postroad/engine/reporting.hpp>
#include <postroad/engine/suppressing.hpp>
#include <postroad/queueing/job.hpp>

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace postroad {
template <class Transport, class Tls, class Pooling, class Queueing, class Scheduling>
class basic_mailer;
namespace scheduling {
struct selection;
}
namespace queueing {
struct job_filter;
struct job_info;
struct queue_counts;
}  // namespace queueing
}  // namespace postroad

namespace postroad::engine {

enum class cancel_kind : unsigned char;
class careful_observer;
struct alarms;

/// start(), enqueue(), conclude_outside(), use(), observe() and shutdown() may be called on any thread; all else runs
/// on the executor, one at a time. Kept alive by the mailer and by pending operations; stop() lets those end.
class any_runtime : public std::enable_shared_from_this<any_runtime> {
public:
    any_runtime(const any_runtime&) = delete;
    any_runtime& operator=(const any_runtime&) = delete;
    POSTROAD_DECL virtual ~any_runtime();

    const asio::any_io_executor& executor() const noexcept { return executor_; }
    const std::shared_ptr<engine::gate>& gate() const noexcept { return gate_; }
    virtual job_id next_id() noexcept = 0;

    /// Lets a durable queue give out its jobs, and opens the connections that the pool wants from the start. Once,
    /// before anything else.
    virtual void start() = 0;
    /// Queues a job. `queued`, if there is one, is told whether it was taken, perhaps later and on the executor; a job
    /// that was not is completed with the reason.
    virtual void enqueue(job&& j, const send_options& options, std::function<void(error_code)> queued) = 0;
    /// Tells who waits for a job, and observers, what became of one that never comes into the queue.
    virtual void conclude_outside(job&& j) = 0;
    /// Senders of what is not delivered, or late, get reports.
    virtual void report_by(report_writer write) = 0;
    /// Calls `f(now)` on the executor and carries out what follows from it.
    POSTROAD_DECL void use(std::function<void(time_point)> f);
    /// `to` is told what happens from now on; null: nobody is. Whom it replaces is let go.
    POSTROAD_DECL void observe(std::shared_ptr<observer> to);
    /// Takes no more jobs, lets those that are held finish (only what is under way, if it `drains`), and ends the
    /// connections. After `patience` what is left is cancelled with errc::shut_down; of several, what ends first
    /// counts. `done` is called on the executor, and says why nothing can be stored in the queue, if that is so: then
    /// only what is under way was waited for.
    POSTROAD_DECL void shutdown(duration patience, bool drains, std::function<void(const std::string&)> done);
    /// `f` makes of each message what is queued instead. On any thread, as those that send are.
    POSTROAD_DECL void finish_by(std::function<mail_ptr(mail_ptr)> f);
    /// What finish_by() says of it, or itself.
    POSTROAD_DECL mail_ptr finished(mail_ptr mail) const;
    /// Takes those who must not get a message out of its job, as leave_out() does. Nothing: everybody may.
    using suppressor = std::function<std::optional<job>(job&, const std::string& tenant)>;
    /// `f` is asked before a message is queued. On any thread, as those that send are.
    POSTROAD_DECL void suppress_by(suppressor f);
    /// What suppress_by() says of it, or nothing.
    POSTROAD_DECL std::optional<job> suppressed(job& j, const std::string& tenant) const;

    /// Ends a job early: see gate().
    POSTROAD_DECL void cancel(job_id id, cancel_kind kind);
    /// Closes every connection at once and completes every job with errc::shut_down.
    POSTROAD_DECL void stop();

protected:
    /// `inside` says whether the calling thread is one that runs `executor`.
    POSTROAD_DECL any_runtime(asio::any_io_executor executor, std::function<bool()> inside);

    // Everything that comes in passes here: what a policy throws that cannot be held against one message or connection
    // stops the mailer.
    template <class F>
    void guarded(F f) {
        try {
            f(clock::now());
        } catch (...) {
            fail(thrown());
        }
    }
    POSTROAD_DECL void on_executor(std::function<void(time_point)> f);
    /// Look into the queue, soon. On any thread; many jobs that arrive together make one entry into the executor.
    POSTROAD_DECL void wake();
    /// As wake(), for whom this may be gone.
    POSTROAD_DECL std::function<void()> waker();
    POSTROAD_DECL void turn_later();
    /// Rings at `due`, unless it rings before.
    POSTROAD_DECL void arm(time_point due);
    /// All have their outcome: connections that have nothing more to do may end, but not for long.
    POSTROAD_DECL void stop_soon(time_point now);
    bool stopped() const noexcept { return stopped_; }
    bool shutting_down() const noexcept { return !when_shut_.empty(); }

private:
    // On the executor.
    virtual void look(time_point now) = 0;  // into the queue
    virtual void turn(time_point now) = 0;
    virtual void rung(time_point now) = 0;  // the time that was given to arm() has come
    virtual void end_early(job_id id, cancel_kind kind, time_point now) = 0;
    virtual void show_to(std::shared_ptr<careful_observer> to) = 0;
    virtual void drain(time_point now) = 0;
    // Why nothing can be stored in the queue; otherwise empty.
    virtual std::string storage_lost() const = 0;
    // Takes no more jobs. On any thread.
    virtual void close() = 0;
    virtual void end() = 0;
    // A policy that was told something threw.
    virtual void fail(failure why) = 0;

    POSTROAD_DECL void look_now();
    POSTROAD_DECL void turn_now();
    POSTROAD_DECL void ring(time_point due);
    POSTROAD_DECL void stop_at(time_point when);
    POSTROAD_DECL void stop_rung(time_point);

    asio::any_io_executor executor_;
    std::shared_ptr<engine::gate> gate_;
    std::unique_ptr<alarms> alarms_;
    std::uint64_t number_;  // tells it from other mailers of the process
    std::vector<std::function<void(const std::string&)>> when_shut_;
    time_point stops_at_ = never;
    // Most mailers have none of the two: then nobody takes the lock for each message.
    std::atomic<bool> hooked_ = false;
    mutable std::mutex finishing_;  // guards the two that follow
    std::shared_ptr<const std::function<mail_ptr(mail_ptr)>> finish_;
    std::shared_ptr<const suppressor> suppress_;
    // wake() is on its way. Shared with the queue, which may ask for it when all this is gone.
    std::shared_ptr<std::atomic<bool>> woken_ = std::make_shared<std::atomic<bool>>(false);
    time_point rings_at_ = never;
    bool turn_posted_ = false;
    bool stopped_ = false;
};

// Is in engine/runtime.hpp, which whoever has his engine compiled elsewhere need not include.
template <class Transport, class Tls, class Pooling, class Queueing, class Scheduling>
class runtime;

/// Of a basic_mailer: the border behind which the compiler need not look.
template <class Mailer>
struct engine_of;
template <class Transport, class Tls, class Pooling, class Queueing, class Scheduling>
struct engine_of<basic_mailer<Transport, Tls, Pooling, Queueing, Scheduling>> {
    using type = runtime<Transport, Tls, Pooling, Queueing, Scheduling>;

    /// A runtime that has started. `inside` says whether the calling thread is one that runs `executor`. Throws what
    /// the TLS policy says to the transport's hosts.
    static std::shared_ptr<any_runtime> start(asio::any_io_executor executor, std::function<bool()> inside, Transport t,
                                              Tls s, Pooling p, Queueing q, Scheduling c);

    // Of its runtime, on its executor: for a queue, or a scheduler, that has it.
    static std::vector<queueing::job_info> list(any_runtime& r, const queueing::job_filter& which, std::size_t limit,
                                                time_point now);
    static queueing::queue_counts count(any_runtime& r, time_point now);
    static std::size_t retry_now(any_runtime& r, const queueing::job_filter& which, time_point now);
    static std::size_t hold(any_runtime& r, const queueing::job_filter& which, time_point now);
    static std::size_t drop(any_runtime& r, const queueing::job_filter& which, time_point now);
    static void pause(any_runtime& r, const scheduling::selection& what, time_point now);
    static void resume(any_runtime& r, const scheduling::selection& what, time_point now);
};

/// Whether an explicit instantiation of engine_of stands in another source file.
template <class Mailer>
inline constexpr bool compiled_elsewhere = false;
template <class Mailer>
concept has_engine = compiled_elsewhere<Mailer> || requires {
    sizeof(typename engine_of<Mailer>::type);
};

}  // namespace postroad::engine

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/engine/impl/any_runtime.ipp>
#endif
