#pragma once
// What a content holds, for tests that make one only to look at it.

#include <postroad/message/content.hpp>

#include <string>

inline std::string text_of(const postroad::content& c) { return std::string(c.text()); }
