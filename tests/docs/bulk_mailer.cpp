// Compiled alone: an explicit instantiation.
//[compile_mailer
// bulk_mailer.cpp
#include "bulk_mailer.hpp"

#include <postroad/engine/runtime.hpp>

POSTROAD_COMPILE_MAILER(bulk_mailer);
//]
