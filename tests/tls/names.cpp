#include <doctest/doctest.h>

#include <postroad/tls/names.hpp>

#include <string>

using namespace postroad::tls;
using namespace std::string_literals;

TEST_CASE("a host name is matched as RFC 9525 says") {
    struct row {
        std::string presented, expected;
        bool matches;
    };
    const row rows[] = {
        {"mail.example.com", "mail.example.com", true},
        {"mail.example.com", "MAIL.Example.COM", true},
        {"MAIL.EXAMPLE.COM", "mail.example.com", true},
        {"mail.example.com", "mail.example.com.", true},
        {"mail.example.com", "mail.example.com..", false},
        {"mail.example.com", "mail.example.org", false},
        {"mail.example.com", "xmail.example.com", false},
        {"mail.example.com", "example.com", false},
        {"example.com", "mail.example.com", false},
        {"localhost", "localhost", true},
        {"mail_1.example.com", "mail_1.example.com", true},
        {"*.example.com", "mail.example.com", true},
        {"*.EXAMPLE.com", "mail.example.com", true},
        {"*.example.com", "a.mail.example.com", false},
        {"*.example.com", "example.com", false},
        {"*.example.com", ".example.com", false},
        {"*.example.com", "*.example.com", false},
        {"*.example.com", "xn--mller-kva.example.com", true},
        {"*.com", "example.com", false},
        {"*", "localhost", false},
        {"*.", "localhost.", false},
        {"ma*.example.com", "mail.example.com", false},
        {"*il.example.com", "mail.example.com", false},
        {"m*l.example.com", "mail.example.com", false},
        {"mail.*.com", "mail.example.com", false},
        {"*.*.com", "mail.example.com", false},
        {"mail.example.com\0.evil.example"s, "mail.example.com", false},
        {"mail.example.com\0"s, "mail.example.com", false},
        {"mail.example.com", "mail.example.com\0"s, false},
        {"mail.example.com ", "mail.example.com", false},
        {"mail.example.com.", "mail.example.com", false},
        {"m\xc3\xbcller.example", "m\xc3\xbcller.example", false},
        {"xn--mller-kva.example", "xn--mller-kva.example", true},
        {"", "", false},
        {"", "mail.example.com", false},
        {"192.0.2.1", "192.0.2.1", false},
        {"::1", "::1", false},
        {"*.0.2.1", "192.0.2.1", false},
    };
    for (const auto& r : rows) {
        CAPTURE(r.presented);
        CAPTURE(r.expected);
        CHECK(names_match({.dns = {r.presented}}, r.expected) == r.matches);
        CHECK(names_match({.dns = {"other.invalid", r.presented}}, r.expected) == r.matches);
    }
}

TEST_CASE("an address is matched with the octets of an iPAddress only") {
    struct row {
        std::string presented, expected;
        bool matches;
    };
    const auto loopback6 = std::string(15, '\0') + '\x01';
    const row rows[] = {
        {"\x7f\0\0\x01"s, "127.0.0.1", true},
        {"\x7f\0\0\x01"s, "127.0.0.2", false},
        {"\x7f\0\0\x01"s, "127.1", false},
        {"\x7f\0\0\x01"s, "2130706433", false},
        {"\x7f\0\0\x01"s, "0177.0.0.1", false},
        {"\x7f\0\0\x01"s, "localhost", false},
        {loopback6, "::1", true},
        {loopback6, "0:0:0:0:0:0:0:1", true},
        {loopback6, "::1%lo", true},
        {loopback6, "::2", false},
        {"127.0.0.1", "127.0.0.1", false},
        // RFC 5280 allows a mask beside the address only in name constraints
        {"\x7f\0\0\x01\xff\xff\xff\xff"s, "127.0.0.1", false},
    };
    for (const auto& r : rows) {
        CAPTURE(r.expected);
        CHECK(names_match({.addresses = {r.presented}}, r.expected) == r.matches);
    }
}

TEST_CASE("a certificate without names matches nothing") { CHECK_FALSE(names_match({}, "mail.example.com")); }

