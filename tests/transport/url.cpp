#include <doctest/doctest.h>
#include <postroad/core/error.hpp>
#include <postroad/transport/smtp.hpp>
#include <postroad/transport/url.hpp>

#include <ostream>
#include <string>
#include <vector>

#include "failure.hpp"

using namespace std::string_literals;
using postroad::endpoint;
using postroad::errc;
using postroad::security;
using postroad::transport::check_options;
using postroad::transport::max_url;
using postroad::transport::mechanism_list;
using postroad::transport::parse_url;
using postroad::transport::url_options;

namespace {

failure parse_complaint(const std::string& url) {
    return failure_of([&] { parse_url(url); });
}

failure option_complaint(const char* name, const std::string& value) {
    return failure_of([&] { check_options({{name, value}}); });
}

}  // namespace

TEST_CASE("a scheme says how the wire is protected and which port is meant") {
    CHECK(parse_url("smtp://mail.example").server == endpoint{"mail.example", 587, security::starttls});
    CHECK(parse_url("smtps://mail.example/").server == endpoint{"mail.example", 465, security::implicit});
    CHECK(parse_url("smtp+insecure://mail.example").server == endpoint{"mail.example", 25, security::insecure_none});
    CHECK(parse_url("smtp+opportunistic://mail.example").server ==
          endpoint{"mail.example", 25, security::opportunistic});
    CHECK(parse_url("SMTPS://Mail.Example:2465").server == endpoint{"mail.example", 2465, security::implicit});
}

TEST_CASE("LMTP is spoken over TCP or a Unix-domain socket") {
    using postroad::protocol;
    CHECK(parse_url("lmtp://store.example").server ==
          endpoint{"store.example", 24, security::starttls, protocol::lmtp});
    CHECK(parse_url("lmtp+insecure://[::1]:2424").server ==
          endpoint{"::1", 2424, security::insecure_none, protocol::lmtp});
    CHECK(parse_url("lmtp+unix:///run/dovecot/lmtp").server ==
          endpoint{"/run/dovecot/lmtp", 0, security::insecure_none, protocol::lmtp});
    CHECK(parse_url("lmtp+unix:///a%20b?window=3").server.name == "/a b");
    CHECK(parse_url("lmtp+unix:///" + std::string(postroad::transport::max_socket_path - 1, 'a')).server.port == 0);
    for (const auto& url :
         {"lmtp+unix://"s, "lmtp+unix:///"s, "lmtp+unix://host/path"s, "lmtp+unix://ann@/path"s, "lmtp+unix:///a%00b"s,
          "lmtp+unix:///" + std::string(postroad::transport::max_socket_path, 'a')}) {
        CAPTURE(url);
        CHECK(parse_complaint(url).code == errc::invalid_url);
    }
}

TEST_CASE("how TLS starts may be said by an option") {
    using postroad::transport::smtp;
    const struct {
        const char* url;
        security meant;
    } rows[] = {
        {"smtp://h?tls=auto", security::starttls},
        {"smtp://h:465?tls=auto", security::implicit},
        {"smtps://h:25?tls=auto", security::implicit},
        {"smtp://h?tls=required", security::starttls},
        {"smtp://h:25?tls=implicit", security::implicit},
        {"smtp://h?tls=opportunistic", security::opportunistic},
        {"smtp://h?tls=insecure_none", security::insecure_none},
        {"smtp://h?tls=insecure_no_verify", security::starttls},
        {"smtps://h?tls=insecure_no_verify", security::implicit},
        {"smtp+insecure://h?tls=insecure_none", security::insecure_none},
        {"lmtp://h?tls=opportunistic", security::opportunistic},
    };
    for (const auto& row : rows) {
        CAPTURE(row.url);
        CHECK(smtp(row.url).options().server.security == row.meant);
    }
    for (const auto* url : {"smtps://h?tls=required", "smtp+insecure://h?tls=required", "smtps://h?tls=opportunistic",
                            "smtp+insecure://h?tls=insecure_no_verify", "smtps://h?tls=insecure_none"}) {
        CAPTURE(url);
        CHECK(failure_of([&] { smtp s(url); }).code == errc::contradiction);
    }
}

