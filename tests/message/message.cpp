#include <doctest/doctest.h>
#include <postroad/message/message.hpp>

#include <functional>
#include <ostream>
#include <string>
#include <type_traits>
#include <vector>

#include "failure.hpp"
#include "text_of.hpp"

using postroad::address;
using postroad::errc;
using postroad::error;
using postroad::mailbox;
using postroad::message;
using namespace std::chrono_literals;

namespace {

const std::chrono::system_clock::time_point now = std::chrono::sys_days(std::chrono::year(2025) / 1 / 6) + 12h;

message simple() { return message{}.from("a@x").to("b@y"); }

std::string frozen(const message& m) { return text_of(m.freeze(now).content); }

// The value of the field `name`, unfolded; "-" if there is none.
std::string field(const message& m, const std::string& name) {
    auto text = "\r\n" + frozen(m);
    text.resize(text.find("\r\n\r\n") + 2);
    const auto at = text.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "-";
    std::string value;
    for (auto i = at + name.size() + 4; i < text.size(); ++i) {
        if (text[i] != '\r') {
            value += text[i];
        } else if (++i + 1 == text.size() || text[i + 1] != ' ') {
            break;
        }
    }
    return value;
}

std::string route(const message& m) {
    const auto e = m.freeze(now).envelope;
    std::string result = e.reverse_path.str() + " >";
    for (const auto& r : e.recipients) result += ' ' + r.str();
    return result;
}

struct setter {
    const char* name;
    std::function<void(message&, std::string)> set;
};

// Everything that takes a value a stranger may have chosen.
const std::vector<setter> setters = {
    {"From", [](message& m, std::string v) { m.from({.name = v, .address = address("a@x")}); }},
    {"To", [](message& m, std::string v) { m.to({.name = v, .address = address("a@x")}); }},
    {"Cc", [](message& m, std::string v) { m.cc({.name = v, .address = address("a@x")}); }},
    {"Bcc", [](message& m, std::string v) { m.bcc({.name = v, .address = address("a@x")}); }},
    {"Reply-To", [](message& m, std::string v) { m.reply_to({.name = v, .address = address("a@x")}); }},
    {"From", [](message& m, std::string v) { m.from('"' + v + "\" <a@x>"); }},
    {"Sender", [](message& m, std::string v) { m.sender(v + " <a@x>"); }},
    {"To", [](message& m, std::string v) { m.to(v + "@x"); }},
    {"Cc", [](message& m, std::string v) { m.cc("a@" + v); }},
    {"Bcc", [](message& m, std::string v) { m.bcc('(' + v + ") a@x"); }},
    {"Reply-To", [](message& m, std::string v) { m.reply_to("a@x, " + v + ": b@y;"); }},
    {"Subject", [](message& m, std::string v) { m.subject(v); }},
    {"X-Name", [](message& m, std::string v) { m.header("X-Name", v); }},
    {"", [](message& m, std::string v) { m.header("X" + v, "1"); }},
    {"Message-ID", [](message& m, std::string v) { m.message_id('<' + v + "@x>"); }},
};

std::size_t count(std::string_view text, std::string_view piece) {
    std::size_t n = 0;
    for (auto at = text.find(piece); at != std::string_view::npos; at = text.find(piece, at + 1)) ++n;
    return n;
}

}  // namespace

TEST_CASE("a message is composed in one expression") {
    const auto o = message{}
                       .from("Ann Lee <ann@example.com>")
                       .to("bob@example.org")
                       .subject("Hi")
                       .date(now, 60min)
                       .message_id("<1@example.com>")
                       .header("X-Name", "value")
                       .text("Hello,\nBob")
                       .freeze(now);
    CHECK(o.content.text() ==
          "Date: Mon, 06 Jan 2025 13:00:00 +0100\r\n"
          "From: Ann Lee <ann@example.com>\r\n"
          "To: bob@example.org\r\n"
          "Subject: Hi\r\n"
          "Message-ID: <1@example.com>\r\n"
          "X-Name: value\r\n"
          "MIME-Version: 1.0\r\n"
          "Content-Type: text/plain; charset=utf-8\r\n"
          "Content-Transfer-Encoding: 7bit\r\n"
          "\r\n"
          "Hello,\r\nBob\r\n");
}

TEST_CASE("setters keep an rvalue an rvalue and an lvalue an lvalue") {
    static_assert(std::is_same_v<decltype(message{}.subject("")), message&&>);
    static_assert(std::is_same_v<decltype(std::declval<message&>().subject("")), message&>);
    message m;
    CHECK(&m.from("a@x").to("b@y").text("t") == &m);
}

