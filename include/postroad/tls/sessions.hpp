#pragma once
// Sessions to resume, shared by the connections of one context.

#include <postroad/core/secret.hpp>

#include <chrono>
#include <cstddef>
#include <ctime>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace postroad::tls {

namespace detail {

// By the clock that TLS libraries judge certificates by.
inline std::chrono::sys_seconds wall_clock() {
    return std::chrono::time_point_cast<std::chrono::seconds>(
        std::chrono::system_clock::from_time_t(std::time(nullptr)));
}

}  // namespace detail

/// What one connection leaves to a later one. It comes from a verified connection only, so whoever resumes it need not
/// see the certificate again.
struct stored_session {
    secret state = {};             ///< keys and ticket, in the form of the TLS library
    std::string certificate = {};  ///< of the server, DER
    bool once = true;              ///< a ticket of TLS 1.3 is used once (RFC 8446 appendix C.4)
    /// When the first certificate of the verified chain expires. A server could otherwise renew its tickets for ever
    /// and outlive what was verified.
    std::chrono::sys_seconds valid_until = std::chrono::sys_seconds::max();
};

/// Sessions by server, the newest first. Holds at most `limit`; the oldest gives way. Any thread.
class session_store {
public:
    static constexpr std::size_t limit = 128;

    void put(const std::string& server, stored_session session) {
        const std::lock_guard lock(lock_);
        if (!session.once)
            std::erase_if(kept_, [&](const auto& entry) { return entry.first == server && !entry.second.once; });
        if (kept_.size() == limit) kept_.pop_back();
        kept_.emplace_front(server, std::move(session));
    }

    /// The newest one of `server` that is valid `now`. One that may be used once is no longer there afterwards.
    std::optional<stored_session> take(const std::string& server, std::chrono::sys_seconds now) {
        const std::lock_guard lock(lock_);
        std::erase_if(kept_, [&](const auto& entry) { return entry.second.valid_until < now; });
        for (auto entry = kept_.begin(); entry != kept_.end(); ++entry) {
            if (entry->first != server) continue;
            if (!entry->second.once) return entry->second;
            auto session = std::move(entry->second);
            kept_.erase(entry);
            return session;
        }
        return std::nullopt;
    }

    /// Forgets what is kept for `server`.
    void forget(const std::string& server) {
        const std::lock_guard lock(lock_);
        std::erase_if(kept_, [&](const auto& entry) { return entry.first == server; });
    }

    std::size_t size() const {
        const std::lock_guard lock(lock_);
        return kept_.size();
    }

private:
    mutable std::mutex lock_;
    std::deque<std::pair<std::string, stored_session>> kept_;
};

}  // namespace postroad::tls
