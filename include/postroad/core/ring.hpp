#pragma once
// A first-in first-out queue that allocates only when it grows; std::deque allocates and frees as it moves on.

#include <cassert>
#include <cstddef>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace postroad {

/// Elements keep their place in memory until the ring grows. Not thread-safe.
template <class T>
class ring {
public:
    ring() = default;
    ring(const ring& other) : ring() {
        for (std::size_t i = 0; i < other.size(); ++i) push_back(other[i]);
    }
    ring(ring&& other) noexcept { swap(other); }
    ring& operator=(ring other) noexcept {
        swap(other);
        return *this;
    }
    ~ring() {
        clear();
        free(slots_, capacity_);
    }

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
    T& front() noexcept {
        assert(size_ > 0);
        return slots_[first_];
    }
    const T& front() const noexcept {
        assert(size_ > 0);
        return slots_[first_];
    }
    T& back() noexcept { return (*this)[size_ - 1]; }
    const T& back() const noexcept { return (*this)[size_ - 1]; }

    void push_back(T&& value) { emplace_back(std::move(value)); }
    void push_back(const T& value) { emplace_back(T(value)); }
    /// Adds T(values...).
    template <class... Values>
    T& emplace_back(Values&&... values) {
        if (size_ == capacity_) grow();
        auto* const made = std::construct_at(slots_ + index(size_), std::forward<Values>(values)...);
        ++size_;
        return *made;
    }
    T pop_front() {
        T value(std::move(front()));
        drop_front();
        return value;
    }
    /// As pop_front(), and nothing if there is none.
    std::optional<T> poll() {
        if (empty()) return std::nullopt;
        // Made where it is returned: an empty one that is filled later would be set to zeros first.
        const dropper after{*this};
        return std::optional<T>(std::move(front()));
    }
    /// Calls `f(front())` and drops it, also if that throws. `f` adds nothing.
    template <class F>
    void consume_front(F&& f) {
        const dropper after{*this};
        f(front());
    }
    void drop_front() noexcept {
        std::destroy_at(slots_ + first_);
        first_ = (first_ + 1) & (capacity_ - 1);
        --size_;
    }
    void clear() noexcept {
        while (!empty()) drop_front();
    }
    void swap(ring& other) noexcept {
        std::swap(slots_, other.slots_);
        std::swap(capacity_, other.capacity_);
        std::swap(first_, other.first_);
        std::swap(size_, other.size_);
    }

private:
    struct dropper {
        ring& from;
        ~dropper() { from.drop_front(); }
    };

    std::size_t index(std::size_t i) const noexcept { return (first_ + i) & (capacity_ - 1); }

    static void free(T* slots, std::size_t capacity) noexcept {
        if (slots) std::allocator<T>().deallocate(slots, capacity);
    }

    void grow() {
        static_assert(std::is_nothrow_move_constructible_v<T>);
        const auto capacity = capacity_ == 0 ? std::size_t{8} : capacity_ * 2;
        auto* const larger = std::allocator<T>().allocate(capacity);
        for (std::size_t i = 0; i < size_; ++i) {
            std::construct_at(larger + i, std::move((*this)[i]));
            std::destroy_at(&(*this)[i]);
        }
        free(std::exchange(slots_, larger), std::exchange(capacity_, capacity));
        first_ = 0;
    }

    T* slots_ = nullptr;  // capacity_ of them, of which size_ live, from first_ on
    std::size_t capacity_ = 0;
    std::size_t first_ = 0;
    std::size_t size_ = 0;
};

}  // namespace postroad
