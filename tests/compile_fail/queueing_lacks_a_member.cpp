// A queue of the user's own that cannot settle.
// expect: postroad: the queueing policy lacks something (docs/queueing.md)
// expect: settle
#include <postroad/mailer.hpp>
#include <postroad/transport/discard.hpp>

struct my_queue : postroad::queueing::memory {
#ifndef GOOD
private:
    using postroad::queueing::memory::settle;
#endif
};

void compose() { postroad::mailer mail{my_queue{}, postroad::transport::discard{}}; }