TEST_CASE("lists grow and single things are replaced") {
    const auto m = message{}
                       .from("z@x")
                       .from("a@x")
                       .to("b@y")
                       .to("c@y, d@y")
                       .cc("e@y")
                       .cc("f@y")
                       .reply_to("g@y")
                       .subject("1")
                       .subject("2")
                       .text("1")
                       .text("2");
    CHECK(field(m, "From") == "a@x");
    CHECK(field(m, "To") == "b@y, c@y, d@y");
    CHECK(field(m, "Cc") == "e@y, f@y");
    CHECK(field(m, "Reply-To") == "g@y");
    CHECK(field(m, "Subject") == "2");
    CHECK(frozen(m).ends_with("\r\n\r\n2\r\n"));
}

TEST_CASE("the envelope names each recipient once and the responsible sender") {
    CHECK(route(simple().cc("c@y").bcc("d@y")) == "a@x > b@y c@y d@y");
    CHECK(route(simple().cc("b@Y").bcc("B@y, b@y")) == "a@x > b@y B@y");
    CHECK(route(simple().sender("s@x")) == "s@x > b@y");
    CHECK(route(simple().sender("s@x").envelope_from(address("r@x"))) == "r@x > b@y");
    CHECK(route(simple().envelope_from(address())) == " > b@y");
    CHECK(route(message{}.from("a@x").bcc("b@y")) == "a@x > b@y");
}

TEST_CASE("Bcc is in no octet of the content") {
    const auto m = simple().message_id("<1@x>").bcc("Hidden <hidden@z>");
    CHECK(frozen(m).find("idden") == std::string::npos);
    CHECK(frozen(m).find("cc") == std::string::npos);
}

TEST_CASE("what a message needs is asked for when it is frozen") {
    CHECK(failure_of([] { message{}.to("b@y").freeze(now); }).code == errc::no_sender);
    CHECK(failure_of([] { message{}.from("a@x").freeze(now); }).code == errc::no_recipients);
    CHECK(failure_of([] { message{}.from("a@x, b@x").to("c@y").freeze(now); }).code == errc::invalid_header);
    CHECK(route(message{}.from("a@x, b@x").sender("b@x").to("c@y")) == "b@x > c@y");
}

TEST_CASE("Date and Message-ID are added where absent") {
    CHECK(field(simple(), "Date") == "Mon, 06 Jan 2025 12:00:00 +0000");
    const auto m = message{}.from("ann@Example.com").to("b@y");
    const auto id = field(m, "Message-ID");
    CHECK(id.size() == 1 + 32 + 1 + 11 + 1);
    CHECK(id.find_first_not_of("0123456789abcdef", 1) == 33);
    CHECK(id.ends_with("@Example.com>"));
    CHECK(field(m, "Message-ID") != id);
    CHECK(field(message{}.from("a@[192.0.2.1]").to("b@y"), "Message-ID").ends_with("@[192.0.2.1]>"));
}

TEST_CASE("each octet either stays out of the message or adds no line and no field") {
    const auto expected_lines = [](const message& m) { return count(frozen(m), "\r\n"); };
    for (const auto& s : setters)
        for (int i = 0; i < 256; ++i) {
            message m = simple();
            message same = simple();
            const char c = static_cast<char>(i);
            CAPTURE(s.name);
            CAPTURE(i);
            const auto f = failure_of([&] { s.set(m, std::string("p") + c + "q"); });
            const bool must_refuse = (i < 0x20 && i != '\t') || i >= 0x7f;
            if (f.code) {
                CHECK((f.code == errc::invalid_header || f.code == errc::invalid_address));
                CHECK(f.text.find(s.name) != std::string::npos);
                if (must_refuse) CHECK(f.code == errc::invalid_header);
                CHECK(expected_lines(m) == expected_lines(same));
                continue;
            }
            CHECK_FALSE(must_refuse);
            try {
                s.set(same, "pxq");
            } catch (const error&) {
                continue;  // only this very octet makes the value one
            }
            CHECK(expected_lines(m) == expected_lines(same));
            CHECK(m.freeze(now).envelope.recipients.size() <= same.freeze(now).envelope.recipients.size() + 1);
        }
}

TEST_CASE("injection by line ends of any kind is refused") {
    for (const auto& s : setters)
        for (const auto* bad : {"a\r\nBcc: v@evil", "a\r\n b", "a\nb", "a\rb", "\r", "\n", "a\xc2\x85 b",
                                "a\xe2\x80\xa8 b", "a\xff b", "a\xc0\x8a b", "a\xed\xa0\x80 b"}) {
            CAPTURE(s.name);
            CAPTURE(postroad::escaped(bad));
            message m = simple();
            CHECK(failure_of([&] { s.set(m, bad); }).code == errc::invalid_header);
        }
}

TEST_CASE("characters whose low octet is CR or LF stay what they are") {
    const auto m = simple().subject("\xc4\x8a\xe7\x98\x8d");
    CHECK(field(m, "Subject") == "=?utf-8?b?xIrnmI0=?=");
}

