// A queue of the user's own whose settle() takes something else.
// expect: postroad: the queueing policy lacks something (docs/queueing.md)
// expect: settle
#include <postroad/mailer.hpp>
#include <postroad/transport/discard.hpp>

struct my_queue : postroad::queueing::memory {
#ifndef GOOD
    void settle(const char*) {}
#endif
};

void compose() { postroad::mailer mail{my_queue{}, postroad::transport::discard{}}; }
