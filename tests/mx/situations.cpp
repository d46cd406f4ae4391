// What receiving domains get wrong, or do in a way of their own, and where their mail goes: a row each.
#include <postroad/testing/scripted_resolver.hpp>
#include <postroad/transport/mx_lookup.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

using namespace postroad;
using namespace std::chrono_literals;
using net::dns_trust;
using net::record_type;
using testing::scripted_resolver;
using transport::mx_lookup;
using transport::mx_rules;

namespace {

const std::string digest(32, 'x');

struct situation {
    std::string what;
    std::function<void(scripted_resolver&)> says;  // of d.example
    std::string result;                            // servers, or a code of RFC 3463
    mx_rules rules = {};
    std::optional<net::sts_policy> policy = {};
};

// "a@0 clear 192.0.2.1, b@1 dane ..., c@1 tls ..., d@1 verified ...", or the code of the error and how long it lasts.
std::string text(const transport::located& l) {
    if (l.error) {
        for (std::size_t i = 0; i + 4 < l.why.size(); ++i)
            if ((l.why[i] == '4' || l.why[i] == '5') && l.why[i + 1] == '.' && l.why[i + 3] == '.')
                return l.why.substr(i, l.why.find_first_not_of("0123456789.", i) - i) +
                       (l.error == condition::permanent ? " for good" : " for now");
        return l.why;
    }
    std::string all;
    for (const auto& s : l.where.servers) {
        const auto* demand = !s.tlsa.empty() ? "dane" : s.security == security::starttls ? "verified" : "clear";
        all += (all.empty() ? "" : ", ") + s.name + "@" + std::to_string(s.preference) + " " + demand;
        for (const auto& a : s.addresses.all) all += " " + a;
    }
    return all;
}

transport::located locate(scripted_resolver& dns, const mx_rules& rules, const std::optional<net::sts_policy>& policy,
                          const std::string& domain = "d.example") {
    mx_lookup lookup(domain, rules, 1);
    while (const auto q = lookup.poll())
        dns.ask(q->name, q->type, [&](net::dns_answer a) { lookup.answered(*q, std::move(a)); });
    CHECK(lookup.done());
    if (policy) lookup.enforce(*policy);
    return lookup.result();
}

mx_rules by(net::address_family family) {
    mx_rules r;
    r.family = family;
    return r;
}
net::sts_policy enforced(std::vector<std::string> mx) {
    return {.mode = net::sts_mode::enforce, .max_age = 24h * 100, .mx = std::move(mx)};
}

void check(const std::vector<situation>& all) {
    for (const auto& s : all) {
        CAPTURE(s.what);
        scripted_resolver dns;
        s.says(dns);
        CHECK(text(locate(dns, s.rules, s.policy)) == s.result);
    }
}

}  // namespace

