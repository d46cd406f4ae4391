#pragma once
// Wakes the thread that talks to the broker.

#include <postroad/core/error.hpp>

#include <cerrno>
#include <chrono>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace postroad::queueing::detail {

/// Wakes a thread that waits in poll().
class amqp_bell {
public:
    amqp_bell() {
        if (::pipe(ends_) != 0) throw error(error_code(errno, std::system_category()));
        for (const int end : ends_) {
            ::fcntl(end, F_SETFL, O_NONBLOCK);
            ::fcntl(end, F_SETFD, FD_CLOEXEC);
        }
    }
    amqp_bell(const amqp_bell&) = delete;
    amqp_bell& operator=(const amqp_bell&) = delete;
    ~amqp_bell() {
        ::close(ends_[0]);
        ::close(ends_[1]);
    }
    void ring() const noexcept {
        // A full pipe wakes as well.
        [[maybe_unused]] const auto n = ::write(ends_[1], "", 1);
    }
    /// Until it rings, or `other` is readable, if there is one.
    void wait(int other, std::chrono::milliseconds most) const noexcept {
        pollfd both[] = {{ends_[0], POLLIN, 0}, {other, POLLIN, 0}};
        ::poll(both, other < 0 ? 1 : 2, static_cast<int>(most.count()));
        char taken[64];
        while (::read(ends_[0], taken, sizeof taken) > 0) {
        }
    }

private:
    int ends_[2] = {-1, -1};
};

}  // namespace postroad::queueing::detail
