#pragma once
// Separate compilation only: the engine of the default mailer, which mailer.hpp declares extern.

#include <postroad/mailer.hpp>

namespace postroad {

template class engine::runtime<transport::smtp, tls::automatic, pooling::keep_alive, queueing::memory,
                               scheduling::fifo>;

}  // namespace postroad
