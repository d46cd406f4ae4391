// expect: postroad: with POSTROAD_SEPARATE_COMPILATION a mailer of other types than the defaults needs #include
#define POSTROAD_SEPARATE_COMPILATION
#include <postroad/mailer.hpp>
#include <postroad/transport/discard.hpp>
#ifdef GOOD
#include <postroad/engine/runtime.hpp>
#endif

int main() {
    postroad::mailer own{postroad::transport::discard{}};
    postroad::mailer usual{"smtp://localhost"};
}