TEST_CASE("backup servers are like the first, each for when those before it fail") {
    using postroad::transport::smtp;
    const smtp s("smtps://ann:pw@a.example:1465?backup=B.example,[::1]:99,c.example");
    const auto all = s.hosts({});
    REQUIRE(all.size() == 4);
    CHECK(all[0] == s.options().server);
    CHECK(all[1].name == "b.example");
    CHECK(all[1].port == 1465);
    CHECK(all[1].security == security::implicit);
    CHECK(all[2].name == "::1");
    CHECK(all[2].port == 99);
    CHECK(all[3].preference == 3);
    for (const auto* value : {",", "b.example,", "b.example:0", "-", "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q"}) {
        CAPTURE(value);
        CHECK(!!failure_of([&] { smtp t("smtp://h?backup="s + value); }).code);
    }
}

TEST_CASE("the way there may be said by options") {
    using postroad::transport::smtp;
    const smtp s("smtp://h?proxy=socks5%3A%2F%2Fu%3Ap%40proxy.example%3A1081&local=192.0.2.1&pool=3&recipients=7");
    CHECK(s.options().dialing.proxy->host == "proxy.example");
    CHECK(s.options().dialing.proxy->port == 1081);
    CHECK(s.options().dialing.local_addresses == std::vector<std::string>{"192.0.2.1"});
    CHECK(s.options().recipients_per_transaction == 7);
    CHECK(s.other_options() == url_options{{"connections", "3"}});
    CHECK(failure_of([] { smtp t("smtp://h?local=nowhere"); }).code == errc::invalid_option);
    CHECK(failure_of([] { smtp t("smtp://h?pool=3&connections=3"); }).code == errc::contradiction);
    CHECK(failure_of([] { smtp t("lmtp://h:25"); }).code == errc::contradiction);
}

TEST_CASE("a host may end in a dot, and may be international") {
    const struct {
        const char* url;
        const char* host;  // null: refused
    } rows[] = {
        {"smtp://mail.example.com.", "mail.example.com"},
        {"smtp://ann:pw@Mail.Example.com.:25/?window=3", "mail.example.com"},
        {"smtp://192.0.2.1.", "192.0.2.1"},
        {"smtp://mail.example.com..", nullptr},
        {"smtp://.", nullptr},
        {"smtp://.:25", nullptr},
        {"smtp://b\xc3\xbc"
         "cher.example",
         "xn--bcher-kva.example"},
        {"smtp://B\xc3\x9c"
         "CHER.example.",
         "xn--bcher-kva.example"},
        {"smtp://b%C3%BCcher.example:25", "xn--bcher-kva.example"},
        {"smtp://bu\xcc\x88"
         "cher.example",
         "xn--bcher-kva.example"},  // decomposed
        {"smtp://\xe4\xbe\x8b\xe5\xad\x90.\xe6\xb5\x8b\xe8\xaf\x95", "xn--fsqu00a.xn--0zwm56d"},
        {"smtp://xn--bcher-kva.example", "xn--bcher-kva.example"},
        {"smtp://mail%2eexample", "mail.example"},
        {"smtp://b\xc3"
         "cher.example",
         nullptr},
        {"smtp://b%C3cher.example", nullptr},
        {"smtp://b\xc3\xbc"
         "cher_.example",
         nullptr},
        {"smtp://a\xef\xbc\x8f"
         "b.example",
         nullptr},                                                   // a fullwidth slash becomes a slash
        {"smtp://\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.1", nullptr},  // digits that the resolver would read
        {"smtp://a%3Ab.example", nullptr},
        {"smtp://%3A%3A1", nullptr},
        {"smtp://a%00b", nullptr},
        {"smtp://a%40b.example", nullptr},
        {"smtp://\xe2\x80\x8d.example", nullptr},
    };
    for (const auto& row : rows) {
        const std::string url = row.url;
        const auto* const host = row.host;
        CAPTURE(url);
        if (!host) {
            CHECK(parse_complaint(url).code == errc::invalid_url);
            continue;
        }
        CHECK(parse_url(url).server.name == host);
    }
    using postroad::transport::smtp;
    CHECK(smtp("smtp://a.example?backup=b%C3%BCcher.example.:99").hosts({}).at(1).name == "xn--bcher-kva.example");
    for (const auto* url :
         {"smtp://\xc3\xbc@h", "smtp://u:\xc3\xbc@h", "smtp://h?helo=\xc3\xbc", "smtp://h/\xc3\xbc"}) {
        CAPTURE(url);
        CHECK(parse_complaint(url).text.find("%XX") != std::string::npos);
    }
}

