#pragma once
// The four macros of the library. Everything else that can be chosen is a type or an option.

/// 10000 * major + 100 * minor + patch.
#define POSTROAD_VERSION 100
#define POSTROAD_VERSION_STRING "0.1.0"

// Define POSTROAD_SEPARATE_COMPILATION everywhere and include <postroad/src.hpp> in one source file to compile the
// non-template parts once. Otherwise they are inline.
#if defined(POSTROAD_SEPARATE_COMPILATION)
#define POSTROAD_DECL
#else
#define POSTROAD_HEADER_ONLY 1
#define POSTROAD_DECL inline
#endif
