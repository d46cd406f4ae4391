#include <postroad/net/operation_memory.hpp>

#include <doctest/doctest.h>

#include <array>
#include <memory>
#include <utility>

using postroad::net::operation_allocator;
using postroad::net::operation_memory;

TEST_CASE("operation memory: one operation after the other has the same room") {
    operation_memory memory;
    operation_allocator<int> ints{memory};
    int* const first = ints.allocate(10);
    ints.deallocate(first, 10);
    const operation_allocator<double> doubles{ints};
    auto same = doubles;
    double* const second = same.allocate(5);
    CHECK(static_cast<void*>(second) == first);
    CHECK(doubles == same);
    same.deallocate(second, 5);
}

TEST_CASE("operation memory: what does not fit, or is under way beside another, takes its own") {
    operation_memory memory;
    operation_allocator<std::array<char, 1000>> large{memory};
    auto* const beyond = large.allocate(1);
    operation_allocator<int> ints{memory};
    int* const in_room = ints.allocate(1);
    int* const beside = ints.allocate(1);
    CHECK(in_room != beside);
    large.deallocate(beyond, 1);
    ints.deallocate(in_room, 1);
    // What is under way elsewhere leaves the room to others.
    int* const again = ints.allocate(1);
    CHECK(again == in_room);
    ints.deallocate(beside, 1);
    ints.deallocate(again, 1);
}

TEST_CASE("operation memory: a handler is called with what came, and says where its operation lives") {
    operation_memory memory;
    int sum = 0;
    auto add = [&sum](int a, int b) { sum = a + b; };
    postroad::net::with_memory<decltype(add)> handler{&memory, add};
    CHECK(handler.get_allocator() == operation_allocator<void>(memory));
    std::move(handler)(2, 3);
    CHECK(sum == 5);
}