TEST_CASE("hosts given as options are taken as those of a URL") {
    const postroad::transport::smtp s({.server = {.name = "M\xc3\xbcller.example.", .port = 587},
                                       .more_servers = {{.name = "B.example.", .port = 587}}});
    CHECK(s.options().server.name == "xn--mller-kva.example");
    CHECK(s.options().more_servers.at(0).name == "b.example");
    for (const auto* url : {"smtp://h?helo=m%C3%BCller.example.", "smtp://h?helo=xn--mller-kva.example"})
        CHECK(postroad::transport::smtp(url).options().client_name == "xn--mller-kva.example");
    const postroad::transport::smtp named("smtp://h", {.client_name = "m\xc3\xbcller.example"});
    CHECK(named.options().client_name == "xn--mller-kva.example");
    const postroad::transport::smtp literal("smtp://h?helo=[IPv6:::1]");
    CHECK(literal.options().client_name == "[IPv6:::1]");
}

TEST_CASE("mechanisms in the URL and credentials given elsewhere go together") {
    using postroad::secret;
    using postroad::smtp::credentials;
    using postroad::transport::smtp;
    const smtp by_password("smtp://h?auth=login", {.credentials = {.user = "ann", .password = secret("pw")}});
    CHECK(by_password.options().credentials ==
          credentials{.user = "ann", .password = secret("pw"), .mechanisms = {"LOGIN"}});
    const smtp by_token("smtp://h?auth=xoauth2", {.credentials = {.user = "ann", .token = secret("t")}});
    CHECK(by_token.options().credentials.mechanisms == std::vector<std::string>{"XOAUTH2"});
    const postroad::smtp::credentials_source source(
        [](const postroad::smtp::credentials_request&) { return credentials{}; });
    const smtp by_source("smtp://h?auth=xoauth2,login", {.credentials_source = source});
    CHECK(by_source.options().credentials == credentials{.mechanisms = {"XOAUTH2", "LOGIN"}});
    CHECK_NOTHROW((void)by_source.make_session(by_source.options().server, "rOprNGfwEbeRWgbNEkqO"));
    // What the URL does not say stays.
    CHECK(smtp("smtp://h", {.client_name = "me.example", .window = 7}).options().window == 7);
    CHECK(smtp("smtp://h?helo=you.example", {.client_name = "me.example"}).options().client_name == "you.example");

    const auto none = failure_of([] { smtp t("smtp://h?auth=login"); });
    CHECK(none.code == errc::invalid_credentials);
    CHECK(none.text.find("auth=") != std::string::npos);
    CHECK(none.text.find("password is empty") == std::string::npos);
    CHECK_NOTHROW(smtp("smtp://h?auth=external"));
    for (const auto& twice :
         {postroad::transport::smtp_options{.credentials = {.user = "bob", .password = secret("x")}},
          postroad::transport::smtp_options{.credentials_source = source}})
        CHECK(failure_of([&] { smtp t("smtp://ann:pw@h", twice); }).code == errc::contradiction);
    CHECK(failure_of([&] {
              smtp t(postroad::transport::smtp_options{
                  .server = {"h", 25}, .credentials = {.user = "ann"}, .credentials_source = source});
          }).code == errc::contradiction);
}

TEST_CASE("another scheme is refused with the allowed ones") {
    for (const auto* url : {"", "http://mail.example", "smtp:mail.example", "smtp:/mail.example", "mail.example:25",
                            "smtp+starttls://x", " smtp://x", "//mail.example", "smtpss://x", "user:secret@host"}) {
        CAPTURE(url);
        const auto c = parse_complaint(url);
        CHECK(c.code == errc::invalid_url);
        CHECK(c.text.find("secret") == std::string::npos);
        if (url[0] != ' ') CHECK(c.text.starts_with("the URL must begin with smtp://, smtps://, "));
    }
}

TEST_CASE("user and password are percent-decoded once") {
    const struct {
        const char* url;
        const char* user;
        const char* password;
    } rows[] = {
        {"smtp://host", "", ""},
        {"smtp://user@host", "user", ""},
        {"smtp://user:p%40ss@host:587/?connections=1", "user", "p@ss"},
        {"smtp://user%40example.com:a:b@host", "user@example.com", "a:b"},
        {"smtp://u:%2540@host", "u", "%40"},
        {"smtp://u:a+b@host", "u", "a+b"},
        {"smtp://u%3Av:%2f%3F%23%25%5B@host", "u:v", "/?#%["},
        {"smtp://%C3%A4:%e2%82%ac@host", "\xc3\xa4", "\xe2\x82\xac"},
        {"smtp://u:p%20w@host", "u", "p w"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.url);
        const auto parts = parse_url(row.url);
        CHECK(parts.credentials.user == row.user);
        CHECK(parts.credentials.password == postroad::secret(row.password));
        CHECK(parts.server.name == "host");
    }
}