TEST_CASE("servers and addresses, as domains have them") {
    const auto v4 = by(net::address_family::ipv4);
    const auto v6 = by(net::address_family::ipv6);
    mx_rules ours;
    ours.own = {"out.sender.example"};
    check({
        {"null MX, twice", [](auto& d) { d.mx("d.example", 0, "").mx("d.example", 10, ""); }, "5.1.10 for good"},
        {"null MX with a preference of its own", [](auto& d) { d.mx("d.example", 10, ""); }, "5.1.10 for good"},
        {"null MX beside a server that is dead",
         [](auto& d) { d.mx("d.example", 0, "").mx("d.example", 10, "a.example"); }, "5.4.4 for good"},
        {"null MX, and an address", [](auto& d) { d.mx("d.example", 0, "").address("d.example", "192.0.2.1"); },
         "5.1.10 for good"},
        {"a server by IPv6 alone, where mail leaves by IPv4",
         [](auto& d) { d.mx("d.example", 1, "a.example").address("a.example", "2001:db8::1"); }, "4.4.4 for now", v4},
        {"a server by IPv4 alone, where mail leaves by IPv6",
         [](auto& d) { d.mx("d.example", 1, "a.example").address("a.example", "192.0.2.1"); }, "4.4.4 for now", v6},
        {"no MX, and the domain by IPv6 alone", [](auto& d) { d.address("d.example", "2001:db8::1"); }, "4.4.4 for now",
         v4},
        {"a server by IPv6 alone before one by both",
         [](auto& d) {
             d.mx("d.example", 1, "a.example").address("a.example", "2001:db8::1");
             d.mx("d.example", 2, "b.example").address("b.example", "2001:db8::2").address("b.example", "192.0.2.2");
         },
         "b.example@0 clear 192.0.2.2", v4},
        {"a server that is not there, where mail leaves by IPv4", [](auto& d) { d.mx("d.example", 1, "a.example"); },
         "5.4.4 for good", v4},
        {"a server without any address, where mail leaves by IPv4",
         [](auto& d) { d.mx("d.example", 1, "a.example").txt("a.example", "x"); }, "5.4.4 for good", v4},
        {"no answer about IPv4, where mail leaves by that",
         [](auto& d) {
             d.mx("d.example", 1, "a.example").address("a.example", "2001:db8::1").fail("a.example", record_type::a);
         },
         "4.4.3 for now", v4},
        {"a useless address of IPv6 and a good one of IPv4",
         [](auto& d) {
             d.mx("d.example", 1, "a.example").address("a.example", "fe80::1").address("a.example", "192.0.2.1");
         },
         "a.example@0 clear 192.0.2.1"},
        {"a private server before a public one",
         [](auto& d) {
             d.mx("d.example", 1, "a.example").address("a.example", "10.0.0.1");
             d.mx("d.example", 2, "b.example").address("b.example", "192.0.2.2");
         },
         "b.example@0 clear 192.0.2.2"},
        {"a private server before one that nobody knows",
         [](auto& d) {
             d.mx("d.example", 1, "a.example").address("a.example", "10.0.0.1");
             d.mx("d.example", 2, "b.example").fail("b.example", record_type::a).fail("b.example", record_type::aaaa);
         },
         "4.4.3 for now"},
        {"a name that looks like an address is no server", [](auto& d) { d.mx("d.example", 1, "192.0.2.1"); },
         "5.4.4 for good"},
        {"a name with an underscore is one",
         [](auto& d) { d.mx("d.example", 1, "_mx_1.example").address("_mx_1.example", "192.0.2.1"); },
         "_mx_1.example@0 clear 192.0.2.1"},
        {"names in upper case",
         [](auto& d) {
             d.mx("d.example", 1, "A.EXAMPLE").mx("d.example", 9, "a.Example").address("a.example", "192.0.2.1");
         },
         "a.example@0 clear 192.0.2.1"},
        {"a server that is an alias of an alias",
         [](auto& d) {
             d.mx("d.example", 1, "a.example").alias("a.example", "b.example").alias("b.example", "c.example");
             d.address("c.example", "192.0.2.3");
         },
         "a.example@0 clear 192.0.2.3"},
        {"an alias of nothing before a good server",
         [](auto& d) {
             d.mx("d.example", 1, "a.example").alias("a.example", "gone.example");
             d.mx("d.example", 2, "b.example").address("b.example", "192.0.2.2");
         },
         "b.example@0 clear 192.0.2.2"},
        {"an alias of our own name",
         [](auto& d) {
             d.mx("d.example", 1, "a.example").alias("a.example", "out.sender.example");
             d.address("out.sender.example", "192.0.2.77");
         },
         "5.4.6 for good", ours},
        {"a domain that is an alias of one that takes no mail",
         [](auto& d) { d.alias("d.example", "e.example").mx("e.example", 0, ""); }, "5.1.10 for good"},
        {"a domain that is an alias of one without MX",
         [](auto& d) { d.alias("d.example", "e.example").address("e.example", "192.0.2.1"); },
         "d.example@0 clear 192.0.2.1"},
        {"preferences at both ends of what there is",
         [](auto& d) {
             d.mx("d.example", 65535, "b.example").address("b.example", "192.0.2.2");
             d.mx("d.example", 0, "a.example").address("a.example", "192.0.2.1");
         },
         "a.example@0 clear 192.0.2.1, b.example@1 clear 192.0.2.2"},
    });
}

