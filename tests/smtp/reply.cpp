#include <postroad/smtp/reply.hpp>

#include <doctest/doctest.h>

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

using namespace postroad;
using namespace std::string_literals;

namespace {

struct result {
    std::vector<std::string> replies = {};
    error_code error = {};
    std::string explanation = {};
};

result read(std::string_view text, std::size_t step = std::string::npos) {
    result all;
    smtp::reply_reader reader;
    while (!text.empty() && !all.error) {
        auto part = text.substr(0, step);
        text.remove_prefix(part.size());
        while (const auto* r = reader.next(part, all.error)) all.replies.push_back(to_string(*r));
    }
    all.explanation = reader.explanation();
    return all;
}

}  // namespace

TEST_CASE("replies are the same however their octets are cut") {
    const std::string text =
        "220 mx ESMTP\r\n250-mx\r\n250-SIZE 1\r\n250 HELP\r\n250\r\n550-5.1.1 no\r\n550 5.1.1 such user\r\n354 go\r\n";
    const auto whole = read(text);
    CHECK(whole.replies.size() == 5);
    CHECK_FALSE(whole.error);
    for (std::size_t step = 1; step < text.size(); ++step) CHECK(read(text, step).replies == whole.replies);
}

TEST_CASE("malformed replies: what is none ends the stream, and is quoted without control characters") {
    const std::string rows[] = {"",
                                "hello",
                                "25 ok",
                                "2500 ok",
                                "250ok",
                                "250\tok",
                                "000 ok",
                                "099 ok",
                                "199 ok",
                                "150 ok",
                                "260 ok",
                                "290 ok",
                                "600 ok",
                                "999 ok",
                                "+OK ready",
                                " 250 ok",
                                "\x1b[31m250 ok",
                                "HTTP/1.1 400 Bad Request",
                                "\xef\xbb\xbf"
                                "250 ok",
                                "250-a\r\n251 b",
                                "250-a\r\nb"};
    for (const auto& row : rows) {
        CAPTURE(row);
        for (const std::size_t step : {std::string::npos, std::size_t{1}}) {
            const auto r = read(row + "\r\n250 next\r\n", step);
            CHECK(r.error == errc::malformed_reply);
            CHECK(r.replies.empty());
            REQUIRE_FALSE(r.explanation.empty());
            for (const char c : r.explanation) CHECK((c >= ' ' && c < 127));
        }
    }
}

TEST_CASE("malformed replies: a code alone, an empty text and octets above 127 are allowed") {
    CHECK(read("250\r\n").replies == std::vector{"250"s});
    CHECK(read("250 \r\n").replies.size() == 1);
    CHECK(read("250-\r\n250 \r\n").replies.size() == 1);
    CHECK(read("250 gr\xc3\xbc\xc3\x9f dich\r\n").replies == std::vector{"250 gr\\xc3\\xbc\\xc3\\x9f dich"s});
}

TEST_CASE("a refusal may have any second digit, what is no refusal may not") {
    for (const char first : {'2', '3', '4', '5'})
        for (char second = '0'; second <= '9'; ++second) {
            const auto row = std::string{first, second, '1'};
            CAPTURE(row);
            const auto r = read(row + " hm\r\n");
            if (second <= '5' || first >= '4')
                CHECK(r.replies == std::vector{row + " hm"});
            else
                CHECK(r.error == errc::malformed_reply);
        }
}

TEST_CASE("malformed replies: line ends without CR and octets that are NUL") {
    CHECK(read("250 ok\n").error == errc::malformed_reply);
    CHECK(read("250 o\rk\r\n").error == errc::malformed_reply);
    CHECK(read("250 o\0k\r\n"s).error == errc::malformed_reply);
}

TEST_CASE("malformed replies: what is wrong with a line that looks like a reply is said") {
    CHECK(read("550-5.1.1 a\r\n450 4.1.1 b\r\n").explanation ==
          "the lines of one reply have two codes, 550 and 450: \"450 4.1.1 b\"");
    CHECK(read("250 ok\r\r\n").explanation == "a line of the reply holds a CR within: \"250 ok\\x0d\"");
    CHECK(read("250 o\0k\r\n"s).explanation == "a line of the reply holds a NUL: \"250 o\\x00k\"");
}

TEST_CASE("an enhanced status code that not every line of a reply has is not lost") {
    CHECK(read("550-no\r\n550 5.1.1 such user\r\n").replies == std::vector{"550 5.1.1 no\\x0asuch user"s});
    CHECK(read("550-5.1.1 no\r\n550 such user\r\n").replies == std::vector{"550 5.1.1 no\\x0asuch user"s});
    CHECK(read("550-5.1.1 no\r\n550 5.7.1 nor that\r\n").replies == std::vector{"550 5.1.1 no\\x0a"
                                                                                "5.7.1 nor that"s});
    // of the next reply nothing is left over
    CHECK(read("550 5.1.1 no\r\n550 no\r\n").replies == std::vector{"550 5.1.1 no"s, "550 no"s});
}

TEST_CASE("unbounded replies: a line, its number and the whole end at their limits") {
    // sizes without CRLF
    const auto line = [](std::string_view start, std::size_t size) {
        return std::string(start) + std::string(size - start.size(), 'x') + "\r\n";
    };
    const auto lines = [&](std::size_t count, std::size_t size, std::size_t last) {
        std::string text;
        for (std::size_t i = 1; i < count; ++i) text += line("250-", size);
        return text + line("250 ", last);
    };
    for (const std::size_t step : {std::string::npos, std::size_t{1}, std::size_t{1000}}) {
        CAPTURE(step);
        CHECK(read(line("250 ", smtp::max_reply_line), step).replies.size() == 1);
        CHECK(read(line("250 ", smtp::max_reply_line + 1), step).error == errc::reply_too_long);
        CHECK(read(lines(smtp::max_reply_lines, 8, 8), step).replies.size() == 1);
        CHECK(read(lines(smtp::max_reply_lines + 1, 8, 8), step).error == errc::reply_too_long);
        static_assert(smtp::max_reply_size == 32 * 2048);
        CHECK(read(lines(32, 2048, 2048), step).replies.size() == 1);
        CHECK(read(lines(32, 2048, 2049), step).error == errc::reply_too_long);
    }
}

TEST_CASE("unbounded replies: a line without end is not waited for") {
    smtp::reply_reader reader;
    error_code ec;
    std::size_t fed = 0;
    while (!ec && fed < 1'000'000) {
        std::string_view part = "250 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
        fed += part.size();
        (void)reader.next(part, ec);
    }
    CHECK(ec == errc::reply_too_long);
    CHECK(fed < 2 * smtp::max_reply_line);
}
