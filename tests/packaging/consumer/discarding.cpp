#include "discarding.hpp"

#include <postroad/engine/runtime.hpp>

POSTROAD_COMPILE_MAILER(discarding);
