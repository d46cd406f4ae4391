#include <doctest/doctest.h>
#include <postroad/message/header.hpp>

#include <algorithm>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace pd = postroad::detail;
using namespace std::chrono_literals;

namespace {

std::string repeated(std::string_view piece, std::size_t n) {
    std::string result;
    while (n-- > 0) result += piece;
    return result;
}

std::string subject(std::string_view value, pd::header_charset charset = pd::header_charset::ascii) {
    pd::header_writer w(charset);
    w.unstructured("Subject", value, pd::value_kind::text);
    return w.take();
}

std::string to(std::vector<postroad::mailbox> list, pd::header_charset charset = pd::header_charset::ascii) {
    pd::header_writer w(charset);
    w.mailboxes("To", list);
    return w.take();
}

std::string named(std::string name, pd::header_charset charset = pd::header_charset::ascii) {
    return to({{std::move(name), postroad::address("a@x")}}, charset);
}

std::size_t longest_line(std::string_view text) {
    std::size_t longest = 0;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = text.find("\r\n", at);
        longest = std::max(longest, end - at);
        at = end + 2;
    }
    return longest;
}

}  // namespace

TEST_CASE("a date is written with the day of its own zone") {
    using std::chrono::sys_days;
    using std::chrono::year;
    const struct {
        std::chrono::system_clock::time_point when;
        std::chrono::minutes offset;
        const char* text;
    } rows[] = {
        {sys_days(year(1970) / 1 / 1), 0min, "Thu, 01 Jan 1970 00:00:00 +0000"},
        {sys_days(year(2024) / 2 / 29) + 23h + 59min + 59s + 999ms, 0min, "Thu, 29 Feb 2024 23:59:59 +0000"},
        {sys_days(year(2024) / 12 / 31) + 23h, 90min, "Wed, 01 Jan 2025 00:30:00 +0130"},
        {sys_days(year(2025) / 1 / 1) + 1h, -570min, "Tue, 31 Dec 2024 15:30:00 -0930"},
        {sys_days(year(1969) / 12 / 31) + 23h + 59min + 59s + 1ms, 0min, "Wed, 31 Dec 1969 23:59:59 +0000"},
    };
    for (const auto& row : rows) CHECK(pd::format_date(row.when, row.offset) == row.text);
}

TEST_CASE("a value stays as it is where it can, and is folded at its own spaces") {
    CHECK(subject("") == "Subject:\r\n");
    CHECK(subject("Hello  there") == "Subject: Hello  there\r\n");
    CHECK(subject(std::string(69, 'a')) == "Subject: " + std::string(69, 'a') + "\r\n");
    CHECK(subject(std::string(60, 'a') + ' ' + std::string(20, 'b')) ==
          "Subject: " + std::string(60, 'a') + "\r\n " + std::string(20, 'b') + "\r\n");
}

TEST_CASE("a value begins on the line of its name: where it does not, readers show nothing, or a space too many") {
    for (const std::size_t size : {70U, 100U, 989U})
        CHECK(subject(std::string(size, 'a')) == "Subject: " + std::string(size, 'a') + "\r\n");
    CHECK(subject(std::string(100, 'a') + " b") == "Subject: " + std::string(100, 'a') + "\r\n b\r\n");
    CHECK(subject(std::string(990, 'a')).starts_with("Subject: =?utf-8?"));
    pd::header_writer w(pd::header_charset::ascii);
    w.unstructured("X", std::string(995, 'a'), pd::value_kind::raw);
    CHECK(w.take() == "X: " + std::string(995, 'a') + "\r\n");
    w.unstructured("X", std::string(996, 'a'), pd::value_kind::raw);
    CHECK(w.take() == "X:\r\n " + std::string(996, 'a') + "\r\n");
}

TEST_CASE("spaces at an edge of a text are encoded: readers and relays take them off") {
    CHECK(subject(" a") == "Subject: =?utf-8?q?_a?=\r\n");
    CHECK(subject("a  ") == "Subject: =?utf-8?q?a__?=\r\n");
    CHECK(subject("\ta") == "Subject: =?utf-8?q?=09a?=\r\n");
    CHECK(subject(" ") == "Subject: =?utf-8?q?_?=\r\n");
    CHECK(longest_line(subject(std::string(100, ' '))) <= 76);
    pd::header_writer w(pd::header_charset::ascii);
    w.unstructured("X", " a ", pd::value_kind::raw);
    CHECK(w.take() == "X:  a \r\n");
}

