// From answers of the DNS to the servers of a domain, without I/O.
#include <postroad/testing/scripted_resolver.hpp>
#include <postroad/transport/mx_lookup.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>
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

mx_rules rules() {
    mx_rules r;
    r.own = {"out.sender.example", "198.51.100.1"};
    return r;
}

transport::located locate(scripted_resolver& dns, const std::string& domain, const mx_rules& r = rules(),
                          std::uint64_t seed = 1, const std::optional<net::sts_policy>& policy = {}) {
    mx_lookup lookup(domain, r, seed);
    while (const auto q = lookup.poll()) {
        dns.ask(q->name, q->type, [&](net::dns_answer a) { lookup.answered(*q, std::move(a)); });
    }
    CHECK(lookup.done());
    if (policy) lookup.enforce(*policy);
    return lookup.result();
}

// "mx1@0 192.0.2.1 192.0.2.2, mx2@1 192.0.2.3", or the error.
std::string text(const transport::located& l) {
    if (l.error) return l.error.message();
    std::string all;
    for (const auto& s : l.where.servers) {
        all += (all.empty() ? "" : ", ") + s.name + "@" + std::to_string(s.preference);
        for (const auto& a : s.addresses.all) all += " " + a;
    }
    return all;
}
std::string found(scripted_resolver& dns, const std::string& domain, const mx_rules& r = rules()) {
    return text(locate(dns, domain, r));
}

const std::string unknown = make_error_code(errc::domain_unknown).message();
const std::string takes_none = make_error_code(errc::domain_takes_no_mail).message();
const std::string loops = make_error_code(errc::mail_loop).message();
const std::string not_public = make_error_code(errc::private_address).message();
const std::string deferred = make_error_code(errc::resolve_failed).message();

}  // namespace

TEST_CASE("servers go by preference, and preferences by rank") {
    scripted_resolver dns;
    dns.mx("d.example", 20, "b.example").mx("d.example", 5, "a.example").address("a.example", "192.0.2.1");
    dns.address("b.example", "192.0.2.2").address("b.example", "2001:db8::2");
    CHECK(found(dns, "d.example") == "a.example@0 192.0.2.1, b.example@1 2001:db8::2 192.0.2.2");
    const auto l = locate(dns, "d.example");
    CHECK(l.where.site == "a.example;b.example");
    CHECK(l.where.servers[0].port == 25);
    CHECK(l.where.servers[0].security == security::opportunistic);
}

TEST_CASE("equal ones come in an order of chance that the seed decides, at one site") {
    scripted_resolver dns;
    for (const auto* host : {"a.example", "b.example", "c.example", "d.example"})
        dns.mx("d.example", 10, host).address(host, "192.0.2.1");
    std::set<std::string> first;
    std::set<std::string> sites;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        const auto l = locate(dns, "d.example", rules(), seed);
        first.insert(l.where.servers.front().name);
        sites.insert(l.where.site);
        CHECK(text(l) == text(locate(dns, "d.example", rules(), seed)));
    }
    CHECK(first.size() == 4);
    CHECK(sites == std::set<std::string>{"a.example,b.example,c.example,d.example"});
}

TEST_CASE("domains with the same servers are at one site, whatever the numbers of their preferences") {
    scripted_resolver dns;
    dns.address("a.example", "192.0.2.1").address("b.example", "192.0.2.2");
    dns.mx("one.example", 10, "a.example").mx("one.example", 20, "b.example");
    dns.mx("two.example", 1, "A.example").mx("two.example", 100, "b.example");
    dns.mx("other.example", 20, "a.example").mx("other.example", 10, "b.example");
    CHECK(locate(dns, "one.example").where.site == locate(dns, "two.example").where.site);
    CHECK(locate(dns, "one.example").where.site != locate(dns, "other.example").where.site);
}

