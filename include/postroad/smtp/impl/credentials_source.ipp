#pragma once

#include <postroad/smtp/credentials_source.hpp>

#include <exception>
#include <mutex>
#include <utility>
#include <vector>

namespace postroad::smtp {

struct credentials_source::shared_state final : state, std::enable_shared_from_this<shared_state> {
    // One question under way, and who waits for its answer.
    struct call {
        credentials_request what;
        std::vector<credentials_handler> waiting;
    };

    explicit shared_state(asynchronous f) : function(std::move(f)) {}

    asynchronous function;
    std::mutex mutex;  // guards calls, and their waiting
    std::vector<std::shared_ptr<call>> calls;

    void ask(const credentials_request& request, credentials_handler done) override;

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
    return std::make_shared<shared_state>(std::move(f));
}

POSTROAD_DECL void credentials_source::shared_state::ask(const credentials_request& request, credentials_handler done) {
    auto c = std::make_shared<call>(call{request, {}});
    {
        const std::scoped_lock lock(mutex);
        for (const auto& other : calls) {
            // Who needs another token is not served by a question that may be answered with the old one.
            const bool serves = request.refused_token.empty() || request.refused_token == other->what.refused_token;
            if (other->what.server != request.server || !serves) continue;
            other->waiting.push_back(std::move(done));
            return;
        }
        c->waiting.push_back(std::move(done));
        calls.push_back(c);
    }
    const auto finish = [s = shared_from_this(), c](credentials_answer answer) { s->finish(c, std::move(answer)); };
    // Lives as long as a copy of the handler does.
    const std::shared_ptr<void> dropped(nullptr, [finish](void*) {
        finish({.error = errc::credentials_unavailable, .explanation = "the source of credentials did not answer"});
    });
    try {
        function(request, [finish, dropped](credentials_answer answer) { finish(std::move(answer)); });
    } catch (const error& e) {
        finish({.error = e.code(), .explanation = e.details().explanation});
    } catch (const std::exception& e) {
        finish({.error = errc::credentials_unavailable,
                .explanation = "the source of credentials failed: " + escaped(e.what())});
    }
}

}  // namespace postroad::smtp
