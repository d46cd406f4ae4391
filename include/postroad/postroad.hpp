#pragma once
// Everything that needs Asio and mbedTLS only.

#include <postroad/engine/runtime.hpp>
#include <postroad/mailer.hpp>
#include <postroad/message/delivery_report.hpp>
#include <postroad/message/eml.hpp>
#include <postroad/pooling/one_shot.hpp>
#include <postroad/queueing/direct.hpp>
#include <postroad/queueing/suppression.hpp>
#include <postroad/scheduling/fair.hpp>
#include <postroad/transport/discard.hpp>
#include <postroad/transport/maildir.hpp>
