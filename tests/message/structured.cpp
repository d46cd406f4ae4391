// Fields with a grammar, and lists of mailboxes: addresses and ids never go into encoded words, and no element of a
// list becomes two.
#include <doctest/doctest.h>
#include <postroad/message/encoding.hpp>
#include <postroad/message/fields.hpp>
#include <postroad/message/message.hpp>

#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "failure.hpp"
#include "text_of.hpp"

using postroad::address;
using postroad::errc;
using postroad::mailbox;
using postroad::mailbox_list;
using postroad::message;

namespace {

const std::chrono::system_clock::time_point now{};

message simple() { return message{}.from("a@x").to("b@y"); }

// Encoded words as [what they say].
std::string shown(const std::string& value) {
    std::string result;
    for (std::size_t at = 0; at < value.size();) {
        const auto end =
            value.substr(at, 2) == "=?" ? value.find("?=", value.find('?', at + 8) + 1) : std::string::npos;
        const auto text = end == std::string::npos ? std::optional<std::string>{}
                                                   : postroad::detail::decoded_word(value.substr(at, end + 2 - at));
        result += text ? '[' + *text + ']' : value.substr(at, 1);
        at = text ? end + 2 : at + 1;
    }
    return result;
}

std::string field(const message& m, const std::string& name) {
    const auto text = text_of(m.freeze(now).content);
    const auto fields = postroad::detail::split_fields(postroad::detail::split_at_empty_line(text).header);
    const auto* f = postroad::detail::find_field(fields, name);
    return f ? shown(postroad::detail::one_line(f->value)) : "-";
}

}  // namespace

TEST_CASE("fields of mailboxes are written as such, by name and where an own field holds them") {
    for (const auto* name : {"Disposition-Notification-To", "Return-Receipt-To", "Errors-To", "Mail-Followup-To",
                             "Author", "disposition-notification-to", "X-Confirm-Reading-To", "X-Own"}) {
        CAPTURE(name);
        const auto with = [&](const char* value) { return field(simple().header(name, value), name); };
        CHECK(with("Jörg Müller <joerg@bücher.example>") == "[Jörg Müller] <joerg@xn--bcher-kva.example>");
        CHECK(with("\"Müller, Jörg\" <a@x>, b@y") == "[Müller, Jörg] <a@x>, b@y");
        CHECK(with("a@bücher.example") == "a@xn--bcher-kva.example");
        CHECK(with("Ann <a@x>") == "Ann <a@x>");
        CHECK(with("=?utf-8?q?a?= <a@x>") == "[a] <a@x>");
        const auto listed = field(simple().header(name, {{"Jörg", address("a@x")}, {"", address("b@y")}}), name);
        CHECK(listed == "[Jörg] <a@x>, b@y");
        CHECK(failure_of([&] { simple().header(name, {{"a\nb", address("a@x")}}); }).code == errc::invalid_header);
        CHECK(failure_of([&] { simple().header(name, mailbox_list{}); }).code == errc::invalid_address);
    }
    CHECK(field(simple().header("SIO-Label", "a; label=\"für alle\"; x=\"y z\""), "SIO-Label") ==
          "a; label*=utf-8''f%C3%BCr%20alle; x=\"y z\"");
    const auto f = failure_of([] { simple().header("Errors-To", "Jörg a@x"); });
    CHECK(f.code == errc::invalid_address);
    CHECK(f.text.starts_with("Errors-To: "));
    CHECK(text_of(simple().header("Errors-To", "jörg@x").freeze(now).content).find("Errors-To: jörg@x\r\n") !=
          std::string::npos);
}

TEST_CASE("of text in an own field only the words that need it are encoded") {
    const auto with = [](const char* value) { return field(simple().header("X-Own", value), "X-Own"); };
    CHECK(with("Größe <id@x.example> (7)") == "[Größe] <id@x.example> (7)");
    CHECK(with("a Größe Ähre b") == "a [Größe Ähre] b");
    CHECK(with("von jörg@x.example") == "von [jörg@x.example]");
    CHECK(with("jörg@x.example") == "[jörg@x.example]");
    CHECK(with("a  Größe") == "[a  Größe]");
    std::string many;
    for (int i = 0; i < 100; ++i) many += i % 3 == 0 ? "Größe " : "word<x@y> ";
    CHECK(simple().header("X-Own", many + "x").freeze(now).content.longest_line() <= 78);
}

