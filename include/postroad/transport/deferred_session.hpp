#pragma once
// A session that another library drives: what it is given ends later, on any thread. See docs/transport.md.

#include <postroad/core/ring.hpp>
#include <postroad/transport/policy.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace postroad::transport {

/// Base of such a session; the derived one has submit(), which calls begin() and gives what that returns to the
/// library.
class deferred_session {
public:
    /// How many transactions it takes at a time.
    explicit deferred_session(std::size_t at_a_time = 1) : state_(std::make_shared<state>()) {
        state_->at_a_time = at_a_time;
        state_->events.push_back(postroad::smtp::ready{});
    }

    std::size_t room() const {
        const std::scoped_lock lock(state_->mutex);
        return state_->leaving ? 0 : state_->at_a_time - std::min(state_->at_a_time, state_->under_way.size());
    }
    /// What is under way may have been taken: it is in doubt. A later answer counts no more.
    void cancel(std::uint64_t id, time_point) {
        state_->end([&](const active& a) { return a.id == id; },
                    {status::in_doubt, {}, {.explanation = "the operation was cancelled"}}, errc::cancelled);
    }
    void quit(time_point) {
        const std::scoped_lock lock(state_->mutex);
        state_->leaving = true;
        state_->leave_if_done();
    }
    std::optional<postroad::smtp::event> poll() {
        const std::scoped_lock lock(state_->mutex);
        return state_->events.poll();
    }
    void on_wake(std::function<void()> wake) {
        const std::scoped_lock lock(state_->mutex);
        state_->wake = std::move(wake);
    }

protected:
    /// What became of a transaction, for every recipient of it.
    struct result {
        postroad::status status = postroad::status::deferred;
        postroad::reply reply = {};
        diagnostics details = {};
        postroad::phase where = phase::content;
    };
    /// Ends one transaction, once; a second call does nothing. On any thread, and also when the mailer is gone. Dropped
    /// without a call, the transaction is in doubt.
    using ending = std::function<void(result)>;

    /// Takes note of a transaction. In submit().
    ending begin(const postroad::smtp::transaction& t) {
        const std::scoped_lock lock(state_->mutex);
        const auto number = ++state_->last;
        state_->under_way.push_back({t.id, number, t.size()});
        return [keep = std::make_shared<token>(state_, number)](result r) { keep->end(std::move(r)); };
    }

private:
    struct active {
        std::uint64_t id;      // the mailer's: it may come again
        std::uint64_t number;  // ours
        std::size_t recipients;
    };
    struct state {
        std::mutex mutex;
        ring<postroad::smtp::event> events;
        std::vector<active> under_way;
        std::uint64_t last = 0;
        std::function<void()> wake;
        std::size_t at_a_time = 1;
        bool leaving = false;
        bool over = false;

        template <class F>
        void end(F which, result&& r, error_code ec) {
            std::function<void()> tell;
            {
                const std::scoped_lock lock(mutex);
                const auto found = std::ranges::find_if(under_way, which);
                if (found == under_way.end()) return;
                const recipient_outcome each{.status = r.status, .where = r.where, .reply = std::move(r.reply)};
                events.push_back(
                    postroad::smtp::finished{found->id, ec, std::move(r.details), {found->recipients, each}});
                under_way.erase(found);
                leave_if_done();
                tell = wake;
            }
            if (tell) tell();
        }
        void leave_if_done() {
            if (leaving && under_way.empty() && !std::exchange(over, true)) events.push_back(postroad::smtp::closed{});
        }
    };
    // Dies with the last copy of the ending.
    struct token {
        token(std::shared_ptr<state> s, std::uint64_t n) : of(std::move(s)), number(n) {}
        token(const token&) = delete;
        token& operator=(const token&) = delete;
        ~token() { end({status::in_doubt, {}, {.explanation = "nobody said what became of it"}}); }
        void end(result r) const {
            of->end([&](const active& a) { return a.number == number; }, std::move(r), {});
        }
        const std::shared_ptr<state> of;
        const std::uint64_t number;
    };

    std::shared_ptr<state> state_;
};

}  // namespace postroad::transport