TEST_CASE("what the DNS says is what becomes of the mail") {
    scripted_resolver dns;
    dns.address("a.example", "192.0.2.1");
    struct row {
        std::string domain;
        std::string result;
        std::string code;  // of RFC 3463, in the explanation
    };
    std::vector<row> rows;

    // No MX: the domain itself, also by IPv6 alone (RFC 5321 section 5.1).
    dns.address("implicit.example", "2001:db8::1");
    rows.push_back({"implicit.example", "implicit.example@0 2001:db8::1", ""});
    // RFC 7505, whatever address the domain has; beside others "." says nothing.
    dns.mx("null.example", 0, "").address("null.example", "192.0.2.9");
    rows.push_back({"null.example", takes_none, "5.1.10"});
    dns.mx("null_and.example", 0, "").mx("null_and.example", 10, "a.example");
    rows.push_back({"null_and.example", "a.example@0 192.0.2.1", ""});
    rows.push_back({"missing.example", unknown, "5.1.2"});
    dns.fail("broken.example", record_type::mx).address("broken.example", "192.0.2.9");
    rows.push_back({"broken.example", deferred, "4.4.3"});
    dns.mx("bogus.example", 10, "a.example").sign("bogus.example", dns_trust::bogus);
    rows.push_back({"bogus.example", deferred, "4.4.3"});
    // MX that lead nowhere; never the domain's own address then.
    dns.mx("nowhere.example", 10, "gone.example").address("nowhere.example", "192.0.2.9");
    rows.push_back({"nowhere.example", unknown, "5.4.4"});
    dns.mx("half.example", 10, "gone.example").mx("half.example", 20, "a.example");
    rows.push_back({"half.example", "a.example@0 192.0.2.1", ""});
    dns.fail("slow.example", record_type::a).fail("slow.example", record_type::aaaa);
    dns.mx("unknown.example", 10, "slow.example").mx("unknown.example", 10, "gone.example");
    rows.push_back({"unknown.example", deferred, "4.4.3"});
    // One family fails: the other one is used.
    dns.fail("v4.example", record_type::aaaa).address("v4.example", "192.0.2.4").mx("family.example", 1, "v4.example");
    rows.push_back({"family.example", "v4.example@0 192.0.2.4", ""});
    dns.record("no_host.example", record_type::mx, std::string("\0\1\7ex\0mple\0", 11));
    rows.push_back({"no_host.example", unknown, "5.4.4"});
    dns.record("empty.example", record_type::txt, "x");
    rows.push_back({"empty.example", unknown, "5.4.4"});
    // Aliases of the domain and of its server are followed by the resolver.
    dns.alias("alias.example", "half.example").alias("mxalias.example", "a.example");
    rows.push_back({"alias.example", "a.example@0 192.0.2.1", ""});
    dns.mx("tomxalias.example", 1, "mxalias.example");
    rows.push_back({"tomxalias.example", "mxalias.example@0 192.0.2.1", ""});
    dns.alias("loop.example", "pool.example").alias("pool.example", "loop.example");
    rows.push_back({"loop.example", deferred, "4.4.3"});
    // What no name of the DNS is.
    rows.push_back({"", unknown, "5.1.2"});
    rows.push_back({"m\xc3\xbcnchen.example", unknown, "5.1.2"});
    rows.push_back({"a..example", unknown, "5.1.2"});
    rows.push_back({std::string(64, 'a') + ".example", unknown, "5.1.2"});
    rows.push_back({std::string("a\0.example", 10), unknown, "5.1.2"});

    for (const auto& row : rows) {
        CAPTURE(row.domain);
        const auto l = locate(dns, row.domain);
        CHECK(text(l) == row.result);
        CHECK(l.why.find(row.code) != std::string::npos);
    }
}

TEST_CASE("wrong signatures may be the resolver's fault, which is said") {
    scripted_resolver dns;
    dns.mx("bogus.example", 10, "a.example").sign("bogus.example", dns_trust::bogus);
    dns.fail("broken.example", record_type::mx);
    CHECK(locate(dns, "bogus.example").why.find("passes no DNSSEC on") != std::string::npos);
    CHECK(locate(dns, "broken.example").why.find("DNSSEC") == std::string::npos);
}