TEST_CASE("a setter that throws leaves the message as it was") {
    auto m = simple().subject("old");
    CHECK_THROWS_AS(m.to("c@y, broken"), error);
    CHECK_THROWS_AS(m.from("broken"), error);
    CHECK_THROWS_AS(m.subject("\n"), error);
    CHECK_THROWS_AS(m.text("\xff"), error);
    CHECK(route(m) == "a@x > b@y");
    CHECK(field(m, "Subject") == "old");
}

TEST_CASE("lists and addresses that are none are refused and the field named") {
    const struct {
        const char* name;
        std::function<void(message&)> set;
    } rows[] = {
        {"From: ", [](message& m) { m.from(""); }},
        {"From: ", [](message& m) { m.from(mailbox{}); }},
        {"To: ", [](message& m) { m.to("Lee, Ann <a@x>"); }},
        {"To: ", [](message& m) { m.to({.name = "P", .address = address("postmaster")}); }},
        {"Cc: ", [](message& m) { m.cc("a@x b@x"); }},
        {"Bcc: ", [](message& m) { m.bcc("<>"); }},
        {"Reply-To: ", [](message& m) { m.reply_to("postmaster"); }},
        {"Sender: ", [](message& m) { m.sender("a@x, b@x"); }},
    };
    for (const auto& row : rows) {
        message m;
        const auto f = failure_of([&] { row.set(m); });
        CAPTURE(f.text);
        CHECK(f.code == errc::invalid_address);
        CHECK(f.text.starts_with(row.name));
    }
}

TEST_CASE("own fields cannot stand in for the managed ones") {
    for (const auto* name :
         {"From",      "fROM",       "Sender",   "To",          "Cc",         "Bcc",          "bcc",
          "Reply-To",  "Subject",    "Date",     "Message-ID",  "message-id", "MIME-Version", "Content-Type",
          "content-x", "Resent-Bcc", "Resent-X", "Return-Path", "",           "A B",          "A:",
          "A\r\nB",    "\xc3\xa4"})
        CHECK(failure_of([&] { simple().header(name, "1"); }).code == errc::invalid_header);
    for (const auto* name : {"X-From", "Tox", "List-Id", "DKIM-Signature", "!#~"})
        CHECK(field(simple().header(name, "1"), name) == "1");
}

TEST_CASE("a field name has at most 76 octets and a word of its value 997") {
    CHECK(field(simple().header(std::string(76, 'n'), "1"), std::string(76, 'n')) == "1");
    CHECK_THROWS_AS(simple().header(std::string(77, 'n'), "1"), error);
    CHECK(simple().header("X", std::string(997, 'v')).freeze(now).content.longest_line() == 998);
    CHECK_THROWS_AS(simple().header("X", std::string(998, 'v')), error);
}

TEST_CASE("In-Reply-To and References stand once, other fields as often as wanted") {
    CHECK_THROWS_AS(simple().header("References", "<1@x>").header("references", "<2@x>"), error);
    CHECK_THROWS_AS(simple().header("In-Reply-To", "<1@x>").header("In-Reply-To", "<2@x>"), error);
    CHECK(count(frozen(simple().header("X", "1").header("X", "2")), "\r\nX: ") == 2);
}

TEST_CASE("a Message-ID of one's own has two sides in angle brackets") {
    CHECK(field(simple().message_id("<a.b+c@d>"), "Message-ID") == "<a.b+c@d>");
    CHECK_NOTHROW(simple().message_id('<' + std::string(246, 'a') + "@b>"));
    CHECK_THROWS_AS(simple().message_id('<' + std::string(247, 'a') + "@b>"), error);
    for (const auto* bad : {"", "<", "<>", "a@b", "<a@b", "a@b>", "<ab>", "<@b>", "<a@>", "<a@b@c>", "<a b@c>",
                            "<a@b><c@d>", "<\xc3\xa4@b>"})
        CHECK(failure_of([&] { simple().message_id(bad); }).code == errc::invalid_header);
}

TEST_CASE("a date has an offset below a day and a year from 1900 on") {
    CHECK_NOTHROW(simple().date(now, 24h - 1min));
    CHECK_NOTHROW(simple().date(now, 1min - 24h));
    CHECK_THROWS_AS(simple().date(now, 24h), error);
    CHECK_THROWS_AS(simple().date(now, -24h), error);
    const auto first = std::chrono::sys_days(std::chrono::year(1900) / 1 / 1);
    CHECK_NOTHROW(simple().date(first));
    CHECK_THROWS_AS(simple().date(first - 1s), error);
    CHECK_THROWS_AS(simple().date(first, -1min), error);
}

