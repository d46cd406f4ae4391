#include <doctest/doctest.h>
#include <postroad/message/address.hpp>
#include <postroad/message/header.hpp>

#include <ostream>
#include <string>
#include <vector>

#include "failure.hpp"

using postroad::address;
using postroad::address_syntax;
using postroad::errc;
using postroad::error;
using postroad::error_code;
using postroad::mailbox;
using postroad::parse_mailboxes;

namespace {

// What is wrong with `text`; empty if nothing is.
std::string complaint(std::string_view text) {
    error_code ec;
    std::string explanation;
    const auto a = address::parse(text, ec, &explanation);
    CHECK(a.null() == static_cast<bool>(ec));
    if (ec) CHECK(ec == errc::invalid_address);
    return explanation;
}

bool valid(std::string_view text) { return complaint(text).empty(); }

std::string complaint_about_list(std::string_view text, address_syntax syntax = address_syntax::current) {
    try {
        parse_mailboxes(text, syntax);
    } catch (const error& e) {
        CHECK(e.code() == errc::invalid_address);
        return e.what();
    }
    return {};
}

std::string labels(std::size_t octets) {
    std::string domain(octets, 'd');
    for (std::size_t i = 50; i + 1 < octets; i += 51) domain[i] = '.';
    return domain;
}

// "name|address" for each mailbox.
std::vector<std::string> listed(std::string_view text, address_syntax syntax = address_syntax::current) {
    std::vector<std::string> result;
    for (const auto& m : parse_mailboxes(text, syntax)) result.push_back(m.name + '|' + m.address.str());
    return result;
}

}  // namespace

TEST_CASE("an address is split at the @ that is not quoted, and nothing in it changes") {
    const struct {
        const char* text;
        const char* local;
        const char* domain;
    } rows[] = {
        {"ann@example.com", "ann", "example.com"},
        {"Ann.Lee+x@Example.COM", "Ann.Lee+x", "Example.COM"},
        {"!#$%&'*+-/=?^_`{|}~@x", "!#$%&'*+-/=?^_`{|}~", "x"},
        {"\"a b\"@x", "\"a b\"", "x"},
        {"\"a\\\"b\"@x", "\"a\\\"b\"", "x"},
        {"\"x@evil.example y\"@good.example", "\"x@evil.example y\"", "good.example"},
        {"\"\"@x", "\"\"", "x"},
        {"a@[192.0.2.1]", "a", "[192.0.2.1]"},
        {"a@[IPv6:::1]", "a", "[IPv6:::1]"},
        {"a@[ipv6:2001:db8::192.0.2.1]", "a", "[ipv6:2001:db8::192.0.2.1]"},
        {"a@[IPv6:1:2:3:4:5:6:7:8]", "a", "[IPv6:1:2:3:4:5:6:7:8]"},
        {"a@x-1.9", "a", "x-1.9"},
        {"a@xn--bcher-kva.example", "a", "xn--bcher-kva.example"},
        {"jürgen@bücher.example", "jürgen", "bücher.example"},
        {"postmaster", "postmaster", ""},
        {"Postmaster", "Postmaster", ""},
    };
    for (const auto& row : rows) {
        CAPTURE(row.text);
        const address a(row.text);
        CHECK(a.str() == row.text);
        CHECK(a.local() == row.local);
        CHECK(a.domain() == row.domain);
        CHECK_FALSE(a.null());
    }
}

TEST_CASE("the null address is empty and differs from every other") {
    const address null;
    CHECK(null.null());
    CHECK(null.str().empty());
    CHECK(null.local().empty());
    CHECK(null.domain().empty());
    CHECK(null.ascii());
    CHECK(null != address("a@x"));
}

TEST_CASE("an address needs SMTPUTF8 when either part is not ASCII") {
    CHECK(address("a@x").ascii());
    CHECK_FALSE(address("ä@x").ascii());
    CHECK_FALSE(address("a@ä").ascii());
}

