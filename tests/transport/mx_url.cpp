// mx:// and what it says.
#include <doctest/doctest.h>
#include <postroad/core/error.hpp>
#include <postroad/transport/mx_url.hpp>

#include <string>
#include <vector>

#include "failure.hpp"

using postroad::errc;
using postroad::security;
using postroad::net::address_family;
using postroad::transport::is_mx_url;
using postroad::transport::parse_mx_url;

namespace {

failure complaint(const std::string& url) {
    return failure_of([&] { parse_mx_url(url); });
}

}  // namespace

TEST_CASE("the host is the name that we say, and the port is for tests") {
    const auto u = parse_mx_url("MX://Out1.example.com");
    CHECK(u.options.client_name == "out1.example.com");
    CHECK(u.options.port == 25);
    CHECK(u.options.dane);
    CHECK(u.mta_sts);
    CHECK(u.validate);
    CHECK(u.options.floor == security::opportunistic);
    CHECK_FALSE(u.options.private_addresses);
    CHECK(parse_mx_url("mx://192.0.2.1:2525").options.client_name == "[192.0.2.1]");
    CHECK(parse_mx_url("mx://192.0.2.1:2525").options.port == 2525);
    CHECK(parse_mx_url("mx://[2001:DB8::1]").options.client_name == "[IPv6:2001:db8::1]");
    CHECK(is_mx_url("Mx://x"));
    CHECK_FALSE(is_mx_url("mx:/"));
    CHECK_FALSE(is_mx_url("smtp://x"));
}

TEST_CASE("an address with a zone is no name to others") {
    try {
        parse_mx_url("mx://[fe80::1%25eth0]");
        FAIL("EHLO cannot say it");
    } catch (const postroad::error& e) {
        CHECK(e.code() == postroad::errc::invalid_url);
        CHECK(e.details().explanation.find("zone") != std::string::npos);
    }
    CHECK(parse_mx_url("mx://[fe80::1]").options.client_name == "[IPv6:fe80::1]");
}

TEST_CASE("options of a sender without a relay") {
    const auto u = parse_mx_url(
        "mx://out.example/?resolver=192.0.2.53,192.0.2.54%405353&dnssec=off&dane=off&mta_sts=on&cache=/var/cache/x"
        "&anchors=/etc/root.key&family=ipv4&own=mx.example,192.0.2.1&private_addresses=true&tls=required"
        "&local=192.0.2.1&pipelining=window&window=7&recipients=50&ca=/etc/ca.pem&pool=9&rules=/etc/providers.toml"
        "&processes=4");
    CHECK(u.options.processes == 4);
    CHECK(u.rules == "/etc/providers.toml");
    CHECK(u.resolvers == std::vector<std::string>{"192.0.2.53", "192.0.2.54@5353"});
    CHECK_FALSE(u.validate);
    CHECK_FALSE(u.options.dane);
    CHECK(u.cache == "/var/cache/x");
    CHECK(u.anchors_file == "/etc/root.key");
    CHECK(u.options.dialing.family == address_family::ipv4);
    CHECK(u.options.own == std::vector<std::string>{"mx.example", "192.0.2.1"});
    CHECK(u.options.private_addresses);
    CHECK(u.options.floor == security::starttls);
    CHECK(u.options.dialing.local_addresses == std::vector<std::string>{"192.0.2.1"});
    CHECK(u.options.window == 7);
    CHECK(u.options.recipients_per_transaction == 50);
    CHECK(u.others == postroad::transport::url_options{{"ca", "/etc/ca.pem"}, {"connections", "9"}});
}

TEST_CASE("what is wrong in it is said, without a password") {
    CHECK(complaint("smtp://out.example").code == errc::invalid_url);
    CHECK(complaint("mx://").code == errc::invalid_url);
    CHECK(complaint("mx://out.example/path").code == errc::invalid_url);
    const auto user = complaint("mx://ann:secret@out.example");
    CHECK(user.code == errc::invalid_url);
    CHECK(user.text.find("secret") == std::string::npos);
    for (const std::string option :
         {"dane=", "dane=1", "dnssec=yes", "mta_sts=enforce", "family=6", "tls=implicit", "private_addresses=on",
          "backup=x", "helo=x", "window=0", "processes=0", "processes=1001", "recipients=x", "connections=0",
          "pool=2&connections=2", "resolver=,", "own=,,"})
        CHECK_MESSAGE(complaint("mx://out.example?" + option).code == errc::invalid_option, option);
    CHECK(complaint("mx://out.example?resolve=192.0.2.1").text.find("\"resolver\"") != std::string::npos);
    CHECK(complaint("mx://out.example?pipelining=envelope&window=2").code == errc::contradiction);
    CHECK(parse_mx_url("mx://out.example?window=2").options.pipelining == postroad::smtp::pipelining::automatic);
    CHECK(parse_mx_url("mx://out.example?pipelining=automatic").options.pipelining ==
          postroad::smtp::pipelining::automatic);
    CHECK(complaint("mx://out.example?cache=/x&mta_sts=off").code == errc::contradiction);
}
