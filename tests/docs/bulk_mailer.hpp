#pragma once
//[extern_mailer
// bulk_mailer.hpp
#include <postroad/mailer.hpp>
#include <postroad/scheduling/fair.hpp>

using bulk_mailer = postroad::mailer<postroad::scheduling::fair>;
POSTROAD_EXTERN_MAILER(bulk_mailer);
//]
