#include <doctest/doctest.h>

#include <postroad/message/utf8.hpp>

#include <string>

using postroad::detail::is_ascii;

TEST_CASE("an octet that is not ASCII is found wherever it stands") {
    for (std::size_t size = 0; size <= 20; ++size) {
        std::string text(size, '\x7f');
        CHECK(is_ascii(text));
        for (std::size_t at = 0; at < size; ++at) {
            text[at] = '\x80';
            CHECK_MESSAGE(!is_ascii(text), "octet ", at, " of ", size);
            text[at] = '\x7f';
        }
    }
}
