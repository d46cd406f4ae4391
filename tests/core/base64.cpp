#include <doctest/doctest.h>
#include <postroad/core/base64.hpp>

#include <string>

using namespace std::string_literals;
using postroad::base64_decode;
using postroad::base64_encode;

namespace {

const struct {
    std::string octets;
    const char* text;
} pairs[] = {{"", ""},
             {"f", "Zg=="},
             {"fo", "Zm8="},
             {"foo", "Zm9v"},
             {"foob", "Zm9vYg=="},
             {"fooba", "Zm9vYmE="},
             {"foobar", "Zm9vYmFy"},
             {"\0\xff\xfe"s, "AP/+"}};

}  // namespace

TEST_CASE("base64 is that of RFC 4648 in both directions") {
    for (const auto& [octets, text] : pairs) {
        CHECK(base64_encode(octets) == text);
        std::string out;
        CHECK(base64_decode(text, out));
        CHECK(out == octets);
    }
}

TEST_CASE("every length of octets survives, without line breaks") {
    std::string octets;
    for (int i = 0; i < 600; ++i) {
        const auto text = base64_encode(octets);
        std::string out;
        REQUIRE(base64_decode(text, out));
        CHECK(out == octets);
        CHECK(text.find_first_of("\r\n") == std::string::npos);
        octets += static_cast<char>(i * 7);
    }
}

TEST_CASE("what is not exactly base64 is refused and leaves nothing") {
    for (const auto& text : {"Zg"s, "Zg="s, "Zg==="s, "Zg==Zg=="s, "=Zg="s, "===="s, "Z==="s, "Zm9v\r\n"s, "Zm9v\n"s,
                             " Zm9v"s, "Zm 9v"s, "Zm-_"s, "Zh=="s, "Zm9="s, "Zm9\0"s, "Zm9\xff"s}) {
        CAPTURE(text);
        std::string out = "before";
        CHECK_FALSE(base64_decode(text, out));
        CHECK(out.empty());
    }
}
