#pragma once
#include <postroad/mailer.hpp>
#include <postroad/transport/discard.hpp>

using discarding = postroad::mailer<postroad::transport::discard>;
POSTROAD_EXTERN_MAILER(discarding);