TEST_CASE("a server with very many addresses takes none away from the others, nor one family from the other") {
    scripted_resolver dns;
    dns.mx("d.example", 1, "a.example").mx("d.example", 2, "b.example").address("b.example", "192.0.2.250");
    for (int i = 0; i < 100; ++i) dns.address("a.example", "2001:db8::" + std::to_string(i));
    dns.address("a.example", "192.0.2.1").address("b.example", "2001:db8:1::b");
    const auto l = locate(dns, {}, {});
    REQUIRE(l.where.servers.size() == 2);
    const auto& first = l.where.servers[0].addresses.all;
    CHECK(first.size() == mx_lookup::max_addresses - 2);
    CHECK(std::ranges::find(first, "192.0.2.1") != first.end());
    CHECK(l.where.servers[1].addresses.all == std::vector<std::string>{"2001:db8:1::b", "192.0.2.250"});
}

TEST_CASE("what is signed, and what is not, on the way to TLSA records") {
    const auto signed_host = [](auto& d) {
        d.sign("d.example").mx("d.example", 1, "a.example").address("a.example", "192.0.2.1").sign("a.example");
    };
    check({
        {"SERVFAIL of the TLSA records alone",
         [&](auto& d) {
             signed_host(d);
             d.fail("_25._tcp.a.example", record_type::tlsa);
         },
         "4.7.5 for now"},
        {"SERVFAIL of the TLSA records of the best of two",
         [&](auto& d) {
             signed_host(d);
             d.fail("_25._tcp.a.example", record_type::tlsa);
             d.mx("d.example", 2, "b.example").address("b.example", "192.0.2.2");
         },
         "b.example@0 clear 192.0.2.2"},
        {"a delegation that is not signed",
         [](auto& d) {
             d.sign("example").sign("d.example", dns_trust::insecure).mx("d.example", 1, "a.example");
             d.address("a.example", "192.0.2.1").tlsa("_25._tcp.a.example", 3, 1, 1, digest);
         },
         "a.example@0 clear 192.0.2.1"},
        {"a delegation to the TLSA records that is not signed",
         [&](auto& d) {
             signed_host(d);
             d.tlsa("_25._tcp.a.example", 3, 1, 1, digest).sign("_tcp.a.example", dns_trust::insecure);
         },
         "a.example@0 clear 192.0.2.1"},
        {"the denial of IPv6 bogus, IPv4 signed",
         [&](auto& d) {
             signed_host(d);
             d.fail("a.example", record_type::aaaa).tlsa("_25._tcp.a.example", 3, 1, 1, digest);
         },
         "a.example@0 dane 192.0.2.1"},
        {"IPv4 bogus, IPv6 signed",
         [&](auto& d) {
             signed_host(d);
             d.address("a.example", "2001:db8::1").fail("a.example", record_type::a);
             d.tlsa("_25._tcp.a.example", 3, 1, 1, digest);
         },
         "a.example@0 dane 2001:db8::1"},
        {"an alias and its target signed, records at the end",
         [](auto& d) {
             d.sign("example").mx("d.example", 1, "a.example").alias("a.example", "b.example");
             d.address("b.example", "192.0.2.1").tlsa("_25._tcp.b.example", 3, 1, 1, digest);
         },
         "b.example@0 dane 192.0.2.1"},
        {"records at the beginning",
         [](auto& d) {
             d.sign("example").mx("d.example", 1, "a.example").alias("a.example", "b.example");
             d.address("b.example", "192.0.2.1").tlsa("_25._tcp.a.example", 3, 1, 1, digest);
         },
         "a.example@0 dane 192.0.2.1"},
        {"records at both: those at the end",
         [](auto& d) {
             d.sign("example").mx("d.example", 1, "a.example").alias("a.example", "b.example");
             d.address("b.example", "192.0.2.1").tlsa("_25._tcp.a.example", 3, 1, 1, digest);
             d.tlsa("_25._tcp.b.example", 3, 1, 1, digest);
         },
         "b.example@0 dane 192.0.2.1"},
        {"records at the end not signed: those at the beginning",
         [](auto& d) {
             d.sign("example").mx("d.example", 1, "a.example").alias("a.example", "b.example");
             d.address("b.example", "192.0.2.1").tlsa("_25._tcp.a.example", 3, 1, 1, digest);
             d.tlsa("_25._tcp.b.example", 3, 1, 1, digest).sign("_tcp.b.example", dns_trust::insecure);
         },
         "a.example@0 dane 192.0.2.1"},
        {"no answer about those at the end, records at the beginning",
         [](auto& d) {
             d.sign("example").mx("d.example", 1, "a.example").alias("a.example", "b.example");
             d.address("b.example", "192.0.2.1").tlsa("_25._tcp.a.example", 3, 1, 1, digest);
             d.fail("_25._tcp.b.example", record_type::tlsa);
         },
         "4.7.5 for now"},
        {"an alias that is signed leads into a zone that is not, records at the beginning",
         [](auto& d) {
             d.sign("example").mx("d.example", 1, "a.example").alias("a.example", "b.example.net");
             d.address("b.example.net", "192.0.2.1").address("b.example.net", "2001:db8::1");
             d.tlsa("_25._tcp.a.example", 3, 1, 1, digest).tlsa("_25._tcp.b.example.net", 3, 1, 1, digest);
         },
         "a.example@0 dane 2001:db8::1 192.0.2.1"},
        {"the same without records",
         [](auto& d) {
             d.sign("example").mx("d.example", 1, "a.example").alias("a.example", "b.example.net");
             d.address("b.example.net", "192.0.2.1");
         },
         "a.example@0 clear 192.0.2.1"},
        {"the same, and nobody knows what it stands for",
         [](auto& d) {
             d.sign("example").mx("d.example", 1, "a.example").alias("a.example", "b.example.net");
             d.address("b.example.net", "192.0.2.1").fail("a.example", record_type::cname);
         },
         "4.7.5 for now"},
        {"an alias in a zone that is not signed",
         [](auto& d) {
             d.sign("d.example").mx("d.example", 1, "a.example").alias("a.example", "b.example");
             d.address("b.example", "192.0.2.1").tlsa("_25._tcp.a.example", 3, 1, 1, digest);
         },
         "a.example@0 clear 192.0.2.1"},
        {"records of two usages side by side",
         [&](auto& d) {
             signed_host(d);
             d.tlsa("_25._tcp.a.example", 3, 1, 1, digest).tlsa("_25._tcp.a.example", 2, 0, 1, digest);
         },
         "a.example@0 dane 192.0.2.1"},
        {"some servers with records, some without",
         [&](auto& d) {
             signed_host(d);
             d.tlsa("_25._tcp.a.example", 3, 1, 1, digest);
             d.mx("d.example", 2, "b.example").address("b.example", "192.0.2.2");
         },
         "a.example@0 dane 192.0.2.1, b.example@1 clear 192.0.2.2"},
        {"the same where a policy is enforced: each by its own demand",
         [&](auto& d) {
             signed_host(d);
             d.tlsa("_25._tcp.a.example", 3, 1, 1, digest);
             d.mx("d.example", 2, "b.example").address("b.example", "192.0.2.2");
         },
         "a.example@0 dane 192.0.2.1, b.example@1 verified 192.0.2.2",
         {},
         enforced({"*.example"})},
    });
}

