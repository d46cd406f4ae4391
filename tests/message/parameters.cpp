// Fields with parameters.
#include <postroad/message/fields.hpp>
#include <postroad/message/message.hpp>

#include <doctest/doctest.h>

#include <ostream>
#include <string>

#include "failure.hpp"
#include "text_of.hpp"

using postroad::address;
using postroad::errc;
using postroad::field_parameters;
using postroad::message;

namespace {

constexpr std::chrono::system_clock::time_point now{};

message simple() { return message{}.from("ann@x.example").to("bob@y.example").text("x"); }

// The field with its folding.
std::string raw(const message& m, const std::string& name) {
    const auto all = text_of(m.freeze(now).content);
    const auto at = all.find("\r\n" + name + ":");
    if (at == all.npos) return {};
    auto end = all.find("\r\n", at + 2);
    while (all.compare(end, 3, "\r\n ") == 0) end = all.find("\r\n", end + 2);
    return all.substr(at + 2, end - at - 2);
}

std::string written(const message& m, const std::string& name) { return postroad::detail::one_line(raw(m, name)); }

std::string of(const char* value, const field_parameters& parameters, const char* name = "SIO-Label") {
    return written(simple().header(name, value, parameters), name);
}

}  // namespace

TEST_CASE("a token stands bare, other ASCII in quotes, all else as RFC 2231 says") {
    CHECK(of("v", {{"a", "token"}, {"b", "a text"}, {"c", ""}, {"d", "\"\\"}}) ==
          R"(SIO-Label: v; a=token; b="a text"; c=""; d="\"\\")");
    CHECK(of("", {{"marking", "f\u00fcr alle"}}) == "SIO-Label: marking*=utf-8''f%C3%BCr%20alle");
    CHECK(of("two words", {{"a", "=?utf-8?q?x?="}}) == "SIO-Label: two words; a*=utf-8''%3D%3Futf-8%3Fq%3Fx%3F%3D");
    CHECK(of("fbl@x.example", {{"a", "=?utf-8?q?x?="}}, "CFBL-Address") ==
          "CFBL-Address: fbl@x.example; a=\"=?utf-8?q?x?=\"");
    CHECK(of("v", {}) == "SIO-Label: v");
}

TEST_CASE("a long value that is not ASCII is cut between characters") {
    std::string value;
    for (int i = 0; i < 100; ++i) value += "\u00fc\u6f22";
    const auto m = simple().header("SIO-Label", "v", {{"a", value}, {"b", "c"}});
    std::string joined;
    std::size_t sections = 0;
    for (const auto& [name, text] : postroad::detail::parse_parameterised(raw(m, "SIO-Label").substr(10)).parameters) {
        if (name == "b") continue;
        CHECK(name == "a*" + std::to_string(sections++) + "*");
        CHECK(text.size() <= (sections == 1 ? 57 : 50));
        joined += text;
    }
    std::string expected = "utf-8''";
    for (int i = 0; i < 100; ++i) expected += "%C3%BC%E6%BC%A2";
    CHECK(joined == expected);
    CHECK(sections > 1);
}

TEST_CASE("mailboxes have parameters, too") {
    const auto list = postroad::parse_mailboxes("J\u00f6rg <fbl@b\u00fccher.example>");
    CHECK(written(simple().header("CFBL-Address", {{"", address("fbl@example.com")}}, {{"report", "arf"}}),
                  "CFBL-Address") == "CFBL-Address: fbl@example.com; report=arf");
    CHECK(written(simple().header("X-Own", list, {{"a", "b"}}), "X-Own") ==
          "X-Own: =?utf-8?b?SsO2cmc=?= <fbl@xn--bcher-kva.example>; a=b");
    CHECK(written(simple().header("Errors-To", "J\u00f6rg <a@x.example>", {{"a", "b"}}), "Errors-To") ==
          "Errors-To: =?utf-8?b?SsO2cmc=?= <a@x.example>; a=b");
    const postroad::mailbox_list local{{"", address("j\u00f6rg@x.example")}};
    CHECK(simple().header("X-Own", local, {{"a", "b"}}).freeze(now).content.eight_bit_header());
}