TEST_CASE("address literals become octets, and nothing else does") {
    const auto v6 = [](std::string head, std::string tail) {
        return head + std::string(16 - head.size() - tail.size(), '\0') + tail;
    };
    CHECK(address_octets("255.1.20.0") == "\xff\x01\x14\0"s);
    CHECK(address_octets("2001:DB8::8:1") == v6("\x20\x01\x0d\xb8", "\0\x08\0\x01"s));
    CHECK(address_octets("::") == v6("", ""));
    CHECK(address_octets("1::") == v6("\0\x01"s, ""));
    CHECK(address_octets("::ffff:192.0.2.1") == v6("", "\xff\xff\xc0\0\x02\x01"s));
    CHECK(address_octets("1:2:3:4:5:6:7.8.9.10").size() == 16);
    CHECK(address_octets("1:2:3:4:5:6:7::").size() == 16);
    CHECK(address_octets("fe80::1%eth0.1_a-b~c") == v6("\xfe\x80", "\1"));
    for (const char* text : {"",
                             ".",
                             "1.2.3",
                             "1.2.3.4.5",
                             "1.2.3.256",
                             "1.2.3.4.",
                             ".1.2.3.4",
                             "1..2.3",
                             "01.2.3.4",
                             "1.2.3.4a",
                             "1.2.3.-4",
                             "0x1.2.3.4",
                             ":",
                             ":::",
                             "1:2:3:4:5:6:7",
                             "1:2:3:4:5:6:7:8:9",
                             "1:2:3:4:5:6:7:8::",
                             "::1::",
                             "1::2::3",
                             "12345::",
                             "g::",
                             "1:2",
                             ":1:2:3:4:5:6:7",
                             "1:2:3:4:5:6:7:",
                             "1.2.3.4::",
                             "::1.2.3",
                             "[::1]",
                             "::1.2.3.4:5",
                             "1.2.3.4%eth0",
                             "::1%",
                             "::1%a%b",
                             "::1%a:http://_lao",
                             "::1%a]",
                             "::1%a@b",
                             "::1%a b",
                             "::1%\r\n",
                             "::1%\xc3\xbc"}) {
        CAPTURE(text);
        CHECK(address_octets(text).empty());
    }
}

TEST_CASE("a host name is at most 253 octets of labels of at most 63") {
    const std::string label63(63, 'a');
    CHECK(is_host_name(label63 + ".example"));
    CHECK_FALSE(is_host_name(label63 + "a.example"));
    const auto longest = label63 + "." + label63 + "." + label63 + "." + std::string(61, 'a');
    CHECK(is_host_name(longest));
    CHECK_FALSE(is_host_name(longest + "a"));
}

TEST_CASE("a host name is taken as DNS has it") {
    CHECK(plain_host("Mail.Example.com.") == "mail.example.com");
    CHECK(plain_host("m\xc3\xbcller.example") == "xn--mller-kva.example");
    CHECK(plain_host("M\xc3\x9cLLER.example.") == "xn--mller-kva.example");
    CHECK(plain_host("192.0.2.1") == "192.0.2.1");
    CHECK(plain_host("FE80::1%VLAN10.") == "fe80::1%VLAN10.");
    CHECK(plain_host("") == "");
    CHECK(plain_host("a b") == "a b");
    CHECK_FALSE(is_host_name(plain_host("\xe2\x98\x83.example")));  // a snowman is no letter
    CHECK_FALSE(is_host_name(plain_host("mail.example..")));
}

TEST_CASE("names are listed for people, escaped and cut") {
    CHECK(to_string({.dns = {"a.example", "b\n.example"}, .addresses = {"\xc0\0\x02\x01"s}}) ==
          "a.example, b\\x0a.example, 192.0.2.1");
    CHECK(to_string({.dns = {"a", "b", "c"}}, 2) == "a, b and 1 more");
    CHECK(to_string({.addresses = {std::string(15, '\0') + '\x01'}}) == "0000:0000:0000:0000:0000:0000:0000:0001");
}