TEST_CASE("who finds itself among the servers stops there") {
    scripted_resolver dns;
    dns.address("a.example", "192.0.2.1").address("ours.example", "198.51.100.1").address("c.example", "192.0.2.3");
    dns.address("out.sender.example", "192.0.2.5");
    SUBCASE("by name: who is equal or worse is left out") {
        dns.mx("d.example", 10, "a.example").mx("d.example", 20, "out.sender.example").mx("d.example", 20, "c.example");
        CHECK(found(dns, "d.example") == "a.example@0 192.0.2.1");
    }
    SUBCASE("by address") {
        dns.mx("d.example", 10, "a.example").mx("d.example", 20, "ours.example").mx("d.example", 30, "c.example");
        CHECK(found(dns, "d.example") == "a.example@0 192.0.2.1");
    }
    SUBCASE("as the best one: the mail would come back") {
        dns.mx("d.example", 10, "ours.example").mx("d.example", 30, "c.example");
        CHECK(found(dns, "d.example") == loops);
        CHECK(locate(dns, "d.example").why.find("5.4.6") != std::string::npos);
        dns.forget("d.example").mx("d.example", 10, "out.sender.example");
        CHECK(found(dns, "d.example") == loops);
    }
}

TEST_CASE("nobody is sent to this machine or a private network, unless that is allowed") {
    scripted_resolver dns;
    dns.mx("d.example", 10, "a.example").address("a.example", "192.0.2.1");
    const auto with = [&](const char* address) {
        dns.forget("a.example").address("a.example", address);
        return found(dns, "d.example");
    };
    for (const auto* address : {"127.0.0.1",
                                "127.255.255.255",
                                "0.0.0.0",
                                "10.0.0.1",
                                "100.64.0.1",
                                "169.254.1.1",
                                "172.16.0.1",
                                "172.31.255.255",
                                "192.168.0.1",
                                "198.18.0.1",
                                "224.0.0.1",
                                "255.255.255.255",
                                "::",
                                "::1",
                                "fe80::1",
                                "fec0::1",
                                "fc00::1",
                                "fdff::1",
                                "ff02::1",
                                "::ffff:127.0.0.1",
                                "::127.0.0.1",
                                "64:ff9b::10.0.0.1",
                                "64:ff9b:1::8.8.8.8",
                                "2002:7f00:1::1"}) {
        CAPTURE(address);
        CHECK(with(address) == not_public);
    }
    for (const auto* address : {"1.1.1.1", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.0.2.1",
                                "223.255.255.255", "2001:db8::1", "2606:4700::1"}) {
        CAPTURE(address);
        CHECK(with(address) == std::string("a.example@0 ") + address);
    }
    auto allowed = rules();
    allowed.private_addresses = true;
    dns.forget("a.example").address("a.example", "127.0.0.1");
    CHECK(found(dns, "d.example", allowed) == "a.example@0 127.0.0.1");
    // A useless address beside a good one takes nothing away.
    dns.address("a.example", "192.0.2.1");
    CHECK(found(dns, "d.example") == "a.example@0 192.0.2.1");
}

TEST_CASE("an address literal is the server") {
    scripted_resolver dns;
    CHECK(found(dns, "[192.0.2.7]") == "192.0.2.7@0 192.0.2.7");
    CHECK(found(dns, "[ipv6:2001:db8::7]") == "2001:db8::7@0 2001:db8::7");
    CHECK(found(dns, "[127.0.0.1]") == not_public);
    CHECK(found(dns, "[198.51.100.1]") == loops);
    CHECK(found(dns, "[x-new:1]") == unknown);
    CHECK(dns.questions().empty());
}

TEST_CASE("20 servers and 40 addresses are used, however many there are") {
    scripted_resolver dns;
    const auto host = [](int i) { return "h" + std::to_string(i) + ".example"; };
    for (int i = 0; i < 1000; ++i) {
        dns.mx("many.example", static_cast<std::uint16_t>(i), host(i));
        for (int a = 1; a <= 3; ++a) dns.address(host(i), "192.0.2." + std::to_string(a));
    }
    const auto l = locate(dns, "many.example");
    std::size_t addresses = 0;
    for (const auto& s : l.where.servers) addresses += s.addresses.all.size();
    CHECK(addresses == mx_lookup::max_addresses);
    CHECK(dns.questions().size() == 1 + 2 * mx_lookup::max_servers);
    for (int i = 0; i < 1000; ++i) dns.forget(host(i)).address(host(i), "192.0.2.1");
    CHECK(locate(dns, "many.example").where.servers.size() == mx_lookup::max_servers);
}

