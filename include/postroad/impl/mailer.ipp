#pragma once
// Separate compilation only: the engine of the default mailer, which mailer.hpp declares extern.

#include <postroad/engine/runtime.hpp>
#include <postroad/mailer.hpp>

POSTROAD_COMPILE_MAILER(postroad::mailer<>);
