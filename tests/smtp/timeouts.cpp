// How long a server may take when nobody says otherwise.
#include <postroad/smtp/session.hpp>

#include <doctest/doctest.h>

#include <chrono>

TEST_CASE("no step is given less time by default than RFC 5321 section 4.5.3.2 asks for") {
    using std::chrono::minutes;
    const postroad::smtp::timeouts t;
    CHECK(t.greeting >= minutes(5));
    CHECK(t.mail >= minutes(5));
    CHECK(t.rcpt >= minutes(5));
    CHECK(t.data >= minutes(2));
    CHECK(t.block >= minutes(3));
    CHECK(t.content >= minutes(10));
}
