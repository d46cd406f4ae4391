#pragma once
// What is found by a number: a table without a node for each entry, which is what a message would pay for.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace postroad {

/// Values by any numbers, in one block of memory with at least as many places empty as taken; it shrinks again.
/// `Value()`, compared by ==, is never stored. Whatever find() gave is good until the next insert() or erase(). Not
/// thread-safe.
template <class Value>
class id_table {
public:
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }

    /// Null: there is none.
    const Value* find(std::uint64_t id) const noexcept {
        if (size_ == 0) return nullptr;
        const auto& s = slots_[place_of(id)];
        return s.is_taken() ? &s.value : nullptr;
    }
    /// False if there is one of that number, which stays.
    bool insert(std::uint64_t id, Value value) {
        if (slots_.empty()) resize(least);
        auto i = place_of(id);
        if (slots_[i].is_taken()) return false;
        if (2 * (size_ + 1) > slots_.size()) {
            resize(slots_.size() * 2);
            i = place_of(id);
        }
        slots_[i] = {id, std::move(value)};
        ++size_;
        return true;
    }
    /// What it was; Value() if there was none.
    Value erase(std::uint64_t id) {
        if (size_ == 0) return Value();
        auto hole = place_of(id);
        auto value = std::exchange(slots_[hole].value, Value());
        if (value == Value()) return value;
        --size_;
        // Whoever stands behind moves up, unless that were before the place that its number has first.
        for (auto i = next(hole); slots_[i].is_taken(); i = next(i))
            if (distance(first_of(slots_[i].id), i) >= distance(hole, i)) {
                slots_[hole].id = slots_[i].id;
                slots_[hole].value = std::exchange(slots_[i].value, Value());
                hole = i;
            }
        if (slots_.size() > least && 8 * size_ < slots_.size()) resize(slots_.size() / 2);
        return value;
    }
    /// The first in the order of the table; Value() if it is empty.
    Value first() const noexcept { return taken_from(0); }
    /// That behind the one of this number, which is there; Value() if it is the last.
    Value behind(std::uint64_t id) const noexcept { return taken_from(place_of(id) + 1); }
    /// All of them, the lowest first.
    std::vector<std::uint64_t> ids() const {
        std::vector<std::uint64_t> all;
        all.reserve(size_);
        for (const auto& s : slots_)
            if (s.is_taken()) all.push_back(s.id);
        std::ranges::sort(all);
        return all;
    }
    void swap(id_table& other) noexcept {
        slots_.swap(other.slots_);
        std::swap(size_, other.size_);
        std::swap(shift_, other.shift_);
    }
    /// Calls `f(value)` for each, in no order. `f` must not change the table.
    template <class F>
    void each(F&& f) const {
        for (const auto& s : slots_)
            if (s.is_taken()) f(s.value);
    }

private:
    static constexpr std::size_t least = 4;  // many have one or two
    struct slot {
        std::uint64_t id = 0;
        Value value = Value();
        bool is_taken() const noexcept { return !(value == Value()); }
    };

    // Numbers that follow each other are far from each other, so that hardly one stands behind another, and no range of
    // them falls upon another: the upper bits of the product have what all bits of the number say.
    std::size_t first_of(std::uint64_t id) const noexcept {
        return static_cast<std::size_t>(id * 0x9e3779b97f4a7c15u >> shift_);
    }
    std::size_t next(std::size_t i) const noexcept { return (i + 1) & (slots_.size() - 1); }
    std::size_t distance(std::size_t from, std::size_t to) const noexcept { return (to - from) & (slots_.size() - 1); }
    // Where it is, or would be.
    std::size_t place_of(std::uint64_t id) const noexcept {
        auto i = first_of(id);
        while (slots_[i].is_taken() && slots_[i].id != id) i = next(i);
        return i;
    }
    Value taken_from(std::size_t i) const noexcept {
        while (i < slots_.size() && !slots_[i].is_taken()) ++i;
        return i < slots_.size() ? slots_[i].value : Value();
    }
    void resize(std::size_t size) {
        auto old = std::exchange(slots_, std::vector<slot>(size));
        shift_ = 64 - std::countr_zero(size);
        for (auto& s : old)
            if (s.is_taken()) slots_[place_of(s.id)] = std::move(s);
    }

    std::vector<slot> slots_;  // a power of two
    std::size_t size_ = 0;
    int shift_ = 0;
};

}  // namespace postroad
