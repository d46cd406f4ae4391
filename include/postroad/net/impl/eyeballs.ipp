#pragma once

#include <postroad/net/eyeballs.hpp>

#include <postroad/core/algorithm.hpp>

#include <algorithm>
#include <array>

namespace postroad::net {
namespace detail {

inline bool is_allowed(std::string_view address, const dialing& how) {
    const bool six = is_ipv6(address);
    if (how.family != address_family::any && six != (how.family == address_family::ipv6)) return false;
    return how.local_addresses.empty() ||
           postroad::detail::any_of(how.local_addresses, [six](const auto& local) { return is_ipv6(local) == six; });
}

}  // namespace detail

POSTROAD_DECL eyeballs::eyeballs(const std::vector<std::string>& found, const dialing& how)
    : delay_(how.attempt_delay) {
    std::array<std::vector<std::string>, 2> families;
    bool first_is_six = false;
    for (const auto& a : found) {
        auto& family = families[is_ipv6(a) ? 1 : 0];
        if (!detail::is_allowed(a, how) || postroad::detail::contains(family, a)) continue;
        if (families[0].empty() && families[1].empty()) first_is_six = is_ipv6(a);
        family.push_back(a);
    }
    const auto& first = families[first_is_six ? 1 : 0];
    const auto& second = families[first_is_six ? 0 : 1];
    for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i)
        for (const auto* family : {&first, &second})
            if (i < family->size() && addresses_.size() < max_addresses) addresses_.push_back((*family)[i]);
}

POSTROAD_DECL const std::string* eyeballs::poll(time_point now) {
    if (now < deadline() || next_ == addresses_.size()) return nullptr;
    ++running_;
    results_.emplace_back();
    due_ = after(now, delay_);
    return &addresses_[next_++];
}

POSTROAD_DECL void eyeballs::failed(std::string_view address, error_code why) {
    const auto found = std::ranges::find(addresses_, address);
    if (found == addresses_.end()) return;
    auto& result = results_.at(static_cast<std::size_t>(found - addresses_.begin()));
    if (result) return;
    result = last_ = why;
    --running_;
    due_ = time_point::min();
}

POSTROAD_DECL std::string eyeballs::explanation() const {
    if (addresses_.empty()) return "no address of a family that may be used";
    std::string text;
    for (std::size_t i = 0; i < std::min(results_.size(), max_named); ++i)
        text += (i == 0 ? "" : "; ") + addresses_[i] + ": " + (results_[i] ? results_[i].message() : "no answer");
    if (results_.size() > max_named) text += "; and " + std::to_string(results_.size() - max_named) + " more";
    return text;
}

}  // namespace postroad::net
