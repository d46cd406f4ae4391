#pragma once
// A first-in first-out queue that allocates only when it grows; std::deque allocates and frees as it moves on.

#include <cassert>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace postroad {

/// Elements keep their place in memory until the ring grows. Not thread-safe.
template <class T>
class ring {
public:
    bool empty() const noexcept { return size_ == 0; }
    std::size_t size() const noexcept { return size_; }

    T& operator[](std::size_t i) noexcept {
        assert(i < size_);
        return slots_[index(i)];
    }
    const T& operator[](std::size_t i) const noexcept {
        assert(i < size_);
        return slots_[index(i)];
    }
    T& front() noexcept { return (*this)[0]; }
    const T& front() const noexcept { return (*this)[0]; }
    T& back() noexcept { return (*this)[size_ - 1]; }
    const T& back() const noexcept { return (*this)[size_ - 1]; }

    void push_back(T&& value) {
        if (size_ == slots_.size()) grow();
        ++size_;
        back() = std::move(value);
    }
    void push_back(const T& value) { push_back(T(value)); }
    /// Adds a T{}: an unused slot is one.
    T& emplace_back() {
        if (size_ == slots_.size()) grow();
        ++size_;
        return back();
    }
    /// Takes the oldest element out; its slot keeps nothing alive.
    T pop_front() {
        T value(std::move(front()));
        drop_front();
        return value;
    }
    void drop_front() {
        front() = T{};
        first_ = (first_ + 1) & (slots_.size() - 1);
        --size_;
    }
    void clear() {
        while (!empty()) drop_front();
    }

private:
    std::size_t index(std::size_t i) const noexcept { return (first_ + i) & (slots_.size() - 1); }

    void grow() {
        std::vector<T> larger(slots_.empty() ? 8 : slots_.size() * 2);
        for (std::size_t i = 0; i < size_; ++i) larger[i] = std::move((*this)[i]);
        slots_ = std::move(larger);
        first_ = 0;
    }

    std::vector<T> slots_;
    std::size_t first_ = 0;
    std::size_t size_ = 0;
};

}  // namespace postroad