TEST_CASE("what is no address is refused with the octet where it goes wrong") {
    const struct {
        const char* text;
        const char* octet;
    } rows[] = {
        {"", "octet 0 "},
        {"@", "octet 0 "},
        {"a", "octet 1 "},
        {"a@", "octet 2 "},
        {"@x", "octet 0 "},
        {".a@x", "octet 0 "},
        {"a.@x", "octet 2 "},
        {"a..b@x", "octet 2 "},
        {"a b@x", "octet 1 "},
        {"<a@x>", "octet 0 "},
        {"a@x>", "octet 3 "},
        {"a@x y", "octet 3 "},
        {"a@x@y", "octet 3 "},
        {"a@x,b@y", "octet 3 "},
        {"a@.x", "octet 2 "},
        {"a@x.", "octet 4 "},
        {"a@x..y", "octet 4 "},
        {"a@-x", "octet 2 "},
        {"a@x-", "octet 3 "},
        {"a@x-.y", "octet 3 "},
        {"a@x_y", "octet 3 "},
        {"\"a@x", "octet 4 "},
        {"\"a\"b@x", "octet 3 "},
        {"\"a\\", "octet 3 "},
        {"\"a\"", "octet 3 "},
        {"a@x\r\nRCPT TO:<v@evil>", "octet 3 "},
        {"\"a\r\nb\"@x", "octet 2 "},
        {"\"a\\\r\nb\"@x", "octet 3 "},
        {"postmaster2", "octet 11 "},
        {"a@x\xe2\x80\xa8y", "octet 3 "},
        {"a\xc2\x85@x", "octet 1 "},
        {"a@x\xe3\x80\x82y", "octet 3 "},
    };
    for (const auto& row : rows) {
        CAPTURE(row.text);
        CHECK(complaint(row.text).find(row.octet) != std::string::npos);
        CHECK_THROWS_AS(address{row.text}, error);
    }
}

TEST_CASE("an address literal holds an IP address and nothing else") {
    for (const auto* text : {"a@[",
                             "a@[]",
                             "a@[1.2.3]",
                             "a@[1.2.3.4.5]",
                             "a@[256.2.3.4]",
                             "a@[1.2.3.04]",
                             "a@[1.2.3.]",
                             "a@[1.2.3.4",
                             "a@[::1]",
                             "a@[IPv6:]",
                             "a@[IPv6:1]",
                             "a@[IPv6:1:2:3:4:5:6:7:8:9]",
                             "a@[IPv6:1::2::3]",
                             "a@[IPv6:1:2:3:4:5:6:7:8::]",
                             "a@[IPv6:12345::]",
                             "a@[IPv6:::g]",
                             "a@[IPv6:::1%eth0]",
                             "a@[IPv6:1:2:3:4:5:6:7:1.2.3.4]",
                             "a@[IPv6:1:]",
                             "a@[IPv6:::1.2.3]",
                             "a@[x:y]",
                             "a@[1.2.3.4]x",
                             "a@x[1.2.3.4]"}) {
        CAPTURE(text);
        CHECK_FALSE(valid(text));
    }
}

TEST_CASE("a local part has at most 64 octets") {
    CHECK(valid(std::string(64, 'a') + "@x"));
    CHECK_FALSE(valid(std::string(65, 'a') + "@x"));
    CHECK(valid('"' + std::string(62, ' ') + "\"@x"));
    CHECK_FALSE(valid('"' + std::string(63, ' ') + "\"@x"));
}

TEST_CASE("an address has at most 254 octets and a domain at most 255") {
    CHECK(valid("a@" + labels(252)));
    CHECK(complaint("a@" + labels(253)).find("254 octets") != std::string::npos);
    CHECK(complaint("a@" + labels(255)).find("254 octets") != std::string::npos);
    CHECK(complaint("a@" + labels(256)).find("255 octets") != std::string::npos);
}

TEST_CASE("a label has at most 63 characters") {
    CHECK(valid("a@" + std::string(63, 'd') + ".x"));
    CHECK_FALSE(valid("a@" + std::string(64, 'd') + ".x"));
}

