// The code of docs/queueing.md that needs postroad::amqp.
#if __has_include(<amqp.h>) || __has_include(<rabbitmq-c/amqp.h>)

#include <doctest/doctest.h>

#include <postroad/postroad.hpp>
#include <postroad/queueing/amqp.hpp>

TEST_CASE("a mailer with a queue at a broker says when that cannot be reached") {
    const auto begin = [] {
        //[amqp
        postroad::mailer mail{
            postroad::transport::smtp{"smtp://relay.example.com"},
            postroad::queueing::amqp{{.url = "amqp://user:password@127.0.0.1:1/mail", .name = "newsletters"}},
            postroad::scheduling::fair{.in_doubt = postroad::scheduling::park{}}};
        //]
    };
    try {
        begin();
        FAIL("it connected");
    } catch (const postroad::error& e) {
        CHECK(e.code() == postroad::errc::broker_unreachable);
        CHECK(std::string(e.what()).find("password") == std::string::npos);
    }
}

#endif