TEST_CASE("several spaces are encoded where a text is folded: readers keep one") {
    for (const std::string gap : {"  ", "\t"}) {
        const auto text = subject(std::string(60, 'a') + gap + std::string(20, 'b'));
        CHECK(text.starts_with("Subject: =?utf-8?"));
        CHECK(subject("a" + gap + std::string(66, 'b')).starts_with("Subject: a" + gap + "b"));
    }
}

TEST_CASE("spaces alone never make a line") {
    pd::header_writer w(pd::header_charset::ascii);
    for (const std::size_t size : {0U, 1U, 78U, 900U}) {
        w.unstructured("X", std::string(size, ' '), pd::value_kind::raw);
        CHECK(w.take() == "X:" + std::string(size == 0 ? 0 : size + 1, ' ') + "\r\n");
    }
    w.unstructured("X", std::string(100, ' ') + "a", pd::value_kind::raw);
    CHECK(w.take() == "X:" + std::string(101, ' ') + "a\r\n");
}

TEST_CASE("a stretch that no line can hold goes into encoded words") {
    CHECK(longest_line(subject(std::string(998, 'a'))) <= 76);
    CHECK(longest_line(subject("a" + std::string(998, ' '))) <= 76);
    CHECK(longest_line(subject(repeated("ä", 500), pd::header_charset::utf8)) <= 76);
}

TEST_CASE("text that reads like an encoded word is encoded, a raw value is not") {
    CHECK(subject("=?utf-8?q?a?=") == "Subject: =?utf-8?b?PT91dGYtOD9xP2E/PQ==?=\r\n");
    CHECK(subject("what=?") == "Subject: what=?\r\n");
    pd::header_writer w(pd::header_charset::ascii);
    w.unstructured("X", "=?utf-8?q?a?=", pd::value_kind::raw);
    CHECK(w.take() == "X: =?utf-8?q?a?=\r\n");
}

TEST_CASE("encoded words take the shorter form") {
    CHECK(subject("Rechnung für Ann") == "Subject: =?utf-8?q?Rechnung_f=C3=BCr_Ann?=\r\n");
    CHECK(subject("漢字") == "Subject: =?utf-8?b?5ryi5a2X?=\r\n");
}

TEST_CASE("encoded words have at most 75 octets, their lines 76, and hold whole characters") {
    for (const auto* character : {"ä", "漢", "\xf0\x9f\x98\x80"})
        for (std::size_t lead = 0; lead < 80; ++lead) {
            const auto text = subject(std::string(lead, 'a') + repeated(character, 60));
            CAPTURE(text);
            CHECK(longest_line(text) <= 76);
            CHECK(longest_line(text) >= 60);
            for (auto at = text.find("=?"); at != std::string::npos; at = text.find("=?", at)) {
                const auto payload = at + 10;
                const auto end = text.find("?=", payload);
                CHECK(end + 2 - at <= 75);
                if (text[at + 8] == 'q') {
                    // a continuation octet first would be the rest of a character
                    const auto first = text.substr(payload, 2);
                    CHECK((first[0] != '=' ||
                           (first[1] != '8' && first[1] != '9' && first[1] != 'A' && first[1] != 'B')));
                } else {
                    CHECK((text[payload] == 'Y' || text[payload] >= 'w' ||
                           (text[payload] >= '0' && text[payload] <= '9')));
                }
                at = end + 2;
            }
        }
}

TEST_CASE("a display name is written so that it reads as it was given") {
    const struct {
        const char* name;
        const char* field;
    } rows[] = {
        {"", "To: a@x\r\n"},
        {"Ann Lee", "To: Ann Lee <a@x>\r\n"},
        {"Lee, Ann", "To: \"Lee, Ann\" <a@x>\r\n"},
        {"J. Doe", "To: \"J. Doe\" <a@x>\r\n"},
        {"A \"B\" \\C", "To: \"A \\\"B\\\" \\\\C\" <a@x>\r\n"},
        {"A  B", "To: \"A  B\" <a@x>\r\n"},
        {" A", "To: \" A\" <a@x>\r\n"},
        {"A\tB", "To: \"A\tB\" <a@x>\r\n"},
        {"a@x", "To: \"a@x\" <a@x>\r\n"},
        {"Jürgen", "To: =?utf-8?q?J=C3=BCrgen?= <a@x>\r\n"},
        {"=?utf-8?q?a?=", "To: =?utf-8?b?PT91dGYtOD9xP2E/PQ==?= <a@x>\r\n"},
    };
    for (const auto& row : rows) CHECK(named(row.name) == row.field);
    CHECK(named("Jürgen", pd::header_charset::utf8) == "To: Jürgen <a@x>\r\n");
    CHECK(named("Lee, Jürgen", pd::header_charset::utf8) == "To: \"Lee, Jürgen\" <a@x>\r\n");
}