TEST_CASE("an answer is good for as long as all that it is made of") {
    scripted_resolver dns;
    dns.mx("d.example", 10, "a.example").address("a.example", "192.0.2.1").ttl(5min);
    const time_point start = time_point{} + 1h;
    auto r = rules();
    mx_lookup timed("d.example", r, 1);
    auto until = start + 10min;
    while (const auto q = timed.poll())
        dns.ask(q->name, q->type, [&](net::dns_answer a) {
            a.valid_until = until;
            until -= 1min;
            timed.answered(*q, std::move(a));
        });
    CHECK(timed.result().where.valid_until == start + 8min);
}

TEST_CASE(
    "where a policy of MTA-STS could not be had, or may be new soon, the answer is good for no longer than that") {
    scripted_resolver dns;
    dns.mx("d.example", 10, "a.example").address("a.example", "192.0.2.1");
    auto r = rules();
    r.mta_sts = true;
    const time_point start = time_point{} + 1h;
    const net::sts_policy policy{.mode = net::sts_mode::enforce, .max_age = 1h, .mx = {"a.example"}};
    const auto valid_until = [&](bool found) {
        mx_lookup timed("d.example", r, 1);
        while (const auto q = timed.poll())
            dns.ask(q->name, q->type, [&](net::dns_answer a) {
                a.valid_until = start + (q->type == record_type::txt ? 5min : 24h);
                timed.answered(*q, std::move(a));
            });
        if (found) timed.enforce(policy);
        return timed.result().where.valid_until;
    };
    SUBCASE("no record") { CHECK(valid_until(false) == start + 5min); }
    SUBCASE("a record and its policy") {
        dns.txt("_mta-sts.d.example", "v=STSv1; id=7;");
        CHECK(valid_until(true) == start + 5min);
    }
    SUBCASE("a record, and a policy that cannot be fetched") {
        dns.txt("_mta-sts.d.example", "v=STSv1; id=7;");
        CHECK(valid_until(false) == time_point::min());
    }
    SUBCASE("a record that cannot be looked up") {
        dns.fail("_mta-sts.d.example", record_type::txt);
        CHECK(valid_until(false) == time_point::min());
    }
    SUBCASE("a record that cannot be looked up, and a policy that is known already") {
        dns.fail("_mta-sts.d.example", record_type::txt);
        CHECK(valid_until(true) == start + 24h);
    }
}

TEST_CASE("a provider is known by the names of its servers; others are their set of names") {
    scripted_resolver dns;
    dns.mx("a.example", 10, "a-example.mail.protection.outlook.com");
    dns.mx("b.example", 10, "b-example.mail.protection.outlook.com");
    dns.mx("c.example", 10, "aspmx.l.google.com").mx("c.example", 20, "aspmx2.googlemail.com");
    dns.mx("d.example", 10, "mx.d.example");
    for (const auto* host : {"a-example.mail.protection.outlook.com", "b-example.mail.protection.outlook.com",
                             "aspmx.l.google.com", "aspmx2.googlemail.com", "mx.d.example"})
        dns.address(host, "192.0.2.1");
    CHECK(locate(dns, "a.example").where.provider == "microsoft 365");
    CHECK(locate(dns, "b.example").where.provider == "microsoft 365");
    CHECK(locate(dns, "a.example").where.site != locate(dns, "b.example").where.site);
    CHECK(locate(dns, "c.example").where.provider == "google");
    CHECK(locate(dns, "d.example").where.provider == "mx.d.example");
    auto r = rules();
    r.providers.insert(r.providers.begin(), {.provider = "d", .servers = {".d.example"}});
    CHECK(locate(dns, "d.example", r).where.provider == "d");
}

