#include <doctest/doctest.h>

#include <postroad/tls/constraints.hpp>
#include <postroad/tls/detail/der.hpp>

#include <string>
#include <vector>

#include "pair.hpp"

using namespace tls_test;
using namespace std::string_literals;

namespace {

std::string der(int tag, const std::string& content) {
    return std::string(1, static_cast<char>(tag)) + static_cast<char>(content.size()) + content;
}
std::string dns(const std::string& name) { return der(0x30, der(0x82, name)); }
std::string ip_range(const std::string& octets) { return der(0x30, der(0x87, octets)); }
std::string constraints(const std::string& permitted, const std::string& excluded = {}) {
    return der(0x30, (permitted.empty() ? "" : der(0xa0, permitted)) + (excluded.empty() ? "" : der(0xa1, excluded)));
}

constexpr auto unreadable = "has name constraints that are not understood";

}  // namespace

TEST_CASE("name constraints bound the names that a CA may speak for") {
    const std::string net = "\xc0\0\2\0\xff\xff\xff\0"s;  // 192.0.2.0/24
    struct row {
        std::string what, value;
        tls::certificate_names names;
        std::string expected, violation;
    };
    const tls::certificate_names mail{.dns = {"mail.example.com"}};
    const tls::certificate_names wild{.dns = {"*.example.com"}};
    const tls::certificate_names number{.addresses = {"\xc0\0\2\1"s}};
    const row rows[] = {
        {"the domain itself", constraints(dns("mail.example.com")), mail, "mail.example.com", ""},
        {"below it", constraints(dns("example.com")), mail, "mail.example.com", ""},
        {"case", constraints(dns("EXAMPLE.com")), mail, "MAIL.example.com", ""},
        {"one of two", constraints(dns("example.org") + dns("example.com")), mail, "mail.example.com", ""},
        {"with a dot, below", constraints(dns(".example.com")), mail, "mail.example.com", ""},
        {"with a dot, itself", constraints(dns(".mail.example.com")), mail, "mail.example.com",
         "may not speak for mail.example.com"},
        {"everything", constraints(dns("")), mail, "mail.example.com", ""},
        {"not a label of its own", constraints(dns("ample.com")), mail, "mail.example.com",
         "may not speak for mail.example.com"},
        {"elsewhere", constraints(dns("example.org")), mail, "mail.example.com", "may not speak for mail.example.com"},
        {"one name of the certificate",
         constraints(dns("example.com")),
         {.dns = {"mail.example.com", "evil.invalid"}},
         "mail.example.com",
         "may not speak for evil.invalid"},
        {"wildcard within", constraints(dns("example.com")), wild, "mail.example.com", ""},
        {"wildcard reaching out", constraints(dns("mail.example.com")), wild, "mail.example.com",
         "may not speak for *.example.com"},
        {"excluded", constraints("", dns("example.com")), mail, "mail.example.com",
         "may not speak for mail.example.com"},
        {"excluded elsewhere", constraints("", dns("example.org")), mail, "mail.example.com", ""},
        {"excluded below permitted", constraints(dns("example.com"), dns("mail.example.com")), mail, "mail.example.com",
         "may not speak for mail.example.com"},
        {"wildcard into what is excluded", constraints("", dns("mail.example.com")), wild, "mail.example.com",
         "may not speak for mail.example.com"},
        {"address within", constraints(ip_range(net)), number, "192.0.2.1", ""},
        {"address outside",
         constraints(ip_range(net)),
         {.addresses = {"\xc0\0\3\1"s}},
         "192.0.3.1",
         "may not speak for 192.0.3.1"},
        {"address excluded", constraints("", ip_range(net)), number, "192.0.2.1", "may not speak for 192.0.2.1"},
        {"other family",
         constraints(ip_range(net)),
         {.addresses = {std::string(16, '\1')}},
         "101:101:101:101:101:101:101:101",
         "may not speak for 0101:0101:0101:0101:0101:0101:0101:0101"},
        {"addresses bound no names", constraints(ip_range(net)), mail, "mail.example.com", ""},
        {"mail addresses bound no servers", constraints(der(0x30, der(0x81, "example.org"))), mail, "mail.example.com",
         ""},
        {"a directory name", constraints(der(0x30, der(0xa4, "x"))), mail, "mail.example.com", unreadable},
        {"a minimum", constraints(der(0x30, der(0x82, "example.com") + der(0x80, "\1"))), mail, "mail.example.com",
         unreadable},
        {"a short address", constraints(ip_range("\xc0\0\2"s)), mail, "mail.example.com", unreadable},
        {"nothing", constraints(""), mail, "mail.example.com", unreadable},
        {"empty", "", mail, "mail.example.com", unreadable},
        {"cut", constraints(dns("example.com")).substr(0, 12), mail, "mail.example.com", unreadable},
        {"another list", der(0x30, der(0xa2, dns("example.com"))), mail, "mail.example.com", unreadable},
    };
    for (const auto& r : rows) {
        CAPTURE(r.what);
        CHECK(tls::constraint_violation(r.value, r.names, r.expected) == r.violation);
    }
}

