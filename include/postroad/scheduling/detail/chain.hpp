#pragma once
// Lines of numbered elements: each comes in at the end and goes out from anywhere, in one step.

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace postroad::scheduling::detail {

using index = std::uint32_t;
inline constexpr index none = index(-1);

// Where an element stands in a line.
struct link {
    index before = none;
    index after = none;
    bool in_line = false;
};

// Elements by number; a number is given again once its element is gone.
template <class T>
class slots {
public:
    index add(T value) {
        if (free_.empty()) {
            free_.push_back(static_cast<index>(elements_.size()));
            elements_.emplace_back();
        }
        const auto i = free_.back();
        free_.pop_back();
        elements_[i] = std::move(value);
        return i;
    }
    void erase(index i) {
        elements_[i] = {};
        free_.push_back(i);
    }
    T& operator[](index i) noexcept {
        ++looks_;
        return elements_[i];
    }
    const T& operator[](index i) const noexcept {
        ++looks_;
        return elements_[i];
    }
    std::size_t size() const noexcept { return elements_.size() - free_.size(); }
    // Numbers that were ever in use at the same time.
    std::size_t capacity() const noexcept { return elements_.size(); }
    // How often an element was looked at: what tests of growth count.
    std::uint64_t looks() const noexcept { return looks_; }

private:
    std::vector<T> elements_;
    std::vector<index> free_;
    mutable std::uint64_t looks_ = 0;
};

// A line of elements of slots, by their member `Link`. An element that is in it may not be put in again.
template <auto Link>
struct chain {
    index first = none;
    index last = none;
    std::size_t size = 0;

    bool empty() const noexcept { return first == none; }

    template <class Slots>
    void push_back(Slots& all, index i) noexcept {
        all[i].*Link = {.before = last, .after = none, .in_line = true};
        (last == none ? first : (all[last].*Link).after) = i;
        last = i;
        ++size;
    }
    template <class Slots>
    void erase(Slots& all, index i) noexcept {
        const auto at = std::exchange(all[i].*Link, {});
        (at.before == none ? first : (all[at.before].*Link).after) = at.after;
        (at.after == none ? last : (all[at.after].*Link).before) = at.before;
        --size;
    }
    template <class Slots>
    index after(const Slots& all, index i) const noexcept {
        return (all[i].*Link).after;
    }
};

}  // namespace postroad::scheduling::detail
