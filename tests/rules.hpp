#pragma once
// What a policy suite found, as text that doctest prints.

#include <postroad/testing/policy_suites.hpp>

#include <string>
#include <string_view>

namespace rules_test {

inline std::string listed(const postroad::testing::broken_rules& found) {
    std::string text;
    for (const auto& rule : found) text += rule + "\n";
    return text;
}

/// Whether `rule` is among what was found.
inline bool broke(const postroad::testing::broken_rules& found, std::string_view rule) {
    return ("\n" + listed(found)).find("\n" + std::string(rule) + "\n") != std::string::npos;
}

}  // namespace rules_test
