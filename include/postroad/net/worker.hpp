#pragma once
// A thread that somebody owns.

#include <thread>
#include <utility>

namespace postroad::net {

/// Joined at its end; let go when it ends on itself, since the last who held its owner may be what it runs. Whoever
/// owns it tells it to stop before.
class worker {
public:
    template <class F>
    explicit worker(F f) : thread_(std::move(f)) {}
    worker(const worker&) = delete;
    worker& operator=(const worker&) = delete;
    ~worker() {
        if (thread_.get_id() == std::this_thread::get_id())
            thread_.detach();
        else
            thread_.join();
    }

private:
    std::thread thread_;
};

}  // namespace postroad::net