TEST_CASE("an address that would make the line of an encoded word longer than 76 octets goes to the next") {
    for (std::size_t size = 1; size < 60; ++size)
        CHECK(longest_line(to({{repeated("ä", 9), postroad::address(std::string(size, 'a') + "@x")}})) <= 76);
}

TEST_CASE("long names and lists are folded") {
    CHECK(longest_line(named(repeated("word ", 50) + "x")) <= 78);
    CHECK(longest_line(named(std::string(300, 'a'))) <= 78);
    CHECK(longest_line(named(repeated("a, ", 100))) <= 78);
    std::vector<postroad::mailbox> many(100, {"Ann Lee", postroad::address("ann@example.com")});
    CHECK(longest_line(to(many)) <= 78);
    CHECK(to({{"Ann", postroad::address("a@" + std::string(60, 'd') + '.' + std::string(60, 'd'))}}) ==
          "To: Ann\r\n <a@" + std::string(60, 'd') + '.' + std::string(60, 'd') + ">\r\n");
    CHECK(to({}).empty());
}

TEST_CASE("quoted-printable keeps text readable, lines within 76 octets and line ends as CRLF") {
    const struct {
        std::string text;
        std::string encoded;
    } rows[] = {
        {"", ""},
        {"a=b", "a=3Db"},
        {"ä\n", "=C3=A4\r\n"},
        {"a \n\tb\t\r\nc ", "a=20\r\n\tb=09\r\nc=20"},
        {"a\rb\r\nc\n\nd", "a\r\nb\r\nc\r\n\r\nd"},
        {std::string("\0\x7f", 2), "=00=7F"},
        {std::string(76, 'a'), std::string(76, 'a')},
        {std::string(77, 'a'), std::string(75, 'a') + "=\r\naa"},
        {std::string(73, 'a') + "=\n", std::string(73, 'a') + "=3D\r\n"},
        {std::string(74, 'a') + "=\n", std::string(74, 'a') + "=\r\n=3D\r\n"},
        {std::string(73, 'a') + "=b", std::string(73, 'a') + "=\r\n=3Db"},
    };
    for (const auto& row : rows) {
        std::string encoded = "kept ";
        pd::append_quoted_printable(encoded, row.text);
        CHECK(encoded == "kept " + row.encoded);
    }
}

TEST_CASE("quoted-printable of any octets reads back, in lines that no relay changes") {
    const auto decoded = [](const std::string& text) {
        std::string result;
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (text[i] != '=') {
                result += text[i];
            } else {
                const auto code = text.substr(i + 1, 2);
                if (code != "\r\n") result += static_cast<char>(std::stoi(code, nullptr, 16));
                i += 2;
            }
        }
        return result;
    };
    std::uint32_t state = 7;
    const auto below = [&](std::uint32_t n) { return (state = state * 1664525U + 1013904223U) / 65536U % n; };
    const std::string alphabet = " \t\r\n=a.\xc3";
    for (int i = 0; i < 20000; ++i) {
        std::string text;
        const auto rare = 1 + below(30);
        for (auto n = below(240); n > 0; --n)
            text += below(rare) == 0 ? alphabet[below(8)] : static_cast<char>(rare > 20 ? 'b' : below(256));
        std::string encoded;
        pd::append_quoted_printable(encoded, text);
        auto lines = pd::with_crlf(text + '.');
        lines.resize(lines.size() - 3);
        REQUIRE(decoded(encoded) == lines);
        for (std::size_t at = 0; at < encoded.size();) {
            const auto end = std::min(encoded.find('\r', at), encoded.size());
            REQUIRE(end - at <= 76);
            if (end > at) REQUIRE((encoded[end - 1] != ' ' && encoded[end - 1] != '\t'));
            at = end + 2;
        }
    }
}

TEST_CASE("text is 7bit only when it is ASCII without NUL in lines of at most 998 octets") {
    CHECK(pd::is_seven_bit(""));
    CHECK(pd::is_seven_bit(std::string(998, 'a') + "\n" + std::string(998, 'a')));
    CHECK_FALSE(pd::is_seven_bit(std::string(999, 'a')));
    CHECK_FALSE(pd::is_seven_bit("\x80"));
    CHECK_FALSE(pd::is_seven_bit(std::string_view("\0", 1)));
}