TEST_CASE("a policy and the servers that there are") {
    const auto two = [](auto& d) {
        d.mx("d.example", 1, "a.example").mx("d.example", 2, "b.example.net");
        d.address("a.example", "192.0.2.1").address("b.example.net", "192.0.2.2");
    };
    auto none = enforced({});
    none.mode = net::sts_mode::none;
    check({
        {"it names one of them", two, "b.example.net@0 verified 192.0.2.2", {}, enforced({"b.example.net"})},
        {"it names all of them by patterns",
         two,
         "a.example@0 verified 192.0.2.1, b.example.net@1 verified 192.0.2.2",
         {},
         enforced({"*.example", "*.example.net"})},
        {"a pattern stands for one label", two, "4.7.5 for now", {}, enforced({"*.net"})},
        {"mode none: as if there were none",
         two,
         "a.example@0 clear 192.0.2.1, b.example.net@1 clear 192.0.2.2",
         {},
         none},
        {"the one that it names has no address: the mail waits, and does not go to the other",
         [](auto& d) {
             d.mx("d.example", 1, "a.example").mx("d.example", 2, "b.example").address("b.example", "192.0.2.2");
         },
         "4.7.5 for now",
         {},
         enforced({"a.example"})},
        {"the one that it names is a private one: so, too",
         [](auto& d) {
             d.mx("d.example", 1, "a.example").mx("d.example", 2, "b.example").address("b.example", "192.0.2.2");
             d.address("a.example", "10.0.0.1");
         },
         "4.7.5 for now",
         {},
         enforced({"a.example"})},
        {"all are named, and none has an address",
         [](auto& d) { d.mx("d.example", 1, "a.example"); },
         "5.4.4 for good",
         {},
         enforced({"a.example"})},
        {"no MX: the domain itself is to be named",
         [](auto& d) { d.address("d.example", "192.0.2.1"); },
         "d.example@0 verified 192.0.2.1",
         {},
         enforced({"d.example"})},
    });
}