TEST_CASE("each octet is allowed only where the grammar has it") {
    const std::string atext = "!#$%&'*+-/=?^_`{|}~";
    for (int i = 0; i < 256; ++i) {
        CAPTURE(i);
        const char c = static_cast<char>(i);
        const bool alphanumeric = (i >= '0' && i <= '9') || (i >= 'A' && i <= 'Z') || (i >= 'a' && i <= 'z');
        const bool printable = i >= 0x20 && i < 0x7f;
        const auto with = [c](std::string before, const char* after) { return before + c + after; };
        CHECK(valid(with("a", "b@x")) == (alphanumeric || c == '.' || (i > 0 && atext.find(c) != std::string::npos)));
        CHECK(valid(with("\"a", "b\"@x")) == (printable && c != '"'));
        CHECK(valid(with("\"a\\", "b\"@x")) == printable);
        CHECK(valid(with("a@x", "y")) == (alphanumeric || c == '-' || c == '.'));
        CHECK(valid(with("a@[1.2.3.", "]")) == (i >= '0' && i <= '9'));
        CHECK(valid(with("a@[IPv6:::", "]")) == (alphanumeric && (i <= '9' || (i | 0x20) <= 'f')));
    }
}

TEST_CASE("ill-formed UTF-8 is refused in both parts") {
    for (const auto* bad : {"\x80", "\xc3", "\xc3(", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xe2\x82",
                            "\xf0\x80\x80\xaf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
        CAPTURE(postroad::escaped(bad));
        CHECK_FALSE(valid(std::string("a") + bad + "@x"));
        CHECK_FALSE(valid(std::string("\"a") + bad + "\"@x"));
        CHECK_FALSE(valid(std::string("a@x") + bad));
        CHECK_FALSE(valid(std::string("a@") + bad + "x"));
    }
}

TEST_CASE("characters whose low octet is CR or LF are not taken for one") {
    for (const auto* character : {"\xc4\x8a", "\xc4\x8d", "\xe7\x98\x8d", "\xe5\x98\x8a"})
        CHECK(valid(std::string("a") + character + "@x"));
}

TEST_CASE("a list of addresses gives its mailboxes in order") {
    const struct {
        const char* text;
        std::vector<std::string> mailboxes;
    } rows[] = {
        {"", {}},
        {"a@x", {"|a@x"}},
        {"<a@x>", {"|a@x"}},
        {"Ann Lee <ann@example.com>", {"Ann Lee|ann@example.com"}},
        {"Ann  Lee<a@x>,b@y", {"Ann Lee|a@x", "|b@y"}},
        {"\"Lee, Ann\" <a@x>", {"Lee, Ann|a@x"}},
        {"\"A \\\"B\\\" \\\\C\" <a@x>", {"A \"B\" \\C|a@x"}},
        {"John Q. Public <a@x>", {"John Q. Public|a@x"}},
        {"Anna \"the, great\" Lee <a@x>", {"Anna the, great Lee|a@x"}},
        {"Änne Öl <ä@ö.example>", {"Änne Öl|ä@ö.example"}},
        {"Team: a@x, B <b@y>;", {"|a@x", "B|b@y"}},
        {"undisclosed-recipients:;", {}},
        {"a@x, Team: b@y;, c@z", {"|a@x", "|b@y", "|c@z"}},
        {"a@x (Ann (of x)), (c) b (d) @ (e) y (f)", {"|a@x", "|b@y"}},
        {"(\\) a@x) b@y", {"|b@y"}},
        {"A\r\n B <a@x>,\r\n\tb@y", {"A B|a@x", "|b@y"}},
        {"\"A\r\n B\" <a@x>", {"A B|a@x"}},
        {"\"a b\"@x, \"a\\\"b\"@[IPv6:::1]", {"|\"a b\"@x", "|\"a\\\"b\"@[IPv6:::1]"}},
        {"\"x@evil.example, y\"@good.example", {"|\"x@evil.example, y\"@good.example"}},
        {"=?utf-8?q?a=40evil=2C?= <b@x>", {"a@evil,|b@x"}},
        {"Team:;, a@x", {"|a@x"}},
    };
    for (const auto& row : rows) {
        CAPTURE(row.text);
        CHECK(listed(row.text) == row.mailboxes);
        CHECK(listed(row.text, address_syntax::obsolete) == row.mailboxes);
    }
}

TEST_CASE("obsolete forms are taken where asked, and otherwise refused with the octet where they begin") {
    const struct {
        const char* text;
        std::vector<std::string> mailboxes;
        const char* octet;
    } rows[] = {
        {" , ,", {}, "octet 1 "},
        {"a@x,", {"|a@x"}, "octet 4 "},
        {",a@x", {"|a@x"}, "octet 0 "},
        {"a@x,,b@y", {"|a@x", "|b@y"}, "octet 4 "},
        {"a@x, (none) ,b@y,", {"|a@x", "|b@y"}, "octet 12 "},
        {"T:,;", {}, "octet 2 "},
        {"T: , a@x,;, b@y", {"|a@x", "|b@y"}, "octet 3 "},
        {"T: a@x, ;", {"|a@x"}, "octet 8 "},
        {"a . b@x", {"|a.b@x"}, "octet 1 "},
        {"a.(c)b@x", {"|a.b@x"}, "octet 2 "},
        {"a.\"b c\" . d@x", {"|\"a.b c.d\"@x"}, "octet 2 "},
        {"\"a@\".\"\\\"\"@x", {"|\"a@.\\\"\"@x"}, "octet 4 "},
        {"\"a\".b@x", {"|a.b@x"}, "octet 3 "},
        {"A <a.b@x\r\n .y>", {"A|a.b@x.y"}, "octet 8 "},
        {"a@x (c) . y", {"|a@x.y"}, "octet 3 "},
        {"<@relay,@other.example:a@x>", {"|a@x"}, "octet 1 "},
        {"A <@relay (c) . z:a@x>", {"A|a@x"}, "octet 3 "},
    };
    for (const auto& row : rows) {
        CAPTURE(row.text);
        CHECK(listed(row.text, address_syntax::obsolete) == row.mailboxes);
        CHECK(complaint_about_list(row.text).find(row.octet) != std::string::npos);
    }
}

TEST_CASE("encoded words in names are decoded, and only there") {
    const struct {
        const char* text;
        const char* name;
    } rows[] = {
        {"=?utf-8?q?J=C3=B6rg_M=C3=BCller?= <a@x>", "Jörg Müller"},
        {"=?UTF-8?B?SsO2cmc=?= Müller <a@x>", "Jörg Müller"},
        {"=?utf-8?q?J=C3?= =?utf-8?q?=B6rg?= <a@x>", "Jörg"},
        {"=?utf-8?q?a?=\r\n =?us-ascii*en?q?b?= c <a@x>", "ab c"},
        {"=?iso-8859-1?q?J=f6rg?= <a@x>", "Jörg"},
        {"\"=?utf-8?q?a?=\" <a@x>", "=?utf-8?q?a?="},
        {"=?koi8-r?q?=d0?= <a@x>", "=?koi8-r?q?=d0?="},
        {"=?utf-8?q?=0D=0A?= <a@x>", "=?utf-8?q?=0D=0A?="},
        {"=?utf-8?q?=FF?= <a@x>", "=?utf-8?q?=FF?="},
        {"=?utf-8?q?=4?= <a@x>", "=?utf-8?q?=4?="},
        {"=?utf-8?b?a?= <a@x>", "=?utf-8?b?a?="},
        {"=?utf-8?x?a?= <a@x>", "=?utf-8?x?a?="},
        {"=??q?a?= =?= <a@x>", "=??q?a?= =?="},
    };
    for (const auto& row : rows) {
        CAPTURE(row.text);
        const auto found = postroad::parse_mailbox(row.text);
        CHECK(found.name == row.name);
        CHECK(found.address.str() == "a@x");
    }
    CHECK_THROWS_AS(postroad::parse_mailbox("=?utf-8?q?a=40x?="), error);
}

TEST_CASE("one mailbox is one, whatever is beside it") {
    for (const auto* text : {"a@x, b@y", "", "eve@evil (", "cid@y)", "T: a@x, b@y;", "a@x,", "a"}) {
        CAPTURE(text);
        CHECK_THROWS_AS(postroad::parse_mailbox(text), error);
    }
    CHECK(postroad::parse_mailbox("\"a, b@y\" <a@x>").name == "a, b@y");
}

TEST_CASE("one mailbox in a form that most have is the same as in a list of two") {
    for (const std::string text :
         {"a@x.example", "  a@x.example ", "Ann Lee <a@x.example>", "Ann <a.b+c@x.example>", "a@[192.0.2.1]",
          "A 1 B <a@\u00fc.example>", "=?utf-8?q?x?=@x.example", "Ann  Lee <a@x.example>", "Ann <\"a b\"@x.example>",
          "\"a b\"@x.example", "Ann (c) <a@x.example>", "=?utf-8?q?Ann?= <a@x.example>", "Ann Lee  <a@x.example>",
          "<a@x.example>", "B. Lee <a@x.example>"}) {
        CAPTURE(text);
        for (const auto syntax : {address_syntax::current, address_syntax::obsolete}) {
            const auto two = parse_mailboxes(text + "," + text, syntax);
            REQUIRE(two.size() == 2);
            CHECK(parse_mailboxes(text, syntax) == std::vector{two.front()});
            CHECK(two.front() == two.back());
        }
    }
}

TEST_CASE("what is almost one mailbox is none") {
    for (const auto* text : {"Ann Lee <a@x.example", "Ann a@x.example>", "Ann <postmaster>", "postmaster",
                             "Ann <a@x.example> <b@x.example>", "Ann <@x.example>", "Ann <>"}) {
        CAPTURE(text);
        CHECK_THROWS_AS((void)parse_mailboxes(text), postroad::error);
    }
}

TEST_CASE("what other programs write is taken where asked") {
    const struct {
        const char* text;
        std::vector<std::string> mailboxes;
    } rows[] = {
        {"[Sales] Ann <a@x>", {"[Sales] Ann|a@x"}},
        {"Ann [Sales] <a@x>, b@y", {"Ann [Sales]|a@x", "|b@y"}},
        {"ann@x <ann@y>", {"ann@x|ann@y"}},
        {"'ann@x' <ann@y>, b@y", {"'ann@x'|ann@y", "|b@y"}},
        {"Ann ann@x <ann@y>", {"Ann ann@x|ann@y"}},
        {"@ann <a@x>", {"@ann|a@x"}},
        {"Ann \\ Lee <a@x>", {"Ann \\ Lee|a@x"}},
        {"a..b@docomo.example", {"|\"a..b\"@docomo.example"}},
        {"A <a.@docomo.example>, .b@x", {"A|\"a.\"@docomo.example", "|\".b\"@x"}},
        {"T: a@x", {"|a@x"}},
        {"undisclosed-recipients:", {}},
        {"a@x; B <b@y>;c@z", {"|a@x", "B|b@y", "|c@z"}},
        {"a@x; ", {"|a@x"}},
        {"T: a@x;; b@y", {"|a@x", "|b@y"}},
        {";", {}},
    };
    for (const auto& row : rows) {
        CAPTURE(row.text);
        CHECK(listed(row.text, address_syntax::obsolete) == row.mailboxes);
        CHECK(!complaint_about_list(row.text).empty());
    }
    for (const auto* text : {"a@x b <c@y>", "a@x b@y <c@z>", "[a@x", "a]b@x", "eve@evil, (bob <b@x>"}) {
        CAPTURE(text);
        CHECK(!complaint_about_list(text, address_syntax::obsolete).empty());
    }
}

TEST_CASE("a list that is none is refused with the octet where it goes wrong") {
    const struct {
        const char* text;
        const char* octet;
    } rows[] = {
        {"a", "octet 0 "},
        {"postmaster", "octet 0 "},
        {"Lee, Ann <a@x>", "octet 0 "},
        {"a b@x", "octet 2 "},
        {"a@x b@y", "octet 4 "},
        {"a@x <b@y>", "octet 4 "},
        {"a@x> b", "octet 3 "},
        {"A <>", "octet 3 "},
        {"A <a@x", "octet 6 "},
        {"A <a@x, b@y>", "octet 6 "},
        {"A <a b@x>", "octet 5 "},
        {"a@x,)", "octet 4 "},
        {"\"a@x", "octet 0 "},
        {"\"a\\", "octet 0 "},
        {"(a@x", "octet 0 "},
        {"a@x (b", "octet 4 "},
        {"a) <a@x>", "octet 0 "},
        {"T: a@x", "octet 6 "},
        {"T: U: a@x;;", "octet 3 "},
        {":a@x;", "octet 0 "},
        {"a@x; b@y", "octet 3 "},
        {"T: a@x; b@y", "octet 8 "},
        {"a@[1.2.3.4", "octet 2 "},
        {"a@[1.2.3.400]", "octet 3 "},
        {"A <a@x-y-.z>", "octet 8 "},
        {"a@x\r\n, b@y", "octet 3 "},
        {"a@x,\r\nb@y", "octet 4 "},
        {"a\x80@x", "octet 1 "},
        {"\"A\x01\" <a@x>", "octet 2 "},
        {"A (\n) <a@x>", "octet 3 "},
    };
    for (const auto& row : rows) {
        CAPTURE(row.text);
        CHECK(complaint_about_list(row.text).find(row.octet) != std::string::npos);
    }
    CHECK(complaint_about_list("<@r a@x>", address_syntax::obsolete).find("octet 4 ") != std::string::npos);
    CHECK(complaint_about_list("<@r", address_syntax::obsolete).find("octet 3 ") != std::string::npos);
    CHECK(complaint_about_list("a b@x", address_syntax::obsolete).find("octet 2 ") != std::string::npos);
}

TEST_CASE("comments nest to a named depth, and no further") {
    const auto nested = [](std::size_t depth) { return std::string(depth, '(') + std::string(depth, ')') + "a@x"; };
    CHECK(listed(nested(postroad::max_comment_depth)).size() == 1);
    CHECK(complaint_about_list(nested(postroad::max_comment_depth + 1)).find("octet 32 ") != std::string::npos);
    CHECK(complaint_about_list(std::string(1'000'000, '(')).find("too deep") != std::string::npos);
}

TEST_CASE("no octet in a list brings a control character into an address or a name") {
    for (int i = 0; i < 256; ++i)
        for (const auto* form : {"A?B <a@x>", "\"A?B\" <a@x>", "\"A\\?B\" <a@x>", "a?b@x", "\"a?b\"@x", "a@x?y",
                                 "<a@x?>", "(?) a@x", "a@[1.2.3.4?]", "?a@x", "a@x?", "T?a@x;", "<@r?:a@x>"}) {
            std::string text = form;
            text[text.find('?')] = static_cast<char>(i);
            CAPTURE(postroad::escaped(text));
            try {
                for (const auto& m : parse_mailboxes(text, address_syntax::obsolete)) {
                    CHECK(valid(m.address.str()));
                    for (const char c : m.name) CHECK(((c >= ' ' && c != 0x7f) || c == '\t'));
                }
            } catch (const error& e) {
                CHECK(e.code() == errc::invalid_address);
            }
        }
}

TEST_CASE("a domain has a form for those who know ASCII only") {
    const struct {
        const char* address;
        const char* domain;
    } rows[] = {
        {"a@example.com", "example.com"},
        {"a@[192.0.2.1]", "[192.0.2.1]"},
        {"a@b\u00fccher.example", "xn--bcher-kva.example"},
        {"a@B\u00dcCHER.example", "xn--bcher-kva.example"},
        {"a@bu\u0308cher.example", "xn--bcher-kva.example"},
        {"a@stra\u00dfe.example", "xn--strae-oqa.example"},
        {"\u00e4@b\u00fccher.example", "xn--bcher-kva.example"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.address);
        CHECK(postroad::address(row.address).ascii_domain() == row.domain);
    }
    CHECK(postroad::address().ascii_domain() == "");
}

TEST_CASE("a domain whose mapping makes what no domain holds has no ASCII form") {
    // account of, fullwidth @ and <, a number with a full stop, a joiner
    for (const auto* domain : {"\u2100.example", "x\uff20y.example", "x\uff1cy.example", "\u2488.example", "a\u200d.x"})
        CHECK(postroad::address("a@" + std::string(domain)).ascii_domain() == "");
}

TEST_CASE("groups in a list keep their names and their members, and errors name the address") {
    const auto found = postroad::parse_address_list("a@x, Team: b@x, C <c@x>;, =?utf-8?q?=C3=A4?= b : ;, d@x");
    REQUIRE(found.mailboxes.size() == 2);
    CHECK(found.mailboxes[1].address == address("d@x"));
    REQUIRE(found.groups.size() == 2);
    CHECK(found.groups[0].name == "Team");
    REQUIRE(found.groups[0].members.size() == 2);
    CHECK(found.groups[0].members[1].name == "C");
    CHECK(found.groups[1].name == "\u00e4 b");
    CHECK(found.groups[1].members.empty());
    CHECK(postroad::parse_address_list("").groups.empty());
    const auto f = failure_of([] { (void)postroad::parse_address_list("a@x, Team: b@x, c c@x;"); });
    CHECK(f.code == errc::invalid_address);
    CHECK(f.text == "expected a dot, @ or a comma at octet 18 of 'a@x, Team: b@x, c c@x;', in address 3");
}

TEST_CASE("names in charsets that we do not know go on as they came, and all other text is encoded once") {
    const struct {
        const char* given;
        const char* written;
    } cases[] = {
        {"=?windows-1252?Q?J=F6rg?= <a@x.example>", "=?windows-1252?Q?J=F6rg?= <a@x.example>"},
        {"=?koi8-r?B?4g==?= =?koi8-r?B?4g==?= <a@x.example>", "=?koi8-r?B?4g==?= =?koi8-r?B?4g==?= <a@x.example>"},
        {"=?utf-8?B?SsO2cmc?= <a@x.example>", "=?utf-8?b?SsO2cmc=?= <a@x.example>"},
        {"=?utf-8?q?a?=", nullptr},
        {"=?koi8-r?Q?a(b?= <a@x.example>", nullptr},
        {"\"=?koi8-r?Q?a(b?=\" <a@x.example>", "=?utf-8?b?PT9rb2k4LXI/UT9hKGI/PQ==?= <a@x.example>"},
        {"=?koi8-r?Q?a?= b <a@x.example>", "=?utf-8?b?PT9rb2k4LXI/UT9hPz0gYg==?= <a@x.example>"},
    };
    for (const auto& c : cases) {
        CAPTURE(c.given);
        if (!c.written) {
            CHECK_THROWS_AS((void)postroad::parse_mailbox(c.given), postroad::error);
            continue;
        }
        postroad::detail::header_writer w(postroad::detail::header_charset::ascii);
        const postroad::mailbox_list one{postroad::parse_mailbox(c.given)};
        w.mailboxes("To", one);
        CHECK(w.take() == "To: " + std::string(c.written) + "\r\n");
    }
}

TEST_CASE("an encoded word in Q may hold what separates addresses, in existing mail") {
    using postroad::address_syntax;
    const auto* list = "=?utf-8?Q?Lee,_Ann_(x)?= <a@x.example>, b@x.example";
    const auto found = parse_mailboxes(list, address_syntax::obsolete);
    REQUIRE(found.size() == 2);
    CHECK(found[0].name == "Lee, Ann (x)");
    CHECK(found[0].address.str() == "a@x.example");
    CHECK_THROWS_AS((void)parse_mailboxes(list), postroad::error);
}
