// What a stranger's DNS may say: a clear outcome, within bounds, whatever it is.
#include <postroad/testing/scripted_resolver.hpp>
#include <postroad/transport/mx_lookup.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

using namespace postroad;
using net::record_type;
using testing::scripted_resolver;
using transport::mx_lookup;
using transport::mx_rules;

namespace {

const mx_rules rules = {.own = {"out.sender.example"}, .mta_sts = true};

struct end {
    transport::located found;
    std::size_t questions = 0;
};

end locate(scripted_resolver& dns, const std::string& domain) {
    mx_lookup lookup(domain, rules, 1);
    end e;
    while (const auto q = lookup.poll()) {
        ++e.questions;
        REQUIRE(e.questions < 200);
        dns.ask(q->name, q->type, [&](net::dns_answer a) { lookup.answered(*q, std::move(a)); });
    }
    REQUIRE(lookup.done());
    e.found = lookup.result();
    return e;
}

std::string label(const std::string& octets) { return static_cast<char>(octets.size()) + octets; }
const std::string root(1, '\0');
const std::string preference("\0\12", 2);

struct hostile {
    std::string what;
    std::function<void(scripted_resolver&)> says;
    errc error;
    std::string code;  // of RFC 3463, in the explanation
};

// What d.example says.
const std::vector<hostile>& table() {
    const auto mx = [](std::string rdata) {
        return [rdata = std::move(rdata)](scripted_resolver& dns) { dns.record("d.example", record_type::mx, rdata); };
    };
    static const std::vector<hostile> all = {
        {"aliases in a ring", [](auto& dns) { dns.alias("d.example", "e.example").alias("e.example", "d.example"); },
         errc::resolve_failed, "4.4.3"},
        {"an alias of itself", [](auto& dns) { dns.alias("d.example", "d.example"); }, errc::resolve_failed, "4.4.3"},
        {"a server that is an alias of itself",
         [](auto& dns) { dns.mx("d.example", 1, "s.example").alias("s.example", "s.example"); }, errc::resolve_failed,
         "4.4.3"},
        {"1,000 servers without an address",
         [](auto& dns) {
             for (int i = 0; i < 1000; ++i)
                 dns.mx("d.example", static_cast<std::uint16_t>(i), "s" + std::to_string(i) + ".example");
         },
         errc::domain_unknown, "5.4.4"},
        {"SERVFAIL, as of a lame delegation", [](auto& dns) { dns.fail("d.example", record_type::mx); },
         errc::resolve_failed, "4.4.3"},
        {"an address where a server's name should be", mx(std::string("\xc0\0\2\1", 4)), errc::domain_unknown, "5.4.4"},
        {"nothing", mx(""), errc::domain_unknown, "5.4.4"},
        {"a name without end", mx(preference + label("d")), errc::domain_unknown, "5.4.4"},
        {"octets behind the name", mx(preference + label("d") + root + "x"), errc::domain_unknown, "5.4.4"},
        {"a pointer of compression", mx(preference + "\xc0\x0c"), errc::domain_unknown, "5.4.4"},
        {"a label of 64 octets", mx(preference + label(std::string(64, 'a')) + root), errc::domain_unknown, "5.4.4"},
        {"a name of 300 octets",
         mx(preference + label(std::string(60, 'a')) + label(std::string(60, 'a')) + label(std::string(60, 'a')) +
            label(std::string(60, 'a')) + label(std::string(55, 'a')) + root),
         errc::domain_unknown, "5.4.4"},
        {"a dot within a label", mx(preference + label("a.b") + label("example") + root), errc::domain_unknown,
         "5.4.4"},
        {"NUL within a label", mx(preference + label(std::string("a\0b", 3)) + label("example") + root),
         errc::domain_unknown, "5.4.4"},
        {"a line end within a label", mx(preference + label("a\r\nRCPT") + label("example") + root),
         errc::domain_unknown, "5.4.4"},
        {"octets above 127", mx(preference + label("m\xc3\xbcnchen") + label("example") + root), errc::domain_unknown,
         "5.4.4"},
        {"an address as a name", [](auto& dns) { dns.mx("d.example", 1, "192.0.2.1"); }, errc::domain_unknown, "5.4.4"},
        {"localhost", [](auto& dns) { dns.mx("d.example", 1, "localhost").address("localhost", "127.0.0.1"); },
         errc::private_address, "5.4.4"},
        {"a private network", [](auto& dns) { dns.mx("d.example", 1, "s.example").address("s.example", "10.1.2.3"); },
         errc::private_address, "5.4.4"},
        {"this machine in IPv6", [](auto& dns) { dns.mx("d.example", 1, "s.example").address("s.example", "::1"); },
         errc::private_address, "5.4.4"},
        {"our own name", [](auto& dns) { dns.mx("d.example", 1, "out.sender.example"); }, errc::mail_loop, "5.4.6"},
        {"an address record of 3 octets",
         [](auto& dns) { dns.mx("d.example", 1, "s.example").record("s.example", record_type::a, "abc"); },
         errc::domain_unknown, "5.4.4"},
        {"a name where an address should be",
         [](auto& dns) {
             dns.mx("d.example", 1, "s.example").record("s.example", record_type::aaaa, label("x") + root);
         },
         errc::domain_unknown, "5.4.4"},
        {"null MX", [](auto& dns) { dns.mx("d.example", 0, ""); }, errc::domain_takes_no_mail, "5.1.10"},
        {"nothing at all", [](auto& dns) { dns.address("e.example", "192.0.2.1"); }, errc::domain_unknown, "5.1.2"},
    };
    return all;
}

}  // namespace