TEST_CASE("the policy of a domain that is an alias is asked for by its own name") {
    scripted_resolver dns;
    dns.alias("d.example", "e.example").mx("e.example", 1, "a.example").address("a.example", "192.0.2.1");
    dns.txt("_mta-sts.e.example", "v=STSv1; id=7;");
    mx_rules r;
    r.mta_sts = true;
    mx_lookup lookup("d.example", r, 1);
    while (const auto q = lookup.poll())
        dns.ask(q->name, q->type, [&](net::dns_answer a) { lookup.answered(*q, std::move(a)); });
    REQUIRE(lookup.sts());
    CHECK(lookup.sts()->id.empty());
    const auto asked = dns.questions();
    CHECK(std::ranges::find(asked, "TXT _mta-sts.d.example") != asked.end());
    CHECK(std::ranges::find(asked, "TXT _mta-sts.e.example") == asked.end());
}

TEST_CASE("what changes between one answer and the next is taken as it came") {
    scripted_resolver dns;
    dns.mx("d.example", 1, "a.example").mx("d.example", 2, "b.example");
    dns.address("a.example", "192.0.2.1").address("b.example", "192.0.2.2");
    mx_rules r;
    mx_lookup lookup("d.example", r, 1);
    while (const auto q = lookup.poll()) {
        dns.ask(q->name, q->type, [&](net::dns_answer a) { lookup.answered(*q, std::move(a)); });
        // Once the servers are known the first one goes away, and the domain names others.
        if (q->type == record_type::mx) dns.forget("d.example").mx("d.example", 1, "c.example").forget("a.example");
    }
    CHECK(text(lookup.result()) == "b.example@0 clear 192.0.2.2");
}

TEST_CASE("address literals of every kind") {
    struct row {
        std::string domain, result;
    };
    for (const auto& row : std::vector<row>{
             {"[192.0.2.1]", "192.0.2.1@0 clear 192.0.2.1"},
             {"[ipv6:2001:db8::1]", "2001:db8::1@0 clear 2001:db8::1"},
             {"[ipv6:::ffff:127.0.0.1]", "5.4.4 for good"},
             {"[ipv6:::1]", "5.4.4 for good"},
             {"[10.0.0.1]", "5.4.4 for good"},
             {"[0.0.0.0]", "5.4.4 for good"},
             {"[256.0.0.1]", "5.1.2 for good"},
             {"[192.0.2]", "5.1.2 for good"},
             {"[ipv6:192.0.2.1]", "5.1.2 for good"},
             {"[2001:db8::1]", "5.1.2 for good"},
             {"[x400:c=de]", "5.1.2 for good"},
             {"[]", "5.1.2 for good"},
             {"[", "5.1.2 for good"},
         }) {
        CAPTURE(row.domain);
        scripted_resolver dns;
        const auto l = locate(dns, {}, {}, row.domain);
        CHECK(text(l).substr(0, row.result.size()) == row.result);
        CHECK(dns.questions().empty());
    }
}
