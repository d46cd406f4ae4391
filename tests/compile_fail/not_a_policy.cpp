// An argument that names no axis.
// expect: postroad: an argument is not a policy; a policy names its axis, an executor and a URL come first
#include <postroad/mailer.hpp>
#include <postroad/transport/discard.hpp>

struct stranger {};

void compose() {
#ifdef GOOD
    postroad::mailer mail{postroad::transport::discard{}};
#else
    postroad::mailer mail{postroad::transport::discard{}, stranger{}};
#endif
}