TEST_CASE("an address literal is a host, without brackets in the endpoint") {
    CHECK(parse_url("smtp://192.0.2.1").server == endpoint{"192.0.2.1", 587, security::starttls});
    CHECK(parse_url("smtp://[2001:DB8::1]").server == endpoint{"2001:db8::1", 587, security::starttls});
    CHECK(parse_url("smtp://u:p@[::1]:25").server == endpoint{"::1", 25, security::starttls});
    CHECK(parse_url("smtp://[::ffff:192.0.2.1]/").server.name == "::ffff:192.0.2.1");
}

TEST_CASE("an address of a link has its zone behind %25, as it is written") {
    CHECK(parse_url("smtp://u:p@[FE80::1%25eth0]:25").server == endpoint{"fe80::1%eth0", 25, security::starttls});
    CHECK(parse_url("smtp://[fe80::1%25En%2D1.5]").server.name == "fe80::1%En-1.5");
    CHECK(parse_url("smtp://[febf::1%25~]").server.name == "febf::1%~");
    CHECK(to_string(parse_url("smtps://[fe80::1%25eth0]").server) == "[fe80::1%eth0]:465");
    using postroad::transport::smtp;
    CHECK(smtp("smtp://[FE80::1%25enP4p65s0]").options().server.name == "fe80::1%enP4p65s0");
    const smtp given(postroad::transport::smtp_options{.server = {.name = "FE80::1%VLAN10", .port = 25}});
    CHECK(given.options().server.name == "fe80::1%VLAN10");
}

TEST_CASE("an IPv6 address without brackets is refused by what to write") {
    const auto is_told = [](const failure& f) { return f.text.find("stands in brackets") != std::string::npos; };
    for (const auto* host : {"::1", "2001:DB8::1", "::ffff:192.0.2.1", "u:p@::1", "fe80::1:25"}) {
        CAPTURE(host);
        CHECK(is_told(parse_complaint("smtp://"s + host)));
    }
    CHECK(is_told(failure_of([] { postroad::transport::smtp t("smtp://h?backup=2001%3Adb8%3A%3A1"); })));
    CHECK_FALSE(is_told(parse_complaint("smtp://host:25:30")));
}

TEST_CASE("a host that is no name and no literal is refused") {
    for (const auto* host : {"",
                             ":25",
                             "[",
                             "[]",
                             "[::1",
                             "::1",
                             "[::1]x",
                             "[::1]25",
                             "[192.0.2.1]",
                             "[fe80::1%eth0]",
                             "[fe80::1%25]",
                             "[fe80::1%25a%25b]",
                             "[fe80::1%25a%00]",
                             "[fe80::1%25a%2Fb]",
                             "[fe80::1%25a%5D]",
                             "[fe80::1%2]",
                             "[fe80::1%25eth0",
                             "[fec0::1%25eth0]",
                             "[2001:db8::1%25eth0]",
                             "[192.0.2.1%25eth0]",
                             "[%25eth0]",
                             "[1::2::3]",
                             "[mail.example]",
                             "a..b",
                             ".a",
                             "a..",
                             "127.1.",
                             "-a",
                             "a-",
                             "a.-b",
                             "a-.b",
                             "a b",
                             "a%20b",
                             "a\\b",
                             "b\xc3",
                             "127.1",
                             "0x7f.1",
                             "0x7f000001",
                             "2130706433",
                             "1.2.3.4.5",
                             "256.1.1.1",
                             "01.2.3.4",
                             "a,b",
                             "a;b",
                             "a!b"}) {
        CAPTURE(host);
        CHECK(parse_complaint("smtp://"s + host).code == errc::invalid_url);
    }
}

TEST_CASE("names of hosts as networks have them are taken") {
    for (const auto* host :
         {"localhost", "a", "a-b.example", "mail_server", "xn--bcher-kva.example", "4.example", "0x.x"}) {
        CAPTURE(host);
        CHECK(parse_url("smtp://"s + host).server.name == host);
    }
}

TEST_CASE("a label of 63 characters and a name of 253 are taken, one more is not") {
    const std::string label(63, 'a');
    CHECK(parse_url("smtp://" + label).server.name == label);
    CHECK(parse_complaint("smtp://" + label + 'a').code == errc::invalid_url);
    const auto name = label + '.' + label + '.' + label + '.' + std::string(61, 'b');
    CHECK(parse_url("smtp://" + name).server.name == name);
    CHECK(parse_complaint("smtp://" + name + 'b').code == errc::invalid_url);
}