TEST_CASE("lines are folded behind the semicolons, and hold what is longest") {
    field_parameters many;
    for (std::size_t i = 0; i < 64; ++i) many.emplace_back("p" + std::to_string(i), std::string(i, 'x') + " ");
    const auto text = raw(simple().header("SIO-Label", "v", many), "SIO-Label");
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find("\r\n", at), text.size());
        CHECK(end - at <= 78);
        at = end + 2;
    }
    const std::string name = "X-" + std::string(74, 'n');
    for (const auto* value : {"", "v"})
        CHECK(simple()
                  .header(name, value, {{std::string(40, 'a'), std::string(900, 'x')}, {"b", std::string(450, '"')}})
                  .freeze(now)
                  .content.longest_line() <= 998);
}

TEST_CASE("what is no parameter is refused by name and octet, and the message is as it was") {
    auto m = simple();
    const auto before = text_of(m.freeze(now).content).size();
    const struct {
        const char* name;
        const char* value;
        field_parameters parameters;
        const char* why;
    } cases[] = {
        {"SIO-Label", "v", {{"a", "x\r\nBcc: y"}}, "SIO-Label; a: a line end is not allowed at octet 1"},
        {"SIO-Label", "v", {{"a", std::string("\0", 1)}}, "octet 0"},
        {"SIO-Label", "v", {{"a", "x\xff"}}, "octet 1"},
        {"SIO-Label", "v", {{"a*", "x"}}, "no name of a parameter"},
        {"SIO-Label", "v", {{"a'b", "x"}}, "no name of a parameter"},
        {"SIO-Label", "v", {{"a b", "x"}}, "no name of a parameter"},
        {"SIO-Label", "v", {{"a\r\n", "x"}}, "no name of a parameter"},
        {"SIO-Label", "v", {{"", "x"}}, "no name of a parameter"},
        {"SIO-Label", "v", {{std::string(41, 'a'), "x"}}, "no name of a parameter"},
        {"SIO-Label", "v", {{"a", "x"}, {"A", "y"}}, "twice"},
        {"SIO-Label", "v", {{"a", std::string(901, 'x')}}, "at most 900 octets"},
        {"SIO-Label", "v", {{"a", std::string(451, '"')}}, "at most 900 octets"},
        {"SIO-Label", "v", {{"a", std::string(8191, 'x') + "\u00fc"}}, "at most 8192 octets"},
        {"SIO-Label", "v", field_parameters(65, {"a", "x"}), "more than 64"},
        {"SIO-Label", "v; b=c", {{"a", "x"}}, "octet 1"},
        {"SIO-Label", "\"v\"", {{"a", "x"}}, "octet 0"},
        {"SIO-Label", "v (c)", {{"a", "x"}}, "octet 2"},
        {"SIO-Label", "v\r\n", {{"a", "x"}}, "a line end"},
        {"Auto-Submitted", "auto-replied", {{"a", "\u00fc"}}, "Auto-Submitted; a: this field holds only ASCII"},
        {"List-Id", "<a.example>", {{"a", "x"}}, "octet 0"},
        {"Keywords", "v", {{"a", "x"}}, "has no parameters"},
        {"Content-Type", "text/plain", {{"a", "x"}}, "not set by header()"},
        {"Errors-To", "nobody", {{"a", "x"}}, "Errors-To: "},
    };
    for (const auto& c : cases) {
        CAPTURE(c.why);
        const auto f = failure_of([&] { m.header(c.name, c.value, c.parameters); });
        CHECK((f.code == errc::invalid_header || f.code == errc::invalid_address));
        CHECK(f.text.find(c.why) != f.text.npos);
    }
    CHECK(text_of(m.freeze(now).content).size() == before);
    m.header("Auto-Submitted", "auto-replied", {{"owner-email", "a@x.example"}});
    CHECK(failure_of([&] { m.header("auto-submitted", "no"); }).code == errc::invalid_header);
}
