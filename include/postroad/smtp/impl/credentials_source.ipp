#pragma once

#include <postroad/smtp/credentials_source.hpp>

#include <exception>
#include <mutex>
#include <utility>
#include <vector>

namespace postroad::smtp {

// One question under way, and who waits for its answer.
struct credentials_source::call {
    credentials_request what;
    std::vector<credentials_handler> waiting;
};

struct credentials_source::state {
    asynchronous function;
    std::mutex mutex;  // guards calls, and their waiting
    std::vector<std::shared_ptr<call>> calls;

    // Whether `c` was still under way.
    bool finish(const std::shared_ptr<call>& c, credentials_answer answer) {
        std::vector<credentials_handler> waiting;
        {
            const std::scoped_lock lock(mutex);
            if (std::erase(calls, c) == 0) return false;
            waiting.swap(c->waiting);
        }
        for (auto& done : waiting) done(answer);
        return true;
    }
};

POSTROAD_DECL std::shared_ptr<credentials_source::state> credentials_source::make(asynchronous f) {
    auto s = std::make_shared<state>();
    s->function = std::move(f);
    return s;
}

POSTROAD_DECL void credentials_source::ask(const credentials_request& request, credentials_handler done) const {
    auto c = std::make_shared<call>(call{request, {}});
    {
        const std::scoped_lock lock(state_->mutex);
        for (const auto& other : state_->calls) {
            // Who needs another token is not served by a question that may be answered with the old one.
            const bool serves = request.refused_token.empty() || request.refused_token == other->what.refused_token;
            if (other->what.server != request.server || !serves) continue;
            other->waiting.push_back(std::move(done));
            return;
        }
        c->waiting.push_back(std::move(done));
        state_->calls.push_back(c);
    }
    const auto finish = [s = state_, c](credentials_answer answer) { s->finish(c, std::move(answer)); };
    // Lives as long as a copy of the handler does.
    const std::shared_ptr<void> dropped(nullptr, [finish](void*) {
        finish({.error = errc::credentials_unavailable, .explanation = "the source of credentials did not answer"});
    });
    try {
        state_->function(request, [finish, dropped](credentials_answer answer) { finish(std::move(answer)); });
    } catch (const error& e) {
        finish({.error = e.code(), .explanation = e.details().explanation});
    } catch (const std::exception& e) {
        finish({.error = errc::credentials_unavailable,
                .explanation = "the source of credentials failed: " + escaped(e.what())});
    }
}

}  // namespace postroad::smtp
