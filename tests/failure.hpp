#pragma once
// What an error says, for tests of what is refused.

#include <postroad/core/error.hpp>

#include <string>

struct failure {
    postroad::error_code code = {};
    std::string text = {};
};

/// What `f` throws; without a code if it throws nothing.
template <class F>
failure failure_of(F f) {
    try {
        f();
    } catch (const postroad::error& e) {
        return {e.code(), e.what()};
    }
    return {{}, "nothing was thrown"};
}