TEST_CASE("who names the servers of a provider beside others is not that provider, in whatever order") {
    scripted_resolver dns;
    dns.address("www.google.com", "192.0.2.1").address("mx.evil.example", "192.0.2.2");
    dns.address("x.mail.protection.outlook.com", "192.0.2.3");
    dns.mx("first.example", 10, "www.google.com").mx("first.example", 20, "mx.evil.example");
    dns.mx("last.example", 10, "mx.evil.example").mx("last.example", 20, "www.google.com");
    dns.mx("equal.example", 10, "www.google.com").mx("equal.example", 10, "mx.evil.example");
    dns.mx("two.example", 10, "www.google.com").mx("two.example", 20, "x.mail.protection.outlook.com");
    auto r = rules();
    r.providers.front().limits.connections = 5;
    r.providers.push_back({.provider = "*", .limits = {.connections = 2}});
    for (const auto* domain : {"first.example", "last.example", "equal.example", "two.example"})
        for (std::uint64_t seed = 0; seed < 8; ++seed) {
            CAPTURE(domain);
            const auto l = locate(dns, domain, r, seed);
            CHECK(l.where.provider == l.where.site);
            CHECK(l.where.limits.connections == 2);
        }
}

TEST_CASE("a customer's line has a name below that of its provider, and is none of its servers") {
    scripted_resolver dns;
    dns.mx("theirs.example", 10, "mx1a1.comcast.net").address("mx1a1.comcast.net", "192.0.2.1");
    const std::string line = "c-24-1-2-3.hsd1.ca.comcast.net";
    dns.mx("customer.example", 10, line).address(line, "192.0.2.2");
    CHECK(locate(dns, "theirs.example").where.provider == "comcast");
    CHECK(locate(dns, "customer.example").where.provider == line);
}