TEST_CASE("the body travels as 7bit where it can and otherwise in what is shorter") {
    const struct {
        std::string text;
        const char* encoding;
        std::string body;
    } rows[] = {
        {"", "7bit", ""},
        {"a\n.\r\n", "7bit", "a\r\n.\r\n"},
        {"ein ä im Text", "quoted-printable", "ein =C3=A4 im Text\r\n"},
        {"äöü", "base64", "w6TDtsO8DQo=\r\n"},
        {std::string(998, 'a'), "7bit", std::string(998, 'a') + "\r\n"},
    };
    for (const auto& row : rows) {
        const auto m = simple().text(row.text);
        CHECK(field(m, "Content-Transfer-Encoding") == row.encoding);
        const auto all = frozen(m);
        CHECK(all.substr(all.find("\r\n\r\n") + 4) == row.body);
    }
    CHECK(simple().text(std::string(999, 'a')).freeze(now).content.longest_line() <= 76);
    CHECK(failure_of([] { simple().text("a\xc3"); }).code == errc::invalid_message);
}

TEST_CASE("the header is UTF-8 only when a local part in it has to be") {
    CHECK_FALSE(
        simple().subject("ä").to({.name = "ä", .address = address("c@y")}).text("ä").freeze(now).content.eight_bit());
    CHECK_FALSE(simple().subject("ä").bcc("ö@y").freeze(now).content.eight_bit());
    const auto m = simple().subject("ä").to("Ö <ö@y>");
    CHECK(field(m, "Subject") == "ä");
    CHECK(field(m, "To") == "b@y, Ö <ö@y>");
    CHECK(m.freeze(now).content.eight_bit_header());
    CHECK(field(simple().from("a@ö"), "Message-ID").ends_with("@xn--nda>"));
    CHECK(field(simple().from("a@ö"), "From") == "a@xn--nda");
    CHECK(simple().from("a@ö").freeze(now).envelope.reverse_path.str() == "a@ö");
    CHECK_FALSE(simple().from("a@ö").freeze(now).content.eight_bit());
    CHECK(field(simple().from("ä@ö"), "Message-ID").ends_with("@ö>"));
    CHECK(failure_of([] { simple().to("a@\xf0\x9f\x92\xa9\xe2\x80\x8d.x").freeze(now); }).code ==
          errc::invalid_address);
}

TEST_CASE("a group in From stays one, and needs a sender") {
    const std::string text = "Managing Partners: ben@x, \"C. L.\" <carol@x>;";
    const auto from = [](message m) {
        return m.sender("ann@y").to("b@z").freeze(std::chrono::system_clock::time_point{});
    };
    const auto of = [](const postroad::mail_object& m) {
        const auto header = text_of(m.content);
        const auto begin = header.find("From: ");
        return header.substr(begin, header.find("\r\n", begin) - begin);
    };
    const auto given = from(message{}.from(text));
    CHECK(of(given) == "From: Managing Partners: ben@x, \"C. L.\" <carol@x>;");
    CHECK(given.envelope.reverse_path.str() == "ann@y");
    CHECK(given.envelope.recipients.size() == 1);
    CHECK(of(from(message{}.from("a@x, Team: b@x;"))) == "From: a@x, Team: b@x;");
    CHECK(of(from(message{}.from("a@x").from(postroad::mailbox_group{"Automatic", {}}))) == "From: Automatic:;");
    CHECK(of(from(message{}.from(text).from("a@x"))) == "From: a@x");
    CHECK(of(from(message{}.from(text).from(postroad::mailbox{"", postroad::address("a@x")}))) == "From: a@x");
    CHECK(of(from(message{}.from(postroad::mailbox_group{"G", {{"", postroad::address("\xc3\xa4@x")}}}))) ==
          "From: G: \xc3\xa4@x;");
    for (const auto* alone : {"Team: b@x;", "Nobody:;"}) {
        const auto failure = failure_of([&] { message{}.from(alone).to("b@z").freeze({}); });
        CHECK(failure.code == errc::invalid_header);
        CHECK(failure.text == "From: a group needs a sender()");
    }
    CHECK(failure_of([] { message{}.from(postroad::mailbox_group{}); }).code == errc::invalid_header);
}

TEST_CASE("a group given as text keeps its name in each field that has groups") {
    const auto m = message{}
                       .from("a@x")
                       .to("none:;")
                       .cc("c@y, Team: d@y;")
                       .reply_to("Office: e@y;")
                       .reply_to(postroad::mailbox_group{"More", {}})
                       .freeze(std::chrono::system_clock::time_point{});
    const auto text = text_of(m.content);
    CHECK(text.find("To: none:;\r\n") != std::string::npos);
    CHECK(text.find("Cc: c@y, Team: d@y;\r\n") != std::string::npos);
    CHECK(text.find("Reply-To: Office: e@y;, More:;\r\n") != std::string::npos);
    CHECK(m.envelope.recipients.size() == 2);
    CHECK_THROWS_AS(message{}.to(" "), postroad::error);
}
