#include "discarding.hpp"

int main() {
    discarding mail{postroad::transport::discard{}};
    const auto outcome =
        mail.send(postroad::message{}.from("ann@example.com").to("bob@example.org").subject("Hello").text("Hi"));
    // The default one, compiled once, and made known by its base.
    postroad::mailer other{"smtp://localhost"};
    postroad::mailer_base& any = other;
    any.shutdown();
    return outcome.all_accepted() && mail.count().total() == 0 ? 0 : 1;
}
