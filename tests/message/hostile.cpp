// Whatever a string holds: it is refused and the field named, or it stays within its field.
#include <postroad/message/message.hpp>
#include <postroad/message/utf8.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "failure.hpp"
#include "setters.hpp"
#include "text_of.hpp"
#include "utf8_character.hpp"

using postroad::errc;
using postroad::message;

namespace {

const std::chrono::system_clock::time_point now{std::chrono::seconds(1700000000)};

message simple() { return message{}.from("a@x").to("b@y").date(now).message_id("<1@x>").subject("s"); }

// Each that ends a line, a value or a string somewhere, and what is no character at all.
std::vector<std::string> hostile_octets() {
    std::vector<std::string> all;
    for (std::uint32_t c = 0; c < 0xa0; ++c)
        if (c < 0x20 || c >= 0x7f) all.push_back(utf8_of(c));
    // separators, spaces of no width, marks and overrides of direction, the byte order mark, tags, noncharacters
    for (const std::uint32_t c :
         {0xadU,   0x61cU,  0x180eU, 0x200bU,  0x200cU,  0x200dU, 0x200eU, 0x200fU, 0x2028U, 0x2029U, 0x202aU,
          0x202bU, 0x202cU, 0x202dU, 0x202eU,  0x2060U,  0x2066U, 0x2067U, 0x2068U, 0x2069U, 0x3000U, 0xfeffU,
          0xfff9U, 0xfffeU, 0xffffU, 0xe0001U, 0xe007fU, 0xff1aU, 0xff20U, 0xff1cU, 0xfe55U, 0x37eU,  0x10ffffU})
        all.push_back(utf8_of(c));
    // cut, overlong, surrogates, beyond the last character, octets that begin nothing
    for (const char* bad :
         {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc3", "\xe0\x80\x8a", "\xe2\x80", "\xed\xa0\x80", "\xed\xbf\xbf",
          "\xf0\x80\x80\x8a", "\xf0\x9f\x98", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xfe", "\xff", "\xc3\x28"})
        all.emplace_back(bad);
    return all;
}

// Values that read like the syntax around them.
std::vector<std::string> lookalikes() {
    return {"\r\nBcc: v@evil",
            "\nX-Evil: 1",
            "\r\n\r\nX-Evil: 1\r\n",
            "\r\n X-Evil: 1",
            "x\rBcc: v@evil",
            "\" <v@evil>, \"",
            "<v@evil>",
            ", v@evil",
            "v@evil, ",
            ": v@evil;",
            "a@b> <v@evil",
            "(",
            ")",
            "((((",
            "\\",
            "\"",
            "\\\"",
            "'",
            ";",
            "; name=evil.exe",
            "\"; filename=\"evil.exe",
            "=",
            "=?",
            "?=",
            "=?utf-8?q?=0D=0ABcc=3A_v=40evil?=",
            "=?utf-8?b?DQpCY2M6IHZAZXZpbA==?=",
            "=?x?q?=?=",
            "=?utf-8?q?=00?=",
            "utf-8''%0D%0ABcc%3A%20v%40evil",
            "--",
            "--=_1",
            ".",
            "\r\n.\r\n",
            "%0d%0aBcc:v@evil",
            "&#13;&#10;",
            "../evil",
            "C:\\evil",
            "..",
            "/",
            "CON",
            ">,<mailto:v@evil",
            "[evil]",
            "@",
            "@@",
            "a@",
            "@evil",
            "",
            " ",
            "\t",
            "  x  "};
}

std::string in_lines(const std::string& text) { return "\r\n" + postroad::detail::in_lower_case(text); }

bool is_printable_ascii(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c >= ' ' && c < 0x7f; });
}

void check_refused(const message& m, const failure& f, const setters::setter& s, const std::string& before) {
    CHECK((f.code == errc::invalid_header || f.code == errc::invalid_address));
    CHECK(f.code == postroad::condition::bad_input);
    CHECK(f.text.starts_with(std::string(s.field) + ": "));
    CHECK(is_printable_ascii(f.text));
    CHECK(f.text.size() < 600);
    CHECK(text_of(m.freeze(now).content) == before);
}

void check_taken(const message& m, const setters::setter& s) {
    postroad::mail_object mail;
    // of a domain it is seen late that it has no A-labels, and of several authors that they need a sender
    const auto late = failure_of([&] { mail = m.freeze(now); });
    if (late.code) {
        CHECK(late.code == postroad::condition::bad_input);
        CHECK(is_printable_ascii(late.text));
        return;
    }
    const auto text = text_of(mail.content);
    for (const auto* injected : {"\r\nbcc:", "\r\nx-evil:", "\r\n.\r\n"})
        CHECK(in_lines(text).find(injected) == std::string::npos);
    CHECK(mail.content.longest_line() <= 998);
    CHECK_FALSE(mail.content.binary());
    if (std::string_view(s.before).empty())  // else the value stands within an address or a list
        for (const auto& to : mail.envelope.recipients) CHECK(to.str().find("evil") == std::string::npos);
}

void check_value(const std::string& value) {
    const auto before = text_of(simple().freeze(now).content);
    for (const auto& s : setters::fields) {
        CAPTURE(s.field);
        CAPTURE(postroad::escaped(value));
        auto m = simple();
        const auto f = failure_of([&] { s.set(m, value); });
        CAPTURE(f.text);
        if (f.code)
            check_refused(m, f, s, before);
        else
            check_taken(m, s);
    }
}

}  // namespace

TEST_CASE("a control character or what is no UTF-8 is refused, a character of another kind stays in its field") {
    for (const auto& bad : hostile_octets())
        for (const auto& value : {bad, "ab" + bad, bad + "ab", "ab" + bad + "cd " + bad}) check_value(value);
}

TEST_CASE("what reads like syntax is a value, or refused") {
    const auto all = lookalikes();
    for (const auto& one : all) {
        if (!one.empty()) check_value(one);  // a part without a name needs a type, and says that
        check_value("x" + one);
        check_value("ä " + one);
        check_value(std::string(300, 'x') + one);
    }
}

TEST_CASE("values of any length are folded, encoded or refused") {
    for (const std::size_t size : {76U, 254U, 255U, 256U, 900U, 997U, 998U, 5000U})
        for (const auto* piece : {"x", "ä", "\u6f22", "\U0001f600", "x ", "\"", "\\", "=", "?", "_"}) {
            std::string value;
            while (value.size() < size) value += piece;
            check_value(value);
        }
}
