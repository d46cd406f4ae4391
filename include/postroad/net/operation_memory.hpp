#pragma once
// Memory for an operation of Asio that is begun again and again, such as reading from a socket: Asio keeps two blocks a
// thread for all of its operations, and a mailer reads on every connection.

#include <array>
#include <cstddef>
#include <new>
#include <utility>

namespace postroad::net {

/// Room for one operation at a time; what is larger, or under way beside it, takes its own from the heap. Lives as long
/// as what is allocated in it. Not thread-safe.
class operation_memory {
public:
    operation_memory() = default;
    operation_memory(const operation_memory&) = delete;
    operation_memory& operator=(const operation_memory&) = delete;

    void* allocate(std::size_t n) {
        if (n > room_.size() || std::exchange(taken_, true)) return ::operator new(n);
        return room_.data();
    }
    void deallocate(void* p) noexcept {
        if (p == room_.data())
            taken_ = false;
        else
            ::operator delete(p);
    }

private:
    alignas(std::max_align_t) std::array<std::byte, 256> room_;
    bool taken_ = false;
};

/// The allocator that takes from it.
template <class T>
struct operation_allocator {
    using value_type = T;

    explicit operation_allocator(operation_memory& m) noexcept : memory(&m) {}
    template <class U>
    operation_allocator(const operation_allocator<U>& other) noexcept : memory(other.memory) {}

    T* allocate(std::size_t n) {
        static_assert(alignof(T) <= alignof(std::max_align_t));
        return static_cast<T*>(memory->allocate(n * sizeof(T)));
    }
    void deallocate(T* p, std::size_t) noexcept { memory->deallocate(p); }
    friend bool operator==(const operation_allocator&, const operation_allocator&) = default;

    operation_memory* memory;
};

/// `F` as a handler whose operation lives there; it keeps alive what has the memory.
template <class F>
struct with_memory {
    using allocator_type = operation_allocator<void>;

    allocator_type get_allocator() const noexcept { return allocator_type(*memory); }
    template <class... Values>
    void operator()(Values&&... values) {
        f(std::forward<Values>(values)...);
    }

    operation_memory* memory;
    F f;
};

}  // namespace postroad::net
