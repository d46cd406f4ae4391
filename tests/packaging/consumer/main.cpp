#include <postroad/mailer.hpp>
#include <postroad/transport/discard.hpp>

int main() {
    postroad::mailer mail{postroad::transport::discard{}};
    const auto outcome =
        mail.send(postroad::message{}.from("ann@example.com").to("bob@example.org").subject("Hello").text("Hi"));
    return outcome.all_accepted() ? 0 : 1;
}
