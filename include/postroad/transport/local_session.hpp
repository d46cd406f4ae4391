#pragma once
// What sessions without a wire have in common: a transaction ends as soon as it is given.

#include <postroad/core/ring.hpp>
#include <postroad/transport/policy.hpp>

#include <optional>
#include <utility>

namespace postroad::transport {

/// Base of a local session; the derived one has submit(), which calls finish().
class local_session {
public:
    local_session() { events_.push_back(postroad::smtp::ready{}); }
    std::size_t room() const noexcept { return over_ ? 0 : 1; }
    void cancel(std::uint64_t, time_point) {}
    void quit(time_point) {
        if (!std::exchange(over_, true)) events_.push_back(postroad::smtp::closed{});
    }
    std::optional<postroad::smtp::event> poll() { return events_.poll(); }

protected:
    /// Gives every recipient of `t` the same result.
    void finish(const postroad::smtp::transaction& t, status s, reply r, diagnostics d = {}) {
        const recipient_outcome each{.status = s, .where = phase::content, .reply = std::move(r)};
        events_.push_back(
            postroad::smtp::finished{.id = t.id, .error = {}, .details = std::move(d), .recipients = {t.size(), each}});
    }

private:
    ring<postroad::smtp::event> events_;
    bool over_ = false;
};

}  // namespace postroad::transport
