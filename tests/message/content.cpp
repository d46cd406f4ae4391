#include <doctest/doctest.h>
#include <postroad/message/content.hpp>

#include <algorithm>
#include <ostream>
#include <string>
#include <vector>

using postroad::content;

namespace {

// The lines of `text`, octet by octet.
std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    bool open = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (!open) lines.emplace_back();
        open = true;
        if (text[i] == '\r' || text[i] == '\n') {
            open = false;
            if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') ++i;
        } else {
            lines.back() += text[i];
        }
    }
    return lines;
}

}  // namespace

TEST_CASE("every mix of CR, LF, dot and letter becomes lines that end in CRLF") {
    const std::string alphabet = "\r\n.x";
    std::size_t total = 1;
    for (std::size_t length = 0; length <= 7; ++length, total *= alphabet.size())
        for (std::size_t n = 0; n < total; ++n) {
            std::string text;
            for (std::size_t i = 0, rest = n; i < length; ++i, rest /= alphabet.size())
                text += alphabet[rest % alphabet.size()];
            const auto lines = lines_of(text);
            std::string expected;
            std::size_t longest = 0;
            bool dots = false;
            for (const auto& line : lines) {
                expected += line + "\r\n";
                longest = std::max(longest, line.size());
                dots = dots || line.starts_with('.');
            }
            const auto c = content::from_text(text);
            if (c.text() == expected && c.longest_line() == longest && c.leading_dots() == dots) continue;
            CAPTURE(postroad::escaped(text));
            CHECK(postroad::escaped(c.text()) == postroad::escaped(expected));
            CHECK(c.longest_line() == longest);
            CHECK(c.leading_dots() == dots);
        }
}

TEST_CASE("octets above 127 are found wherever they stand, and told from those of the header") {
    for (std::size_t at = 0; at < 40; ++at) {
        std::string text(40, 'a');
        text[18] = text[20] = '\r';
        text[19] = text[21] = '\n';
        const bool is_line_end = at >= 18 && at <= 21;
        if (!is_line_end) text[at] = '\x80';
        CAPTURE(at);
        const auto c = content::from_text(text);
        CHECK(c.eight_bit() == !is_line_end);
        CHECK(c.eight_bit_header() == (at < 18));
    }
}

TEST_CASE("a text with a NUL is refused and the octet named") {
    try {
        content::from_text(std::string("ab\0c", 4));
        FAIL("no error");
    } catch (const postroad::error& e) {
        CHECK(e.code() == postroad::errc::invalid_message);
        CHECK(std::string(e.what()).find("octet 2") != std::string::npos);
    }
}

TEST_CASE("text that has CRLF line ends is not copied") {
    std::string text(1000, 'a');
    text += "\r\n";
    const auto* before = text.data();
    const auto c = content::from_text(std::move(text));
    CHECK(c.text().data() == before);
}

TEST_CASE("a reader shows what was not consumed and keeps the text alive") {
    content::reader r(content::from_text("abc\r\n"));
    CHECK(r.peek() == "abc\r\n");
    r.consume(4);
    CHECK(r.peek() == "\n");
    r.consume(1);
    CHECK(r.peek().empty());
    CHECK(content::reader{}.peek().empty());
}
