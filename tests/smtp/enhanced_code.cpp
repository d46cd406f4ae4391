// Enhanced status codes at the front of a reply's text.
#include <postroad/smtp/reply.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace postroad;

namespace {

// What is taken off `text` in a reply of this code, and what is left of it.
std::string taken(std::string_view text, unsigned code) {
    const auto found = smtp::take_enhanced_code(text, code);
    return (found ? to_string(found) : std::string("nothing")) + ", " + std::string(text);
}

}  // namespace

TEST_CASE("an enhanced status code is taken off the text when its class is that of the reply (RFC 2034 section 4)") {
    CHECK(taken("5.1.1 no such user", 550) == "5.1.1, no such user");
    CHECK(taken("4.999.999 later", 451) == "4.999.999, later");
    CHECK(taken("2.0.0", 250) == "2.0.0, ");
    for (const auto* text : {"4.1.1 later", "2.1.1 ok", "5.1.1000 x", "5.1000.1 x", "5.1 x", "5.1.", "5..1 x", "5.1.1x",
                             "5.1.1.1 x", "55.1.1 x", "5,1,1 x", "", "no such user"}) {
        CAPTURE(text);
        CHECK(taken(text, 550) == "nothing, " + std::string(text));
    }
    CHECK(taken("3.0.0 go", 354) == "3.0.0, go");
}
