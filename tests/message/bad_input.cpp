#include <doctest/doctest.h>
#include <postroad/message/eml.hpp>
#include <postroad/message/message.hpp>

#include <chrono>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "failure.hpp"
#include "setters.hpp"

using postroad::address;
using postroad::errc;
using postroad::mailbox_group;
using postroad::message;
using postroad::source;

namespace {

const std::chrono::system_clock::time_point now{};

message simple() { return message{}.from("a@x").to("b@y"); }

}  // namespace

TEST_CASE("what could end a line, and what is no UTF-8, is refused in every field, and the octet named") {
    const struct {
        std::string value;
        std::size_t at;
    } rows[] = {
        {"ab\r\nBcc: v@evil", 2},
        {"a\r\n b", 1},
        {"\n", 0},
        {"ab\rc", 2},
        {std::string("a\0b", 3), 1},
        {"a\x1b[31m", 1},
        {"a\x7f", 1},
        {"a\xc2\x85", 1},
        {"abc\xe2\x80\xa8", 3},
        {"a\xff", 1},
        {"a\xed\xa0\x80", 1},
        {"\xc0\x8a", 0},
        {"a\xf0\x9f\x98", 1},
    };
    for (const auto& f : setters::fields)
        for (const auto& row : rows) {
            const bool folded = row.value == "a\r\n b" &&
                                (f.field == std::string("In-Reply-To") || f.field == std::string("References"));
            if (folded) continue;  // taken off
            CAPTURE(f.field);
            CAPTURE(postroad::escaped(row.value));
            auto m = simple();
            const auto bad = failure_of([&] { f.set(m, row.value); });
            CAPTURE(bad.text);
            CHECK(bad.code == errc::invalid_header);
            CHECK(bad.code == postroad::condition::bad_input);
            CHECK(bad.text.starts_with(std::string(f.field) + ": "));
            const auto at = std::string(f.before).size() + row.at;
            CHECK((bad.text + ' ').find("octet " + std::to_string(at) + ' ') != std::string::npos);
            CHECK(m.freeze(now).envelope.recipients.size() == 1);
        }
}

TEST_CASE("the same is refused in the name of a field, and the name shown") {
    for (const std::string bad : {"X\r\nBcc", "X\n", "X:", "X Y", "", "X\xc3\xa4", "X\x7f"}) {
        const auto f = failure_of([&] { simple().header(bad, "1"); });
        CHECK(f.code == errc::invalid_header);
        CHECK(f.text.find('\'' + postroad::escaped(bad) + '\'') != std::string::npos);
    }
}

TEST_CASE("a text with a NUL or ill-formed UTF-8 is refused, and the octet named") {
    const struct {
        const char* named;
        std::function<void(message&, std::string)> set;
    } bodies[] = {
        {"the text", [](message& m, std::string v) { m.text(v); }},
        {"the HTML", [](message& m, std::string v) { m.html(v); }},
        {"the calendar", [](message& m, std::string v) { m.calendar(v); }},
        {"the alternative", [](message& m, std::string v) { m.alternative(v, {.type = "text/markdown"}); }},
    };
    for (const auto& body : bodies)
        for (const auto& bad : {std::string("ab\0c", 4), std::string("ab\xff"), std::string("ab\xed\xa0\x80")}) {
            auto m = simple();
            const auto f = failure_of([&] { body.set(m, bad); });
            CAPTURE(f.text);
            CHECK(f.code == errc::invalid_message);
            CHECK(f.code == postroad::condition::bad_input);
            CHECK(f.text.starts_with(body.named));
            CHECK(f.text.find("octet 2") != std::string::npos);
        }
    const auto f = failure_of([] { postroad::parse_eml(std::string("From: a@x\nTo: b@y\n\n\0", 21)); });
    CHECK(f.code == errc::invalid_message);
}

TEST_CASE("a line that no server takes is encoded, or refused and the place named") {
    const std::string line(999, 'l');
    CHECK(simple().text(line).html(line).freeze(now).content.longest_line() <= 998);
    CHECK(simple().subject(line).freeze(now).content.longest_line() <= 998);
    CHECK(simple().attach(source::memory(line), {.type = "text/plain"}).freeze(now).content.longest_line() <= 998);
    auto f = failure_of([&] { simple().header("X-Own", line); });
    CHECK(f.code == errc::invalid_header);
    CHECK(f.text.starts_with("X-Own: "));
    const auto broken = postroad::content::from_text("Subject: " + line + "\n\nbody\n");
    f = failure_of([&] { (void)broken.as(postroad::transfer::eight_bit); });
    CHECK(f.code == errc::line_too_long);
    CHECK(f.text.find("the header of the message") != std::string::npos);
    const auto within = postroad::content::from_text(
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b\n"
        "Content-Type: multipart/signed; boundary=c\n\n--c\n\n" +
        line + "\n--c--\n--b--\n");
    f = failure_of([&] { (void)within.as(postroad::transfer::eight_bit); });
    CHECK(f.code == errc::line_too_long);
    CHECK(f.text.find("part 2") != std::string::npos);
}

TEST_CASE("a file that is not there is refused when it is named, and the path shown") {
    const std::string path = "/nowhere/at\nall";
    for (const auto& f : {failure_of([&] { simple().attach(std::filesystem::path(path), {.name = "a"}); }),
                          failure_of([&] { postroad::read_eml(path); })}) {
        CHECK(f.code == errc::unreadable_file);
        CHECK(f.code == postroad::condition::bad_input);
        CHECK(f.text.find("/nowhere/at\\x0aall") != std::string::npos);
    }
}

TEST_CASE("a message without recipients, or without a sender, is refused") {
    CHECK(failure_of([] { (void)message{}.from("a@x").text("x").freeze(now); }).code == errc::no_recipients);
    CHECK(failure_of([] { (void)message{}.from("a@x").to(mailbox_group{.name = "G"}).freeze(now); }).code ==
          errc::no_recipients);
    CHECK(failure_of([] { (void)message{}.to("a@x").text("x").freeze(now); }).code == errc::no_sender);
    CHECK(failure_of([] { (void)message{}.from("a@x").to("G:;").freeze(now); }).code == errc::no_recipients);
    for (const auto* none : {"", " ", "()"}) {
        const auto f = failure_of([&] { (void)message{}.from("a@x").to(none); });
        CHECK(f.code == errc::invalid_address);
        CHECK(f.text.starts_with("To: "));
    }
}
