#pragma once

#include <postroad/queueing/suppression_list.hpp>

#include <postroad/core/error.hpp>

#include <algorithm>
#include <array>
#include <cstdio>

namespace postroad::suppression {
namespace detail {

/// "2026-03-01"
POSTROAD_DECL std::string date_of(time t) {
    const std::chrono::year_month_day d(std::chrono::floor<std::chrono::days>(t));
    std::array<char, 32> text{};
    const int size = std::snprintf(text.data(), text.size(), "%04d-%02u-%02u", static_cast<int>(d.year()),
                                   static_cast<unsigned>(d.month()), static_cast<unsigned>(d.day()));
    return {text.data(), static_cast<std::size_t>(std::max(size, 0))};
}

}  // namespace detail

POSTROAD_DECL std::string_view to_string(reason r) noexcept {
    return detail::reason_words[static_cast<std::size_t>(r)];
}

POSTROAD_DECL std::string describe(const entry& e) {
    std::string text = escaped(e.address.str(), address::max_size) +
                       " is suppressed: " + std::string(to_string(e.why)) + " since " + detail::date_of(e.added);
    if (!e.of.tenant.empty()) text += ", for the tenant " + escaped(e.of.tenant);
    if (!e.of.list.empty()) text += ", for the list " + escaped(e.of.list);
    if (!e.source.empty()) text += " (" + escaped(e.source) + ")";
    return text;
}

}  // namespace postroad::suppression
