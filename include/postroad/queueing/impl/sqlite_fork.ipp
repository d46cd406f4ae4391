#pragma once

#include <algorithm>
#include <mutex>
#include <vector>

#include <pthread.h>

namespace postroad::queueing::detail {

// What SQLite knows of a file, its locks with it, belongs to the process: a child that inherits an open file takes
// locks for held that it has not, and the parent's log is taken away under it. So nothing is open while a process
// forks.

/// Something that has SQLite open.
class keeps_open {
public:
    /// Waits until it is at rest, and keeps it so. On the thread that forks, before any of them closes.
    virtual void rest() {}
    virtual void close_for_fork() = 0;
    virtual void forked_in_parent() = 0;
    virtual void forked_in_child() = 0;
    /// Whether the child goes on with it; otherwise it is the parent's.
    virtual bool stays_in_child() const noexcept { return false; }

protected:
    keeps_open() = default;
    keeps_open(const keeps_open&) = delete;
    keeps_open& operator=(const keeps_open&) = delete;
    ~keeps_open() = default;
};

/// All of this process that have SQLite open.
class fork_register {
public:
    static fork_register& get() {
        // Never destroyed: a fork may come at any time.
        static auto* const all = new fork_register;
        return *all;
    }
    /// No fork for as long as it lives.
    [[nodiscard]] std::unique_lock<std::mutex> hold() { return std::unique_lock(opening_); }
    void add(keeps_open& one) {
        const std::scoped_lock lock(mutex_);
        all_.push_back(&one);
    }
    void remove(keeps_open& one) {
        const std::scoped_lock lock(mutex_);
        std::erase(all_, &one);
    }

private:
    fork_register() {
        ::pthread_atfork([] { get().prepare(); }, [] { get().in_parent(); }, [] { get().in_child(); });
    }
    void prepare() {
        opening_.lock();
        mutex_.lock();
        for (auto* one : all_) one->rest();
        for (auto* one : all_) one->close_for_fork();
    }
    void in_parent() {
        for (auto* one : all_) one->forked_in_parent();
        mutex_.unlock();
        opening_.unlock();
    }
    void in_child() {
        for (auto* one : all_) one->forked_in_child();
        std::erase_if(all_, [](const auto* one) { return !one->stays_in_child(); });
        mutex_.unlock();
        opening_.unlock();
    }

    // Plain ones: others know who locked them by a number that the child does not have.
    std::mutex opening_;
    std::mutex mutex_;
    std::vector<keeps_open*> all_;
};

}  // namespace postroad::queueing::detail
