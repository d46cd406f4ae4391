#pragma once
// Keeps what an observer throws out of the engine, and tells it which mailer it hears of.

#include <postroad/core/observer.hpp>

#include <cstdint>
#include <memory>
#include <utility>

namespace postroad::engine {

/// An observer of whom nothing that is thrown gets out.
class careful_observer final : public observer {
public:
    careful_observer(std::shared_ptr<observer> to, std::uint64_t mailer) : to_(std::move(to)), mailer_(mailer) {}
    void on(const observation& o) noexcept override {
        try {
            auto of_mailer = o;
            of_mailer.mailer = mailer_;
            to_->on(of_mailer);
        } catch (...) {
            // It missed this one.
        }
    }

private:
    std::shared_ptr<observer> to_;
    std::uint64_t mailer_;
};

}  // namespace postroad::engine