TEST_CASE("the id of a list stays readable, whatever its name is") {
    for (const auto& m : {simple().list_id("news.example.com", "Größe, \u6f22"),
                          simple().header("List-Id", "Größe, \u6f22 <news.example.com>"),
                          simple().header("list-id", "\"Größe, \u6f22\" <news.example.com>")})
        CHECK(field(m, "List-Id") == "[Größe, 漢] <news.example.com>");
    CHECK(field(simple().list_id("a.b", "News, all"), "List-Id") == "\"News, all\" <a.b>");
    CHECK(field(simple().header("Keywords", "größe, zwei ,drei"), "Keywords") == "[größe] , zwei, drei");
    const auto again = simple().list_id("a.b", "Größe").list_id("c.d", "");
    CHECK(field(again, "List-Id") == "<c.d>");
}

TEST_CASE("fields of ids, URLs and tokens take only ASCII, and the octet is named") {
    for (const auto* name :
         {"References", "In-Reply-To", "List-Unsubscribe", "list-help", "List-Own", "Archived-At", "Auto-Submitted",
          "Precedence", "X-Priority", "Feedback-ID", "ARC-Seal", "DKIM-Signature", "Autocrypt", "Supersedes"}) {
        CAPTURE(name);
        const auto f = failure_of([&] { simple().header(name, "<https://bücher.example/>"); });
        CHECK(f.code == errc::invalid_header);
        CHECK(f.text.starts_with(std::string(name) + ": "));
        CHECK(f.text.find("octet 10") != std::string::npos);
        CHECK_NOTHROW(simple().header(name, "<https://x.example/>"));
    }
    CHECK(failure_of([] { simple().header("List-Id", "Größe"); }).code == errc::invalid_header);
    CHECK(failure_of([] { simple().header("List-Id", "a <größe>"); }).code == errc::invalid_header);
}

TEST_CASE("names that are encoded already are encoded once") {
    const auto given = "=?utf-8?q?J=C3=B6rg_M=C3=BCller?= <a@x>";
    const auto m = message{}.from(given).to(given).cc(given).reply_to(given).sender(given);
    for (const auto* name : {"From", "To", "Cc", "Reply-To", "Sender"}) CHECK(field(m, name) == "[Jörg Müller] <a@x>");
    CHECK(field(simple().to(postroad::parse_mailbox(given)), "To") == "b@y, [Jörg Müller] <a@x>");
    // what they hold is a name, whatever it reads like
    const auto evil = simple().to("=?utf-8?q?=22_=3Ceve=40evil=3E=2C_=22?= <c@y>").freeze(now);
    CHECK(evil.envelope.recipients.back() == address("c@y"));
    CHECK(evil.envelope.recipients.size() == 2);
}

TEST_CASE("mailboxes as values go into each field of addresses, one each") {
    const mailbox_list two = {{"Lee, Ann", address("a@x")}, {"b@evil", address("b@y")}};
    const auto m = message{}.from(two).sender(two[0]).to(two).cc(two).bcc(two).reply_to(two);
    for (const auto* name : {"From", "To", "Cc", "Reply-To"})
        CHECK(field(m, name) == "\"Lee, Ann\" <a@x>, \"b@evil\" <b@y>");
    CHECK(field(m, "Sender") == "\"Lee, Ann\" <a@x>");
    CHECK(m.freeze(now).envelope.recipients == std::vector{address("a@x"), address("b@y")});
    const std::vector<std::function<void(message&, mailbox_list)>> setters = {
        [](message& x, mailbox_list l) { x.from(std::move(l)); },
        [](message& x, mailbox_list l) { x.to(std::move(l)); }, [](message& x, mailbox_list l) { x.cc(std::move(l)); },
        [](message& x, mailbox_list l) { x.bcc(std::move(l)); },
        [](message& x, mailbox_list l) { x.reply_to(std::move(l)); }};
    for (const auto& set : setters) {
        message x;
        CHECK(failure_of([&] { set(x, {}); }).code == errc::invalid_address);
        CHECK(failure_of([&] { set(x, {{"a", address("postmaster")}}); }).code == errc::invalid_address);
        CHECK(failure_of([&] { set(x, {{"a\r\n", address("a@x")}}); }).code == errc::invalid_header);
    }
}
