#pragma once
// What somebody else's code threw, as a code and its text.

#include <postroad/core/error.hpp>

#include <exception>
#include <string>
#include <utility>

namespace postroad {

struct failure {
    error_code code = {};
    diagnostics details = {};
};

/// Of the exception that is being handled: of an `error` what it says, otherwise errc::policy_failed with its text. In
/// a catch block only.
inline failure thrown() {
    try {
        throw;
    } catch (const error& e) {
        return {e.code(), e.details()};
    } catch (const std::exception& e) {
        return {errc::policy_failed, {.explanation = e.what()}};
    } catch (...) {
        return {errc::policy_failed, {.explanation = "what was thrown is no std::exception"}};
    }
}

/// What it says, as one text. In a catch block only.
inline std::string text_of_exception() {
    auto t = thrown();
    return t.details.explanation.empty() ? t.code.message() : std::move(t.details.explanation);
}

}  // namespace postroad