TEST_CASE("TLSA records are asked for where all that leads to them is signed, and obeyed") {
    scripted_resolver dns;
    dns.sign("d.example").sign("a.example");
    dns.mx("d.example", 10, "a.example").address("a.example", "192.0.2.1").address("a.example", "2001:db8::1");
    dns.tlsa("_25._tcp.a.example", 3, 1, 1, std::string(32, 'x'));
    const auto asked = [&] {
        const auto q = dns.questions();
        return std::ranges::count_if(q, [](const auto& each) { return each.starts_with("TLSA"); });
    };
    SUBCASE("all signed") {
        const auto l = locate(dns, "d.example");
        REQUIRE(l.where.servers.size() == 1);
        CHECK(l.where.servers[0].security == security::starttls);
        CHECK(l.where.servers[0].tlsa == std::vector{std::string("\3\1\1") + std::string(32, 'x')});
        CHECK(l.where.site.starts_with("a.example with DANE "));
        CHECK(l.where.provider == "a.example");
        // Other records are other demands, so another site.
        dns.tlsa("_25._tcp.a.example", 3, 1, 1, std::string(32, 'y'));
        CHECK(locate(dns, "d.example").where.site != l.where.site);
    }
    SUBCASE("the MX records are not") {
        dns.sign("d.example", dns_trust::insecure);
        CHECK(locate(dns, "d.example").where.servers[0].security == security::opportunistic);
        CHECK(asked() == 0);
    }
    SUBCASE("the addresses are not") {
        dns.sign("a.example", dns_trust::insecure);
        CHECK(locate(dns, "d.example").where.servers[0].security == security::opportunistic);
        CHECK(asked() == 0);
    }
    SUBCASE("the records are not: no demand, and no error") {
        dns.sign("_25._tcp.a.example", dns_trust::insecure);
        CHECK(locate(dns, "d.example").where.servers[0].security == security::opportunistic);
    }
    SUBCASE("there are none") {
        dns.forget("_25._tcp.a.example");
        CHECK(locate(dns, "d.example").where.servers[0].security == security::opportunistic);
        CHECK(asked() == 1);
    }
    SUBCASE("they cannot be had: that server is out, never in the clear") {
        dns.fail("_25._tcp.a.example", record_type::tlsa);
        CHECK(found(dns, "d.example") == deferred);
        dns.mx("d.example", 20, "b.example").address("b.example", "192.0.2.2");
        CHECK(found(dns, "d.example") == "b.example@0 192.0.2.2");
    }
    SUBCASE("they are bogus") {
        dns.sign("_25._tcp.a.example", dns_trust::bogus);
        CHECK(found(dns, "d.example") == deferred);
    }
    SUBCASE("one family is bogus: the other one is used") {
        dns.fail("a.example", record_type::aaaa);
        CHECK(found(dns, "d.example") == "a.example@0 192.0.2.1");
        CHECK(locate(dns, "d.example").where.servers[0].tlsa.size() == 1);
    }
    SUBCASE("no MX, and that is signed: the domain itself") {
        dns.tlsa("_25._tcp.a.example", 2, 0, 1, std::string(32, 'y'));
        CHECK(locate(dns, "a.example").where.servers[0].tlsa.size() == 2);
    }
    SUBCASE("the server is an alias: by the name it stands for, else by its own") {
        dns.alias("alias.d.example", "a.example").forget("d.example").mx("d.example", 10, "alias.d.example");
        CHECK(locate(dns, "d.example").where.servers[0].tlsa.size() == 1);
        CHECK(locate(dns, "d.example").where.servers[0].name == "a.example");
        dns.forget("_25._tcp.a.example").tlsa("_25._tcp.alias.d.example", 3, 1, 1, std::string(32, 'z'));
        CHECK(locate(dns, "d.example").where.servers[0].tlsa.size() == 1);
        CHECK(locate(dns, "d.example").where.servers[0].name == "alias.d.example");
    }
    SUBCASE("records that nobody can use: TLS, and no proof, unless a proof is demanded of everybody") {
        dns.forget("_25._tcp.a.example").tlsa("_25._tcp.a.example", 1, 1, 1, std::string(32, 'x'));
        const auto usual = locate(dns, "d.example").where;
        CHECK(usual.servers[0].tlsa.size() == 1);
        CHECK(usual.servers[0].security == security::starttls);
        auto r = rules();
        r.floor = security::starttls;
        const auto demanded = locate(dns, "d.example", r).where;
        CHECK(demanded.servers[0].tlsa.empty());
        CHECK(demanded.servers[0].security == security::starttls);
        CHECK(demanded.site == "a.example verified");
        // So, too, where a policy of MTA-STS wants one.
        const net::sts_policy policy{.mode = net::sts_mode::enforce, .max_age = 1h, .mx = {"a.example"}};
        CHECK(locate(dns, "d.example", rules(), 1, policy).where.servers[0].tlsa.empty());
    }
    SUBCASE("DANE is off") {
        auto r = rules();
        r.dane = false;
        CHECK(locate(dns, "d.example", r).where.servers[0].security == security::opportunistic);
        CHECK(asked() == 0);
    }
}

