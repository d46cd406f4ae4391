#pragma once
// Questions about all elements of a range. Those of std::ranges say the same, and cost the compiler ten times as much
// for each type of range and of function.

namespace postroad::detail {

template <class Range, class Predicate>
constexpr bool any_of(const Range& all, Predicate is) {
    for (const auto& each : all)
        if (is(each)) return true;
    return false;
}
template <class Range, class Predicate>
constexpr bool all_of(const Range& all, Predicate is) {
    for (const auto& each : all)
        if (!is(each)) return false;
    return true;
}
template <class Range, class Predicate>
constexpr bool none_of(const Range& all, Predicate is) {
    return !postroad::detail::any_of(all, is);
}
template <class Range, class Value>
constexpr bool contains(const Range& all, const Value& value) {
    for (const auto& each : all)
        if (each == value) return true;
    return false;
}

}  // namespace postroad::detail
