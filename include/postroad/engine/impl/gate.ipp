#pragma once

#include <postroad/engine/gate.hpp>

namespace postroad::engine {

POSTROAD_DECL gate::gate(asio::any_io_executor executor, std::function<bool()> inside)
    : executor_(std::move(executor)), inside_(std::move(inside)) {}

POSTROAD_DECL void gate::post(std::function<void()> f) const {
    const std::scoped_lock lock(mutex_);
    if (executor_) net::post_function(executor_, std::move(f));
}
POSTROAD_DECL asio::any_io_executor gate::executor() const {
    const std::scoped_lock lock(mutex_);
    return executor_ ? executor_ : net::background();
}
POSTROAD_DECL bool gate::inside() const {
    const std::scoped_lock lock(mutex_);
    return inside_ && inside_();
}
POSTROAD_DECL void gate::shut() {
    const std::scoped_lock lock(mutex_);
    executor_ = asio::any_io_executor();
    inside_ = nullptr;
}

}  // namespace postroad::engine