TEST_CASE("a port is a number from 1 to 65535") {
    CHECK(parse_url("smtp://host:1").server.port == 1);
    CHECK(parse_url("smtp://host:65535").server.port == 65535);
    for (const auto* port : {"", "0", "65536", "-1", "+25", "25x", "x", "0x19", "99999999999999999999", "25:25"}) {
        CAPTURE(port);
        CHECK(parse_complaint("smtp://host:"s + port).text == "the port in the URL must be a number from 1 to 65535");
    }
}

TEST_CASE("a path or a fragment is refused") {
    for (const auto* tail : {"/inbox", "//", "/x?connections=1", "/#", "#x", "?connections=1#x"}) {
        CAPTURE(tail);
        CHECK(parse_complaint("smtp://host"s + tail).code == errc::invalid_url);
    }
}

TEST_CASE("an octet that a URL cannot hold is refused raw") {
    for (const auto& bad : {" "s, "\r"s, "\n"s, "\0"s, "\t"s, "\x7f"s, "\xc3\xa4"s})
        CHECK(parse_complaint("smtp://u:p" + bad + "@host").code == errc::invalid_url);
}

TEST_CASE("an octet that the protocol cannot carry is refused encoded") {
    for (const auto* bad : {"%00", "%0d", "%0A", "%01", "%1f", "%7F", "%c2%85", "%ff", "%C0%80"}) {
        CAPTURE(bad);
        CHECK(parse_complaint("smtp://u"s + bad + ":p@host").text.starts_with("the user name "));
        CHECK(parse_complaint("smtp://u:p"s + bad + "@host").text.starts_with("the password "));
        CHECK(parse_complaint("smtp://u:p"s + bad + "@host").code == errc::invalid_credentials);
        CHECK(parse_complaint("smtp://host?ca=x"s + bad).code == errc::invalid_option);
        CHECK(parse_complaint("smtp://host"s + bad).code == errc::invalid_url);
    }
}

TEST_CASE("a broken percent sign is refused") {
    for (const auto* bad : {"%", "%4", "%4g", "%g4", "%%", "% 4", "%-1"}) {
        CAPTURE(bad);
        CHECK(parse_complaint("smtp://u:p"s + bad + "@host").code == errc::invalid_url);
        CHECK(parse_complaint("smtp://host?ca=x"s + bad).code == errc::invalid_url);
    }
}

TEST_CASE("an empty user name, and an empty password behind a colon, are refused") {
    CHECK(parse_complaint("smtp://@host").text == "the user name in the URL is empty");
    CHECK(parse_complaint("smtp://:p@host").text == "the user name in the URL is empty");
    CHECK(parse_complaint("smtp://u:@host").text ==
          "the password in the URL is empty; without one leave out the colon");
}

TEST_CASE("no error shows a password, encoded or not, wherever the URL breaks") {
    for (const auto* url :
         {"smtp://u:se/same@host", "smtp://u:se?same@host", "smtp://u:se#same@host", "smtp://u:se@same@host",
          "smtp://u:sesame@", "smtp://u:sesame", "smtp://u:sesame@ho st", "smtp://u:sesame%@host",
          "smtp://u:sesame%00@host", "smtp://u:sesame@host:x", "smtp://u:sesame@host/x", "smtp://u:sesame@host?x=1",
          "http://u:sesame@host", "smtp://u@host:se?sesame=1@x", "smtp://u:25?sesame=x@host",
          "smtp://u:sesame@host?sesame%00=1", "smtp://u:sesame@[host]", "smtp://u:a@b:sesame@host",
          "smtp://u@sesame!"}) {
        CAPTURE(url);
        const auto c = parse_complaint(url);
        CHECK(c.code);
        CHECK(c.text.find("same") == std::string::npos);
    }
}

TEST_CASE("options come back decoded, in their order") {
    CHECK(parse_url("smtp://host?helo=me.example&ca=%2Fetc%2Fca%26.pem").options ==
          url_options{{"helo", "me.example"}, {"ca", "/etc/ca&.pem"}});
    CHECK(parse_url("smtp://host/?ca=a=b").options == url_options{{"ca", "a=b"}});
    CHECK(parse_url("smtp://host/?ca=").options == url_options{{"ca", ""}});
    CHECK(parse_url("smtp://host/?").options.empty());
}

