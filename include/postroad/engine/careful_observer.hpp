#pragma once
// Keeps what an observer throws out of the engine.

#include <postroad/core/observer.hpp>

#include <memory>
#include <utility>

namespace postroad::engine {

/// An observer of whom nothing that is thrown gets out.
class careful_observer final : public observer {
public:
    explicit careful_observer(std::shared_ptr<observer> to) : to_(std::move(to)) {}
    void on(const observation& o) noexcept override {
        try {
            to_->on(o);
        } catch (...) {
            // It missed this one.
        }
    }

private:
    std::shared_ptr<observer> to_;
};

}  // namespace postroad::engine
