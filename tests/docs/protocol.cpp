// The code of docs/transport.md about what a message asks for.
#include <doctest/doctest.h>

#include <postroad/postroad.hpp>
#include <postroad/testing/sink.hpp>

#include <string>
#include <vector>

TEST_CASE("docs/transport.md: what is asked for a message and its recipients") {
    postroad::testing::sink server;
    postroad::mailer mail{server.url()};
    const auto m =
        postroad::message{}.from("shop@x.example").to("ann@y.example, bob@y.example").subject("Order 7").text("Thanks");
    //[asked
    auto order = m.freeze(std::chrono::system_clock::now());
    order.envelope.options = {.returned = postroad::returned::headers, .envelope_id = "order-7", .priority = 3};
    order.envelope.recipient_options = {{.notify = {.success = true, .failure = true}},  // of the first recipient
                                        {.notify = {.never = true}}};                    // of the second
    mail.send(order).require_accepted();
    //]
    const auto stored = server.messages();
    REQUIRE(stored.size() == 1);
    CHECK(stored[0].recipient_parameters == std::vector<std::string>{"NOTIFY=SUCCESS,FAILURE", "NOTIFY=NEVER"});
    CHECK(server.violations().empty());
}
