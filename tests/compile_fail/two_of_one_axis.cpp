// Two queues for one mailer.
// expect: postroad: two queueing policies; a mailer takes one of each axis
#include <postroad/mailer.hpp>
#include <postroad/transport/discard.hpp>

struct my_queue : postroad::queueing::memory {};

void compose() {
#ifdef GOOD
    postroad::mailer mail{my_queue{}, postroad::transport::discard{}};
#else
    postroad::mailer mail{my_queue{}, postroad::transport::discard{}, postroad::queueing::memory{}};
#endif
}