TEST_CASE("a policy of MTA-STS leaves out whom it does not name, and demands a verified certificate of the others") {
    scripted_resolver dns;
    dns.mx("d.example", 10, "a.example").mx("d.example", 20, "b.example");
    dns.address("a.example", "192.0.2.1").address("b.example", "192.0.2.2");
    net::sts_policy policy{.mode = net::sts_mode::enforce, .max_age = 1h, .mx = {"b.example"}};
    const auto plain = locate(dns, "d.example");
    const auto l = locate(dns, "d.example", rules(), 1, policy);
    CHECK(text(l) == "b.example@0 192.0.2.2");
    CHECK(l.where.servers[0].security == security::starttls);
    CHECK(l.where.site == "b.example verified");
    SUBCASE("the same servers with and without it are two sites of one provider") {
        policy.mx = {"*.example"};
        const auto all = locate(dns, "d.example", rules(), 1, policy);
        CHECK(all.where.site == plain.where.site + " verified");
        CHECK(all.where.provider == plain.where.provider);
    }
    SUBCASE("it is about the names in MX records, not about what they stand for") {
        dns.sign("d.example").sign("b.example").sign("real.example.net");
        dns.forget("b.example").alias("b.example", "real.example.net").address("real.example.net", "192.0.2.3");
        dns.tlsa("_25._tcp.real.example.net", 3, 1, 1, std::string(32, 'x'));
        const auto described = locate(dns, "d.example", rules(), 1, policy);
        CHECK(text(described) == "real.example.net@0 192.0.2.3");
        CHECK(described.where.servers.at(0).tlsa.size() == 1);
        // Without a record that can be used the certificate is for that name, too.
        dns.forget("_25._tcp.real.example.net").tlsa("_25._tcp.real.example.net", 1, 1, 1, std::string(32, 'x'));
        const auto named = locate(dns, "d.example", rules(), 1, policy);
        CHECK(text(named) == "b.example@0 192.0.2.3");
        CHECK(named.where.site == "b.example verified");
    }
    SUBCASE("it names none: the mail waits") {
        policy.mx = {"c.example"};
        const auto none = locate(dns, "d.example", rules(), 1, policy);
        CHECK(text(none) == deferred);
        CHECK(none.why.find("4.7.5") != std::string::npos);
    }
    SUBCASE("it is only tried, or withdrawn") {
        for (const auto mode : {net::sts_mode::testing, net::sts_mode::none}) {
            policy.mode = mode;
            CHECK(text(locate(dns, "d.example", rules(), 1, policy)) == text(plain));
        }
    }
    SUBCASE("TLSA records go before it") {
        dns.sign("example").tlsa("_25._tcp.b.example", 3, 1, 1, std::string(32, 'x'));
        const auto both = locate(dns, "d.example", rules(), 1, policy);
        CHECK(both.where.servers[0].tlsa.size() == 1);
        CHECK(both.where.site.starts_with("b.example with DANE"));
    }
}

TEST_CASE("a verified certificate may be demanded of everybody; TLSA records go before it") {
    scripted_resolver dns;
    dns.mx("d.example", 10, "a.example").address("a.example", "192.0.2.1").sign("example");
    auto r = rules();
    r.floor = security::starttls;
    CHECK(locate(dns, "d.example", r).where.servers[0].security == security::starttls);
    CHECK(locate(dns, "d.example", r).where.site == "a.example verified");
    CHECK(locate(dns, "d.example").where.servers[0].security == security::opportunistic);
    dns.tlsa("_25._tcp.a.example", 3, 1, 1, std::string(32, 'x'));
    CHECK(locate(dns, "d.example", r).where.site.starts_with("a.example with DANE"));
}

TEST_CASE("the record of MTA-STS is asked for where somebody wants it") {
    scripted_resolver dns;
    dns.address("d.example", "192.0.2.1").txt("_mta-sts.d.example", "v=STSv1; id=7;");
    dns.address("e.example", "192.0.2.1").fail("_mta-sts.e.example", record_type::txt);
    dns.address("f.example", "192.0.2.1");
    auto r = rules();
    r.mta_sts = true;
    const auto record = [&](const std::string& domain) {
        mx_lookup lookup(domain, r, 1);
        while (const auto q = lookup.poll())
            dns.ask(q->name, q->type, [&](net::dns_answer a) { lookup.answered(*q, std::move(a)); });
        return lookup.sts();
    };
    CHECK(record("d.example")->id == "7");
    CHECK(record("d.example")->known);
    CHECK_FALSE(record("e.example")->known);
    CHECK(record("f.example")->id.empty());
    CHECK(record("f.example")->known);
    CHECK_FALSE(record("[192.0.2.1]"));
    CHECK_FALSE(locate(dns, "e.example", r).error);
}

