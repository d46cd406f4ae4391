#pragma once
// The way to a mailer's executor, for as long as that may be used.

#include <postroad/core/config.hpp>
#include <postroad/net/executor.hpp>
#include <postroad/net/handler.hpp>

#include <functional>
#include <memory>
#include <mutex>
#include <utility>

namespace postroad::engine {

/// Outlives the mailer, and holds nothing of its context once it is shut: who has this may use it whenever and wherever
/// he likes.
class gate {
public:
    /// `inside` says whether the calling thread is one that runs the mailer.
    POSTROAD_DECL gate(asio::any_io_executor executor, std::function<bool()> inside);

    /// Runs `f` on the executor, unless the mailer is over. What `f` refers to may be gone by then.
    POSTROAD_DECL void post(std::function<void()> f) const;
    /// A handler that has no executor of its own runs on the mailer's, and on the system's if the mailer is over.
    template <class... Results, class Handler>
    net::any_handler<Results...> handler(Handler&& h) const {
        const std::scoped_lock lock(mutex_);
        if (!executor_) return {std::forward<Handler>(h), net::background()};
        return {std::forward<Handler>(h), executor_, calls_};
    }
    POSTROAD_DECL asio::any_io_executor executor() const;
    POSTROAD_DECL bool inside() const;
    POSTROAD_DECL void shut();

private:
    mutable std::mutex mutex_;
    asio::any_io_executor executor_;
    std::function<bool()> inside_;
    std::shared_ptr<net::due_calls> calls_ = std::make_shared<net::due_calls>();
};

}  // namespace postroad::engine

#ifdef POSTROAD_HEADER_ONLY
#include <postroad/engine/impl/gate.ipp>
#endif