TEST_CASE("each hostile answer has an outcome of its own, with its code, and few questions") {
    for (const auto& row : table()) {
        CAPTURE(row.what);
        scripted_resolver dns;
        row.says(dns);
        const auto e = locate(dns, "d.example");
        CHECK(e.found.error == row.error);
        CHECK(e.found.why.find(row.code) != std::string::npos);
        CHECK(e.found.why.size() < 3000);
        for (const char c : e.found.why) CHECK(static_cast<unsigned char>(c) >= 0x20);
        CHECK(e.questions <= 2 + 2 * mx_lookup::max_servers);
    }
}

TEST_CASE("what is hostile beside a good server takes nothing away") {
    for (const auto& row : table()) {
        CAPTURE(row.what);
        // Where the whole answer is missing there is nothing beside.
        if (row.what.find("alias") == 0 || row.what.find("an alias") == 0 || row.what.find("SERVFAIL") == 0) continue;
        if (row.what == "our own name" || row.what == "1,000 servers without an address") continue;
        scripted_resolver dns;
        row.says(dns);
        dns.mx("d.example", 0, "good.example").address("good.example", "192.0.2.9");
        const auto e = locate(dns, "d.example");
        CHECK_FALSE(e.found.error);
        REQUIRE(e.found.where.servers.size() >= 1);
        CHECK(e.found.where.servers.front().name == "good.example");
    }
}

TEST_CASE("a huge or malformed record of MTA-STS is none, and never keeps mail back") {
    for (const auto& text : {std::string(60'000, 'x'), "v=STSv1; id=" + std::string(60'000, '7') + ";",
                             std::string("v=STSv1; id=\xff;"), std::string("v=STSv1")}) {
        scripted_resolver dns;
        dns.address("d.example", "192.0.2.1").txt("_mta-sts.d.example", text);
        mx_lookup lookup("d.example", rules, 1);
        while (const auto q = lookup.poll())
            dns.ask(q->name, q->type, [&](net::dns_answer a) { lookup.answered(*q, std::move(a)); });
        REQUIRE(lookup.sts());
        CHECK(lookup.sts()->id.empty());
        CHECK_FALSE(lookup.result().error);
    }
    scripted_resolver dns;
    dns.address("d.example", "192.0.2.1").record("_mta-sts.d.example", record_type::txt, "\xff too short");
    CHECK_FALSE(locate(dns, "d.example").found.error);
}

TEST_CASE("answers that change from one question to the next make another site, never a mix") {
    scripted_resolver dns;
    dns.mx("d.example", 1, "a.example").address("a.example", "192.0.2.1").address("b.example", "192.0.2.2");
    const auto before = locate(dns, "d.example").found.where;
    dns.forget("d.example").mx("d.example", 1, "b.example");
    const auto after = locate(dns, "d.example").found.where;
    CHECK(before.site == "a.example");
    CHECK(after.site == "b.example");
    CHECK(after.servers.size() == 1);
}