TEST_CASE("RDATA is read strictly") {
    const std::string mx("\0\12\2mx\7example\0", 14);
    REQUIRE(net::read_mx(mx));
    CHECK(net::read_mx(mx)->preference == 10);
    CHECK(net::read_mx(mx)->host == "mx.example");
    for (std::size_t n = 0; n < mx.size(); ++n) CHECK_FALSE(net::read_mx(mx.substr(0, n)));
    CHECK_FALSE(net::read_mx(mx + '\0'));
    CHECK_FALSE(net::read_mx(std::string("\0\1\xc0\x0c", 4)));        // compressed
    CHECK_FALSE(net::read_mx(std::string("\0\1\3a.b\0", 7)));         // a dot within a label
    CHECK_FALSE(net::read_mx(std::string("\0\1\2\xc3\xbc\0", 6)));    // 8 bits
    CHECK(net::read_mx(std::string("\0\1\2_a\0", 6))->host == "_a");  // they exist
    CHECK(net::read_mx(std::string("\0\0\0", 3))->host.empty());      // the root
    std::string longest("\0\1", 2);
    for (int i = 0; i < 4; ++i) longest += "\77" + std::string(63, 'a');
    CHECK_FALSE(net::read_mx(longest + '\0'));  // 255 octets as text
    longest.resize(2 + 3 * 64);
    CHECK(net::read_mx(longest + "\75" + std::string(61, 'a') + '\0')->host.size() == 253);
    CHECK_FALSE(net::read_mx(longest + "\76" + std::string(62, 'a') + '\0'));

    CHECK_FALSE(net::read_address("123"));
    CHECK(net::read_address(std::string("\300\0\2\1", 4)) == "192.0.2.1");
    CHECK(net::read_txt(std::string("\2ab\0\1c", 6)) == "abc");
    CHECK(net::read_txt("") == "");
    CHECK_FALSE(net::read_txt("\3ab"));
    CHECK_FALSE(net::to_labels("a.b."));
    CHECK_FALSE(net::to_labels(".a"));
    CHECK(net::to_labels("") == std::string(1, '\0'));
}

TEST_CASE("a provider whose rule names a family is asked for addresses of that one, and its neighbours for both") {
    scripted_resolver dns;
    auto r = rules();
    r.providers = {{.provider = "p", .servers = {".p.example"}, .family = net::address_family::ipv4}};
    for (const auto* host : {"a.p.example", "b.other.example"})
        dns.mx("d.example", 10, host).address(host, "192.0.2.1").address(host, "2001:db8::1");
    for (const auto& s : locate(dns, "d.example", r).where.servers)
        CHECK(s.addresses.all.size() == (s.name == "a.p.example" ? 1 : 2));
    const auto asked = dns.questions();
    CHECK(std::ranges::find(asked, "AAAA a.p.example") == asked.end());
    CHECK(std::ranges::find(asked, "AAAA b.other.example") != asked.end());
    SUBCASE("by IPv6, and of all that no rule is about") {
        r.providers = {{.provider = "*", .family = net::address_family::ipv6}};
        CHECK(found(dns, "d.example", r).find("192.0.2.1") == std::string::npos);
    }
}

TEST_CASE("mail to whoever has the other family only waits, and the sentence names the rule") {
    scripted_resolver dns;
    auto r = rules();
    r.providers = {{.provider = "p", .servers = {".p.example"}, .family = net::address_family::ipv4},
                   {.provider = "*", .family = net::address_family::ipv6}};
    dns.mx("d.example", 10, "a.p.example").address("a.p.example", "2001:db8::1");
    auto l = locate(dns, "d.example", r);
    CHECK(l.error == errc::resolve_failed);
    CHECK(l.why == "a.p.example has no address of IPv4, by which mail goes there by the rule for p (4.4.4)");
    SUBCASE("the next server takes it") {
        dns.mx("d.example", 20, "b.example").address("b.example", "2001:db8::2");
        CHECK(found(dns, "d.example", r) == "b.example@0 2001:db8::2");
    }
    SUBCASE("it is not known whether it has any: mail waits all the same") {
        dns.forget("a.p.example").record("a.p.example", record_type::txt, "").fail("a.p.example", record_type::aaaa);
        l = locate(dns, "d.example", r);
        CHECK(l.error == errc::resolve_failed);
        CHECK(l.why.find("4.4.3") != std::string::npos);
    }
    SUBCASE("address literals") {
        CHECK(found(dns, "[ipv6:2001:db8::1]", r) == "2001:db8::1@0 2001:db8::1");
        l = locate(dns, "[192.0.2.1]", r);
        CHECK(l.error == errc::resolve_failed);
        CHECK(l.why == "192.0.2.1 has no address of IPv6, by which mail goes there by the rule for all others (4.4.4)");
    }
}