TEST_CASE("an unknown option is refused with the nearest known one") {
    const std::string_view known[] = {"tls", "ca", "connections"};
    const auto text = [&](const std::string& url) {
        const auto c = failure_of([&] { parse_url(url, known); });
        CHECK(c.code == errc::invalid_option);
        return c.text;
    };
    CHECK(text("smtp://host?tsl=1") == "unknown option \"tsl\"; did you mean \"tls\"?");
    CHECK(text("smtp://host?conections=1") == "unknown option \"conections\"; did you mean \"connections\"?");
    CHECK(text("smtp://host?cafile=1") == "unknown option \"cafile\"; did you mean \"ca\"?");
    CHECK(text("smtp://host?helo=x") == "unknown option \"helo\"; did you mean \"tls\"?");
    CHECK(failure_of([] { parse_url("smtp://host?a=1", {}); }).text == "unknown option \"a\"; none are known here");
}

TEST_CASE("an option that is given twice is refused") {
    CHECK(parse_complaint("smtp://host?ca=a&ca=a").text == "option \"ca\" is given twice");
    CHECK(parse_complaint("smtp://host?ca=a&c%61=b").text == "option \"ca\" is given twice");
}

TEST_CASE("options that are not name=value are refused") {
    for (const auto* query : {"ca", "=", "=x", "&", "ca=x&", "ca=x&&helo=y", "CA=x", "c a=x", "ca;helo=x", "?ca=x"}) {
        CAPTURE(query);
        CHECK(parse_complaint("smtp://host?"s + query).code);
    }
}

TEST_CASE("a URL at the limit of octets is taken and one octet more is not") {
    auto url = "smtp://host?ca="s;
    url += std::string(max_url - url.size(), 'x');
    CHECK(parse_url(url).options.size() == 1);
    CHECK(parse_complaint(url + 'x').text == "the URL is longer than 4096 octets");
}

TEST_CASE("each option takes its allowed values and no others") {
    const struct {
        const char* name;
        const char* value;
        bool allowed;
    } rows[] = {
        {"ca", "/etc/ca.pem", true},
        {"ca", "", false},
        {"crl", "/etc/lists.pem", true},
        {"crl", "", false},
        {"helo", "me.example", true},
        {"helo", "[192.0.2.1]", true},
        {"helo", "[IPv6:2001:db8::1]", true},
        {"helo", "", false},
        {"helo", "me example", false},
        {"helo", "192.0.2.1", false},
        {"helo", "[2001:db8::1]", false},
        {"helo", "[", false},
        {"helo", "[]", false},
        {"helo", "[IPv6:192.0.2.1]", false},
        {"helo", "[IPv6:fe80::1%eth0]", false},
        {"helo", "a\r\nMAIL", false},
        {"pipelining", "lockstep", true},
        {"pipelining", "envelope", true},
        {"pipelining", "across", true},
        {"pipelining", "window", true},
        {"pipelining", "windows", false},
        {"window", "0", false},
        {"window", "1", true},
        {"window", "1000", true},
        {"window", "1001", false},
        {"pipelining", "", false},
        {"connections", "1", true},
        {"connections", "10000", true},
        {"connections", "0", false},
        {"connections", "10001", false},
        {"connections", "-1", false},
        {"connections", "4x", false},
        {"connections", "", false},
        {"insecure_authentication", "true", true},
        {"insecure_authentication", "false", false},
        {"insecure_authentication", "TRUE", false},
        {"insecure_authentication", "1", false},
        {"insecure_authentication", "", false},
        {"auth", "PLAIN", true},
        {"auth", "scram-sha-256,plain", true},
        {"auth", "", false},
        {"auth", "PLAIN,", false},
        {"auth", "PLAIN LOGIN", false},
        {"auth", "NTLM", false},
        {"other", "anything", true},
    };
    for (const auto& row : rows) {
        CAPTURE(row.name);
        CAPTURE(row.value);
        const auto c = option_complaint(row.name, row.value);
        CHECK(!c.code == row.allowed);
        if (!row.allowed) {
            CHECK(c.code == errc::invalid_option);
            CHECK(c.text.starts_with("option \"" + std::string(row.name) + "\""));
        }
    }
}

TEST_CASE("a list of mechanisms is upper case, in its order, without duplicates") {
    CHECK(mechanism_list("plain,SCRAM-SHA-256,Plain,login") ==
          std::vector<std::string>{"PLAIN", "SCRAM-SHA-256", "LOGIN"});
}