TEST_CASE_TEMPLATE("attack 22: a CA with name constraints speaks for its names only", E, ENGINES) {
    const auto middle = ca().intermediate("middle CA", {"example.org"});
    const auto below = middle.intermediate("low CA");
    const auto explanation = [&](testing::server_identity id, const std::string& chain, const std::string& name) {
        id.certificate_pem += chain;
        pair<E> p(id, name);
        const bool done = p.shake();
        CHECK(done == p.client.explanation().empty());
        CHECK(p.client.error() == (done ? error_code() : make_error_code(errc::tls_certificate)));
        return p.client.explanation();
    };
    const std::string refused =
        "certificate of mail.example.com comes with a CA that may not speak for mail.example.com";
    CHECK(explanation(middle.issue({.names = {"mail.example.org"}}), middle.ca_pem, "mail.example.org").empty());
    CHECK(explanation(middle.issue({.names = {"mail.example.com"}}), middle.ca_pem, "mail.example.com") == refused);
    CHECK(explanation(below.issue({.names = {"mail.example.com"}}), below.ca_pem + middle.ca_pem, "mail.example.com") ==
          refused);
}

TEST_CASE("DER is read within its bounds") {
    using tls::detail::next_value;
    const auto first = [](std::string_view text) {
        const auto value = next_value(text);
        return std::to_string(value.tag) + ":" + std::string(value.content) + ":" + std::string(text);
    };
    CHECK(first("\x04\x02"s + "abc") == "4:ab:c");
    CHECK(first("\x04\x81\x02"s + "abc") == "4:ab:c");
    CHECK(first("\x04\x00"s) == "4::");
    for (const auto& bad : {""s, "\x04"s, "\x04\x03"s + "ab", "\x04\x80"s + "ab", "\x04\x85\0\0\0\0\1"s + "a",
                            "\x04\x82\1"s, "\x1f\x01"s + "a", "\x04\x84\xff\xff\xff\xff"s + "a"})
        CHECK(first(bad) == "0::");
    std::string_view octets(
        "\x04\x01"
        "a",
        3);
    CHECK(tls::detail::next_content(octets, 0x30).empty());
}

TEST_CASE("a malformed certificate has no parts") {
    const auto good = "\x30\x03\x30\x01\x02"s;
    for (const auto& text : {""s, good, "\x30\x80"s, std::string(100, '\x30'), std::string(3, '\0')}) {
        const auto parts = tls::detail::parts_of(text);
        CHECK(parts.public_key.empty());
        CHECK(parts.extensions.empty());
        CHECK(parts.signature_oid.empty());
    }
    CHECK(tls::detail::find_extension("\x30\x05\x06\x01\x2a\x04\x00"s, "\x55").empty());
    CHECK(tls::detail::pss_hash_oid("\x30\x02\xa0\x00"s).empty());
}
